"""Servers of a few lines, in the event loop of the test: each test says what its own one does."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream

from qrlifecycle.testing.contract.websocket_peer import upgrade
from qrlifecycle.transports.reset import reset_on_close
from qrlifecycle.transports.wire import WebSocketConnection, WireOptions

__all__ = ["Served", "connection_to", "full_backlog", "hear_all", "listening", "serve_quietly"]

GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError)


@dataclass
class Served:
    """One connection, from the server's end."""

    stream: SocketStream | TLSStream
    request: bytes = b""
    """The client's handshake, once it was read."""
    received: bytearray = field(default_factory=bytearray)
    """What the client has sent since."""

    async def read_request(self) -> bytes:
        """The head of the client's request."""
        if self.request:
            return self.request
        while b"\r\n\r\n" not in self.request:
            self.request += await self.stream.receive()
        self.request, _, rest = self.request.partition(b"\r\n\r\n")
        self.received += rest
        return self.request

    async def answer(self, data: bytes) -> None:
        """Read the request, and answer it with this."""
        await self.read_request()
        await self.send(data)

    async def accept(self, more: bytes = b"") -> None:
        """Take the client in; ``more`` comes with the answer."""
        await self.send(upgrade(await self.read_request()) + more)

    async def accept_with(self, header: bytes) -> None:
        """Take the client in, with a header more."""
        head = upgrade(await self.read_request()).removesuffix(b"\r\n")
        await self.send(head + header + b"\r\n\r\n")

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        await self.stream.send(data)

    async def read(self, count: int) -> bytes:
        """The next bytes that the client sends, as many as this at least."""
        while len(self.received) < count:
            self.received += await self.stream.receive()
        return bytes(self.received)

    async def read_to_the_end(self) -> bytes:
        """All that the client still sends."""
        with suppress(*GONE):
            while True:
                self.received += await self.stream.receive()
        return bytes(self.received)

    def reset(self) -> None:
        """Break the connection, once it is closed."""
        reset_on_close(self.stream.extra(SocketAttribute.raw_socket))

    def header(self, name: bytes) -> list[bytes]:
        """The values of a header of the request, by its name in small letters."""
        pairs = [line.partition(b":") for line in self.request.split(b"\r\n")[1:]]
        return [value.strip() for key, _, value in pairs if key.lower() == name]


Handler = Callable[[Served], Awaitable[object]]


@asynccontextmanager
async def listening(
    handler: Handler,
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    served: list[Served] | None = None,
) -> AsyncIterator[int]:
    """A server; each connection is given to ``handler``, and closed when that is through."""

    async def serve(stream: SocketStream) -> None:
        with suppress(*GONE):
            async with stream:
                if tls is None:
                    one = Served(stream)
                else:
                    one = Served(
                        await TLSStream.wrap(
                            stream, server_side=True, ssl_context=tls, standard_compatible=False
                        )
                    )
                if served is not None:
                    served.append(one)
                await handler(one)

    listener = await anyio.create_tcp_listener(local_host=host)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


async def serve_quietly(served: Served) -> None:
    """Take the client in, and hear it."""
    await served.accept()
    await served.read_to_the_end()


def connection_to(port: int, path: str = "/", **options: Any) -> WebSocketConnection:
    """A connection to a server of a test's."""
    return WebSocketConnection(f"ws://127.0.0.1:{port}{path}", WireOptions(**options))


async def hear_all(connection: WebSocketConnection) -> None:
    """Receive until it ends, which raises."""
    while True:
        await connection.receive()


@asynccontextmanager
async def full_backlog() -> AsyncIterator[int]:
    """A port of this machine's that never answers: SYNs get lost there, as on a dead address."""
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        dead.listen(0)
        port = dead.getsockname()[1]
        waiting = []
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        try:
            yield port
        finally:
            for one in waiting:
                one.close()
