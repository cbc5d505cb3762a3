"""The reference scenarios: what people do to one Model. Faults are armed between `prepare` and `drive`; `drive` returns once the end is reached.

The end state and the numbers of creates and deletes per object are those of a fault-free run, whatever was done to the operator meanwhile."""

import datetime

import before
from case import VERSION, digest_of, gate
from kube import ApiError
from world import World

STEPS = [{"weight": 25}, {"pause": {"duration": "1s"}}, {"gates": ["accuracy"]}, {"weight": 50}]
CANARY = {"replicas": 3, "steps": STEPS, "gates": [gate(min="0.92", query="accuracy of {{candidate}}", onInconclusive="Wait")]}
RECORDED = {"name": "recorded", "version": {"metric": "f1"}, "min": "0.9"}


def at_a_quarter(world):
    """A quarter of the traffic goes to m-v2, whose gate still measures."""
    world.serve("m-v1", **CANARY)
    world.version("m-v2")
    world.settled()
    world.move("m-v2")
    world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
    world.at_step(world.rollout_of("m-v2"), 3)


def before_canary(world, replicas, **settings):
    """m-v1 serves, and m-v2 is there."""
    world.serve("m-v1", replicas=replicas, **settings)
    world.served_by({"m-v1": replicas})
    world.version("m-v2")
    world.settled()


def begin_canary(world):
    world.move("m-v2")
    world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
    world.observer.no_more_until_now("m", "m-v2", 25)


class Scenario:
    name = ""
    traffic = None   # (stable, candidate, replicas) of the rollout that it makes
    version = None   # the rollout's version, where `traffic` names the sides by a label of their pods
    fleet = False    # in a world with a ModelRuntime and an operator of the cluster (world.Fleet)
    by_nature = ()   # paths of the end state, as regular expressions, that differ by nature though two runs may agree by chance

    def prepare(self, world: World):
        """What is there before."""

    def drive(self, world: World):
        """What people do, and the end of it."""

    def check(self, world: World):
        """What must have held at every moment beside the invariants."""


class FirstServing(Scenario):
    """Nothing serves; a version and a Model that pins it are applied."""
    name = "first"

    def drive(self, world):
        world.version("m-v1")
        world.model(version="m-v1", replicas=2)
        world.ready(version="m-v1")
        world.served_by({"m-v1": 2})
        world.until(lambda: world.status("ModelVersion", "m-v1")["phase"] == "Serving", "m-v1 is Serving")


class Canary(Scenario):
    """m-v1 serves; m-v2 comes by steps. The gate has no data until the first weight has been reached."""
    name = "canary"
    traffic = ("m-v1", "m-v2", 3)
    accuracy = "0.95"

    def prepare(self, world):
        before_canary(world, **CANARY)

    def drive(self, world):
        begin_canary(world)
        world.prometheus.values["accuracy of m-v2"] = self.accuracy
        self.end(world)

    def end(self, world, replicas=3):
        world.ready(version="m-v2")
        world.phase(world.rollout_of("m-v2"), "Succeeded")
        world.served_by({"m-v2": replicas})
        world.gone("Deployment", "m-v1")
        world.gone("Service", "m-candidate")
        world.until(lambda: [world.status("ModelVersion", v)["phase"] for v in ("m-v1", "m-v2")] == ["Superseded", "Serving"], "phases of the versions")


class RolledBack(Canary):
    """The same, but the gate fails."""
    name = "rollback"
    accuracy = "0.80"

    def end(self, world):
        world.stalled("RolledBack")
        world.phase(world.rollout_of("m-v2"), "RolledBack")
        world.served_by({"m-v1": self.traffic[2]})
        world.gone("Deployment", "m-v2")
        world.gone("Service", "m-candidate")
        world.until(lambda: [world.status("ModelVersion", v)["phase"] for v in ("m-v1", "m-v2")] == ["Serving", "Rejected"], "phases of the versions")


class Watched(RolledBack):
    """Two gates watch beside the steps: one that a step measures itself on the way, and a Job that takes longer than a step. The first fails at the end."""
    name = "watched"
    traffic = ("m-v1", "m-v2", 4)
    by_nature = (r".*\.gates\[errors\]\.passed", r".*\.gates\[accuracy\]\.inconclusive")   # as often as there was time for
    steps = [{"background": ["probe", "errors"]}, {"weight": 25}, {"gates": ["errors"]}, {"weight": 50}, {"gates": ["accuracy"]}]

    def prepare(self, world):
        self.gates = [gate("errors", max="0.1", query="errors of {{candidate}}", onInconclusive="Wait"),
                      {"name": "probe", "max": "0.2", "interval": "1h", "onInconclusive": "Wait", "job": {"template": world.gated_job(), "metric": "drift"}},
                      gate(min="0.92", query="accuracy of {{candidate}}", onInconclusive="Wait")]
        before_canary(world, replicas=4, steps=self.steps, gates=self.gates)

    def drive(self, world):
        begin_canary(world)
        world.prometheus.values["errors of m-v2"] = "0.01"
        world.until(lambda: world.endpoints() == {"m-v1": 2, "m-v2": 2}, "half goes to m-v2")
        probes = world.until(lambda: world.all("Job"), "the probe runs")
        assert len(probes) == 1, f"a Job for each step: {[job['metadata']['name'] for job in probes]}"
        world.end_job(probes[0]["metadata"]["name"], {"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": {"drift": "0.1"}})
        rollout = world.rollout_of("m-v2")
        world.until(lambda: [g.get("value") for g in world.mro(rollout)["gates"] if g["name"] == "probe"] == ["0.1"], "what the probe found is on record")
        world.observer.no_more_until_now("m", "m-v2", 50)
        world.prometheus.values["errors of m-v2"] = "0.5"
        self.end(world)


class Approved(Canary):
    """The same under a ModelPolicy: nothing goes to m-v2 before somebody has approved it."""
    name = "approved"
    roles = ("risk",)

    def prepare(self, world):
        super().prepare(world)
        governed(world, *self.roles)  # a first version would wait for the word, too
        world.settled()

    def drive(self, world):
        world.move("m-v2")
        rollout = awaiting(world)
        world.observer.no_more_until_now("m", "m-v2", 0)
        approve(world, rollout)
        world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
        world.observer.no_more_until_now("m", "m-v2", 25)
        world.prometheus.values["accuracy of m-v2"] = self.accuracy
        self.end(world)
        used = world.mro(rollout)["governance"]["cleared"]
        assert [(one["role"], one["approver"]) for entry in used for one in entry["approvals"]] == [(role, f"of-{role}") for role in self.roles], used


class Routed(Canary):
    """The same by the weights of an HTTPRoute."""
    name = "route"

    def prepare(self, world):
        before_canary(world, **CANARY, route={"parentRefs": [world.gateway.parent], "hostnames": ["m.example.com"]})

    def drive(self, world):
        world.move("m-v2")
        world.until(lambda: weights(world) == {"m": 75, "m-candidate": 25}, "a quarter goes to m-v2")
        world.served_by({"m-v2": 1}, "m-candidate")
        world.observer.no_more_until_now("m", "m-v2", 25)
        world.prometheus.values["accuracy of m-v2"] = self.accuracy
        self.end(world)
        world.until(lambda: weights(world) == {"m": 100}, "Service m has everything")


class BlueGreen(Canary):
    """m-v2 at its full size is tried apart, gets everything at once, and is tried again."""
    name = "bluegreen"

    def prepare(self, world):
        gates = [gate(name, min="0.92", query=f"{name} of {{{{candidate}}}}", onInconclusive="Wait") for name in ("accuracy", "recall")]
        before_canary(world, replicas=3, rollout={"strategy": "BlueGreen"}, gates=gates, steps=[{"gates": ["accuracy"]}, {"weight": 100}, {"gates": ["recall"]}])

    def drive(self, world):
        world.move("m-v2")
        world.served_by({"m-v2": 3}, "m-candidate")
        world.observer.no_more_until_now("m", "m-v2", 0)
        world.prometheus.values["accuracy of m-v2"] = "0.95"
        world.served_by({"m-v2": 3})
        assert world.get("Deployment", "m-v1")["spec"]["replicas"] == 3
        world.prometheus.values["recall of m-v2"] = "0.95"
        self.end(world)


class Configured(Canary):
    """With room for one pod more, and with a ConfigMap that has changed since m-v1 took its copy."""
    name = "config"
    template = {"spec": {"containers": [{"name": "server", "envFrom": [{"configMapRef": {"name": "settings"}}]}]}}

    def prepare(self, world):
        world.configmap("settings", LEVEL="one")
        world.serve("m-v1", **CANARY, serving={"maxSurge": 1}, template=self.template)
        world.served_by({"m-v1": 3})
        world.version("m-v2")
        world.configmap("settings", LEVEL="two")
        world.settled()

    def end(self, world):
        super().end(world)
        world.until(lambda: world.status()["message"] == "m-v2 serves", "nothing has changed since")
        levels = {c["metadata"]["labels"][VERSION]: c["data"]["LEVEL"] for c in world.all("ConfigMap") if c.get("immutable")}
        assert levels == {"m-v1": "one", "m-v2": "two"}, levels


class Templated(Canary):
    """m-v1 serves; another pod template of it comes by steps. The sides are told apart by a label of the template."""
    name = "template"
    traffic = ("one", "two", 3)
    version = "m-v1"

    def template(self, level):
        return {"metadata": {"labels": {"level": level}}, "spec": {"containers": [{"name": "server", "env": [{"name": "LEVEL", "value": level}]}]}}

    def prepare(self, world):
        world.named_by = "level"
        world.serve("m-v1", **CANARY, template=self.template("one"))
        world.served_by({"one": 3})
        world.settled()

    def drive(self, world):
        world.model(version="m-v1", **CANARY, template=self.template("two"))
        world.until(lambda: world.endpoints() == {"one": 3, "two": 1}, "a quarter goes to the new template")
        world.observer.no_more_until_now("m", "two", 25)
        world.prometheus.values["accuracy of m-v1"] = "0.95"
        world.ready(version="m-v1")
        world.phase(world.rollout_of("m-v1"), "Succeeded")
        world.served_by({"two": 3})
        world.gone("Deployment", "m-v1")
        world.gone("Service", "m-candidate")


class Patched(Scenario):
    """A ModelRuntime is patched. The patch rolls out over its three Models by their own steps, one at a time, the least critical first."""
    name = "patched"
    fleet = True
    models = {"a": "high", "b": "medium", "c": "low"}
    own = {"b": {"replicas": 2, "steps": [{"weight": 50}, {"gates": ["accuracy"]}], "gates": CANARY["gates"]}}   # the others go at once

    def prepare(self, world):
        world.named_by = "level"
        world.prometheus.values["accuracy of "] = "0.95"
        world.fleet.runtime("one", maxConcurrent=1)
        for name, tier in self.models.items():
            version = f"{name}-v1"
            world.version(version, model=name, artifact=world.artifact(version, format={"name": world.fleet.FORMAT}))
            world.model(name, version=version, riskTier=tier, runtime=None, **{"replicas": 1, **self.own.get(name, {})})
        for name in self.models:
            world.ready(name, f"{name}-v1")
        self.updated(world, 1)
        world.settled()

    def replicas(self, name):
        return self.own.get(name, {}).get("replicas", 1)

    def updated(self, world, generation):
        wanted = {"observedGeneration": generation, "following": 3, "updated": 3, "waiting": 0, "failed": 0, "rolling": []}
        world.until(lambda: world.fleet.status().items() >= wanted.items(), "all Models serve by the runtime", timeout=90)

    def drive(self, world):
        world.fleet.runtime("two", maxConcurrent=1)
        self.updated(world, 2)
        for name in self.models:
            world.ready(name, f"{name}-v1")
            world.phase(world.rollout_of(f"{name}-v1", name), "Succeeded")
            world.served_by({"two": self.replicas(name)}, name)
            world.gone("Deployment", f"{name}-v1")
            world.gone("Service", f"{name}-candidate")

    def check(self, world):
        for name in self.models:
            world.observer.check(name, "one", "two", self.replicas(name), f"{name}-v1")
        world.observer.check_at_most_under_way(1)


class Autoscaled(Canary):
    """An autoscaler comes, scales up and down in the middle of a canary, and goes."""
    name = "autoscaled"
    traffic = ("m-v1", "m-v2", 2)
    by_nature = (r"\.Model/m\..*[gG]eneration",)   # one more if it looks before the test scales, and finds fewer replicas than it wants
    spec = {"steps": [{"weight": 50}, {"gates": ["accuracy"]}], "gates": CANARY["gates"]}
    # Nobody serves the metric: it is the test that scales.
    autoscaling = {"autoscaling": {"minReplicas": 2, "maxReplicas": 6, "metrics": [
        {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "1"}}}]}}

    def prepare(self, world):
        before_canary(world, **self.spec, replicas=2)

    def drive(self, world):
        world.model(version="m-v1", **self.spec, replicas=None, serving=self.autoscaling)
        world.until(lambda: world.find("HorizontalPodAutoscaler", "m"), "there is an autoscaler")
        world.move("m-v2")
        world.until(lambda: world.endpoints() == {"m-v1": 1, "m-v2": 1}, "half goes to m-v2")
        for replicas in (6, 4):
            world.kube.scale("Model", "m", replicas, world.namespace)
            world.served_by({"m-v1": replicas // 2, "m-v2": replicas // 2})
        world.observer.no_more_until_now("m", "m-v2", 50)
        world.prometheus.values["accuracy of m-v2"] = self.accuracy
        self.end(world, replicas=4)
        world.model(version="m-v2", **self.spec, replicas=4)
        world.gone("HorizontalPodAutoscaler", "m")
        world.ready(version="m-v2")


class Retraining(Scenario):
    """Somebody asks for a run; its result becomes a version, passes the recorded gate and rolls out."""
    name = "retraining"
    by_nature = (r".*\.jobSeconds(Today)?",)

    def prepare(self, world):
        world.version("m-v1", metrics={"f1": "0.92"})
        self.policy = {"template": world.gated_job(), "gates": ["recorded"]}
        world.model(version="m-v1", replicas=2, track="Promoted", gates=[RECORDED], steps=[{"gates": ["recorded"]}, {"weight": 50}], retraining=self.policy)
        world.ready(version="m-v1")
        world.served_by({"m-v1": 2})
        world.document = {"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": {"f1": "0.95"}, "artifact": world.artifact("trained"),
                          "lineage": {"data": [{"name": "payments", "digest": digest_of("data"), "rows": 120000}], "seed": "7"}}
        self.made = "m-" + world.document["artifact"]["digest"].removeprefix("sha256:")[:10]
        self.traffic = ("m-v1", self.made, 2)
        world.settled()

    def drive(self, world):
        ask(world)
        self.end(world, "m-run-000001-train")

    def end(self, world, job):
        world.end_job(job, world.document)
        world.ready(version=self.made)
        world.phase(world.rollout_of(self.made), "Succeeded")
        world.served_by({self.made: 2})
        world.gone("Deployment", "m-v1")
        world.gone("Service", "m-candidate")
        world.until(lambda: world.status()["retraining"].get("lastRun") and "run" not in world.status()["retraining"], "the run is closed")
        world.until(lambda: [world.status("ModelVersion", v)["phase"] for v in ("m-v1", self.made)] == ["Superseded", "Serving"], "phases of the versions")


class TakenAway(Retraining):
    """Retraining is taken away during a run and brought back with another question: that is run 2, and nobody reads what the first one made."""
    name = "takenaway"

    def drive(self, world):
        ask(world)
        def on_record():
            run = world.find("TrainingRun", "m-run-000001") or {}
            trials = run.get("status", {}).get("trials") or [{}]
            return trials[0].get("job", {}).get("uid")
        world.until(on_record, "the first run's Job is on record, which no crash may change afterwards")
        retrain(world, None)
        world.gone("Job", "m-run-000001-train")
        world.until(lambda: "spec.retraining was removed" in world.status()["retraining"]["lastResult"] and "run" not in world.status()["retraining"], "the run is closed")
        retrain(world, self.policy)
        ask(world)
        self.end(world, "m-run-000002-train")


class Drifted(Retraining):
    """What serves drifts: its data is validated, two trials train, the better one is evaluated beside the champion, registered and rolled out."""
    name = "drifted"

    def prepare(self, world):
        super().prepare(world)
        rows = {"name": "rows", "version": {"metric": "rows"}, "min": "100"}
        world.model(version="m-v1", replicas=2, track="Promoted", gates=[RECORDED, rows], steps=[{"gates": ["recorded"]}, {"weight": 50}],
                    monitors=[{"name": "drift", "prometheus": {"query": "drift of {{stable}}"}, "max": "0.2", "interval": "1s", "actions": ["Retrain"]}],
                    retraining={"triggers": [{"name": "drifted", "monitor": {"name": "drift"}}], "template": world.gated_job(),
                                "validate": {"template": world.gated_job(), "gates": ["rows"]},
                                "trials": {"parallelism": 2, "parameters": {"C": ["1", "2"]}, "objective": {"metric": "f1"}},
                                "evaluate": {"template": world.gated_job(), "gates": ["recorded"]}})
        world.ready(version="m-v1")
        world.settled()

    def drive(self, world):
        world.prometheus.values["drift of m-v1"] = "0.5"
        result = {"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult"}
        world.end_job("m-run-000001-validate", {**result, "metrics": {"rows": "120"}})
        for trial, f1 in enumerate(("0.91", "0.97")):
            made = world.document["artifact"] if f1 == "0.97" else world.artifact("worse")
            world.end_job(f"m-run-000001-train-t{trial}", {**world.document, "artifact": made, "metrics": {"f1": f1}})
        world.prometheus.values[f"drift of {self.made}"] = "0.1"
        world.document = {**result, "metrics": {"f1": "0.95"}, "championMetrics": {"f1": "0.92"}}
        self.end(world, "m-run-000001-evaluate")


class Deletion(Scenario):
    """The Model is deleted in the middle of a canary."""
    name = "deletion"
    traffic = ("m-v1", "m-v2", 3)

    def prepare(self, world):
        before_canary(world, **CANARY)

    def drive(self, world):
        world.move("m-v2")
        world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
        world.until(lambda: world.mro(world.rollout_of("m-v2"))["step"]["index"] == 3, "the gate is waited for")
        world.until(lambda: len(world.all("Service")) == 2, "both Services are there")
        world.kube.delete("Model", "m", world.namespace)
        world.gone("Model", "m")
        for kind in ("Deployment", "Service", "Job", "ModelRollout", "Pod"):
            world.until(lambda: not world.all(kind), f"no {kind} is left")
        world.until(lambda: [world.status("ModelVersion", v)["phase"] for v in ("m-v1", "m-v2")] == ["Superseded", "Registered"], "phases of the versions")


class Adopted(Scenario):
    """The Model takes the place of a Deployment that served before, is deleted, and gives it back. Somebody answers at every moment."""
    name = "adopt"

    def prepare(self, world):
        before.deployment(world)
        before.service(world)
        world.until(lambda: sum(world.endpoints().values()) == 2, "the old pods are found")
        world.version("m-v1")
        world.settled()
        world.observer.served_from_now("m")

    def drive(self, world):
        world.model(version="m-v1", replicas=2, serving=before.ADOPT)
        world.ready(version="m-v1")
        world.served_by({"m-v1": 2})
        world.until(lambda: world.status().get("adopted", {}).get("phase") == "Replaced", "the old pods have been replaced")
        assert before.replicas(world) == 0
        world.kube.delete("Model", "m", world.namespace)
        world.gone("Model", "m")
        world.gone("Deployment", "m-v1")
        world.until(lambda: world.status("Deployment", "old").get("readyReplicas") == 2, "the old pods are back")
        found = world.get("Service")
        assert found["spec"]["selector"] == {"app": "old"} and found["metadata"]["labels"] == before.HELM, found
        world.until(lambda: world.status("ModelVersion", "m-v1")["phase"] == "Superseded", "phase of the version")


POLICIES = {"apiGroups": ["modelops.dev"], "resources": ["modelpolicies"], "verbs": ["get", "list", "watch"]}
GUARDS = {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["validatingadmissionpolicies", "validatingadmissionpolicybindings"], "verbs": ["get"]}
RBAC = "rbac.authorization.k8s.io"


def grant(world, name, rules, subject, cluster=False):
    where, scope = ({}, "Cluster") if cluster else ({"namespace": world.namespace}, "")
    world.kube.apply({"apiVersion": f"{RBAC}/v1", "kind": f"{scope}Role", "metadata": {"name": name, **where}, "rules": rules})
    world.kube.apply({"apiVersion": f"{RBAC}/v1", "kind": f"{scope}RoleBinding", "metadata": {"name": name, **where}, "subjects": [subject],
                      "roleRef": {"apiGroup": RBAC, "kind": f"{scope}Role", "name": name}})
    if cluster:
        world.of_cluster += [(f"{scope}Role", name), (f"{scope}RoleBinding", name)]


def governed(world, *roles):
    """A ModelPolicy of this namespace demands the word of each of these roles before the first request; somebody of each may give it. The operator gets what a Role
    cannot give, and is started with that."""
    name = world.namespace
    grant(world, name, [POLICIES, GUARDS], {"kind": "ServiceAccount", "name": "model-operator", "namespace": name}, cluster=True)
    for role in roles:
        grant(world, f"of-{role}", [{"apiGroups": ["modelops.dev"], "resources": ["modelapprovals"], "verbs": ["create"]},
                                    {"apiGroups": ["modelops.dev"], "resources": ["modelapprovals"], "resourceNames": [role], "verbs": ["approve"]}],
              {"apiGroup": RBAC, "kind": "User", "name": f"of-{role}"})
    world.of_cluster.append(("ModelPolicy", name))
    world.kube.apply({"apiVersion": "modelops.dev/v1alpha1", "kind": "ModelPolicy", "metadata": {"name": name},
                      "spec": {"appliesTo": {"namespaces": [name]}, "approvals": [{"role": role} for role in roles]}})
    account = world.kube.as_service_account(name, "model-operator")

    def may_look():
        try:
            return account.list("ModelPolicy")
        except ApiError as error:
            if error.code != 403:
                raise
    world.until(may_look, "the operator may look at ModelPolicies")
    world.operator.end()
    world.operator.start()


def awaiting(world, words=""):
    """The name of the rollout to m-v2, which waits for people and gives m-v2 nothing."""
    rollout = world.rollout_of("m-v2")
    world.until(lambda: world.mro(rollout).get("approval", {}).get("subject") and words in world.mro(rollout)["message"], f"it waits for approval {words}")
    assert world.endpoints() == {"m-v1": 3} and world.mro(rollout)["weights"]["candidate"] == 0
    return rollout


def approve(world, rollout, role="risk", name="yes"):
    """In the name of who has the role; rights take a moment."""
    body = {"apiVersion": "modelops.dev/v1alpha1", "kind": "ModelApproval", "metadata": {"name": name},
            "spec": {"rolloutRef": {"name": rollout}, "role": role, "decision": "Approved", "approver": f"of-{role}", "subject": world.mro(rollout)["approval"]["subject"]}}
    person = world.kube.as_user(f"of-{role}", "system:authenticated")

    def done():
        try:
            return person.create(body, world.namespace)
        except ApiError as error:
            if error.code != 403:
                raise
    return world.until(done, f"of-{role} approves")


def weights(world):
    """{Service: weight} that the HTTPRoute gives."""
    route = world.find("HTTPRoute", "m")
    return {backend["name"]: backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]} if route else {}


def ask(world):
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    retrain(world, {"requestedAt": now})


def retrain(world, policy):
    world.kube.patch("Model", "m", {"spec": {"retraining": policy}}, world.namespace)


ALL = {scenario.name: scenario for scenario in (
    FirstServing, Canary, RolledBack, Watched, Approved, Routed, BlueGreen, Configured, Templated, Patched, Autoscaled, Retraining, TakenAway, Drifted,
    Deletion, Adopted)}
