"""Where one rig keeps its things, and what it has recorded about itself."""

import hashlib
import json
import pathlib

from riglib.util import REPO, RigError, write_atomically

NODE_IP = "10.99.0.1"
POD_CIDR = "10.244.0.0/20"
SERVICE_CIDR = "10.96.0.0/16"
PROMETHEUS_CLUSTER_IP = "10.96.0.90"
GATEWAY_CLUSTER_IP = "10.96.0.80"
CLUSTER_DOMAIN = "cluster.local"
NODE_NAME = "rig-node"

# A real node has a network of its own, so its ports need no choosing.
FIXED_PORTS = {"etcd": 2379, "etcd-peer": 2380, "etcd-relay": 2389, "api": 6443, "second-api": 6444, "kcm": 10257, "scheduler": 10259, "kwok": 10247,
               "prometheus": 9090, "pushpage": 9095, "gateway": 80}
# These are covered by private mounts inside the rig, so the rig's own files must not lie beneath.
COVERED = ("/run", "/var/run", "/var/lib", "/var/log", "/proc", "/sys", "/dev")


class Layout:
    def __init__(self, directory=None):
        self.dir = pathlib.Path(directory or REPO / ".cluster").resolve()
        self.state = self.dir / "state"
        self.pki = self.state / "pki"
        self.conf = self.state / "conf"
        self.logs = self.dir / "logs"
        self.metrics = self.dir / "metrics.d"
        self.kubeconfig = self.dir / "kubeconfig"
        self.second_kubeconfig = self.dir / "second.kubeconfig"
        self.record_file = self.dir / "rig.json"
        self.pidfile = self.dir / "rig.pid"
        self.lock = self.dir / "rig.lock"

    @property
    def name(self):
        """One name per rig folder: cgroups carry it, so two rigs never meet."""
        return "modelrig-" + hashlib.sha256(str(self.dir).encode()).hexdigest()[:10]

    def make(self):
        for path in (self.state, self.pki, self.conf, self.logs, self.metrics, self.dir / "bin",
                     self.dir / "forwards"):
            path.mkdir(parents=True, exist_ok=True)
        self.state.chmod(0o711)

    def record(self):
        try:
            return json.loads(self.record_file.read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def save(self, **changes):
        write_atomically(self.record_file, json.dumps({**self.record(), **changes}, indent=2) + "\n")

    def require_uncovered(self, *others):
        for path in (self.dir, *others):
            for covered in COVERED:
                if pathlib.Path(covered) in pathlib.Path(path).resolve().parents:
                    raise RigError(f"{path} lies under {covered}, which the rig covers with mounts of its own; "
                                   "choose another --dir or MODEL_OPERATOR_CACHE")


def birth(pid):
    """A process's start time, which tells it from a later one with the same number; None when dead."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def identity(pid):
    return {"pid": pid, "birth": birth(pid)}


def alive(who):
    return bool(who) and who["birth"] is not None and birth(who["pid"]) == who["birth"]


def first_child(pid):
    """The first process of the new pid namespace, as the host numbers it."""
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return None
    return int(children[0]) if children else None
