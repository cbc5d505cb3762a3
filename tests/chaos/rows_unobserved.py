"""What the operator sees late, twice, or never: own writes, changes that were taken back, deletions, Jobs that are gone."""

import json



from proxy import Match, answer, late, rewrite_events, status
from rows import own_row, scenario_row
from scenarios import CANARY, Retraining, ask


def no_conflict_with_itself(world, case):
    """Where nobody else writes, each write goes out from what the one before it was answered."""
    refused = [str(e) for e in world.proxy.writes() if e.stored == 409]
    assert case.scenario != "first" or not refused, "written from what is outdated:\n" + "\n".join(refused)


@scenario_row(9, "own writes seen 3 s late", on=("first", "canary", "rollback", "route", "bluegreen", "config", "retraining"), points=2, short=(("first", 1),), disarm=no_conflict_with_itself)
def late_events(world, case):
    world.patience = 3
    world.rule(Match(verb="watch"), late(3))


@scenario_row(9, "own writes seen 10 s late", on=("first", "canary"), points=2, short=(), disarm=no_conflict_with_itself)
def very_late_events(world, case):
    world.patience = 5
    world.rule(Match(verb="watch", resource=("models", "modelversions", "modelrollouts", "deployments", "services", "jobs")), late(10))


@own_row(11, "a Model made again while its old Deployment and Service seem to be there", points=2, short=(1,))
def stale_kin(world, case):
    """Their deletion is hidden until the watches are renewed."""
    world.serve("m-v1", replicas=2)
    world.settled()
    old = world.get("Deployment", "m-v1")["metadata"]["uid"]
    hidden = world.rule(Match(verb="watch", resource=("deployments", "services")), rewrite_events(lambda event: None))
    world.kube.delete("Model", "m", world.namespace)
    for kind in ("Model", "Deployment", "Service"):
        world.until(lambda k=kind: not world.all(k), f"no {kind} is left")
    world.model(version="m-v1", replicas=2)
    world.until(lambda: world.status()["phase"], "the new Model is looked at")
    if case.n == 1:   # what the old Model owned is not the new one's, whether or not it seems to be there
        world.until(lambda: world.find("Deployment", "m-v1") and world.find("Service", "m"), "the new Model has its own")
    hidden.remove()
    world.fault(world.proxy.cut(verb="watch"))
    world.ready(version="m-v1")
    world.served_by({"m-v1": 2})
    assert world.get("Deployment", "m-v1")["metadata"]["uid"] != old
    assert world.observer.made()["Deployment/m-v1"] == [2, 1]
    world.check()


@own_row(13, "spec A→B→A hidden from the watch", points=4, short=(1, 2))
def there_and_back(world, case):
    world.serve("m-v1", **CANARY)
    world.version("m-v2")
    world.settled()
    hidden = world.rule(Match(verb="watch", resource="models"), rewrite_events(lambda event: None if event["type"] == "MODIFIED" else event))
    if case.n % 2 == 0:   # B was seen and is under way; that it was taken back is not
        hidden.remove()
        world.move("m-v2")
        world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
        hidden = world.rule(Match(verb="watch", resource="models"), rewrite_events(lambda event: None if event["type"] == "MODIFIED" else event))
        world.observer.no_more_until_now("m", "m-v2", 25)
    else:
        world.move("m-v2")
    world.move("m-v1")
    wanted = world.get()["metadata"]["generation"]
    world.until(lambda: hidden.hits >= 1, "it was hidden")
    hidden.remove()
    world.fault(world.proxy.cut(verb="watch", resource="models"))
    world.until(lambda: world.status()["observedGeneration"] == wanted, "the spec was seen")
    world.ready(version="m-v1")
    world.served_by({"m-v1": 3})
    world.gone("Deployment", "m-v2")
    world.settled()
    if case.n % 2:   # a read of the operator's own may have shown B: then its rollout is superseded before it has a pod
        assert "Deployment/m-v2" not in world.observer.made(), "what nobody saw was rolled out"
        assert all(r["status"]["phase"] == "Superseded" for r in world.all("ModelRollout")), world.all("ModelRollout")
    world.check(("m-v1", "m-v2", 3))


@own_row(14, "a word given and taken back, both hidden", points=2, short=(1,))
def promoted_and_taken_back(world, case):
    """The strongest word beside an approval is Promoted."""
    world.serve("m-v1", **CANARY)
    world.version("m-v2")
    world.settled()
    world.move("m-v2")
    rollout = world.rollout_of("m-v2")
    world.at_step(rollout, 3)
    world.steer(rollout, "Paused")
    world.phase(rollout, "Paused")
    hidden = world.rule(Match(verb="watch", resource="modelrollouts"), rewrite_events(lambda event: None))
    world.steer(rollout, "Promoted")
    world.steer(rollout, "Paused")
    world.until(lambda: hidden.hits >= 2, "both were hidden")
    hidden.remove()
    world.proxy.cut(verb="watch", resource="modelrollouts")
    world.settled()
    world.observer.no_more_until_now("m", "m-v2", 25)
    assert world.mro(rollout)["phase"] == "Paused" and world.endpoints() == {"m-v1": 3, "m-v2": 1}
    world.prometheus.values["accuracy of m-v2"] = "0.95"
    world.steer(rollout, "Running")
    world.ready(version="m-v2")
    world.check(("m-v1", "m-v2", 3))


GONE = ("Deployment", "Service", "Model", "ModelRollout")


@own_row(15, "deleted while disconnected", points=8, short=(1, 6))
def deleted_while_disconnected(world, case):
    """In the middle of a canary; no read gets through meanwhile. From the fifth on the history is gone too, so that only lists tell."""
    world.serve("m-v1", **CANARY)
    world.version("m-v2")
    world.settled()
    world.move("m-v2")
    world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
    rollout = world.rollout_of("m-v2")
    world.at_step(rollout, 3)
    closed = world.rule(Match(verb=("watch", "list", "get")), answer(503, status(503)))
    world.proxy.cut(verb="watch")
    kind = GONE[case.n % len(GONE)]
    name = {"Deployment": "m-v2", "Service": "m", "Model": "m", "ModelRollout": rollout}[kind]
    world.kube.delete(kind, name, world.namespace)
    world.gone(kind, name)
    world.until(lambda: not world.operator.ready() or closed.hits > 4, "it has noticed")
    if case.n > len(GONE):
        world.rule(Match(verb="watch", times=8, predicate=lambda request: "sendInitialEvents" not in request.query), answer(410, status(410)))
    closed.remove()
    if kind == "Model":
        for left in ("Deployment", "Service", "ModelRollout"):
            world.until(lambda k=left: not world.all(k), f"no {left} is left")
        return world.check()
    world.prometheus.values["accuracy of m-v2"] = "0.95"
    if kind == "ModelRollout":   # that aborts it, and it is not made again
        world.until(lambda: world.status()["intent"].get("reason") == "RolloutDeleted" and world.status()["phase"] == "Degraded", "it is aborted")
        world.served_by({"m-v1": 3})
        world.settled()
        assert world.observer.made()[f"{kind}/{name}"] == [1, 1]
        return world.check()
    world.ready(version="m-v2")
    world.served_by({"m-v2": 3})
    world.settled()
    made = world.observer.made()
    assert made[f"{kind}/{name}"] == [2, 1], made
    # A Service that is gone takes its endpoints with it.
    world.check(None if kind == "Service" else ("m-v1", "m-v2", 3))


@own_row(16, "a Job removed before its result was seen: not a pass", points=4, short=(1, 2))
def job_gone(world, case):
    scenario = Retraining()
    scenario.prepare(world)
    ask(world)
    world.until(lambda: world.status("TrainingRun", "m-run-000001")["trials"][0]["job"]["uid"], "the Job is known")
    if case.n % 2:
        hidden = world.rule(Match(verb="watch", resource=("jobs", "pods")), rewrite_events(lambda event: None))
    else:
        world.kill()
        world.fault()
    world.end_job("m-run-000001-train", world.document)
    world.kube.delete("Job", "m-run-000001-train", world.namespace)
    world.gone("Job", "m-run-000001-train")
    if case.n % 2:
        hidden.remove()
        world.proxy.cut(verb="watch")
    else:
        world.restart()
    result = world.until(lambda: "run" not in world.status()["retraining"] and world.status()["retraining"]["lastResult"], "the run is closed")
    assert result.startswith("Failed") and "m-run-000001-train" in result, result
    world.ready(version="m-v1")
    assert world.find("ModelVersion", scenario.made) is None
    world.settled()
    assert world.observer.made()["Job/m-run-000001-train"] == [1, 1], "the run was made twice"
    world.check(scenario.traffic)


@scenario_row(17, "every event delivered twice", points=2, short=(("canary", 1),))
def twice(world, case):
    world.rule(Match(verb="watch"), rewrite_events(lambda event: [event, json.loads(json.dumps(event))]))


@scenario_row(17, "every event again after the next one of its object", points=2, short=(("canary", 1), ("retraining", 2)))
def again_later(world, case):
    """As a cache that replays: what is old has to be known as old."""
    last = {}

    def again(event):
        key = (event["object"]["kind"], event["object"]["metadata"].get("name"))
        before, last[key] = last.get(key), json.loads(json.dumps(event))
        return [event, before] if before and event["type"] == before["type"] == "MODIFIED" else event
    world.rule(Match(verb="watch"), rewrite_events(again))
