"""Each field of each kind made invalid, by its schema and beyond it, and then valid again."""

import copy
import json
import time

import yaml

import settings
from case import gate
from kube import ApiError
from observer import differences
from rows import own_row

CRDS = settings.REPO / "crds"
# What grows by itself with each change, and is therefore no part of the earlier state.
COUNTED = {"generation", "observedGeneration", "deployment.kubernetes.io/revision"}
# Words that a schema takes and that mean nothing: fields where a value must be more than well-formed.
MEANINGLESS = {
    "cron": ["0 0 31 2 *", "61 * * * *"], "timeZone": ["Mars/Olympus"], "query": ["sum(", "{{candidate}}{{"], "uri": ["configmap://no-such-thing/x", "pvc://no-such-thing/x"],
    "digest": ["sha256:" + "0" * 64], "duration": ["9999999h"], "metric": ["no metric of that name"],
    "template": [{"spec": {"containers": "none"}}, {"spec": {"nodeSelector": 7}}, {"metadata": {"labels": "none"}}, {"spec": {"containers": [{"name": "server", "image": "-"}]}},
                 {"spec": {"containers": [{"name": "server", "resources": {"limits": {"cpu": "lots"}}}]}}, {"spec": {"template": {"spec": {"restartPolicy": "Never"}}}}],
}


def schema_of(plural):
    crd = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def fields(schema, path=()):
    """Every field with its schema; of lists the first entry, of maps one key."""
    for name, sub in schema.get("properties", {}).items():
        yield (*path, name), sub
        yield from fields(sub, (*path, name))
    if "items" in schema:
        yield (*path, 0), schema["items"]
        yield from fields(schema["items"], (*path, 0))
    if isinstance(schema.get("additionalProperties"), dict):
        yield (*path, "key"), schema["additionalProperties"]


def wrong_values(name, schema):
    """Of the wrong type, beyond the bounds, and well-formed but meaningless."""
    kind = schema.get("type")
    values = [{"string": 7, "integer": "many", "array": "none", "object": "none", "boolean": "perhaps"}.get(kind, ["none"]), None if kind == "object" else {}]
    if "enum" in schema:
        values.append("Bogus")
    if kind == "string":
        values += ["", "☃ {{not}} valid/\n", "no-such-thing", "x" * (schema.get("maxLength", 4096) + 1)]
    if kind == "integer":
        values += [schema.get("minimum", 0) - 1, schema.get("maximum", 2 ** 40) + 1, -2 ** 31, 1.5]
    if kind == "array":
        values += [[], [None], ["no-such-thing"] * (schema.get("maxItems", 50) + 1)]
    if kind == "object":
        values += [{"noSuchField": 1}, []]
    return [*values, *MEANINGLESS.get(name, [])]


def put(body, path, value):
    """Whether there was a place for it."""
    for step in path[:-1]:
        try:
            body = body[step]
        except (KeyError, IndexError, TypeError):
            return False
    last = path[-1]
    if isinstance(body, list) and not body or not isinstance(body, (dict, list)):
        return False
    if value is None and isinstance(body, dict):
        body.pop(last, None)
    else:
        body[last] = value
    return True


def plain(digest):
    def strip(value):
        if isinstance(value, dict):
            return {key: strip(entry) for key, entry in value.items() if key not in COUNTED}
        return [strip(entry) for entry in value] if isinstance(value, list) else value
    return strip(digest)


# Everything that a Model can say, said.
RICH = {
    "class": "Rules", "description": "all fields", "owner": {"team": "payments", "contact": "payments@example.com"}, "riskTier": "high", "track": "Pinned",
    "serving": {"replicas": 2, "runtime": {"name": "tiny"}, "template": {"metadata": {"labels": {"tier": "one"}}, "spec": {"terminationGracePeriodSeconds": 2}}},
    "rollout": {
        "strategy": "Canary", "onFailure": "Rollback", "progressDeadlineSeconds": 300,
        "steps": [{"gates": ["recorded"]}, {"weight": 50}, {"pause": {"duration": "1s"}}, {"gates": ["accuracy"]}],
        "gates": [{"name": "recorded", "version": {"metric": "f1"}, "min": "0.9", "versusStable": {"maxRegression": "0.5"}},
                  gate(min="0.92", max="1.5", count=1, failureLimit=0, onInconclusive="Wait", query="accuracy of {{candidate}}",
                       versusStable={"query": "accuracy of {{stable}}", "maxRegression": "0.5", "samplesQuery": "samples", "confidence": "0.95"},
                       samples={"query": "samples", "min": 1})],
        "bake": {"duration": "1s", "gates": ["accuracy"]}, "keepWarm": 1},
    "retraining": {
        "triggers": [{"name": "yearly", "schedule": {"cron": "0 0 1 1 *", "timeZone": "Europe/Berlin"}},
                     {"name": "data", "dataset": {"configMapKeyRef": {"name": "data", "key": "digest"}}}],
        "limits": {"cooldown": "1h", "maxPerDay": 3, "concurrency": "Forbid"}, "gates": ["recorded"], "onSuccess": "Register"},
}
SHARDS = 6


def serving(world):
    world.configmap("data", digest="one")
    world.version("m-v1", metrics={"f1": "0.95"})
    spec = copy.deepcopy(RICH)
    spec["retraining"]["template"] = world.gated_job()
    body = {"apiVersion": "modelops.dev/v1alpha1", "kind": "Model", "metadata": {"name": "m"}, "spec": {**spec, "version": "m-v1"}}
    world.kube.apply(body, world.namespace)
    world.ready(version="m-v1")
    world.served_by({"m-v1": 2})
    world.settled()
    return world.get()["spec"]


def seen(world):
    found = world.get()
    return found["status"].get("observedGeneration") == found["metadata"]["generation"]


def back(world, before, what):
    """The earlier state is reached again."""
    def difference():
        # How what was asked for last was carried out is a record, and stays one: by no rollout, since that version served.
        # So is the rollout to another template, which ended when the spec went back.
        record = {f".Model/m.status.intent.{field}" for field in ("rollout", "rolloutUID", "revision", "reason", "message")} | {".Model/m.status.rollout"}
        old = tuple(f".ModelRollout/{r['metadata']['name']}." for r in world.all("ModelRollout") if r["spec"]["version"] == "m-v1" and r["status"].get("finishedAt"))
        return {path: values for path, values in differences(before, plain(world.observer.digest())).items() if path not in record and not path.startswith(old)}
    try:
        world.until(lambda: seen(world) and not difference(), what)
    except AssertionError:
        raise AssertionError(f"{what}: not back in the earlier state (path: earlier, now):\n"
                             + "\n".join(f"  {p}: {a!r} / {b!r}" for p, (a, b) in difference().items())) from None


@own_row(38, "each field of a Model made invalid, then valid again: back to the earlier state", points=SHARDS, short=(1, 4))
def model_fields(world, case):
    spec = serving(world)
    before = plain(world.observer.digest())
    taken = refused = 0
    for number, (path, schema) in enumerate(fields(schema_of("models"))):
        if number % SHARDS != case.n - 1:
            continue
        for value in wrong_values(path[-1], schema):
            wrong = copy.deepcopy(spec)
            if path in (("artifact",), ("operatorClass",)) or not put(wrong, path, value):  # of another class it is none of this operator's
                continue
            what = f"spec.{'.'.join(map(str, path))} = {json.dumps(value)[:60]}"
            try:
                world.kube.patch("Model", "m", [{"op": "replace", "path": "/spec", "value": wrong}], world.namespace)
                taken += 1
            except ApiError as error:
                assert 400 <= error.code < 500, f"{what}: {error}"
                refused += 1
                continue
            world.until(lambda: seen(world), f"{what} is seen")
            assert set(world.endpoints()) == {"m-v1"}, f"{what} took the traffic away: {world.endpoints()}"
            world.kube.patch("Model", "m", [{"op": "replace", "path": "/spec", "value": spec}], world.namespace)
            back(world, before, what)
    world.fault(taken + refused)
    assert taken > 1 and refused > 10, f"{taken} taken, {refused} refused by the schema"
    world.settled()
    world.check()


@own_row(38, "each field of a ModelVersion and of a ModelRollout made invalid: refused, or without effect", points=2, short=(1,))
def other_fields(world, case):
    serving(world)
    kind, plural = (("ModelVersion", "modelversions"), ("ModelRollout", "modelrollouts"))[case.n - 1]
    if kind == "ModelRollout":
        world.rollout("again", "m-v1", desiredState="Running")
        world.until(lambda: world.mro("again")["phase"] in ("Succeeded", "Superseded", "Aborted", "Failed"), "it is over")
        world.settled()
    good = world.get(kind, "m-v1" if kind == "ModelVersion" else "again")
    spec = good["spec"]
    if kind == "ModelVersion":
        spec = {**spec, "lineage": {"code": {"repository": "git", "revision": "1"}, "data": [{"name": "d", "digest": "x", "rows": 1}], "environment": {"image": "i"},
                                    "run": {"kind": "Job", "name": "j", "parameters": {"key": "v"}, "seed": "7"}, "parent": "m-v0"}, "metrics": {"key": "0.9"}}
    before, tries = plain(world.observer.digest()), 0
    for path, schema in fields(schema_of(plural)):
        for value in wrong_values(path[-1], schema):
            wrong = copy.deepcopy(spec)
            if not put(wrong, path, value):
                continue
            tries += 1
            what = f"{kind} spec.{'.'.join(map(str, path))} = {json.dumps(value)[:60]}"
            try:   # the record of a version cannot be changed, so it is another one
                if kind == "ModelVersion":
                    world.kube.create({"apiVersion": good["apiVersion"], "kind": kind, "metadata": {"name": "m-bad"}, "spec": wrong}, world.namespace)
                else:
                    world.kube.patch(kind, "again", [{"op": "replace", "path": "/spec", "value": wrong}], world.namespace)
            except ApiError as error:
                assert 400 <= error.code < 500, f"{what}: {error}"
                continue
            if kind == "ModelVersion":
                world.until(lambda: world.status(kind, "m-bad").get("phase") or wrong["modelRef"]["name"] != "m", f"{what} is seen")
                world.kube.delete(kind, "m-bad", world.namespace)
                world.gone(kind, "m-bad")
            else:
                world.kube.patch(kind, "again", [{"op": "replace", "path": "/spec", "value": spec}], world.namespace)
            back(world, before, what)
    world.fault(tries)
    world.settled()
    world.check()


@own_row(38, "fields of a ModelRuntime made invalid, then valid again: back to the earlier state", points=6, short=(1,))
def runtime_fields(world, case):
    """From a file, where no schema stands before it; it is looked at every ten seconds, so each run takes some of them."""
    file = settings.STATE / f"{world.namespace}-runtimes.json"
    runtime = next(json.loads(part) for part in (settings.STATE / "runtimes.json").read_text().split("\n---\n") if json.loads(part)["metadata"]["name"] == "tiny")
    runtime["spec"].update(priority=3, metrics={"port": 9000, "path": "/metrics"}, formats=[{"name": "tiny", "version": "1"}, {"name": "tiny"}])

    def write(body):
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps(body))
        temporary.rename(file)
    write(runtime)
    assert world.operator.end() == 0
    world.operator.command = [part if not part.startswith("--runtimes-file") else f"--runtimes-file={file}" for part in world.operator.command]
    world.operator.start()
    serving(world)
    before = plain(world.observer.digest())
    chosen = [(path, value) for path, schema in fields(schema_of("modelruntimes")) for value in wrong_values(path[-1], schema)]
    world.random.shuffle(chosen)
    for path, value in chosen:
        wrong = copy.deepcopy(runtime)
        if world.faults < 6 and put(wrong["spec"], path, value) and wrong != runtime:
            world.fault()
            what = f"ModelRuntime spec.{'.'.join(map(str, path))} = {json.dumps(value)[:60]}"
            said = world.operator.log.stat().st_size
            write(wrong)
            world.until(lambda: "runtimes" in world.operator.log.read_bytes()[said:].decode(errors="replace"), f"{what} is read")
            nudged = world.operator.reconciles()
            world.kube.patch("Model", "m", {"metadata": {"annotations": {"chaos/nudge": str(time.monotonic_ns())}}}, world.namespace)
            world.until(lambda: world.operator.reconciles() > nudged, f"{what} is acted on")
            assert set(world.endpoints()) == {"m-v1"}, f"{what} took the traffic away: {world.endpoints()}"
            said = world.operator.log.stat().st_size
            write(runtime)
            world.until(lambda: "runtimes" in world.operator.log.read_bytes()[said:].decode(errors="replace"), "it is read again")
            back(world, before, what)
    world.settled()
    world.check()
    file.unlink()
