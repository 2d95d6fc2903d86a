"""A real server behind the kit's peer, which can still stall, break and flood in front of it."""

from __future__ import annotations

import socket
from contextlib import suppress

import anyio

from ..leaks import KIT
from .connection import Greeting, Wire
from .plain import connect, read, write_all

__all__ = ["relay"]

ANSWER = 5.0
"""Seconds that a real server has for taking a connection."""


def relay(host: str, port: int) -> Greeting:
    """A greeting that is a real server's: bytes are passed on, both ways, until one side ends.

    A server in this process must run in another thread, or its tasks would count as left behind.
    """

    async def greet(wire: Wire) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as server:
            server.setblocking(False)
            server.bind(("", 0))  # known from the beginning, it is never taken for the transport's
            for its in (server.getsockname()[1], port):
                wire.count_as_peers(its)
            try:
                with anyio.fail_after(ANSWER):
                    await connect(server, host, port)
            except OSError as error:  # a deadline's is one as well
                raise ConnectionError(f"no server answers at {host}:{port}") from error
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_pass_on, wire, server, tasks.cancel_scope, name=KIT)
                with suppress(anyio.EndOfStream, anyio.BrokenResourceError, OSError):
                    while data := await read(server):
                        await wire.send(data)
                tasks.cancel_scope.cancel()

    return greet


async def _pass_on(wire: Wire, server: socket.socket, done: anyio.CancelScope) -> None:
    """From the client to the server, until one of them is gone."""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            await write_all(server, await wire.receive())
    done.cancel()
