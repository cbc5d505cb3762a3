#!/usr/bin/env python3
"""1,000 Models applied at once on simulated nodes: how much is written, how much memory, how long; beside plain Deployments and Services as the floor.

Fails on writes and memory, never on the clock: times are for reading, as ratios to the floor measured in the same run.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RIG_PROGRAM = ROOT / "tests/cluster/rig/rig.py"
OPERATOR = ROOT / "build/release/bin/model-operator"
ACCOUNT = "system:serviceaccount:model-operator-system:model-operator"
NAMESPACES = 10
ALLOWED = {"deployments": 1, "services": 1, "status": 3}  # writes a Model
RSS_LIMIT_MB = 60


def digest(i):
    return f"sha256:{i:064x}"


def version_of(i, ns):
    return {"apiVersion": "modelops.dev/v1alpha1", "kind": "ModelVersion", "metadata": {"name": f"m{i}-v1", "namespace": ns},
            "spec": {"modelRef": {"name": f"m{i}"}, "artifact": {"uri": f"configmap://m{i}/model", "digest": digest(i), "format": {"name": "bench"}}}}


def model_of(i, ns):
    return {"apiVersion": "modelops.dev/v1alpha1", "kind": "Model", "metadata": {"name": f"m{i}", "namespace": ns},
            "spec": {"version": f"m{i}-v1", "serving": {"replicas": 1}}}


RUNTIME = {"apiVersion": "modelops.dev/v1alpha1", "kind": "ModelRuntime", "metadata": {"name": "bench"},
           "spec": {"formats": [{"name": "bench"}], "port": 8080,
                    "template": {"spec": {"containers": [{"name": "server", "image": "localhost/none:dev"}]}}}}


def plain_of(i, ns):
    labels = {"app": f"p{i}"}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "server", "image": "localhost/none:dev"}]}}
    yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"p{i}", "namespace": ns},
           "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pods}}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"p{i}", "namespace": ns},
           "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}}


class Bench:
    def __init__(self, count, directory):
        self.count, self.dir = count, directory
        os.environ["MODELOPS_TEST_RIG"] = str(directory)
        sys.path.insert(0, str(ROOT / "tests/cluster"))
        import kube
        self.kube = kube.Kube(str(directory / "kubeconfig"))
        self.pool = concurrent.futures.ThreadPoolExecutor(8)

    def create_all(self, bodies):
        for done in [self.pool.submit(self.kube.create, body) for body in bodies]:
            done.result()

    def wait(self, what, count, seconds=300):
        deadline = time.monotonic() + seconds
        while count() < self.count:
            if time.monotonic() > deadline:
                sys.exit(f"after {seconds} s only {count()} of {self.count} {what}")
            time.sleep(0.25)

    def deployments_ready(self, prefix):
        return sum(d["metadata"]["name"].startswith(prefix) and d.get("status", {}).get("readyReplicas", 0) == 1 for d in self.kube.list("Deployment"))

    def models_ready(self):
        return sum(any(c["type"] == "Ready" and c["status"] == "True" for c in m["status"].get("conditions", [])) for m in self.kube.list("Model"))

    def floor(self):
        started = time.monotonic()
        self.create_all(body for i in range(self.count) for body in plain_of(i, f"bench-{i % NAMESPACES}"))
        self.wait("plain Deployments are ready", lambda: self.deployments_ready("p"))
        took = time.monotonic() - started
        for i in range(NAMESPACES):
            for kind in ("deployments", "services"):
                subprocess.run([str(self.dir / "bin/kubectl"), f"--kubeconfig={self.dir / 'kubeconfig'}", "-n", f"bench-{i}", "delete", kind, "--all"],
                               check=True, capture_output=True)
        return took

    def operator_writes(self):
        """{(resource, subresource, verb): count} and the names of what was written, by the operator's ServiceAccount."""
        writes = collections.Counter()
        with open(self.dir / "audit.log") as log:
            for line in log:
                try:
                    event = json.loads(line)
                except json.JSONDecodeError:
                    continue  # the last line, still being written
                if event.get("stage") != "ResponseComplete" or event["user"]["username"] != ACCOUNT:
                    continue
                target = event.get("objectRef", {})
                if target.get("resource") != "leases":
                    writes[target.get("resource"), target.get("subresource", ""), event["verb"]] += 1
        return writes

    def quiet(self, seconds=10):
        """Waits until the operator has not written for so long; returns what it wrote in a further window of that length."""
        last, since = sum(self.operator_writes().values()), time.monotonic()
        while time.monotonic() - since < seconds:
            time.sleep(0.5)
            now = sum(self.operator_writes().values())
            if now != last:
                last, since = now, time.monotonic()
        time.sleep(seconds)
        return sum(self.operator_writes().values()) - last


def process_numbers(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    kb = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM"))}
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return kb["VmRSS"] / 1024, kb["VmHWM"] / 1024, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rig(directory, *args):
    subprocess.run([sys.executable, str(RIG_PROGRAM), *args, "--dir", str(directory)], check=True, stdout=subprocess.DEVNULL)


def measure(count, directory):
    bench = Bench(count, directory)
    kube = bench.kube
    kube.install_crds()
    kube.apply_folder("manifests", skip=("Deployment",))
    kube.create(RUNTIME)
    for i in range(NAMESPACES):
        kube.make_namespace(f"bench-{i}")
    floor = bench.floor()
    account = directory / "operator.kubeconfig"
    subprocess.run([sys.executable, str(RIG_PROGRAM), "kubeconfig", "model-operator-system/model-operator", "--out", str(account), "--dir", str(directory)],
                   check=True, stdout=subprocess.DEVNULL)
    with open(directory / "operator.log", "w") as log:
        operator = subprocess.Popen([OPERATOR, "run", f"--kubeconfig={account}", "--metrics-address=127.0.0.1:0", "--health-address=0",
                                     "--log-level=warn"], stdout=log, stderr=log)
    try:
        bench.create_all(version_of(i, f"bench-{i % NAMESPACES}") for i in range(count))
        started = time.monotonic()
        bench.create_all(model_of(i, f"bench-{i % NAMESPACES}") for i in range(count))
        bench.wait("Models are Ready", bench.models_ready)
        took = time.monotonic() - started
        late = bench.quiet()
        rss, peak, cpu = process_numbers(operator.pid)
    finally:
        operator.terminate()
        operator.wait(30)
    writes = bench.operator_writes()
    return {"models": count, "seconds": took, "floor_seconds": floor, "ratio": took / floor, "rss_mb": rss, "peak_rss_mb": peak, "cpu_seconds": cpu,
            "writes_once_converged": late, "writes": {"/".join(k): n for k, n in sorted(writes.items())},
            "deployments": sum(n for (r, s, _), n in writes.items() if r == "deployments"),
            "services": sum(n for (r, s, _), n in writes.items() if r == "services"),
            "status": sum(n for (r, s, _), n in writes.items() if s == "status")}


def judge(result):
    wrong = [f"{kind}: {result[kind] / result['models']:.2f} writes a Model, allowed are {most}" for kind, most in ALLOWED.items()
             if result[kind] > most * result["models"]]
    if result["peak_rss_mb"] > RSS_LIMIT_MB:
        wrong.append(f"{result['peak_rss_mb']:.0f} MB of memory, allowed are {RSS_LIMIT_MB}")
    if result["writes_once_converged"]:
        wrong.append(f"{result['writes_once_converged']} writes once converged")
    return wrong


def show(result):
    n = result["models"]
    print(f"{n} Models Ready in {result['seconds']:.1f} s; {n} plain Deployments and Services ready in {result['floor_seconds']:.1f} s: ratio {result['ratio']:.2f}")
    print(f"operator: {result['cpu_seconds']:.2f} s of CPU ({1000 * result['cpu_seconds'] / n:.2f} ms a Model), {result['rss_mb']:.1f} MB RSS, {result['peak_rss_mb']:.1f} MB at most")
    for what, count in result["writes"].items():
        print(f"   {what:40} {count:6}  {count / n:.3f} a Model")
    print(f"   {'once converged':40} {result['writes_once_converged']:6}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--keep", action="store_true", help="leave the cluster up")
    args = parser.parse_args()
    directory = ROOT / "build/bench/cluster"
    directory.parent.mkdir(parents=True, exist_ok=True)
    rig(directory, "down")
    shutil.rmtree(directory, ignore_errors=True)
    rig(directory, "up", "--node", "fake")
    try:
        result = measure(args.models, directory)
    finally:
        if not args.keep:
            rig(directory, "down")
    (ROOT / "build/bench/scale.json").write_text(json.dumps(result, indent=1) + "\n")
    show(result)
    wrong = judge(result)
    print("\n".join(f"FAILED: {w}" for w in wrong) or "within bounds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
