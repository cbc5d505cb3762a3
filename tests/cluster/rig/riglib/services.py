"""Two small servers inside the rig: the page of pushed metrics and the cluster's DNS."""

import http.server
import json
import pathlib
import select
import socket
import ssl
import struct
import time
import urllib.error
import urllib.request

from riglib.layout import CLUSTER_DOMAIN, FIXED_PORTS, NODE_IP


def pushpage(folder, port):
    """Serve DIR/metrics.d/*.prom as one page: a test plays any metric by writing a file."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            texts = []
            for path in sorted(pathlib.Path(folder).glob("*.prom")):
                try:
                    texts.append(path.read_text().rstrip("\n") + "\n")
                except OSError:  # removed meanwhile
                    pass
            body = "".join(texts).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Page).serve_forever()


def dns(layout):
    """Answer <service>.<namespace>.svc.cluster.local; deny every other name at once."""
    lookup = _Lookup(layout)
    # A socket per address: resolvers refuse an answer from another address than they asked.
    servers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for server, address in zip(servers, (NODE_IP, "127.0.0.1")):
        server.bind((address, 53))
    while True:
        for server in select.select(servers, [], [])[0]:
            query, client = server.recvfrom(4096)
            try:
                server.sendto(_reply(query, lookup), client)
            except (struct.error, IndexError, UnicodeDecodeError, OSError):
                pass  # not a question we can read


def _reply(query, lookup):
    ident, flags = struct.unpack("!HH", query[:4])
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    kind, _ = struct.unpack("!HH", query[at + 1:at + 5])
    addresses = lookup.addresses(".".join(labels))
    answers = addresses if kind == 1 and addresses else []
    code = 3 if addresses is None else 0
    reply = struct.pack("!HHHHHH", ident, 0x8580 | (flags & 0x0100) | code, 1, len(answers), 0, 0)
    reply += query[12:at + 5]
    for address in answers:
        reply += struct.pack("!HHHIH", 0xC00C, 1, 1, 2, 4) + socket.inet_aton(address)
    return reply


class _Lookup:
    KEEP = 1.0  # seconds

    def __init__(self, layout):
        self.context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
        self.context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
        self.known = {}

    def addresses(self, name):
        """None: no such name."""
        suffix = f".svc.{CLUSTER_DOMAIN}"
        parts = name[:-len(suffix)].split(".") if name.endswith(suffix) else []
        if len(parts) != 2:
            return None
        until, value = self.known.get(name, (0, None))
        if until < time.monotonic():
            value = self._ask(*parts)
            self.known[name] = (time.monotonic() + self.KEEP, value)
        return value

    def _ask(self, service, namespace):
        try:
            found = self._get(f"/api/v1/namespaces/{namespace}/services/{service}")
            address = found["spec"].get("clusterIP")
            return [address] if address not in (None, "", "None") else self._headless(service, namespace)
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def _headless(self, service, namespace):
        slices = self._get(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
                           f"?labelSelector=kubernetes.io/service-name%3D{service}")
        return [address for item in slices["items"] for endpoint in item["endpoints"] or []
                if endpoint["conditions"].get("ready") for address in endpoint["addresses"]]

    def _get(self, path):
        url = f"https://{NODE_IP}:{FIXED_PORTS['api']}{path}"
        with urllib.request.urlopen(url, context=self.context, timeout=2) as answer:
            return json.load(answer)
