"""Trains by images/sklearn/train.py and asks both servers, scikit-learn's and model-server, the same questions.

    python3 images/test_servers.py [path of model-server]      (needs scikit-learn)
"""

import contextlib
import http.client
import json
import os
import pathlib
import signal
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
    env = {**os.environ, "MODEL_PATH": str(model), "MODEL_NAME": "m", "MODEL_VERSION": "m-v1", "PORT": "0", "SHUTDOWN_DELAY": "0",
           "PYTHONDONTWRITEBYTECODE": "1"}  # the folder becomes a layer of the image
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        line = process.stdout.readline()
        yield process, int(line.rsplit("port ", 1)[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stdout.close()


class Client:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(self, method, path, body=None):
        self.connection.request(method, path, body if isinstance(body, (str, type(None))) else json.dumps(body))
        response = self.connection.getresponse()
        text = response.read().decode()
        assert response.headers["Model-Version"] == "m-v1"
        return response.status, json.loads(text) if response.headers["Content-Type"] == "application/json" else text


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
        cls.processes, cls.clients = {}, {}
        for name, (command, model) in commands.items():
            cls.processes[name], port = cls.stack.enter_context(serving(command, model))
            cls.clients[name] = Client(port)

    @classmethod
    def tearDownClass(cls):
        for client in cls.clients.values():
            client.connection.close()
        cls.stack.close()

    def each(self, method, path, body=None):
        for name, client in self.clients.items():
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
            for status, answer in self.each("POST", INFER, body):
                self.assertEqual(status, 400)
                self.assertTrue(answer["error"])

    def test_columns_by_name(self):
        names = list(self.each("GET", "/v2/models/m"))[0][1]["parameters"]["features"]
        inputs = [tensor(name, [1], [value]) for name, value in zip(names, ROW)][::-1]
        for status, answer in self.each("POST", INFER, {"inputs": inputs, "outputs": [{"name": "predict"}]}):
            self.assertEqual((status, len(answer["outputs"])), (200, 1))

    def test_feedback_and_metrics(self):
        path = "/v2/models/m/feedback"
        for status, answer in self.each("POST", path, {"predictions": [1, 0, 1, 1], "labels": [True, 0, "1", 0.0], "model_version": "m-v1"}):
            self.assertEqual((status, answer["compared"], answer["correct"]), (200, 4, 3))
        for body, wanted in [({"predictions": [1], "labels": [1], "model_version": "m-v2"}, 409), ({"labels": [1]}, 400),
                             ({"predictions": [1], "labels": [1, 2]}, 400), ({"id": "no", "labels": [1]}, 404)]:
            for status, _ in self.each("POST", path, body):
                self.assertEqual(status, wanted)
        for status, text in self.each("GET", "/metrics"):
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


class Stopping(unittest.TestCase):
    def test_a_stop_ends_with_0_although_connections_are_open(self):
        """Under load a thread of numpy's once took the signal, which only the main thread had blocked."""
        with tempfile.TemporaryDirectory() as folder:
            train(folder)
            with serving([sys.executable, HERE / "sklearn" / "main.py"], pathlib.Path(folder, "ns/m/r.joblib")) as (process, port):
                client = Client(port)
                client.ask("GET", "/v2/health/ready")
            self.assertEqual(process.returncode, 0)
            client.connection.close()


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        MODEL_SERVER = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
