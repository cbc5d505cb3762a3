"""People who use the model: steady requests through the Service, each with the label that later turned out right."""
import http.client
import json
import threading
import time


class Caller:
    """Asks at `rate` requests a second on new connections. Counts what each version answered, and everything that went wrong."""

    def __init__(self, host, port, model, test, rate=40):
        self.host, self.port, self.rate = host, port, rate
        self.path = f"/v2/models/{model}/infer"
        self.rows, self.labels = test["rows"], test["labels"]
        self.lock = threading.Lock()
        self.answered, self.right, self.lost = {}, {}, []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(4)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def total(self):
        with self.lock:
            return sum(self.answered.values())

    def accuracy(self, version):
        with self.lock:
            return self.right.get(version, 0) / max(1, self.answered.get(version, 0))

    def ask(self, index):
        """(version that answered, its prediction)"""
        index %= len(self.rows)
        row = self.rows[index]
        body = {"inputs": [{"name": "features", "shape": [1, len(row)], "datatype": "FP64", "data": row}],
                "parameters": {"labels": [self.labels[index]]}}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request("POST", self.path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise OSError(f"HTTP {response.status}: {text[:200]!r}")
            answer = json.loads(text)
            return answer["model_version"], answer["outputs"][0]["data"][0]
        finally:
            connection.close()

    def _run(self, number):
        index, pause = number, len(self.threads) / self.rate
        while not self.stopping.is_set():
            started = time.monotonic()
            try:
                version, predicted = self.ask(index)
                with self.lock:
                    self.answered[version] = self.answered.get(version, 0) + 1
                    self.right[version] = self.right.get(version, 0) + (predicted == self.labels[index % len(self.labels)])
            except (OSError, http.client.HTTPException) as error:
                with self.lock:
                    self.lost.append(str(error) or repr(error))
            index += len(self.threads)
            self.stopping.wait(max(0.0, pause - (time.monotonic() - started)))
