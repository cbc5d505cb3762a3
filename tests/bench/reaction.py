"""From an abort, or a figure that breaches a gate, to the write that turns the traffic back.

Among all the Models some have a rollout at half of its traffic, every second one by an HTTPRoute, the others by their Service. One after another is aborted; then
of one after another the watching gate is breached. What came of it is read from the API server's audit log, which stamps requests to the microsecond: from
the answer to whoever aborted, or from Prometheus' answer to the operator, until the traffic write arrives. That is everything the operator does
and the ways there and back beside. In between it has to store what it decided; how long it waited for these writes is told apart.
"""

import datetime
import json
import time

import settings
from case import API, digest_of
from world import Prometheus

TRAFFIC = ("httproutes", "services")
GATE = {"name": "errors", "prometheus": {"query": "errors of {{candidate}}"}, "max": "0.01", "interval": "3s", "onInconclusive": "Wait"}
HALF = [{"weight": 50}, {"pause": {}}]


class Figures(Prometheus):
    """Errors of 0, or of 1 where they are bad; remembers when it first said so."""

    def __init__(self):
        super().__init__()
        self.bad, self.told = set(), {}
        self.values["errors of "] = self._errors

    def _errors(self, query):
        version = query.removeprefix("errors of ")
        if version not in self.bad:
            return "0"
        self.told.setdefault(version, time.time())
        return "1"


def version(name, number):
    artifact = {"uri": f"https://artifacts.example.com/{name}/model.json", "digest": digest_of(f"{name} {number}"), "format": {"name": "tiny"}}
    return {"apiVersion": API, "kind": "ModelVersion", "metadata": {"name": f"{name}-v{number}"}, "spec": {"modelRef": {"name": name}, "artifact": artifact}}


def model(name, watched, routed):
    steps = [{"background": ["errors"]}, *HALF] if watched else HALF
    serving = {"replicas": 1, **({"route": {"parentRefs": [{"name": "gw", "namespace": "gateway"}], "hostnames": [f"{name}.example.com"]}} if routed else {})}
    return {"apiVersion": API, "kind": "Model", "metadata": {"name": name},
            "spec": {"version": f"{name}-v1", "serving": serving, "rollout": {"steps": steps, **({"gates": [GATE]} if watched else {})}}}


def measure(kube, figures, user, count, at_once, until):
    """{"abort, by route": [{"ms", "waited_ms", "writes"}], …}; `count` of aborts, and as many breaches."""
    namespace = "bench-reaction"
    kube.make_namespace(namespace)
    names = {f"{what}-{number:03}": (what == "breach", number % 2 == 0) for what in ("abort", "breach") for number in range(count)}

    def serve(name):
        for number in (1, 2):
            kube.create(version(name, number), namespace)
        kube.create(model(name, *names[name]), namespace)

    def having(field, value, kind="Model"):
        return lambda: sum(found.get("status", {}).get(field) == value for found in kube.list(kind, namespace)) == len(names)
    at_once(serve, names)
    until(having("phase", "Ready"), "the Models with rollouts are Ready")
    at_once(lambda name: kube.patch("Model", name, {"spec": {"version": f"{name}-v2"}}, namespace), names)
    until(having("phase", "Paused", "ModelRollout"), "every rollout is at half")
    rollouts = {found["spec"]["modelRef"]["name"]: found["metadata"]["name"] for found in kube.list("ModelRollout", namespace)}
    began = (settings.RIG / "audit.log").stat().st_size
    for name, (watched, _) in names.items():
        if watched:
            figures.bad.add(f"{name}-v2")
        else:
            kube.patch("ModelRollout", rollouts[name], {"spec": {"desiredState": "Aborted"}}, namespace)
        over = "RolledBack" if watched else "Aborted"
        until(lambda: kube.get("ModelRollout", rollouts[name], namespace)["status"]["phase"] == over, f"{name} is {over}")
    events = audit(began, namespace)
    found = {}
    for name, (watched, routed) in names.items():
        about = [e for e in events if belongs(e, name)]
        told = figures.told[f"{name}-v2"] if watched else next(e["end"] for e in about if e["user"] != user and e["what"] == "modelrollouts")
        ours = [e for e in about if e["user"] == user and e["end"] > told]
        turn = next(e for e in ours if e["what"] in TRAFFIC and e["name"] == name)
        before = [e for e in ours if e["end"] <= turn["begin"]]
        found.setdefault(f"{'breach' if watched else 'abort'}, by {'route' if routed else 'Service'}", []).append({
            "ms": 1000 * (turn["begin"] - told), "waited_ms": 1000 * sum(e["end"] - max(e["begin"], told) for e in before), "writes": len(before)})
    kube.delete("Namespace", namespace)
    return found


def belongs(event, name):
    return event["name"] == name or event["name"].startswith(name + "-")


def audit(began, namespace):
    """Writes in that namespace, Events aside, in the order in which they arrived."""
    events = []
    with open(settings.RIG / "audit.log") as log:
        log.seek(began)
        for line in log:
            event = json.loads(line) if line.endswith("\n") else {}
            ref = event.get("objectRef", {})
            if ref.get("namespace") != namespace or ref["resource"] == "events":
                continue
            events.append({"what": ref["resource"] + (f"/{ref['subresource']}" if ref.get("subresource") else ""), "name": ref.get("name", ""),
                           "user": event["user"]["username"], "begin": seconds(event["requestReceivedTimestamp"]), "end": seconds(event["stageTimestamp"])})
    return sorted(events, key=lambda event: event["begin"])


def seconds(stamp):
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def show(found):
    print(f"\n{'to the traffic write (ms)':28}{'n':>5}{'p50':>8}{'p90':>8}{'p99':>8}{'most':>8}   of it waiting for the API server to store decisions: p50, p99")
    for what, runs in found.items():
        total, waited = [run["ms"] for run in runs], [run["waited_ms"] for run in runs]
        print(f"  {what:26}{len(runs):>5}" + "".join(f"{percentile(total, share):>8.1f}" for share in (0.5, 0.9, 0.99, 1))
              + f"   {percentile(waited, 0.5):.1f}, {percentile(waited, 0.99):.1f} in {min(r['writes'] for r in runs)} to {max(r['writes'] for r in runs)} writes")
        own = [run["ms"] - run["waited_ms"] for run in runs]
        print(f"  {'  without that':26}{'':>5}" + "".join(f"{percentile(own, share):>8.1f}" for share in (0.5, 0.9, 0.99, 1)))
