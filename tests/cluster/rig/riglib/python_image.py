"""A Python image with scikit-learn, from Debian's packages and PyPI's wheels, cached."""

import hashlib
import inspect
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from riglib import debian, image
from riglib.util import RigError, cache_root, locked as holding, run, say

VERSION = "3.11"
# Only what the interpreter and the wheels link to; no package manager, no shell but busybox's.
DEBS = ["libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5",
        "libsqlite3-0", "libuuid1", "libtinfo6", "libncursesw6", "libreadline8", "libdb5.3", "libcrypt1",
        "libpython3.11-minimal", "libpython3.11-stdlib", "python3.11-minimal", "python3.11", "media-types",
        "ca-certificates", "tzdata", "busybox-static"]
WHEELS = ["numpy==2.2.6", "scipy==1.15.3", "scikit-learn==1.6.1", "joblib==1.5.1", "threadpoolctl==3.6.0"]
# What exactly these were when somebody last looked.
DEB_LOCK, WHEEL_LOCK = debian.LOCKS / "sklearn.debs.txt", debian.LOCKS / "sklearn.wheels.txt"
# Wheels are chosen for the image, not for the Python that installs them.
FOR_THE_IMAGE = ["--no-deps", "--only-binary=:all:", f"--python-version={VERSION}", "--implementation=cp", "--platform=manylinux2014_x86_64",
                 "--platform=manylinux_2_17_x86_64", "--platform=manylinux_2_28_x86_64"]
SHELL_TOOLS = ["sh", "ls", "cat", "cp", "mkdir", "sleep", "env", "id", "head", "tail", "test", "true", "false"]


def spec():
    return image.Spec(entrypoint=["/usr/bin/python3"], user="65532", workdir="/app",
                      env=["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1",
                           "HOME=/tmp", "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1"])


def write(out, name, app, entrypoint, locked=False):
    """The base image, with a folder of the caller's as a layer on top."""
    chosen = spec()
    chosen.entrypoint = entrypoint or chosen.entrypoint
    trees = []
    if app:
        folder, _, target = app.partition(":")
        trees = [image.Tree().add_tree(folder, target or "/app")]
    image.write(out, name, chosen, trees, base=base(locked))


def base(locked=False):
    packages = debian.choose(DEBS, debian.read_lock(DEB_LOCK), debian.served(DEBS), locked)
    recipe = b"".join(pathlib.Path(file).read_bytes() for file in (__file__, image.__file__, WHEEL_LOCK))
    content = "".join([*map(str, packages), inspect.getsource(debian.record_unpacked), debian.os_release()])
    key = hashlib.sha256(recipe + content.encode()).hexdigest()[:16]
    target = cache_root() / f"python-{key}.tar"
    if target.exists():
        return target
    with holding(cache_root() / "python-build.lock"):
        if not target.exists():
            _build(target, packages)
    return target


def _build(target, packages):
    started = time.monotonic()
    say("making the Python image, once: about a minute")
    with tempfile.TemporaryDirectory(dir=cache_root(), prefix=".python-") as scratch:
        root = pathlib.Path(scratch, "root")
        _unpack_debs(pathlib.Path(scratch), root, packages)
        _install_wheels(root)
        _trim(root)
        _compile(root)
        image.write(target, "localhost/sklearn:base", spec(), [image.Tree().add_tree(root)])
    say(f"made {target} in {time.monotonic() - started:.0f} s")


def _unpack_debs(scratch, root, packages):
    (root / "usr").mkdir(parents=True)
    for name in image.MERGED:
        (root / "usr" / name).mkdir()
        (root / name).symlink_to(f"usr/{name}")
    for deb in debian.download(packages, scratch / "debs"):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as unpacked:
            run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", root], stdin=unpacked.stdout)
        debian.record_unpacked(root, deb)
    _finish_root(root)


def _finish_root(root):
    """What the packages' own scripts would have done, as far as a program notices."""
    for name in SHELL_TOOLS:
        (root / "usr" / "bin" / name).symlink_to("busybox")
    (root / "usr" / "bin" / "python3").symlink_to(f"python{VERSION}")
    (root / "usr" / "bin" / "python").symlink_to("python3")
    certificates = sorted((root / "usr" / "share" / "ca-certificates").rglob("*.crt"))
    bundle = root / "etc" / "ssl" / "certs" / "ca-certificates.crt"
    bundle.write_text("".join(path.read_text() for path in certificates))
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532::/tmp:/bin/sh\n")
    (root / "usr" / "lib" / "os-release").write_text(debian.os_release())
    (root / "etc" / "os-release").symlink_to("../usr/lib/os-release")
    (root / "etc" / "group").write_text("root:x:0:\nnonroot:x:65532:\n")
    for name, mode in (("tmp", 0o1777), ("app", 0o755), ("proc", 0o755), ("sys", 0o755), ("dev", 0o755)):
        (root / name).mkdir(exist_ok=True)
        (root / name).chmod(mode)


def _install_wheels(root):
    target = root / "usr" / "lib" / "python3" / "dist-packages"
    pinned = {line.split()[0] for line in WHEEL_LOCK.read_text().splitlines() if "==" in line}
    if pinned != set(WHEELS):
        raise RigError(f"the lock is for other wheels ({', '.join(sorted(pinned ^ set(WHEELS)))}); {debian.REFRESH}")
    run([_pip_python(), "-m", "pip", "install", "-q", "--no-compile", *FOR_THE_IMAGE, "--target", target, "--require-hashes", "-r", WHEEL_LOCK])


def lock():
    """Write down what Debian and PyPI have today."""
    debian.write_lock(DEB_LOCK, debian.newest(DEBS), "Debian packages of the sklearn image: name, version, sha256. Made by `make images-lock`.")
    with tempfile.TemporaryDirectory() as folder:
        run([_pip_python(), "-m", "pip", "download", "-q", *FOR_THE_IMAGE, "-d", folder, *WHEELS])
        found = {re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower(): path for path in pathlib.Path(folder).iterdir()}
        lines = [f"{wheel} \\\n    --hash=sha256:{hashlib.sha256(found[wheel.partition('==')[0]].read_bytes()).hexdigest()}\n" for wheel in WHEELS]
    WHEEL_LOCK.write_text("# PyPI's wheels of the sklearn image, for pip's --require-hashes. Made by `make images-lock`.\n" + "".join(lines))


def _pip_python():
    """Any Python with pip will do: the wheels are chosen for the image, not for it."""
    candidates = [sys.executable, shutil.which("python3")]
    for python in filter(None, candidates):
        if subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0:
            return python
    venv = cache_root() / "pip-venv"
    run([sys.executable, "-m", "venv", venv])
    return str(venv / "bin" / "python")


def _trim(root):
    """Drop what no program reads, the big test suites above all (numpy imports parts of its own)."""
    packages = root / "usr" / "lib" / "python3" / "dist-packages"
    for folder in [*(packages / "scipy").rglob("tests"), *(packages / "sklearn").rglob("tests"),
                   *root.rglob("__pycache__"), root / "usr" / "share" / "doc", root / "usr" / "share" / "man",
                   root / "usr" / "share" / "locale", packages / "bin"]:
        shutil.rmtree(folder, ignore_errors=True)


def _compile(root):
    """Bytecode that needs no timestamps: a read-only container could not keep its own, and would start slowly."""
    if "%d.%d" % sys.version_info[:2] != VERSION:
        return
    # Some of the wheels' templates are no Python; compileall says so and goes on.
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash",
                    "-s", root, "-p", "/", root / "usr" / "lib"], check=False)
