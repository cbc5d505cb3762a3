"""Artifacts in real stores: the fetching program against a real S3 server on this host, and a folder from S3 that serves in the cluster."""

import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading

import pytest

import seaweed
import settings
from case import conditions

KEY = "fraud/2 +ü.tar"      # all that has to be written otherwise in an address
PATH = "models/fraud/2%20%2B%C3%BC.tar"
SIGNATURES = settings.REPO / "tests" / "unit" / "signatures"
pytestmark = pytest.mark.xdist_group("artifacts")


@pytest.fixture(scope="module")
def store():
    with seaweed.Store() as store:
        yield store


def digest_of(file):
    return "sha256:" + hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()


def folder_of(path):
    """The one that tests/unit/signatures/folder.sig is of, with a model for the tiny server."""
    (path / "data").mkdir(parents=True)
    (path / "MLmodel").write_text("flavor")
    (path / "data" / "größe.bin").write_text("y")
    return path


def pack(folder, archive):
    done = subprocess.run([settings.OPERATOR, "pack", folder, "-o", archive], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest_of(archive)
    return done.stdout.strip()


class Fetch:
    """One run of `model-operator fetch`, as the container does it."""

    def __init__(self, folder, endpoint, digest, keys=seaweed.READER, uri=f"s3://models/{KEY}", flags=(), **secret):
        self.credentials, self.out = folder / "credentials", folder / "out"
        for made in (self.credentials, self.out):
            made.mkdir(exist_ok=True)
        (folder / "last").write_text("")
        for name, value in {"AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1], "AWS_ENDPOINT_URL": endpoint, **secret}.items():
            (self.credentials / name).write_text(value)
        done = subprocess.run([settings.OPERATOR, "fetch", "--uri", uri, "--digest", digest, "--output", self.out / "model", "--credentials-dir", self.credentials,
                               "--termination-log", folder / "last", *flags], capture_output=True, text=True)
        self.code, self.log, self.said = done.returncode, done.stderr, (folder / "last").read_text()


def test_a_folder_goes_to_s3_and_comes_back_as_it_was(store, tmp_path):
    digest = pack(folder_of(tmp_path / "model"), tmp_path / "model.tar")
    seaweed.put(store.endpoint, PATH, tmp_path / "model.tar")
    fetch = Fetch(tmp_path, store.endpoint, digest, flags=["--unpack"])
    assert fetch.code == 0, fetch.log
    assert subprocess.run(["diff", "-r", tmp_path / "model", fetch.out / "model"]).returncode == 0
    (tmp_path / "as-it-is").mkdir()
    fetch = Fetch(tmp_path / "as-it-is", store.endpoint, digest)
    assert fetch.code == 0 and digest_of(fetch.out / "model") == digest


class Registry(http.server.BaseHTTPRequestHandler):
    """What an import asks MLflow for: version 7 of the registered model fraud, whose files are in `folder`."""

    folder = None

    def do_GET(self):
        path = self.path.split("?")[0]
        files = [f for f in sorted(self.folder.iterdir())]
        if path.startswith("/api/2.0/mlflow-artifacts/artifacts/"):
            return self.answer((self.folder / pathlib.Path(path).name).read_bytes())
        answers = {"/api/2.0/mlflow/registered-models/alias": {"model_version": {"version": "7", "status": "READY"}},
                   "/api/2.0/mlflow/model-versions/get-download-uri": {"artifact_uri": "mlflow-artifacts:/0/fraud"},
                   "/api/2.0/mlflow-artifacts/artifacts": {"files": [{"path": f.name, "is_dir": False, "file_size": f.stat().st_size} for f in files]}}
        self.answer(json.dumps(answers[path]).encode())

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Import:
    """One run of `model-operator import mlflow` into the store, as the Job does it."""

    def __init__(self, folder, files, endpoint, keys=seaweed.ADMIN, uri="s3://models/imported"):
        for made in ("keys", "work"):
            (folder / made).mkdir(exist_ok=True)
        for name, value in {"AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1], "AWS_ENDPOINT_URL": endpoint}.items():
            (folder / "keys" / name).write_text(value)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Of", (Registry,), {"folder": files}))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [settings.OPERATOR, "import", "mlflow", "--url", f"http://127.0.0.1:{server.server_port}", "--model", "fraud", "--alias", "champion", "--uri", uri,
                   "--store-credentials-dir", folder / "keys", "--work-dir", folder / "work", "--result", folder / "result", "--timeout", "60s"]
        done = subprocess.run(command, capture_output=True, text=True)
        server.shutdown()
        server.server_close()
        self.code, self.log, self.said, self.left = done.returncode, done.stderr, (folder / "result").read_text(), list((folder / "work").iterdir())


def test_what_is_imported_goes_to_s3_and_comes_back_as_it_was(store, tmp_path):
    files = tmp_path / "model"
    files.mkdir()
    (files / "MLmodel").write_text("flavor")
    for size in (100, 20_000_000):  # at once, and in parts
        (files / "weights").write_bytes(os.urandom(size))
        done = Import(tmp_path, files, store.endpoint)
        assert done.code == 0 and not done.left, done.log
        artifact = json.loads(done.said)["artifact"]
        assert artifact["uri"].startswith("s3://models/imported/fraud-7-") and seaweed.ADMIN[1] not in done.log
        fetch = Fetch(tmp_path, store.endpoint, artifact["digest"], uri=artifact["uri"], flags=["--unpack"])
        assert fetch.code == 0, fetch.log
        assert subprocess.run(["diff", "-r", files, fetch.out / "model"]).returncode == 0
        shutil.rmtree(fetch.out, ignore_errors=True)
    # Parts of a connection that breaks are sent again.
    cutter = Cutter(store.port, 3, 100)
    done = Import(tmp_path, files, cutter.endpoint)
    assert done.code == 0 and "again in" in done.log and json.loads(done.said)["artifact"] == artifact, done.log
    for keys, words in [(seaweed.READER, "allow s3:PutObject, or name another Secret in registry.mlflow.store.credentials"),
                        (("admin", "wrong"), "the store does not know these keys")]:
        done = Import(tmp_path, files, store.endpoint, keys=keys)
        assert done.code == 77 and words in done.said and not done.left, (done.code, done.log)


def test_what_real_stores_refuse_is_said(store, tmp_path):
    (tmp_path / "file").write_text("model")
    seaweed.put(store.endpoint, PATH, tmp_path / "file")
    seaweed.put(store.endpoint, "secrets/x", tmp_path / "file")
    digest, other = digest_of(tmp_path / "file"), "sha256:" + "a" * 64
    rows = [
        ({"keys": ("reader", "wrong")}, 77, "the store does not know these keys; check AWS_ACCESS_KEY_ID"),
        ({"keys": ("nobody", "wrong")}, 77, "InvalidAccessKeyId"),
        ({"uri": "s3://secrets/x"}, 77, "allow s3:GetObject"),
        ({"uri": "s3://models/none"}, 66, 'bucket "models" has no key "none"'),
        ({"uri": "s3://none/x", "keys": seaweed.ADMIN}, 66, 'bucket "none" does not exist'),
        ({"flags": ["--max-bytes", "4"]}, 66, "it is larger than the 4 bytes allowed: the server has 5"),
        ({"flags": ["--unpack"]}, 66, "it is no whole tar, tar.gz or tar.zst archive"),
        ({"digest": other}, 65, f"digest mismatch: s3://models/{KEY} has {digest}, expected {other}"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "flags": ["--timeout", "1s"]}, 69, "given up after 1s"),
    ]
    for changes, code, words in rows:
        fetch = Fetch(tmp_path, store.endpoint, **{"digest": digest, **changes})
        assert fetch.code == code and words in fetch.said, (changes, fetch.code, fetch.log)
        assert not list(fetch.out.iterdir()), changes
        assert seaweed.READER[1] not in fetch.log


class Cutter:
    """Relays to the store, and cuts each of the first connections after so many bytes of its answer. `sent`: bytes of all answers."""

    def __init__(self, port, cuts, after):
        self.port, self.cuts, self.after, self.sent = port, cuts, after, 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.server.accept()
            store = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self._copy, args=(client, store, None), daemon=True).start()
            limit, self.cuts = (self.after if self.cuts > 0 else 1 << 40), self.cuts - 1
            threading.Thread(target=self._copy, args=(store, client, limit), daemon=True).start()

    def _copy(self, source, target, limit):
        try:
            while limit != 0 and (data := source.recv(min(65536, limit or 65536))):
                target.sendall(data)
                if limit:
                    limit -= len(data)
                    self.sent += len(data)
        except OSError:
            pass
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def test_a_connection_that_breaks_in_the_middle_is_taken_up_where_it_broke(store, tmp_path):
    size, cuts, after = 20_000_000, 5, 3_000_000
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(os.urandom(size))
    digest = pack(tmp_path / "model", tmp_path / "model.tar")
    seaweed.put(store.endpoint, PATH, tmp_path / "model.tar")
    # Host and port are part of the signature, so the store must be told the name that the client uses: it takes what Host says.
    cutter = Cutter(store.port, cuts, after)
    fetch = Fetch(tmp_path, cutter.endpoint, digest, flags=["--unpack"])
    assert fetch.code == 0, fetch.log
    assert fetch.log.count("; again in ") == cuts
    assert digest_of(fetch.out / "model" / "weights") == digest_of(tmp_path / "model" / "weights")
    assert cutter.sent < (tmp_path / "model.tar").stat().st_size + 10_000  # with the heads of six answers: nothing came twice


def deploy_store(case):
    """The same store as a pod, with a Service."""
    seaweed.load_image()
    case.configmap("s3-config", **{"s3.json": json.dumps(seaweed.IDENTITIES)})
    labels = {"app": "store"}
    case.kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "store", "labels": labels}, "spec": {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "weed", "image": seaweed.IMAGE, "imagePullPolicy": "IfNotPresent",
                        "args": [*seaweed.flags("127.0.0.1", "/data", (9333, 8080, 8888, 8333)), "-s3.config=/config/s3.json"],
                        "env": [{"name": "HOME", "value": "/data"}, {"name": "TMPDIR", "value": "/data"}],
                        "readinessProbe": {"tcpSocket": {"port": 8333}, "periodSeconds": 1},
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}, {"name": "config", "mountPath": "/config"}]}],
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}, {"name": "config", "configMap": {"name": "s3-config"}}]}}, case.namespace)
    case.kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "store"}, "spec": {"selector": labels, "ports": [{"port": 8333}]}}, case.namespace)
    case.until(lambda: conditions(case.get("Pod", "store")).get("Ready") == "True", "the store is ready")
    return case.forward("store", 8333)


def secret(case, name, keys):
    data = {"AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1], "AWS_ENDPOINT_URL": f"http://store.{case.namespace}.svc:8333"}
    case.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}, case.namespace)


def test_a_signed_folder_from_s3_serves_and_a_changed_one_does_not(case, tmp_path):
    endpoint = deploy_store(case)
    good = pack(folder_of(tmp_path / "good"), tmp_path / "good.tar")
    (tmp_path / "good" / "MLmodel").write_text("evil")
    evil = pack(tmp_path / "good", tmp_path / "evil.tar")

    def put(path, file):
        def done():
            try:
                return seaweed.put(endpoint, path, file) is None
            except AssertionError:
                return False
        case.until(done, f"{path} is in the store")
    put("models/good.tar", tmp_path / "good.tar")
    put("models/evil.tar", tmp_path / "evil.tar")
    put("models/good.sig", SIGNATURES / "folder.sig")
    secret(case, "store", seaweed.READER)
    secret(case, "wrong", ("reader", "wrong"))

    def artifact(name, digest, credentials="store"):
        return {"uri": f"s3://models/{name}.tar", "digest": digest, "format": {"name": "tiny"}, "unpack": True, "size": "10Mi",
                "credentials": {"secretName": credentials},
                "signature": {"uri": "s3://models/good.sig", "publicKey": (SIGNATURES / "p256.pub").read_text()}}

    case.version("m-v0", artifact=artifact("good", good, "wrong"))
    case.model(version="m-v0", replicas=1)
    case.until(lambda: "the store does not know these keys; check AWS_ACCESS_KEY_ID" in case.status()["message"], "the Model says whose keys are wrong")
    case.version("m-v1", artifact=artifact("good", good))
    case.move("m-v1")
    case.ready("m", "m-v1")
    pod = next(p for p in case.all("Pod") if p["metadata"]["labels"].get("modelops.dev/version") == "m-v1")
    assert {"name": "MODEL_PATH", "value": "/artifact/good"} in pod["spec"]["containers"][0]["env"]
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["message"].endswith(f"{good}, signed")

    case.version("m-v2", artifact=artifact("evil", evil))
    case.move("m-v2")
    failed = case.phase(case.rollout_of("m-v2"), "RolledBack")
    assert "bad signature: s3://models/evil.tar: file \"MLmodel\" differs from what was signed" in str(failed["status"]) and "BadSignature" in str(failed["status"])
    assert case.endpoints() == {"m-v1": 1}


def test_the_digest_of_a_folder_is_the_same_wherever_it_is_packed(tmp_path):
    one = pack(folder_of(tmp_path / "one"), tmp_path / "one.tar")
    two = folder_of(tmp_path / "two")
    os.utime(two / "MLmodel", (1, 1))
    (two / "MLmodel").chmod(0o600)
    assert pack(two, tmp_path / "two.tar") == one
    listed = subprocess.run(["tar", "-tvf", tmp_path / "one.tar"], capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC"}).stdout
    assert re.search(r"^-rw-r--r-- 0/0 +6 1970-01-01 00:00 MLmodel$", listed, re.M), listed
