"""TrainingRuns: stages, trials, experiments, queues, and how each of them ends."""

import json
import subprocess

import settings
from case import digest_of
from test_retraining import RECORDED, ask, job, over, result, training, version_of

ROWS = {"name": "rows", "version": {"metric": "rows"}, "min": "100"}


def report(champion=None, **metrics):
    """A RunResult of a Job that makes nothing."""
    document = {"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": metrics}
    return json.dumps(document | ({"championMetrics": champion} if champion else {}))


def run_of(case, name="m-run-000001"):
    return case.status("TrainingRun", name)


def ended(case, name="m-run-000001", phase="Succeeded"):
    """The status of a run once it is over."""
    status = case.until(lambda: run_of(case, name).get("finishedAt") and run_of(case, name), f"{name} is over")
    assert status["phase"] == phase, status
    return status


def plugin(case, *args):
    ran = subprocess.run([settings.OPERATOR.parent / "kubectl-model", "--kubeconfig", settings.KUBECONFIG, "-n", case.namespace, *args], capture_output=True, text=True)
    assert ran.returncode in (0, 1), ran.stderr
    return ran.stdout


def serve(case, gates=(RECORDED,), **retraining):
    case.serve("m-v1", replicas=1, track="Promoted", gates=list(gates), metrics={"f1": "0.92"}, retraining=retraining)


def trial_result(case):
    """What a trial reports follows from what it was told."""
    return json.dumps(result(case)).replace('"f1": "0.95"', '"f1": "$(MODELOPS_PARAM_F1)"')


def test_every_stage_of_a_run(case):
    document = result(case)
    serve(case, gates=[RECORDED, ROWS], validate={"template": job(RESULT=report(rows="120")), "gates": ["rows"]}, template=job(RESULT=trial_result(case)),
          trials={"parallelism": 2, "parameters": {"f1": ["0.91", "0.99", "0.95"]}, "objective": {"metric": "f1"}},
          evaluate={"template": job(RESULT=report(champion={"f1": "0.92"}, f1="0.94")), "gates": ["recorded"]})
    ask(case)
    status = ended(case)
    name = version_of(document)
    assert [(s["name"], s["phase"]) for s in status["stages"]] == [(s, "Succeeded") for s in ("validate", "train", "evaluate", "register")]
    assert [t["metrics"]["f1"] for t in status["trials"]] == ["0.91", "0.99", "0.95"] and status["result"]["trial"] == 1
    assert status["version"] == name and status["score"] == "0.94" and status["champion"] == "m-v1"
    case.ready(version=name)
    version = case.get("ModelVersion", name)
    # The evaluation's figures, not what training claimed.
    assert version["spec"]["metrics"] == {"f1": "0.94"} and version["spec"]["lineage"]["run"]["name"] == "m-run-000001"
    # Both artifacts were fetched and verified.
    pods = case.get("Job", "m-run-000001-evaluate")["spec"]["template"]["spec"]
    assert {c["name"] for c in pods["initContainers"]} == {"modelops-fetch-candidate", "modelops-fetch-champion"}
    env = {e["name"]: e.get("value") for e in pods["containers"][0]["env"]}
    assert env["MODELOPS_CANDIDATE_PATH"].startswith("/artifact/candidate/") and env["MODELOPS_CHAMPION_PATH"].startswith("/artifact/champion/")
    # People see all of it.
    assert "m-run-000001" in plugin(case, "runs", "m") and "f1=0.99" in plugin(case, "runs", "m", "m-run-000001")
    traced = json.loads(plugin(case, "lineage", "m", "-o", "json"))
    assert [v["version"] for v in traced] == [name, "m-v1"]
    assert '"m-v1" -> "' + name in plugin(case, "lineage", name, "-o", "dot")
    assert {d["field"] for d in json.loads(plugin(case, "diff", "m-v1", name, "-o", "json"))} >= {"artifact.digest", "metrics.f1", "lineage.parent"}


def test_data_that_is_not_fit_is_not_trained_on(case):
    serve(case, gates=[ROWS], validate={"template": job(RESULT=report(rows="12")), "gates": ["rows"]}, template=job(RESULT="{}"))
    ask(case)
    assert "gate rows did not pass: 12 is below min 100" in ended(case, phase="Rejected")["message"]
    assert [j["metadata"]["name"] for j in case.all("Job")] == ["m-run-000001-validate"]
    case.ready(version="m-v1")


def test_a_trainer_that_lies_about_its_digest_is_caught_before_anything_is_registered(case):
    document = result(case)
    document["artifact"]["digest"] = digest_of("something else")
    evaluate = job(RESULT=report(f1="0.99"))
    serve(case, template=job(RESULT=json.dumps(document)), evaluate={"template": evaluate, "gates": ["recorded"]})
    ask(case)
    assert "digest" in ended(case, phase="Failed")["message"]
    assert [v["metadata"]["name"] for v in case.all("ModelVersion")] == ["m-v1"]
    case.ready(version="m-v1")


def test_a_run_trains_again_until_its_gates_pass(case):
    serve(case, template=job(RESULT=json.dumps(result(case)).replace('"0.95"', '"0.$(MODELOPS_SEED)"')), retry={"until": ["recorded"], "attempts": 2},
          onSuccess="Register")
    case.kube.create({"apiVersion": "modelops.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": "try"}, "spec": {"modelRef": {"name": "m"}, "seed": 89}}, case.namespace)
    # 0.89 is too little, 0.90 is enough.
    status = ended(case, "try")
    assert status["attempt"] == 2 and status["score"] == "0.90" and status["version"]
    assert not case.all("ModelRollout")


def test_a_run_is_cancelled_and_a_queue_is_waited_for(case):
    serve(case, template=job(RESULT=json.dumps(result(case))), queue={"kueue": "team-a"}, onSuccess="Register")
    ask(case)
    case.until(lambda: run_of(case)["phase"] == "Queued", "it is Queued")
    assert "LocalQueue team-a has not admitted it" in run_of(case)["message"] and training(case)["lastResult"].startswith("Queued: ")
    assert case.get("Job", "m-run-000001-train")["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    case.kube.patch("TrainingRun", "m-run-000001", {"spec": {"desiredState": "Cancelled"}}, case.namespace)
    ended(case, phase="Cancelled")
    case.until(lambda: not case.all("Job"), "its Job has gone")
    ask(case)
    case.until(lambda: run_of(case, "m-run-000002")["phase"] == "Queued", "the next is Queued")
    # As Kueue does when it admits.
    case.kube.patch("Job", "m-run-000002-train", {"spec": {"suspend": False}}, case.namespace)
    ended(case, "m-run-000002")
    assert over(case, 2)["lastResult"].startswith("Registered: ")


def test_a_run_whose_object_is_deleted_takes_its_jobs_with_it(case):
    template = job(RESULT=json.dumps(result(case)), HOLD="/hold/go")
    pod = template["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "hold", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "hold", "mountPath": "/hold"}]
    serve(case, validate={"template": job(RESULT=report(rows="1"))}, template=template)
    ask(case)
    case.until(lambda: run_of(case)["stage"] == "train" and case.all("Job", {}), "it trains")
    uid = case.until(lambda: run_of(case)["trials"][0]["job"].get("uid"), "its Job is known")
    case.kube.delete("TrainingRun", "m-run-000001", case.namespace)
    case.until(lambda: "was deleted" in training(case)["lastResult"] and "run" not in training(case), "a run whose object is deleted is over")
    case.until(lambda: all(j["metadata"]["uid"] != uid for j in case.all("Job")), "its Jobs go with it")


def reproduce(case, *args, code):
    ran = subprocess.run([settings.OPERATOR.parent / "kubectl-model", "--kubeconfig", settings.KUBECONFIG, "-n", case.namespace, "reproduce", *args],
                         capture_output=True, text=True, timeout=120)
    assert ran.returncode == code, ran
    return ran.stdout


def test_a_version_is_made_again_and_compared(case):
    document = result(case)
    serve(case, template=job(RESULT=trial_result(case)), trials={"parameters": {"f1": ["0.91", "0.99"]}, "objective": {"metric": "f1"}})
    ask(case)
    first = ended(case)
    name = version_of(document)
    assert first["version"] == name
    case.ready(version=name)
    assert "same bits" in reproduce(case, name, "--wait", "--timeout", "2m", code=0)
    again, = [run for run in case.all("TrainingRun") if run["metadata"]["name"] != "m-run-000001"]
    spec = again["spec"]
    assert spec["seed"] == first["seed"] and spec["parameters"] == {"f1": "0.99"} and spec["onSuccess"] == "Register"
    assert spec["trigger"] == {"name": name, "kind": "Reproduce"} and len(again["status"]["trials"]) == 1
    # Another trainer makes other bytes; the figures are told, too.
    other = result(case, name="other", f1="0.98")
    case.kube.patch("Model", "m", {"spec": {"retraining": {"template": job(RESULT=json.dumps(other))}}}, case.namespace)
    told = json.loads(reproduce(case, name, "--wait", "--timeout", "2m", "-o", "json", code=1))
    assert not told["sameBits"] and told["metricsWithin"] == "0.01" and {"field": "metrics.f1", "from": "0.99", "to": "0.98"} in told["differences"]
    assert "other bytes" in reproduce(case, name, "--run", told["run"], "--within", "0.01", code=0)
    case.ready(version=name)  # nothing was rolled out
    reproduce(case, "m-v1", code=1)  # nobody trained it
