"""The objects that every rig has from its start."""

from riglib.layout import GATEWAY_CLUSTER_IP, NODE_IP, PROMETHEUS_CLUSTER_IP

FAKE_NODES = 4
GATEWAY_NAMESPACE, GATEWAY = "gateway", "gw"
READ = ["get", "list", "watch"]
ROUTES, TRAEFIK = "gateway.networking.k8s.io", "traefik.io"
# All that it watches; tests make Middlewares.
TRAEFIK_KINDS = ("IngressRoute", "IngressRouteTCP", "IngressRouteUDP", "Middleware", "MiddlewareTCP", "ServersTransport", "ServersTransportTCP", "TLSOption",
                 "TLSStore", "TraefikService")


def first(kind):
    """What Kubernetes takes before anything else is ready."""
    found = [_namespace("monitoring"), _namespace(GATEWAY_NAMESPACE), *_service("monitoring", "prometheus", PROMETHEUS_CLUSTER_IP, 9090),
             *_rights("rig-prometheus", [_rule("", ["pods"], READ)]),
             *_rights("rig-gateway", [_rule("", ["namespaces", "services", "configmaps", "secrets"], READ),
                                      _rule("discovery.k8s.io", ["endpointslices"], READ), _rule(ROUTES, ["*"], READ), _rule(TRAEFIK, ["*"], READ),
                                      _rule(ROUTES, [f"{kinds}/status" for kinds in ("gatewayclasses", "gateways", "httproutes", "grpcroutes",
                                                                                     "backendtlspolicies")], ["update", "patch"])])]
    return found + [_fake_node(f"fake-{n}") for n in range(FAKE_NODES)] if kind == "fake" else found


def traefik_crds():
    """Traefik's kinds, without the schemas of its documentation."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return [{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{kind.lower()}s.{TRAEFIK}"},
             "spec": {"group": TRAEFIK, "scope": "Namespaced", "names": {"kind": kind, "plural": f"{kind.lower()}s"},
                      "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": schema}]}} for kind in TRAEFIK_KINDS]


def gateway(port):
    """The class that Traefik serves, and a Gateway that every namespace may use."""
    listener = {"name": "http", "protocol": "HTTP", "port": port, "allowedRoutes": {"namespaces": {"from": "All"}}}
    return [{"apiVersion": f"{ROUTES}/v1", "kind": "GatewayClass", "metadata": {"name": "traefik"},
             "spec": {"controllerName": "traefik.io/gateway-controller"}},
            {"apiVersion": f"{ROUTES}/v1", "kind": "Gateway", "metadata": {"name": GATEWAY, "namespace": GATEWAY_NAMESPACE},
             "spec": {"gatewayClassName": "traefik", "listeners": [listener]}},
            *_service(GATEWAY_NAMESPACE, GATEWAY, GATEWAY_CLUSTER_IP, port)]


def _namespace(name):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _service(namespace, name, address, port):
    """A Service that leads to a program of the rig itself."""
    meta = {"name": name, "namespace": namespace}
    return [{"apiVersion": "v1", "kind": "Service", "metadata": meta,
             "spec": {"clusterIP": address, "ports": [{"name": "http", "port": 80, "targetPort": port}]}},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
             "metadata": meta | {"labels": {"kubernetes.io/service-name": name}},
             "ports": [{"name": "http", "port": port}], "endpoints": [{"addresses": [NODE_IP]}]}]


def _rule(group, resources, verbs):
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _rights(user, rules):
    group = "rbac.authorization.k8s.io"
    return [{"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": user}, "rules": rules},
            {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": user},
             "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": user},
             "subjects": [{"apiGroup": group, "kind": "User", "name": user}]}]


def _fake_node(name):
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"},
                         "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "type": "kwok"}}}
