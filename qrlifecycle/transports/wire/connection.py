"""One WebSocket connection: first version, plain TCP only."""

from __future__ import annotations

import base64
import logging
import os
import socket
from collections import deque
from contextlib import suppress
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import h11
from websockets.exceptions import InvalidState, PayloadTooBig
from websockets.frames import Opcode
from websockets.protocol import CLIENT, Protocol

from ...errors import (
    Ending,
    InvalidValue,
    TransportError,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
)
from ..reset import reset_on_close
from .options import WireOptions

__all__ = ["WebSocketConnection"]

READ = 16 * 1024

SILENT = logging.Logger("qrlifecycle.silent", logging.CRITICAL + 1)  # noqa: LOG001 - of no tree


class WebSocketConnection:
    """One WebSocket connection, opened once.

    Args:
        url: ``http``, ``https``, ``ws`` or ``wss``.
        options: how.

    Raises:
        InvalidValue: a URL that no server can have.
    """

    def __init__(self, url: str, options: WireOptions) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https", "ws", "wss"} or not parts.hostname:
            raise InvalidValue(
                "the server's URL must look like http://host:port, or https, ws, wss"
            )
        self._host, self._port = parts.hostname, parts.port or 80
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._options = options
        self._socket: socket.socket | None = None
        self._protocol: Protocol | None = None
        self._messages: deque[str | bytes] = deque()
        self._parts: bytearray | None = None
        self._binary = False
        self._end: Exception | None = None
        self._closed = False
        self._heartbeat = options.heartbeat
        self._whose = "heartbeat"

    @property
    def heartbeat(self) -> float:
        """Seconds without a byte after which the peer counts as dead."""
        return self._heartbeat

    def set_heartbeat(self, seconds: float, whose: str) -> None:
        """From now on count by the server's own number; ``whose`` names it in the error."""
        self._heartbeat, self._whose = seconds, whose

    async def open(self) -> None:
        """Connect and upgrade.

        Raises:
            TransportUnreachable: no server, no WebSocket, silence.
            TransportRefused: 401 or 403.
        """
        error: TransportError | None = None
        try:
            with anyio.move_on_after(self._heartbeat) as scope:
                await self._open()
            if scope.cancelled_caught:
                error = TransportUnreachable(
                    f"no answer within {self._heartbeat:g} s ({self._whose})", ending=Ending.SILENT
                )
            elif self._closed:
                error = TransportUnreachable("closed while it opened", ending=Ending.ABANDONED)
        except TransportError as raised:
            error = raised
        except (OSError, anyio.ClosedResourceError, h11.RemoteProtocolError) as raised:
            error = TransportUnreachable(f"cannot connect: {type(raised).__name__}")
        except BaseException:
            self.abort()
            raise
        if error is not None:
            self.abort()
            raise error

    async def receive(self) -> str | bytes:
        """The next message; pings are answered.

        Raises:
            EndOfStream: the peer closed in order (1000, 1001, or without a code), or we did.
            TransportLost: it broke.
        """
        await anyio.lowlevel.checkpoint_if_cancelled()
        while not self._messages:
            if self._end is not None:
                raise self._end
            if self._closed:
                raise anyio.EndOfStream
            with anyio.move_on_after(self._heartbeat) as scope:
                await self._read()
            if scope.cancelled_caught:
                self._end = TransportLost(
                    f"silent for {self._heartbeat:g} s ({self._whose})", ending=Ending.SILENT
                )
        return self._messages.popleft()

    async def send(self, data: str | bytes) -> None:
        """Send a message whole."""
        self.send_nowait(data)
        await anyio.lowlevel.checkpoint_if_cancelled()

    def send_nowait(self, data: str | bytes) -> bool:
        """Hand a message to the kernel as far as it takes it now; whether it took all."""
        if self._protocol is None or self._closed:
            return False
        try:
            if isinstance(data, str):
                self._protocol.send_text(data.encode())
            else:
                self._protocol.send_binary(data)
        except InvalidState:
            return False
        return self._flush()

    async def aclose(self, code: int = 1000) -> None:
        """Close: hand a close frame to the kernel, wait for nobody."""
        if self._protocol is not None and not self._closed:
            with suppress(InvalidState):
                self._protocol.send_close(code)
            self._flush()
        self._close(reset=False)
        await anyio.lowlevel.checkpoint_if_cancelled()

    def abort(self) -> None:
        """Shut the socket now."""
        self._close(reset=True)

    def _close(self, *, reset: bool) -> None:
        self._closed = True
        self._messages.clear()
        if self._socket is None or self._socket.fileno() == -1:
            return
        with suppress(OSError):
            if reset:
                reset_on_close(self._socket)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with suppress(Exception):
            anyio.notify_closing(self._socket)
        self._socket.close()

    def _flush(self) -> bool:
        assert self._protocol is not None
        assert self._socket is not None
        data = b"".join(self._protocol.data_to_send())
        with suppress(OSError):
            return self._socket.send(data) == len(data)
        return False

    async def _open(self) -> None:
        if self._socket is not None or self._closed:
            raise TransportUnreachable("a connection is opened once", ending=Ending.ABANDONED)
        addresses = await anyio.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        family, kind, number, _, address = addresses[0]
        if self._closed:
            return
        made = self._socket = socket.socket(family, kind, number)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            made.connect(address)
        except BlockingIOError:
            await anyio.wait_writable(made)
            if number := made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(number, os.strerror(number)) from None
        await self._upgrade(made)

    async def _upgrade(self, made: socket.socket) -> None:
        http = h11.Connection(h11.CLIENT)
        headers = [
            ("Host", f"{self._host}:{self._port}"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", base64.b64encode(os.urandom(16)).decode()),
            *self._options.headers,
        ]
        made.send(http.send(h11.Request(method="GET", target=self._target, headers=headers)) or b"")
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                await anyio.wait_readable(made)
                http.receive_data(made.recv(READ))
                continue
            break
        status = getattr(event, "status_code", 0)
        if status in {401, 403}:
            raise TransportRefused(
                f"the server answered HTTP {status}", ending=Ending.REFUSED, status=status
            )
        if status != 101:
            raise TransportUnreachable(f"the server answered HTTP {status}", status=status)
        self._protocol = Protocol(CLIENT, max_size=self._options.max_message_size, logger=SILENT)
        if http.trailing_data[0]:
            self._protocol.receive_data(http.trailing_data[0])
            self._take()

    async def _read(self) -> None:
        assert self._socket is not None
        assert self._protocol is not None
        try:
            await anyio.wait_readable(self._socket)
            data = self._socket.recv(READ)
        except BlockingIOError:
            return
        except (OSError, anyio.ClosedResourceError):
            self._end = TransportLost("the connection was reset", ending=Ending.RESET)
            return
        if not data:
            self._end = TransportLost("the server hung up", ending=Ending.HUNG_UP)
            return
        self._protocol.receive_data(data)
        self._take()

    def _take(self) -> None:
        assert self._protocol is not None
        for frame in self._protocol.events_received():
            match frame.opcode:  # type: ignore[union-attr]
                case Opcode.TEXT | Opcode.BINARY | Opcode.CONT:
                    if self._parts is None:
                        self._parts = bytearray()
                        self._binary = frame.opcode is Opcode.BINARY  # type: ignore[union-attr]
                    self._parts += frame.data  # type: ignore[union-attr]
                    if frame.fin:  # type: ignore[union-attr]
                        whole, self._parts = bytes(self._parts), None
                        self._messages.append(whole if self._binary else whole.decode())
                case Opcode.CLOSE:
                    close = self._protocol.close_rcvd
                    code = 1005 if close is None else close.code
                    self._end = (
                        anyio.EndOfStream()
                        if code in {1000, 1001, 1005}
                        else TransportLost(
                            f"closed with code {code}", ending=Ending.CLOSED, code=code
                        )
                    )
        if (broken := self._protocol.parser_exc) is not None and self._end is None:
            too_large = isinstance(broken, PayloadTooBig)
            self._end = TransportLost(
                "a message is too large" if too_large else "not WebSocket",
                ending=Ending.TOO_LARGE if too_large else Ending.ANOTHER_PROTOCOL,
            )
        self._flush()
