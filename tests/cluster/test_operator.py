"""The operator as a program: it is killed, told to end, doubled, limited to a namespace, and put into the cluster."""

import json
import signal
import subprocess
import urllib.error
import urllib.request

import pytest
import yaml

import operators
import settings
from case import API, LONG, condition, conditions, gate
from history import History
from test_retraining import ask, job, over, result, training, version_of

# Where the kill comes, in the life of one rollout: what its status says then. Each of these lasts: gates hold the rollout at both weights.
MOMENTS = {
    "when the rollout was made": lambda s: True,
    "at the first weight": lambda s: s["weights"]["candidate"] == 25,
    "in the gates": lambda s: s["gates"][0]["measurements"],
    "at the second weight": lambda s: s["weights"]["candidate"] == 50,
    "on the way to all": lambda s: s["weights"]["candidate"] == 100,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_in_the_middle_it_goes_on(private, moment):
    case = private
    case.metrics.set("accuracy", "0.95", version="m-v2")
    settings_ = {"replicas": 2, "gates": [gate(min="0.9", count=2)], "steps": [{"weight": 25}, {"gates": ["accuracy"]}, {"weight": 50}, {"gates": ["accuracy"]}]}
    case.serve("m-v1", **settings_)
    case.version("m-v2")
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", **settings_)
        rollout = case.rollout_of("m-v2")
        case.until(lambda: MOMENTS[moment](case.mro(rollout)), moment)
        case.operator.kill()
        case.operator.start()
        case.phase(rollout, "Succeeded")
        case.ready(version="m-v2")
        case.served_by({"m-v2": 2})
    history.check("m", "m-v1", "m-v2", 2)
    assert history.weights(rollout) in ([25, 50, 100], [0, 25, 50, 100])
    assert [r["metadata"]["name"] for r in case.all("ModelRollout")] == [rollout]
    case.until(lambda: [d["metadata"]["name"] for d in case.all("Deployment")] == ["m-v2"], "one Deployment is left")
    assert len(case.events(rollout, "RolloutStarted")) <= 1, "Events may be lost with a process, but are not doubled"


def test_killed_while_it_rolls_back_it_goes_on(private):
    case = private
    case.metrics.set("accuracy", "0.1", version="m-v2")
    case.serve("m-v1")
    case.version("m-v2")
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", steps=[{"weight": 50}, {"gates": ["accuracy"]}], gates=[gate(min="0.9")])
        rollout = case.rollout_of("m-v2")
        case.until(lambda: case.mro(rollout).get("ending") or case.mro(rollout)["phase"] == "RolledBack", "the rollback is decided")
        case.operator.kill()
        case.operator.start()
        case.phase(rollout, "RolledBack")
        model = case.stalled("RolledBack")
        case.served_by({"m-v1": 2})
    history.check("m", "m-v1", "m-v2", 2)
    assert "accuracy" in model["status"]["message"] and "0.1" in model["status"]["message"]
    assert [r["metadata"]["name"] for r in case.all("ModelRollout")] == [rollout]


def test_an_abort_while_it_is_down_wins(private):
    """Rule 1: also after a restart."""
    case = private
    case.serve("m-v1")
    case.version("m-v2")
    case.model(version="m-v2", steps=[{"weight": 50}, {"pause": {"duration": "1h"}}])
    rollout = case.rollout_of("m-v2")
    case.at_step(rollout, 2)
    case.operator.kill()
    case.steer(rollout, "Aborted")
    case.operator.start()
    case.phase(rollout, "Aborted")
    case.served_by({"m-v1": 2})


def test_a_change_and_back_while_it_is_down_is_no_change(private):
    case = private
    case.serve("m-v1", replicas=1)
    case.version("m-v2")
    case.operator.kill()
    case.move("m-v2")
    case.move("m-v1")
    case.operator.start()
    case.until(lambda: case.status()["observedGeneration"] == 3, "it has seen the spec")
    case.ready(version="m-v1")
    assert not case.all("ModelRollout") and case.endpoints() == {"m-v1": 1}


@pytest.mark.parametrize("moment", ["as it starts", "as it runs", "when it is over"])
def test_killed_in_a_training_run_it_makes_no_second_job(private, moment):
    case = private
    document = result(case)
    case.serve("m-v1", replicas=1, track="Promoted", retraining={"template": job(RESULT=json.dumps(document))})
    ask(case)
    if moment == "as it starts":
        case.until(lambda: training(case)["runNumber"] == 1, "a run is on record")
    elif moment == "as it runs":
        case.until(lambda: case.all("Job"), "there is a Job")
    case.operator.kill()
    if moment == "when it is over":
        case.operator.start()
        case.until(lambda: case.all("Job"), "there is a Job")
        case.operator.kill()
        case.until(lambda: case.all("Job")[0]["status"].get("succeeded") == 1, "the Job is done")
    case.operator.start()
    case.ready(version=version_of(document))
    assert training(case)["runNumber"] == 1 and len(case.all("Job")) == 1 and len(case.all("ModelRollout")) == 1
    assert [v["metadata"]["name"] for v in case.all("ModelVersion") if v["metadata"]["name"] != "m-v1"] == [version_of(document)]


def test_it_ends_well_on_sigterm(private):
    private.serve("m-v1", replicas=1)
    assert private.operator.end(signal.SIGTERM) == 0
    private.operator.start()
    private.version("m-v2")
    private.move("m-v2")
    private.rollout_of("m-v2")
    assert private.operator.end(signal.SIGTERM) == 0, "also with work under way"
    private.operator.start()
    private.ready(version="m-v2")
    assert private.operator.end(signal.SIGINT) == 0


def written(case):
    """resourceVersions of all that the operator writes."""
    kinds = ("Model", "ModelVersion", "ModelRollout", "Deployment", "Service", "Job")
    return {(kind, o["metadata"]["name"]): o["metadata"]["resourceVersion"] for kind in kinds for o in case.all(kind)}


def test_after_a_restart_it_takes_over_what_is_there_without_a_write(private):
    case = private
    case.serve("m-v1", replicas=1)
    case.version("m-v2")
    case.move("m-v2")
    case.ready(version="m-v2")
    case.version("n-v1", model="n")
    case.model("n", version="n-v1", replicas=1, steps=[{"weight": 50}, {"pause": {}}])
    case.ready("n", "n-v1")
    case.version("n-v2", model="n")
    case.move("n-v2", "n")
    rollout = case.rollout_of("n-v2", "n")
    case.phase(rollout, "Paused")
    case.until(lambda: case.find("Deployment", "m-v1") is None and not any(p["metadata"].get("deletionTimestamp") for p in case.all("Pod")), "all is quiet")
    case.until(lambda: case.status("Model", "n")["phase"] == "Paused" and case.status("ModelVersion", "n-v2")["phase"] == "Candidate", "all is said")
    case.looked_again(2)
    before = written(case)
    case.operator.kill()
    case.operator.start()
    # It has looked at everything at least once when something that comes later is done.
    case.version("later-v1", model="later")
    case.model("later", version="later-v1", replicas=1)
    case.ready("later", "later-v1")
    after = written(case)
    assert {key: after[key] for key in before} == before
    case.steer(rollout, "Running")
    case.ready("n", "n-v2")


@pytest.mark.operator("--leader-elect", "--leader-election-namespace={namespace}")
def test_a_second_instance_takes_over(private):
    case = private
    case.serve("m-v1", replicas=1)
    second = operators.namespaced(case.kube, case.namespace, f"{case.namespace}-2",
                                  ["--leader-elect", f"--leader-election-namespace={case.namespace}"])
    second.start(wait_ready=False)
    try:
        holder = case.until(lambda: case.all("Lease")[0]["spec"]["holderIdentity"], "somebody leads")
        case.until(lambda: second.http(second.health_port, "/healthz")[0] == 200, "the second lives")
        # A clean end hands the Lease back at once.
        assert case.operator.end(signal.SIGTERM) == 0
        case.until(lambda: case.all("Lease")[0]["spec"].get("holderIdentity") not in (None, "", holder), "the second leads", timeout=15)
        case.version("m-v2")
        case.move("m-v2")
        case.ready(version="m-v2")
        second_holder = case.all("Lease")[0]["spec"]["holderIdentity"]
        # A killed one is waited for until its Lease has run out.
        case.operator.start(wait_ready=False)
        second.kill()
        case.until(lambda: case.all("Lease")[0]["spec"]["holderIdentity"] != second_holder, "the first leads again", timeout=40)
        case.version("m-v3")
        case.move("m-v3")
        case.ready(version="m-v3")
        assert len(case.all("ModelRollout")) == 2
    finally:
        second.end(signal.SIGKILL)


def test_limited_to_a_namespace_it_neither_sees_nor_touches_others(private):
    """With the rights of a Role alone. (All tests with an operator of their own run so; this one looks over the fence.)"""
    case = private
    elsewhere = case.namespace + "-x"
    case.kube.make_namespace(elsewhere, {"modelops.dev/test": "true"})
    from case import Case
    other = Case(case.kube, elsewhere, None)
    try:
        other.version("m-v1")
        other.model(version="m-v1", replicas=1)
        case.serve("m-v1", replicas=1)
        assert other.get()["status"]["observedGeneration"] == -1 and not other.all("Deployment")
        # What is cluster-scoped no Role can grant; a cluster admin may.
        refused = [line for line in case.operator.tail(lines=1000).splitlines() if "orbidden" in line and not any(kind in line for kind in ("clustermodelgatesets", "modelpolicies", "namespaces"))]
        assert not refused, refused
    finally:
        case.kube.delete("Namespace", elsewhere)


def test_ready_tells_the_truth(private):
    case = private
    assert case.operator.ready()
    # Without the right to watch it is not ready, and deletes nothing because it sees nothing.
    case.serve("m-v1", replicas=1)
    case.operator.kill()
    bindings = case.get("RoleBinding", "model-operator")
    case.kube.delete("RoleBinding", "model-operator", case.namespace)
    case.operator.start(wait_ready=False)
    case.until(lambda: case.operator.http(case.operator.health_port, "/healthz")[0] == 200, "it lives")
    case.until(lambda: case.operator.readyz()[0] not in (0, 200) and "orbidden" in case.operator.tail(lines=50), "it is not ready, and logs why")
    assert case.endpoints() == {"m-v1": 1}
    case.kube.apply({k: bindings[k] for k in ("apiVersion", "kind", "roleRef", "subjects")} | {"metadata": {"name": "model-operator"}}, case.namespace)
    case.operator.wait_ready(60)
    case.version("m-v2")
    case.move("m-v2")
    case.ready(version="m-v2")


def test_metrics_are_for_whom_kubernetes_lets(alone):
    case = alone
    account = operators.token_of(case.kube, case.namespace, "default")
    kubeconfig = operators.kubeconfig_of(case.kube, settings.SYSTEM_NAMESPACE, "model-operator", settings.STATE / "metrics.kubeconfig")
    operator = operators.Operator("metrics", kubeconfig, ["--metrics-auth"])

    def read(token=None):
        return operator.http(operator.metrics_port, "/metrics", token)

    reader = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": case.namespace},
              "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "model-operator-metrics-reader"},
              "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": case.namespace}]}
    try:
        operator.start()
        assert read()[0] == 401
        assert read(account[:-4] + "AAAA")[0] == 401
        code, text = read(account)
        assert code == 403 and "model-operator-metrics-reader" in text
        assert operator.readyz()[0] == 200  # probes need no token
        case.kube.apply(reader)
        case.kube.wait_for(lambda: read(account)[0] == 200, 30, "the right is seen")
        assert "model_operator_build_info" in read(account)[1]
    finally:
        operator.end()
        case.kube.delete("ClusterRoleBinding", case.namespace)


def certify(folder, name):
    """tls.crt and tls.key for localhost, as cert-manager renews a mounted Secret: both at once. Returns the certificate."""
    made = folder / name
    made.mkdir(parents=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", made / "tls.key", "-out", made / "tls.crt"], check=True, capture_output=True)
    for file in ("tls.crt", "tls.key"):
        if not (folder / file).is_symlink():
            (folder / file).symlink_to(f"..data/{file}")
    (folder / "..new").symlink_to(name)
    (folder / "..new").rename(folder / "..data")
    return (made / "tls.crt").read_text()


def shown(port):
    """The certificate that is shown there."""
    import ssl
    return ssl.get_server_certificate(("127.0.0.1", port))


def test_metrics_come_by_https_and_a_renewed_certificate_is_shown(alone, tmp_path):
    case, folder = alone, tmp_path / "cert"
    operator = operators.namespaced(case.kube, case.namespace, arguments=[f"--metrics-cert-dir={folder}"])
    try:
        first = certify(folder, "first")
        operator.start()
        assert operator.http(operator.metrics_port, "/metrics")[0] == 200
        assert shown(operator.metrics_port).split() == first.split()
        second = certify(folder, "second")
        case.kube.wait_for(lambda: shown(operator.metrics_port).split() == second.split(), 30, "the renewed one is shown")
        with pytest.raises(urllib.error.HTTPError) as plain:
            urllib.request.urlopen(f"http://127.0.0.1:{operator.metrics_port}/metrics", timeout=20)
        assert plain.value.code == 400 and "speaks HTTPS" in plain.value.read().decode()
        operator.end()
        # A certificate is of no use where none is shown.
        operator.command.append("--metrics-tls=false")
        operator.start(wait_ready=False)
        assert operator.process.wait(20) == 1 and "remove one of the two flags" in operator.tail()
        operator.command.remove(f"--metrics-cert-dir={folder}")
        operator.start()
        assert urllib.request.urlopen(f"http://127.0.0.1:{operator.metrics_port}/metrics", timeout=20).status == 200
    finally:
        operator.end()


@pytest.mark.operator("--metrics-auth")
def test_without_the_right_to_ask_nobody_reads_metrics(private):
    token = operators.token_of(private.kube, private.namespace, "default")
    code, text = private.operator.http(private.operator.metrics_port, "/metrics", token)
    assert code == 503 and "cannot be asked" in text
    assert "--metrics-auth=false" in private.operator.tail()


def test_silent_connections_keep_no_probe_from_its_answer(alone):
    """The kubelet would kill the operator."""
    import socket
    operator = operators.namespaced(alone.kube, alone.namespace)
    silent = []
    try:
        operator.start()
        for i in range(1000):
            silent.append(socket.create_connection(("127.0.0.1", operator.health_port), 10, (f"127.0.0.{2 + i % 200}", 0)))
        assert operator.http(operator.health_port, "/healthz")[0] == 200
        assert operator.readyz()[0] == 200
        assert operator.http(operator.metrics_port, "/metrics")[0] == 200
    finally:
        for connection in silent:
            connection.close()
        operator.end()


def test_unconfined_it_does_not_start(private):
    """A role from elsewhere, by which admission does not know the operator: its token would make Deployments of any kind."""
    case = private
    case.serve("m-v1", replicas=1)
    case.operator.end()
    role = case.get("Role", "model-operator")
    unknown = [rule for rule in role["rules"] if rule["verbs"] != ["reconcile"]]
    assert len(unknown) == len(role["rules"]) - 1
    account = case.kube.as_service_account(case.namespace, "model-operator")
    # Neither without the verb nor with all of them.
    for rules in (unknown, [*role["rules"], {"apiGroups": ["modelops.dev"], "resources": ["models"], "verbs": ["*"]}]):
        case.kube.patch("Role", "model-operator", {"rules": rules}, case.namespace)
        unowned = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "unowned"}, "spec": {"ports": [{"port": 80}]}}
        case.until(lambda: account.create(unowned, case.namespace, dry_run=True), "admission does not know the operator")
        case.operator.start(wait_ready=False)
        case.until(lambda: "proof that admission policies confine" in case.operator.readyz()[1], "it is not ready")
        assert case.operator.process.wait(LONG) == 1
        said = case.operator.tail(lines=5)
        for word in ("no admission policy confines this account", "operator-writes.modelops.dev", "manifests/admission", "--unconfined"):
            assert word in said, said
    case.operator.command.append("--unconfined")
    case.operator.start()
    case.version("m-v2")
    case.move("m-v2")
    case.ready(version="m-v2")


def test_two_installations_do_not_fight(alone):
    """One of the cluster, one of a namespace: the first handles the Model, the second says so and writes nothing of it."""
    case = alone
    kubeconfig = operators.kubeconfig_of(case.kube, settings.SYSTEM_NAMESPACE, "model-operator", settings.STATE / f"{case.namespace}-1.kubeconfig")
    first = operators.Operator(f"{case.namespace}-1", kubeconfig, ["--installation=platform/first"]).start()
    second = operators.namespaced(case.kube, case.namespace, f"{case.namespace}-2", ["--installation=team/second"])
    third = operators.namespaced(case.kube, case.namespace, f"{case.namespace}-3", ["--installation=team/third", "--operator-class=gpu"])

    def handled_by(installation, name="m"):
        case.until(lambda: case.status(name=name).get("operator") == installation, f"{installation} handles {name}")

    def writes(operator):
        return sum(value for name, value in operator.metrics().items() if name.startswith("model_operator_api_calls_total") and 'resource="events"' not in name
                   and any(f'verb="{verb}"' in name for verb in ("apply", "patch", "put", "delete")))

    try:
        case.serve("m-v1", replicas=1)
        handled_by("platform/first")
        second.start()
        case.until(lambda: second.metrics()["model_operator_models_of_others"] == 1, "the second counts it")
        note = case.until(lambda: next((n for n in case.events(reason="HandledByAnotherInstallation") if "team/second" in n), None), "the second says so")
        assert "team/second ignores this Model" in note and "names installation platform/first" in note
        case.version("m-v2")
        case.model(version="m-v2", replicas=1, steps=[{"weight": 50}, {"pause": {}}])
        rollout = case.rollout_of("m-v2")
        case.phase(rollout, "Paused")
        case.until(lambda: second.reconciles() > 3, "the second has looked at all this")
        first.end()
        looks = second.reconciles()
        case.steer(rollout, "Promoted")
        case.until(lambda: second.reconciles() > looks, "the second has looked at this, too")
        assert writes(second) == 0 and case.mro(rollout)["phase"] == "Paused"
        assert second.tail(lines=1000).count("a Model of another installation") == 1
        # Moved on purpose, while the other does not run; and then the other stays out.
        second.end()
        second.command.append("--take-over")
        second.start()
        case.ready(version="m-v2")
        handled_by("team/second")
        first.start()
        case.until(lambda: first.metrics()["model_operator_models_of_others"] == 1, "the first stays out")
        second.end()
        second.command.remove("--take-over")
        second.start()
        case.version("m-v3")
        case.move("m-v3")
        case.phase(case.rollout_of("m-v3"), "Paused")
        assert case.status()["operator"] == "team/second"
        # Of a class of its own: nobody's until its installation comes; without the class again, it is let go of and then taken by another.
        case.version("n-v1", model="n")
        case.model("n", version="n-v1", replicas=1, operatorClass="gpu")
        case.looked_again(1)
        assert case.status(name="n")["observedGeneration"] == -1 and not case.find("Deployment", "n-v1")
        third.start()
        case.ready("n", "n-v1")
        handled_by("team/third", "n")
        case.kube.patch("Model", "n", {"spec": {"operatorClass": None}}, case.namespace)
        case.until(lambda: case.status(name="n")["operator"] in ("platform/first", "team/second"), "another has taken it")
        case.ready("n", "n-v1")
        case.version("n-v2", model="n")
        case.move("n-v2", "n")
        case.ready("n", "n-v2")
        assert case.status()["operator"] == "team/second"
    except BaseException:
        print(first.tail(case.namespace), second.tail(), third.tail(), sep="\n---\n")
        raise
    finally:
        for operator in (first, second, third):
            operator.end(signal.SIGKILL)


def test_help_and_wrong_flags():
    helped = subprocess.run([settings.OPERATOR, "run", "--help"], capture_output=True, text=True)
    assert helped.returncode == 0
    for flag in ("--kubeconfig", "--namespace", "--prometheus-url", "--metrics-address", "--metrics-tls", "--metrics-cert-dir", "--metrics-auth", "--health-address", "--leader-elect", "--workers", "--log-format"):
        assert flag in helped.stdout
    wrong = subprocess.run([settings.OPERATOR, "run", "--no-such-flag"], capture_output=True, text=True)
    assert wrong.returncode != 0 and "--no-such-flag" in wrong.stderr + wrong.stdout


def test_in_the_cluster_by_its_manifests(alone):
    """As `make deploy` does it: a pod with the ServiceAccount's own token."""
    case = alone
    case.kubectl("-n", settings.SYSTEM_NAMESPACE, "apply", "--server-side", "--force-conflicts", "-k", str(settings.REPO / "manifests"))
    try:
        case.kubectl("-n", settings.SYSTEM_NAMESPACE, "rollout", "status", "deployment/model-operator", "--timeout=60s")
        case.version("m-v1")
        case.model(version="m-v1", replicas=1)
        case.ready(version="m-v1")
        case.metrics.set("accuracy", "0.95", version="m-v2")
        case.version("m-v2")
        case.model(version="m-v2", replicas=1, steps=[{"weight": 50}, {"gates": ["accuracy"]}], gates=[gate(min="0.9")])
        case.ready(version="m-v2")
        assert case.mro(case.rollout_of("m-v2"))["gates"][0]["value"] == "0.95"
        lease = case.kube.list("Lease", settings.SYSTEM_NAMESPACE)[0]
        pods = [p["metadata"]["name"] for p in case.kube.list("Pod", settings.SYSTEM_NAMESPACE)]
        assert any(name in lease["spec"]["holderIdentity"] for name in pods), lease["spec"]
    except BaseException:
        print(case.kubectl("-n", settings.SYSTEM_NAMESPACE, "logs", "deployment/model-operator", "--tail=200", check=False).stdout)
        raise
    finally:
        case.kube.delete("Deployment", "model-operator", settings.SYSTEM_NAMESPACE, propagation="Foreground")
        case.kube.wait_gone("Deployment", "model-operator", settings.SYSTEM_NAMESPACE, 60)
        case.kube.delete("Lease", "model-operator", settings.SYSTEM_NAMESPACE)
