"""examples/classes: each class of model as people would apply it, and its Jobs as the operator would run them."""

import contextlib
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

import settings

CLASSES = settings.REPO / "examples" / "classes"
EXAMPLES = sorted(path.parent.name for path in CLASSES.glob("*/model.yaml"))
PLUGIN = settings.OPERATOR.parent / "kubectl-model"
SERVER = settings.OPERATOR.parent / "model-server"
needs_rdflib = pytest.mark.skipif(not importlib.util.find_spec("rdflib"), reason="python3-rdflib is not installed")
RUNNABLE = [pytest.param(name, marks=needs_rdflib) if name == "knowledge-graph" else name for name in EXAMPLES]


def test_there_is_one_of_each_class():
    assert EXAMPLES == ["heuristic", "knowledge-graph", "machine-learning", "rules", "statistical"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_accepted(case, name):
    path = f"{pathlib.Path(settings.KUBECTL).parent}:{os.environ['PATH']}"
    lint = subprocess.run([PLUGIN, "lint", "--strict", "-k", CLASSES / name], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert lint.returncode == 0, lint
    applied = subprocess.run([settings.KUBECTL, "--kubeconfig", settings.KUBECONFIG, "-n", case.namespace, "apply", "--server-side", "--dry-run=server", "-k", CLASSES / name],
                             capture_output=True, text=True)
    assert applied.returncode == 0, applied
    assert "model.modelops.dev/" in applied.stdout and "configmap/job-kit" in applied.stdout, applied.stdout


@pytest.mark.parametrize("file", sorted((settings.REPO / "examples" / "engines").glob("*.yaml")), ids=lambda file: file.stem)
def test_that_of_an_engine_is_accepted(case, file):
    applied = case.kubectl("apply", "--server-side", "--dry-run=server", "-f", file)
    assert "model.modelops.dev/ranker" in applied and "clusterrole.rbac.authorization.k8s.io/model-operator-" in applied


class Pipeline:
    """The Jobs of one example, one after the other, as the operator tells them."""

    def __init__(self, name, folder):
        self.name, self.folder = name, folder
        self.code, self.claim = folder / "code", folder / "models"
        self.claim.mkdir()
        self.code.mkdir()
        kustomization = yaml.safe_load((CLASSES / name / "kustomization.yaml").read_text())
        for file in [*(CLASSES / name / f for f in kustomization["configMapGenerator"][0]["files"]), CLASSES / "kit" / "modelops_job.py"]:
            (self.code / file.name).write_bytes(file.read_bytes())
        self.model, = (d for d in yaml.safe_load_all((CLASSES / name / "model.yaml").read_text()) if d["kind"] == "Model")

    def job(self, stage, **env):
        result = self.folder / "result"
        told = {"MODELS": str(self.claim), "MODELOPS_STAGE": stage, "MODELOPS_SEED": "7", "MODELOPS_OUTPUT": f"ns/run/{stage}{env.pop('trial', '')}",
                "MODELOPS_RESULT": str(result), "MODELOPS_MODEL": self.model["metadata"]["name"], **{k: v for k, v in env.items() if v}}
        ran = subprocess.run([sys.executable, self.code / "job.py"], env={"PATH": os.environ["PATH"], **{k: v for k, v in told.items() if v}}, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, (result.read_text() if result.exists() else "", ran.stderr)
        return json.loads(result.read_text())

    def train(self, **env):
        told = self.job("train", **env)
        return self.claim / told["artifact"]["uri"].removeprefix("pvc://models/"), told

    def passes(self, gates, metrics):
        """Bounds alone; what a comparison needs is there."""
        for gate in self.model["spec"]["rollout"]["gates"]:
            if gate["name"] in gates:
                value = float(metrics[gate["version"]["metric"]])
                assert float(gate.get("min", "-inf")) <= value <= float(gate.get("max", "inf")), (gate, metrics)


@contextlib.contextmanager
def serving(artifact, model):
    """The address of a model-server with it."""
    env = {"MODEL_PATH": str(artifact), "MODEL_NAME": model, "PORT": "0", "ADMIN_PORT": "0", "SHUTDOWN_DELAY": "0"}
    with subprocess.Popen([SERVER], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            ports = re.findall(r" port (\d+)", server.stdout.readline())
            assert ports, "model-server does not serve the artifact"
            yield f"http://127.0.0.1:{ports[0]}"
        finally:
            server.kill()


@pytest.mark.parametrize("name", RUNNABLE)
def test_its_jobs_do_what_the_model_asks_of_them(name, tmp_path):
    example = Pipeline(name, tmp_path)
    retraining = example.model["spec"]["retraining"]
    example.passes(retraining["validate"]["gates"], example.job("validate")["metrics"])
    trials = retraining.get("trials")
    parameters = [{}] if not trials else [{f"MODELOPS_PARAM_{key.upper()}": value} for key, values in trials["parameters"].items() for value in values]
    trained = [example.train(trial=i, **told) for i, told in enumerate(parameters)]
    metric, sign = (trials["objective"]["metric"], -1 if trials["objective"].get("goal") == "Minimize" else 1) if trials else (None, 1)
    best, told = max(trained, key=lambda pair: sign * float(pair[1]["metrics"][metric])) if trials else trained[0]
    assert told["lineage"]["data"][0]["digest"].startswith("sha256:")
    again, _ = example.train(trial="again", **parameters[trained.index((best, told))])
    assert again.read_bytes() == best.read_bytes()   # what `kubectl model reproduce` relies on
    compared = example.job("evaluate", MODELOPS_CANDIDATE_PATH=str(best), MODELOPS_CHAMPION_PATH=str(again))
    assert compared["metrics"] == compared["championMetrics"]
    assert "championMetrics" not in example.job("evaluate", MODELOPS_CANDIDATE_PATH=str(best))
    example.passes(retraining["evaluate"]["gates"], compared["metrics"])
    if told["artifact"]["format"]["name"] in ("linear", "rules", "scorecard"):
        judge(example, best)


def judge(example, artifact):
    """The artifact on the real server, and what monitors by Job find."""
    with serving(artifact, example.model["metadata"]["name"]) as url:
        for monitor in example.model["spec"]["monitors"]:
            if "job" in monitor:
                value = float(example.job("", MODELOPS_STABLE_URL=url)["metrics"][monitor["job"]["metric"]])
                assert float(monitor.get("min", "-inf")) <= value <= float(monitor.get("max", "inf")), (monitor["name"], value)
