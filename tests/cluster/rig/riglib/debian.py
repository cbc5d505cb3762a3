"""Debian's packages as the material of images: pinned by version and sha256, and on record inside an image, where scanners look for them."""

import dataclasses
import hashlib
import os
import pathlib
import re
import subprocess

from riglib.util import REPO, RigError, run, say

LOCKS = REPO / "images" / "lock"
REFRESH = "`make images-lock` writes the versions of today; look at the difference and commit it"
OS_RELEASE = ("PRETTY_NAME", "NAME", "VERSION_ID", "VERSION_CODENAME", "ID")
STATUS = "/var/lib/dpkg/status.d"   # one file a package: what distroless images have, and scanners read


@dataclasses.dataclass(frozen=True)
class Package:
    name: str
    version: str
    sha256: str = ""   # of the .deb; empty for what the build machine has installed

    def __str__(self):
        return " ".join(filter(None, (self.name, self.version, self.sha256)))


# --- locks ---

def read_lock(path):
    lines = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return [Package(*fields) for fields in lines]


def write_lock(path, packages, comment):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# {comment}\n" + "".join(f"{package}\n" for package in sorted(packages, key=lambda p: p.name)))


def served(names):
    """By name: the versions that the package servers have now with the sha256 of each, and the one that apt would take."""
    found = {name: ({}, _candidate(text)) for name, text in _policies(names).items()}
    # It fails where it knows none of them; whoever wants them says what to do.
    shown = subprocess.run(["apt-cache", "show", *names], text=True, capture_output=True).stdout
    for stanza in shown.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Filename|SHA256): (.*)$", stanza, re.M))
        if "Filename" in fields and fields["Package"] in found:   # else it is only installed
            found[fields["Package"]][0][fields["Version"]] = fields["SHA256"]
    return found


def _policies(names):
    text = run(["apt-cache", "policy", *names], env=dict(os.environ, LC_ALL="C"))
    return dict(re.findall(r"^(\S+):\n((?: .*\n?)+)", text, re.M))


def _candidate(policy):
    return re.search(r"Candidate: (\S+)", policy).group(1)


def newest(names):
    """The packages that apt would take now."""
    known = served(names)
    missing = [name for name in names if name not in known or known[name][1] not in known[name][0]]
    if missing:
        raise RigError(f"the package servers have no {', '.join(missing)}; run `apt-get update`")
    return [Package(name, known[name][1], known[name][0][known[name][1]]) for name in names]


def choose(names, lock, available, locked):
    """What to build with: the locked versions, and where one is no longer served the newest, which `locked` forbids."""
    pinned = {package.name: package for package in lock}
    if set(pinned) != set(names):
        raise RigError(f"the lock is for other packages ({', '.join(sorted(set(pinned) ^ set(names)))}); {REFRESH}")
    chosen, moved = [], []
    for name in names:
        versions, candidate = available.get(name, ({}, ""))
        package = pinned[name]
        if package.version in versions:
            if versions[package.version] != package.sha256:
                raise RigError(f"{name} {package.version}: the package server announces sha256 {versions[package.version]}, the lock has {package.sha256}. "
                               "A version never changes its content: find out who changed it before you build")
        elif candidate in versions:
            moved.append(f"{name} {package.version} → {candidate}")
            package = Package(name, candidate, versions[candidate])
        else:
            raise RigError(f"the package servers have no {name}; run `apt-get update`")
        chosen.append(package)
    if moved and locked:
        raise RigError(f"locked versions are no longer served: {'; '.join(moved)}. {REFRESH}")
    if moved:
        say(f"these locked versions are no longer served, so newer ones are used, as the SBOM says: {'; '.join(moved)}. {REFRESH}")
    return chosen


def compare_installed(packages, lock, locked):
    """What the build machine gives to an image is as the lock says; or it is said what differs, and `locked` forbids it."""
    pinned = {package.name: package.version for package in lock}
    found = {package.name: package.version for package in packages}
    differ = [f"{name} {pinned.get(name, 'not there')} → {found.get(name, 'not there')}" for name in sorted(pinned.keys() | found.keys())
              if pinned.get(name) != found.get(name)]
    if not differ:
        return
    if locked:
        raise RigError(f"this machine has other packages than the lock: {'; '.join(differ)}. Upgrade it, or: {REFRESH}")
    say(f"this machine has other packages than the lock, as the SBOM says: {'; '.join(differ)}")


def download(packages, folder):
    """The .deb files, each of the locked content."""
    folder.mkdir(mode=0o755)
    # As root, apt would drop to a user who may not write here.
    run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *[f"{p.name}={p.version}" for p in packages]], cwd=folder)
    wanted = {p.sha256: p for p in packages}
    files = sorted(folder.iterdir())
    for file in files:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        if wanted.pop(content, None) is None:
            raise RigError(f"{file.name} has sha256 {content}, which is in no lock")
    if wanted:
        raise RigError(f"apt-get brought no {', '.join(map(str, wanted.values()))}")
    return files


# --- what is installed here ---

def owners(paths):
    """The installed packages that these files belong to. Files of none, such as what a package generated, are left out."""
    asked = {str(path) for path in paths} | {os.path.realpath(path) for path in paths}
    asked |= {_known(path) for path in asked}
    answer = subprocess.run(["dpkg-query", "-S", *sorted(asked)], text=True, capture_output=True).stdout
    names = {name.strip() for line in answer.splitlines() if ": /" in line for name in line.rpartition(": /")[0].split(",")}
    return installed(sorted(names))


def installed(names):
    if not names:
        return []
    text = run(["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *names])
    return sorted({Package(*line.split()) for line in text.splitlines()}, key=lambda p: p.name)


def source_of(names):
    text = run(["dpkg-query", "-W", "-f", "${Package} ${source:Package}\\n", *names]) if names else ""
    return dict(line.split() for line in text.splitlines())


# --- the record inside an image ---

def record_installed(tree, packages):
    """Let the image's own database name these packages of the build machine."""
    tree.add_folder(STATUS)   # scanners look for the folder before they look into it
    places = {_known(os.path.realpath(source)): path for path, source in tree.sources().items()}
    for package in packages:
        stanza = run(["dpkg-query", "-s", package.name]).split("\n\n")[0]
        tree.add_text(stanza.strip() + "\n", f"{STATUS}/{package.name}")
        tree.add_text(_sums_of(package.name, places), f"{STATUS}/{package.name}.md5sums")
    tree.add_text(os_release(), "/usr/lib/os-release")
    tree.add_link("../usr/lib/os-release", "/etc/os-release")


def _sums_of(name, places):
    """Which files of the image are the package's, in dpkg's own format: a scanner that finds a library by its content then knows whose it is."""
    info = pathlib.Path("/var/lib/dpkg/info")
    lists = [path for path in (info / f"{name}.md5sums", *info.glob(f"{name}:*.md5sums")) if path.exists()]
    found = [line.split("  ", 1) for path in lists for line in path.read_text().splitlines()]
    return "".join(f"{md5}  {places[_known('/' + path)]}\n" for md5, path in found if _known("/" + path) in places)


def _known(path):
    """Debian's database may know a file by its path from before /lib became a link into /usr."""
    return path.removeprefix("/usr") if path.startswith(("/usr/lib", "/usr/bin", "/usr/sbin")) else path


def record_unpacked(root, deb):
    """The same for a .deb that is unpacked into a folder."""
    control = run(["dpkg-deb", "--field", deb]).strip()
    name = re.search(r"^Package: (\S+)$", control, re.M).group(1)
    folder = pathlib.Path(root, STATUS.lstrip("/"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(control.replace(f"Package: {name}", f"Package: {name}\nStatus: install ok installed", 1) + "\n")
    sums = subprocess.run(["dpkg-deb", "--ctrl-tarfile", deb], capture_output=True, check=True).stdout
    done = subprocess.run(["tar", "-xO", "./md5sums"], input=sums, capture_output=True)
    if done.returncode == 0:
        (folder / f"{name}.md5sums").write_bytes(done.stdout)


def os_release():
    """Which distribution the packages are of: that of the build machine."""
    lines = pathlib.Path("/usr/lib/os-release").read_text().splitlines()
    return "".join(f"{line}\n" for line in lines if line.partition("=")[0] in OS_RELEASE)
