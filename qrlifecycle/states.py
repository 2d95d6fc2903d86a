"""The lifecycle as data: five states, what can happen, and the one table of rows.

Everything that states, events and rows are used for is made from this: the machine, the diagrams,
the documentation, the error messages, the formal model, the property tests. There are no guards:
what a budget or a deadline allows is decided by *which* event is sent.

An event is not a signal: a signal is what a transport reports (`qrlifecycle.signals`), and it
becomes an event there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

__all__ = [
    "ENDS",
    "INITIAL",
    "SOCKET_OWNER",
    "TABLE",
    "Event",
    "Row",
    "State",
    "Word",
    "single_rows",
]


class Word(StrEnum):
    """A name as used in logs, diagrams and messages; ``meaning`` is its sentence."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        """Make the member: text, with its sentence."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class State(Word):
    """Where a lifecycle stands."""

    IDLE = "idle", "Nothing is under way and nothing is open."
    GENERATING = "generating", "The service has been asked for a code; no socket is open."
    DISPLAYED = "displayed", "A code is on screen and the transport is open: exactly here."
    CONNECTED = "connected", "The account is linked; the transport is gone."
    FAILED = "failed", "The attempt ended without a link; the transport is gone."


class Event(Word):
    """Something that happened."""

    GENERATE = "generate", "Somebody asked for a code."
    QR_READY = "qr_ready", "The service answered with a code."
    QR_UPDATED = "qr_updated", "There is a new picture to show."
    SCANNED = "scanned", "The phone has read the code and is confirming."
    ACTION_REQUIRED = (
        "action_required",
        "The service wants something more from the person: a passkey, a second password.",
    )
    PAIRED = "paired", "The account is linked."
    EXPIRED = "expired", "The code ran out and the budget allows another."
    FAIL = "fail", "The attempt cannot go on."
    CANCEL = "cancel", "The person went away."
    RESET = "reset", "The result has been seen; make ready for another round."


@dataclass(frozen=True, slots=True)
class Row:
    """One row: in any of ``sources``, ``event`` leads to ``target``, because ``why``.

    A row without a target is internal: something is noted, the state stays as it is.
    """

    sources: tuple[State, ...]
    event: Event
    target: State | None
    why: str

    @property
    def internal(self) -> bool:
        """Whether the state stays as it is."""
        return self.target is None


INITIAL = State.IDLE

SOCKET_OWNER = State.DISPLAYED
"""The one state in which the transport is open."""

ENDS = (State.IDLE, State.CONNECTED, State.FAILED)
"""The states in which no attempt is under way: each begins in one, and ends in one."""

TABLE: tuple[Row, ...] = (
    Row(
        ENDS,
        Event.GENERATE,
        State.GENERATING,
        "a person asked for a QR code",
    ),
    Row(
        (State.GENERATING,),
        Event.QR_READY,
        State.DISPLAYED,
        "the service answered with a code",
    ),
    Row(
        (State.GENERATING,),
        Event.PAIRED,
        State.CONNECTED,
        "the account is linked already: no code is shown, no socket is opened",
    ),
    Row(
        (State.GENERATING,),
        Event.FAIL,
        State.FAILED,
        "the service refused, broke, or took too long",
    ),
    Row(
        (State.GENERATING,),
        Event.CANCEL,
        State.IDLE,
        "the person went away",
    ),
    Row(
        (State.DISPLAYED,),
        Event.QR_UPDATED,
        None,
        "a picture to show: the first when the transport listens, then each rotation, same socket",
    ),
    Row(
        (State.DISPLAYED,),
        Event.SCANNED,
        None,
        "the phone has seen the code and is confirming",
    ),
    Row(
        (State.DISPLAYED,),
        Event.ACTION_REQUIRED,
        None,
        "the service wants something more from the person before it says yes",
    ),
    Row(
        (State.DISPLAYED,),
        Event.PAIRED,
        State.CONNECTED,
        "success",
    ),
    Row(
        (State.DISPLAYED,),
        Event.EXPIRED,
        State.GENERATING,
        "the code ran out and another may be asked for",
    ),
    Row(
        (State.DISPLAYED,),
        Event.GENERATE,
        State.GENERATING,
        "the person wants a fresh code",
    ),
    Row(
        (State.DISPLAYED,),
        Event.FAIL,
        State.FAILED,
        "refused, out of codes, or the transport is lost for good",
    ),
    Row(
        (State.DISPLAYED,),
        Event.CANCEL,
        State.IDLE,
        "the person went away",
    ),
    Row(
        (State.CONNECTED, State.FAILED),
        Event.RESET,
        State.IDLE,
        "ready for another round",
    ),
)
"""The rows. Two for one event in a state, or a state that none leads to, are refused on import."""


def single_rows(table: tuple[Row, ...] = TABLE) -> Iterator[tuple[State, Row]]:
    """Each (source, row) pair of the table, in its order."""
    for row in table:
        for source in row.sources:
            yield source, row
