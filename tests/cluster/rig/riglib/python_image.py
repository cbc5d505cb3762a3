"""A Python image with scikit-learn, from Debian's packages and PyPI's wheels, cached."""

import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from riglib import image
from riglib.util import cache_root, locked, run, say

VERSION = "3.11"
# Only what the interpreter and the wheels link to; no package manager, no shell but busybox's.
DEBS = ["libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5",
        "libsqlite3-0", "libuuid1", "libtinfo6", "libncursesw6", "libreadline8", "libdb5.3", "libcrypt1",
        "libpython3.11-minimal", "libpython3.11-stdlib", "python3.11-minimal", "python3.11", "media-types",
        "ca-certificates", "tzdata", "busybox-static"]
WHEELS = ["numpy==2.2.6", "scipy==1.15.3", "scikit-learn==1.6.1", "joblib==1.5.1", "threadpoolctl==3.6.0"]
SHELL_TOOLS = ["sh", "ls", "cat", "cp", "mkdir", "sleep", "env", "id", "head", "tail", "test", "true", "false"]


def spec():
    return image.Spec(entrypoint=["/usr/bin/python3"], user="65532", workdir="/app",
                      env=["PATH=/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1",
                           "HOME=/tmp", "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1"])


def write(out, name, app, entrypoint):
    """The base image, with a folder of the caller's as a layer on top."""
    chosen = spec()
    chosen.entrypoint = entrypoint or chosen.entrypoint
    trees = []
    if app:
        folder, _, target = app.partition(":")
        trees = [image.Tree().add_tree(folder, target or "/app")]
    image.write(out, name, chosen, trees, base=base())


def base():
    recipe = pathlib.Path(__file__).read_bytes() + pathlib.Path(image.__file__).read_bytes()
    key = hashlib.sha256(recipe).hexdigest()[:16]
    target = cache_root() / f"python-{key}.tar"
    if target.exists():
        return target
    with locked(cache_root() / "python-build.lock"):
        if not target.exists():
            _build(target)
    return target


def _build(target):
    started = time.monotonic()
    say("making the Python image, once: about a minute")
    with tempfile.TemporaryDirectory(dir=cache_root(), prefix=".python-") as scratch:
        root = pathlib.Path(scratch, "root")
        _unpack_debs(pathlib.Path(scratch), root)
        _install_wheels(root)
        _trim(root)
        _compile(root)
        image.write(target, "localhost/sklearn:base", spec(), [image.Tree().add_tree(root)])
    say(f"made {target} in {time.monotonic() - started:.0f} s")


def _unpack_debs(scratch, root):
    (root / "usr").mkdir(parents=True)
    for name in image.MERGED:
        (root / "usr" / name).mkdir()
        (root / name).symlink_to(f"usr/{name}")
    downloads = scratch / "debs"
    downloads.mkdir(mode=0o755)
    # As root, apt would drop to a user who may not write here.
    run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *DEBS], cwd=downloads)
    for deb in sorted(downloads.iterdir()):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as unpacked:
            run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", root], stdin=unpacked.stdout)
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
    (root / "etc" / "group").write_text("root:x:0:\nnonroot:x:65532:\n")
    for name, mode in (("tmp", 0o1777), ("app", 0o755), ("proc", 0o755), ("sys", 0o755), ("dev", 0o755)):
        (root / name).mkdir(exist_ok=True)
        (root / name).chmod(mode)


def _install_wheels(root):
    target = root / "usr" / "lib" / "python3" / "dist-packages"
    run([_pip_python(), "-m", "pip", "install", "-q", "--no-compile", "--no-deps", "--only-binary=:all:",
         f"--python-version={VERSION}", "--implementation=cp", "--platform=manylinux2014_x86_64",
         "--platform=manylinux_2_17_x86_64", "--platform=manylinux_2_28_x86_64", "--target", target, *WHEELS])


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
