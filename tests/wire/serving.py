"""Servers of a few lines, in the event loop of the test: each test says what its own one does."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from qrlifecycle.testing.contract.plain import READ, read, write_all
from qrlifecycle.testing.contract.websocket_peer import upgrade
from qrlifecycle.testing.leaks import KIT
from qrlifecycle.transports.reset import reset_on_close
from qrlifecycle.transports.wire import WebSocketConnection, WireOptions
from qrlifecycle.transports.wire.stream import Stream

from ..patience import HANGS

__all__ = [
    "Served",
    "connection_to",
    "full_backlog",
    "hear_all",
    "listening",
    "opened",
    "serve_quietly",
]

GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError)


class Plain(ByteStream):
    """Bytes over a socket, read when they are asked for and not before."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    async def receive(self, max_bytes: int = READ) -> bytes:
        """What came."""
        try:
            data = await read(self._raw, max_bytes)
        except OSError:
            data = b""
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        """Send all of it."""
        await write_all(self._raw, item)

    async def send_eof(self) -> None:
        """Say that no more comes."""
        self._raw.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        """Close it."""
        self._raw.close()


@dataclass
class Served:
    """One connection, from the server's end."""

    stream: ByteStream
    raw: socket.socket
    request: bytes = b""
    """The client's handshake, once it was read."""
    received: bytearray = field(default_factory=bytearray)
    """What the client has sent since."""
    through: anyio.Event = field(default_factory=anyio.Event)
    """Set when this end is through with it."""

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
        reset_on_close(self.raw)

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
    small_buffers: bool = False,
) -> AsyncIterator[int]:
    """A server; each connection is given to ``handler``, and closed when that is through.

    With small buffers, those at both ends keep little of what is sent: the kernel's own would keep
    megabytes, and nobody would notice that nobody reads.
    """

    async def serve(raw: socket.socket) -> None:
        with suppress(*GONE):
            async with Plain(raw) as plain:
                stream: ByteStream = plain
                if tls is not None:
                    stream = await TLSStream.wrap(
                        plain, server_side=True, ssl_context=tls, standard_compatible=False
                    )
                one = Served(stream, raw)
                if served is not None:
                    served.append(one)
                try:
                    await handler(one)
                finally:
                    one.through.set()

    async def accept() -> None:
        while True:
            await anyio.wait_readable(listener)
            with suppress(BlockingIOError):
                raw, _ = listener.accept()
                raw.setblocking(False)
                # Or the kernel waits 40 ms for more, and the tests' clock does not.
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                tasks.start_soon(serve, raw, name=KIT)

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        listener.setblocking(False)
        if small_buffers:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(accept, name=KIT)
            yield listener.getsockname()[1]
            tasks.cancel_scope.cancel()


async def serve_quietly(served: Served) -> None:
    """Take the client in, and hear it."""
    await served.accept()
    await served.read_to_the_end()


def connection_to(port: int, path: str = "/", **options: Any) -> WebSocketConnection:
    """A connection to a server of a test's; over TLS, if there is a context to trust it with."""
    scheme = "ws" if options.get("ssl") is None else "wss"
    return WebSocketConnection(f"{scheme}://127.0.0.1:{port}{path}", WireOptions(**options))


async def hear_all(connection: WebSocketConnection) -> None:
    """Receive until it ends, which raises."""
    while True:
        await connection.receive()


@asynccontextmanager
async def opened(
    port: int, *, small_buffers: bool = False, **options: Any
) -> AsyncIterator[WebSocketConnection]:
    """A connection that is open; whatever comes of it, it is gone afterwards."""
    made = connection_to(port, **options)
    real = Stream.make_socket

    def make_socket(self: Stream, family: int, kind: int, protocol: int) -> socket.socket:
        raw = real(self, family, kind, protocol)
        if small_buffers:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return raw

    try:
        with pytest.MonkeyPatch.context() as patch, anyio.fail_after(HANGS):
            patch.setattr(Stream, "make_socket", make_socket)
            await made.open()
        yield made
    finally:
        made.abort()


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
