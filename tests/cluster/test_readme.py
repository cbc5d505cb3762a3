"""What README.md tells people to paste does what it says."""

import importlib.util

import prometheus
from kube import REPO


def load(path):
    spec = importlib.util.spec_from_file_location("check_docs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXAMPLE = load(REPO / "scripts" / "check-docs.py").whole_example((REPO / "README.md").read_text())
MODEL = next(d for d in EXAMPLE if d["kind"] == "Model")
GATES = {gate["name"]: gate for gate in MODEL["spec"]["rollout"]["gates"]}
ROW = {"inputs": [{"name": "amount", "shape": [1], "datatype": "FP64", "data": [20]}]}


def ask_gate(namespace, query, candidate):
    """The value that the gate's query gives for a candidate; None without data."""
    for name, value in {"model": "fraud", "namespace": namespace, "candidate": candidate}.items():
        query = query.replace(f"{{{{{name}}}}}", value)
    found = [value for _, value in prometheus.query(query)]
    assert len(found) <= 1, found
    return None if found in ([], ["NaN"]) else float(found[0])


def test_the_first_example_serves_and_its_gate_measures(case):
    for document in EXAMPLE:
        case.kube.apply(document, case.namespace)
    case.ready("fraud", "fraud-v1")
    errors, samples = GATES["errors"]["prometheus"]["query"], GATES["errors"]["samples"]["query"]
    case.until(lambda: ask_gate(case.namespace, samples, "fraud-v1") == 0, "Prometheus scrapes the pods, and labels them with the namespace")
    assert ask_gate(case.namespace, errors, "fraud-v1") is None  # no requests are no zero

    def without_errors():
        answer = case.kube.ask("fraud", case.namespace, "/v2/models/fraud/infer", ROW)
        assert answer["outputs"][0]["data"] == ["pass"]
        return ask_gate(case.namespace, errors, "fraud-v1") == 0
    case.until(without_errors, "requests without errors are a share of 0")


def test_the_first_gate_sees_errors_of_its_own_namespace_alone(case):
    errors = GATES["errors"]["prometheus"]["query"]
    theirs = prometheus.Metrics(f"{case.namespace}-theirs")
    labels = {"model": "fraud", "version": "fraud-v2"}
    try:
        for good, bad, foreign in ((0, 0, 0), (90, 10, 10_000)):
            theirs.set("model_requests_total", foreign, code="500", **labels)
            # Of one moment, as a pod tells both, so that the rates are of the same time.
            case.metrics.series["model_requests_total", tuple(sorted({"code": "500", **labels}.items()))] = bad
            case.metrics.set("model_requests_total", good, code="200", **labels)
        share = case.until(lambda: ask_gate(case.namespace, errors, "fraud-v2"), "the gate has a value")
        assert abs(share - 0.1) < 1e-6, share
    finally:
        theirs.close()
