"""One lifecycle's share of a socket: a transport that opens nothing, and hears what is for it."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
from anyio import EndOfStream

from ...errors import TransportError
from ...signals import Signal, StatusChanged
from ...waiting import wait_for
from ..base import Transport
from ..buffer import SignalBuffer
from ..wire import endings

if TYPE_CHECKING:
    from .hub import SharedSocket

__all__ = ["Member"]


class Member(Transport):
    """One displayed code's share of the socket.

    Args:
        shared: the socket.
        key: whose signals it hears.
    """

    __slots__ = ("_begun", "_shared", "_waiter", "buffer", "key", "opens")

    def __init__(self, shared: SharedSocket, key: tuple[str, ...]) -> None:
        self._shared = shared
        self._begun = False
        self.key = key
        self.buffer = SignalBuffer()
        self.opens = True
        """Whether it is to wait in `open()`: until the socket listens, or it has ended before."""
        # Only while it is needed: an event takes a kilobyte, and there may be thousands.
        self._waiter: anyio.Event | None = None

    def __repr__(self) -> str:
        return f"<a share of a socket, for {self.key!r}>"

    @property
    def subject(self) -> tuple[str, ...]:
        """Whom it is for."""
        return self.key

    @property
    def shared(self) -> str:
        """Which socket it is a share of."""
        return self._shared.name

    async def open(self) -> None:
        """Wait until the socket listens; whatever comes for this member from now on is kept."""
        if self._begun or self.buffer.ended:
            raise endings.abandoned("a transport is opened once; make a fresh one")
        self._begun = True
        try:
            await self._shared.enter(self)
            await anyio.lowlevel.checkpoint_if_cancelled()
        except BaseException:
            self.abort()
            raise
        if (failure := self._ended()) is not None:
            raise failure

    async def until_go_on(self) -> None:
        """Wait until it may go on, in `open()`."""
        if self.opens:
            self._waiter = anyio.Event()
            await wait_for(self._waiter)
            self._waiter = None

    def go_on(self) -> None:
        """Its opening is over; or, if it was, it hears that its status has changed."""
        if self.opens:
            self._go_on()
        else:
            self.buffer.put(StatusChanged())

    def _go_on(self) -> None:
        self.opens = False
        if self._waiter is not None:
            self._waiter.set()

    def _ended(self) -> Exception | None:
        """What it ended by before it was open, if it did and nothing was heard before that."""
        if self.buffer or (end := self.buffer.end_error) is None:
            return None
        if isinstance(end, TransportError):
            return endings.while_opening(end)
        if isinstance(end, EndOfStream):
            return endings.abandoned("the transport was closed while it opened")
        return end

    async def receive(self) -> Signal:
        """The next signal that is for this member."""
        return await self.buffer.get()

    async def aclose(self) -> None:
        """Need the socket no more; the last one waits until it is closed."""
        self._leave()
        await self._shared.until_closed()
        await anyio.lowlevel.checkpoint_if_cancelled()

    def abort(self) -> None:
        """Need the socket no more; the last one shuts it."""
        self._leave()
        self._shared.shut()

    def _leave(self) -> None:
        with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
            self.buffer.close()
            self._go_on()
        self._shared.leave(self)

    def end(self, failure: Exception) -> None:
        """The socket broke. What was heard is still good.

        Each member raises an error of its own: an error holds the frames that it went through.
        """
        self.buffer.end(copy.copy(failure).with_traceback(None))
        self._go_on()
        self._shared.leave(self)
