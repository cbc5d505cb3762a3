"""Small things that every part of the rig uses."""

import contextlib
import fcntl
import os
import pathlib
import subprocess
import sys
import time

RIG_DIR = pathlib.Path(__file__).resolve().parent.parent
REPO = RIG_DIR.parents[2]


class RigError(Exception):
    """A failure that the user is told in one message, without a traceback."""


def say(text):
    print(f"rig: {text}", file=sys.stderr, flush=True)


def cache_root():
    configured = os.environ.get("MODEL_OPERATOR_CACHE")
    return pathlib.Path(configured) if configured else pathlib.Path.home() / ".cache" / "model-operator"


def run(args, **kwargs):
    """Run a command to its end; a failure carries the command's own last words."""
    args = [str(a) for a in args]
    result = subprocess.run(args, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)
    if result.returncode != 0:
        tail = "\n".join(result.stdout.strip().splitlines()[-15:])
        raise RigError(f"`{' '.join(args)}` failed ({result.returncode}):\n{tail}")
    return result.stdout


def wait_for(what, condition, timeout=60.0, interval=0.05, alive=None):
    """Poll until condition() is truthy and return its value; `alive` may raise to stop early."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if alive:
            alive()
        if time.monotonic() > deadline:
            raise RigError(f"timed out after {timeout:.0f} s waiting for {what}")
        time.sleep(interval)


@contextlib.contextmanager
def locked(path):
    """Hold an exclusive lock file; the kernel frees it when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another rig command that holds {path}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_atomically(path, text, mode=0o644):
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.chmod(mode)
    temporary.rename(path)


def missing_packages():
    """Names from packages.txt that dpkg doesn't know as installed."""
    wanted = (RIG_DIR / "packages.txt").read_text().split()
    answer = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted],
                            text=True, capture_output=True)
    installed = {line.split()[0] for line in answer.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in wanted if name not in installed]
