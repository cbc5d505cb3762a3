"""Training by a kind that the operator doesn't know. The kind is shaped like a JobSet, and the tests play its engine."""

import json

import pytest

import settings
from kube import ApiError
from test_retraining import ask, result, training, version_of
from test_training_runs import ended, run_of, serve

GROUP = "jobset.engines.test"
COMPLETED = "self.status.conditions.exists(c, c.type == 'Completed' && c.status == 'True')"
FAILED = "self.status.conditions.exists(c, c.type == 'Failed' && c.status == 'True')"


def crd(plural, kind):
    schema = {"type": "object", "properties": {
        "spec": {"type": "object", "required": ["workers"], "properties": {"workers": {"type": "integer", "minimum": 1}, "suspend": {"type": "boolean"},
                                                                            "args": {"type": "array", "items": {"type": "string"}}}},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.{GROUP}"},
            "spec": {"group": GROUP, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
                     "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema}}]}}


def install(kube, plural, kind):
    kube.apply(crd(plural, kind))
    kube.wait_for(lambda: kube._discover(f"{GROUP}/v1") or kube.list(kind) is not None, 30, f"{kind} is served", retry=(ApiError, KeyError))


@pytest.fixture(scope="module")
def engine(cluster):
    """The kind, and the rights that its admin gives the operator."""
    install(cluster, "trainings", "Training")
    cluster.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                   "metadata": {"name": "test-trainings", "labels": {"modelops.dev/aggregate-to-operator": "true"}},
                   "rules": [{"apiGroups": [GROUP], "resources": ["trainings"], "verbs": ["get", "create", "delete"]}]})
    return cluster


def workload(expression="self.status.report", **changes):
    out = {"object": {"apiVersion": f"{GROUP}/v1", "kind": "Training", "metadata": {"labels": {"team": "a"}},
                      "spec": {"workers": 2, "args": ["--seed=$(MODELOPS_SEED)", "--c=$(MODELOPS_PARAM_C)", "--keep=$(HOME)"]}},
           "resource": "trainings", "success": COMPLETED, "failure": FAILED, "result": {"expression": expression}}
    out.update(changes)
    return out


def trains(case, **retraining):
    retraining.setdefault("workload", workload())
    serve(case, limits={"deadline": "1h"}, onSuccess="Register", **retraining)
    ask(case)


def made(case, name="m-run-000001-train"):
    return case.until(lambda: case.find("Training", name), f"{name} is made")


def conclude(case, name, kind="Completed", message="", **status):
    case.kube.patch("Training", name, {"status": {"conditions": [{"type": kind, "status": "True", "message": message}], **status}}, case.namespace, "status")


def run_by_hand(name, **spec):
    return {"apiVersion": "modelops.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": name}, "spec": {"modelRef": {"name": "m"}, **spec}}


def test_trials_are_objects_of_an_engine_and_the_best_becomes_a_version(case, engine):
    trains(case, trials={"parallelism": 2, "parameters": {"C": ["0.1", "1"]}, "objective": {"metric": "f1"}})
    names = ["m-run-000001-train-t0", "m-run-000001-train-t1"]
    found = [made(case, name) for name in names]
    assert [f["spec"]["args"] for f in found] == [["--seed=1", f"--c={c}", "--keep=$(HOME)"] for c in ("0.1", "1")]
    owner = found[0]["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("TrainingRun", "m-run-000001", True) and found[0]["metadata"]["labels"]["team"] == "a"
    case.until(lambda: "its success and failure cannot be evaluated: failure: no such field: status" in run_of(case)["message"], "what is not there yet is said")
    good, better = result(case, name="good", f1="0.92"), result(case, name="better", f1="0.97")
    conclude(case, names[0], report=json.dumps(good))
    conclude(case, names[1], report=json.dumps(better))
    status = ended(case)
    assert status["version"] == version_of(better) and status["result"]["trial"] == 1
    assert status["trials"][0]["workload"] == {"apiVersion": f"{GROUP}/v1", "kind": "Training", "resource": "trainings"}
    case.ready(version="m-v1")


def test_pods_of_a_workload_report_as_those_of_a_job_do(case, engine):
    document = result(case)
    trains(case, workload=workload(result={"pods": {"matchLabels": {"training": "$(MODELOPS_NAME)"}}}))
    made(case)
    # The engine is done before the leader has said what it made: it begins late.
    for name, text, late in (("leader", json.dumps(document), {"schedulingGates": [{"name": "test/late"}]}), ("worker", "bye", {})):
        container = {"name": "train", "image": settings.TINY_IMAGE, "imagePullPolicy": "IfNotPresent", "args": ["job"],
                     "env": [{"name": "RESULT", "value": text}, {"name": "MODELOPS_RESULT", "value": "/dev/termination-log"}]}
        case.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"training": "m-run-000001-train"}},
                          "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container], **late}}, case.namespace)
    case.until(lambda: case.get("Pod", "worker")["status"]["phase"] == "Succeeded", "the worker has ended")
    conclude(case, "m-run-000001-train")
    case.until(lambda: "waiting for its RunResult until" in run_of(case)["message"], "it waits for the leader's word")
    case.kube.patch("Pod", "leader", {"spec": {"schedulingGates": None}}, case.namespace)
    assert ended(case)["version"] == version_of(document)


def test_a_workload_that_fails_or_is_refused_says_why_and_what_serves_goes_on(case, engine):
    trains(case)
    made(case)
    conclude(case, "m-run-000001-train", "Failed", "worker 1 was killed: OOM")
    assert "Training m-run-000001-train failed: Failed: worker 1 was killed: OOM" in ended(case, phase="Failed")["message"]
    assert case.find("Training", "m-run-000001-train")  # to be looked at
    case.kube.patch("Model", "m", {"spec": {"retraining": {"workload": {"object": {"spec": {"workers": 0}}}}}}, case.namespace)
    ask(case)
    assert "spec.workers" in ended(case, "m-run-000002", phase="Failed")["message"]
    case.kube.patch("Model", "m", {"spec": {"retraining": {"workload": {"object": {"spec": {"workers": 1, "odd": True}}}}}}, case.namespace)
    ask(case)
    assert 'unknown field "spec.odd"' in ended(case, "m-run-000003", phase="Failed")["message"]
    case.ready(version="m-v1")


def test_a_run_that_is_called_off_takes_its_workload_with_it(case, engine):
    trains(case)
    made(case)
    case.until(lambda: run_of(case)["trials"][0]["job"].get("uid"), "its UID is known")
    case.kube.patch("TrainingRun", "m-run-000001", {"spec": {"desiredState": "Cancelled"}}, case.namespace)
    ended(case, phase="Cancelled")
    assert not case.find("Training", "m-run-000001-train")
    # One that somebody else deletes, of a run that a person wrote.
    case.kube.create(run_by_hand("mine", workload=f"trainings.{GROUP}"), case.namespace)
    made(case, "mine-train")
    case.until(lambda: run_of(case, "mine")["trials"][0]["job"].get("uid"), "its UID is known")
    case.kube.delete("Training", "mine-train", case.namespace)
    assert "was deleted before its result was read" in ended(case, "mine", phase="Failed")["message"]


def test_a_kind_that_is_not_there_yet_is_waited_for_and_one_that_goes_is_told(case, engine):
    kind, plural = "Passing", "passings"
    kube = case.kube
    kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": {"name": "test-passings", "labels": {"modelops.dev/aggregate-to-operator": "true"}},
                "rules": [{"apiGroups": [GROUP], "resources": [plural], "verbs": ["get", "create", "delete"]}]})
    trains(case, workload=workload(object={"apiVersion": f"{GROUP}/v1", "kind": kind, "spec": {"workers": 1}}, resource=plural))
    case.until(lambda: f"this cluster does not serve {kind} ({plural} of {GROUP}/v1)" in run_of(case)["message"], "it says what is missing")
    install(kube, plural, kind)
    case.until(lambda: case.find(kind, "m-run-000001-train"), "it is made once the kind is there")
    case.until(lambda: run_of(case)["trials"][0]["job"].get("uid"), "its UID is known")
    kube.delete("CustomResourceDefinition", f"{plural}.{GROUP}")
    assert "was deleted together with its kind" in ended(case, phase="Failed")["message"]
    case.ready(version="m-v1")


def test_rights_that_are_missing_are_told_and_author_needs_them_too(case, engine):
    install(case.kube, "closeds", "Closed")
    closed = workload(object={"apiVersion": f"{GROUP}/v1", "kind": "Closed", "spec": {"workers": 1}}, resource="closeds")
    trains(case, workload=closed)
    case.until(lambda: "modelops.dev/aggregate-to-operator" in run_of(case)["message"], "it says which right is missing, and how it is given")
    # Who may write Models, and no Trainings.
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "author"}}
    case.kube.apply(account, case.namespace)
    case.kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "edit"},
                     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
                     "subjects": [{"kind": "ServiceAccount", "name": "author", "namespace": case.namespace}]}, case.namespace)
    author = case.kube.as_service_account(case.namespace, "author")
    body = json.loads(json.dumps(case.last_model))
    body["metadata"]["name"] = "theirs"
    case.kube.wait_for(lambda: author.list("Model", case.namespace) is not None, 30, "the author's rights are there", retry=(ApiError,))
    with pytest.raises(ApiError, match="may not create closeds"):
        author.apply(body, case.namespace)
    del body["spec"]["retraining"]
    author.apply(body, case.namespace)
    # Nor do they get one made by a run of the Model that somebody else wrote.
    with pytest.raises(ApiError, match=f"may not create closeds.{GROUP} in namespace {case.namespace}"):
        author.create(run_by_hand("theirs", workload=f"closeds.{GROUP}"), case.namespace)
    author.create(run_by_hand("theirs"), case.namespace)
    case.kube.patch("TrainingRun", "m-run-000001", {"spec": {"desiredState": "Cancelled"}}, case.namespace)
    assert f"names no kind; create another TrainingRun with spec.workload: closeds.{GROUP}" in ended(case, "theirs", phase="Failed")["message"]


@pytest.mark.parametrize("changes, words", [
    ({"object": {"apiVersion": "batch/v1", "kind": "Job"}}, "a batch/v1 Job goes to template"),
    ({"object": {"apiVersion": "modelops.dev/v1alpha1", "kind": "ModelApproval"}}, "not of Kubernetes or of this operator"),
    ({"resource": "../pods"}, "plural name"),
    ({"result": {}}, "exactly one of pods and expression"),
    ({"success": ""}, "success"),
])
def test_what_is_no_workload_is_refused(case, changes, words):
    body = {"apiVersion": "modelops.dev/v1alpha1", "kind": "Model", "metadata": {"name": "m"},
            "spec": {"retraining": {"workload": workload(**changes), "limits": {"deadline": "1h"}}}}
    with pytest.raises(ApiError) as refused:
        case.kube.apply(body, case.namespace)
    assert words in str(refused.value)


def test_an_expression_that_is_none_is_told_and_nothing_starts(case):
    serve(case, workload=workload(), limits={"deadline": "1h"}, onSuccess="Register")
    case.kube.patch("Model", "m", {"spec": {"retraining": {"workload": {"success": "self.status.phase.matches('x')"}}}}, case.namespace)
    ask(case)
    found = case.stalled("InvalidWorkload")
    text = next(c["message"] for c in found["status"]["conditions"] if c["type"] == "Stalled")
    assert "spec.retraining.workload.success: the function matches() is not known here (at character" in text
    case.until(lambda: "matches()" in training(case)["suppressed"], "the run that was asked for waits")
    assert not case.all("TrainingRun")
    with pytest.raises(ApiError, match="limits.deadline"):
        case.kube.patch("Model", "m", {"spec": {"retraining": {"limits": None}}}, case.namespace)
