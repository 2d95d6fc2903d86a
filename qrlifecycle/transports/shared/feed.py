"""A Socket.IO connection that hears everybody's messages, and says whose each one is."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack, cast

from ...errors import InvalidValue
from ...secrecy import forgetful
from ..handshake import check_auth
from ..messages import DEFAULT_SIGNALS, SignalMap, address_message
from ..socketio.protocol import SocketIOProtocol
from ..socketio.transport import SocketIOTransport
from ..wire.options import MAX_MESSAGE_SIZE

__all__ = ["FeedOptions", "SocketIOFeed"]

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
        joining = check_auth(auth, {})
        self._protocol = SocketIOProtocol(namespace, joining, max_message)
        self._ways = USUAL if owner is None else _ways(owner)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._pair.origin}>"

    def _take_message(self, name: str, args: tuple[object, ...]) -> None:
        self._take(address_message(self._pair.signals, name, args, self._ways), name)


def _ways(owner: object) -> tuple[tuple[str, ...], ...]:
    valid = isinstance(owner, Sequence) and not isinstance(owner, str | bytes) and bool(owner)
    if not valid or not all(isinstance(place, str) and place for place in cast("Any", owner)):
        raise InvalidValue(
            "owner must be where messages say whose they are, as in ['data.session']"
        )
    return tuple((place,) for place in cast("Sequence[str]", owner))
