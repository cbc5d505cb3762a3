"""Traffic through a gateway (spec.serving.route), counted in requests: weights are exact, and nothing fails, whatever happens."""

import contextlib
import json

import pytest

import operators
import settings
from case import condition, gate
from riglib import access, build
from riglib.layout import GATEWAY_CLUSTER_IP, Layout
from riglib.traffic import Traffic, sampling_error, share

GATEWAY = f"http://{GATEWAY_CLUSTER_IP}:80"
PARENT = {"name": "gw", "namespace": "gateway"}
RULES = json.dumps({"kind": "rules", "features": ["amount"], "rules": [{"if": [{"feature": "amount", "op": ">", "value": 10}], "then": "block"}], "default": "ok"})
QUESTION = json.dumps({"inputs": [{"name": "features", "shape": [1, 1], "datatype": "FP64", "data": [1]}]})
PATH = "/v2/models/m/infer"
ENDLESS = {"pause": {}}


def host(case):
    return f"{case.namespace}.example.com"


def inside():
    return Layout(settings.RIG).record()["inside"]["pid"]


def traffic(case, url=GATEWAY, headers=None):
    """Some people who go on asking: 3 over connections that they keep, 2 over a new one each time."""
    return Traffic(url, host(case), PATH, QUESTION, pause=0.02, inside=inside(), headers=headers)


def shares(case, requests=5000, headers=None):
    return share(GATEWAY, host(case), requests, PATH, QUESTION, inside=inside(), headers=headers)


def must_share(case, weight, requests):
    """m-v2 gets its share. The gateway takes a route up a moment after its status says so: a small sample waits for that, the large one decides."""
    def near(found, count):
        return abs(found["m-v2"] / count - weight / 100) < sampling_error(weight / 100, count)
    case.until(lambda: near(shares(case, 200), 200), f"the gateway gives m-v2 about {weight} %")
    found = shares(case, requests)
    print(f"{weight} %: {dict(found)}")
    assert near(found, requests), found


def version(case, name, content=RULES, **more):
    """Served by the real model-server, which lets requests finish."""
    case.version(name, artifact=case.artifact(name, content, format={"name": "rules"}), **more)


def model(case, **spec):
    spec = {"route": {"parentRefs": [PARENT], "hostnames": [host(case)]}, "replicas": 2, **spec}
    return case.model(runtime=None, **{key: value for key, value in spec.items() if value is not None})


def serve(case, **spec):
    version(case, "m-v1")
    model(case, version="m-v1", **spec)
    case.ready(version="m-v1")
    if case.last_model["spec"]["serving"].get("route"):
        reachable(case)


def move(case, name="m-v2", content=RULES, **spec):
    version(case, name, content)
    model(case, version=name, **spec)
    return case.rollout_of(name)


def own_gateway(case, name, **listener):
    case.kube.apply({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": name},
                     "spec": {"gatewayClassName": "traefik", "listeners": [{"name": "http", "protocol": "HTTP", "port": 80, **listener}]}}, case.namespace)


def weights(case):
    """What the route says to everybody: {Service: weight}"""
    route = case.find("HTTPRoute", "m")
    return {b["name"]: b["weight"] for b in route["spec"]["rules"][-1]["backendRefs"]} if route else {}


def reachable(case):
    """A gateway says that it has taken up a route a moment before it serves it. Later changes are another matter: they fail nothing."""
    def answers():
        try:
            return shares(case, 20)
        except AssertionError:
            return None
    case.until(answers, "the gateway answers")


def at_rest(case, version):
    """All is over: one version serves, and nothing of any other is left."""
    case.ready(version=version)
    case.until(lambda: [d["metadata"]["labels"]["modelops.dev/version"] for d in case.all("Deployment")] == [version]
               and [s["metadata"]["name"] for s in case.all("Service")] == ["m"], f"only {version} is left")
    case.until(lambda: len(case.all("Pod")) == case.get()["spec"]["serving"]["replicas"], "the pods of others are gone")


# ---- weights

def test_ten_percent_is_ten_percent(case):
    serve(case)
    rollout = move(case, steps=[{"pause": {}}, {"weight": 10}, ENDLESS, {"weight": 35}, ENDLESS])
    case.phase(rollout, "Paused")
    assert shares(case, 500) == {"m-v1": 500}, "nothing before the first weight"
    for weight, index in ((10, 3), (35, 5)):
        case.resume(rollout)
        case.until(lambda i=index: case.mro(rollout)["step"]["index"] == i and case.mro(rollout)["phase"] == "Paused", f"at {weight} %")
        assert case.status()["trafficSummary"] == f"m-v1 {100 - weight}% / m-v2 {weight}%"
        assert weights(case) == {"m": 100 - weight, "m-candidate": weight}
        must_share(case, weight, 5000)
    # Two pods for 35 % of two: a router needs no more for the weight's sake.
    assert case.endpoints("m") == {"m-v1": 2} and case.endpoints("m-candidate") == {"m-v2": 1}


# ---- nothing fails

def test_no_request_fails_in_a_rollout(case):
    serve(case)
    with traffic(case) as seen:
        seen.at_least(100)
        rollout = move(case, steps=[{"weight": 10}, {"pause": {"duration": "2s"}}, {"weight": 50}, {"pause": {"duration": "2s"}}])
        case.phase(rollout, "Succeeded")
        at_rest(case, "m-v2")
        seen.at_least(100)
    assert not seen.failed, seen.failed[:5]
    assert seen.versions["m-v1"] > 100 and seen.versions["m-v2"] > 100
    assert shares(case, 200) == {"m-v2": 200}
    print(f"{seen.requests} requests, none failed: {dict(seen.versions)}")


def test_no_request_fails_without_steps(case):
    serve(case)
    with traffic(case) as seen:
        move(case)
        at_rest(case, "m-v2")
        seen.at_least(50)
    assert not seen.failed, seen.failed[:5]


def test_no_request_fails_in_a_rollback(case):
    serve(case)
    with traffic(case) as seen:
        rollout = move(case, steps=[{"weight": 40}, {"pause": {"duration": "2s"}}, {"gates": ["accuracy"]}],
                       gates=[gate(query="vector(0)", min="0.9", count=1)])
        case.phase(rollout, "RolledBack")
        case.stalled("RolledBack")
        case.until(lambda: len(case.all("Deployment")) == 1 and len(case.all("Pod")) == 2, "the candidate is gone")
        seen.at_least(100)
    assert not seen.failed, seen.failed[:5]
    assert seen.versions["m-v2"] > 0
    assert shares(case, 200) == {"m-v1": 200}


@pytest.mark.parametrize("how", ["abort", "Git goes back", "a newer version"])
def test_no_request_fails_when_it_ends_early(case, how):
    serve(case)
    with traffic(case) as seen:
        rollout = move(case, steps=[{"weight": 50}, ENDLESS])
        case.phase(rollout, "Paused")
        seen.at_least(200)
        if how == "abort":
            case.steer(rollout, "Aborted")
            case.phase(rollout, "Aborted")
        elif how == "Git goes back":
            case.move("m-v1")
            at_rest(case, "m-v1")
        else:
            version(case, "m-v3")
            case.move("m-v3")
            case.phase(rollout, "Superseded")
            newer = case.rollout_of("m-v3")
            case.phase(newer, "Paused")
            seen.at_least(100)
            case.steer(newer, "Promoted")
            at_rest(case, "m-v3")
        seen.at_least(100)
        left = 2 if how != "abort" else 1
        case.until(lambda: len(case.all("Deployment")) <= left, "what is left")
    assert not seen.failed, seen.failed[:5]
    assert seen.versions["m-v2"] > 0


def test_no_request_fails_when_replicas_change_on_the_way(case):
    serve(case)
    with traffic(case) as seen:
        rollout = move(case, steps=[{"weight": 50}, ENDLESS])
        case.phase(rollout, "Paused")
        for replicas, candidates in ((5, 3), (1, 1)):
            case.kube.scale("Model", "m", replicas, case.namespace)
            case.until(lambda n=replicas, c=candidates: case.endpoints("m") == {"m-v1": n} and case.endpoints("m-candidate") == {"m-v2": c},
                       f"{replicas} replicas")
        case.steer(rollout, "Promoted")
        at_rest(case, "m-v2")
    assert not seen.failed, seen.failed[:5]


def test_no_request_fails_when_the_operator_is_killed_in_each_step(private):
    case = private
    serve(case)
    with traffic(case) as seen:
        rollout = move(case, steps=[{"weight": 20}, {"pause": {"duration": "1s"}}, {"weight": 60}, {"pause": {"duration": "1s"}}])
        # Each time something has been decided, and may not have been carried out yet.
        while case.mro(rollout).get("phase") != "Succeeded":
            before = case.mro(rollout).get("step")
            case.operator.kill()
            seen.at_least(30)
            case.operator.start()
            case.until(lambda b=before: case.mro(rollout).get("phase") == "Succeeded" or case.mro(rollout).get("step") != b, "it goes on")
        case.operator.kill()
        seen.at_least(100)
        case.operator.start()
        at_rest(case, "m-v2")
        seen.at_least(50)
    assert not seen.failed, seen.failed[:5]
    assert seen.versions["m-v1"] and seen.versions["m-v2"]


def test_no_request_fails_when_a_model_gets_a_route_and_loses_it(case):
    """Callers of the Service notice nothing, and neither do those of the gateway once it serves."""
    serve(case, route=None)
    service = case.get("Service", "m")["spec"]["clusterIP"]
    with traffic(case, f"http://{service}:80") as seen:
        model(case, version="m-v1")
        case.ready(version="m-v1")
        reachable(case)
        with traffic(case) as through_the_gateway:
            rollout = move(case, steps=[{"weight": 50}, ENDLESS])
            case.phase(rollout, "Paused")
            through_the_gateway.at_least(100)
            case.steer(rollout, "Promoted")
            at_rest(case, "m-v2")
        assert not through_the_gateway.failed, through_the_gateway.failed[:5]
        model(case, version="m-v2", route=None)
        case.until(lambda: case.find("HTTPRoute", "m") is None, "the route is gone")
        at_rest(case, "m-v2")
        seen.at_least(50)
    assert not seen.failed, seen.failed[:5]
    assert seen.versions["m-v1"] and seen.versions["m-v2"]


@pytest.mark.parametrize("back", [False, True])
def test_a_route_that_comes_or_goes_during_a_canary(case, back):
    """From replicas as the weight to the route's weights, and back, for callers of the Service."""
    serve(case, route=None if not back else {"parentRefs": [PARENT], "hostnames": [host(case)]})
    service = case.get("Service", "m")["spec"]["clusterIP"]
    with traffic(case, f"http://{service}:80") as seen:
        steps = [{"weight": 50}, ENDLESS]
        version(case, "m-v2")
        model(case, version="m-v2", steps=steps, **({} if back else {"route": None}))
        rollout = case.rollout_of("m-v2")
        case.phase(rollout, "Paused")
        model(case, version="m-v2", steps=steps, **({"route": None} if back else {}))
        case.until(lambda: bool(weights(case)) != back, "the route came or went")
        if back:
            case.served_by({"m-v1": 1, "m-v2": 1})
        else:
            case.until(lambda: weights(case) == {"m": 50, "m-candidate": 50} and case.endpoints("m") == {"m-v1": 2}, "by the route now")
            reachable(case)
            must_share(case, 50, 1000)
        case.steer(rollout, "Promoted")
        at_rest(case, "m-v2")
    assert not seen.failed, seen.failed[:5]


def test_no_request_fails_in_blue_green(case):
    """Full size before the switch, and the new version can be tried apart; then everything at once, and back when it turns out bad."""
    serve(case)
    blue_green = {"strategy": "BlueGreen"}
    with traffic(case) as seen:
        rollout = move(case, rollout=blue_green, steps=[ENDLESS, {"weight": 100}, {"pause": {"duration": "2s"}}])
        case.phase(rollout, "Paused")
        case.until(lambda: case.endpoints("m") == {"m-v1": 2} and case.endpoints("m-candidate") == {"m-v2": 2}, "both at full size")
        assert shares(case, 200) == {"m-v1": 200}
        preview = case.get("Service", "m-candidate")["spec"]["clusterIP"]
        assert share(f"http://{preview}:80", host(case), 50, PATH, QUESTION, inside=inside()) == {"m-v2": 50}
        case.steer(rollout, "Running")
        at_rest(case, "m-v2")
        assert shares(case, 200) == {"m-v2": 200}
        bad = move(case, "m-v3", rollout=blue_green, steps=[{"weight": 100}, {"pause": {"duration": "2s"}}, {"gates": ["accuracy"]}],
                   gates=[gate(query="vector(0)", min="0.9", count=1)])
        case.phase(bad, "RolledBack")
        case.until(lambda: len(case.all("Deployment")) == 1 and len(case.all("Pod")) == 2, "m-v3 is gone")
        assert shares(case, 200) == {"m-v2": 200}
    assert not seen.failed, seen.failed[:5]
    assert seen.versions["m-v3"] > 0


def test_no_request_fails_when_a_bake_goes_bad(case):
    """After 100 %: what served before has its pods still, and gets everything back."""
    serve(case)
    case.metrics.set("errors", 0, version="m-v2")
    with traffic(case) as seen:
        rollout = move(case, rollout={"bake": {"duration": "1h", "gates": ["errors"]}}, gates=[gate("errors", max="0.1", count=1)])
        case.phase(rollout, "Baking")
        case.until(lambda: weights(case) == {"m-candidate": 100}, "m-v2 has everything")
        pods = {p["metadata"]["uid"] for p in case.all("Pod", {"modelops.dev/version": "m-v1"})}
        seen.at_least(100)
        case.metrics.set("errors", 1, version="m-v2")
        case.phase(rollout, "RolledBack")
        case.until(lambda: weights(case) == {"m": 100}, "m-v1 has everything again")
        case.until(lambda: shares(case, 50) == {"m-v1": 50}, "m-v1 answers")
        case.stalled("RolledBack")
        case.until(lambda: len(case.all("Pod")) == 2, "the pods of m-v2 are gone")
    assert not seen.failed, seen.failed[:5]
    assert seen.versions["m-v2"] > 0
    assert pods == {p["metadata"]["uid"] for p in case.all("Pod")}


def test_no_request_fails_when_a_warm_version_takes_over(case):
    """`kubectl model rollback`: nothing has to start."""
    serve(case, rollout={"keepWarm": 1})
    pods = {p["metadata"]["uid"] for p in case.all("Pod")}
    rollout = move(case, rollout={"keepWarm": 1})
    case.phase(rollout, "Succeeded")
    case.ready(version="m-v2")
    with traffic(case) as seen:
        seen.at_least(50)
        case.rollout("back", "m-v1", desiredState="Promoted")
        case.phase("back", "Succeeded")
        case.until(lambda: case.status()["stableVersion"] == "m-v1" and weights(case) == {"m": 100} and case.endpoints("m") == {"m-v1": 2}, "m-v1 serves")
        case.until(lambda: shares(case, 50) == {"m-v1": 50}, "m-v1 answers")
    assert not seen.failed, seen.failed[:5]
    assert pods == {p["metadata"]["uid"] for p in case.all("Pod", {"modelops.dev/version": "m-v1"})}, "pods were made anew"


# ---- apart from weights

CHOSEN = {"match": {"headers": [{"name": "x-canary", "value": "yes"}]}}


def test_chosen_callers_get_the_candidate(case):
    """All their requests, before anybody else's, and no more of it once the rollout was aborted. None fails."""
    serve(case)
    steps = [CHOSEN, ENDLESS, {"weight": 10}, ENDLESS]
    with traffic(case) as seen, traffic(case, headers={"X-Canary": "yes"}) as chosen:
        rollout = move(case, steps=steps)
        case.phase(rollout, "Paused")
        case.until(lambda: shares(case, 50, {"x-canary": "yes"}) == {"m-v2": 50}, "chosen callers get m-v2")
        assert shares(case, 500) == {"m-v1": 500} and shares(case, 500, {"x-canary": "no"}) == {"m-v1": 500}
        assert "matched requests" in case.status()["trafficSummary"]
        case.steer(rollout, "Running")
        case.until(lambda: case.mro(rollout)["step"]["index"] == 4 and case.mro(rollout)["phase"] == "Paused", "at 10 %")
        must_share(case, 10, 2000)
        assert shares(case, 200, {"x-canary": "yes"}) == {"m-v2": 200}
        case.steer(rollout, "Aborted")
        case.phase(rollout, "Aborted")
        case.until(lambda: shares(case, 50, {"x-canary": "yes"}) == {"m-v1": 50}, "chosen callers are back")
        seen.at_least(50)
    assert not seen.failed and not chosen.failed, (seen.failed[:5], chosen.failed[:5])
    assert len(case.get("HTTPRoute", "m")["spec"]["rules"]) == 1


def test_chosen_callers_see_a_preview_and_everybody_the_switch(case):
    serve(case)
    with traffic(case) as seen, traffic(case, headers={"x-canary": "yes"}) as chosen:
        rollout = move(case, rollout={"strategy": "BlueGreen"}, steps=[{"candidateReplicas": 1}, CHOSEN, ENDLESS, {"weight": 100}])
        case.phase(rollout, "Paused")
        assert case.endpoints("m-candidate") == {"m-v2": 1}, "a preview of one pod"
        case.until(lambda: shares(case, 50, {"x-canary": "yes"}) == {"m-v2": 50}, "chosen callers get m-v2")
        assert shares(case, 200) == {"m-v1": 200}
        case.steer(rollout, "Running")
        at_rest(case, "m-v2")
        assert shares(case, 200) == {"m-v2": 200} and case.endpoints("m") == {"m-v2": 2}
    assert not seen.failed and not chosen.failed, (seen.failed[:5], chosen.failed[:5])


def test_a_candidate_has_as_many_pods_as_its_step_says(case):
    serve(case)
    rollout = move(case, steps=[{"candidateReplicas": 3}, {"weight": 10}, ENDLESS, {"candidateReplicas": 1}, {"pause": {}}])
    case.phase(rollout, "Paused")
    case.until(lambda: case.endpoints("m-candidate") == {"m-v2": 3} and case.endpoints("m") == {"m-v1": 2}, "three for 10 %")
    case.steer(rollout, "Running")
    case.until(lambda: case.mro(rollout)["step"]["index"] == 5, "the next pause")
    case.until(lambda: case.endpoints("m-candidate") == {"m-v2": 1}, "one")
    case.steer(rollout, "Promoted")
    at_rest(case, "m-v2")
    assert case.endpoints("m") == {"m-v2": 2}


def test_a_gateway_that_mirrors_nothing_is_not_asked_to(case):
    """Traefik would answer callers with errors."""
    serve(case)
    with traffic(case) as seen:
        rollout = move(case, rollout={"strategy": "Shadow"}, steps=[ENDLESS])
        case.phase(rollout, "RolledBack")
        message = case.stalled("RolledBack")["status"]["message"]
        assert "HTTPRouteRequestMirror" in message and "GatewayClass traefik" in message, message
        at_rest_again = lambda: len(case.all("Pod")) == 2 and case.find("Service", "m-candidate") is None
        case.until(at_rest_again, "m-v2 is gone")
        seen.at_least(50)
    assert not seen.failed and seen.versions["m-v2"] == 0


# ---- what cannot be

def test_a_parent_that_is_not_there(case):
    version(case, "m-v1")
    model(case, version="m-v1", route={"parentRefs": [{"name": "nobody"}], "hostnames": [host(case)]})
    found = case.stalled("RouteNotServed")
    assert "nobody" in found["status"]["message"] or "parentRefs" in found["status"]["message"], found["status"]["message"]
    case.until(lambda: condition(case.get(), "Available")["status"] == "True", "callers of the Service are served")
    # And the one that it waits for comes.
    own_gateway(case, "nobody")
    case.ready(version="m-v1")
    reachable(case)
    assert shares(case, 100) == {"m-v1": 100}


def test_a_listener_that_is_not_there(case):
    version(case, "m-v1")
    model(case, version="m-v1", route={"parentRefs": [{**PARENT, "sectionName": "https"}], "hostnames": [host(case)]})
    message = case.stalled("RouteNotServed")["status"]["message"]
    assert "HTTPRoute m" in message and "gw" in message, message


def test_a_canary_waits_while_nobody_serves_its_route(case):
    """A weight that the gateway has not taken up is not reached."""
    serve(case)
    broken = {"parentRefs": [{"name": "nobody"}], "hostnames": [host(case)]}
    rollout = move(case, steps=[{"weight": 50}, {"pause": {"duration": "1s"}}], route=broken)
    case.stalled("RouteNotServed")
    assert case.mro(rollout)["phase"] == "Progressing" and case.mro(rollout)["step"]["index"] == 1
    model(case, version="m-v2", steps=[{"weight": 50}, {"pause": {"duration": "1s"}}])
    case.phase(rollout, "Succeeded")
    at_rest(case, "m-v2")
    reachable(case)
    assert shares(case, 100) == {"m-v2": 100}


# ---- with others

def test_what_others_write_on_the_route_stays(case):
    """Also through all the writes of a rollout; but weights are the operator's."""
    own_gateway(case, "own", hostname=host(case))
    route = {"parentRefs": [{"name": "own"}]}  # without hostnames, so that these are for others to say
    serve(case, route=route)
    theirs = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
              "metadata": {"name": "m", "labels": {"team": "payments"}, "annotations": {"example.com/rate": "10"}},
              "spec": {"hostnames": [host(case)]}}
    case.kube.apply(theirs, case.namespace, manager="gateway-team", force=False)

    def kept():
        route = case.get("HTTPRoute", "m")
        return (route["metadata"]["labels"].get("team") == "payments" and route["metadata"]["annotations"].get("example.com/rate") == "10"
                and route["spec"].get("hostnames") == [host(case)])
    rollout = move(case, route=route, steps=[{"weight": 30}, ENDLESS])
    case.phase(rollout, "Paused")
    assert kept()
    must_share(case, 30, 1000)
    by_hand = [{"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 99}]
    case.kube.patch("HTTPRoute", "m", by_hand, case.namespace)
    case.until(lambda: weights(case) == {"m": 70, "m-candidate": 30}, "the weight is set back")
    case.steer(rollout, "Promoted")
    at_rest(case, "m-v2")
    assert kept()


def test_a_route_that_belongs_to_others_is_not_taken(case):
    theirs = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "m"},
              "spec": {"parentRefs": [PARENT], "hostnames": ["other.example.com"],
                       "rules": [{"backendRefs": [{"name": "other", "port": 80, "weight": 1}]}]}}
    case.kube.apply(theirs, case.namespace, manager="gateway-team")
    version(case, "m-v1")
    model(case, version="m-v1")
    found = case.until(lambda: condition(o := case.get(), "Stalled")["status"] == "True" and o, "the Model says that it cannot")
    assert "HTTPRoute" in found["status"]["message"], found["status"]["message"]
    assert case.get("HTTPRoute", "m")["spec"]["hostnames"] == ["other.example.com"]


def test_callers_stay_with_a_version_where_the_cluster_lets_them(alone):
    """HTTPRoutes of the standard channel have no sessionPersistence: weights move without it, there and back, and the Model says what is missing."""
    case = alone
    case.operator = operators.namespaced(case.kube, case.namespace)
    sessions = {"type": "Cookie", "sessionName": "m", "absoluteTimeout": "1h"}
    route = {"parentRefs": [PARENT], "hostnames": [host(case)], "sessionPersistence": sessions}
    crd = ("CustomResourceDefinition", "httproutes.gateway.networking.k8s.io")
    field = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/rules/items/properties/sessionPersistence"
    undo = contextlib.ExitStack()

    def refused():
        message = case.stalled("SessionPersistenceRefused")["status"]["message"]
        assert "spec.serving.route.sessionPersistence" in message and "experimental channel" in message, message
        return case.get("HTTPRoute", "m")["spec"]["rules"]

    with undo:
        case.operator.start()
        undo.callback(case.operator.end)
        version(case, "m-v1")
        model(case, version="m-v1", route=route)
        assert "sessionPersistence" not in refused()[0]
        reachable(case)
        rollout = move(case, route=route, steps=[{"weight": 30}, ENDLESS])
        case.phase(rollout, "Paused")
        assert weights(case) == {"m": 70, "m-candidate": 30}
        case.steer(rollout, "Aborted")
        case.until(lambda: weights(case) == {"m": 100}, "everybody is back")
        model(case, version="m-v1", route=route)
        refused()

        case.kube.patch(*crd, [{"op": "add", "path": field, "value": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}])
        undo.callback(case.kube.patch, *crd, [{"op": "remove", "path": field}])
        probe = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "probe"},
                 "spec": {"rules": [{"sessionPersistence": sessions}]}}
        case.until(lambda: case.kube.apply(probe, case.namespace, dry_run=True), "the API server knows the field")
        case.kube.patch("HTTPRoute", "m", {"metadata": {"annotations": {"modelops.dev/session-persistence-refused": None}}}, case.namespace)
        case.until(lambda: case.get("HTTPRoute", "m")["spec"]["rules"][0].get("sessionPersistence") == sessions, "the rule keeps sessions")
        case.ready(version="m-v1")


def test_a_cluster_without_the_gateway_api(alone):
    """Models without a route don't miss it; one with a route says what is missing, and goes on once it is there."""
    case = alone
    case.operator = operators.namespaced(case.kube, case.namespace)
    try:
        case.kube.delete("CustomResourceDefinition", "httproutes.gateway.networking.k8s.io")
        case.kube.wait_gone("CustomResourceDefinition", "httproutes.gateway.networking.k8s.io")
        case.operator.start()
        version(case, "m-v1")
        model(case, version="m-v1", route=None)
        case.ready(version="m-v1")
        model(case, version="m-v1")
        message = case.until(lambda: condition(o := case.get(), "Stalled")["status"] == "True" and o, "it says that it cannot")["status"]["message"]
        assert "Gateway API" in message, message
        case.operator.wait_ready()
    finally:
        # Traefik asks for what it lost ever more seldom.
        access.kubectl(Layout(settings.RIG), "apply", "--server-side", "-f", build.gateway_home() / "crds.yaml")
        access.signal_component(Layout(settings.RIG), "gateway", "KILL")
    try:
        case.ready(version="m-v1", timeout=120)
        reachable(case)
        assert shares(case, 100) == {"m-v1": 100}
    finally:
        case.operator.end()
