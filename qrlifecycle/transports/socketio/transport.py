"""The Socket.IO transport: what a program opens, closes and receives from.

Everything runs in the task that calls: there is no task of its own, so there is none to end.
"""

from __future__ import annotations

import logging
import ssl
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

import anyio
from anyio import EndOfStream

from ...errors import Ending, InvalidValue, TransportError, TransportUnreachable
from ...signals import Signal
from ..base import Transport
from ..buffer import SignalBuffer
from ..handshake import check_auth, check_url, engineio_url
from ..messages import DEFAULT_SIGNALS, Drop, SignalMap, read_message
from ..wire import WebSocketConnection, WireOptions
from .protocol import Message, SocketIOProtocol

__all__ = ["SocketIOTransport"]

MAX_MESSAGE = 1024 * 1024
HEARTBEAT = 90.0

logger = logging.getLogger("qrlifecycle")


class SocketIOTransport(Transport):
    """Hears signals from a Socket.IO server (protocol 5), over WebSocket."""

    __slots__ = (
        "_bot_id",
        "_buffer",
        "_closed",
        "_dropped",
        "_heartbeat",
        "_opening",
        "_protocol",
        "_signals",
        "_url",
        "_user_id",
        "_wire",
    )

    def __init__(
        self,
        url: str,
        *,
        bot_id: str,
        user_id: str,
        auth: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        namespace: str = "/",
        signals: SignalMap = DEFAULT_SIGNALS,
        socketio_path: str = "socket.io",
        ssl_context: ssl.SSLContext | None = None,
        max_message: int = MAX_MESSAGE,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        check_url(url)
        for name, value in (("auth", auth), ("headers", headers), ("signals", signals)):
            if not isinstance(value, Mapping | None):
                raise InvalidValue(f"{name} must be a mapping, not {type(value).__name__}")
        for name, text in (("bot_id", bot_id), ("user_id", user_id)):
            if not isinstance(text, str) or not text:
                raise InvalidValue(f"{name} must be text that is not empty")
        sent = {**(auth or {}), "botId": bot_id, "userId": user_id}
        check_auth(sent)
        self._url = url
        self._bot_id = bot_id
        self._user_id = user_id
        self._signals = signals
        self._heartbeat = heartbeat
        self._buffer = SignalBuffer()
        self._dropped: Counter[str] | None = None
        self._protocol = SocketIOProtocol(namespace, sent, max_message)
        options = WireOptions(
            headers=headers or {},
            ssl=ssl_context,
            max_message_size=max_message,
            heartbeat=heartbeat,
        )
        self._wire = WebSocketConnection(engineio_url(url, socketio_path), options)
        self._opening = self._closed = False

    def __repr__(self) -> str:
        parts = urlsplit(self._url)
        place = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        return f"<SocketIOTransport {place} bot={self._bot_id!r} user={self._user_id!r}>"

    @property
    def subject(self) -> tuple[str, ...]:
        """The bot and the user."""
        return self._bot_id, self._user_id

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many messages became nothing, by cause: unknown, malformed or foreign."""
        return dict(self._dropped or {})

    async def open(self) -> None:
        """Connect, join the namespace, and listen."""
        if self._closed or self._opening:
            raise TransportUnreachable("a transport is opened once; make a fresh one")
        self._opening = True
        error: TransportError | None = None
        try:
            with anyio.move_on_after(self._heartbeat) as scope:
                await self._wire.open()
                while not self._protocol.joined:
                    self._take(await self._wire.receive())
            if scope.cancelled_caught:
                text = f"no answer within {self._heartbeat:g} s"
                error = TransportUnreachable(text, ending=Ending.SILENT)
        except EndOfStream:
            text = "the server closed before the namespace was joined"
            error = TransportUnreachable(text, ending=Ending.HUNG_UP)
        except TransportError as failed:
            error = failed.with_traceback(None)
        except BaseException:
            self.abort()
            raise
        if self._closed:
            text = "the transport was closed while it opened"
            error = TransportUnreachable(text, ending=Ending.ABANDONED)
        if error is not None:
            self.abort()
            raise error

    async def receive(self) -> Signal:
        """The next signal; see `Transport.receive`."""
        buffer = self._buffer
        while not (buffer or buffer.ended):
            try:
                self._take(await self._wire.receive())
            except EndOfStream:
                buffer.end(EndOfStream())
            except TransportError as error:
                buffer.end(error.with_traceback(None))
        return await buffer.get()

    async def aclose(self) -> None:
        """Say goodbye without waiting for an answer, and shut the socket."""
        self._closed = True
        self._buffer.close()
        if self._protocol.joined:
            self._wire.send_nowait(self._protocol.goodbye())
        await self._wire.aclose()

    def abort(self) -> None:
        """Shut the socket now."""
        self._closed = True
        self._buffer.close()
        self._wire.abort()

    def _take(self, data: str | bytes) -> None:
        protocol = self._protocol
        for news in protocol.take(data):
            if isinstance(news, Message):
                self._read(news)
            else:
                self._drop(news, "")
        for text in protocol.answers:
            self._wire.send_nowait(text)
        protocol.answers.clear()

    def _read(self, message: Message) -> None:
        name, args = message
        meaning = read_message(self._signals, name, args, self._bot_id, self._user_id)
        if isinstance(meaning, Signal):
            self._buffer.put(meaning)
        elif meaning is not None:
            self._drop(meaning, name)

    def _drop(self, why: Drop, name: str) -> None:
        self._dropped = self._dropped or Counter()
        self._dropped[why.value] += 1
        level = logging.WARNING if why is Drop.MALFORMED else logging.DEBUG
        logger.log(level, "a message was dropped: %s (event %.40r)", why.value, name)
