#!/usr/bin/python3
"""The real Kueue, built once from its pinned Go module and cached beside the rig's programs. Run as a program, it builds it (ten minutes)."""

import json
import os
import pathlib
import shutil

import yaml

import settings  # noqa: F401 - makes riglib known

from outside_controller import OutsideController, install_crds
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


class Kueue(OutsideController):
    name, group = "kueue", "kueue.x-k8s.io"

    def __init__(self, kube, folder, ports):
        port, health, self.metrics = ports
        super().__init__(kube, folder, port, health)

    def start(self):
        self.make_certificate()
        install_crds(self.kube, self._crds())
        self.kube.make_namespace(NAMESPACE)
        self._start()
        self.install_webhooks(home() / "webhook" / "manifests.yaml", ("batch", self.group), {"jobs": "kueue.x-k8s.io/queue-name"})
        return self

    def _crds(self):
        crds = [yaml.safe_load(path.read_text()) for path in sorted((home() / "crd" / "bases").glob("*.yaml"))]
        for crd in crds:
            if crd["spec"]["names"]["plural"] in CONVERTED:
                crd["spec"]["conversion"] = {"strategy": "Webhook", "webhook": {"clientConfig": self.client("/convert"), "conversionReviewVersions": ["v1"]}}
        return crds

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
        self.run(f"{overlay} && exec {home() / 'kueue'} --config={self.folder}/config.yaml --feature-gates=VisibilityOnDemand=false --kubeconfig={self.kubeconfig()}")


if __name__ == "__main__":
    ensure()
