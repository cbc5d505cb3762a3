"""What is in an image, as CycloneDX JSON, found by syft in the image itself. syft is built once from its pinned Go module, and cached."""

import os
import pathlib
import re
import subprocess

from riglib import build, image
from riglib.util import RigError

MODULE = pathlib.Path(__file__).resolve().parent / "sbom-tool"
PACKAGE = "github.com/anchore/syft/cmd/syft"
FLAGS = ["-trimpath", "-buildvcs=false"]


def version():
    return re.search(r"github.com/anchore/syft (v\S+)", (MODULE / "go.mod").read_text()).group(1)


def tool():
    """The program, built if the cache has none of this version."""
    home = build.home_of("syft", (MODULE / "go.mod", MODULE / "go.sum"), (FLAGS, PACKAGE))
    build.ensure_built(home, _build, f"syft {version()}, which writes SBOMs,", 5, lock="syft-build.lock")
    return home / "syft"


def _build(folder):
    go, env = build.find_go()
    build.compile_go(go, env, MODULE, [*FLAGS, f"-ldflags=-s -w -X main.version={version()}", "-o", os.path.join(folder, "syft"), PACKAGE])


def write(archive):
    """NAME.sbom.json beside NAME.tar, made anew only if the image is newer."""
    out = archive.with_suffix(".sbom.json")
    if out.exists() and out.stat().st_mtime >= archive.stat().st_mtime:
        return out
    name, digest, _ = image.describe(archive)
    command = [tool(), "scan", f"oci-archive:{archive}", "-q", "-o", f"cyclonedx-json={out}", "--source-name", name.rpartition(":")[0], "--source-version", digest]
    done = subprocess.run(command, text=True, capture_output=True, env=dict(os.environ, SYFT_CHECK_FOR_APP_UPDATE="false"))
    if done.returncode:
        raise RigError(f"syft could not read {archive}:\n{done.stderr.strip()}")
    return out
