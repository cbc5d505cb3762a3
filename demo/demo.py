#!/usr/bin/env python3
"""The whole loop: serve a model, roll a better version out on evidence, roll a worse one back, see drift and retrain.

    demo.py              on a cluster of its own on this machine, which stays up to look around; or, with KUBECONFIG, on that one (README.md)
    demo.py --check      says whether it could run there, and changes nothing
    demo.py --remove     takes away what a demo left in the cluster of KUBECONFIG

Says what happens as it happens, checks its own claims at the end and exits 1 if one doesn't hold.
"""
import hashlib
import json
import pathlib
import sys
import time

from cluster import NAMESPACE, SYSTEM, Own, chosen, say

HERE = pathlib.Path(__file__).resolve().parent
# What a training run and each version truly measured offline; v3's claim is what makes it through to live traffic.
RECORDED = {"v1": "0.929825", "v2": "0.982456", "v3": "0.994152"}

cluster = chosen()
claims = []


def headline(text):
    say(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}")


def claim(text, holds):
    claims.append((text, bool(holds)))
    say(f"   {'✓' if holds else '✗'} {text}")


def kubectl(*args, stdin=None):
    return cluster.kubectl(*args, stdin=stdin)


def get(kind, name=None):
    return cluster.get(kind, name)


class Callers:
    """The pod that asks the model, and what it has counted so far."""

    def start(self):
        kubectl("-n", NAMESPACE, "create", "configmap", "caller", f"--from-file={HERE / 'caller.py'}", f"--from-file={HERE / 'models/test.json'}")
        cluster.apply((HERE / "caller.yaml").read_text())
        return self

    def seen(self):
        lines = cluster.asks("-n", NAMESPACE, "logs", "caller", "--tail=1").split("\n")
        try:
            return json.loads(lines[0])
        except ValueError:
            return {"answered": {}, "right": {}, "lost": [], "lost_total": 0}

    def answered(self, version=None):
        counted = self.seen()["answered"]
        return counted.get(version, 0) if version else sum(counted.values())

    def accuracy(self, version):
        seen = self.seen()
        return seen["right"].get(version, 0) / max(1, seen["answered"].get(version, 0))

    def until_answered(self, version, more=1, seconds=60):
        """Whether that version answers so many further requests."""
        wanted, deadline = self.answered(version) + more, time.monotonic() + seconds
        while self.answered(version) < wanted:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True


def condition(thing, kind):
    return next((c for c in thing.get("status", {}).get("conditions", []) if c["type"] == kind), {})


def progress_line(model):
    status = model.get("status", {})
    return f"{status.get('phase', ''):12}{status.get('trafficSummary', ''):42}{status.get('ready', ''):6}{status.get('message', '')}"


def watch_until(done, what, seconds):
    """Prints the Model's line whenever it changes, until done(model)."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        model = get("model", "biopsy")
        line = progress_line(model)
        if line != last:
            say(f"   {time.strftime('%H:%M:%S')}  {line[:230]}")
            last = line
        if done(model):
            return model
        time.sleep(0.3)
    say(kubectl("-n", NAMESPACE, "get", "models,mro,mver,pods", "-o", "wide"))
    say(kubectl("-n", SYSTEM, "logs", "deploy/model-operator", "--tail=40"))
    sys.exit(f"gave up after {seconds} s: {what}")


def conditions_are(**wanted):
    def check(model):
        current = model.get("status", {}).get("observedGeneration") == model["metadata"]["generation"]
        return current and all(condition(model, kind).get("status") == str(value) for kind, value in wanted.items())
    return check


def rollout_to(version):
    found = [r for r in get("mro")["items"] if r["spec"]["version"] == version]
    return max(found, key=lambda r: r["metadata"]["creationTimestamp"]) if found else {}


def bring_up():
    started = time.monotonic()
    headline(cluster.headline)
    cluster.bring_up()
    say(f"   model-operator runs in the cluster with its own ServiceAccount ({time.monotonic() - started:.0f} s)")
    cluster.clean_slate()


def register(version):
    file = HERE / "models" / f"{version}.json"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    kubectl("-n", NAMESPACE, "create", "configmap", f"biopsy-{version}", f"--from-file=model.json={file}")
    cluster.apply(json.dumps({
        "apiVersion": "modelops.dev/v1alpha1", "kind": "ModelVersion", "metadata": {"name": f"biopsy-{version}", "namespace": NAMESPACE},
        "spec": {"modelRef": {"name": "biopsy"}, "metrics": {"accuracy": RECORDED[version]},
                 "artifact": {"uri": f"configmap://biopsy-{version}/model.json", "digest": f"sha256:{digest}",
                              "format": {"name": "linear", "version": "1"}}}}))


def first_version():
    headline("1. biopsy-v1: kubectl apply -f demo/model.yaml")
    for version in ("v1", "v2", "v3"):
        register(version)
    kubectl("-n", NAMESPACE, "create", "configmap", "biopsy-job", f"--from-file={HERE / 'job.py'}", f"--from-file={HERE.parent / 'examples/classes/kit/modelops_job.py'}")
    kubectl("-n", NAMESPACE, "create", "configmap", "scanner", "--from-literal=unit=1")
    cluster.apply(cluster.model((HERE / "model.yaml").read_text()))
    watch_until(conditions_are(Ready=True), "v1 was to serve", 120)
    callers = Callers().start()
    claim("biopsy-v1 answers predictions", callers.until_answered("biopsy-v1"))
    return callers


def want(version):
    kubectl("-n", NAMESPACE, "patch", "model", "biopsy", "--type=merge", "-p", json.dumps({"spec": {"version": version}}))


def better_version(callers):
    headline("2. biopsy-v2, which is better: goes through its steps on measured accuracy, while requests flow")
    say(f"   look for yourself:  {cluster.look()} -n {NAMESPACE} get models,mro -w")
    want("biopsy-v2")
    watch_until(lambda m: conditions_are(Ready=True)(m) and m["status"].get("stableVersion") == "biopsy-v2", "v2 was to be promoted", 240)
    rollout = rollout_to("biopsy-v2")
    for gate in rollout["status"]["gates"]:
        say(f"   gate {gate['name']}: {gate['verdict']} with {gate.get('value')}" + (f", stable had {gate['stableValue']}" if "stableValue" in gate else ""))
    claim("biopsy-v2 was promoted, every gate passed", condition(rollout, "Succeeded").get("status") == "True")
    claim("both versions served during the rollout", callers.answered("biopsy-v1") and callers.answered("biopsy-v2"))


def worse_version(callers):
    headline("3. biopsy-v3, which promised 0.994 and is worse: is rolled back on what it really measures")
    want("biopsy-v3")
    generation = get("model", "biopsy")["metadata"]["generation"]
    model = watch_until(conditions_are(Stalled=True, Available=True), "v3 was to be rolled back", 240)
    say(f"   {condition(model, 'Ready').get('message')}")
    rollout = rollout_to("biopsy-v3")
    claim("biopsy-v3 was rolled back by gate accuracy", rollout["status"]["phase"] == "RolledBack" and "accuracy" in rollout["status"]["message"])
    claim("the Model says Degraded, RolledBack", model["status"]["phase"] == "Degraded" and condition(model, "Ready").get("reason") == "RolledBack")
    claim("its spec was not touched", model["metadata"]["generation"] == generation and model["spec"]["version"] == "biopsy-v3")
    claim("biopsy-v2 serves on", model["status"]["trafficSummary"] == "biopsy-v2 100%")
    worse, better = callers.accuracy("biopsy-v3"), callers.accuracy("biopsy-v2")
    claim(f"biopsy-v3 really was worse ({worse:.3f} against {better:.3f} on live traffic)", 0 < worse < better)


def another_scanner(unit):
    """From now on all lengths are measured in another unit, as it is with a new device: in what callers ask, and in the data to train on."""
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "scanner", "namespace": NAMESPACE}, "data": {"unit": unit}}))
    kubectl("-n", NAMESPACE, "exec", "caller", "--", "python3", "-c", f"open('/scanner/unit', 'w').write('{unit}')")


def monitor(model):
    return next((m for m in model["status"].get("monitors", []) if m["name"] == "accuracy"), {})


def follow(run, seconds):
    """Prints the TrainingRun's line whenever it changes, until it is over."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        # A word that does not come now comes at the next look.
        status = json.loads(cluster.asks("-n", NAMESPACE, "get", "trainingrun", run, "-o", "json") or "{}").get("status", {})
        line = f"{status.get('phase', ''):12}{status.get('stage', ''):10}{status.get('message', '')}"
        if line != last:
            say(f"   {time.strftime('%H:%M:%S')}  {run}  {line[:200]}")
            last = line
        if status.get("finishedAt"):
            return status
        time.sleep(0.3)
    sys.exit(f"gave up after {seconds} s: TrainingRun {run} was to end\n{kubectl('-n', NAMESPACE, 'get', 'trainingrun,jobs,pods', '-o', 'wide')}")


def drift(callers):
    headline("4. Drift: a new scanner measures in another unit. A monitor breaches, and the model is trained anew without anybody's word")
    before = callers.accuracy("biopsy-v2")
    another_scanner("1.3")
    breached = monitor(watch_until(lambda m: monitor(m).get("state") == "Breached" and m["status"].get("retraining", {}).get("lastRun"), "the monitor was to breach", 360))
    say(f"   monitor accuracy: {breached['message']}")
    name = "biopsy-run-000001"
    run = follow(name, 660)
    for trial in run["trials"]:
        say(f"   trial {trial['index']}: C={trial['parameters']['C']}, accuracy {trial['metrics'].get('accuracy')} by its own word")
    stages = {stage["name"]: stage for stage in run["stages"]}
    say(f"   {stages['validate']['metrics'].get('rows')} rows were validated; {stages['train'].get('message')}; the evaluation, on rows that none of them saw, found {run['score']}")
    claim(f"drift was seen: accuracy fell from {before:.3f}, and monitor accuracy started the run", get("trainingrun", name)["spec"]["trigger"]["kind"] == "Monitor")
    claim("data was validated, three trials ran, and the best was compared with biopsy-v2",
          [stages[s]["phase"] for s in ("validate", "train", "evaluate", "register")] == ["Succeeded"] * 4 and len(run["trials"]) == 3 and run["champion"] == "biopsy-v2")
    model = watch_until(lambda m: conditions_are(Ready=True)(m) and m["status"]["stableVersion"] == run["version"], "the retrained version was to be promoted", 240)
    lineage = get("mver", model["status"]["stableVersion"])["spec"]["lineage"]
    say(f"   {run['version']}: made by {lineage['run']['name']} from {lineage['data'][0]['name']} ({lineage['data'][0]['rows']} rows), parent {lineage['parent']}")
    claim("its gates promoted it on live traffic, and its lineage says what it is made of", lineage["run"]["name"] == name and lineage["parent"] == "biopsy-v2")
    watch_until(lambda m: monitor(m).get("state") == "OK", "the monitor was to recover", 120)
    claim(f"the monitor has recovered: {callers.accuracy(run['version']):.3f} of its answers are right", callers.accuracy(run["version"]) > 0.9)


def conclude(callers):
    seen = callers.seen()
    headline("What was promised, and what is so")
    say(kubectl("-n", NAMESPACE, "get", "models,mver,mro").rstrip())
    served = ", ".join(f"{v} {n}" for v, n in sorted(seen["answered"].items()))
    total = sum(seen["answered"].values())
    claim(f"no request was lost: {total} answered ({served}), {seen['lost_total']} lost {seen['lost'] or ''}", not seen["lost_total"] and total > 500)
    failed = [text for text, holds in claims if not holds]
    say(f"\n{len(claims) - len(failed)} of {len(claims)} claims hold." + "".join(f"\n   ✗ {text}" for text in failed))
    if cluster.ends:
        say(f"""{cluster.ends}
   kubectl -n {NAMESPACE} get models -o wide
   kubectl -n {NAMESPACE} describe mro
   kubectl -n {NAMESPACE} get events --sort-by=.lastTimestamp
   kubectl -n {SYSTEM} logs deploy/model-operator""")
    return 1 if failed else 0


def main():
    if sys.argv[1:] == ["--check"]:
        cluster.check()
        return 0
    if sys.argv[1:] == ["--remove"]:
        if not isinstance(cluster, Own):
            sys.exit("--remove is for a cluster that KUBECONFIG names; `make cluster-down` ends the embedded one")
        cluster.remove()
        return 0
    started = time.monotonic()
    try:
        bring_up()
        callers = first_version()
        better_version(callers)
        worse_version(callers)
        if cluster.retrains:
            drift(callers)
        code = conclude(callers)
        say(f"\n{time.monotonic() - started:.0f} s")
    finally:
        cluster.clean_up()
    return code


if __name__ == "__main__":
    sys.exit(main())
