#!/usr/bin/python3
"""A real OCI registry (CNCF distribution), built once from its pinned Go module and cached. Run as a program, it builds it."""

import base64
import contextlib
import crypt
import gzip
import hashlib
import json
import os
import pathlib
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import settings

from riglib import build
from riglib.layout import NODE_IP
from seaweed import _free_ports

MODULE = pathlib.Path(__file__).resolve().parent / "registry"
PACKAGE = "github.com/distribution/distribution/v3/cmd/registry"
FLAGS = ["-trimpath", "-ldflags=-s -w"]
USER, PASSWORD = "jane", "pass word"


def home():
    return build.home_of("registry", (MODULE / "go.mod", MODULE / "go.sum"), (FLAGS, PACKAGE))


def _build(folder):
    go, env = build.find_go()
    build.compile_go(go, env, MODULE, [*FLAGS, "-o", os.path.join(folder, "registry"), PACKAGE])


def rig(command, *arguments):
    return [settings.RIG_PROGRAM, command, "--dir", settings.RIG, *arguments]


class Registry:
    """One with TLS and an account, on this host or inside of the rig, where nodes and pods reach it, until it is closed."""

    def __init__(self, folder, inside=False):
        self.folder, self.port = folder, _free_ports(1)[0]
        self.address = self.reached = f"{NODE_IP if inside else '127.0.0.1'}:{self.port}"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", folder / "key.pem", "-out", folder / "ca.crt",
                        "-days", "2", "-subj", "/CN=registry", "-addext", f"subjectAltName=IP:127.0.0.1,IP:{NODE_IP}"], check=True, capture_output=True)
        salt = crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)  # the fewest: the password is hashed for each request
        (folder / "htpasswd").write_text(f"{USER}:{crypt.crypt(PASSWORD, salt).replace('$2b$', '$2y$', 1)}\n")
        (folder / "config.yml").write_text(json.dumps({  # JSON is YAML
            "version": 0.1, "log": {"level": "error"}, "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "auth": {"htpasswd": {"realm": "registry", "path": str(folder / "htpasswd")}},
            "http": {"addr": self.address, "secret": "x", "tls": {"certificate": str(folder / "ca.crt"), "key": str(folder / "key.pem")}}}))
        self.log = open(folder / "log", "wb")
        if inside:
            self.reached = subprocess.run([*rig("forward"), "--background", "0", self.address], check=True, capture_output=True, text=True).stdout.split()[-1]
        self.process = subprocess.Popen([*(rig("exec", "--") if inside else []), home() / "registry", "serve", folder / "config.yml"],
                                        stdout=self.log, stderr=self.log, start_new_session=True,
                                        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"})  # nobody listens to it
        end = time.monotonic() + 120
        while not self.answers():
            assert self.process.poll() is None and time.monotonic() < end, (folder / "log").read_text()
            time.sleep(0.05)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def ask(self, method, path, body=None, kind="application/octet-stream"):
        url = path if path.startswith("https://") else f"https://{self.reached}{path}"
        account = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(url, data=body, method=method, headers={"Authorization": f"Basic {account}", "Content-Type": kind})
        return urllib.request.urlopen(request, timeout=10, context=ssl.create_default_context(cafile=self.folder / "ca.crt"))

    def answers(self):
        try:
            return self.ask("GET", "/v2/").status == 200
        except (urllib.error.URLError, OSError):
            return False

    def push_blob(self, content):
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        place = self.ask("POST", "/v2/team/fraud/blobs/uploads/", b"").headers["Location"]
        self.ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", content)
        return digest

    def push(self, layers):
        """An artifact of (media type, content, annotations); its digest."""
        return self._push({"artifactType": "application/x-model"}, "application/vnd.oci.empty.v1+json", b"{}", layers)

    def push_image(self, *archives):
        """An image whose layers are these tars; its digest."""
        config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(a).hexdigest() for a in archives]}}
        layers = [("application/vnd.oci.image.layer.v1.tar+gzip", gzip.compress(archive, mtime=0), {}) for archive in archives]
        return self._push({}, "application/vnd.oci.image.config.v1+json", json.dumps(config).encode(), layers)

    def _push(self, fields, config_kind, config, layers):
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, **fields,
                               "config": {"mediaType": config_kind, "digest": self.push_blob(config), "size": len(config)}, "layers": [
            {"mediaType": media, "digest": self.push_blob(content), "size": len(content), "annotations": notes} for media, content, notes in layers]}).encode()
        digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
        self.ask("PUT", f"/v2/team/fraud/manifests/{digest}", manifest, kind)
        return digest

    def blob(self, digest):
        """Where the registry keeps it."""
        word = digest.removeprefix("sha256:")
        return self.folder / "data/docker/registry/v2/blobs/sha256" / word[:2] / word / "data"


if __name__ == "__main__":
    build.ensure_built(home(), _build, "a registry", 4)
