"""How many pods there are in all: autoscalers, disruption budgets, and where there is no room for more (maxSurge)."""

import contextlib
import http.server
import json
import queue
import ssl
import subprocess
import threading
import time

import pytest

from case import condition, gate
from history import History
from kube import ApiError
from riglib import relay
from riglib.traffic import Traffic
from test_route import PATH, QUESTION, RULES, inside

EXTERNAL = "external.metrics.k8s.io"
ENDLESS = {"pause": {}}


def autoscaling(metric="queue", least=1, most=4):
    """One pod for each that waits in the queue, at once in both directions."""
    return {"autoscaling": {"minReplicas": least, "maxReplicas": most, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
                            "metrics": [{"type": "External", "external": {"metric": {"name": metric}, "target": {"type": "AverageValue", "averageValue": "1"}}}]}}


def replicas(case):
    return case.get()["spec"]["serving"]["replicas"]


@contextlib.contextmanager
def queue_lengths(case, folder):
    """The API of external metrics, as an adapter serves it; what is put into the dict is what autoscalers read in this namespace."""
    values = {}

    class Adapter(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0].strip("/").split("/")
            code, answer = 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{EXTERNAL}/v1beta1", "resources": []}
            if len(path) == 6:
                now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                found = [{"metricName": path[5], "metricLabels": {}, "timestamp": now, "value": str(values[path[5]])}] if path[4] == case.namespace and path[5] in values else []
                answer = {"kind": "ExternalMetricValueList", "apiVersion": f"{EXTERNAL}/v1beta1", "metadata": {}, "items": found}
            body = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", folder / "key", "-out", folder / "crt"],
                   check=True, capture_output=True)
    made = queue.Queue()

    def serve():
        relay.enter_network(inside())   # where the API server is
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Adapter)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(folder / "crt", folder / "key")
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        made.put(server)
        server.serve_forever()

    threading.Thread(target=serve, daemon=True).start()
    server = made.get(timeout=10)
    try:
        case.kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "adapter"}, "spec": {"type": "ExternalName", "externalName": "localhost"}}, case.namespace)
        case.kube.apply({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": f"v1beta1.{EXTERNAL}"},
                         "spec": {"group": EXTERNAL, "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": True,
                                  "service": {"name": "adapter", "namespace": case.namespace, "port": server.server_port}}})
        case.until(lambda: condition(case.kube.get("APIService", f"v1beta1.{EXTERNAL}"), "Available")["status"] == "True", "the adapter is reached")
        yield values
    finally:
        case.kube.delete("APIService", f"v1beta1.{EXTERNAL}")
        case.kube.wait_gone("APIService", f"v1beta1.{EXTERNAL}")
        server.shutdown()


def test_an_autoscaler_scales_the_model_during_a_canary_too(case, tmp_path):
    """The real controller: up while a rollout holds at half, down after it, and it never takes a word in what the versions get."""
    with queue_lengths(case, tmp_path) as waiting:
        waiting["queue"] = 2
        spec = {"replicas": None, "serving": autoscaling(), "steps": [{"weight": 50}, ENDLESS]}
        case.serve("m-v1", **spec)
        case.until(lambda: replicas(case) == 2, "scaled to what waits")
        case.ready()
        case.served_by({"m-v1": 2})
        owner = case.get("HorizontalPodAutoscaler")["metadata"]["ownerReferences"][0]
        assert owner["kind"] == "Model" and owner["controller"]
        case.version("m-v2")
        case.model(version="m-v2", **spec)
        rollout = case.rollout_of("m-v2")
        case.phase(rollout, "Paused")
        case.served_by({"m-v1": 1, "m-v2": 1})
        waiting["queue"] = 4
        case.until(lambda: replicas(case) == 4, "scaled up in the middle")
        case.served_by({"m-v1": 2, "m-v2": 2})
        assert case.mro(rollout)["phase"] == "Paused" and len(case.all("ModelRollout")) == 1
        case.steer(rollout, "Promoted")
        case.served_by({"m-v2": 4})
        waiting["queue"] = 1
        case.until(lambda: replicas(case) == 1, "scaled down")
        case.ready(version="m-v2")
        case.served_by({"m-v2": 1})
        # What it cannot do is said.
        del waiting["queue"]
        case.until(lambda: "cannot scale it: FailedGetExternalMetric" in case.status()["message"], "why it cannot scale stands in status")
        case.ready()


def test_scale_is_followed_in_every_phase_and_is_no_new_intent(case):
    """As an autoscaler scales: before, during and after a rollout, and after one that failed."""
    spec = {"replicas": None, "serving": autoscaling("none", 2, 6), "steps": [{"weight": 50}, {"gates": ["accuracy"]}, {"pause": {}}],
            "gates": [gate(min="0.9", count=1, onInconclusive="Wait")]}
    case.serve("m-v1", **spec)
    case.served_by({"m-v1": 2})
    case.version("m-v2")
    case.model(version="m-v2", **spec)
    rollout = case.rollout_of("m-v2")
    case.served_by({"m-v1": 1, "m-v2": 1})
    case.kube.scale("Model", "m", 6, case.namespace)
    case.served_by({"m-v1": 3, "m-v2": 3})
    case.kube.scale("Model", "m", 4, case.namespace)
    case.served_by({"m-v1": 2, "m-v2": 2})
    case.metrics.set("accuracy", "0.5", version="m-v2")
    case.phase(rollout, "RolledBack")
    case.served_by({"m-v1": 4})
    case.kube.scale("Model", "m", 3, case.namespace)
    case.served_by({"m-v1": 3})
    case.looked_again()
    case.stalled("RolledBack")
    assert len(case.all("ModelRollout")) == 1, "scaling tried it again"


def test_an_autoscaler_that_somebody_else_made_is_in_the_way_and_left_alone(case):
    theirs = case.kube.create({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "m"},
                               "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"}, "maxReplicas": 3}}, case.namespace)
    case.version("m-v1")
    case.model(version="m-v1", replicas=None, serving=autoscaling())
    found = case.stalled("ApplyRefused")
    assert "HorizontalPodAutoscaler" in found["status"]["message"], found["status"]["message"]
    case.served_by({"m-v1": 1})   # it holds up nothing else
    assert case.get("HorizontalPodAutoscaler")["spec"] == theirs["spec"]
    case.kube.delete("HorizontalPodAutoscaler", "m", case.namespace)
    case.ready(version="m-v1")
    case.model(version="m-v1", replicas=1)
    case.until(lambda: case.find("HorizontalPodAutoscaler", "m") is None, "ours goes with the spec's wish")


def test_what_is_wrong_with_metrics_is_said_in_the_api_server_s_words(case):
    case.version("m-v1")
    serving = autoscaling()
    serving["autoscaling"]["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}]
    case.model(version="m-v1", replicas=None, serving=serving)
    found = case.stalled("ApplyRefused")
    assert "HorizontalPodAutoscaler" in found["status"]["message"] and "metrics[0]" in found["status"]["message"], found["status"]["message"]
    case.served_by({"m-v1": 1})


# ---- no room

def most_pods(history):
    """One that has ended is but a record on its way out: the scheduler gives its room away, too."""
    def holds(pod):
        return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    return max(sum(map(holds, world.objects["Pod"].values())) for _, world in history.replay())


def test_without_surge_there_are_never_more_pods_and_no_request_fails(case):
    """Pods that end count too: theirs is the GPU until they are gone."""
    def version(name):
        case.version(name, artifact=case.artifact(name, RULES, format={"name": "rules"}))
    spec = {"runtime": None, "replicas": 3, "serving": {"maxSurge": 0}, "steps": [{"weight": 34}, {"pause": {"duration": "1s"}}, {"weight": 70}]}
    version("m-v1")
    case.model(version="m-v1", **spec)
    case.ready(version="m-v1")
    address = f"http://{case.get('Service')['spec']['clusterIP']}:80"
    with History(case.kube, case.namespace) as history:
        with Traffic(address, "m", PATH, QUESTION, pause=0.02, inside=inside()) as seen:
            seen.at_least(100)
            version("m-v2")
            case.model(version="m-v2", **spec)
            case.phase(case.rollout_of("m-v2"), "Succeeded")
            case.ready(version="m-v2")
            case.served_by({"m-v2": 3})
            seen.at_least(100)
    assert not seen.failed, seen.failed[:5]
    assert most_pods(history) == 3
    shares = history.shares("m")
    assert {"m-v1": 2, "m-v2": 1} in shares and {"m-v1": 1, "m-v2": 2} in shares, shares
    assert min(sum(share.values()) for share in shares) >= 2, shares


def test_without_surge_an_abort_brings_everything_back_within_the_room(case):
    spec = {"replicas": 3, "serving": {"maxSurge": 0}, "steps": [{"weight": 70}, ENDLESS]}
    case.serve("m-v1", **spec)
    case.version("m-v2")
    with History(case.kube, case.namespace) as history:
        case.model(version="m-v2", **spec)
        rollout = case.rollout_of("m-v2")
        case.phase(rollout, "Paused")
        case.served_by({"m-v1": 1, "m-v2": 2})
        case.steer(rollout, "Aborted")
        case.phase(rollout, "Aborted")
        case.served_by({"m-v1": 3})
    assert most_pods(history) == 3
    assert min(sum(share.values()) for share in history.shares("m")) >= 2, history.shares("m")


def test_a_weight_that_whole_pods_cannot_keep_is_said(case):
    spec = {"replicas": 3, "serving": {"maxSurge": 0}, "steps": [{"weight": 10}]}
    case.serve("m-v1", **spec)
    case.version("m-v2")
    case.model(version="m-v2", **spec)
    message = case.stalled("WeightTooSmall")["status"]["message"]
    assert "maxSurge 0" in message and "at least 34" in message, message


# ---- disruption budgets

def budget(case, least):
    """Over all pods of the Model, whichever version they are of."""
    case.kube.apply({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "m"},
                     "spec": {"minAvailable": least, "selector": {"matchLabels": {"modelops.dev/model": "m"}}}}, case.namespace)
    case.until(lambda: case.get("PodDisruptionBudget")["status"].get("currentHealthy") == least, "the budget counts the pods")


def evict(case):
    pod = case.all("Pod", {"modelops.dev/model": "m"})[0]["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": case.namespace}}
    case.kube._call("POST", f"/api/v1/namespaces/{case.namespace}/pods/{pod}/eviction", body)


def test_a_disruption_budget_blocks_evictions_and_not_us(private):
    """A budget without slack, and the operator started anew: rollouts go on, since scaling Deployments asks no budget."""
    case = private
    spec = {"replicas": 2, "steps": [{"weight": 50}, ENDLESS]}
    case.serve("m-v1", **spec)
    budget(case, 2)
    with pytest.raises(ApiError) as refused:
        evict(case)
    assert refused.value.code == 429 and "disruption budget" in refused.value.message
    case.version("m-v2")
    case.model(version="m-v2", **spec)
    rollout = case.rollout_of("m-v2")
    case.phase(rollout, "Paused")
    case.operator.kill()
    case.operator.start()
    case.steer(rollout, "Running")
    case.phase(rollout, "Succeeded")
    case.served_by({"m-v2": 2})
    case.until(lambda: len(case.all("Pod")) == 2, "the pods of m-v1 are gone")
