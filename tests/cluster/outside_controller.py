"""Controllers of others inside of the rig: their CRDs, their webhooks, which the API server reaches on its own loopback, and their process."""

import base64
import contextlib
import json
import os
import signal
import subprocess

import yaml

import settings
from kube import ApiError


def install_crds(kube, crds):
    """Until each is established and served."""
    for crd in crds:
        crd.pop("status", None)
        kube.apply(crd)
    for crd in crds:
        name, spec = crd["metadata"]["name"], crd["spec"]
        kube.wait_condition("CustomResourceDefinition", name, None, "Established")
        version = next(v["name"] for v in spec["versions"] if v["storage"])
        kube.wait_for(lambda: kube._discover(f"{spec['group']}/{version}") or kube.list(spec["names"]["kind"]) is not None, 30, f"{name} is served",
                      retry=(ApiError, KeyError))


def remove_crds(kube, groups):
    """With all objects of theirs: a CRD that goes on being deleted would take the next one's objects with it."""
    crds = [crd for crd in kube.list("CustomResourceDefinition") if crd["spec"]["group"] in groups]
    for crd in crds:  # nobody takes finalizers off any more
        kind = crd["spec"]["names"]["kind"]
        with contextlib.suppress(ApiError, KeyError):
            for one in kube.list(kind):
                kube.patch(kind, one["metadata"]["name"], {"metadata": {"finalizers": None}}, one["metadata"].get("namespace"))
        kube.delete("CustomResourceDefinition", crd["metadata"]["name"])
    for crd in crds:
        kube.wait_gone("CustomResourceDefinition", crd["metadata"]["name"])


class OutsideController:
    """One of them. Nothing of it is left when it is closed."""

    name = group = ""  # its webhooks are called NAME-…; its CRDs have that group

    def __init__(self, kube, folder, port, health):
        self.kube, self.folder, self.port, self.health = kube, folder, port, health
        self.process = self.log = None

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.folder / "tls.key", "-out",
                        self.folder / "tls.crt", "-days", "2", "-subj", f"/CN={self.name}", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)

    def client(self, path=""):
        """How the API server reaches it."""
        return {"caBundle": base64.b64encode((self.folder / "tls.crt").read_bytes()).decode(), "url": f"https://127.0.0.1:{self.port}{path}"}

    def install_webhooks(self, path, kept, selectors):
        """Those of these groups: others' engines, which are not here, would only be in the way. `selectors`: of which objects of a resource of Kubernetes'
        own, for those of other tests are none of its business."""
        for document in yaml.safe_load_all(path.read_text()):
            document["metadata"]["name"] = f"{self.name}-{document['metadata']['name']}"
            document["webhooks"] = [w for w in document["webhooks"] if all(group in kept for rule in w["rules"] for group in rule["apiGroups"])]
            for webhook in document["webhooks"]:
                webhook["clientConfig"] = self.client(webhook["clientConfig"]["service"]["path"])
                for resource, label in selectors.items():
                    if any(resource in rule["resources"] for rule in webhook["rules"]):
                        webhook["objectSelector"] = {"matchExpressions": [{"key": label, "operator": "Exists"}]}
            self.kube.apply(document)

    def run(self, command):
        """A shell command inside of the rig, until it says that it is ready."""
        self.log = open(self.folder / "log", "ab")
        inside = [settings.RIG_PROGRAM, "exec", "--dir", settings.RIG, "--"]
        self.process = subprocess.Popen([*inside, "unshare", "-m", "sh", "-c", command], stdout=self.log, stderr=self.log, start_new_session=True)
        answers = [*inside, "/usr/bin/python3", "-c", f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{self.health}/readyz', timeout=2)"]

        def ready():
            assert self.process.poll() is None, self.words()
            return subprocess.run(answers, capture_output=True).returncode == 0
        self.kube.wait_for(ready, 90, f"{self.name} is ready", self.words)

    def kubeconfig(self):
        """The admin's, with the API server's address inside of the rig."""
        config = yaml.safe_load(settings.KUBECONFIG.read_text())
        config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:6443"
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def words(self):
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def close(self):
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.log.close()
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
            for one in self.kube.list(kind):
                if one["metadata"]["name"].startswith(f"{self.name}-"):
                    self.kube.delete(kind, one["metadata"]["name"])
        remove_crds(self.kube, {self.group})
