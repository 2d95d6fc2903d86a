"""For how long the event loop stood still: a process that is starved can keep no deadline."""

from __future__ import annotations

import asyncio

__all__ = ["Pulse"]

BEAT = 0.05
"""Seconds between two beats. What is late by less is a busy loop, not one that stands still."""


class Pulse:
    """Beats from `start()` to `stop()`, and adds up by how much its beats were late.

    Attributes:
        stood_still: seconds so far.
    """

    def __init__(self) -> None:
        self.stood_still = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to beat, in the event loop that runs."""
        loop = asyncio.get_running_loop()
        due = loop.time() + BEAT
        self._timer = loop.call_at(due, self._beat, due)

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self, due: float) -> None:
        late = asyncio.get_running_loop().time() - due
        if late > BEAT:
            self.stood_still += late
        self.start()
