"""A Socket.IO server of raw bytes that stops, breaks and babbles where a test says."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from types import TracebackType
from typing import Self

import anyio

from qrlifecycle.testing.contract.socketio_peer import JOINED, ServerHandshake, frame
from qrlifecycle.testing.listening import stop_listening
from qrlifecycle.transports.reset import reset_on_close

__all__ = ["PAIRED", "RawPeer", "RawWire"]

KEPT = 64 * 1024
"""Bytes, which Linux doubles, that the kernel keeps for a peer that does not read.

Without a size of its own the buffer grows as long as small messages come, up to tcp_rmem's limit:
32 MiB on some machines, which is a million answers to wait for, and minutes.
"""

PAIRED = '42["whatsapp_connected",{"botId":"bot-7","userId":"user-1","identity":"+49"}]'


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
        listening = self._server.sockets[0]
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KEPT)
        self.port = listening.getsockname()[1]
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
        self.handshake = ServerHandshake(
            stop_at=peer.stop_at,
            status=peer.status,
            intervals=peer.intervals,
            answer=peer.answer,
        )
        self._peer = peer

    @property
    def received(self) -> bytes:
        """What the client has sent since its request."""
        return self.handshake.received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note a new connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._peer.wires.append(self)

    def data_received(self, data: bytes) -> None:
        """Play the handshake as far as it goes, all that there is to say at once."""
        joined = self.handshake.joined
        answers = self.handshake.answers(data)
        if self.handshake.request:
            self._peer.asked.set()
        if self.handshake.joined and not joined:
            answers = [*map(frame, self._peer.early), *answers]
        if answers:
            self.send_raw(b"".join(answers))

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
        reset_on_close(made)
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
