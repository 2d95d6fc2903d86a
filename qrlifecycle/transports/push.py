"""The middle that every transport shares which is *told* things, whatever it speaks.

Between the wire and `receive()`: the buffer, the count of messages that became nothing, their log,
and whose messages they are. A subclass says in `_hear()` how to wait for the wire, or has a library
call `_take()` and `_end()`, and leaves `_hear()` as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..signals import Signal
from .base import Transport
from .buffer import SignalBuffer
from .drops import Drops
from .messages import Drop, Dropped

__all__ = ["PushTransport"]


class PushTransport(Transport):
    """A transport that is told things.

    Args:
        subject: whom it is for: a bot and a user, say.
    """

    __slots__ = ("_buffer", "_drops", "_subject")

    def __init__(self, subject: tuple[str, ...] | None = None) -> None:
        self._subject = subject
        self._buffer = SignalBuffer()
        # Made when it is first needed: most transports drop nothing, and there may be thousands.
        self._drops: Drops | None = None

    @property
    def subject(self) -> tuple[str, ...] | None:
        """Whom it is for."""
        return self._subject

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many messages became nothing, by cause (`Drop`)."""
        return {} if self._drops is None else self._drops.counts

    async def receive(self) -> Signal:
        """The next signal; see `Transport.receive`."""
        while (signal := self._buffer.take()) is None:
            await self._hear()
        return signal

    async def _hear(self) -> None:
        """Wait until something came or ended, and take it; unless overridden, a library does."""
        await self._buffer.wait()

    def _take(
        self,
        meaning: Signal | Iterable[Signal] | Dropped | Drop | None,
        name: object = None,
    ) -> None:
        """Keep what a message means, or count it.

        Args:
            meaning: signals, why there is none, or None for a message with nothing to say.
            name: the message's name, for the log, if messages have names.
        """
        if isinstance(meaning, Signal):
            self._buffer.put(meaning)
        elif isinstance(meaning, Drop | Dropped):
            if self._drops is None:
                self._drops = Drops()
            dropped = meaning if isinstance(meaning, Dropped) else Dropped(meaning)
            self._drops.note(dropped, name)
        elif meaning is not None:
            for signal in meaning:
                self._buffer.put(signal)

    def _end(self, error: Exception) -> None:
        """Nothing more comes: what was kept is given, then this is raised."""
        self._buffer.end(error)

    def _sum_up(self) -> None:
        """It is gone: say what was not said of what was dropped."""
        if self._drops is not None:
            self._drops.sum_up()
