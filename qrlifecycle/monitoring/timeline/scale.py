"""The scale: where time stands on a picture, and how it is labelled.

This room must never know what is drawn on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from .lanes import Lane
from .words import clock

__all__ = ["Scale", "Tick"]

STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Seconds between two ticks that people read without reckoning; below and above, 1, 2, 5 of the
decimal system."""

SHORTEST = 1e-3
"""Seconds; a picture of nothing still has an axis."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled moment: seconds from the left edge."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """The time from the left edge to the right one.

    Args:
        length: seconds.
        begin: the wall time of the left edge; None if each lane begins there.
    """

    length: float
    begin: float | None = None

    def per_second(self, lanes: Iterable[tuple[Lane, float]], width: float) -> float:
        """How much of a width a second may take, if each lane has to leave so much free behind it.

        Args:
            lanes: each with the width that is to be free at its right.
            width: from the left edge to the right one.
        """
        ends = ((self.shift(lane) + lane.length, free) for lane, free in lanes)
        fits = [max(width - free, width / 4) / max(end, SHORTEST) for end, free in ends]
        return min([width / self.length, *fits])

    @classmethod
    def of(cls, lanes: Sequence[Lane], *, absolute: bool) -> Self:
        """The scale on which lanes fit: from their own beginnings, or by the wall clock."""
        if not absolute or not lanes:
            return cls(max([SHORTEST, *(lane.length for lane in lanes)]))
        begin = min(lane.wall for lane in lanes)
        end = max(lane.wall + lane.length for lane in lanes)
        return cls(max(SHORTEST, end - begin), begin)

    def shift(self, lane: Lane) -> float:
        """Where a lane begins: seconds from the left edge."""
        return 0.0 if self.begin is None else lane.wall - self.begin

    def ticks(self, most: int) -> list[Tick]:
        """About so many ticks, at round times."""
        step = _step(self.length / most)
        begin = 0.0 if self.begin is None else self.begin
        first = math.ceil(begin / step) * step
        number = int((begin + self.length - first) / step) + 1
        times = [first + index * step for index in range(number)]
        return [Tick(time - begin, self._label(time, step)) for time in times]

    def _label(self, time: float, step: float) -> str:
        if self.begin is None:
            return _offset(time, step, self.length)
        if step < 1:
            return f"{clock(time)}.{round(time % 1 * 1000) % 1000:03}"
        if step < 60:
            return clock(time)
        return clock(time, "%H:%M" if self.length < 86400 else "%m-%d %H:%M")


def _step(least: float) -> float:
    """The shortest step that is not below this."""
    for step in STEPS:
        if STEPS[0] <= least <= step:
            return step
    unit = 86400.0 if least > STEPS[-1] else 1.0
    power = 10.0 ** math.floor(math.log10(least / unit))
    return next(power * unit * n for n in (1, 2, 5, 10) if power * unit * n >= least * 0.999999)


def _offset(time: float, step: float, length: float) -> str:
    """Time since the beginning."""
    if time == 0:
        return "0"
    if length < 1:
        return f"{time * 1000:.6g} ms"
    if length < 100 or step < 1:
        return f"{time:.6g} s"
    if step % 3600 == 0:
        return f"{time / 3600:.6g} h"
    if step % 60 == 0:
        return f"{time / 60:.6g} min"
    minutes, seconds = divmod(round(time), 60)
    return f"{minutes}:{seconds:02}"
