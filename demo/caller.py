"""People who use the model: steady requests through the Service, each followed by the label that turned out right. Runs in a pod, so that it needs no way into the cluster.

    caller.py TEST.json SCANNER     once the file SCANNER is there, all that is asked about is measured in the unit that it names, such as 1.3

Writes one line of JSON a second: {"answered": {version: n}, "right": {version: n}, "lost": [first reasons], "lost_total": n}.
"""
import http.client
import json
import os
import pathlib
import random
import socket
import sys
import threading
import time

MODEL, SERVICE, PODS = "biopsy", "biopsy", "biopsy-pods"   # PODS: a headless Service, each pod by its own address
FEEDBACK_PORT = int(os.environ.get("FEEDBACK_PORT", "8081"))
RATE, THREADS = 40, 4
REASONS = 5


class Pods:
    """Which pod serves which version, so that feedback reaches one that predicted so. Thread-safe."""

    def __init__(self):
        self.lock = threading.Lock()
        self.addresses, self.versions, self.looked = [], {}, 0.0

    def of(self, version):
        """Addresses of pods that may serve the version, those that are known to first."""
        with self.lock:
            if time.monotonic() - self.looked > 1:
                self.looked = time.monotonic()
                try:
                    self.addresses = sorted({found[4][0] for found in socket.getaddrinfo(PODS, FEEDBACK_PORT, type=socket.SOCK_STREAM)})
                except OSError:
                    self.addresses = []
                self.versions = {a: v for a, v in self.versions.items() if a in self.addresses}   # an address may come back as another pod's
            found = [a for a in self.addresses if self.versions.get(a, version) == version]
        random.shuffle(found)
        return sorted(found, key=lambda a: a not in self.versions)

    def learn(self, address, version):
        with self.lock:
            self.versions[address] = version


class Caller:
    """Asks at RATE requests a second on new connections. Counts what each version answered, and everything that went wrong."""

    def __init__(self, test, scanner):
        self.rows, self.labels = test["rows"], test["labels"]
        self.scanner = scanner
        self.lock = threading.Lock()
        self.answered, self.right, self.lost, self.lost_total = {}, {}, [], 0
        self.pods = Pods()

    def ask(self, index):
        """(version that answered, its prediction)"""
        unit = self.unit()
        row = [value * unit for value in self.rows[index]]
        body = {"inputs": [{"name": "features", "shape": [1, len(row)], "datatype": "FP64", "data": row}]}
        status, answer, _ = post(SERVICE, 80, "infer", body)
        if status != 200:
            raise OSError(f"HTTP {status}: {str(answer)[:200]}")
        return answer["model_version"], answer["outputs"][0]["data"][0]

    def unit(self):
        try:
            return float(self.scanner.read_text())
        except (OSError, ValueError):
            return 1.0

    def tell(self, version, predicted, label):
        """Feedback is a favour: what fails here (a pod that just went) is no lost request."""
        for address in self.pods.of(version):
            try:
                status, _, told = post(address, FEEDBACK_PORT, "feedback", {"predictions": [predicted], "labels": [label], "model_version": version})
            except (OSError, http.client.HTTPException, ValueError):
                continue
            if told:
                self.pods.learn(address, told)
            if status == 200:
                return

    def run(self, number):
        index, pause = number, THREADS / RATE
        while True:
            started, row = time.monotonic(), index % len(self.rows)
            try:
                version, predicted = self.ask(row)
                with self.lock:
                    self.answered[version] = self.answered.get(version, 0) + 1
                    self.right[version] = self.right.get(version, 0) + (predicted == self.labels[row])
                self.tell(version, predicted, self.labels[row])
            except (OSError, http.client.HTTPException, LookupError, ValueError) as error:
                with self.lock:
                    self.lost_total += 1
                    self.lost = (self.lost + [str(error) or repr(error)])[:REASONS]
            index += THREADS
            time.sleep(max(0.0, pause - (time.monotonic() - started)))

    def line(self):
        with self.lock:
            return json.dumps({"answered": self.answered, "right": self.right, "lost": self.lost, "lost_total": self.lost_total})


def post(host, port, verb, body):
    """(status, answer, the version that says so)"""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("POST", f"/v2/models/{MODEL}/{verb}", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if response.status == 200 else text, response.getheader("Model-Version")
    finally:
        connection.close()


def main():
    with open(sys.argv[1]) as file:
        caller = Caller(json.load(file), pathlib.Path(sys.argv[2]))
    for number in range(THREADS):
        threading.Thread(target=caller.run, args=(number,), daemon=True).start()
    while True:
        time.sleep(1)
        print(caller.line(), flush=True)


if __name__ == "__main__":
    main()
