"""Serves one scikit-learn estimator from a joblib or pickle file, or from a folder such as MLflow's that holds one, over the Open Inference Protocol V2, with metrics and feedback.

By environment: MODEL_PATH (needed), MODEL_NAME, MODEL_VERSION, PORT (8080), ADMIN_PORT (8081: probes, metrics and feedback), FEEDBACK_WINDOW (1000),
SHUTDOWN_DELAY (3 seconds).
A joblib file is a program: load only what was verified. Exit codes are the C++ model-server's: 0, 64, 65, 66, 69.
"""

import http.server
import json
import os
import pathlib
import re
import signal
import socket
import sys
import threading
import time

# Blocked in every thread that comes, those that numpy starts when it is imported too, and waited for in main().
# A thread without this would take the signal by its default action: ending at once, or as process 1 ignoring it.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})

import protocol  # noqa: E402
import telemetry  # noqa: E402
from protocol import ApiError  # noqa: E402

MAX_BODY = 4 << 20
MAX_CONNECTIONS = 256
SHUTDOWN_LIMIT = 15


class App:
    """What is answered, apart from how it travels. Thread-safe."""

    def __init__(self, name, version, estimator, window):
        self.name, self.version, self.estimator = name, version, estimator
        self.features = feature_names(estimator)
        self.telemetry = telemetry.Telemetry(name, version)
        self.feedback_log = telemetry.Feedback(window)
        self.classifies = hasattr(estimator, "classes_")
        self.ready = True

    def handle(self, method, target, body, admin, json_length=None):
        """(status, content type, bytes, how many of them are JSON before binary tensors or None). `admin`: on the admin port, which alone tells
        metrics and takes feedback; `json_length`: the header Inference-Header-Content-Length."""
        try:
            path = target.split("?")[0].split("#")[0].rstrip("/").split("/")[1:]
            return self._route(method, path, body, admin, json_length)
        except ApiError as error:
            return _json({"error": str(error)}, error.status)
        except Exception as error:  # whatever the estimator raises: the connection and the others go on
            return _json({"error": f"an error of the server: {error}"}, 500)

    def _route(self, method, path, body, admin, json_length):
        if path == ["metrics"]:
            _only("GET", method)
            _admin_only("metrics are told", admin)
            return 200, "text/plain; version=0.0.4; charset=utf-8", self.telemetry.text().encode(), None
        if path == ["v2"]:
            _only("GET", method)
            return _json({"name": "sklearn-server", "version": "0.1.0", "extensions": ["binary_tensor_data", "feedback"]})
        if path == ["v2", "health", "live"]:
            _only("GET", method)
            return _json({"live": True})
        if path == ["v2", "health", "ready"]:
            _only("GET", method)
            return _json({"ready": self.ready}, 200 if self.ready else 503)
        if path[:2] == ["v2", "models"] and len(path) > 2:
            return self._of_model(method, path[2], path[3:], body, admin, json_length)
        raise ApiError(404, "there is nothing here")

    def _of_model(self, method, name, rest, body, admin, json_length):
        if name != self.name:
            raise ApiError(404, f'there is no model "{name[:80]}" here, only "{self.name}"')
        if rest[:1] == ["versions"]:
            if rest[1:2] != [self.version]:
                raise ApiError(404, f'there is no such version of "{self.name}" here, only "{self.version}"')
            rest = rest[2:]
        if rest == ["infer"]:
            _only("POST", method)
            return self._infer(body, admin, json_length)
        if rest == ["feedback"]:
            _only("POST", method)
            _admin_only("feedback is taken", admin)
            return self._feedback(body)
        if rest not in ([], ["ready"]):
            raise ApiError(404, "there is nothing here")
        _only("GET", method)
        if rest:
            return _json({"name": self.name, "ready": self.ready}, 200 if self.ready else 503)
        return _json(self._metadata())

    def _metadata(self):
        outputs = [{"name": "predict", "datatype": protocol.datatype_of(getattr(self.estimator, "classes_", [0.0])), "shape": [-1]}]
        if hasattr(self.estimator, "predict_proba"):
            classes = len(self.estimator.classes_)
            outputs.append({"name": "probability", "datatype": "FP64", "shape": [-1] if classes == 2 else [-1, classes]})
        return {"name": self.name, "versions": [self.version], "platform": "sklearn",
                "inputs": [{"name": "features", "datatype": "FP64", "shape": [-1, len(self.features)]}],
                "outputs": outputs, "parameters": {"features": self.features}}

    def _infer(self, body, admin, json_length):
        begin = time.monotonic()
        try:
            inference = protocol.Inference(body, self.features, json_length)
            if inference.labels is not None:
                _admin_only("labels in parameters are taken", admin)
            if inference.labels is not None and not self.classifies:
                raise ApiError(400, "labels cannot be compared: this model does not classify")
            predicted, outputs = self._predict(inference.rows)
            wanted = inference.outputs or [(name, inference.binary_outputs) for name in outputs]
            rendered, binary = protocol.render(outputs, wanted)
            answer = {"model_name": self.name, "model_version": self.version, "outputs": rendered}
            if inference.id:
                answer["id"] = inference.id
            response = _json(answer)
            if any(asked for _, asked in wanted):
                response = 200, "application/octet-stream", response[2] + binary, len(response[2])
            self._learn(inference, predicted)
        except ApiError as error:
            response = _json({"error": str(error)}, error.status)
        except Exception as error:
            response = _json({"error": f"the model cannot predict: {error}"}, 500)
        self.telemetry.request(response[0], time.monotonic() - begin)
        return response

    def _predict(self, rows):
        predicted = self.estimator.predict(rows)
        outputs = {"predict": predicted}
        if hasattr(self.estimator, "predict_proba"):
            probability = self.estimator.predict_proba(rows)
            # Of two classes the second's, as everybody expects; of more, all of them.
            outputs["probability"] = probability[:, 1] if probability.shape[1] == 2 else probability
        return predicted, outputs

    def _learn(self, inference, predicted):
        if not self.classifies:
            return
        classes = [protocol.class_text(label) for label in predicted]
        self.telemetry.predictions(classes)
        if inference.labels is not None:
            self.telemetry.feedback(*self.feedback_log.compare(classes, inference.labels))
        elif inference.id:
            self.feedback_log.remember(inference.id, classes)

    def _feedback(self, body):
        if not self.classifies:
            raise ApiError(400, "feedback cannot be compared: this model does not classify")
        document = protocol.parse_object(body)
        # Behind a Service any version may get the feedback; it must not be credited with another's predictions.
        if document.get("model_version", self.version) != self.version:
            raise ApiError(409, f'the feedback is for another version, this is "{self.version}"')
        if "labels" not in document:
            raise ApiError(400, "labels are missing")
        labels = protocol.classes_of(document["labels"], "labels")
        predictions = self._told_predictions(document)
        if not labels or len(labels) != len(predictions):
            raise ApiError(400, f"there are {len(labels)} labels for {len(predictions)} predictions")
        compared, correct, accuracy = self.feedback_log.compare(predictions, labels)
        self.telemetry.feedback(compared, correct, accuracy)
        return _json({"model_name": self.name, "model_version": self.version, "compared": compared, "correct": correct, "accuracy": accuracy})

    def _told_predictions(self, document):
        if ("predictions" in document) == ("id" in document):
            raise ApiError(400, "give either predictions or the id of an inference request")
        if "predictions" in document:
            return protocol.classes_of(document["predictions"], "predictions")
        if not isinstance(document["id"], str):
            raise ApiError(400, "id must be a string")
        taken = self.feedback_log.take(document["id"])
        if taken is None:
            raise ApiError(404, "no request of that id is remembered here")
        return taken


def feature_names(estimator):
    names = getattr(estimator, "modelops_features", None)  # train.py
    if names is None:
        names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = [f"x{i}" for i in range(estimator.n_features_in_)]
    return [str(name) for name in names]


def _json(document, status=200):
    return status, "application/json", json.dumps(document).encode(), None


def _only(wanted, method):
    if method != wanted:
        raise ApiError(405, f"use {wanted} here")


def _admin_only(what, admin):
    if not admin:
        raise ApiError(403, f"{what} only on the admin port (ADMIN_PORT, 8081 unless set otherwise), not on the port of callers")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 75
    wbufsize = -1  # header and body in one packet
    disable_nagle_algorithm = True
    server_version = "sklearn-server"

    def do_GET(self):
        self._answer(b"")

    do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length.isascii() or not length.isdigit():
            return self._send(_json({"error": "send a Content-Length"}, 411), close=True)
        if len(length) > 15 or int(length) > MAX_BODY:
            self._send(_json({"error": f"the request is longer than {MAX_BODY} bytes"}, 413), close=True)
            return self._discard()
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return self._answer(body)

    def _discard(self):
        """Closing with unread bytes would reset the connection, and the client might never see the answer."""
        self.wfile.flush()
        self.connection.settimeout(2)
        end, left = time.monotonic() + 2, 64 << 20
        while left > 0 and time.monotonic() < end:
            got = len(self.rfile.read1(1 << 16))
            if not got:
                return
            left -= got

    def _answer(self, body):
        # A body where none belongs would be read as the next request.
        unread = self.command != "POST" and (self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers)
        method = "GET" if self.command == "HEAD" else self.command
        length = self.headers.get("Inference-Header-Content-Length")
        self._send(self.server.app.handle(method, self.path, body, self.server.admin, length), close=unread)

    def _send(self, response, close=False):
        status, content_type, content, json_length = response
        self.server.heard(self.connection)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Model-Name", self.server.app.name)
        self.send_header("Model-Version", self.server.app.version)
        if status == 405:
            self.send_header("Allow", "POST" if b"POST" in content else "GET")
        if json_length is not None:
            self.send_header("Inference-Header-Content-Length", str(json_length))
        if close or not self.server.app.ready:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """One for callers, one for the admin port: no number of callers keeps a probe from its answer. When there are `most` connections, or `per_peer` of
    one address, the one that has been silent longest gives way to a new one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port, app, admin=False, most=MAX_CONNECTIONS, per_peer=MAX_CONNECTIONS):
        if socket.has_dualstack_ipv6():
            self.address_family = socket.AF_INET6
        super().__init__(("", port), Handler)
        self.app, self.admin, self._most, self._per_peer = app, admin, most, per_peer
        self._lock = threading.Lock()
        self._open = {}  # connection: its peer's address, and when the peer last sent a request

    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)  # not HTTPServer's, which asks DNS for its own name
        self.server_address = self.socket.getsockname()

    def process_request(self, request, client_address):
        with self._lock:
            of_peer = [each for each, (peer, _) in self._open.items() if peer == client_address[0]]
            crowd = of_peer if len(of_peer) >= self._per_peer else self._open if len(self._open) >= self._most else ()
            if crowd:
                self._give_way(min(crowd, key=lambda each: self._open[each][1]))
            self._open[request] = client_address[0], time.monotonic()
        return super().process_request(request, client_address)

    def _give_way(self, connection):
        del self._open[connection]
        try:
            connection.shutdown(socket.SHUT_RDWR)  # whoever reads from it sees the end
        except OSError:
            pass

    def heard(self, connection):
        with self._lock:
            if connection in self._open:
                self._open[connection] = self._open[connection][0], time.monotonic()

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(request, None)

    def handle_error(self, request, client_address):
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):  # clients that go away are no news
            print(f"connection from {client_address[0]}: {error!r}", file=sys.stderr, flush=True)

    def drain(self, limit):
        """After shutdown(): idle connections see an end, those with a request finish it."""
        with self._lock:
            waiting = list(self._open)
        for connection in waiting:
            try:
                connection.shutdown(socket.SHUT_RD)
            except OSError:
                pass
        end = time.monotonic() + limit
        while time.monotonic() < end:
            with self._lock:
                if not self._open:
                    return
            time.sleep(0.02)


def fail(code, sentence):
    print(sentence, file=sys.stderr, flush=True)
    sys.exit(code)


def number(name, default, lowest, highest):
    text = os.environ.get(name) or default
    if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
        fail(64, f"{name} must be a whole number from {lowest} to {highest}, it is {text}")
    return int(text)


def model_file(path):
    """The file of the estimator: the path itself or, in a folder, the one that MLflow's MLmodel names, or the only one of its kind."""
    folder = pathlib.Path(path)
    if not folder.is_dir():
        return path
    about = folder / "MLmodel"
    if about.is_file():
        named = re.search(r"^ +pickled_model: *[\"']?([^\"'\s]+)", about.read_text(errors="replace"), re.M)
        if not named or ".." in pathlib.PurePath(named[1]).parts or named[1].startswith("/"):
            fail(65, f"the model {path} cannot be used: its MLmodel names no pickled_model of the flavor sklearn")
        if named[1].endswith(".skops"):
            fail(65, f"the model {path} cannot be used: it is saved by skops; save it with serialization_format=\"pickle\"")
        return folder / named[1]
    found = sorted(file for end in ("joblib", "pkl", "pickle") for file in folder.glob(f"*.{end}"))
    if len(found) != 1:
        fail(65, f"the model {path} cannot be used: it is a folder with {len(found)} files named *.joblib, *.pkl or *.pickle, and no MLmodel; one is needed")
    return found[0]


def load(path):
    import joblib

    path = model_file(path)
    try:
        with open(path, "rb") as file:
            estimator = joblib.load(file)
    except OSError as error:
        fail(66, f"cannot read the model {path}: {error.strerror}")
    except Exception as error:
        fail(65, f"the model {path} cannot be used: {error}")
    if not hasattr(estimator, "predict") or not (hasattr(estimator, "n_features_in_") or hasattr(estimator, "modelops_features")):
        fail(65, f"the model {path} cannot be used: a {type(estimator).__name__} is no fitted estimator")
    return estimator


def listen(port, app, **options):
    try:
        return Server(port, app, **options)
    except OSError as error:
        return fail(69, f"cannot listen on port {port}: {error.strerror}")


def main():
    path = os.environ.get("MODEL_PATH") or fail(64, "MODEL_PATH is not set")
    port, admin_port = number("PORT", "8080", 0, 65535), number("ADMIN_PORT", "8081", 0, 65535)
    if port == admin_port != 0:
        fail(64, f"ADMIN_PORT and PORT must differ, both are {port}")
    window, delay = number("FEEDBACK_WINDOW", "1000", 1, 10**6), number("SHUTDOWN_DELAY", "3", 0, 300)
    app = App(os.environ.get("MODEL_NAME") or "model", os.environ.get("MODEL_VERSION") or "1", load(path), window)
    server = listen(port, app)
    admin = listen(admin_port, app, admin=True, most=64, per_peer=16)
    print(f"model {app.name} version {app.version} from {path} answers callers on port {server.server_address[1]}, and probes, metrics and feedback "
          f"on port {admin.server_address[1]}", flush=True)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
    serving.start()
    threading.Thread(target=admin.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()  # to the very end
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    app.ready = False
    time.sleep(delay)
    server.shutdown()
    serving.join()
    server.socket.close()
    server.drain(SHUTDOWN_LIMIT)


if __name__ == "__main__":
    main()
