#!/usr/bin/python3
"""The published CRDs of engines that train, from their pinned Go modules, and JobSet's controller, built from its own. Both are cached beside the rig's
programs. Run as a program, it fetches and builds them (five minutes)."""

import json
import os
import pathlib
import shutil
import subprocess

import yaml

import settings  # noqa: F401 - makes riglib known

from outside_controller import OutsideController, install_crds
from riglib import build
from riglib.util import RigError

JOBSET_MODULE = settings.REPO / "tests" / "cluster" / "rig" / "jobset"
JOBSET = "sigs.k8s.io/jobset"
FLAGS = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
# Module, version, its hash as go.sum would have it, and the CRDs in it. Only files of theirs are read, so that none of what they depend on is fetched.
CRDS = {
    "trainer.kubeflow.org": ("github.com/kubeflow/trainer/v2", "v2.0.0", "h1:mnQSR9iPKItxyUR8mq66XsmxqKNVHwr9YYOB7BTU9dU=",
                             ["manifests/base/crds/trainer.kubeflow.org_trainjobs.yaml"]),
    "ray.io": ("github.com/ray-project/kuberay/ray-operator", "v1.5.0", "h1:KCjCQ7PSsvs9Ke+90CZbbs498nuaIJ/JkXk4vd54EVg=", ["config/crd/bases/ray.io_rayjobs.yaml"]),
    "argoproj.io": ("github.com/argoproj/argo-workflows/v4", "v4.0.5", "h1:/1lru5oXUd+k6KEDUps6rLX5OKfi1jTfabgXTly/VFU=",
                    ["manifests/base/crds/full/argoproj.io_workflows.yaml"]),
}


def crds_home():
    return build.home_of("engine-crds", (), CRDS)


def jobset_home():
    return build.home_of("jobset", (JOBSET_MODULE / "go.mod", JOBSET_MODULE / "go.sum"), (FLAGS, JOBSET))


def ensure():
    build.ensure_built(crds_home(), _fetch_crds, "CRDs of engines", 1, lock="engines-build.lock")
    build.ensure_built(jobset_home(), _build_jobset, "JobSet", 4, lock="engines-build.lock")


def _fetch_crds(folder):
    go, env = build.find_go()
    for group, (module, version, digest, files) in CRDS.items():
        fetched = subprocess.run([go, "mod", "download", "-json", f"{module}@{version}"], cwd=folder, env=env, capture_output=True, text=True)
        found = json.loads(fetched.stdout or "{}")
        if found.get("Sum") != digest:
            raise RigError(f"{module}@{version} is not what is pinned: {found.get('Error') or found.get('Sum') or fetched.stderr}")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # they are megabytes
        crds = [yaml.load((pathlib.Path(found["Dir"]) / file).read_text(), loader) for file in files]
        (pathlib.Path(folder) / f"{group}.json").write_text(json.dumps(crds))


def _build_jobset(folder):
    go, env = build.find_go()
    build.compile_go(go, env, JOBSET_MODULE, [*FLAGS, "-o", os.path.join(folder, "jobset"), JOBSET])
    components = build._module_dir(go, env, JOBSET_MODULE, JOBSET) / "config" / "components"
    for name in ("crd/bases", "webhook"):
        shutil.copytree(components / name, pathlib.Path(folder) / name, copy_function=shutil.copyfile)


def crds_of(group):
    return json.loads((crds_home() / f"{group}.json").read_text())


class JobSet(OutsideController):
    name, group = "jobset", "jobset.x-k8s.io"

    def start(self):
        self.make_certificate()
        install_crds(self.kube, [yaml.safe_load(path.read_text()) for path in sorted((jobset_home() / "crd" / "bases").glob("*.yaml"))])
        config = {"apiVersion": "config.jobset.x-k8s.io/v1alpha1", "kind": "Configuration", "health": {"healthProbeBindAddress": f"127.0.0.1:{self.health}"},
                  "metrics": {"bindAddress": "0"}, "webhook": {"host": "127.0.0.1", "port": self.port, "certDir": str(self.folder)},
                  "leaderElection": {"leaderElect": False}, "internalCertManagement": {"enable": False}}
        (self.folder / "config.yaml").write_text(json.dumps(config))
        # The last to be told, so that no webhook is asked before it listens.
        self.run(f"exec {jobset_home() / 'jobset'} --config={self.folder}/config.yaml --kubeconfig={self.kubeconfig()}")
        self.install_webhooks(jobset_home() / "webhook" / "manifests.yaml", ("", self.group), {"pods": "jobset.sigs.k8s.io/jobset-name"})
        return self


if __name__ == "__main__":
    ensure()
