"""Answers SPARQL over one N-Triples file: GET /sparql?query=… An example; for large graphs take a kept server such as Oxigraph or Fuseki."""

import http.server
import os
import signal
import sys
import urllib.parse

import rdflib
from rdflib.plugins.sparql import prepareQuery

GRAPH = rdflib.Graph().parse(os.environ["MODEL_PATH"], format="nt")
LONGEST = 4096
COUNTS = {200: 0, 400: 0}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/ready":
            return self.answer(200, b"ready\n", "text/plain", counted=False)
        if url.path == "/metrics":
            lines = "".join(f'model_requests_total{{code="{code}"}} {n}\n' for code, n in COUNTS.items())
            return self.answer(200, lines.encode(), "text/plain", counted=False)
        query = urllib.parse.parse_qs(url.query).get("query", [""])[0]
        if url.path != "/sparql" or not query or len(query) > LONGEST or "SERVICE" in query.upper():
            return self.answer(400, b"GET /sparql?query=, of at most 4096 characters, without SERVICE\n", "text/plain")
        try:
            found = GRAPH.query(prepareQuery(query)).serialize(format="json")
        except Exception as error:  # of the parser: the caller's mistake
            return self.answer(400, f"{error}\n".encode(), "text/plain")
        return self.answer(200, found, "application/sparql-results+json")

    def answer(self, code, body, kind, counted=True):
        if counted:
            COUNTS[code] += 1
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
