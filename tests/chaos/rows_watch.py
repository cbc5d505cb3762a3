"""Watches that lie, break off, fall silent, or end before they began."""

import json
import threading
import time

from proxy import Action, Match, answer, cut_stream_after, drop_before, rewrite_events, rewrite_request, status, truncate
from rows import own_row, scenario_row
from scenarios import CANARY

KINDS = ("models", "modelversions", "modelrollouts", "modelgatesets", "deployments", "services", "httproutes", "endpointslices", "horizontalpodautoscalers", "jobs", "pods", "configmaps")   # what an operator of one namespace watches


def real(event):
    return event["type"] in ("ADDED", "MODIFIED", "DELETED")


def error(code, **more):
    return {"type": "ERROR", "object": status(code, **more)}


def instead(world, fn, times=3):
    """`fn(event)` instead of the next few events of each kind: all at once would only make one watch wait."""
    world.patience = 2
    for kind in KINDS:
        world.rule(Match(verb="watch", resource=kind, times=times), rewrite_events(lambda event: fn(event) if real(event) else event))


# ---- 18, 25: events

@scenario_row(18, "410 inside a 200 stream, instead of an event", points=2, short=(("canary", 1),))
def gone_in_stream(world, case):
    instead(world, lambda event: error(410, reason="Expired", message="too old resource version: 1 (2)"))


@scenario_row(25, "event types that nobody knows, and junk in those that are known", points=2, short=(("canary", 1),))
def unknown_events(world, case):
    def strange(event):
        return [{"type": "NOVELTY", "object": {"metadata": {"resourceVersion": "9007199254740993"}}}, {"type": "ADDED", "object": {}}, event]
    world.rule(Match(verb="watch"), rewrite_events(strange))


@scenario_row(25, "500 inside a 200 stream, instead of an event", points=2, short=(("rollback", 1),))
def error_in_stream(world, case):
    instead(world, lambda event: error(500, message="etcdserver: leader changed"))


# ---- 19: pages

def paged(world, size):
    """No WatchList, and small pages."""
    def shorter(request):
        request.target = request.target.replace("limit=500", f"limit={size}")
    world.rule(Match(verb="watch", predicate=lambda r: "sendInitialEvents" in r.query),
               answer(422, status(422, message="sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")))
    world.rule(Match(verb="list", predicate=lambda r: r.query.get("limit") == "500"), rewrite_request(shorter))


@scenario_row(19, "410 on page two of every list", on=("canary", "rollback", "retraining"), points=2, short=(("canary", 2),),
              disarm=lambda world, case: whole_lists(world))
def gone_on_page_two(world, case):
    """The body offers a token to go on with an inconsistent list: that would be a state that never was."""
    body = status(410, message="The provided continue parameter is too old to display a consistent list result.")
    body["metadata"]["continue"] = "inconsistent"
    paged(world, 1)
    world.rule(Match(verb="list", predicate=lambda r: "continue" in r.query), answer(410, body))
    world.crash()


def whole_lists(world):
    lists = [e for e in world.proxy.exchanges if e.verb == "list"]
    assert not any(e.query.get("continue") == "inconsistent" for e in lists), "it went on with the inconsistent token"
    refused = {e.resource for e in lists if e.code == 410}
    assert "pods" in refused, "there was no second page"
    for resource in refused:
        assert any(e.resource == resource and e.code == 200 and not {"limit", "continue"} & set(e.query) for e in lists), f"{resource} was never listed whole"


@scenario_row(19, "small pages, and no WatchList", on=("canary",), points=2, short=())
def small_pages(world, case):
    paged(world, 2)
    world.crash()


# ---- 20, 21: silence

@own_row(20, "silent minutes: watches stay open and bring nothing, bookmarks neither", points=3, short=(1,), long=True)
def silent(world, case):
    """200 seconds; and with either client until the whole state is read, since streams that said nothing for longer than etcd takes to report
    progress are not believed. All else is answered, so the operator is ready: a kind of which nothing changes is as silent."""
    seconds = 200 if case.n == 1 else 630
    world.serve("m-v1", replicas=2)
    world.version("m-v2")
    world.settled()
    muted, told, over = set(), set(), threading.Event()
    began_before = max(exchange.number for exchange in world.proxy.exchanges)

    def silence(event, request):
        """A stream that was silent stays so to its end: to swallow events and then to go on would be a lie, not silence. That an RV has aged out
        meanwhile is said all the same, since the API server ends the stream then, and what is listed anew for it comes whole."""
        number = request.number
        if not over.is_set() and (number <= began_before or "sendInitialEvents" not in request.query or number in told):
            muted.add(number)
        if event["object"].get("metadata", {}).get("annotations", {}).get("k8s.io/initial-events-end"):
            told.add(number)
        return None if number in muted and event["type"] != "ERROR" else event
    world.rule(Match(verb="watch"), rewrite_events(silence))
    before, began = len(world.proxy.exchanges), time.monotonic()
    world.move("m-v2")
    while time.monotonic() - began < seconds:
        answer = world.operator.readyz()
        assert answer == (200, "ok\n"), f"/readyz: {answer}"
        time.sleep(1)
    asked = [e for e in world.proxy.exchanges[before:] if e.verb in ("watch", "list")]
    for resource in KINDS:
        watches = [e for e in asked if e.resource == resource and e.verb == "watch"]
        assert (seconds - 20) // 90 <= len(watches) <= seconds // 80 + 4, f"{len(watches)} watches of {resource} in {seconds} s"
    if case.n > 1:
        world.until(lambda: world.kube.list("ModelRollout", world.namespace), "the state is read, and acted upon", timeout=200)
        asked = [e for e in world.proxy.exchanges[before:] if e.verb in ("watch", "list")]
    whole = [e.number for e in asked if e.resource == "models" and ("sendInitialEvents" in e.query or e.verb == "list" and e.query.get("limit") != "1")]
    listed = min(whole, default=len(world.proxy.exchanges) + 1)
    blind = [e for e in world.proxy.writes(since=before) if e.number < listed]
    assert not blind, "it wrote while it saw nothing:\n" + "\n".join(map(str, blind))
    over.set()

    # What was held back is not lost: the watches begin anew where they stood. A stream that began just before is silent to its end 90 s later.
    def renewed():
        newest = {e.resource: e.number for e in world.proxy.exchanges if e.verb == "watch"}
        return not muted & set(newest.values())
    world.until(renewed, "no stream is silent any more", timeout=150)
    world.until(lambda: world.status()["stableVersion"] == "m-v2", "it has caught up", timeout=120)
    world.until(lambda: world.operator.ready(), "it is ready again", timeout=150)
    world.ready(version="m-v2")
    world.served_by({"m-v2": 2})
    world.settled()
    world.check()


@own_row(21, "black hole: noticed within 95 s, and mended when it is over", points=2, short=(1,), long=True)
def black_hole(world, case):
    world.serve("m-v1", replicas=2)
    world.version("m-v2")
    world.settled()
    world.proxy.black_hole()
    world.fault()
    world.move("m-v2")
    # 90 s after the last byte and 5 for another try; a little for whoever counts.
    world.until(lambda: not world.operator.ready(), "it notices", timeout=100)
    assert "watch failed" in world.operator.tail(lines=200)
    world.proxy.light()
    world.ready(version="m-v2", timeout=100)
    world.served_by({"m-v2": 2})
    world.until(lambda: world.operator.ready(), "it is ready again", timeout=70)
    world.settled()
    world.check()


# ---- 22, 23: bytes

WORDS = "Zahlungsprüfung ✓ 支払い " * 3


@own_row(22, "streams cut after any number of bytes, in the middle of characters too", points=6, short=(1,))
def cut_anywhere(world, case):
    """tests/unit/runtime_cuts_test.cpp cuts at every byte; here the bytes are an API server's, through TLS."""
    world.patience = 3
    world.serve("m-v1", description=WORDS, **CANARY)
    world.version("m-v2")
    world.settled()
    for nth in range(1, 4):
        for kind in KINDS:
            world.rule(Match(verb="watch", resource=kind, nth=nth), cut_stream_after(world.random.randrange(1, 6000)))
    world.proxy.cut(verb="watch")
    world.move("m-v2")
    world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
    for n in range(6):
        world.kube.patch("Model", "m", {"spec": {"description": f"😀{WORDS}{n}"}}, world.namespace)
    world.observer.no_more_until_now("m", "m-v2", 25)
    world.prometheus.values["accuracy of m-v2"] = "0.95"
    world.ready(version="m-v2")
    world.served_by({"m-v2": 3})
    world.gone("Deployment", "m-v1")
    assert world.get()["spec"]["description"] == f"😀{WORDS}5"
    world.settled()
    world.check(("m-v1", "m-v2", 3))


@scenario_row(23, "events whose JSON is cut short", points=4, short=(("canary", 1),))
def truncated_json(world, case):
    cut = (lambda text: text[:1], lambda text: text[:len(text) // 2], lambda text: text[:-1], lambda text: text[len(text) // 2:])[case.n - 1]
    instead(world, lambda event: cut(json.dumps(event)) + "\n")


class bad_chunks(Action):
    """An event in a chunk whose size is no size."""

    def __init__(self, head):
        self.head = head
        self.name = f"chunk of size {head!r}"

    def frame(self, data):
        return self.head + b"\r\n" + data + b"\r\n", True


BAD_SIZES = (b"-1", b"ffffffffffffffff", b"lots", b"", b"7fffffffffffffff", b"0x10", b"1;" + b"x" * 70000)


@scenario_row(23, "chunk sizes that are none", on=("canary",), points=len(BAD_SIZES) * 2, short=(("canary", 1), ("canary", 4)))
def chunk_sizes(world, case):
    world.patience = 3
    for kind in KINDS:
        world.rule(Match(verb="watch", resource=kind, nth=(1, 3)), bad_chunks(BAD_SIZES[(case.n - 1) // 2]))
    world.proxy.cut(verb="watch")


@scenario_row(23, "answers cut short", on=("canary", "retraining"), points=4, short=(("canary", 2),))
def short_answers(world, case):
    """Of lists, reads and writes alike: what was answered is not known, and no half of it may be believed."""
    world.rule(Match(verb=("list", "get", "update", "apply", "patch"), nth=range(1, 100000, 3)), truncate((20, 150, 300, 600)[case.n - 1]))
    world.proxy.cut(verb="watch")


# ---- 24

@own_row(24, "watches closed at once, a hundred times running: ever more seldom, never given up", points=4, short=(1,), long=True)
def closed_at_once(world, case):
    world.serve("m-v1", replicas=2)
    world.version("m-v2")
    world.settled()
    before = len(world.proxy.exchanges)
    closing = world.rule(Match(verb="watch"), answer(200, b"") if case.n > 2 else drop_before())
    world.proxy.cut(verb="watch")
    world.move("m-v2")
    world.until(lambda: closing.hits >= 100, "a hundred were closed", timeout=400)

    # As for any silence: 95 s after the last good word. Of each kind, since lists are answered all the while and are no watches.
    def sees_nothing():
        said = world.operator.readyz()[1]
        return all(f"{kind} not watched" in said for kind in KINDS)

    world.until(sees_nothing, "it says that it sees nothing", timeout=105)
    tries = [e for e in world.proxy.exchanges[before:] if e.verb == "watch"]
    span = max(e.at for e in tries) - min(e.at for e in tries)
    for kind in KINDS:
        times = [e.at for e in tries if e.resource == kind]
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        assert max(gaps) < 32, f"{kind} was given up for {max(gaps):.0f} s"
        # Five tries or so until the pause is anything between nothing and 30 s, 15 s on average: three times as many are one in ten million. (curl goes
        # at once from a kept connection that was closed to a new one.)
        pauses = [gap for gap in gaps if gap > 0.05]
        assert len(pauses) <= 8 + span / 5, f"{kind}: not backed off: {len(pauses)} pauses in {span:.0f} s: {gaps}"
        assert all("sendInitialEvents" not in e.query for e in tries if e.resource == kind), f"{kind} was listed anew, although its RV is good"
    assert not world.proxy.writes(since=before), "it wrote while it saw nothing"
    closing.remove()
    world.ready(version="m-v2", timeout=60)
    world.served_by({"m-v2": 2})
    world.until(lambda: world.operator.ready(), "every watch has begun anew", timeout=70)
    world.settled()
    world.check()
