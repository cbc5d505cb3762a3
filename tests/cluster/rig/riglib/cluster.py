"""up, down, status: one rig seen from the host."""

import asyncio
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from riglib import build, cgroups, components, image, inside, objects, pki, relay
from riglib.access import ctr, kubectl, kubectl_ok, load
from riglib.layout import FIXED_PORTS, NODE_NAME, alive, first_child, identity
from riglib.util import RIG_DIR, RigError, locked, missing_packages, say, wait_for, write_atomically

RELAYED = ("api", "prometheus", "second-api", "gateway")   # what the host sees
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--mount-proc", "--kill-child"]


# --- up ---

def up(layout, kind, second=False, gateway=True, bare=False, image_volumes=False):
    """`bare`: with what a gateway watches, but neither a gateway nor Prometheus."""
    parts = {"second": second, "routes": gateway, "gateway": gateway and not bare, "prometheus": not bare, "image_volumes": image_volumes}
    kind = kind or _default_kind()
    started = time.monotonic()
    require_packages()
    build.ensure(gateway, image_volumes)
    if kind == "real":
        layout.require_uncovered(build.home(), build.gateway_home(), RIG_DIR)
    layout.make()
    with locked(layout.lock):
        if healthy(layout, kind) and all(layout.record().get(part) for part, wanted in parts.items() if wanted):
            say(f"a healthy cluster with a {kind} node already runs")
        else:
            clean(layout)
            _start(layout, kind, parts)
    say(f"{kind} node, up in {time.monotonic() - started:.1f} s")
    print(f"KUBECONFIG={layout.kubeconfig}")
    if layout.record().get("second"):
        print(f"SECOND_KUBECONFIG={layout.second_kubeconfig}")
    if layout.record().get("prometheus"):
        print(f"PROMETHEUS_URL={prometheus_url(layout)}")
    if layout.record().get("gateway"):
        print(f"GATEWAY_URL={gateway_url(layout)}")


def require_packages():
    missing = missing_packages()
    if missing:
        raise RigError(f"Debian packages are missing: {' '.join(missing)}\n"
                       f"install them with: {RIG_DIR}/rig.py install")


def _default_kind():
    reason = _why_not_real()
    if not reason:
        return "real"
    say(f"{reason}: using fake nodes. They make pods Ready without running them: no container starts, nothing "
        "answers requests, Prometheus scrapes no pods. Everything about objects and their states is real.")
    return "fake"


def _why_not_real():
    if os.geteuid() != 0:
        return "not root"
    if not cgroups.available():
        return "no cgroups"
    probe = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "probe", "/run"], capture_output=True, text=True)
    return f"namespaces can't be made ({probe.stderr.strip()})" if probe.returncode else None


def _start(layout, kind, parts):
    shutil.rmtree(layout.logs, ignore_errors=True)
    for name in ("audit.log", "second-audit.log"):
        (layout.dir / name).unlink(missing_ok=True)
    layout.make()
    (layout.dir / "bin" / "kubectl").symlink_to(build.bin_dir() / "kubectl")
    pki.create(layout)
    listeners = [relay.listen() for _ in RELAYED]
    host = [listener.getsockname()[1] for listener in listeners]
    if kind == "real":
        ports = FIXED_PORTS
        cgroups.create(layout.name)
    else:
        for listener in listeners:
            listener.close()
        ports = _free_ports()
        host, listeners = [ports[name] for name in RELAYED], []
    components.write_configs(layout, kind, ports)
    write_atomically(layout.kubeconfig, pki.kubeconfig(layout, "admin", f"https://127.0.0.1:{host[0]}"), 0o600)
    if parts["prometheus"]:
        write_atomically(layout.dir / "prometheus.url", f"http://127.0.0.1:{host[1]}\n")
    if parts["gateway"]:
        write_atomically(layout.dir / "gateway.url", f"http://127.0.0.1:{host[3]}\n")
    if parts["second"]:
        write_atomically(layout.second_kubeconfig, pki.kubeconfig(layout, "admin", f"https://127.0.0.1:{host[2]}"), 0o600)
    layout.save(kind=kind, ports=ports, **parts)
    holder = _spawn_holder(layout, listeners)
    try:
        _bootstrap(layout, kind, holder)
    except RigError as error:
        raise RigError(f"{error}\nthe programs' logs are in {layout.logs}") from error


def _free_ports():
    """From below the range out of which the kernel serves connections: those of the programs that start first would take them from those that start last,
    and the gateway once had none. Operators under test have theirs above these."""
    listeners = {}
    while len(listeners) < len(FIXED_PORTS):
        with contextlib.suppress(OSError):
            listener = relay.listen(random.randrange(8000, 12000))
            listeners[list(FIXED_PORTS)[len(listeners)]] = listener
    ports = {name: listener.getsockname()[1] for name, listener in listeners.items()}
    for listener in listeners.values():
        listener.close()
    return ports


def _spawn_holder(layout, listeners):
    handles = [listener.fileno() for listener in listeners]
    command = [sys.executable, RIG_DIR / "rig.py", "_hold", "--dir", layout.dir, *handles]
    with open(layout.logs / "holder.log", "ab") as log:
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd="/", start_new_session=True, pass_fds=handles)
    write_atomically(layout.pidfile, f"{process.pid}\n")
    return process


def _bootstrap(layout, kind, holder):
    """Wait until the cluster can take work, and give it what every test relies on."""
    def check():
        if holder.poll() is not None:
            raise RigError(f"the rig died while starting; see {layout.logs}/holder.log")
    wait_for("the API server", lambda: _ready(layout), timeout=120, alive=check)
    _apply(layout, objects.first(kind))
    parts = layout.record()
    if parts["routes"]:
        # Last, for the gateway starts with its kinds, and then needs its rights.
        kubectl(layout, "apply", "--server-side", "-f", build.gateway_home() / "crds.yaml")
    if parts["gateway"]:
        _apply(layout, objects.traefik_crds())
    if kind == "real":
        wait_for("containerd", lambda: ctr(layout, "version").returncode == 0, alive=check)
        pause = layout.state / "pause.tar"
        image.write(pause, "localhost/pause:1", image.Spec(entrypoint=["/pause"]),
                    [image.Tree().add_file(build.bin_dir() / "pause", "/pause", 0o755)])
        load(layout, [pause])
    wait_for("the nodes", lambda: _nodes_ready(layout, kind), timeout=90, interval=0.2, alive=check)
    wait_for("the default service account", lambda: kubectl_ok(layout, "get", "serviceaccount", "default"),
             alive=check, interval=0.2)
    if parts["gateway"]:
        _apply(layout, objects.gateway(layout.record()["ports"]["gateway"]))
    if parts["prometheus"]:
        wait_for("Prometheus", lambda: _prometheus_ready(layout), alive=check)
    if parts["gateway"]:
        wait_for("the gateway", lambda: _gateway_programmed(layout) and _gateway_ready(layout), alive=check, interval=0.2)
    if parts["second"]:
        wait_for("the second API server", lambda: _ready(layout, layout.second_kubeconfig), alive=check, interval=0.2)


def _apply(layout, items):
    kubectl(layout, "apply", "--server-side", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


# --- asking the cluster ---

def _ready(layout, kubeconfig=None):
    return kubectl_ok(layout, "get", "--raw", "/readyz", kubeconfig=kubeconfig)


def _nodes_ready(layout, kind):
    text = kubectl_ok(layout, "get", "nodes", "-o", "json")
    nodes = json.loads(text)["items"] if text else []
    ready = [node["metadata"]["name"] for node in nodes
             if any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
             and not node["spec"].get("taints")]
    return ready == [NODE_NAME] if kind == "real" else len(ready) == objects.FAKE_NODES


def prometheus_url(layout):
    return (layout.dir / "prometheus.url").read_text().strip()


def gateway_url(layout):
    return (layout.dir / "gateway.url").read_text().strip()


def _prometheus_ready(layout):
    return _status_of(prometheus_url(layout) + "/-/ready") == 200


def _gateway_ready(layout):
    """It answers by itself what no route leads anywhere."""
    return _status_of(gateway_url(layout) + "/") == 404


def _gateway_programmed(layout):
    path = '{.status.conditions[?(@.type=="Programmed")].status}'
    return kubectl_ok(layout, "-n", objects.GATEWAY_NAMESPACE, "get", "gateway", objects.GATEWAY, "-o", f"jsonpath={path}") == "True"


def _status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def healthy(layout, kind):
    record = layout.record()
    return (record.get("kind") == kind and alive(record.get("holder")) and _ready(layout)
            and _nodes_ready(layout, kind)
            and (not record.get("prometheus") or _prometheus_ready(layout)) and (not record.get("gateway") or _gateway_ready(layout)))


def status(layout):
    record = layout.record()
    if not alive(record.get("holder")):
        print("down" if not record else "crashed (`up` or `down` cleans up)")
        return 1
    nodes, prometheus = _nodes_ready(layout, record["kind"]), not record.get("prometheus") or _prometheus_ready(layout)
    print(f"{record['kind']} node, process {record['holder']['pid']}")
    print(f"API server  {'ready' if _ready(layout) else 'NOT READY'}  KUBECONFIG={layout.kubeconfig}")
    print(f"nodes       {'ready' if nodes else 'NOT READY'}")
    print(f"Prometheus  {'ready' if prometheus else 'NOT READY'}  {prometheus_url(layout)}" if record.get("prometheus") else "Prometheus  none")
    print(f"gateway     {'ready' if _gateway_ready(layout) else 'NOT READY'}  {gateway_url(layout)}" if record.get("gateway") else "gateway     none")
    return 0 if nodes and prometheus else 1


# --- the holder: the one process on the host that everything hangs on ---

def hold(layout, handles):
    """Start the inside, relay into it, end with it. Killing this process takes everything along."""
    layout.save(holder=identity(os.getpid()))
    ready, announce = os.pipe()
    command = [sys.executable, RIG_DIR / "rig.py", "_inside", "--dir", layout.dir, announce]
    if layout.record()["kind"] == "real":
        command = [*UNSHARE, *command]
    child = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, pass_fds=[announce],
                             preexec_fn=inside.die_with_parent)
    os.close(announce)
    if os.read(ready, 1) != b"x":
        raise RigError("the inside of the rig did not start")
    layout.save(inside=identity(first_child(child.pid) if handles else child.pid), outer=identity(child.pid))
    routes = []
    if handles:
        listeners = [socket.socket(fileno=handle) for handle in handles]
        relay.enter_network(child.pid)
        targets = [("127.0.0.1", FIXED_PORTS[name]) for name in RELAYED]
        routes = list(zip(listeners, targets))
    asyncio.run(relay.serve(routes, child.pid))
    say("the inside of the rig ended")


# --- down ---

def down(layout):
    existed = layout.dir.exists()
    with locked(layout.lock):
        clean(layout)
    layout.lock.unlink(missing_ok=True)
    for folder in [layout.metrics] if existed else [layout.dir]:
        with contextlib.suppress(OSError):  # a test's files in metrics.d stay
            folder.rmdir()
    say("down")


def clean(layout):
    """Remove every trace but the logs, whatever state the rig is in."""
    record = layout.record()
    doomed = [record[role] for role in ("holder", "outer", "inside") if alive(record.get(role))]
    doomed += [identity(pid) for pid in _our_processes(layout)]
    for process in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process["pid"], signal.SIGKILL)
    wait_for("the rig's processes to end", lambda: not any(alive(p) for p in doomed), timeout=30)
    if cgroups.present(layout.name):
        cgroups.remove(layout.name)
    for name in ("state", "bin", "forwards"):
        shutil.rmtree(layout.dir / name, ignore_errors=True)
    for path in (layout.kubeconfig, layout.second_kubeconfig, layout.dir / "prometheus.url", layout.dir / "gateway.url", layout.pidfile, layout.record_file):
        path.unlink(missing_ok=True)


def _our_processes(layout):
    """Processes of this rig by their command line, for when its records are lost."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            role = {"_hold", "_inside", "_forward"} & set(arguments)
            if role and str(layout.dir) in arguments and any(a.endswith("/rig.py") for a in arguments):
                yield int(entry.name)
