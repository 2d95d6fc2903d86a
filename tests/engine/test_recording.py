"""A recording by itself: what is told once, what is counted, and what is told whatever happens."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from qrlifecycle import Event, Policy, State
from qrlifecycle.engine import recording
from qrlifecycle.engine.recording import Recording
from qrlifecycle.logs import About
from qrlifecycle.records import Changed, Dropped, Ended, Record


class Attempt:
    """A recording whose records are delivered at once, and what one recorder was told."""

    def __init__(self, *others: Callable[[Record], object]) -> None:
        self.records: list[Record] = []
        self.recording = Recording((*others, self.records.append), self.deliver, About())

    def deliver(self, deliver: Callable[[Any], object], item: object) -> None:
        """Deliver what is published."""
        deliver(item)

    def rotate(self) -> None:
        """There is a newer code."""
        self.change(State.DISPLAYED, Event.QR_UPDATED, State.DISPLAYED)

    def change(self, source: State, event: Event, target: State) -> None:
        """A row was taken."""
        if (record := self.recording.change(source, event, target, None)) is not None:
            self.recording.tell(record)

    def rotations(self) -> int:
        """How many were told."""
        told = [record for record in self.records if isinstance(record, Changed)]
        return sum(record.event is Event.QR_UPDATED for record in told)


def test_the_limit_of_internal_changes_is_that_of_one_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once a state is left, the next has all of it again."""
    monkeypatch.setattr(recording, "MOST_INTERNAL", 2)
    attempt = Attempt()
    attempt.recording.begin(Policy())
    for _ in range(2):
        for _ in range(5):
            attempt.rotate()
        attempt.change(State.DISPLAYED, Event.GENERATE, State.GENERATING)
    assert attempt.rotations() == 4


def test_what_was_dropped_is_told_by_the_attempt_that_dropped_it() -> None:
    """The next attempt tells its own."""
    attempt = Attempt()
    for dropped in ({"foreign": 2}, {"malformed": 1}):
        attempt.recording.begin(Policy())
        attempt.recording.drop(dropped)
        attempt.recording.end()
    told = [record for record in attempt.records if isinstance(record, Dropped)]
    assert [(record.attempt, record.cause, record.count) for record in told] == [
        (1, "foreign", 2),
        (2, "malformed", 1),
    ]


def test_the_end_is_told_though_a_recorder_is_interrupted_before_it() -> None:
    """What is told of what was dropped may be cut short; that the attempt is over may not."""

    def interrupt(record: Record) -> None:
        if isinstance(record, Dropped):
            raise KeyboardInterrupt

    attempt = Attempt(interrupt)
    attempt.recording.begin(Policy())
    attempt.recording.drop({"foreign": 1})
    with pytest.raises(KeyboardInterrupt):
        attempt.recording.end()
    assert isinstance(attempt.records[-1], Ended)


def test_of_two_interruptions_the_first_is_raised() -> None:
    """And the recorders behind them are told all the same."""

    def interrupt(_record: Record) -> None:
        raise KeyboardInterrupt

    def leave(_record: Record) -> None:
        raise SystemExit

    attempt = Attempt(interrupt, leave)
    with pytest.raises(KeyboardInterrupt):
        attempt.recording.begin(Policy())
    assert len(attempt.records) == 1


def test_a_recorder_that_is_async_in_disguise_is_told_how_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its coroutine is closed, not run; the log says what to do about it."""
    made: list[Coroutine[Any, Any, None]] = []

    async def keep(_record: Record) -> None:
        """Would keep it, if anybody waited."""

    def disguised(record: Record) -> object:
        made.append(keep(record))
        return made[-1]

    attempt = Attempt(disguised)
    attempt.recording.begin(Policy())
    attempt.recording.end()
    assert {inspect.getcoroutinestate(one) for one in made} == {inspect.CORO_CLOSED}
    assert [(record.name, record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            "qrlifecycle",
            logging.ERROR,
            "a recorder gave back a coroutine, which was not run: make it a plain function; "
            "it is not said again",
        )
    ]


def test_records_of_a_recorder_that_is_plain_are_no_trouble(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What it gives back is nobody's business."""
    attempt = Attempt(lambda _record: "kept")
    attempt.recording.begin(Policy())
    assert caplog.records == []
