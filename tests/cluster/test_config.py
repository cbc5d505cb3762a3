"""ConfigMaps that pod templates name: each version keeps them as they were when it started."""

import pytest

from case import TINY_POD, VERSION, gate

READS = {"spec": {"containers": [{"name": "server", "envFrom": [{"configMapRef": {"name": "settings"}}]}]}}
OPTIONAL = {"spec": {"containers": [{"name": "server", "envFrom": [{"configMapRef": {"name": "settings", "optional": True}}]}]}}


def answers(case):
    """What the pods say of their config, by version."""
    try:
        return case.fetch(case.forward()).split()
    except OSError:   # a pod that ends at this moment
        return []


def says(case, version, level):
    case.until(lambda: (lambda words: words[0] == version and words[-1] == level)(answers(case)), f"{version} answers with {level}")


def copies(case):
    return {c["metadata"]["annotations"]["modelops.dev/copy-of"] + " of " + c["metadata"]["labels"][VERSION]: c
            for c in case.all("ConfigMap") if "modelops.dev/copy-of" in c["metadata"].get("annotations", {})}


def test_config_rolls_out_and_back_with_its_version(case):
    case.configmap("settings", LEVEL="one")
    case.serve("m-v1", replicas=1, template=READS)
    says(case, "m-v1", "one")
    case.configmap("settings", LEVEL="two")
    case.until(lambda: case.status()["message"] == "m-v1 serves; ConfigMap settings has changed since; the next version uses the new content", "that it has moved on")
    # New pods of the old version have the old config, too.
    old = {p["metadata"]["uid"] for p in case.all("Pod")}
    case.kube.scale("Model", "m", 2, case.namespace)
    case.served_by({"m-v1": 2})
    for pod in case.all("Pod"):
        case.kube.delete("Pod", pod["metadata"]["name"], case.namespace)
    case.until(lambda: not old & {p["metadata"]["uid"] for p in case.all("Pod")}, "other pods")
    case.served_by({"m-v1": 2})
    says(case, "m-v1", "one")
    case.version("m-v2")
    case.model(version="m-v2", replicas=1, template=READS)
    case.ready(version="m-v2")
    says(case, "m-v2", "two")
    case.kube.delete("ConfigMap", "settings", case.namespace)
    case.rollout("back", "m-v1")
    case.phase("back", "Succeeded")
    says(case, "m-v1", "one")
    assert set(copies(case)) == {"settings of m-v1", "settings of m-v2"}
    assert all(c["immutable"] and c["metadata"]["ownerReferences"][0]["kind"] == "Model" for c in copies(case).values())
    case.kube.delete("Model", "m", case.namespace)
    case.until(lambda: not copies(case), "they go with their Model")


def test_a_missing_configmap_is_waited_for(case):
    case.version("m-v1")
    case.model(version="m-v1", replicas=1, template=READS)
    found = case.stalled("ConfigMapNotFound")
    assert "ConfigMap settings" in found["status"]["message"] and "create it" in found["status"]["message"]
    assert not case.all("Deployment")
    case.configmap("settings", LEVEL="late")
    case.ready(version="m-v1")
    says(case, "m-v1", "late")


def test_an_optional_one_that_is_missing_stays_so_for_that_version(case):
    case.serve("m-v1", replicas=1, template=OPTIONAL, content="artifact")
    says(case, "m-v1", "artifact")
    case.configmap("settings", LEVEL="late")
    case.until(lambda: "settings has changed since" in case.status()["message"], "that there is one now")
    case.kube.scale("Model", "m", 2, case.namespace)
    case.served_by({"m-v1": 2})
    for _ in range(6):
        assert answers(case)[-1] == "artifact"


def test_a_failed_version_takes_config_anew(case):
    case.metrics.set("accuracy", "0.5", version="m-v2")
    spec = {"replicas": 1, "steps": [{"weight": 50}, {"gates": ["accuracy"]}], "gates": [gate(min="0.9", count=1)], "template": READS}
    case.configmap("settings", LEVEL="bad")
    case.serve("m-v1", **spec)
    case.version("m-v2")
    case.model(version="m-v2", **spec)
    case.phase(case.rollout_of("m-v2"), "RolledBack")
    case.until(lambda: set(copies(case)) == {"settings of m-v1"}, "what m-v2 had is gone")
    case.configmap("settings", LEVEL="good")
    case.metrics.set("accuracy", "0.95", version="m-v2")
    case.rollout("again", "m-v2")
    case.phase("again", "Succeeded")
    says(case, "m-v2", "good")


def test_a_runtime_s_config_is_pinned_too(case, request):
    name = "configured-" + case.namespace[-6:]
    pod = dict(TINY_POD, containers=[dict(TINY_POD["containers"][0], envFrom=[{"configMapRef": {"name": "settings"}}])])
    case.kube.apply({"apiVersion": "modelops.dev/v1alpha1", "kind": "ModelRuntime", "metadata": {"name": name},
                     "spec": {"formats": [{"name": name}], "port": 8080, "template": {"spec": pod}}})
    request.addfinalizer(lambda: case.kube.delete("ModelRuntime", name))
    case.version("m-v1")
    case.model(version="m-v1", replicas=1, runtime=name)
    case.stalled("ConfigMapNotFound")
    case.configmap("settings", LEVEL="one")
    case.ready(version="m-v1")
    says(case, "m-v1", "one")


@pytest.mark.parametrize("again", [False, True], ids=["unpinned", "and pinned again"])
def test_pods_read_the_configmap_itself_where_it_is_not_pinned(case, again):
    case.configmap("settings", LEVEL="one")
    case.serve("m-v1", replicas=1, template=READS, serving={"pinConfig": False})
    assert not copies(case)
    case.configmap("settings", LEVEL="two")
    if again:
        case.model(version="m-v1", replicas=1, template=READS)
        case.until(lambda: set(copies(case)) == {"settings of m-v1"}, "pinned from now on")
    else:
        for pod in case.all("Pod"):
            case.kube.delete("Pod", pod["metadata"]["name"], case.namespace)
    says(case, "m-v1", "two")
