"""The fetching program against a real registry, with TLS and accounts: `make registry-test` builds it once."""

import base64
import gzip
import hashlib
import json
import os
import subprocess

import pytest

import registry
import settings
from test_artifacts import Cutter, digest_of

TAR = "application/vnd.oci.image.layer.v1.tar"
pytestmark = pytest.mark.xdist_group("registry")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = registry.Registry(tmp_path_factory.mktemp("registry"))
    try:
        yield store
    finally:
        store.close()


def pull(store, folder, digest, address=None, password=registry.PASSWORD, flags=()):
    secret, out = folder / "secret", folder / "out"
    for made in (secret, out):
        made.mkdir(exist_ok=True)
    address = address or store.address
    account = base64.b64encode(f"{registry.USER}:{password}".encode()).decode()
    (secret / ".dockerconfigjson").write_text(json.dumps({"auths": {address: {"auth": account}}}))
    (secret / "ca.crt").write_bytes((store.folder / "ca.crt").read_bytes())
    done = subprocess.run([settings.OPERATOR, "fetch", "--uri", f"oci://{address}/team/fraud@{digest}", "--digest", digest, "--output", out / "model",
                           "--credentials-dir", secret, *flags], capture_output=True, text=True)
    return done.returncode, done.stderr, out / "model"


def archive(folder, files):
    """A tar as an image's layer has it."""
    for name, content in files.items():
        path = folder / "layer" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return subprocess.run(["tar", "-C", folder / "layer", "-cf", "-", "."], check=True, capture_output=True).stdout


def test_a_folder_comes_from_a_registry(store, tmp_path):
    weights = os.urandom(3_000_000)
    digest = store.push([(f"{TAR}+gzip", gzip.compress(archive(tmp_path, {"model/weights": weights, "model/config.json": b"{}"})), {}),
                            ("text/markdown", b"about it", {"org.opencontainers.image.title": "README.md"})])
    code, log, model = pull(store, tmp_path, digest)
    assert code == 0, log
    assert (model / "model" / "weights").read_bytes() == weights and (model / "README.md").read_text() == "about it"


def test_a_layer_is_taken_up_where_the_connection_broke(store, tmp_path):
    weights = os.urandom(20_000_000)
    digest = store.push([("application/octet-stream", weights, {"org.opencontainers.image.title": "weights"})])
    cutter = Cutter(store.port, 4, 4_000_000)
    code, log, model = pull(store, tmp_path, digest, address=cutter.endpoint.removeprefix("http://"))
    assert code == 0, log
    assert "; again in " in log and "starting over" not in log
    assert digest_of(model / "weights") == "sha256:" + hashlib.sha256(weights).hexdigest()
    assert cutter.sent < len(weights) + 200_000  # with TLS and heads: nothing came twice


def test_what_a_registry_refuses_or_changes_is_said(store, tmp_path):
    content = b"weights " * 1000
    digest = store.push([("application/octet-stream", content, {"org.opencontainers.image.title": "weights"})])
    absent = "sha256:" + "a" * 64
    assert pull(store, tmp_path, digest, password="wrong")[:1] == (77,)
    code, log, model = pull(store, tmp_path, absent)
    assert code == 66 and f"the registry has no team/fraud@{absent}" in log
    code, log, _ = pull(store, tmp_path, digest, flags=["--max-bytes", "100"])
    assert code == 66 and "larger than the 100 bytes" in log
    store.blob("sha256:" + hashlib.sha256(content).hexdigest()).write_bytes(b"Weights " * 1000)
    code, log, _ = pull(store, tmp_path, digest)
    assert code == 65 and "digest mismatch" in log and not list((tmp_path / "out").iterdir()), log
