"""What else goes on around a Model: deletions, other people's hands and objects, mistakes, neighbours."""

import pytest

from case import TINY_POD, VERSION, condition, conditions
from history import History
from kube import ApiError


def test_deleting_a_model_takes_what_is_ours_and_leaves_what_people_made(case):
    case.serve("m-v1", replicas=1, steps=[{"weight": 50}, {"pause": {}}])
    inline = case.artifact("inline")
    registered = "m-" + inline["digest"].removeprefix("sha256:")[:10]
    case.model(artifact=inline, replicas=1, steps=[{"weight": 50}, {"pause": {}}])
    rollout = case.rollout_of(registered)
    case.phase(rollout, "Paused")
    case.kube.delete("Model", "m", case.namespace)
    case.until(lambda: not any(case.all(kind) for kind in ("Deployment", "Service", "ModelRollout", "Pod", "ReplicaSet")), "all that is ours is gone")
    case.until(lambda: [v["metadata"]["name"] for v in case.all("ModelVersion")] == ["m-v1"], "only the version that a person made is left")
    assert case.find("ConfigMap", "m-v1")
    # Nothing holds the version any more.
    case.until(lambda: case.status("ModelVersion", "m-v1")["phase"] != "Serving", "m-v1 no longer serves")
    case.kube.delete("ModelVersion", "m-v1", case.namespace)


def test_a_model_made_again_under_its_name_starts_anew(case):
    wanted = case.serve("m-v1", replicas=1)
    first = case.get()["metadata"]["uid"]
    case.kube.delete("Model", "m", case.namespace, propagation="Foreground")
    case.until(lambda: case.find("Model", "m") is None, "the Model is gone")
    case.kube.apply(wanted, case.namespace)
    again = case.ready(version="m-v1")
    assert again["metadata"]["uid"] != first
    case.served_by({"m-v1": 1})
    assert case.get("Deployment", "m-v1")["metadata"]["ownerReferences"][0]["uid"] == again["metadata"]["uid"]


def test_a_version_that_serves_cannot_be_deleted(case):
    case.serve("m-v1", replicas=1)
    case.until(lambda: case.status("ModelVersion", "m-v1")["phase"] == "Serving", "m-v1 is Serving")
    with pytest.raises(ApiError) as refused:
        case.kube.delete("ModelVersion", "m-v1", case.namespace)
    assert "m-v1 serves" in refused.value.message


EDITS = {
    "replicas": [{"op": "replace", "path": "/spec/replicas", "value": 0}],
    "image": [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "localhost/no-such:thing"}],
    "a removed variable": [{"op": "remove", "path": "/spec/template/spec/containers/0/env/2"}],
    "an owner that was removed": [{"op": "remove", "path": "/metadata/ownerReferences"}],
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_manual_edit_of_the_deployment_is_put_right(case, edit):
    case.serve("m-v1", replicas=1)
    before = case.get("Deployment", "m-v1")
    case.kube.patch("Deployment", "m-v1", EDITS[edit], case.namespace)

    def mended():
        now = case.get("Deployment", "m-v1")
        return now["spec"] == before["spec"] and now["metadata"].get("ownerReferences") == before["metadata"]["ownerReferences"]
    case.until(mended, "the Deployment is as it was")
    case.ready(version="m-v1")
    case.served_by({"m-v1": 1})


def test_a_deleted_deployment_comes_back(case):
    case.serve("m-v1", replicas=1)
    uid = case.get("Deployment", "m-v1")["metadata"]["uid"]
    case.kube.delete("Deployment", "m-v1", case.namespace)
    case.until(lambda: case.get("Deployment", "m-v1")["metadata"]["uid"] != uid, "a new Deployment")
    case.ready(version="m-v1")


def test_a_manual_edit_of_the_service_is_put_right(case):
    case.serve("m-v1", replicas=1)
    before = case.get("Service", "m")["spec"]
    case.kube.patch("Service", "m", {"spec": {"selector": {"app": "somebody-else"}}}, case.namespace)
    case.until(lambda: case.get("Service", "m")["spec"]["selector"] == before["selector"], "the Service selects as before")
    case.served_by({"m-v1": 1})
    case.kube.delete("Service", "m", case.namespace)
    case.until(lambda: case.get("Service", "m")["spec"]["selector"] == before["selector"], "a deleted Service comes back")


def test_what_others_add_is_left_alone(case):
    """It never fights another manager over a field that it does not need."""
    case.serve("m-v1", replicas=1)
    case.kube.patch("Deployment", "m-v1", {"metadata": {"labels": {"team": "payments"}, "annotations": {"note": "mine"}}, "spec": {"minReadySeconds": 1}}, case.namespace)
    case.kube.patch("Service", "m", {"metadata": {"annotations": {"note": "mine"}}, "spec": {"sessionAffinity": "ClientIP"}}, case.namespace)
    case.looked_again(3)
    deployment, service = case.get("Deployment", "m-v1"), case.get("Service", "m")
    assert deployment["metadata"]["labels"]["team"] == "payments" and deployment["metadata"]["annotations"]["note"] == "mine"
    assert deployment["spec"]["minReadySeconds"] == 1
    assert service["metadata"]["annotations"]["note"] == "mine" and service["spec"]["sessionAffinity"] == "ClientIP"
    case.ready()


def foreign_deployment(labels=None):
    labels = labels or {"app": "theirs"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "m-v1", "labels": labels},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": TINY_POD}}}


@pytest.mark.parametrize("labels", [{"app": "theirs"}, {"modelops.dev/model": "m", VERSION: "m-v1"}], ids=["plain", "labelled like ours"])
def test_a_foreign_deployment_of_our_name_is_left_alone(case, labels):
    theirs = case.kube.create(foreign_deployment(labels), case.namespace)
    case.version("m-v1")
    case.model(version="m-v1", replicas=1)
    model = case.until(lambda: condition(case.get(), "Stalled")["status"] == "True" and case.get(), "the Model is Stalled")
    assert "m-v1" in model["status"]["message"] and "Deployment" in model["status"]["message"], model["status"]["message"]
    case.looked_again(2)
    now = case.get("Deployment", "m-v1")
    assert now["metadata"]["uid"] == theirs["metadata"]["uid"] and now["spec"] == theirs["spec"]
    assert "ownerReferences" not in now["metadata"] and now["metadata"]["labels"] == labels
    # Theirs goes, ours comes.
    case.kube.delete("Deployment", "m-v1", case.namespace)
    case.ready(version="m-v1")


def test_a_foreign_service_of_our_name_is_left_alone(case):
    theirs = case.kube.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "m"}, "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 99}]}},
                              case.namespace)
    case.version("m-v1")
    case.model(version="m-v1", replicas=1)
    model = case.until(lambda: condition(case.get(), "Stalled")["status"] == "True" and case.get(), "the Model is Stalled")
    assert "Service" in model["status"]["message"], model["status"]["message"]
    case.looked_again(2)
    now = case.get("Service", "m")
    assert now["metadata"]["uid"] == theirs["metadata"]["uid"] and now["spec"] == theirs["spec"] and "ownerReferences" not in now["metadata"]
    case.kube.delete("Service", "m", case.namespace)
    case.ready(version="m-v1")


def test_scale(case):
    case.serve("m-v1", replicas=1)
    generation = case.get("Deployment", "m-v1")["metadata"]["generation"]
    case.kubectl("scale", "model/m", "--replicas=3")
    case.until(lambda: case.status()["readyReplicas"] == 3, "three are ready")
    case.served_by({"m-v1": 3})
    case.ready()
    scale = case.kube.get("Model", "m", case.namespace, "scale")
    assert scale["status"]["replicas"] == 3 and "modelops.dev/model=m" in scale["status"]["selector"]
    assert case.get("Deployment", "m-v1")["metadata"]["generation"] == generation + 1, "scaling is one write"
    case.kubectl("scale", "model/m", "--replicas=0")
    case.until(lambda: case.status()["replicas"] == 0 and not case.endpoints(), "none are left")
    case.ready()
    case.kubectl("scale", "model/m", "--replicas=1")
    case.served_by({"m-v1": 1})
    assert not case.all("ModelRollout"), "scaling is no rollout"


def test_two_namespaces_with_the_same_names(case):
    other_name = case.namespace + "-b"
    case.kube.make_namespace(other_name, {"modelops.dev/test": "true"})
    from case import Case
    other = Case(case.kube, other_name, case.operator)
    try:
        for one, version in ((case, "m-v1"), (other, "m-v2")):
            one.version(version)
            one.model(version=version, replicas=1)
        case.ready(version="m-v1")
        other.ready(version="m-v2")
        case.served_by({"m-v1": 1})
        other.served_by({"m-v2": 1})
        case.kube.delete("Model", "m", case.namespace)
        case.until(lambda: not case.all("Deployment"), "one is gone")
        other.looked_again(2)
        assert other.ready(version="m-v2") and other.endpoints() == {"m-v2": 1}
    finally:
        other.close()
        case.kube.delete("Namespace", other_name)


def test_the_api_servers_words_on_a_bad_template(case):
    case.version("m-v1")
    case.model(version="m-v1", replicas=1, template={"spec": {"containers": [{"name": "server", "resources": {"limits": {"memory": "lots"}}}]}})
    model = case.stalled("ApplyRefused")
    words = refusal(case, {"resources": {"limits": {"memory": "lots"}}})
    assert words in model["status"]["message"], model["status"]["message"]
    case.model(version="m-v1", replicas=1)
    case.ready(version="m-v1")


def test_the_api_servers_words_on_an_invalid_template(case):
    case.version("m-v1")
    case.model(version="m-v1", replicas=1, template={"spec": {"restartPolicy": "Sometimes"}})
    model = case.stalled("ApplyRefused")
    assert 'spec.template.spec.restartPolicy: Unsupported value: "Sometimes"' in model["status"]["message"], model["status"]["message"]
    assert "Deployment.apps \"m-v1\" is invalid" in model["status"]["message"]
    case.model(version="m-v1", replicas=1)
    case.ready(version="m-v1")


def refusal(case, fields):
    """What the API server says to a Deployment with such a container, the essential part of it."""
    body = foreign_deployment()
    body["metadata"]["name"] = "dry"
    body["spec"]["template"] = {**body["spec"]["template"], "spec": {**TINY_POD, "containers": [{**TINY_POD["containers"][0], **fields}]}}
    with pytest.raises(ApiError) as refused:
        case.kube.apply(body, case.namespace, dry_run=True)
    return "quantities must match the regular expression" if "quantities" in refused.value.message else refused.value.message


def test_an_image_that_is_not_there_is_named(case):
    case.version("m-v1")
    case.model(version="m-v1", replicas=1, template={"spec": {"containers": [{"name": "server", "image": "localhost/no-such:thing"}]}})
    case.until(lambda: "localhost/no-such:thing" in case.status()["message"], "the Model names the image")
    case.model(version="m-v1", replicas=1)
    case.ready(version="m-v1")


def test_a_template_change_is_a_rollout_in_which_somebody_always_serves(case):
    case.serve("m-v1", replicas=1)
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v1", replicas=1, template={"metadata": {"labels": {"cost": "center"}}})
        case.phase(case.rollout_of("m-v1"), "Succeeded")
        case.ready(version="m-v1")
        case.until(lambda: [p["metadata"]["labels"].get("cost") for p in case.all("Pod") if not p["metadata"].get("deletionTimestamp")] == ["center"], "one new pod")
    assert all(share for share in history.shares("m")[1:]), history.shares("m")


def test_poisoned_neighbours_stop_nobody(case):
    case.version("bad-v1", "crash", model="bad")
    case.model("bad", version="bad-v1", replicas=1)
    case.version("wrong-v1", model="wrong")
    case.model("wrong", version="wrong-v1", replicas=1, template={"spec": {"containers": [{"name": "server", "env": [{"value": "nameless"}]}]}})
    case.model("lost", version="nowhere", replicas=1)
    case.version("odd-v1", model="odd")
    case.model("odd", version="odd-v1", replicas=1, template={"metadata": {"annotations": {"x": "y" * 200_000}}})
    case.serve("m-v1", replicas=1)
    case.version("m-v2")
    case.model(version="m-v2", replicas=1)
    case.ready(version="m-v2", timeout=30)
    for name in ("wrong", "lost"):
        case.until(lambda n=name: condition(case.get("Model", n), "Stalled")["status"] == "True", f"{name} is Stalled")
    case.until(lambda: "exit code 3" in case.status("Model", "bad")["message"], "bad says why")
    assert case.operator.readyz() == (200, "ok\n")


def test_what_is_measured_of_the_operator(case):
    case.serve("m-v1", replicas=1)
    operator = case.operator
    assert operator.http(operator.health_port, "/healthz")[0] == 200 and operator.readyz() == (200, "ok\n")
    names = " ".join(operator.metrics())
    for word in ("queue", "reconcile", "api", "watch", "rollouts", "build_info"):
        assert word in names, f"no {word} among {sorted({n.split('{')[0] for n in operator.metrics()})}"


def test_events_and_conditions_do_not_flap(case):
    """A Model that is left alone is left alone: no status write, no moved transition time."""
    case.serve("m-v1", replicas=2)
    case.served_by({"m-v1": 2})
    case.until(lambda: case.status("ModelVersion", "m-v1")["phase"] == "Serving", "all is said")
    kinds = ("ModelVersion", "Deployment", "Service")
    before = case.ready()["status"], {(k, o["metadata"]["name"]): o["metadata"]["resourceVersion"] for k in kinds for o in case.all(k)}
    case.looked_again(5)
    after = case.ready()["status"], {(k, o["metadata"]["name"]): o["metadata"]["resourceVersion"] for k in kinds for o in case.all(k)}
    assert after == before
