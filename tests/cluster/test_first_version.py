"""A Model's first version: how it comes to serve, and what keeps it from serving."""

import pytest

from case import LONG, VERSION, condition, conditions, digest_of, gate
from history import History

RECORDED = {"name": "recorded", "version": {"metric": "f1"}, "min": "0.9"}


def test_first_version_becomes_ready_and_skips_weights_and_pauses(case):
    """Rule 9: nothing to compare with, so neither weights nor pauses nor gates on traffic hold it up."""
    case.version("m-v1")
    case.model(version="m-v1", replicas=2, gates=[gate(min="0.9")],
               steps=[{"weight": 10}, {"pause": {}}, {"gates": ["accuracy"]}, {"weight": 50}, {"pause": {"duration": "1h"}}])
    case.kubectl("wait", "--for=condition=Ready", "model/m", f"--timeout={LONG}s")
    model = case.ready()
    status = model["status"]
    assert status["phase"] == "Ready"
    assert conditions(model) == {"Ready": "True", "Reconciling": "False", "Stalled": "False", "Available": "True"}
    assert status["stableVersion"] == "m-v1" and "candidateVersion" not in status
    assert status["traffic"] == [{"version": "m-v1", "weight": 100}]
    assert (status["replicas"], status["readyReplicas"], status["ready"]) == (2, 2, "2/2")
    case.served_by({"m-v1": 2})
    deployment = case.get("Deployment", "m-v1")
    assert deployment["metadata"]["labels"].items() >= {"app.kubernetes.io/managed-by": "model-operator", "modelops.dev/model": "m", VERSION: "m-v1"}.items()
    assert deployment["metadata"]["ownerReferences"][0]["uid"] == model["metadata"]["uid"]
    case.until(lambda: case.status("ModelVersion", "m-v1")["phase"] == "Serving", "m-v1 is Serving")
    case.until(lambda: case.events(), "an Event on the Model")


def test_what_kubectl_prints(case):
    case.serve("m-v1", replicas=1, **{"class": "Rules", "riskTier": "high", "owner": {"team": "payments"}})
    case.version("m-v2")
    case.model(version="m-v2", replicas=1, steps=[{"weight": 50}, {"pause": {}}, {"weight": 80}], **{"class": "Rules", "riskTier": "high", "owner": {"team": "payments"}})
    rollout = case.rollout_of("m-v2")
    case.phase(rollout, "Paused")
    case.until(lambda: "Paused" == case.status()["phase"], "the Model says Paused")
    head, row = case.kubectl("get", "models").splitlines()
    assert head.split() == ["NAME", "VERSION", "PHASE", "TRAFFIC", "READY", "AGE"]
    assert "m-v1 50% / m-v2 50%" in row and "Paused" in row and row.split()[1] == "m-v1" and "2/2" in row, row
    wide = case.kubectl("get", "mdl", "-o", "wide").splitlines()
    assert wide[0].split("  ")[-1].strip() == "MESSAGE"
    for word in ("CLASS", "TIER", "OWNER", "LAST RETRAINED", "MESSAGE"):
        assert word in wide[0]
    for word in ("Rules", "high", "payments"):
        assert word in wide[1]
    head, row = case.kubectl("get", "mro").splitlines()
    assert head.split() == ["NAME", "MODEL", "FROM", "TO", "PHASE", "STEP", "WEIGHT", "AGE"]
    assert row.split()[:7] == [rollout, "m", "m-v1", "m-v2", "Paused", "2/3", "50"], row
    assert "MESSAGE" in case.kubectl("get", "mro", "-o", "wide").splitlines()[0]
    assert {"model.modelops.dev/m", f"modelrollout.modelops.dev/{rollout}"} <= set(case.kubectl("get", "modelops", "-o", "name").split())


def test_first_version_behind_a_failing_recorded_gate_never_serves(case):
    case.version("m-v1", metrics={"f1": "0.85"})
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v1", gates=[RECORDED], steps=[{"gates": ["recorded"]}, {"weight": 50}])
        model = case.stalled("RolloutFailed")
    assert history.served("m") == set()
    assert case.all("Pod") == [] and case.all("Deployment") == []
    assert "recorded" in model["status"]["message"] and "0.85" in model["status"]["message"] and "0.9" in model["status"]["message"]
    assert conditions(model)["Available"] == "False" and conditions(model)["Ready"] == "False"
    case.until(lambda: case.status("ModelVersion", "m-v1")["phase"] == "Rejected", "m-v1 is Rejected")
    rollout = case.get("ModelRollout", case.rollout_of("m-v1"))
    assert rollout["status"]["phase"] == "Failed" and conditions(rollout)["Complete"] == "True" and conditions(rollout)["Succeeded"] == "False"


def test_first_version_behind_a_recorded_gate_that_passes_serves(case):
    case.version("m-v1", metrics={"f1": "0.95"})
    case.model(version="m-v1", gates=[RECORDED], steps=[{"gates": ["recorded"]}, {"weight": 50}, {"pause": {}}])
    case.ready(version="m-v1")
    rollout = case.rollout_of("m-v1")
    case.kubectl("wait", "--for=condition=Succeeded", f"mro/{rollout}", f"--timeout={LONG}s")
    assert case.mro(rollout)["gates"][0]["verdict"] == "Passed" and case.mro(rollout)["gates"][0]["value"] == "0.95"


def test_first_version_with_another_digest_never_serves(case):
    wrong = digest_of("what was promised")
    case.version("m-v1", artifact=case.artifact("m-v1", "what is there", digest=wrong))
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v1", replicas=1)
        model = case.stalled("DigestMismatch")
    assert wrong in model["status"]["message"] and digest_of("what is there") in model["status"]["message"]
    assert conditions(model)["Available"] == "False"
    assert history.served("m") == set()
    # Mending the artifact mends the Model.
    case.version("m-v2", "what is there")
    case.move("m-v2")
    case.ready(version="m-v2")
    assert history.served("m") == set()


def test_inline_artifact_is_registered_under_its_digest(case):
    artifact = case.artifact("stuff")
    case.model(artifact=artifact, replicas=1)
    name = "m-" + artifact["digest"].removeprefix("sha256:")[:10]
    case.ready(version=name)
    version = case.get("ModelVersion", name)
    assert version["spec"]["artifact"] == artifact and version["spec"]["modelRef"] == {"name": "m"}
    assert version["metadata"]["ownerReferences"][0]["kind"] == "Model"
    case.served_by({name: 1})


def test_artifact_in_a_claim(case):
    folder = settings_folder(case)
    (folder / "deep").mkdir()
    (folder / "deep" / "model.txt").write_text("from a claim")
    volume = f"{case.namespace}-pv"
    case.kube.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
                     "spec": {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": str(folder)}, "storageClassName": "",
                              "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": case.namespace, "name": "models"}}})
    case.kube.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models"},
                     "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": "", "volumeName": volume}}, case.namespace)
    try:
        case.version("m-v1", artifact={"uri": "pvc://models/deep/model.txt", "digest": digest_of("from a claim"), "format": {"name": "tiny"}})
        case.model(version="m-v1", replicas=1)
        case.ready(version="m-v1")
        assert case.fetch(wait_for_answer(case)) == "m-v1 from a claim\n"
    finally:
        case.kube.delete("PersistentVolume", volume)


def settings_folder(case):
    import settings
    folder = settings.STATE / "claims" / case.namespace
    folder.mkdir(parents=True)
    for path in (folder, folder.parent):
        path.chmod(0o755)
    return folder


def wait_for_answer(case):
    """The Service's address on this host, once it answers."""
    url = case.forward()

    def answers():
        try:
            return case.fetch(url)
        except OSError:
            return None
    case.until(answers, f"{url} answers")
    return url


def test_artifact_behind_http(case):
    case.configmap("files", **{"model.txt": "from afar"})
    labels = {"app": "files"}
    case.kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "files", "labels": labels},
                     "spec": {"terminationGracePeriodSeconds": 0, "volumes": [{"name": "files", "configMap": {"name": "files"}}],
                              "containers": [{"name": "files", "image": "localhost/tiny:test", "imagePullPolicy": "IfNotPresent", "args": ["files", "/files"],
                                              "volumeMounts": [{"name": "files", "mountPath": "/files"}]}]}}, case.namespace)
    case.kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "files"}, "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}},
                    case.namespace)
    case.version("m-v1", artifact={"uri": f"http://files.{case.namespace}.svc/model.txt?v=1".removesuffix("?v=1"), "digest": digest_of("from afar"), "format": {"name": "tiny"}})
    case.model(version="m-v1", replicas=1)
    case.ready(version="m-v1")
    assert case.fetch(wait_for_answer(case)) == "m-v1 from afar\n"


def test_missing_version_is_named_and_taken_up_once_it_is_there(case):
    case.model(version="m-v1", replicas=1)
    model = case.stalled("VersionNotFound")
    assert "m-v1" in model["status"]["message"]
    case.version("m-v1")
    case.ready(version="m-v1")


def test_version_of_another_model_is_refused(case):
    case.version("other-v1", model="other")
    case.model(version="other-v1", replicas=1)
    model = case.stalled("VersionOfAnotherModel")
    assert "other-v1" in model["status"]["message"] and "Model other" in model["status"]["message"]
    assert case.all("Deployment") == []
    case.version("m-v1")
    case.move("m-v1")
    case.ready(version="m-v1")


@pytest.mark.parametrize("by", ["name", "format"])
def test_missing_runtime_is_named_and_taken_up_once_it_is_there(case, by):
    runtime = f"late-{case.namespace}"
    artifact = case.artifact("m-v1", format={"name": runtime})
    case.version("m-v1", artifact=artifact)
    case.model(version="m-v1", replicas=1, runtime=runtime if by == "name" else None)
    model = case.stalled("RuntimeNotFound")
    assert runtime in model["status"]["message"]
    from case import TINY_RUNTIME
    case.kube.apply({**TINY_RUNTIME, "metadata": {"name": runtime}, "spec": {**TINY_RUNTIME["spec"], "formats": [{"name": runtime}]}})
    try:
        case.ready(version="m-v1")
    finally:
        case.kube.delete("ModelRuntime", runtime)


def test_a_model_without_a_version_says_what_it_lacks(case):
    case.model()
    model = case.stalled("NoVersion")
    assert model["status"]["phase"] == "Pending" and conditions(model)["Available"] == "False"
    case.version("m-v1")
    case.rollout("by-hand", "m-v1")
    case.ready(version="m-v1")


def test_rules_are_served_by_the_model_server(case):
    """The runtime that ships: a real server behind the Service, and its metrics in Prometheus with model and version."""
    import json
    import urllib.request

    from prometheus import query
    rules = json.dumps({"kind": "linear", "features": ["x"], "weights": [2], "intercept": 1})
    case.configmap("m-v1", **{"model.json": rules})
    case.version("m-v1", artifact={"uri": "configmap://m-v1/model.json", "digest": digest_of(rules), "format": {"name": "linear", "version": "1"}})
    case.model(version="m-v1", replicas=1, runtime=None)
    case.ready(version="m-v1")
    url = wait_for_real_answer(case)
    body = {"inputs": [{"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [1, 2]}]}
    request = urllib.request.Request(url + "/v2/models/m/infer", json.dumps(body).encode(), {"Content-Type": "application/json"})
    answer = json.load(urllib.request.urlopen(request, timeout=5))
    assert answer["outputs"][0]["data"] == [3, 5], answer
    assert answer["model_name"] == "m"
    case.until(lambda: query(f'up{{namespace="{case.namespace}",model="m",version="m-v1"}}'), "Prometheus scrapes the pod")


def wait_for_real_answer(case):
    url = case.forward()

    def answers():
        try:
            return case.fetch(url + "/v2/health/ready") is not None
        except OSError:
            return False
    case.until(answers, f"{url} answers")
    return url
