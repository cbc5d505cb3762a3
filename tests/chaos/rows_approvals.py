"""Whose word counts, whatever the operator saw of it; and that no crash loses a record of what was decided."""

import json

from proxy import Match, kill, rewrite_events
from rows import own_row, scenario_row
from scenarios import Approved, approve, awaiting


def tells(action):
    """A write of Model.status whose records tell of it."""
    return lambda request: any(json.loads(line)["action"] == action for line in request.json.get("status", {}).get("audit", {}).get("records", []))


def clears(request):
    return bool(request.json.get("status", {}).get("governance", {}).get("cleared"))


def cleared(rollout):
    return {one["name"] for entry in rollout.get("governance", {}).get("cleared", []) for one in entry["approvals"]}


@scenario_row(6, "crash between reading an approval and recording it, or between that and the change of traffic: it counts once", on=("approved",), points=4,
              short=(("approved", 1),))
def crash_on_approval(world, case):
    """Before and after the two writes that open the way: of the Model, whose record names who approved, and of the rollout."""
    resource, predicate = (("models", tells("Approved")), ("modelrollouts", clears))[(case.n - 1) // 2]
    world.rule(world.writes(resource=resource, subresource="status", times=1, predicate=predicate), kill(world.crash, ("before", "after")[case.n % 2]))


@own_row(6, "an approval taken back while the operator lay dead between reading and recording it: it counts for nothing", points=1)
def taken_back_while_dead(world, case):
    scenario = Approved()
    scenario.prepare(world)
    world.move("m-v2")
    rollout = awaiting(world)
    fatal = world.rule(world.writes(resource="models", subresource="status", times=1, predicate=tells("Approved")), kill(world.kill, "before"))
    approve(world, rollout)
    world.until(lambda: fatal.hits and not world.operator.running(), "it has read the word, and died")
    world.kube.delete("ModelApproval", "yes", world.namespace)
    world.restart()
    world.settled()
    awaiting(world, "(0 of 1)")
    world.observer.no_more_until_now("m", "m-v2", 0)
    goes_on(world, rollout, "again")


@own_row(12, "an approval that was taken back, and is seen yet: it counts for nothing", points=2, short=(1,))
def stale_approval(world, case):
    """Two people have to speak. The first one's word is gone, which the watch does not tell; the second one's comes. n 2: and the operator is born anew."""
    scenario = Approved()
    scenario.roles = ("legal", "risk")
    scenario.prepare(world)
    world.move("m-v2")
    rollout = awaiting(world)
    approve(world, rollout, "legal", "first")
    awaiting(world, "by role risk (0 of 1)")
    hidden = world.rule(Match(verb="watch", resource="modelapprovals"), rewrite_events(lambda event: None if event["type"] == "DELETED" else event))
    world.kube.delete("ModelApproval", "first", world.namespace)
    world.until(lambda: hidden.hits, "it was hidden")
    asked = len(world.proxy.exchanges)
    approve(world, rollout, "risk", "second")
    world.until(lambda: [e for e in world.proxy.exchanges[asked:] if e.verb == "list" and e.resource == "modelapprovals" and e.code == 200], "it asks the API server itself")
    if case.n == 2:
        world.crash()
    world.settled()
    awaiting(world, "by role legal (0 of 1)")
    world.observer.no_more_until_now("m", "m-v2", 0)
    hidden.remove()
    world.fault(world.proxy.cut(verb="watch", resource="modelapprovals"))
    world.settled()
    awaiting(world, "by role legal (0 of 1)")
    goes_on(world, rollout, "third", "legal", {"second", "third"})


@own_row(14, "an approval given and taken back, both hidden", points=2, short=(1,))
def approved_and_taken_back(world, case):
    """n 2: the word given is seen late, once it was taken back."""
    scenario = Approved()
    scenario.prepare(world)
    world.move("m-v2")
    rollout = awaiting(world)
    kept = []

    def hide(event):
        kept.append(event)
        return None
    hidden = world.rule(Match(verb="watch", resource="modelapprovals"), rewrite_events(hide))
    approve(world, rollout)
    world.kube.delete("ModelApproval", "yes", world.namespace)
    world.until(lambda: [e for e in kept if e["type"] == "DELETED"], "both were hidden")
    hidden.remove()
    if case.n == 2:
        asked = len(world.proxy.exchanges)
        world.fault(world.proxy.inject(next(e for e in kept if e["type"] == "ADDED"), verb="watch", resource="modelapprovals"))
        world.until(lambda: [e for e in world.proxy.exchanges[asked:] if e.verb == "list" and e.resource == "modelapprovals" and e.code == 200], "it asks the API server itself")
    else:
        world.fault(world.proxy.cut(verb="watch", resource="modelapprovals"))
    world.settled()
    awaiting(world)
    world.observer.no_more_until_now("m", "m-v2", 0)
    world.proxy.cut(verb="watch", resource="modelapprovals")
    goes_on(world, rollout, "again")


def goes_on(world, rollout, name, role="risk", used=None):
    """A word that stands opens the way; only it is on record."""
    approve(world, rollout, role, name)
    world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
    assert cleared(world.mro(rollout)) == (used or {name})
    world.prometheus.values["accuracy of m-v2"] = "0.95"
    world.ready(version="m-v2")
    world.served_by({"m-v2": 3})
    world.settled()
    world.check(("m-v1", "m-v2", 3))


# ---- records

def whole(world, case):
    """Each record once, in one chain, in ModelAudits that follow each other."""
    world.until(world.trails_are_sealed, "what a ModelAudit holds has left the statuses")
    audit = world.status().get("audit", {})
    sealed = sorted((a["spec"] for a in world.all("ModelAudit")), key=lambda spec: spec["first"])
    told = {}
    for line in [line for spec in sealed for line in spec["records"]] + audit.get("records", []):   # the last may be sealed by now
        assert told.setdefault(json.loads(line)["seq"], line) == line, f"two records of one number: {line}"
    records = [json.loads(told[seq]) for seq in sorted(told)]
    assert [r["seq"] for r in records] == list(range(1, audit["seq"] + 1)), [r["seq"] for r in records]
    assert all(after["prev"] == before["hash"] for before, after in zip(records, records[1:])) and records[-1]["hash"] == audit["head"]
    # Words are read anew where a crash came before the rollout's own record of them: others may have given them by then, so that is told again.
    for action in ("RolloutStarted", "Succeeded", "RolledBack"):
        assert sum(r["action"] == action for r in records) <= 1, f"{action} is told twice"


@scenario_row(1, "SIGKILL after a ModelAudit is made", on=("canary", "rollback", "approved"), points=1, short=(("approved", 1),), disarm=whole)
def crash_after_audit(world, case):
    world.rule(world.writes(resource="modelaudits", nth=case.n, times=1), kill(world.crash, "after"))


@scenario_row(2, "SIGKILL before a ModelAudit is made", on=("canary", "rollback", "approved"), points=1, short=(("canary", 1),), disarm=whole)
def crash_before_audit(world, case):
    world.rule(world.writes(resource="modelaudits", nth=case.n, times=1), kill(world.crash, "before"))


TOLD = ("RolloutStarted", "TrafficAdvanced", "Approved", "Succeeded")


@scenario_row(4, "SIGKILL before and after the write that tells of a decision", on=("approved",), points=2 * len(TOLD), short=(("approved", 5),), disarm=whole)
def crash_at_record(world, case):
    """Each status of the Model that brings a record, and what follows from it."""
    world.rule(world.writes(resource="models", subresource="status", times=1, predicate=tells(TOLD[(case.n - 1) // 2])), kill(world.crash, ("before", "after")[case.n % 2]))
