"""What a test says and asks about one namespace."""

import datetime
import hashlib
import json
import os
import subprocess
import time
import urllib.request

import yaml

import operators
import settings
from history import endpoints
from kube import ApiError
from prometheus import Metrics

API = "modelops.dev/v1alpha1"
LONG = 60   # no test waits longer for one thing; most take a second or two
VERSION = "modelops.dev/version"
MODEL = "modelops.dev/model"

# Pods that start and end as fast as the node can, and tell readiness by their artifact.
TINY_POD = {
    "terminationGracePeriodSeconds": 1,
    "automountServiceAccountToken": False,
    "containers": [{
        "name": "server", "image": settings.TINY_IMAGE, "imagePullPolicy": "IfNotPresent",
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 0}}},
    }],
}
TINY_RUNTIME = {"apiVersion": API, "kind": "ModelRuntime", "metadata": {"name": "tiny"},
                "spec": {"formats": [{"name": "tiny"}], "port": 8080, "protocol": "v2", "template": {"spec": TINY_POD}}}


def digest_of(content):
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest()


def gate(name="accuracy", query=None, **fields):
    """A Prometheus gate on the metric of that name of the candidate."""
    query = query or f'{name}{{namespace="{{{{namespace}}}}",version="{{{{candidate}}}}"}}'
    return {"name": name, "prometheus": {"query": query}, "interval": "1s", **fields}


def condition(found, name):
    return next((c for c in (found or {}).get("status", {}).get("conditions", []) if c["type"] == name), None)


def conditions(found):
    """{"Ready": "True", …}"""
    return {c["type"]: c["status"] for c in (found or {}).get("status", {}).get("conditions", [])}


class Case:
    def __init__(self, kube, namespace, operator):
        self.kube, self.namespace, self.operator = kube, namespace, operator
        self.named_by = VERSION   # the label of pods that `endpoints` counts by
        self.metrics = Metrics(namespace)

    # ---- what people write

    def configmap(self, name, **data):
        return self.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}, self.namespace)

    def artifact(self, name, content=None, **changes):
        """An artifact in a ConfigMap, as spec.artifact says it."""
        content = content or f"artifact of {name}"
        self.configmap(name, artifact=content)
        return {"uri": f"configmap://{name}/artifact", "digest": digest_of(content), "format": {"name": "tiny"}, **changes}

    def version(self, name, content=None, metrics=None, model="m", artifact=None, signed="dev", **spec):
        body = {"apiVersion": API, "kind": "ModelVersion", "metadata": {"name": name, "annotations": {"modelops.dev/changed-by": signed} if signed else {}},
                "spec": {"modelRef": {"name": model}, "artifact": artifact or self.artifact(name, content), **({"metrics": metrics} if metrics else {}), **spec}}
        return self.kube.apply(body, self.namespace)

    def model(self, name="m", replicas=2, steps=None, gates=None, rollout=None, template=None, runtime="tiny", route=None, serving=None, **spec):
        """Applies the whole spec, as `kubectl apply` of a file does: what is not said is taken away."""
        rollout = dict(rollout or {}, **({"steps": steps} if steps is not None else {}), **({"gates": gates} if gates is not None else {}))
        serving = {**({} if replicas is None else {"replicas": replicas}), **(serving or {}), **({"runtime": {"name": runtime}} if runtime else {}), **({"template": template} if template else {}),
                   **({"route": route} if route else {})}
        body = {"apiVersion": API, "kind": "Model", "metadata": {"name": name},
                "spec": {"serving": serving, **({"rollout": rollout} if rollout else {}), **spec}}
        self.last_model = body
        return self.kube.apply(body, self.namespace)

    def serve(self, version="m-v1", name="m", content=None, metrics=None, **spec):
        """A Model that already serves this version."""
        self.version(version, content, metrics, model=name)
        self.model(name, version=version, **spec)
        self.ready(name, version)
        return self.last_model

    def move(self, version, name="m"):
        """Changes only spec.version."""
        return self.kube.patch("Model", name, {"spec": {"version": version}}, self.namespace)

    def rollout(self, name, version, model="m", **spec):
        return self.kube.create({"apiVersion": API, "kind": "ModelRollout", "metadata": {"name": name},
                                 "spec": {"modelRef": {"name": model}, "version": version, **spec}}, self.namespace)

    def steer(self, rollout, state):
        """Running: goes on, as kubectl model resume does."""
        if state == "Running" and self.get("ModelRollout", rollout)["spec"].get("desiredState") != "Paused":
            return self.resume(rollout)
        return self.kube.patch("ModelRollout", rollout, {"spec": {"desiredState": state}}, self.namespace)

    def resume(self, rollout):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return self.kube.patch("ModelRollout", rollout, {"spec": {"resumeRequestedAt": now}}, self.namespace)

    # ---- what there is

    def get(self, kind="Model", name="m"):
        return self.kube.get(kind, name, self.namespace)

    def find(self, kind, name):
        return self.kube.find(kind, name, self.namespace)

    def all(self, kind, labels=None):
        return self.kube.list(kind, self.namespace, labels)

    def status(self, kind="Model", name="m"):
        return (self.find(kind, name) or {}).get("status", {})

    def mro(self, name):
        return self.status("ModelRollout", name)

    def rollout_of(self, version, model="m", but=()):
        """The name of the newest ModelRollout to that version, once there is one."""
        def newest():
            found = [r for r in self.all("ModelRollout") if r["spec"]["version"] == version and r["spec"]["modelRef"]["name"] == model
                     and r["metadata"]["name"] not in but]
            return max(found, key=lambda r: int(r["metadata"]["resourceVersion"]))["metadata"]["name"] if found else None
        return self.until(newest, f"a ModelRollout to {version}")

    def endpoints(self, service="m"):
        """{version: endpoints that take traffic}"""
        for _ in range(50):
            versions = {p["metadata"]["name"]: p["metadata"]["labels"].get(self.named_by) for p in self.all("Pod")}
            share = endpoints(self.all("EndpointSlice"), versions, service)
            # A pod that came or went between the two lists: both are read anew.
            if not any(version.startswith("unknown pod") for version in share):
                break
            time.sleep(0.05)
        return share

    def events(self, name="m", reason=None):
        """The notes of our Events on that object."""
        return [e["note"] for e in self.all("Event") if e["regarding"].get("name") == name and e.get("reportingController", "").startswith("modelops.dev")
                and (reason is None or e["reason"] == reason)]

    # ---- waiting

    def until(self, predicate, what, timeout=LONG):
        return self.kube.wait_for(predicate, timeout, what, self.describe, poll=0.1, retry=(ApiError, AttributeError))

    def ready(self, name="m", version=None, timeout=LONG):
        """The Model is Ready for its current generation, and serves `version` if given."""
        def reached():
            found = self.get("Model", name)
            c = condition(found, "Ready")
            return (c["status"] == "True" and found["status"]["observedGeneration"] == found["metadata"]["generation"]
                    and version in (None, found["status"].get("stableVersion")) and found)
        return self.until(reached, f"Model {name} is Ready with {version}", timeout)

    def stalled(self, reason, name="m", kind="Model", timeout=LONG):
        def reached():
            found = self.get(kind, name)
            c = condition(found, "Stalled")
            return c["status"] == "True" and c["reason"] == reason and c.get("observedGeneration", 0) == found["metadata"]["generation"] and found
        return self.until(reached, f"{kind} {name} is Stalled with {reason}", timeout)

    def phase(self, rollout, *phases, timeout=LONG):
        """The ModelRollout is in one of the phases."""
        def reached():
            found = self.get("ModelRollout", rollout)
            return found["status"].get("phase") in phases and found
        return self.until(reached, f"ModelRollout {rollout} is {' or '.join(phases)}", timeout)

    def at_step(self, rollout, index, timeout=LONG):
        return self.until(lambda: self.mro(rollout)["step"]["index"] >= index, f"{rollout} at step {index}", timeout)

    def served_by(self, share, service="m", timeout=LONG):
        """The Service's endpoints are exactly these."""
        return self.until(lambda: self.endpoints(service) == share, f"endpoints of {service} are {share}", timeout)

    def looked_again(self, times=3, name="m"):
        """The operator has reconciled that Model at least so often since: it was touched, and what came after it in the same watch has been acted on."""
        for _ in range(times):
            nudge = str(time.monotonic_ns())
            self.kube.patch("Model", name, {"metadata": {"annotations": {"tests/nudge": nudge}}}, self.namespace)
            self.kube.apply({"apiVersion": API, "kind": "Model", "metadata": {"name": "sentinel"}, "spec": {"description": nudge}}, self.namespace)

            def acted_on():
                found = self.get("Model", "sentinel")
                return found["status"]["observedGeneration"] == found["metadata"]["generation"]
            self.until(acted_on, "the operator acts on what came later")

    # ---- for people reading a failure

    def describe(self):
        out = []
        for kind in ("Model", "ModelRollout", "ModelVersion"):
            for found in self.all(kind):
                found["metadata"].pop("managedFields", None)
                out.append(f"--- {kind}\n" + yaml.safe_dump({"metadata": found["metadata"], "spec": found["spec"], "status": found.get("status")}, sort_keys=False))
        for kind in ("Deployment", "Service", "Job", "Pod"):
            for found in self.all(kind):
                what = {"replicas": found["spec"].get("replicas"), "selector": found["spec"].get("selector"), "status": found.get("status")}
                text = json.dumps(what)
                out.append(f"--- {kind} {found['metadata']['name']}: {text[:1500]}")
        out.append(f"--- endpoints of m: {self.endpoints()}")
        out.append("--- events\n" + "\n".join(f"{e['regarding']['kind']}/{e['regarding'].get('name')} {e['reason']}: {e['note']}" for e in self.all("Event")[-40:]))
        if self.operator:
            out.append("--- operator\n" + self.operator.tail(self.namespace))
        return "\n".join(out)

    # ---- tools

    def kubectl(self, *arguments, check=True):
        namespace = [] if "-n" in arguments else [f"--namespace={self.namespace}"]
        done = subprocess.run([settings.KUBECTL, f"--kubeconfig={settings.KUBECONFIG}", *namespace, *arguments],
                              capture_output=True, text=True, timeout=120, env={**os.environ, "KUBECONFIG": str(settings.KUBECONFIG)})
        assert not check or done.returncode == 0, done.stderr + done.stdout
        return done.stdout if check else done

    def forward(self, service="m", port=80):
        """An address on this host that leads to the Service."""
        out = subprocess.run([settings.RIG_PROGRAM, "forward", "--dir", settings.RIG, "--background", "0", f"{service}.{self.namespace}:{port}"],
                             capture_output=True, text=True, check=True).stdout
        return "http://" + out.split()[-1]

    def fetch(self, url, timeout=5):
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.read().decode()

    def close(self):
        self.metrics.close()
