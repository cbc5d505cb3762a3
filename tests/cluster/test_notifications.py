"""Events passed on to a web address by an operator of its own: once each, also after a restart."""

import contextlib
import http.server
import json
import threading

import pytest
import yaml

ENDLESS = {"pause": {}}


@contextlib.contextmanager
def listener():
    """What is posted here, by path."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.path, self.headers["Content-Type"], self.headers.get("Authorization"), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, got
    finally:
        server.shutdown()


@pytest.fixture
def told(request, tmp_path_factory):
    """A file of targets, and what they were told; before the operator starts."""
    with listener() as (port, got):
        folder = tmp_path_factory.mktemp("notify")
        (folder / "token").write_text("s3cret\n")
        targets = [{"name": "bus", "format": "CloudEvents", "url": f"http://127.0.0.1:{port}/bus", "tokenFile": str(folder / "token")},
                   {"name": "ops", "format": "Slack", "url": f"http://127.0.0.1:{port}/slack", "reasons": ["Aborted"]}]
        (folder / "notifications.yaml").write_text(yaml.safe_dump({"targets": targets}))
        yield folder / "notifications.yaml", got


def test_an_abort_is_told_once_in_each_format(told, private):
    file, got = told
    case = private
    case.operator.end()
    case.operator.command += ["--notifications", str(file)]
    case.operator.start()
    case.serve("m-v1", replicas=1, steps=[{"weight": 50}, ENDLESS])
    case.version("m-v2")
    case.move("m-v2")
    rollout = case.rollout_of("m-v2")
    case.phase(rollout, "Paused")
    case.steer(rollout, "Aborted")
    case.phase(rollout, "Aborted")
    of = lambda path, reason: [body for where, _, _, body in got if where == path and reason in json.dumps(body)]
    case.until(lambda: of("/bus", "dev.modelops.Aborted") and of("/slack", "Aborted"), "both targets are told")
    kind, authorization = [(kind, authorization) for where, kind, authorization, _ in got if where == "/bus"][0]
    assert kind == "application/cloudevents+json" and authorization == "Bearer s3cret"
    event = [e for e in of("/bus", "dev.modelops.Aborted") if "modelrollouts" in e["source"]]
    assert len(event) == 1 and event[0]["source"] == f"/apis/modelops.dev/v1alpha1/namespaces/{case.namespace}/modelrollouts/{rollout}", event
    assert event[0]["data"]["severity"] == "Warning"
    assert all("text" in body and "<" not in body["text"] for body in of("/slack", ""))
    before = len(got)
    case.operator.end()
    case.operator.start()
    case.looked_again(2)
    assert len([e for e in of("/bus", "dev.modelops.Aborted") if "modelrollouts" in e["source"]]) == 1, got[before:]
