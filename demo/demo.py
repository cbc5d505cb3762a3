#!/usr/bin/env python3
"""The whole loop on an embedded cluster: serve a model, roll a better version out on evidence, roll a worse one back, retrain.

Says what happens as it happens, checks its own claims at the end and exits 1 if one doesn't hold. The cluster stays up to look around.
"""
import datetime
import hashlib
import json
import pathlib
import subprocess
import sys
import time

from caller import Caller

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
RIG = [sys.executable, str(ROOT / "tests/cluster/rig/rig.py")]
CLUSTER = ROOT / ".cluster"
# What a training run and each version truly measured offline; v3's claim is what makes it through to live traffic.
RECORDED = {"v1": "0.929825", "v2": "0.982456", "v3": "0.994152"}

claims = []


def say(text=""):
    print(text, flush=True)


def headline(text):
    say(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}")


def claim(text, holds):
    claims.append((text, bool(holds)))
    say(f"   {'✓' if holds else '✗'} {text}")


def run(*command, stdin=None, quiet=True):
    done = subprocess.run(command, input=stdin, text=True, capture_output=quiet)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{(done.stdout or '') + (done.stderr or '')}")
    return done.stdout


def kubectl(*args, stdin=None):
    return run(str(CLUSTER / "bin/kubectl"), "--kubeconfig", str(CLUSTER / "kubeconfig"), *args, stdin=stdin)


def get(kind, name=None):
    return json.loads(kubectl("-n", "demo", "get", kind, *([name] if name else []), "-o", "json"))


def apply(text):
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)


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
    say(kubectl("-n", "demo", "get", "models,mro,mver,pods", "-o", "wide"))
    say(kubectl("-n", "model-operator-system", "logs", "deploy/model-operator", "--tail=40"))
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
    headline("A Kubernetes of its own on this machine (real API server, kubelet, containerd, Prometheus)")
    started = time.monotonic()
    run(*RIG, "up", "--node", "real", quiet=False)
    run(sys.executable, str(ROOT / "images/build.py"), "--load", quiet=False)
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(ROOT / "crds"))
    kubectl("wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/part-of=model-operator", "--timeout=60s")
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(ROOT / "manifests"))
    kubectl("-n", "model-operator-system", "rollout", "status", "deploy/model-operator", "--timeout=120s")
    say(f"   model-operator runs in the cluster with its own ServiceAccount ({time.monotonic() - started:.0f} s)")


def clean_slate():
    kubectl("delete", "namespace", "demo", "--ignore-not-found", "--timeout=120s")
    kubectl("delete", "pv", "demo-models", "--ignore-not-found", "--timeout=60s")
    kubectl("create", "namespace", "demo")
    place = CLUSTER / "demo-models"
    place.mkdir(exist_ok=True)
    place.chmod(0o777)
    apply((HERE / "storage.yaml").read_text().replace("PLACE", str(place)))


def register(version):
    file = HERE / "models" / f"{version}.json"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    kubectl("-n", "demo", "create", "configmap", f"biopsy-{version}", f"--from-file=model.json={file}")
    apply(json.dumps({
        "apiVersion": "modelops.dev/v1alpha1", "kind": "ModelVersion", "metadata": {"name": f"biopsy-{version}", "namespace": "demo"},
        "spec": {"modelRef": {"name": "biopsy"}, "metrics": {"accuracy": RECORDED[version]},
                 "artifact": {"uri": f"configmap://biopsy-{version}/model.json", "digest": f"sha256:{digest}",
                              "format": {"name": "linear", "version": "1"}}}}))


def first_version():
    headline("1. biopsy-v1: kubectl apply -f demo/model.yaml")
    for version in ("v1", "v2", "v3"):
        register(version)
    apply((HERE / "model.yaml").read_text())
    watch_until(conditions_are(Ready=True), "v1 was to serve", 120)
    address = run(*RIG, "forward", "--background", "0", "biopsy.demo:80").strip().splitlines()[-1]
    host, port = address.rsplit(":", 1)
    test = json.loads((HERE / "models/test.json").read_text())
    caller = Caller(host, int(port), "biopsy", test)
    version, predicted = caller.ask(0)
    say(f"   asked about patient 0: {'benign' if predicted else 'malignant'}, says {version}; it was {'benign' if test['labels'][0] else 'malignant'}")
    claim("biopsy-v1 answers predictions", version == "biopsy-v1")
    return caller.start()


def want(version):
    kubectl("-n", "demo", "patch", "model", "biopsy", "--type=merge", "-p", json.dumps({"spec": {"version": version}}))


def better_version(caller):
    headline("2. biopsy-v2, which is better: goes through its steps on measured accuracy, while requests flow")
    say("   look for yourself:  kubectl --kubeconfig .cluster/kubeconfig -n demo get models,mro -w")
    want("biopsy-v2")
    watch_until(lambda m: conditions_are(Ready=True)(m) and m["status"].get("stableVersion") == "biopsy-v2", "v2 was to be promoted", 240)
    rollout = rollout_to("biopsy-v2")
    for gate in rollout["status"]["gates"]:
        say(f"   gate {gate['name']}: {gate['verdict']} with {gate.get('value')}" + (f", stable had {gate['stableValue']}" if "stableValue" in gate else ""))
    claim("biopsy-v2 was promoted, every gate passed", condition(rollout, "Succeeded").get("status") == "True")
    claim("both versions served during the rollout", {"biopsy-v1", "biopsy-v2"} <= set(caller.answered))


def worse_version(caller):
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
    claim(f"biopsy-v3 really was worse ({caller.accuracy('biopsy-v3'):.3f} against {caller.accuracy('biopsy-v2'):.3f} on live traffic)",
          0 < caller.accuracy("biopsy-v3") < caller.accuracy("biopsy-v2"))


def retraining(caller):
    headline("4. Retraining: someone asks for a run, a scikit-learn Job makes the next version, its gates promote it")
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    kubectl("-n", "demo", "patch", "model", "biopsy", "--type=merge", "-p", json.dumps({"spec": {"retraining": {"requestedAt": now}}}))
    model = watch_until(lambda m: conditions_are(Ready=True)(m) and m["status"]["stableVersion"] not in ("biopsy-v2", "biopsy-v3"),
                        "the retrained version was to be promoted", 300)
    version = get("mver", model["status"]["stableVersion"])
    lineage = version["spec"]["lineage"]
    say(f"   {version['metadata']['name']}: accuracy {version['spec']['metrics']['accuracy']}, made by {lineage['run']['kind']} {lineage['run']['name']}"
        f" from {lineage['data'][0]['name']} ({lineage['data'][0]['rows']} rows), parent {lineage['parent']}")
    claim("a training Job made a version with its lineage", lineage["run"]["name"] == "biopsy-retrain-000001" and lineage["parent"] == "biopsy-v2")
    claim("it was promoted and answers", caller.ask(3)[0] == version["metadata"]["name"])


def conclude(caller):
    caller.stop()
    headline("What was promised, and what is so")
    say(kubectl("-n", "demo", "get", "models,mver,mro").rstrip())
    served = ", ".join(f"{v} {n}" for v, n in sorted(caller.answered.items()))
    claim(f"no request was lost: {caller.total()} answered ({served}), {len(caller.lost)} lost {caller.lost[:3] or ''}", not caller.lost and caller.total() > 500)
    failed = [text for text, holds in claims if not holds]
    say(f"\n{len(claims) - len(failed)} of {len(claims)} claims hold." + "".join(f"\n   ✗ {text}" for text in failed))
    say("""
Look around (the cluster stays up; `make cluster-down` removes it without a trace):
   export KUBECONFIG=$PWD/.cluster/kubeconfig PATH=$PWD/.cluster/bin:$PATH
   kubectl -n demo get models -o wide
   kubectl -n demo describe mro
   kubectl -n demo get events --sort-by=.lastTimestamp
   kubectl -n model-operator-system logs deploy/model-operator""")
    return 1 if failed else 0


def main():
    started = time.monotonic()
    bring_up()
    clean_slate()
    caller = first_version()
    better_version(caller)
    worse_version(caller)
    retraining(caller)
    code = conclude(caller)
    say(f"\n{time.monotonic() - started:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
