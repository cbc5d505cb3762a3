#!/usr/bin/python3
"""A patched ModelRuntime that reaches all its Models by itself, and another release of the operator, on simulated nodes.

    fleet.py [--models N] [--concurrent N] [--rounds N] [--no-edits] [--upgrade N] [--keep]

N Models serve by one ModelRuntime with update.policy Automatic; it is patched as often as there are rounds. A hundred other runtimes are edited in a minute. Then N Models of all strategies, every fifth in the
middle of a rollout, get another release of the operator. All writes are counted in the API server's audit log. Prints what was measured, writes build/bench/fleet.json,
and exits with 1 if one of these does not hold: each round makes one ModelRollout and one Deployment for each Model, never more than maxConcurrent of
them at once; memory after the last round is that after the first; the other release writes no Deployment, replaces no pod, and its rollouts succeed.
"""

import argparse
import collections
import json
import sys
import threading
import time

import scale  # sets the environment

import operators
import settings
from case import API, TINY_RUNTIME
from kube import Kube
from scale import Audit, at_once, bench, cpu_seconds, memory_mb, model_digest, say, spoken, table, total

RUNTIME = "fleet"
OVER = ("Succeeded", "RolledBack", "Failed", "Aborted", "Superseded")
EDITS = 100      # of other runtimes, in a minute
GROWTH = 1.15    # of memory, from the first round to the last
ROUTE = {"parentRefs": [{"name": "gw", "namespace": "gateway"}]}
STRATEGIES = {
    "canary": {"rollout": {"steps": [{"weight": 50}, {"pause": {}}]}},
    "routed": {"rollout": {"steps": [{"weight": 10}, {"pause": {}}]}, "route": True},
    "bluegreen": {"rollout": {"strategy": "BlueGreen", "steps": [{"pause": {}}, {"weight": 100}]}},
    "recreate": {"rollout": {"strategy": "Recreate"}},
    "shadow": {"rollout": {"strategy": "Shadow", "steps": [{"pause": {}}, {"weight": 100}]}, "route": True},
}
MOVING = ("canary", "routed", "bluegreen")   # that can be in the middle of a rollout here


def until(done, what, seconds):
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            sys.exit(f"bench: not within {seconds} s: {what}")
        time.sleep(0.5)


def version(name, number, format_name):
    artifact = {"uri": f"https://artifacts.example.com/{name}/{number}.json", "digest": model_digest(f"{name} {number}"), "format": {"name": format_name}}
    return {"apiVersion": API, "kind": "ModelVersion", "metadata": {"name": f"{name}-v{number}"}, "spec": {"modelRef": {"name": name}, "artifact": artifact}}


def model(name, replicas=1, rollout=None, route=False):
    serving = {"replicas": replicas, **({"route": {**ROUTE, "hostnames": [f"{name}.example.com"]}} if route else {})}
    return {"apiVersion": API, "kind": "Model", "metadata": {"name": name},
            "spec": {"version": f"{name}-v1", "serving": serving, **({"rollout": rollout} if rollout else {})}}


def runtime(patch, concurrent):
    spec = TINY_RUNTIME["spec"]
    return {"apiVersion": API, "kind": "ModelRuntime", "metadata": {"name": RUNTIME}, "spec": {
        **spec, "formats": [{"name": RUNTIME}], "template": {"metadata": {"annotations": {"patch": patch}}, **spec["template"]},
        "update": {"policy": "Automatic", "maxConcurrent": concurrent}}}


def all_ready(kube, namespace, count):
    return sum(m.get("status", {}).get("phase") == "Ready" for m in kube.list("Model", namespace)) == count


# ---- a patched runtime

class Watch:
    """What goes on beside: how many Models roll out at once, and how much memory that takes."""

    def __init__(self, kube, namespace, operator):
        self.kube, self.namespace, self.operator = kube, namespace, operator
        self.most_rolling = self.most_granted = 0
        self.most_mb = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._main)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _main(self):
        kube = Kube(settings.KUBECONFIG)
        while not self._ended.wait(1):
            live = [r for r in kube.list("ModelRollout", self.namespace) if r.get("status", {}).get("phase") not in OVER]
            self.most_rolling = max(self.most_rolling, len(live))
            self.most_granted = max(self.most_granted, len(kube.get("ModelRuntime", RUNTIME).get("status", {}).get("rolling", [])))
            self.most_mb = max(self.most_mb, memory_mb(self.operator.pid)["now"])


def patched(kube, operator, options):
    namespace, count = "bench-fleet", options.models
    kube.make_namespace(namespace)
    kube.apply(runtime("0", options.concurrent))
    status = lambda: kube.get("ModelRuntime", RUNTIME).get("status", {})
    names = [f"model-{number:04}" for number in range(count)]
    at_once(lambda name: [kube.create(body, namespace) for body in (version(name, 1, RUNTIME), model(name))], names)
    until(lambda: status().get("updated") == count, "all Models serve", 600)
    audit, rounds = Audit(), []
    audit.read()
    for number in range(1, options.rounds + 1):
        say(f"round {number}: {count} Models follow the runtime, {options.concurrent} at once")
        began, cpu = time.monotonic(), cpu_seconds(operator.pid)
        with Watch(kube, namespace, operator) as watch:
            kube.apply(runtime(str(number), options.concurrent))
            until(lambda: (s := status()).get("updated") == count and s["observedGeneration"] == number + 1 and not s["rolling"], "all Models have the patch", 3600)
        seconds = time.monotonic() - began
        until(lambda: all_ready(kube, namespace, count), "all are Ready", 120)
        made = collections.Counter(r["spec"]["modelRef"]["name"] for r in kube.list("ModelRollout", namespace))
        writes = spoken(audit.read())
        rounds.append({"seconds": seconds, "cpu_seconds": cpu_seconds(operator.pid) - cpu, "rollouts_of_a_model": sorted(set(made.values())), "models_moved": len(made),
                       "most_rolling": watch.most_rolling, "most_granted": watch.most_granted, "most_mb": watch.most_mb, "mb": memory_mb(operator.pid)["now"],
                       "deployments_made": total({k: v for k, v in writes.items() if k[1] in ("create", "patch")}, "deployments"),
                       "rollouts_made": sum(sum(v.values()) for k, v in writes.items() if k[0] == "modelrollouts" and k[1] in ("create", "patch")),
                       "runtime_statuses": total(writes, "modelruntimes/status"), "writes": table(writes)})
    edits = edited(kube, operator, audit) if options.edits else None
    kube.delete("Namespace", namespace)
    kube.delete("ModelRuntime", RUNTIME)
    until(lambda: kube.find("Namespace", namespace) is None, "the Models are gone", 600)
    return rounds, edits


def edited(kube, operator, audit):
    """A hundred ModelRuntimes, which nobody serves by, are edited in a minute beside all these Models."""
    others = [{**runtime("0", 1), "metadata": {"name": f"other-{number:03}"}} for number in range(EDITS)]
    for body in others:
        body["spec"] = {**body["spec"], "formats": [{"name": body["metadata"]["name"]}]}
    at_once(kube.apply, others)
    say(f"{EDITS} ModelRuntimes are edited in a minute")
    time.sleep(5)
    audit.read()
    cpu, reconciles, began = cpu_seconds(operator.pid), operator.reconciles(), time.monotonic()
    for number, body in enumerate(others, 1):
        kube.apply({**body, "spec": {**body["spec"], "priority": -1}})
        time.sleep(max(0, began + number * 60 / EDITS - time.monotonic()))
    time.sleep(5)
    found = {"cpu_seconds": cpu_seconds(operator.pid) - cpu, "reconciles": operator.reconciles() - reconciles, "mb": memory_mb(operator.pid)["now"],
             "writes": table(spoken(audit.read()))}
    at_once(lambda body: kube.delete("ModelRuntime", body["metadata"]["name"]), others)
    return found


# ---- another release

def living(kube, namespace):
    return {p["metadata"]["uid"] for p in kube.list("Pod", namespace) if not p["metadata"].get("deletionTimestamp")}


def upgraded(kube, operator, options):
    namespace, count = "bench-upgrade", options.upgrade
    kube.make_namespace(namespace)
    ways = list(STRATEGIES)
    names = {f"{ways[number % len(ways)]}-{number:03}": ways[number % len(ways)] for number in range(count)}
    make = lambda name: [kube.create(body, namespace) for body in (version(name, 1, "tiny"), version(name, 2, "tiny"), model(name, 2, **STRATEGIES[names[name]]))]
    at_once(make, names)
    until(lambda: all_ready(kube, namespace, count), "all Models serve", 600)
    moving = [name for name in names if names[name] in MOVING][::3]
    at_once(lambda name: kube.patch("Model", name, {"spec": {"version": f"{name}-v2"}}, namespace), moving)
    phases = lambda: [r.get("status", {}).get("phase") for r in kube.list("ModelRollout", namespace)]
    until(lambda: phases() == ["Paused"] * len(moving), "rollouts are under way", 300)
    until(lambda: all(d["status"].get("readyReplicas", 0) == d["spec"]["replicas"] for d in kube.list("Deployment", namespace)), "all pods are ready", 300)
    say(f"{count} Models, {len(moving)} of them in the middle of a rollout, get another release of the operator")
    before, audit = living(kube, namespace), Audit()
    operator.end()
    audit.read()
    operator.command = [word + "-next" if word.startswith("--fetch-image=") else word for word in operator.command]
    began = time.monotonic()
    operator.start()
    until(lambda: operator.reconciles() >= count, "it has looked at every Model", 300)
    seconds = time.monotonic() - began
    time.sleep(5)   # in which something might still be written
    result = {"models": count, "moving": len(moving), "pods": len(before), "seconds": seconds, "writes": table(spoken(audit.read())),
              "pods_replaced": len(before ^ living(kube, namespace)), "phases": sorted(set(phases()))}
    at_once(lambda r: kube.patch("ModelRollout", r["metadata"]["name"], {"spec": {"desiredState": "Promoted"}}, namespace), kube.list("ModelRollout", namespace))
    until(lambda: set(phases()) <= set(OVER), "rollouts end", 300)
    until(lambda: all_ready(kube, namespace, count), "all are Ready", 120)
    result["ended"] = dict(collections.Counter(phases()))
    return result


# ---- all of it

def measure(options):
    import run
    kube = run.install()
    settings.STATE.mkdir(parents=True, exist_ok=True)
    kubeconfig = operators.kubeconfig_of(kube, settings.SYSTEM_NAMESPACE, "model-operator", settings.STATE / "bench.kubeconfig")
    operator = operators.Operator("fleet", kubeconfig).start()
    try:
        rounds, edits = patched(kube, operator, options) if options.models else ([], None)
        result = {"models": options.models, "concurrent": options.concurrent, "rounds": rounds, "edits": edits}
        if options.upgrade:
            result["upgrade"] = upgraded(kube, operator, options)
    finally:
        operator.end()
    return result


def problems(result):
    found, count = [], result["models"]
    for number, one in enumerate(result["rounds"], 1):
        if one["models_moved"] != count or one["rollouts_of_a_model"] != [number] or one["rollouts_made"] != count:
            found.append(f"round {number}: {one['rollouts_made']} ModelRollouts for {count} Models, {one['rollouts_of_a_model']} for one so far")
        if one["deployments_made"] != count:
            found.append(f"round {number}: {one['deployments_made']} writes made Deployments of {count} Models")
        if max(one["most_rolling"], one["most_granted"]) > result["concurrent"]:
            found.append(f"round {number}: {max(one['most_rolling'], one['most_granted'])} at once; {result['concurrent']} may be")
    if result["rounds"] and result["rounds"][-1]["mb"] > GROWTH * result["rounds"][0]["mb"]:
        found.append(f"memory grows: {[round(one['mb'], 1) for one in result['rounds']]} MB after each round")
    if result["edits"] and [what for what in result["edits"]["writes"] if not what.endswith(" modelruntimes/status")]:
        found.append(f"edits of runtimes that nobody serves by led to writes: {result['edits']['writes']}")
    upgrade = result.get("upgrade")
    if upgrade:
        deployments = [what for what in upgrade["writes"] if what.endswith((" deployments", " deployments/scale")) and "refused" not in what]   # the operator tries what admission is to refuse when it starts
        if upgrade["pods_replaced"] or deployments:
            found.append(f"the other release replaced {upgrade['pods_replaced']} pods and wrote {deployments}")
        if upgrade["phases"] != ["Paused"] or upgrade["ended"] != {"Succeeded": upgrade["moving"]}:
            found.append(f"rollouts under way: {upgrade['phases']}, then {upgrade['ended']}")
    return found


def show(result):
    print(f"{result['models']} Models, maxConcurrent {result['concurrent']}")
    for number, one in enumerate(result["rounds"], 1):
        print(f"round {number}: {one['seconds']:.0f} s, {one['cpu_seconds']:.1f} s of processor time, {one['rollouts_made']} ModelRollouts, at most {one['most_rolling']} at once, "
              f"{one['runtime_statuses']} statuses of the runtime, {one['mb']:.1f} MB afterwards ({one['most_mb']:.1f} at most)")
        for what, written in one["writes"].items():
            print(f"  {what:42}{written['total']:>8}{written['total'] / result['models']:>8.2f}{written['most']:>6}")
    if edits := result["edits"]:
        print(f"{EDITS} other runtimes edited in a minute: {edits['cpu_seconds']:.1f} s of processor time, {edits['reconciles']:.0f} reconciles, {edits['mb']:.1f} MB, writes {edits['writes']}")
    if upgrade := result.get("upgrade"):
        print(f"another release: {upgrade['models']} Models, {upgrade['moving']} in the middle of a rollout, {upgrade['pods']} pods: all looked at after {upgrade['seconds']:.1f} s, "
              f"{upgrade['pods_replaced']} pods replaced, then {upgrade['ended']}")
        for what, written in upgrade["writes"].items():
            print(f"  {what:42}{written['total']:>8}{written['total'] / upgrade['models']:>8.2f}{written['most']:>6}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--concurrent", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--edits", action=argparse.BooleanOptionalAction, default=True, help="edit a hundred other runtimes besides")
    parser.add_argument("--upgrade", type=int, default=100, help="so many Models get another release of the operator")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    return bench("fleet", parser.parse_args(), measure, problems, show)


if __name__ == "__main__":
    sys.exit(main())
