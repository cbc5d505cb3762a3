"""Training by the kinds of real engines: the Models of examples/engines against the CRDs that the engines publish. `make engines-test` fetches them once.

JobSet runs with its own controller. Of Kubeflow Trainer, KubeRay and Argo Workflows the CRDs alone are here: these tests write the status that their
controllers would write, in the words of their documentation, and the published schema has to take every one of them."""

import json
import pathlib
import tempfile

import pytest
import yaml

import engines
import settings
from case import condition
from operators import Port
from outside_controller import install_crds, remove_crds
from test_retraining import result, version_of
from test_training_runs import ended, run_of

EXAMPLES = settings.REPO / "examples" / "engines"
NOW = "2026-01-01T00:00:00Z"
# Pods of JobSet and of Trainer have the same labels, so JobSet's webhook is asked of both.
with_jobset, without_jobset = pytest.mark.xdist_group("jobset"), pytest.mark.xdist_group("engines")


@pytest.fixture(scope="module")
def jobset(cluster):
    ports = [Port() for _ in range(2)]
    with tempfile.TemporaryDirectory(prefix="jobset-") as folder:
        controller = engines.JobSet(cluster, pathlib.Path(folder), *[port.number for port in ports])
        try:
            yield controller.start()
        finally:
            controller.close()


@pytest.fixture
def engine(cluster, request):
    """The CRDs of one group."""
    install_crds(cluster, engines.crds_of(request.param))
    try:
        yield request.param
    finally:
        remove_crds(cluster, {request.param})


class Trained:
    """The Model of an example, as somebody would apply it, and its runs."""

    def __init__(self, case, file, edit=lambda spec: None):
        self.case, self.runs = case, 0
        role, model = yaml.safe_load_all((EXAMPLES / file).read_text())
        self.kind = model["spec"]["retraining"]["workload"]["object"]["kind"]
        del model["spec"]["retraining"]["triggers"]  # a run of the night would come between
        edit(model["spec"]["retraining"]["workload"]["object"]["spec"])
        case.kube.apply(role)
        self.model = case.kube.apply(model, case.namespace)["metadata"]["name"]

    @property
    def run(self):
        return f"{self.model}-run-{self.runs:06}"

    @property
    def name(self):
        return self.run + "-train"

    def ask(self):
        """Somebody asks for a run."""
        self.runs += 1
        at = f"2026-01-01T00:00:{self.runs:02}Z"
        self.case.kube.patch("Model", self.model, {"spec": {"retraining": {"requestedAt": at}}}, self.case.namespace)
        return self

    def made(self):
        """The object, once the operator knows it."""
        self.case.until(lambda: run_of(self.case, self.run)["trials"][0]["job"].get("uid"), f"{self.kind} {self.name} is made")
        return self.case.get(self.kind, self.name)

    def conclude(self, subresource="status", **status):
        """Plays the engine. What its schema doesn't know is refused, and what it drops is missed."""
        self.case.kube.patch(self.kind, self.name, {"status": status}, self.case.namespace, subresource)
        stored = self.case.get(self.kind, self.name)["status"]
        assert {field: stored.get(field) for field in status} == status

    def ended(self, phase="Succeeded"):
        return ended(self.case, self.run, phase)

    def serves(self, document):
        version = version_of(document).replace("m-", f"{self.model}-", 1)
        assert self.ended()["version"] == version
        self.case.ready(self.model, version)


def pod(case, name, labels, document):
    """One that reports, as one of the engine's would."""
    container = {"name": "train", "image": settings.TINY_IMAGE, "imagePullPolicy": "IfNotPresent", "args": ["job"], "env": [{"name": "RESULT", "value": json.dumps(document)}]}
    case.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
                      "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}}, case.namespace)


def is_true(kind, reason, message):
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": NOW}


# ---- JobSet, which runs

def workers(**env):
    """The example's pods, with a trainer that is here and takes its words from the environment."""
    def edit(spec):
        pods = spec["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
        container = pods["containers"][0]
        del pods["volumes"], container["volumeMounts"]
        pods["terminationGracePeriodSeconds"] = 0
        container.update(image=settings.TINY_IMAGE, imagePullPolicy="IfNotPresent", args=["job", *container["args"]])
        container["env"] += [{"name": name, "value": value} for name, value in env.items()]
    return edit


@with_jobset
def test_jobset_trains_on_four_pods_and_what_they_made_serves(case, jobset):
    document = result(case)
    trained = Trained(case, "jobset.yaml", workers(RESULT=json.dumps(document))).ask()
    pods = trained.made()["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    assert pods["containers"][0]["args"][1] == "--seed=1"
    trained.serves(document)
    assert condition(case.get("JobSet", trained.name), "Completed")["status"] == "True"
    ran = case.kube.list("Pod", case.namespace, labels=f"jobset.sigs.k8s.io/jobset-name={trained.name}")
    assert len(ran) == 4 and {p["status"]["phase"] for p in ran} == {"Succeeded"}
    assert case.get("ModelVersion", case.status("Model", trained.model)["stableVersion"])["spec"]["lineage"]["run"]["name"] == trained.run


@with_jobset
def test_jobset_that_uses_its_restarts_up_fails_the_run_in_its_own_words(case, jobset):
    trained = Trained(case, "jobset.yaml", workers(EXIT="1")).ask()
    assert f"JobSet {trained.name} failed: Failed: jobset failed due to reaching max number of restarts" in trained.ended("Failed")["message"]
    assert case.get("JobSet", trained.name)["status"]["restarts"] == 3


@with_jobset
def test_jobset_whose_run_is_called_off_leaves_no_pod(case, jobset):
    trained = Trained(case, "jobset.yaml", workers(HOLD="/never")).ask()
    trained.made()
    case.until(lambda: case.get("JobSet", trained.name)["status"]["replicatedJobsStatus"][0]["ready"] == 1, "its pods run")
    case.kube.patch("TrainingRun", trained.run, {"spec": {"desiredState": "Cancelled"}}, case.namespace)
    trained.ended("Cancelled")
    assert not case.find("JobSet", trained.name)
    case.until(lambda: not case.all("Pod") and not case.all("Job"), "what it made has gone with it")


# ---- the others, played by the test

@with_jobset
@pytest.mark.parametrize("engine", ["trainer.kubeflow.org"], indirect=True)
def test_trainjob_ends_as_its_conditions_say(case, engine):
    document = result(case)
    trained = Trained(case, "trainjob.yaml").ask()
    made = trained.made()["spec"]
    assert made["runtimeRef"] == {"apiGroup": engine, "kind": "ClusterTrainingRuntime", "name": "torch-distributed"} and made["trainer"]["args"][0] == "--seed=1"
    pod(case, "node-0", {"jobset.sigs.k8s.io/jobset-name": trained.name}, document)
    trained.conclude(jobsStatus=[{"name": "node", "ready": 1, "succeeded": 0, "failed": 0, "active": 1, "suspended": 0}])
    trained.conclude(conditions=[is_true("Complete", "AllJobsCompleted", "jobset completed successfully")])
    trained.serves(document)
    trained.ask().made()
    trained.conclude(conditions=[is_true("Failed", "FailedJobs", "jobset failed due to one or more job failures")])
    assert f"TrainJob {trained.name} failed: Failed: jobset failed due to one or more job failures" in trained.ended("Failed")["message"]
    case.ready(trained.model)


@without_jobset
@pytest.mark.parametrize("engine", ["ray.io"], indirect=True)
def test_rayjob_ends_as_its_two_words_say(case, engine):
    document = result(case)
    trained = Trained(case, "rayjob.yaml").ask()
    assert "--seed=1" in trained.made()["spec"]["submitterPodTemplate"]["spec"]["containers"][0]["args"][0]
    trained.conclude(jobDeploymentStatus="Running", jobStatus="RUNNING", dashboardURL="ranker-head-svc:8265", rayClusterName="ranker-x7k2p")
    pod(case, "submitter", {"job-name": trained.name}, document)
    trained.conclude(jobDeploymentStatus="Complete", jobStatus="SUCCEEDED", succeeded=1, failed=0)
    trained.serves(document)
    trained.ask().made()
    trained.conclude(jobDeploymentStatus="Failed", jobStatus="FAILED", reason="AppFailed", message="Job entrypoint command failed with exit code 1")
    assert f"RayJob {trained.name} failed: Job entrypoint command failed with exit code 1" in trained.ended("Failed")["message"]
    case.ready(trained.model)


@without_jobset
@pytest.mark.parametrize("engine", ["argoproj.io"], indirect=True)
def test_workflow_ends_as_its_phase_says_and_reports_by_an_output(case, engine):
    document = result(case)
    trained = Trained(case, "workflow.yaml").ask()
    assert trained.made()["spec"]["templates"][2]["container"]["args"][1] == "--seed=1"
    conclude = lambda **status: trained.conclude(subresource=None, **status)  # its CRD has no status apart
    conclude(phase="Running", progress="1/2", startedAt=NOW)
    conclude(phase="Succeeded", progress="2/2", finishedAt=NOW, outputs={"parameters": [{"name": "result", "value": json.dumps(document), "globalName": "result"}]})
    trained.serves(document)
    trained.ask().made()
    conclude(phase="Failed", message="child 'ranker-123' failed", startedAt=NOW, finishedAt=NOW)
    assert f"Workflow {trained.name} failed: child 'ranker-123' failed" in trained.ended("Failed")["message"]
    case.ready(trained.model)


@without_jobset
@pytest.mark.parametrize("engine", ["ray.io"], indirect=True)
def test_an_engine_that_is_taken_out_in_mid_run_is_told_and_training_goes_on_once_it_is_back(case, engine):
    trained = Trained(case, "rayjob.yaml").ask()
    trained.made()
    trained.conclude(jobDeploymentStatus="Running", jobStatus="RUNNING")
    remove_crds(case.kube, {engine})
    # Its object is gone for good, and the run with it: another attempt would be paid for, so somebody, or a trigger, asks for it.
    assert "RayJob " + trained.name + " was deleted together with its kind: this cluster no longer serves RayJob (rayjobs of ray.io/v1)" in trained.ended("Failed")["message"]
    trained.ask()
    case.until(lambda: "this cluster does not serve RayJob (rayjobs of ray.io/v1); install its engine" in run_of(case, trained.run)["message"], "the next run waits for it")
    install_crds(case.kube, engines.crds_of(engine))
    document = result(case)
    trained.made()
    pod(case, "submitter", {"job-name": trained.name}, document)
    trained.conclude(jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    trained.serves(document)


@without_jobset
@pytest.mark.parametrize("engine", ["argoproj.io"], indirect=True)
def test_what_the_published_schema_does_not_know_fails_the_run_and_says_which_field(case, engine):
    def edit(spec):
        spec["templates"][2]["container"]["imagge"] = "x"
    trained = Trained(case, "workflow.yaml", edit).ask()
    assert 'unknown field "spec.templates[2].container.imagge"' in trained.ended("Failed")["message"]
    assert not case.find("Workflow", trained.name)
