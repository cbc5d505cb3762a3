"""Health as GitOps tools see it: kstatus (Flux, kubectl), Argo CD's scripts, `kubectl wait`; and the repository that examples/gitops shows."""

import copy

import pytest
import yaml

import judge
from case import condition, gate
from kube import REPO

EXAMPLE = "examples/gitops"


def seen(case, kind, name, phase, kstatus, health, says=""):
    """The object comes to that phase, and then both tools see this."""
    found = case.until(lambda: (o := case.get(kind, name))["status"].get("phase") == phase
                       and o["status"]["observedGeneration"] == o["metadata"]["generation"] and o, f"{kind} {name} is {phase}")
    got = judge.verdict(found)
    assert got[:2] == (kstatus, health), (got, yaml.safe_dump(found["status"]))
    assert says in got[2], got
    return found


def canary(case, steps, content=None, gates=None, **rollout):
    case.serve("m-v1")
    case.version("m-v2", content)
    case.model(version="m-v2", steps=steps, gates=gates, rollout=rollout)
    return case.rollout_of("m-v2")


# ---- each phase

def test_health_of_a_first_version(case):
    case.model()
    seen(case, "Model", "m", "Pending", "Failed", "Degraded", "NoVersion")
    case.version("m-v1", "unready")
    found = case.get("ModelVersion", "m-v1")
    assert judge.verdict(found)[:2] == ("Current", "Healthy"), "nobody has taken note of it yet"
    case.model(version="m-v1")
    seen(case, "Model", "m", "Progressing", "InProgress", "Progressing", "0/2")
    case.version("m-v2")
    case.model(version="m-v2")
    case.ready(version="m-v2")
    seen(case, "Model", "m", "Ready", "Current", "Healthy", "m-v2")
    seen(case, "ModelVersion", "m-v2", "Serving", "Current", "Healthy")
    runtime = case.kube.get("ModelRuntime", "tiny")
    assert judge.verdict(runtime)[:2] == ("Current", "Healthy")


def test_health_during_a_rollout(case):
    rollout = canary(case, [{"weight": 50}, {"gates": ["accuracy"]}, {"pause": {}}], gates=[gate(min="0.9", count=1, onInconclusive="Wait")])
    seen(case, "Model", "m", "Progressing", "InProgress", "Progressing")
    seen(case, "ModelRollout", rollout, "Progressing", "InProgress", "Progressing")
    seen(case, "ModelVersion", "m-v2", "Candidate", "Current", "Healthy")
    case.metrics.set("accuracy", 0.95, version="m-v2")
    case.phase(rollout, "Paused")
    seen(case, "Model", "m", "Paused", "InProgress", "Suspended", "resumeRequestedAt")
    seen(case, "ModelRollout", rollout, "Paused", "InProgress", "Suspended")
    case.version("m-v3")
    case.rollout("second", "m-v3")
    seen(case, "ModelRollout", "second", "Pending", "InProgress", "Progressing", rollout)


def test_health_while_a_new_version_bakes(case):
    rollout = canary(case, None, bake={"duration": "1h"})
    seen(case, "ModelRollout", rollout, "Baking", "InProgress", "Progressing")
    seen(case, "Model", "m", "Progressing", "InProgress", "Progressing", "bake gates are measured until")
    assert judge.offered(case.get("ModelRollout", rollout)) >= {"promote", "abort"}


def test_health_of_rollouts_that_came_to_an_end(case):
    rollout = canary(case, [{"weight": 50}, {"pause": {"duration": "1s"}}])
    seen(case, "ModelRollout", rollout, "Succeeded", "Current", "Healthy")
    seen(case, "ModelVersion", "m-v1", "Superseded", "Current", "Healthy")
    case.version("m-v3", "unready")
    case.move("m-v3")
    overtaken = case.rollout_of("m-v3")
    case.version("m-v4")
    case.move("m-v4")
    seen(case, "ModelRollout", overtaken, "Superseded", "Current", "Healthy", "m-v4")
    seen(case, "ModelVersion", "m-v3", "Registered", "Current", "Healthy")


def test_health_after_a_rollback(case):
    rollout = canary(case, [{"weight": 50}, {"gates": ["accuracy"]}], gates=[gate(query="vector(0.5)", min="0.9", count=1)])
    found = seen(case, "ModelRollout", rollout, "RolledBack", "Failed", "Degraded", "accuracy")
    assert "0.5" in judge.verdict(found)[2]
    seen(case, "Model", "m", "Degraded", "Failed", "Degraded", "accuracy")
    seen(case, "ModelVersion", "m-v2", "Rejected", "Failed", "Degraded", "accuracy")
    seen(case, "ModelVersion", "m-v1", "Serving", "Current", "Healthy")


def test_health_after_an_abort_and_a_failure(case):
    rollout = canary(case, [{"weight": 50}, {"pause": {}}])
    case.phase(rollout, "Paused")
    case.steer(rollout, "Aborted")
    seen(case, "ModelRollout", rollout, "Aborted", "Current", "Healthy", "Aborted")
    seen(case, "Model", "m", "Degraded", "Failed", "Degraded")
    case.rollout("nowhere", "no-such-version")
    found = case.until(lambda: condition(o := case.get("ModelRollout", "nowhere"), "Stalled")["status"] == "True" and o, "it is stalled")
    assert judge.verdict(found)[:2] == ("Failed", "Degraded")
    assert "no-such-version" in judge.verdict(found)[2]


def test_health_when_pods_are_lost_and_when_a_spec_is_not_seen_yet(case):
    case.serve("m-v1")
    found = seen(case, "Model", "m", "Ready", "Current", "Healthy")
    unseen = copy.deepcopy(found)
    unseen["metadata"]["generation"] += 1
    assert judge.verdict(unseen)[:2] == ("InProgress", "Progressing")
    # The node takes no more of its pods, and those that there are go.
    case.kube.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}, case.namespace)
    case.until(lambda: case.get("ResourceQuota", "none")["status"].get("hard"), "the quota holds")
    for pod in case.all("Pod"):
        case.kube.delete("Pod", pod["metadata"]["name"], case.namespace)
    seen(case, "Model", "m", "Degraded", "InProgress", "Degraded", "0/2")


def test_health_while_it_is_deleted(case):
    rollout = canary(case, [{"weight": 50}, {"pause": {}}])
    case.phase(rollout, "Paused")
    held = (("Model", "m"), ("ModelRollout", rollout), ("ModelVersion", "m-v2"))
    for kind, name in held:
        case.kube.patch(kind, name, {"metadata": {"finalizers": ["modelops.dev/test"]}}, case.namespace)
    case.kube.delete("Model", "m", case.namespace)
    case.kube.delete("ModelRollout", rollout, case.namespace)
    for kind, name in held[:2]:
        found = case.until(lambda k=kind, n=name: (o := case.get(k, n))["metadata"].get("deletionTimestamp") and o, f"{kind} {name} is on its way out")
        assert judge.verdict(found)[0] == "Terminating"
    # While it serves, admission keeps it.
    case.kube.patch("Model", "m", {"metadata": {"finalizers": None}}, case.namespace)
    case.until(lambda: "deletionTimestamp" in case.kube.delete("ModelVersion", "m-v2", case.namespace)["metadata"], "the version may go")
    assert judge.verdict(case.get("ModelVersion", "m-v2"))[0] == "Terminating"
    for kind, name in held[1:]:
        case.kube.patch(kind, name, {"metadata": {"finalizers": None}}, case.namespace)


# ---- kubectl wait

def wait(case, what, condition, timeout="60s"):
    return case.kubectl("wait", f"--for=condition={condition}", what, f"--timeout={timeout}")


def test_kubectl_waits_for_each_condition(case):
    case.version("m-v1")
    case.model(version="m-v1")
    for word in ("Ready", "Available", "Reconciling=false", "Stalled=false"):
        wait(case, "model/m", word)
    for word in ("Ready", "Reconciling=false", "Stalled=false"):
        wait(case, "mver/m-v1", word)
    case.version("m-v2")
    case.model(version="m-v2", steps=[{"weight": 50}, {"pause": {}}, {"gates": ["accuracy"]}], gates=[gate(query="vector(0)", min="1", count=1)])
    second = f"mro/{case.rollout_of('m-v2')}"
    for word in ("Ready=false", "Reconciling", "Available"):
        wait(case, "model/m", word)
    for word in ("Ready=false", "Reconciling", "Complete=false", "Succeeded=false", "Stalled=false"):
        wait(case, second, word)
    case.phase(second.removeprefix("mro/"), "Paused")
    case.steer(second.removeprefix("mro/"), "Running")
    for word in ("Complete", "Succeeded=false", "Stalled", "Reconciling=false", "Ready=false"):
        wait(case, second, word)
    for word in ("Stalled", "Ready=false", "Reconciling=false", "Available"):
        wait(case, "model/m", word)
    for word in ("Stalled", "Ready=false"):
        wait(case, "mver/m-v2", word)
    assert wait_fails(case, second, "Succeeded")
    case.rollout("third", "m-v2", desiredState="Promoted")
    for word in ("Ready", "Complete", "Succeeded", "Reconciling=false", "Stalled=false"):
        wait(case, "mro/third", word)
    wait(case, "model/m", "Ready")


def wait_fails(case, what, condition):
    return case.kubectl("wait", f"--for=condition={condition}", what, "--timeout=1s", check=False).returncode == 1


# ---- Argo CD's actions

def test_argo_cd_steers_a_rollout(case):
    steps = [{"weight": 50}, {"pause": {}}, {"weight": 60}, {"pause": {"duration": "1h"}}]
    rollout = canary(case, steps)

    def current():
        return case.get("ModelRollout", rollout)

    def offers(*wanted):
        assert judge.offered(current()) == set(wanted)
    case.phase(rollout, "Paused")
    offers("pause", "resume", "promote", "abort")
    judge.act(case.kube, current(), "resume")
    case.at_step(rollout, 4)
    judge.act(case.kube, current(), "pause")
    case.phase(rollout, "Paused")
    offers("resume", "promote", "abort")
    judge.act(case.kube, current(), "abort")
    case.phase(rollout, "Aborted")
    offers("retry")
    again = judge.act(case.kube, current(), "retry")["metadata"]["name"]
    case.phase(again, "Paused")
    first, rollout = rollout, again
    judge.act(case.kube, current(), "promote")
    case.phase(rollout, "Succeeded")
    offers()
    case.ready(version="m-v2")
    assert case.mro(first)["phase"] == "Aborted"


def test_resuming_twice_ends_two_pauses(case):
    rollout = canary(case, [{"pause": {}}, {"weight": 50}, {"pause": {}}])
    for index in (1, 3):
        case.until(lambda i=index: case.mro(rollout)["phase"] == "Paused" and case.mro(rollout)["step"]["index"] == i, f"paused at step {index}")
        judge.act(case.kube, case.get("ModelRollout", rollout), "resume")
    case.phase(rollout, "Succeeded")


# ---- Argo CD's settings

def test_argo_cds_settings_are_merged_into_what_there_is(case):
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/name": "argocd-cm"}},
              "data": {"url": "https://argocd.example.com", "resource.customizations.health.example.com_Other": "return {}"}}
    case.kube.apply(theirs, case.namespace, manager="argocd-installer")
    ours = judge.settings_of_argocd()
    body = {**theirs, "metadata": {"name": "argocd-cm", "labels": {"app.kubernetes.io/part-of": "argocd"}}, "data": ours}
    case.kube.apply(body, case.namespace, force=False)
    merged = case.get("ConfigMap", "argocd-cm")
    assert merged["data"] == {**theirs["data"], **ours}
    assert merged["metadata"]["labels"] == {"app.kubernetes.io/name": "argocd-cm", "app.kubernetes.io/part-of": "argocd"}


def test_argo_cds_settings_as_a_patch_in_git(case, tmp_path):
    (tmp_path / "modelops.yaml").write_text(yaml.safe_dump(case.kube.render("manifests/argocd")[0]))
    (tmp_path / "argocd-cm.yaml").write_text(yaml.safe_dump(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd"}, "data": {"url": "https://argocd.example.com"}}))
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["argocd-cm.yaml"], "patches": [{"path": "modelops.yaml"}]}))
    rendered = yaml.safe_load(case.kubectl("kustomize", str(tmp_path)))
    assert rendered["data"] == {"url": "https://argocd.example.com", **judge.settings_of_argocd()}


def test_no_script_needs_what_argo_cd_does_not_have(case):
    """Each is run on an object of which nothing is known yet."""
    for kind in ("Model", "ModelVersion", "ModelRollout", "TrainingRun", "ModelRuntime", "ModelGateSet", "ClusterModelGateSet", "ModelPolicy", "ModelApproval", "ModelAudit"):
        bare = {"apiVersion": "modelops.dev/v1alpha1", "kind": kind, "metadata": {"name": "m", "namespace": "n", "generation": 1},
                "spec": {"modelRef": {"name": "m"}, "version": "v"}}
        for extra in ({}, {"status": {}}, {"status": {"conditions": [], "observedGeneration": 1}}):
            assert judge.verdict({**bare, **extra})[1] in ("Healthy", "Progressing")
    assert judge.offered(bare | {"kind": "ModelRollout"}) == {"pause", "promote", "abort"}


# ---- the example repository

@pytest.mark.parametrize("folder", ["operator", "models/staging", "models/production"])
def test_the_example_repository_is_accepted(case, folder):
    documents = case.kube.render(f"{EXAMPLE}/{folder}")
    assert documents
    for document in documents:
        if document["kind"] in ("Namespace", "CustomResourceDefinition"):
            continue
        if case.kube.is_namespaced(document["kind"]):
            document["metadata"]["namespace"] = case.namespace
        case.kube.apply(document, manager="test-gitops", dry_run=True)


def test_the_example_repository_serves(case):
    """Staging is ahead; what production pins serves, and promoting is changing one line."""
    def pinned(environment):
        return next(d for d in case.kube.render(f"{EXAMPLE}/models/{environment}") if d["kind"] == "Model")["spec"]["version"]
    assert (pinned("staging"), pinned("production")) == ("fraud-v2", "fraud-v1")
    for document in case.kube.render(f"{EXAMPLE}/models/production"):
        if document["kind"] != "Namespace":
            document["metadata"]["namespace"] = case.namespace
            case.kube.apply(document)
    case.ready("fraud", "fraud-v1")
    assert judge.verdict(case.get("Model", "fraud"))[:2] == ("Current", "Healthy")


def test_the_example_repository_leads_where_it_says():
    """The paths of the Applications and the Kustomizations are there."""
    for file in ("argocd/applications.yaml", "flux/sync.yaml"):
        documents = list(yaml.safe_load_all((REPO / EXAMPLE / file).read_text()))
        paths = [d["spec"]["source"]["path"] if d["kind"] == "Application" else d["spec"]["path"]
                 for d in documents if d["kind"] in ("Application", "Kustomization")]
        assert len(paths) == 3
        for path in paths:
            assert (REPO / EXAMPLE / path / "kustomization.yaml").exists(), path
