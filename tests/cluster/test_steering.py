"""How people steer a rollout: pause, resume, abort, promote, and a change of mind."""

import pytest

from case import condition, conditions, gate
from history import History


def begin(case, steps, gates=(), replicas=2, content=None, **rollout):
    case.serve("m-v1", replicas=replicas)
    case.version("m-v2", content)
    case.model(version="m-v2", replicas=replicas, steps=steps, gates=list(gates) or None, rollout=rollout)
    return case.rollout_of("m-v2")


def test_pause_and_resume_by_desired_state(case):
    rollout = begin(case, [{"weight": 50}, {"pause": {"duration": "2s"}}, {"weight": 80}])
    case.steer(rollout, "Paused")
    case.phase(rollout, "Paused")
    where = case.mro(rollout)["step"]["index"]
    model = case.until(lambda: case.status()["phase"] == "Paused" and case.get(), "the Model is Paused")
    assert condition(model, "Ready")["reason"] == "RolloutPaused" and conditions(model)["Reconciling"] == "True"
    case.looked_again(3)
    assert case.mro(rollout)["step"]["index"] == where and case.mro(rollout)["phase"] == "Paused"
    case.steer(rollout, "Running")
    case.phase(rollout, "Succeeded")
    case.ready(version="m-v2")
    case.until(lambda: case.events(rollout, "RolloutPaused") and case.events(rollout, "RolloutResumed"), "Events of both")


def test_an_empty_pause_waits_for_a_person(case):
    rollout = begin(case, [{"weight": 50}, {"pause": {}}])
    case.phase(rollout, "Paused")
    case.served_by({"m-v1": 1, "m-v2": 1})
    assert "kubectl model resume m" in case.mro(rollout)["message"] and "Promoted" in case.mro(rollout)["message"]
    case.resume(rollout)
    case.phase(rollout, "Succeeded")


# Where the abort comes: steps, gates, what of the candidate, how it is known that the rollout is there.
PLACES = {
    "before the first weight, in gates": ([{"gates": ["accuracy"]}, {"weight": 50}], None, {}, lambda s: s["gates"][0]["inconclusive"] >= 1),
    "before the first weight, in a pause": ([{"pause": {}}, {"weight": 50}], None, {}, lambda s: s["phase"] == "Paused"),
    "waiting for pods": ([{"weight": 50}], "unready", {}, lambda s: "waiting for m-v2" in s["message"] and "0/1" in s["message"]),
    "in a pause at a weight": ([{"weight": 50}, {"pause": {"duration": "1h"}}], None, {}, lambda s: s["step"]["index"] == 2),
    "in an endless pause": ([{"weight": 50}, {"pause": {}}], None, {}, lambda s: s["phase"] == "Paused"),
    "in gates at a weight": ([{"weight": 50}, {"gates": ["accuracy"]}], None, {}, lambda s: s["gates"][0]["inconclusive"] >= 1),
    "after a failure that paused": ([{"weight": 50}, {"gates": ["failing"]}], None, {"onFailure": "Pause"}, lambda s: s["phase"] == "Paused"),
}


@pytest.mark.parametrize("place", PLACES)
def test_abort(case, place):
    """Rule 1: at any step, in any phase."""
    steps, content, policy, arrived = PLACES[place]
    case.serve("m-v1")
    case.version("m-v2", content)
    with History(case.kube, case.namespace) as history:
        wanted = case.model(version="m-v2", steps=steps, rollout=policy,
                            gates=[gate(min="0.9", onInconclusive="Wait"), gate("failing", query="vector(0)", min="1")])
        rollout = case.rollout_of("m-v2")
        case.until(lambda: arrived(case.mro(rollout)), f"the rollout is {place}")
        assert_aborted(case, rollout, wanted)
    history.check("m", "m-v1", "m-v2", 2)


def assert_aborted(case, rollout, wanted):
    case.steer(rollout, "Aborted")
    case.phase(rollout, "Aborted")
    case.served_by({"m-v1": 2})
    case.until(lambda: condition(case.get(), "Ready")["reason"] == "RolloutAborted" and conditions(case.get())["Available"] == "True",
               "the Model says that it was aborted, and is Available")
    model = case.get()
    assert conditions(model)["Ready"] == "False" and conditions(model)["Reconciling"] == "False"
    assert model["spec"] == wanted["spec"] and model["metadata"]["generation"] == wanted["metadata"]["generation"]
    assert model["status"]["stableVersion"] == "m-v1" and model["status"]["traffic"] == [{"version": "m-v1", "weight": 100}]
    case.until(lambda: case.find("Deployment", "m-v2") is None, "the candidate's Deployment is gone")
    case.looked_again(2)
    assert [r["metadata"]["name"] for r in case.all("ModelRollout")] == [rollout]
    found = case.get("ModelRollout", rollout)
    assert conditions(found)["Complete"] == "True" and conditions(found)["Succeeded"] == "False"
    assert found["status"]["weights"] == {"stable": 100, "candidate": 0}


def test_abort_while_paused_by_desired_state(case):
    case.serve("m-v1")
    case.version("m-v2")
    wanted = case.model(version="m-v2", steps=[{"weight": 50}, {"pause": {"duration": "1h"}}])
    rollout = case.rollout_of("m-v2")
    case.at_step(rollout, 2)
    case.steer(rollout, "Paused")
    case.phase(rollout, "Paused")
    assert_aborted(case, rollout, wanted)


def test_promote_skips_what_is_left(case):
    case.serve("m-v1", replicas=2)
    case.version("m-v2")
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", steps=[{"weight": 50}, {"pause": {"duration": "1h"}}, {"gates": ["accuracy"]}], gates=[gate(min="0.9")])
        rollout = case.rollout_of("m-v2")
        case.at_step(rollout, 2)
        case.steer(rollout, "Promoted")
        case.phase(rollout, "Succeeded")
        case.ready(version="m-v2")
    history.check("m", "m-v1", "m-v2", 2)
    assert case.mro(rollout).get("gates", []) == []
    case.served_by({"m-v2": 2})


def test_promoting_an_unready_candidate_still_waits_for_its_pods(case):
    """Rule 5 is for promotions too."""
    rollout = begin(case, [{"weight": 50}], content="unready", progressDeadlineSeconds=4)
    case.until(lambda: "waiting for m-v2" in case.mro(rollout)["message"], "it waits for pods")
    case.steer(rollout, "Promoted")
    case.phase(rollout, "RolledBack")
    assert case.endpoints() == {"m-v1": 2}


def test_a_newer_version_supersedes(case):
    """Rule 3."""
    case.serve("m-v1")
    case.version("m-v2")
    case.version("m-v3")
    steps = [{"weight": 50}, {"pause": {"duration": "1h"}}]
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", steps=steps)
        second = case.rollout_of("m-v2")
        case.at_step(second, 2)
        case.model(version="m-v3", steps=steps)
        third = case.rollout_of("m-v3")
        case.phase(second, "Superseded")
        case.at_step(third, 2)
        case.served_by({"m-v1": 1, "m-v3": 1})
        case.steer(third, "Promoted")
        case.ready(version="m-v3")
    for share in history.shares("m"):
        assert not {"m-v2", "m-v3"} <= set(share), f"two candidates had traffic at once: {share}"
    assert case.mro(third)["fromVersion"] == "m-v1"
    assert conditions(case.get("ModelRollout", second))["Complete"] == "True"
    case.until(lambda: case.find("Deployment", "m-v2") is None, "nothing of m-v2 is left")
    assert case.status("ModelVersion", "m-v2")["phase"] == "Registered"


def test_reverting_the_spec_ends_a_rollout_at_once(case):
    """Rule 3: no analysis on the way back."""
    case.serve("m-v1")
    case.version("m-v2")
    steps = [{"weight": 50}, {"pause": {"duration": "1h"}}, {"gates": ["accuracy"]}]
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", steps=steps, gates=[gate(min="0.9")])
        rollout = case.rollout_of("m-v2")
        case.at_step(rollout, 2)
        case.move("m-v1")
        case.phase(rollout, "Superseded")
        model = case.ready(version="m-v1")
        case.served_by({"m-v1": 2})
    history.check("m", "m-v1", "m-v2", 2)
    assert model["status"]["phase"] == "Ready" and len(case.all("ModelRollout")) == 1


def test_reverting_after_a_rollback_mends_the_model(case):
    case.metrics.set("accuracy", "0.1", version="m-v2")
    begin(case, [{"weight": 50}, {"gates": ["accuracy"]}], [gate(min="0.9")])
    case.stalled("RolledBack")
    case.move("m-v1")
    model = case.ready(version="m-v1")
    assert conditions(model) == {"Ready": "True", "Reconciling": "False", "Stalled": "False", "Available": "True"}
