"""One lane while its records are read: it keeps only what is drawn, in bounded memory.

Only where a socket was open outside `displayed` is determined here, from the order of the records,
as the audit does; what else is wrong the audit says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from ...outcome import Reason
from ...records import (
    Acquiring,
    Began,
    Changed,
    Closed,
    Closing,
    Ended,
    FoundByStatus,
    Leased,
    LeaseGone,
    Opened,
    Opening,
    Record,
)
from ...states import SOCKET_OWNER, Event, State
from ..audit import Alert, PromiseBroken, SecondSocket
from ..journal import LONGEST_TEXT, MOST_WORDS
from .lanes import Lane, LeaseSpan, Mark, MarkKind, Socket, Span

__all__ = ["Key", "LaneBuilder", "shortened"]

LONGEST = 10 * 366 * 86400.0
"""Seconds; no lane is longer, whatever a broken journal says."""

MOST_OF_A_KIND = 1000
"""Marks of a lane; findings, spans and sockets as many. A peer may repeat "scanned" without end,
and an attempt may reconnect for days."""

MOST_TRACKS = 10
"""Sockets of a lane that were open at once."""

ONE_SOCKET = 3
"""The number of the promise that a second socket in one lifecycle breaks."""

MARKS = {
    Event.QR_UPDATED: MarkKind.CODE,
    Event.SCANNED: MarkKind.SCANNED,
    Event.ACTION_REQUIRED: MarkKind.ACTION,
}
"""The internal rows that are marked."""

Key = tuple[str, int]
"""A lifecycle's identifier, shortened, and the number of its attempt."""


def shortened(text: str) -> str:
    """Both ends of a long text, and a digest that keeps it apart from others with the same ends."""
    if len(text) <= LONGEST_TEXT:
        return text
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    side = (LONGEST_TEXT - len(digest) - 6) // 2
    return f"{text[:side]}...{digest}...{text[-side:]}"


def _bounded(words: tuple[str, ...]) -> tuple[str, ...]:
    """The first words of a subject, and all others as one; each shortened."""
    kept = [*words[:MOST_WORDS], *([" ".join(words[MOST_WORDS:])] if words[MOST_WORDS:] else [])]
    return tuple(map(shortened, kept))


@dataclass(slots=True)
class _OpenSocket:
    """A socket that has not been closed yet."""

    start: float
    second: bool
    track: int
    opened: float | None = None
    outside: list[tuple[float, float | None]] | None = None
    shared: str | None = None

    def state_changed(self, at: float, *, outside: bool) -> None:
        """From now on the state is, or is not, the one that has the socket."""
        self.outside = self.outside or []
        running = bool(self.outside) and self.outside[-1][1] is None
        if outside and not running and len(self.outside) < MOST_OF_A_KIND:
            self.outside.append((at, None))
        elif running and not outside:
            self.outside[-1] = (self.outside[-1][0], at)

    def closed(self, at: float | None, how: Closing | None) -> Socket:
        """The socket as a part of a finished lane."""
        outside = self.outside or []
        if at is not None:
            outside = [(start, at if end is None else end) for start, end in outside]
        spans = tuple(outside)
        return Socket(self.start, self.opened, at, how, spans, self.second, self.track, self.shared)


class LaneBuilder:
    """A lane while its records are read; it keeps only what is drawn."""

    def __init__(self, first: Record, key: Key, openings: Mapping[str, int]) -> None:
        self._key = key
        self._openings = openings
        """Of shared sockets: how often each was opened so far."""
        self._wall = first.wall
        self._monotonic = first.monotonic
        self.began = isinstance(first, Began)
        self._length = 0.0
        joined_by = first.key if isinstance(first, Began) else None
        self._subject = None if joined_by is None else _bounded(joined_by)
        self._state: State | None = None
        self._spans: list[Span] = []
        self._since = 0.0
        self._sockets: list[Socket] = []
        self._open: list[_OpenSocket] = []
        self._open_left_out = 0
        """How many sockets were left out and are open; closings are counted for them first."""
        self._spans_left_out = self._sockets_left_out = 0
        self._lease: LeaseSpan | None = None
        self._marks: list[Mark] = []
        self._alerts: list[Mark] = []
        self._reason: Reason | None = None
        self._found_by_status = False
        self._ended = False

    def add(self, record: Record, alerts: Sequence[Alert]) -> None:
        """Add a record, and the audit's findings in it."""
        passed = record.monotonic - self._monotonic
        at = min(max(passed, self._length), LONGEST)
        if len(self._alerts) < MOST_OF_A_KIND:
            self._alerts += [Mark(MarkKind.ALERT, at, shortened(str(alert))) for alert in alerts]
        if isinstance(record, Opened | Closed):
            self._assume_opened()
        match record:
            case Changed() if self._ended and not self._open:
                return  # an event between two attempts
            case Changed():
                self._change(record, at)
            case Opening():
                self._opening(record, at, alerts)
            case Opened() if self._open and not self._open_left_out:
                self._listens(self._open[-1], at)
            case Closed():
                self._close(record, at)
            case Acquiring() | Leased() | LeaseGone():
                self._note_lease(record, at)
            case FoundByStatus():
                self._found_by_status = True
        self._ended = self._ended or isinstance(record, Ended)
        self._length = at

    def _note_lease(self, record: Acquiring | Leased | LeaseGone, at: float) -> None:
        lease = self._lease or LeaseSpan(at)
        match record:
            case Leased() if self._lease is None:  # the journal does not say since when it waited
                lease = LeaseSpan(max(at - record.waited, 0.0), at)
            case Leased():
                lease = replace(lease, held=at, gone=None, by=None)
            case LeaseGone():
                held = 0.0 if lease.held is None else lease.held  # in a lane without a beginning
                lease = replace(lease, wanted=min(lease.wanted, held), held=held)
                lease = replace(lease, gone=at, by=record.by)
        self._lease = lease

    def _change(self, record: Changed, at: float) -> None:
        if self._state is None:
            self._state = record.source
        if record.source is record.target:
            kind = MARKS.get(record.event)
            if kind is not None and len(self._marks) < MOST_OF_A_KIND:
                self._marks.append(Mark(kind, at))
        if self._state is not record.target:
            if len(self._spans) < MOST_OF_A_KIND:
                self._spans.append(Span(self._state, self._since, at))
            else:
                self._spans_left_out += 1
            self._state, self._since = record.target, at
        self._reason = record.reason or self._reason
        for socket in self._open:
            socket.state_changed(at, outside=record.target is not SOCKET_OWNER)

    def _opening(self, record: Opening, at: float, alerts: Sequence[Alert]) -> None:
        if record.subject:
            self._subject = _bounded(record.subject)
        known = len(self._open) + len(self._sockets)
        if len(self._open) >= MOST_TRACKS or known >= MOST_OF_A_KIND:
            self._open_left_out += 1
            self._sockets_left_out += 1
            return
        second = any(
            isinstance(alert, SecondSocket)
            or (isinstance(alert, PromiseBroken) and alert.promise == ONE_SOCKET)
            for alert in alerts
        )
        socket = _OpenSocket(at, second, len(self._open))
        if record.shared is not None:
            socket.shared = shortened(record.shared)
        socket.state_changed(at, outside=self._state not in (None, SOCKET_OWNER))
        self._open.append(socket)

    def _listens(self, socket: _OpenSocket, at: float) -> None:
        socket.opened = at
        if socket.shared is not None:
            socket.shared += f" #{self._openings.get(socket.shared, 0)}"

    def _assume_opened(self) -> None:
        """In a lane without a beginning, the opening may be missing as well."""
        cut = not (self.began or self._open or self._sockets or self._spans)
        if cut and self._state in (None, SOCKET_OWNER):
            self._open.append(_OpenSocket(0.0, second=False, track=0, opened=0.0))

    def _close(self, record: Closed, at: float) -> None:
        if self._open_left_out:
            self._open_left_out -= 1
        elif self._open:
            socket = self._open.pop()
            broken = record.how is Closing.BROKEN
            if broken:
                socket.state_changed(at, outside=True)
            self._sockets.append(socket.closed(None if broken else at, record.how))

    def build(self) -> Lane:
        """The lane, from the records so far."""
        last = [] if self._state is None else [Span(self._state, self._since)]
        still = [socket.closed(None, None) for socket in self._open]
        return Lane(
            lifecycle=self._key[0],
            attempt=self._key[1],
            wall=self._wall,
            length=self._length,
            subject=self._subject,
            spans=(*self._spans, *last),
            sockets=tuple(sorted([*self._sockets, *still], key=lambda s: (s.start, s.track))),
            lease=self._lease,
            marks=(*self._marks, *self._alerts),
            reason=self._reason,
            found_by_status=self._found_by_status,
            began=self.began,
            ended=self._ended,
            spans_left_out=self._spans_left_out,
            sockets_left_out=self._sockets_left_out,
        )
