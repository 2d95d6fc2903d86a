"""Every socket that one opening makes, so that each can be shut: the ground under `socketio`.

A client library may lose sight of its own sockets when it is cancelled half-way; whoever made them
does not. The ledger makes them, in aiohttp's connector, and is one `aiohttp.ClientSession`'s worth
of them. Once sealed it makes no more.

Names touched here that aiohttp does not document: ``ClientWebSocketResponse._response`` and
``BaseConnector._close()``. This room must never know Socket.IO.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from contextlib import suppress
from typing import Any, cast

import aiohttp

from ..errors import TransportUnreachable

__all__ = ["Ledger"]

NORMAL_CLOSURE = struct.pack("!H", aiohttp.WSCloseCode.OK)

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: on closing, drop what was not sent and reset the connection."""


class Ledger:
    """The sockets and websockets of one session."""

    def __init__(self, ssl_context: ssl.SSLContext | None) -> None:
        self._ssl = ssl_context
        self._sockets: list[socket.socket] = []
        self._websockets: list[aiohttp.ClientWebSocketResponse] = []
        self._session: aiohttp.ClientSession | None = None
        self._sealed = False

    def session(self) -> aiohttp.ClientSession:
        """The session, made when first asked for.

        Raises:
            TransportUnreachable: the ledger is sealed.
        """
        if self._sealed:
            raise TransportUnreachable("the transport was closed while it opened")
        if self._session is None:
            connector = aiohttp.TCPConnector(
                socket_factory=self._make_socket,
                resolver=aiohttp.ThreadedResolver(),
                ssl=self._ssl or True,
                force_close=True,
            )
            self._session = aiohttp.ClientSession(
                connector=connector, ws_response_class=cast(Any, self._make_websocket)
            )
        return self._session

    def _make_socket(self, address: tuple[Any, ...]) -> socket.socket:
        if self._sealed:
            raise ConnectionAbortedError("the transport was closed while it opened")
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._sockets.append(made)
        return made

    def _make_websocket(self, *args: Any, **kwargs: Any) -> aiohttp.ClientWebSocketResponse:
        made = aiohttp.ClientWebSocketResponse(*args, **kwargs)
        self._websockets.append(made)
        return made

    async def send_goodbye(self, text: str) -> None:
        """Hand a last text and WebSocket's close to the kernel, if it takes them at once.

        A peer that does not read would have to be waited for; it gets no goodbye.
        """
        for websocket in self._websockets:
            transport = _transport_of(websocket)
            if transport is None or transport.is_closing() or transport.get_write_buffer_size():
                continue
            with suppress(OSError, aiohttp.ClientError):
                await websocket.send_frame(text.encode(), aiohttp.WSMsgType.TEXT)
                await websocket.send_frame(NORMAL_CLOSURE, aiohttp.WSMsgType.CLOSE)

    def drop_unsent(self) -> None:
        """Do not let the kernel keep a connection for what was not sent."""
        for made in self._sockets:
            with suppress(OSError):
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def shut(self) -> None:
        """Seal, and shut every socket in both directions; their transports close the descriptors."""
        self._sealed = True
        for made in self._sockets:
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
        with suppress(RuntimeError):  # the event loop is closed: nothing runs on it any more
            for websocket in self._websockets:
                if (transport := _transport_of(websocket)) is not None:
                    transport.abort()
                websocket._response.close()
            if self._session is not None and self._session.connector is not None:
                self._session.connector._close(abort_ssl=True)

    async def reap(self) -> None:
        """Wait until every descriptor is closed."""
        self._websockets.clear()
        if self._session is not None:
            await self._session.close()
        while any(made.fileno() != -1 for made in self._sockets):
            await asyncio.sleep(0)


def _transport_of(websocket: aiohttp.ClientWebSocketResponse) -> asyncio.WriteTransport | None:
    connection = websocket._response.connection
    return None if connection is None else cast("asyncio.WriteTransport", connection.transport)
