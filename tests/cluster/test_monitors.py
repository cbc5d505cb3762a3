"""Monitors: what is watched on the version that serves, and what a breach does."""

import json

from case import API, condition
from test_retraining import job, result, version_of


def monitor(**fields):
    return {"name": "drift", "prometheus": {"query": 'drift{namespace="{{namespace}}",version="{{stable}}"}'}, "max": "0.2", "interval": "1s", **fields}


def state(case, wanted):
    def reached():
        told, = case.status()["monitors"]
        return told["state"] == wanted and told
    return case.until(reached, f"the monitor is {wanted}")


def healthy(case):
    return condition(case.get(), "Healthy")


def test_drift_is_told_and_over_when_it_is_over(case):
    case.serve("m-v1", replicas=1, monitors=[monitor()])
    assert "no data" in state(case, "NoData")["message"] or healthy(case)["reason"] == "NoData"
    case.metrics.set("drift", "0.1", version="m-v1")
    state(case, "OK")
    assert healthy(case)["status"] == "True"
    case.metrics.set("drift", "0.4", version="m-v1")
    told = state(case, "Breached")
    assert told["value"] == "0.4" and told["message"] == "0.4 is above max 0.2" and told["version"] == "m-v1"
    assert healthy(case)["reason"] == "MonitorBreached" and condition(case.get(), "Ready")["status"] == "True"
    case.until(lambda: case.events(reason="MonitorBreached"), "an Event tells of it")
    case.until(lambda: any(name.startswith("modelops_monitor_breached") and f'namespace="{case.namespace}"' in name and value == 1
                           for name, value in case.operator.metrics().items()), "the metric is 1")
    case.metrics.set("drift", "0.1", version="m-v1")
    state(case, "OK")
    case.until(lambda: case.events(reason="MonitorRecovered"), "an Event tells that it is over")


def test_drift_retrains_and_what_was_trained_serves(case):
    document = result(case)
    case.model(replicas=1, track="Promoted", monitors=[monitor(actions=["Retrain"])], artifact=case.artifact("m-v1"),
               retraining={"template": job(RESULT=json.dumps(document)), "triggers": [{"name": "drifted", "monitor": {"name": "drift"}}], "limits": {"attempts": 1}})
    case.ready()
    case.metrics.set("drift", "0.4", version=case.status()["stableVersion"])
    case.ready(version=version_of(document))
    assert case.status()["retraining"]["lastTrigger"] == "drifted" and case.status()["retraining"]["runNumber"] == 1


def test_a_breach_takes_the_model_back_once(case):
    case.metrics.set("drift", "0.1", version="m-v1")
    case.metrics.set("drift", "0.1", version="m-v2")
    case.serve("m-v1", replicas=1, monitors=[monitor(actions=["Rollback"])])
    state(case, "OK")
    case.version("m-v2")
    case.move("m-v2")
    case.ready(version="m-v2")
    state(case, "OK")
    case.metrics.set("drift", "0.5", version="m-v2")
    back = case.rollout_of("m-v1")
    case.phase(back, "Succeeded")
    case.until(lambda: case.status()["stableVersion"] == "m-v1", "m-v1 serves again")
    assert case.get()["spec"]["version"] == "m-v2"  # Git stays the truth
    case.stalled("RolledBack")
    assert len([r for r in case.all("ModelRollout") if r["spec"]["version"] == "m-v1"]) == 1


def test_a_breach_holds_a_rollout_and_abort_still_works(case):
    case.metrics.set("drift", "0.4", version="m-v1")
    case.serve("m-v1", replicas=1, monitors=[monitor(actions=["Hold"])])
    state(case, "Breached")
    case.version("m-v2")
    case.move("m-v2")
    rollout = case.rollout_of("m-v2")
    case.phase(rollout, "Paused")
    assert case.mro(rollout)["pauseReason"] == "Held" and "held by monitor drift" in case.mro(rollout)["message"]
    case.metrics.set("drift", "0.1", version="m-v1")
    case.phase(rollout, "Succeeded")
    case.metrics.set("drift", "0.4", version="m-v2")
    state(case, "Breached")
    case.version("m-v3")
    case.move("m-v3")
    rollout = case.rollout_of("m-v3")
    case.phase(rollout, "Paused")
    case.steer(rollout, "Aborted")
    case.phase(rollout, "Aborted")


def test_a_job_measures_what_serves(case):
    document = {"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": {"psi": "0.4"}}
    by_job = {"job": {"every": "1h", "metric": "psi", "template": job(RESULT=json.dumps(document))}}
    case.serve("m-v1", replicas=1, monitors=[{"name": "drift", "max": "0.2", **by_job}])
    told = state(case, "Breached")
    assert told["value"] == "0.4" and told["version"] == "m-v1" and told["jobDone"] is True
    measured, = case.all("Job")
    assert measured["metadata"]["name"] == told["job"] and measured["metadata"]["annotations"]["modelops.dev/gate"] == "drift"
    told_it = {entry["name"]: entry.get("value") for entry in measured["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert told_it["MODELOPS_VERSION"] == "m-v1" and told_it["MODELOPS_STABLE_URL"] == f"http://m.{case.namespace}.svc"
    assert healthy(case)["reason"] == "MonitorBreached" and condition(case.get(), "Ready")["status"] == "True"
    # A monitor that is taken away takes its Jobs with it.
    case.kube.patch("Model", "m", {"spec": {"monitors": None}}, case.namespace)
    case.until(lambda: not case.all("Job"), "the Job is removed")


def test_a_set_of_monitors_is_written_once_and_counts_at_once(case):
    def write(**fields):
        case.kube.apply({"apiVersion": API, "kind": "ModelGateSet", "metadata": {"name": "shared"}, "spec": {"monitors": [monitor(**fields)]}}, case.namespace)
    case.metrics.set("drift", "0.4", version="m-v1")
    case.serve("m-v1", replicas=1, monitorSets=[{"name": "shared"}])
    case.until(lambda: healthy(case)["reason"] == "GateSetNotFound", "the set is missed")
    assert "ModelGateSet shared does not exist" in healthy(case)["message"] and condition(case.get(), "Ready")["status"] == "True"
    write()
    told = state(case, "Breached")
    assert told["set"] == "ModelGateSet/shared" and told["message"] == "0.4 is above max 0.2"
    write(max="0.5")
    state(case, "OK")
    case.kube.patch("Model", "m", {"spec": {"monitors": [monitor(max="0.3")]}}, case.namespace)  # its own takes the place
    told = state(case, "Breached")
    assert "set" not in told and told["message"] == "0.4 is above max 0.3"
