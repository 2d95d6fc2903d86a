"""What happened to a lifecycle, moment by moment, for whoever keeps a record of it: data only.

A change tells of the table; a record tells of the socket as well: when it was made, when it
listened, when leaving began, when it was gone. Nothing secret is ever in one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .errors import Ending
from .outcome import Reason
from .secrecy import shown_half_made
from .states import Event, State, Word

__all__ = [
    "Acquiring",
    "Began",
    "Changed",
    "Closed",
    "Closing",
    "Dropped",
    "Ended",
    "FoundByStatus",
    "LeaseEnd",
    "LeaseGone",
    "Leased",
    "Leaving",
    "Opened",
    "Opening",
    "Polling",
    "Record",
    "Recorder",
    "SharedClosed",
    "SharedOpened",
    "SharedOpening",
]


class Closing(Word):
    """How a socket was closed."""

    GRACEFUL = "graceful", "`aclose()` returned in time."
    FORCED = "forced", "`aclose()` failed or took too long, so `abort()` alone shut the socket."
    BROKEN = "broken", "The transport's abort() raised: the socket may still be open."


class LeaseEnd(Word):
    """How an attempt came to hold its lease no more."""

    RELEASED = "released", "It gave it back: nothing of the attempt was left."
    TAKEN_OVER = "taken_over", "Another attempt took it over, or its holder was asked to leave."
    LOST = "lost", "Its keeper could not be reached in time, or gave it to somebody else."


@shown_half_made
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


@shown_half_made
@dataclass(frozen=True, slots=True)
class Began(Record):
    """`pair()` was called; with what the promises depend on of the policy."""

    close_timeout: float
    key: tuple[str, ...] | None = None
    """By what it was joined, if it was (`Pairings`): its parts, each as text."""


@shown_half_made
@dataclass(frozen=True, slots=True)
class Acquiring(Record):
    """The attempt waits for a lease from now on."""


@shown_half_made
@dataclass(frozen=True, slots=True)
class Leased(Record):
    """The attempt holds its lease, after ``waited`` seconds; ``token`` is the fencing token."""

    waited: float
    token: int | None = None


@shown_half_made
@dataclass(frozen=True, slots=True)
class LeaseGone(Record):
    """The attempt holds its lease no more; a transport that is open is being closed by then."""

    by: LeaseEnd


@shown_half_made
@dataclass(frozen=True, slots=True)
class Changed(Record):
    """A row was taken. ``source`` equals ``target`` for an internal row."""

    source: State
    event: Event
    target: State
    reason: Reason | None = None
    """Why the attempt failed, if this ended it so."""


@shown_half_made
@dataclass(frozen=True, slots=True)
class Opening(Record):
    """A transport was made, and is held from now on; ``subject`` is its own (see `Transport`)."""

    subject: tuple[str, ...] | None = None
    shared: str | None = None
    """Which shared socket it is a share of; None if it has one of its own."""


@shown_half_made
@dataclass(frozen=True, slots=True)
class Opened(Record):
    """The transport listens."""


@shown_half_made
@dataclass(frozen=True, slots=True)
class Polling(Record):
    """There is no socket (`NoTransport`): until the state is left, only the status is read."""


@shown_half_made
@dataclass(frozen=True, slots=True)
class FoundByStatus(Record):
    """A read of the status told of the success before the transport did."""


@shown_half_made
@dataclass(frozen=True, slots=True)
class Leaving(Record):
    """It has been decided that `displayed` is left, and by which event."""

    event: Event


@shown_half_made
@dataclass(frozen=True, slots=True)
class Closed(Record):
    """The transport is gone; ``ending`` says how, unless it was our own side that left."""

    how: Closing
    ending: Ending | None = None


@shown_half_made
@dataclass(frozen=True, slots=True)
class Dropped(Record):
    """So many messages, signals or answers of an attempt became of nothing, by one cause."""

    cause: str
    count: int


@shown_half_made
@dataclass(frozen=True, slots=True)
class Ended(Record):
    """`pair()` returned or raised."""


@shown_half_made
@dataclass(frozen=True, slots=True)
class SharedOpening(Record):
    """A shared socket is made, and is held from now on.

    In this and the next two, ``lifecycle`` is the identifier of what shares the socket out, which
    its shares name as theirs; ``attempt`` counts its openings from 1.
    """


@shown_half_made
@dataclass(frozen=True, slots=True)
class SharedOpened(Record):
    """The shared socket listens."""


@shown_half_made
@dataclass(frozen=True, slots=True)
class SharedClosed(Record):
    """The shared socket is gone; ``ending`` says how, unless nobody needed it any more."""

    how: Closing
    ending: Ending | None = None


Recorder = Callable[[Record], object]
"""Is told each record: a plain function that does not block. An `Audit` is one, and a `Journal`."""
