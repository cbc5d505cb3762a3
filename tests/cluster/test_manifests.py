"""What is under manifests/ agrees with itself and is accepted by a real API server."""

import base64
import hashlib
import os
import subprocess
import sys
import uuid

import pytest
import yaml

from kube import REPO, Kube

MANIFESTS = REPO / "manifests"


@pytest.fixture(scope="module")
def kube():
    kube = Kube()
    kube.install_crds()
    return kube


@pytest.fixture(scope="module")
def namespace(kube):
    """One that lets in only pods of the restricted Pod Security Standard."""
    name = "manifests-" + uuid.uuid4().hex[:8]
    kube.make_namespace(name, {"pod-security.kubernetes.io/enforce": "restricted"})
    kube.wait_for(lambda: kube.find("ServiceAccount", "default", name), 30, "the namespace has its ServiceAccount")
    yield name
    kube.delete("Namespace", name)


def find(documents, kind, name):
    return next(d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name)


def pod_of(template, name, namespace):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, **template.get("metadata", {})},
            "spec": {**template["spec"], "serviceAccountName": "default"}}


def test_the_api_reference_is_fresh():
    subprocess.run([sys.executable, REPO / "scripts" / "crd-docs.py", "--check"], check=True)


@pytest.mark.parametrize("folder", ["manifests", "manifests/namespaced", "manifests/samples", "manifests/samples/retraining", "manifests/network/egress", "manifests/network/models",
                                    "manifests/runtimes/catalog", "manifests/report", "manifests/report-proxy", "manifests/dashboards", "manifests/change-control"])
def test_a_kustomization_is_accepted(kube, namespace, folder):
    present = {"Namespace", "CustomResourceDefinition"}
    for document in kube.render(folder):
        if document["kind"] in present:
            continue
        if kube.is_namespaced(document["kind"]):
            document["metadata"]["namespace"] = namespace
        kube.apply(document, manager="test-manifests", dry_run=True)


# Whoever set the operator's image in an overlay, as the README says, had init containers with the base's image still.
@pytest.mark.parametrize("how", [{"newTag": "v2"}, {"digest": "sha256:" + 64 * "0"}])
@pytest.mark.parametrize("folder", ["manifests", "manifests/namespaced"])
def test_the_operator_fetches_with_its_own_image(kube, folder, how, tmp_path):
    overlay = {"resources": [os.path.relpath(REPO / folder, tmp_path)],
               "images": [{"name": "localhost/model-operator", "newName": "registry.example.com/modelops", **how}]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    wanted = "registry.example.com/modelops" + (f":{how['newTag']}" if "newTag" in how else f"@{how['digest']}")
    for rendered, image in ((folder, "localhost/model-operator:dev"), (tmp_path, wanted)):
        container = find(kube.render(rendered), "Deployment", "model-operator")["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == image
        assert {"name": "FETCH_IMAGE", "value": image} in container["env"]
        assert "--fetch-image=$(FETCH_IMAGE)" in container["args"]


def test_a_renamed_installation_is_known_by_its_role(kube, tmp_path):
    """Admission knows the operator by a verb in its role, which goes along with namePrefix and namespace."""
    overlay = {"resources": [os.path.relpath(MANIFESTS, tmp_path)], "namePrefix": "acme-", "namespace": "acme"}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    documents = kube.render(tmp_path)
    binding = find(documents, "ClusterRoleBinding", "acme-model-operator")
    account = {"kind": "ServiceAccount", "name": "acme-model-operator", "namespace": "acme"}
    assert binding["subjects"] == [account] and find(documents, "ServiceAccount", account["name"])["metadata"]["namespace"] == "acme"
    pod = find(documents, "Deployment", "acme-model-operator")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["name"] and "--unconfined" not in pod["containers"][0]["args"]
    rules = find(documents, "ClusterRole", binding["roleRef"]["name"])["rules"]
    assert {"apiGroups": ["modelops.dev"], "resources": ["models"], "verbs": ["reconcile"]} in rules
    policies = {d["metadata"]["name"] for d in documents if d["kind"] == "ValidatingAdmissionPolicy"}
    assert {d["spec"]["policyName"] for d in documents if d["kind"] == "ValidatingAdmissionPolicyBinding"} == policies
    assert any("operator-writes.modelops.dev" in name for name in policies), "the operator looks for that name in what it is told"
    # Nobody else is taken for the operator.
    for folder in ("manifests", "manifests/namespaced"):
        named = [d["metadata"]["name"] for d in kube.render(folder) if "Role" in d["kind"] and any("reconcile" in rule["verbs"] for rule in d.get("rules", []))]
        assert named == ["model-operator"], named


def test_pods_meet_the_restricted_standard(kube, namespace):
    documents = kube.render("manifests")
    templates = {d["metadata"]["name"]: d["spec"]["template"] for d in documents if d["kind"] in ("Deployment", "ModelRuntime")}
    assert set(templates) == {"model-operator", "rules", "sklearn"}
    for name, template in templates.items():
        kube.create(pod_of(template, name, namespace), dry_run=True)
    training = find(kube.render("manifests/samples/retraining"), "Model", "limits")["spec"]["retraining"]["template"]["spec"]
    kube.create(pod_of(training["template"], "training", namespace), dry_run=True)


def test_the_catalog_of_runtimes(kube, namespace, tmp_path):
    """Each is for formats of its own or for those who name it, its pods meet the restricted standard, and Prometheus can read its gates."""
    documents = kube.render("manifests/runtimes/catalog")
    bundled = {f["name"] for d in kube.render("manifests") if d["kind"] == "ModelRuntime" for f in d["spec"]["formats"]}
    rules = []
    for document in documents:
        name, spec = document["metadata"]["name"], document["spec"]
        if document["kind"] == "ModelRuntime":
            kube.create(pod_of(spec["template"], name, namespace), dry_run=True)
            assert spec.get("priority", 0) < 0 or not bundled & {f["name"] for f in spec["formats"]}, f"{name} would take Models from a runtime that comes with the operator"
            server = next(c for c in spec["template"]["spec"]["containers"] if c["name"] == "server")
            assert {"startupProbe", "readinessProbe", "livenessProbe", "resources"} <= set(server)
            assert {spec["port"], spec["metrics"]["port"]} <= {p["containerPort"] for p in server["ports"]}
        else:
            for figures, version in ((spec["gates"], "{{candidate}}"), (spec["monitors"], "{{stable}}")):
                queries = [q for figure in figures for q in (figure["prometheus"]["query"], figure.get("samples", {}).get("query")) if q]
                assert all(f'modelops_version="{version}"' in q and 'namespace="{{namespace}}"' in q for q in queries), name
                rules += [{"record": "gate", "expr": q} for q in queries]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "gates", "rules": [{**r, "labels": {"n": str(i)}} for i, r in enumerate(rules)]}]}))
    checked = subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    labels = (MANIFESTS / "monitoring" / "podmonitors.yaml").read_text() + (MANIFESTS / "monitoring" / "scrape-config.yaml").read_text()
    assert labels.count("modelops_model}") == labels.count("modelops_version}") == 2


@pytest.mark.parametrize("folder", ["manifests", "manifests/namespaced"])
def test_the_operator_is_scraped_as_it_serves(kube, folder):
    arguments = find(kube.render(folder), "Deployment", "model-operator")["spec"]["template"]["spec"]["containers"][0]["args"]
    endpoint = find(kube.render("manifests/monitoring"), "PodMonitor", "model-operator")["spec"]["podMetricsEndpoints"][0]
    assert "--metrics-tls=false" not in arguments and endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"] == {"insecureSkipVerify": True} and not any("--metrics-cert-dir" in a for a in arguments)


def test_in_one_namespace_the_operator_has_the_same_rights_but_none_beyond_it(kube):
    everywhere = find(kube.render("manifests"), "ClusterRole", "model-operator")["rules"]
    documents = kube.render("manifests/namespaced")
    here = find(documents, "Role", "model-operator")["rules"]

    def rights(rules, without=()):
        return {(g, r, v) for rule in rules for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"] if r not in without}

    assert rights(here) == rights(everywhere, without=("modelruntimes", "modelruntimes/status", "clustermodelgatesets", "gatewayclasses", "modelpolicies", "namespaces", "validatingadmissionpolicies", "validatingadmissionpolicybindings"))
    assert not [d["kind"] for d in documents if d["kind"].startswith("Cluster")]
    # Whose tokens it is asked for it could not find out.
    assert "--metrics-auth=false" in find(documents, "Deployment", "model-operator")["spec"]["template"]["spec"]["containers"][0]["args"]
    for document in documents:
        assert document["metadata"]["namespace"] == "models"
        for subject in document.get("subjects", []):
            assert subject["namespace"] == "models"


def test_the_runtimes_file_is_the_same_as_the_runtimes():
    assert (MANIFESTS / "namespaced" / "runtimes.yaml").read_bytes() == (MANIFESTS / "runtimes" / "runtimes.yaml").read_bytes()


def test_the_samples_digests_are_those_of_their_artifacts(kube):
    documents = kube.render("manifests/samples")
    versions = [d for d in documents if d["kind"] == "ModelVersion"]
    assert len(versions) == 2
    for version in versions:
        artifact = version["spec"]["artifact"]
        name, key = artifact["uri"].removeprefix("configmap://").split("/")
        config_map = find(documents, "ConfigMap", name)
        data = config_map["data"][key].encode() if key in config_map.get("data", {}) else base64.b64decode(config_map["binaryData"][key])
        assert artifact["digest"] == "sha256:" + hashlib.sha256(data).hexdigest(), f"run sha256sum manifests/samples/{key}"


def test_crds_are_plain_to_read():
    """One document a file, no anchors: whatever reads YAML reads them."""
    for file in sorted((REPO / "crds").glob("*model*.yaml")):
        text = file.read_text()
        assert len(list(yaml.safe_load_all(text))) == 1
        assert not any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)), file
