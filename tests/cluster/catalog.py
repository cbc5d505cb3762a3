#!/usr/bin/python3
"""The servers of manifests/runtimes/catalog that run without a GPU, of PyPI's packages, installed once and kept in the cache. Run as a program, it installs them."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse

import settings  # noqa: F401 - makes riglib known

from riglib.util import RigError, cache_root, locked, run, say

MLSERVER = "1.6.1"  # the version of the manifest's image
PACKAGES = [f"mlserver=={MLSERVER}", f"mlserver-sklearn=={MLSERVER}", f"mlserver-xgboost=={MLSERVER}", "gguf==0.19.0"]
# The source of llama.cpp comes with its bindings for Python.
BINDINGS, BINDINGS_SHA256 = "llama-cpp-python==0.3.36", "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
FLAGS = ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS_RELEASE=-O1", "-DCMAKE_C_FLAGS_RELEASE=-O1", "-DBUILD_SHARED_LIBS=OFF", "-DCMAKE_EXE_LINKER_FLAGS=-static",
         "-DGGML_NATIVE=OFF", "-DGGML_OPENMP=OFF", "-DGGML_LLAMAFILE=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF",
         "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF"]

# Models whose answers are known: a client whose features add up to more than 1 is a fraud.
SKLEARN = """
import sys, joblib
from sklearn.tree import DecisionTreeClassifier
joblib.dump(DecisionTreeClassifier().fit([[0.0, 0.0], [1.0, 1.0], [0.1, 0.2], [0.9, 0.8]], [0, 1, 0, 1]), sys.argv[1])
"""
XGBOOST = """
import sys, numpy, xgboost
model = xgboost.XGBClassifier(n_estimators=3, min_child_weight=0).fit(numpy.array([[0.0, 0.0], [1.0, 1.0], [0.1, 0.2], [0.9, 0.8]]), [0, 1, 0, 1])
model.save_model(sys.argv[1])
"""
# A language model of one layer that knows bytes alone, and nothing else.
GGUF = """
import sys, numpy, gguf
n, width, heads, vocabulary = 64, 128, 4, 259
out = gguf.GGUFWriter(sys.argv[1], "llama")
out.add_context_length(256); out.add_embedding_length(n); out.add_block_count(1); out.add_feed_forward_length(width)
out.add_head_count(heads); out.add_head_count_kv(heads); out.add_layer_norm_rms_eps(1e-5); out.add_rope_dimension_count(n // heads); out.add_vocab_size(vocabulary)
out.add_tokenizer_model("llama")
out.add_token_list([b"<unk>", b"<s>", b"</s>"] + [b"<0x%02X>" % byte for byte in range(256)])
out.add_token_scores([0.0] * vocabulary)
kinds = gguf.TokenType
out.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL] + [kinds.BYTE] * 256)
out.add_unk_token_id(0); out.add_bos_token_id(1); out.add_eos_token_id(2)
random = numpy.random.default_rng(7)
weights = lambda *shape: (random.standard_normal(shape) / 10).astype(numpy.float32)
ones = numpy.ones(n, numpy.float32)
for name, value in {"token_embd": weights(vocabulary, n), "output_norm": ones, "output": weights(vocabulary, n), "blk.0.attn_norm": ones, "blk.0.ffn_norm": ones,
                    **{f"blk.0.attn_{one}": weights(n, n) for one in ("q", "k", "v", "output")},
                    "blk.0.ffn_gate": weights(width, n), "blk.0.ffn_up": weights(width, n), "blk.0.ffn_down": weights(n, width)}.items():
    out.add_tensor(name + ".weight", value)
out.write_header_to_file(); out.write_kv_data_to_file(); out.write_tensors_to_file(); out.close()
"""


def _name(kind, *of):
    return f"catalog-{kind}-{hashlib.sha256(repr(of).encode()).hexdigest()[:16]}"


def _once(name, make):
    """make(folder), where it is to stay: a venv knows its own path."""
    folder = cache_root() / name
    with locked(cache_root() / "catalog.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / "done").touch()
    return folder


def venv():
    """Where MLServer is installed, for Debian's own Python."""
    def make(folder):
        say("installing MLServer, once: about 2 minutes, 1.2 GB")
        run([sys.executable, "-m", "venv", folder])
        run([folder / "bin" / "python", "-m", "pip", "install", "-q", *PACKAGES])
    return _once(_name("mlserver", PACKAGES, sys.version_info[:2]), make)


def llama():
    """The folder of a llama-server that needs no library."""
    python = venv() / "bin" / "python"  # its lock is this one's
    def make(folder):
        say("building llama.cpp's server from source, once: about 8 minutes of one core")
        with tempfile.TemporaryDirectory(dir=cache_root()) as work:
            work = pathlib.Path(work)
            run([python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", BINDINGS.partition("=")[0], "-d", work, BINDINGS])
            archive, = work.glob("*.tar.gz")
            if hashlib.sha256(archive.read_bytes()).hexdigest() != BINDINGS_SHA256:
                raise RigError(f"{archive.name} is not the one that these tests know")
            with tarfile.open(archive) as tar:
                tar.extractall(work, filter="data")
            run(["cmake", "-S", next(work.glob("*/vendor/llama.cpp")), "-B", work / "build", "-G", "Ninja", *FLAGS])
            run(["ninja", "-C", work / "build", "-j", str(os.cpu_count()), "llama-server"])
            shutil.copy(work / "build" / "bin" / "llama-server", folder)
    return _once(_name("llama", BINDINGS_SHA256, FLAGS), make)


def write_model(program, path):
    """By one of the programs above; readable by all, as an artifact is."""
    path.parent.mkdir(mode=0o755)
    done = subprocess.run([venv() / "bin" / "python", "-c", program, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path.chmod(0o444)
    return path


# Debian of this host, for a root that is empty otherwise.
DEBIAN = {"/usr": "/usr", "/lib": "/usr/lib", "/lib64": "/usr/lib64"}
ENTER = """
mount --bind "$ROOT" "$ROOT"
mount -t tmpfs -o mode=1777 none "$ROOT/tmp"
mount -t proc none "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
for pair in $FOLDERS; do mount --bind "${pair%%:*}" "$ROOT${pair#*:}"; mount -o remount,bind,ro "$ROOT${pair#*:}"; done
mount -o remount,bind,ro "$ROOT"
exec chroot --userspec="$WHO" --groups= "$ROOT" env -i "$@"
"""


class Server:
    """The container of a ModelRuntime as its manifest has it, but for the image: user, read-only root, /tmp, artifact, environment and arguments, in a network of its own; beside it a
    Prometheus that scrapes it with the labels that manifests/monitoring gives. `folders`: {place: folder of this host}; `command`: the image's own, if the manifest says none."""

    LABELS = {"namespace": "bank", "model": "fraud", "version": "fraud-v2"}

    def __init__(self, work, runtime, artifact, folders, command=None):
        self.work, self.runtime, self.folders = work, runtime, {**folders, "/artifact": artifact.parent}
        self.container = next(c for c in runtime["template"]["spec"]["containers"] if c["name"] == "server")
        self.network = f"catalog-{os.getpid()}-{artifact.suffix[1:]}"
        self.variables = {"MODEL_NAME": "fraud", "MODEL_VERSION": "fraud-v2", "MODEL_PATH": f"/artifact/{artifact.name}"}
        for entry in self.container["env"]:
            self.variables[entry["name"]] = self._expanded(entry["value"])
        self.command = [self._expanded(word) for word in command or [*self.container["command"], *self.container["args"]]]
        self.processes = []

    def _expanded(self, text):
        return re.sub(r"[$][(]([A-Z_]+)[)]", lambda found: self.variables[found[1]], text)

    def __enter__(self):
        run(["ip", "netns", "add", self.network])
        run([*self._inside(), "ip", "link", "set", "lo", "up"])
        root, who = self.work / "root", self.runtime["template"]["spec"]["securityContext"]
        for place in ("/tmp", "/dev", "/proc", *self.folders):
            (root / place.lstrip("/")).mkdir(parents=True)
        environment = {**os.environ, "ROOT": str(root), "WHO": f"{who['runAsUser']}:{who['runAsGroup']}", "FOLDERS": " ".join(f"{f}:{p}" for p, f in self.folders.items())}
        variables = [f"{name}={value}" for name, value in {"PATH": "/usr/bin:/bin", **self.variables}.items()]
        self._start("server", ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", ENTER, "sh", *variables, *self.command], environment)
        metrics = self.runtime["metrics"]
        labels = {"namespace": self.LABELS["namespace"], "modelops_model": self.LABELS["model"], "modelops_version": self.LABELS["version"]}
        (self.work / "prometheus.yml").write_text(json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [
            {"job_name": "pods", "metrics_path": metrics["path"], "static_configs": [{"targets": [f"127.0.0.1:{metrics['port']}"], "labels": labels}]}]}))
        self._start("prometheus", ["/usr/bin/prometheus", f"--config.file={self.work}/prometheus.yml", f"--storage.tsdb.path={self.work}/data", "--web.listen-address=127.0.0.1:9090"])
        return self

    def _inside(self):
        return ["ip", "netns", "exec", self.network]

    def _start(self, name, command, environment=None):
        with open(self.work / f"{name}.log", "ab") as log:
            self.processes.append(subprocess.Popen([str(word) for word in [*self._inside(), *command]], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        run(["ip", "netns", "delete", self.network])

    def words(self):
        return (self.work / "server.log").read_text(errors="replace")[-4000:]

    def ask(self, path, body=None, port=None):
        """The answer's status and text; None for both if there is none."""
        data = [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        done = subprocess.run([*self._inside(), "curl", "-sS", "-m", "30", "-w", "\n%{http_code}", *data, f"http://127.0.0.1:{port or self.runtime['port']}{path}"],
                              capture_output=True, text=True)
        text, _, code = done.stdout.rpartition("\n")
        return (int(code), text) if done.returncode == 0 else (None, None)

    def probe(self, name):
        """As the kubelet takes it."""
        get = self.container[name]["httpGet"]
        code = self.ask(get["path"], port=get["port"])[0]
        return code is not None and 200 <= code < 400

    def value(self, query):
        """What Prometheus has for a query of a gate or monitor; None for nothing."""
        for name, value in {**self.LABELS, "candidate": self.LABELS["version"], "stable": self.LABELS["version"]}.items():
            query = query.replace(f"{{{{{name}}}}}", value)
        _, text = self.ask("/api/v1/query?" + urllib.parse.urlencode({"query": query}), port=9090)
        found = [series["value"][1] for series in json.loads(text)["data"]["result"]] if text else []
        assert len(found) <= 1, (query, found)
        return None if found in ([], ["NaN"]) else float(found[0])


if __name__ == "__main__":
    venv()
    llama()
