"""Runtimes of the catalog that run without a GPU, run for real: `make catalog-test` installs their servers once.

The published images are not to be had here. What stands in manifests/runtimes/catalog is tested by the same servers from PyPI, MLServer in the image's own version: their environment,
arguments, ports, probes, user and read-only root, the protocol, and each query of the gate set, which a real Prometheus answers.
"""

import json
import time

import pytest
import yaml

import catalog
import settings

pytestmark = pytest.mark.xdist_group("catalog")
FEW = 120  # seconds that only a hang takes


def documents(name):
    """{(kind, name): spec}"""
    folder = settings.REPO / "manifests" / "runtimes" / "catalog"
    return {(d["kind"], d["metadata"]["name"]): d["spec"] for d in yaml.safe_load_all((folder / name).read_text())}


def until(predicate, what, server):
    end = time.monotonic() + FEW
    while not (value := predicate()):
        assert server.processes[0].poll() is None and time.monotonic() < end, f"{what}\n{server.words()}"
        time.sleep(0.2)
    return value


def figures_of(gate_set):
    return {(part, figure["name"], query) for part in ("gates", "monitors") for figure in gate_set[part]
            for query in (figure["prometheus"]["query"], figure.get("samples", {}).get("query")) if query}


def each_has_a_value(server, gate_set, ask):
    """{(part, name, query): value}, while requests are answered."""
    def measured():
        ask()
        found = {figure: server.value(figure[2]) for figure in figures_of(gate_set)}
        return found if None not in found.values() else None
    return until(measured, "each query of the gate set has a value", server)


@pytest.mark.parametrize("runtime, file, program", [("mlserver-sklearn", "model.joblib", catalog.SKLEARN), ("mlserver-xgboost", "model.json", catalog.XGBOOST)])
def test_mlserver(tmp_path, runtime, file, program):
    specs, python = documents("mlserver.yaml"), catalog.venv()
    spec = specs["ModelRuntime", runtime]
    assert spec["template"]["spec"]["containers"][0]["image"].endswith(f":{catalog.MLSERVER}")
    artifact = catalog.write_model(program, tmp_path / "artifact" / file)
    with catalog.Server(tmp_path, spec, artifact, {**catalog.DEBIAN, str(python): python}, [f"{python}/bin/mlserver", "start", "$(MLSERVER_MODELS_DIR)"]) as server:
        until(lambda: server.probe("startupProbe"), "it starts", server)
        until(lambda: server.probe("readinessProbe"), "it is ready", server)
        assert server.probe("livenessProbe")

        def ask(features=(1.0, 1.0), path="/v2/models/fraud/infer"):
            return server.ask(path, {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": list(features)}]})
        for features, label in (((1.0, 1.0), 1), ((0.0, 0.0), 0)):
            code, text = ask(features)
            answer = json.loads(text)
            assert code == 200 and answer["model_name"] == "fraud" and answer["outputs"][0]["data"] == [label], text
        found = each_has_a_value(server, specs["ClusterModelGateSet", "mlserver"], ask)
        assert all(value == 0 for (_, name, query), value in found.items() if name == "errors" and "5.." in query), found
        assert all(0 < value < 10 for (_, name, _), value in found.items() if name == "latency"), found


def test_llama_cpp(tmp_path):
    specs = documents("llama-cpp.yaml")
    artifact = catalog.write_model(catalog.GGUF, tmp_path / "artifact" / "model.gguf")
    with catalog.Server(tmp_path, specs["ModelRuntime", "llama-cpp"], artifact, {**catalog.DEBIAN, "/app": catalog.llama()}) as server:
        until(lambda: server.probe("startupProbe"), "it starts", server)
        assert server.probe("readinessProbe")

        def ask():
            return server.ask("/v1/completions", {"model": "fraud", "prompt": "is it a fraud?", "max_tokens": 16, "seed": 7, "ignore_eos": True})
        code, text = ask()
        answer = json.loads(text)
        assert code == 200 and answer["model"] == "fraud" and answer["usage"]["completion_tokens"] == 16, text
        found = each_has_a_value(server, specs["ClusterModelGateSet", "llama-cpp"], ask)
        assert all(value > 0 for (_, name, _), value in found.items() if name in ("prompt-speed", "throughput")), found
        assert all(value >= 0 for (_, name, _), value in found.items() if name == "queue"), found
