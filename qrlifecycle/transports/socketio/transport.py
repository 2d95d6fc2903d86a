"""The Socket.IO transport: what a program opens, receives from and closes.

Everything runs in the task that calls. There is no task of its own, so there is none to end.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence

import anyio.lowlevel
from anyio import EndOfStream

from ...errors import Ending, TransportError, TransportLost, TransportUnreachable
from ...secrecy import forgetful, shown_half_made
from ..handshake import check_namespace, engineio_address, joining_of
from ..messages import DEFAULT_SIGNALS, SignalMap
from ..owner import Owner
from ..pair import PairTransport, check_headers, pair_of
from ..wire import WebSocketConnection, WiredTransport, WireOptions, endings
from ..wire.options import ENVIRONMENT, HEARTBEAT, MAX_MESSAGE_SIZE
from .protocol import Message, SocketIOProtocol

__all__ = ["SocketIOTransport"]

TURN_AFTER = 3
"""Messages of one read after which others have a turn. A read may hold a thousand small ones, which
take as many times 20 µs; what a healthy server sends at once is fewer than this."""

NOT_OPENED = (
    "the WebSocket is open, but nothing of Socket.IO came; is the path a Socket.IO server's?"
)
NOT_JOINED = "it speaks Socket.IO, but did not answer our wish to join the namespace"

SERVERS_HEARTBEAT = "the server's pingInterval and pingTimeout"


@shown_half_made
class SocketIOTransport(PairTransport, WiredTransport):
    """Hears signals from a Socket.IO server (3 or newer), on asyncio, uvloop and trio.

    It speaks WebSocket from the first byte, on a socket of its own. Where something on the way lets
    no WebSocket through, `AsyncClientTransport` polls.

    A server that closes is gone in order (`EndOfStream`) if it says so in Socket.IO's or
    Engine.IO's words, or by WebSocket's close without a code, or with 1000 ("done") or 1001 ("going
    away", as servers say that restart). With any other code, or without a word, it is lost.

    Args:
        url: the server, ``http``, ``https``, ``ws`` or ``wss``. Its path is where the server lives,
            if it is not at the top: ``socketio_path`` is below it. A query in it is sent along, and
            user and password as HTTP's Basic.
        bot_id: the bot to listen for; sent on connecting as ``botId``.
        user_id: the user to listen for; sent on connecting as ``userId``. Messages that name
            another bot or user are dropped, unless ``owner`` says what to look at.
        auth: sent on connecting beside the two ids; a token, usually.
        headers: HTTP headers of the handshake.
        cookies: cookies of the handshake.
        namespace: the Socket.IO namespace.
        signals: from the name of a message to what makes a signal of its payload.
        owner: whose messages are meant, for a service that tells everybody everything: by where a
            message says it, what it says there if it is ours (``{"data.session": "bot-7"}``). One
            that names another there is dropped, and so is a signal that does not say each of the
            values, at one of its keys. In place of the two ids: unless given, ``botId`` and
            ``userId`` are looked for, and what names nobody is for everybody.
        socketio_path: where on the server Socket.IO is.
        ssl_context: for servers with a certificate of their own; verification is the context's.
        proxy: an HTTP proxy's URL, None for none, or "environment" for what that says.
        max_message: bytes of the largest message to read; a larger one breaks the connection. The
            attachments of one message have as much together.
        heartbeat: seconds of silence after which a peer counts as dead, also while opening. A
            server that asks for less (Engine.IO's ``pingInterval`` and ``pingTimeout``) gets it.

    Raises:
        InvalidValue: an argument that cannot be meant, or that cannot be used with the others; the
            text names it.
    """

    __slots__ = ("_begun", "_greeting", "_pair", "_protocol")

    @forgetful
    def __init__(
        self,
        url: str,
        *,
        bot_id: str,
        user_id: str,
        auth: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        namespace: str = "/",
        signals: SignalMap = DEFAULT_SIGNALS,
        owner: Owner | None = None,
        socketio_path: str = "socket.io",
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = ENVIRONMENT,
        max_message: int = MAX_MESSAGE_SIZE,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        address = engineio_address(url, socketio_path)
        self._pair = pair_of(url, bot_id, user_id, signals, owner)
        joining = joining_of(auth, {"botId": bot_id, "userId": user_id})
        check_namespace(namespace)
        check_headers(headers)
        options = WireOptions(
            headers=headers or {},
            cookies={} if cookies is None else cookies,
            ssl=ssl_context,
            proxy=proxy,
            max_message_size=max_message,
            heartbeat=heartbeat,
        )
        super().__init__(WebSocketConnection(address, options))
        self._protocol = SocketIOProtocol(namespace, joining, max_message)
        self._begun = self._greeting = False

    async def open(self) -> None:
        """Connect, join the namespace, and listen; see `Transport.open`."""
        if self._begun or self._left:
            raise endings.abandoned("a transport is opened once; make a fresh one")
        self._begun = True
        try:
            await super().open()
            return
        except TransportUnreachable as error:
            failure = self._with_stage(error)
        try:
            raise failure
        finally:
            del failure  # its frames, of which this is one, hold it: a circle otherwise

    def _with_stage(self, error: TransportUnreachable) -> TransportUnreachable:
        """Of a silent server: how far it came."""
        if error.ending is not Ending.SILENT or not self._greeting:
            return error.with_traceback(None)
        stage = NOT_JOINED if self._protocol.beat is not None else NOT_OPENED
        return error.retold(TransportUnreachable, f"{error}: {stage}")

    async def _greet(self) -> None:
        """Wait until the server has let us into the namespace."""
        self._greeting = True
        while not self._protocol.joined:
            await self._read_next()

    async def _read_next(self) -> None:
        message: str | bytes | None = await self._wire.receive()
        taken = 0
        while message is not None:
            self._read(message)
            taken += 1
            if taken % TURN_AFTER == 0:
                # Not one that may be cancelled: a final status check is to find what has arrived,
                # whatever stands before it. A read has an end, and then the cancellation comes out.
                await anyio.lowlevel.cancel_shielded_checkpoint()
            message = self._wire.receive_nowait()

    def _read(self, message: str | bytes) -> None:
        protocol = self._protocol
        try:
            news = protocol.take(message)
        except EndOfStream:
            news = ()
            self._end(EndOfStream())
        for one in news:
            if isinstance(one, Message):
                self._take_message(one.name, one.args)
            else:
                self._take(one)
        if protocol.answers:
            self._answer(protocol)

    def _answer(self, protocol: SocketIOProtocol) -> None:
        """Send what the server waits for, before anybody hears what it said, and may leave."""
        for text in protocol.answers:
            self._wire.send_nowait(text)
        protocol.answers.clear()
        if not protocol.joined and protocol.beat is not None:
            beat = protocol.beat
            if 0 < beat <= self._wire.heartbeat:  # NaN is neither
                self._wire.set_heartbeat(beat, SERVERS_HEARTBEAT)

    def _farewells(self) -> Sequence[str]:
        return [self._protocol.goodbye()] if self._protocol.joined else ()

    def _lost(self, error: TransportError) -> TransportError:
        protocol = self._protocol
        if protocol.joined or protocol.beat is None or not isinstance(error, TransportLost):
            return error
        text = f"the server did not let us into the namespace: {error}"
        return error.retold(TransportUnreachable, text)
