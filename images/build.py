#!/usr/bin/env python3
"""Makes the container images as tars in build/images, without any registry or container engine, and writes their digests to build/images/digests.txt.

    images/build.py [--load] [--locked] [--sbom] [NAME …]      NAME: model-operator, model-server, sklearn; default: all
    images/build.py --lock                                     writes to images/lock what Debian, PyPI and this machine have today

An image is made again only when something that goes into it is newer. The same input gives the same bytes.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RIG = ROOT / "tests" / "cluster" / "rig"
sys.path.insert(0, str(RIG))

from riglib import debian, image, python_image  # noqa: E402
from riglib.util import RigError, say  # noqa: E402

import sbom  # noqa: E402

OUT = ROOT / "build" / "images"
CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
ZONES = pathlib.Path("/usr/share/zoneinfo")
NONROOT = "65532:65532"
# Headers of the C library's kernel interface are no code of the kernel.
NOT_COMPILED_IN = {"linux-libc-dev"}


class Program:
    """An image of one of our programs: the binary, and what it needs of this machine."""

    def __init__(self, name, binaries, objects, extra=(), packages=()):
        self.name, self.binary, self.build = name, binaries / name, binaries.parent
        self.objects, self.extra, self.packages = objects, extra, packages
        self.inputs = [self.binary, pathlib.Path("/var/lib/dpkg/status"), *extra]
        self.lock = debian.LOCKS / f"{name}.debs.txt"

    def tree(self):
        tree = image.Tree().add_folder("/tmp", 0o1777)
        for path in self.extra:
            (tree.add_tree if path.is_dir() else tree.add_file)(path, str(path))
        return tree.add_binary(self.binary, f"/{self.name}")

    def material(self, tree):
        """The Debian packages whose code or data is in the image."""
        found = {*debian.owners(tree.sources().values()), *debian.installed(list(self.packages))}
        return sorted({*found, *self.compiled_in({p.name for p in found})}, key=lambda p: p.name)

    def compiled_in(self, linked):
        """Packages whose headers are compiled into the program, but for those of libraries that are in the image anyway."""
        text = subprocess.run(["ninja", "-C", self.build, "-t", "deps"], text=True, capture_output=True).stdout
        headers = set()
        for block in text.split("\n\n"):
            target, *lines = block.splitlines() or [""]
            if target.startswith(self.objects):
                headers |= {line.strip() for line in lines if line.startswith("    /usr/include/")}
        packages = [p for p in debian.owners(headers) if p.name not in NOT_COMPILED_IN] if headers else []
        source = debian.source_of([p.name for p in packages] + sorted(linked))
        there = {source[name] for name in linked}
        return [p for p in packages if source[p.name] not in there]

    def write(self, out, locked):
        tree = self.tree()
        packages = self.material(tree)
        debian.compare_installed(packages, debian.read_lock(self.lock), locked)
        debian.record_installed(tree, packages)
        image.write(out, f"localhost/{self.name}:dev", image.Spec([f"/{self.name}"], NONROOT), [tree])

    def write_lock(self):
        debian.write_lock(self.lock, self.material(self.tree()), f"Debian packages in the image {self.name}: name and version. Made by `make images-lock`.")


class Python:
    name = "sklearn"
    app = ROOT / "images" / "sklearn"

    def __init__(self):
        self.inputs = [*sorted(self.app.glob("*.py")), python_image.DEB_LOCK, python_image.WHEEL_LOCK]

    def write(self, out, locked):
        for compiled in self.app.rglob("__pycache__"):
            shutil.rmtree(compiled)  # would become part of the layer
        python_image.write(out, f"localhost/{self.name}:dev", f"{self.app}:/app", ["/usr/bin/python3", "/app/main.py"], locked)

    def write_lock(self):
        python_image.lock()


def recipes(binaries):
    return {recipe.name: recipe for recipe in (
        # Certificates for https artifacts, time zones for cron triggers.
        Program("model-operator", binaries, ("operator/", "reconcilers/"), (CERTIFICATES, ZONES), ("ca-certificates", "tzdata")),
        Program("model-server", binaries, ("model-server/",)),
        Python())}


def is_fresh(out, inputs):
    inputs = [*inputs, pathlib.Path(__file__), *(RIG / "riglib" / f"{name}.py" for name in ("debian", "image", "python_image"))]
    return out.exists() and all(out.stat().st_mtime >= file.stat().st_mtime for file in inputs)


def build(recipe, locked):
    out = OUT / f"{recipe.name}.tar"
    missing = [str(file) for file in recipe.inputs if not file.exists()]
    if missing:
        sys.exit(f"{recipe.name}: {', '.join(missing)} is missing; run `make build` first")
    fresh = is_fresh(out, recipe.inputs) and not locked
    if not fresh:
        recipe.write(out, locked)
    _, digest, _ = image.describe(out)
    print(f"{out.relative_to(ROOT)}: localhost/{recipe.name}:dev@{digest}, {out.stat().st_size / 1e6:.0f} MB{' (up to date)' if fresh else ''}", flush=True)
    return out


def write_digests():
    """Of all images that are there: what `images:` of a kustomization, or an audit, wants to know."""
    found = [image.describe(tar) for tar in sorted(OUT.glob("*.tar"))]
    (OUT / "digests.txt").write_text("".join(f"{re.sub(':[^:/]*$', '', name)}@{digest}\n" for name, digest, _ in found))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "build" / "release" / "bin", help="where the programs are")
    parser.add_argument("--load", action="store_true", help="import them into the node of the running rig")
    parser.add_argument("--locked", action="store_true", help="for releases: fail where something is not of the locked version")
    parser.add_argument("--sbom", action="store_true", help="write build/images/NAME.sbom.json for each")
    parser.add_argument("--lock", action="store_true", help="write images/lock, and make no image")
    arguments = parser.parse_args()
    known = recipes(arguments.binaries.resolve())
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        sys.exit(f"there is no image {unknown[0]}; there are {', '.join(known)}")
    chosen = [known[name] for name in arguments.names or known]
    if arguments.lock:
        for recipe in chosen:
            recipe.write_lock()
        return
    OUT.mkdir(parents=True, exist_ok=True)
    tars = [build(recipe, arguments.locked) for recipe in chosen]
    write_digests()
    if arguments.sbom:
        for tar in tars:
            say(f"{sbom.write(tar).relative_to(ROOT)} is written")
    if arguments.load:
        subprocess.run([sys.executable, RIG / "rig.py", "load", *tars], check=True)


if __name__ == "__main__":
    try:
        main()
    except RigError as error:
        sys.exit(f"images: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
