"""HTTP/1.1 on a socket, byte by byte under our control: what the proxy needs on both of its sides."""

import select
import ssl

HEAD_LIMIT = 1 << 20
PIECE = 1 << 16


class Closed(Exception):
    """The other side ended the connection, or we did."""


class Wire:
    """A socket with a buffer in front. One thread reads; writers take turns by themselves."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()

    def fill(self):
        try:
            data = self.sock.recv(PIECE)
        except (OSError, ValueError) as error:
            raise Closed(str(error)) from None
        if not data:
            raise Closed("end of stream")
        self.buffer += data

    def line(self):
        while (end := self.buffer.find(b"\n")) < 0:
            if len(self.buffer) > HEAD_LIMIT:
                raise Closed("a header without end")
            self.fill()
        line = bytes(self.buffer[:end + 1])
        del self.buffer[:end + 1]
        return line

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (OSError, ValueError) as error:
            raise Closed(str(error)) from None

    def pending(self):
        """Whether a read would return at once, as far as we hold the bytes already."""
        return bool(self.buffer) or (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0)

    def close(self):
        for end in (lambda: self.sock.shutdown(2), self.sock.close):
            try:
                end()
            except (OSError, ValueError):
                pass

    # ---- messages

    def head(self):
        """The first line, and the headers as [(name, value)]."""
        first = self.line()
        while first in (b"\r\n", b"\n"):
            first = self.line()
        headers = []
        while (line := self.line()) not in (b"\r\n", b"\n"):
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name.strip(), value.strip()))
        return first.decode("latin-1").strip(), headers

    def body(self, headers, to_end=False):
        """A whole body; `to_end`: without a length it lasts until the connection ends."""
        if header(headers, "transfer-encoding").lower() == "chunked":
            return b"".join(self.chunks())
        length = header(headers, "content-length")
        if length:
            return self.take(int(length))
        if not to_end:
            return b""
        try:
            while True:
                self.fill()
        except Closed:
            return self.take(len(self.buffer))

    def chunks(self):
        while True:
            size = int(self.line().split(b";")[0], 16)
            if not size:
                while self.line() not in (b"\r\n", b"\n"):
                    pass
                return
            yield self.take(size)
            self.take(2)


def header(headers, name):
    return next((value for key, value in headers if key.lower() == name), "")


def without(headers, *names):
    return [(key, value) for key, value in headers if key.lower() not in names]


def head_bytes(first, headers):
    return (first + "\r\n" + "".join(f"{key}: {value}\r\n" for key, value in headers) + "\r\n").encode("latin-1")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def either_readable(first, second):
    """Waits until one of two wires can be read, and says which: (first, second)."""
    ready = (first.pending(), second.pending())
    if any(ready):
        return ready
    try:
        poll = select.poll()
        handles = [wire.sock.fileno() for wire in (first, second)]
        for handle in handles:
            poll.register(handle, select.POLLIN | select.POLLHUP | select.POLLERR)
        found = {handle for handle, _ in poll.poll()}
        return handles[0] in found, handles[1] in found
    except (OSError, ValueError) as error:
        raise Closed(str(error)) from None
