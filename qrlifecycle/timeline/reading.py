"""Reading: lanes out of records, in bounded memory.

What breaks a promise is the audit's to say: it judges every record, and what it finds is kept with
the lane. Only where a socket was open outside `displayed` is noted here, in the order of the
records, as the audit does. This room must never know how a lane is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..audit import Alert, Audit, PromiseBroken, SecondSocket
from ..errors import InvalidValue
from ..events import Event
from ..outcome import Reason
from ..records import (
    Began,
    Changed,
    Closed,
    Closing,
    Dropped,
    Ended,
    FoundByStatus,
    Opened,
    Opening,
    Record,
)
from ..states import State
from ..table import SOCKET_OWNER
from .lanes import Lane, Mark, MarkKind, Socket, Span, Timeline

__all__ = ["LAST", "read"]

LAST = 20
"""How many attempts are kept if nobody says: as many as fit on a page."""

LONGEST = 10 * 366 * 86400.0
"""Seconds; no lane is longer, whatever a broken journal says."""

MOST_WAITING = 10_000
"""Attempts that are held until it is known whose they are."""

MOST_MARKS = 1000
"""Of a lane, and findings as many; a peer may say "scanned" without end."""

ONE_SOCKET = 3
"""The number of the promise that a second socket in one lifecycle breaks."""

MARKS = {
    Event.QR_UPDATED: MarkKind.CODE,
    Event.SCANNED: MarkKind.SCANNED,
    Event.ACTION_REQUIRED: MarkKind.ACTION,
}
"""What is marked of the rows that leave the state as it is."""


def read(
    records: Iterable[Record],
    *,
    last: int = LAST,
    lifecycle: str | None = None,
    subject: str | None = None,
) -> Timeline:
    """The lanes of the latest attempts, in the order in which they began; in bounded memory.

    Args:
        records: in the order of their journal.
        last: how many attempts to keep.
        lifecycle: only of this lifecycle.
        subject: only for those whose subject has this word in it; one without a socket has none.

    Raises:
        InvalidValue: ``last`` is not at least 1.
    """
    if last < 1:
        raise InvalidValue(f"at least 1 attempt must be kept, not {last}")
    reader = _Reader(last, lifecycle, subject)
    for record in records:
        reader.take(record)
    return reader.timeline()


_Key = tuple[str, int]


class _Reader:
    """Keeps the latest attempts, and has everything judged by an audit."""

    def __init__(self, last: int, lifecycle: str | None, subject: str | None) -> None:
        self._last = last
        self._lifecycle = lifecycle
        self._subject = subject
        self._kept: dict[_Key, _Growing] = {}
        self._waiting: dict[_Key, _Growing] = {}
        """Those of whom it is not known yet whether they are asked for."""
        self._begun = 0
        self._found: list[Alert] = []
        self._alerts = 0
        self._audit = Audit(on_alert=self._found.append, clock=None)

    def take(self, record: Record) -> None:
        """Take a record."""
        self._found.clear()
        self._audit(record)
        self._alerts += sum(map(self._asked_for, self._found))
        self._begun += isinstance(record, Began)
        if self._lifecycle in (None, record.lifecycle) and not isinstance(record, Dropped):
            lane = self._lane(record)
            if lane is not None:
                lane.take(record, self._found)

    def timeline(self) -> Timeline:
        """What was kept."""
        lanes = sorted((lane.lane() for lane in self._kept.values()), key=lambda lane: lane.wall)
        return Timeline(
            lanes=tuple(lanes),
            left_out=self._begun - sum(lane.began for lane in lanes),
            alerts_left_out=max(self._alerts - sum(len(lane.alerts) for lane in lanes), 0),
        )

    def _asked_for(self, alert: Alert) -> bool:
        return self._lifecycle in (None, alert.lifecycle) and (
            self._subject is None or self._subject in (alert.subject or ())
        )

    def _lane(self, record: Record) -> _Growing | None:
        """The lane that a record belongs to; a new one, if there is room for it."""
        key = record.lifecycle, record.attempt
        lane = self._kept.get(key) or self._waiting.get(key)
        if lane is None:
            if isinstance(record, Ended) or (isinstance(record, Changed) and not record.attempt):
                return None  # the last of what was cut off; a trigger before the first attempt
            # What has no beginning here began before all that has one.
            if not isinstance(record, Began) and len(self._kept) >= self._last:
                return None
            lane = _Growing(record)
            (self._kept if self._subject is None else self._waiting)[key] = lane
        if key in self._waiting:
            self._decide(key, record)
        for lanes, most in ((self._kept, self._last), (self._waiting, MOST_WAITING)):
            if len(lanes) > most:
                del lanes[next(iter(lanes))]
        return lane

    def _decide(self, key: _Key, record: Record) -> None:
        """Keep a lane whose subject is asked for, and hold no other longer than need be."""
        if isinstance(record, Opening) and self._subject in (record.subject or ()):
            self._kept[key] = self._waiting.pop(key)
        elif isinstance(record, Opening | Ended):
            del self._waiting[key]


@dataclass(slots=True)
class _OpenSocket:
    """A socket that has not been closed yet."""

    start: float
    second: bool
    track: int
    opened: float | None = None
    outside: list[tuple[float, float | None]] | None = None

    def moved(self, at: float, *, outside: bool) -> None:
        """The state is, or is not, the one that has the socket."""
        self.outside = self.outside or []
        running = bool(self.outside) and self.outside[-1][1] is None
        if outside and not running:
            self.outside.append((at, None))
        elif running and not outside:
            self.outside[-1] = (self.outside[-1][0], at)

    def closed(self, at: float | None, how: Closing | None) -> Socket:
        """What is known of it in the end."""
        outside = self.outside or []
        if at is not None:
            outside = [(start, at if end is None else end) for start, end in outside]
        return Socket(self.start, self.opened, at, how, tuple(outside), self.second, self.track)


class _Growing:
    """A lane, while its records come in."""

    def __init__(self, first: Record) -> None:
        self._first = first
        self._length = 0.0
        self._subject: tuple[str, ...] | None = None
        self._state: State | None = None
        self._spans: list[Span] = []
        self._since = 0.0
        self._sockets: list[Socket] = []
        self._open: list[_OpenSocket] = []
        self._marks: list[Mark] = []
        self._alerts: list[Mark] = []
        self._reason: Reason | None = None
        self._found_by_status = False
        self._ended = False

    def take(self, record: Record, alerts: Sequence[Alert]) -> None:
        """Take a record, and what the audit found in it."""
        passed = record.monotonic - self._first.monotonic
        at = min(max(passed, self._length), LONGEST)
        if len(self._alerts) < MOST_MARKS:
            self._alerts += [Mark(MarkKind.ALERT, at, str(alert)) for alert in alerts]
        if isinstance(record, Opened | Closed):
            self._assume_opened()
        match record:
            case Changed() if self._ended and not self._open:
                return  # a trigger between two attempts
            case Changed():
                self._change(record, at)
            case Opening():
                self._opening(record, at, alerts)
            case Opened() if self._open:
                self._open[-1].opened = at
            case Closed():
                self._close(record, at)
            case FoundByStatus():
                self._found_by_status = True
            case Ended():
                self._ended = True
        self._length = at

    def _change(self, record: Changed, at: float) -> None:
        if self._state is None:
            self._state = record.source
        if record.source is record.target:
            kind = MARKS.get(record.event)
            if kind is not None and len(self._marks) < MOST_MARKS:
                self._marks.append(Mark(kind, at))
        if self._state is not record.target:
            self._spans.append(Span(self._state, self._since, at))
            self._state, self._since = record.target, at
        self._reason = record.reason or self._reason
        for socket in self._open:
            socket.moved(at, outside=record.target is not SOCKET_OWNER)

    def _opening(self, record: Opening, at: float, alerts: Sequence[Alert]) -> None:
        second = any(
            isinstance(alert, SecondSocket)
            or (isinstance(alert, PromiseBroken) and alert.promise == ONE_SOCKET)
            for alert in alerts
        )
        socket = _OpenSocket(at, second, len(self._open))
        socket.moved(at, outside=self._state not in (None, SOCKET_OWNER))
        self._open.append(socket)
        self._subject = record.subject or self._subject

    def _assume_opened(self) -> None:
        """Of a lane without a beginning, the opening may be missing as well."""
        cut = not (isinstance(self._first, Began) or self._open or self._sockets or self._spans)
        if cut and self._state in (None, SOCKET_OWNER):
            self._open.append(_OpenSocket(0.0, second=False, track=0, opened=0.0))

    def _close(self, record: Closed, at: float) -> None:
        if self._open:
            socket = self._open.pop()
            broken = record.how is Closing.BROKEN
            if broken:
                socket.moved(at, outside=True)
            self._sockets.append(socket.closed(None if broken else at, record.how))

    def lane(self) -> Lane:
        """What is known in the end."""
        last = [] if self._state is None else [Span(self._state, self._since)]
        still = [socket.closed(None, None) for socket in self._open]
        return Lane(
            lifecycle=self._first.lifecycle,
            attempt=self._first.attempt,
            wall=self._first.wall,
            length=self._length,
            subject=self._subject,
            spans=(*self._spans, *last),
            sockets=tuple(sorted([*self._sockets, *still], key=lambda s: (s.start, s.track))),
            marks=(*self._marks, *self._alerts),
            reason=self._reason,
            found_by_status=self._found_by_status,
            began=isinstance(self._first, Began),
            ended=self._ended,
        )
