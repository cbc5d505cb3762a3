"""What is kept of what is over, and what Jobs that do not get on say."""

import json
import subprocess

import settings
from test_gates import by_job, run_result
from test_retraining import ask, job, over, result, training, version_of


def rollouts(case):
    return {r["metadata"]["name"]: r for r in case.all("ModelRollout")}


def test_history_is_short_and_rollback_still_knows_where_to(case):
    """Five trained versions, one after the other, with history {rollouts: 2, versions: 3}; what a person wrote stays."""
    case.serve("m-v1", replicas=1, track="Promoted", history={"rollouts": 2, "versions": 3}, retraining={"template": job(RESULT="{}")})
    case.version("m-v2")
    case.rollout("theirs", "m-v2")
    case.phase("theirs", "Succeeded")
    names = []
    for number in range(1, 7):
        document = result(case, name=f"trained-{number}")
        names.append(version_of(document))
        case.kube.patch("Model", "m", {"spec": {"retraining": {"template": job(RESULT=json.dumps(document))}}}, case.namespace)
        ask(case)
        case.ready(version=names[-1])
        over(case, number)

    def pruned():
        kept = rollouts(case)
        return len(kept) == 4 and kept
    kept = case.until(pruned, "the last three promotions and the ModelRollout that a person wrote are left")
    assert {r["spec"]["version"] for r in kept.values()} == {"m-v2", *names[-3:]}
    # The oldest of the three that are kept came from the version before them.
    case.until(lambda: {v["metadata"]["name"] for v in case.all("ModelVersion")} == {"m-v1", "m-v2", *names[-4:]}, "unused versions have gone, people's are there")
    assert case.status("ModelVersion", names[-2])["served"] is True
    plugin = settings.OPERATOR.parent / "kubectl-model"
    case.until(lambda: case.get()["status"]["stableVersion"] == names[-1], "it serves")
    said = subprocess.run([plugin, "--kubeconfig", settings.KUBECONFIG, "-n", case.namespace, "rollback", "m"], capture_output=True, text=True, check=True).stdout
    assert names[-2] in said
    case.ready(version=names[-2])


def test_a_run_whose_image_cannot_be_pulled_says_so_and_ends(case):
    template = job(RESULT="{}")
    template["spec"]["template"]["spec"]["containers"][0] |= {"image": "localhost/no-such-image:1", "imagePullPolicy": "Never"}
    case.serve("m-v1", replicas=1, track="Promoted", retraining={"template": template, "limits": {"startDeadline": "8s"}})
    ask(case)
    case.until(lambda: "ErrImageNeverPull" in training(case).get("lastResult", ""), "status says why its Job does not get on")
    status = over(case)
    assert status["lastResult"].startswith("Failed: Job m-run-000001-train: ErrImageNeverPull") and "startDeadline 8s" in status["lastResult"]
    case.until(lambda: not case.all("Job"), "the Job has gone")


def test_a_gate_leaves_three_jobs_and_believes_no_other(case):
    measuring = {**by_job(RESULT=run_result(impact="0.97")), "count": 6, "interval": "1s"}
    case.serve("m-v1", replicas=1)
    case.version("m-v2")
    case.model(version="m-v2", replicas=1, steps=[{"gates": ["fairness"]}], gates=[measuring])
    rollout = case.rollout_of("m-v2")
    case.phase(rollout, "Succeeded")
    jobs = case.all("Job")
    assert 3 <= len(jobs) <= 4, [j["metadata"]["name"] for j in jobs]
    uid = case.get("ModelRollout", rollout)["metadata"]["uid"]
    assert all(j["metadata"]["labels"]["modelops.dev/gate-of"] == uid and j["metadata"]["annotations"]["modelops.dev/gate"] == "fairness" for j in jobs)


def test_a_foreign_job_in_the_way_of_a_run_is_told(case):
    foreign = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "m-run-000001-train"}, "spec": job(HOLD="/never")["spec"]}
    case.kube.create(foreign, case.namespace)
    document = result(case)
    case.serve("m-v1", replicas=1, track="Promoted", retraining={"template": job(RESULT=json.dumps(document))})
    ask(case)
    case.stalled("JobNameTaken")
    assert "delete it" in case.status()["message"]
    case.kube.delete("Job", "m-run-000001-train", case.namespace)
    case.ready(version=version_of(document))
