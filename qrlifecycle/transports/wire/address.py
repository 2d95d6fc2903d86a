"""Where a connection leads: a URL taken apart and checked, with nothing in it passed over."""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from ...errors import InvalidValue

__all__ = [
    "Address",
    "Split",
    "address_at",
    "address_of",
    "place_of",
    "split_server",
    "split_url",
]

SECURE = frozenset({"https", "wss"})
SCHEMES = SECURE | {"http", "ws"}

NOT_IN_A_URL = re.compile(r"[\s\x00-\x1f\x7f\ud800-\udfff]")
"""What `urlsplit` would leave out without a word, a server would read as something else, or no
bytes stand for: a terminal gives surrogates for what is not UTF-8."""

LONGEST_LABEL = 63
"""Letters between two dots of a name (RFC 1035, section 2.3.4)."""

SAFE_IN_A_TARGET = "/:@!$&'()*+,;=-._~%?"


class Split(NamedTuple):
    """A URL taken apart, with what `urllib` looks for anew each time that it is asked."""

    parts: SplitResult
    host: str
    port: int | None


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """One server, and what to ask it for. The target may hold a token, so its text does not."""

    secure: bool
    host: str
    """As ASCII; an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query, as they stand in the request."""
    credentials: bytes | None
    """User and password of the URL, as HTTP's Basic has them."""

    def __repr__(self) -> str:
        return f"<Address {self.origin}>"

    @property
    def place(self) -> str:
        """Host and port."""
        return place_of(self.host, self.port)

    @property
    def authority(self) -> str:
        """What the header ``Host`` says: the port only if it is not the scheme's own."""
        return self.place.removesuffix(":443" if self.secure else ":80")

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}"


def place_of(host: str, port: int | None) -> str:
    """Host and port as a URL has them: an IPv6 address in brackets, no port if there is none."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def address_of(url: str) -> Address:
    """Take a server's URL apart.

    Raises:
        InvalidValue: no server can have it, or there is something in it that cannot be used.
    """
    split = split_server(url)
    return address_at(split, split.parts.path or "/", split.parts.query)


def split_server(url: str) -> Split:
    """Take a server's URL apart as it stands.

    Raises:
        InvalidValue: as `address_of`, but for its host.
    """
    split = split_url(url, "the server's URL", SCHEMES, "http://host:port, or https, ws, wss")
    if "#" in url:
        raise InvalidValue("the server's URL has a fragment ('#...'), which no server is ever sent")
    return split


def address_at(split: Split, path: str, query: str) -> Address:
    """The server of a URL, and another path and query there.

    Raises:
        InvalidValue: its host is no name.
    """
    secure = split.parts.scheme in SECURE
    port = split.port or (443 if secure else 80)
    host = _ascii(split.host, "the server's URL")
    return Address(secure, host, port, _target_of(path, query), credentials(split.parts))


def _target_of(path: str, query: str) -> str:
    """Path and query as they stand in a request; what is quoted already stays as it is."""
    return quote(f"{path}?{query}" if query else path, safe=SAFE_IN_A_TARGET)


def split_url(url: str, what: str, schemes: frozenset[str], example: str) -> Split:
    """Take a URL apart that must have one of these schemes, and a host.

    Raises:
        InvalidValue: it has not, or a port that cannot be; the URL itself, which may hold a token,
            is not in the text.
    """
    parts: SplitResult | None = None
    if isinstance(url, str) and not NOT_IN_A_URL.search(url):
        with suppress(ValueError):
            parts = urlsplit(url)
    if parts is None or parts.scheme not in schemes or not parts.hostname:
        raise InvalidValue(f"{what} must look like {example}")
    port: int | None = 0
    with suppress(ValueError):
        port = parts.port
    if port == 0:
        raise InvalidValue(f"{what} must have a port from 1 to 65535, if any")
    return Split(parts, parts.hostname, port)


def credentials(parts: SplitResult) -> bytes | None:
    """User and password in a URL, as the value of a header of HTTP's Basic."""
    if "@" not in parts.netloc:
        return None
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return b"Basic " + base64.b64encode(pair.encode())


def _ascii(host: str, what: str) -> str:
    found = host if host.isascii() else ""
    if not found:
        import idna  # noqa: PLC0415 - costs 10 ms, and few need it

        with suppress(idna.IDNAError):
            found = idna.encode(host, uts46=True).decode()
    # Whoever looks it up would raise something else.
    if not all(0 < len(label) <= LONGEST_LABEL for label in found.removesuffix(".").split(".")):
        raise InvalidValue(f"{what} has a host that is no name")
    return found
