"""Journals made by hand: a day on which all was well, and one on which promises were broken.

``python -m tests.journals`` writes the journal of the page on timelines.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from qrlifecycle.monitoring.journal import format_record
from qrlifecycle.outcome import Reason
from qrlifecycle.records import Record
from qrlifecycle.states import Event, State

from .records import Story

JOURNAL = Path(__file__).parent.parent / "docs" / "how-to" / "pairings.jsonl"
"""The working day, for the page on timelines."""


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
        lambda story: story.display().expire(20).expire(20).fail(20, Reason.CODES_USED_UP),
        lambda story: story.begin().wait(near(0.5)).change(Event.PAIRED, State.CONNECTED).end(),
        lambda story: story.display().expire(20).scan(near(8)).pair(near(3)),
        lambda story: (
            story.begin()
            .wait(near(2))
            .change(Event.FAIL, State.FAILED, Reason.REFUSED_BY_SERVICE)
            .end()
        ),
        lambda story: story.display().scan(near(6)).fail(30, Reason.APPROVAL_TIMED_OUT),
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
        .begin()
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
        .change(Event.FAIL, State.FAILED, Reason.CODES_USED_UP)
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
