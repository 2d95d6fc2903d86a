"""Records made by hand, at chosen times: what a lifecycle might report."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

from qrlifecycle import Event, Reason, State
from qrlifecycle.records import (
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
    Record,
)

__all__ = ["EPOCH", "UPTIME", "Story", "healthy"]

EPOCH = datetime(2026, 11, 23, 8, 0, tzinfo=UTC).timestamp()
"""Seconds since 1970 from which every story counts its own."""

UPTIME = 5000.0
"""Seconds that the monotonic clock shows then."""


class Story:
    """The records of one lifecycle; each call tells what happens next.

    What a call tells fits to the state that the calls before it led to. A step that is wrong on
    purpose names its ``source``, or is told with `add()`. An ``after`` is in seconds.

    Args:
        lifecycle: its identifier.
        at: when it starts, in seconds after the epoch.
        subject: whom its sockets are for.
        shared: which shared socket they are shares of.
        key: what its attempts were joined by.
    """

    def __init__(
        self,
        lifecycle: str = "c0ffee0001-1",
        *,
        at: float = 0.0,
        subject: tuple[str, ...] | None = ("bot-7", "user-123"),
        shared: str | None = None,
        key: tuple[str, ...] | None = None,
    ) -> None:
        self.records: list[Record] = []
        self._lifecycle = lifecycle
        self._at = at
        self._subject = subject
        self._key = key
        self._shared = shared
        self._attempt = 0
        self._state = State.IDLE

    def add(self, kind: Callable[..., Record], *fields: object) -> Self:
        """Tell of anything; the fields are those that not every record has."""
        self._attempt += kind is Began
        record = kind(self._lifecycle, self._attempt, UPTIME + self._at, EPOCH + self._at, *fields)
        if isinstance(record, Changed):
            self._state = record.target
        self.records.append(record)
        return self

    def wait(self, seconds: float) -> Self:
        """Let time pass."""
        self._at += seconds
        return self

    def change(
        self,
        event: Event,
        target: State | None = None,
        reason: Reason | None = None,
        *,
        source: State | None = None,
    ) -> Self:
        """Take a row; without a target, an internal one."""
        source = source or self._state
        return self.add(Changed, source, event, target or source, reason)

    def begin(self, *, close_timeout: float = 1.0) -> Self:
        """`pair()` is called; a code is asked for, unless it was before."""
        self.add(Began, close_timeout, self._key)
        if self._state is State.GENERATING:
            return self
        return self.change(Event.GENERATE, State.GENERATING)

    def answer(self) -> Self:
        """The service answers with a code; nobody listens yet."""
        return self.wait(0.3).change(Event.QR_READY, State.DISPLAYED)

    def lease(self, waited: float) -> Self:
        """The lease is waited for, and had."""
        return self.add(Acquiring).wait(waited).add(Leased, waited, 7)

    def lose(self, by: LeaseEnd) -> Self:
        """It is held no more: given back, taken over, or lost."""
        return self.add(LeaseGone, by)

    def open(self) -> Self:
        """A transport is made, and listens."""
        return self.add(Opening, self._subject, self._shared).wait(0.1).add(Opened)

    def show(self) -> Self:
        """The code is handed out."""
        return self.change(Event.QR_UPDATED)

    def display(self) -> Self:
        """From the call of `pair()` until a code is on screen."""
        return self.begin().answer().open().show()

    def scan(self, after: float) -> Self:
        """The phone reads the code."""
        return self.wait(after).change(Event.SCANNED)

    def find_by_status(self) -> Self:
        """A read of the status tells of the success first."""
        return self.add(FoundByStatus)

    def leave(self, event: Event) -> Self:
        """It is decided that `displayed` is left."""
        return self.add(Leaving, event)

    def close(self, how: Closing = Closing.GRACEFUL) -> Self:
        """The socket is gone."""
        return self.add(Closed, how)

    def end(self) -> Self:
        """`pair()` returns."""
        return self.add(Ended)

    def pair(self, after: float = 5.0) -> Self:
        """The account is paired while a code is on screen, and the attempt ends."""
        return self.wait(after)._leave_for(State.CONNECTED, Event.PAIRED).end()

    def fail(self, after: float = 60.0, reason: Reason = Reason.EXPIRED) -> Self:
        """It fails while a code is on screen."""
        return self.wait(after)._leave_for(State.FAILED, Event.FAIL, reason).end()

    def cancel(self, after: float) -> Self:
        """The person goes away while a code is on screen."""
        return self.wait(after)._leave_for(State.IDLE, Event.CANCEL, Reason.CANCELLED).end()

    def expire(self, after: float) -> Self:
        """The code runs out; another is shown over another socket."""
        return self.wait(after)._leave_for(State.GENERATING, Event.EXPIRED).answer().open().show()

    def _leave_for(self, target: State, event: Event, reason: Reason | None = None) -> Self:
        """Leave `displayed` as is promised: the socket is gone before the row is taken."""
        return self.leave(event).wait(0.01).close().change(event, target, reason)


def healthy() -> Story:
    """A round in which nothing is wrong."""
    return Story().display().scan(3).pair()
