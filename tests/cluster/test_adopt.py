"""A Deployment that served before its Model did: replaced once the Model can serve, given back when it goes (spec.serving.adopt)."""

import contextlib
import threading
import time

import pytest

from before import ADOPT, PORTS, deployment, replicas, service


@contextlib.contextmanager
def callers(case, port=8080):
    """Requests without a pause, through all that happens; none may fail. Yields what has answered so far."""
    url, told, failed, over = case.forward(port=port), [], [], threading.Event()

    def call():
        while not over.is_set():
            try:
                told.append(case.fetch(url).split()[0])
            except OSError as error:
                failed.append(f"{time.strftime('%T')} {error}, when {told[-1:]} had answered last")
    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failed, f"{len(failed)} of {len(told) + len(failed)} requests failed: {failed[:3]}"


def answers(case, told, word):
    """The last answers are all of this one."""
    begun = len(told)
    case.until(lambda: len(told) > begun + 20 and set(told[-20:]) == {word}, f"{word} answers")


def test_a_deployment_is_replaced_and_given_back_without_a_lost_request(case):
    deployment(case)
    service(case)
    before = case.get("Service")
    with callers(case) as told:
        answers(case, told, "old")
        case.serve("m-v1", replicas=2, serving=ADOPT)
        answers(case, told, "m-v1")
        case.until(lambda: replicas(case) == 0, "the old pods are gone")
        adopted = case.until(lambda: case.status()["adopted"].get("phase") == "Replaced" and case.status()["adopted"], "that is on record")
        assert adopted["deployment"] == "old" and adopted["replicas"] == 2
        assert case.get()["metadata"]["finalizers"] == ["modelops.dev/give-back"]
        case.version("m-v2")
        case.model(version="m-v2", replicas=2, serving=ADOPT)
        case.ready(version="m-v2")
        answers(case, told, "m-v2")
        case.kube.delete("Model", "m", case.namespace)
        answers(case, told, "old")
        case.until(lambda: not case.find("Model", "m"), "the Model is gone")
        case.until(lambda: not case.all("Deployment", {"modelops.dev/model": "m"}), "and its pods")
        answers(case, told, "old")
    after = case.get("Service")
    assert after["metadata"]["uid"] == before["metadata"]["uid"] and replicas(case) == 2
    assert after["spec"]["selector"] == before["spec"]["selector"] and after["spec"]["ports"] == before["spec"]["ports"], after["spec"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"] and "ownerReferences" not in after["metadata"], after["metadata"]


def test_a_first_version_that_does_not_pass_replaces_nobody(case):
    deployment(case)
    service(case)
    spec = {"replicas": 1, "serving": ADOPT, "steps": [{"gates": ["recorded"]}],
            "gates": [{"name": "recorded", "version": {"metric": "f1"}, "min": "0.9"}]}
    with callers(case) as told:
        case.version("m-v1", metrics={"f1": "0.5"})
        case.model(version="m-v1", **spec)
        case.phase(case.rollout_of("m-v1"), "Failed")
        assert set(told) <= {"old"} and replicas(case) == 2
        case.version("m-v2", metrics={"f1": "0.95"})
        case.model(version="m-v2", **spec)
        case.ready(version="m-v2")
        answers(case, told, "m-v2")


def test_it_is_given_back_by_an_operator_that_was_killed(private):
    case = private
    deployment(case)
    service(case)
    with callers(case) as told:
        case.serve("m-v1", replicas=1, serving=ADOPT)
        case.until(lambda: replicas(case) == 0, "the old pods are gone")
        case.operator.kill()
        case.kube._call("DELETE", case.kube.path("Model", "m", case.namespace))
        case.operator.start()
        case.until(lambda: case.status()["adopted"]["phase"] == "Returning", "it has begun")
        case.operator.kill()
        case.operator.start()
        case.until(lambda: not case.find("Model", "m"), "the Model is gone")
        answers(case, told, "old")
    assert replicas(case) == 2


def test_a_service_outlives_a_model_that_is_deleted_in_the_foreground(case):
    """Its dependents go first then, before the Model's finalizer is asked: the Service is none of them."""
    deployment(case)
    service(case)
    before = case.get("Service")
    case.serve("m-v1", replicas=1, serving=ADOPT)
    case.until(lambda: replicas(case) == 0, "the old pods are gone")
    case.kube._call("DELETE", case.kube.path("Model", "m", case.namespace), {"propagationPolicy": "Foreground"})
    case.until(lambda: not case.find("Model", "m"), "the Model is gone")
    after = case.get("Service")
    assert after["metadata"]["uid"] == before["metadata"]["uid"] and after["spec"]["selector"] == {"app": "old"} and replicas(case) == 2


def test_what_stays_with_the_model_is_not_given_back(case):
    deployment(case)
    case.serve("m-v1", replicas=1, serving=ADOPT)
    case.until(lambda: replicas(case) == 0, "the old pods are gone")
    case.model(version="m-v1", replicas=1)
    case.until(lambda: "finalizers" not in case.get()["metadata"], "nothing holds the Model any more")
    case.kube.delete("Deployment", "old", case.namespace)
    case.kube.delete("Model", "m", case.namespace)
    assert not case.find("Deployment", "old")


def test_a_deployment_that_went_is_not_waited_for(case):
    deployment(case)
    case.serve("m-v1", replicas=1, serving=ADOPT)
    case.until(lambda: case.status()["adopted"]["phase"] == "Replaced", "it has been replaced")
    case.kube.delete("Deployment", "old", case.namespace)
    case.kube.delete("Model", "m", case.namespace)
    case.until(lambda: not case.find("Model", "m"), "the Model is gone")


def test_a_deployment_that_is_missing_is_waited_for(case):
    case.version("m-v1")
    case.model(version="m-v1", replicas=1, serving=ADOPT)
    message = case.stalled("AdoptionBlocked")["status"]["message"]
    assert "Deployment old" in message and "create it, or remove spec.serving.adopt" in message, message
    deployment(case)
    case.ready(version="m-v1")
    case.until(lambda: replicas(case) == 0, "the old pods are gone")


@pytest.mark.parametrize("why", ["other pods", "headless", "which port", "another Service", "an owner"])
def test_what_cannot_be_adopted_is_left_as_it_is(case, why):
    deployment(case)
    if why == "other pods":
        service(case, app="another")
        words = ["Service m selects other pods than those of Deployment old"]
    elif why == "headless":
        service(case, clusterIP="None")
        words = ["Service m is headless"]
    elif why == "which port":
        service(case, ports=[{**PORTS[0], "name": "a"}, {**PORTS[0], "name": "b", "port": 8081}])
        words = ["has several ports and none is named http"]
    elif why == "another Service":
        service(case, name="old")
        words = ["Service old selects Deployment old", "give the Model the name of that Service"]
    else:
        owner = case.configmap("owner", a="b") or case.get("ConfigMap", "owner")
        case.kube.patch("Deployment", "old", {"metadata": {"ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "controller": True}]}}, case.namespace)
        words = ["Deployment old belongs to ConfigMap owner"]
    case.version("m-v1")
    case.model(version="m-v1", replicas=1, serving=ADOPT)
    message = case.stalled("AdoptionBlocked")["status"]["message"]
    assert all(word in message for word in words), message
    assert replicas(case) == 2 and "finalizers" not in case.get()["metadata"]
