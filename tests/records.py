"""Records made by hand, at chosen times: what a journal might say."""

from __future__ import annotations

from typing import Any

from qrlifecycle import Event, Reason, State
from qrlifecycle.records import (
    Began,
    Changed,
    Closed,
    Closing,
    Ended,
    Leaving,
    Opened,
    Opening,
    Record,
)

__all__ = ["EPOCH", "Story", "healthy"]

EPOCH = 1_795_000_000.0
"""Seconds since 1970 at which every story begins."""


class Story:
    """The records of one lifecycle; each method tells of something, ``after`` so many seconds.

    Args:
        lifecycle: its identifier.
        subject: whom its sockets are for.
        start: seconds after the epoch at which it begins.
    """

    def __init__(
        self,
        lifecycle: str = "aaaaaaaaaa-1",
        subject: tuple[str, ...] | None = ("bot-7", "user-1"),
        start: float = 0.0,
    ) -> None:
        self.records: list[Record] = []
        self._lifecycle = lifecycle
        self._subject = subject
        self._now = start
        self._attempt = 0

    def add(self, kind: Any, *fields: object, after: float = 0.0) -> Story:
        """Tell of anything."""
        self._now += after
        self._attempt += kind is Began
        common = (self._lifecycle, self._attempt, self._now, EPOCH + self._now)
        self.records.append(kind(*common, *fields))
        return self

    def begin(self, *, close_timeout: float = 1.0, show_at_once: bool = False) -> Story:
        """`pair()` is called, and a code asked for."""
        self.add(Began, close_timeout, show_at_once)
        return self.change(State.IDLE, Event.GENERATE, State.GENERATING)

    def change(
        self,
        source: State,
        event: Event,
        target: State,
        reason: Reason | None = None,
        after: float = 0.0,
    ) -> Story:
        """A row is taken."""
        return self.add(Changed, source, event, target, reason, after=after)

    def display(self) -> Story:
        """The code comes; nobody listens yet."""
        return self.change(State.GENERATING, Event.QR_READY, State.DISPLAYED, after=0.1)

    def open(self) -> Story:
        """A transport is made, and listens."""
        self.add(Opening, self._subject)
        return self.add(Opened, after=0.02)

    def note(self, event: Event, after: float = 0.0) -> Story:
        """An internal row."""
        return self.change(State.DISPLAYED, event, State.DISPLAYED, after=after)

    def show(self) -> Story:
        """From the call of `pair()` until a code is on screen."""
        return self.begin().display().open().note(Event.QR_UPDATED)

    def leave(self, event: Event, after: float = 0.0) -> Story:
        """It is decided that `displayed` is left."""
        return self.add(Leaving, event, after=after)

    def close(self, how: Closing = Closing.POLITE, after: float = 0.001) -> Story:
        """The socket is gone."""
        return self.add(Closed, how, after=after)

    def succeed(self, after: float = 5.0) -> Story:
        """The success signal comes, and everything that follows from it."""
        self.leave(Event.PAIRED, after=after).close()
        return self.change(State.DISPLAYED, Event.PAIRED, State.CONNECTED).end()

    def fail(self, reason: Reason = Reason.EXPIRED, after: float = 60.0) -> Story:
        """It fails while a code is on screen."""
        self.leave(Event.FAIL, after=after).close()
        return self.change(State.DISPLAYED, Event.FAIL, State.FAILED, reason).end()

    def end(self) -> Story:
        """`pair()` returns."""
        return self.add(Ended)


def healthy() -> Story:
    """A round in which nothing is wrong."""
    return Story().show().note(Event.SCANNED, after=3.0).succeed()
