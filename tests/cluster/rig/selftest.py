#!/usr/bin/python3
"""Proves the rig: up, work, down without a trace; with --crash one of its first processes is killed in the middle.

    selftest.py [--node real|fake] [--rounds N] [--crash] [--second-apiserver] [--dir DIR]
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

RIG_DIR = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(RIG_DIR))

from riglib import cgroups  # noqa: E402
from riglib.layout import Layout, alive  # noqa: E402
from riglib.traffic import share, sampling_error  # noqa: E402
from riglib.util import run, say, wait_for  # noqa: E402

POD_PORT = 8080
# The processes whose death must take everything along; each round kills another.
VICTIMS = ("holder", "outer", "inside")


REQUESTS, WEIGHT = 5000, 0.1   # through the gateway, of which the second version is to get so many
HOST = "hello.example.com"


def workload(name, replicas, node):
    container = {"name": "hello", "image": "localhost/hello:dev", "imagePullPolicy": "IfNotPresent",
                 "env": [{"name": "HOSTNAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}
    if node == "real":
        container["readinessProbe"] = {"httpGet": {"path": "/", "port": POD_PORT}, "periodSeconds": 1}
    labels = {"app": name, "modelops.dev/model": "greeter", "modelops.dev/version": name}
    notes = {"prometheus.io/scrape": "true", "prometheus.io/port": str(POD_PORT), "prometheus.io/path": "/metrics"}
    template = {"metadata": {"labels": labels, "annotations": notes},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    return {"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
         "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
         "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": POD_PORT}]}}]}


def route(weights, name="hello"):
    backends = [{"name": service, "port": 80, "weight": weight} for service, weight in weights.items()]
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name, "namespace": "default"},
            "spec": {"parentRefs": [{"name": "gw", "namespace": "gateway"}], "hostnames": [HOST], "rules": [{"backendRefs": backends}]}}


class Round:
    def __init__(self, node, directory, second):
        self.node, self.second = node, second
        self.layout = Layout(directory)

    def rig(self, command, *args):
        return run([RIG_DIR / "rig.py", command, "--dir", self.layout.dir, *args])

    def kubectl(self, *args, stdin=None):
        return run([self.layout.dir / "bin" / "kubectl", f"--kubeconfig={self.layout.kubeconfig}", *args],
                   input=stdin)

    def play(self, victim):
        started = time.monotonic()
        self._up()
        if victim:
            self._crash(victim)
            self._up()
        before = time.monotonic()
        self._work()
        worked = time.monotonic()
        self.rig("down")
        self._nothing_left()
        say(f"{self.node}{f', {victim} killed' if victim else ''}: up {before - started:.1f} s, work "
            f"{worked - before:.1f} s, down {time.monotonic() - worked:.1f} s")

    def _up(self):
        self.rig("up", "--node", self.node, *(["--second-apiserver"] if self.second else []))

    def _crash(self, victim):
        record = self.layout.record()
        run(["kill", "-9", str(record[victim]["pid"])])
        wait_for("the whole rig to die with it", lambda: not alive(record["holder"]), timeout=10)
        assert subprocess.run([RIG_DIR / "rig.py", "status", "--dir", self.layout.dir],
                              stdout=subprocess.DEVNULL).returncode == 1

    def _work(self):
        replicas = 2 if self.node == "real" else 20
        if self.node == "real":
            self._load_image()
        self.kubectl("apply", "-f", "-", stdin=json.dumps(workload("hello", replicas, self.node)))
        self.kubectl("rollout", "status", "deployment/hello", "--timeout=60s")
        if self.node == "real":
            self._answers()
            self._scraped(replicas)
            self._routed()
        self._route_status()
        self._pushed_metric()
        self._audited()
        if self.second:
            self._stale()
            self._restored()

    def _load_image(self):
        with tempfile.TemporaryDirectory() as folder:
            run(["gcc", "-static", "-O1", "-s", "-o", f"{folder}/hello", RIG_DIR / "c" / "hello.c"])
            tar = f"{folder}/hello.tar"
            run([RIG_DIR / "rig.py", "image", "--name", "localhost/hello:dev", "--out", tar,
                 "--file", f"{folder}/hello:/hello:755", "--entrypoint", "/hello", "--user", "65532"])
            self.rig("load", tar)

    def _answers(self):
        """By ClusterIP from the host through a forward, and by name from inside the rig."""
        address = self.rig("forward", "--background", "0", "hello.default:80").strip()
        names = set()

        def both():
            try:
                with urllib.request.urlopen(f"http://{address}/", timeout=2) as answer:
                    names.add(answer.read().split()[2])
            except OSError:
                pass
            return len(names) == 2
        wait_for("both pods to answer", both, timeout=20)
        script = "import urllib.request as u; print(u.urlopen('http://hello.default.svc.cluster.local/').read())"
        assert "hello from" in self.rig("exec", "--", "/usr/bin/python3", "-c", script)

    def _routed(self):
        """Weights over two Deployments, counted in real requests."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(workload("other", 1, self.node)))
        self.kubectl("rollout", "status", "deployment/other", "--timeout=60s")
        self.kubectl("apply", "-f", "-", stdin=json.dumps(route({"hello": 90, "other": 10})))
        url = (self.layout.dir / "gateway.url").read_text().strip()

        def by_deployment(requests):
            found = collections.Counter()
            for answer, count in share(url, HOST, requests, version=lambda answer: answer.body.split()[2].decode()).items():
                found[answer.split("-")[0]] += count
            return found

        def known():
            try:
                return len(by_deployment(40)) == 2
            except AssertionError:
                return False
        wait_for("the gateway to know the route", known, timeout=30)
        seen = by_deployment(REQUESTS)
        say(f"weights 90/10 over {REQUESTS} requests: {dict(seen)}")
        assert abs(seen["other"] / REQUESTS - WEIGHT) < sampling_error(WEIGHT, REQUESTS), seen

    def _route_status(self):
        """Also without pods that answer."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(route({"hello": 1}, "status")))
        path = '{.status.parents[0].conditions[?(@.type=="Accepted")].status}'
        wait_for("the gateway to accept the route", lambda: self.kubectl("get", "httproute", "status", "-o", f"jsonpath={path}") == "True", timeout=30)

    def _query(self, query):
        url = (self.layout.dir / "prometheus.url").read_text().strip()
        with urllib.request.urlopen(f"{url}/api/v1/query?query={urllib.parse.quote(query)}", timeout=5) as answer:
            return json.load(answer)["data"]["result"]

    def _scraped(self, replicas):
        query = 'hello_requests_total{model="greeter",version="hello",namespace="default",pod=~"hello-.+"}'
        wait_for("Prometheus to scrape the pods", lambda: len(self._query(query)) == replicas, timeout=20)

    def _pushed_metric(self):
        (self.layout.metrics / "selftest.prom").write_text('accuracy{model="m",version="v2"} 0.75\n')
        query = 'accuracy{model="m",version="v2"}'
        found = wait_for("the pushed metric", lambda: self._query(query), timeout=20)
        assert found[0]["value"][1] == "0.75", found
        (self.layout.metrics / "selftest.prom").unlink()

    def _audited(self):
        events = [json.loads(line) for line in (self.layout.dir / "audit.log").read_text().splitlines()]
        assert not {"get", "list", "watch"} & {event["verb"] for event in events}
        assert any(event["objectRef"].get("resource") == "deployments" and event["user"]["username"] == "rig-admin"
                   for event in events if event.get("objectRef"))

    def _configmaps(self, query):
        found = run([self.layout.dir / "bin" / "kubectl", f"--kubeconfig={self.layout.second_kubeconfig}", "get", "--raw",
                     f"/api/v1/namespaces/default/configmaps{query}"])
        return {item["metadata"]["name"] for item in json.loads(found)["items"]} & {"first", "second"}

    def _stale(self):
        self.kubectl("create", "configmap", "first")
        wait_for("the second API server's cache", lambda: self._configmaps("?resourceVersion=0") == {"first"})
        self.rig("signal", "etcd-relay", "USR1")
        self.kubectl("create", "configmap", "second")
        assert self._configmaps("?resourceVersion=0") == {"first"}, "the cache goes on"
        assert self._configmaps("") == {"first", "second"}, "a quorum read is stale"
        self.rig("signal", "etcd-relay", "USR2")
        wait_for("the second API server to catch up", lambda: self._configmaps("?resourceVersion=0") == {"first", "second"})

    def _restored(self):
        self.kubectl("delete", "configmap", "second")
        self.rig("save-etcd", "before")
        self.kubectl("create", "configmap", "second")
        self.rig("restore-etcd", "before")
        assert "configmap/second" not in self.kubectl("get", "configmaps", "-o", "name"), "nothing was restored"
        self.kubectl("scale", "deployment/hello", "--replicas=1")
        self.kubectl("rollout", "status", "deployment/hello", "--timeout=60s")

    def _nothing_left(self):
        left = {path.name for path in self.layout.dir.iterdir()} - {"logs", "audit.log", "second-audit.log"}
        assert not left, f"files: {left}"
        assert not cgroups.present(self.layout.name), "cgroups"
        assert str(self.layout.dir) not in pathlib.Path("/proc/self/mounts").read_text(), "mounts"
        wait_for("the processes to be gone", lambda: not self._processes(), timeout=15)

    def _processes(self):
        lines = run(["ps", "-eo", "stat,args"]).splitlines()
        return [line for line in lines if str(self.layout.dir) in line and "selftest.py" not in line]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--node", choices=["real", "fake"], default="real")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--crash", action="store_true")
    parser.add_argument("--second-apiserver", action="store_true")
    parser.add_argument("--dir")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rig-selftest-") as own:
        for number in range(arguments.rounds):
            Round(arguments.node, arguments.dir or own, arguments.second_apiserver).play(VICTIMS[number % 3] if arguments.crash else None)
    say("selftest passed")


if __name__ == "__main__":
    sys.exit(main())
