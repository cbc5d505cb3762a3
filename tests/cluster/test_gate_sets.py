"""Gates that Models share: ModelGateSets of a namespace, ClusterModelGateSets of all."""

import contextlib

import pytest

from case import API, condition, conditions, gate

PASSES, FAILS = "vector(1)", "vector(0)"


def gate_set(case, name, *gates, kind="ModelGateSet"):
    body = {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": {"description": "Shared by tests", "gates": list(gates)}}
    return case.kube.apply(body, case.namespace if kind == "ModelGateSet" else None)


@contextlib.contextmanager
def cluster_gate_set(case, *gates):
    """Its name, which no other test has."""
    name = f"org-{case.namespace}"
    try:
        gate_set(case, name, *gates, kind="ClusterModelGateSet")
        yield name
    finally:
        case.kube.delete("ClusterModelGateSet", name)


def ask_for_v2(case, *sets, steps=({"gates": ["accuracy"]}, {"weight": 50}), **rollout):
    """m-v1 serves, then m-v2 is asked for. The ModelRollout's name."""
    case.serve("m-v1")
    case.version("m-v2")
    case.model(version="m-v2", steps=list(steps), rollout={"gateSets": [s if isinstance(s, dict) else {"name": s} for s in sets], **rollout})
    return case.rollout_of("m-v2")


def assert_waits(case, rollout, reason, words):
    found = case.stalled(reason, rollout, "ModelRollout")
    assert found["status"]["phase"] == "Pending" and words in found["status"]["message"]
    model = case.stalled(reason)
    assert words in model["status"]["message"] and conditions(model)["Available"] == "True"
    assert case.endpoints() == {"m-v1": 2} and not case.find("Deployment", "m-v2")


def test_a_missing_gate_set_is_waited_for(case):
    rollout = ask_for_v2(case, "shared")
    assert_waits(case, rollout, "GateSetNotFound", "ModelGateSet shared does not exist")
    case.looked_again(2)
    assert_waits(case, rollout, "GateSetNotFound", "create it")
    gate_set(case, "shared", gate(query=PASSES, min="0.9"), gate("unused", query=PASSES, min="0.9"))
    case.phase(rollout, "Succeeded")
    case.ready(version="m-v2")
    status = case.mro(rollout)
    assert [g["name"] for g in status["policy"]["gates"]] == ["accuracy"] and status["policy"]["gateSets"] == [{"name": "shared", "kind": "ModelGateSet"}]
    assert status["gates"][0]["verdict"] == "Passed" and conditions(case.get("ModelRollout", rollout))["Stalled"] == "False"
    assert "Shared by tests" in case.kubectl("get", "mgs", "shared")


def test_a_cluster_wide_gate_set_and_own_gates_win(case):
    with cluster_gate_set(case, gate(query=FAILS, min="0.9"), gate("extra", query=PASSES, min="0.9")) as name:
        rollout = ask_for_v2(case, {"name": name, "kind": "ClusterModelGateSet"}, steps=[{"gates": ["accuracy", "extra"]}], gates=[gate(query=PASSES, min="0.9")])
        case.phase(rollout, "Succeeded")
        assert {g["name"]: g["value"] for g in case.mro(rollout)["gates"]} == {"accuracy": "1", "extra": "1"}
        assert "Shared by tests" in case.kubectl("get", "cmgs", name)


def test_of_two_sets_the_first_wins(case):
    gate_set(case, "team", gate(query=FAILS, min="0.9"))
    gate_set(case, "company", gate(query=PASSES, min="0.9"))
    rollout = ask_for_v2(case, "team", "company")
    case.phase(rollout, "RolledBack")
    assert "0 is below min 0.9" in case.mro(rollout)["message"]


def test_a_name_that_no_set_defines(case):
    gate_set(case, "shared", gate("accurracy", query=PASSES, min="0.9"))
    rollout = ask_for_v2(case, "shared")
    assert_waits(case, rollout, "GateUndefined", "step 1 names gate accuracy, which neither rollout.gates nor ModelGateSet shared defines")
    gate_set(case, "shared", gate(query=PASSES, min="0.9"))
    case.phase(rollout, "Succeeded")


@pytest.mark.parametrize("deleted", [False, True], ids=["changed", "deleted"])
def test_a_rollout_under_way_keeps_the_gates_it_started_with(case, deleted):
    gate_set(case, "shared", gate(query=PASSES, min="0.9"))
    rollout = ask_for_v2(case, "shared", steps=[{"weight": 50}, {"pause": {}}, {"gates": ["accuracy"]}])
    case.phase(rollout, "Paused")
    if deleted:
        case.kube.delete("ModelGateSet", "shared", case.namespace)
    else:
        gate_set(case, "shared", gate(query=PASSES, min="1.1"))
    case.looked_again(2)
    assert case.mro(rollout)["phase"] == "Paused" and conditions(case.get())["Stalled"] == "False"
    case.steer(rollout, "Running")
    case.phase(rollout, "Succeeded")
    case.ready(version="m-v2")


def test_an_abort_wins_while_a_gate_set_is_missing(case):
    rollout = ask_for_v2(case, "shared")
    assert_waits(case, rollout, "GateSetNotFound", "shared")
    case.steer(rollout, "Aborted")
    case.phase(rollout, "Aborted")
    assert condition(case.stalled("RolloutAborted"), "Available")["status"] == "True"
    assert case.endpoints() == {"m-v1": 2}


def test_a_first_version_waits_for_its_gates_too(case):
    case.version("m-v1", metrics={"f1": "0.95"})
    case.model(version="m-v1", steps=[{"gates": ["recorded"]}], rollout={"gateSets": [{"name": "shared"}]})
    case.stalled("GateSetNotFound")
    assert not case.all("Deployment")
    gate_set(case, "shared", {"name": "recorded", "version": {"metric": "f1"}, "min": "0.9"})
    case.ready(version="m-v1")
    assert case.mro(case.rollout_of("m-v1"))["gates"][0]["value"] == "0.95"


def test_a_retried_version_takes_the_set_as_it_is_then(case):
    gate_set(case, "shared", gate(query=FAILS, min="0.9"))
    rollout = ask_for_v2(case, "shared")
    case.phase(rollout, "RolledBack")
    gate_set(case, "shared", gate(query=PASSES, min="0.9"))
    case.looked_again(2)
    assert [r["metadata"]["name"] for r in case.all("ModelRollout")] == [rollout]  # a set that changes tries nothing again
    case.rollout("again", "m-v2")
    case.phase("again", "Succeeded")


# ---- an operator with a Role's rights

def test_in_one_namespace_sets_of_the_cluster_are_not_to_be_seen(private):
    case = private
    gate_set(case, "shared", gate(query=PASSES, min="0.9"))
    with cluster_gate_set(case, gate("extra", query=PASSES, min="0.9")) as name:
        rollout = ask_for_v2(case, "shared", {"name": name, "kind": "ClusterModelGateSet"}, steps=[{"gates": ["accuracy", "extra"]}])
        assert_waits(case, rollout, "GateSetForbidden", f"may not read ClusterModelGateSet {name}: put its gates into a ModelGateSet")
        account = {"kind": "ServiceAccount", "name": "model-operator", "namespace": case.namespace}
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
        try:
            case.kube.apply({**role, "kind": "ClusterRole",
                             "rules": [{"apiGroups": ["modelops.dev"], "resources": ["clustermodelgatesets"], "verbs": ["get", "list", "watch"]}]})
            case.kube.apply({**role, "kind": "ClusterRoleBinding", "subjects": [account],
                             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}})
            case.phase(rollout, "Succeeded", timeout=120)  # it asks again every half minute
        finally:
            for kind in ("ClusterRoleBinding", "ClusterRole"):
                case.kube.delete(kind, name)
