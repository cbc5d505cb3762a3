"""Gates that read their figure from a Job or from a web service, and what those may do wrong."""

import http.server
import json
import threading
import time

import pytest

import settings
from case import Case, condition


def start(case, gate, **rollout):
    """m-v1 serves, then the spec asks for m-v2 past that gate. The ModelRollout's name."""
    case.serve("m-v1", replicas=1)
    case.version("m-v2")
    case.model(version="m-v2", replicas=1, steps=[{"gates": [gate["name"]]}], gates=[gate], rollout=rollout)
    return case.rollout_of("m-v2")


# ---- Jobs

def by_job(job_fields=None, **env):
    container = {"name": "check", "image": settings.TINY_IMAGE, "imagePullPolicy": "IfNotPresent", "args": ["job"],
                 "env": [{"name": name, "value": value} for name, value in env.items()]}
    template = {"spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}}, **(job_fields or {})}}
    return {"name": "fairness", "job": {"template": template, "metric": "impact"}, "min": "0.8", "max": "1.25"}


def run_result(**metrics):
    return json.dumps({"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": metrics})


def test_job_gate_passes_and_its_job_knows_what_it_measures(case):
    rollout = start(case, by_job(RESULT=run_result(impact="0.97")))
    case.phase(rollout, "Succeeded")
    case.ready(version="m-v2")
    told = case.mro(rollout)["gates"][0]
    assert told["verdict"] == "Passed" and told["value"] == "0.97"
    job, = case.all("Job")
    env = {e["name"]: e["value"] for e in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["MODELOPS_VERSION"] == "m-v2" and env["MODELOPS_STABLE_VERSION"] == "m-v1"
    assert env["MODELOPS_CANDIDATE_URL"] == f"http://m-candidate.{case.namespace}.svc"
    assert job["metadata"]["ownerReferences"][0]["name"] == "m" and job["spec"]["activeDeadlineSeconds"] == 600


def test_job_gate_out_of_bounds_rolls_back(case):
    rollout = start(case, by_job(RESULT=run_result(impact="0.6")))
    case.phase(rollout, "RolledBack")
    assert "0.6 is below min 0.8" in case.mro(rollout)["message"]
    case.stalled("RolledBack")


@pytest.mark.parametrize("gate, words", [
    (by_job(RESULT="no JSON"), "not JSON"),
    (by_job(RESULT=run_result(other="1")), "reported no metric impact"),
    (by_job({"activeDeadlineSeconds": 2}, HOLD="/never"), "DeadlineExceeded"),
    (by_job({"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "check"}]}}}), "image"),
], ids=["no JSON", "another metric", "never ends", "no Job at all"])
def test_job_gate_that_measures_nothing_is_no_failure(case, gate, words):
    rollout = start(case, gate)
    case.until(lambda: words in case.mro(rollout)["message"], f"the rollout says: {words}")
    assert case.mro(rollout)["phase"] in ("Paused", "Progressing") and case.status()["stableVersion"] == "m-v1"
    assert case.endpoints() == {"m-v1": 1}


# ---- web services

class Service:
    """Answers each request by `answer(handler)`."""

    def __init__(self, answer):
        outer = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                try:
                    answer(self)
                except OSError:  # the operator had enough
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()


def reply(handler, body, code=200, **headers):
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def endless(handler):
    reply(handler, b"[")
    while True:
        handler.wfile.write(b"1," * 50000)


def hang(handler):
    time.sleep(60)


def by_web(service, path="data.score"):
    return {"name": "audit", "web": {"url": service.url + "/{{namespace}}/{{candidate}}", **({"path": path} if path else {})}, "min": "0.5"}


def test_web_gate_passes(case):
    with Service(lambda handler: reply(handler, b'{"data": {"score": 0.75}}')) as service:
        rollout = start(case, by_web(service))
        case.phase(rollout, "Succeeded")
    assert case.mro(rollout)["gates"][0]["value"] == "0.75"
    assert service.asked == [f"/{case.namespace}/m-v2"]


def test_web_gate_fails(case):
    with Service(lambda handler: reply(handler, b'{"data": {"score": "0.25"}}')) as service:
        rollout = start(case, by_web(service))
        case.phase(rollout, "RolledBack")
    assert "0.25 is below min 0.5" in case.mro(rollout)["message"]


def test_gates_that_hang_in_one_namespace_delay_no_rollback_in_another(case, cluster):
    """300 gates whose server takes requests and never answers; then a candidate elsewhere gets worse under traffic."""
    loud = Case(cluster, f"{case.namespace[:50]}-loud", case.operator)
    cluster.make_namespace(loud.namespace, {"modelops.dev/test": "true"})
    models = [f"m{i}" for i in range(15)]
    score = [b'{"data": {"score": 0.75}}']
    try:
        with Service(hang) as hanging, Service(lambda handler: reply(handler, score[0])) as service:
            for model in models:
                loud.version(f"{model}-v1", model=model)
                loud.version(f"{model}-v2", model=model)
                loud.model(model, version=f"{model}-v1", replicas=1)
            for model in models:
                loud.ready(model, f"{model}-v1")
            gates = [{**by_web(hanging), "name": f"g{i}", "interval": "1s", "onInconclusive": "Wait"} for i in range(20)]
            for model in models:
                loud.model(model, version=f"{model}-v2", replicas=1, gates=gates, steps=[{"gates": [gate["name"] for gate in gates]}])
            loud.until(lambda: len(hanging.asked) >= 4, "gates hang")
            case.serve("m-v1", replicas=1)
            case.version("m-v2")
            watched = {**by_web(service), "interval": "1s"}
            case.model(version="m-v2", replicas=1, gates=[watched], steps=[{"background": ["audit"]}, {"weight": 50}, {"pause": {}}])
            rollout = case.rollout_of("m-v2")
            case.at_step(rollout, 3)
            case.until(lambda: case.mro(rollout)["gates"][0]["passed"] >= 3, "the gate is measured again and again")
            score[0] = b'{"data": {"score": 0.25}}'
            case.phase(rollout, "RolledBack")
            loud.until(lambda: any("overdue: not measured within 30s" in gate.get("message", "") for r in loud.all("ModelRollout") for gate in r["status"].get("gates", [])),
                       "gates are told to be overdue")
            for model in models:
                loud.steer(loud.rollout_of(f"{model}-v2", model), "Aborted")
    finally:
        cluster.delete("Namespace", loud.namespace)


@pytest.mark.operator("--web-gate-allow=*")
def test_web_gate_to_the_node_itself_is_refused(private):
    with Service(lambda handler: reply(handler, b'{"data": {"score": 0.75}}')) as service:
        rollout = start(private, by_web(service))
        found = private.phase(rollout, "Paused")
    assert "127.0.0.1, is a loopback address" in found["status"]["message"] and "--web-gate-allow" in found["status"]["message"]
    assert not service.asked


@pytest.mark.parametrize("answer, words", [
    (lambda handler: reply(handler, b"", 302, Location="/elsewhere"), "redirect"),
    (lambda handler: reply(handler, b"boom", 500), "500"),
    (lambda handler: reply(handler, b"<html>"), "not JSON"),
    (lambda handler: reply(handler, b'{"data": {}}'), "nothing at data.score"),
    (endless, "longer than"),
    (hang, "no complete answer"),
], ids=["redirect", "error", "not JSON", "absent", "endless", "hangs"])
def test_web_gate_that_gets_no_number_is_no_failure(case, answer, words):
    with Service(answer) as service:
        rollout = start(case, by_web(service))
        found = case.phase(rollout, "Paused")
    assert words in found["status"]["message"] and "inconclusive" in found["status"]["message"]
    assert condition(case.get(), "Available")["status"] == "True" and case.endpoints() == {"m-v1": 1}
