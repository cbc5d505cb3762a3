#!/usr/bin/python3
"""1,000 Models applied at once, on simulated nodes: what it costs until all are Ready, and what it costs to keep them so.

    scale.py [--models N] [--window SECONDS] [--rollouts N] [--keep]

Beside it, in the same run on the same cluster, the same number of Deployments and Services is created by hand, so that times can be read as ratios. All
writes are counted in the API server's audit log. Then rollouts are aborted and gates breached, and it is measured how soon traffic turns (reaction.py). Prints a table, writes build/bench/scale.json, and exits with 1 if one of these does not hold: one
Deployment write and one Service write for each Model, at most three status writes for it and one for its version, none once all is done or after a restart, less than 60 MB.
Times are reported only: they are the machine's.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
OUT = REPO / "build" / "bench"
os.environ.setdefault("MODELOPS_BENCH_RIG", str(OUT / ".cluster"))
os.environ["MODELOPS_TEST_RIG"] = os.environ["MODELOPS_BENCH_RIG"]
sys.path[:0] = [str(REPO / "tests" / "bench"), str(REPO / "tests" / "cluster"), str(REPO / "tests" / "chaos")]

import settings  # noqa: E402 - reads the environment
import operators  # noqa: E402
import reaction  # noqa: E402
from case import TINY_RUNTIME, API  # noqa: E402
from kube import Kube  # noqa: E402

USER = f"system:serviceaccount:{settings.SYSTEM_NAMESPACE}:model-operator"
CLIENTS = 16
LIMIT_MB = 60
TIMEOUT = 600
HZ = os.sysconf("SC_CLK_TCK")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def at_once(call, items):
    """Does `call` for every item over many connections; the seconds it took."""
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        for _ in pool.map(call, items):
            pass
    return time.monotonic() - began


def until(done, what, pause=0.25):
    deadline = time.monotonic() + TIMEOUT
    while not done():
        if time.monotonic() > deadline:
            sys.exit(f"bench: not within {TIMEOUT} s: {what}")
        time.sleep(pause)


# ---- what is applied

def model_digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def model(number):
    name = f"model-{number:04}"
    digest = model_digest(name)
    return {"apiVersion": API, "kind": "Model", "metadata": {"name": name},
            "spec": {"artifact": {"uri": f"https://artifacts.example.com/{name}/model.json", "digest": digest, "format": {"name": "tiny"}}, "serving": {"replicas": 1}}}


def pod_template(name):
    """As the operator makes it: an init container brings the artifact."""
    template = json.loads(json.dumps(TINY_RUNTIME["spec"]["template"]))
    template["metadata"] = {"labels": {"app": name}}
    mount = {"name": "artifact", "mountPath": "/artifact"}
    template["spec"]["volumes"] = [{"name": "artifact", "emptyDir": {}}]
    template["spec"]["initContainers"] = [{"name": "fetch", "image": settings.OPERATOR_IMAGE, "args": ["fetch"], "volumeMounts": [mount]}]
    template["spec"]["containers"][0]["volumeMounts"] = [mount]
    return template


def by_hand(number):
    name = f"plain-{number:04}"
    meta = {"name": name, "labels": {"app": name}}
    return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta,
             "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": pod_template(name)}},
            {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}}]


# ---- the two runs

def run_plain(kube, count):
    """The least that anybody would have to write for as many servers."""
    namespace = "bench-plain"
    kube.make_namespace(namespace)
    began = time.monotonic()
    applied = at_once(lambda number: [kube.create(body, namespace) for body in by_hand(number)], range(count))
    until(lambda: sum(d["status"].get("readyReplicas", 0) == 1 for d in kube.list("Deployment", namespace)) == count, "all plain Deployments are ready")
    took = time.monotonic() - began
    kube.delete("Namespace", namespace)
    until(lambda: kube.find("Namespace", namespace) is None, "the plain objects are gone")
    return {"apply_seconds": applied, "ready_seconds": took}


def run_models(kube, operator, count):
    namespace = "bench-models"
    kube.make_namespace(namespace)
    cpu = cpu_seconds(operator.pid)
    began = time.monotonic()
    applied = at_once(lambda number: kube.create(model(number), namespace), range(count))

    def all_ready():
        return sum(any(c["type"] == "Ready" and c["status"] == "True" for c in m["status"].get("conditions", []))
                   for m in kube.list("Model", namespace)) == count
    until(lambda: len(kube.list("Deployment", namespace)) == count, "all Deployments are written")
    written = time.monotonic() - began
    until(all_ready, "all Models are Ready")
    return {"apply_seconds": applied, "deployments_seconds": written, "ready_seconds": time.monotonic() - began, "cpu_seconds": cpu_seconds(operator.pid) - cpu}


# ---- what is measured

def memory_mb(pid):
    lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return {"now": int(lines["VmRSS"].split()[0]) / 1000, "peak": int(lines["VmHWM"].split()[0]) / 1000}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / HZ


class Audit:
    """The operator's writes since the last look: {(resource/subresource, verb): {object: count}}"""

    def __init__(self):
        self.file = open(settings.RIG / "audit.log")
        self.rest = ""

    def events(self):
        """What the operator wrote since the last look, its Lease aside."""
        *lines, self.rest = (self.rest + self.file.read()).split("\n")
        for line in lines:
            event = json.loads(line)
            if event["user"]["username"] == USER and event["objectRef"]["resource"] != "leases":
                yield event

    def read(self):
        counts = collections.defaultdict(collections.Counter)
        for event in self.events():
            ref = event["objectRef"]
            resource = ref["resource"] + (f"/{ref['subresource']}" if ref.get("subresource") else "")
            ok = event["responseStatus"]["code"] < 400
            counts[(resource, event["verb"] if ok else f"{event['verb']} refused")][ref.get("name", "")] += 1
        return counts


def table(writes):
    return {f"{verb} {resource}": {"total": sum(objects.values()), "most": max(objects.values())} for (resource, verb), objects in sorted(writes.items())}


def total(writes, resource):
    return sum(sum(objects.values()) for (r, _), objects in writes.items() if r == resource)


def most(writes, resource):
    together = collections.Counter()
    for (r, _), objects in writes.items():
        if r == resource:
            together.update(objects)
    return max(together.values(), default=0)


def spoken(writes):
    """Without Events, which are a courtesy to people."""
    return {key: objects for key, objects in writes.items() if key[0] != "events"}


# ---- all of it

def rig(*arguments):
    subprocess.run([settings.RIG_PROGRAM, arguments[0], "--dir", settings.RIG, *arguments[1:]], check=True, stdout=subprocess.DEVNULL)


def measure(options):
    import run
    kube = run.install()
    settings.STATE.mkdir(parents=True, exist_ok=True)
    say(f"{options.models} Deployments and Services by hand")
    result = {"models": options.models, "plain": run_plain(kube, options.models)}
    kubeconfig = operators.kubeconfig_of(kube, settings.SYSTEM_NAMESPACE, "model-operator", settings.STATE / "bench.kubeconfig")
    figures = reaction.Figures()
    operator = operators.Operator("bench", kubeconfig, [f"--prometheus-url={figures.url}"]).start()
    try:
        result["empty_mb"] = memory_mb(operator.pid)
        audit = Audit()
        audit.read()
        say(f"{options.models} Models")
        result["operator"] = run_models(kube, operator, options.models)
        settle(audit, result)
        say(f"watching for {options.window} s that nothing is written")
        cpu = cpu_seconds(operator.pid)
        time.sleep(options.window)  # the time is what is measured
        result["idle"] = {"seconds": options.window, "writes": table(spoken(audit.read())), "cpu_seconds": cpu_seconds(operator.pid) - cpu}
        result["memory_mb"] = memory_mb(operator.pid)
        say("restart")
        operator.end()
        began = time.monotonic()
        operator.start()
        until(lambda: operator.reconciles() >= options.models, "the restarted operator has looked at every Model")
        result["restart"] = {"seconds": time.monotonic() - began, "writes": table(spoken(audit.read())), "memory_mb": memory_mb(operator.pid)}
        if options.rollouts:
            say(f"{options.rollouts} aborts and as many breached gates")
            result["reaction"] = reaction.measure(kube, figures, USER, options.rollouts, at_once, until)
    finally:
        operator.end()
        figures.close()
    return result


def settle(audit, result):
    """All that was written until the last word was said: nothing for two seconds."""
    writes = collections.defaultdict(collections.Counter)
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 2:
        time.sleep(0.2)
        for key, objects in audit.read().items():
            writes[key].update(objects)
            quiet_since = time.monotonic()
    n = result["models"]
    statuses = {kind: total(writes, f"{kind}/status") for kind in ("models", "modelversions", "modelrollouts")}
    result["writes"] = table(writes)
    result["per_model"] = {"deployments": total(writes, "deployments") / n, "services": total(writes, "services") / n,
                           "modelversions": total(writes, "modelversions") / n, "events": total(writes, "events") / n,
                           "statuses": {kind: count / n for kind, count in statuses.items()},
                           "most_deployment_writes": most(writes, "deployments"), "most_service_writes": most(writes, "services"),
                           "most_statuses": {kind: most(writes, f"{kind}/status") for kind in statuses}}


def problems(result):
    per, found = result["per_model"], []
    for kind in ("deployment", "service"):
        if per[f"{kind}s"] != 1 or per[f"most_{kind}_writes"] != 1:
            found.append(f"{per[f'{kind}s']:.3f} {kind} writes for a Model, at most {per[f'most_{kind}_writes']}; wanted is exactly 1")
    for kind, allowed in (("models", 3), ("modelversions", 1), ("modelrollouts", 0)):
        if per["most_statuses"][kind] > allowed:
            found.append(f"up to {per['most_statuses'][kind]} status writes for one of the {kind}; allowed are {allowed}")
    for when in ("idle", "restart"):
        if result[when]["writes"]:
            found.append(f"writes when there was nothing to do ({when}): {result[when]['writes']}")
    for when, memory in (("all Ready", result["memory_mb"]), ("restarted", result["restart"]["memory_mb"])):
        if memory["peak"] >= LIMIT_MB:
            found.append(f"{memory['peak']:.1f} MB at its peak ({when}); the limit is {LIMIT_MB}")
    return found


def show(result):
    plain, ours, n = result["plain"], result["operator"], result["models"]
    rows = [("", "by hand", "operator", "ratio"),
            ("all applied (s)", f"{plain['apply_seconds']:.1f}", f"{ours['apply_seconds']:.1f}", f"{ours['apply_seconds'] / plain['apply_seconds']:.2f}"),
            ("all Deployments there (s)", f"{plain['apply_seconds']:.1f}", f"{ours['deployments_seconds']:.1f}",
             f"{ours['deployments_seconds'] / plain['apply_seconds']:.2f}"),
            (f"all {n} ready (s)", f"{plain['ready_seconds']:.1f}", f"{ours['ready_seconds']:.1f}", f"{ours['ready_seconds'] / plain['ready_seconds']:.2f}")]
    for row in rows:
        print(f"{row[0]:28}{row[1]:>10}{row[2]:>10}{row[3]:>8}")
    print(f"\n{'writes of the operator':44}{'total':>8}{'per Model':>11}{'most':>6}")
    for what, count in result["writes"].items():
        print(f"  {what:42}{count['total']:>8}{count['total'] / n:>11.2f}{count['most']:>6}")
    idle, restart = result["idle"], result["restart"]
    print(f"\nidle for {idle['seconds']} s: {len(idle['writes'])} kinds of writes, {idle['cpu_seconds']:.2f} s of processor time")
    print(f"restart: all looked at after {restart['seconds']:.1f} s, {len(restart['writes'])} kinds of writes")
    print(f"memory (MB): {result['empty_mb']['now']:.1f} empty, {result['memory_mb']['now']:.1f} with {n} Models, {result['memory_mb']['peak']:.1f} at its peak, "
          f"{restart['memory_mb']['peak']:.1f} at its peak after a restart")
    print(f"processor time until all were ready: {ours['cpu_seconds']:.1f} s, {1000 * ours['cpu_seconds'] / n:.1f} ms a Model")
    if "reaction" in result:
        reaction.show(result["reaction"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--window", type=int, default=30, help="seconds in which nothing may be written once all is done")
    parser.add_argument("--rollouts", type=int, default=100, help="so many are aborted, and of as many a gate is breached")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    return bench("scale", parser.parse_args(), measure, problems, show)


def bench(name, options, measure, problems, show):
    """On a cluster of its own: what was measured goes to build/bench/NAME.json. The exit code."""
    OUT.mkdir(parents=True, exist_ok=True)
    rig("down")
    rig("up", "--node", "fake")
    try:
        result = measure(options)
    finally:
        if not options.keep:
            rig("down")
    result["problems"] = problems(result)
    (OUT / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    show(result)
    for problem in result["problems"]:
        print(f"NOT HELD: {problem}")
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
