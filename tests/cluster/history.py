"""Everything that happened to a Model, event by event, in the order in which the API server stored it.

resourceVersions of one etcd order the events of all kinds, so that a replay knows what each object said at every moment. `check` holds the rules
that are about moments rather than ends: how much traffic a version got, and with which gates passed."""

import http.client
import json
import math
import threading
import time

KINDS = ("EndpointSlice", "ModelRollout", "Model", "Pod", "Deployment", "Service")
VERSION = "modelops.dev/version"


class History:
    kinds = KINDS

    def __init__(self, kube, namespace):
        self.kube, self.namespace = kube, namespace
        self.named_by = VERSION   # the label of pods that tells the sides of a rollout apart
        self.events = []   # (resourceVersion, kind, removed, object)
        self.failure = None
        self.news = threading.Condition()   # told of each event
        self._stopping = False
        self._streams = []
        self._threads = []

    def __enter__(self):
        for kind in self.kinds:
            listed = self.kube._call("GET", self.kube.path(kind, None, self.namespace))
            for item in listed["items"]:
                self.events.append((int(item["metadata"]["resourceVersion"]), kind, False, item))
            thread = threading.Thread(target=self._watch, args=(kind, listed["metadata"]["resourceVersion"]), daemon=True)
            thread.start()
            self._threads.append(thread)
        with self.news:
            self.news.notify_all()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Waits until all that is stored by now has been seen."""
        if self._stopping:
            return
        newest = {kind: max([int(item["metadata"]["resourceVersion"]) for item in self.kube.list(kind, self.namespace)], default=0) for kind in self.kinds}
        deadline = time.monotonic() + 20
        while any(self._seen(kind) < rv for kind, rv in newest.items()):
            assert not self.failure, self.failure
            assert time.monotonic() < deadline, "the watches did not catch up"
            time.sleep(0.02)
        self._stopping = True
        for connection in self._streams:
            try:
                connection.sock.shutdown(2)
            except (OSError, AttributeError):
                pass

    def _seen(self, kind):
        return max([rv for rv, k, _, _ in list(self.events) if k == kind], default=0)

    def _watch(self, kind, rv):
        kube = self.kube
        connection = http.client.HTTPSConnection(kube._server.hostname, kube._server.port, context=kube._tls, timeout=7200)   # some faults are long silences
        self._streams.append(connection)
        try:
            connection.request("GET", kube.path(kind, None, self.namespace) + f"?watch=1&resourceVersion={rv}", headers=kube._headers)
            stream = connection.getresponse()
            for line in stream:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise RuntimeError(event["object"])
                found = event["object"]
                with self.news:
                    self.events.append((int(found["metadata"]["resourceVersion"]), kind, event["type"] == "DELETED", found))
                    self.news.notify_all()
            if not self._stopping:
                raise RuntimeError("the API server ended the watch")
        except Exception as error:  # noqa: BLE001 - whatever it is, the test has to know
            if not self._stopping:
                self.failure = f"watch of {kind}: {error!r}"

    def pauses(self, least=0.1, most=0.5):
        """For Kube.wait_for: who waits looks again when something has happened, and once in a while all the same, for what is not watched."""
        seen = len(self.events)

        def pause():
            nonlocal seen
            time.sleep(least)
            with self.news:
                self.news.wait_for(lambda: len(self.events) != seen, most - least)
                seen = len(self.events)
        return pause

    def replay(self):
        """After each event: (kind of the event, {kind: {name: object}})."""
        self.stop()
        assert not self.failure, self.failure
        world = {kind: {} for kind in self.kinds}
        # Of every pod of this history: endpoints may name one that is gone a moment longer, and when the listing began one that has been written since.
        versions = {found["metadata"]["name"]: found["metadata"].get("labels", {}).get(self.named_by) for _, kind, _, found in self.events if kind == "Pod"}
        for _, kind, removed, found in sorted(self.events, key=lambda event: event[0]):
            name = found["metadata"]["name"]
            if removed:
                world[kind].pop(name, None)
            else:
                world[kind][name] = found
            yield kind, World(world, versions, kind, found, removed)

    # ---- what a test asks

    def shares(self, model):
        """The different divisions of endpoints in order: [{version: ready endpoints}]."""
        seen = []
        for kind, world in self.replay():
            if kind == "EndpointSlice":
                share = world.endpoints(model)
                if not seen or seen[-1] != share:
                    seen.append(share)
        return seen

    def weights(self, rollout):
        """The candidate's weights as status had them, in order."""
        seen = []
        for kind, world in self.replay():
            status = world.status("ModelRollout", rollout)
            if kind == "ModelRollout" and "weights" in status and (not seen or seen[-1] != status["weights"]["candidate"]):
                seen.append(status["weights"]["candidate"])
        return seen

    def phases(self, rollout):
        seen = []
        for kind, world in self.replay():
            phase = world.status("ModelRollout", rollout).get("phase")
            if kind == "ModelRollout" and phase and (not seen or seen[-1] != phase):
                seen.append(phase)
        return seen

    def served(self, model):
        """Every version that ever had an endpoint that takes traffic."""
        return {version for share in self.shares(model) for version in share}

    def check(self, model, stable, candidate, replicas, version=None):
        """Rules 5 and 6 of the API after every event, for one rollout from `stable` to `candidate`, sides as `named_by` tells them, to `version` (`candidate`)."""
        trail = []   # what came last before something was wrong
        try:
            self._check(model, stable, candidate, replicas, version or candidate, trail)
        except AssertionError as error:
            raise AssertionError(f"{error}\nafter:\n" + "\n".join(trail[-40:])) from None

    def _check(self, model, stable, candidate, replicas, version, trail):
        had_traffic = False
        open_weight = 0   # what the rollout's status has allowed so far
        for kind, world in self.replay():
            trail.append(world.last)
            rollouts = [r for r in world.objects["ModelRollout"].values()
                        if r["spec"]["modelRef"]["name"] == model and r["spec"]["version"] == version and "weights" in r.get("status", {})]
            for rollout in rollouts:
                weight = rollout["status"]["weights"]["candidate"]
                if rollout["status"]["phase"] == "Succeeded":
                    weight = 100
                self._check_gates(rollout, weight)
                if weight:
                    open_weight = weight
            if kind != "EndpointSlice" or model not in world.objects["Model"]:
                continue
            share = world.endpoints(model)
            assert set(share) <= {stable, candidate}, f"endpoints of {share}"
            total, given = sum(share.values()), share.get(candidate, 0)
            if given:
                assert given * 100 <= open_weight * total, f"{candidate} got {given} of {total} endpoints at weight {open_weight}"
            if share.get(stable) and given:
                needed = math.ceil(replicas * (100 - open_weight) / 100)
                assert share[stable] >= needed, f"stable has {share[stable]} endpoints at weight {open_weight}, needs {needed}"
            if stable and given == 0 and stable not in share:
                assert not had_traffic, "traffic went to nobody"
            had_traffic = bool(share)

    @staticmethod
    def _check_gates(rollout, weight):
        """No weight of a step behind gates that did not pass; promotion by a person aside."""
        status = rollout["status"]
        if rollout["spec"].get("desiredState") == "Promoted" or status["phase"] not in ("Progressing", "Paused") or status.get("ending"):
            return
        steps = status.get("policy", {}).get("steps", [])
        passed = {gate["name"] for gate in status.get("gates", []) if gate["verdict"] == "Passed"}
        allowed = 0
        for index, step in enumerate(steps, 1):
            if "gates" in step and not set(step["gates"]) <= passed and index >= status["step"]["index"]:
                break
            if "weight" in step:
                allowed = step["weight"]
        else:
            allowed = 100
        assert weight <= allowed, f"weight {weight} at step {status['step']}, while gates allow {allowed}: {status.get('gates')}"


class World:
    """All objects after an event, which was about `found`."""

    def __init__(self, objects, versions, kind, found, removed):
        self.objects, self.versions, self.kind, self.found, self.removed = objects, versions, kind, found, removed

    @property
    def last(self):
        return brief(self.kind, self.removed, self.found)

    def status(self, kind, name):
        return self.objects[kind].get(name, {}).get("status", {})

    def endpoints(self, service):
        """{version: endpoints that take traffic}"""
        return endpoints(self.objects["EndpointSlice"].values(), self.versions, service)


def brief(kind, removed, found):
    """One event on one line."""
    status = found.get("status", {})
    what = {"EndpointSlice": lambda: [(e["targetRef"]["name"], e["conditions"].get("ready")) for e in found.get("endpoints") or []],
            "ModelRollout": lambda: [status.get(field) for field in ("phase", "stepSummary", "weights", "message")],
            "Model": lambda: [status.get(field) for field in ("phase", "ready", "trafficSummary", "message")],
            "Deployment": lambda: [found["spec"]["replicas"], {k: v for k, v in status.items() if k.endswith("eplicas")}],
            "Service": lambda: found["spec"]["selector"],
            "Pod": lambda: [status.get("phase"), "ending" if "deletionTimestamp" in found["metadata"] else ""]}.get(kind, lambda: "")()
    return f"{found['metadata']['resourceVersion']} {'gone: ' if removed else ''}{kind} {found['metadata']['name']}: {what}"


def endpoints(slices, versions, service):
    share = {}
    for part in slices:
        if part["metadata"]["labels"].get("kubernetes.io/service-name") != service:
            continue
        for endpoint in part.get("endpoints") or []:
            if endpoint["conditions"].get("ready"):
                version = versions.get(endpoint["targetRef"]["name"]) or "unknown pod " + endpoint["targetRef"]["name"]
                share[version] = share.get(version, 0) + 1
    return share
