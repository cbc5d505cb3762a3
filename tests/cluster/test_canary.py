"""A new version by steps: weights, gates and what they measure, rollback."""

import pytest

from case import condition, conditions, digest_of, gate
from history import History
from prometheus import query

STEPS = [{"weight": 25}, {"gates": ["accuracy"]}, {"weight": 50}]


def start(case, *gates, steps=None, replicas=2, rollout=None, v2=None, **more):
    """m-v1 serves; then the spec asks for m-v2. The ModelRollout's name."""
    settings = {"steps": steps or [{"weight": 50}, {"gates": ["accuracy"]}], "gates": list(gates), "rollout": rollout, "replicas": replicas, **more}
    case.serve("m-v1", **settings)
    case.version("m-v2", **(v2 or {}))
    case.model(version="m-v2", **settings)
    return case.rollout_of("m-v2")


def test_good_canary_goes_through_its_weights(case):
    """Rules 5 and 6 hold after every event on the way: 0, 10, 50, 100."""
    case.metrics.set("accuracy", "0.95", version="m-v2")
    settings = {"gates": [gate(min="0.92", count=2)], "replicas": 3,
                "steps": [{"weight": 10}, {"pause": {"duration": "1s"}}, {"gates": ["accuracy"]}, {"weight": 50}]}
    case.serve("m-v1", **settings)
    case.version("m-v2")
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", **settings)
        rollout = case.rollout_of("m-v2")
        case.phase(rollout, "Succeeded")
        model = case.ready(version="m-v2")
        case.served_by({"m-v2": 3})
    history.check("m", "m-v1", "m-v2", 3)
    assert history.weights(rollout) == [10, 50, 100]
    shares = history.shares("m")
    assert shares[-1] == {"m-v2": 3}
    assert {"m-v1": 9, "m-v2": 1} in shares and {"m-v1": 2, "m-v2": 2} in shares, shares
    status = case.mro(rollout)
    assert status["fromVersion"] == "m-v1" and status["gates"][0]["verdict"] == "Passed" and status["gates"][0]["value"] == "0.95"
    assert status["finishedAt"] and status["weights"] == {"stable": 0, "candidate": 100}
    assert model["status"]["traffic"] == [{"version": "m-v2", "weight": 100}] and model["status"]["rollout"] == rollout
    case.until(lambda: case.status("ModelVersion", "m-v1")["phase"] == "Superseded" and case.status("ModelVersion", "m-v2")["phase"] == "Serving", "phases of the versions")
    case.until(lambda: case.find("Deployment", "m-v1") is None and case.find("Service", "m-candidate") is None, "nothing of m-v1 is left")
    case.until(lambda: case.events(rollout, "RolloutStarted") and case.events(rollout, "GatePassed") and case.events(rollout, "RolloutSucceeded"), "Events of the way")


def test_no_steps_means_as_soon_as_it_is_ready(case):
    case.serve("m-v1")
    case.version("m-v2")
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2")
        case.ready(version="m-v2")
    history.check("m", "m-v1", "m-v2", 2)
    assert history.shares("m")[-1] == {"m-v2": 2}


def test_failed_gate_rolls_back_and_is_not_tried_again_until_somebody_asks(case):
    """Rules 1 and 2."""
    case.metrics.set("accuracy", "0.85", version="m-v2")
    case.serve("m-v1", gates=[gate(min="0.92")], steps=STEPS, replicas=2)
    case.version("m-v2")
    with History(case.kube, case.namespace) as history:
        wanted = case.model(version="m-v2", gates=[gate(min="0.92")], steps=STEPS, replicas=2)
        rollout = case.rollout_of("m-v2")
        model = case.stalled("RolledBack")
        case.phase(rollout, "RolledBack")
        case.served_by({"m-v1": 2})
        # The same spec again, and more looks: nothing is tried anew.
        case.looked_again(3)
    history.check("m", "m-v1", "m-v2", 2)
    model = case.get()
    assert model["metadata"]["generation"] == wanted["metadata"]["generation"] and model["spec"] == wanted["spec"]
    assert model["status"]["phase"] == "Degraded" and model["status"]["stableVersion"] == "m-v1"
    assert conditions(model) == {"Ready": "False", "Reconciling": "False", "Stalled": "True", "Available": "True"}
    assert condition(model, "Ready")["reason"] == condition(model, "Stalled")["reason"] == "RolledBack"
    for word in ("accuracy", "0.85", "0.92"):
        assert word in model["status"]["message"]
    assert [r["metadata"]["name"] for r in case.all("ModelRollout")] == [rollout]
    rolled_back = case.get("ModelRollout", rollout)
    assert conditions(rolled_back)["Complete"] == "True" and conditions(rolled_back)["Succeeded"] == "False"
    assert rolled_back["status"]["gates"][0] | {"verdict": "Failed", "value": "0.85"} == rolled_back["status"]["gates"][0]
    case.until(lambda: case.status("ModelVersion", "m-v2")["phase"] == "Rejected", "m-v2 is Rejected")
    # Another way there is no wish for something else: who wants it asks by name.
    case.model(version="m-v2", gates=[gate(min="0.8")], steps=STEPS, replicas=2)
    case.until(lambda: "spec.rollout has changed since" in case.status()["message"], "the Model says that the gate has changed")
    assert [r["metadata"]["name"] for r in case.all("ModelRollout")] == [rollout]
    again = "once-more"
    case.rollout(again, "m-v2")
    case.phase(again, "Succeeded")
    case.ready(version="m-v2")


def test_recorded_gate_before_the_first_weight_is_decided_without_traffic(case):
    case.serve("m-v1", metrics={"f1": "0.93"})
    case.version("m-v2", metrics={"f1": "0.5"})
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", steps=[{"gates": ["recorded"]}, {"weight": 50}], gates=[{"name": "recorded", "version": {"metric": "f1"}, "min": "0.9"}])
        case.stalled("RolledBack")
    assert history.served("m") == {"m-v1"}


@pytest.mark.parametrize("metric, verdict", [("0.93", "Succeeded"), ("0.90", "RolledBack")])
def test_recorded_metric_versus_stable(case, metric, verdict):
    case.serve("m-v1", metrics={"f1": "0.94"}, replicas=1)
    case.version("m-v2", metrics={"f1": metric})
    case.model(version="m-v2", replicas=1, steps=[{"gates": ["recorded"]}, {"weight": 50}],
               gates=[{"name": "recorded", "version": {"metric": "f1"}, "versusStable": {"maxRegression": "0.02"}}])
    case.phase(case.rollout_of("m-v2"), verdict)


@pytest.mark.parametrize("value, verdict", [("0.949", "Succeeded"), ("0.940", "RolledBack")])
def test_versus_stable(case, value, verdict):
    case.metrics.set("accuracy", "0.95", version="m-v1")
    case.metrics.set("accuracy", value, version="m-v2")
    stable = 'accuracy{namespace="{{namespace}}",version="{{stable}}"}'
    rollout = start(case, gate(min="0.9", versusStable={"query": stable, "maxRegression": "0.005"}), replicas=1)
    case.phase(rollout, verdict)
    measured = case.mro(rollout)["gates"][0]
    assert (measured["value"], measured["stableValue"]) == (str(float(value)), "0.95")
    if verdict == "RolledBack":
        assert "0.95" in measured["message"] and "0.01" in measured["message"] and "m-v1" in measured["message"]


def certain(**bounds):
    of = {name: f'{name}{{namespace="{{{{namespace}}}}",version="{{{{VERSION}}}}"}}' for name in ("accuracy", "seen")}
    return gate(**bounds, onInconclusive="Wait", samples={"query": of["seen"].replace("VERSION", "candidate"), "min": 50}, versusStable={
        "query": of["accuracy"].replace("VERSION", "stable"), "samplesQuery": of["seen"].replace("VERSION", "stable"), "maxRegression": "0.05", "confidence": "0.95"})


@pytest.mark.parametrize("bounds, stable, value, verdict", [
    ({"min": "0.5"}, "0.95", "0.93", "Succeeded"),
    ({"min": "0.5"}, "0.95", "0.87", "RolledBack"),
    ({"max": "0.5"}, "0.05", "0.07", "Succeeded"),
    ({"max": "0.5"}, "0.05", "0.13", "RolledBack"),
], ids=["no less accurate", "less accurate", "no more errors", "more errors"])
def test_versus_stable_at_a_confidence(case, bounds, stable, value, verdict):
    """The same figure decides nothing while few samples are behind it. No figure of stable's samples is no verdict either."""
    case.metrics.set("accuracy", stable, version="m-v1")
    case.metrics.set("accuracy", value, version="m-v2")
    case.metrics.set("seen", 40, version="m-v2")
    rollout = start(case, certain(**bounds), replicas=1)

    def says(words):
        return case.until(lambda: (found := (case.mro(rollout).get("gates") or [{}])[0]) and words in found.get("message", "") and found, f"the gate says: {words}")
    says("40 of 50")
    case.metrics.set("seen", 100, version="m-v2")
    says("m-v1's samples: no data")
    case.metrics.set("seen", 300, version="m-v1")
    undecided = says("(100 and 300 samples), too few samples to decide about maxRegression 0.05")
    assert undecided["verdict"] == "Running" and undecided.get("passed", 0) == undecided.get("failed", 0) == 0 and undecided["stableValue"] == stable
    case.metrics.set("seen", 5000, version="m-v1")
    case.metrics.set("seen", 2000, version="m-v2")
    case.phase(rollout, verdict)
    told = case.mro(rollout)["gates"][0]
    assert told["verdict"] == ("Passed" if verdict == "Succeeded" else "Failed") and "at confidence 0.95" in told["message"], told


def test_no_data_is_neither_a_pass_nor_a_failure(case):
    """Rule 7, with onInconclusive: Pause, the default."""
    rollout = start(case, gate(min="0.9", count=2))
    case.phase(rollout, "Paused")
    measured = case.mro(rollout)["gates"][0]
    assert measured["verdict"] == "Inconclusive" and "no data" in measured["message"] and measured.get("passed", 0) == measured.get("failed", 0) == 0
    model = case.until(lambda: case.status()["phase"] == "Paused" and case.get(), "the Model is Paused")
    assert conditions(model)["Available"] == "True" and conditions(model)["Stalled"] == "False"
    case.served_by({"m-v1": 1, "m-v2": 1})
    # Somebody mends the metric and goes on.
    case.metrics.set("accuracy", "0.97", version="m-v2")
    case.steer(rollout, "Running")
    case.phase(rollout, "Succeeded")


def test_no_data_with_wait_goes_on_measuring(case):
    rollout = start(case, gate(min="0.9", onInconclusive="Wait"))
    case.until(lambda: case.mro(rollout)["gates"][0]["inconclusive"] >= 3, "three measurements without data")
    assert case.mro(rollout)["phase"] == "Progressing" and case.mro(rollout)["gates"][0]["verdict"] == "Running"
    case.metrics.set("accuracy", "0.97", version="m-v2")
    case.phase(rollout, "Succeeded")


def test_no_data_with_fail_rolls_back(case):
    rollout = start(case, gate(min="0.9", onInconclusive="Fail"), replicas=1)
    case.phase(rollout, "RolledBack")
    model = case.stalled("RolledBack")
    assert "no data" in model["status"]["message"] and "accuracy" in model["status"]["message"]


def test_too_few_samples_are_inconclusive(case):
    case.metrics.set("accuracy", "0.97", version="m-v2")
    case.metrics.set("seen", "150", version="m-v2")
    rollout = start(case, gate(min="0.9", samples={"query": 'seen{namespace="{{namespace}}",version="{{candidate}}"}', "min": 200}, onInconclusive="Wait"), replicas=1)
    case.until(lambda: "150 of 200" in case.mro(rollout)["gates"][0]["message"], "the gate says how many samples there are")
    assert case.mro(rollout)["gates"][0].get("passed", 0) == 0
    case.metrics.set("seen", "200", version="m-v2")
    case.phase(rollout, "Succeeded")


def test_a_vector_is_no_number(case):
    case.metrics.set("accuracy", "0.97", version="m-v2", pod="a")
    case.metrics.set("accuracy", "0.99", version="m-v2", pod="b")
    rollout = start(case, gate(min="0.9"), replicas=1)
    case.phase(rollout, "Paused")
    assert "2 series" in case.mro(rollout)["message"] and "aggregate" in case.mro(rollout)["message"]
    assert "2 series" in case.until(lambda: "2 series" in case.status()["message"] and case.status(), "the Model says so")["message"]


def test_nan_is_no_number(case):
    case.metrics.set("accuracy", "NaN", version="m-v2")
    rollout = start(case, gate(max="0.9"), replicas=1)
    case.phase(rollout, "Paused")
    assert "NaN" in case.mro(rollout)["message"]


def test_a_query_that_prometheus_refuses_says_so(case):
    rollout = start(case, gate(query="sum(", min="0.9"), replicas=1)
    case.phase(rollout, "Paused")
    assert "parse error" in case.mro(rollout)["message"]


@pytest.mark.operator("--prometheus-url=http://127.0.0.1:9")
def test_unreachable_prometheus_is_inconclusive(private):
    rollout = start(private, gate(min="0.9"), replicas=1)
    private.phase(rollout, "Paused")
    assert "cannot reach Prometheus" in private.mro(rollout)["message"]
    # The rest of the operator does not wait for it.
    private.version("n-v1", model="n")
    private.model("n", version="n-v1", replicas=1)
    private.ready("n", "n-v1")
    private.steer(rollout, "Promoted")
    private.ready(version="m-v2")


def test_failure_limit_tolerates_single_failures(case):
    case.metrics.set("accuracy", "0.5", version="m-v2")
    rollout = start(case, gate(min="0.9", count=2, failureLimit=30), replicas=1)
    case.until(lambda: case.mro(rollout)["gates"][0]["failed"] >= 2, "two failed measurements")
    assert case.mro(rollout)["phase"] == "Progressing"
    case.metrics.set("accuracy", "0.95", version="m-v2")
    case.phase(rollout, "Succeeded")
    assert case.mro(rollout)["gates"][0]["passed"] == 2


def test_on_failure_pause_then_running_tries_the_step_again(case):
    case.metrics.set("accuracy", "0.5", version="m-v2")
    rollout = start(case, gate(min="0.9"), rollout={"onFailure": "Pause"})
    case.phase(rollout, "Paused")
    assert "0.5" in case.mro(rollout)["message"]
    case.served_by({"m-v1": 1, "m-v2": 1})
    case.metrics.set("accuracy", "0.95", version="m-v2")
    case.steer(rollout, "Running")
    case.phase(rollout, "Succeeded")
    case.ready(version="m-v2")


def test_candidate_that_never_gets_ready_is_rolled_back_after_the_deadline(case):
    case.serve("m-v1")
    case.version("m-v2", "unready")
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", steps=[{"weight": 50}], rollout={"progressDeadlineSeconds": 3})
        rollout = case.rollout_of("m-v2")
        case.phase(rollout, "RolledBack")
        model = case.stalled("RolledBack")
    assert history.served("m") == {"m-v1"}
    assert "not ready within 3s" in model["status"]["message"]
    assert conditions(model)["Available"] == "True"
    case.until(lambda: case.find("Deployment", "m-v2") is None, "the candidate's Deployment is gone")


def test_candidate_that_crashes_is_rolled_back_with_the_reason(case):
    case.serve("m-v1")
    case.version("m-v2", "crash")
    case.model(version="m-v2", steps=[{"weight": 50}], rollout={"progressDeadlineSeconds": 8})
    case.phase(case.rollout_of("m-v2"), "RolledBack")
    assert "exit code 3" in case.stalled("RolledBack")["status"]["message"]


def test_candidate_with_another_digest_never_gets_traffic(case):
    case.serve("m-v1")
    case.version("m-v2", artifact=case.artifact("m-v2", "other bits", digest=digest_of("promised bits")))
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", steps=[{"weight": 50}, {"pause": {}}])
        rollout = case.rollout_of("m-v2")
        case.phase(rollout, "RolledBack")
        model = case.stalled("RolledBack")
    assert history.served("m") == {"m-v1"}
    assert digest_of("other bits") in model["status"]["message"] and digest_of("promised bits") in model["status"]["message"]
    case.until(lambda: case.status("ModelVersion", "m-v2")["phase"] == "Rejected", "m-v2 is Rejected")


def test_gates_before_the_first_weight_measure_a_candidate_without_traffic(case):
    """Pods are there to be measured, behind <model>-candidate, and people get none of them until the gates have passed."""
    case.serve("m-v1", replicas=2)
    case.version("m-v2")
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", replicas=2, steps=[{"gates": ["accuracy"]}, {"weight": 50}], gates=[gate(min="0.9", onInconclusive="Wait")])
        rollout = case.rollout_of("m-v2")
        case.served_by({"m-v2": 1}, service="m-candidate")
        case.until(lambda: case.mro(rollout)["gates"][0]["inconclusive"] >= 1, "it is measured")
        assert case.endpoints() == {"m-v1": 2}
        case.metrics.set("accuracy", "0.95", version="m-v2")
        case.phase(rollout, "Succeeded")
        case.ready(version="m-v2")
    history.check("m", "m-v1", "m-v2", 2)


def test_scale_during_a_canary_keeps_the_weight(case):
    case.serve("m-v1", replicas=2)
    case.version("m-v2")
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", replicas=2, steps=[{"weight": 50}, {"pause": {}}])
        rollout = case.rollout_of("m-v2")
        case.phase(rollout, "Paused")
        case.kubectl("scale", "model/m", "--replicas=4")
        case.served_by({"m-v1": 2, "m-v2": 2})
        case.kubectl("scale", "model/m", "--replicas=2")
        case.served_by({"m-v1": 1, "m-v2": 1})
        case.steer(rollout, "Promoted")
        case.ready(version="m-v2")
    history.check("m", "m-v1", "m-v2", 2)
    assert [r["metadata"]["name"] for r in case.all("ModelRollout")] == [rollout]


def test_a_weight_that_the_replicas_cannot_keep_is_named(case):
    case.serve("m-v1", replicas=1)
    case.version("m-v2")
    case.model(version="m-v2", replicas=1, steps=[{"weight": 1}])
    model = case.stalled("WeightTooSmall")
    assert "replicas" in model["status"]["message"] and conditions(model)["Available"] == "True"
    case.model(version="m-v2", replicas=1, steps=[{"weight": 50}])
    case.ready(version="m-v2")
