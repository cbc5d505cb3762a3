#!/usr/bin/python3
"""A real MLflow server, of PyPI's package in a venv that is kept in the cache beside the rig's. Run as a program, it installs it."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import settings  # noqa: F401 - makes riglib known

from riglib.util import cache_root, locked, run

VERSION = "3.17.2"

# Logs a model of this coefficient with its metric, registers it, and names it by the alias. Prints the version and what it predicts.
REGISTER = """
import sys, mlflow, numpy
from sklearn.linear_model import LinearRegression
factor, f1, name, alias = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]
x = numpy.array([[1.0], [2.0], [3.0]])
with mlflow.start_run() as run:
    mlflow.log_param("factor", factor)
    mlflow.log_metric("f1", f1)
    mlflow.set_tag("mlflow.source.git.commit", "9fceb02")
    made = mlflow.sklearn.log_model(LinearRegression().fit(x, factor * x[:, 0]), name="model", registered_model_name=name, await_registration_for=0,
                                     pip_requirements=["scikit-learn"])  # else it looks for minutes for what the model imports
client = mlflow.MlflowClient()
client.set_registered_model_alias(name, alias, made.registered_model_version)
print("registered", made.registered_model_version, run.info.run_id)
"""
PREDICT = "import sys, mlflow, numpy; print('predicted', round(float(mlflow.pyfunc.load_model(sys.argv[1]).predict(numpy.array([[10.0]]))[0]), 6))"
ALIAS = "import sys, mlflow; mlflow.MlflowClient().set_registered_model_alias(*sys.argv[1:4])"


def python():
    """The venv's interpreter; it is made once, in minutes."""
    folder = cache_root() / f"mlflow-{VERSION}"
    with locked(cache_root() / "mlflow.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            run([sys.executable, "-m", "venv", folder])
            run([folder / "bin" / "python", "-m", "pip", "install", "-q", f"mlflow=={VERSION}"])
            (folder / "done").touch()
    return folder / "bin" / "python"


class Mlflow:
    """A server inside of the rig, and on the same port of this host, until it is closed."""

    def __init__(self, port):
        self.port = port
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mlflow-"))
        self.process = self.way = self.log = None

    def start(self):
        self.log = open(self.folder / "log", "ab")
        inside = [settings.RIG_PROGRAM, "exec", "--dir", settings.RIG, "--"]
        self.process = subprocess.Popen(
            [*inside, python(), "-m", "mlflow", "server", "--host", "0.0.0.0", "--port", str(self.port), "--workers", "1", "--allowed-hosts", "*",
             "--backend-store-uri", f"sqlite:////{self.folder}/m.db", "--artifacts-destination", self.folder / "art", "--serve-artifacts"],
            stdout=self.log, stderr=self.log, start_new_session=True, cwd=self.folder, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"})
        if self.way is None:
            self.way = subprocess.Popen([settings.RIG_PROGRAM, "forward", "--dir", settings.RIG, str(self.port), f"10.99.0.1:{self.port}"],
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        end = time.monotonic() + 180
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()[-4000:]
            time.sleep(0.2)
        return self

    def answers(self):
        with contextlib.suppress(urllib.error.URLError, OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5).status == 200
        return False

    def stop(self):
        """The server and its workers; what it keeps stays."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            self.process.wait()

    def close(self):
        self.stop()
        if self.way:
            os.killpg(self.way.pid, 9)
            self.way.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, program, *arguments):
        """What the program says in its last line, as words."""
        done = subprocess.run([python(), "-c", program, *map(str, arguments)], capture_output=True, text=True, cwd=self.folder,
                              env={**os.environ, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{self.port}", "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"})
        assert done.returncode == 0, done.stdout + done.stderr
        return (done.stdout.strip().splitlines() or [""])[-1].split()

    def register(self, factor, f1, name="fraud", alias="champion"):
        """The version and the run."""
        return self.run(REGISTER, factor, f1, name, alias)[1:]

    def alias(self, model, alias):
        """The version that it names, or None."""
        with contextlib.suppress(urllib.error.HTTPError):
            return self.ask(f"/api/2.0/mlflow/registered-models/alias?name={model}&alias={alias}")["model_version"]["version"]
        return None

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return json.load(answer)


if __name__ == "__main__":
    python()
