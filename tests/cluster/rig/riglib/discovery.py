"""Watches the pods and writes them as Prometheus targets, labelled as kubernetes_sd would label them."""

import http.client
import json
import re
import ssl

from riglib import components
from riglib.layout import FIXED_PORTS, NODE_IP
from riglib.util import write_atomically


def main(layout):
    """Runs until the API server ends the watch; being started anew is the retry."""
    connection = _connect(layout)
    listing = json.load(_get(connection, "/api/v1/pods"))
    pods = {item["metadata"]["uid"]: item for item in listing["items"]}
    _publish(layout, pods)
    # Without a timeout of the server's own, a quiet watch would look like a dead one.
    version = listing["metadata"]["resourceVersion"]
    events = _get(connection, f"/api/v1/pods?watch=1&timeoutSeconds=3600&resourceVersion={version}")
    for line in events:
        event = json.loads(line)
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
            return
        uid = event["object"]["metadata"]["uid"]
        pods.pop(uid, None)
        if event["type"] != "DELETED":
            pods[uid] = event["object"]
        _publish(layout, pods)


def _connect(layout):
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    context.load_cert_chain(layout.pki / "prometheus.crt", layout.pki / "prometheus.key")
    return http.client.HTTPSConnection(NODE_IP, FIXED_PORTS["api"], context=context)


def _get(connection, path):
    connection.request("GET", path, headers={"Accept": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {answer.read(500)}")
    return answer


def _publish(layout, pods):
    groups = [_group(pod) for pod in pods.values() if pod["status"].get("podIP")]
    text = json.dumps([group for group in groups if group], indent=1)
    target = components.targets_file(layout)
    if not target.exists() or target.read_text() != text:
        write_atomically(target, text)


def _group(pod):
    meta, address = pod["metadata"], pod["status"]["podIP"]
    labels = {"__meta_kubernetes_namespace": meta["namespace"],
              "__meta_kubernetes_pod_name": meta["name"],
              "__meta_kubernetes_pod_ip": address,
              "__meta_kubernetes_pod_phase": pod["status"].get("phase", "")}
    for kind in ("annotation", "label"):
        for key, value in meta.get(kind + "s", {}).items():
            if len(value) < 1000:
                labels[f"__meta_kubernetes_pod_{kind}_{re.sub('[^a-zA-Z0-9_]', '_', key)}"] = value
    return {"targets": [address], "labels": labels}
