"""Two operators, and a leader that is not what it thinks it is."""

import os
import signal
import threading
import time

import operators
import settings
from proxy import Authority, Match, Proxy, hold
from rows import own_row
from scenarios import CANARY

LEASE_SECONDS = 15


class Second:
    """Another operator of the same namespace, behind a proxy of its own."""

    def __init__(self, world, prefix=()):
        self.world = world
        self.proxy = Proxy(settings.KUBECONFIG, world.proxy.authority).start()
        self.kubeconfig = self.proxy.kubeconfig(world.token, settings.STATE / f"{world.namespace}-second.kubeconfig")
        command = world.operator.command
        arguments = [part for part in command[command.index("run") + 1:] if not part.startswith(("--kubeconfig", "--metrics-address", "--health-address", "--fetch-image"))]
        self.operator = operators.Operator(f"{world.namespace}-second", self.kubeconfig, arguments)
        self.operator.command[:0] = prefix

    def __enter__(self):
        self.operator.start(wait_ready=False)
        return self

    def __exit__(self, *_):
        if self.operator.running():
            self.operator.process.kill()
            self.operator.process.wait()
        self.proxy.stop()
        self.kubeconfig.unlink(missing_ok=True)


def elected(world, prefix=()):
    """The operator of this world, started anew as one of several."""
    if world.operator.running():
        assert world.operator.end() == 0
    flags = ["--leader-elect", f"--leader-election-namespace={world.namespace}"]
    world.operator.command = [*prefix, *(world.operator.command if flags[0] in world.operator.command else [*world.operator.command, *flags])]
    world.operator.start(wait_ready=False)
    world.until(lambda: lease(world)["holderIdentity"], "it leads")


def next_life(world):
    """Started again after it ended as it should; that it said so in its log is no bad word."""
    world.operator.log = world.operator.log.with_suffix(".next.log")
    world.operator.start(wait_ready=False)


def lease(world):
    return world.get("Lease", "model-operator")["spec"]


def takes_over(world, before, timeout=40):
    return world.until(lambda: lease(world).get("holderIdentity") not in (None, "", before) and lease(world)["holderIdentity"], "the other leads", timeout)


# ---- 36

LATE = (
    ("the traffic to both", Match(verb="apply", resource="services", name="m", times=1)),
    ("a Deployment's size", Match(verb="patch", resource="deployments", times=1)),
    ("the rollout's status", Match(verb="update", resource="modelrollouts", subresource="status", times=1)),
    ("the Model's status", Match(verb="update", resource="models", subresource="status", times=1)),
    ("the deletion of the old Deployment", Match(verb="delete", resource="deployments", times=1)),
    ("the rollout", Match(verb="create", resource="modelrollouts", times=1)),
    ("the candidate's Deployment", Match(verb="apply", resource="deployments", name="m-v2", times=1)),
)


@own_row(36, "leader stopped for 20 s and continued: its late write is refused", points=2 * len(LATE), short=(1, 2, 4))
def stopped(world, case):
    """The write has left the operator and arrives when another has long led the rollout to its end."""
    what, match = LATE[(case.n - 1) // 2]
    elected(world)
    world.serve("m-v1", **CANARY)
    world.version("m-v2")
    world.settled()
    first, released = lease(world)["holderIdentity"], threading.Event()
    late = world.rule(match, hold(released))
    world.prometheus.values["accuracy of m-v2"] = "0.95"
    world.move("m-v2")
    world.until(lambda: late.hits, f"it writes {what}")
    os.kill(world.operator.pid, signal.SIGSTOP)
    stopped_at = time.monotonic()
    leader, pid = world.operator, world.operator.pid
    with Second(world) as second:
        try:
            takes_over(world, first)
            assert time.monotonic() - stopped_at > LEASE_SECONDS - 11, "taken over although the Lease had not run out"
            world.ready(version="m-v2")
            world.served_by({"m-v2": 3})
            world.gone("Deployment", "m-v1")
            world.gone("Service", "m-candidate")
            world.until(lambda: [world.status("ModelVersion", v)["phase"] for v in ("m-v1", "m-v2")] == ["Superseded", "Serving"], "phases of the versions")
            world.until(lambda: time.monotonic() - stopped_at > 20, "20 s")
            quiet(world, second)
            before, written = state(world), len(second.proxy.writes(events=True))
            held = next(e for e in world.proxy.exchanges if "hold" in e.faults)
            released.set()
            world.until(lambda: held.stored, "the late write arrives")
            assert held.stored in (404, 409, 422), f"{what} was taken: {held}"
            os.kill(pid, signal.SIGCONT)
            world.until(lambda: leader.process.poll() is not None, "the old leader ends", timeout=10)
            assert leader.process.returncode == 1 and "lost the Lease" in leader.tail(), leader.tail()
            late_writes = [e for e in world.proxy.writes(since=held.number) if e.stored and e.stored < 300]
            assert not late_writes, "it wrote after it was continued:\n" + "\n".join(map(str, late_writes))
            assert state(world) == before, "the world was changed"
            assert len(second.proxy.writes(events=True)) == written, "the new leader had to put something right"
            assert lease(world)["holderIdentity"] != first
            world.operator = second.operator
            world.check(("m-v1", "m-v2", 3))
        finally:
            released.set()
            if leader.running():
                os.kill(pid, signal.SIGCONT)


def quiet(world, operator):
    """Until a reconcile that was asked for writes nothing."""
    world.until(world.trails_are_sealed, "what a ModelAudit holds has left the statuses")
    def calm():
        before, done = len(operator.proxy.exchanges), operator.operator.reconciles()
        world.kube.patch("Model", "m", {"metadata": {"annotations": {"chaos/nudge": str(time.monotonic_ns())}}}, world.namespace)
        world.until(lambda: operator.operator.reconciles() > done, "a reconcile")
        return not [e for e in operator.proxy.exchanges[before:] if e.verb not in ("get", "list", "watch") and e.resource not in ("leases", "events")]
    world.until(calm, "the new leader is done")


def state(world):
    kinds = ("Model", "ModelVersion", "ModelRollout", "Deployment", "Service", "Job")
    return {f"{kind}/{o['metadata']['name']}": o["metadata"]["resourceVersion"] for kind in kinds for o in world.all(kind)}


@own_row(36, "the Lease is taken away: the operator ends at once and writes nothing more", points=2, short=(2,))
def taken_away(world, case):
    elected(world)
    world.serve("m-v1", replicas=2)
    world.settled()
    world.kube.patch("Lease", "model-operator", {"spec": {"holderIdentity": "somebody else", "renewTime": "2031-01-01T00:00:00.000000Z"}}, world.namespace)
    world.fault()
    code = world.until(lambda: world.operator.process.poll() is not None and [world.operator.process.returncode], "it ends", timeout=10)
    assert code == [1] and "lost the Lease" in world.operator.tail(), world.operator.tail()
    assert lease(world)["holderIdentity"] == "somebody else"
    world.version("m-v2")
    world.move("m-v2")
    # Started anew it waits until that Lease has stood still for its duration.
    before = len(world.proxy.exchanges)
    next_life(world)
    takes_over(world, "somebody else")
    world.ready(version="m-v2")
    renewed = next(e for e in world.proxy.exchanges[before:] if e.resource == "leases" and e.verb == "update")
    began = next(e for e in world.proxy.exchanges[before:] if e.resource == "leases")
    assert renewed.at - began.at >= LEASE_SECONDS, "it did not wait"
    assert not [e for e in world.proxy.writes(since=before) if e.resource != "leases" and e.number < renewed.number], "it wrote before it led"
    world.settled()
    world.check()


@own_row(36, "no answer about the Lease: the operator ends when its time is over", points=2, short=(1,))
def lease_unreachable(world, case):
    elected(world)
    world.serve("m-v1", replicas=2)
    world.settled()
    released = threading.Event()
    held = world.rule(Match(resource="leases"), hold(released))
    try:
        code = world.until(lambda: world.operator.process.poll() is not None and [world.operator.process.returncode], "it ends", timeout=20)
        assert code == [1] and held.hits, world.operator.tail()
    finally:
        released.set()
        held.remove()
    next_life(world)
    world.version("m-v2")
    world.move("m-v2")
    world.ready(version="m-v2")
    world.settled()
    world.check()


# ---- 37

class Backdated(Authority):
    """Its certificates are two days old, so that a clock that is behind does not find them in the future."""
    openssl = ("faketime", "-f", "-2d", "openssl")


def off(seconds):
    """A wall clock that is wrong; the monotonic one is what it is."""
    return ["env", "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1", f"FAKETIME={seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC=1"]


CLOCKS = ((3600, 0), (-3600, 0), (0, 3600), (3600, -3600))


@own_row(37, "clocks an hour off: one leader, and the other takes over in time", points=2 * len(CLOCKS), short=(1, 3))
def clocks(world, case):
    leader_off, other_off = CLOCKS[(case.n - 1) // 2]
    authority = Backdated(settings.STATE / f"{world.namespace}-pki")
    world.proxy.authority = authority
    world.proxy.tls.load_cert_chain(*authority.certificate())
    world.proxy.kubeconfig(world.token, world.kubeconfig)
    # Steps that wait ask the clock of whoever leads.
    settings_ = {**CANARY, "steps": [{"weight": 25}, {"gates": ["accuracy"]}, {"weight": 50}]}
    elected(world, off(leader_off) if leader_off else ())
    world.fault()
    world.serve("m-v1", **settings_)
    world.version("m-v2")
    first = lease(world)
    with Second(world, off(other_off) if other_off else ()) as second:
        world.until(lambda: second.operator.ready(), "the second is there")
        world.move("m-v2")
        world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
        world.observer.no_more_until_now("m", "m-v2", 25)
        # So many renewals take longer than a Lease lasts.
        renewals = set()
        world.until(lambda: renewals.add(lease(world)["renewTime"]) or len(renewals) > 10, "ten renewals")
        now = lease(world)
        assert (now["holderIdentity"], now["leaseTransitions"]) == (first["holderIdentity"], first["leaseTransitions"]), "somebody took the Lease from a leader that lives"
        assert not [e for e in second.proxy.writes() if e.resource != "leases"] and world.operator.running() and second.operator.running()
        world.operator.process.kill()
        world.operator.process.wait()
        killed = time.monotonic()
        takes_over(world, first["holderIdentity"])
        assert LEASE_SECONDS - 5 < time.monotonic() - killed < LEASE_SECONDS + 10, f"taken over after {time.monotonic() - killed:.0f} s"
        world.prometheus.values["accuracy of m-v2"] = "0.95"
        world.ready(version="m-v2")
        world.served_by({"m-v2": 3})
        world.gone("Deployment", "m-v1")
        quiet(world, second)
        made = world.observer.made()
        assert made["Deployment/m-v2"] == [1, 0] and made["Deployment/m-v1"] == [1, 1] and len(world.all("ModelRollout")) == 1, made
        world.operator = second.operator
        world.check(("m-v1", "m-v2", 3))
