"""The cgroup folders under which the kubelet puts the rig's pods."""

import os
import pathlib
import signal

from riglib.util import wait_for

ROOT = pathlib.Path("/sys/fs/cgroup")


def unified():
    return (ROOT / "cgroup.controllers").exists()


def available():
    return unified() or (ROOT / "memory").is_dir()


def _folders(name):
    if unified():
        return [ROOT / name]
    return [hierarchy / name for hierarchy in ROOT.iterdir() if hierarchy.is_dir() and not hierarchy.is_symlink()]


def create(name):
    for folder in _folders(name):
        folder.mkdir(exist_ok=True)
        # A new cpuset has no CPUs of its own, and no process may join it then.
        for setting in ("cpuset.cpus", "cpuset.mems"):
            if not unified() and (folder / setting).exists():
                (folder / setting).write_text((folder.parent / setting).read_text())
    if unified():
        for controller in (ROOT / "cgroup.controllers").read_text().split():
            for folder in (ROOT, ROOT / name):
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")


def remove(name):
    """Remove the folders, ending whatever process still sits in them."""
    for folder in _folders(name):
        wait_for(f"{folder} to empty", lambda: _removed(folder), timeout=20)


def present(name):
    return [folder for folder in _folders(name) if folder.exists()]


def _removed(folder):
    for path, _, _ in os.walk(folder, topdown=False):
        try:
            for pid in pathlib.Path(path, "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
            os.rmdir(path)
        except OSError:  # not empty yet, or gone meanwhile
            pass
    return not folder.exists()
