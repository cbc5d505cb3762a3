"""Policies and approvals on a real API server: what people of every role try to forge, and a rollout that waits for their word."""

import contextlib
import datetime

import pytest

from case import API, condition, conditions
from kube import ApiError
from test_admission import CONFIGMAPS, DEPLOYMENTS, JOBS, assert_words, grant, refusal
from test_plugin import Said, settings

pytestmark = pytest.mark.xdist_group("governance")  # one of them takes a policy of the whole cluster away
AUTHOR = "modelops.dev/changed-by"
SUBJECT = "sha256:" + "a" * 64
WRITE = {"apiGroups": ["modelops.dev"], "resources": ["models", "modelversions", "modelrollouts", "trainingruns"], "verbs": ["get", "list", "create", "update", "patch", "delete"]}
WORDS = {"apiGroups": ["modelops.dev"], "resources": ["modelapprovals"], "verbs": ["get", "list", "create", "update", "patch", "delete"]}
LOOK = {"apiGroups": ["modelops.dev"], "resources": ["models", "modelversions", "modelrollouts"], "verbs": ["get", "list"]}


def speaks_for(*roles):
    return {"apiGroups": ["modelops.dev"], "resources": ["modelapprovals"], "resourceNames": list(roles), "verbs": ["approve"]}


RIGHTS = {
    "ann": [WRITE, WORDS, DEPLOYMENTS, JOBS, CONFIGMAPS, speaks_for("risk")],   # writes changes, and may approve those of others
    "bob": [LOOK, WORDS, speaks_for("risk")],
    "cat": [LOOK, WORDS, speaks_for("legal")],
    "eve": [WRITE, WORDS, DEPLOYMENTS, JOBS, CONFIGMAPS],                       # may approve nothing
    "git": [WRITE, DEPLOYMENTS, JOBS, CONFIGMAPS, {"apiGroups": ["modelops.dev"], "resources": ["models"], "verbs": ["attribute"]}],
    "system:serviceaccount:{namespace}:robot": [{**WRITE, "resources": ["models"], "verbs": ["reconcile"]}, WORDS, speaks_for("risk")],
}


@pytest.fixture
def people(case):
    clients = {}
    for user, rules in RIGHTS.items():
        user = user.format(namespace=case.namespace)
        grant(case.kube, case.namespace, user, rules)
        clients[user.split(":")[-1]] = case.kube.as_user(user, "system:authenticated")
    case.until(lambda: clients["bob"].create(word("bob"), case.namespace, dry_run=True), "roles and policies are in force")
    return clients


def word(approver, name="word", rollout="r", role="risk", decision="Approved", subject=SUBJECT, **more):
    return {"apiVersion": API, "kind": "ModelApproval", "metadata": {"name": name},
            "spec": {"rolloutRef": {"name": rollout}, "role": role, "decision": decision, "approver": approver, "subject": subject, **more}}


def a_model(name="forged", signed=None, **spec):
    return {"apiVersion": API, "kind": "Model", "metadata": {"name": name, **({"annotations": {AUTHOR: signed}} if signed else {})}, "spec": spec}


def others(kind, name="forged", signed=None, **spec):
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, **({"annotations": {AUTHOR: signed}} if signed else {})}, "spec": {"modelRef": {"name": "none"}, **spec}}


ARTIFACT = {"uri": "configmap://none/model.json", "digest": SUBJECT, "format": {"name": "rules", "version": "1"}}


def a_rollout(name="forged", signed=None, **labels):
    return {"apiVersion": API, "kind": "ModelRollout", "metadata": {"name": name, "labels": labels, **({"annotations": {AUTHOR: signed}} if signed else {})},
            "spec": {"modelRef": {"name": "none"}, "version": "none-v1"}}


# who, what they try to create, and why it is refused
FORGED = {
    "another's name": ("eve", word("bob"), ["spec.approver is bob, but eve creates this ModelApproval"]),
    "another's name, who may approve themselves": ("ann", word("bob"), ["spec.approver is bob, but ann creates"]),
    "a name in other letters": ("bob", word("Bob"), ["spec.approver is Bob, but bob creates"]),
    "a name with a blank": ("bob", word("bob "), ["may approve only in their own name"]),
    "a group's name": ("bob", word("system:authenticated"), ["may approve only in their own name"]),
    "no name": ("bob", word(""), ["spec.approver"]),
    "no right at all": ("eve", word("eve"), ["eve may not approve or reject for role risk", "resourceNames [risk]"]),
    "the right for another role": ("cat", word("cat"), ["cat may not approve or reject for role risk"]),
    "a role of a like name": ("bob", word("bob", role="risk-2"), ["bob may not approve or reject for role risk-2"]),
    "all roles": ("bob", word("bob", role="*"), ["must be one lower case word"]),
    "the operator's account": ("robot", word("system:serviceaccount:{namespace}:robot"), ["the operator may not create ModelApprovals"]),
    "no subject": ("bob", word("bob", subject=""), ["status.approval.subject"]),
    "a subject that is none": ("bob", word("bob", subject="sha256:" + "A" * 64), ["status.approval.subject"]),
    "a decision that is none": ("bob", word("bob", decision="Maybe"), ["Approved", "Rejected"]),
    "a rejection without the right": ("eve", word("eve", decision="Rejected"), ["eve may not approve or reject for role risk"]),
    "a Model in another's name": ("ann", a_model(signed="bob"), ["changed-by is bob, but ann makes this change", "or remove it"]),
    "a rollout in another's name": ("eve", a_rollout(signed="ann"), ["changed-by is ann, but eve makes this change"]),
    "a rollout that says the operator made it for the spec": ("eve", a_rollout(**{"modelops.dev/origin": "spec"}), ["are reserved for the operator"]),
    "a rollout that says training made it": ("eve", a_rollout(**{"modelops.dev/origin": "retraining"}), ["are reserved for the operator"]),
    "a version in another's name": ("eve", others("ModelVersion", signed="ann", artifact=ARTIFACT), ["changed-by is ann, but eve makes this change"]),
    "a training run in another's name": ("eve", others("TrainingRun", signed="bob"), ["changed-by is bob, but eve makes this change"]),
    "a rollout in the operator's name": ("ann", a_rollout(signed="operator"), ["changed-by is operator, but ann makes this change"]),
    "a name in other letters, as an author": ("eve", a_rollout(signed="Eve"), ["changed-by is Eve, but eve makes this change"]),
    "a name and a blank, as an author": ("eve", a_model(signed="eve "), ["changed-by is eve , but eve makes this change"]),
    "two names": ("eve", a_model(signed="eve,ann"), ["changed-by is eve,ann, but eve makes this change"]),
    "a rollout that another is said to have steered": ("eve", {**a_rollout(), "metadata": {"name": "forged", "annotations": {"modelops.dev/steered-by": "ann now"}}}, ["steered-by is ann now, but eve"]),
    "a rollout that says an edited runtime made it": ("eve", a_rollout(**{"modelops.dev/origin": "runtime"}), ["are reserved for the operator"]),
    "a word of the GitOps account in an author's name": ("git", word("jane@bank.example"), ["cannot create resource"]),
    "a word without a rollout": ("bob", word("bob", rollout=""), ["spec.rolloutRef.name"]),
    "a word with a status": ("bob", {**word("bob"), "status": {"used": True}}, ["unknown field"]),
    "a rollout that says a monitor made it": ("eve", a_rollout(**{"modelops.dev/origin": "monitor"}), ["are reserved for the operator"]),
}


def test_nobody_forges_a_word_or_an_author(case, people):
    kube, namespace = case.kube, case.namespace
    for what, (who, body, words) in FORGED.items():
        if body["kind"] == "ModelApproval":
            body["spec"]["approver"] = body["spec"]["approver"].format(namespace=namespace)
        said = refusal(people[who].create, body, namespace, dry_run=True)
        assert all(w in said for w in words), f"{what}: {said}"
    # What is right passes.
    people["cat"].create(word("cat", role="legal"), namespace, dry_run=True)
    people["ann"].create(a_model(signed="ann"), namespace, dry_run=True)
    people["ann"].create(a_model(), namespace, dry_run=True)
    people["git"].create(a_model(signed="jane@bank.example"), namespace, dry_run=True)
    people["eve"].create(a_rollout(signed="eve"), namespace, dry_run=True)

    # A word cannot change: neither by who said it, nor by a cluster admin.
    people["bob"].create(word("bob"), namespace)
    for client in (people["bob"], people["eve"], kube):
        for change in ({"decision": "Rejected"}, {"subject": "sha256:" + "b" * 64}, {"role": "legal"}, {"approver": "eve"}, {"rolloutRef": {"name": "other"}}, {"reason": "x"}):
            assert_words(refusal(client.patch, "ModelApproval", "word", {"spec": change}, namespace), ["cannot be changed once created"])
    people["bob"].delete("ModelApproval", "word", namespace)

    # Whoever changes a Model's spec puts their own name under it, or none.
    people["ann"].create(a_model("signed", "ann", description="one"), namespace)
    seen = lambda: case.status(name="signed").get("observedGeneration") == case.get(name="signed")["metadata"]["generation"]
    case.until(seen, "the operator has seen it")
    change = lambda text, who=None: {"spec": {"description": text}, **({"metadata": {"annotations": {AUTHOR: who}}} if who else {})}
    assert_words(refusal(people["eve"].patch, "Model", "signed", change("two"), namespace), ["changed-by is ann, but eve makes this change"])
    assert_words(refusal(people["eve"].patch, "Model", "signed", change("two", "bob"), namespace), ["changed-by is bob, but eve"])
    assert_words(refusal(people["eve"].patch, "Model", "signed", {"metadata": {"annotations": {AUTHOR: "eve"}}}, namespace), ["may change only together with the spec"])
    assert_words(refusal(people["eve"].patch, "Model", "signed", {"metadata": {"annotations": {AUTHOR: None}}}, namespace), ["may change only together with the spec"])
    people["eve"].patch("Model", "signed", {"metadata": {"labels": {"a": "b"}}}, namespace)
    people["eve"].patch("Model", "signed", change("two", "eve"), namespace)
    # Statuses are the operator's.
    for person in ("ann", "bob", "eve"):
        refusal(people[person].patch, "Model", "signed", {"status": {"phase": "Ready"}}, namespace, "status")


# ---- a rollout that waits for people

POLICY = {"enforcement": "Enforce", "gates": [{"name": "validated", "version": {"metric": "f1"}, "min": "0.9"}],
          "require": {"beforeTraffic": ["validated"], "fields": ["owner.team"]},
          "approvals": [{"role": "risk"}], "separationOfDuties": {"author": True}, "approvalValidFor": "24h"}


@contextlib.contextmanager
def policy(case, spec):
    """A ModelPolicy for the test's namespace alone."""
    name = f"policy-{case.namespace}"[:63]
    try:
        case.kube.apply({"apiVersion": API, "kind": "ModelPolicy", "metadata": {"name": name}, "spec": {"appliesTo": {"namespaces": [case.namespace]}, **spec}})
        yield name
    finally:
        case.kube.delete("ModelPolicy", name)


def change(case, client, who, **spec):
    return client.patch("Model", "m", {"metadata": {"annotations": {AUTHOR: who}}, "spec": spec}, case.namespace)


def awaits(case, rollout, reason="AwaitingApproval", words=""):
    def reached():
        status = case.mro(rollout)
        return status.get("approval", {}).get("reason") == reason and words in status["message"] and status
    return case.until(reached, f"{rollout} waits: {reason} {words}")


def plugin(case, user, *arguments):
    return Said([settings.KUBECTL, "model", *arguments, "-n", case.namespace, "--as", user, "--as-group", "system:authenticated"])


@contextlib.contextmanager
def unguarded(case):
    """The policy that guards approvals may be passed over."""
    name = "model-approvals.modelops.dev"
    case.kube.patch("ValidatingAdmissionPolicy", name, {"spec": {"failurePolicy": "Ignore"}})
    try:
        yield
    finally:
        case.kube.patch("ValidatingAdmissionPolicy", name, {"spec": {"failurePolicy": "Fail"}})


def test_a_rollout_waits_for_the_word_of_another_person(case, people):
    case.serve("m-v1", owner={"team": "payments"}, rollout={"steps": [{"weight": 50}]})
    case.version("m-v2", metrics={"f1": "0.95"})
    with policy(case, POLICY) as name:
        case.until(lambda: conditions(case.get()).get("Compliant") == "True", "the Model is compliant")
        explained = plugin(case, "ann", "policy", "explain", "m")
        assert explained.code == 2 or name in explained.out  # ann may not list ModelPolicies
        explained = Said([settings.KUBECTL, "model", "policy", "explain", "m", "-n", case.namespace])
        assert explained.code == 0 and "approval before the first request: 1 of role risk" in explained.out and "nothing is missing for m-v1" in explained.out, explained
        change(case, people["ann"], "ann", version="m-v2")
        rollout = case.rollout_of("m-v2")
        status = awaits(case, rollout, words="by role risk (0 of 1)")
        assert status["governance"]["authors"] == ["ann", "dev"] and status["governance"]["policies"][0]["name"] == name and status["gates"][0]["verdict"] == "Passed"
        assert condition(case.get("ModelRollout", rollout), "Reconciling")["reason"] == "AwaitingApproval"
        assert not case.find("Deployment", "m-v2") and case.endpoints() == {"m-v1": 2}

        # The author's own word, one of another subject, and one of another rollout do not count.
        plugin(case, "ann", "approve", "m", "--role", "risk")
        awaits(case, rollout, words="the author of the change may not approve it")
        people["bob"].create(word("bob", "stale", rollout), case.namespace)
        awaits(case, rollout, words="the artifact, policies or gate results changed since; approve again")
        people["bob"].delete("ModelApproval", "stale", case.namespace)
        for said, words in ((plugin(case, "eve", "approve", "m"), "eve may not approve or reject for role risk"), (plugin(case, "cat", "approve", "m", "--role", "legal"), "role legal is not required")):
            assert said.code and words in said.err, said

        # Promoted passes over no approval, and a policy that is gone was there at the start.
        case.steer(rollout, "Promoted")
        case.kube.delete("ModelPolicy", name)
        case.looked_again(2)
        awaits(case, rollout)
        assert case.endpoints() == {"m-v1": 2}

        with unguarded(case):
            said = plugin(case, "bob", "approve", "m", "--reason", "validated", "--ticket", "CHG-1")
            assert said.code == 0 and "written by: ann" in said.err and "bob approves ModelRollout" in said.out, said
            stalled = case.stalled("ApprovalsNotEnforced", rollout, "ModelRollout")
            assert "has failurePolicy Ignore, not Fail" in stalled["status"]["message"] and case.endpoints() == {"m-v1": 2}
        case.phase(rollout, "Succeeded", timeout=90)
        used = case.mro(rollout)["governance"]["cleared"][0]["approvals"]
        assert [(u["role"], u["approver"]) for u in used] == [("risk", "bob")]
    case.ready(version="m-v2")
    # Back without anybody's word.
    with policy(case, POLICY):
        case.rollout("back", "m-v1", desiredState="Promoted")
        case.phase("back", "Succeeded")


def test_who_rejects_ends_it_and_what_lacks_never_begins(case, people):
    case.serve("m-v1")
    case.version("m-v2", metrics={"f1": "0.95"})
    now = datetime.datetime.now(datetime.timezone.utc)
    soon = (now + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    frozen = {"freeze": [{"name": "sale", "from": "2020-01-01T00:00:00Z", "to": soon}]}
    with policy(case, {**POLICY, **frozen}) as name:
        change(case, people["ann"], "ann", version="m-v2")
        rollout = case.rollout_of("m-v2")
        stalled = case.stalled("PolicyUnsatisfied")
        assert "spec.owner.team is required" in stalled["status"]["message"] and name in stalled["status"]["message"]
        change(case, people["ann"], "ann", owner={"team": "payments"})
        case.until(lambda: f"frozen until {soon} by sale of ModelPolicy {name}" in case.mro(rollout).get("message", ""), "it is frozen")
        assert not case.find("Deployment", "m-v2") and case.endpoints() == {"m-v1": 2}
        case.kube.patch("ModelPolicy", name, {"spec": {"freeze": None}})
        awaits(case, rollout)
        said = plugin(case, "bob", "reject", "m", "--role", "risk", "--reason", "too soon")
        assert said.code == 0, said
        failed = case.phase(rollout, "Failed")["status"]
        assert failed["ending"]["reason"] == "ApprovalRejected" and "rejected by bob for role risk: too soon" in failed["message"]
        assert case.endpoints() == {"m-v1": 2} and conditions(case.get())["Available"] == "True"


BAD = {
    "a gate before traffic that is not defined": ({"require": {"beforeTraffic": ["none"]}}, ["require.beforeTraffic must name gates of spec.gates"]),
    "a gate before traffic that needs requests": ({"gates": [{"name": "a", "prometheus": {"query": "vector(1)"}, "min": "1"}], "require": {"beforeTraffic": ["a"]}}, ["of the kinds version or job"]),
    "a window without an end": ({"freeze": [{"name": "a", "from": "2026-01-01T00:00:00Z"}]}, ["either from and to, or cron and duration"]),
    "a window of both kinds": ({"freeze": [{"name": "a", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "cron": "0 1 * * *", "duration": "1h"}]}, ["either from and to, or cron and duration"]),
    "a window that ends before it begins": ({"freeze": [{"name": "a", "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}]}, ["to must be later than from"]),
    "a window whose cron is none": ({"freeze": [{"name": "a", "cron": "0 99 * * *", "duration": "1h"}]}, ["the hour (second field)"]),
    "a role with a star": ({"approvals": [{"role": "*"}]}, ["must be one lower case word"]),
    "the same role twice": ({"approvals": [{"role": "a"}, {"role": "a"}]}, ["Duplicate value"]),
    "nobody": ({"approvals": [{"role": "a", "count": 0}]}, ["greater than or equal to 1"]),
    "a field that a Model does not have": ({"require": {"fields": ["owner.name"]}}, ["supported values", "owner.team"]),
    "a namespace that is none": ({"appliesTo": {"namespaces": ["Prod"]}}, ["must be a namespace's name"]),
    "a bake that is no time": ({"require": {"minBake": "soon"}}, ["is no duration"]),
    "a registry without a scheme": ({"require": {"registries": ["*"]}}, ["must begin with a scheme"]),
    "a gate that is required, as each of a policy is": ({"gates": [{"name": "a", "version": {"metric": "f1"}, "min": "1", "required": True}]}, ["required"]),
}


def test_policies_that_make_no_sense_are_refused(case):
    for what, (spec, words) in BAD.items():
        with pytest.raises(ApiError) as caught:
            case.kube.create({"apiVersion": API, "kind": "ModelPolicy", "metadata": {"name": "bad"}, "spec": spec}, dry_run=True)
        assert all(w in caught.value.message for w in words), f"{what}: {caught.value.message}"
    for document in case.kube.render("manifests/policies"):
        case.kube.create(document, dry_run=True)
