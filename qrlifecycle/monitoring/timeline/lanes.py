"""Lanes: an attempt as spans of time.

Times in a lane are seconds since its first record, by the monotonic clock; only where a lane begins
is told by the wall clock, so a clock that was set does not bend a lane. A journal may be cut
anywhere: a span whose end was never told has none, and of what came before the first line nothing
is claimed. This room must never know where a lane comes from, nor how it is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from ...outcome import Reason
from ...records import Closing
from ...states import SOCKET_OWNER, State

__all__ = ["Lane", "Mark", "MarkKind", "Socket", "Span", "Timeline"]


@dataclass(frozen=True, slots=True)
class Span:
    """A time in a state. ``end`` is None while the state was never seen to be left."""

    state: State
    start: float
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Socket:
    """One socket, from when it was made until it was gone.

    ``opened`` is when it began to listen, if it did. ``end`` and ``how`` are None if it was never
    seen to be closed. A socket whose `abort()` raised may still be open: it has a ``how`` and no
    ``end``. ``outside`` are the times in which the state was not `displayed`.
    """

    start: float
    opened: float | None = None
    end: float | None = None
    how: Closing | None = None
    outside: tuple[tuple[float, float | None], ...] = ()
    second: bool = False
    """Whether it was opened for somebody who had one open already."""
    track: int = 0
    """0, or how many sockets of the lane were open when it was opened."""

    @property
    def healthy(self) -> bool:
        """Whether it was open only in `displayed`, and the only one."""
        return not (self.outside or self.second)


class MarkKind(Enum):
    """What a mark stands for."""

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
    spans: tuple[Span, ...] = ()
    sockets: tuple[Socket, ...] = ()
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
        """An end as a time: one that was never told lasts as long as the lane."""
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
        """Those of all lanes."""
        return tuple(socket for lane in self.lanes for socket in lane.sockets)

    @property
    def healthy(self) -> bool:
        """Whether nothing was found, drawn or not."""
        return not self.alerts_left_out and all(lane.healthy for lane in self.lanes)
