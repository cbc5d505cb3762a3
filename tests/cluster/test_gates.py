"""Gates that read their figure from a Job or from a web service, and what those may do wrong."""

import http.server
import json
import threading
import time

import pytest

import settings
from case import condition


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
    (by_job({"template": {"spec": {"containers": []}}}), "containers"),
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
