"""Connections that hear everybody's messages, and say whose each one is."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypedDict, Unpack, cast

from ...errors import InvalidValue
from ...secrecy import forgetful
from ...signals import Addressed, Signal, StatusChanged
from ..handshake import joining_of
from ..messages import DEFAULT_SIGNALS, Drop, Dropped, SignalMap, address_message
from ..owner import named_in
from ..socketio.protocol import SocketIOProtocol
from ..socketio.transport import SocketIOTransport
from ..websocket import Message, Said, WebSocketTransport
from ..wire.options import MAX_MESSAGE_SIZE

__all__ = ["FeedOptions", "SocketIOFeed", "WebSocketFeed", "WebSocketFeedOptions"]

EVERYBODY = "*"
"""For whom a feed is, where a text has to stand."""

USUAL = (("botId", "bot_id"), ("userId", "user_id"))
"""Where a message says whose it is, unless told otherwise: a bot, and a user."""


class FeedOptions(TypedDict, total=False):
    """What a feed takes as `SocketIOTransport` does, under the same names."""

    headers: Mapping[str, str] | None
    cookies: Mapping[str, str] | None
    socketio_path: str
    ssl_context: ssl.SSLContext | None
    proxy: str | None
    heartbeat: float


class WebSocketFeedOptions(TypedDict, total=False):
    """What a feed takes as `WebSocketTransport` does, under the same names."""

    text: bool
    greeting: Said | Iterable[Said]
    welcome: Callable[[Message], bool] | None
    refusing: Collection[int]
    wait_for_pong: bool
    headers: Mapping[str, str] | Iterable[tuple[str, str]]
    cookies: Mapping[str, str] | None
    subprotocols: Iterable[str]
    ssl_context: ssl.SSLContext | None
    proxy: str | None
    max_message: int
    heartbeat: float


class SocketIOFeed(SocketIOTransport):
    """What a `SharedSocket` opens to a Socket.IO server that tells everybody everything.

    ::

        SharedSocket(partial(SocketIOFeed, url, owner=["instance"], auth={"token": token}))

    Args:
        url: the server, see `SocketIOTransport`.
        owner: where a message says whose it is: one place for each part of a member's key, as in
            ``["data.session"]`` for ``member("bot-7")``. Unless given, a bot (``botId``) and a user
            (``userId``), for ``member("bot-7", "user-123")``.
        auth: sent on connecting, and nothing beside it.
        namespace: the Socket.IO namespace.
        signals: from the name of a message to what makes a signal of its payload.
        max_message: bytes of the largest message to read.
        options: the others of `SocketIOTransport`.

    Raises:
        InvalidValue: an argument that cannot be meant; the text names it.
    """

    __slots__ = ("_ways",)

    @forgetful
    def __init__(
        self,
        url: str,
        *,
        owner: Sequence[str] | None = None,
        auth: Mapping[str, object] | None = None,
        namespace: str = "/",
        signals: SignalMap = DEFAULT_SIGNALS,
        max_message: int = MAX_MESSAGE_SIZE,
        **options: Unpack[FeedOptions],
    ) -> None:
        super().__init__(
            url,
            bot_id=EVERYBODY,
            user_id=EVERYBODY,
            namespace=namespace,
            signals=signals,
            max_message=max_message,
            **options,
        )
        joining = joining_of(auth, {})
        self._protocol = SocketIOProtocol(namespace, joining, max_message)
        self._ways = USUAL if owner is None else _ways(owner)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._pair.origin}>"

    def _take_message(self, name: str, args: tuple[object, ...]) -> None:
        self._take(address_message(self._pair.signals, name, args, self._ways), name)


class WebSocketFeed(WebSocketTransport):
    """What a `SharedSocket` opens to a service that tells everybody everything over a WebSocket.

    ::

        def read(said):
            if said["event"] == "linked":
                return Addressed((said["session"],), Paired(said["me"]))

        SharedSocket(partial(WebSocketFeed, url, read))

    Args:
        url: the server, see `WebSocketTransport`.
        read: makes of a message a signal, or several, as for `WebSocketTransport`, each `Addressed`
            to whose it is, unless ``owner`` says that. Only a `StatusChanged` may name nobody: it
            is for all. Whatever else says not whose it is, is malformed.
        owner: where a message says whose it is, one place for each part of a member's key:
            ``["data.session"]`` for ``member("bot-7")``. What `read` addresses itself is for whom
            it says.
        options: the others of `WebSocketTransport`.

    Raises:
        InvalidValue: an argument that cannot be meant; the text names it.
    """

    __slots__ = ("_ways",)

    @forgetful
    def __init__(
        self,
        url: str,
        read: Callable[[Message], Signal | Iterable[Signal] | None],
        *,
        owner: Sequence[str] | None = None,
        **options: Unpack[WebSocketFeedOptions],
    ) -> None:
        super().__init__(url, read, **options)
        if owner is not None and options.get("text"):
            raise InvalidValue("owner needs messages of JSON: with text=True, have `read` address")
        self._ways = () if owner is None else _ways(owner)

    def _signals_in(self, said: Message) -> list[Signal] | Dropped:
        signals = super()._signals_in(said)
        if not isinstance(signals, list):
            return signals
        if self._ways and not all(isinstance(one, Addressed) for one in signals):
            key = tuple(named_in(said, names) for names in self._ways)
            for place, one in enumerate(signals):
                if not isinstance(one, Addressed):
                    signals[place] = Addressed(key, one)
        if not all(isinstance(one, Addressed | StatusChanged) for one in signals):
            return Dropped(Drop.MALFORMED, "`read` gave back a signal that is not Addressed")
        return signals


def _ways(owner: object) -> tuple[tuple[str, ...], ...]:
    valid = isinstance(owner, Sequence) and not isinstance(owner, str | bytes) and bool(owner)
    if not valid or not all(isinstance(place, str) and place for place in cast("Any", owner)):
        raise InvalidValue(
            "owner must be where messages say whose they are, as in ['data.session']"
        )
    return tuple((place,) for place in cast("Sequence[str]", owner))
