"""The server's end of a WebSocket, for emulators: real frames, asyncio and trio.

By `websockets`' `Protocol`, which does no input and output, as our own client's end is.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from anyio.abc import ByteStream
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.protocol import SERVER, Protocol

from ..logs import SILENT
from .contract.websocket_peer import upgrade

__all__ = ["ServerWebSocket", "Upgrade"]

BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)

NORMAL = 1000
"""Close code of an orderly end."""


class ServerWebSocket:
    """One client, once it was let in.

    Args:
        stream: the connection.
        thawed: returns when the server is not frozen: as long as it is, nothing is read or sent.
    """

    def __init__(self, stream: ByteStream, thawed: Callable[[], Awaitable[object]]) -> None:
        self._stream = stream
        self._thawed = thawed
        self._protocol = Protocol(SERVER, logger=SILENT)
        self._messages: list[str | bytes] = []
        self._sending = anyio.Lock()
        self.pongs = 0
        """How many pings of ours the client has answered."""

    async def open(self, key: str) -> None:
        """Answer the handshake, whose ``Sec-WebSocket-Key`` this is."""
        await self._stream.send(upgrade(b"Sec-WebSocket-Key: " + key.encode()))

    async def send(self, message: object) -> None:
        """Send text and bytes as they are, anything else as JSON; nothing to who is gone."""
        if isinstance(message, bytes):
            await self._do(lambda: self._protocol.send_binary(message))
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            await self._do(lambda: self._protocol.send_text(text.encode()))

    async def ping(self) -> None:
        """Ask whether the client is there."""
        await self._do(lambda: self._protocol.send_ping(b""))

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye, and hang up; the client's answer is not waited for."""
        await self._do(lambda: self._protocol.send_close(code, reason))
        await anyio.aclose_forcefully(self._stream)

    async def terminate(self) -> None:
        """Hang up without a word."""
        await anyio.aclose_forcefully(self._stream)

    async def receive(self) -> str | bytes:
        """The next message; pings are answered meanwhile.

        Raises:
            EndOfStream: the client is gone.
        """
        while not self._messages:
            try:
                data = await self._stream.receive()
            except BROKEN:
                raise anyio.EndOfStream from None
            await self._thawed()
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                assert isinstance(event, Frame)
                self._take(event)
            await self._flush()
            if self._protocol.close_expected():
                raise anyio.EndOfStream
        return self._messages.pop(0)

    def _take(self, frame: Frame) -> None:
        """Take a frame; messages in parts are not made by any client of this kit."""
        if frame.opcode is Opcode.TEXT:
            self._messages.append(bytes(frame.data).decode())
        elif frame.opcode is Opcode.BINARY:
            self._messages.append(bytes(frame.data))
        elif frame.opcode is Opcode.PONG:
            self.pongs += 1

    async def _do(self, what: Callable[[], object]) -> None:
        await self._thawed()
        try:
            what()
        except InvalidState:  # one of both has closed
            return
        await self._flush()

    async def _flush(self) -> None:
        async with self._sending:
            data = b"".join(self._protocol.data_to_send())
            if data:
                with suppress(*BROKEN):
                    await self._stream.send(data)


class Upgrade:
    """The answer to a WebSocket's handshake: let the client in, and serve it.

    Args:
        serve: async function that has the client until it returns, or until the client is gone.
    """

    def __init__(self, serve: Callable[[ServerWebSocket], Awaitable[object]]) -> None:
        self.serve = serve
