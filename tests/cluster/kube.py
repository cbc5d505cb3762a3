"""A small Kubernetes client for tests: what a test wants to say, over HTTP with the credentials of a kubeconfig.

    kube = Kube()                                   # KUBECONFIG, else .cluster/kubeconfig of this repository
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", …})
    kube.get("Model", "fraud", "payments")          # a dict; ApiError with .code 404 if it is not there
    kube.wait_for(lambda: kube.find("Model", "fraud", ns)["status"]["phase"] == "Ready", 60, "fraud is Ready",
                  describe=lambda: kube.find("Model", "fraud", ns))

Kinds are given by name ("Model"), or as an object whose apiVersion and kind say it. Thread-safe: each thread has its own connection.
"""

import base64
import http.client
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

import yaml

REPO = pathlib.Path(__file__).resolve().parents[2]
FIELD_MANAGER = "tests"
POLL_SECONDS = 0.05

# kind: (apiVersion, plural, namespaced). Others are found by discovery when an object names its apiVersion.
KINDS = {
    "Model": ("modelops.dev/v1alpha1", "models", True),
    "ModelVersion": ("modelops.dev/v1alpha1", "modelversions", True),
    "ModelRollout": ("modelops.dev/v1alpha1", "modelrollouts", True),
    "ModelRuntime": ("modelops.dev/v1alpha1", "modelruntimes", False),
    "TrainingRun": ("modelops.dev/v1alpha1", "trainingruns", True),
    "ModelGateSet": ("modelops.dev/v1alpha1", "modelgatesets", True),
    "ClusterModelGateSet": ("modelops.dev/v1alpha1", "clustermodelgatesets", False),
    "ModelPolicy": ("modelops.dev/v1alpha1", "modelpolicies", False),
    "ModelApproval": ("modelops.dev/v1alpha1", "modelapprovals", True),
    "ModelAudit": ("modelops.dev/v1alpha1", "modelaudits", True),
    "Deployment": ("apps/v1", "deployments", True),
    "ReplicaSet": ("apps/v1", "replicasets", True),
    "Job": ("batch/v1", "jobs", True),
    "Pod": ("v1", "pods", True),
    "Service": ("v1", "services", True),
    "ConfigMap": ("v1", "configmaps", True),
    "Secret": ("v1", "secrets", True),
    "ServiceAccount": ("v1", "serviceaccounts", True),
    "ResourceQuota": ("v1", "resourcequotas", True),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims", True),
    "PersistentVolume": ("v1", "persistentvolumes", False),
    "Namespace": ("v1", "namespaces", False),
    "Node": ("v1", "nodes", False),
    "Event": ("events.k8s.io/v1", "events", True),
    "Lease": ("coordination.k8s.io/v1", "leases", True),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices", True),
    "GatewayClass": ("gateway.networking.k8s.io/v1", "gatewayclasses", False),
    "Gateway": ("gateway.networking.k8s.io/v1", "gateways", True),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", "httproutes", True),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers", True),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies", True),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets", True),
    "APIService": ("apiregistration.k8s.io/v1", "apiservices", False),
    "Role": ("rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings", True),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "ValidatingAdmissionPolicy": ("admissionregistration.k8s.io/v1", "validatingadmissionpolicies", False),
    "ValidatingAdmissionPolicyBinding": ("admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", False),
}


class ApiError(Exception):
    """An answer of the API server that is no success; `message` is its words."""

    def __init__(self, code, body):
        try:
            status = json.loads(body)
        except ValueError:
            status = {}
        self.code = code
        self.reason = status.get("reason", "")
        self.message = status.get("message") or body.decode(errors="replace")
        self.details = status.get("details") or {}
        super().__init__(f"{code} {self.reason}: {self.message}")


class Kube:
    def __init__(self, kubeconfig=None, user=None, groups=()):
        """`user` and `groups` are impersonated."""
        self.kubeconfig = str(kubeconfig or os.environ.get("KUBECONFIG") or REPO / ".cluster" / "kubeconfig")
        self._headers = {"Accept": "application/json"}
        self._impersonate = [("Impersonate-User", user)] if user else []
        self._impersonate += [("Impersonate-Group", group) for group in groups]
        self._kinds = dict(KINDS)
        self._local = threading.local()
        self._read_kubeconfig()

    def as_user(self, user, *groups):
        """The same cluster in the name of somebody else."""
        return Kube(self.kubeconfig, user, groups)

    def as_service_account(self, namespace, name):
        return self.as_user(f"system:serviceaccount:{namespace}:{name}", "system:serviceaccounts", f"system:serviceaccounts:{namespace}",
                            "system:authenticated")

    # ---- verbs; each returns the object as the API server answers it

    def get(self, kind, name, namespace=None, subresource=None):
        return self._call("GET", self.path(kind, name, namespace, subresource))

    def find(self, kind, name, namespace=None):
        """Like get, but None if it is not there."""
        try:
            return self.get(kind, name, namespace)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def list(self, kind, namespace=None, labels=None, fields=None):
        """The items."""
        query = {}
        if labels:
            query["labelSelector"] = labels if isinstance(labels, str) else ",".join(f"{k}={v}" for k, v in labels.items())
        if fields:
            query["fieldSelector"] = fields
        return self._call("GET", self.path(kind, None, namespace), query=query)["items"]

    def create(self, body, namespace=None, dry_run=False):
        return self._call("POST", self._path_of(body, namespace, named=False), body, query=self._write_query(dry_run))

    def replace(self, body, namespace=None, subresource=None, dry_run=False):
        return self._call("PUT", self._path_of(body, namespace, subresource), body, query=self._write_query(dry_run))

    def apply(self, body, namespace=None, subresource=None, manager=FIELD_MANAGER, force=True, dry_run=False):
        """Server-side apply."""
        query = {**self._write_query(dry_run), "fieldManager": manager, "force": str(force).lower()}
        return self._call("PATCH", self._path_of(body, namespace, subresource), body, query=query,
                          content_type="application/apply-patch+yaml")

    def patch(self, kind, name, patch, namespace=None, subresource=None, dry_run=False):
        """A JSON merge patch (a dict), or a JSON patch (a list)."""
        content_type = "application/json-patch+json" if isinstance(patch, list) else "application/merge-patch+json"
        return self._call("PATCH", self.path(kind, name, namespace, subresource), patch, query=self._write_query(dry_run),
                          content_type=content_type)

    def ask(self, service, namespace, path, body):
        """POSTs JSON to a Service through the API server."""
        return self._call("POST", f"/api/v1/namespaces/{namespace}/services/{service}:80/proxy{path}", body)

    def scale(self, kind, name, replicas, namespace=None):
        return self.patch(kind, name, {"spec": {"replicas": replicas}}, namespace, "scale")

    def delete(self, kind, name, namespace=None, propagation="Background", missing_ok=True, dry_run=False):
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if dry_run:
            options["dryRun"] = ["All"]  # with a body, the API server doesn't read the query
        try:
            return self._call("DELETE", self.path(kind, name, namespace), options)
        except ApiError as error:
            if error.code == 404 and missing_ok:
                return None
            raise

    def make_namespace(self, name, labels=None):
        return self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}})

    # ---- many objects

    @staticmethod
    def render(folder):
        """The objects of a kustomization of this repository, such as "crds"."""
        out = subprocess.run([kubectl(), "kustomize", str(REPO / folder)], check=True, capture_output=True, text=True).stdout
        return [document for document in yaml.safe_load_all(out) if document]

    def apply_folder(self, folder, skip=()):
        """Applies a kustomization; objects whose kind is in `skip` are left out."""
        return [self.apply(document) for document in self.render(folder) if document["kind"] not in skip]

    def install_crds(self, timeout=60):
        """The CRDs, established and served."""
        crds = self.apply_folder("crds")
        for crd in crds:
            name = crd["metadata"]["name"]
            self.wait_for(lambda n=name: _is_true(self.get("CustomResourceDefinition", n), "Established"), timeout, f"{name} is established")
        for kind in ("Model", "ModelVersion", "ModelRollout", "TrainingRun", "ModelRuntime", "ModelGateSet", "ClusterModelGateSet", "ModelPolicy", "ModelApproval", "ModelAudit"):
            self.wait_for(lambda k=kind: self.list(k) is not None, timeout, f"{kind} is served", retry=(ApiError,))

    # ---- waiting

    @staticmethod
    def wait_for(predicate, timeout, what, describe=None, poll=POLL_SECONDS, retry=(), pause=None):
        """Polls until `predicate` is true and returns its value. Fails with `what`, and with what `describe` gives then. Errors of the
        types in `retry`, and a KeyError or TypeError (a field is not there yet), count as not yet. `pause` says when to look again, else `poll`."""
        deadline = time.monotonic() + timeout
        last = None
        while True:
            try:
                value = predicate()
                if value:
                    return value
                last = value
            except (KeyError, TypeError, IndexError, *retry) as error:
                last = repr(error)
            if time.monotonic() > deadline:
                state = describe() if describe else last
                text = state if isinstance(state, str) else yaml.safe_dump(state, sort_keys=False)
                raise AssertionError(f"not within {timeout} s: {what}\n{text}")
            pause() if pause else time.sleep(poll)

    def wait_gone(self, kind, name, namespace=None, timeout=60):
        self.wait_for(lambda: self.find(kind, name, namespace) is None, timeout, f"{kind} {namespace or ''}/{name} is gone",
                      lambda: self.find(kind, name, namespace))

    def wait_condition(self, kind, name, namespace, condition, status="True", timeout=60):
        """Waits for a condition that speaks of the current generation; returns the object."""
        def reached():
            found = self.get(kind, name, namespace)
            for one in found["status"]["conditions"]:
                if one["type"] == condition and one["status"] == status:
                    current = one.get("observedGeneration", found["metadata"].get("generation"))
                    return found if current == found["metadata"].get("generation", current) else None
            return None
        return self.wait_for(reached, timeout, f"{kind} {namespace}/{name} has {condition}={status}",
                             lambda: (self.find(kind, name, namespace) or {}).get("status"), retry=(ApiError,))

    # ---- addresses

    def is_namespaced(self, kind):
        return self._kinds[kind][2]

    def path(self, kind, name=None, namespace=None, subresource=None):
        api_version, plural, namespaced = self._kinds[kind]
        parts = ["api" if "/" not in api_version else "apis", api_version]
        if namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (plural, name and urllib.parse.quote(name, safe=""), subresource) if part]
        return "/" + "/".join(parts)

    def _path_of(self, body, namespace, subresource=None, named=True):
        kind = body["kind"]
        if kind not in self._kinds or self._kinds[kind][0] != body["apiVersion"]:
            self._discover(body["apiVersion"])
        name = body["metadata"].get("name") if named else None
        return self.path(kind, name, namespace or body["metadata"].get("namespace"), subresource)

    def _discover(self, api_version):
        prefix = "/apis/" if "/" in api_version else "/api/"
        for resource in self._call("GET", prefix + api_version)["resources"]:
            if "/" not in resource["name"]:
                self._kinds[resource["kind"]] = (api_version, resource["name"], resource["namespaced"])

    @staticmethod
    def _write_query(dry_run):
        return {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}

    # ---- HTTP

    def _read_kubeconfig(self):
        config = yaml.safe_load(pathlib.Path(self.kubeconfig).read_text())
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        self._server = urllib.parse.urlsplit(cluster["server"])
        folder = pathlib.Path(self.kubeconfig).resolve().parent
        authority = _data(cluster, "certificate-authority", folder)
        self._tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
        self._tls.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if cluster.get("insecure-skip-tls-verify"):
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
        certificate, key = _data(user, "client-certificate", folder), _data(user, "client-key", folder)
        if certificate and key:
            with tempfile.NamedTemporaryFile() as pair:  # ssl reads it from files only
                pair.write(certificate + b"\n" + key)
                pair.flush()
                self._tls.load_cert_chain(pair.name)
        if user.get("token"):
            self._headers["Authorization"] = f"Bearer {user['token']}"

    def _call(self, method, path, body=None, query=None, content_type="application/json"):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        data = None if body is None else json.dumps(body).encode()
        code, answer = self._exchange(method, path, data, content_type)
        if code >= 400:
            raise ApiError(code, answer)
        return json.loads(answer)

    def _exchange(self, method, path, data, content_type):
        reused = getattr(self._local, "connection", None) is not None
        try:
            return self._exchange_once(method, path, data, content_type)
        except (http.client.HTTPException, ConnectionError, ssl.SSLError):
            self._local.connection = None
            # A kept connection may have been closed meanwhile. Nothing is repeated that a new connection did not answer.
            if not reused or method == "POST":
                raise
            return self._exchange_once(method, path, data, content_type)

    def _exchange_once(self, method, path, data, content_type):
        if getattr(self._local, "connection", None) is None:
            self._local.connection = http.client.HTTPSConnection(self._server.hostname, self._server.port or 443, context=self._tls, timeout=60)
        connection = self._local.connection
        # A story: who had waited two minutes for an operator sent a POST on a connection that the API server, after 90 idle seconds, had closed.
        if time.monotonic() - getattr(self._local, "used", 0) > 60:
            connection.close()   # opens itself again
        self._local.used = time.monotonic()
        connection.putrequest(method, self._server.path.rstrip("/") + path)
        for name, value in [*self._headers.items(), *self._impersonate]:
            connection.putheader(name, value)
        if data is not None:
            connection.putheader("Content-Type", content_type)
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        response = connection.getresponse()
        return response.status, response.read()


def kubectl():
    """The rig's kubectl, else the one on the PATH."""
    ours = REPO / ".cluster" / "bin" / "kubectl"
    found = str(ours) if ours.exists() else shutil.which("kubectl")
    if not found:
        raise RuntimeError("there is no kubectl: neither .cluster/bin/kubectl nor on the PATH")
    return found


def _is_true(body, condition):
    return any(c["type"] == condition and c["status"] == "True" for c in body["status"]["conditions"])


def _named(entries, name):
    return next(entry for entry in entries if entry["name"] == name)


def _data(entry, field, folder):
    if entry.get(field + "-data"):
        return base64.b64decode(entry[field + "-data"])
    return (folder / entry[field]).read_bytes() if entry.get(field) else None
