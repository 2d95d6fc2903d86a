"""One of the two sockets of a connection that is relayed on asyncio.

Who relays says what becomes of the data.
"""

from __future__ import annotations

import asyncio

from ..transports.reset import reset_on_close

__all__ = ["Side"]


class Side(asyncio.Protocol):
    """A socket that may not be there yet, or no more: then what is done to it does nothing."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None

    @property
    def there(self) -> bool:
        """Whether there is a socket."""
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def pause(self) -> None:
        """Do not read for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read from now on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def send(self, data: bytes) -> None:
        """Send, if the socket is there."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self, *, reset: bool) -> None:
        """Close the socket, if there is one."""
        if self._transport is None:
            return
        if not reset:
            self._transport.close()
            return
        if not self._transport.is_closing():
            reset_on_close(self._transport.get_extra_info("socket"))
        self._transport.abort()
