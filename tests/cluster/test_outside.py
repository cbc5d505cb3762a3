"""Data behind an address outside of the cluster: what changes there starts a run."""

import http.server
import json
import threading

import pytest

from test_retraining import job, over, result, training, version_of


@pytest.fixture
def page():
    """A page on this host, as its attributes say."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(page.status)
            if page.etag:
                self.send_header("ETag", page.etag)
            self.send_header("Content-Length", "0" if self.command == "HEAD" else str(len(page.body)))
            self.end_headers()

        def do_GET(self):
            self.do_HEAD()
            self.wfile.write(page.body)

        def log_message(self, *_):
            pass
    page = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    page.status, page.etag, page.body = 200, '"one"', b"rows 5"
    page.url = f"http://127.0.0.1:{page.server_port}/digest"
    threading.Thread(target=page.serve_forever, daemon=True).start()
    yield page
    page.shutdown()
    page.server_close()


def digest(case):
    return training(case).get("datasets", [{}])[0].get("digest", "")


def test_data_behind_an_address(case, page):
    document = result(case)
    case.serve("m-v1", replicas=1, track="Promoted", retraining={"template": job(RESULT=json.dumps(document)), "triggers": [
        {"name": "page", "dataset": {"http": {"url": page.url, "every": "30s"}}}]})
    case.until(lambda: digest(case).startswith("etag:"), "the first look takes note")
    assert training(case)["runNumber"] == 0 and not case.all("Job")
    page.status = 503
    case.until(lambda: "trigger page: 127.0.0.1 answers 503" in training(case).get("suppressed", ""), "it says that it is away", timeout=60)
    case.ready(version="m-v1")
    page.status, page.etag = 200, '"two"'
    status = over(case)
    assert status["lastTrigger"] == "page" and status["runNumber"] == 1
    case.ready(version=version_of(document))
    case.until(lambda: "suppressed" not in training(case), "nothing is away any more")
    assert case.get("TrainingRun", status["lastRun"])["spec"]["trigger"] == {"name": "page", "kind": "Dataset"}


def test_data_without_an_etag_and_a_tag_that_nobody_may_ask_for(case, page):
    page.etag = None
    case.serve("m-v1", replicas=1, retraining={"template": job(RESULT=json.dumps(result(case))), "onSuccess": "Register", "triggers": [
        {"name": "page", "dataset": {"http": {"url": page.url, "every": "30s"}}},
        {"name": "tag", "dataset": {"oci": {"reference": "169.254.169.254/data:latest"}}}]})
    case.until(lambda: digest(case).startswith("sha256:"), "the first look takes note")
    case.until(lambda: "trigger tag: cannot ask 169.254.169.254" in training(case).get("suppressed", ""), "it says why not")
    page.body = b"rows 6"
    assert over(case)["lastTrigger"] == "page"


def test_an_artifact_by_a_tag_that_nobody_may_ask_for(case):
    case.serve("m-v1", replicas=1)
    case.model(replicas=1, artifact={"uri": "oci://169.254.169.254/team/fraud:latest", "format": {"name": "tiny"}})
    message = case.stalled("TagNotResolved")["status"]["message"]
    assert "cannot ask 169.254.169.254" in message and "write the digest in place of the tag" in message
    assert case.endpoints() == {"m-v1": 1} and "pinned" not in case.status()
    case.model(replicas=1, artifact=case.artifact("m-inline"))
    assert case.ready("m")["status"]["stableVersion"] != "m-v1"
