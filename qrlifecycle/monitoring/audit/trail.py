"""The trail of one attempt: what it did according to its records, and which promises that breaks.

Records are its only source, so it judges a journal in the same way as a running program. It uses
the table, and shares no code with the engine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from ...errors import EventRefused
from ...machine import MACHINE
from ...records import (
    Acquiring,
    Began,
    Changed,
    Closed,
    Closing,
    Ended,
    FoundByStatus,
    Leased,
    LeaseEnd,
    LeaseGone,
    Leaving,
    Opened,
    Opening,
    Polling,
    Record,
)
from ...states import ENDS, SOCKET_OWNER, Event, State

__all__ = ["SLACK", "Trail", "Violation"]

SLACK = 0.5
"""Seconds by which a busy event loop may be late, beyond what a promise allows."""


class Violation(NamedTuple):
    """A promise that did not hold, by its number; None means the table itself."""

    promise: int | None
    text: str


class Trail:
    """One attempt, according to its records.

    Args:
        first: the record it begins with. If that is not `Began` (a journal was cut), what came
            before is not known, and no violation is derived from it.
        state: where the previous attempt ended, if that is known.
    """

    __slots__ = (
        "_attempt_known",
        "_close_timeout",
        "_late_reported",
        "_listening",
        "_polled",
        "_shared",
        "_socket_since",
        "_successes",
        "attempt",
        "awaits_lease",
        "closed_at",
        "codes",
        "ended",
        "ends",
        "found_by_status",
        "latest",
        "leased",
        "left_at",
        "openings",
        "scanned_at",
        "socket_seconds",
        "sockets",
        "state",
        "subject",
        "success_at",
    )

    def __init__(self, first: Record, state: State | None = None) -> None:
        self.attempt = first.attempt
        self.state = state
        self.sockets = 0
        """How many are open now."""
        self.socket_seconds = 0.0
        """Of its own sockets that are closed again."""
        self.openings = 0
        self.codes = 0
        """Handed out so far."""
        self.subject: tuple[str, ...] | None = None
        self.leased: bool | None = None
        """Whether the lease is held; None before it is, and where there is none."""
        self.awaits_lease = False
        self.scanned_at: float | None = None
        self.left_at: float | None = None
        """When leaving `displayed` was decided, until it is left."""
        self.success_at: float | None = None
        """When leaving was decided because the account is paired."""
        self.closed_at: float | None = None
        """When the socket was closed after that decision; None if it was closed before."""
        self.found_by_status = False
        self.ends = 0
        """How often a state without an attempt was reached; the first one is the outcome."""
        self.ended = False
        """Whether `pair()` has returned or raised."""
        self._attempt_known = isinstance(first, Began)
        self._close_timeout = first.close_timeout if isinstance(first, Began) else math.inf
        self._late_reported = False
        self._listening = False
        self._polled = False
        self._shared = False
        """Whether the newest socket is a share of a shared one."""
        self._socket_since = 0.0
        self._successes = 0
        self.latest = first.monotonic
        """When the latest record was made, as `Record.monotonic`."""

    @property
    def succeeded(self) -> bool:
        """Whether the account was paired."""
        return self._successes > 0

    def follow(self, record: Record) -> Iterator[Violation]:
        """Follow the next record; yield what it breaks."""
        if record.monotonic < self.latest:
            yield Violation(None, "time ran backwards: records are not in their order")
        self.latest = record.monotonic
        match record:
            case Changed():
                yield from self._change(record)
            case Acquiring() | Leased() | LeaseGone():
                yield from self._note_lease(record)
            case Opening():
                yield from self._open(record)
            case Opened() | Polling():
                self._listening, self._polled = True, isinstance(record, Polling)
            case Leaving():
                self._leave(record)
            case Closed():
                yield from self._close(record)
            case FoundByStatus():
                self.found_by_status = True
            case Ended():
                yield from self._end()

    def _change(self, record: Changed) -> Iterator[Violation]:
        source, event, target = record.source, record.event, record.target
        if self.state not in (None, source):
            yield Violation(
                None, f"'{event}' was taken in '{source}', but the state was '{self.state}'"
            )
        if not _is_row(source, event, target):
            yield Violation(None, f"no row leads from '{source}' by '{event}' to '{target}'")
        if self.sockets and target is not SOCKET_OWNER:
            yield Violation(1, f"a socket was open in state '{target}'")
        if event is Event.QR_UPDATED:
            self.codes += 1
            self.scanned_at = None
            if self._attempt_known and not self._listening:
                yield Violation(4, "a code was handed out while nobody listened")
        elif event is Event.SCANNED and self.scanned_at is None:
            self.scanned_at = record.monotonic
        self.state = target
        if source is not target:
            self._listening = self._listening and not self._polled  # no socket is closed at its end
            self._polled = False
            self.left_at = self.scanned_at = None
            self.ends += target in ENDS
            if target is State.CONNECTED:
                self._successes += 1
                if self._successes > 1:
                    yield Violation(4, "one attempt succeeded twice")

    def _open(self, record: Opening) -> Iterator[Violation]:
        if self.sockets:
            yield Violation(3, "a second socket was opened while the first was open")
        if self.state not in (None, SOCKET_OWNER):
            yield Violation(1, f"a socket was opened in state '{self.state}'")
        if self.left_at is not None:
            yield Violation(2, "a socket was opened although leaving had been decided")
        if self.leased is False:
            yield Violation(9, "a socket was opened after the lease was gone")
        self.sockets += 1
        self.openings += 1
        self.subject = record.subject
        self._shared = record.shared is not None
        self._socket_since = record.monotonic

    def _note_lease(self, record: Acquiring | Leased | LeaseGone) -> Iterator[Violation]:
        self.awaits_lease = isinstance(record, Acquiring)
        if self.awaits_lease:
            return
        self.leased = isinstance(record, Leased)
        released = isinstance(record, LeaseGone) and record.by is LeaseEnd.RELEASED
        if self.sockets and released:
            yield Violation(9, "the lease was given back while a socket was open")

    def _leave(self, record: Leaving) -> None:
        if self.left_at is None:
            self.left_at = record.monotonic
        if record.event is Event.PAIRED:
            self.success_at = record.monotonic

    def _close(self, record: Closed) -> Iterator[Violation]:
        self._listening = False
        if self.success_at is not None:
            self.closed_at = record.monotonic
        if not self.sockets:
            if self._attempt_known:
                yield Violation(None, "a socket was closed that had not been opened")
            return
        self.sockets -= 1
        if not self._shared:
            self.socket_seconds += record.monotonic - self._socket_since
        if record.how is Closing.BROKEN:
            yield Violation(1, "the transport's abort() raised: its socket may still be open")
        if self.left_at is not None:
            took = record.monotonic - self.left_at
            if self._is_late(took) and not self._late_reported:
                yield Violation(2, f"leaving took {took:.3f} s; {self._limit()}")

    def overdue(self, now: float) -> Iterator[Violation]:
        """What should have happened by now and has not; it is reported once."""
        if not self.sockets or self.left_at is None or self._late_reported:
            return
        took = now - self.left_at
        if self._is_late(took):
            self._late_reported = True
            yield Violation(2, f"leaving has taken {took:.3f} s so far; {self._limit()}")

    def _is_late(self, took: float) -> bool:
        return took > self._close_timeout + SLACK

    def _limit(self) -> str:
        return f"close_timeout is {self._close_timeout:g} s"

    def _end(self) -> Iterator[Violation]:
        self.ended, self.awaits_lease = True, False
        yield from self.cut_off("pair() ended and left a socket open")
        undecided = self.state is State.GENERATING and not self.ends and self._attempt_known
        if self.state is SOCKET_OWNER or undecided:
            yield Violation(5, f"pair() ended in state '{self.state}'")

    def cut_off(self, text: str) -> Iterator[Violation]:
        """No more records can come: a socket that is open now was left behind."""
        if self.sockets:
            yield Violation(8, text)


def _is_row(source: State, event: Event, target: State) -> bool:
    try:
        row = MACHINE.row(source, event)
    except EventRefused:
        return False
    return target is (row.target or source)
