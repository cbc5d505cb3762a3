"""Pod templates that cannot be used, and the container that fetches the artifact: its bounds, its credentials, and namespaces that let little pass."""

import pytest

from case import digest_of

SERVER = {"name": "server"}
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def of(**spec):
    return {"spec": spec}


@pytest.mark.parametrize("template,words", [
    (of(containers=[{**SERVER, "env": [{"value": "a"}]}]), "spec.serving.template.spec.containers[0].env[0] has no name"),
    (of(containers=[{**SERVER, "env": ["a", 3]}]), "spec.serving.template.spec.containers[0].env[0] must be an object with the field name, it is a text"),
    (of(containers=[{"image": "x"}]), "spec.serving.template.spec.containers[0] has no name"),
    (of(containers=[SERVER], volumes=[{"emptyDir": {}}]), "spec.serving.template.spec.volumes[0] has no name"),
    (of(initContainers=[{"name": "modelops-fetch", "image": "evil"}]), "initContainers[modelops-fetch] uses a name that the operator reserves"),
    (of(volumes=[{"name": "modelops-artifact", "emptyDir": {}}]), "volumes[modelops-artifact] uses a name that the operator reserves"),
    (of(containers=[{**SERVER, "env": [{"name": "MODEL_PATH", "value": "/tmp/mine"}]}]), "env[MODEL_PATH] is set by the operator"),
    (of(containers=[{"name": "side", "image": "x", "volumeMounts": [{"name": "modelops-artifact", "mountPath": "/a"}]}]), "writable"),
    (of(containers=[{**SERVER, "args": ["x" * 70_000]}]), "at most 65536 are allowed"),
], ids=["variable", "scalars", "container", "volume", "fetch", "artifact", "path", "writable", "bytes"])
def test_a_template_that_cannot_be_used_stalls_the_model_and_stops_nobody(case, template, words):
    case.serve("m-v1", replicas=1)
    before = case.get("Deployment", "m-v1")["metadata"]["uid"]
    case.kube.patch("Model", "m", {"spec": {"serving": {"template": template}}}, case.namespace)
    model = case.stalled("InvalidTemplate")
    assert words in model["status"]["message"], model["status"]["message"]
    assert "bug" not in case.operator.tail(case.namespace)
    case.until(lambda: case.endpoints() == {"m-v1": 1}, "m-v1 serves on")
    assert case.get("Deployment", "m-v1")["metadata"]["uid"] == before
    case.kube.patch("Model", "m", {"spec": {"serving": {"template": None}}}, case.namespace)
    case.ready("m", "m-v1")


def test_pods_pass_pod_security_restricted_and_a_quota_of_limits(case):
    level = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}
    case.kube.patch("Namespace", case.namespace, {"metadata": {"labels": level}})
    hard = {"requests.cpu": "2", "requests.memory": "1Gi", "limits.cpu": "4", "limits.memory": "1Gi"}
    case.kube.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "all"}, "spec": {"hard": hard}}, case.namespace)
    resources = {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}}
    case.serve("m-v1", replicas=1, template=of(containers=[{**SERVER, "resources": resources, "securityContext": RESTRICTED}]))
    pod = next(p for p in case.all("Pod") if p["metadata"]["labels"]["modelops.dev/version"] == "m-v1")
    fetch = pod["spec"]["initContainers"][0]
    assert fetch["name"] == "modelops-fetch" and fetch["securityContext"].items() >= RESTRICTED.items()
    assert fetch["securityContext"]["readOnlyRootFilesystem"] is True


def test_a_server_that_runs_as_root_does_not_stop_the_fetch(case):
    case.serve("m-v1", replicas=1, template=of(securityContext={"runAsUser": 0}))


def test_an_artifact_beyond_its_size_is_not_fetched(case):
    case.version("m-v1", artifact=case.artifact("m-v1", "far too much", size="5"))
    case.model(version="m-v1", replicas=1)
    case.until(lambda: "it is larger than the 5 bytes allowed" in case.status()["message"], "the Model says what is too large")
    assert case.endpoints() == {}


def test_credentials_reach_the_fetching_container_alone(case):
    artifact = {"uri": "https://store.invalid/models/m.json?signature=topsecret", "digest": digest_of("x"), "format": {"name": "tiny"},
                "credentials": {"secretName": "store"}}
    case.model(artifact=artifact, replicas=1)
    case.until(lambda: "the Secret of artifact.credentials does not exist" in case.status()["message"], "the Model says what is missing")
    pod = case.all("Pod")[0]["spec"]
    assert next(v for v in pod["volumes"] if v["name"] == "modelops-credentials")["secret"]["secretName"] == "store"
    readers = [c["name"] for c in pod["initContainers"] + pod["containers"] for m in c["volumeMounts"] if m["name"] == "modelops-credentials"]
    assert readers == ["modelops-fetch"]
    record = case.until(lambda: case.all("ModelVersion"), "the record")[0]
    assert record["spec"]["artifact"] == {**artifact, "format": {"name": "tiny"}}
    assert "topsecret" not in str(case.status()) + str(case.events()) and "signature=***" in case.status()["message"]
