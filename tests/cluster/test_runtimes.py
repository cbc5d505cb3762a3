"""A ModelRuntime that updates its Models by itself: on the real API server, with the operator's real rights."""

import contextlib

from case import TINY_RUNTIME
from history import History


@contextlib.contextmanager
def runtime(case, **update):
    """A runtime of this test's own, of a format of its own, with real pods."""
    name = f"tiny-{case.namespace}"
    spec = {**TINY_RUNTIME["spec"], "formats": [{"name": name[:63]}], "update": {"policy": "Automatic", **update}}
    case.kube.apply({**TINY_RUNTIME, "metadata": {"name": name}, "spec": spec})
    try:
        yield name
    finally:
        case.kube.delete("ModelRuntime", name)


def patch(case, name, value):
    case.kube.patch("ModelRuntime", name, {"spec": {"template": {"metadata": {"annotations": {"patch": value}}}}})


def serve(case, runtime, models):
    for model, tier in models.items():
        case.version(f"{model}-v1", model=model, artifact=case.artifact(f"{model}-v1", format={"name": runtime[:63]}))
        case.model(model, version=f"{model}-v1", replicas=1, runtime=runtime, riskTier=tier, rollout={"steps": [{"weight": 50}, {"pause": {"duration": "1s"}}]})
    status = lambda: case.kube.get("ModelRuntime", runtime).get("status", {})
    case.until(lambda: status().get("updated") == len(models), "all Models serve by the runtime", timeout=120)
    return status


def rollouts(case):
    """Of the runtime, the oldest first."""
    of_runtime = [r for r in case.all("ModelRollout") if r["metadata"]["labels"].get("modelops.dev/origin") == "runtime"]
    return sorted(of_runtime, key=lambda r: (r.get("status", {}).get("startedAt", "z"), r["metadata"]["creationTimestamp"]))


def test_an_edit_reaches_every_model_one_after_the_other(case):
    with runtime(case, maxConcurrent=1) as name:
        status = serve(case, name, {"high": "high", "low": "low"})
        patch(case, name, "1")
        case.until(lambda: status().get("updated") == 2 and len(rollouts(case)) == 2 and status()["observedGeneration"] == 2, "both have the patch", timeout=120)
        first, second = rollouts(case)
        assert [r["spec"]["modelRef"]["name"] for r in (first, second)] == ["low", "high"]
        assert first["status"]["finishedAt"] <= second["status"]["startedAt"]
        patches = lambda: [(p["metadata"]["labels"]["modelops.dev/model"], p["metadata"].get("annotations", {}).get("patch")) for p in case.all("Pod")]
        case.until(lambda: sorted(patches()) == [("high", "1"), ("low", "1")], "only pods of the patch are left")
        ready = {c["type"]: c for c in status()["conditions"]}
        assert ready["Ready"]["status"] == "True" and status()["rolling"] == [] and status()["failed"] == 0


def test_an_edit_that_breaks_a_model_stops_there(case):
    with runtime(case, maxConcurrent=1, maxFailures=1) as name:
        status = serve(case, name, {"a": "low", "b": "low"})
        for model in ("a", "b"):
            case.kube.patch("Model", model, {"spec": {"rollout": {"progressDeadlineSeconds": 10}}}, case.namespace)
        case.kube.patch("ModelRuntime", name, {"spec": {"template": {"spec": {"nodeSelector": {"no": "node"}}}}})
        case.until(lambda: status().get("failed") == 1, "the first Model was rolled back", timeout=90)
        stalled = {c["type"]: c for c in status()["conditions"]}["Stalled"]
        assert stalled["status"] == "True" and stalled["reason"] == "TooManyFailures"
        assert f"the rollout of 1 of 2 Models failed ({case.namespace}/a)" in stalled["message"], stalled
        case.looked_again(2, "a")
        assert len(rollouts(case)) == 1 and status()["rolling"] == []
        # Another edit begins anew, and counts anew.
        case.kube.patch("ModelRuntime", name, {"spec": {"template": {"spec": {"nodeSelector": None}, "metadata": {"annotations": {"patch": "2"}}}}})
        case.until(lambda: status().get("updated") == 2 and status()["failed"] == 0, "both have the mended one", timeout=120)


def test_models_are_patched_two_at_a_time_and_each_of_them_once(case):
    models = {name: "low" for name in ("a", "b", "c", "d", "e")}
    with runtime(case, maxConcurrent=2) as name:
        status = serve(case, name, models)
        with History(case.kube, case.namespace) as history:
            patch(case, name, "1")
            done = {"updated": 5, "observedGeneration": 2, "rolling": []}
            case.until(lambda: status().items() >= done.items(), "all have the patch", timeout=120)
        over = ("Succeeded", "RolledBack", "Failed", "Aborted", "Superseded")
        for kind, world in history.replay():
            live = [r for r in world.objects["ModelRollout"].values() if r.get("status", {}).get("phase") not in over]
            assert len(live) <= 2, world.last
        assert sorted(r["spec"]["modelRef"]["name"] for r in rollouts(case)) == sorted(models)
