"""Pod templates that change under real callers: by replicas, by a route and by a switch, forward, back and taken back. No request fails."""

import contextlib
import copy

import pytest

from case import TINY_RUNTIME, gate
from riglib.traffic import Traffic
from test_route import ENDLESS, GATEWAY, PARENT, host, inside

GATE = gate(query='accuracy{namespace="{{namespace}}",version="{{candidate}}",revision="{{candidateRevision}}"}', min="0.9", onInconclusive="Wait")
SWITCH = [{"weight": 100}, {"gates": ["accuracy"]}]
WAYS = {
    "by replicas": {"steps": [{"weight": 50}, {"gates": ["accuracy"]}]},
    "by a route": {"steps": [{"weight": 30}, {"gates": ["accuracy"]}], "route": True},
    "by replicas, little room": {"steps": [{"weight": 50}, {"gates": ["accuracy"]}], "serving": {"maxSurge": 1}},
    "blue-green": {"steps": SWITCH, "rollout": {"strategy": "BlueGreen"}},
    "blue-green by a route": {"steps": SWITCH, "rollout": {"strategy": "BlueGreen"}, "route": True},
}


def template(level):
    """Pods that say `level` in each answer, and serve until nobody asks them any more."""
    return {"spec": {"terminationGracePeriodSeconds": 15, "containers": [
        {"name": "server", "env": [{"name": "LEVEL", "value": level}], "lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}]}}


def level(answer):
    return answer.body.decode().split()[-1]


class Story:
    """One Model under callers, whose template is asked for by a word."""

    def __init__(self, case, steps, route=False, **spec):
        self.case, self.rollouts = case, []
        self.spec = {"version": "m-v1", "steps": steps, "gates": [GATE], **spec}
        if route:
            self.spec["route"] = {"parentRefs": [PARENT], "hostnames": [host(case)]}
        case.version("m-v1")
        case.model(template=template("one"), **self.spec)
        case.ready(version="m-v1")
        if route:
            case.until(lambda: self._answers(), "the gateway answers")
        self.url = GATEWAY if route else f"http://{case.get('Service', 'm')['spec']['clusterIP']}:80"

    def _answers(self):
        with Traffic(GATEWAY, host(self.case), requests=20, inside=inside(), version=level) as seen:
            seen.join()
        return not seen.failed

    def callers(self):
        return Traffic(self.url, host(self.case), pause=0.02, inside=inside(), version=level)

    def ask(self, word):
        """The ModelRollout to that template, and its revision."""
        self.case.model(template=template(word), **self.spec)
        rollout = self.case.rollout_of("m-v1", but=self.rollouts)
        self.rollouts.append(rollout)
        return rollout, self.case.until(lambda: self.case.mro(rollout).get("revision", {}).get("name"), "the revision is on record")

    def judge(self, revision, accuracy):
        self.case.metrics.set("accuracy", accuracy, version="m-v1", revision=revision)

    def answered_by(self, seen, word):
        """Somebody has got an answer of it; then the callers go on for a while."""
        self.case.until(lambda: seen.versions[word] or seen.failed, f"template {word} answers")
        seen.at_least(20)

    def alone(self, word):
        """Only pods of that template are left."""
        def levels():
            servers = [c for pod in self.case.all("Pod") for c in pod["spec"]["containers"]]
            return {e["value"] for c in servers for e in c["env"] if e["name"] == "LEVEL"}
        self.case.until(lambda: levels() == {word} and len(self.case.all("Deployment")) == 1, f"template {word} alone is left")


@pytest.mark.parametrize("way", WAYS)
def test_no_request_fails_when_a_template_is_refused_aborted_and_promoted(case, way):
    story = Story(case, **WAYS[way])
    with story.callers() as seen:
        refused, revision = story.ask("two")
        story.answered_by(seen, "two")
        story.judge(revision, "0.1")
        case.phase(refused, "RolledBack")
        story.alone("one")
        aborted, _ = story.ask("three")
        story.answered_by(seen, "three")
        case.steer(aborted, "Aborted")
        case.phase(aborted, "Aborted")
        story.alone("one")
        promoted, revision = story.ask("four")
        story.answered_by(seen, "four")
        story.judge(revision, "0.95")
        case.phase(promoted, "Succeeded")
        case.ready(version="m-v1")
        story.alone("four")
        seen.at_least(50)
    assert not seen.failed, seen.failed[:5]
    print(f"{way}: {seen.requests} requests, none failed: {dict(seen.versions)}")


def test_no_request_fails_when_a_template_goes_there_and_back_and_there_again(case):
    """While its rollout runs: what is asked for last is rolled out."""
    story = Story(case, [{"weight": 50}, ENDLESS], route=True)
    with story.callers() as seen:
        first, _ = story.ask("two")
        story.answered_by(seen, "two")
        case.model(template=template("one"), **story.spec)
        case.phase(first, "Superseded")
        again, _ = story.ask("two")
        case.phase(again, "Paused")
        case.steer(again, "Promoted")
        case.phase(again, "Succeeded")
        story.alone("two")
        seen.at_least(50)
    assert not seen.failed, seen.failed[:5]


def test_no_request_fails_when_the_operator_dies_in_each_step_of_a_template(private):
    case = private
    story = Story(case, [{"weight": 30}, {"pause": {"duration": "1s"}}, {"weight": 60}, {"pause": {"duration": "1s"}}], route=True)
    with story.callers() as seen:
        rollout, _ = story.ask("two")
        while case.mro(rollout).get("phase") != "Succeeded":
            before = case.mro(rollout).get("step")
            case.operator.kill()
            seen.at_least(30)
            case.operator.start()
            case.until(lambda b=before: case.mro(rollout).get("phase") == "Succeeded" or case.mro(rollout).get("step") != b, "it goes on")
        story.alone("two")
        seen.at_least(50)
    assert not seen.failed, seen.failed[:5]
    assert seen.versions["one"] and seen.versions["two"]


@contextlib.contextmanager
def runtime(case):
    """One of this test's own, that updates its Models by itself. Yields what edits it."""
    body = copy.deepcopy(TINY_RUNTIME)
    body["metadata"]["name"] = case.namespace

    def edit(word):
        pods = template(word)["spec"]
        base = TINY_RUNTIME["spec"]["template"]["spec"]
        server = {**base["containers"][0], **pods["containers"][0]}
        body["spec"]["template"] = {"spec": {**base, **pods, "containers": [server]}}
        body["spec"]["update"] = {"policy": "Automatic", "maxConcurrent": 1}
        case.kube.apply(body)
    try:
        edit("one")
        yield edit
    finally:
        case.kube.delete("ModelRuntime", case.namespace)


def test_no_request_fails_when_a_runtime_is_patched(case):
    """It reaches its Models by itself, one after the other."""
    with runtime(case) as edit, contextlib.ExitStack() as stack:
        models = ("a", "b", "c")
        for name in models:
            case.version(f"{name}-v1", model=name)
            case.model(name, version=f"{name}-v1", runtime=case.namespace, steps=[{"weight": 50}, {"pause": {"duration": "1s"}}])
        for name in models:
            case.ready(name, f"{name}-v1")
        updated = lambda: case.kube.get("ModelRuntime", case.namespace).get("status", {})
        case.until(lambda: updated().get("updated") == 3, "all serve by the runtime")
        addresses = {name: case.get("Service", name)["spec"]["clusterIP"] for name in models}
        seen = {name: stack.enter_context(Traffic(f"http://{address}:80", name, pause=0.05, keep=1, fresh=1, inside=inside(), version=level))
                for name, address in addresses.items()}
        edit("two")
        case.until(lambda: updated().get("updated") == 3 and updated()["observedGeneration"] == 2 and updated()["rolling"] == [], "all have the patch", timeout=120)
        for one in seen.values():
            one.at_least(20)
    for name, one in seen.items():
        assert not one.failed and one.versions["one"] and one.versions["two"], (name, one.failed[:5], one.versions)
