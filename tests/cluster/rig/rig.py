#!/usr/bin/python3
"""A real Kubernetes on this machine, for tests and the demo. See README.md beside this file."""

import argparse
import pathlib
import shlex
import signal
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from riglib import access, build, cluster, discovery, image, inside, install, python_image, services  # noqa: E402
from riglib.layout import Layout  # noqa: E402
from riglib.util import RigError  # noqa: E402


def parser():
    top = argparse.ArgumentParser(prog="rig.py", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name, text, rig=True):
        sub = commands.add_parser(name, help=text, description=text)
        if rig:
            sub.add_argument("--dir", help="the rig's folder (default: .cluster in the repository)")
        return sub

    add("install", "install the Debian packages of packages.txt, starting no service", rig=False)
    add("build", "build the programs, once, into the cache", rig=False)
    sub = add("up", "start, or keep what runs")
    sub.add_argument("--node", choices=["real", "fake"])
    sub.add_argument("--no-gateway", action="store_true", help="without Traefik and the Gateway API, which then are not built either")
    sub.add_argument("--image-volumes", action="store_true", help="with a containerd that mounts them, built once; a real node's alone")
    sub.add_argument("--bare", action="store_true", help="with the Gateway API's kinds, but without Traefik and Prometheus, for tests that play both")
    sub.add_argument("--second-apiserver", action="store_true", help="on the same etcd, by a link that can be frozen: `signal etcd-relay …`")
    add("down", "end and remove everything but the logs")
    add("status", "say what runs; exits 1 unless healthy")
    add("load", "import image tars into the node").add_argument("tar", nargs="+")
    add("exec", "run a command inside the rig").add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD")
    _forward_arguments(add("forward", "relay a port of the host into the rig"))
    sub = add("kubeconfig", "write a kubeconfig with a token of a ServiceAccount")
    sub.add_argument("account", metavar="NAMESPACE/NAME")
    sub.add_argument("--out", required=True)
    sub = add("signal", "send a signal to one program of the rig; a killed one is restarted")
    sub.add_argument("name")
    sub.add_argument("number", help="KILL, STOP, CONT or another signal", nargs="?", default="KILL")
    add("save-etcd", "keep what etcd has now under a name").add_argument("name")
    add("restore-etcd", "go back to what was saved; the API server and all that watch it begin anew").add_argument("name")
    _image_arguments(add("image", "make an image tar from files", rig=False))
    sub = add("python-image", "make an image tar with Python and scikit-learn", rig=False)
    sub.add_argument("--out", required=True)
    sub.add_argument("--name", default="localhost/sklearn:dev")
    sub.add_argument("--locked", action="store_true", help="fail where a locked version is no longer served")
    sub.add_argument("--app", metavar="DIR[:DST]", help="a folder to lay on top (DST: /app)")
    sub.add_argument("--entrypoint", type=shlex.split)
    return top


def _forward_arguments(sub):
    sub.add_argument("--background", action="store_true", help="print the address and return; ends with the rig")
    sub.add_argument("hostport", type=int, help="0 chooses a free one, which is printed")
    sub.add_argument("target", metavar="ADDRESS:PORT or SERVICE.NAMESPACE:PORT")


def _image_arguments(sub):
    sub.add_argument("--name", required=True, metavar="NAME:TAG")
    sub.add_argument("--out", required=True)
    sub.add_argument("--base", metavar="TAR", help="an image tar to build on")
    sub.add_argument("--rootfs", action="append", default=[], metavar="DIR[:DST]")
    sub.add_argument("--file", action="append", default=[], metavar="SRC:DST[:MODE]")
    sub.add_argument("--binary", action="append", default=[], metavar="SRC:DST", help="with its shared libraries")
    sub.add_argument("--entrypoint", type=shlex.split, default=[])
    sub.add_argument("--user", default="")
    sub.add_argument("--workdir", default="/")
    sub.add_argument("--env", action="append", default=[], metavar="K=V")


def make_image(arguments):
    tree = image.Tree()
    if not arguments.base:
        tree.add_folder("/tmp", 0o1777)
    for item in arguments.rootfs:
        folder, _, target = item.partition(":")
        tree.add_tree(folder, target or "/")
    for item in arguments.binary:
        tree.add_binary(*item.split(":"))
    for item in arguments.file:
        source, target, *mode = item.split(":")
        tree.add_file(source, target, int(mode[0], 8) if mode else None)
    spec = image.Spec(arguments.entrypoint, arguments.user, arguments.env, arguments.workdir)
    image.write(arguments.out, arguments.name, spec, [tree], arguments.base)


def dispatch(arguments):
    command = arguments.command
    if command == "build":
        print(build.ensure())
    elif command == "install":
        install.packages()
    elif command == "image":
        make_image(arguments)
    elif command == "python-image":
        python_image.write(arguments.out, arguments.name, arguments.app, arguments.entrypoint, arguments.locked)
    else:
        return dispatch_rig(command, Layout(arguments.dir), arguments)
    return 0


def dispatch_rig(command, layout, arguments):
    if command == "up":
        cluster.up(layout, arguments.node, arguments.second_apiserver, not arguments.no_gateway, arguments.bare, arguments.image_volumes)
    elif command == "down":
        cluster.down(layout)
    elif command == "status":
        return cluster.status(layout)
    elif command == "load":
        access.load(layout, arguments.tar)
    elif command == "exec":
        argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
        access.execute(layout, argv or ["sh"])
    elif command == "forward":
        access.forward(layout, arguments.hostport, arguments.target, arguments.background)
    elif command == "kubeconfig":
        access.kubeconfig_for(layout, arguments.account, arguments.out)
    elif command == "signal":
        access.signal_component(layout, arguments.name, arguments.number.removeprefix("SIG"))
    elif command == "save-etcd":
        access.save_etcd(layout, arguments.name)
    elif command == "restore-etcd":
        access.restore_etcd(layout, arguments.name)
    return 0


def internal(role, arguments):
    """The rig's own processes, which start this program anew."""
    if role == "_pushpage":
        return services.pushpage(*arguments)
    if role == "_etcdrelay":
        from riglib import etcd_relay  # needs a package that other commands do without
        return etcd_relay.main(*arguments)
    layout, rest = Layout(arguments[1]), arguments[2:]
    if role == "_hold":
        return cluster.hold(layout, [int(handle) for handle in rest])
    if role == "_inside":
        record = layout.record()
        return inside.main(layout, record["kind"], record["ports"], record["second"], record["gateway"], record["prometheus"], int(rest[0]))
    if role == "_forward":
        listener = socket.socket(fileno=int(rest[0]))
        return access.run_forward(layout.record(), listener, (rest[1], int(rest[2])))
    return discovery.main(layout) if role == "_discovery" else services.dns(layout)


def main():
    try:
        if len(sys.argv) > 1 and sys.argv[1].startswith("_"):
            return internal(sys.argv[1], sys.argv[2:])
        return dispatch(parser().parse_args())
    except RigError as error:
        print(f"rig: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
