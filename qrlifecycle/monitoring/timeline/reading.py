"""Reading: lanes from records, in bounded memory, whatever a journal holds.

Every record is also given to an audit, and its findings are kept with the lane.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import InvalidValue
from ...records import (
    Began,
    Changed,
    Dropped,
    Ended,
    Opening,
    Record,
    SharedClosed,
    SharedOpened,
    SharedOpening,
)
from ..audit import Alert, Audit
from .lane_builder import Key, LaneBuilder, shortened
from .lanes import Timeline

__all__ = ["LAST", "read"]

LAST = 20
"""The default number of attempts: as many as fit on a page."""

MOST_WAITING = 10_000
"""Attempts that are held until their subject is known."""


MOST_SHARED = 10_000
"""Shared sockets whose openings are counted apart."""


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
        subject: only for those that have this word in their subject or their key; one without a
            socket may have neither.

    Raises:
        InvalidValue: ``last`` is not at least 1.
    """
    if last < 1:
        raise InvalidValue(f"last must be at least 1 attempt, not {last}")
    reader = _Reader(last, lifecycle, subject)
    for record in records:
        reader.add(record)
    return reader.timeline()


class _Reader:
    """Keeps the latest attempts, and gives every record to an audit."""

    def __init__(self, last: int, lifecycle: str | None, subject: str | None) -> None:
        self._last = last
        self._lifecycle = lifecycle
        self._subject = subject
        self._kept: dict[Key, LaneBuilder] = {}
        self._waiting: dict[Key, LaneBuilder] = {}
        """Those whose subject is not known yet."""
        self._openings: dict[str, int] = {}
        self._begun = 0
        self._found: list[Alert] = []
        self._alerts = 0
        self._audit = Audit(on_alert=self._found.append, clock=None)

    def add(self, record: Record) -> None:
        """Read one more record."""
        self._found.clear()
        self._audit(record)
        self._alerts += sum(map(self._asked_for, self._found))
        if isinstance(record, SharedOpening | SharedOpened | SharedClosed):
            self._note_shared(record)
            return
        self._begun += isinstance(record, Began)
        if self._lifecycle in (None, record.lifecycle) and not isinstance(record, Dropped):
            lane = self._lane(record)
            if lane is not None:
                lane.add(record, self._found)

    def _note_shared(self, record: Record) -> None:
        """A shared socket has no lane: whoever has a share of it has one."""
        if len(self._openings) >= MOST_SHARED:
            self._openings.clear()
        self._openings[shortened(record.lifecycle)] = record.attempt

    def timeline(self) -> Timeline:
        """What was kept."""
        lanes = sorted((lane.build() for lane in self._kept.values()), key=lambda lane: lane.wall)
        return Timeline(
            lanes=tuple(lanes),
            left_out=self._begun - sum(lane.began for lane in lanes),
            alerts_left_out=max(self._alerts - sum(len(lane.alerts) for lane in lanes), 0),
        )

    def _asked_for(self, alert: Alert) -> bool:
        return self._lifecycle in (None, alert.lifecycle) and (
            self._subject is None or self._subject in (alert.subject or ())
        )

    def _lane(self, record: Record) -> LaneBuilder | None:
        """The lane of a record; a new one, if it may be kept."""
        key = shortened(record.lifecycle), record.attempt
        lane = self._kept.get(key) or self._waiting.get(key)
        if lane is None:
            if isinstance(record, Ended) or (isinstance(record, Changed) and not record.attempt):
                return None  # of an attempt that was cut off, or before the first attempt
            # An attempt without a beginning began before every attempt that has one.
            if not isinstance(record, Began) and len(self._kept) >= self._last:
                return None
            lane = LaneBuilder(record, key, self._openings)
            (self._kept if self._subject is None else self._waiting)[key] = lane
        if key in self._waiting:
            self._decide(key, record)
        for lanes, most in ((self._kept, self._last), (self._waiting, MOST_WAITING)):
            if len(lanes) > most:
                del lanes[next(iter(lanes))]
        return lane

    def _decide(self, key: Key, record: Record) -> None:
        """Keep a lane whose subject or key is asked for; forget one whose subject is another's."""
        words = None
        if isinstance(record, Opening):
            words = record.subject
        elif isinstance(record, Began):
            words = record.key
        if self._subject in (words or ()):
            self._kept[key] = self._waiting.pop(key)
        elif isinstance(record, Opening | Ended):
            del self._waiting[key]
