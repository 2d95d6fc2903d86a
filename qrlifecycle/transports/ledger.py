"""Every socket that one opening makes, so that each can be shut: the ground under `socketio`.

A client library may lose sight of its own sockets when it is cancelled half-way; whoever made them
does not. The ledger makes them, in aiohttp's connector, and is one `aiohttp.ClientSession`'s worth
of them. Once sealed it makes no more.

Names touched here that aiohttp does not document: ``ClientWebSocketResponse._response`` and
``_reader``, ``ClientResponse._body``, ``BaseConnector._close()``, and
``ClientSession._retry_connection``, without which one opening that is cut off would quietly be
tried twice.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import aiohttp
import anyio

from ..errors import Ending, InvalidValue, TransportError, TransportLost, TransportUnreachable
from ..values import seconds_to_wait
from .client import failure_of
from .reset import reset_on_close
from .wire import endings

__all__ = ["Ledger"]

NORMAL_CLOSURE = struct.pack("!H", aiohttp.WSCloseCode.OK)


MAX_UNSENT = 64 * 1024
"""Bytes of answers that a peer may leave unread, beside what the kernel keeps, before it is cut."""

NEVER = 2**30
"""A high-water mark that no transport reaches: what must not wait is not told to."""


LAST_TURNS = 1000
"""Turns of the event loop in which a transport closes its descriptor; two or three are the rule."""


class WebSocket(aiohttp.ClientWebSocketResponse):
    """One that neither hogs the event loop nor waits for a peer that does not read.

    Raises:
        ConnectionResetError: from what answers the peer, when it has left too much unread.
    """

    def __init__(self, ledger: Ledger, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ledger = ledger
        if (transport := _transport_of(self)) is not None:
            # A write loop that waits for its peer would hold up the news that the connection broke.
            transport.set_write_buffer_limits(high=NEVER)

    async def receive(self, timeout: float | None = None) -> Any:
        """The next message, once what the one before it has started had its turn.

        From Python 3.12 on nothing else yields while messages are in hand already: a flood would
        starve all other tasks, and a close would overtake the success right before it.
        """
        await asyncio.sleep(0)
        message: Any = await super().receive(timeout)
        self._ledger.note_message(message, self._reader.exception())
        return message

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """Send text, unless the peer does not read."""
        self._require_reader()
        await super().send_str(data, compress)

    async def pong(self, message: bytes = b"") -> None:
        """Answer a ping, unless the peer does not read."""
        self._require_reader()
        await super().pong(message)

    def _require_reader(self) -> None:
        transport = _transport_of(self)
        if transport is not None and transport.get_write_buffer_size() > MAX_UNSENT:
            raise ConnectionResetError("the peer does not read")


class Answer(aiohttp.ClientResponse):
    """What a server that is polled says, up to a limit."""

    def __init__(self, ledger: Ledger, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ledger = ledger

    async def read(self) -> bytes:
        """All of it.

        Raises:
            aiohttp.ClientPayloadError: it is too large.
        """
        if self._body is None:
            whole = bytearray()
            try:
                async for part in self.content.iter_any():
                    whole += part
                    self._ledger.require_room(len(whole))
            except BaseException:
                self.close()
                raise
            self._body = bytes(whole)
        return self._body


class Ledger:
    """The sockets and websockets of one session."""

    __slots__ = (
        "_answers",
        "_make_session",
        "_max_answer",
        "_polling",
        "_proxy",
        "_sealed",
        "_session",
        "_sockets",
        "_ssl",
        "_websockets",
        "failure",
        "heard_at",
        "opening",
        "too_large",
    )

    def __init__(
        self,
        ssl_context: ssl.SSLContext | None,
        make_session: Callable[..., aiohttp.ClientSession] = aiohttp.ClientSession,
        max_answer: int = 0,
        *,
        polling: bool = False,
        proxy: str | None = None,
    ) -> None:
        self.opening = True
        """Whether the transport is not open yet: for the words."""
        self.failure: TransportError | None = None
        """What the newest request that failed did so by: the client keeps no more of it than a
        text, with the URL in it."""
        self.heard_at = -math.inf
        """When an answer, or a part of one, last came, by the event loop's clock."""
        self.too_large = False
        """Whether an answer was larger than the limit."""
        self._ssl = ssl_context
        self._make_session = make_session
        self._max_answer = max_answer
        self._polling = polling
        # Not given where there is none: a session of one's own may have another.
        self._proxy = {} if proxy is None else {"proxy": proxy}
        self._sockets: list[tuple[socket.socket, int | None]] = []
        self._websockets: list[WebSocket] = []
        self._answers: list[Answer] = []
        self._session: aiohttp.ClientSession | None = None
        self._sealed = False

    def session(self) -> aiohttp.ClientSession:
        """The session, made when first asked for.

        Raises:
            TransportUnreachable: the ledger is sealed.
        """
        if self._sealed:
            raise endings.abandoned("the transport was closed while it opened")
        if self._session is None:
            connector = aiohttp.TCPConnector(
                socket_factory=self._make_socket,
                resolver=aiohttp.ThreadedResolver(),
                ssl=self._ssl or True,
                force_close=True,
            )
            made: object = self._make_session(
                connector=connector,
                trace_configs=[self._tracing()],
                ws_response_class=cast(Any, self._make_websocket),
                response_class=cast(Any, self._make_answer),
                **self._proxy,
            )
            if not isinstance(made, aiohttp.ClientSession) or made.connector is not connector:
                raise InvalidValue("session must make a ClientSession with what it is given")
            self._session = made
            self._session._retry_connection = False
        return self._session

    def _tracing(self) -> aiohttp.TraceConfig:
        tracing = aiohttp.TraceConfig()
        # Nobody is followed to another place: headers and the auth payload hold credentials.
        tracing.on_request_redirect.append(self._judge_answer)
        tracing.on_request_end.append(self._judge_answer)
        tracing.on_request_exception.append(self._note_failure)
        return tracing

    async def _note_failure(self, _session: object, _context: object, failed: Any) -> None:
        self.failure = failure_of(failed.exception, opening=self.opening) or self.failure

    async def _judge_answer(self, _session: object, _context: object, end: Any) -> None:
        """Refuse a status that is neither an answer nor the switch to WebSocket.

        Raises:
            TransportUnreachable, TransportRefused: by what the status means.
        """
        self.heard_at = anyio.current_time()
        response: aiohttp.ClientResponse = end.response
        if response.status == 101 or 200 <= response.status < 300:
            return
        response.close()
        self.failure = self._refusal_in(response)
        raise self.failure

    def note_message(self, message: aiohttp.WSMessage, fault: BaseException | None) -> None:
        """A WebSocket has said something, or come to its end; by this fault, if there was one."""
        self.heard_at = anyio.current_time()
        broken = message.data if message.type is aiohttp.WSMsgType.ERROR else fault
        if isinstance(broken, aiohttp.WebSocketError):
            # The code is what we close with: aiohttp has it stand for the server's own.
            no_text = broken.code == aiohttp.WSCloseCode.INVALID_TEXT
            said = endings.NO_TEXT if no_text else endings.BROKEN_RULES
            self.failure = endings.another_protocol(said, opening=self.opening)
        elif broken is not None:
            self.failure = failure_of(broken, opening=self.opening) or self.failure

    def _refusal_in(self, response: aiohttp.ClientResponse) -> TransportError:
        status, headers = response.status, response.headers
        wait = seconds_to_wait(headers.get("Retry-After", ""))
        refusal = endings.refused_by_status(status, headers.get("Location", ""), wait)
        upgrades = refusal.ending is Ending.NO_WEBSOCKET and status != endings.SIGN_IN
        if self._polling and upgrades:
            said = f"the server answered HTTP {status} to a poll"
            if not self.opening:
                return TransportLost(
                    f"{said}: it knows us no more", ending=Ending.CLOSED, status=status
                )
            text = f"{said}: no Socket.IO is there; is the path right?"
            # A restart may bring it: so it is not "another protocol", which is hardly tried again.
            return TransportUnreachable(text, ending=Ending.NOT_CONNECTED, status=status)
        return refusal

    def _make_answer(self, *args: Any, **kwargs: Any) -> Answer:
        """An answer, which is the ledger's to close as well.

        The client never reads what its own messages are answered: such an answer lets go of its
        connection when it has come to its end, and there are servers that never come to it.
        """
        made = Answer(self, *args, **kwargs)
        self._answers = [answer for answer in self._answers if not answer.closed]
        self._answers.append(made)
        return made

    def require_room(self, size: int) -> None:
        """A part of an answer has come, which is so large by now.

        Raises:
            aiohttp.ClientPayloadError: too large.
        """
        self.heard_at = anyio.current_time()
        if size > self._max_answer:
            self.too_large = True
            raise aiohttp.ClientPayloadError("too large")

    def close_code(self) -> int | None:
        """WebSocket's code of the newest close, if there is one."""
        if self.too_large:
            return aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        return next((w.close_code for w in reversed(self._websockets)), None)

    def _make_socket(self, address: tuple[Any, ...]) -> socket.socket:
        if self._sealed:
            raise ConnectionAbortedError("the transport was closed while it opened")
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._sockets.append((made, _identity_of(made)))
        return made

    def _make_websocket(self, *args: Any, **kwargs: Any) -> WebSocket:
        made = WebSocket(self, *args, **kwargs)
        self._websockets.append(made)
        return made

    async def post(self, url: str, text: str) -> None:
        """Send a text to whom is polled; whatever becomes of it."""
        if self._session is not None and not self._session.closed:
            with suppress(OSError, aiohttp.ClientError, TransportError):
                sent = self._session.post(url, data=text, headers={"Content-Type": "text/plain"})
                async with sent as answer:
                    answer.close()

    async def send(self, text: str) -> bool:
        """Hand a text to the kernel; whether there was a WebSocket that took it."""
        with suppress(OSError, aiohttp.ClientError):
            for websocket in self._websockets:
                await websocket.send_str(text)
                return True
        return False

    async def send_close(self, text: str) -> None:
        """Hand a last text and WebSocket's close to the kernel, if it takes them at once.

        A peer that does not read would have to be waited for; it is told nothing.
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
        for made in self._open_sockets():
            with suppress(OSError):
                reset_on_close(made)

    def shut(self) -> None:
        """Seal, and shut every socket both ways; their transports close the descriptors."""
        self._sealed = True
        for made in self._open_sockets():
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
        with suppress(RuntimeError):  # the event loop is closed: nothing runs on it any more
            for websocket in self._websockets:
                if (transport := _transport_of(websocket)) is not None:
                    transport.abort()
                websocket._response.close()
            for answer in self._answers:
                answer.close()
            if self._session is not None and self._session.connector is not None:
                for closed in self._session.connector._close(abort_ssl=True):
                    cast("asyncio.Future[None]", closed).add_done_callback(_take_note)

    async def reap(self) -> None:
        """Wait until every descriptor is closed."""
        self._websockets.clear()
        if self._session is not None:
            await self._session.close()
        for _ in range(LAST_TURNS):
            if not self._open_sockets():
                return
            await asyncio.sleep(0)
        for made in self._open_sockets():  # a transport would have closed its own by now
            made.close()

    def _open_sockets(self) -> list[socket.socket]:
        """Those that are still ours to close.

        When a connection breaks while uvloop takes it over, uvloop closes the descriptor behind the
        back of its socket. The number is soon another's: it must be neither shut nor waited for.
        """
        for made, identity in self._sockets:
            if made.fileno() != -1 and identity is not None and _identity_of(made) != identity:
                made.detach()
        return [made for made, _ in self._sockets if made.fileno() != -1]


def _identity_of(made: socket.socket) -> int | None:
    """What tells a descriptor from a later one of the same number, where the system says so."""
    try:
        return os.fstat(made.fileno()).st_ino or None
    except OSError:
        return None


def _take_note(closed: asyncio.Future[None]) -> None:
    """Look at how a connection ended, so that asyncio does not complain that nobody did."""
    if not closed.cancelled():
        closed.exception()


def _transport_of(websocket: aiohttp.ClientWebSocketResponse) -> asyncio.WriteTransport | None:
    connection = websocket._response.connection
    return None if connection is None else cast("asyncio.WriteTransport", connection.transport)
