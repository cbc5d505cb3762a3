#!/usr/bin/python3
"""The report site under load: 50 readers at once on 10,000 Models. Latencies by page, memory, CPU.

    readers.py [--models N] [--readers N] [--seconds N] [--think SECONDS]

The API server is a stand-in in this program, which lists objects page by page and knows one reader: what is measured is the site alone."""

import argparse
import http.client
import http.server
import json
import os
import pathlib
import random
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse

REPO = pathlib.Path(__file__).resolve().parents[2]
OPERATOR = pathlib.Path(os.environ.get("MODELOPS_BENCH_OPERATOR") or REPO / "build" / "release" / "bin" / "model-operator")
API = "modelops.dev/v1alpha1"


def objects(count):
    """plural: [objects as JSON texts], of Models with three versions and three rollouts each."""
    made = {"models": [], "modelversions": [], "modelrollouts": [], "deployments": []}
    for i in range(count):
        ns, name = f"team-{i % 100}", f"model-{i}"

        def put(plural, name_of_it, spec, status, labels=None):
            made[plural].append(json.dumps({"metadata": {"name": name_of_it, "namespace": ns, "creationTimestamp": "2026-11-01T00:00:00Z", "labels": labels or {}},
                                            "spec": spec, "status": status}))
        put("models", name, {"class": "MachineLearning", "riskTier": ("high", "low")[i % 2], "owner": {"team": f"team-{i % 100}", "contact": "x@example.com"},
                             "description": "Scores what comes in.", "lifecycle": {"stage": "Production"}, "monitors": [{"name": "drift", "max": "0.2"}]},
            {"phase": "Degraded" if i % 50 == 0 else "Ready", "stableVersion": f"{name}-v3", "message": "serves",
             "monitors": [{"name": "drift", "state": "Breached" if i % 40 == 0 else "OK", "value": "0.07"}]})
        for v in (1, 2, 3):
            put("modelversions", f"{name}-v{v}", {"modelRef": {"name": name}, "artifact": {"uri": "pvc://m/x", "digest": f"sha256:{i * 3 + v:064x}", "format": {"name": "sklearn"}},
                                                  "metrics": {"f1": "0.95"}}, {"phase": "Serving" if v == 3 else "Superseded", "served": True})
            put("modelrollouts", f"{name}-v{v}-1", {"modelRef": {"name": name}, "version": f"{name}-v{v}"},
                {"phase": "Succeeded", "message": "serves", "startedAt": f"2026-11-{9 + v:02}T00:00:00Z", "finishedAt": f"2026-11-{9 + v:02}T06:00:00Z",
                 "gates": [{"name": "accuracy", "verdict": "Passed", "value": "0.97"}]})
        put("deployments", f"{name}-{name}-v3", {"replicas": 2, "template": {"spec": {"containers": [{"resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]}}},
            {"observedGeneration": 1, "replicas": 2},
            {"app.kubernetes.io/managed-by": "model-operator", "modelops.dev/model": name, "modelops.dev/version": f"{name}-v3"})
    return made


class StandIn(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    known = {}

    def log_message(self, *_):
        pass

    def answer(self, text, code=200):
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        found = self.known.get(url.path.rsplit("/", 1)[-1], [])
        begin, limit = int(query.get("continue") or 0), int(query.get("limit") or 500)
        more = {"continue": str(begin + limit)} if begin + limit < len(found) else {}
        self.answer(f'{{"metadata": {json.dumps({"resourceVersion": "1", **more})}, "items": [{",".join(found[begin:begin + limit])}]}}')

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        token = self.path.endswith("tokenreviews")
        self.answer(json.dumps({"status": {"authenticated": True, "user": {"username": "reader"}} if token else {"allowed": True}}), 201)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def read_all(port, models, until, think, seed, into):
    """One reader: pages as people turn them, over one connection."""
    dice = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    time.sleep(dice.random() * think)
    while time.monotonic() < until:
        i = dice.randrange(models)
        kind, path = dice.choice([("portfolio", "/"), ("search", f"/?q=model-{i}"), ("page of the table", f"/?page={dice.randrange(1, max(2, models // 100))}"),
                                  ("one model", f"/models/team-{i % 100}/model-{i}"), ("one model", f"/models/team-{i % 100}/model-{i}"), ("delivery", "/delivery"),
                                  ("compliance", "/compliance"), ("activity", "/activity")])
        began = time.monotonic()
        connection.request("GET", path, headers={"Authorization": "Bearer t"})
        answer = connection.getresponse()
        answer.read()
        into.append((kind, answer.status, time.monotonic() - began))
        time.sleep(think * (0.5 + dice.random()))


def memory(pid):
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--think", type=float, default=1.0, help="seconds that a reader looks at a page, on average")
    asked = parser.parse_args()
    StandIn.known = objects(asked.models)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "kubeconfig"
        config.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                                      "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}], "users": [{"name": "u", "user": {}}]}))
        began = time.monotonic()
        site = subprocess.Popen([OPERATOR, "report", "--kubeconfig", config, "--address", f"127.0.0.1:{port}", "--interval", "30", "--log-level", "warn"])
        try:
            while True:
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    connection.request("GET", "/readyz")
                    if connection.getresponse().status == 200:
                        break
                except OSError:
                    pass
                if site.poll() is not None:
                    raise SystemExit("the site ended")
                time.sleep(0.1)
            print(f"{asked.models} Models read after {time.monotonic() - began:.1f} s, {memory(site.pid)[0]:.0f} MB")
            taken, until = [], time.monotonic() + asked.seconds
            readers = [threading.Thread(target=read_all, args=(port, asked.models, until, asked.think, i, taken)) for i in range(asked.readers)]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            tell(taken, asked, memory(site.pid))
        finally:
            site.terminate()
            site.wait(timeout=20)


def tell(taken, asked, used):
    bad = [status for _, status, _ in taken if status != 200]
    print(f"{asked.readers} readers, {len(taken)} pages in {asked.seconds} s ({len(taken) / asked.seconds:.0f}/s), {len(bad)} not answered {sorted(set(bad)) or ''}")
    for kind in ["all", *sorted({k for k, _, _ in taken})]:
        times = sorted(t * 1000 for k, _, t in taken if kind in ("all", k))
        print(f"  {kind:18} median {statistics.median(times):6.0f} ms   p95 {times[int(len(times) * 0.95)]:6.0f} ms   worst {times[-1]:6.0f} ms")
    print(f"memory {used[0]:.0f} MB, {used[1]:.0f} MB at most")


if __name__ == "__main__":
    main()
