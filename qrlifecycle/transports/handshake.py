"""What a Socket.IO handshake needs to be told, and what its failure means.

Arguments are checked and errors explained, and no URL, token or server's text gets into any text of
ours. Nothing here opens anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from socketio.exceptions import SocketIOError

from ..errors import InvalidValue, TransportError, TransportRefused, TransportUnreachable

__all__ = ["check_auth", "check_url", "explain", "refusal"]


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
        return type(error)(str(error))  # it went through the client's frames, which hold headers
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


def refusal(args: tuple[object, ...]) -> TransportError:
    """The typed error for a namespace that was not joined, by what the server sent with it."""
    said = [arg.get("message") if isinstance(arg, dict) else arg for arg in args]
    if any(isinstance(text, str) and text in NO_SUCH_NAMESPACE for text in said):
        return TransportUnreachable("the server has no such namespace")
    return TransportRefused("the server refused the credentials or the bot")
