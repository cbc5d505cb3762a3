"""Every program of the rig: its configuration files and its command line."""

import json
import os
import pathlib
import sys

from riglib import build, objects, pki
from riglib.layout import CLUSTER_DOMAIN, NODE_IP, NODE_NAME, POD_CIDR, SERVICE_CIDR
from riglib.util import RIG_DIR

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CNI_CONF = "/run/rig-cni"
# What Traefik watches.
GATEWAY_KINDS = ("gateway.networking.k8s.io/v1/gatewayclasses", "gateway.networking.k8s.io/v1/gateways", "gateway.networking.k8s.io/v1/httproutes",
                 "gateway.networking.k8s.io/v1/grpcroutes", "gateway.networking.k8s.io/v1/backendtlspolicies", "gateway.networking.k8s.io/v1beta1/referencegrants",
                 *(f"traefik.io/v1alpha1/{kind.lower()}s" for kind in objects.TRAEFIK_KINDS))

CONTAINERD_TOML = """\
version = 2
root = "{state}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{state}/registries"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def write_configs(layout, kind, ports):
    server = f"https://127.0.0.1:{ports['api']}"
    for client in ("kcm", "scheduler", "kube-proxy", "kubelet", "kwok", "gateway", "admin"):
        (layout.conf / f"{client}.kubeconfig").write_text(pki.kubeconfig(layout, client, server))
    files = {"audit.json": _audit_policy(), "scheduler.json": _scheduler(layout),
             "prometheus.json": _prometheus(layout, kind, ports)}
    if kind == "real":
        files |= {"kubelet.json": _kubelet(layout), "kube-proxy.json": _kube_proxy(layout), "cni.json": _cni()}
        (layout.conf / "containerd.toml").write_text(
            CONTAINERD_TOML.format(state=layout.state, socket=CONTAINERD_SOCKET, cni=CNI_CONF))
        (layout.conf / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    # Prometheus watches the folder from its start on.
    targets_file(layout).parent.mkdir()
    for name, content in files.items():
        (layout.conf / name).write_text(json.dumps(content, indent=2) + "\n")


def _audit_policy():
    """Every write once, when it is answered; reads stay out."""
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [{"level": "None", "verbs": ["get", "list", "watch"]}, {"level": "Metadata"}]}


def _scheduler(layout):
    return {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
            "leaderElection": {"leaderElect": False},
            "clientConnection": {"kubeconfig": str(layout.conf / "scheduler.kubeconfig"), "qps": 1000, "burst": 2000}}


def _kubelet(layout):
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                           "x509": {"clientCAFile": str(layout.pki / "ca.crt")}},
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{layout.name}", "failCgroupV1": False,
        "enforceNodeAllocatable": [], "oomScoreAdj": 0, "failSwapOn": False, "makeIPTablesUtilChains": False,
        # A collected image could not be pulled again.
        "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "100Mi", "imagefs.available": "100Mi"},
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "resolvConf": str(layout.conf / "resolv.conf"), "clusterDNS": [NODE_IP], "clusterDomain": CLUSTER_DOMAIN,
        "maxPods": 500, "serializeImagePulls": False, "nodeStatusUpdateFrequency": "5s",
        "kubeAPIQPS": 200, "kubeAPIBurst": 400, "eventRecordQPS": 100, "eventBurst": 200,
    }


def _kube_proxy(layout):
    zero = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "mode": "nftables", "nftables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
            "clusterCIDR": POD_CIDR, "hostnameOverride": NODE_NAME, "conntrack": zero,
            "clientConnection": {"kubeconfig": str(layout.conf / "kube-proxy.kubeconfig")}}


def _cni():
    ipam = {"type": "host-local", "ranges": [[{"subnet": POD_CIDR}]], "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": "/run/rig-ipam"}
    return {"cniVersion": "0.4.0", "name": "rig",
            "plugins": [{"type": "ptp", "ipMasq": False, "ipam": ipam},
                        {"type": "portmap", "capabilities": {"portMappings": True}}]}


def _prometheus(layout, kind, ports):
    jobs = [{"job_name": "prometheus", "scrape_interval": "5s",
             "static_configs": [{"targets": [f"127.0.0.1:{ports['prometheus']}"]}]},
            # Labels in the files win, so a test can play any pod.
            {"job_name": "pushpage", "honor_labels": True,
             "static_configs": [{"targets": [f"127.0.0.1:{ports['pushpage']}"]}]}]
    if kind == "real":  # kwok's pods have no address to scrape
        jobs.append(_pod_job(layout))
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "scrape_configs": jobs}


def targets_file(layout):
    return layout.state / "targets" / "pods.json"


def _pod_job(layout):
    meta = "__meta_kubernetes_pod"
    note = f"{meta}_annotation_prometheus_io"
    return {
        "job_name": "pods",  # honor_labels would let a pod claim another namespace
        # Debian builds Prometheus without kubernetes_sd; discovery.py writes the same labels to a file.
        "file_sd_configs": [{"files": [str(targets_file(layout))], "refresh_interval": "2s"}],
        "relabel_configs": [
            {"source_labels": [f"{note}_scrape"], "action": "keep", "regex": "true"},
            {"source_labels": [f"{meta}_phase"], "action": "drop", "regex": "Pending|Succeeded|Failed"},
            {"source_labels": [f"{meta}_ip", f"{note}_port"], "regex": r"(.+);(\d+)", "replacement": "$1:$2",
             "target_label": "__address__"},
            {"source_labels": [f"{note}_path"], "regex": "(.+)", "target_label": "__metrics_path__"},
            {"source_labels": [f"{note}_scheme"], "regex": "(https?)", "target_label": "__scheme__"},
            {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
            {"source_labels": [f"{meta}_name"], "target_label": "pod"},
            {"source_labels": [f"{meta}_label_modelops_dev_model"], "target_label": "model"},
            {"source_labels": [f"{meta}_label_modelops_dev_version"], "target_label": "version"},
        ]}


# A restored data folder is taken into use between two lives of etcd, so that nobody meets half of it.
ETCD_START = 'if [ -d "$0.restored" ]; then rm -rf "$0"; mv "$0.restored" "$0"; fi; exec "$@"'


def control_plane(layout, kind, ports, second):
    """The programs that start first."""
    etcd = f"http://127.0.0.1:{ports['etcd']}"
    peer = f"http://127.0.0.1:{ports['etcd-peer']}"
    data = layout.state / "etcd"
    programs = {
        "etcd": ["/bin/sh", "-c", ETCD_START, data,
                 build.bin_dir() / "etcd", f"--data-dir={data}", "--unsafe-no-fsync", "--log-level=warn",
                 f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}",
                 f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
                 f"--initial-cluster=default={peer}", "--quota-backend-bytes=4294967296"],
        "kube-apiserver": _api_server(layout, kind, etcd, ports["api"], f"{layout.dir}/audit.log"),
    }
    if second:
        relay = f"127.0.0.1:{ports['etcd-relay']}"
        programs["etcd-relay"] = [sys.executable, RIG_DIR / "rig.py", "_etcdrelay", relay, f"127.0.0.1:{ports['etcd']}"]
        programs["second-apiserver"] = [
            *_api_server(layout, kind, f"http://{relay}", ports["second-api"], f"{layout.dir}/second-audit.log"),
            # The Service kubernetes leads to the first alone.
            "--endpoint-reconciler-type=none"]
    return programs


def _api_server(layout, kind, etcd, port, audit_log):
    pki_dir = layout.pki
    return [build.bin_dir() / "kube-apiserver", f"--etcd-servers={etcd}", f"--secure-port={port}",
            f"--bind-address={'0.0.0.0' if kind == 'real' else '127.0.0.1'}", f"--advertise-address={NODE_IP}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={pki_dir}/ca.crt",
            f"--tls-cert-file={pki_dir}/apiserver.crt", f"--tls-private-key-file={pki_dir}/apiserver.key",
            f"--kubelet-client-certificate={pki_dir}/apiserver-kubelet.crt",
            f"--kubelet-client-key={pki_dir}/apiserver-kubelet.key",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki_dir}/sa.pub",
            f"--service-account-signing-key-file={pki_dir}/sa.key",
            f"--audit-policy-file={layout.conf}/audit.json", f"--audit-log-path={audit_log}",
            "--audit-log-maxsize=100000",
            "--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000"]


def controllers(layout, ports):
    conf, pki_dir, binaries = layout.conf, layout.pki, build.bin_dir()
    kcm = conf / "kcm.kubeconfig"
    scheduler = conf / "scheduler.kubeconfig"
    return {
        "kube-controller-manager": [
            binaries / "kube-controller-manager", f"--kubeconfig={kcm}", f"--authentication-kubeconfig={kcm}",
            f"--authorization-kubeconfig={kcm}", "--bind-address=127.0.0.1", f"--secure-port={ports['kcm']}",
            "--leader-elect=false", "--use-service-account-credentials",
            f"--service-account-private-key-file={pki_dir}/sa.key", f"--root-ca-file={pki_dir}/ca.crt",
            f"--cluster-signing-cert-file={pki_dir}/ca.crt", f"--cluster-signing-key-file={pki_dir}/ca.key",
            "--kube-api-qps=1000", "--kube-api-burst=2000", "--concurrent-deployment-syncs=20",
            "--concurrent-replicaset-syncs=20", "--concurrent-service-endpoint-syncs=20",
            "--concurrent-gc-syncs=20", "--pvclaimbinder-sync-period=2s"],
        "kube-scheduler": [
            binaries / "kube-scheduler", f"--config={conf}/scheduler.json",
            f"--authentication-kubeconfig={scheduler}", f"--authorization-kubeconfig={scheduler}",
            "--bind-address=127.0.0.1", f"--secure-port={ports['scheduler']}"],
    }


def prometheus(layout, kind, ports):
    address = "0.0.0.0" if kind == "real" else "127.0.0.1"
    return {"prometheus": [
        "/usr/bin/prometheus", f"--config.file={layout.conf}/prometheus.json",
        f"--storage.tsdb.path={layout.state}/prometheus", f"--web.listen-address={address}:{ports['prometheus']}",
        "--web.enable-remote-write-receiver", "--web.enable-lifecycle", "--web.enable-admin-api",
        "--storage.tsdb.retention.time=2d", "--log.level=warn"],
        "pushpage": [sys.executable, RIG_DIR / "rig.py", "_pushpage", layout.metrics, ports["pushpage"]]}


def gateway(layout, kind, ports):
    address = "0.0.0.0" if kind == "real" else "127.0.0.1"
    return {"gateway": [
        "/usr/bin/env", f"KUBECONFIG={layout.conf}/gateway.kubeconfig", build.gateway_home() / "traefik",
        "--global.checknewversion=false", "--global.sendanonymoususage=false", "--log.level=WARN",
        f"--entrypoints.web.address={address}:{ports['gateway']}", "--providers.kubernetesgateway",
        # Its own filters, which routes name by an ExtensionRef.
        "--providers.kubernetescrd", "--providers.kubernetescrd.disableclusterscoperesources",
        f"--providers.kubernetesgateway.statusaddress.ip={NODE_IP}",
        # As soon as it is known: tests wait for it.
        "--providers.providersthrottleduration=50ms"]}


def fake_node(layout, ports):
    return {"kwok": [
        build.bin_dir() / "kwok", f"--kubeconfig={layout.conf}/kwok.kubeconfig",
        f"--config={build.home()}/kwok-stages.yaml", "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", "--node-lease-duration-seconds=40",
        "--cidr=10.240.0.0/14", f"--server-address=127.0.0.1:{ports['kwok']}"]}


def runtime(layout):
    programs = build.containerd_home() if layout.record().get("image_volumes") else pathlib.Path("/usr/bin")
    # It looks for its shim in PATH.
    return {"containerd": ["/usr/bin/env", f"PATH={programs}:{os.environ['PATH']}", programs / "containerd", "--config", layout.conf / "containerd.toml"]}


def real_node(layout):
    conf, binaries = layout.conf, build.bin_dir()
    return {
        "kubelet": [binaries / "kubelet", f"--config={conf}/kubelet.json", f"--kubeconfig={conf}/kubelet.kubeconfig",
                    f"--hostname-override={NODE_NAME}", f"--node-ip={NODE_IP}"],
        "kube-proxy": [binaries / "kube-proxy", f"--config={conf}/kube-proxy.json"],
        "discovery": [sys.executable, RIG_DIR / "rig.py", "_discovery", "--dir", layout.dir],
        "dns": [sys.executable, RIG_DIR / "rig.py", "_dns", "--dir", layout.dir],
    }
