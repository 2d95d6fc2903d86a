"""Journals made by hand: attempts that went as they are told to, at times that are chosen."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from qrlifecycle.events import Event
from qrlifecycle.journal import format_record
from qrlifecycle.outcome import Reason
from qrlifecycle.records import (
    Began,
    Changed,
    Closed,
    Closing,
    Ended,
    FoundByStatus,
    Leaving,
    Opened,
    Opening,
    Record,
)
from qrlifecycle.states import State

JOURNAL = Path(__file__).parent.parent / "docs" / "how-to" / "pairings.jsonl"
"""The working day, for the page on timelines."""

MORNING = datetime(2026, 11, 23, 8, 0, tzinfo=UTC).timestamp()
PROCESS_BEGAN = 5000.0
"""What the monotonic clock showed then."""


class Story:
    """The records of one attempt; each call tells what happened after so many seconds more.

    Args:
        name: the lifecycle.
        at: when it begins, in seconds since the morning.
        subject: whom its sockets are for.
        attempt: which attempt of the lifecycle.
    """

    def __init__(
        self,
        name: str = "c0ffee0001-1",
        *,
        at: float = 0.0,
        subject: tuple[str, ...] | None = ("bot-7", "user-123"),
        attempt: int = 1,
    ) -> None:
        self.records: list[Record] = []
        self._name = name
        self._at = at
        self._subject = subject
        self._attempt = attempt
        self._state = State.IDLE
        self._tell(Began, 1.0, False)

    def wait(self, seconds: float) -> Self:
        """Let time pass."""
        self._at += seconds
        return self

    def change(
        self, event: Event, target: State | None = None, reason: Reason | None = None
    ) -> Self:
        """Take a row."""
        source, self._state = self._state, target or self._state
        return self._tell(Changed, source, event, self._state, reason)

    def generate(self, after: float = 0.3) -> Self:
        """Ask for a code, and get it."""
        self.change(Event.GENERATE, State.GENERATING).wait(after)
        return self.change(Event.QR_READY, State.DISPLAYED)

    def open(self, after: float = 0.1) -> Self:
        """Open a socket; it listens."""
        return self._tell(Opening, self._subject).wait(after)._tell(Opened)

    def show(self) -> Self:
        """Hand out a code."""
        return self.change(Event.QR_UPDATED)

    def display(self) -> Self:
        """Get a code, open the socket, hand the code out."""
        return self.generate().open().show()

    def scan(self, after: float) -> Self:
        """The phone reads the code."""
        return self.wait(after).change(Event.SCANNED)

    def close(self, how: Closing = Closing.POLITE) -> Self:
        """Close the socket."""
        return self._tell(Closed, how)

    def leave(
        self,
        event: Event,
        target: State,
        reason: Reason | None = None,
        *,
        how: Closing = Closing.POLITE,
    ) -> Self:
        """Decide to leave `displayed`, close the socket, take the row."""
        self.decide(event).wait(0.01).close(how)
        return self.change(event, target, reason)

    def decide(self, event: Event) -> Self:
        """`displayed` will be left, by this event."""
        return self._tell(Leaving, event)

    def pair(self, after: float) -> Self:
        """The account is linked, and it is over."""
        return self.wait(after).leave(Event.PAIRED, State.CONNECTED).end()

    def expire(self, after: float) -> Self:
        """The code runs out; another is shown over another socket."""
        self.wait(after).leave(Event.EXPIRED, State.GENERATING).wait(0.3)
        return self.change(Event.QR_READY, State.DISPLAYED).open().show()

    def fail(self, after: float, reason: Reason) -> Self:
        """The attempt ends without a link while a code is displayed."""
        return self.wait(after).leave(Event.FAIL, State.FAILED, reason).end()

    def cancel(self, after: float) -> Self:
        """The person goes away."""
        self.wait(after).leave(Event.CANCEL, State.IDLE, Reason.CANCELLED)
        return self.end()

    def end(self) -> Self:
        """`pair()` returns."""
        return self._tell(Ended)

    def find_by_status(self) -> Self:
        """A read of the status tells of the success first."""
        return self._tell(FoundByStatus)

    def _tell(self, kind: Callable[..., Record], *fields: object) -> Self:
        times = PROCESS_BEGAN + self._at, MORNING + self._at
        self.records.append(kind(self._name, self._attempt, *times, *fields))
        return self


def together(*stories: Story) -> list[Record]:
    """The records of several attempts in the order of time, as a journal has them."""
    records = [record for story in stories for record in story.records]
    return sorted(records, key=lambda record: record.monotonic)


def working_day(seed: int = 7) -> list[Record]:
    """Twelve attempts of a day on which all was well, with all kinds of ends."""
    draw = random.Random(seed)

    def near(seconds: float) -> float:
        return round(seconds * draw.uniform(0.8, 1.25), 3)

    tales: Sequence[Callable[[Story], Story]] = (
        lambda story: story.display().scan(near(9)).pair(near(3)),
        lambda story: story.display().wait(near(20)).show().scan(near(6)).pair(near(4)),
        lambda story: story.display().cancel(near(7)),
        lambda story: story.display().scan(near(14)).pair(near(2)),
        lambda story: (
            story.display().wait(near(11)).close().wait(0.8).open().scan(near(9)).pair(near(3))
        ),
        lambda story: story.display().expire(20).expire(20).fail(20, Reason.REFRESHES_USED_UP),
        lambda story: (
            story.change(Event.GENERATE, State.GENERATING)
            .wait(near(0.5))
            .change(Event.PAIRED, State.CONNECTED)
            .end()
        ),
        lambda story: story.display().expire(20).scan(near(8)).pair(near(3)),
        lambda story: (
            story.change(Event.GENERATE, State.GENERATING)
            .wait(near(2))
            .change(Event.FAIL, State.FAILED, Reason.REFUSED_BY_SERVICE)
            .end()
        ),
        lambda story: story.display().scan(near(6)).fail(30, Reason.CONFIRMATION_TIMED_OUT),
        lambda story: story.display().scan(near(5)).find_by_status().pair(near(6)),
        lambda story: story.display().scan(near(12)).pair(near(3)),
    )
    at = 0.0
    told = []
    for number, tale in enumerate(tales, 1):
        at = round(at + draw.uniform(120, 3600), 3)
        subject = "bot-7", f"user-{draw.randrange(100, 1000)}"
        told.append(tale(Story(f"c0ffee0001-{number}", at=at, subject=subject)))
    return together(*told)


def bad_day() -> list[Record]:
    """Attempts that broke a promise, each in another way, and one that did not."""
    user = ("bot-7", "user-254")
    return together(
        Story("c0ffee0001-1", at=0, subject=user).display().scan(9).pair(3),
        # The socket outlives the success by some seconds.
        Story("c0ffee0001-2", at=60, subject=("bot-7", "user-196"))
        .display()
        .scan(8)
        .wait(3)
        .change(Event.PAIRED, State.CONNECTED)
        .wait(6)
        .close()
        .end(),
        # It is opened before there is a code.
        Story("c0ffee0001-3", at=120, subject=("bot-7", "user-544"))
        .change(Event.GENERATE, State.GENERATING)
        .wait(0.5)
        .open()
        .wait(4)
        .change(Event.QR_READY, State.DISPLAYED)
        .show()
        .cancel(12),
        # Two pages of one person.
        Story("c0ffee0001-4", at=180, subject=("bot-7", "user-664")).display().scan(15).pair(4),
        Story("c0ffee0001-5", at=185, subject=("bot-7", "user-664")).display().cancel(17),
        # Nobody closes it.
        Story("c0ffee0001-6", at=240, subject=("bot-7", "user-328"))
        .display()
        .wait(20)
        .change(Event.FAIL, State.FAILED, Reason.REFRESHES_USED_UP)
        .end(),
        # Two at once in one attempt.
        Story("c0ffee0001-7", at=300, subject=("bot-7", "user-150"))
        .display()
        .wait(6)
        .open()
        .scan(4)
        .close()
        .pair(3),
        # It is under way when the journal ends.
        Story("c0ffee0001-8", at=360, subject=("bot-7", "user-529")).display().scan(7),
    )


def write(path: Path, records: Sequence[Record]) -> Path:
    """A journal of these records."""
    path.write_bytes(b"".join(format_record(record) + b"\n" for record in records))
    return path


if __name__ == "__main__":
    write(JOURNAL, working_day())
