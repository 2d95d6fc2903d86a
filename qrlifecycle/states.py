"""The lifecycle as data, all of it: five states, their rows, and what goes on inside a state.

Everything is made from this: the machine, the engine's moves, the diagrams, the documentation, the
error messages, the rules of the formal model, the property tests. There are no guards: what a
budget or a deadline allows is decided by *which* event is sent.

**Two charts.** The table is the outer one, and the only one that a program sees: a row leads from
state to state, or is *internal* and leaves the state as it is. Inside a state there are *regions*,
facts that are independent of each other, and each region is in one of its *phases*: while a code is
displayed there is one fact of where the transport is, and another of what the person owes. A phase
changes by an event of an internal row, or by a step that the engine takes itself; the service's
word that a code expired is no row of the table, but moves a deadline. At most one phase at a time
has a deadline of its own, so that two numbers say when a state is left: the end of the attempt and
the end of the phase.

**Deciding and taking.** A row that leads out of a state is first decided on, and is taken only when
nothing of the state is left: no transport, no read of the status. In between it is *pending*. The
first row wins; what may replace a pending one is written in its row (`Row.replaces`).

An event is not a signal: a signal is what a transport reports (`qrlifecycle.signals`), and it
becomes an event in the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Self

__all__ = [
    "DEADLINE_OF",
    "ENDS",
    "INITIAL",
    "INITIAL_PHASE",
    "NEXT_PHASE",
    "OUTCOMES",
    "PHASE_ROWS",
    "REGIONS",
    "SOCKET_OWNER",
    "TABLE",
    "TRIGGERS",
    "Deadline",
    "Event",
    "Phase",
    "PhaseRow",
    "Region",
    "Row",
    "State",
    "Step",
    "Word",
    "single_phase_rows",
    "single_rows",
]


class Word(StrEnum):
    """A name as used in logs, diagrams and messages; ``meaning`` is the sentence that explains it.

    So the sentence stands beside the name, and docs and messages are made from it.
    """

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        """Make the member: text, with its sentence."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class State(Word):
    """The state of a lifecycle."""

    IDLE = "idle", "Nothing is under way and nothing is open."
    GENERATING = "generating", "The service has been asked for a code; no socket is open."
    DISPLAYED = "displayed", "There is a code to scan. Only here a transport may be open."
    CONNECTED = "connected", "The account is paired; the transport is gone."
    FAILED = "failed", "The attempt ended without a pairing; the transport is gone."


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
    PAIRED = "paired", "The account is paired."
    EXPIRED = "expired", "The code ran out and the budget allows another."
    FAIL = "fail", "The attempt cannot go on."
    CANCEL = "cancel", "The person went away."
    RESET = "reset", "The result has been seen; make ready for another round."


# The table: from state to state


@dataclass(frozen=True, slots=True)
class Row:
    """One row: in any of ``sources``, ``event`` leads to ``target``, because ``why``.

    A row without a target is internal: something is noted, the state stays as it is. ``replaces``
    names the events whose pending row gives way to this one.
    """

    sources: tuple[State, ...]
    event: Event
    target: State | None
    why: str
    replaces: tuple[Event, ...] = ()

    @property
    def internal(self) -> bool:
        """Whether the state stays as it is."""
        return self.target is None


INITIAL = State.IDLE

SOCKET_OWNER = State.DISPLAYED
"""The one state in which a transport may be open."""

ENDS = (State.IDLE, State.CONNECTED, State.FAILED)
"""The states in which no attempt is under way: each begins in one, and ends in one."""

OUTCOMES = frozenset({Event.PAIRED, Event.FAIL, Event.CANCEL})
"""The events that end an attempt, and so carry an outcome. After any other it goes on."""

TRIGGERS = (Event.GENERATE, Event.CANCEL, Event.RESET)
"""The events that the program sends, by a method of that name."""

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
        "the account is paired already: no code is shown, no socket is opened",
    ),
    Row(
        (State.GENERATING,),
        Event.FAIL,
        State.FAILED,
        "the service refused, broke, or took too long; or somebody else holds the lease",
        replaces=(Event.QR_READY,),
    ),
    Row(
        (State.GENERATING,),
        Event.CANCEL,
        State.IDLE,
        "the person went away",
        replaces=(Event.QR_READY,),
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
        "refused, out of codes, or the transport or the lease is lost for good",
        replaces=(Event.EXPIRED, Event.GENERATE),
    ),
    Row(
        (State.DISPLAYED,),
        Event.CANCEL,
        State.IDLE,
        "the person went away",
        replaces=(Event.EXPIRED, Event.GENERATE),
    ),
    Row(
        (State.CONNECTED, State.FAILED),
        Event.RESET,
        State.IDLE,
        "ready for another round",
    ),
)
"""The rows. Two for one event in a state, or a state that none leads to, are refused on import."""


# Inside a state: regions and their phases


class Region(Word):
    """One of the independent facts about what goes on inside a state."""

    REQUEST = "request", "What is asked for: the lease, then the service's code."
    TRANSPORT = "transport", "Where the transport is."
    PERSON = "person", "What the person owes."


class Phase(Word):
    """What goes on in a region."""

    ACQUIRING = "acquiring", "The lease is waited for; without one it is over at once."
    REQUESTING = "requesting", "`request_qr` is awaited."

    ABSENT = "absent", "No transport is held: none was made yet, or the last one is gone."
    OPENING = "opening", "A transport is held and being opened; it does not listen yet."
    LISTENING = "listening", "The transport is open, and its signals are heard."
    CLOSING = "closing", "The transport is being closed: gracefully, then by `abort()`."
    WAITING = "waiting", "It broke and is gone; the next one is made after a delay."

    SCANNING = "scanning", "The person has a code, and has yet to scan it or type it in."
    APPROVING = "approving", "The phone has the code; the person has yet to approve there."
    ACTING = "acting", "The service wants something more; the person has yet to do it."


class Step(Word):
    """What the engine does or meets by itself that changes a phase, beside the table's events."""

    LEASED = "leased", "The lease is held, or none is needed."
    MAKE = "make", "A fresh transport is made, and held before it is opened."
    OPENED = "opened", "`open()` has returned."
    CLOSE = "close", "It broke, was refused, did not open in time, or the state is being left."
    CLOSED = "closed", "`abort()` has been called, whatever `aclose()` did."
    WAIT = "wait", "The transport broke, and the budget of reconnects allows another."


class Deadline(Word):
    """What may run out while an attempt is under way."""

    ATTEMPT = "attempt", "The whole attempt, in every state and phase: `attempt_timeout`."
    LEASE = "lease", "The waiting for the lease: `lease_timeout`."
    REQUEST = "request", "The service's answer to `request_qr`: `generate_timeout`."
    CODE = "code", "The scanning of a code: the code's lifetime + `expiry_grace`."
    APPROVAL = "approval", "The approval on the phone: `approval_timeout`."
    ACTION = "action", "What the service requires of the person: `action_timeout`."


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """In any of the phases ``sources``, ``by`` leads to the phase ``target``, because ``why``.

    Where ``target`` has a deadline, taking the row starts it afresh; only ``expired`` never gives
    more time than was left. Here `expired` is the service's word that a code ran out, and
    `qr_updated` is followed when a newer code is *received*: it may be handed out later, once a
    transport listens.
    """

    sources: tuple[Phase, ...]
    by: Step | Event
    target: Phase
    why: str


REGIONS: Mapping[State, Mapping[Region, tuple[Phase, ...]]] = MappingProxyType(
    {
        State.IDLE: {},
        State.GENERATING: {Region.REQUEST: (Phase.ACQUIRING, Phase.REQUESTING)},
        State.DISPLAYED: {
            Region.TRANSPORT: (
                Phase.ABSENT,
                Phase.OPENING,
                Phase.LISTENING,
                Phase.CLOSING,
                Phase.WAITING,
            ),
            Region.PERSON: (Phase.SCANNING, Phase.APPROVING, Phase.ACTING),
        },
        State.CONNECTED: {},
        State.FAILED: {},
    }
)
"""What goes on inside each state. The first phase of a region is the one that it begins in."""

INITIAL_PHASE: Mapping[Region, Phase] = MappingProxyType(
    {region: phases[0] for regions in REGIONS.values() for region, phases in regions.items()}
)

DEADLINE_OF: Mapping[Phase, Deadline] = MappingProxyType(
    {
        Phase.ACQUIRING: Deadline.LEASE,
        Phase.REQUESTING: Deadline.REQUEST,
        Phase.SCANNING: Deadline.CODE,
        Phase.APPROVING: Deadline.APPROVAL,
        Phase.ACTING: Deadline.ACTION,
    }
)
"""Which deadline runs in a phase, beside the attempt's; a phase that is not here has none.

So once the phone has the code, the code's own lifetime matters no more. How long a transport may
take to open and to close, and the delay between two of them, are the transport region's own: they
never end an attempt by themselves.
"""

PHASE_ROWS: tuple[PhaseRow, ...] = (
    PhaseRow(
        (Phase.ACQUIRING,),
        Step.LEASED,
        Phase.REQUESTING,
        "nobody else has a transport for this user; it is held until the attempt is over",
    ),
    PhaseRow(
        (Phase.ABSENT, Phase.WAITING),
        Step.MAKE,
        Phase.OPENING,
        "one transport after another: it is made only when none is held",
    ),
    PhaseRow(
        (Phase.OPENING,),
        Step.OPENED,
        Phase.LISTENING,
        "now the code may be shown",
    ),
    PhaseRow(
        (Phase.OPENING, Phase.LISTENING),
        Step.CLOSE,
        Phase.CLOSING,
        "whatever ends a transport, it is closed the same way",
    ),
    PhaseRow(
        (Phase.CLOSING,),
        Step.CLOSED,
        Phase.ABSENT,
        "nothing is left of it",
    ),
    PhaseRow(
        (Phase.ABSENT,),
        Step.WAIT,
        Phase.WAITING,
        "reconnecting, the code stays on screen",
    ),
    PhaseRow(
        (Phase.SCANNING, Phase.APPROVING, Phase.ACTING),
        Event.QR_UPDATED,
        Phase.SCANNING,
        "a code to scan, whose lifetime began when it was received",
    ),
    PhaseRow(
        (Phase.SCANNING, Phase.ACTING),
        Event.SCANNED,
        Phase.APPROVING,
        "the phone has the code; to say so again gives no more time",
    ),
    PhaseRow(
        (Phase.SCANNING, Phase.APPROVING, Phase.ACTING),
        Event.ACTION_REQUIRED,
        Phase.ACTING,
        "the person has something to do, and time for it",
    ),
    PhaseRow(
        (Phase.SCANNING,),
        Event.EXPIRED,
        Phase.SCANNING,
        "the service says that the code ran out: `expiry_grace` is what is left of its time",
    ),
)
"""What leads from phase to phase. A step or event that has no row for a phase changes nothing."""


def single_rows(table: tuple[Row, ...] = TABLE) -> Iterator[tuple[State, Row]]:
    """Each (source, row) pair of the table, in its order."""
    for row in table:
        for source in row.sources:
            yield source, row


def single_phase_rows(rows: tuple[PhaseRow, ...] = PHASE_ROWS) -> Iterator[tuple[Phase, PhaseRow]]:
    """Each (source, row) pair of the phases' rows, in their order."""
    for row in rows:
        for source in row.sources:
            yield source, row


NEXT_PHASE: Mapping[tuple[Phase, Step | Event], Phase] = MappingProxyType(
    {(source, row.by): row.target for source, row in single_phase_rows()}
)
"""Where a step or an event leads from a phase."""
