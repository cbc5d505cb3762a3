"""Container images made by hand: OCI layout tars, the same bytes for the same content."""

import dataclasses
import hashlib
import io
import json
import os
import pathlib
import re
import tarfile
import tempfile

from riglib.util import RigError, run

MERGED = ("bin", "sbin", "lib", "lib64")  # Debian's links into /usr
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclasses.dataclass
class Spec:
    entrypoint: list
    user: str = ""
    env: list = dataclasses.field(default_factory=list)
    workdir: str = "/"


class Tree:
    """The content of one layer: paths, and what lies at each."""

    def __init__(self):
        self.entries = {}

    def _place(self, path):
        parts = [part for part in pathlib.PurePosixPath(path).parts if part != "/"]
        if not parts or ".." in parts:
            raise RigError(f"{path}: not a path inside an image")
        if parts[0] in MERGED and len(parts) > 1:
            self.entries[parts[0]] = ("link", f"usr/{parts[0]}", 0o777)
            parts.insert(0, "usr")
        return "/".join(parts)

    def add_file(self, source, path, mode=None):
        source = pathlib.Path(source)
        if not source.is_file():
            raise RigError(f"{source}: no such file")
        self.entries[self._place(path)] = ("file", source, mode or source.stat().st_mode & 0o7777)
        return self

    def add_text(self, text, path, mode=0o644):
        self.entries[self._place(path)] = ("text", text.encode(), mode)
        return self

    def add_link(self, target, path):
        self.entries[self._place(path)] = ("link", target, 0o777)
        return self

    def sources(self):
        """By path in the image: the file of this machine that its content is from."""
        return {path: what for path, (kind, what, _) in self.entries.items() if kind == "file"}

    def add_folder(self, path, mode=0o755):
        self.entries[self._place(path)] = ("dir", None, mode)
        return self

    def add_binary(self, source, path):
        """A program with every shared library that it needs."""
        self.add_file(source, path, 0o755)
        for library in _libraries(source):
            self.add_file(os.path.realpath(library), library, 0o755)
        return self

    def add_tree(self, folder, prefix="/"):
        folder = pathlib.Path(folder)
        if not folder.is_dir():
            raise RigError(f"{folder}: no such folder")
        for parent, folders, files in os.walk(folder):
            for name in folders + files:
                self._add_found(pathlib.Path(parent, name), folder, prefix)
        return self

    def _add_found(self, found, folder, prefix):
        path = str(pathlib.PurePosixPath(prefix) / found.relative_to(folder))
        if found.is_symlink():
            self.entries[path.lstrip("/")] = ("link", os.readlink(found), 0o777)
        elif found.is_file():
            self.add_file(found, path)
        elif found.is_dir() and path.lstrip("/") not in MERGED:
            self.add_folder(path, found.stat().st_mode & 0o7777)

    def write(self, target):
        with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path, (kind, what, mode) in sorted(self.entries.items()):
                entry = tarfile.TarInfo(path)
                entry.mode = mode
                if kind == "file":
                    entry.size = what.stat().st_size
                    with open(what, "rb") as content:
                        tar.addfile(entry, content)
                elif kind == "text":
                    entry.size = len(what)
                    tar.addfile(entry, io.BytesIO(what))
                else:
                    entry.type = tarfile.DIRTYPE if kind == "dir" else tarfile.SYMTYPE
                    entry.linkname = what or ""
                    tar.addfile(entry)


def _libraries(program):
    text = run(["ldd", program]) if _is_dynamic(program) else ""
    if "not found" in text:
        raise RigError(f"{program}: a library is missing:\n{text}")
    return re.findall(r"(/\S+) \(0x", text)


def _is_dynamic(program):
    with open(program, "rb") as handle:
        return b"ld-linux" in handle.read(1 << 16)


def write(out, name, spec, trees, base=None):
    """Write the image `name` to the tar `out`: the base's layers, then one layer per tree."""
    out = pathlib.Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".image-") as scratch:
        layers = _base_layers(base, scratch) if base else []
        layers += [_layer(tree, scratch) for tree in trees]
        blobs = dict(layers)
        config = _blob(blobs, _config(spec, [digest for digest, _ in layers]))
        manifest = _blob(blobs, {
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, **_size(blobs, config)},
            "layers": [{"mediaType": LAYER, **_size(blobs, digest)} for digest, _ in layers]})
        reference = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
        index = {"schemaVersion": 2, "manifests": [
            {"mediaType": MANIFEST, **_size(blobs, manifest), "annotations": reference}]}
        partial = pathlib.Path(scratch, "out")
        _write_layout(partial, index, blobs)
        partial.rename(out)


def _config(spec, diff_ids):
    config = {"Entrypoint": spec.entrypoint, "User": spec.user, "Env": spec.env, "WorkingDir": spec.workdir}
    return {"created": "1970-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
            "config": {key: value for key, value in config.items() if value},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}}


def _blob(blobs, content):
    data = json.dumps(content, sort_keys=True).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return digest


def _size(blobs, digest):
    content = blobs[digest]
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    return {"digest": digest, "size": size}


def _layer(tree, scratch):
    handle, path = tempfile.mkstemp(dir=scratch)
    with os.fdopen(handle, "wb") as target:
        tree.write(target)
    with open(path, "rb") as written:
        return "sha256:" + hashlib.file_digest(written, "sha256").hexdigest(), pathlib.Path(path)


def _base_layers(archive, scratch):
    layers = []
    with tarfile.open(archive) as tar:
        for layer in _manifest(tar)["layers"]:
            path = pathlib.Path(scratch, "base-" + layer["digest"].rpartition(":")[2])
            with tar.extractfile(_blob_path(layer["digest"])) as content, open(path, "wb") as target:
                while data := content.read(1 << 20):
                    target.write(data)
            layers.append((layer["digest"], path))
    return layers


def _write_layout(out, index, blobs):
    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as tar:
        _add_bytes(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add_bytes(tar, "index.json", json.dumps(index, sort_keys=True).encode())
        for digest, content in sorted(blobs.items()):
            if isinstance(content, bytes):
                _add_bytes(tar, _blob_path(digest), content)
                continue
            entry = tarfile.TarInfo(_blob_path(digest))
            entry.size = content.stat().st_size
            with open(content, "rb") as source:
                tar.addfile(entry, source)


def _add_bytes(tar, path, data):
    entry = tarfile.TarInfo(path)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _blob_path(digest):
    return "blobs/" + digest.replace(":", "/")


def _manifest(tar):
    index = json.load(tar.extractfile("index.json"))
    return json.load(tar.extractfile(_blob_path(index["manifests"][0]["digest"])))


def describe(archive):
    """The image's name, its manifest's digest, and its id, which is its configuration's digest."""
    try:
        with tarfile.open(archive) as tar:
            entry = json.load(tar.extractfile("index.json"))["manifests"][0]
            notes = entry["annotations"]
            name = notes.get("io.containerd.image.name") or notes["org.opencontainers.image.ref.name"]
            return name, entry["digest"], _manifest(tar)["config"]["digest"]
    except (OSError, tarfile.TarError, LookupError, ValueError) as error:
        raise RigError(f"{archive}: not a tar of one named OCI image ({error!r})") from error
