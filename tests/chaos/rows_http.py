"""What an API server, or something before it, answers."""

import time

from case import condition, gate
from proxy import Action, Match, answer, answer_after, drop_after, drop_before, drop_in_body, duplicate, status, throttle
from rows import own_row, scenario_row
from scenarios import ask

ODD = range(1, 100000, 2)


class interfere(Action):
    """Somebody else writes to the object before the request is forwarded: the conflict is real."""
    name = "interfere"

    def __init__(self, world):
        self.world = world

    def before(self, request, exchange):
        kind = {"models": "Model", "modelversions": "ModelVersion", "modelrollouts": "ModelRollout"}[request.resource]
        annotations = {"chaos/nudge": str(time.monotonic_ns())}
        self.world.kube.patch(kind, request.name, {"metadata": {"annotations": annotations}}, request.namespace)


@scenario_row(26, "409 on each update, at its first try", points=2, short=(("canary", 1),))
def conflict(world, case):
    world.rule(world.writes(verb="update", nth=ODD), answer(409, status(409)))


@scenario_row(26, "somebody else writes just before each update", on=("first", "canary", "rollback", "retraining"), points=2, short=(("rollback", 1),))
def real_conflict(world, case):
    world.rule(world.writes(verb="update", nth=ODD), interfere(world))


def asked_for(exchange):
    """Two may list the same kind at once: a watch all that there are, somebody who collects evidence those of one Job."""
    return exchange.verb, exchange.resource, exchange.subresource, exchange.name, exchange.query.get("labelSelector")


def obeyed(world, case):
    """After each 429, that request came again no earlier than it was told."""
    exchanges = list(world.proxy.exchanges)
    for n, refused in enumerate(exchanges):
        if refused.code != 429:
            continue
        again = next((e for e in exchanges[n + 1:] if asked_for(e) == asked_for(refused)), None)
        assert again is None or again.at - refused.at >= 0.99, f"Retry-After 1 not obeyed:\n{refused}\n{again}"


@scenario_row(27, "429 with Retry-After on every second write: obeyed", points=2, short=(("first", 1),), disarm=obeyed)
def too_many_writes(world, case):
    world.patience = 3
    world.rule(world.writes(nth=ODD), answer(429, status(429, retryAfterSeconds=1), {"Retry-After": "1"}))


@scenario_row(27, "429 with Retry-After on reads and watches: obeyed", on=("canary", "retraining"), points=2, short=(("canary", 1),), disarm=obeyed)
def too_many_reads(world, case):
    world.patience = 3
    world.rule(Match(verb=("get", "list", "watch"), nth=ODD), answer(429, status(429, retryAfterSeconds=1), {"Retry-After": "1"}))
    world.fault(world.proxy.cut(verb="watch"))


CODES = (500, 503, 504)


@scenario_row(28, "500, 503, 504 on every second write, not carried out", points=3, short=(("canary", 1), ("retraining", 2)))
def failed(world, case):
    world.rule(world.writes(nth=ODD), answer(CODES[case.n - 1], status(CODES[case.n - 1])))


@scenario_row(28, "500, 503, 504 on every second write, though carried out", points=3, short=(("canary", 2), ("retraining", 3)))
def failed_though_done(world, case):
    world.rule(world.writes(nth=ODD), answer_after(CODES[case.n - 1], status(CODES[case.n - 1])))


@scenario_row(29, "ResourceVersionTooLarge at the start of each watch", on=("canary", "retraining"), points=2, short=(("canary", 1),))
def from_the_future(world, case):
    """As an API server behind the others answers somebody who has seen more than it has."""
    body = status(504, message="Too large resource version: 9007199254740993, current: 1", causes=[{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                  retryAfterSeconds=1)
    world.rule(Match(verb=("watch", "list"), nth=ODD, times=24), answer(504, body, {"Retry-After": "1"}))
    world.patience = 2
    world.proxy.cut(verb="watch")


@own_row(30, "an answer at 1 byte/s: other Models go on", points=4, short=(1,))
def slow_answer(world, case):
    verb, resource = (("update", "models"), ("apply", "deployments"), ("apply", "services"), ("update", "modelversions"))[case.n - 1]
    slow = world.rule(Match(verb=verb, resource=resource, name=("m", "m-v1"), times=1), throttle(1))
    world.version("m-v1")
    world.model(version="m-v1", replicas=1)
    world.until(lambda: slow.hits, "the slow answer has begun")
    began = time.monotonic()
    world.version("n-v1", model="n")
    world.model("n", version="n-v1", replicas=1)
    world.ready("n", "n-v1")
    world.version("n-v2", model="n")
    world.move("n-v2", "n")
    world.ready("n", "n-v2")
    assert time.monotonic() - began < 25, "the other Model had to wait"
    world.patience = 2
    world.ready("m", "m-v1")   # once the slow answer was given up
    world.settled()
    world.check()


def once(world, case):
    """Every Event was told once: one object each, none counted up."""
    world.until(lambda: world.events("m", "VersionServing") or world.all("Event"), "Events")
    ours = [e for e in world.all("Event") if e.get("reportingController", "").startswith("modelops.dev")]
    again = [f"{e['metadata']['name']} {e['reason']} {e['note']} {e['series']}" for e in ours if e.get("series")]
    assert not again, "an Event was counted twice:\n" + "\n".join(again)
    told = [(e["regarding"]["uid"], e["reason"], e["note"]) for e in ours]
    assert len(told) == len(set(told)), told


@scenario_row(31, "the connection is cut in the middle of a POST: it arrives exactly once", on=("first", "canary", "retraining"), points=3, short=(("canary", 2), ("canary", 3)),
              disarm=once)
def cut_post(world, case):
    """What is made once has a name that only it can have, and an Event too; everything else is applied with preconditions."""
    world.rule(Match(verb="create", nth=ODD), (drop_before(), drop_in_body(), drop_after())[case.n - 1])


@scenario_row(31, "a pooled connection is cut in the middle of any write", points=3, short=(("retraining", 3),))
def cut_writes(world, case):
    world.rule(world.writes(nth=ODD), (drop_before(), drop_in_body(), drop_after())[case.n - 1])


@scenario_row(31, "every write arrives twice", points=1, short=(("canary", 1),))
def doubled(world, case):
    """As from a layer that repeats without being asked."""
    world.rule(world.writes(), duplicate())


QUOTA = 'deployments.apps "m-v2" is forbidden: exceeded quota: chaos, requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1'
WEBHOOK = 'Internal error occurred: failed calling webhook "chaos.example": failed to call webhook: Post "https://10.0.0.1:443/": connect: connection refused'


@scenario_row(32, "quota 403 on Deployments, for a while", on=("first", "canary", "rollback", "retraining"), points=1, short=(("first", 1),))
def quota(world, case):
    world.rule(world.writes(verb="apply", resource="deployments", times=3), answer(403, status(403, message=QUOTA)))


@scenario_row(32, "webhook down for every kind, for a while", points=1, short=(("canary", 1),))
def webhook(world, case):
    for resource in ("deployments", "services", "httproutes", "jobs", "modelrollouts", "modelversions", "models"):
        world.rule(world.writes(resource=resource, times=3), answer(500, status(500, message=WEBHOOK)))


@own_row(32, "a real quota: said in status, and gone on from when it is lifted", points=2, short=(1,))
def real_quota(world, case):
    world.kube.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "chaos"}, "spec": {"hard": {"count/deployments.apps": "0"}}}, world.namespace)
    world.until(lambda: "used" in world.get("ResourceQuota", "chaos")["status"], "the quota counts")
    world.version("m-v1")
    world.model(version="m-v1", replicas=1)
    world.until(lambda: "exceeded quota" in world.status()["message"], "the Model says why")
    refused = [e for e in world.proxy.writes() if e.code == 403]
    assert refused
    world.fault(len(refused))
    world.kube.delete("ResourceQuota", "chaos", world.namespace)
    world.ready(version="m-v1")
    assert not condition(world.get(), "Stalled") or condition(world.get(), "Stalled")["status"] == "False"
    world.settled()
    world.check()


@own_row(32, "no quota for Jobs: an abort gives traffic back all the same, and the run begins when there is room", points=2, short=(2,))
def no_room_for_jobs(world, case):
    """The Job that is refused is asked for in every plan; what serves must not wait behind it."""
    accuracy = gate(min="0.92", query="accuracy of {{candidate}}", onInconclusive="Wait")
    world.serve("m-v1", steps=[{"weight": 50}, {"gates": ["accuracy"]}], gates=[accuracy], retraining={"template": world.gated_job()})
    world.version("m-v2")
    world.move("m-v2")
    world.served_by({"m-v1": 1, "m-v2": 1})
    world.kube.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "chaos"}, "spec": {"hard": {"count/jobs.batch": "0"}}}, world.namespace)
    world.until(lambda: "used" in world.get("ResourceQuota", "chaos")["status"], "the quota counts")
    ask(world)
    world.until(lambda: [e for e in world.proxy.writes() if e.code == 403], "a Job is refused")
    world.steer(world.rollout_of("m-v2"), "Aborted")
    world.phase(world.rollout_of("m-v2"), "Aborted")
    world.served_by({"m-v1": 2})
    world.gone("Deployment", "m-v2")
    world.until(lambda: "exceeded quota" in world.status()["retraining"]["lastResult"], "status says why the run does not begin")
    assert not world.all("Job")
    world.fault(len([e for e in world.proxy.writes() if e.code == 403]))
    world.kube.delete("ResourceQuota", "chaos", world.namespace)
    world.until(lambda: world.find("Job", "m-run-000001-train"), "the run begins")
    world.until(lambda: world.status()["retraining"]["lastResult"].startswith("Running"), "status says that it runs")
    world.settled()
    assert world.observer.made()["Job/m-run-000001-train"] == [1, 0]
    world.check(("m-v1", "m-v2", 2))
