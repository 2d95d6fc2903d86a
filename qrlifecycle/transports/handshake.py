"""What a Socket.IO handshake needs to be told, and what its failure means.

Arguments are checked and errors explained, and no URL, token or server's text gets into any text of
ours. Nothing here opens anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

from socketio.exceptions import SocketIOError

from ..errors import (
    Ending,
    InvalidValue,
    TransportError,
    TransportRefused,
    TransportUnreachable,
)

__all__ = ["CLOSED_EARLY", "TOO_OLD", "check_auth", "check_url", "engineio_url", "explain", "refusal"]

CLOSED_EARLY = "the server closed before the namespace was joined"

TOO_OLD = "the server speaks Socket.IO 2; Socket.IO 3 or newer is needed"


def check_url(url: str) -> None:
    """Raise `InvalidValue` for a URL that no server can have."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https", "ws", "wss"} and parts.hostname
        _ = parts.port
    except (ValueError, AttributeError, TypeError):
        valid = False
    if not valid:  # the URL itself may hold a token
        raise InvalidValue("the server's URL must look like http://host:port, or https, ws, wss")


def check_auth(auth: Mapping[str, object]) -> None:
    """Raise `InvalidValue` for what cannot be sent."""
    try:
        json.dumps(auth)
    except (TypeError, ValueError):
        raise InvalidValue("auth must hold only what JSON can say") from None


def explain(error: BaseException) -> TransportError:
    """The typed error for whatever the client raised on connecting; never with its text."""
    if isinstance(error, TransportError):
        return error
    chain: BaseException | None = error
    while chain is not None:
        status = getattr(chain, "status", None)
        if status in {401, 403}:
            return TransportRefused(f"the server answered HTTP {status} to the handshake")
        if isinstance(status, int) and status:
            return TransportUnreachable(f"the server answered HTTP {status} to the handshake")
        if isinstance(chain, OSError) and chain.strerror:
            return TransportUnreachable(f"cannot connect: {chain.strerror}")
        chain = chain.__cause__ or chain.__context__
    if isinstance(error, SocketIOError):
        return TransportUnreachable("the server does not speak Socket.IO over WebSocket")
    return TransportUnreachable(f"the handshake was malformed ({type(error).__name__})")


NO_SUCH_NAMESPACE = {"Invalid namespace", "Unable to connect"}
"""How Node's servers, in an object, and Python's, bare, say that there is no such namespace."""

FOR_NOW = {408, 425, 429, *range(500, 600)}
"""HTTP's numbers for "not now", which a service's middleware gives as its error's code."""

CODES = ("code", "status", "statusCode", "status_code")
WAITS = ("retryAfter", "retry_after")


def refusal(said: object) -> TransportError:
    """The typed error for a namespace that was not joined, by what the server sent with it.

    What a middleware says is free in form. ``data`` of its error is where Socket.IO has it put more
    than a text: a number there that HTTP has for "not now", or a time to wait, and it is for now.
    """
    parts = said if isinstance(said, list | tuple) else [said]
    texts = [part.get("message") if isinstance(part, dict) else part for part in parts]
    if any(isinstance(text, str) and text in NO_SUCH_NAMESPACE for text in texts):
        return TransportUnreachable("the server has no such namespace", ending=Ending.NOT_CONNECTED)
    details = [detail for part in parts for detail in _details_of(part)]
    code = _first_number(details, CODES)
    wait = _first_number(details, WAITS)
    status = int(code) if code in range(100, 600) else None
    number = "" if status is None else f" (code {status})"
    if status in FOR_NOW or (wait is not None and status not in {401, 403}):
        text = f"the server lets nobody in for now{number}"
        return TransportUnreachable(
            text, ending=Ending.TRY_LATER, status=status, retry_after=wait
        )
    text = f"the server refused the credentials or the bot{number}"
    return TransportRefused(text, ending=Ending.REFUSED, status=status)


def _details_of(part: object) -> list[dict[str, object]]:
    """Where a middleware's error may say more than a text."""
    if not isinstance(part, dict):
        return []
    data = part.get("data")
    inner = data if isinstance(data, list) else [data]
    return [part, *(detail for detail in inner if isinstance(detail, dict))]


def _first_number(details: list[dict[str, object]], names: tuple[str, ...]) -> float | None:
    """The first number under one of these names; text may hold one, too."""
    for value in (detail.get(name) for detail in details for name in names):
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            with suppress(ValueError, OverflowError):
                if math.isfinite(number := float(value)):
                    return number
    return None


def engineio_url(url: str, path: str) -> str:
    """Where Engine.IO's WebSocket is, below the URL's own path."""
    parts = urlsplit(url)
    below = "/".join(part for part in (parts.path.strip("/"), path.strip("/")) if part)
    query = "&".join(part for part in (parts.query, "transport=websocket", "EIO=4") if part)
    return urlunsplit((parts.scheme, parts.netloc, f"/{below}/", query, ""))
