"""What serves keeps its pods until a rollout brings another revision: another pod template, another ModelRuntime, another operator."""

import copy

import pytest

import operators
from case import TINY_RUNTIME, condition, gate
from history import endpoints
from test_plugin import NO, model, plan, said  # noqa: F401 - model is a fixture

REVISION = "modelops.dev/revision"
BY_REVISION = gate(query='accuracy{namespace="{{namespace}}",version="{{candidate}}",revision="{{candidateRevision}}"}', min="0.9", onInconclusive="Wait")
STEPS = [{"weight": 50}, {"gates": ["accuracy"]}]
WAYS = {
    "Canary": {"steps": STEPS},
    "BlueGreen": {"steps": [{"gates": ["accuracy"]}, {"weight": 100}], "rollout": {"strategy": "BlueGreen"}},
    "Recreate": {"steps": [{"weight": 100}, {"gates": ["accuracy"]}], "rollout": {"strategy": "Recreate"}},
    "Canary, little room": {"steps": STEPS, "serving": {"maxSurge": 1}},
}


def template(word):
    return {"metadata": {"annotations": {"tests/template": word}}}


def served_by(case, share, service="m"):
    """The Service's endpoints are so many pods of these templates."""
    def now():
        words = {p["metadata"]["name"]: p["metadata"].get("annotations", {}).get("tests/template", "") for p in case.all("Pod")}
        return endpoints(case.all("EndpointSlice"), words, service)
    return case.until(lambda: now() == share, f"endpoints of {service} are {share}")


def pods(case):
    return {p["metadata"]["uid"] for p in case.all("Pod") if not p["metadata"].get("deletionTimestamp")}


def restarted_nothing(case, before, times=3):
    case.looked_again(times)
    assert pods(case) == before


def start(case, way="Canary"):
    """m-v1 serves with template one; then the spec asks for two. The ModelRollout's name and the revision that it brings."""
    spec = {"version": "m-v1", "gates": [BY_REVISION], **WAYS[way]}
    case.serve(template=template("one"), **{k: v for k, v in spec.items() if k != "version"})
    served_by(case, {"one": 2})
    case.model(template=template("two"), **spec)
    rollout = case.rollout_of("m-v1")
    return rollout, case.until(lambda: case.mro(rollout).get("revision", {}).get("name"), "the revision is on record")


@pytest.mark.parametrize("way", WAYS)
def test_another_template_goes_by_the_steps(case, way):
    rollout, revision = start(case, way)
    case.until(lambda: "measuring" in case.mro(rollout)["message"] or case.mro(rollout)["gates"], "at the gate")
    if way.startswith("Canary"):
        served_by(case, {"one": 1, "two": 1})
    case.metrics.set("accuracy", "0.95", version="m-v1", revision=revision)
    case.phase(rollout, "Succeeded")
    model = case.ready(version="m-v1")
    served_by(case, {"two": 2})
    status = case.mro(rollout)
    assert status["to"] == f"m-v1 (template {revision[:4]})" and status["from"].startswith("m-v1 (template ")
    assert model["status"]["stableRevision"]["name"] == revision and model["status"]["previous"]["revision"]["name"] == status["fromRevision"]["name"]
    case.until(lambda: len(case.all("Deployment")) == 1, "one Deployment is left")
    case.until(lambda: {p["metadata"]["labels"][REVISION] for p in case.all("Pod") if not p["metadata"].get("deletionTimestamp")} == {revision}, "its pods alone are left")
    assert "(template " in case.kubectl("get", "mro", rollout)


@pytest.mark.parametrize("way", ["Canary", "BlueGreen", "Recreate"])
def test_a_template_that_fails_its_gate_comes_back_and_stays_down(case, way):
    rollout, revision = start(case, way)
    before = pods(case) if way == "Canary" else set()
    case.metrics.set("accuracy", "0.1", version="m-v1", revision=revision)
    case.phase(rollout, "RolledBack")
    model = case.stalled("RolledBack")
    served_by(case, {"one": 2})
    assert "m-v1 (template " in model["status"]["message"] and "0.1" in model["status"]["message"]
    case.looked_again()
    assert [r["metadata"]["name"] for r in case.all("ModelRollout")] == [rollout], "it was tried again although nobody asked"
    assert before == set() or before & pods(case), "what served was made anew"
    # Back to what serves: nothing is left to say.
    case.model(template=template("one"), version="m-v1", gates=[BY_REVISION], **WAYS[way])
    case.ready(version="m-v1")


def test_going_back_is_to_what_served_whatever_the_spec_says(case):
    rollout, revision = start(case)
    case.metrics.set("accuracy", "0.95", version="m-v1", revision=revision)
    case.phase(rollout, "Succeeded")
    first = case.ready(version="m-v1")["status"]["previous"]["revision"]["name"]
    case.rollout("back", "m-v1", revision=first, desiredState="Promoted")
    case.phase("back", "Succeeded")
    served_by(case, {"one": 2})
    assert "another template" in case.stalled("Overridden")["status"]["message"]
    case.rollout("nowhere", "m-v1", revision="0123456789")
    assert "status.previous" in case.stalled("RevisionNotFound", "nowhere", "ModelRollout")["status"]["message"]


def runtime_of(case, word):
    runtime = copy.deepcopy(TINY_RUNTIME)
    runtime["metadata"]["name"] = case.namespace
    runtime["spec"]["formats"] = [{"name": case.namespace}]
    runtime["spec"]["template"]["metadata"] = {"annotations": {"tests/template": word}}
    return case.kube.apply(runtime)


def test_an_edit_of_a_runtime_restarts_nothing_until_somebody_asks(case):
    runtime_of(case, "one")
    try:
        case.serve(runtime=case.namespace)
        served_by(case, {"one": 2})
        before = pods(case)
        runtime_of(case, "two")
        outdated = case.until(lambda: condition(case.get(), "RuntimeOutdated"), "RuntimeOutdated")
        assert outdated["status"] == "True" and "kubectl model refresh m" in outdated["message"]
        restarted_nothing(case, before)
        assert not case.all("ModelRollout") and condition(case.get(), "Ready")["status"] == "True"
        # A Deployment that somebody deletes comes back as it was.
        case.kube.delete("Deployment", "m-v1", case.namespace)
        case.until(lambda: not before & pods(case), "its pods are gone")
        served_by(case, {"one": 2})
        case.rollout("fresh", "m-v1")
        case.phase("fresh", "Succeeded")
        served_by(case, {"two": 2})
        case.ready()
        case.until(lambda: condition(case.get(), "RuntimeOutdated") is None, "it is of the newest runtime")
    finally:
        case.kube.delete("ModelRuntime", case.namespace)


def test_another_image_of_the_operator_restarts_nothing(private):
    case = private
    case.serve(template=template("one"), steps=STEPS, gates=[BY_REVISION])
    served_by(case, {"one": 2})
    before = pods(case)
    case.operator.end()
    newer = operators.namespaced(case.kube, case.namespace)
    newer.command = [word + "-next" if word.startswith("--fetch-image=") else word for word in newer.command]
    newer.start()
    try:
        restarted_nothing(case, before)
        case.kube.patch("Model", "m", {"spec": {"serving": {"replicas": 3}}}, case.namespace)
        served_by(case, {"one": 3})
        assert before <= pods(case)
    finally:
        newer.end()


def test_people_are_told_what_a_template_changes(case, model):
    """Before, and on the way."""
    runtime_of(case, "one")
    try:
        case.serve(runtime=case.namespace, steps=[{"weight": 50}, {"pause": {}}])
        assert said(model("diff", "m")) == "m-v1 matches the spec\n"
        file = copy.deepcopy(case.last_model)
        file["spec"]["serving"]["template"] = {"spec": {"containers": [{"name": "server", "env": [{"name": "LEVEL", "value": "two"}]}]}}
        planned = plan(case, file)
        assert planned.code == NO and "would go from m-v1 to m-v1 with the current Model and ModelRuntime by these steps" in planned.out, planned
        case.kube.apply(file, case.namespace)
        rollout = case.rollout_of("m-v1")
        case.phase(rollout, "Paused")
        differs = model("diff", "m")
        assert differs.code == NO and differs.out.startswith("spec.containers[server].env[LEVEL]"), differs
        assert "m-v1 (template " in model("status", "m").out
    finally:
        case.kube.delete("ModelRuntime", case.namespace)
