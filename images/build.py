#!/usr/bin/env python3
"""Makes the container images as tars in build/images, without any registry or container engine.

    images/build.py [--load] [NAME …]      NAME: model-operator, model-server, sklearn; default: all

An image is made again only when something that goes into it is newer.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RIG = ROOT / "tests" / "cluster" / "rig"
CERTIFICATES = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
ZONES = pathlib.Path("/usr/share/zoneinfo")


def recipes(binaries):
    """By image: what makes its tar, and what it depends on."""
    operator, server, app = binaries / "model-operator", binaries / "model-server", ROOT / "images" / "sklearn"
    return {
        # Certificates for https artifacts, time zones for cron triggers.
        "model-operator": (["image", "--binary", f"{operator}:/model-operator", "--entrypoint", "/model-operator", "--user", "65532:65532",
                            "--file", f"{CERTIFICATES}:{CERTIFICATES}:644", "--rootfs", f"{ZONES}:{ZONES}"],
                           [operator, CERTIFICATES, ZONES / "tzdata.zi"]),
        "model-server": (["image", "--binary", f"{server}:/model-server", "--entrypoint", "/model-server", "--user", "65532:65532"], [server]),
        "sklearn": (["python-image", "--app", f"{app}:/app", "--entrypoint", "/usr/bin/python3 /app/main.py"],
                    sorted(app.glob("*.py"))),
    }


def is_fresh(out, inputs):
    inputs = [*inputs, pathlib.Path(__file__), RIG / "riglib" / "image.py", RIG / "riglib" / "python_image.py"]
    return out.exists() and all(out.stat().st_mtime >= file.stat().st_mtime for file in inputs)


def build(name, command, inputs, folder):
    out = folder / f"{name}.tar"
    for compiled in (ROOT / "images").rglob("__pycache__"):
        shutil.rmtree(compiled)  # would become part of the layer
    missing = [str(file) for file in inputs if not file.exists()]
    if missing:
        sys.exit(f"{name}: {', '.join(missing)} is missing; run `make build` first")
    if is_fresh(out, inputs):
        print(f"{out.relative_to(ROOT)} is up to date")
        return out
    verb, *rest = command
    subprocess.run([sys.executable, RIG / "rig.py", verb, "--name", f"localhost/{name}:dev", "--out", out, *rest], check=True)
    print(f"{out.relative_to(ROOT)}: localhost/{name}:dev, {out.stat().st_size / 1e6:.0f} MB")
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "build" / "release" / "bin", help="where the programs are")
    parser.add_argument("--load", action="store_true", help="import them into the node of the running rig")
    arguments = parser.parse_args()
    known = recipes(arguments.binaries.resolve())
    folder = ROOT / "build" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        sys.exit(f"there is no image {unknown[0]}; there are {', '.join(known)}")
    tars = [build(name, *known[name], folder) for name in arguments.names or known]
    if arguments.load:
        subprocess.run([sys.executable, RIG / "rig.py", "load", *tars], check=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
