"""TLS as a function of bytes, by the standard library's `SSLObject`, which does no I/O."""

from __future__ import annotations

import ssl
from contextlib import suppress
from functools import cache

__all__ = ["END", "TLS", "default_context"]

RECORD = 16 * 1024
"""Bytes of plain text in one record, at most (RFC 8446, section 5.1)."""

END = b""
"""What a read gives at the end of a connection."""


@cache
def default_context() -> ssl.SSLContext:
    """One for all connections that are given none: making it reads all of the system's authorities.

    That takes 39 ms.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])  # a server that also speaks HTTP/2 must not choose it
    return context


class TLS:
    """One connection's TLS: encrypted bytes in and out, plain ones in and out."""

    __slots__ = ("_incoming", "_next", "_object", "_outgoing")

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        # What comes after what was decrypted: the end, or an error. Both stay.
        self._next: bytes | ssl.SSLError | None = None

    @property
    def outgoing(self) -> bytes:
        """What is to be sent now, taken: also what TLS has to say by itself."""
        return self._outgoing.read()

    @property
    def ready(self) -> bool:
        """Whether `decrypt()` has something to say, without more of the peer: how it ended."""
        return self._next is not None

    def feed(self, data: bytes) -> None:
        """Take what came, or the end."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def shake_hands(self) -> bool:
        """Go on with the handshake as far as what came allows; whether it is done.

        Raises:
            ssl.SSLError: the peer does not speak TLS, or is not trusted.
        """
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypt(self, data: bytes) -> None:
        """Take plain text to be sent. Whoever reads is told if TLS is broken, so here nobody is."""
        with suppress(ssl.SSLError):
            self._object.write(data)

    def say_goodbye(self) -> None:
        """Tell the peer that the end of the connection is meant."""
        with suppress(ssl.SSLError, ValueError):
            self._object.unwrap()

    def decrypt(self) -> bytes | None:
        """All that can be read of what came: `END` at the end, None if it is but part of a record.

        All of it, for the socket is not ready for what stays in here.

        Raises:
            ssl.SSLError: what came is no TLS.
        """
        found = bytearray()
        while self._next is None:
            try:
                data = self._object.read(RECORD)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                data = (
                    END  # said by TLS's own word, or by TCP's only: WebSocket has words of its own
                )
            except ssl.SSLError as error:
                self._next = error
                break
            found += data
            if not data:
                self._next = END
        if found:
            return bytes(found)
        if isinstance(self._next, ssl.SSLError):
            raise self._next
        return self._next
