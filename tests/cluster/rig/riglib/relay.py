"""Listens on the host's loopback and dials inside the rig's network."""

import asyncio
import ctypes
import os
import socket

CLONE_NEWNET = 0x40000000


def listen(port=0, host="127.0.0.1"):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(512)
    listener.setblocking(False)
    return listener


def enter_network(pid):
    """Move this process into pid's network. Sockets that listen already stay where they were made."""
    handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(handle)


async def serve(routes, until_pid):
    """routes: pairs of a listening socket and an (address, port) to dial. Ends when until_pid ends."""
    gone = asyncio.Event()
    watched = os.pidfd_open(until_pid)
    asyncio.get_running_loop().add_reader(watched, gone.set)
    servers = [await asyncio.start_server(_handler(target), sock=listener) for listener, target in routes]
    await gone.wait()
    for server in servers:
        server.close()


def _handler(target):
    async def handle(reader, writer):
        try:
            far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(*target), 5)
        except (OSError, asyncio.TimeoutError):
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            far_writer.close()
            writer.close()
    return handle


async def _pump(reader, writer):
    """Copy one direction; an end is passed on as an end, a reset as a reset."""
    try:
        while data := await reader.read(1 << 17):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()
