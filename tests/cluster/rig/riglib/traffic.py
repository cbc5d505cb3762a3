"""Requests to a host name through the gateway, counted by who answered.

    with Traffic(url, "fraud.example.com", path, body) as seen:    # some on kept connections, some on a new one each, until the end
        …
    assert not seen.failed, seen.failed[:5]
    share(url, "fraud.example.com", 5000)                          # {"fraud-v1": 4500, "fraud-v2": 500}
"""

import asyncio
import collections
import math
import threading
import time
import urllib.parse

from riglib import relay

TIMEOUT = 10.0   # more than any answer takes; less than a test waits


class Failed(Exception):
    """A request that got no answer, or not the one that was asked for."""


class Answer(collections.namedtuple("Answer", "status headers body")):
    def version(self):
        """The model-server says it in a header, the tests' small servers by their first word."""
        return self.headers.get("model-version") or self.body.decode(errors="replace").split(" ", 1)[0]


class Connection:
    """HTTP/1.1, as much of it as the gateway needs."""

    def __init__(self, url, host, path="/", body=None, headers=None):
        address = urllib.parse.urlsplit(url)
        self.address = address.hostname, address.port
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: {host}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n"
        self.head, self.body = head, (body or "").encode()
        self.reader = self.writer = None

    async def ask(self, keep):
        try:
            return await asyncio.wait_for(self._ask(keep), TIMEOUT)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError, ValueError) as error:
            self.close()
            raise Failed(f"{type(error).__name__} {error}".strip()) from error

    async def _ask(self, keep):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(*self.address)
        self.writer.write((self.head + ("" if keep else "Connection: close\r\n") + "\r\n").encode() + self.body)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        answer = Answer(int(lines[0].split()[1]), headers, await self._content(headers))
        if not keep or headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    async def _content(self, headers):
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await self.reader.readexactly(int(headers["content-length"]))
        content = b""
        while size := int((await self.reader.readline()).split(b";")[0], 16):
            content += await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()
        return content

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


class Traffic:
    """`keep` connections that stay open and `fresh` callers that make one for each request, each with a `pause` between two requests.
    With `inside`, a process in the rig, they ask from its network, and no relay takes part. `failed` tells when (seconds from the start) and
    how; `requests` how many got an answer; `versions` whose."""

    def __init__(self, url, host, path="/", body=None, keep=3, fresh=2, pause=0.01, requests=None, version=Answer.version,
                 inside=None, headers=None):
        self.arguments = url, host, path, body, headers
        self.keep, self.fresh, self.pause, self.wanted, self.version = keep, fresh, pause, requests, version
        self.versions, self.failed = collections.Counter(), []
        self.asked = 0
        self.inside = inside
        self._stop = False
        self._thread = threading.Thread(target=self._main, daemon=True)

    @property
    def requests(self):
        return sum(self.versions.values())

    def __enter__(self):
        self.started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop = True
        self.join()

    def join(self):
        self._thread.join()

    def at_least(self, more, timeout=60):
        """Waits until so many further requests have been answered, or one has failed."""
        target, deadline = self.requests + more, time.monotonic() + timeout
        while self.requests < target and not self.failed:
            assert time.monotonic() < deadline, f"{target - self.requests} of {more} requests unanswered after {timeout} s"
            time.sleep(0.02)

    def _main(self):
        try:
            if self.inside:
                relay.enter_network(self.inside)  # this thread alone
            asyncio.run(self._run())
        except Exception as error:
            self.failed.append((0.0, f"the callers ended: {error!r}"))
            raise

    async def _run(self):
        await asyncio.gather(*[self._caller(keep=number < self.keep) for number in range(self.keep + self.fresh)])

    async def _caller(self, keep):
        connection = Connection(*self.arguments)
        while not self._stop and (self.wanted is None or self.asked < self.wanted):
            self.asked += 1
            try:
                answer = await connection.ask(keep)
                if answer.status != 200:
                    raise Failed(f"{answer.status} {answer.body[:200].decode(errors='replace')}")
                self.versions[self.version(answer)] += 1
            except Failed as failure:
                kind = "kept connection" if keep else "new connection"
                self.failed.append((round(time.monotonic() - self.started, 3), f"{kind}: {failure}"))
            await asyncio.sleep(self.pause)
        connection.close()


def share(url, host, requests, path="/", body=None, version=Answer.version, inside=None, headers=None):
    """Who answered so many requests; none may fail."""
    traffic = Traffic(url, host, path, body, keep=4, fresh=4, pause=0, requests=requests, version=version, inside=inside, headers=headers)
    with traffic:
        traffic.join()
    assert not traffic.failed, f"{len(traffic.failed)} of {requests} requests failed: {traffic.failed[:5]}"
    return traffic.versions


def sampling_error(weight, requests):
    """Four standard deviations of a share that is drawn at random: one sound gateway in 16,000 is called unfair."""
    return 4 * math.sqrt(weight * (1 - weight) / requests)
