"""kubectl model: the plugin as people run it, by kubectl, on a Model that the operator serves."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import tempfile
import termios
import threading

import pytest

import yaml

import settings
import test_admission
from case import API, condition, digest_of, gate

PLUGIN = settings.OPERATOR.parent / "kubectl-model"
DONE, NO, TROUBLE, NOT_YET = 0, 1, 2, 3
STEPS = [{"weight": 50}, {"pause": {}}]


def environment(**more):
    return {**os.environ, "KUBECONFIG": str(settings.KUBECONFIG), "PATH": f"{PLUGIN.parent}:{os.environ['PATH']}", **more}


class Said:
    def __init__(self, command, **more):
        done = subprocess.run(list(map(str, command)), text=True, capture_output=True, env=environment(**more.pop("env", {})), timeout=120, **more)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"exit code {self.code}\n{self.out}\n{self.err}"

    def refused(self, *words):
        assert self.code == NO and not self.out, self
        assert all(word in self.err for word in words), self
        return self


@pytest.fixture
def model(case):
    """model("pause", "m"): kubectl model in the test's namespace."""
    return lambda verb, *arguments, **more: Said([settings.KUBECTL, "model", verb, *arguments, "-n", case.namespace], **more)


def rolling(case, steps=STEPS, **rollout):
    case.serve("m-v1")
    case.version("m-v2")
    case.model(version="m-v2", steps=steps, **rollout)
    return case.rollout_of("m-v2")


def said(done):
    assert done.code == DONE, done
    return done.out


# ---- as whom


def test_with_the_role_edit_one_can_plan(case, tmp_path):
    """Plan reads all that the operator watches, which is more than a RoleBinding can give."""
    case.serve("m-v1")
    user = f"edith-{case.namespace}"
    for role, namespace in (("edit", case.namespace), ("model-operator-planner", None)):
        test_admission.bind(case.kube, namespace, user, role)
    try:
        (tmp_path / "m.yaml").write_text(yaml.safe_dump({**case.last_model, "spec": {**case.last_model["spec"], "description": "another"}}))

        def planned():
            done = Said([settings.KUBECTL, "model", "plan", "-f", tmp_path / "m.yaml", "-n", case.namespace, f"--as={user}"])
            return done.code == NO and done.out
        assert "spec.description: another is added" in case.until(planned, "plan works with the role edit")
    finally:
        case.kube.delete("ClusterRoleBinding", f"{user}-model-operator-planner")


# ---- steering


def test_pause_resume_promote(case, model):
    rollout = rolling(case, [{"weight": 50}, {"pause": {"duration": "1h"}}, {"pause": {"duration": "1h"}}])
    case.at_step(rollout, 2)
    model("resume", "m").refused(rollout, "is not paused")
    assert "is paused at step 2/3 (pause 1h)" in said(model("pause", "m"))
    case.phase(rollout, "Paused")
    assert "already" in said(model("pause", "m"))
    assert said(model("resume", "m", "-o", "name")) == f"modelrollout.modelops.dev/{rollout}\n"
    case.phase(rollout, "Progressing")
    assert json.loads(said(model("promote", "m", "-o", "json")))["spec"]["desiredState"] == "Promoted"
    case.ready(version="m-v2")
    model("pause", "m").refused("no rollout in progress", rollout, "succeeded")
    assert "has already ended: Succeeded" in said(model("promote", "m"))


def test_resume_ends_each_endless_pause_once(case, model):
    """The second resume finds Running written already, and still goes on."""
    rollout = rolling(case, [{"weight": 50}, {"pause": {}}, {"pause": {}}])
    for step in (2, 3):
        case.until(lambda: case.mro(rollout)["step"]["index"] == step and case.mro(rollout)["phase"] == "Paused", f"paused at step {step}")
        assert "continues" in said(model("resume", "m"))
    case.ready(version="m-v2")


def test_abort_and_retry(case, model):
    rollout = rolling(case)
    case.phase(rollout, "Paused")
    model("retry", "m").refused("in progress", rollout, "kubectl model resume")
    assert "goes back to m-v1" in said(model("abort", "m"))
    case.phase(rollout, "Aborted")
    case.stalled("RolloutAborted")
    assert "m-v2-retry-1" in said(model("retry", "m"))
    case.phase("m-v2-retry-1", "Paused")
    assert case.get("ModelRollout", "m-v2-retry-1")["spec"] == {"modelRef": {"name": "m"}, "version": "m-v2"}
    said(model("promote", "m"))
    case.ready(version="m-v2")
    model("retry", "m").refused("nothing to retry", "m-v2 serves")


def test_rollback(case, model):
    case.serve("m-v1")
    model("rollback", "m").refused("no version served before", "--to")
    for version in ("m-v2", "m-v3"):
        case.version(version)
    rollout = (case.model(version="m-v2", steps=STEPS), case.rollout_of("m-v2"))[1]
    case.phase(rollout, "Paused")
    model("rollback", "m", "--to", "m-v3").refused("abort it first")
    said(model("promote", "m"))
    case.ready(version="m-v2")
    model("rollback", "m", "--to", "m-v2").refused("already serves")
    model("rollback", "m", "--to", "m-v3").refused("never passed", "--force")
    model("rollback", "m", "--to", "m-v9", "--force").refused("no ModelVersion m-v9", "m-v1, m-v2, m-v3")
    assert len(case.all("ModelRollout")) == 1, "what is refused leaves nothing behind"
    assert "spec asks for m-v2" in said(model("rollback", "m"))
    case.phase("m-v1-rollback-1", "Succeeded")
    case.stalled("Overridden")
    assert case.status()["traffic"] == [{"version": "m-v1", "weight": 100}]
    said(model("rollback", "m", "--to", "m-v3", "--force"))
    case.phase("m-v3-rollback-1", "Succeeded")


def test_rollback_while_rolling_is_an_abort(case, model):
    rollout = rolling(case)
    case.phase(rollout, "Paused")
    said(model("rollback", "m"))
    case.phase(rollout, "Aborted")
    assert len(case.all("ModelRollout")) == 1


def test_retrain(case, model):
    case.serve("m-v1")
    model("retrain", "m").refused("no spec.retraining")
    case.kube.patch("Model", "m", {"spec": {"retraining": {"template": {"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "train", "image": "none"}]}}}}}}}, case.namespace)
    assert "will start a training run" in said(model("retrain", "m"))
    case.until(lambda: case.status()["retraining"]["lastTrigger"] == "requested", "the run has started")


def test_edits_come_from_the_plugin_and_touch_nothing_else(case, model):
    rollout = rolling(case)
    case.phase(rollout, "Paused")
    before = case.get()
    said(model("abort", "m"))
    entries = case.get("ModelRollout", rollout)["metadata"]["managedFields"]
    assert [list(e["fieldsV1"]["f:spec"]) for e in entries if e["manager"] == "kubectl-model"] == [["f:desiredState"]]
    case.phase(rollout, "Aborted")
    assert case.get()["spec"] == before["spec"] and case.get()["metadata"]["generation"] == before["metadata"]["generation"]


def test_two_people_at_once(case, model):
    """Both mean the same rollout; whoever comes second sees what the first has done."""
    rollout = rolling(case)
    case.phase(rollout, "Paused")
    answers = []
    people = [threading.Thread(target=lambda: answers.append(model("abort", "m"))) for _ in range(4)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert [a.code for a in answers] == [DONE] * 4 or all(a.code == DONE or "no rollout in progress" in a.err for a in answers), answers
    case.phase(rollout, "Aborted")


def test_what_cannot_be_told(case, model):
    assert model("pause", "none").code == TROUBLE
    assert "not found" in model("status", "none").err
    assert model("frobnicate", "m").code == TROUBLE
    assert model("status", "m", "--timeout", "soon", "-w").code == TROUBLE
    assert model("status", "m", "--timeout", "1s").code == TROUBLE, "--timeout needs -w"
    assert Said([settings.KUBECTL, "model", "get", "--context", "none"]).code == TROUBLE
    down = Said([settings.KUBECTL, "model", "get"], env={"KUBECONFIG": "/does/not/exist"})
    assert down.code == TROUBLE and "/does/not/exist" in down.err


def test_flags_stand_anywhere_and_names_have_kinds(case):
    rollout = rolling(case)
    case.phase(rollout, "Paused")
    before = Said([settings.KUBECTL, "model", "-n", case.namespace, "-o=name", "pause", "models.modelops.dev/m", "--dry-run", "client"])
    assert said(before) == f"modelrollout.modelops.dev/{rollout}\n"
    server = Said([settings.KUBECTL, "model", "--namespace", case.namespace, "abort", f"mro/{rollout}", "--dry-run=server"])
    assert said(server).endswith(" (server dry run)\n")
    assert "desiredState" not in case.get("ModelRollout", rollout)["spec"], "a dry run stores nothing"
    assert "is paused" in said(Said([settings.KUBECTL, "model", "pause", "m", "--rollout", f"mro/{rollout}", "-n", case.namespace, "--request-timeout", "20s"]))
    assert Said([settings.KUBECTL, "model", "pause", "M_1", "-n", case.namespace]).code == TROUBLE


def test_many_models_by_label(case, model):
    for name in ("a", "b", "other"):
        case.kube.apply({"apiVersion": API, "kind": "Model", "metadata": {"name": name, "labels": {"team": name if name == "other" else "ab"}},
                         "spec": {"version": f"{name}-v1", "serving": {"runtime": {"name": "tiny"}}}}, case.namespace)
    for name in ("a", "b"):
        case.stalled("VersionNotFound", name=name)
    assert [line.split()[0] for line in said(model("get", "-l", "team=ab")).splitlines()] == ["NAME", "a", "b"]
    both = model("status", "-l", "team in (ab)")
    assert both.code == NO and both.out.count(f"Model {case.namespace}/") == 2 and both.err == "2 Models: 2 not ready\n", both
    none = model("abort", "-l", "team=ab")
    assert none.code == NO and none.err.endswith("2 Models: 0 done, 2 skipped\n"), none
    assert model("abort", "-l", "team=nobody").code == TROUBLE


def test_somebody_else_by_group(case):
    """A group with the role edit of this namespace steers, and plans as far as it may look."""
    case.serve("m-v1", steps=STEPS)
    case.version("m-v2")
    case.kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "editors"},
                     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
                     "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "editors"}]}, case.namespace)
    jane = [settings.KUBECTL, "model", "-n", case.namespace, "--as", "jane"]
    alone = Said([*jane, "get"])
    assert alone.code == TROUBLE and "forbidden" in alone.err, alone
    assert Said([settings.KUBECTL, "model", "get", "--as-group", "editors"]).code == TROUBLE, "a group without a user"
    edits = [*jane, "--as-group", "editors"]
    case.until(lambda: Said([*edits, "get"]).code == DONE, "the role is in force")
    file = {"apiVersion": API, "kind": "Model", "metadata": {"name": "m", "namespace": case.namespace}, "spec": {**case.last_model["spec"], "version": "m-v2"}}
    planned = Said([*edits, "plan", "-f", "-"], input=json.dumps(file))
    assert planned.code == NO and "create ModelRollout" in planned.out and "stalled" not in planned.out, planned
    if "you may not list" in planned.out:
        assert "model-operator-planner" in planned.err, planned


def test_get_goes_on_with_each_change(case, model):
    case.serve("m-v1")
    with tempfile.TemporaryFile("w+") as out:
        watching = subprocess.Popen(list(map(str, [settings.KUBECTL, "model", "get", "m", "-w", "-n", case.namespace])), stdout=out, env=environment())

        def printed():
            return os.pread(out.fileno(), 65536, 0).decode().splitlines()

        try:
            case.until(lambda: len(printed()) == 2, "the table is there")
            case.version("m-v2")
            case.model(version="m-v2", steps=STEPS)
            case.until(lambda: any("Paused" in line for line in printed()), "what changed is printed below it")
            assert [line.split()[0] for line in printed()] == ["NAME"] + ["m"] * (len(printed()) - 1)
        finally:
            watching.terminate()
            watching.wait(30)


# ---- looking


def test_get_and_history(case, model):
    assert "no Models in namespace" in model("get").err
    rollout = rolling(case)
    case.phase(rollout, "Paused")
    header, row = said(model("get")).splitlines()
    assert header.split() == ["NAME", "VERSION", "PHASE", "TRAFFIC", "READY", "AGE"]
    assert row.startswith("m ") and "m-v1 50% / m-v2 50%" in row and "Paused" in row
    assert "MESSAGE" in said(model("get", "m", "-o", "wide")) and "CLASS" in said(model("get", "-o", "wide"))
    assert said(model("get", "-o", "name")) == "model.modelops.dev/m\n"
    assert json.loads(said(model("get", "m", "-o", "json")))["spec"] == case.get()["spec"]
    assert yaml.safe_load(said(model("get", "m", "-o", "yaml")))["spec"] == case.get()["spec"]
    assert yaml.safe_load(said(model("get", "-o", "yaml")))["items"][0]["metadata"]["name"] == "m"
    everywhere = Said([settings.KUBECTL, "model", "get", "-A"])
    assert any(line.split()[:2] == [case.namespace, "m"] for line in said(everywhere).splitlines())
    said(model("abort", "m"))
    case.phase(rollout, "Aborted")
    said(model("retry", "m"))
    header, newest, oldest = said(model("history", "m")).splitlines()
    assert header.split() == ["ROLLOUT", "FROM", "TO", "PHASE", "STARTED", "FINISHED", "BY", "WHY"]
    assert newest.startswith("m-v2-retry-1 ") and "kubectl-model" in newest
    assert oldest.split()[:4] == [rollout, "m-v1", "m-v2", "Aborted"] and " spec " in oldest and "desiredState Aborted was set" in oldest
    assert said(model("history", "m", "-o", "name")).splitlines() == [f"modelrollout.modelops.dev/{r}" for r in ("m-v2-retry-1", rollout)]


def test_status_shows_the_tree_and_tells_by_its_exit_code(case, model):
    case.serve("m-v1")
    ready = model("status", "m")
    assert ready.code == DONE and f"Model {case.namespace}/m  Ready" in ready.out and "2/2 pods ready  Serving" in ready.out, ready
    case.metrics.set("accuracy", "0.5", version="m-v2")
    case.version("m-v2")
    case.model(version="m-v2", steps=[{"weight": 50}, {"pause": {}}, {"gates": ["accuracy"]}], gates=[gate(min="0.9")])
    rollout = case.rollout_of("m-v2")
    case.phase(rollout, "Paused")
    paused = model("status", "m")
    assert paused.code == NOT_YET, paused
    for line in ("✔ 1 weight 50", "▶ 2 pause  waits for resume", "· 3 gates accuracy", "· 4 all traffic"):
        assert line in paused.out, paused
    assert "\x1b" not in paused.out
    said(model("resume", "m"))
    case.stalled("RolledBack")
    failed = model("status", "m")
    assert failed.code == NO and "✖ accuracy 0.5  (min 0.9)  Failed 0/1, 1 failed: 0.5 is below min 0.9" in failed.out, failed
    kinds = [item["kind"] for item in json.loads(model("status", "m", "-o", "json").out)["items"]]
    assert kinds[0] == "Model" and {"ModelVersion", "ModelRollout", "Pod"} <= set(kinds)


class Follow(Said):
    """status -w in the background, which has had its first look; .end() waits for the last."""

    def __init__(self, case):
        command = [settings.KUBECTL, "model", "status", "m", "-w", "--timeout", "90s", "-n", case.namespace]
        self.files = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(list(map(str, command)), stdout=self.files[0], stderr=self.files[1], env=environment())
        case.until(lambda: os.fstat(self.files[0].fileno()).st_size, "it is followed")

    def end(self):
        self.code = self.process.wait(120)
        for file in self.files:
            file.seek(0)
        self.out, self.err = (file.read() for file in self.files)
        return self


def test_status_follows_to_success(case, model):
    rollout = rolling(case, [{"weight": 50}, {"pause": {}}, {"weight": 80}])
    case.phase(rollout, "Paused")
    following = Follow(case)
    said(model("resume", "m"))
    ended = following.end()
    assert ended.code == DONE, ended
    assert "m-v2  100%" in ended.out and "Succeeded" in ended.out
    lines = ended.out.splitlines()
    assert "\x1b" not in ended.out and all(a != b for a, b in zip(lines, lines[1:])), "only what is new is printed"


def test_status_follows_to_a_rollback_and_to_an_abort(case, model):
    case.serve("m-v1")
    case.version("m-v2")
    case.metrics.set("accuracy", "0.5", version="m-v2")
    case.model(version="m-v2", steps=[{"weight": 50}, {"gates": ["accuracy"]}], gates=[gate(min="0.9")])
    ended = model("status", "m", "-w", "--timeout", "90s")
    assert ended.code == NO and "RolledBack" in ended.out and "0.5 is below min 0.9" in ended.out, ended
    # The spec asks for what serves, so the Model is Ready after an abort; what was followed failed all the same.
    case.move("m-v1")
    case.ready(version="m-v1")
    case.rollout("by-hand", "m-v2")
    case.steer("by-hand", "Paused")
    case.phase("by-hand", "Paused")
    case.until(lambda: case.status()["phase"] == "Paused", "its Model says so, too")
    following = Follow(case)
    said(model("abort", "m"))
    assert following.end().code == NO
    assert condition(case.ready(version="m-v1"), "Ready")["status"] == "True"


def test_status_gives_up_in_time(case, model):
    rollout = rolling(case)
    case.phase(rollout, "Paused")
    late = model("status", "m", "-w", "--timeout", "1s")
    assert late.code == NOT_YET and "still in progress after 1s" in late.err and "waits for resume" in late.out, late


def test_status_says_that_a_model_is_gone(case, model):
    rollout = rolling(case)
    case.phase(rollout, "Paused")
    following = Follow(case)
    case.kube.delete("Model", "m", case.namespace)
    ended = following.end()
    assert ended.code in (NO, TROUBLE) and ("was deleted" in ended.err or "not found" in ended.err), ended


# ---- on a terminal


class Terminal:
    """A program on a terminal of so many rows and columns; .read() gives all that it drew, once it has ended."""

    def __init__(self, command, rows=40, columns=100, **environment):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**os.environ, "KUBECONFIG": str(settings.KUBECONFIG), "TERM": "xterm", **environment}
        self.process = subprocess.Popen(list(map(str, command)), stdin=slave, stdout=slave, stderr=slave, env=environment)
        os.close(slave)
        self.master = master

    def read(self):
        drawn = b""
        while True:
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            drawn += piece
        os.close(self.master)
        self.code = self.process.wait(60)
        return drawn.decode()


def test_colours_only_on_a_terminal_that_wants_them(case):
    case.serve("m-v1")
    command = [PLUGIN, "status", "m", "-n", case.namespace]
    coloured = Terminal(command).read()
    assert "\x1b[32mReady\x1b[0m" in coloured
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in Terminal(command, **environment).read()


def test_a_followed_tree_is_drawn_over_itself(case, model):
    rollout = rolling(case)
    case.phase(rollout, "Paused")
    terminal = Terminal([PLUGIN, "status", "m", "-w", "-n", case.namespace, "--timeout", "90s"], rows=8, columns=100)
    said(model("promote", "m"))
    drawn = terminal.read()
    assert terminal.code == DONE, drawn
    *frames, last = drawn.split("\x1b[J")
    assert frames and "Ready" in last and "m-v2 serves all traffic" in last
    for frame in frames:
        # As many lines as fit, and the cursor goes back up over just these.
        lines = frame.split("\r\n")
        assert len(lines) <= 8 and lines[-1] == f"\x1b[{len(lines) - 1}A", frame


# ---- files


def documents(objects):
    """Every text in quotes: what YAML's dialects make of 1e-1 is not what is tested."""
    return "\n---\n".join(map(json.dumps, objects))


def lint(*objects):
    return Said([PLUGIN, "lint", "-f", "-"], input=documents(objects), env={"KUBECONFIG": "/does/not/exist"})


@pytest.mark.parametrize("name", test_admission.BAD)
def test_lint_refuses_what_the_api_server_refuses(name):
    body, words = test_admission.BAD[name]
    found = lint(body)
    assert found.code == NO, found
    test_admission.assert_words(found.out, words)


@pytest.mark.parametrize("name", test_admission.GOOD)
def test_lint_lets_pass_what_the_api_server_takes(name):
    assert lint(test_admission.GOOD[name]).code == DONE


def test_lint_of_the_samples():
    found = Said([PLUGIN, "lint", "-f", settings.REPO / "manifests" / "samples"])
    assert found.code == DONE and "no mistakes" in found.err, found


def test_lint_says_where(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\n---\napiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec:\n  trak: Pinned\n")
    (tmp_path / "kustomization.yaml").write_text("resources: [deep/model.yaml]\n")
    found = Said([PLUGIN, "lint", "-f", tmp_path])
    assert found.code == NO and found.out == f'{tmp_path}/deep/model.yaml:8: spec.trak: unknown field "spec.trak"\n', found
    assert Said([PLUGIN, "lint", "-f", tmp_path / "none.yaml"]).code == TROUBLE
    assert Said([PLUGIN, "lint"]).code == TROUBLE


def plan(case, *objects):
    return Said([settings.KUBECTL, "model", "plan", "-n", case.namespace, "-f", "-"], input=documents(objects))


def resource_versions(case):
    return {(kind, o["metadata"]["name"]): o["metadata"]["resourceVersion"]
            for kind in ("Model", "ModelVersion", "ModelRollout", "Deployment", "Service", "ConfigMap") for o in case.all(kind)}


def test_plan_of_a_new_version_changes_nothing(case):
    """And then the operator does just that."""
    file = case.serve("m-v1", steps=STEPS)
    nothing = plan(case, file)
    assert nothing.code == DONE and nothing.out == "nothing to do\n", nothing
    artifact = {"uri": "configmap://m-v2/artifact", "digest": digest_of("artifact of m-v2"), "format": {"name": "tiny"}}
    version = {"apiVersion": API, "kind": "ModelVersion", "metadata": {"name": "m-v2"}, "spec": {"modelRef": {"name": "m"}, "artifact": artifact}}
    file["spec"]["version"] = "m-v2"
    before = resource_versions(case)
    planned = plan(case, version, file)
    assert planned.code == NO, planned
    generation = case.get()["metadata"]["generation"] + 1
    rollout = f"m-v2-{generation}"
    for words in (f"ModelVersion {case.namespace}/m-v2 is created", f"Model {case.namespace}/m is changed\n    spec.version: m-v1 -> m-v2\n",
                  f"create ModelRollout {case.namespace}/{rollout}: spec asks for m-v2",
                  f"ModelRollout {rollout} would go from m-v1 to m-v2 by these steps\n    1 weight 50\n    2 pause\n    3 all traffic\n"):
        assert words in planned.out, planned
    assert resource_versions(case) == before
    case.version("m-v2")
    case.kube.apply(file, case.namespace)
    case.phase(rollout, "Paused")


def test_plan_says_what_is_in_the_way(case):
    file = case.serve("m-v1", steps=STEPS)
    file["spec"]["version"] = "m-v9"
    stalled = plan(case, file)
    assert stalled.code == NO and "ModelVersion m-v9 does not exist" in stalled.out and "would be stalled: VersionNotFound" in stalled.out, stalled
    broken = plan(case, {**file, "spec": {**file["spec"], "track": "Sideways"}})
    assert broken.code == TROUBLE and "-:" in broken.err and "spec.track" in broken.err, broken
    record = {k: v for k, v in case.get("ModelVersion", "m-v1").items() if k in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "m-v1"}}
    record["spec"]["metrics"] = {"f1": "0.9"}
    changed = plan(case, record)
    assert changed.code == TROUBLE and "cannot be changed once created" in changed.err, changed
    elsewhere = plan(case, {**file, "metadata": {"name": "m", "namespace": "elsewhere"}})
    assert elsewhere.code == TROUBLE and "-n elsewhere" in elsewhere.err, elsewhere
    named = Said([settings.KUBECTL, "model", "plan", "-f", "-"], input=json.dumps({**file, "metadata": {"name": "m", "namespace": case.namespace}}))
    assert named.code == NO and f"Model {case.namespace}/m would be stalled: VersionNotFound" in named.out, named
    alone = plan(case, {**record, "metadata": {"name": "n-v1"}, "spec": {**record["spec"], "modelRef": {"name": "n"}}})
    assert alone.code == NO and f"! Model {case.namespace}/n does not exist" in alone.out, alone
    assert plan(case, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}).code == TROUBLE


def test_plan_of_a_kustomization(case, tmp_path):
    file = case.serve("m-v1", steps=STEPS)
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(file))
    (tmp_path / "kustomization.yaml").write_text("resources: [model.yaml]\npatches:\n- patch: |-\n    - {op: replace, path: /spec/serving/replicas, value: 3}\n  target: {kind: Model}\n")
    planned = Said([settings.KUBECTL, "model", "plan", "-k", tmp_path, "-n", case.namespace])
    assert planned.code == NO and "spec.serving.replicas: 2 -> 3" in planned.out, planned
    assert said(Said([PLUGIN, "lint", "-k", tmp_path])) == ""
    broken = Said([PLUGIN, "lint", "-k", tmp_path / "none"])
    assert broken.code == TROUBLE and "cannot be built" in broken.err, broken


def test_plan_of_a_model_and_its_gate_set_in_one_file(case):
    case.serve("m-v1")
    case.version("m-v2")
    rollout = {"steps": [{"gates": ["accuracy"]}, {"weight": 50}], "gateSets": [{"name": "shared"}]}
    file = {"apiVersion": API, "kind": "Model", "metadata": {"name": "m"},
            "spec": {"version": "m-v2", "serving": {"replicas": 2, "runtime": {"name": "tiny"}}, "rollout": rollout}}
    shared = {"apiVersion": API, "kind": "ModelGateSet", "metadata": {"name": "shared"}, "spec": {"gates": [gate(min="0.9")]}}
    missing = plan(case, file)
    assert missing.code == NO and "! it would not start: ModelGateSet shared does not exist" in missing.out, missing
    whole = plan(case, shared, file)
    assert whole.code == NO and f"ModelGateSet {case.namespace}/shared is created" in whole.out and "1 gates accuracy" in whole.out, whole
    assert "would not start" not in whole.out and "stalled" not in whole.out, whole
    # Where the Model is there already, a file of the set alone is enough.
    case.kube.apply(file, case.namespace)
    case.stalled("GateSetNotFound")
    alone = plan(case, shared)
    assert alone.code == NO and f"For Model {case.namespace}/m the operator would:" in alone.out and f"create Deployment {case.namespace}/m-v2" in alone.out, alone
    # What no set defines is said before anything is asked of a cluster.
    undefined = plan(case, {**shared, "spec": {"gates": [gate("latency", min="0.9")]}}, file)
    assert undefined.code == TROUBLE and "step 1 names gate accuracy, which neither" in undefined.err, undefined


def test_plan_keeps_what_others_set(case):
    """As kubectl apply does: replicas that were scaled stay, a field that the file no longer has goes."""
    case.serve("m-v1", steps=STEPS)
    applied = {"apiVersion": API, "kind": "Model", "metadata": {"name": "m", "namespace": case.namespace},
               "spec": {"version": "m-v1", "description": "old", "serving": {"runtime": {"name": "tiny"}}, "rollout": {"steps": STEPS}}}
    annotation = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(applied)}
    case.kube.patch("Model", "m", {"metadata": {"annotations": annotation}, "spec": {"description": "old", "serving": {"replicas": 3}}}, case.namespace)
    case.ready()
    del applied["spec"]["description"]
    planned = plan(case, applied)
    assert planned.code == NO and "spec.description: old is removed" in planned.out and "replicas" not in planned.out, planned


def test_plan_of_a_rollout_that_goes_at_once(case):
    case.serve("m-v1", steps=STEPS)
    case.version("m-v2")
    planned = plan(case, {"apiVersion": API, "kind": "ModelRollout", "metadata": {"name": "now"},
                          "spec": {"modelRef": {"name": "m"}, "version": "m-v2", "desiredState": "Promoted"}})
    assert planned.code == NO and "ModelRollout now would go from m-v1 to m-v2 at once, without its steps" in planned.out, planned


def test_plan_tells_what_would_happen_anyway(case):
    rollout = rolling(case)
    case.phase(rollout, "Paused")
    file = dict(case.last_model)
    assert plan(case, file).code == DONE


# ---- completion


def completed(case, *words):
    """What kubectl proposes, asking kubectl_complete-model."""
    lines = said(Said([settings.KUBECTL, "__complete", "model", *words])).splitlines()
    return [line.partition("\t")[0] for line in lines if not line.startswith(":")]


def test_kubectl_completes_verbs_and_names(case):
    rolling(case)
    case.version("other-v1", model="other")
    assert {"status", "promote", "rollback", "lint"} <= set(completed(case, ""))
    assert completed(case, "prom") == ["promote"]
    assert completed(case, "status", "-n", case.namespace, "") == ["m"]
    assert completed(case, "rollback", "m", f"--namespace={case.namespace}", "--to", "") == ["m-v1", "m-v2"]
    assert completed(case, "abort", "m", "-n", case.namespace, "--rollout", "m-v2") == [case.rollout_of("m-v2")]
    assert completed(case, "history", "m", "-n", case.namespace, "") == []
    assert completed(case, "-n", case.namespace, "abort", "mro/") == [f"mro/{case.rollout_of('m-v2')}"]
    assert case.namespace in completed(case, "status", "-n", case.namespace[:3])
    assert completed(case, "status", "--context", "")
