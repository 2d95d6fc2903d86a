"""Lanes: an attempt as spans of time, and the scale on which lanes are drawn.

Times in a lane are seconds since its first record, by the monotonic clock; only the beginning of a
lane is taken from the wall clock, so a clock that was set does not bend a lane. A journal may be
cut anywhere: a span whose end is in no record has none, and nothing is claimed of what came before
the first line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Self

from ...outcome import Reason
from ...records import Closing, LeaseEnd
from ...states import SOCKET_OWNER, State

__all__ = [
    "Lane",
    "LeaseSpan",
    "Mark",
    "MarkKind",
    "Scale",
    "Socket",
    "Span",
    "Tick",
    "Timeline",
    "clock",
]


@dataclass(frozen=True, slots=True)
class Span:
    """A time in a state. ``end`` is None if no record says that the state was left."""

    state: State
    start: float
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Socket:
    """One socket, from when its transport was made until it was closed.

    ``opened`` is when it began to listen, if it did. ``end`` and ``how`` are None if no record says
    that it was closed. A socket whose `abort()` raised may still be open: it has a ``how`` and no
    ``end``. ``outside`` are the times in which the state was not `displayed`.
    """

    start: float
    opened: float | None = None
    end: float | None = None
    how: Closing | None = None
    outside: tuple[tuple[float, float | None], ...] = ()
    second: bool = False
    """Whether its bot and user had another one open already."""
    track: int = 0
    """0, or how many sockets of the lane were open when it was opened."""
    shared: str | None = None
    """Which shared socket it is only a share of, and which opening of it, as far as is known."""

    @property
    def healthy(self) -> bool:
        """Whether it was open only in `displayed`, and the only one."""
        return not (self.outside or self.second)


@dataclass(frozen=True, slots=True)
class LeaseSpan:
    """The lease of an attempt: since when it was waited for, was held, and was held no more."""

    wanted: float
    held: float | None = None
    gone: float | None = None
    by: LeaseEnd | None = None

    @property
    def lost(self) -> bool:
        """Whether it was not given back, but gone before."""
        return self.by not in (None, LeaseEnd.RELEASED)


class MarkKind(Enum):
    """What a mark means."""

    CODE = auto()
    """A code was handed out to be shown."""
    SCANNED = auto()
    ACTION = auto()
    """The service asked the person for something more."""
    ALERT = auto()
    """The audit found something; the mark's text says what."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in a lane."""

    kind: MarkKind
    at: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One attempt."""

    lifecycle: str
    attempt: int
    wall: float
    """When it began, as `time.time()` counts."""
    length: float
    """Seconds from its first record to its last."""
    subject: tuple[str, ...] | None = None
    """Its transport's; if that names none, or there was none, the key that it was joined by."""
    spans: tuple[Span, ...] = ()
    sockets: tuple[Socket, ...] = ()
    lease: LeaseSpan | None = None
    marks: tuple[Mark, ...] = ()
    reason: Reason | None = None
    found_by_status: bool = False
    began: bool = True
    """False if its beginning is missing."""
    ended: bool = True
    """False if its end is missing: it ran on, or its process died."""
    spans_left_out: int = 0
    sockets_left_out: int = 0
    """How many more it had, which were read and not kept."""

    @property
    def state(self) -> State | None:
        """The last one; None if no change is known."""
        return self.spans[-1].state if self.spans else None

    @property
    def alerts(self) -> tuple[str, ...]:
        """What the audit found, in sentences."""
        return tuple(mark.text for mark in self.marks if mark.kind is MarkKind.ALERT)

    @property
    def healthy(self) -> bool:
        """Whether nothing was found in it."""
        return not self.alerts and all(socket.healthy for socket in self.sockets)

    @property
    def duration(self) -> float:
        """Seconds until it was over, as far as it is known."""
        over = self.state not in (None, State.GENERATING, SOCKET_OWNER)
        return self.spans[-1].start if over else self.length

    def until(self, end: float | None) -> float:
        """An end as a time: one that is not known is the end of the lane."""
        return self.length if end is None else end


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is drawn, and how much is not."""

    lanes: tuple[Lane, ...]
    left_out: int = 0
    """Attempts that were read and not kept."""
    alerts_left_out: int = 0
    """What the audit found in them."""

    @property
    def sockets(self) -> tuple[Socket, ...]:
        """Those of all lanes, and shares of shared sockets."""
        return tuple(socket for lane in self.lanes for socket in lane.sockets)

    @property
    def shared(self) -> int:
        """How many shared sockets there were that somebody drawn had a share of."""
        heard = (socket.shared for socket in self.sockets if socket.opened is not None)
        return len({*heard} - {None})

    @property
    def healthy(self) -> bool:
        """Whether nothing was found, drawn or not."""
        return not self.alerts_left_out and all(lane.healthy for lane in self.lanes)


# The scale

STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Seconds between two ticks that are easy to read; shorter and longer steps are 1, 2 or 5 times a
power of ten."""

SHORTEST = 1e-3
"""Seconds; a picture without lanes still has an axis."""


def clock(wall: float, form: str = "%H:%M:%S") -> str:
    """A wall time, in UTC."""
    try:
        return datetime.fromtimestamp(wall, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return "?"


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
        """The width of a second, such that every lane fits.

        Args:
            lanes: each with the width that must stay free at its right.
            width: from the left edge to the right one.
        """
        ends = ((self.shift(lane) + lane.length, free) for lane, free in lanes)
        fits = [max(width - free, width / 4) / max(end, SHORTEST) for end, free in ends]
        return min([width / self.length, *fits])

    @classmethod
    def of(cls, lanes: Sequence[Lane], *, absolute: bool) -> Self:
        """The scale for some lanes: from their own beginnings, or by the wall clock."""
        if not absolute or not lanes:
            return cls(max([SHORTEST, *(lane.length for lane in lanes)]))
        begin = min(lane.wall for lane in lanes)
        end = max(lane.wall + lane.length for lane in lanes)
        return cls(max(SHORTEST, end - begin), begin)

    def shift(self, lane: Lane) -> float:
        """Where a lane begins: seconds from the left edge."""
        return 0.0 if self.begin is None else lane.wall - self.begin

    def ticks(self, most: int) -> list[Tick]:
        """About ``most`` ticks, at round times."""
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
