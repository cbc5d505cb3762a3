"""Installs the rig's Debian packages without letting any of them start a service."""

import os
import pathlib

from riglib.util import RigError, missing_packages, run, say

POLICY = pathlib.Path("/usr/sbin/policy-rc.d")


def packages():
    missing = missing_packages()
    if not missing:
        return
    if os.geteuid() != 0:
        raise RigError(f"needs root to install: {' '.join(missing)}")
    say(f"installing {' '.join(missing)}")
    ours = not POLICY.exists()
    if ours:  # Debian's own way to say that a package may not start its service
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=600"]
        run([*apt, "update"], env=env)
        run([*apt, "install", "-y", "--no-install-recommends", *missing], env=env)
    finally:
        if ours:
            POLICY.unlink()
