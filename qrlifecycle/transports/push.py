"""The middle that every transport shares which is *told* things, whatever it speaks.

Between the wire and `receive()`: the buffer, the count of messages that became nothing, their log,
and whose messages they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from ..signals import Signal
from .base import Transport
from .buffer import SignalBuffer
from .drops import Drops
from .messages import Drop, Dropped, why_unreadable

__all__ = ["CANNOT_BE_MEANT", "PushTransport"]

CANNOT_BE_MEANT = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What reading a message may raise that cannot be meant."""

M = TypeVar("M")

Meaning = Signal | Iterable[Signal] | Dropped | Drop | None
"""What a message means: signals, why there is none, or None if it has nothing to say."""


class PushTransport(Transport):
    """A transport that is told things: `receive()`, `dropped`, `subject` and the log are there.

    A subclass has `open()`, `aclose()` and `abort()`, and says in `_hear()` how to wait for the
    wire, or has a library call the others, and leaves `_hear()` as it is:

    ``await self._hear()``
        Wait until something came or ended, and take it, by one of these.
    ``self._take(meaning, name=None)``
        Keep the signal, or several, that a message means; ``Drop.UNKNOWN`` counts one that has
        nothing to say, ``Dropped(Drop.MALFORMED, "why")`` one that cannot be meant, and the log
        says it once. `Drop` and `Dropped` are in `qrlifecycle.transports.messages`.
    ``self._take_read(read, message, name=None)``
        The same with what ``read(message)`` gives back: None is unknown, ``Drop.FOREIGN`` is
        somebody else's, ``()`` is a ping or the like, and what it raises is malformed.
    ``self._end(error)``
        Nothing more comes: what was kept is given, then `receive()` raises this: ``EndOfStream()``
        where the peer closed in order, or a `TransportLost`.
    ``self._buffer.close()``
        For `aclose()` and `abort()`: what was kept is forgotten, and whoever waits gets
        ``EndOfStream`` (T4).
    ``self._sum_up()``
        For the end of `abort()`: the log says how many more messages were dropped.

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
        meaning: Meaning,
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

    def _take_read(self, read: Callable[[M], Meaning], message: M, name: object = None) -> None:
        """Keep what ``read`` makes of a message. What it raises is no fault of ours, but malformed.

        Args:
            read: makes a signal of it, or several, or says why there is none: None for what it does
                not know, ``Drop.FOREIGN`` for what is somebody else's, and an empty tuple for what
                has nothing to say, such as a ping. `ValueError`, `TypeError`, `LookupError`,
                `AttributeError` and `RecursionError` say that it cannot be meant; anything else
                comes out.
            message: what came.
            name: the message's name, for the log, if messages have names.
        """
        try:
            meaning = read(message)
            if not isinstance(meaning, Signal | Drop | Dropped | None):
                meaning = tuple(meaning)  # a generator raises only now
            self._take(Drop.UNKNOWN if meaning is None else meaning, name)
        except CANNOT_BE_MEANT as error:
            self._take(Dropped(Drop.MALFORMED, why_unreadable(error)), name)

    def _end(self, error: Exception) -> None:
        """Nothing more comes: what was kept is given, then this is raised."""
        self._buffer.end(error)

    def _sum_up(self) -> None:
        """It is gone: say what was not said of what was dropped."""
        if self._drops is not None:
            self._drops.sum_up()
