"""Crashes and lost answers, at every write of every scenario."""

import os
import signal
import threading
import time

from proxy import Action, drop_after, kill
from rows import every_write, middle, scenario_row


@scenario_row(1, "SIGKILL after write N", points=every_write, short=(("canary", 3), ("route", middle), ("config", 3), ("patched", middle), ("autoscaled", middle), ("retraining", 5), ("adopt", middle)))
def crash_after(world, case):
    world.rule(world.writes(nth=case.n, times=1), kill(world.crash, "after"))


@scenario_row(2, "SIGKILL before write N is forwarded", points=every_write, short=(("canary", 4), ("bluegreen", middle), ("retraining", 4)))
def crash_before(world, case):
    world.rule(world.writes(nth=case.n, times=1), kill(world.crash, "before"))


@scenario_row(3, "write N committed but its answer lost", points=every_write, short=(("canary", 3), ("retraining", 3)))
def lost_answer(world, case):
    world.rule(world.writes(nth=case.n, times=1), drop_after())


@scenario_row(4, "two crashes, a sampled pair", on=("canary", "rollback", "route", "bluegreen", "config", "autoscaled", "retraining", "adopt"), points=16, short=(("retraining", 2),))
def crash_twice(world, case):
    """The second may hit the restarted operator anywhere, its first write included."""
    second = case.n + world.random.randint(1, 6)
    world.rule(world.writes(nth=case.n, times=1), kill(world.crash, ("before", "after")[case.n % 2]))
    world.rule(world.writes(nth=second, times=1), kill(world.crash, world.random.choice(("before", "after"))))


class terminate(Action):
    """SIGTERM while a write is on its way; its answer comes half a second later."""
    name = "SIGTERM"

    def __init__(self, world):
        self.world = world
        self.ended = threading.Event()
        self.code = self.waited = None

    def before(self, request, exchange):
        world, process = self.world, self.world.operator.process
        os.kill(process.pid, signal.SIGTERM)
        threading.Thread(target=self._restart, args=(world, process, exchange), daemon=True).start()
        time.sleep(0.5)
        self.waited = process.poll() is None

    def _restart(self, world, process, exchange):
        self.code = process.wait()
        self.after_it = [e for e in list(world.proxy.exchanges) if e.number >= exchange.number and e.verb in ("create", "apply", "patch", "update", "delete")]
        world.restart()
        self.ended.set()


LEASE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "lease"},
         "rules": [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update", "patch"]}]}
LEASE_BINDING = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "lease"},
                 "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lease"},
                 "subjects": [{"kind": "ServiceAccount", "name": "model-operator"}]}


def may_lead(world):
    """The right to a Lease in its namespace."""
    world.kube.apply(LEASE, world.namespace)
    binding = {**LEASE_BINDING, "subjects": [{**LEASE_BINDING["subjects"][0], "namespace": world.namespace}]}
    world.kube.apply(binding, world.namespace)


def ended_in_order(world, case):
    action = world.terminated
    assert action.ended.wait(30), "SIGTERM did not end the operator"
    assert action.code == 0, f"SIGTERM in the middle of a reconcile ended it with {action.code}"
    assert action.waited, "it did not wait for the answer to its write"
    # A renewal of the Lease may have been on its way, so that it is handed back at the second try.
    assert all(e.code and e.code < 300 for e in action.after_it if e.resource != "leases"), "it did not wait for its writes:\n" + "\n".join(map(str, action.after_it))
    assert action.after_it[-1].code == 200, "the Lease was not handed back:\n" + "\n".join(map(str, action.after_it))
    assert action.after_it[-1].resource == "leases", "something was written after the Lease:\n" + "\n".join(map(str, action.after_it))


@scenario_row(5, "SIGTERM in the middle of a reconcile: workers finish, the Lease goes last", on=("canary", "retraining"), points=8, short=(("canary", 2),),
              arguments=("--leader-elect", "--leader-election-namespace={namespace}"), prepare=may_lead, disarm=ended_in_order)
def terminated(world, case):
    world.terminated = terminate(world)
    world.rule(world.writes(nth=2 * case.n, times=1), world.terminated)


@scenario_row(6, "crash between reading a verdict and recording it: it is asked for again", on=("rollback",), points=4, short=(("rollback", 1),))
def crash_on_verdict(world, case):
    """The first answer is a pass, which nobody lives to write down; by the next look the candidate has become bad."""
    passes = ["0.95"] * case.n

    def answer(query):
        if not passes:
            return "0.80"
        world.rule(world.writes(resource="modelrollouts", subresource="status", nth=1, times=1), kill(world.crash, "before"))
        return passes.pop()
    arm_evidence(world, answer)


@scenario_row(6, "crash between recording a verdict and the change of traffic: it counts", on=("canary",), points=4, short=(("canary", 1),))
def crash_after_verdict(world, case):
    """From the moment that the verdict is stored the evidence is bad; what was passed stays passed."""
    said = []

    def answer(query):
        if not said:
            said.append(query)
            world.rule(world.writes(resource="modelrollouts", subresource="status", nth=1, times=1, predicate=records_the_pass),
                       kill(world.crash, "after"))
        return "0.95"
    arm_evidence(world, answer)


def records_the_pass(request):
    return any(gate["verdict"] == "Passed" for gate in request.json.get("status", {}).get("gates", []))


class Evidence(dict):
    """Prometheus values in which what the scenario sets does not take the place of what the row says."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def __setitem__(self, word, value):
        super().__setitem__(word, self.answer)


def arm_evidence(world, answer):
    world.prometheus.values = Evidence(answer)
