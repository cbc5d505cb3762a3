"""Trains by images/sklearn/train.py and asks both servers, scikit-learn's and model-server, the same questions.

    python3 images/test_servers.py [path of model-server]      (needs scikit-learn)
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
MODEL_SERVER = HERE.parent / "build" / "release" / "bin" / "model-server"
INFER = "/v2/models/m/infer"


def train(folder, **env):
    result = pathlib.Path(folder, "result")
    done = subprocess.run([sys.executable, HERE / "sklearn" / "main.py", "train"], capture_output=True, text=True,
                          env={**os.environ, "OUTPUT_DIR": str(folder), "MODELOPS_OUTPUT": "ns/m/r", "MODELOPS_RESULT": str(result), **env})
    return done.returncode, result.read_text()


@contextlib.contextmanager
def serving(command, model):
    env = {**os.environ, "MODEL_PATH": str(model), "MODEL_NAME": "m", "MODEL_VERSION": "m-v1", "PORT": "0", "ADMIN_PORT": "0", "SHUTDOWN_DELAY": "0",
           "PYTHONDONTWRITEBYTECODE": "1"}  # the folder becomes a layer of the image
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        port, admin = map(int, re.findall(r" port (\d+)", process.stdout.readline()))
        yield process, port, admin
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stdout.close()


class Client:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(self, method, path, body=None):
        status, headers, content = self.exchange(method, path, body if isinstance(body, (str, type(None))) else json.dumps(body))
        return status, json.loads(content) if headers["Content-Type"] == "application/json" else content.decode()

    def exchange(self, method, path, body, headers={}):
        """(status, headers, bytes)"""
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        content = response.read()
        assert response.headers["Model-Version"] == "m-v1"
        return response.status, response.headers, content

    def ask_binary(self, document, binary):
        """As tritonclient does: (status, document, the bytes behind it)."""
        text = json.dumps(document).encode()
        status, headers, content = self.exchange("POST", INFER, text + binary, {"Inference-Header-Content-Length": str(len(text))})
        length = int(headers.get("Inference-Header-Content-Length", len(content)))
        return status, json.loads(content[:length]), content[length:]


def tensor(name, shape, data, datatype="FP64"):
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


ROW = [float(i + 1) for i in range(30)]
BAD = ["", "[]", "{}", '{"inputs": []}', '{"inputs": [1]}', '{"inputs": [{}]}', "[" * 100_000, '{"inputs": NaN}',
       {"inputs": [tensor("features", [1, 30], ROW[1:])]}, {"inputs": [tensor("features", [1, 29], ROW[1:])]},
       {"inputs": [tensor("features", [1, 30], ROW, "FP16")]}, {"inputs": [tensor("features", [1, 30], [1.5] * 30, "INT64")]},
       {"inputs": [tensor("features", [-1, 30], ROW)]}, {"inputs": [tensor("features", [1, 1, 30], ROW)]},
       {"inputs": [tensor("features", [1, 30], ["a"] * 30, "BYTES")]}, {"inputs": [tensor("features", [1, 30], [None] * 30)]},
       {"inputs": [tensor("other", [1], [1])]}, {"inputs": [tensor("features", [30], ROW)], "id": 7},
       {"inputs": [tensor("features", [30], ROW)], "outputs": [{"name": "logit"}]},
       {"inputs": [tensor("features", [30], ROW)], "parameters": {"labels": [1, 0]}},
       '{"inputs": [{"name": "features", "shape": [30], "datatype": "FP64", "data": [' + "1e999," * 29 + "1]}]}"]


class BothServers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        cls.folder = pathlib.Path(cls.stack.enter_context(tempfile.TemporaryDirectory()))
        for kind in ("sklearn", "linear"):
            code, text = train(cls.folder, FORMAT=kind)
            assert code == 0, text
        commands = {"sklearn": ([sys.executable, HERE / "sklearn" / "main.py"], cls.folder / "ns/m/r.joblib")}
        if MODEL_SERVER.exists():
            commands["model-server"] = ([MODEL_SERVER], cls.folder / "ns/m/r.json")
        cls.processes, cls.clients, cls.admins = {}, {}, {}
        for name, (command, model) in commands.items():
            cls.processes[name], port, admin = cls.stack.enter_context(serving(command, model))
            cls.clients[name], cls.admins[name] = Client(port), Client(admin)

    @classmethod
    def tearDownClass(cls):
        for client in [*cls.clients.values(), *cls.admins.values()]:
            client.connection.close()
        cls.stack.close()

    def each(self, method, path, body=None, admin=False):
        for name, client in (self.admins if admin else self.clients).items():
            with self.subTest(server=name, path=path, body=str(body)[:80]):
                yield client.ask(method, path, body)

    def test_good_requests_are_answered_alike(self):
        answers = list(self.each("POST", INFER, {"id": "a", "inputs": [tensor("features", [2, 30], ROW + ROW[::-1])]}))
        for status, answer in answers:
            self.assertEqual(status, 200)
            self.assertEqual([(o["name"], o["datatype"], o["shape"]) for o in answer["outputs"]],
                             [("predict", "INT64", [2]), ("probability", "FP64", [2])])
            self.assertEqual(answer["outputs"][0]["data"], answers[0][1]["outputs"][0]["data"])
            self.assertAlmostEqual(answer["outputs"][1]["data"][0], answers[0][1]["outputs"][1]["data"][0], 6)

    def test_metadata_health_and_unknown_paths(self):
        names = [answer[1]["parameters"]["features"] for answer in self.each("GET", "/v2/models/m")]
        self.assertTrue(all(name == names[0] for name in names))
        for path, wanted in {"/v2/health/live": 200, "/v2/health/ready": 200, "/v2": 200, "/v2/models/m/versions/m-v1/ready": 200,
                             "/v2/models/x": 404, "/v2/models/m/versions/m-v2": 404, "/": 404, INFER: 405}.items():
            for status, _ in self.each("GET", path):
                self.assertEqual(status, wanted)

    def test_bad_requests_are_refused_alike(self):
        for body in BAD:
            for status, answer in self.each("POST", INFER, body, admin=True):
                self.assertEqual(status, 400)
                self.assertTrue(answer["error"])

    def test_binary_tensors_are_answered_alike(self):
        def features(size, datatype="FP32", **more):
            return {"inputs": [{"name": "features", "shape": [2, 30], "datatype": datatype, "parameters": {"binary_data_size": size}}], **more}
        rows = ROW + ROW[::-1]
        asked = [tensor("features", [2, 30], rows)]
        for (name, client), (_, wanted) in zip(self.clients.items(), list(self.each("POST", INFER, {"inputs": asked}))):
            with self.subTest(server=name):
                for datatype, code in {"FP64": "d", "FP32": "f", "INT64": "q", "UINT8": "B"}.items():
                    values = [int(value) for value in rows] if code in "qB" else rows
                    binary = struct.pack(f"<60{code}", *values)
                    status, answer, rest = client.ask_binary(features(len(binary), datatype), binary)
                    self.assertEqual((status, answer["outputs"], rest), (200, wanted["outputs"], b""))
                binary = struct.pack("<60f", *rows)
                status, answer, rest = client.ask_binary(features(240, parameters={"binary_data_output": True}), binary)
                self.assertEqual([output["parameters"] for output in answer["outputs"]], [{"binary_data_size": 16}] * 2)
                self.assertEqual(list(struct.unpack("<2q2d", rest)), wanted["outputs"][0]["data"] + wanted["outputs"][1]["data"])
                status, answer, rest = client.ask_binary(
                    features(240, outputs=[{"name": "probability", "parameters": {"binary_data": True}}, {"name": "predict"}]), binary)
                self.assertEqual((len(rest), answer["outputs"][1]["data"]), (16, wanted["outputs"][0]["data"]))
                for document, tail in [(features(240), b""), (features(241), binary), (features(239), binary), (features(-1), binary),
                                       (features(240, "FP64"), binary), (features("240"), binary), (features(240, "BYTES"), binary),
                                       (features(240), struct.pack("<60f", *ROW, *ROW[1:], float("nan"))), (features(60, "BOOL"), bytes([2] * 60))]:
                    self.assertEqual(client.ask_binary(document, tail)[0], 400)
                for length in ("-1", "x", "9" * 20, "100000", "0"):
                    self.assertEqual(client.exchange("POST", INFER, "{}", {"Inference-Header-Content-Length": length})[0], 400)

    def test_callers_get_no_metrics_and_tell_no_labels(self):
        labelled = {"inputs": [tensor("features", [30], ROW)], "parameters": {"labels": [1]}}
        for method, path, body in [("GET", "/metrics", None), ("POST", INFER, labelled),
                                   ("POST", "/v2/models/m/feedback", {"predictions": [1], "labels": [1]})]:
            for status, answer in self.each(method, path, body):
                self.assertEqual(status, 403)
                self.assertIn("only on the admin port", answer["error"])
        for status, _ in self.each("POST", INFER, labelled, admin=True):
            self.assertEqual(status, 200)

    def test_probes_are_answered_under_silent_connections(self):
        for name, admin in self.admins.items():
            with self.subTest(server=name), contextlib.ExitStack() as silent:
                for client, source in [(admin, "127.0.0.2")] * 200 + [(self.clients[name], "127.0.0.3")] * 300:
                    silent.enter_context(socket.create_connection(("127.0.0.1", client.connection.port), 10, (source, 0)))
                for source in ("127.0.0.1", "127.0.0.2"):
                    probe = http.client.HTTPConnection("127.0.0.1", admin.connection.port, timeout=10, source_address=(source, 0))
                    probe.request("GET", "/v2/health/ready")
                    self.assertEqual(probe.getresponse().status, 200)
                    probe.close()
                self.clients[name].connection.close()  # gave way, perhaps: the next test begins anew

    def test_columns_by_name(self):
        names = list(self.each("GET", "/v2/models/m"))[0][1]["parameters"]["features"]
        inputs = [tensor(name, [1], [value]) for name, value in zip(names, ROW)][::-1]
        for status, answer in self.each("POST", INFER, {"inputs": inputs, "outputs": [{"name": "predict"}]}):
            self.assertEqual((status, len(answer["outputs"])), (200, 1))

    def test_feedback_and_metrics(self):
        path = "/v2/models/m/feedback"
        for status, answer in self.each("POST", path, {"predictions": [1, 0, 1, 1], "labels": [True, 0, "1", 0.0], "model_version": "m-v1"}, True):
            self.assertEqual((status, answer["compared"], answer["correct"]), (200, 4, 3))
        for body, wanted in [({"predictions": [1], "labels": [1], "model_version": "m-v2"}, 409), ({"labels": [1]}, 400),
                             ({"predictions": [1], "labels": [1, 2]}, 400), ({"id": "no", "labels": [1]}, 404)]:
            for status, _ in self.each("POST", path, body, True):
                self.assertEqual(status, wanted)
        for status, text in self.each("GET", "/metrics", admin=True):
            self.assertEqual(status, 200)
            for name in ("model_requests_total", "model_predictions_total", "model_request_duration_seconds_bucket", "model_feedback_total",
                         "model_correct_total", "model_accuracy"):
                self.assertIn(f'{name}{{model="m",version="m-v1"', text)

    def test_too_long(self):
        for name in self.clients:
            with self.subTest(server=name):
                client = Client(self.clients[name].connection.port)
                status, _ = client.ask("POST", INFER, "x" * (5 << 20))
                client.connection.close()
                self.assertEqual(status, 413)


class Training(unittest.TestCase):
    def test_failures_are_said_in_the_result(self):
        with tempfile.TemporaryDirectory() as folder:
            for env, words in [({"C": "x"}, "C must be a number"), ({"DATASET": "iris"}, "DATASET must be one of"),
                               ({"MODELOPS_OUTPUT": "../x"}, "below the claim"), ({"FORMAT": "linear", "DATASET": "digits"}, "two classes")]:
                with self.subTest(env=env):
                    code, text = train(folder, **env)
                    self.assertEqual(code, 1)
                    self.assertIn(words, text)

    def test_the_same_run_makes_the_same_artifact_and_noise_makes_it_worse(self):
        with tempfile.TemporaryDirectory() as folder:
            first, second, noisy = (json.loads(train(folder, FORMAT="linear", **env)[1]) for env in ({}, {}, {"NOISE": "0.9", "ROWS": "60"}))
        self.assertEqual(first["artifact"], second["artifact"])
        self.assertLess(float(noisy["metrics"]["accuracy"]), float(first["metrics"]["accuracy"]))


class Folders(unittest.TestCase):
    """Artifacts that are folders, as MLflow saves them or with a single file."""

    def setUp(self):
        import joblib
        from sklearn.linear_model import LogisticRegression

        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), self.folder / "model.pkl")

    def asked(self):
        with serving([sys.executable, HERE / "sklearn" / "main.py"], self.folder) as (_, port, _):
            return Client(port).ask("POST", INFER, {"inputs": [tensor("x0", [1], [5.0])]})

    def refused(self):
        done = subprocess.run([sys.executable, HERE / "sklearn" / "main.py"], env={**os.environ, "MODEL_PATH": str(self.folder)}, capture_output=True, text=True)
        return done.returncode, done.stderr

    def test_mlflow_names_the_file(self):
        (self.folder / "MLmodel").write_text("flavors:\n  python_function:\n    model_path: other.pkl\n  sklearn:\n    pickled_model: model.pkl\n    sklearn_version: 1.2.1\n")
        (self.folder / "other.pkl").write_text("no pickle")
        self.assertEqual(self.asked()[0], 200)

    def test_a_single_file_is_found(self):
        (self.folder / "README.md").write_text("about it")
        self.assertEqual(self.asked()[0], 200)

    def test_what_cannot_be_told_is_said(self):
        (self.folder / "other.joblib").write_text("x")
        code, said = self.refused()
        self.assertEqual(code, 65)
        self.assertIn("2 files named *.joblib, *.pkl or *.pickle", said)
        for text in ("flavors:\n  xgboost: {}\n", "  pickled_model: ../evil.pkl\n", "  pickled_model: /evil.pkl\n"):
            (self.folder / "MLmodel").write_text(text)
            code, said = self.refused()
            self.assertEqual(code, 65)
            self.assertIn("its MLmodel names no pickled_model", said)
        (self.folder / "MLmodel").write_text("  pickled_model: model.skops\n")
        self.assertIn('save it with serialization_format="pickle"', self.refused()[1])


class Stopping(unittest.TestCase):
    def test_a_stop_ends_with_0_although_connections_are_open(self):
        """Under load a thread of numpy's once took the signal, which only the main thread had blocked."""
        with tempfile.TemporaryDirectory() as folder:
            train(folder)
            with serving([sys.executable, HERE / "sklearn" / "main.py"], pathlib.Path(folder, "ns/m/r.joblib")) as (process, port, _):
                client = Client(port)
                client.ask("GET", "/v2/health/ready")
            self.assertEqual(process.returncode, 0)
            client.connection.close()


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        MODEL_SERVER = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
