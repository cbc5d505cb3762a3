"""Artifacts that the kubelet pulls and mounts: `make image-volume-test` builds a registry and a containerd that can, once."""

import base64
import contextlib
import io
import json
import os
import re
import subprocess
import tarfile

import pytest

import registry
import settings
from case import API, TINY_POD, conditions, digest_of
from test_artifacts import SIGNATURES

pytestmark = pytest.mark.xdist_group("image-volumes")
SIGNED = {"MLmodel": b"flavor", "data/größe.bin": b"y"}   # what tests/unit/signatures/folder.sig is of
# Serves the files of the mounted folder: it is ready once one of them is there.
FILES = {"spec": {"containers": [{"name": "server", "args": ["files", "/artifact/model"], "readinessProbe": {"httpGet": {"path": "/MLmodel", "port": 8080}}}]}}


def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture(scope="module")
def make_store(tmp_path_factory):
    """Registries inside of the rig, each known to its node's containerd."""
    made = []

    def make():
        store = registry.Registry(tmp_path_factory.mktemp("registry"), inside=True)
        made.append(store)
        folder = settings.RIG / "state" / "registries" / store.address
        folder.mkdir(parents=True)
        (folder / "hosts.toml").write_text(f'server = "https://{store.address}"\n[host."https://{store.address}"]\n  capabilities = ["pull", "resolve"]\n'
                                           f'  ca = "{store.folder / "ca.crt"}"\n')
        return store
    yield make
    for store in made:
        store.close()


@pytest.fixture(scope="module")
def store(make_store):
    return make_store()


def account(password=registry.PASSWORD):
    return base64.b64encode(f"{registry.USER}:{password}".encode()).decode()


def secret(case, store, name="pull", password=registry.PASSWORD):
    """Of the type that the kubelet pulls with; the fetching container reads the same, and the registry's CA."""
    case.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson", "stringData": {
        ".dockerconfigjson": json.dumps({"auths": {store.address: {"auth": account(password)}}}), "ca.crt": (store.folder / "ca.crt").read_text()}}, case.namespace)


def artifact(store, digest, credentials="pull", **more):
    return {"uri": f"oci://{store.address}/team/fraud@{digest}", "digest": digest, "format": {"name": "tiny"}, "size": "10Mi", "credentials": {"secretName": credentials}, **more}


def signature(case, key="p256.pub"):
    case.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "signatures"},
                     "binaryData": {"folder.sig": base64.b64encode((SIGNATURES / "folder.sig").read_bytes()).decode()}}, case.namespace)
    return {"uri": "configmap://signatures/folder.sig", "publicKey": (SIGNATURES / key).read_text()}


def inside(*command):
    return subprocess.run([*registry.rig("exec", "--"), *command], capture_output=True, text=True)


def pods(case, version):
    return [p for p in case.all("Pod") if p["metadata"]["labels"].get("modelops.dev/version") == version and not p["metadata"].get("deletionTimestamp")]


def read(case, path):
    """What the Model's Service answers, once the node's proxy knows its pods."""
    url = case.forward() + path

    def answered():
        with contextlib.suppress(OSError):
            return case.fetch(url)
    return case.until(answered, f"{path} is answered")


def serve(case, version="m-v1", by="ImageVolume", template=FILES, replicas=1, **more):
    case.model(version=version, replicas=replicas, template=template, serving={"ociArtifacts": by} if by else None, **more)


def test_an_image_is_mounted_pulled_once_and_serves_without_its_registry(case, make_store):
    store = make_store()
    secret(case, store)
    case.version("m-v1", artifact=artifact(store, store.push_image(archive(SIGNED))))
    serve(case)
    case.ready("m", "m-v1")
    pod, = pods(case, "m-v1")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["message"].startswith(f"mounted oci://{store.address}/")
    assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}] and [v["name"] for v in pod["spec"]["volumes"]] == ["modelops-image"]
    assert {"name": "MODEL_PATH", "value": "/artifact/model"} in pod["spec"]["containers"][0]["env"]
    assert read(case, "/data/gr%C3%B6%C3%9Fe.bin") == "y"

    # The node has it: another pod needs no registry.
    store.close()
    serve(case, replicas=2)
    case.served_by({"m-v1": 2})
    pulled = [e["note"] for e in case.all("Event") if e["reason"] == "Pulled" and store.address in e["note"]]
    assert any("already present on machine" in note for note in pulled), pulled


def test_nobody_writes_into_the_mount(case, store):
    secret(case, store)
    case.version("m-v1", artifact=artifact(store, store.push_image(archive({"MLmodel": b"as it was"}))))
    serve(case)
    case.ready("m", "m-v1")
    pod, = pods(case, "m-v1")
    name = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    tasks = inside("ctr", "--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io", "tasks", "list")
    process = next(line.split()[1] for line in tasks.stdout.splitlines() if line.startswith(name))
    # By root of the node, through the server's own mount.
    done = inside("sh", "-c", 'echo changed > "$0"', f"/proc/{process}/root/artifact/model/MLmodel")
    assert done.returncode != 0 and "Read-only file system" in done.stderr, done
    assert read(case, "/MLmodel") == "as it was"


def test_who_may_not_pull_is_said_and_served_once_the_secret_is_mended(case, store):
    secret(case, store, password="wrong")
    digest = store.push_image(archive({"MLmodel": b"of nobody else"}))
    case.version("m-v1", artifact=artifact(store, digest))
    serve(case)
    message = case.until(lambda: "ErrImagePull: " in case.status().get("message", "") and case.status()["message"], "the Model says why nothing is pulled")
    assert "unauthorized" in message.lower() or "authorization failed" in message, message
    secret(case, store)
    case.ready("m", "m-v1", timeout=120)


def test_another_way_to_bring_it_is_a_rollout_of_the_same_version(case, store):
    secret(case, store)
    case.version("m-v1", artifact=artifact(store, store.push_image(archive(SIGNED))))
    serve(case, by=None)
    before = case.ready("m", "m-v1")["status"]["stableRevision"]
    assert pods(case, "m-v1")[0]["spec"]["volumes"][0]["name"] == "modelops-artifact"
    serve(case)
    rollout = case.rollout_of("m-v1")
    case.phase(rollout, "Succeeded")
    after = case.ready("m", "m-v1")["status"]
    assert after["stableRevision"]["name"] != before["name"] and after["previous"]["revision"]["name"] == before["name"]
    case.until(lambda: [p["spec"]["volumes"][0]["name"] for p in pods(case, "m-v1")] == ["modelops-image"], "only the pod with the mounted image is left")


def test_a_runtime_says_it_for_its_models_and_files_of_parts_lie_beside(case, store):
    secret(case, store)
    runtime = case.namespace[:50]
    case.kube.apply({"apiVersion": API, "kind": "ModelRuntime", "metadata": {"name": runtime}, "spec": {
        "formats": [{"name": "tiny"}], "priority": -1, "ociArtifacts": "ImageVolume", "template": {"spec": TINY_POD}}})
    try:
        case.configmap("prompts", chat="be kind")
        prompt = {"uri": "configmap://prompts/chat", "digest": digest_of("be kind"), "size": "1Mi"}
        adapter = {k: v for k, v in artifact(store, store.push_image(archive({"weights": b"adapter"}))).items() if k != "format"}
        case.version("m-v1", artifact=artifact(store, store.push_image(archive(SIGNED))),
                     parts=[{"name": "lora", "path": "adapters/support", "artifact": adapter}, {"name": "prompt", "artifact": prompt}])
        template = json.loads(json.dumps(FILES))
        template["spec"]["containers"][0]["args"] = ["files", "/artifact"]
        template["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"] = "/model/MLmodel"
        case.model(version="m-v1", replicas=1, runtime=runtime, template=template)
        case.ready("m", "m-v1")
        assert [read(case, path) for path in ("/model/MLmodel", "/parts/adapters/support/weights", "/parts/prompt")] == ["flavor", "adapter", "be kind"]
    finally:
        case.kube.delete("ModelRuntime", runtime)


def test_what_is_signed_is_verified_in_the_mount_and_a_changed_one_never_serves(case, store):
    secret(case, store)
    signed = signature(case)
    case.version("m-v1", artifact=artifact(store, store.push_image(archive(SIGNED)), signature=signed))
    serve(case)
    case.ready("m", "m-v1")
    said = pods(case, "m-v1")[0]["status"]["initContainerStatuses"][0]["state"]["terminated"]["message"]
    assert said.startswith("mounted oci://") and said.endswith(", 2 files, signed"), said
    case.version("m-v2", artifact=artifact(store, store.push_image(archive({**SIGNED, "MLmodel": b"evil"})), signature=signed))
    serve(case, "m-v2")
    failed = case.phase(case.rollout_of("m-v2"), "RolledBack")
    assert "bad signature: oci://" in str(failed["status"]) and '"MLmodel" differs from what was signed' in str(failed["status"]) and "BadSignature" in str(failed["status"])
    assert case.endpoints() == {"m-v1": 1}


def test_the_api_server_takes_such_pods_at_the_level_restricted(case, store):
    case.kube.patch("Namespace", case.namespace, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    context = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    own = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    template = json.loads(json.dumps(FILES))
    template["spec"]["securityContext"] = context
    template["spec"]["containers"][0]["securityContext"] = own
    secret(case, store)
    case.version("m-v1", artifact=artifact(store, store.push_image(archive(SIGNED)), signature=signature(case)))
    serve(case, template=template)
    case.ready("m", "m-v1")


def test_an_artifact_of_files_is_no_image_and_the_way_out_serves(case, store):
    secret(case, store)
    digest = store.push([("application/octet-stream", b"flavor", {"org.opencontainers.image.title": "MLmodel"})])
    case.version("m-v1", artifact=artifact(store, digest))
    serve(case)
    # containerd takes it, and mounts an empty folder.
    case.until(lambda: "the mounted volume holds no file: it is not an image" in case.status().get("message", ""), "the Model says what is wrong")
    assert conditions(case.get())["Ready"] == "False"
    serve(case, by="Fetch")
    case.ready("m", "m-v1")
    assert read(case, "/MLmodel") == "flavor"


def test_a_folder_that_is_mirrored_as_the_documents_say_serves_and_its_signature_holds(case, store, tmp_path):
    text = (settings.REPO / "docs" / "artifacts.md").read_text()
    commands, = (block for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S) if "buildah" in block)
    for name, content in SIGNED.items():
        (tmp_path / "fraud-2" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fraud-2" / name).write_bytes(content)
    secret(case, store)
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {store.reached: {"auth": account()}}}))
    (tmp_path / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/graph"\nrunroot = "{tmp_path}/run"\n')
    environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(tmp_path / "storage.conf"), "BUILDAH_ISOLATION": "chroot", "REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"),
                   "SSL_CERT_FILE": str(store.folder / "ca.crt")}
    done = subprocess.run(["sh", "-euc", commands.replace("registry.example", store.reached)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    uri = done.stdout.splitlines()[-1].replace(store.reached, store.address)
    case.version("m-v1", artifact={**artifact(store, uri.partition("@")[2], signature=signature(case)), "uri": uri})
    serve(case)
    case.ready("m", "m-v1")
    assert read(case, "/MLmodel") == "flavor"
