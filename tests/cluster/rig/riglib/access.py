"""Reaching into a running rig: commands, images, ports, signals."""

import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

from riglib import build, components, image, relay
from riglib.layout import alive
from riglib.util import RIG_DIR, RigError, run, say, wait_for, write_atomically

# These do not watch the API server.
KEPT_AT_RESTORE = {"containerd", "prometheus", "pushpage", "etcd-relay"}


def kubectl(layout, *args, stdin=None, kubeconfig=None):
    return run([build.bin_dir() / "kubectl", f"--kubeconfig={kubeconfig or layout.kubeconfig}", *args], input=stdin)


def kubectl_ok(layout, *args, kubeconfig=None):
    with contextlib.suppress(RigError):
        return kubectl(layout, "--request-timeout=5s", *args, kubeconfig=kubeconfig) or "yes"


def enter_command(layout, command):
    """The command line that runs `command` inside the rig; nsenter alone would lose the folder."""
    record = layout.record()
    if not alive(record.get("holder")):
        raise RigError("no rig runs here; start it with `up`")
    if record["kind"] == "fake":
        return list(command)
    return ["nsenter", f"--target={record['inside']['pid']}", "--net", "--mount", "--pid", "--ipc", "--uts", "--",
            "sh", "-c", 'cd "$0" 2>/dev/null; exec "$@"', os.getcwd(), *map(str, command)]


def execute(layout, command):
    env = dict(os.environ, KUBECONFIG=str(layout.conf / "admin.kubeconfig"))
    arguments = enter_command(layout, command)
    os.execvpe(arguments[0], arguments, env)


def ctr(layout, *args):
    command = ["ctr", "--address", components.CONTAINERD_SOCKET, "--namespace", "k8s.io", *args]
    return subprocess.run(enter_command(layout, command), text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


def load(layout, archives):
    if layout.record().get("kind") == "fake":
        say("fake nodes run no images; nothing to load")
        return
    for archive in archives:
        _load_one(layout, pathlib.Path(archive).resolve())


def _load_one(layout, archive):
    name, manifest, config = image.describe(archive)
    before = _images(layout)
    if before.get(name, [""])[0] == manifest and config in before:
        return
    answer = ctr(layout, "images", "import", archive)
    if answer.returncode:
        raise RigError(f"importing {archive} failed:\n{answer.stdout}")
    if name in before and config not in before:
        # For a name that moves to another image, containerd's CRI leaves out the reference by id.
        ctr(layout, "images", "tag", name, config)

    # The kubelet's side learns of an import by an event; a pod started before would not find the image.
    def known():
        after = _images(layout)
        return after.get(name, [""])[0] == manifest and "managed" in after.get(config, ["", ""])[1]
    wait_for(f"{archive.name} to be known", known)


def _images(layout):
    """What the node has: reference → (digest, labels)."""
    rows = [line.split() for line in ctr(layout, "images", "list").stdout.splitlines()[1:]]
    return {row[0]: (row[2], row[-1]) for row in rows}


def forward(layout, port, target, background):
    address = _resolve(layout, target)
    record = layout.record()
    listener = relay.listen(port)
    print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)
    if background:
        handle = listener.fileno()
        command = [sys.executable, RIG_DIR / "rig.py", "_forward", "--dir", layout.dir, handle, *address]
        with open(layout.logs / "forward.log", "ab") as log:
            subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                             start_new_session=True, pass_fds=[handle])
    else:
        run_forward(record, listener, address)


def run_forward(record, listener, address):
    if record["kind"] == "real":
        relay.enter_network(record["inside"]["pid"])
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(relay.serve([(listener, address)], record["holder"]["pid"]))


def _resolve(layout, target):
    """ADDRESS:PORT, or SERVICE.NAMESPACE:PORT looked up as its ClusterIP."""
    if not alive(layout.record().get("holder")):
        raise RigError("no rig runs here; start it with `up`")
    host, _, port = target.rpartition(":")
    if not port.isdigit() or not host:
        raise RigError(f"{target}: want ADDRESS:PORT or SERVICE.NAMESPACE:PORT")
    if not host.replace(".", "").isdigit():
        name, _, namespace = host.partition(".")
        host = kubectl(layout, "-n", namespace or "default", "get", "service", name, "-o",
                       "jsonpath={.spec.clusterIP}").strip()
    return host, int(port)


def kubeconfig_for(layout, account, out):
    """A kubeconfig with a token of that ServiceAccount, so that a program on the host has just its rights."""
    namespace, _, name = account.partition("/")
    if not name:
        raise RigError(f"{account}: want NAMESPACE/NAME")
    token = kubectl(layout, "-n", namespace, "create", "token", name, "--duration=24h").strip()
    config = json.loads(layout.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    write_atomically(pathlib.Path(out), json.dumps(config, indent=2) + "\n", 0o600)


def signal_component(layout, name, number):
    """Stop, continue or kill one program of the rig; a killed one comes back after half a second."""
    pids = _pids(layout)
    if name not in pids:
        raise RigError(f"no program {name}; there are: {', '.join(sorted(pids))}")
    run(enter_command(layout, ["kill", f"-{number}", pids[name]]))


def _pids(layout):
    return dict(line.split() for line in (layout.state / "pids").read_text().splitlines())


def save_etcd(layout, name):
    """Keep what etcd has now. It stands still meanwhile, so the copy is what a crash would have left."""
    signal_component(layout, "etcd", "STOP")
    try:
        shutil.rmtree(_saved(layout, name), ignore_errors=True)
        shutil.copytree(layout.state / "etcd", _saved(layout, name))
    finally:
        signal_component(layout, "etcd", "CONT")


def restore_etcd(layout, name):
    """Back to what was saved, as after a disaster: etcd and the API servers begin anew with it, and so does every program of
    Kubernetes that watches, for none of them would notice that its resourceVersion is from the future."""
    if not _saved(layout, name).exists():
        raise RigError(f"nothing is saved as {name}")
    prepared = layout.state / "etcd.copying"
    shutil.copytree(_saved(layout, name), prepared)
    prepared.rename(layout.state / "etcd.restored")
    before = _pids(layout)
    restarted = [program for program in before if program not in KEPT_AT_RESTORE]
    for program in sorted(restarted, key=lambda p: p != "etcd"):
        signal_component(layout, program, "KILL")

    def back():
        now = _pids(layout)
        return all(now.get(p, before[p]) != before[p] for p in restarted) and kubectl_ok(layout, "get", "--raw", "/readyz")
    wait_for("the API server with the restored etcd", back, timeout=120, interval=0.2)


def _saved(layout, name):
    return layout.state / f"etcd-saved-{name}"
