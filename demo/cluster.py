"""Where the demo runs: on a cluster of its own on this machine, or on one that KUBECONFIG names."""
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
RIG = [sys.executable, str(ROOT / "tests/cluster/rig/rig.py")]
EMBEDDED = ROOT / ".cluster"
BUILT = ROOT / "build" / "images"
WORK = ROOT / "build" / "demo"
NAMESPACE, SYSTEM = "modelops-demo", "model-operator-system"
MARK = "modelops.dev/demo"   # on our namespace: what stands in the cluster then is ours to remove
IMAGES = ("model-operator", "model-server", "sklearn")
# What `kubectl apply -k manifests` and the demo write.
RIGHTS = ("namespaces", "customresourcedefinitions.apiextensions.k8s.io", "clusterroles.rbac.authorization.k8s.io",
          "clusterrolebindings.rbac.authorization.k8s.io", "validatingadmissionpolicies.admissionregistration.k8s.io",
          "validatingadmissionpolicybindings.admissionregistration.k8s.io", "deployments.apps", "services", "configmaps", "pods", "pods/exec", "jobs.batch",
          "persistentvolumeclaims", "serviceaccounts", "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io")


def say(text=""):
    print(text, flush=True)


def run(*command, stdin=None, quiet=True):
    done = subprocess.run(command, input=stdin, text=True, capture_output=quiet)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{(done.stdout or '') + (done.stderr or '')}")
    return done.stdout


class Cluster:
    """What both have in common. `images` tells by which name a pod gets an image that is built as localhost/NAME:dev."""

    kubectl_command = ["kubectl"]
    ends = ""               # what to tell when all is over
    retrains = True

    def __init__(self):
        self.images = {}

    def kubectl(self, *args, stdin=None):
        return run(*self.kubectl_command, *args, stdin=stdin)

    def asks(self, *args):
        """The answer, or nothing if kubectl fails."""
        done = subprocess.run([*self.kubectl_command, *args], text=True, capture_output=True)
        return done.stdout if done.returncode == 0 else ""

    def get(self, kind, name=None):
        return json.loads(self.kubectl("-n", NAMESPACE, "get", kind, *([name] if name else []), "-o", "json"))

    def apply(self, text):
        for built, name in self.images.items():
            text = text.replace(f"localhost/{built}:dev", name)
        if "METRICS_PORT" in text:   # where the runtime's servers have metrics and take feedback
            text = text.replace("METRICS_PORT", self.kubectl("get", "modelruntime", "rules", "-o", "jsonpath={.spec.metrics.port}"))
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)

    def install(self, folder):
        self.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(ROOT / "crds"))
        self.kubectl("wait", "--for=condition=Established", "crd", "-l", "app.kubernetes.io/part-of=model-operator", "--timeout=60s")
        self.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(folder))
        self.kubectl("-n", SYSTEM, "rollout", "status", "deploy/model-operator", "--timeout=300s")

    def make_namespace(self):
        self.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {MARK: "true"}}}))

    def look(self):
        return " ".join(self.kubectl_command)


class Embedded(Cluster):
    """The rig, which stays up. It has a Prometheus of its own."""

    headline = "A Kubernetes of its own on this machine (real API server, kubelet, containerd, Prometheus)"
    kubectl_command = [str(EMBEDDED / "bin/kubectl"), "--kubeconfig", str(EMBEDDED / "kubeconfig")]
    ends = """
Look around (the cluster stays up; `make cluster-down` removes it without a trace):
   export KUBECONFIG=$PWD/.cluster/kubeconfig PATH=$PWD/.cluster/bin:$PATH"""

    def check(self):
        pass

    def bring_up(self):
        run(*RIG, "up", "--node", "real", "--no-gateway", quiet=False)
        run(sys.executable, str(ROOT / "images/build.py"), "--load", *IMAGES, quiet=False)
        self.install(ROOT / "manifests")

    def clean_slate(self):
        self.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
        self.kubectl("delete", "pv", "demo-models", "--ignore-not-found", "--timeout=60s")
        self.make_namespace()
        place = EMBEDDED / "state" / "demo-models"   # goes with the cluster
        place.mkdir(exist_ok=True)
        place.chmod(0o777)
        self.apply((HERE / "storage.yaml").read_text().replace("PLACE", str(place)))

    def model(self, text):
        return text

    def clean_up(self):
        pass


class Own(Cluster):
    """Somebody's cluster. Nothing is written before it is sure that everything can be, and everything is removed at the end."""

    headline = "The cluster that KUBECONFIG names"

    def __init__(self):
        super().__init__()
        self.registry, self.load = os.environ.get("DEMO_REGISTRY", "").rstrip("/"), os.environ.get("DEMO_LOAD", "")
        self.keep = bool(os.environ.get("DEMO_KEEP"))
        self.node = ""
        self.began = False   # only then is there something to remove

    def bring_up(self):
        self.check()
        self.began = True
        self._remove_leftovers()
        self._build_images()
        self.make_namespace()
        self.install(self._overlay())
        self.apply((HERE / "prometheus.yaml").read_text())
        self.kubectl("-n", NAMESPACE, "rollout", "status", "deploy/prometheus", "--timeout=300s")

    # ---- may we, and can we?

    def check(self):
        if bool(self.registry) == bool(self.load):
            sys.exit(HELP)
        for program in ["kubectl"] + (["skopeo"] if self.registry else shlex.split(self.load)[:1]):
            if not shutil.which(program):
                sys.exit(f"the demo needs {program} on PATH")
        if self.load and "{}" not in self.load:
            sys.exit("DEMO_LOAD needs {} where the name of an image archive belongs: DEMO_LOAD='kind load image-archive {}'")
        version = self.asks("get", "--raw", "/version", "--request-timeout=10s")
        if not version:
            sys.exit(f"the cluster of KUBECONFIG={os.environ['KUBECONFIG']} does not answer: `kubectl get --raw /version` says why")
        server = self.asks("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
        say(f"   {self.asks('config', 'current-context').strip()}, {server}, Kubernetes {json.loads(version)['gitVersion']}")
        problems = [f"you may not {verb} {what}" for what in RIGHTS for verb in ("create", "delete") if self.asks("auth", "can-i", verb, what).strip() != "yes"]
        problems += self._in_the_way()
        self.node = self._fitting_node()
        if not self.node:
            problems.append("no Ready node of amd64 without taints; the images are for amd64")
        if problems:
            sys.exit("The demo cannot run here, and has changed nothing:\n" + "".join(f"   - {problem}\n" for problem in problems))
        self.retrains = self._has_default_storage()
        if not self.retrains:
            say("   there is no default StorageClass, so the retraining part is left out")

    def _marked(self):
        return f"namespace/{NAMESPACE}" in self.asks("get", "namespace", "-l", f"{MARK}=true", "-o", "name").split()

    def _in_the_way(self):
        """An installation of somebody else's would be changed, or would serve the demo's Models too."""
        if self._marked():
            return []
        found = self.asks("get", "crd", "-l", "app.kubernetes.io/part-of=model-operator", "-o", "name").split()
        found += self.asks("get", "namespace", SYSTEM, NAMESPACE, "--ignore-not-found", "-o", "name").split()
        return [f"{name} exists: a model-operator is installed here. The demo wants a cluster without one" for name in found[:1]]

    def _fitting_node(self):
        nodes = json.loads(self.asks("get", "nodes", "-l", "kubernetes.io/arch=amd64", "-o", "json") or '{"items": []}')["items"]
        ready = [node for node in nodes if not node["spec"].get("taints") and not node["spec"].get("unschedulable")
                 and any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))]
        return ready[0]["metadata"]["labels"]["kubernetes.io/hostname"] if ready else ""

    def _has_default_storage(self):
        classes = json.loads(self.asks("get", "storageclass", "-o", "json") or '{"items": []}')["items"]
        default = "storageclass.kubernetes.io/is-default-class"
        return any(c["metadata"].get("annotations", {}).get(default) == "true" for c in classes)

    # ---- images

    def _build_images(self):
        run(sys.executable, str(ROOT / "images/build.py"), *IMAGES, quiet=False)
        archives = {name: BUILT / f"{name}.tar" for name in IMAGES}
        WORK.mkdir(parents=True, exist_ok=True)
        archives["demo-prometheus"] = WORK / "demo-prometheus.tar"
        run(*RIG, "image", "--name", "localhost/demo-prometheus:dev", "--out", str(archives["demo-prometheus"]), "--binary", "/usr/bin/prometheus:/prometheus",
            "--entrypoint", "/prometheus", "--user", "65532:65532")
        for name, archive in archives.items():
            say(f"   {'pushing' if self.registry else 'loading'} {name}")
            if self.load:
                run(*[part.replace("{}", str(archive)) for part in shlex.split(self.load)])
                self.images[name] = f"localhost/{name}:dev"
            else:
                self.images[name] = self._push(name, archive)

    def _push(self, name, archive):
        """By digest from then on: a tag may move."""
        target, digest = f"{self.registry}/{name}", WORK / f"{name}.digest"
        run("skopeo", "copy", "--preserve-digests", *shlex.split(os.environ.get("DEMO_SKOPEO_FLAGS", "")), f"--digestfile={digest}", f"oci-archive:{archive}", f"docker://{target}:demo")
        return f"{target}@{digest.read_text().strip()}"

    def _overlay(self):
        """manifests/, with the images' names and our Prometheus, as README tells everybody to write it."""
        images = []
        for name in IMAGES:
            address, _, digest = self.images[name].partition("@")
            images.append({"name": f"localhost/{name}", "newName": address, "digest": digest} if digest else {"name": f"localhost/{name}", "newTag": "dev"})
        patch = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "model-operator", "namespace": SYSTEM},
                 "spec": {"template": {"spec": {"containers": [
                     {"name": "operator", "env": [{"name": "PROMETHEUS_URL", "value": f"http://prometheus.{NAMESPACE}.svc"}]}]}}}}
        overlay = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "images": images,
                   "resources": [os.path.relpath(ROOT / "manifests", WORK)], "patches": [{"patch": json.dumps(patch)}]}
        (WORK / "kustomization.yaml").write_text(json.dumps(overlay, indent=2) + "\n")
        return WORK

    # ---- the story's needs

    def clean_slate(self):
        if self.retrains:
            self.apply(json.dumps({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models", "namespace": NAMESPACE},
                                   "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}))

    def model(self, text):
        """All pods on one node: they share a volume that only one node can mount."""
        selector = f"{{kubernetes.io/hostname: {json.dumps(self.node)}}}"
        text = text.replace("    replicas: 2\n", f"    replicas: 2\n    template: {{spec: {{nodeSelector: {selector}}}}}\n")
        text = text.replace("              containers:\n              - name: job\n", f"              nodeSelector: {selector}\n              containers:\n              - name: job\n")
        return text if self.retrains else text[:text.index("  retraining:\n")]

    # ---- the end

    def clean_up(self):
        if self.began and self.keep:
            say(f"\nDEMO_KEEP is set, so all stays. To remove it: KUBECONFIG={os.environ['KUBECONFIG']} {sys.executable} {HERE / 'demo.py'} --remove")
        elif self.began:
            self.remove()

    def _remove_leftovers(self):
        if self._marked():
            say("   an earlier demo left something; it is removed first")
            self.remove()

    def remove(self):
        """The Models first, while there is an operator to end them; the mark last, so that what breaks off in between can be taken up."""
        if not self._marked():
            say("   there is no demo here")   # so what is called model-operator is somebody else's
            return
        started = time.monotonic()
        say("\nRemoving what the demo made …")
        self.asks("-n", NAMESPACE, "delete", "models.modelops.dev", "--all", "--ignore-not-found", "--timeout=120s")
        for kinds in ("namespace", "validatingadmissionpolicybinding,validatingadmissionpolicy", "clusterrolebinding,clusterrole", "crd"):
            self.kubectl("delete", kinds, "-l", "app.kubernetes.io/part-of=model-operator", "--ignore-not-found", "--timeout=180s")
        self.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s")
        say(f"   all gone ({time.monotonic() - started:.0f} s). The images stay in the registry and on the nodes.")


HELP = """KUBECONFIG is set, so the demo would run on that cluster (unset it for one of its own on this machine). It has to know how its images get there:
   DEMO_LOAD='kind load image-archive {}'       or 'k3d image import {}', or any other command; {} is the archive
   DEMO_REGISTRY=registry.example.com/demo      pushed by skopeo, with your login; nodes must be able to pull from it
Set one of the two. Details: demo/README.md"""


def chosen():
    """KUBECONFIG chooses, but what an earlier demo told people to export means the embedded one."""
    named = os.environ.get("KUBECONFIG", "")
    return Own() if named and pathlib.Path(named).resolve() != (EMBEDDED / "kubeconfig").resolve() else Embedded()
