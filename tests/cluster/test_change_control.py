"""Opt-in change control on a real API server: what the operator manages nobody else changes, but a named group in an emergency."""

import subprocess

import pytest

import settings
from case import API
from kube import ApiError
from test_admission import assert_words, grant

GROUP = "modelops:break-glass"
EVERYTHING = [{"apiGroups": ["apps", "", "gateway.networking.k8s.io", "autoscaling"],
               "resources": ["deployments", "deployments/scale", "services", "httproutes", "horizontalpodautoscalers"],
               "verbs": ["get", "create", "update", "patch", "delete"]}]
MANAGED = {"app.kubernetes.io/managed-by": "model-operator", "modelops.dev/model": "m"}


@pytest.fixture
def controlled(case):
    """The policies, bound to the test's namespace alone: other tests change what theirs make."""
    documents = case.kube.render("manifests/change-control")
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": case.namespace}}}
    names = []
    for document in documents:
        if document["kind"] == "ValidatingAdmissionPolicyBinding":
            document["metadata"]["name"] += "." + case.namespace
            document["spec"]["matchResources"] = here
            names.append(document["metadata"]["name"])
        case.kube.apply(document)
    yield case
    for name in names:
        case.kube.delete("ValidatingAdmissionPolicyBinding", name)


def forged(kind, api, name, spec, owner):
    reference = {"apiVersion": API, "kind": "Model", "name": "m", "uid": owner["metadata"]["uid"], "controller": True}
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": MANAGED, "ownerReferences": [reference]}, "spec": spec}


def test_nobody_but_the_operator_changes_what_it_manages(controlled):
    case = controlled
    kube, namespace = case.kube, case.namespace
    case.serve("m-v1")
    model, pods = case.get(), case.get("Deployment", "m-v1")
    service = case.get("Service", "m")
    grant(kube, namespace, "eve", EVERYTHING)
    eve = kube.as_user("eve", "system:authenticated")
    breaker = kube.as_user("eve", "system:authenticated", GROUP)
    autoscaler = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
    grant(kube, namespace, autoscaler, EVERYTHING)
    container = pods["spec"]["template"]["spec"]["containers"][0]["name"]
    template = {"metadata": {"labels": MANAGED}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    attempts = {
        "another image": ("patch", "Deployment", "m-v1", {"spec": {"template": {"spec": {"containers": [{"name": container, "image": "evil"}]}}}}),
        "more pods": ("patch", "Deployment", "m-v1", {"spec": {"replicas": 9}}),
        "a restart": ("patch", "Deployment", "m-v1", {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}),
        "our label away": ("patch", "Deployment", "m-v1", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}),
        "the owner away": ("patch", "Deployment", "m-v1", {"metadata": {"ownerReferences": None}}),
        "both away": ("patch", "Deployment", "m-v1", {"metadata": {"ownerReferences": None, "labels": {"app.kubernetes.io/managed-by": None}}}),
        "another hash": ("patch", "Deployment", "m-v1", {"metadata": {"annotations": {"modelops.dev/applied": "x"}}}),
        "a finalizer": ("patch", "Deployment", "m-v1", {"metadata": {"finalizers": ["a/b"]}}),
        "callers elsewhere": ("patch", "Service", "m", {"spec": {"selector": {"app": "evil"}}}),
        "another port": ("patch", "Service", "m", {"spec": {"ports": [{"name": "http", "port": 81, "targetPort": 8080}]}}),
        "pods deleted": ("delete", "Deployment", "m-v1"),
        "the Service deleted": ("delete", "Service", "m"),
        "a Deployment as if it were ours": ("create", forged("Deployment", "apps/v1", "m-v9", {"selector": {"matchLabels": MANAGED}, "template": template}, model)),
        "a Service as if it were ours": ("create", forged("Service", "v1", "m-x", {"selector": {"app": "evil"}, "ports": [{"port": 80}]}, model)),
    }
    def does(client, verb, *what):
        if verb == "create":
            return client.create(what[0], namespace, dry_run=True)
        if verb == "delete":
            return client.delete(what[0], what[1], namespace, dry_run=True)
        return client.patch(*what, namespace, dry_run=True)
    def refused():
        try:
            does(eve, *attempts["more pods"])
        except ApiError as error:
            return "is managed by Model m" in error.message
        return False
    case.until(refused, "the policy is in force")
    for who, client in (("eve", eve), ("a cluster admin", kube)):
        for what, attempt in attempts.items():
            with pytest.raises(ApiError) as caught:
                does(client, *attempt)
            assert "is managed by Model m" in caught.value.message and "change the Model" in caught.value.message, f"{who}, {what}: {caught.value.message}"
        with pytest.raises(ApiError) as caught:
            client.patch("Deployment", "m-v1", {"spec": {"replicas": 5}}, namespace, "scale", dry_run=True)
        assert_words(caught.value.message, ["neither the operator nor the autoscaler", "kubectl scale model"])
    # Who may: the named group, and each controller its own part.
    for what, attempt in attempts.items():
        does(breaker, *attempt)
    breaker.patch("Deployment", "m-v1", {"spec": {"replicas": 5}}, namespace, "scale", dry_run=True)
    kube.as_user(autoscaler, "system:authenticated").patch("Deployment", "m-v1", {"spec": {"replicas": 5}}, namespace, "scale", dry_run=True)
    # What is not managed is nobody's business.
    grant(kube, namespace, "ann", EVERYTHING)
    kube.as_user("ann", "system:authenticated").create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "own"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}, namespace, dry_run=True)
    assert case.get("Service", "m")["metadata"]["uid"] == service["metadata"]["uid"]

    # The operator works on, and puts back what was changed in an emergency; what is deleted with its Model goes.
    case.version("m-v2")
    case.move("m-v2")
    case.ready("m", "m-v2")
    breaker.patch("Service", "m", {"spec": {"selector": {"modelops.dev/version": "none"}}}, namespace)
    case.until(lambda: case.get("Service", "m")["spec"]["selector"].get("modelops.dev/version") != "none", "the operator puts it back")
    kube.delete("Model", "m", namespace)
    case.until(lambda: not case.find("Deployment", "m-v2") and not case.find("Service", "m"), "the garbage collector may delete")


def test_who_breaks_the_glass_is_warned(controlled):
    case = controlled
    case.serve("m-v1")
    said = lambda: subprocess.run([settings.KUBECTL, "annotate", "deployment", "m-v1", "why=emergency", "--overwrite", "-n", case.namespace, "--dry-run=server",
                                   "--as", "eve", "--as-group", "system:masters", "--as-group", GROUP], text=True, capture_output=True)
    case.until(lambda: "break-glass: eve changes Deployment" in said().stderr, "a warning")
    assert said().returncode == 0
