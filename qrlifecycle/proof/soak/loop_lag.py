"""For how long the event loop stood still: a process that is starved can keep no deadline."""

from __future__ import annotations

import asyncio

__all__ = ["LoopLag"]

INTERVAL = 0.05
"""Seconds between two timers. What is late by less is a busy loop, not one that stands still."""


class LoopLag:
    """Sets a timer again and again, from `start()` to `stop()`, and adds up how late each was.

    Attributes:
        stood_still: seconds so far.
    """

    def __init__(self) -> None:
        self.stood_still = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, in the event loop that runs."""
        loop = asyncio.get_running_loop()
        due = loop.time() + INTERVAL
        self._timer = loop.call_at(due, self._measure, due)

    def stop(self) -> None:
        """Set no more timers."""
        if self._timer is not None:
            self._timer.cancel()

    def _measure(self, due: float) -> None:
        late = asyncio.get_running_loop().time() - due
        if late > INTERVAL:
            self.stood_still += late
        self.start()
