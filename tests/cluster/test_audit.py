"""Audit trails on a real API server: what people of every role try to forge, and evidence that public tools verify."""

import hashlib
import json
import os
import re
import signal
import subprocess
import tarfile

import pytest

import seaweed
import settings
from case import API
from test_admission import assert_words, grant, refusal
from test_plugin import DONE, NO, Said

KEYS = settings.STATE / "audit-keys"


STEERER = "modelops.dev/steered-by"
EXPORTED = "modelops.dev/exported"
ALL = ["get", "list", "create", "update", "patch", "delete", "deletecollection"]
OURS = {"apiGroups": ["modelops.dev"], "resources": ["models", "modelversions", "modelrollouts", "modelaudits"], "verbs": ALL}
RIGHTS = {"eve": [OURS], "keeper": [OURS, {"apiGroups": ["modelops.dev"], "resources": ["modelaudits"], "verbs": ["prune"]}],
          "robot": [OURS, {"apiGroups": ["modelops.dev"], "resources": ["models"], "verbs": ["reconcile"]}]}


@pytest.fixture(scope="module")
def keys():
    KEYS.mkdir(parents=True, exist_ok=True)
    for name in ("operator", "other"):
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", KEYS / f"{name}.key"], check=True)
        subprocess.run(["openssl", "pkey", "-in", KEYS / f"{name}.key", "-pubout", "-out", KEYS / f"{name}.pub"], check=True)
    return KEYS


def plugin(case, *arguments):
    return Said([settings.KUBECTL, "model", *arguments, *([] if arguments[0] == "verify" else ["-n", case.namespace])])


def sealed(case, count=1):
    """The ModelAudits, once they hold the whole trail."""
    def reached():
        audits = case.kube.list("ModelAudit", case.namespace)
        return len(audits) >= count and not case.status().get("audit", {}).get("records") and audits
    return case.until(reached, f"{count} ModelAudits hold the trail")


def rolled_out(case):
    case.serve("m-v1", rollout={"steps": [{"weight": 50}]})
    case.version("m-v2")
    case.move("m-v2")
    case.ready("m", "m-v2")
    return sealed(case)


def people(case):
    clients = {}
    for user, rules in RIGHTS.items():
        grant(case.kube, case.namespace, user, rules)
        clients[user] = case.kube.as_user(user, "system:authenticated")
    case.until(lambda: clients["eve"].list("ModelAudit", case.namespace) is not None, "roles are in force")
    return clients


def test_nobody_rewrites_a_trail(case):
    audit = rolled_out(case)[0]
    name, spec = audit["metadata"]["name"], audit["spec"]
    records = [json.loads(line) for line in spec["records"]]
    assert [r["seq"] for r in records] == list(range(1, len(records) + 1))
    assert [r["action"] for r in records][0] == "Serving" and records[-1]["action"] == "Succeeded" and "TrafficAdvanced" in [r["action"] for r in records]
    assert records[-1]["evidence"]["serves"]["version"] == "m-v2" and "ownerReferences" not in audit["metadata"]
    # As docs/audit.md says it: the hash is that of the line without it.
    for line in plugin(case, "audit", "m", "-o", "jsonl").out.splitlines():
        assert json.loads(line)["hash"] == "sha256:" + hashlib.sha256(re.sub(r'"hash":"[^"]*",', "", line, count=1).encode()).hexdigest()
    said = plugin(case, "audit", "m", "--verify")
    assert said.code == DONE and f"complete: records 1 to {len(records)}" in said.out, said
    assert "m-v2" in plugin(case, "audit", "m", "--at", records[-1]["time"]).out

    clients = people(case)
    forged = {"apiVersion": API, "kind": "ModelAudit", "metadata": {"name": "forged", "labels": {"modelops.dev/model": "m"}}, "spec": spec}
    for client in (clients["eve"], clients["keeper"], clients["robot"], case.kube):
        assert_words(refusal(client.create, forged, case.namespace), ["only the operator may create ModelAudits"])
        for change in ({"head": "sha256:0"}, {"records": spec["records"][::-1]}, {"model": {"name": "n"}}):
            assert_words(refusal(client.patch, "ModelAudit", name, {"spec": change}, case.namespace), ["a ModelAudit"])
        for change in ({"labels": {"modelops.dev/model": "n"}}, {"annotations": {"a": "b"}}, {"finalizers": ["a/b"]}):
            assert_words(refusal(client.patch, "ModelAudit", name, {"metadata": change}, case.namespace), ["a ModelAudit is immutable"])
    for user in ("eve", "robot"):
        assert_words(refusal(clients[user].delete, "ModelAudit", name, case.namespace), [f"{user} may not delete ModelAudit {name}", "the verb prune"])
    # The operator's own account can neither, but say once that it was exported, which says what it holds and nothing else.
    account = case.kube.as_user(f"system:serviceaccount:{settings.SYSTEM_NAMESPACE}:model-operator", "system:serviceaccounts", "system:authenticated")
    assert_words(refusal(account.delete, "ModelAudit", name, case.namespace), ["may delete a ModelAudit only after its export"])
    note = f"2026-11-30T12:00:00Z {spec['model']['uid']} {spec['first']} {spec['last']} {spec['head']}"
    mark = lambda value, **more: {"metadata": {"annotations": {EXPORTED: value, **more}}}
    for what, who, change in (
            ("nobody marks but the operator", case.kube, mark(note)), ("nor does who may prune", clients["keeper"], mark(note)),
            ("nor who says that they reconcile", clients["robot"], mark(note)), ("another annotation", account, {"metadata": {"annotations": {"a": "b"}}}),
            ("another besides", account, mark(note, a="b")), ("another head", account, mark(note[:-1] + "x")), ("another last", account, mark(note.replace(f" {spec['last']} ", " 999 "))),
            ("another Model", account, mark(note.replace(spec["model"]["uid"], "u"))), ("no time", account, mark(note.replace("2026-11-30T12:00:00Z", "now"))),
            ("more than it holds", account, mark("x " + note)), ("and a label", account, {"metadata": {**mark(note)["metadata"], "labels": {"a": "b"}}}),
            ("and a record", account, {**mark(note), "spec": {"head": "sha256:0"}})):
        said = refusal(who.patch, "ModelAudit", name, change, case.namespace)
        assert "a ModelAudit is immutable" in said or "cannot be changed once created" in said, f"{what}: {said}"
    account.patch("ModelAudit", name, mark(note), case.namespace)
    for value in (note.replace("12:00:00", "12:00:01"), None):
        assert_words(refusal(account.patch, "ModelAudit", name, mark(value), case.namespace), ["a ModelAudit is immutable"])
    assert_words(refusal(clients["eve"].delete, "ModelAudit", name, case.namespace), ["the verb prune"])  # exported or not

    clients["keeper"].delete("ModelAudit", name, case.namespace)
    case.until(lambda: not case.find("ModelAudit", name), "the ModelAudit is gone")
    said = plugin(case, "audit", "m", "--verify")
    assert said.code == NO and f"cut: records 1 to {len(records)} are missing" in said.out, said


def test_who_steered_is_told_and_cannot_be_forged(case):
    case.serve("m-v1", rollout={"steps": [{"weight": 50}, {"pause": {}}]})
    clients = people(case)
    case.version("m-v2")
    case.move("m-v2")
    rollout = case.rollout_of("m-v2")
    case.until(lambda: case.mro(rollout).get("weights", {}).get("candidate") == 50, "half of the traffic")
    steer = lambda who, state: {"metadata": {"annotations": {STEERER: f"{who} 2026-11-30T12:00:00Z"}}, "spec": {"desiredState": state}}
    assert_words(refusal(clients["eve"].patch, "ModelRollout", rollout, steer("keeper", "Aborted"), case.namespace), ["steered-by is keeper 2026-11-30T12:00:00Z, but eve makes this change"])
    clients["eve"].patch("ModelRollout", rollout, steer("eve", "Paused"), case.namespace)
    assert_words(refusal(clients["keeper"].patch, "ModelRollout", rollout, {"metadata": {"annotations": {STEERER: "keeper now"}}}, case.namespace), ["do not change it"])
    case.until(lambda: case.mro(rollout).get("pauseReason") == "Requested", "paused")
    said = Said([settings.KUBECTL, "model", "abort", "m", "-n", case.namespace, "--as", "keeper", "--as-group", "system:authenticated"])
    assert said.code == DONE, said
    # Whoever aborts in an emergency need not write an annotation.
    case.version("m-v3")
    case.move("m-v3")
    third = case.rollout_of("m-v3")
    case.until(lambda: case.mro(third).get("weights", {}).get("candidate") == 50, "half of the traffic")
    clients["eve"].patch("ModelRollout", third, steer("eve", "Paused"), case.namespace)
    case.until(lambda: case.mro(third).get("pauseReason") == "Requested", "paused")
    clients["keeper"].patch("ModelRollout", third, {"spec": {"desiredState": "Aborted"}}, case.namespace)
    case.phase(third, "Aborted")
    sealed(case, 2)
    shown = json.loads(plugin(case, "audit", "m", "-o", "json").out)
    assert [r["actor"] for r in shown if r["action"] == "Aborted"] == ["keeper", "unknown"], shown
    told = {r["action"]: r["actor"] for r in shown if r["object"]["name"] == rollout}
    assert told["Paused"] == "eve" and told["Aborted"] == "keeper" and told["TrafficAdvanced"] == "operator", told


def openssl_says(folder, key):
    return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", "audit/checkpoint.txt", "-sigfile", "audit/checkpoint.sig"],
                          cwd=folder, capture_output=True).returncode == 0


@pytest.mark.operator(f"--audit-key={KEYS / 'operator.key'}")
def test_evidence_is_verified_by_public_tools(keys, private, tmp_path):
    case = private
    rolled_out(case)
    public = KEYS / "operator.pub"
    assert "signed up to record" in plugin(case, "audit", "m", "--verify", "--public-key", public).out
    pack, folder = tmp_path / "m-v2.tar.gz", tmp_path / "pack"
    said = plugin(case, "evidence", "m-v2", "-o", pack, "--public-key", public)
    assert said.code == DONE and pack.exists(), said
    said = Said([settings.KUBECTL, "model", "verify", pack, "--public-key", public], env={"KUBECONFIG": "/nowhere"})
    assert said.code == DONE and "BAD" not in said.out and "audit/checkpoint.txt is signed by this key" in said.out, said
    with tarfile.open(pack) as tar:
        tar.extractall(folder, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(folder)
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder).returncode == 0
    assert openssl_says(folder, public) and not openssl_says(folder, KEYS / "other.pub")
    bom = json.loads((folder / "bom.cdx.json").read_text())
    assert bom["bomFormat"] == "CycloneDX" and bom["components"][0]["type"] == "machine-learning-model"
    assert bom["components"][0]["hashes"][0]["content"] == case.get("ModelVersion", "m-v2")["spec"]["artifact"]["digest"].removeprefix("sha256:")

    # Another key; and another value in a file, with the sums made anew.
    said = plugin(case, "verify", pack, "--public-key", KEYS / "other.pub")
    assert said.code == NO and "forged" in said.out, said
    (folder / "version.json").write_text((folder / "version.json").read_text().replace('"digest": "sha256:', '"digest": "sha256:0'))
    assert subprocess.run(["sha256sum", "-c", "--status", "SHA256SUMS"], cwd=folder).returncode != 0
    names = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS")
    (folder / "SHA256SUMS").write_text("".join(f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names))
    with tarfile.open(tmp_path / "forged.tar.gz", "w:gz") as tar:
        for n in [*names, "SHA256SUMS"]:
            tar.add(folder / n, str(n))
    said = plugin(case, "verify", tmp_path / "forged.tar.gz", "--public-key", public)
    assert said.code == NO and "BAD: record" in said.out and "but version.json has" in said.out, said

    # The trail outlives its Model.
    case.kube.delete("Model", "m", case.namespace)
    case.until(lambda: not case.find("Model", "m"), "the Model is gone")
    said = plugin(case, "audit", "m", "--verify", "--public-key", public)
    assert said.code == DONE and "complete" in said.out, said


EXPORT = settings.STATE / "audit-export.jsonl"


@pytest.mark.operator(f"--audit-key={KEYS / 'operator.key'}", f"--audit-export=file:{EXPORT}", "--audit-retention=5s")
def test_records_are_exported_then_pruned_and_what_is_left_is_known_to_be_whole(keys, private):
    case = private
    EXPORT.unlink(missing_ok=True)
    case.serve("m-v1")
    for version in ("m-v2", "m-v3"):
        case.version(version)
        case.move(version)
        case.ready("m", version)
    def pruned():
        audit = case.status().get("audit", {})
        names = {a["spec"]["first"] for a in case.kube.list("ModelAudit", case.namespace)}
        return audit.get("prunedThrough") and min(names) > audit["prunedThrough"] and not audit.get("records") and audit["prunedThrough"]
    case.move("m-v2")
    through = case.until(pruned, "the oldest ModelAudits are gone, and the record that says so is sealed", 120)
    said = plugin(case, "audit", "m", "--verify", "--public-key", KEYS / "operator.pub")
    assert said.code == DONE and f"those up to {through} were exported and pruned" in said.out and "signed up to" in said.out, said
    assert "m-v2" in plugin(case, "audit", "m", "--at", "2099-01-01T00:00:00Z").out

    # What was exported is all of it, each record once, and its hashes hold.
    def exported():
        last = case.status()["audit"]["seq"]
        lines = [json.loads(line) for line in EXPORT.read_text().splitlines()]
        records = [line for line in lines if line.get("uid") == case.get()["metadata"]["uid"] and "seq" in line]
        return [r["seq"] for r in records] == list(range(1, last + 1)) and records
    records = case.until(exported, "all records are in the file")
    assert "Pruned" in [r["action"] for r in records]
    for before, after in zip(records, records[1:]):
        assert after["prev"] == before["hash"]
    metrics = case.operator.metrics()
    assert metrics["model_operator_audit_exported_records_total"] >= len(records)

    # Somebody else deletes one: no record says so.
    oldest = min(case.kube.list("ModelAudit", case.namespace), key=lambda a: a["spec"]["first"])
    clients = people(case)
    clients["keeper"].delete("ModelAudit", oldest["metadata"]["name"], case.namespace)
    said = plugin(case, "audit", "m", "--verify")
    assert said.code == NO and "cut: " in said.out, said


S3_KEYS = settings.STATE / "audit-s3"


@pytest.fixture
def store():
    """A real S3 store with a bucket, and its keys where the operator looks for them."""
    with seaweed.Store() as store:
        seaweed.curl(store.endpoint, "PUT", "audit")
        S3_KEYS.mkdir(parents=True, exist_ok=True)
        for name, value in {"AWS_ENDPOINT_URL": store.endpoint, "AWS_ACCESS_KEY_ID": seaweed.ADMIN[0], "AWS_SECRET_ACCESS_KEY": seaweed.ADMIN[1]}.items():
            (S3_KEYS / name).write_text(value)
        yield store


def in_bucket(store, namespace):
    """{key: lines} in the order in which the store lists them."""
    keys = re.findall(r"<Key>([^<]*)</Key>", seaweed.curl(store.endpoint, "GET", "audit?list-type=2"))
    return {key: seaweed.curl(store.endpoint, "GET", f"audit/{key}").splitlines() for key in keys if key.startswith(f"prod/{namespace}/")}


@pytest.mark.operator(f"--audit-key={KEYS / 'operator.key'}", "--audit-export=s3://audit/prod", f"--audit-export-credentials={S3_KEYS}")
def test_records_go_to_a_bucket_each_once_and_hold_up_nobody(keys, store, private):
    case = private
    rolled_out(case)
    exported = lambda count: case.until(lambda: sum(EXPORTED in a["metadata"].get("annotations", {}) for a in case.kube.list("ModelAudit", case.namespace)) >= count, f"{count} are exported")
    exported(1)
    audit = case.kube.list("ModelAudit", case.namespace)[0]
    assert audit["metadata"]["annotations"]["modelops.dev/installation"]
    [(key, lines)] = in_bucket(store, case.namespace).items()
    uid, last = case.get()["metadata"]["uid"], audit["spec"]["last"]
    assert re.fullmatch(f"prod/{case.namespace}/m/{uid}/000000000001-{last:012}-[0-9a-f]{{16}}.jsonl", key), key
    assert lines[:-1] == audit["spec"]["records"] and json.loads(lines[-1])["checkpoint"]["signature"] == audit["spec"]["signature"]["value"]
    # What a repeat would do: the store does not write it over.
    with pytest.raises(AssertionError, match="PreconditionFailed"):
        seaweed.curl(store.endpoint, "PUT", f"audit/{key}", "-H", "if-none-match: *", "-d", "forged")
    assert in_bucket(store, case.namespace)[key] == lines

    # The store hangs: nobody waits for it, and nothing is lost.
    os.kill(store.process.pid, signal.SIGSTOP)
    try:
        for version in ("m-v1", "m-v2", "m-v1"):
            case.move(version)
            case.ready("m", version)
        sealed(case, 4)
        assert case.operator.metrics()["model_operator_audit_export_waiting"] >= 3
    finally:
        os.kill(store.process.pid, signal.SIGCONT)
    exported(4)
    records = [json.loads(line) for lines in in_bucket(store, case.namespace).values() for line in lines]
    assert [r["seq"] for r in records if "seq" in r] == list(range(1, case.status()["audit"]["seq"] + 1))
    assert sum("checkpoint" in r for r in records) == len(in_bucket(store, case.namespace))
