"""Bad wires: a Socket.IO server of raw bytes that stops, breaks and babbles where a test says."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import ssl
import struct
from types import TracebackType
from typing import Any, Self

import anyio

from qrlifecycle.testing.listening import stop_listening

__all__ = ["PAIRED", "RawPeer", "RawWire", "event", "frame"]

WEBSOCKET_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

PAIRED = '42["whatsapp_connected",{"botId":"bot-7","userId":"user-1","identity":"+49"}]'

CONNECT, HEADERS, UPGRADED, OPENED, JOINED = range(5)
"""How far a peer goes in the handshake before it falls silent."""

RESET = struct.pack("ii", 1, 0)


def frame(payload: str | bytes, kind: int = 1) -> bytes:
    """A WebSocket frame as servers send it."""
    body = payload.encode() if isinstance(payload, str) else payload
    length = len(body)
    if length < 126:
        return struct.pack("!BB", 0x80 | kind, length) + body
    if length < 1 << 16:
        return struct.pack("!BBH", 0x80 | kind, 126, length) + body
    return struct.pack("!BBQ", 0x80 | kind, 127, length) + body


def event(name: object, *args: object) -> str:
    """A Socket.IO event as text of a WebSocket frame."""
    return "42" + json.dumps([name, *args])


class RawPeer:
    """A server on loopback, in the event loop of the test but without a task of its own.

    Args:
        stop_at: how far the handshake goes.
        status: an HTTP status to answer the handshake with, if not 101.
        intervals: ``pingInterval`` and ``pingTimeout`` in milliseconds, or whatever to send there.
        early: texts sent before the namespace is joined.
        answer: what answers the client's wish to join.
        tls: the server's certificate.
    """

    def __init__(
        self,
        *,
        stop_at: int = JOINED,
        status: int = 101,
        intervals: tuple[object, object] = (25_000, 20_000),
        early: tuple[str, ...] = (),
        answer: str = '40{"sid":"x"}',
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.stop_at = stop_at
        self.status = status
        self.intervals = intervals
        self.early = early
        self.answer = answer
        self.wires: list[RawWire] = []
        self.asked = anyio.Event()
        """Set when the first request has come."""
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: RawWire(self), "127.0.0.1", 0, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        await stop_listening(self._server)
        for wire in self.wires:
            wire.transport.abort()
        for wire in self.wires:
            await wire.gone.wait()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def wire(self) -> RawWire:
        """The newest connection."""
        return self.wires[-1]


class RawWire(asyncio.Protocol):
    """One connection to a `RawPeer`."""

    transport: asyncio.Transport

    def __init__(self, peer: RawPeer) -> None:
        self.gone = anyio.Event()
        self.request = b""
        self.received = b""
        self._peer = peer
        self._joined = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note a new connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._peer.wires.append(self)

    def data_received(self, data: bytes) -> None:
        """Play the handshake as far as it goes."""
        self.received += data
        if not self.request and b"\r\n\r\n" in self.received and self._peer.stop_at >= HEADERS:
            self.request, _, self.received = self.received.partition(b"\r\n\r\n")
            self._peer.asked.set()
            self._answer_request()
        elif self.request and not self._joined and self._peer.stop_at >= JOINED:
            self._joined = True
            self.send(*self._peer.early, self._peer.answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, in order or not."""
        self.gone.set()

    def send(self, *texts: str) -> None:
        """Send texts, all at once."""
        self.send_raw(b"".join(frame(text) for text in texts))

    def send_raw(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def hang_up(self) -> None:
        """Close as Engine.IO does: in order."""
        self.send("1")

    def reset(self) -> None:
        """Break the connection."""
        made = self.transport.get_extra_info("socket")
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()

    def texts(self) -> list[str]:
        """What the client has sent as short WebSocket texts since the handshake."""
        found, data = [], self.received
        while len(data) >= 6:
            kind, length, start = data[0] & 15, data[1] & 127, 2
            if length == 126:
                (length,), start = struct.unpack("!H", data[2:4]), 4
            mask, body = data[start : start + 4], data[start + 4 : start + 4 + length]
            if kind == 1:
                found.append(bytes(b ^ mask[i % 4] for i, b in enumerate(body)).decode())
            data = data[start + 4 + length :]
        return found

    def _answer_request(self) -> None:
        if self._peer.status != 101:
            self.send_raw(f"HTTP/1.1 {self._peer.status} X\r\nContent-Length: 0\r\n\r\n".encode())
        elif self._peer.stop_at >= UPGRADED:
            key = self.header(b"sec-websocket-key")
            accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_MAGIC).digest()).decode()
            self.send_raw(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            )
            if self._peer.stop_at >= OPENED:
                interval, timeout = self._peer.intervals
                welcome: dict[str, Any] = {
                    "sid": "s",
                    "upgrades": [],
                    "pingInterval": interval,
                    "pingTimeout": timeout,
                }
                self.send("0" + json.dumps(welcome))

    def header(self, name: bytes) -> bytes:
        """A header of the client's request, by its name in small letters."""
        for line in self.request.split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip()
        return b""
