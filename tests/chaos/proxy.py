"""A TLS proxy between the operator and its API server, which does to the exchanges what a test says.

    proxy = Proxy(upstream_kubeconfig).start()
    proxy.kubeconfig(token, out)                       # what the operator is given
    rule = proxy.rule(Match(verb="apply", resource="deployments", nth=2), drop_after())
    … rule.hits, rule.remove(), proxy.exchanges, proxy.stop()

HTTP/1.1, with a certificate authority of its own; the bearer token is passed on, so the operator has its own rights and no more. Watches are passed on as they
come. Several rules may act on one request, in the order in which they were added. README.md beside this file lists matches and actions.
"""

import base64
import dataclasses
import json
import pathlib
import queue
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

from http1 import Closed, Wire, chunk, either_readable, head_bytes, header, without

WRITES = ("create", "apply", "patch", "update", "delete")
READS = ("get", "list", "watch")


class Cut(Exception):
    """An action ends the connection here."""


# ---- what passes

@dataclasses.dataclass
class Request:
    number: int
    at: float
    method: str
    target: str
    headers: list
    body: bytes
    verb: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    query: dict = dataclasses.field(default_factory=dict)
    connection: object = None

    @property
    def json(self):
        return json.loads(self.body)

    def __str__(self):
        where = "/".join(part for part in (self.resource, self.subresource, self.name) if part)
        return f"{self.verb} {where}"


@dataclasses.dataclass
class Response:
    code: int
    headers: list
    body: bytes = b""

    @property
    def json(self):
        return json.loads(self.body)


@dataclasses.dataclass
class Exchange:
    """One request as it went: `code` is what the operator was told (None: nothing), `stored` what the API server answered (None: it was never asked)."""
    number: int
    at: float
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    query: dict
    code: int = None
    stored: int = None
    forwarded: int = 0
    seconds: float = 0.0
    faults: list = dataclasses.field(default_factory=list)
    tls: object = None   # what its connection was shown

    def __str__(self):
        where = "/".join(part for part in (self.resource, self.name, self.subresource) if part)
        note = f" [{', '.join(self.faults)}]" if self.faults else ""
        told = "no answer" if self.code is None else self.code
        stored = "" if self.stored == self.code else f" (stored: {self.stored})"
        return f"{self.number:4} {self.at:7.3f} {self.verb:6} {where} {told}{stored}{note}"


@dataclasses.dataclass
class Match:
    """Which requests a rule is for. Texts, or collections of texts of which one has to fit; `nth` is 1-based among the matching ones (or a collection);
    `times` bounds how often the rule acts."""
    verb: object = None
    resource: object = None
    subresource: object = None
    name: object = None
    namespace: object = None
    nth: object = None
    times: int = None
    predicate: object = None

    def fits(self, request):
        fields = ("verb", "resource", "subresource", "name", "namespace")
        return all(_fits(getattr(self, field), getattr(request, field)) for field in fields) and (self.predicate is None or self.predicate(request))


def _fits(wanted, found):
    return wanted is None or (found == wanted if isinstance(wanted, str) else found in wanted)


class Rule:
    def __init__(self, proxy, match, action):
        self.proxy, self.match, self.action = proxy, match, action
        self.seen = self.hits = 0

    def remove(self):
        with self.proxy.lock:
            if self in self.proxy.rules:
                self.proxy.rules.remove(self)

    def acts_on(self, request):
        """Counts the request, and says whether the rule acts on it."""
        if not self.match.fits(request):
            return False
        self.seen += 1
        nth = self.match.nth
        chosen = nth is None or (self.seen == nth if isinstance(nth, int) else self.seen in nth)
        return chosen and self.left()

    def left(self):
        return self.match.times is None or self.hits < self.match.times

    def hit(self):
        with self.proxy.lock:
            self.hits += 1


# ---- what rules do

class Action:
    """Hooks around one exchange; each does nothing unless overridden. `name` is for the log.

    An action counts as a hit when its request is met; one that `edits_events` instead for each event that it changes, and it also acts on
    watches that began before the rule (unless the match has `nth`)."""
    name = "action"
    edits_events = False
    before_body = False   # `before` is called when only the head of the request has been read; it has to cut

    def before(self, request, exchange):
        """May change the request, return a Response instead of forwarding it, or raise Cut."""

    def forwards(self):
        """How often the request is sent on, at least once."""
        return 1

    def after(self, request, response, exchange):
        """The API server has answered: may return another Response, or raise Cut."""

    def event(self, request, event):
        """What becomes of one event of a watch: the event, None, or a list of events (texts go out as they are)."""
        return event

    def out(self, data, state):
        """Bytes on their way to the operator; yields what goes out, may raise Cut. `state` is a dict of this exchange's own."""
        yield data

    def frame(self, data):
        """How a piece of a watch is put on the wire."""
        return None


class drop_before(Action):
    """The connection is cut before the request is forwarded."""
    name = "drop before"

    def before(self, request, exchange):
        raise Cut


class drop_in_body(drop_before):
    """The connection is cut when the head of the request has arrived."""
    name = "drop in body"
    before_body = True


class drop_after(Action):
    """Forwarded and answered, but the answer is lost."""
    name = "drop after"

    def after(self, request, response, exchange):
        raise Cut


class delay(Action):
    """Later: the request, or with `after` the answer."""

    def __init__(self, seconds, after=False):
        self.seconds, self.is_after = seconds, after
        self.name = f"delay {seconds} s"

    def before(self, request, exchange):
        if not self.is_after:
            time.sleep(self.seconds)

    def after(self, request, response, exchange):
        if self.is_after:
            time.sleep(self.seconds)


class hold(Action):
    """Until the event is set: the request, or with `after` the answer."""
    name = "hold"

    def __init__(self, event, after=False):
        self.event_set, self.is_after = event, after

    def before(self, request, exchange):
        if not self.is_after:
            self.event_set.wait()

    def after(self, request, response, exchange):
        if self.is_after:
            self.event_set.wait()


class duplicate(Action):
    """Forwarded twice; the operator gets the second answer, as if a layer below it had repeated the request."""
    name = "duplicate"

    def forwards(self):
        return 2


class truncate(Action):
    """Only so many bytes of the answer (head included) reach the operator, then the connection is cut."""

    def __init__(self, size):
        self.size = size
        self.name = f"truncate to {size}"

    def out(self, data, state):
        left = self.size - state.get("sent", 0)
        state["sent"] = state.get("sent", 0) + len(data)
        yield data[:left]
        if len(data) >= left:
            raise Cut


class cut_stream_after(Action):
    """So many bytes of events reach the operator (chunk frames and head not counted), then the connection is cut."""

    def __init__(self, size):
        self.size = size
        self.name = f"cut after {size}"

    def frame(self, data):
        left = self.size
        self.size -= len(data)
        return chunk(data) if len(data) < left else (chunk(data[:left]) if left > 0 else b""), len(data) >= left


class throttle(Action):
    """The answer drips out at so many bytes a second."""

    def __init__(self, rate, piece=1):
        self.rate, self.piece = rate, piece
        self.name = f"throttle {rate} B/s"

    def out(self, data, state):
        for start in range(0, len(data), self.piece):
            yield data[start:start + self.piece]
            time.sleep(self.piece / self.rate)


class rewrite_request(Action):
    """`fn(request)` may change it in place, or return another."""
    name = "rewrite request"

    def __init__(self, fn):
        self.fn = fn

    def before(self, request, exchange):
        changed = self.fn(request)
        if isinstance(changed, Request):
            request.__dict__.update(changed.__dict__)


class rewrite_response(Action):
    """`fn(response)` may change an answer in place or return another; of a watch, `fn(event)` returns the event, None, or a list."""
    name = "rewrite response"

    def __init__(self, fn):
        self.fn = fn

    def after(self, request, response, exchange):
        return self.fn(response)


class rewrite_events(Action):
    """`fn(event)` for each event of a watch, running ones included: the event, None or a list. fn(event, request) if it takes two."""
    name = "rewrite events"
    edits_events = True

    def __init__(self, fn):
        self.fn = fn
        self.takes_request = fn.__code__.co_argcount - (1 if hasattr(fn, "__self__") else 0) == 2 if hasattr(fn, "__code__") else False

    def event(self, request, event):
        return self.fn(event, request) if self.takes_request else self.fn(event)


class late(Action):
    """Each event of a watch comes so many seconds later, in order."""
    edits_events = True

    def __init__(self, seconds):
        self.seconds = seconds
        self.name = f"events {seconds} s late"

    def event(self, request, event):
        request.connection.later(self.seconds, event)


class answer(Action):
    """The proxy answers itself; the API server is not asked."""

    def __init__(self, code, body=None, headers=()):
        self.code, self.headers = code, list(headers.items() if isinstance(headers, dict) else headers)
        self.body = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body or status(code)).encode()
        self.name = f"answer {code}"

    def before(self, request, exchange):
        return Response(self.code, [("Content-Type", "application/json"), *self.headers], self.body)


class answer_after(answer):
    """Forwarded and carried out, but the operator is told otherwise."""

    def __init__(self, code, body=None, headers=()):
        super().__init__(code, body, headers)
        self.name = f"answer {code} though done"

    def before(self, request, exchange):
        return None

    def after(self, request, response, exchange):
        return Response(self.code, [("Content-Type", "application/json"), *self.headers], self.body)


class kill(Action):
    """Calls `callback` before the request is forwarded, or once the API server has answered, and cuts the connection."""

    def __init__(self, callback, when="after"):
        self.callback, self.when = callback, when
        self.name = f"kill {when}"

    def before(self, request, exchange):
        if self.when == "before":
            self.callback()
            raise Cut

    def after(self, request, response, exchange):
        self.callback()
        raise Cut


def status(code, reason=None, message=None, **details):
    """A metav1.Status as an API server answers it."""
    reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired", 422: "Invalid", 429: "TooManyRequests",
               500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
    reason = reason or reasons.get(code, "")
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
            "message": message or f"the proxy says {code} {reason}", **({"details": details} if details else {})}


# ---- certificates

class Authority:
    """A certificate authority in a folder, and server certificates for 127.0.0.1. Made once, used by every proxy."""
    openssl = ("openssl",)

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "ca.crt").exists():
            self._make("ca", "/CN=chaos-ca", ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"])

    def certificate(self, name="server", san="IP:127.0.0.1,DNS:localhost", usage="serverAuth,clientAuth", subject=None):
        """(certificate file, key file), made if it is not there."""
        if not (self.folder / f"{name}.crt").exists():
            extensions = [f"subjectAltName={san}", "basicConstraints=CA:FALSE", "keyUsage=digitalSignature", f"extendedKeyUsage={usage}"]
            signer = ["-CA", self.folder / "ca.crt", "-CAkey", self.folder / "ca.key"]
            self._make(name, subject or f"/CN={name}", [part for text in extensions for part in ("-addext", text)] + signer)
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"

    def pem(self):
        return (self.folder / "ca.crt").read_bytes()

    def _make(self, name, subject, more):
        """Both files appear whole: other processes look for them."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            folder = pathlib.Path(folder)
            (folder / "openssl.cnf").write_text("[req]\ndistinguished_name=dn\n[dn]\n")
            command = [*self.openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650", "-subj", subject,
                       "-config", folder / "openssl.cnf", "-keyout", folder / "key", "-out", folder / "crt", *more]
            subprocess.run(command, check=True, capture_output=True)
            (folder / "key").rename(self.folder / f"{name}.key")
            (folder / "crt").rename(self.folder / f"{name}.crt")


class Upstream:
    """An API server: its address, and how its certificate is verified. The credentials are the operator's."""

    def __init__(self, kubeconfig):
        config = json.loads(pathlib.Path(kubeconfig).read_text())
        cluster = config["clusters"][0]["cluster"]
        self.server = urllib.parse.urlsplit(cluster["server"])
        self.tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())

    def connect(self):
        raw = socket.create_connection((self.server.hostname, self.server.port), timeout=30)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock = self.tls.wrap_socket(raw, server_hostname=self.server.hostname)
        sock.settimeout(None)
        return Wire(sock)


# ---- the proxy

class Proxy:
    def __init__(self, upstream_kubeconfig, authority=None):
        """`authority`: an Authority, else one of this proxy's own in a temporary folder."""
        self.upstream = Upstream(upstream_kubeconfig)
        self.reads = self.upstream   # where reads go
        self._temporary = None if authority else tempfile.TemporaryDirectory(prefix="chaos-pki-")
        self.authority = authority or Authority(self._temporary.name)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(*self.authority.certificate())
        self.lock = threading.RLock()
        self.rules, self.exchanges, self.connections = [], [], set()
        self.narrow = None   # fn(request): what each request is made before anything else sees it
        self.accepted = 0
        self._open = threading.Event()   # cleared: a black hole
        self._open.set()
        self._stopping = False
        self._began = time.monotonic()

    def start(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def stop(self):
        self._stopping = True
        self._open.set()
        self._listener.close()
        self.cut()
        if self._temporary:
            self._temporary.cleanup()

    def kubeconfig(self, token, out):
        """A kubeconfig that leads here, with the token of a ServiceAccount."""
        cluster = {"server": self.url, "certificate-authority-data": base64.b64encode(self.authority.pem()).decode()}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "chaos", "clusters": [{"name": "chaos", "cluster": cluster}],
                  "users": [{"name": "operator", "user": {"token": token}}], "contexts": [{"name": "chaos", "context": {"cluster": "chaos", "user": "operator"}}]}
        out = pathlib.Path(out)
        out.write_text(json.dumps(config))
        return out

    # ---- what tests say

    def rule(self, match, action):
        rule = Rule(self, match, action)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        with self.lock:
            self.rules.clear()

    def freeze_upstream(self, other):
        """Reads go to another API server (a kubeconfig), until `thaw`. Running watches go on; `cut(verb="watch")` ends them."""
        self.reads = Upstream(other)

    def thaw(self):
        self.reads = self.upstream

    def black_hole(self):
        """Nothing passes any more in either direction, and nothing is closed: a dead peer."""
        self._open.clear()

    def light(self):
        self._open.set()

    def cut(self, **match):
        """Ends the connections whose present request fits (all, if nothing is said); how many."""
        with self.lock:
            chosen = [c for c in self.connections if not match or (c.request and Match(**match).fits(c.request))]
        for connection in chosen:
            connection.close()
        return len(chosen)

    def streams(self, **match):
        """The watches that are open now."""
        with self.lock:
            return [c for c in self.connections if c.streaming and Match(**match).fits(c.request)]

    def inject(self, event, **match):
        """Puts an event (or a text) into the running watches that fit; how many."""
        chosen = self.streams(**match)
        for connection in chosen:
            connection.put(_line(event))
        return len(chosen)

    def writes(self, since=0, events=False):
        """The exchanges after that number which were to change something; `events`: Kubernetes Events too."""
        with self.lock:
            return [e for e in self.exchanges if e.number > since and e.verb in WRITES and e.resource != "leases" and (events or e.resource != "events")]

    def last(self, count=60):
        """For people who read a failure."""
        with self.lock:
            return "\n".join(str(e) for e in self.exchanges[-count:])

    # ---- inside

    def _accept(self):
        while not self._stopping:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        self._open.wait()
        try:
            raw.settimeout(30)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:   # whoever sets `tls` and then cuts everything leaves no connection with the former one, nor one in its handshake
                tls = self.tls
                sock = tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
                connection = Connection(self, Wire(sock), tls)
                self.connections.add(connection)
        except (OSError, ValueError):
            raw.close()
            return
        try:
            if _shaken_hands(sock) and not self._stopping:
                connection.run()
        finally:
            with self.lock:
                self.connections.discard(connection)
            connection.close()

    def _cut_early(self, request):
        """The rules that act on a request whose body has not been read."""
        with self.lock:
            return [rule for rule in self.rules if rule.action.before_body and rule.acts_on(request)]

    def _enter(self, request, early):
        """Numbers a request and finds the rules that act on it."""
        with self.lock:
            request.number = len(self.exchanges) + 1
            request.at = time.monotonic() - self._began
            acting = early or [rule for rule in self.rules if not rule.action.before_body and rule.acts_on(request)]
            for rule in acting:
                rule.hits += not rule.action.edits_events
            exchange = Exchange(request.number, request.at, request.verb, request.resource, request.subresource, request.namespace, request.name, request.query,
                                faults=[rule.action.name for rule in acting if not rule.action.edits_events], tls=request.connection.tls)
            self.exchanges.append(exchange)
            return exchange, acting

    def _editors(self, request, acting):
        """The rules that have a say on a watch's events at this moment."""
        with self.lock:
            return [rule for rule in self.rules if rule.action.edits_events and rule.left()
                    and (rule in acting or (rule.match.nth is None and rule.match.fits(request)))]


class Connection:
    """One connection of the operator: a thread, and at most one connection to each API server."""

    def __init__(self, proxy, wire, tls):
        self.proxy, self.wire, self.tls = proxy, wire, tls
        self.upstreams = {}
        self.request = None
        self.streaming = False
        self.framing = []          # of the running watch
        self.delayed = None
        self.out_lock = threading.Lock()

    def close(self):
        self.wire.close()
        for wire in list(self.upstreams.values()):
            wire.close()

    def run(self):
        try:
            while True:
                self.request = None
                first, headers = self.wire.head()
                self.proxy._open.wait()
                method, target, _ = first.split(" ", 2)
                request = _request(method, target, headers)
                request.connection = self
                if self.proxy.narrow:
                    self.proxy.narrow(request)
                early = self.proxy._cut_early(request)
                request.body = b"" if early else self.wire.body(headers)
                exchange, acting = self.proxy._enter(request, early)
                self.request = request
                try:
                    self.exchange(request, exchange, acting)
                finally:
                    exchange.seconds = time.monotonic() - self.proxy._began - exchange.at
        except (Closed, Cut, ValueError):
            return

    def exchange(self, request, exchange, acting):
        actions = [rule.action for rule in acting if not rule.action.edits_events]
        for action in actions:
            made = action.before(request, exchange)
            if made is not None:
                return self.reply(made, exchange, actions)
        if request.verb == "watch":
            return self.watch(request, exchange, acting, actions)
        for _ in range(max([action.forwards() for action in actions], default=1)):
            response = self.forward(request, exchange)
        for action in actions:
            response = action.after(request, response, exchange) or response
        self.reply(response, exchange, actions)

    # ---- towards the API server

    def send_on(self, request, exchange):
        """Sends the request; the wire on which its answer comes."""
        target = self.proxy.reads if request.verb in READS else self.proxy.upstream
        headers = without(request.headers, "host", "accept-encoding", "content-length", "transfer-encoding", "connection", "expect")
        headers.append(("Host", f"{target.server.hostname}:{target.server.port}"))
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(len(request.body))))
        self.proxy._open.wait()
        if target not in self.upstreams:
            try:
                self.upstreams[target] = target.connect()
            except OSError as error:
                raise Closed(f"no API server: {error}") from None
        wire = self.upstreams[target]
        wire.send(head_bytes(f"{request.method} {request.target} HTTP/1.1", headers) + request.body)
        exchange.forwarded += 1
        return wire

    def forward(self, request, exchange):
        wire = self.send_on(request, exchange)
        first, headers = wire.head()
        code = int(first.split(" ")[1])
        body = b"" if code in (204, 304) else wire.body(headers, to_end=True)
        exchange.stored = code
        return Response(code, without(headers, "transfer-encoding", "content-length", "connection"), body)

    # ---- towards the operator

    def reply(self, response, exchange, actions):
        headers = without(response.headers, "transfer-encoding", "content-length", "connection") + [("Content-Length", str(len(response.body)))]
        exchange.code = response.code
        self.write(head_bytes(f"HTTP/1.1 {response.code} {_reason(response.code)}", headers) + response.body, actions)

    def write(self, data, actions):
        pieces = [data]
        for action in actions:
            if type(action).out is not Action.out:
                state = self.__dict__.setdefault("states", {}).setdefault((self.request.number, id(action)), {})
                pieces = _through(action, pieces, state)
        for piece in pieces:
            self.proxy._open.wait()
            if piece:
                self.wire.send(piece)

    # ---- watches

    def watch(self, request, exchange, acting, actions):
        upstream = self.send_on(request, exchange)
        first, headers = upstream.head()
        code = exchange.stored = int(first.split(" ")[1])
        if code != 200:
            response = Response(code, headers, upstream.body(headers, to_end=True))
            for action in actions:
                response = action.after(request, response, exchange) or response
            return self.reply(response, exchange, actions)
        for action in actions:
            replaced = action.after(request, Response(code, headers), exchange)
            if replaced is not None and replaced.code != 200:
                return self.reply(replaced, exchange, actions)
        exchange.code = code
        self.write(head_bytes("HTTP/1.1 200 OK", without(headers, "transfer-encoding", "content-length", "connection") + [("Transfer-Encoding", "chunked")]), actions)
        self.framing = actions
        self.streaming = True
        try:
            self.pump(request, exchange, acting, upstream)
        finally:
            self.streaming = False
        with self.out_lock:
            self.write(b"0\r\n\r\n", actions)

    def pump(self, request, exchange, acting, upstream):
        chunks, rest = upstream.chunks(), b""
        while True:
            from_upstream, from_operator = either_readable(upstream, self.wire)
            self.proxy._open.wait()
            if from_operator and not from_upstream:
                self.wire.fill()  # it has nothing to say during a watch: this is its end
                continue
            piece = next(chunks, None)
            if piece is None:
                return
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                for text in self.edited(line, request, exchange, acting):
                    self.put(text)

    def edited(self, line, request, exchange, acting):
        rules = self.proxy._editors(request, acting)
        if not rules:
            return [line + b"\n"]
        events = [json.loads(line)]
        changed = False
        for rule in rules:
            made = []
            for event in events:
                if isinstance(event, (str, bytes)):
                    made.append(event)
                    continue
                before = json.dumps(event)
                result = rule.action.event(request, event)
                result = result if isinstance(result, list) else [] if result is None else [result]
                if len(result) != 1 or isinstance(result[0], (str, bytes)) or json.dumps(result[0]) != before:
                    rule.hit()
                    exchange.faults.append(rule.action.name)
                    changed = True
                made += result
            events = made
        return [_line(event) for event in events] if changed else [line + b"\n"]

    def later(self, seconds, event):
        if self.delayed is None:
            self.delayed = queue.SimpleQueue()
            threading.Thread(target=self._put_delayed, daemon=True).start()
        self.delayed.put((time.monotonic() + seconds, _line(event)))

    def _put_delayed(self):
        try:
            while self.streaming:
                try:
                    due, text = self.delayed.get(timeout=1)
                except queue.Empty:
                    continue
                time.sleep(max(0, due - time.monotonic()))
                if self.streaming:
                    self.put(text)
        except (Closed, Cut):
            self.close()

    def put(self, text):
        """Whole lines, or parts, into the running watch."""
        with self.out_lock:
            for action in self.framing:
                framed = action.frame(text)
                if framed is not None:
                    data, ends = framed if isinstance(framed, tuple) else (framed, False)
                    self.write(data, self.framing)
                    if ends:
                        raise Cut
                    return
            self.write(chunk(text), self.framing)


def _through(action, pieces, state):
    for piece in pieces:
        yield from action.out(piece, state)


def _shaken_hands(sock):
    try:
        sock.do_handshake()
        sock.settimeout(None)
    except (OSError, ValueError):
        return False
    return True


def _line(event):
    if isinstance(event, bytes):
        return event
    return event.encode() if isinstance(event, str) else json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _reason(code):
    return {200: "OK", 201: "Created"}.get(code, "Status")


def _request(method, target, headers):
    """What Kubernetes makes of a path: verb, resource, namespace, name."""
    path, _, query = target.partition("?")
    query = dict(urllib.parse.parse_qsl(query))
    parts = [urllib.parse.unquote(part) for part in path.strip("/").split("/")]
    parts = parts[2:] if parts[:1] == ["api"] else parts[3:] if parts[:1] == ["apis"] else []
    namespace = ""
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    resource, name, subresource = (parts + ["", "", ""])[:3]
    kind = header(headers, "content-type")
    verb = {"POST": "create", "PUT": "update", "DELETE": "delete", "PATCH": "apply" if "apply-patch" in kind else "patch",
            "GET": "get" if name else "watch" if query.get("watch") in ("1", "true") else "list"}.get(method, method.lower())
    if query.get("dryRun"):
        verb = "dry-run"  # nothing is stored
    return Request(0, 0.0, method, target, headers, b"", verb, resource, subresource, namespace, name, query)
