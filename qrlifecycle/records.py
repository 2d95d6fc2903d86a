"""What happened to a lifecycle, moment by moment, for whoever keeps a record of it.

A change tells of the table; a record tells of the socket as well: when it was made, when it
listened, when leaving began, when it was gone. Nothing secret is ever in one. A recorder is told in
the instant itself and can neither delay the lifecycle for long nor break it. This room must never
know who keeps the records, nor what for.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from .outcome import Reason
from .policy import Policy
from .states import Event, State, Word

__all__ = [
    "Began",
    "Changed",
    "Closed",
    "Closing",
    "Dropped",
    "Ended",
    "FoundByStatus",
    "Leaving",
    "Opened",
    "Opening",
    "Record",
    "Recorder",
    "Reporter",
]

MOST_INTERNAL = 1_000
"""Internal changes of one stay in a state that are told; a peer may have more."""

logger = logging.getLogger("qrlifecycle")


class Closing(Word):
    """How a socket was closed."""

    GRACEFUL = "graceful", "The goodbye was said in time."
    FORCED = "forced", "The goodbye failed or took too long, so the door was shut by force."
    BROKEN = "broken", "The transport's abort() raised: the socket may still be open."


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened.

    ``lifecycle`` is the lifecycle's identifier, ``attempt`` counts its calls of `pair()` from 1 (0
    before the first). ``monotonic`` is `time.monotonic()`, to be compared within one process;
    ``wall`` is `time.time()`. Both are seconds.
    """

    lifecycle: str
    attempt: int
    monotonic: float
    wall: float

    @property
    def process(self) -> str:
        """The process that the lifecycle lives in."""
        return self.lifecycle.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Began(Record):
    """`pair()` was called; with what the promises depend on of the policy."""

    close_timeout: float
    show_at_once: bool


@dataclass(frozen=True, slots=True)
class Changed(Record):
    """A row was taken. ``source`` equals ``target`` for an internal row."""

    source: State
    event: Event
    target: State
    reason: Reason | None = None
    """Why the attempt failed, if this ended it so."""


@dataclass(frozen=True, slots=True)
class Opening(Record):
    """A transport was made, and is held from now on; ``subject`` is its own (see `Transport`)."""

    subject: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Opened(Record):
    """The transport listens."""


@dataclass(frozen=True, slots=True)
class FoundByStatus(Record):
    """A read of the status told of the success before the transport did."""


@dataclass(frozen=True, slots=True)
class Leaving(Record):
    """It has been decided that `displayed` is left, and by which event."""

    event: Event


@dataclass(frozen=True, slots=True)
class Closed(Record):
    """The transport is gone."""

    how: Closing


@dataclass(frozen=True, slots=True)
class Dropped(Record):
    """So many messages, signals or answers of an attempt became of nothing, by one cause."""

    cause: str
    count: int


@dataclass(frozen=True, slots=True)
class Ended(Record):
    """`pair()` returned or raised."""


Recorder = Callable[[Record], object]
"""Is told each record: a plain function that does not block. An `Audit` is one, and a `Journal`."""


class Reporter:
    """Tells the recorders of one lifecycle what happens to it.

    What a peer may repeat without end is told once, or counted until the attempt ends, so that
    nobody fills a disk.

    Args:
        recorders: each is told each record, in order.
    """

    __slots__ = (
        "_attempt",
        "_complained",
        "_dropped",
        "_internal",
        "_number",
        "_pending",
        "_recorders",
        "_telling",
    )

    def __init__(self, recorders: Sequence[Recorder]) -> None:
        self._recorders = recorders
        self._number = next(_numbers)
        self._attempt = 0
        self._dropped: Counter[str] = Counter()
        self._internal: list[Event] = []
        self._pending: list[Record] = []
        self._telling = self._complained = False

    def begin(self, policy: Policy) -> None:
        """Another attempt begins."""
        self._attempt += 1
        self._internal.clear()
        self.report(Began, policy.close_timeout, policy.show_at_once)

    def end(self) -> None:
        """The attempt has ended."""
        for cause, number in self._dropped.items():
            self.report(Dropped, cause, number)
        self._dropped.clear()
        self.report(Ended)

    def drop(self, dropped: Mapping[str, int]) -> None:
        """Something became of nothing."""
        self._dropped.update(dropped)

    def change(
        self, source: State, event: Event, target: State, reason: Reason | None = None
    ) -> None:
        """A row was taken. The same internal row once more is no news, but for another code."""
        told = self._internal
        if source is not target:
            told.clear()
        else:
            again = event in told[-1:] and event is not Event.QR_UPDATED
            if again or len(told) >= MOST_INTERNAL:
                return
            told.append(event)
        self.report(Changed, source, event, target, reason)

    def report(self, kind: Callable[..., Record], *fields: object) -> None:
        """Tell of something that happens now.

        Told while it tells (a recorder called a trigger), it finishes the earlier record first, so
        that all recorders see one order.
        """
        name = f"{_process}-{self._number}"
        self._pending.append(kind(name, self._attempt, time.monotonic(), time.time(), *fields))
        if self._telling:
            return
        self._telling = True
        try:
            while self._pending:
                record = self._pending.pop(0)
                for recorder in self._recorders:
                    self._tell(recorder, record)
        finally:
            self._telling = False

    def _tell(self, recorder: Recorder, record: Record) -> None:
        try:
            recorder(record)
        except Exception as error:
            if not self._complained:  # a disk that is full stays full
                logger.error("a recorder raised %s; it is not said again", type(error).__name__)
            self._complained = True


_process = os.urandom(5).hex()
_numbers = count(1)


def _in_a_new_process() -> None:
    global _process  # noqa: PLW0603 - a forked child is another process
    _process = os.urandom(5).hex()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_new_process)
