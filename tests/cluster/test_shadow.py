"""Strategy Shadow behind a gateway that mirrors: Envoy copies every request to the candidate, and no caller sees what came of it."""

import json
import re

import settings
from case import condition, gate
from envoy import Envoy
from riglib.traffic import Traffic, share
from test_route import ENDLESS, PATH, host, inside, version

# The two sides agree on small amounts, and differ on large ones.
SMALL, LARGE = (json.dumps({"inputs": [{"name": "features", "shape": [1, 1], "datatype": "FP64", "data": [amount]}]}) for amount in (1, 50))


def rules(limit):
    rule = {"if": [{"feature": "amount", "op": ">", "value": limit}], "then": "block"}
    return json.dumps({"kind": "rules", "features": ["amount"], "rules": [rule], "default": "ok"})


def compared(*questions):
    """A gate by a Job that asks both sides, and compares what they answer."""
    container = {"name": "compare", "image": settings.TINY_IMAGE, "imagePullPolicy": "IfNotPresent", "args": ["compare", PATH, *questions]}
    pod = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"name": "agreement", "job": {"template": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}, "metric": "agreement"}, "min": "0.9", "interval": "1s"}


def copied(least):
    """So many copies have been answered."""
    query = 'sum(model_requests_total{namespace="{{namespace}}",version="{{candidate}}"})'
    return gate("copied", query=query, min=str(least), onInconclusive="Wait", failureLimit=1000)


def model(case, gateway, name="m-v1", runtime=None, **spec):
    return case.model(version=name, runtime=runtime, route={"parentRefs": [gateway.parent], "hostnames": [host(case)]}, **spec)


def callers(case, gateway, question=SMALL, path=PATH, **more):
    return Traffic(gateway.url, host(case), path, question, pause=0.02, inside=inside(), **more)


def reachable(case, gateway, *question):
    """Pods of which the Model says that they are ready reach a gateway a moment later."""
    def answers():
        try:
            return share(gateway.url, host(case), 5, *question, inside=inside())
        except AssertionError:
            return None
    case.until(answers, "the gateway answers")


def asked(case, name):
    """How many questions the pods of that version have answered."""
    total = 0
    for pod in case.all("Pod", {"modelops.dev/version": name}):
        text = case.kubectl("get", "--raw", f"/api/v1/namespaces/{case.namespace}/pods/{pod['metadata']['name']}:8081/proxy/metrics")
        total += sum(float(value) for value in re.findall(r"^model_requests_total\{[^}]*\} (\S+)$", text, re.M))
    return int(total)


def serve(case, gateway):
    """m-v1 serves, and blocks above 10."""
    version(case, "m-v1", rules(10))
    model(case, gateway)
    case.ready(version="m-v1")
    reachable(case, gateway, PATH, SMALL)


def cast(case, gateway, limit, gates, steps):
    """m-v2, which blocks above `limit`, is a shadow. Its rollout."""
    version(case, "m-v2", rules(limit))
    model(case, gateway, "m-v2", rollout={"strategy": "Shadow", "gates": gates, "steps": steps})
    return case.rollout_of("m-v2")


def test_a_shadow_gets_each_request_and_takes_over_once_both_agree(case):
    with Envoy(case) as gateway:
        serve(case, gateway)
        rollout = cast(case, gateway, 20, [copied(20), compared(SMALL, LARGE)], [{"gates": ["copied"]}, {"gates": ["agreement"]}, ENDLESS])
        case.until(lambda: case.mro(rollout).get("mirroringSince"), "it mirrors")
        assert "m-v2 shadow" in case.until(lambda: "shadow" in (told := case.status()["trafficSummary"]) and told, "status says so")
        with callers(case, gateway) as seen:
            case.phase(rollout, "Paused")
        told = {g["name"]: g for g in case.mro(rollout)["gates"]}
        assert told["agreement"]["value"] == "1" and float(told["copied"]["value"]) >= 20, told
        assert not seen.failed and set(seen.versions) == {"m-v1"}, (seen.failed[:5], seen.versions)

        # Not about as many: each one.
        case.until(lambda: asked(case, "m-v2") == asked(case, "m-v2"), "no copy is in flight")
        before = {name: asked(case, name) for name in ("m-v1", "m-v2")}
        assert share(gateway.url, host(case), 500, PATH, SMALL, inside=inside()) == {"m-v1": 500}
        more = lambda: {name: asked(case, name) - count for name, count in before.items()}
        case.until(lambda: more() == {"m-v1": 500, "m-v2": 500}, "each request was copied, once")

        with callers(case, gateway) as seen:
            case.resume(rollout)
            case.phase(rollout, "Succeeded")
            case.ready(version="m-v2")
            case.until(lambda: share(gateway.url, host(case), 20, PATH, SMALL, inside=inside()) == {"m-v2": 20}, "m-v2 answers")
        assert not seen.failed and set(seen.versions) == {"m-v1", "m-v2"}, (seen.failed[:5], seen.versions)
        assert "filters" not in case.get("HTTPRoute", "m")["spec"]["rules"][0]


def test_a_shadow_that_answers_otherwise_goes_and_nobody_saw_it(case):
    """It blocks nothing below 100, where what serves blocks above 10."""
    with Envoy(case) as gateway:
        serve(case, gateway)
        with callers(case, gateway, LARGE) as seen:
            rollout = cast(case, gateway, 100, [copied(20), compared(SMALL, LARGE)], [{"gates": ["copied"]}, {"gates": ["agreement"]}])
            case.phase(rollout, "RolledBack")
            message = case.stalled("RolledBack")["status"]["message"]
            case.until(lambda: len(case.all("Deployment")) == 1 and "filters" not in case.get("HTTPRoute", "m")["spec"]["rules"][0], "m-v2 is gone")
            seen.at_least(20)
    assert "agreement" in message and "0.5 is below min 0.9" in message, message
    assert not seen.failed and set(seen.versions) == {"m-v1"}, (seen.failed[:5], seen.versions)


def test_a_shadow_that_dies_of_each_copy_fails_no_caller(case):
    """It differs by its pod template alone: ready until somebody asks it anything."""
    fragile = {"spec": {"containers": [{"name": "server", "env": [{"name": "FRAGILE", "value": "yes"}]}]}}
    with Envoy(case) as gateway:
        case.version("m-v1")
        model(case, gateway, runtime="tiny", replicas=1)
        case.ready(version="m-v1")
        reachable(case, gateway)
        with callers(case, gateway, None, "/") as seen:
            model(case, gateway, runtime="tiny", replicas=1, template=fragile, rollout={
                "strategy": "Shadow", "gates": [compared("any")], "steps": [ENDLESS, {"gates": ["agreement"]}], "progressDeadlineSeconds": 15})
            rollout = case.rollout_of("m-v1")
            case.until(lambda: any(s["restartCount"] for p in case.all("Pod") for s in p["status"].get("containerStatuses", [])), "it has died of a copy")
            seen.at_least(50)
            case.resume(rollout)
            case.phase(rollout, "RolledBack")
            case.until(lambda: len(case.all("Deployment")) == 1, "its pods are gone")
            seen.at_least(20)
    assert not seen.failed and set(seen.versions) == {"m-v1"}, (seen.failed[:5], seen.versions)
    assert condition(case.get(), "Available")["status"] == "True"
