"""Poisoned objects, foreign hands, deletions of whole neighbourhoods."""

from case import condition
from proxy import Match, rewrite_events
from rows import own_row

# What a schema stops today may be stored from before it, or come from a newer one: each is put into the events of Model "poison" alone.
POISONS = (
    lambda model: model.update(spec="lots"),
    lambda model: model["spec"].update(serving={"replicas": "many"}),
    lambda model: model["spec"].update(serving={"replicas": -2147483649}),
    lambda model: model["spec"].update(rollout={"steps": [{"weight": "all"}], "gates": {"not": "a list"}}),
    lambda model: model.update(status={"intent": 7, "conditions": "none", "traffic": [{"weight": "x"}], "retraining": []}),
    lambda model: model["metadata"].update(annotations={"x\u0000": "\U0001f600" * 4000}),
    lambda model: model["metadata"].update(uid=None, resourceVersion="not a number"),
    lambda model: model["spec"].update(retraining={"triggers": [{"name": "t", "schedule": {"cron": "* * * * * * *", "timeZone": "Mars/Olympus"}}], "template": []}),
    lambda model: model["metadata"].update(name=7),
    lambda model: model.update(metadata="none"),
)


@own_row(39, "poisoned objects in the watch: other Models go on", points=len(POISONS), short=(1, 9))
def poisoned(world, case):
    def poison(event):
        if event["object"].get("metadata", {}).get("name") == "poison":
            POISONS[case.n - 1](event["object"])
        return event
    world.rule(Match(verb="watch", resource="models"), rewrite_events(poison))
    world.version("poison-v1", model="poison")
    world.model("poison", version="poison-v1", replicas=1)
    world.serve("m-v1", replicas=1)
    world.version("m-v2")
    world.move("m-v2")
    world.ready(version="m-v2")
    world.served_by({"m-v2": 1})
    assert world.operator.running() and world.operator.http(world.operator.health_port, "/healthz")[0] == 200


@own_row(39, "poisoned annotations and labels on what is ours: put right or left, never a stop", points=4, short=(1,))
def poisoned_annotations(world, case):
    world.serve("m-v1", replicas=1)
    world.settled()
    kind, name = (("Deployment", "m-v1"), ("Service", "m"), ("ModelVersion", "m-v1"), ("Model", "m"))[case.n - 1]
    junk = {"modelops.dev/applied": "\U0001f600" * 1000, "modelops.dev/x": "y" * 100000}
    world.kube.patch(kind, name, {"metadata": {"annotations": junk}}, world.namespace)
    world.fault()
    world.version("m-v2")
    world.move("m-v2")
    world.ready(version="m-v2")
    world.served_by({"m-v2": 1})
    world.settled()
    world.check()


@own_row(40, "foreground deletion of a Model in the middle of a canary", points=2, short=(1,))
def foreground(world, case):
    from scenarios import CANARY
    world.serve("m-v1", **CANARY)
    world.version("m-v2")
    world.settled()
    world.move("m-v2")
    world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
    world.kube.delete("Model", "m", world.namespace, propagation="Foreground")
    world.fault()
    world.gone("Model", "m")
    for kind in ("Deployment", "Service", "ModelRollout", "Pod"):
        world.until(lambda k=kind: not world.all(k), f"no {kind} is left")
    world.settled()
    made = world.observer.made()
    assert all(made[key] == [1, 1] for key in ("Deployment/m-v1", "Deployment/m-v2", "Service/m")), made
    world.check()


@own_row(40, "the whole namespace is deleted", points=2, short=(1,))
def namespace_deleted(world, case):
    """Its namespace says no to every create: that is tried with backoff, and nothing is left; the operator lives."""
    world.serve("m-v1", replicas=2)
    world.version("m-v2")
    world.move("m-v2")
    world.rollout_of("m-v2")
    began = len(world.proxy.exchanges)
    world.patience = 4   # the namespaces of other runs are on their way out before it
    world.kube.delete("Namespace", world.namespace)
    world.fault()
    world.until(lambda: not world.find("Namespace", world.namespace), "the namespace is gone")
    assert world.operator.running(), "the operator ended"
    tried = [e for e in world.proxy.writes(since=began) if e.code and e.code >= 400]
    assert len(tried) < 60, f"{len(tried)} refused writes into a namespace that ends"


@own_row(40, "manual edits and a foreign owner on what is ours", points=3, short=(2,))
def foreign_hands(world, case):
    world.serve("m-v1", replicas=2)
    world.settled()
    if case.n == 1:     # hands that come back each time
        for replicas in (5, 0, 7):
            world.kube.patch("Deployment", "m-v1", {"spec": {"replicas": replicas}}, world.namespace)
            world.fault()
            world.until(lambda: world.get("Deployment", "m-v1")["spec"]["replicas"] == 2, "the size is put right")
    elif case.n == 2:   # a second owner
        other = world.configmap("owner", a="b")["metadata"]
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": other["uid"]}
        owners = world.get("Deployment", "m-v1")["metadata"]["ownerReferences"]
        world.kube.patch("Deployment", "m-v1", {"metadata": {"ownerReferences": [*owners, owner]}}, world.namespace)
        world.fault()
        world.settled()
        assert owner.items() <= next(o for o in world.get("Deployment", "m-v1")["metadata"]["ownerReferences"] if o["kind"] == "ConfigMap").items()
        world.kube.patch("Deployment", "m-v1", {"metadata": {"ownerReferences": owners}}, world.namespace)
    else:               # its own owner taken away
        world.kube.patch("Service", "m", {"metadata": {"ownerReferences": []}}, world.namespace)
        world.fault()
        world.until(lambda: condition(world.get(), "Stalled")["status"] == "True" or world.get("Service", "m")["metadata"].get("ownerReferences"),
                    "it takes it back, or says that it is somebody else's")
        world.kube.delete("Service", "m", world.namespace)
    world.ready(version="m-v1")
    world.served_by({"m-v1": 2})
