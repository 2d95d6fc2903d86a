"""The middle that every transport shares which is *told* things, whatever it speaks.

Between the wire and `receive()`: the buffer, the count of messages that became nothing, their log,
and whose messages they are. A subclass says in `_hear()` how to wait for the wire, or has a library
call `_take()` and `_end()`, and leaves `_hear()` as it is.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping

from ..signals import Signal
from .base import Transport
from .buffer import SignalBuffer
from .messages import Drop

__all__ = ["PushTransport"]

logger = logging.getLogger("qrlifecycle")


class PushTransport(Transport):
    """A transport that is told things.

    Args:
        subject: whom it is for: a bot and a user, say.
    """

    __slots__ = ("_buffer", "_dropped", "_subject")

    def __init__(self, subject: tuple[str, ...] | None = None) -> None:
        self._subject = subject
        self._buffer = SignalBuffer()
        # Made when it is first needed: most transports drop nothing, and there may be thousands.
        self._dropped: Counter[str] | None = None

    @property
    def subject(self) -> tuple[str, ...] | None:
        """Whom it is for."""
        return self._subject

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many messages became nothing, by cause: unknown, malformed or foreign."""
        return dict(self._dropped or {})

    async def receive(self) -> Signal:
        """The next signal; see `Transport.receive`."""
        buffer = self._buffer
        while not (buffer or buffer.ended):
            await self._hear()
        return await buffer.get()

    async def _hear(self) -> None:
        """Wait until something came or ended, and take it; unless overridden, a library does."""
        await self._buffer.wait()

    def _take(
        self, meaning: Signal | Iterable[Signal] | Drop | None, name: str | None = None
    ) -> None:
        """Keep what a message means, or count it.

        Args:
            meaning: signals, why there is none, or None for a message with nothing to say.
            name: the message's name, for the log, if messages have names.
        """
        if isinstance(meaning, Signal):
            self._buffer.put(meaning)
        elif isinstance(meaning, Drop):
            self._drop(meaning, name)
        elif meaning is not None:
            for signal in meaning:
                self._buffer.put(signal)

    def _end(self, error: Exception) -> None:
        """Nothing more comes: what was kept is given, then this is raised."""
        self._buffer.end(error)

    def _drop(self, why: Drop, name: str | None) -> None:
        """Count a message that became nothing.

        Malformed ones are for the author of what reads them to know: known by name, and yet
        unreadable. They are said once for each transport, and then counted: a peer may send as many
        as it likes, and the log must not grow by it.
        """
        dropped = self._dropped = self._dropped if self._dropped is not None else Counter()
        dropped[why.value] += 1
        said = "" if name is None else f" (event {name!r:.40})"
        if why is Drop.MALFORMED and dropped[why.value] == 1:
            logger.warning(
                "a message was dropped: malformed%s; more are counted in 'dropped', and not logged",
                said,
            )
        else:
            logger.debug("a message was dropped: %s%s", why.value, said)
