"""JSON or text over WebSocket, as many services speak it: what a message means is yours to say."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from ..calling import require_plain_function
from ..errors import (
    Ending,
    InvalidValue,
    Malformed,
    TransportError,
    TransportRefused,
)
from ..secrecy import forgetful, shown_half_made
from ..signals import Signal
from ..values import json_in
from .messages import Drop, Dropped
from .owner import Owner, Whose, keys_of, unsaid, whose_is
from .push import CANNOT_BE_MEANT
from .wire import WebSocketConnection, WiredTransport, WireOptions
from .wire.options import (
    ENVIRONMENT,
    HEARTBEAT,
    MAX_MESSAGE_SIZE,
    check_flags,
    check_limits,
)

__all__ = ["REFUSING", "Said", "WebSocketTransport"]

REFUSING = frozenset({1008, 4401, 4403})
"""Close codes that turn us away for good, unless told otherwise: "policy violation" (RFC 6455,
section 7.4.1), as frameworks close a connection that is not authorised, and HTTP's 401 and 403 in
the range that services may use as they like."""

Message = Any
"""What JSON can say: parsed; or text and bytes as they came."""

Said = str | bytes | Mapping[str, object]
"""What a client may say; a mapping goes as JSON."""


@shown_half_made
class WebSocketTransport(WiredTransport):
    """Hears signals over a plain WebSocket, on asyncio, uvloop and trio.

    Args:
        url: the server, ``ws`` or ``wss``, or the same as ``http`` or ``https``. It may hold user
            and password, which are sent as HTTP's Basic, and a query.
        read: makes a signal of a message, or several; none of them (an empty tuple) of one with
            nothing to say, None of one that it does not know, which is counted and logged. One that
            cannot be meant may raise `ValueError`, `TypeError`, `LookupError` or `AttributeError`:
            it is dropped, counted and logged. A `TransportError` ends the connection.
        text: hand `read` each message as it came, as text or bytes, and not parsed as JSON.
        owner: whose messages are meant: by where a message says it, what it says there if it is
            ours (``{"data.session": "bot-7"}``). One that names another there is dropped, and so is
            a signal that does not say each of the values, at one of its keys. They are the
            transport's `subject`.
        greeting: what to say first: a text, bytes, or a mapping, which is sent as JSON; or several.
        welcome: whether a message is the server's word that it listens to us; opening waits for it.
            It may raise `TransportRefused`. None: it listens at once.
        refusing: the close codes with which the server turns us away for good.
        wait_for_pong: whether opening waits until the server has answered a ping, or said anything
            else: for one that lets everybody in, and turns clients away right after the handshake.
        headers: HTTP headers of the handshake.
        cookies: cookies of the handshake.
        subprotocols: subprotocols to offer.
        ssl_context: for servers with a certificate of their own; verification is the context's.
        proxy: an HTTP proxy's URL, None for none, or "environment" for what that says.
        max_message: bytes of the largest message to read; a larger one breaks the connection.
        heartbeat: seconds of silence after which the server counts as dead, also while opening.
            After half of it the server is asked by a ping.

    Raises:
        InvalidValue: an argument that cannot be meant; the text names it.
    """

    __slots__ = (
        "_greeting",
        "_keys",
        "_reader",
        "_refusing",
        "_text",
        "_unwelcome",
        "_wait_for_pong",
        "_welcome",
        "_welcomed",
    )

    @forgetful
    def __init__(
        self,
        url: str,
        read: Callable[[Message], Signal | Iterable[Signal] | None],
        *,
        text: bool = False,
        owner: Owner | None = None,
        greeting: Said | Iterable[Said] = (),
        welcome: Callable[[Message], bool] | None = None,
        refusing: Collection[int] = REFUSING,
        wait_for_pong: bool = False,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        cookies: Mapping[str, str] | None = None,
        subprotocols: Iterable[str] = (),
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = ENVIRONMENT,
        max_message: int = MAX_MESSAGE_SIZE,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        check_flags(text=text, wait_for_pong=wait_for_pong)
        require_plain_function("read", read)
        if welcome is not None:
            require_plain_function("welcome", welcome)
        if owner is not None and text:
            raise InvalidValue("owner needs messages of JSON: with text=True, have `read` compare")
        self._keys = () if owner is None else keys_of(owner)
        self._greeting = _encoded(greeting)
        self._refusing = _checked_codes(refusing)
        self._reader, self._welcome, self._text = read, welcome, text
        self._welcomed, self._unwelcome = welcome is None, False
        check_limits(max_message, heartbeat)
        self._wait_for_pong = wait_for_pong
        options = WireOptions(
            headers=headers,
            cookies={} if cookies is None else cookies,
            subprotocols=subprotocols,
            ssl=ssl_context,
            proxy=proxy,
            max_message_size=max_message,
            heartbeat=heartbeat,
            ping_after=heartbeat / 2,
        )
        super().__init__(
            WebSocketConnection(url, options),
            tuple(dict.fromkeys(ours for _, ours in self._keys)) or None,
        )

    def __repr__(self) -> str:
        whose = f" for {self.subject!r}" if self.subject else ""
        return f"<{type(self).__name__} {self._wire.origin}{whose}>"

    async def _greet(self) -> None:
        for said in self._greeting:
            await self._wire.send(said)
        self._unwelcome = not self._welcomed
        while not self._welcomed:
            await self._read_next()
        if self._wait_for_pong:
            await self._wire.wait_until_heard()

    def _read(self, message: str | bytes) -> None:
        try:
            self._take_read(self._meaning, message)
        except TransportError as error:
            if not self._welcomed:
                raise
            self._end(error)

    def _meaning(self, message: str | bytes) -> Iterable[Signal] | Dropped | Drop:
        said = message if self._text else _parsed(message)
        whose = whose_is(said, self._keys)
        if whose is Whose.ANOTHERS:
            return Drop.FOREIGN
        if not self._welcomed and self._welcome is not None:
            self._welcomed = bool(self._welcome(said))
            if self._welcomed:
                return ()
        meaning = self._signals_in(said)
        if self._keys and isinstance(meaning, list) and meaning and whose is Whose.NOBODYS:
            raise unsaid(self._keys)
        return meaning

    def _signals_in(self, said: Message) -> list[Signal] | Dropped:
        """What `read` makes of a message; what it does not know is counted, and is nothing."""
        meaning = self._reader(said)
        if meaning is None:
            self._take(Drop.UNKNOWN, _name_of(said))
            return []
        signals = [meaning] if isinstance(meaning, Signal) else list(meaning)
        if not all(isinstance(signal, Signal) for signal in signals):
            return Dropped(Drop.MALFORMED, "`read` gave back what is no signal")
        return signals

    def _lost(self, error: TransportError) -> TransportError:
        if self._unwelcome and not self._welcomed and error.ending is Ending.SILENT:
            said = f"{error}: nothing that it said is what `welcome` waits for"
            return error.retold(type(error), said)
        if error.code is None or error.code not in self._refusing:
            return error
        return TransportRefused(
            f"the server turned us away with WebSocket code {error.code}: it does not accept the "
            "credentials, or does not let them in there",
            ending=Ending.REFUSED,
            code=error.code,
        )


def _parsed(message: str | bytes) -> object:
    with suppress(ValueError, RecursionError):
        return json_in(message)
    raise Malformed("message", "is no JSON; what is not, is given to `read` with text=True")


def _name_of(said: object) -> str | None:
    """What a message is called, where it says so as most do: for the log."""
    if not isinstance(said, Mapping):
        return None
    names = (said.get(key) for key in ("event", "type"))
    return next((name for name in names if isinstance(name, str)), None)


def _checked_codes(codes: object) -> frozenset[int]:
    if not isinstance(codes, Collection) or isinstance(codes, str | bytes):
        raise InvalidValue(f"refusing must be close codes, not {type(codes).__name__}")
    for code in codes:
        if type(code) is not int or not 1000 <= code < 5000:
            raise InvalidValue("refusing must be WebSocket close codes, from 1000 to 4999")
    if not {1000, 1001}.isdisjoint(codes):
        raise InvalidValue(
            "refusing cannot hold 1000 and 1001, with which a server closes in order"
        )
    return frozenset(codes)


def _encoded(greeting: object) -> tuple[str | bytes, ...]:
    if isinstance(greeting, str | bytes | Mapping):
        greeting = (greeting,)
    valid = isinstance(greeting, Iterable)
    encoded: list[str | bytes] = []
    if isinstance(greeting, Iterable):
        try:
            for said in greeting:
                valid = valid and isinstance(said, str | bytes | Mapping)
                encoded.append(said if isinstance(said, str | bytes) else json.dumps(said))
        except CANNOT_BE_MEANT:
            valid = False
    if not valid:
        raise InvalidValue(
            "greeting must be text, bytes, or a mapping that JSON can say; or several"
        )
    return tuple(encoded)
