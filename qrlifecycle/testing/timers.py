"""The timers of a virtual clock: which are set, which is the next, which run out together.

What each costs does not grow with how many there are: a crowd of lifecycles sets some for each, and
cancels nearly all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

__all__ = ["Timer", "Timers"]

TIE = 2.0**-36
"""Seconds between timers for the same time: more than floats are apart in the virtual times that a
test comes to."""

MOST_TIES = 60
"""So many timers for the same time are within what the loop takes for one time, which is 1e-9 s."""

FEW = 100
"""So many are kept before those that were cancelled are looked for."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer that is set: for when, in virtual seconds, and by which task."""

    when: float
    task: str
    handle: asyncio.TimerHandle


class Timers:
    """Those that are set, by the time for which they are; a heap has the times.

    One that was cancelled is forgotten when it is met: as the last for its time, where the next one
    has to come after it; as the next to run out; or when half of all may be such.
    """

    def __init__(self) -> None:
        self._for: dict[float, list[Timer]] = {}
        self._times: list[float] = []
        self._count = 0
        self._most = FEW

    def after_ties(self, when: float) -> float:
        """The moment for another timer, such that it runs out after those for the same time."""
        last = self._last_for(when)
        return when if last is None else min(last.handle.when() + TIE, when + MOST_TIES * TIE)

    def add(self, timer: Timer, now: float) -> None:
        """It is set."""
        if self._count >= self._most:
            self._forget(now)
        if timer.when not in self._for:
            self._for[timer.when] = []
            heappush(self._times, timer.when)
        self._for[timer.when].append(timer)
        self._count += 1

    def soonest(self, now: float) -> float | None:
        """When the next one runs out."""
        while self._times:
            when = self._times[0]
            if when > now and self._last_for(when) is not None:
                return when
            heappop(self._times)
            self._count -= len(self._for.pop(when))
        return None

    def in_order(self, now: float) -> list[Timer]:
        """All of them, in the order in which they will run out."""
        self._forget(now)
        return sorted(self._all(), key=lambda timer: timer.handle.when())

    def _all(self) -> Iterator[Timer]:
        for timers in self._for.values():
            yield from timers

    def _last_for(self, when: float) -> Timer | None:
        """The last one for this time that was not cancelled."""
        timers = self._for.get(when, [])
        while timers and timers[-1].handle.cancelled():
            del timers[-1]
            self._count -= 1
        return timers[-1] if timers else None

    def _forget(self, now: float) -> None:
        """Keep those that have yet to run out."""
        left = [timer for timer in self._all() if timer.when > now and not timer.handle.cancelled()]
        self._for = {}
        for timer in left:
            self._for.setdefault(timer.when, []).append(timer)
        self._times = sorted(self._for)  # a heap
        self._count = len(left)
        self._most = max(FEW, 2 * self._count)
