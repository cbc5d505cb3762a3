"""Models of a real MLflow server: `make mlflow-test` installs it once. A new champion is imported, judged by gates, and rolled out."""

import json
import subprocess
import tarfile

import pytest

import mlflow_server
import seaweed
import settings
from operators import Port
from test_artifacts import deploy_store, secret
from test_retraining import over, training

pytestmark = pytest.mark.xdist_group("mlflow")
GOOD = {"name": "good", "version": {"metric": "f1"}, "min": "0.9"}


@pytest.fixture(scope="module")
def mlflow():
    server = mlflow_server.Mlflow(Port().number)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def here(private, mlflow):
    """An operator and pods that know the server by one name: mlflow.NAMESPACE.svc."""
    case, name = private, f"mlflow.{private.namespace}.svc"
    case.kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "mlflow"}, "spec": {"ports": [{"port": mlflow.port}]}}, case.namespace)
    case.kube.apply({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "mlflow-1", "labels": {"kubernetes.io/service-name": "mlflow"}},
                     "addressType": "IPv4", "ports": [{"port": mlflow.port}], "endpoints": [{"addresses": ["10.99.0.1"]}]}, case.namespace)
    hosts = settings.STATE / f"{case.namespace}.hosts"
    hosts.write_text(f"127.0.0.1 localhost {name}\n")
    case.operator.end()
    case.operator.command = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts), *case.operator.command]
    case.operator.start()
    case.url = f"http://{name}:{mlflow.port}"
    return case


@pytest.fixture
def claim(here):
    """The folder on this host that the claim models is."""
    folder, volume = settings.STATE / "claims" / here.namespace, f"{here.namespace}-pv"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o755)
    folder.chmod(0o777)
    here.kube.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
                     "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "hostPath": {"path": str(folder)}, "storageClassName": "",
                              "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": here.namespace, "name": "models"}}})
    here.kube.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "models"},
                     "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "", "volumeName": volume}}, here.namespace)
    try:
        yield folder
    finally:
        here.kube.delete("PersistentVolume", volume)


def registry(case, **changes):
    return {"name": "champion", "registry": {"mlflow": {"url": case.url, "model": "fraud", "alias": "champion", "every": "30s", "format": {"name": "tiny"},
                                                        "store": {"claimName": "models", "folder": "imported"}, **changes}}}


def serve(case, trigger, gates=(), **spec):
    case.serve("m-v1", replicas=1, track="Promoted", gates=[GOOD, *gates], metrics={"f1": "0.92"}, retraining={"triggers": [trigger], "gates": ["good"]}, **spec)


def noted(case, version):
    case.until(lambda: training(case).get("datasets", [{}])[0].get("digest", "").startswith(f"{version}@"), f"version {version} is on record", timeout=90)


def knows(case, mlflow, serving, model="fraud", **states):
    """MLflow's alias names the version that serves, and the tags of each say what became of it."""
    def tags(version):
        found = mlflow.ask(f"/api/2.0/mlflow/model-versions/get?name={model}&version={version}")["model_version"].get("tags", [])
        return {tag["key"]: tag["value"] for tag in found}

    def as_told():
        if mlflow.alias(model, "serving") != serving:
            return False
        return all(tags(version.removeprefix("v")).get("modelops.serving") == state for version, state in states.items())
    case.until(as_told, f"MLflow knows that {serving} serves and {states}", timeout=90)
    case.until(lambda: training(case)["mirror"]["written"] == training(case)["mirror"]["change"], "status says so")
    return {version: tags(version.removeprefix("v")) for version in states}


def test_a_new_champion_is_imported_judged_and_rolled_out_and_back(here, mlflow, claim):
    case = here
    first, _ = mlflow.register(2, 0.95)
    serve(case, registry(case, mirror={"servingAlias": "serving"}))
    noted(case, first)
    assert training(case)["runNumber"] == 0, "what was there at first is only noted"

    second, run = mlflow.register(3, 0.97)
    assert over(case, 1)["lastResult"].startswith("Registered: "), training(case)
    imported = case.get("TrainingRun", training(case)["lastRun"])
    assert imported["spec"]["trigger"] == {"name": "champion", "kind": "Registry"} and imported["spec"]["parameters"] == {"mlflow_version": second}
    version = case.get("ModelVersion", imported["status"]["version"])
    lineage = version["spec"]["lineage"]
    assert version["spec"]["metrics"]["f1"] == "0.97" and lineage["code"] == {"revision": "9fceb02"} and "environment" not in lineage
    assert lineage["run"]["parameters"].items() >= {"mlflow_version": second, "mlflow_run_id": run, "factor": "3.0"}.items()
    case.ready(version=imported["status"]["version"])

    # What serves is the model that was registered, byte for byte, and packed as people pack it.
    artifact = version["spec"]["artifact"]
    archive = claim / artifact["uri"].removeprefix("pvc://models/")
    assert artifact["unpack"] and artifact["uri"].startswith(f"pvc://models/imported/fraud-{second}-")
    with tarfile.open(archive) as packed:
        packed.extractall(claim / "unpacked", filter="data") if hasattr(tarfile, "data_filter") else packed.extractall(claim / "unpacked")
    assert mlflow.run(mlflow_server.PREDICT, claim / "unpacked") == ["predicted", "30.0"]
    done = subprocess.run([settings.OPERATOR, "pack", claim / "unpacked", "-o", claim / "again.tar"], capture_output=True, text=True)
    assert done.stdout.strip() == artifact["digest"]
    told = knows(case, mlflow, second, **{f"v{second}": "Serving"})
    assert told[f"v{second}"]["modelops.serving.version"] == f"{case.namespace}/{imported['status']['version']}"

    # A worse one does not get through, and the alias goes back.
    worse, _ = mlflow.register(4, 0.5)
    assert over(case, 2)["lastResult"].startswith("Rejected: "), training(case)
    case.ready(version=imported["status"]["version"])
    told = knows(case, mlflow, second, **{f"v{second}": "Serving", f"v{worse}": "Rejected"})
    assert "good" in told[f"v{worse}"]["modelops.serving.reason"], told
    noted(case, worse)
    mlflow.run(mlflow_server.ALIAS, "fraud", "champion", first)
    assert over(case, 3)["lastResult"].startswith("Registered: "), training(case)
    case.ready(version=case.get("TrainingRun", training(case)["lastRun"])["status"]["version"])
    knows(case, mlflow, first, **{f"v{first}": "Serving", f"v{second}": "Superseded", f"v{worse}": "Rejected"})
    assert len(case.all("Job", {"modelops.dev/mirror-of": case.get("Model", "m")["metadata"]["uid"]})) <= 3

    # What serves is none of MLflow's any more.
    case.kube.create({"apiVersion": "modelops.dev/v1alpha1", "kind": "ModelRollout", "metadata": {"name": "back"}, "spec": {"modelRef": {"name": "m"}, "version": "m-v1"}}, case.namespace)
    case.ready(version="m-v1")
    knows(case, mlflow, None, **{f"v{first}": "Superseded"})


def test_a_version_that_is_rolled_back_is_told_with_its_reason(here, mlflow, claim):
    case = here
    plausible = {"name": "plausible", "version": {"metric": "f1"}, "max": "0.98"}
    first, _ = mlflow.register(2, 0.95, name="back")
    serve(case, registry(case, model="back", mirror={"servingAlias": "serving"}), gates=[plausible], steps=[{"gates": ["plausible"]}])
    noted(case, first)
    second, _ = mlflow.register(3, 0.96, name="back")
    assert over(case, 1)["lastResult"].startswith("Registered: "), training(case)
    served = case.get("TrainingRun", training(case)["lastRun"])["status"]["version"]
    case.ready(version=served)
    knows(case, mlflow, second, "back", **{f"v{second}": "Serving"})

    third, _ = mlflow.register(4, 0.99, name="back")
    assert over(case, 2)["lastResult"].startswith("Registered: "), training(case)
    leaked = case.get("TrainingRun", training(case)["lastRun"])["status"]["version"]
    case.phase(case.rollout_of(leaked), "RolledBack")
    told = knows(case, mlflow, second, "back", **{f"v{second}": "Serving", f"v{third}": "RolledBack"})[f"v{third}"]
    assert "plausible" in told["modelops.serving.reason"] and "0.99" in told["modelops.serving.reason"], told
    assert told["modelops.serving.version"] == f"{case.namespace}/{leaked}"
    assert case.status()["stableVersion"] == served


def test_a_new_champion_goes_into_an_s3_store_and_serves_from_there(here, mlflow):
    case = here
    endpoint = deploy_store(case)

    def has_bucket():
        try:
            return seaweed.curl(endpoint, "PUT", "models") is not None
        except AssertionError:
            return False
    case.until(has_bucket, "the bucket is there")
    secret(case, "store", seaweed.ADMIN)
    first, _ = mlflow.register(2, 0.95, name="stored")
    serve(case, registry(case, model="stored", store={"uri": "s3://models/imported", "credentials": {"secretName": "store"}}))
    noted(case, first)
    second, _ = mlflow.register(3, 0.97, name="stored")
    assert over(case, 1)["lastResult"].startswith("Registered: "), training(case)
    version = case.get("TrainingRun", training(case)["lastRun"])["status"]["version"]
    artifact = case.get("ModelVersion", version)["spec"]["artifact"]
    assert artifact["uri"].startswith(f"s3://models/imported/stored-{second}-") and artifact["credentials"] == {"secretName": "store"}
    case.ready(version=version)
    pod = next(p for p in case.all("Pod") if p["metadata"]["labels"].get("modelops.dev/version") == version)
    assert artifact["digest"] in pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["message"]


def test_what_goes_wrong_is_told_and_what_serves_goes_on(here, mlflow, claim):
    case = here
    version, _ = mlflow.register(2, 0.95, name="other")
    serve(case, registry(case, alias="nobody"))
    says = lambda *words: case.until(lambda: all(word in training(case).get("suppressed", "") for word in words), f"status says {words}", timeout=90)  # noqa: E731
    says('has no registered model "fraud" with alias "nobody"')
    case.kube.patch("Model", "m", {"spec": {"retraining": {"triggers": [registry(case, model="other")]}}}, case.namespace)
    noted(case, version)
    mlflow.stop()
    try:
        says("cannot reach")
        case.ready(version="m-v1")
        # An import that was asked for while it is away waits for it.
        case.kube.create({"apiVersion": "modelops.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": "by-hand"},
                          "spec": {"modelRef": {"name": "m"}, "parameters": {"mlflow_version": version}}}, case.namespace)
        case.until(lambda: any(p["status"]["phase"] == "Running" for p in case.all("Pod", {"job-name": "by-hand-train"})), "the import tries")
    finally:
        mlflow.start()
    case.until(lambda: case.status("TrainingRun", "by-hand").get("phase") == "Succeeded", "it is imported", timeout=120)
    case.until(lambda: "suppressed" not in training(case), "nothing is away any more", timeout=90)

    # Files that are nowhere.
    case.kube.create({"apiVersion": "modelops.dev/v1alpha1", "kind": "TrainingRun", "metadata": {"name": "absent"},
                      "spec": {"modelRef": {"name": "m"}, "parameters": {"mlflow_version": "99"}}}, case.namespace)
    case.until(lambda: case.status("TrainingRun", "absent").get("phase") == "Failed", "it fails", timeout=180)
    assert 'MLflow has no version 99 of registered model "other"' in case.status("TrainingRun", "absent")["message"], json.dumps(case.status("TrainingRun", "absent"))
    case.ready(version="m-v1")
