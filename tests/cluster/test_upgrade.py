"""Another release of the operator takes over Models of every strategy, one of them in the middle of a rollout, under real callers."""

import contextlib

import operators
from riglib.traffic import Traffic
from test_route import ENDLESS, GATEWAY, PARENT, PATH, QUESTION, inside, version

MODELS = {
    "canary": {"steps": [{"weight": 50}, ENDLESS]},
    "routed": {"steps": [{"weight": 50}, ENDLESS], "route": True},
    "bluegreen": {"steps": [ENDLESS, {"weight": 100}], "rollout": {"strategy": "BlueGreen"}},
    "recreate": {"rollout": {"strategy": "Recreate"}},
    "shadow": {"steps": [ENDLESS, {"weight": 100}], "rollout": {"strategy": "Shadow"}, "route": True},
    "tight": {"steps": [{"weight": 50}, ENDLESS], "serving": {"maxSurge": 1}},
}
MOVING = ("canary", "routed", "bluegreen")   # these have a rollout under way


def host(case, name):
    return f"{name}.{case.namespace}.example.com"


def apply(case, name, number, steps=None, route=False, **spec):
    where = {"route": {"parentRefs": [PARENT], "hostnames": [host(case, name)]}} if route else {}
    case.model(name, version=f"{name}-v{number}", runtime=None, steps=steps, **where, **spec)


def callers(case, name):
    routed = MODELS[name].get("route")
    url = GATEWAY if routed else f"http://{case.get('Service', name)['spec']['clusterIP']}:80"
    return Traffic(url, host(case, name), PATH.replace("/m/", f"/{name}/"), QUESTION, keep=1, fresh=1, pause=0.05, inside=inside())


def pods(case):
    """Those that stay, with what became of their containers."""
    return {p["metadata"]["uid"]: [s["restartCount"] for s in p["status"].get("containerStatuses", [])]
            for p in case.all("Pod") if not p["metadata"].get("deletionTimestamp")}


def reachable(case, name):
    def answers():
        traffic = callers(case, name)
        traffic.wanted = 5
        with traffic as seen:
            seen.join()
        return not seen.failed
    case.until(answers, f"{name} answers")


def test_another_release_restarts_no_pod_fails_no_request_and_goes_on_with_rollouts(private):
    case = private
    for name, spec in MODELS.items():
        for number in (1, 2):
            version(case, f"{name}-v{number}", model=name)
        apply(case, name, 1, **spec)
    for name in MODELS:
        case.ready(name, f"{name}-v1")
        reachable(case, name)
    for name in MOVING:
        apply(case, name, 2, **MODELS[name])
    rollouts = {name: case.rollout_of(f"{name}-v2", name) for name in MOVING}
    for rollout in rollouts.values():
        case.phase(rollout, "Paused")
    before = pods(case)
    with contextlib.ExitStack() as stack:
        seen = {name: stack.enter_context(callers(case, name)) for name in MODELS}
        case.operator.end()
        case.operator = operators.namespaced(case.kube, case.namespace)
        case.operator.command = [word + "-next" if word.startswith("--fetch-image=") else word for word in case.operator.command]
        case.operator.start()
        for name in MODELS:
            case.looked_again(2, name)
        for one in seen.values():
            one.at_least(20)
        assert pods(case) == before
        assert all(case.mro(rollout)["phase"] == "Paused" for rollout in rollouts.values())
        for rollout in rollouts.values():
            case.resume(rollout)
        for name, rollout in rollouts.items():
            case.phase(rollout, "Succeeded")
            case.ready(name, f"{name}-v2")
        for one in seen.values():
            one.at_least(20)
    for name, one in seen.items():
        assert not one.failed, (name, one.failed[:5])
    # What did not move is as it was.
    left = [p for p in case.all("Pod") if p["metadata"]["labels"]["modelops.dev/model"] not in MOVING]
    assert {p["metadata"]["uid"] for p in left} <= set(before) and len(left) == 2 * (len(MODELS) - len(MOVING))
