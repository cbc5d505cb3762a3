"""The rig's first process: prepares the namespaces, starts every program and restarts what dies."""

import contextlib
import ctypes
import os
import pathlib
import queue
import signal
import ssl
import subprocess
import threading
import urllib.error
import urllib.request

from riglib import components
from riglib.layout import NODE_IP
from riglib.util import run, say, wait_for, write_atomically

PR_SET_PDEATHSIG = 1
# What the kubelet insists on, machine-wide; the host keeps its own values.
SYSCTLS = {"vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10, "kernel/panic_on_oops": 1,
           "kernel/keys/root_maxkeys": 1000000, "kernel/keys/root_maxbytes": 25000000}
# Memory is cheap for an hour and time is not: the collector of Go's programs works a quarter as often, and as ever beyond this size.
GO_MEMORY = {"GOGC": "400", "GOMEMLIMIT": "2GiB"}
LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main(layout, kind, ports, second, gateway, prometheus, ready_fd):
    if kind == "real":
        _mounts(layout)
        _network()
        _sysctls(layout)
    os.write(ready_fd, b"x")
    os.close(ready_fd)
    supervisor = Supervisor(layout)
    threading.Thread(target=_start_all, args=(supervisor, layout, kind, ports, second, gateway, prometheus), daemon=True).start()
    supervisor.watch()


def _mounts(layout):
    run(["mount", "--make-rshared", "/"])
    for target in ("/run", "/var/lib", "/var/log"):
        run(["mount", "-t", "tmpfs", "-o", "mode=755", "rig", target])
    binds = {"/var/lib/kubelet": layout.state / "kubelet", "/var/log/pods": layout.logs / "pods"}
    for target, source in binds.items():
        source.mkdir(parents=True, exist_ok=True)
        pathlib.Path(target).mkdir()
        run(["mount", "--bind", source, target])
    for folder in ("/run/lock", components.CNI_CONF, "/var/lib/cni"):
        pathlib.Path(folder).mkdir()
    (pathlib.Path(components.CNI_CONF) / "10-rig.conflist").write_text((layout.conf / "cni.json").read_text())
    # Nothing inside asks the host's DNS servers, which it could not reach.
    run(["mount", "--bind", layout.conf / "resolv.conf", os.path.realpath("/etc/resolv.conf")])


def _network():
    """A veth pair with both ends inside is the default route: nothing leaves the rig."""
    for line in ("link set lo up", "link add node0 type veth peer name node1",
                 f"addr add {NODE_IP}/24 dev node0", "link set node0 up", "link set node1 up",
                 "route add default dev node0"):
        run(["ip", *line.split()])
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _sysctls(layout):
    for name, value in SYSCTLS.items():
        held = layout.conf / ("sysctl-" + name.replace("/", "-"))
        held.write_text(f"{value}\n")
        run(["mount", "--bind", held, f"/proc/sys/{name}"])


class Supervisor:
    """Runs programs by name, restarts each after it dies, and reaps orphans, being process 1.

    Only the main thread starts programs: a parent-death signal follows the thread that forked, not the process.
    """

    def __init__(self, layout):
        self.layout = layout
        self.due = queue.Queue()
        self.commands = {}
        self.pids = {}
        self.delays = {}

    def start(self, programs):
        for name, command in programs.items():
            self.commands[name] = [str(part) for part in command]
            self.due.put(name)

    def watch(self):
        while True:
            with contextlib.suppress(queue.Empty):
                self._spawn(self.due.get(timeout=0.1))
            self._reap()

    def _spawn(self, name):
        with open(self.layout.logs / f"{name}.log", "ab") as log:
            process = subprocess.Popen(self.commands[name], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       cwd=self.layout.state, env={**GO_MEMORY, **os.environ}, preexec_fn=_prepare_child)
        process.returncode = 0  # _reap waits for every child, so Popen must not
        self.pids[process.pid] = name
        self._publish()

    def _reap(self):
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                name = self.pids.pop(ended[0], None)
                if name:
                    delay = self.delays[name] = min(5.0, 1.5 * self.delays.get(name, 0.3))
                    say(f"{name} ended with {os.waitstatus_to_exitcode(ended[1])}; starting it again")
                    threading.Timer(delay, self.due.put, args=(name,)).start()

    def _publish(self):
        text = "".join(f"{name} {pid}\n" for pid, name in self.pids.items())
        write_atomically(self.layout.state / "pids", text)


def _prepare_child():
    die_with_parent()
    os.setsid()


def _start_all(supervisor, layout, kind, ports, second, gateway, prometheus):
    supervisor.start(components.control_plane(layout, kind, ports, second))
    if kind == "real":
        supervisor.start(components.runtime(layout))
    wait_for("the API server", lambda: _answers(layout, f"https://127.0.0.1:{ports['api']}/readyz"), timeout=120)
    supervisor.start(components.controllers(layout, ports))
    supervisor.start(components.real_node(layout) if kind == "real" else components.fake_node(layout, ports))
    if prometheus:
        supervisor.start(components.prometheus(layout, kind, ports))
    if not gateway:
        return
    # Without its kinds it would ask for them ever more seldom.
    for kinds in components.GATEWAY_KINDS:
        path = f"/apis/{kinds}?limit=1"
        wait_for(kinds, lambda p=path: _answers(layout, f"https://127.0.0.1:{ports['api']}{p}"), timeout=120)
    supervisor.start(components.gateway(layout, kind, ports))


def _answers(layout, url):
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
    try:
        with urllib.request.urlopen(url, context=context, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
