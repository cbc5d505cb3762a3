"""ModelRollouts that people and pipelines write."""

from case import condition, conditions, gate
from history import History


def test_a_second_rollout_waits_and_says_for_whom(case):
    """Rule 4."""
    case.serve("m-v1", replicas=1, steps=[{"weight": 50}, {"pause": {}}], track="Promoted")
    case.version("m-v2")
    case.version("m-v3")
    with History(case.kube, case.namespace) as history:
        case.rollout("first", "m-v2")
        case.phase("first", "Paused")
        case.rollout("second", "m-v3")
        waiting = case.until(lambda: "first" in case.mro("second").get("message", "") and case.get("ModelRollout", "second"), "second says that it waits for first")
        assert waiting["status"]["phase"] == "Pending"
        assert case.endpoints() == {"m-v1": 1, "m-v2": 1}
        case.steer("first", "Promoted")
        case.phase("first", "Succeeded")
        case.phase("second", "Paused")
        case.steer("second", "Promoted")
        case.ready(version="m-v3")
    assert history.phases("second")[0] == "Pending" and case.mro("second")["fromVersion"] == "m-v2"


def test_a_rollout_to_what_serves_is_named_as_such(case):
    case.serve("m-v1", replicas=1)
    before = case.get()["status"]
    case.rollout("again", "m-v1")
    case.phase("again", "Failed")
    found = case.get("ModelRollout", "again")
    assert "m-v1 already serves" in found["status"]["message"] and conditions(found)["Stalled"] == "True"
    assert case.ready()["status"]["stableVersion"] == before["stableVersion"]


def test_a_rollout_to_a_missing_version_waits_for_it(case):
    case.serve("m-v1", replicas=1, track="Promoted")
    case.rollout("early", "m-v2")
    found = case.stalled("VersionNotFound", "early", "ModelRollout")
    assert found["status"]["phase"] == "Pending" and "m-v2" in found["status"]["message"]
    # It holds nobody up meanwhile.
    case.version("m-v3")
    case.rollout("other", "m-v3")
    case.phase("other", "Succeeded")
    case.version("m-v2")
    case.phase("early", "Succeeded", "Superseded")


def test_a_rollout_to_a_version_of_another_model_is_refused(case):
    case.serve("m-v1", replicas=1)
    case.version("other-v1", model="other")
    case.rollout("wrong", "other-v1")
    found = case.stalled("VersionOfAnotherModel", "wrong", "ModelRollout")
    assert "Model other" in found["status"]["message"]
    case.looked_again(2)
    assert case.endpoints() == {"m-v1": 1}


def test_a_rollout_for_a_missing_model_waits_for_it(case):
    case.version("m-v1")
    case.rollout("early", "m-v1")
    found = case.stalled("ModelNotFound", "early", "ModelRollout")
    assert "Model m" in found["status"]["message"]
    case.model(replicas=1)
    case.ready(version="m-v1")
    case.phase("early", "Succeeded")


def test_a_persons_rollout_overrides_the_spec_until_it_agrees(case):
    """Rule 8."""
    case.serve("m-v1", replicas=1)
    case.version("m-v2")
    case.rollout("hotfix", "m-v2")
    case.phase("hotfix", "Succeeded")
    model = case.stalled("Overridden")
    assert condition(model, "Ready")["reason"] == "Overridden" and condition(model, "Ready")["status"] == "False"
    assert conditions(model)["Available"] == "True" and model["status"]["stableVersion"] == "m-v2"
    assert model["spec"]["version"] == "m-v1" and "hotfix" in model["status"]["message"]
    case.served_by({"m-v2": 1})
    case.looked_again(2)
    assert case.endpoints() == {"m-v2": 1}
    case.move("m-v2")
    case.ready(version="m-v2")
    assert len(case.all("ModelRollout")) == 1


def test_the_spec_wins_again_when_it_changes_after_an_override(case):
    case.serve("m-v1", replicas=1)
    case.version("m-v2")
    case.version("m-v3")
    case.rollout("hotfix", "m-v2")
    case.stalled("Overridden")
    case.move("m-v3")
    case.ready(version="m-v3")


def test_a_promoted_model_follows_its_rollouts(case):
    case.serve("m-v1", replicas=1, track="Promoted")
    case.version("m-v2")
    case.rollout("next", "m-v2")
    model = case.ready(version="m-v2")
    assert model["spec"]["version"] == "m-v1"


def test_a_failed_version_is_retried_by_a_new_rollout(case):
    case.metrics.set("accuracy", "0.1", version="m-v2")
    case.serve("m-v1", replicas=1)
    case.version("m-v2")
    case.model(version="m-v2", replicas=1, steps=[{"weight": 50}, {"gates": ["accuracy"]}], gates=[gate(min="0.9")])
    case.stalled("RolledBack")
    case.metrics.set("accuracy", "0.95", version="m-v2")
    case.rollout("retry", "m-v2")
    case.phase("retry", "Succeeded")
    case.ready(version="m-v2")


def test_a_rollout_back_to_an_old_version(case):
    case.serve("m-v1", replicas=1)
    case.version("m-v2")
    case.move("m-v2")
    case.ready(version="m-v2")
    case.rollout("back", "m-v1")
    case.phase("back", "Succeeded")
    case.stalled("Overridden")
    case.served_by({"m-v1": 1})


def test_a_rollout_aborted_before_it_starts(case):
    case.serve("m-v1", replicas=1)
    case.version("m-v2")
    case.rollout("never", "m-v2", desiredState="Aborted")
    case.phase("never", "Aborted")
    case.ready(version="m-v1")
    assert case.find("Deployment", "m-v2") is None
