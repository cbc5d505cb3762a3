"""Between the second API server and etcd: a link that can be frozen in two ways.

STOP, CONT    the whole link: reads of etcd and writes hang, what is in the API server's caches can still be read
USR1, USR2    only what etcd says to watches is held back, and then let go: the caches stand still in the past while reads of etcd and
              writes go on, which is how a cache lags in practice

etcd speaks gRPC: HTTP/2 without TLS, many streams on a connection. Held are all frames from etcd that belong to a stream of the method Watch.
"""

import asyncio
import signal

import hpack

WATCH = "/etcdserverpb.Watch/Watch"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, WINDOW_UPDATE, CONTINUATION = 0, 1, 8, 9
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20


def main(listen, target):
    asyncio.run(_serve(_address(listen), _address(target)))


def _address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


async def _serve(listen, target):
    flow = asyncio.Event()
    flow.set()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, flow.clear)
    loop.add_signal_handler(signal.SIGUSR2, flow.set)

    async def handle(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*target)
        except OSError:
            writer.transport.abort()
            return
        watches = set()
        try:
            await asyncio.gather(_requests(reader, far_writer, watches), _answers(far_reader, far_writer, writer, watches, flow))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            far_writer.transport.abort()
            writer.transport.abort()
    server = await asyncio.start_server(handle, *listen)
    await server.serve_forever()


async def _frame(reader):
    head = await reader.readexactly(9)
    return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, head + await reader.readexactly(int.from_bytes(head[:3], "big"))


async def _requests(reader, writer, watches):
    """To etcd, noting which streams are watches. Every block of headers is decoded, for one depends on those before."""
    decoder, block = hpack.Decoder(), b""
    writer.write(await reader.readexactly(len(PREFACE)))
    while True:
        kind, flags, stream, frame = await _frame(reader)
        if kind in (HEADERS, CONTINUATION):
            block += _fragment(kind, flags, frame[9:])
            if flags & END_HEADERS:
                if (":path", WATCH) in [tuple(pair) for pair in decoder.decode(block)]:
                    watches.add(stream)
                block = b""
        writer.write(frame)
        await writer.drain()


def _fragment(kind, flags, payload):
    if kind == CONTINUATION:
        return payload
    if flags & PADDED:
        payload = payload[1:len(payload) - payload[0]]
    return payload[5:] if flags & PRIORITY else payload


async def _answers(reader, back, writer, watches, flow):
    held = []

    async def let_go():
        await flow.wait()
        writer.writelines(held)
        held.clear()
    waiting = None
    while True:
        kind, _, stream, frame = await _frame(reader)
        if stream in watches and (held or not flow.is_set()):
            held.append(frame)
            if kind == DATA and len(frame) > 9:
                # Other streams share this connection's window: what is held must not use it up.
                back.write(b"\x00\x00\x04" + bytes([WINDOW_UPDATE]) + bytes(5) + (len(frame) - 9).to_bytes(4, "big"))
            if waiting is None or waiting.done():
                waiting = asyncio.ensure_future(let_go())
        else:
            writer.write(frame)
            await writer.drain()
