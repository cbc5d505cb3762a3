"""Operators under test: real processes on this host, each with the rights of a ServiceAccount and no more."""

import copy
import functools
import json
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import yaml

import settings
from kube import ApiError

START_SECONDS = 30


@functools.cache
def allocator():
    """How the Deployment of the manifests has the C library give out memory."""
    deployment = yaml.safe_load((settings.REPO / "manifests" / "operator" / "deployment.yaml").read_text())
    return {e["name"]: e["value"] for e in deployment["spec"]["template"]["spec"]["containers"][0]["env"] if e["name"] == "GLIBC_TUNABLES"}


def token_of(kube, namespace, account):
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    return kube._call("POST", kube.path("ServiceAccount", account, namespace, "token"), request)["status"]["token"]


def kubeconfig_of(kube, namespace, account, out):
    """A kubeconfig with a token of that ServiceAccount."""
    token = token_of(kube, namespace, account)
    config = json.loads(settings.KUBECONFIG.read_text())
    config["users"][0]["user"] = {"token": token}
    out.write_text(json.dumps(config))
    return out


class Port:
    """A TCP port that is free, below the range from which the kernel takes those for connections. For as long as this lives no other of these has the same
    number, whether an operator listens there already or is yet to start, or to start again: UDP's of that number is held."""

    def __init__(self):
        while True:
            self.number = random.randrange(12000, 32000)
            self.held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self.held.bind(("127.0.0.1", self.number))
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", self.number))
                return
            except OSError:
                self.held.close()


class Operator:
    """One process. `name` names its files; the same name goes on in the same log."""

    def __init__(self, name, kubeconfig, arguments=()):
        self.name = name
        self.log = settings.STATE / f"operator-{name}.log"
        self.ports = Port(), Port()
        self.metrics_port, self.health_port = (port.number for port in self.ports)
        given = " ".join(arguments)
        self.command = [str(settings.OPERATOR), "run", f"--kubeconfig={kubeconfig}", f"--metrics-address=127.0.0.1:{self.metrics_port}",
                        f"--health-address=127.0.0.1:{self.health_port}", f"--fetch-image={settings.OPERATOR_IMAGE}", *arguments]
        if "--prometheus-url" not in given:
            self.command.append(f"--prometheus-url={settings.prometheus_url()}")
        if "--metrics-auth" not in given:  # a Role gives no right to ask whose token it is, and tests read without one
            self.command.append("--metrics-auth=false")
        if "--web-gate-allow" not in given:
            self.command.append("--web-gate-allow=127.0.0.0/8")  # where the tests' own servers are
        self.process = None

    def start(self, wait_ready=True):
        with open(self.log, "ab") as log:
            log.write(f"--- {' '.join(self.command)}\n".encode())
            log.flush()
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                            env={**os.environ, **allocator()})
        if wait_ready:
            self.wait_ready()
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait_ready(self, timeout=START_SECONDS):
        deadline = time.monotonic() + timeout
        while not self.ready():
            assert self.process.poll() is None, f"operator {self.name} ended with {self.process.returncode}:\n{self.tail()}"
            assert time.monotonic() < deadline, f"operator {self.name} is not ready after {timeout} s: {self.readyz()}\n{self.tail()}"
            time.sleep(0.05)

    def http(self, port, path, token=None):
        """(code, text); code 0 if nobody listens. Metrics come by HTTPS, with a certificate that the operator signs itself."""
        scheme = "https" if port == self.metrics_port else "http"
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=20, context=ssl._create_unverified_context()) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def readyz(self):
        return self.http(self.health_port, "/readyz")

    def ready(self):
        return self.readyz()[0] == 200

    def metrics(self):
        """{'name{labels}': value}"""
        code, text = self.http(self.metrics_port, "/metrics")
        assert code == 200, text
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line and not line.startswith("#")}

    def reconciles(self):
        """How many it has done since it started."""
        return sum(value for name, value in self.metrics().items() if re.match(r"\w*reconcile\w*(_count|_total)", name))

    def kill(self):
        self.end(signal.SIGKILL)

    def end(self, number=signal.SIGTERM, timeout=20):
        """The exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"operator {self.name} did not end within {timeout} s of signal {number}:\n{self.tail()}") from None

    def tail(self, namespace=None, lines=60):
        return tail(self.log, namespace, lines)


def tail(log, namespace=None, lines=60):
    """The last lines of a log, of those that speak of `namespace` if given."""
    if not log.exists():
        return ""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - 4_000_000))
        text = file.read().decode(errors="replace").splitlines()
    chosen = [line for line in text if not namespace or namespace in line or " critical " in line]
    return "\n".join(chosen[-lines:])


# ---- an operator for one namespace, with a Role's rights

@functools.cache
def rendered_rights(kube):
    return [body for body in kube.render("manifests/namespaced") if body["kind"] in ("ServiceAccount", "Role", "RoleBinding")]


def namespaced_rights(kube, namespace):
    """What manifests/namespaced gives, for an operator of this namespace; read access to ModelRuntimes is not part of it."""
    for body in copy.deepcopy(rendered_rights(kube)):
        body["metadata"]["namespace"] = namespace
        for subject in body.get("subjects", []):
            subject["namespace"] = namespace
        kube.apply(body)


def runtimes_file(kube):
    path = settings.STATE / "runtimes.json"
    runtimes = [{"apiVersion": r["apiVersion"], "kind": r["kind"], "metadata": {"name": r["metadata"]["name"]}, "spec": r["spec"]}
                for r in kube.list("ModelRuntime") if r["metadata"]["name"].startswith(("tiny", "rules"))]
    text = "\n---\n".join(json.dumps(r) for r in runtimes)
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(text)
    temporary.rename(path)
    return path


def namespaced(kube, namespace, name=None, arguments=()):
    """An operator of `namespace` alone; not started."""
    namespaced_rights(kube, namespace)
    kubeconfig = kubeconfig_of(kube, namespace, "model-operator", settings.STATE / f"{name or namespace}.kubeconfig")
    return Operator(name or namespace, kubeconfig, [f"--namespace={namespace}", f"--runtimes-file={runtimes_file(kube)}", *arguments])


# ---- the operator of the whole cluster, which the tests of all worker processes share

class Shared:
    """It runs while tests that want it do, and not while others bring operators of their own: two operators would fight over every Model.
    So tests come in kinds ("shared", "private", "alone-…"); tests of one kind run at the same time, those of different kinds never do."""

    def __init__(self, kube):
        self.kube = kube
        self.folder = settings.STATE
        self.mutex = self.folder / "room.lock"
        self.file = self.folder / "room.json"

    def _locked(self, change):
        import fcntl
        with open(self.mutex, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            room = json.loads(self.file.read_text()) if self.file.exists() else {"kind": None, "tests": [], "operator": None}
            done = change(room)
            # Whole or not at all: facts() reads it without the lock.
            temporary = self.file.with_suffix(".new")
            temporary.write_text(json.dumps(room))
            temporary.rename(self.file)
            return done

    def enter(self, kind, test, timeout=600):
        def change(room):
            if room["tests"] and (room["kind"] != kind or kind.startswith("alone")):
                return False
            if kind == "shared" and not alive(room["operator"]):
                room["operator"] = self._start()
            if kind != "shared" and room["operator"]:
                self._stop(room)
            room["kind"] = kind
            room["tests"].append(test)
            return True
        deadline = time.monotonic() + timeout
        while not self._locked(change):
            assert time.monotonic() < deadline, f"waited {timeout} s for the tests before: {self.file.read_text()}"
            time.sleep(0.1)

    def leave(self, test):
        self._locked(lambda room: room["tests"].remove(test))

    def end(self):
        self._locked(self._stop)

    def facts(self):
        """metrics_port and health_port of the one that runs, as an Operator without a process."""
        room = json.loads(self.file.read_text())
        shared = Operator.__new__(Operator)
        shared.__dict__.update(room["operator"], process=None, log=self.folder / "operator-shared.log", name="shared")
        return shared

    def _start(self):
        kubeconfig = kubeconfig_of(self.kube, settings.SYSTEM_NAMESPACE, "model-operator", self.folder / "shared.kubeconfig")
        operator = Operator("shared", kubeconfig).start()
        return {"process_id": operator.pid, "metrics_port": operator.metrics_port, "health_port": operator.health_port}

    def _stop(self, room):
        if alive(room["operator"]):
            pid = room["operator"]["process_id"]
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + 20
            while alive(room["operator"]):
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)
        room["operator"] = None


def alive(operator):
    """Whether it runs; a zombie of whichever worker started it does not."""
    if not operator:
        return False
    try:
        with open(f"/proc/{operator['process_id']}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        with open(f"/proc/{operator['process_id']}/cmdline") as file:
            return fields[0] not in "ZX" and "model-operator" in file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False
