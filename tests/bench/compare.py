#!/usr/bin/python3
"""Ours beside an idiomatic controller-runtime operator and beside no operator at all, in turns on one cluster with simulated nodes.

    compare.py [--models N] [--rounds N] [--write] [--keep]

Each round does the same three times: as many servers are made as plain Deployments and Services by hand (the floor: nobody can need less), by the peer, and by ours. Then each
is given another artifact: the floor's and the peer's Deployments are changed, ours does a whole ModelRollout without steps. Then operators restart. Shown are medians
over the rounds. The peer (peers/controller-runtime) makes a Deployment, a Service and a status for each object, and nothing else. --write: docs/performance.md
and its picture. Times are this machine's; only the ratios say something of others.
"""

import argparse
import collections
import json
import pathlib
import statistics
import sys
import time

import scale  # sets the environment

import operators
import peer
import settings
from case import API
from kube import ApiError, Kube
from scale import OUT, at_once, cpu_seconds, memory_mb, pod_template, rig, say, until

DOCS = scale.REPO / "docs"


def apiserver():
    """The process of this cluster's API server."""
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"kube-apiserver") and str(settings.RIG).encode() in b" ".join(words):
                return int(entry.name)
    sys.exit("bench: no API server of this cluster")


def digest(name, generation):
    return scale.model_digest(f"{name} {generation}")


class Floor:
    """Nobody watches: what is written is all there is."""
    name, title = "floor", "plain Deployments"
    operator = None

    def make(self, kube, namespace, number):
        for body in scale.by_hand(number):
            kube.create(body, namespace)

    def change(self, kube, namespace, number):
        kube.patch("Deployment", f"plain-{number:04}", {"spec": {"template": {"metadata": {"annotations": {"digest": "two"}}}}}, namespace)

    def done(self, kube, namespace, changed):
        return sum(_rolled_out(d) and (not changed or "digest" in d["spec"]["template"]["metadata"].get("annotations", {})) for d in kube.list("Deployment", namespace))


class ControllerRuntime:
    name, title = "peer", "controller-runtime"

    def __init__(self):
        self.operator = peer.Peer()

    def make(self, kube, namespace, number):
        name = f"peer-{number:04}"
        template = pod_template(name)
        kube.create({"apiVersion": f"{peer.GROUP}/{peer.VERSION}", "kind": "PeerModel", "metadata": {"name": name},
                     "spec": {"uri": f"https://artifacts.example.com/{name}/model.json", "digest": digest(name, 1), "replicas": 1, "template": template}}, namespace)

    def change(self, kube, namespace, number):
        name = f"peer-{number:04}"
        kube.patch("PeerModel", name, {"spec": {"digest": digest(name, 2)}}, namespace)

    def done(self, kube, namespace, changed):
        return sum(_ready(m) and m["status"].get("digest") == digest(m["metadata"]["name"], 2 if changed else 1) for m in kube.list("PeerModel", namespace))


class Ours:
    name, title = "ours", "model-operator"

    def __init__(self, kube):
        kubeconfig = operators.kubeconfig_of(kube, settings.SYSTEM_NAMESPACE, "model-operator", settings.STATE / "compare.kubeconfig")
        self.operator = operators.Operator("compare", kubeconfig)

    def make(self, kube, namespace, number):
        kube.create(self._model(f"model-{number:04}", 1), namespace)

    def change(self, kube, namespace, number):
        name = f"model-{number:04}"
        kube.patch("Model", name, {"spec": {"artifact": {"digest": digest(name, 2)}}}, namespace)

    def done(self, kube, namespace, changed):
        return sum(_ready(m) and m["status"].get("stableDigest") == digest(m["metadata"]["name"], 2 if changed else 1) for m in kube.list("Model", namespace))

    @staticmethod
    def _model(name, generation):
        artifact = {"uri": f"https://artifacts.example.com/{name}/model.json", "digest": digest(name, generation), "format": {"name": "tiny"}}
        return {"apiVersion": API, "kind": "Model", "metadata": {"name": name}, "spec": {"artifact": artifact, "serving": {"replicas": 1}}}


def _ready(found):
    status = found.get("status", {})
    return status.get("observedGeneration") == found["metadata"]["generation"] and any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))


def _rolled_out(deployment):
    status = deployment.get("status", {})
    return (status.get("observedGeneration") == deployment["metadata"]["generation"]
            and all(status.get(field, 0) == 1 for field in ("replicas", "updatedReplicas", "readyReplicas")))


def measure(kube, subject, count, number):
    """{figure: value} of one subject in one round."""
    namespace = f"bench-{subject.name}-{number}"
    kube.make_namespace(namespace)
    server, operator, told = apiserver(), subject.operator, {}
    if operator:
        operator.start()
    try:
        for what, act, changed in (("create", subject.make, False), ("update", subject.change, True)):
            spent, began = cpu_seconds(server), time.monotonic()
            own = cpu_seconds(operator.pid) if operator else 0
            at_once(lambda n, act=act: act(kube, namespace, n), range(count))
            until(lambda changed=changed: subject.done(kube, namespace, changed) == count, f"{subject.title}: {what} is done")
            told[f"{what}_seconds"] = time.monotonic() - began
            time.sleep(2)  # what is written after the end belongs to it
            told[f"{what}_server_cpu"] = cpu_seconds(server) - spent
            if operator:
                told[f"{what}_cpu"] = cpu_seconds(operator.pid) - own
        if operator:
            told["memory_mb"] = memory_mb(operator.pid)["now"]
            operator.end()
            began = time.monotonic()
            operator.start()
            until(lambda: operator.reconciles() >= count, f"{subject.title} has caught up", 0.02)
            told["restart_seconds"] = time.monotonic() - began
            told["restart_cpu"] = cpu_seconds(operator.pid)
    finally:
        if operator:
            operator.end()
    kube.delete("Namespace", namespace)
    until(lambda: kube.find("Namespace", namespace) is None, f"{namespace} is gone")
    return told


FIGURES = (  # name, title, per: divided by the number of Models and shown in ms
    ("create_seconds", "all created and Ready (s)", False), ("create_server_cpu", "API server CPU for a create (ms)", True), ("create_cpu", "operator CPU for a create (ms)", True),
    ("update_seconds", "all changed and Ready (s)", False), ("update_server_cpu", "API server CPU for a change (ms)", True), ("update_cpu", "operator CPU for a change (ms)", True),
    ("memory_mb", "memory (MB)", False), ("restart_seconds", "restart to caught up (s)", False), ("restart_cpu", "CPU of a restart (s)", False))


def medians(rounds, count):
    """{figure: {subject: median}}"""
    found = collections.defaultdict(dict)
    for name, _, per in FIGURES:
        for subject in ("floor", "peer", "ours"):
            values = [r[subject][name] for r in rounds if name in r[subject]]
            if values:
                found[name][subject] = statistics.median(values) * (1000 / count if per else 1)
    return found


def lines(result):
    """A Markdown table."""
    out = ["| | plain Deployments | controller-runtime | model-operator | ours to the peer's |", "|---|---|---|---|---|"]
    for name, title, _ in FIGURES:
        values = result["medians"][name]
        cells = [f"{values[s]:.{2 if values[s] < 10 else 0}f}" if s in values else "–" for s in ("floor", "peer", "ours")]
        out.append(f"| {title} | {' | '.join(cells)} | {values['ours'] / values['peer']:.2f} |")
    return out


def picture(result):
    """An SVG of one bar for each ratio, the peer's being 1."""
    rows = [(title.rsplit(" (", 1)[0], result["medians"][name]["ours"] / result["medians"][name]["peer"]) for name, title, _ in FIGURES]
    widest, unit, height = max(2.0, *(ratio for _, ratio in rows)), 0, 26
    unit = 380 / widest
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {len(rows) * height + 50}" font-family="sans-serif" font-size="13" role="img" '
             'aria-label="Ratios of model-operator to a controller-runtime operator">', '<rect width="100%" height="100%" fill="#fff"/>']
    for place, (title, ratio) in enumerate(rows):
        y = 20 + place * height
        parts += [f'<text x="230" y="{y + 13}" text-anchor="end" fill="#222">{title}</text>',
                  f'<rect x="240" y="{y}" width="{ratio * unit:.1f}" height="18" fill="{"#2a7f62" if ratio <= 1 else "#c0712d"}"/>',
                  f'<text x="{245 + ratio * unit:.1f}" y="{y + 13}" fill="#222">{ratio:.2f}</text>']
    end = 20 + len(rows) * height
    parts += [f'<line x1="{240 + unit:.1f}" x2="{240 + unit:.1f}" y1="14" y2="{end}" stroke="#222" stroke-dasharray="4 3"/>',
              f'<text x="{240 + unit:.1f}" y="{end + 16}" text-anchor="middle" fill="#222">1: as the controller-runtime operator</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def write(result):
    text = ["# Performance", "", "Written by `make bench-compare` (tests/bench/compare.py), which says what is measured; do not edit.", "",
            f"{result['models']} Models of one replica on simulated nodes, {result['rounds']} rounds in turns on a machine with {result['cores']} cores, medians. A change is, for ours, a whole ModelRollout",
            "without steps; for the others a changed Deployment. The peer makes a Deployment, a Service and a status for each object. Times are that machine's; the ratios say more.", "",
            *lines(result), "", "![Ratios of model-operator to a controller-runtime operator](performance.svg)", ""]
    (DOCS / "performance.md").write_text("\n".join(text))
    (DOCS / "performance.svg").write_text(picture(result))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="docs/performance.md and its picture")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    peer.program()
    rig("down")
    rig("up", "--node", "fake")
    try:
        import run
        run.install()
        settings.STATE.mkdir(parents=True, exist_ok=True)
        kube = Kube(settings.KUBECONFIG)
        kube.apply(peer.CRD)
        kube._kinds["PeerModel"] = (f"{peer.GROUP}/{peer.VERSION}", "peermodels", True)
        kube.wait_for(lambda: kube.list("PeerModel") is not None, 60, "PeerModels are served", retry=(ApiError,))
        subjects, rounds = (Floor(), ControllerRuntime(), Ours(kube)), []
        for number in range(options.rounds):
            told = {}
            for subject in subjects[number % 3:] + subjects[:number % 3]:  # nobody always comes first
                say(f"round {number + 1} of {options.rounds}: {subject.title}")
                told[subject.name] = measure(kube, subject, options.models, number)
                say(", ".join(f"{k} {v:.2f}" for k, v in told[subject.name].items()))
            rounds.append(told)
    finally:
        if not options.keep:
            rig("down")
    result = {"models": options.models, "rounds": options.rounds, "cores": scale.os.cpu_count(), "medians": medians(rounds, options.models), "all": rounds}
    (OUT / "compare.json").write_text(json.dumps(result, indent=2) + "\n")
    print("\n".join(lines(result)))
    if options.write:
        write(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
