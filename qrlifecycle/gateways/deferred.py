"""A transport that is made when it is opened, because it takes an await to make it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from anyio import EndOfStream

from ..errors import TransportError, TransportUnreachable
from ..signals import Signal
from ..transports.base import Transport

__all__ = ["DeferredTransport"]


class DeferredTransport(Transport):
    """Stands for another, which is made as this one is opened: with a fresh credential, say.

    Args:
        make: async function that gives back a fresh transport, not yet opened. What it raises
            counts as unreachable, unless it is a `TransportError`.
        subject: whom it is for.
        meaning: what a signal of the other one's is for this account; None: nothing. For what
            depends on what came before. Unless given, each is what it is.
        shared: the name of the shared socket that the other one is a share of, if it is.
        explained: what to raise in place of the error of its opening: the same, with what is known
            of it here. Unless given, it is as it is.
    """

    __slots__ = ("_closed", "_explained", "_made", "_make", "_meaning", "_shared", "_subject")

    def __init__(
        self,
        make: Callable[[], Awaitable[Transport]],
        subject: tuple[str, ...] | None = None,
        *,
        meaning: Callable[[Signal], Signal | None] | None = None,
        shared: str | None = None,
        explained: Callable[[TransportError], TransportError] | None = None,
    ) -> None:
        self._make = make
        self._made: Transport | None = None
        self._meaning = meaning
        self._shared = shared
        self._subject = subject
        self._closed = False
        self._explained = explained

    @property
    def dropped(self) -> Mapping[str, int]:
        """What the other one dropped."""
        return {} if self._made is None else self._made.dropped

    @property
    def subject(self) -> tuple[str, ...] | None:
        """Whom it is for."""
        return self._subject

    @property
    def shared(self) -> str | None:
        """Which socket it is a share of."""
        return self._shared

    async def open(self) -> None:
        """Make the other one, and open it.

        Raises:
            TransportError: it did not come about.
        """
        made = await self._make()
        if self._closed:
            made.abort()
            raise TransportUnreachable("the transport was closed while it opened")
        self._made = made
        try:
            await made.open()
            return
        except TransportError as error:
            if self._explained is None:
                raise
            failure = self._explained(error)
        raise failure.with_traceback(None)

    async def receive(self) -> Signal:
        """The other one's next signal that means something."""
        if self._made is None:
            raise EndOfStream
        while True:
            signal = await self._made.receive()
            meant = signal if self._meaning is None else self._meaning(signal)
            if meant is not None:
                return meant

    async def aclose(self) -> None:
        """Close the other one, if it was made."""
        self._closed = True
        if self._made is not None:
            await self._made.aclose()

    def abort(self) -> None:
        """Abort the other one, if it was made."""
        self._closed = True
        if self._made is not None:
            self._made.abort()
