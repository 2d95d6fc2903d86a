"""What a connection is told beside its URL; checked where it is made, and shown nowhere."""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ...errors import InvalidValue

__all__ = ["HEARTBEAT", "MAX_MESSAGE_SIZE", "WireOptions"]

MAX_MESSAGE_SIZE = 1024 * 1024
"""Bytes of the largest message that is read. A QR code as a PNG data URL is about 10 kB."""

HEARTBEAT = 90.0
"""Seconds of silence after which a peer counts as dead. Engine.IO's defaults ping every 25 s and
wait 20 s; browsers' proxies give up after 60 s."""

OWN_HEADERS = frozenset({"connection", "upgrade", "content-length", "transfer-encoding"})
"""Headers that the handshake writes itself, beside all that begin with ``sec-websocket-``."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WireOptions:
    """How to connect. No value of a header, cookie or proxy is in its text, and it is not pickled.

    Raises:
        InvalidValue: an argument that cannot be meant; the text names it.
    """

    headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()
    """HTTP headers of the handshake: a mapping, or pairs, which may repeat a name."""

    cookies: Mapping[str, str] = field(default_factory=dict)
    """Cookies of the handshake."""

    subprotocols: tuple[str, ...] = ()
    """Subprotocols to offer, the preferred first."""

    ssl: ssl.SSLContext | None = None
    """For servers with a certificate of their own; verification is the context's."""

    proxy: str | None = "environment"
    """A proxy's URL, None for none, or "environment" for what HTTPS_PROXY and its like say."""

    max_message_size: int = MAX_MESSAGE_SIZE
    """Bytes of the largest message to read; a larger one ends the connection."""

    heartbeat: float = HEARTBEAT
    """Seconds without a byte after which the peer counts as dead; opening has as long in all."""

    ping_after: float | None = None
    """Seconds without a byte after which we ask with a ping; None: never, for the peer does."""

    def __post_init__(self) -> None:
        pairs = self.headers.items() if isinstance(self.headers, Mapping) else self.headers
        object.__setattr__(self, "headers", tuple((name, value) for name, value in pairs))
        for name, _ in self.headers:
            if name.lower() in OWN_HEADERS or name.lower().startswith("sec-websocket-"):
                raise InvalidValue(f"the header {name} is the handshake's own to write")
        if not 0 < self.heartbeat < math.inf:
            raise InvalidValue("heartbeat must be a finite number of seconds above 0")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("WireOptions may hold secrets, so they are not pickled")

    def __getstate__(self) -> Any:
        return self.__reduce__()
