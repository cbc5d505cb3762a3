"""End of life, the inventory and the report, on a real API server."""

import csv
import io
import json
import socket
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

    def __init__(self, case):
        self.case, self.port = case, free_port()
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
        self.process = subprocess.Popen([settings.OPERATOR, "report", "--kubeconfig", kubeconfig, "--address", f"127.0.0.1:{self.port}", "--interval", "5"],
                                        stdout=self.log, stderr=subprocess.STDOUT)

    def get(self, path, token=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
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


# ---- callers


def headers_of_an_answer(case):
    """Of what the Gateway answers to a caller of the Model."""
    command = ["nsenter", f"--target={test_route.inside()}", "--net", "curl", "-s", "-o", "/dev/null", "-D", "-", "-H", f"Host: {test_route.host(case)}",
               "-d", test_route.QUESTION, test_route.GATEWAY + test_route.PATH]
    lines = subprocess.run(command, text=True, capture_output=True, check=True, timeout=20).stdout.splitlines()
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if ":" in line)}


def test_callers_of_a_deprecated_model_are_told_whom_to_move_to(case):
    test_route.serve(case)
    assert "model-successor" not in headers_of_an_answer(case)
    retires = "2099-01-01T00:00:00Z"
    case.kube.patch("Model", "m", {"spec": {"lifecycle": {"stage": "Deprecated", "successor": "m-2", "retireAt": retires}}}, case.namespace)
    told = case.until(lambda: (headers := headers_of_an_answer(case)).get("model-successor") == "m-2" and headers, "answers name the successor")
    assert told["sunset"] == "Thu, 01 Jan 2099 00:00:00 GMT" and told["deprecation"].startswith("@")
    case.kube.patch("Model", "m", {"spec": {"lifecycle": {"stage": "Retired"}}}, case.namespace)
    case.until(lambda: case.find("HTTPRoute", "m") is None and case.all("Deployment") == [], "the route and the pods are gone")
