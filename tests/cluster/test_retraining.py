"""Training anew: what starts a run, what its Job reports, and what becomes of that."""

import datetime
import json
import subprocess

import pytest

import settings
from case import conditions, digest_of
from history import History

RECORDED = {"name": "recorded", "version": {"metric": "f1"}, "min": "0.9"}


def job(**env):
    """A JobTemplateSpec with tiny's trainer; RESULT and so on as environment."""
    container = {"name": "train", "image": settings.TINY_IMAGE, "imagePullPolicy": "IfNotPresent", "args": ["job"],
                 "env": [{"name": name, "value": value} for name, value in env.items()]}
    return {"spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}}}}


def result(case, name="trained", f1="0.95", **changes):
    """A RunResult that names an artifact which is there."""
    document = {"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": {"f1": f1}, "artifact": case.artifact(name),
                "lineage": {"data": [{"name": "payments", "digest": digest_of("data"), "rows": 120000}], "parameters": {"C": "0.1"}, "seed": "7",
                            "code": {"repository": "https://git.example/fraud", "revision": "9fceb02"}}}
    document.update(changes)
    return document


def version_of(document):
    return "m-" + document["artifact"]["digest"].removeprefix("sha256:")[:10]


def ask(case):
    """Somebody asks for a run."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    case.kube.patch("Model", "m", {"spec": {"retraining": {"requestedAt": now}}}, case.namespace)


def training(case):
    return case.status()["retraining"]


def over(case, number=1):
    """The status of retraining once that many runs have ended."""
    return case.until(lambda: training(case)["runNumber"] >= number and "run" not in training(case) and training(case), f"run {number} is over")


def rejected(case, number=1):
    """What was said about a run that was no good, after making sure that serving did not move."""
    status = over(case, number)
    assert status["lastResult"].startswith(("Rejected: ", "Failed: ")), status["lastResult"]
    assert case.status()["stableVersion"] == "m-v1" and case.endpoints() == {"m-v1": 1}
    assert not case.all("ModelRollout")
    case.until(lambda: case.events("m", "RetrainingRejected"), "an Event says so")
    case.ready(version="m-v1")
    return status["lastResult"]


def serve_and_train(case, template, **retraining):
    case.serve("m-v1", replicas=1, track="Promoted", gates=[RECORDED], metrics={"f1": "0.92"}, retraining={"template": template, **retraining})
    ask(case)


def test_a_run_becomes_a_version_with_lineage_and_serves(case):
    document = result(case)
    with History(case.kube, case.namespace) as history:
        serve_and_train(case, job(RESULT=json.dumps(document)), gates=["recorded"])
        name = version_of(document)
        model = case.ready(version=name)
        case.served_by({name: 1})
    assert history.served("m") == {"m-v1", name}
    version = case.get("ModelVersion", name)
    assert version["spec"]["artifact"] == document["artifact"] and version["spec"]["metrics"] == {"f1": "0.95"}
    run = model["status"]["retraining"]["lastRun"]
    lineage = version["spec"]["lineage"]
    assert lineage["run"] == {"kind": "TrainingRun", "name": run, "parameters": {"C": "0.1"}, "seed": "7"}
    assert lineage["parent"] == "m-v1" and lineage["data"] == document["lineage"]["data"] and lineage["code"] == document["lineage"]["code"]
    assert lineage["environment"]["image"] == settings.TINY_IMAGE
    rollout = case.get("ModelRollout", case.rollout_of(name))
    assert rollout["status"]["phase"] == "Succeeded" and rollout["status"]["fromVersion"] == "m-v1"
    found = case.get("TrainingRun", run)
    assert found["metadata"]["ownerReferences"][0]["uid"] == model["metadata"]["uid"]
    assert found["status"]["phase"] == "Succeeded" and found["status"]["version"] == name and found["status"]["score"] == "0.95"
    found = case.get("Job", run + "-train")
    assert found["metadata"]["ownerReferences"][0]["name"] == run
    env = {e["name"]: e.get("value") for e in found["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env.items() >= {"MODELOPS_MODEL": "m", "MODELOPS_NAMESPACE": case.namespace, "MODELOPS_VERSION": "m-v1", "MODELOPS_RUN_ID": run,
                           "MODELOPS_TRIGGER": "requested"}.items()
    status = model["status"]["retraining"]
    assert status["lastTrigger"] == "requested" and status["runsToday"] == 1 and name in status["lastResult"]
    case.until(lambda: case.status("ModelVersion", "m-v1")["phase"] == "Superseded", "m-v1 is Superseded")


def test_a_worse_run_is_rejected_and_nothing_changes(case):
    document = result(case, f1="0.85")
    serve_and_train(case, job(RESULT=json.dumps(document)), gates=["recorded"])
    words = rejected(case)
    assert "recorded" in words and "0.85" in words and "0.9" in words
    version = case.until(lambda: case.status("ModelVersion", version_of(document))["phase"] == "Rejected" and case.get("ModelVersion", version_of(document)), "it is Rejected")
    assert "0.85" in version["status"]["message"]
    assert len(case.all("Deployment")) == 1


def test_a_pinned_model_only_registers(case):
    document = result(case)
    case.serve("m-v1", replicas=1, retraining={"template": job(RESULT=json.dumps(document))})
    ask(case)
    status = over(case)
    assert status["lastResult"] == f"Registered: {version_of(document)}"
    case.looked_again(2)
    assert not case.all("ModelRollout") and case.endpoints() == {"m-v1": 1}
    assert case.get("ModelVersion", version_of(document))["status"]["phase"] == "Registered"
    case.ready(version="m-v1")


def test_on_success_register(case):
    document = result(case)
    serve_and_train(case, job(RESULT=json.dumps(document)), onSuccess="Register")
    assert over(case)["lastResult"] == f"Registered: {version_of(document)}"
    assert not case.all("ModelRollout")


def test_the_first_version_comes_from_training(case):
    document = result(case)
    case.model(replicas=1, gates=[RECORDED], track="Promoted", retraining={"template": job(RESULT=json.dumps(document)), "gates": ["recorded"]})
    case.until(lambda: "retraining" in case.status()["message"], "the Model says what it waits for")
    ask(case)
    case.ready(version=version_of(document))


def test_a_failing_job_is_rejected(case):
    serve_and_train(case, job(RESULT="it broke", EXIT="7"))
    assert "failed" in rejected(case)


BAD_RESULTS = {
    "missing": (lambda d: {"RESULT": ""}, "RunResult"),
    "cut": (lambda d: {"RESULT": d[:200]}, "cut"),
    "oversized": (lambda d: {"RESULT": d, "RESULT_REPEAT": "20"}, "oversized"),
    "no JSON": (lambda d: {"RESULT": "accuracy was fine"}, "not JSON"),
    "another kind": (lambda d: {"RESULT": d.replace("RunResult", "Result")}, "kind"),
    "no number": (lambda d: {"RESULT": d.replace('"0.95"', "NaN")}, "NaN"),
    "a bad digest": (lambda d: {"RESULT": d.replace("sha256:", "md5:")}, "digest"),
    "a strange uri": (lambda d: {"RESULT": d.replace("configmap://", "file://")}, "uri"),
}


@pytest.mark.parametrize("how", BAD_RESULTS)
def test_a_result_that_is_no_good(case, how):
    change, words = BAD_RESULTS[how]
    serve_and_train(case, job(**change(json.dumps(result(case)))))
    assert words in rejected(case)
    assert [v["metadata"]["name"] for v in case.all("ModelVersion")] == ["m-v1"]


def test_a_result_that_lies_about_its_digest_never_serves(case):
    document = result(case)
    document["artifact"]["digest"] = digest_of("something else")
    with History(case.kube, case.namespace) as history:
        serve_and_train(case, job(RESULT=json.dumps(document)))
        name = version_of(document)
        case.phase(case.rollout_of(name), "RolledBack")
        model = case.stalled("RolledBack")
    assert history.served("m") == {"m-v1"}
    assert "digest" in model["status"]["message"] and conditions(model)["Available"] == "True"
    case.until(lambda: case.status("ModelVersion", name)["phase"] == "Rejected", "the version is Rejected")


@pytest.mark.parametrize("reference", ["configmap://outcome/result", json.dumps({"configMapKeyRef": {"name": "outcome", "key": "result"}})], ids=["uri", "object"])
def test_a_result_in_a_configmap(case, reference):
    """For results larger than a termination message."""
    document = result(case)
    document["lineage"]["parameters"] = {f"p{n:02}": "x" * 100 for n in range(60)}
    case.configmap("outcome", result=json.dumps(document))
    serve_and_train(case, job(RESULT=reference))
    case.ready(version=version_of(document))


def test_a_configmap_that_the_result_names_is_not_there(case):
    serve_and_train(case, job(RESULT="configmap://nowhere/result"))
    assert "nowhere" in rejected(case)


def test_a_template_that_is_none(case):
    template = job()
    template["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    serve_and_train(case, template)
    assert 'Unsupported value: "Always"' in rejected(case) or "restartPolicy" in rejected(case)


def test_a_changed_dataset_starts_a_run(case):
    document = result(case)
    case.configmap("data", digest=digest_of("october"))
    case.serve("m-v1", replicas=1, track="Promoted", retraining={"template": job(RESULT=json.dumps(document)),
               "triggers": [{"name": "new-data", "dataset": {"configMapKeyRef": {"name": "data", "key": "digest"}}}]})
    case.until(lambda: training(case)["datasets"][0]["digest"] == digest_of("october"), "the digest is on record")
    # The digest that was there at first, or a touched ConfigMap, is no news.
    case.configmap("data", digest=digest_of("october"), note="touched")
    case.looked_again(3)
    assert training(case)["runNumber"] == 0 and not case.all("Job")
    case.configmap("data", digest=digest_of("november"))
    case.ready(version=version_of(document))
    status = training(case)
    assert status["lastTrigger"] == "new-data" and status["runNumber"] == 1 and status["datasets"][0]["digest"] == digest_of("november")
    case.looked_again(2)
    assert training(case)["runNumber"] == 1 and len(case.all("Job")) == 1


def test_a_schedule_says_when_it_is_next(case):
    case.serve("m-v1", replicas=1, retraining={"template": job(), "triggers": [
        {"name": "yearly", "schedule": {"cron": "30 2 1 3 *", "timeZone": "Asia/Tokyo"}}]})
    now = datetime.datetime.now(datetime.timezone.utc)
    march = datetime.datetime(now.year, 2, 28 if now.year % 4 else 29, 17, 30, tzinfo=datetime.timezone.utc)  # 02:30 on 1 March in Tokyo
    if march <= now:
        year = now.year + 1
        march = datetime.datetime(year, 2, 28 if year % 4 else 29, 17, 30, tzinfo=datetime.timezone.utc)
    case.until(lambda: training(case)["nextScheduled"].replace(".000", "") == march.strftime("%Y-%m-%dT%H:%M:%SZ"), f"it is next at {march}")
    case.model(version="m-v1", replicas=1, retraining={"template": job(), "triggers": []})
    case.until(lambda: "nextScheduled" not in training(case), "without a schedule there is no next")


def test_a_schedule_fires(case):
    """Once a minute is the most that cron can say."""
    document = result(case)
    case.serve("m-v1", replicas=1, track="Promoted", retraining={"template": job(RESULT=json.dumps(document)), "limits": {"maxPerDay": 1},
               "triggers": [{"name": "often", "schedule": {"cron": "* * * * *"}}]})
    case.until(lambda: training(case)["lastTrigger"] == "often", "the schedule has fired", timeout=75)
    case.ready(version=version_of(document))


def test_cooldown_holds_back_what_comes_too_soon(case):
    document = result(case)
    case.configmap("data", digest="one")
    serve_and_train(case, job(RESULT=json.dumps(document)), onSuccess="Register", limits={"cooldown": "1h"},
                    triggers=[{"name": "new-data", "dataset": {"configMapKeyRef": {"name": "data", "key": "digest"}}}])
    over(case)
    case.configmap("data", digest="two")
    case.until(lambda: "cooldown" in training(case)["suppressed"] and "new-data" in training(case)["suppressed"], "it says why no run starts")
    case.looked_again(2)
    assert training(case)["runNumber"] == 1
    # What was held back runs once it may.
    case.kube.patch("Model", "m", {"spec": {"retraining": {"limits": {"cooldown": "0s"}}}}, case.namespace)
    assert over(case, 2)["lastTrigger"] == "new-data"
    case.until(lambda: "suppressed" not in training(case), "nothing waits any more")


def test_max_per_day_holds_back(case):
    document = result(case)
    serve_and_train(case, job(RESULT=json.dumps(document)), onSuccess="Register", limits={"maxPerDay": 1})
    over(case)
    ask(case)
    case.until(lambda: "maxPerDay 1" in training(case)["suppressed"], "it says why no run starts")
    case.looked_again(2)
    assert training(case)["runNumber"] == 1 and training(case)["runsToday"] == 1


def test_one_run_at_a_time(case):
    case.configmap("hold")
    template = job(RESULT=json.dumps(result(case)), HOLD="/hold/go")
    pod = template["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "hold", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "hold", "mountPath": "/hold"}]
    serve_and_train(case, template, onSuccess="Register")
    case.until(lambda: any(p["status"]["phase"] == "Running" for p in case.all("Pod", {"job-name": training(case)["lastRun"] + "-train"})), "the run runs")
    ask(case)
    case.looked_again(3)
    assert len(case.all("Job")) == 1 and training(case)["run"]["number"] == 1
    # The Job goes away under its run: that is no result.
    case.kube.delete("Job", training(case)["lastRun"] + "-train", case.namespace)
    case.until(lambda: any("disappeared" in note for note in case.events("m", "RetrainingRejected")), "the lost run is rejected")
    case.until(lambda: training(case)["runNumber"] == 2, "what was asked meanwhile runs next")
