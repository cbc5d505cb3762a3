"""The peer that `compare.py` measures ours beside: an idiomatic controller-runtime operator, built once from peers/controller-runtime and cached."""

import os
import pathlib
import re
import subprocess
import urllib.request

import settings
from operators import Port
from riglib import build

MODULE = pathlib.Path(__file__).resolve().parent / "peers" / "controller-runtime"
FLAGS = ["-trimpath", "-ldflags=-s -w"]
GROUP, VERSION = "peer.modelops.dev", "v1"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"peermodels.{GROUP}"},
    "spec": {"group": GROUP, "scope": "Namespaced", "names": {"kind": "PeerModel", "plural": "peermodels", "singular": "peermodel", "listKind": "PeerModelList"},
             "versions": [{"name": VERSION, "served": True, "storage": True, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {
                 "type": "object", "properties": {
                     "spec": {"type": "object", "required": ["uri", "digest", "replicas", "template"], "properties": {
                         "uri": {"type": "string", "maxLength": 1024}, "digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
                         "replicas": {"type": "integer", "minimum": 0}, "template": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}},
                     "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]}}


def home():
    return build.home_of("peer", sorted(MODULE.iterdir()), FLAGS)


def program():
    """Built on first use."""
    build.ensure_built(home(), _build, "the controller-runtime peer", 3)
    return home() / "peer"


def _build(folder):
    go, env = build.find_go()
    build.compile_go(go, env, MODULE, [*FLAGS, "-o", os.path.join(folder, "peer"), "."])


class Peer:
    """A process with the rights of an admin: what rights cost is the same for both."""

    def __init__(self):
        self.port, self.process = Port(), None
        self.log = settings.STATE / "peer.log"

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([program(), f"--kubeconfig={settings.KUBECONFIG}", f"--metrics=127.0.0.1:{self.port.number}"], stdout=log, stderr=log)
        return self

    def end(self):
        self.process.terminate()
        self.process.wait()

    def reconciles(self):
        try:
            text = urllib.request.urlopen(f"http://127.0.0.1:{self.port.number}/metrics", timeout=5).read().decode()
        except OSError:
            return 0
        return sum(float(m[1]) for m in re.finditer(r"^controller_runtime_reconcile_total\{.*\} (\S+)$", text, re.M))
