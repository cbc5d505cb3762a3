#!/usr/bin/python3
"""Runs the tests of this folder on a real cluster, and leaves nothing behind.

    run.py [--keep] [pytest's arguments]

Brings the embedded cluster up (or uses the one that runs), builds and loads the images, installs CRDs, admission policies and rights from manifests/, and
runs pytest in parallel. `--keep` leaves the cluster, and the namespaces of the tests, for a look. Exits as pytest does.

    MODELOPS_TEST_RIG       the cluster's folder (default: .cluster-test)
    MODELOPS_TEST_RIG_FLAGS further flags of `rig.py up`
    MODELOPS_TEST_OPERATOR  the operator's binary (default: build/release/bin/model-operator)
    MODELOPS_TEST_WORKERS   processes at a time (default: 3 for each processor)
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

import settings

HERE = pathlib.Path(__file__).resolve().parent
LOGS = settings.REPO / "build" / "tests" / "failed"
NAMESPACES_OF_TESTS = "modelops.dev/test=true"


def say(text):
    print(f"cluster tests: {text}", flush=True)


def rig(*arguments, quiet=False):
    subprocess.run([settings.RIG_PROGRAM, arguments[0], "--dir", settings.RIG, *map(str, arguments[1:])], check=True,
                   stdout=subprocess.DEVNULL if quiet else None, stderr=subprocess.DEVNULL if quiet else None)


def running():
    status = [settings.RIG_PROGRAM, "status", "--dir", settings.RIG]
    return subprocess.run(status, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def install_packages():
    lists = [HERE / "packages.txt", HERE / "rig" / "packages.txt"]
    subprocess.run([settings.REPO / "scripts" / "install-deps.sh", *lists], check=True)


def load_images():
    names = ("model-operator", "model-server")
    subprocess.run([sys.executable, settings.REPO / "images" / "build.py", "--binaries", settings.OPERATOR.parent, *names], check=True)
    rig("load", *(settings.REPO / "build" / "images" / f"{name}.tar" for name in names))
    load_tiny()


def load_tiny():
    """The server and trainer of most tests: one static program."""
    folder = settings.REPO / "build" / "tests"
    folder.mkdir(parents=True, exist_ok=True)
    # Without its warning that names are resolved as the C library does at run time.
    subprocess.run(["gcc", "-static", "-Os", "-s", "-Wall", "-Wl,--no-warnings", "-o", folder / "tiny", HERE / "tiny" / "tiny.c"], check=True)
    archive = folder / "tiny.tar"
    subprocess.run([settings.RIG_PROGRAM, "image", "--name", settings.TINY_IMAGE, "--out", archive, "--file", f"{folder / 'tiny'}:/tiny:755",
                    "--entrypoint", "/tiny", "--user", "65532"], check=True)
    rig("load", archive)


def install():
    """CRDs, admission, rights, runtimes. The operator itself runs on this host, so that tests can kill it."""
    from case import TINY_RUNTIME
    from kube import ApiError, Kube
    kube = Kube(settings.KUBECONFIG)
    kube.install_crds()
    kube.apply_folder("manifests", skip=("Deployment", "CustomResourceDefinition"))
    kube.apply(TINY_RUNTIME)
    kube.wait_for(lambda: kube.find("ServiceAccount", "model-operator", settings.SYSTEM_NAMESPACE), 30, "the operator's ServiceAccount is there")
    # Not a doubt: a refused kind would show as a test that waits.
    kube.wait_for(lambda: kube.as_service_account(settings.SYSTEM_NAMESPACE, "model-operator").list("Model") is not None, 30,
                  "the operator may list Models", retry=(ApiError,))
    return kube


def run_pytest(arguments):
    workers = os.environ.get("MODELOPS_TEST_WORKERS") or str(3 * os.cpu_count())
    parallel = [] if workers == "0" or "-n" in arguments else ["-n", workers, "--dist", "loadgroup"]
    chosen = [a for a in arguments if not a.startswith("-") and ("::" in a or a.endswith(".py"))]
    targets = [] if chosen else [str(HERE)]
    environment = {**os.environ, "MODELOPS_TEST_RIG": str(settings.RIG), "KUBECONFIG": str(settings.KUBECONFIG),
                   "PATH": f"{settings.RIG / 'bin'}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={HERE}", "--ignore", str(HERE / "rig"),
               "--ignore", str(HERE / "test_registry.py"),  # make registry-test: it builds a registry first
               "--ignore", str(HERE / "test_mlflow.py"),    # make mlflow-test: it installs MLflow first
               "--ignore", str(HERE / "test_kueue.py"),     # make kueue-test: it builds Kueue first
               "--ignore", str(HERE / "test_engines.py"),   # make engines-test: it fetches the engines first
               "--ignore", str(HERE / "test_image_volumes.py"),  # make image-volume-test: it builds a containerd first
               "--ignore", str(HERE / "test_catalog.py"),   # make catalog-test: it installs the servers first
               "--durations=10", "-ra", *parallel, *arguments, *targets]
    return subprocess.run(command, env=environment).returncode


def save_logs():
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    for folder in (settings.RIG / "logs", settings.STATE):
        if folder.exists():
            shutil.copytree(folder, LOGS / folder.name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.kubeconfig"))


def clean_up(kube, was_running, keep):
    """A rig that was there before stays, without what the tests put into it."""
    if keep:
        return
    if not was_running:
        rig("down", quiet=True)
    elif kube:
        for namespace in kube.list("Namespace", labels=NAMESPACES_OF_TESTS):
            kube.delete("Namespace", namespace["metadata"]["name"])
        kube.delete("ModelRuntime", "tiny")
    shutil.rmtree(settings.STATE, ignore_errors=True)


def main():
    arguments = sys.argv[1:]
    keep = "--keep" in arguments
    arguments = [a for a in arguments if a != "--keep"]
    if not settings.OPERATOR.exists():
        sys.exit(f"{settings.OPERATOR} is not there: make build")
    started = time.monotonic()
    install_packages()
    was_running, kube, code = running(), None, 1
    try:
        rig("up", "--node", "real", *os.environ.get("MODELOPS_TEST_RIG_FLAGS", "").split())
        load_images()
        kube = install()
        # The last line is pytest's own, so what there is to say comes before.
        say(f"ready to test after {time.monotonic() - started:.0f} s; if something fails, all logs will be in {LOGS}")
        settings.STATE.mkdir(parents=True, exist_ok=True)
        code = run_pytest(arguments)
        if code:
            save_logs()
    finally:
        clean_up(kube, was_running, keep)
    return code


if __name__ == "__main__":
    sys.exit(main())
