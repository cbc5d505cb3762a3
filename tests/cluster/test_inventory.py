"""End of life, the inventory and the report, on a real API server."""

import csv
import io
import json
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

import operators
import settings
import test_route
from case import condition
from kube import ApiError
from test_plugin import DONE, Said

LIFECYCLE = {"stage": "Production", "reviewBy": "2020-01-01T00:00:00Z"}


def inventory(case, *arguments, **more):
    return Said([settings.KUBECTL, "model", "inventory", "-n", case.namespace, *arguments], **more)


# ---- end of life


def test_a_retired_model_serves_nothing_and_comes_back_when_its_stage_says_so(case):
    case.serve("m-v1", lifecycle=LIFECYCLE)
    case.until(lambda: case.events(reason="ReviewDue"), "an Event says that the review is due")
    case.kube.patch("Model", "m", {"spec": {"lifecycle": {"stage": "Retired", "successor": "n"}}}, case.namespace)
    gone = case.until(lambda: case.status().get("phase") == "Retired" and condition(case.get(), "Ready")["status"] == "True" and case.get(), "the Model is retired")
    assert gone["status"]["stableVersion"] == "m-v1" and gone["status"]["traffic"] == [] and gone["status"]["ready"] == "0/0"
    assert condition(gone, "EndOfLife")["reason"] == "Retired"
    for kind in ("Deployment", "Service"):
        assert case.all(kind) == []
    case.until(lambda: case.status("ModelVersion", "m-v1")["phase"] == "Retired", "the version is Retired")
    case.rollout("anyway", "m-v1")
    assert case.phase("anyway", "Aborted")["status"]["ending"]["reason"] == "ModelRetired"
    case.kube.patch("Model", "m", {"spec": {"lifecycle": {"stage": "Staging"}}}, case.namespace)
    case.ready("m", "m-v1")
    case.served_by({"m-v1": 2})


@pytest.mark.parametrize("lifecycle, words", [
    ({"stage": "Gone"}, "Unsupported value"),
    ({"successor": "m"}, "a Model cannot be its own successor"),
    ({"successor": "Not A Name"}, "must be the name of a Model"),
    ({"deprecateAt": "2030-02-01T00:00:00Z", "retireAt": "2030-01-01T00:00:00Z"}, "deprecateAt must be before retireAt"),
    ({"retireAt": "tomorrow"}, "date-time"),
])
def test_a_lifecycle_that_makes_no_sense_is_refused(case, lifecycle, words):
    with pytest.raises(ApiError) as refused:
        case.model("m", lifecycle=lifecycle)
    assert words in str(refused.value)


# ---- inventory


def test_the_inventory_tells_what_serves_and_what_needs_attention(case):
    case.serve("m-v1", lifecycle=LIFECYCLE, riskTier="high", metrics={"f1": "0.9"})
    case.version("m-v2")
    done = inventory(case, "-o", "json")
    assert done.code == DONE, done
    told = json.loads(done.out)
    model = told["models"][0]
    assert (model["model"], model["version"], model["tier"], model["owner"]) == ("m", "m-v1", "high", None)
    assert model["evaluated"] and model["neverServed"] == 1
    kinds = {finding["kind"] for finding in told["findings"]}
    assert {"no-owner", "past-review", "never-served", "not-monitored"} <= kinds
    table = inventory(case)
    assert "NAMESPACE" in table.out and "past-review" in table.out and "<unknown>" in table.out, table
    rows = list(csv.DictReader(io.StringIO(inventory(case, "-o", "csv").out)))
    assert rows[0]["model"] == "m" and rows[0]["version"] == "m-v1"
    bom = json.loads(inventory(case, "-o", "cyclonedx").out)
    assert bom["components"][0]["hashes"][0]["content"] == case.get("ModelVersion", "m-v1")["spec"]["artifact"]["digest"].removeprefix("sha256:")


def test_costs_are_opencosts_where_prometheus_has_them(case):
    case.serve("m-v1", template={"spec": {"containers": [{"name": "server", "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}}}]}})
    pods, node = [pod["metadata"]["name"] for pod in case.all("Pod")], f"node-of-{case.namespace}"
    for pod in pods:
        where = {"pod": pod, "container": "server", "node": node}
        case.metrics.set("container_cpu_allocation", 0.5, **where)
        case.metrics.set("container_memory_allocation_bytes", 2**31, **where)
        case.metrics.set("kube_pod_container_resource_requests", 1.5, pod=pod, container="sidecar", resource="cpu", unit="core")
        case.metrics.set("kube_pod_status_phase", 1, pod=pod, phase="Running")
    case.metrics.set("node_cpu_hourly_cost", 0.04, node=node)
    case.metrics.set("node_ram_hourly_cost", 0.005, node=node)
    done = inventory(case, "-o", "csv", "--table", "resources", "--prometheus-url", settings.prometheus_url(), "--opencost-currency", "USD")
    assert done.code == DONE, done
    (row,) = csv.DictReader(io.StringIO(done.out))
    assert (row["costPerMonth"], row["currency"], row["costFrom"]) == (str(round(len(pods) * (0.5 * 0.04 + 2 * 0.005) * 730, 2)), "USD", "OpenCost"), row
    assert float(row["cpu"]) == 1.5 * len(pods)  # what admission added is asked for, too
    other = inventory(case, "-o", "csv", "--table", "resources", "--prometheus-url", settings.prometheus_url())
    (row,) = csv.DictReader(io.StringIO(other.out))
    assert row["costPerMonth"] == "" and row["costFrom"] == ""


def test_a_reader_without_rights_gets_no_inventory_and_no_report(case):
    case.serve("m-v1")
    who = ["--as", f"system:serviceaccount:{case.namespace}:default"]
    for verb in ("inventory", "report"):
        done = Said([settings.KUBECTL, "model", verb, "-n", case.namespace, *who])
        assert done.code != DONE and "forbidden" in done.err and "m-v1" not in done.out + done.err, done


def test_the_report_is_one_file_with_the_callers_rights(case):
    case.serve("m-v1", description="<script>alert(1)</script>")
    done = Said([settings.KUBECTL, "model", "report", "-n", case.namespace])
    assert done.code == DONE, done
    assert done.out.startswith("<!DOCTYPE html>") and "m-v1" in done.out
    assert "<script" not in done.out and "http://" not in done.out and "https://" not in done.out
    # Whoever may list Models alone is told what is missing.
    case.kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "models-only"},
                     "rules": [{"apiGroups": ["modelops.dev"], "resources": ["models"], "verbs": ["list"]}]}, case.namespace)
    bind(case, "models-only")
    part = Said([settings.KUBECTL, "model", "report", "-n", case.namespace, "--as", f"system:serviceaccount:{case.namespace}:default"])
    assert part.code == DONE and "ModelRollouts could not be read" in part.out and "Pods could not be read" in part.out, part


def bind(case, role, account="default"):
    case.kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": f"{role}-{account}"},
                     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
                     "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": case.namespace}]}, case.namespace)


# ---- the site


class Site:
    """`model-operator report`, with the rights that manifests/report gives it and no others."""

    def __init__(self, case, *options, authority=None):
        self.case, self.port = case, free_port()
        self.tls_authority, self.tls = authority, ssl.create_default_context(cafile=authority) if authority else None
        kubeconfig = settings.STATE / f"report-{case.namespace}.kubeconfig"
        settings.STATE.mkdir(parents=True, exist_ok=True)
        for document in case.kube.render("manifests/report"):
            if document["kind"] == "ClusterRole":
                rules = document["rules"]
        case.kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "report"}}, case.namespace)
        self.name = f"test-report-{case.namespace}"
        case.kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": self.name}, "rules": rules})
        case.kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": self.name},
                         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": self.name},
                         "subjects": [{"kind": "ServiceAccount", "name": "report", "namespace": case.namespace}]})
        operators.kubeconfig_of(case.kube, case.namespace, "report", kubeconfig)
        self.log = open(settings.STATE / f"report-{case.namespace}.log", "w")
        self.process = subprocess.Popen([settings.OPERATOR, "report", "--kubeconfig", kubeconfig, "--address", f"127.0.0.1:{self.port}", "--interval", "5", *options],
                                        stdout=self.log, stderr=subprocess.STDOUT)

    def get(self, path, token=None, headers=None, certificate=None):
        """`certificate`: the path of a client's, with its key beside it."""
        tls = self.tls
        if certificate:
            tls = ssl.create_default_context(cafile=self.tls_authority)
            tls.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
        url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, headers={**({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=10, context=tls) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(), dict(e.headers)
        except OSError:
            return 0, "", {}

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.log.close()
        self.case.kube.delete("ClusterRoleBinding", self.name)
        self.case.kube.delete("ClusterRole", self.name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_the_site_shows_each_reader_what_they_may_list(case):
    case.serve("m-v1")
    for account in ("reader", "stranger"):
        case.kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}, case.namespace)
    case.kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "viewer"},
                     "rules": [{"apiGroups": ["modelops.dev"], "resources": ["models", "modelversions", "modelrollouts"], "verbs": ["list"]}]}, case.namespace)
    bind(case, "viewer", account="reader")
    token = {account: operators.token_of(case.kube, case.namespace, account) for account in ("reader", "stranger")}
    site = Site(case)
    try:
        case.until(lambda: site.get("/readyz")[0] == 200, "the site has read the Models")
        assert site.get("/")[0] == 401
        assert site.get("/", "nobody's")[0] == 401
        page = f"/models/{case.namespace}/m"
        case.until(lambda: site.get(page, token["reader"])[0] == 200, "the reader sees the Model")
        status, text, headers = site.get("/", token["reader"])
        assert status == 200 and case.namespace in text and "default-src 'none'" in headers["Content-Security-Policy"]
        status, text, _ = site.get("/", token["stranger"])
        assert status == 200 and f"/models/{case.namespace}" not in text and "m-v1" not in text and "There is no Model yet" in text
        assert site.get(page, token["stranger"])[:2] == site.get("/models/no/such", token["stranger"])[:2]
        status, text, _ = site.get("/data/models.json", token["reader"])
        assert {m["namespace"] for m in json.loads(text)} == {case.namespace}
    finally:
        site.close()


class Authority:
    """Signs certificates for a test."""

    def __init__(self, folder, name):
        self.folder, self.path = folder, folder / name
        self._make(name, "/CN=" + name, ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"])
        self.file = f"{self.path}.crt"

    def issue(self, name, subject, usage, names=""):
        self._make(name, subject, ["-addext", "basicConstraints=CA:FALSE", "-addext", f"extendedKeyUsage={usage}", *(["-addext", f"subjectAltName={names}"] if names else []),
                                   "-CA", self.file, "-CAkey", f"{self.path}.key"])
        return str(self.folder / name)

    def _make(self, name, subject, more):
        (self.folder / "none.cnf").write_text("[req]\ndistinguished_name=dn\n[dn]\n")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", subject,
                        "-config", self.folder / "none.cnf", "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.crt", *more], check=True, capture_output=True)


def test_a_declared_proxy_says_who_reads_and_nobody_else_does(case, tmp_path):
    case.serve("m-v1")
    case.kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "viewer"},
                     "rules": [{"apiGroups": ["modelops.dev"], "resources": ["models", "modelversions", "modelrollouts"], "verbs": ["list"]}]}, case.namespace)
    case.kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "risk"},
                     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "viewer"},
                     "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": f"idp:risk-{case.namespace}"},
                                  {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": f"jane-{case.namespace}"}]}, case.namespace)
    case.kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "stranger"}}, case.namespace)
    stranger = operators.token_of(case.kube, case.namespace, "stranger")
    sites, proxies, others = (Authority(tmp_path, name) for name in ("sites", "proxies", "others"))
    own = sites.issue("site", "/CN=site", "serverAuth", "IP:127.0.0.1")
    proxy = proxies.issue("proxy", "/CN=auth-proxy", "clientAuth")
    site = Site(case, "--tls-cert", f"{own}.crt", "--tls-key", f"{own}.key", "--proxy-client-ca", proxies.file, "--proxy-name", "auth-proxy",
                "--proxy-groups-prefix", "idp:", authority=sites.file)
    risk = {"X-Forwarded-User": "joe", "X-Forwarded-Groups": f"staff,risk-{case.namespace}"}
    page = f"/models/{case.namespace}/m"
    try:
        case.until(lambda: site.get("/readyz")[0] == 200, "the site has read the Models")
        case.until(lambda: site.get(page, headers=risk, certificate=proxy)[0] == 200, "the proxy's reader sees the Model by a group")
        assert site.get(page, headers={"X-Forwarded-User": f"jane-{case.namespace}"}, certificate=proxy)[0] == 200
        status, text, _ = site.get("/", headers={"X-Forwarded-User": "joe", "X-Forwarded-Groups": "system:masters"}, certificate=proxy)
        assert status == 200 and "m-v1" not in text and case.namespace not in text
        assert site.get("/", headers={"X-Forwarded-User": "system:admin"}, certificate=proxy)[0] == 403
        # The same headers from anywhere else.
        for certificate, why in ((None, "no client certificate"), (others.issue("forged", "/CN=auth-proxy", "clientAuth"), "not valid"),
                                 (proxies.issue("server", "/CN=auth-proxy", "serverAuth"), "not valid"), (proxies.issue("grafana", "/CN=grafana", "clientAuth"), "--proxy-name")):
            status, text, _ = site.get(page, headers=risk, certificate=certificate)
            assert status == 401 and why in text and "m-v1" not in text, (why, text)
            # With a token they are whom it belongs to.
            assert site.get(page, stranger, risk, certificate)[0] == 404
    finally:
        site.close()


@pytest.mark.parametrize("options, words", [
    (["--proxy-name", "p"], "--proxy-client-ca and --proxy-name go together"),
    (["--proxy-client-ca", "/none", "--proxy-name", "p"], "needs TLS"),
    (["--tls-cert", "/none"], "--tls-cert and --tls-key go together"),
    (["--tls-cert", "/none", "--tls-key", "/none"], "cannot read /none"),
])
def test_a_proxy_that_is_half_declared_lets_no_site_start(cluster, options, words):
    done = subprocess.run([settings.OPERATOR, "report", "--kubeconfig", cluster.kubeconfig, "--address", "127.0.0.1:0", *options], text=True, capture_output=True, timeout=30)
    assert done.returncode != 0 and words in done.stdout + done.stderr, done


# ---- callers


def an_answer(case):
    """What the Gateway answers to a caller of the Model: the code and the headers."""
    command = ["nsenter", f"--target={test_route.inside()}", "--net", "curl", "-s", "-o", "/dev/null", "-D", "-", "-H", f"Host: {test_route.host(case)}",
               "-d", test_route.QUESTION, test_route.GATEWAY + test_route.PATH]
    lines = subprocess.run(command, text=True, capture_output=True, check=True, timeout=20).stdout.splitlines()
    return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if ":" in line)}


def headers_of_an_answer(case):
    return an_answer(case)[1]


def test_callers_of_a_deprecated_model_are_told_whom_to_move_to(case):
    test_route.serve(case)
    assert "model-successor" not in headers_of_an_answer(case)
    retires = "2099-01-01T00:00:00Z"
    case.kube.patch("Model", "m", {"spec": {"lifecycle": {"stage": "Deprecated", "successor": "m-2", "retireAt": retires}}}, case.namespace)
    told = case.until(lambda: (headers := headers_of_an_answer(case)).get("model-successor") == "m-2" and headers, "answers name the successor")
    assert told["sunset"] == "Thu, 01 Jan 2099 00:00:00 GMT" and told["deprecation"].startswith("@")
    case.kube.patch("Model", "m", {"spec": {"lifecycle": {"stage": "Retired"}}}, case.namespace)
    case.until(lambda: case.find("HTTPRoute", "m") is None and case.all("Deployment") == [], "the route and the pods are gone")


def test_callers_of_a_retired_model_get_the_answer_that_its_route_names(case):
    # Traefik's way to say 410 to everybody: nobody has the one address that may pass.
    case.kube.apply({"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware", "metadata": {"name": "gone"},
                     "spec": {"ipAllowList": {"sourceRange": ["255.255.255.255/32"], "rejectStatusCode": 410}}}, case.namespace)
    test_route.serve(case, route={"parentRefs": [test_route.PARENT], "hostnames": [test_route.host(case)],
                                  "retired": {"extensionRef": {"group": "traefik.io", "kind": "Middleware", "name": "gone"}}})
    assert an_answer(case)[0] == 200
    case.kube.patch("Model", "m", {"spec": {"lifecycle": {"stage": "Retired"}}}, case.namespace)
    case.until(lambda: an_answer(case)[0] == 410, "callers are told that it is gone")
    case.until(lambda: condition(case.get(), "Ready")["reason"] == "Retired" and condition(case.get(), "Ready")["status"] == "True", "the Model is at rest")
    assert case.all("Deployment") == [] and case.all("Service") == []
    case.kube.patch("Model", "m", {"spec": {"lifecycle": {"stage": "Production"}}}, case.namespace)
    case.until(lambda: an_answer(case)[0] == 200, "it answers again")
    case.ready("m", "m-v1")


@pytest.mark.parametrize("reference, words", [
    ({"group": "Traefik.io", "kind": "Middleware", "name": "gone"}, "must be an API group in lower case"),
    ({"group": "traefik.io", "kind": "a/b", "name": "gone"}, "must be a kind"),
    ({"group": "traefik.io", "kind": "Middleware"}, "name"),
])
def test_a_filter_that_is_none_is_refused(alone, reference, words):
    with pytest.raises(ApiError) as refused:
        alone.model("m", route={"parentRefs": [test_route.PARENT], "retired": {"extensionRef": reference}})
    assert words in str(refused.value)
