"""Where a push-style transport keeps signals until `receive()` asks for them.

Bounded by what signals mean: a newer code replaces one that nobody took yet, and a repeated signal
is one signal. So a flood costs no memory.
"""

from __future__ import annotations

import anyio

from ..signals import Addressed, Signal
from ..states import Event
from ..waiting import wait_for

__all__ = ["SignalBuffer"]


class SignalBuffer:
    """Signals in order of arrival; `put()` and `end()` are plain calls from the event loop."""

    __slots__ = ("_end", "_signals", "_waiter")

    def __init__(self) -> None:
        self._signals: dict[object, Signal] = {}
        """By what makes two of them one."""
        self._end: Exception | None = None
        self._waiter: anyio.Event | None = None

    def __len__(self) -> int:
        """How many signals are kept."""
        return len(self._signals)

    @property
    def ended(self) -> bool:
        """Whether nothing more is taken."""
        return self._end is not None

    @property
    def end_error(self) -> Exception | None:
        """What `get()` raises after the last signal, if nothing more is taken."""
        return self._end

    def put(self, signal: Signal) -> None:
        """Keep a signal, in place of one that it makes obsolete."""
        if self._end is not None:
            return
        topic: object = signal.event
        said = signal
        if isinstance(signal, Addressed):
            said = signal.signal
            topic = (signal.key, said.event)
        if topic in self._signals:
            if said.event in _VERDICTS:
                return
            del self._signals[topic]
        self._signals[topic] = signal
        self._wake()

    def end(self, error: Exception) -> None:
        """Nothing more will come: once the kept signals are taken, `get()` raises ``error``."""
        if self._end is None:
            self._end = error
            self._wake()

    def close(self) -> None:
        """Forget the kept signals and end `get()` at once, as after the peer's orderly close."""
        self._signals.clear()
        self._end = anyio.EndOfStream()
        if self._waiter is not None:
            self._wake()

    def take(self) -> Signal | None:
        """The next signal; None if there is none now.

        Raises:
            Exception: what `end()` was given, after the last signal.
        """
        if self._signals:
            return self._signals.pop(next(iter(self._signals)))
        if self._end is not None:
            raise self._end
        return None

    async def get(self) -> Signal:
        """The next signal. If it is cancelled, no signal is lost.

        What is kept is given without yielding, also to whoever is being cancelled: a final status
        check finds it. It is little, and once it is taken a cancellation comes out, whatever comes
        in.

        Raises:
            Exception: what `end()` was given, after the last signal.
        """
        while (signal := self.take()) is None:
            await self.wait()
        return signal

    async def wait(self) -> None:
        """Wait for the next `put()`, `end()` or `close()`."""
        self._waiter = self._waiter or anyio.Event()
        await wait_for(self._waiter)

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.set()
            self._waiter = None


_VERDICTS = frozenset({Event.PAIRED, Event.FAIL})
"""Events of which the first counts, where it stands; of others it is the last."""
