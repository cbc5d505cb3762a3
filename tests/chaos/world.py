"""One namespace with an operator of its own behind a proxy of its own, an observer, and a Prometheus that says what the test wants."""

import http.server
import json
import os
import random
import re
import shutil
import signal
import string
import threading
import time
import urllib.parse

import operators
import settings
from case import API, Case, TINY_RUNTIME
from kube import ApiError
from kube import KINDS as OF_THE_API
from observer import Observer
from proxy import WRITES, Authority, Match, Proxy
from together import queries_of

# A cluster with a second API server, for rows about stale ones.
STALE_RIG = settings.RIG.with_name(settings.RIG.name + "-stale")
LEAVE = False   # namespaces stay when a run is over: for few runs, of which none is worth the hundred requests that taking one away costs
SOON = 45   # seconds for anything that takes one or two on an idle machine
QUIET = 30
WRITTEN = ("models", "modelversions", "modelrollouts", "trainingruns", "deployments", "services", "httproutes", "horizontalpodautoscalers", "jobs", "modelruntimes")   # what the operator writes, Events and its Lease aside


class Prometheus:
    """Answers instant queries from `values`: {a word of the query: number as text, or a function of the query}; without one there is no data."""

    def __init__(self):
        self.values, self.asked = {}, []
        self.gate = threading.Event()   # cleared: nobody gets an answer
        self.gate.set()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.2,), daemon=True).start()

    def close(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, text):
        result = []
        for labels, query in queries_of(text):
            self.asked.append(query)
            value = next((value for word, value in self.values.items() if word in query), None)
            value = value(query) if callable(value) else value
            if value is not None:
                result.append({"metric": labels, "value": [time.time(), value]})
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()

    def _handler(world):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1   # headers and body in one packet: apart, the second waits 40 ms for the first one's acknowledgement

            def do_GET(self):
                self._say(urllib.parse.urlsplit(self.path).query)

            def do_POST(self):
                self._say(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _say(self, form):
                world.gate.wait()
                body = world.answer(dict(urllib.parse.parse_qsl(form)).get("query", ""))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        return Handler


class Gateway:
    """Says of each HTTPRoute, as soon as the observer has seen it, that it is taken up. It is that of no Gateway object, so that the rig's own looks away."""
    parent = {"name": "chaos"}

    def __init__(self, kube, namespace, observer):
        self.kube, self.namespace, self.observer = kube, namespace, observer
        self.ended = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self):
        with self.observer.news:
            self.ended = True
            self.observer.news.notify_all()
        self.thread.join()

    def _run(self):
        seen = 0
        while not self.ended:
            with self.observer.news:
                self.observer.news.wait_for(lambda: self.ended or len(self.observer.events) > seen)
                new, seen = self.observer.events[seen:], len(self.observer.events)
            for found in {f["metadata"]["uid"]: f for _, kind, removed, f in new if kind == "HTTPRoute" and not removed}.values():
                self._take_up(found["metadata"]["name"], found["metadata"]["generation"], found.get("status"))

    def _take_up(self, name, generation, status):
        conditions = [{"type": kind, "status": "True", "reason": kind, "message": "", "observedGeneration": generation, "lastTransitionTime": _now()}
                      for kind in ("Accepted", "ResolvedRefs")]
        said = [c["observedGeneration"] for parent in (status or {}).get("parents", []) for c in parent["conditions"]]
        if said and min(said) == generation:
            return
        try:
            self.kube.patch("HTTPRoute", name, {"status": {"parents": [
                {"parentRef": self.parent, "controllerName": "modelops.dev/chaos", "conditions": conditions}]}}, self.namespace, "status")
        except ApiError as error:
            if error.code != 404:
                raise


class Fleet:
    """A ModelRuntime of one world's own, named after its namespace, for an operator of the whole cluster. Many such worlds share a cluster, so the proxy
    shows each operator this runtime alone, and of all that is in namespaces what is in the world's."""
    FORMAT = "fleet"

    def __init__(self, kube, namespace, proxy):
        self.kube, self.name = kube, namespace
        proxy.narrow = self._narrow

    def close(self):
        self.kube.delete("ModelRuntime", self.name)

    def runtime(self, level, **update):
        """Its template says `level` in a label of the pods."""
        template = {"metadata": {"labels": {"level": level}}, **TINY_RUNTIME["spec"]["template"]}
        self.kube.apply({"apiVersion": API, "kind": "ModelRuntime", "metadata": {"name": self.name}, "spec": {
            **TINY_RUNTIME["spec"], "formats": [{"name": self.FORMAT}], "template": template, "update": {"policy": "Automatic", **update}}})

    def status(self):
        return self.kube.get("ModelRuntime", self.name).get("status", {})

    def _narrow(self, request):
        if request.verb not in ("list", "watch") or request.namespace:
            return
        if request.resource in ("modelruntimes", "namespaces"):
            request.target += f"{'&' if '?' in request.target else '?'}fieldSelector=metadata.name%3D{self.name}"
        elif any(plural == request.resource and namespaced for _, plural, namespaced in OF_THE_API.values()):
            path, question, query = request.target.partition("?")
            head, _, resource = path.rpartition("/")
            request.target, request.namespace = f"{head}/namespaces/{self.name}/{resource}{question}{query}", self.name


class World(Case):
    """What a row's function gets: people's verbs and waiting (tests/cluster/case.py), `proxy`, `observer`, `prometheus`, `operator`."""

    def __init__(self, kube, client="cpprest", seed=0, name="chaos", arguments=(), prepare=None, fleet=False):
        """`fleet`: its operator is one of the whole cluster, with a ModelRuntime of this world's own; of anything else it sees this namespace alone."""
        super().__init__(kube, f"{name}-{''.join(random.choices(string.ascii_lowercase + string.digits, k=6))}", None)
        self.client, self.random = client, random.Random(seed)
        self.rules, self.faults, self.crashes = [], 0, 0
        self.of_cluster = []   # (kind, name) of what this run made beside its namespace
        self.patience = 1   # for faults that make everything slow
        self._prepare = prepare
        self._restarting = threading.Lock()
        kube.make_namespace(self.namespace, {"modelops.dev/test": "chaos"})
        kube.wait_for(lambda: kube.find("ConfigMap", "kube-root-ca.crt", self.namespace), SOON, "the namespace is complete")
        operators.namespaced_rights(kube, self.namespace)
        self.prometheus = Prometheus()
        self.proxy = Proxy(kube.kubeconfig, Authority(settings.STATE / "pki")).start()
        self.token = operators.token_of(kube, settings.SYSTEM_NAMESPACE if fleet else self.namespace, "model-operator")
        self.kubeconfig = self.proxy.kubeconfig(self.token, settings.STATE / f"{self.namespace}.kubeconfig")
        self.fleet = Fleet(kube, self.namespace, self.proxy) if fleet else None
        where = [] if fleet else [f"--namespace={self.namespace}", f"--runtimes-file={settings.STATE / 'runtimes.json'}"]
        self.operator = operators.Operator(self.namespace, self.kubeconfig, [
            *where, f"--http-client={client}", f"--prometheus-url={self.prometheus.url}", "--log-level=debug", *(argument.format(namespace=self.namespace) for argument in arguments)])
        self.observer = Observer(kube, self.namespace, [("ModelRuntime", self.namespace)] if fleet else [])
        self.gateway = Gateway(kube, self.namespace, self.observer)

    def __enter__(self):
        self.configmap("bystander", words="nothing of the operator's")
        self.bystander = self._bystander()
        if self._prepare:
            self._prepare(self)
        self.observer.__enter__()
        self.operator.start()
        return self

    def __exit__(self, *_):
        self.proxy.clear()
        self.proxy.light()
        if self.operator.running():
            self.operator.process.kill()
            self.operator.process.wait()
        self.gateway.close()
        self.observer._stopping = True
        for connection in self.observer._streams:
            try:
                connection.sock.shutdown(2)
            except (OSError, AttributeError):
                pass
        self.proxy.stop()
        self.prometheus.close()
        self.kubeconfig.unlink(missing_ok=True)
        for kind, name in self.of_cluster:
            self.kube.delete(kind, name)
        if self.fleet:
            self.fleet.close()
        if not LEAVE:
            self.kube.delete("Namespace", self.namespace)

    # ---- faults

    def rule(self, match, action):
        """As Proxy.rule; its hits count as faults of this run."""
        rule = self.proxy.rule(match, action)
        self.rules.append(rule)
        return rule

    def writes(self, **match):
        """A Match for what the operator writes, Events aside: those are best effort."""
        match.setdefault("verb", WRITES)
        match.setdefault("resource", WRITTEN)
        return Match(**match)

    def fault(self, count=1):
        """A fault that no rule did."""
        self.faults += count

    def injected(self):
        return self.faults + sum(rule.hits for rule in self.rules)

    def crash(self):
        """SIGKILL, and a new operator at once."""
        with self._restarting:
            self.kill()
            self.restart()

    def kill(self):
        self.crashes += 1
        self.operator.process.kill()
        self.operator.process.wait()

    def restart(self):
        self.operator.start(wait_ready=False)

    # ---- waiting

    def until(self, predicate, what, timeout=SOON):
        return self.kube.wait_for(predicate, timeout * self.patience, what, self.describe, retry=(ApiError, AttributeError), pause=self.observer.pauses())

    def settled(self):
        """Waits until a reconcile that was asked for writes nothing any more (I5), and that this stays so for another."""
        self.until(self.trails_are_sealed, "what a ModelAudit holds has left the statuses, a write that may wait")
        deadline = time.monotonic() + QUIET * self.patience
        calm, before = 0, len(self.proxy.exchanges)
        while calm < 2:
            self._reconciled_again()
            written = self.proxy.writes(since=before, events=True)
            before = len(self.proxy.exchanges)
            calm = 0 if written else calm + 1
            if time.monotonic() > deadline:
                raise AssertionError("I5: still writing after the end was reached:\n" + "\n".join(map(str, written)))

    def trails_are_sealed(self):
        for model in self.all("Model"):
            audit = model.get("status", {}).get("audit", {})
            sealed = [a["spec"]["last"] for a in self.all("ModelAudit") if a["spec"]["model"]["uid"] == model["metadata"]["uid"]]
            if audit.get("records") and sealed and audit["seq"] - len(audit["records"]) < max(sealed):
                return False
        return True

    def _reconciled_again(self):
        """Touches every Model, and waits for the reconciles."""
        models = self.all("Model")
        for model in models:
            while not self._reconciled(model["metadata"]["name"]):   # a fault at a late write: there is another operator now
                pass
        if not models:
            self.until_ready()
            time.sleep(0.3)   # nothing to ask for; what comes later is seen in the counts of creates and deletes

    def _reconciled(self, model):
        """Touches it, and waits for the reconcile; False if the operator did not live to see it."""
        self.until_ready()
        process, done = self.until(self._reconciles, "the operator counts its reconciles")
        self.kube.patch("Model", model, {"metadata": {"annotations": {"chaos/nudge": str(time.monotonic_ns())}}}, self.namespace)

        def over():
            counted = self._reconciles()
            return counted and (counted[0] is not process or counted[1] > done) and counted
        return self.until(over, "a reconcile")[0] is process

    def _reconciles(self):
        """(the process, its reconciles), or None while none answers."""
        process = self.operator.process
        try:
            return process, self.operator.reconciles()
        except AssertionError:
            return None

    def until_ready(self):
        self.until(lambda: self.operator.running() and self.operator.ready(), "the operator is ready")

    def gone(self, kind, *names):
        self.until(lambda: not any(self.find(kind, name) for name in names), f"{kind} {names} gone")

    # ---- Jobs: nothing runs them, so the test says how their pods end

    def gated_job(self, **spec):
        """A JobTemplateSpec whose pod is never scheduled."""
        container = {"name": "train", "image": settings.TINY_IMAGE}
        pod = {"restartPolicy": "Never", "schedulingGates": [{"name": "modelops.dev/chaos"}], "containers": [container]}
        return {"spec": {"backoffLimit": 0, "template": {"spec": pod}, **spec}}

    def end_job(self, name, document=None, message=None, phase="Succeeded"):
        """Its pod ends, with that RunResult as termination message."""
        def pod():
            return next((p for p in self.kube.list("Pod", self.namespace, {"job-name": name})), None)
        found = self.until(pod, f"Job {name} has a pod")
        terminated = {"exitCode": 0 if phase == "Succeeded" else 1, "reason": "Completed" if phase == "Succeeded" else "Error",
                      "startedAt": _now(), "finishedAt": _now(), "message": message if message is not None else json.dumps(document)}
        status = {"phase": phase, "containerStatuses": [{"name": "train", "image": settings.TINY_IMAGE, "imageID": "", "ready": False, "restartCount": 0,
                                                         "state": {"terminated": terminated}}]}
        self.kube.patch("Pod", found["metadata"]["name"], {"status": status}, self.namespace, "status")
        self.until(lambda: any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in self.status("Job", name).get("conditions", [])),
                   f"Job {name} is over")

    # ---- the end

    def check(self, traffic=None, version=None):
        """I2 to I4 and I6 over the whole run; `traffic`: (stable, candidate, replicas) of its one rollout, to `version` if the sides have other names."""
        self.observer.named_by = self.named_by
        self.observer.stop()
        self.observer.check_every_moment("m", *(traffic or (None, None, 0)), version)
        assert self._bystander() == self.bystander, "I4: something foreign was touched"
        self.orphans()
        assert self.operator.running(), f"I6: the operator ended with {self.operator.process.returncode}"
        self.until_ready()   # I6; a watch may be in the pause before its next try
        log = self.operator.log.read_text(errors="replace")
        bad = re.search(r".* critical .*|.*a bug in.*|.*Sanitizer.*|.*unknown exception.*", log)
        assert not bad, f"I6: {bad[0]}"
        code = self.operator.end(signal.SIGTERM)
        assert code == 0, f"I6: SIGTERM ended the operator with {code}"

    def orphans(self):
        models = {m["metadata"]["uid"] for m in self.all("Model")}
        runs = {r["metadata"]["uid"] for r in self.all("TrainingRun")}
        for kind in ("Deployment", "Service", "HTTPRoute", "HorizontalPodAutoscaler", "Job"):
            for found in self.all(kind, {"app.kubernetes.io/managed-by": "model-operator"}):
                uids = {owner["uid"] for owner in found["metadata"].get("ownerReferences", [])}
                assert uids and uids <= (models | runs if kind == "Job" else models), f"I4: {kind} {found['metadata']['name']} belongs to nobody"

    def _bystander(self):
        found = self.get("ConfigMap", "bystander")["metadata"]
        return found["uid"], found["resourceVersion"]

    def report(self):
        """For people who read a failure."""
        log = "\n".join(self.operator.log.read_text(errors="replace").splitlines()[-80:])
        try:
            state = self.describe()
        except (ApiError, OSError) as error:
            state = str(error)
        return f"{state[:20000]}\n--- exchanges\n{self.proxy.last(120)}\n--- readyz\n{self.operator.readyz()}\n--- operator\n{log}"


def _now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def prepare(kube):
    """Once for a rig: what all worlds share."""
    settings.STATE.mkdir(parents=True, exist_ok=True)
    # A copy, so that a build meanwhile changes nothing.
    copy = settings.STATE / f"model-operator-{os.getpid()}"
    shutil.copy2(settings.OPERATOR, copy)
    settings.OPERATOR = copy
    Authority(settings.STATE / "pki").certificate()
    operators.runtimes_file(kube)


def clean():
    """Takes the copy away."""
    if settings.OPERATOR.parent == settings.STATE:
        settings.OPERATOR.unlink(missing_ok=True)
