"""Watches the API server itself, past the proxy, and holds what happened to the invariants after every single event.

I1 is the comparison of `digest` and `made` with a fault-free run; I2 and I3 are `check`'s rules on weights and endpoints, I4 its rules on owners."""

import collections
import re

from history import KINDS, VERSION, History

GATE_OF = "modelops.dev/gate-of"
ORIGIN = "modelops.dev/origin"
MANAGED = {"app.kubernetes.io/managed-by": "model-operator"}
WRITTEN = ("Deployment", "Service", "HTTPRoute", "HorizontalPodAutoscaler", "Job", "ModelVersion", "ModelRollout", "TrainingRun", "Model", "ConfigMap")   # what creates and deletes are counted of
TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?")   # or a day: a matrix may run past midnight
OVER = ("Succeeded", "RolledBack", "Failed", "Aborted", "Superseded")
UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# What the API server counts, stamps or draws by lot, hashes of what names a UID, what the tests themselves count, and how often a gate looked before there was
# data: never part of what a run ended in.
STAMPS = {"measurements", "managedFields", "resourceVersion", "creationTimestamp", "clusterIP", "clusterIPs", "modelops.dev/applied", "modelops.dev/copied-at", "chaos/nudge"}


class Observer(History):
    kinds = (*KINDS, "ModelVersion", "TrainingRun", "Job", "ConfigMap", "HTTPRoute", "HorizontalPodAutoscaler")

    def __init__(self, kube, namespace, beside=()):
        """`beside`: (kind, name) of cluster-scoped objects that belong to this world."""
        super().__init__(kube, namespace)
        self.beside = beside
        self.served = {}   # {Service: the resourceVersion from which on somebody has to be found there}
        self.limits = []   # (model, candidate, weight, the resourceVersion up to which no more may flow)

    def now(self):
        """The API server's present resourceVersion."""
        return int(self.kube._call("GET", self.kube.path("ConfigMap", None, self.namespace), query={"limit": 1})["metadata"]["resourceVersion"])

    def no_more_until_now(self, model, candidate, weight):
        """What no gate has opened yet: `candidate` has had no more than `weight` % of the endpoints, and of the route, so far."""
        self.limits.append((model, candidate, weight, self.now()))

    def served_from_now(self, service):
        """At every moment from now on the Service leads to somebody."""
        self.served[service] = self.now()

    def made(self):
        """{(kind, name): (creates, deletes)} of what the operator, and the test, wrote."""
        self.stop()
        born, gone = collections.defaultdict(set), collections.defaultdict(int)
        for _, kind, removed, found in self.events:
            if kind in WRITTEN:
                key = f"{kind}/{nameable(found)}"
                born[key].add(found["metadata"]["uid"])
                gone[key] += removed
        return {key: [len(uids), gone[key]] for key, uids in sorted(born.items()) if key != "ConfigMap/kube-root-ca.crt"}

    # ---- rules about every moment

    def check_every_moment(self, model, stable, candidate, replicas, version=None):
        """All that must hold after each event, whatever was done to the operator."""
        if candidate:
            self.check(model, stable, candidate, replicas, version)
        last = collections.deque(maxlen=30)
        try:
            self._check_moments(last, model, stable, candidate)
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter:\n" + "\n".join(last)) from None

    def _check_moments(self, last, model, stable, candidate):
        models = {}   # uid: name of every Model there ever was
        opened = {stable: 100}   # {version: the most that rollouts have given it so far}
        ready = {}    # pods that were ready at some time, by name
        runs = set()   # UIDs of the TrainingRuns of those Models
        adopted = set()   # UIDs of Services that Models took over, and that have no owner therefore
        for kind, world in self.replay():
            last.append(world.last)
            found = world.found
            if kind == "Model":
                models[found["metadata"]["uid"]] = found["metadata"]["name"]
                self._check_traffic(world, found)
                adopted.add(found.get("status", {}).get("adopted", {}).get("serviceUID"))
            if kind == "TrainingRun" and any(owner["uid"] in models for owner in found["metadata"].get("ownerReferences", [])):
                runs.add(found["metadata"]["uid"])
            if kind == "ModelRollout" and "weights" in found.get("status", {}):
                weights = found["status"]["weights"]
                assert sum(weights.values()) in (0, 100), f"I3: weights {weights}"
                opened[found["spec"]["version"]] = max(opened.get(found["spec"]["version"], 0),
                                                       100 if found["status"]["phase"] == "Succeeded" else weights["candidate"])
            if candidate and kind in ("HTTPRoute", "Service", "Pod") and model in world.objects["HTTPRoute"] and candidate in opened:
                self._check_route(world, model, opened)
            if kind == "Pod":
                ready[found["metadata"]["name"]] = found["metadata"]["labels"].get(VERSION)
            if kind in ("Deployment", "Service", "HTTPRoute", "HorizontalPodAutoscaler", "Job") and found["metadata"].get("labels", {}).items() >= MANAGED.items() and not world.removed:
                owners = found["metadata"].get("ownerReferences", [])
                if not owners and found["metadata"]["uid"] in adopted:
                    continue
                known = {*models, *runs} if kind == "Job" else models
                assert len(owners) == 1 and owners[0].get("controller") and owners[0]["uid"] in known, f"I4: {kind} {found['metadata']['name']} has owners {owners}"
            if kind == "HTTPRoute":
                for name, limited, weight, until in self.limits:
                    share = routed(world, name) if int(found["metadata"]["resourceVersion"]) <= until and not world.removed else {}
                    assert share.get(limited, 0) <= weight, f"I2: the route gives {share}, while no more than {weight} % had been opened"
            if kind == "EndpointSlice":
                for name, since in self.served.items():
                    found_there = int(found["metadata"]["resourceVersion"]) <= since or world.endpoints(name)
                    assert found_there, f"I3: Service {name} leads to nobody"
                for name, candidate, weight, until in self.limits:
                    share = world.endpoints(name)
                    if int(found["metadata"]["resourceVersion"]) <= until and share.get(candidate):
                        assert share[candidate] * 100 <= weight * sum(share.values()), f"I2: {share}, while no more than {weight} % had been opened"

    @staticmethod
    def _check_route(world, model, opened):
        share = routed(world, model)
        assert sum(share.values()) == 100, f"I3: the route's weights are {share}"
        for version, weight in share.items():
            assert weight <= opened.get(version, 0), f"I2: the route gives {share}, while {opened} had been opened"
            serving = [p for p in world.objects["Pod"].values() if p["metadata"].get("labels", {}).get(VERSION) == version
                       and any(c["type"] == "Ready" and c["status"] == "True" for c in p.get("status", {}).get("conditions", []))]
            assert serving, f"I3: the route gives {share}, but no pod of {version} is ready"

    @staticmethod
    def _check_traffic(world, model):
        traffic = model.get("status", {}).get("traffic") or []
        assert not traffic or sum(part["weight"] for part in traffic) == 100, f"I3: traffic {traffic}"
        for part in traffic:
            assert part["weight"] == 0 or part["version"] in world.objects["ModelVersion"], f"I3: traffic to {part['version']}, which is not there"

    def check_at_most_under_way(self, most):
        """So many ModelRollouts have not ended, at every moment."""
        for kind, world in self.replay():
            if kind == "ModelRollout":
                live = [name for name, r in world.objects["ModelRollout"].items() if r.get("status", {}).get("phase") not in OVER]
                assert len(live) <= most, f"{live} roll out at once, where {most} may: {world.last}"

    # ---- the end

    def digest(self, kube=None):
        """The end state with all that differs by nature named instead: times, UIDs, this namespace."""
        kube = kube or self.kube
        objects = {}
        for kind in WRITTEN:
            for found in kube.list(kind, self.namespace):
                found.get("status", {}).pop("audit", None)  # what was recorded when: a crash may make a decision again, or two of them at once
                objects[f"{kind}/{nameable(found)}"] = found
        objects.update({f"{kind}/{name}": kube.get(kind, name) for kind, name in self.beside})
        names = {found["metadata"]["uid"]: f"<uid of {key}>" for key, found in objects.items()}
        drawn = {found["metadata"]["name"]: nameable(found) for _, kind, _, found in self.events if kind in ("Job", "ModelRollout")}

        def name_of(text):
            text = UID.sub(lambda m: names.get(m[0], "<uid>"), TIME.sub("<time>", text))
            for name, same in drawn.items():   # those that are gone, too: messages name them
                text = text.replace(name, same)
            return text.replace(self.namespace, "<namespace>")

        def normal(value):
            if isinstance(value, dict):
                # Nothing stays of annotations that only had stamps.
                return {key: normal(entry) for key, entry in value.items() if key not in STAMPS and not (key == "annotations" and entry.keys() <= STAMPS)}
            if isinstance(value, list):
                return [normal(entry) for entry in value]
            return name_of(value) if isinstance(value, str) else value
        return {name_of(key): normal(found) for key, found in objects.items() if key != "ConfigMap/kube-root-ca.crt"}


def nameable(found):
    """An object's name without what follows from a UID and a time: a gate's Jobs are named after when they measure, so all of one gate's are counted together,
    and a runtime's ModelRollouts after the runtime that has changed."""
    name, labels = found["metadata"]["name"], found["metadata"].get("labels", {})
    drawn = GATE_OF in labels or labels.get(ORIGIN) == "runtime"
    return f"{name.rpartition('-')[0]}-<drawn>" if drawn else name


def routed(world, model):
    """{version: weight} by the Model's HTTPRoute and the Services that it names."""
    share = {}
    for backend in world.objects["HTTPRoute"][model]["spec"]["rules"][0]["backendRefs"]:
        if backend["weight"]:
            service = world.objects["Service"].get(backend["name"])
            version = service["spec"]["selector"].get(VERSION, "all") if service else f"no Service {backend['name']}"
            share[version] = share.get(version, 0) + backend["weight"]
    return share


def flat(value, path=""):
    """{path: leaf} of a nested value; lists of conditions go by type."""
    if isinstance(value, dict) and value:
        return {p: leaf for key, entry in value.items() for p, leaf in flat(entry, f"{path}.{key}").items()}
    if isinstance(value, list) and value:
        keys = [entry.get("type") or entry.get("name") if isinstance(entry, dict) else None for entry in value]
        keys = keys if all(keys) and len(set(keys)) == len(keys) else range(len(value))
        return {p: leaf for key, entry in zip(keys, value) for p, leaf in flat(entry, f"{path}[{key}]").items()}
    return {path: value}


def differences(one, other):
    """The paths at which two digests differ, with both values."""
    one, other = flat(one), flat(other)
    return {path: (one.get(path, "nothing"), other.get(path, "nothing")) for path in sorted(one.keys() | other.keys())
            if one.get(path, "nothing") != other.get(path, "nothing")}
