"""What served before a Model did, as a chart made it: Deployment `old`, and the Service that its callers know."""

from case import TINY_POD

PORTS = [{"port": 8080, "protocol": "TCP", "targetPort": 8080}]
ADOPT = {"adopt": {"name": "old"}}   # spec.serving of the Model that takes its place
HELM = {"app.kubernetes.io/managed-by": "Helm"}


def deployment(case, replicas=2):
    pod = dict(TINY_POD, containers=[dict(TINY_POD["containers"][0], env=[{"name": "MODEL_VERSION", "value": "old"}])])
    case.configmap("old", artifact="by hand")
    case.kube.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "old", "labels": HELM},
                     "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "old"}},
                              "template": {"metadata": {"labels": {"app": "old"}}, "spec": pod}}}, case.namespace, manager="helm")
    case.until(lambda: case.status("Deployment", "old").get("readyReplicas") == replicas, "the old pods are ready")


def service(case, ports=tuple(PORTS), name="m", app="old", **spec):
    case.kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": HELM},
                     "spec": {"selector": {"app": app}, "ports": list(ports), **spec}}, case.namespace, manager="helm")


def replicas(case):
    return case.get("Deployment", "old")["spec"]["replicas"]
