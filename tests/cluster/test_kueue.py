"""Runs in the queues of the real Kueue: `make kueue-test` builds it once."""

import json
import pathlib
import tempfile

import pytest

import kueue
from operators import Port
from test_retraining import ask, job, result, training
from test_training_runs import ended, run_of, serve

pytestmark = pytest.mark.xdist_group("kueue")
GROUP = "kueue.x-k8s.io/v1beta2"


@pytest.fixture(scope="module")
def queues(cluster):
    ports = [Port() for _ in range(3)]
    with tempfile.TemporaryDirectory(prefix="kueue-") as folder:
        server = kueue.Kueue(cluster, pathlib.Path(folder), [port.number for port in ports])
        try:
            yield server.start()
        finally:
            server.close()


def queue(case, cpu):
    """A ClusterQueue of the namespace's own with so much CPU, and its LocalQueue team-a. Of two that want it the one of higher priority goes first."""
    apply, name = case.kube.apply, case.namespace
    apply({"apiVersion": GROUP, "kind": "ResourceFlavor", "metadata": {"name": name}})
    apply({"apiVersion": GROUP, "kind": "ClusterQueue", "metadata": {"name": name}, "spec": {
        "namespaceSelector": {}, "preemption": {"withinClusterQueue": "LowerPriority"},
        "resourceGroups": [{"coveredResources": ["cpu"], "flavors": [{"name": name, "resources": [{"name": "cpu", "nominalQuota": cpu}]}]}]}})
    apply({"apiVersion": GROUP, "kind": "LocalQueue", "metadata": {"name": "team-a"}, "spec": {"clusterQueue": name}}, case.namespace)
    for level, value in (("low", 1), ("high", 1000)):
        apply({"apiVersion": GROUP, "kind": "WorkloadPriorityClass", "metadata": {"name": level}, "value": value})
    case.kube.wait_condition("ClusterQueue", name, None, "Active")


def demands(template, cpu="100m", priority="low"):
    template["metadata"] = {"labels": {"kueue.x-k8s.io/priority-class": priority}}
    template["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
    return template


def holds(case):
    """A trainer that runs until it is let go, which it never is."""
    template = job(RESULT=json.dumps(result(case)), HOLD="/hold/go")
    pod = template["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "hold", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [{"name": "hold", "mountPath": "/hold"}]
    return template


def other(case, name, template):
    """A Job of somebody else in the same queue."""
    template = json.loads(json.dumps(template))
    template["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "team-a"
    template["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    case.kube.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, **template["metadata"]}, "spec": {**template["spec"], "suspend": True}},
                    case.namespace)


def suspended(case, name):
    return case.get("Job", name)["spec"].get("suspend", False)


def test_a_run_waits_for_quota_says_why_and_is_admitted_once_there_is_some(case, queues):
    queue(case, "100m")
    other(case, "first", demands(holds(case)))
    case.until(lambda: not suspended(case, "first"), "another Job has the quota")
    serve(case, template=demands(job(RESULT=json.dumps(result(case)))), queue={"kueue": "team-a"}, onSuccess="Register")
    ask(case)
    case.until(lambda: run_of(case)["phase"] == "Queued" and "insufficient unused quota for cpu" in run_of(case)["message"], "it says what it waits for")
    assert "LocalQueue team-a has not admitted it" in run_of(case)["message"] and training(case)["lastResult"].startswith("Queued: ")
    case.kube.delete("Job", "first", case.namespace)
    assert ended(case)["version"]


def test_a_run_that_asks_for_more_than_there_is_says_so(case, queues):
    queue(case, "100m")
    serve(case, template=demands(job(RESULT=json.dumps(result(case))), cpu="200m"), queue={"kueue": "team-a"}, onSuccess="Register")
    ask(case)
    case.until(lambda: "insufficient quota for cpu" in run_of(case)["message"] and run_of(case)["phase"] == "Queued", "it says that it will never fit")
    case.kube.patch("ClusterQueue", case.namespace, {"spec": {"resourceGroups": [{"coveredResources": ["cpu"], "flavors": [
        {"name": case.namespace, "resources": [{"name": "cpu", "nominalQuota": "4"}]}]}]}})
    assert ended(case)["version"]


def test_a_run_that_is_preempted_is_queued_again_and_comes_to_its_end(case, queues):
    queue(case, "100m")
    serve(case, template=demands(holds(case)), queue={"kueue": "team-a"}, onSuccess="Register")
    ask(case)
    case.until(lambda: run_of(case)["phase"] == "Training" and not suspended(case, "m-run-000001-train"), "it is admitted")
    other(case, "urgent", demands(holds(case), priority="high"))
    case.until(lambda: suspended(case, "m-run-000001-train"), "Kueue takes its quota for the other one")
    case.until(lambda: run_of(case)["phase"] == "Queued" and "Preempted" in run_of(case)["message"], "it says that it was preempted")
    case.until(lambda: not suspended(case, "urgent"), "the other one has it")
    case.kube.delete("Job", "urgent", case.namespace)
    case.until(lambda: run_of(case)["phase"] == "Training", "it is admitted again")
    case.kube.patch("TrainingRun", "m-run-000001", {"spec": {"desiredState": "Cancelled"}}, case.namespace)
    ended(case, phase="Cancelled")
    case.until(lambda: not case.all("Job"), "its Job has gone, and so has its place in the queue")
    case.until(lambda: not case.kube.list("Workload", case.namespace), "Kueue keeps nothing of it")


def test_a_queue_that_is_not_there_is_said(case, queues):
    serve(case, template=demands(job(RESULT=json.dumps(result(case)))), queue={"kueue": "nowhere"}, onSuccess="Register")
    ask(case)
    case.until(lambda: "LocalQueue nowhere has not admitted it: LocalQueue nowhere doesn't exist" in run_of(case).get("message", ""), "it names the queue that is missing")
