"""API servers that lag behind, and one that came back from a backup: on a cluster of their own, since they are nobody else's."""

import contextlib
import fcntl
import subprocess

import settings
import world as worlds
from case import TINY_RUNTIME
from kube import Kube
from proxy import Match, rewrite_events
from rows import own_row
from scenarios import at_a_quarter

RIG = worlds.STALE_RIG


def rig(*arguments):
    done = subprocess.run([str(settings.RIG_PROGRAM), arguments[0], "--dir", str(RIG), *arguments[1:]], capture_output=True, text=True)
    assert done.returncode == 0, f"rig {' '.join(arguments)}: {done.stdout}{done.stderr}"


def link(number):
    """USR1: the second API server's caches stand still; USR2: no longer. STOP, CONT: so does all it has of etcd."""
    rig("signal", "etcd-relay", number)


@contextlib.contextmanager
def on_the_stale_rig(outer, case):
    """A World there, one at a time. What it does counts for the run's own."""
    settings.STATE.mkdir(parents=True, exist_ok=True)
    with open(settings.STATE / "stale.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rig("up", "--node", "fake", "--bare", "--second-apiserver")
        kube = Kube(RIG / "kubeconfig")
        kube.install_crds()
        kube.apply_folder("manifests", skip=("Deployment", "CustomResourceDefinition"))
        kube.apply(TINY_RUNTIME)
        try:
            with worlds.World(kube, case.client, f"{case.seed}/{case.id}", f"chaos-{case.row}") as world:
                world.patience = 2
                try:
                    yield world
                except BaseException as error:
                    raise AssertionError(f"{error}\n{world.report()}") from error
                finally:
                    outer.fault(world.injected())
        finally:
            link("CONT")
            link("USR2")


def of_cache(name, world):
    """Whether the second API server's cache has the ModelVersion."""
    found = Kube(RIG / "second.kubeconfig")._call("GET", world.kube.path("ModelVersion", None, world.namespace), query={"resourceVersion": "0"})
    return name in {item["metadata"]["name"] for item in found["items"]}


def promoted(world):
    world.prometheus.values["accuracy of m-v2"] = "0.95"
    world.ready(version="m-v2")
    world.served_by({"m-v2": 3})
    world.gone("Deployment", "m-v1")


def frozen(world, how):
    """From here on the operator's reads go to the second API server, whose caches stand still now."""
    world.until(lambda: of_cache("m-v2", world), "the second API server is there, too")
    link(how)
    world.fault()
    world.proxy.freeze_upstream(RIG / "second.kubeconfig")


def thawed(world, how):
    link({"USR1": "USR2", "STOP": "CONT"}[how])


def kept(world, what):
    """What must not be touched by somebody who sees the past."""
    return {f"{kind}/{o['metadata']['name']}": (o["metadata"]["uid"], o["metadata"].get("generation")) for kind in what for o in world.all(kind)}


HOW = ("USR1", "STOP")


@own_row(7, "restart against an API server whose watch cache is frozen: nothing destructive", points=4, short=(1,))
def restart_stale(world, case):
    """While m-v2 was promoted the second API server saw a quarter for m-v2. The operator is born anew with that behind it."""
    how = HOW[(case.n - 1) // 2]
    with on_the_stale_rig(world, case) as world:
        at_a_quarter(world)
        frozen(world, how)
        promoted(world)   # the operator's watches are still those of the first API server
        world.settled()
        before, written = kept(world, ("Model", "ModelVersion", "ModelRollout", "Deployment", "Service")), len(world.proxy.exchanges)
        assert of_cache("m-v2", world)
        world.crash()
        if how == "USR1":   # it can list what etcd says, and gets no events; what it decides must be of today
            world.until(lambda: world.operator.ready(), "it has listed, past the cache", timeout=90)
            world.until(lambda: world.operator.reconciles() > 0, "it has looked")
            lists = [e for e in world.proxy.exchanges[written:] if e.verb == "list" and e.code == 200]
            assert {"deployments", "pods"} <= {e.resource for e in lists}, "the WatchLists of a frozen cache were not given up"
        else:               # nothing can be read that is not old
            world.until(lambda: [e for e in world.proxy.exchanges[written:] if e.verb == "watch" and e.resource == "models"], "it asks")
            world.until(lambda: world.operator.http(world.operator.health_port, "/readyz")[0] == 503, "it is not ready")
        assert not any(e.query.get("resourceVersion") == "0" for e in world.proxy.exchanges), "it takes any cache's past"
        assert not world.proxy.writes(since=written), "it wrote:\n" + "\n".join(map(str, world.proxy.writes(since=written)))
        assert kept(world, ("Model", "ModelVersion", "ModelRollout", "Deployment", "Service")) == before
        thawed(world, how)
        world.patience = 3
        world.until(lambda: world.operator.ready(), "it is ready")
        world.version("m-v3")
        world.prometheus.values["accuracy of m-v3"] = "0.95"
        world.move("m-v3")
        world.ready(version="m-v3")
        world.gone("Deployment", "m-v2")
        world.settled()
        made = world.observer.made()
        assert made["Deployment/m-v2"] == [1, 1] and made["Deployment/m-v3"] == [1, 0] and made["Service/m"] == [1, 0], made
        world.check()


@own_row(8, "reconnect to an API server whose watch cache is frozen: no time travel", points=4, short=(1,), long=True)
def reconnect_stale(world, case):
    """The same, but the operator lives and knows more than the API server that answers now."""
    how = HOW[(case.n - 1) // 2]
    with on_the_stale_rig(world, case) as world:
        at_a_quarter(world)
        frozen(world, how)
        promoted(world)
        world.settled()
        before, written = kept(world, ("Model", "ModelVersion", "ModelRollout", "Deployment", "Service")), len(world.proxy.exchanges)
        world.proxy.cut(verb="watch")
        asked = ("list", "watch") if how == "STOP" else ("watch",)
        world.until(lambda: {e.resource for e in world.proxy.exchanges[written:] if e.verb in asked} >= {"models", "pods", "deployments"}, "it comes to the other")
        # What people do meanwhile is written through the first, and cannot be seen.
        world.version("m-v3")
        world.prometheus.values["accuracy of m-v3"] = "0.95"
        world.move("m-v3")
        if how == "STOP":
            world.until(lambda: not world.operator.ready(), "it says that it sees nothing", timeout=140)
        assert not world.proxy.writes(since=written), "it wrote:\n" + "\n".join(map(str, world.proxy.writes(since=written)))
        now = kept(world, ("ModelRollout", "Deployment", "Service"))
        assert now == {key: value for key, value in before.items() if key in now}
        thawed(world, how)
        world.patience = 3
        world.ready(version="m-v3")
        world.served_by({"m-v3": 3})
        world.gone("Deployment", "m-v2")
        world.settled()
        made = world.observer.made()
        assert made["Deployment/m-v1"] == [1, 1] and made["Deployment/m-v2"] == [1, 1] and made["Service/m"] == [1, 0], made
        world.check()


@own_row(41, "etcd restored to an older revision: it ends, and everything is read anew", points=2, short=(1,))
def restored(world, case):
    """Of one kind it notices; of the others nothing may tell any more. Once it took the rollouts of the lost future for those of today, since the restored
    cluster had counted past them. (Where it has past all that the operator saw no number shows it any more: the revision of a restored etcd is to be bumped, as Kubernetes says, and then it is a 410.)"""
    with on_the_stale_rig(world, case) as world:
        world.serve("m-v1", replicas=2)
        world.version("m-v2")
        world.settled()
        rig("save-etcd", "before")
        # After the backup: another version serves, there is another Model, and what was there is gone.
        world.move("m-v2")
        world.ready(version="m-v2")
        world.serve("n-v1", "n", replicas=1)
        world.settled()
        for n in range(600):
            world.configmap("filler", n=str(n))
        world.observer._stopping = True     # its history ends here: what comes now happened before
        listed = len(world.proxy.exchanges)
        rig("restore-etcd", "before")
        world.fault()
        assert world.find("Model", "n") is None and world.get()["spec"]["version"] == "m-v1"
        world.patience = 3
        code = world.until(lambda: world.operator.process.poll() is not None and [world.operator.process.returncode], "it notices, and ends")
        assert code == [1] and "went back in time" in world.operator.tail(), world.operator.tail()
        world.restart()
        world.served_by({"m-v1": 2})
        world.ready(version="m-v1")
        world.gone("Deployment", "m-v2")
        assert not world.all("Deployment", {"modelops.dev/model": "n"}), "something of a Model that never was"
        world.version("n-v9", model="n")
        world.model("n", version="n-v9", replicas=1)
        world.ready("n", "n-v9")
        world.move("m-v2")
        world.ready(version="m-v2")
        world.served_by({"m-v2": 2})
        world.settled()
        anew = lambda: {e.resource for e in world.proxy.exchanges[listed:] if e.verb == "watch" and "sendInitialEvents" in e.query and e.code == 200}
        world.until(lambda: anew() >= {"models", "modelversions", "modelrollouts", "deployments", "services", "httproutes", "endpointslices", "horizontalpodautoscalers", "pods", "jobs", "configmaps"}, "everything is read anew")
        assert world.operator.running() and world.operator.end() == 0


# ---- 10

@own_row(10, "a Model deleted and made again, and the old one's deletion replayed: the new one is untouched", points=4, short=(1, 3))
def replayed_deletion(world, case):
    """As events of a running watch; n 3, 4: as what a stale API server lists to an operator that starts."""
    world.serve("m-v1", replicas=2)
    world.settled()
    world.kube.delete("Model", "m", world.namespace, propagation="Foreground")
    world.gone("Model", "m")
    for kind in ("Deployment", "Service", "Pod"):
        world.until(lambda k=kind: not world.all(k), f"no {kind} is left")
    world.model(version="m-v1", replicas=2)
    world.ready(version="m-v1")
    world.served_by({"m-v1": 2})
    world.settled()
    ends = [(kind, removed, found) for _, kind, removed, found in list(world.observer.events)
            if kind in ("Model", "Deployment", "Service", "Pod") and (removed or "deletionTimestamp" in found["metadata"]) and found["metadata"]["name"] != "bystander"]
    old = next(found for kind, removed, found in ends if kind == "Model" and not removed and "deletionTimestamp" in found["metadata"])
    new = {f"{kind}/{o['metadata']['name']}": o["metadata"]["uid"] for kind in ("Model", "Deployment", "Service", "Pod") for o in world.all(kind)}
    assert old["metadata"]["uid"] != new["Model/m"]
    quiet = len(world.proxy.exchanges)
    plural = {"Model": "models", "Deployment": "deployments", "Service": "services", "Pod": "pods"}
    if case.n <= 2:
        for kind, removed, found in ends:
            event = {"type": "DELETED" if removed else "MODIFIED", "object": found}
            world.fault(world.proxy.inject(event, verb="watch", resource=plural[kind]))
        world.settled()
    else:
        stale = world.rule(Match(verb="watch", resource="models"), rewrite_events(lambda event: {**event, "object": old} if event["type"] in ("ADDED", "MODIFIED") and event["object"]["metadata"]["name"] == "m"
                                                                                                else event))
        world.crash()
        world.until(lambda: stale.hits and world.operator.ready(), "it has read the old one")
        world.until(lambda: world.operator.reconciles() > 0, "it has looked")
        stale.remove()
        world.proxy.cut(verb="watch", resource="models")
        world.kube.patch("Model", "m", {"metadata": {"annotations": {"chaos/nudge": "x"}}}, world.namespace)
        world.settled()
    tried = world.proxy.writes(since=quiet)
    assert not tried, "it believed what is long over:\n" + "\n".join(map(str, tried))
    assert new == {f"{kind}/{o['metadata']['name']}": o["metadata"]["uid"]
                   for kind in ("Model", "Deployment", "Service", "Pod") for o in world.all(kind)}, "something was made anew"
    world.ready(version="m-v1")
    world.served_by({"m-v1": 2})
    made = world.observer.made()
    assert made["Deployment/m-v1"] == [2, 1] and made["Service/m"] == [2, 1], made
    world.check()
