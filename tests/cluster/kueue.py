#!/usr/bin/python3
"""The real Kueue, built once from its pinned Go module and cached beside the rig's programs. Run as a program, it builds it (ten minutes)."""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess

import yaml

import settings  # noqa: F401 - makes riglib known

from kube import ApiError
from riglib import build

MODULE = settings.REPO / "tests" / "cluster" / "rig" / "kueue"
PACKAGE = "sigs.k8s.io/kueue/cmd/kueue"
FLAGS = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
CONVERTED = ("localqueues", "clusterqueues", "cohorts", "workloads", "multikueueclusters")  # as its crd/kustomization.yaml has it
NAMESPACE = "kueue-system"


def home():
    return build.home_of("kueue", (MODULE / "go.mod", MODULE / "go.sum"), (FLAGS, PACKAGE))


def ensure():
    build.ensure_built(home(), _build, "Kueue", 10, lock="kueue-build.lock")


def _build(folder):
    go, env = build.find_go()
    build.compile_go(go, env, MODULE, [*FLAGS, "-o", os.path.join(folder, "kueue"), PACKAGE])
    components = build._module_dir(go, env, MODULE, "sigs.k8s.io/kueue") / "config" / "components"
    for name in ("crd/bases", "webhook"):
        shutil.copytree(components / name, pathlib.Path(folder) / name, copy_function=shutil.copyfile)


class Kueue:
    """One inside of the rig, whose webhooks the API server reaches on its own loopback. It stays until it is closed; its CRDs and webhooks go with it."""

    def __init__(self, kube, folder, ports):
        self.kube, self.folder, (self.port, self.health, self.metrics) = kube, folder, ports
        self.process = self.log = None

    def start(self):
        self._certificate()
        bundle = base64.b64encode((self.folder / "tls.crt").read_bytes()).decode()
        client = {"caBundle": bundle, "url": f"https://127.0.0.1:{self.port}"}
        self._install_crds(client)
        self.kube.make_namespace(NAMESPACE)
        self._start()
        self._install_webhooks(client)
        return self

    def _certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.folder / "tls.key", "-out",
                        self.folder / "tls.crt", "-days", "2", "-subj", "/CN=kueue", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)

    def _install_crds(self, client):
        for path in sorted((home() / "crd" / "bases").glob("*.yaml")):
            crd = yaml.safe_load(path.read_text())
            if crd["spec"]["names"]["plural"] in CONVERTED:
                crd["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {
                    "clientConfig": {**client, "url": client["url"] + "/convert"}, "conversionReviewVersions": ["v1"]}}
            crd.pop("status", None)
            self.kube.apply(crd)
        for path in (home() / "crd" / "bases").glob("*.yaml"):
            name = yaml.safe_load(path.read_text())["metadata"]["name"]
            self.kube.wait_for(lambda n=name: any(c["type"] == "Established" and c["status"] == "True" for c in
                                                  self.kube.get("CustomResourceDefinition", n)["status"]["conditions"]), 60, f"{name} is established")
        self.kube.wait_for(lambda: self.kube._discover("kueue.x-k8s.io/v1beta2") or self.kube.list("ClusterQueue") is not None, 30, "Kueue's kinds are served",
                           retry=(ApiError,))

    def _install_webhooks(self, client):
        """Of batch Jobs and of Kueue's own kinds: those of engines that are not here would only be in others' way."""
        kept = ("batch", "kueue.x-k8s.io")
        for document in yaml.safe_load_all((home() / "webhook" / "manifests.yaml").read_text()):
            document["metadata"]["name"] = "kueue-" + document["metadata"]["name"]
            document["webhooks"] = [w for w in document["webhooks"] if all(group in kept for rule in w["rules"] for group in rule["apiGroups"])]
            for webhook in document["webhooks"]:
                path = webhook["clientConfig"].pop("service")["path"]
                webhook["clientConfig"] = {**client, "url": client["url"] + path}
                if any("jobs" in rule["resources"] for rule in webhook["rules"]):  # Jobs of other tests are none of its business
                    webhook["objectSelector"] = {"matchExpressions": [{"key": "kueue.x-k8s.io/queue-name", "operator": "Exists"}]}
            self.kube.apply(document)

    def _start(self):
        certificates = self.folder / "etc" / "kueue" / "metrics" / "certs"
        certificates.mkdir(parents=True)
        for name in ("tls.crt", "tls.key"):
            shutil.copy(self.folder / name, certificates)
        config = {"apiVersion": "config.kueue.x-k8s.io/v1beta2", "kind": "Configuration", "namespace": NAMESPACE,
                  "health": {"healthProbeBindAddress": f"127.0.0.1:{self.health}"}, "metrics": {"bindAddress": f"127.0.0.1:{self.metrics}"},
                  "webhook": {"port": self.port, "certDir": str(self.folder)}, "leaderElection": {"leaderElect": False}, "internalCertManagement": {"enable": False},
                  "clientConnection": {"qps": 50, "burst": 100}, "integrations": {"frameworks": ["batch/job"]}}
        (self.folder / "config.yaml").write_text(json.dumps(config))
        overlay = f"mount -t tmpfs none {self.folder}/over && mkdir {self.folder}/over/work && mv {self.folder}/etc {self.folder}/over/etc && " \
                  f"mount -t overlay overlay -o lowerdir=/etc,upperdir={self.folder}/over/etc,workdir={self.folder}/over/work /etc"
        (self.folder / "over").mkdir()
        program = f"{overlay} && exec {home() / 'kueue'} --config={self.folder}/config.yaml --feature-gates=VisibilityOnDemand=false --kubeconfig={self._kubeconfig()}"
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([settings.RIG_PROGRAM, "exec", "--dir", settings.RIG, "--", "unshare", "-m", "sh", "-c", program],
                                        stdout=self.log, stderr=self.log, start_new_session=True)
        answers = [settings.RIG_PROGRAM, "exec", "--dir", settings.RIG, "--", "/usr/bin/python3", "-c",
                   f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{self.health}/readyz', timeout=2)"]

        def ready():
            assert self.process.poll() is None, self.words()
            return subprocess.run(answers, capture_output=True).returncode == 0
        self.kube.wait_for(ready, 90, "Kueue is ready", self.words)

    def _kubeconfig(self):
        """The admin's, with the API server's address inside of the rig."""
        config = yaml.safe_load(settings.KUBECONFIG.read_text())
        config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:6443"
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def words(self):
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def close(self):
        """Nothing of it is left: a CRD that goes on being deleted would take the next one's objects with it."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.log.close()
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
            for one in self.kube.list(kind):
                if one["metadata"]["name"].startswith("kueue-"):
                    self.kube.delete(kind, one["metadata"]["name"])
        crds = [crd for crd in self.kube.list("CustomResourceDefinition") if crd["spec"]["group"] == "kueue.x-k8s.io"]
        for crd in crds:  # nobody takes finalizers off any more
            kind = crd["spec"]["names"]["kind"]
            with contextlib.suppress(ApiError, KeyError):
                for one in self.kube.list(kind):
                    self.kube.patch(kind, one["metadata"]["name"], {"metadata": {"finalizers": None}}, one["metadata"].get("namespace"))
            self.kube.delete("CustomResourceDefinition", crd["metadata"]["name"])
        for crd in crds:
            self.kube.wait_gone("CustomResourceDefinition", crd["metadata"]["name"])


if __name__ == "__main__":
    ensure()
