#!/usr/bin/python3
"""A Prometheus that says of every query 0.01 or a little more, as a process of its own: figures.py prints its address.

GET /counts tells how many requests came, how many queries were in them, and the longest request's. One for Python: it has no threads and no server of the library."""

import asyncio
import json
import pathlib
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cluster"))

from together import queries_of  # noqa: E402

counts = {"requests": 0, "queries": 0, "most": 0}


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.rest = transport, b""

    def data_received(self, data):
        self.rest += data
        while True:
            head, found, body = self.rest.partition(b"\r\n\r\n")
            if not found:
                return
            lines = head.decode().split("\r\n")
            method, path, _ = lines[0].split(" ", 2)
            length = next((int(line.split(":")[1]) for line in lines[1:] if line.lower().startswith("content-length:")), 0)
            if len(body) < length:
                return
            self.rest = body[length:]
            self.transport.write(answer(path, body[:length].decode() if method == "POST" else urllib.parse.urlsplit(path).query))


def answer(path, form):
    if path == "/counts":
        body = counts
    else:
        asked = queries_of(dict(urllib.parse.parse_qsl(form))["query"])
        counts["requests"] += 1
        counts["queries"] += len(asked)
        counts["most"] = max(counts["most"], len(asked))
        now = time.time()
        value = f"0.01{int(now) % 10}"   # it moves, as figures do
        body = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": labels, "value": [now, value]} for labels, _ in asked]}}
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)


class Figures:
    """That process, until it is closed."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    @property
    def pid(self):
        return self.process.pid

    def counts(self):
        with urllib.request.urlopen(f"{self.url}/counts", timeout=10) as reply:
            return json.load(reply)

    def close(self):
        self.process.kill()
        self.process.wait()


async def main():
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
