"""Tokens, certificates and rights that change under a running operator."""

import json
import ssl
import time

import settings
from proxy import Authority
from rows import own_row
from scenarios import CANARY, at_a_quarter

STATE = settings.STATE


# ---- how the operator is told who it is

def born_again(world, user, cluster=None):
    """The operator started anew with files in its kubeconfig, where there were texts."""
    config = json.loads(world.kubeconfig.read_text())
    config["users"][0]["user"] = user
    config["clusters"][0]["cluster"].update(cluster or {})
    if "certificate-authority" in config["clusters"][0]["cluster"]:
        config["clusters"][0]["cluster"].pop("certificate-authority-data", None)
    assert world.operator.end() == 0
    world.kubeconfig.write_text(json.dumps(config))
    world.operator.start()


def replace_file(path, content):
    """As the kubelet and cert-manager do: never half a file."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(content if isinstance(content, bytes) else content.encode())
    temporary.rename(path)


def bound_token(world, name):
    """A token that ends with a Secret of that name."""
    secret = world.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}, world.namespace)
    bound = {"kind": "Secret", "apiVersion": "v1", "name": name, "uid": secret["metadata"]["uid"]}
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600, "boundObjectRef": bound}}
    return world.kube._call("POST", world.kube.path("ServiceAccount", "model-operator", world.namespace, "token"), request)["status"]["token"]


def to_the_end(world):
    """The rest of a canary whose first weight is reached."""
    world.observer.no_more_until_now("m", "m-v2", 25)
    world.prometheus.values["accuracy of m-v2"] = "0.95"
    world.ready(version="m-v2")
    world.served_by({"m-v2": 3})
    world.gone("Deployment", "m-v1")
    world.settled()


# ---- 33

@own_row(33, "the token is rotated, and the old one ends", points=4, short=(1, 3))
def token(world, case):
    """n 1, 2: the file holds the new one in time; 3, 4: only after a while of 401s. Both clients, twice within a canary."""
    late = case.n > 2
    world.serve("m-v1", **CANARY)
    world.version("m-v2")
    file = STATE / f"{world.namespace}.token"
    replace_file(file, bound_token(world, "token-1"))
    born_again(world, {"tokenFile": str(file)})
    pid = world.operator.pid

    def rotate(old, new):
        fresh = bound_token(world, new)
        if not late:
            replace_file(file, fresh)
        world.kube.delete("Secret", old, world.namespace)
        before = len(world.proxy.exchanges)

        def refused():
            # Whoever asks now is told: running watches are not.
            world.proxy.cut(verb="watch")
            return [e for e in world.proxy.exchanges[before:] if e.code == 401]
        world.until(refused, "the old token is refused")
        if late:
            world.until(lambda: not world.operator.ready(), "it says that it sees nothing")
            replace_file(file, fresh)
        world.fault()
    world.settled()
    rotate("token-1", "token-2")
    world.until(lambda: world.operator.ready(), "it sees again")
    world.move("m-v2")
    world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
    rotate("token-2", "token-3")
    to_the_end(world)
    refused = [e for e in world.proxy.exchanges if e.code == 401]
    assert len(refused) < 200, f"{len(refused)} requests were refused"
    assert world.operator.pid == pid and world.operator.running()
    world.check(("m-v1", "m-v2", 3))
    file.unlink()


# ---- 34

def server_context(authority, clients):
    """A server certificate of `authority`, for those alone who show one that `clients` signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate())
    context.verify_mode = ssl.CERT_REQUIRED
    for client in clients:
        context.load_verify_locations(cadata=client.pem().decode())
    return context


@own_row(34, "CA and client certificate rotate, one after the other, without a restart", points=2, short=(1, 2))
def certificates(world, case):
    folder = STATE / f"{world.namespace}-pki"
    old, new, strange = (Authority(folder / name) for name in ("old", "new", "strange"))
    ca, crt, key = (folder / name for name in ("ca.crt", "client.crt", "client.key"))

    def show(authority):
        """The client certificate of that authority; between its two files lies a moment in which they do not belong together."""
        files = authority.certificate("client", usage="clientAuth")
        replace_file(crt, files[0].read_bytes())
        world.proxy.cut(verb="watch")
        time.sleep(1.2)   # not an assertion: so long that the operator looks at the half-changed pair
        replace_file(key, files[1].read_bytes())

    def turn_to(context):
        """New connections meet this; old ones end."""
        world.proxy.tls = context
        world.proxy.cut()
        world.fault()

    def goes_on(what):
        """It reads and writes by new connections."""
        nudge = str(time.monotonic_ns())
        world.until(lambda: {e.resource for e in world.proxy.exchanges if e.tls is world.proxy.tls and e.verb == "watch" and e.code == 200} >= {"models", "pods"}, f"it watches again: {what}")
        world.model("other", description=nudge)
        world.until(lambda: world.status(name="other")["observedGeneration"] == world.get(name="other")["metadata"]["generation"], f"it writes: {what}")

    world.serve("m-v1", **CANARY)
    world.version("m-v2")
    files = old.certificate("client", usage="clientAuth")
    for path, content in ((ca, old.pem()), (crt, files[0].read_bytes()), (key, files[1].read_bytes())):
        replace_file(path, content)
    world.proxy.tls = server_context(old, [old])
    born_again(world, {"token": world.token, "client-certificate": str(crt), "client-key": str(key)}, {"certificate-authority": str(ca)})
    pid = world.operator.pid
    world.move("m-v2")
    world.until(lambda: world.endpoints() == {"m-v1": 3, "m-v2": 1}, "a quarter goes to m-v2")
    replace_file(ca, old.pem() + new.pem())
    turn_to(server_context(new, [old, new]))
    goes_on("the server's certificate is of the new CA")
    show(new)
    turn_to(server_context(new, [new]))
    goes_on("only the new client certificate is taken")
    replace_file(ca, new.pem())
    turn_to(server_context(new, [new]))
    goes_on("the old CA is gone")
    # And it does look: a server of a CA that it was not told of gets no request.
    stranger = server_context(strange, [new])
    turn_to(stranger)
    world.until(lambda: not world.operator.ready(), "it refuses a stranger", timeout=120)
    asked = [e for e in world.proxy.exchanges if e.tls is stranger]
    assert not asked, "a server that nobody vouched for was asked:\n" + "\n".join(map(str, asked))
    turn_to(server_context(new, [new]))
    goes_on("the stranger is gone")
    world.kube.delete("Model", "other", world.namespace)
    to_the_end(world)
    assert world.operator.pid == pid and world.operator.running()
    world.check(("m-v1", "m-v2", 3))


# ---- 35

READS = {"get", "list", "watch"}


@own_row(35, "RBAC revoked during a watch: not ready, and nothing is deleted because a cache went empty", points=6, short=(1, 4))
def revoked(world, case):
    """What is lost is the right to read, of all kinds or of some; the right to write stays, so whatever it wrongly did would be done."""
    kinds = (None, ("pods", "deployments"), ("modelversions", "modelrollouts"))[(case.n - 1) // 2]
    at_a_quarter(world)
    role = world.get("Role", "model-operator")
    kept = []
    for rule in role["rules"]:
        lost = [r for r in rule["resources"] if kinds is None or r in kinds]
        if READS & set(rule["verbs"]) and lost:
            verbs, others = [v for v in rule["verbs"] if v not in READS], [r for r in rule["resources"] if r not in lost]
            kept += [{**rule, "resources": lost, "verbs": verbs}] if verbs else []
            kept += [{**rule, "resources": others}] if others else []
        else:
            kept.append(rule)
    world.kube.patch("Role", "model-operator", {"rules": kept}, world.namespace)
    before = len(world.proxy.exchanges)

    def refused(resource, count):
        return len([e for e in world.proxy.exchanges[before:] if e.resource == resource and e.code == 403]) >= count
    watched = "pods" if kinds is None else kinds[0]

    def denied():
        world.proxy.cut(verb="watch", resource=watched if kinds is None else kinds)
        return refused(watched, 1)
    world.until(denied, "the watch is refused")
    world.fault()
    world.until(lambda: not world.operator.ready(), "it is not ready", timeout=30)
    world.until(lambda: any(watched in line and "orbidden" in line for line in world.operator.readyz()[1].splitlines()), "it says why")
    # The same for one that starts with nothing in its caches.
    if case.n % 2:
        world.crash()
        world.until(lambda: world.operator.http(world.operator.health_port, "/healthz")[0] == 200, "it lives")
        before = len(world.proxy.exchanges)
    world.until(lambda: refused(watched, 3), "it was refused again and again", timeout=60)
    assert not world.operator.ready()
    state = {f"{kind}/{o['metadata']['name']}": o["metadata"]["uid"] for kind in ("Model", "ModelVersion", "ModelRollout", "Deployment", "Service", "Pod") for o in world.all(kind)}
    assert world.endpoints() == {"m-v1": 3, "m-v2": 1} and {"Deployment/m-v1", "Deployment/m-v2", "Service/m"} <= set(state)
    written = world.proxy.writes(since=world.proxy.exchanges[before - 1].number)
    assert not [e for e in written if e.verb in ("delete", "apply")], "it wrote:\n" + "\n".join(map(str, written))
    world.kube.patch("Role", "model-operator", {"rules": role["rules"]}, world.namespace)
    world.until(lambda: world.operator.ready(), "it is ready again", timeout=60)
    to_the_end(world)
    made = world.observer.made()
    assert made["Deployment/m-v1"] == [1, 1] and made["Deployment/m-v2"] == [1, 0] and made["Service/m"] == [1, 0], made
    world.check(("m-v1", "m-v2", 3))
