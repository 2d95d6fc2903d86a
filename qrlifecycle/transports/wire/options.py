"""What a connection is told beside its URL; checked where it is made, and shown nowhere."""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import h11

from ...errors import InvalidValue
from ...policy import is_positive
from ...secrecy import NotPickled, forget_arguments
from .address import Address, Split, split_url

__all__ = [
    "ENVIRONMENT",
    "HEARTBEAT",
    "MAX_MESSAGE_SIZE",
    "WireOptions",
    "check_context",
    "check_flags",
]

MAX_MESSAGE_SIZE = 1024 * 1024
"""Bytes of the largest message that is read. A QR code as a PNG data URL is about 10 kB."""

HEARTBEAT = 90.0
"""Seconds of silence after which a peer counts as dead. Engine.IO's defaults ping every 25 s and
wait 20 s."""

ENVIRONMENT = "environment"
"""The proxy that the environment names, if it does."""

OWN_HEADERS = frozenset({"connection", "upgrade", "content-length", "transfer-encoding"})
"""Headers that the handshake writes itself, beside all that begin with ``sec-websocket-``."""


@forget_arguments
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WireOptions(NotPickled):
    """How to connect. It may hold secrets: it shows none of them, and refuses to be pickled.

    Raises:
        InvalidValue: an argument that cannot be meant; the text names it, and holds no value.
    """

    headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    """HTTP headers of the handshake: a mapping, or pairs, which may repeat a name."""

    cookies: Mapping[str, str] = field(default_factory=dict)
    """Cookies of the handshake."""

    subprotocols: Iterable[str] = ()
    """Subprotocols to offer, the preferred one first."""

    ssl: ssl.SSLContext | None = None
    """For servers with a certificate of their own; what is verified is the context's to say."""

    proxy: str | None = ENVIRONMENT
    """An HTTP proxy's URL, with user and password if it wants them; None: none; "environment": what
    HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say. None is asked for this very machine."""

    max_message_size: int = MAX_MESSAGE_SIZE
    """Bytes of the largest message to read; a larger one ends the connection."""

    heartbeat: float = HEARTBEAT
    """Seconds without a byte after which the peer counts as dead; opening has as long in all."""

    ping_after: float | None = None
    """Seconds without a byte after which we ask with a ping; None: never, for the peer asks."""

    header_fields: tuple[tuple[bytes, bytes], ...] = field(init=False, default=())
    """Headers and cookies as they are sent."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "header_fields", _checked_headers(self.headers, self.cookies))
        object.__setattr__(self, "subprotocols", _checked_subprotocols(self.subprotocols))
        check_context(self.ssl)
        if self.proxy is not None and self.proxy != ENVIRONMENT:
            check_proxy(self.proxy, "proxy")
        check_limits(self.max_message_size, self.heartbeat)
        if self.ping_after is not None and not (
            is_positive(self.ping_after) and self.ping_after < self.heartbeat
        ):
            raise InvalidValue("ping_after must be above 0 and less than heartbeat")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def check_limits(max_message: object, heartbeat: object) -> None:
    """Raise `InvalidValue` for a limit or a heartbeat that cannot be meant."""
    if type(max_message) is not int or max_message <= 0:
        raise InvalidValue("max_message must be a whole number of bytes above 0")
    if not (is_positive(heartbeat) and heartbeat != math.inf):
        raise InvalidValue("heartbeat must be a finite number of seconds above 0")


def check_context(context: object, address: Address | None = None) -> None:
    """Raise `InvalidValue` for what is no TLS context, or would not be used at that address."""
    if not isinstance(context, ssl.SSLContext | None):
        raise InvalidValue(f"ssl_context must be an SSLContext, not {type(context).__name__}")
    if context is not None and address is not None and not address.secure:
        raise InvalidValue("ssl_context is given, and the URL is one without TLS (http, ws)")


def check_flags(**flags: object) -> None:
    """Raise `InvalidValue` for what is neither true nor false: the text "no" would be true."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise InvalidValue(f"{name} must be True or False, not {type(value).__name__}")


def check_proxy(url: str, what: str) -> Split:
    """Take a proxy's URL apart.

    Raises:
        InvalidValue: it is not one of a plain HTTP proxy; ``what`` names where it was given.
    """
    example = "http://host:port or http://user:password@host:port; SOCKS and https are not spoken"
    split = split_url(url, what, frozenset({"http"}), example)
    if split.parts.path not in {"", "/"} or split.parts.query or split.parts.fragment:
        raise InvalidValue(f"{what} names a proxy, and ends with its port")
    return split


def _checked_headers(given: object, cookies: object) -> tuple[tuple[bytes, bytes], ...]:
    """Headers as pairs, the cookies as the last.

    Raises:
        InvalidValue: see the text.
    """
    if not isinstance(cookies, Mapping):
        raise InvalidValue(f"cookies must be a mapping, not {type(cookies).__name__}")
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidValue(f"headers must be a mapping or pairs, not {type(given).__name__}")
    checked = []
    for pair in list(given.items() if isinstance(given, Mapping) else given):
        if not isinstance(pair, tuple | list) or [type(part) for part in pair] != [str, str]:
            raise InvalidValue("headers must be pairs of two texts, a name and a value")
        name, value = pair
        _check_header(name, value)
        checked.append((name.encode(), value.encode("latin-1")))
    names = [name.lower() for name, _ in checked]
    if names.count(b"host") > 1:
        raise InvalidValue("the header 'host' can be given but once")
    if cookies:
        if b"cookie" in names:
            raise InvalidValue("give cookies or a header Cookie, not both")
        pairs = "; ".join(f"{name}={value}" for name, value in _checked_cookies(cookies))
        checked.append((b"Cookie", pairs.encode()))
    return tuple(checked)


def _check_header(name: str, value: str) -> None:
    lower = name.lower()
    if lower in OWN_HEADERS or lower.startswith("sec-websocket-"):
        more = "; give subprotocols" if lower == "sec-websocket-protocol" else ""
        raise InvalidValue(f"the header {lower!r} is the handshake's own to write{more}")
    if not _can_be_sent(name, value):
        shown = repr(name) if _can_be_sent(name, "") else "of that name"
        raise InvalidValue(f"the header {shown} cannot be sent: ASCII names, values of one line")


def _can_be_sent(name: str, value: str) -> bool:
    """Whether HTTP's own grammar, as h11 has it, takes a header."""
    try:
        # A response, for a request would also have to have exactly one header Host.
        h11.InformationalResponse(
            status_code=100, headers=[(name.encode("ascii"), value.encode("latin-1"))]
        )
    except (h11.LocalProtocolError, UnicodeError):
        return False
    return True


def _checked_cookies(cookies: Mapping[object, object]) -> list[tuple[str, str]]:
    checked = []
    for name, value in cookies.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise InvalidValue("cookies must be texts by their names")
        if not name or set(name + value) & set('; ,\t\r\n\0"\\') or "=" in name:
            raise InvalidValue("a cookie cannot be sent: no blanks, commas, semicolons or quotes")
        if not (name + value).isascii() or not (name + value).isprintable():
            raise InvalidValue("a cookie cannot be sent: it must be of printable ASCII")
        checked.append((name, value))
    return checked


def _checked_subprotocols(given: object) -> tuple[str, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidValue("subprotocols must be names, in a tuple")
    names = tuple(given)
    for name in names:
        if not isinstance(name, str) or not _can_be_sent(name, ""):
            raise InvalidValue("a subprotocol must be a name such as 'v1.pairing', without blanks")
    if len(set(names)) != len(names):
        raise InvalidValue("subprotocols must be different from each other")
    return names
