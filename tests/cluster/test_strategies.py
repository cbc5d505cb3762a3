"""What people rely on in any tool for rollouts: whenever they abort, it is over and may be tried again; what watches, watches; what is only tried, harms nobody."""

import time

import pytest

from case import condition, gate

NEVER_READY = {"content": "unready"}
HELD = {
    "before any traffic": {"steps": [{"gates": ["accuracy"]}, {"weight": 50}]},
    "waiting for pods": {"steps": [{"weight": 50}], "v2": NEVER_READY},
    "in a pause": {"steps": [{"weight": 50}, {"pause": {"duration": "1h"}}]},
    "waiting for a person": {"steps": [{"weight": 50}, {"pause": {}}]},
    "measuring": {"steps": [{"weight": 50}, {"gates": ["accuracy"]}]},
    "paused, since a gate is inconclusive": {"steps": [{"weight": 50}, {"gates": ["strict"]}]},
    "baking": {"steps": [{"weight": 50}], "rollout": {"bake": {"duration": "1h"}}},
    "blue-green, before the switch": {"steps": [{"pause": {}}, {"weight": 100}], "rollout": {"strategy": "BlueGreen"}},
    "blue-green, after the switch": {"steps": [{"weight": 100}, {"pause": {}}], "rollout": {"strategy": "BlueGreen"}},
    "recreated": {"steps": [{"weight": 100}, {"pause": {}}], "rollout": {"strategy": "Recreate"}},
}
REACHED = {"before any traffic": lambda s: "measuring" in s["message"], "waiting for pods": lambda s: "0/1 pods ready" in s["message"],
           "in a pause": lambda s: s["step"]["index"] == 2, "measuring": lambda s: "measuring" in s["message"], "baking": lambda s: s["phase"] == "Baking"}


def start(case, steps, gates=(), rollout=None, v2=None, replicas=2):
    """m-v1 serves, then the spec asks for m-v2. The ModelRollout's name."""
    spec = {"steps": steps, "gates": list(gates), "rollout": rollout, "replicas": replicas}
    case.serve("m-v1", **spec)
    case.version("m-v2", **(v2 or {}))
    case.model(version="m-v2", **spec)
    return case.rollout_of("m-v2")


@pytest.mark.parametrize("where", HELD)
def test_an_abort_wins_everywhere_and_what_was_aborted_can_be_tried_again(case, where):
    gates = [gate(min="0.9", onInconclusive="Wait"), gate("strict", min="0.9")]
    rollout = start(case, gates=gates, **HELD[where])
    reached = REACHED.get(where, lambda s: s["phase"] == "Paused")
    case.until(lambda: reached(case.mro(rollout)), where)
    case.steer(rollout, "Aborted")
    case.phase(rollout, "Aborted")
    case.stalled("RolloutAborted")
    case.served_by({"m-v1": 2})
    case.until(lambda: condition(case.get(), "Available")["status"] == "True", "status has seen that m-v1 serves again")
    assert case.status()["stableVersion"] == "m-v1"
    if "v2" in HELD[where]:
        return   # nobody makes it ready
    case.rollout("again", "m-v2", desiredState="Promoted")
    case.phase("again", "Succeeded")
    case.served_by({"m-v2": 2})


def test_a_deadline_that_passes_while_it_is_paused_does_not_end_the_pause(case):
    rollout = start(case, [{"weight": 50}], rollout={"progressDeadlineSeconds": 5}, v2=NEVER_READY)
    case.steer(rollout, "Paused")
    case.phase(rollout, "Paused")
    paused = time.monotonic()
    case.until(lambda: time.monotonic() > paused + 6, "the deadline is over")
    case.looked_again()
    assert case.mro(rollout)["phase"] == "Paused"
    case.steer(rollout, "Running")
    case.phase(rollout, "RolledBack")   # its clock goes on
    assert "not ready within" in case.mro(rollout)["message"]


def test_a_background_gate_that_fails_ends_whatever_step_there_is(case):
    case.metrics.set("accuracy", "0.95", version="m-v2")
    rollout = start(case, [{"background": ["accuracy"]}, {"weight": 50}, {"pause": {}}, {"weight": 75}], [gate(min="0.9")])
    case.phase(rollout, "Paused")
    case.until(lambda: case.mro(rollout)["gates"][0]["passed"] >= 2, "it is watched")
    assert case.mro(rollout)["step"]["index"] == 3
    case.metrics.set("accuracy", "0.5", version="m-v2")
    case.phase(rollout, "RolledBack")
    assert "0.5 is below min 0.9" in case.stalled("RolledBack")["status"]["message"]
    case.served_by({"m-v1": 2})


def test_a_dry_run_that_fails_says_so_and_promotes(case):
    case.metrics.set("accuracy", "0.5", version="m-v2")
    rollout = start(case, [{"gates": ["accuracy"]}, {"weight": 50}, {"gates": ["accuracy"]}], [gate(min="0.9", dryRun=True)])
    case.phase(rollout, "Succeeded")
    case.ready(version="m-v2")
    told = case.mro(rollout)["gates"][0]
    assert told["verdict"] == "Failed" and "0.5 is below min 0.9" in told["message"]
    assert any("dryRun is true" in note for note in case.until(lambda: case.events(rollout, "GateWouldHold"), "an Event says what would have happened"))


@pytest.mark.parametrize("recall, phase", [("0.95", "Succeeded"), ("0.5", "RolledBack")])
def test_blue_green_is_tried_before_and_after_the_switch(case, recall, phase):
    """The preview has its full size and no callers; after the switch the old version keeps its pods until the new one has passed again."""
    gates = [gate(name, min="0.9", onInconclusive="Wait") for name in ("accuracy", "recall")]
    rollout = start(case, [{"gates": ["accuracy"]}, {"weight": 100}, {"gates": ["recall"]}], gates, {"strategy": "BlueGreen"})
    case.served_by({"m-v2": 2}, "m-candidate")
    assert case.endpoints() == {"m-v1": 2}
    case.metrics.set("accuracy", "0.95", version="m-v2")
    case.served_by({"m-v2": 2})
    assert case.get("Deployment", "m-v1")["status"]["readyReplicas"] == 2
    case.metrics.set("recall", recall, version="m-v2")
    case.phase(rollout, phase)
    case.served_by({"m-v2": 2} if phase == "Succeeded" else {"m-v1": 2})
    assert [g["verdict"] for g in case.mro(rollout)["gates"]] == ["Passed", "Passed" if phase == "Succeeded" else "Failed"]


def test_the_candidates_pods_are_those_that_serve_after_its_promotion(case):
    rollout = start(case, [{"weight": 50}, {"pause": {}}], replicas=4)
    case.phase(rollout, "Paused")
    case.served_by({"m-v1": 2, "m-v2": 2})

    def pods():
        return {p["metadata"]["uid"] for p in case.all("Pod", {"modelops.dev/version": "m-v2"})}
    before = pods()
    assert len(before) == 2
    case.steer(rollout, "Running")
    case.phase(rollout, "Succeeded")
    case.ready(version="m-v2")
    case.served_by({"m-v2": 4})
    assert before < pods()


def test_the_failure_of_one_model_touches_nothing_of_another(case):
    case.serve("other-v1", name="other", replicas=1)
    kinds = ("Model", "ModelVersion", "Deployment", "Service", "Pod", "ModelRollout")

    def others():
        return {(kind, found["metadata"]["name"]): found["metadata"]["resourceVersion"] for kind in kinds for found in case.all(kind)
                if found["metadata"]["name"].startswith("other")}
    case.until(lambda: case.status("ModelVersion", "other-v1").get("phase") == "Serving", "other-v1 serves")
    case.looked_again(name="other")
    before = others()
    case.metrics.set("accuracy", "0.5", version="m-v2")
    rollout = start(case, [{"weight": 50}, {"gates": ["accuracy"]}], [gate(min="0.9")])
    case.phase(rollout, "RolledBack")
    case.stalled("RolledBack")
    assert others() == before and len(before) >= 5, (before, others())
