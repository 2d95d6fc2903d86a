"""What a Socket.IO handshake is given, and what a refusal in it means.

Arguments are checked where a transport is made, and no URL, token or server's text gets into any
text of ours, or into anything that an error keeps. Nothing here opens anything.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

from ..errors import (
    Ending,
    InvalidValue,
    TransportError,
    TransportRefused,
    TransportUnreachable,
)
from ..values import NOT_NOW, UNAUTHORIZED
from .wire.address import NOT_IN_A_URL, Address, address_at, address_of, split_server

__all__ = [
    "CLOSED_EARLY",
    "NOT_JSON",
    "TOO_OLD",
    "check_auth",
    "check_namespace",
    "engineio_address",
    "engineio_path",
    "joining_of",
    "origin_of",
    "recovers",
    "refusal",
    "without_offset",
]

ENGINEIO = "transport=websocket&EIO=4"
"""What Engine.IO says in the query."""

CLOSED_EARLY = "the server closed before the namespace was joined"

TOO_OLD = "the server speaks Socket.IO 2; Socket.IO 3 or newer is needed"


NOT_JSON = "auth must hold only what JSON can say"


def joining_of(auth: object, ids: Mapping[str, str]) -> dict[str, object]:
    """What is sent on joining: ``auth``, and the ids of those who are listened for, if any.

    Raises:
        InvalidValue: it is no mapping, or says an id that is not the one beside it.
    """
    if auth is not None and not isinstance(auth, Mapping):
        raise InvalidValue(f"auth must be a mapping, not {type(auth).__name__}")
    for key, value in ids.items():
        if auth and auth.get(key, value) != value:
            raise InvalidValue(f"auth has a {key!r} of its own, which differs from the one given")
    return {**(auth or {}), **ids}


def check_auth(auth: object, ids: Mapping[str, str]) -> dict[str, object]:
    """The same for whoever writes it later, and must know now that it can be written.

    Raises:
        InvalidValue: as `joining_of`, or it cannot be sent.
    """
    joining = joining_of(auth, ids)
    valid = True
    try:
        json.dumps(joining, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        valid = False
    if not valid:
        raise InvalidValue(NOT_JSON)
    return joining


def check_namespace(namespace: object) -> None:
    """Raise `InvalidValue` for a namespace that can never be joined.

    On the wire a namespace ends at a comma, and servers leave out what follows a question mark.
    """
    if not isinstance(namespace, str) or not namespace.startswith("/"):
        raise InvalidValue("namespace must be text that starts with '/'")
    if "?" in namespace:
        raise InvalidValue("namespace has a '?': give the query in the URL, or a token in auth=")
    if "," in namespace or not namespace.isprintable():
        raise InvalidValue("namespace has a ',' or what cannot be printed: it can never be joined")


def engineio_path(url: str, path: str) -> str:
    """Where Engine.IO is on the server: below the path of its URL, if that has one.

    Raises:
        InvalidValue: a URL that no server can have, or a path that is none.
    """
    address_of(url)
    return _below(urlsplit(url).path, path)


def _below(base: str, path: str) -> str:
    if not isinstance(path, str) or NOT_IN_A_URL.search(path) or "?" in path or "#" in path:
        raise InvalidValue("socketio_path must be a path, such as 'socket.io', and no more")
    return "/".join(filter(None, (base.strip("/"), path.strip("/"))))


def engineio_address(url: str, path: str) -> Address:
    """Where Engine.IO's WebSocket is.

    Raises:
        InvalidValue: as `engineio_path`, or the query says what is not its to say.
    """
    split = split_server(url)
    below, said = _below(split.parts.path, path), _checked_query(split.parts.query)
    query = f"{said}&{ENGINEIO}" if said else ENGINEIO
    return address_at(split, f"/{below}/" if below else "/", query)


def _checked_query(query: str) -> str:
    said = {key for key, _ in parse_qsl(query, keep_blank_values=True)} if query else set()
    if {"EIO", "transport"} & said:
        raise InvalidValue("the URL's query says EIO or transport, which Engine.IO says itself")
    return query


def origin_of(url: str) -> str:
    """Scheme, host and port, as they were given; no more of a URL is shown."""
    parts = urlsplit(url)
    _, _, place = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{place}"


OFFSET = re.compile(r"[\w.-]{3,64}", re.ASCII)
"""What servers count messages by: a time in 64 digits, Redis' and MongoDB's identifiers."""


def recovers(joined: object) -> bool:
    """Whether a server, by what it says on joining, can bring back a connection that broke.

    Node's, with ``connectionStateRecovery``. It puts an offset behind what it has to say.
    """
    return isinstance(joined, dict) and isinstance(joined.get("pid"), str)


def without_offset(args: Sequence[object]) -> tuple[object, ...]:
    """The arguments of an event, of a server that `recovers` and asks for no acknowledgement.

    Else what came without arguments would have one. A volatile event has no offset, so of such a
    server's the last word is lost if it looks like one.
    """
    last = args[-1] if args else None
    counted = isinstance(last, str) and OFFSET.fullmatch(last) is not None
    return tuple(args[:-1] if counted else args)


NO_SUCH_NAMESPACE = {"Invalid namespace", "Unable to connect"}
"""How Node's servers, in an object, and Python's, bare, say that there is no such namespace."""

FOR_NOW = NOT_NOW | {*range(500, 600)}
"""HTTP's numbers that a service's middleware gives as its error's code, and that may pass."""

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
    status = int(code) if code is not None and code in range(100, 600) else None
    number = "" if status is None else f" (code {status})"
    if status in FOR_NOW or (wait is not None and status not in UNAUTHORIZED):
        text = f"the server lets nobody in for now{number}"
        return TransportUnreachable(text, ending=Ending.TRY_LATER, status=status, retry_after=wait)
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
