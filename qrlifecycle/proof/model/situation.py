"""Where one lifecycle and its world can be, and the words for what moves them.

A situation is what the promises are about: the state, whether a `pair()` runs, what is pending, and
where in each region of the state the lifecycle is. Phases, events and deadlines are those of the
data in `qrlifecycle.states`; what is the model's own is the socket in the world outside, why the
final status check is under way, and what became of the last transport.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Self

from ...states import INITIAL, Deadline, Event, Phase, Region, State, Word

__all__ = [
    "FIELDS",
    "FIELD_OF",
    "TRANSPORTS",
    "Actor",
    "Check",
    "Fault",
    "Label",
    "Pairing",
    "Situation",
    "Value",
]


class Pairing(StrEnum):
    """Whether a `pair()` runs."""

    NOBODY = "nobody"
    RUNNING = "running"
    RETURNING = "returning"
    """It has come to an end of the table, and has yet to return: async hooks may hold it up."""


class Fault(StrEnum):
    """Why the transport is closed although the state is not left, until it is known what follows.

    Nothing is made after a fault, but after the delay of reconnecting.
    """

    BROKEN = "broken"
    """Another may be made, as the budget says."""
    REFUSED = "refused"
    """Another would be refused too."""


class Check(StrEnum):
    """Why a final status check is under way, beside a deadline that ran out."""

    VERDICT = "verdict"
    """It is left by ``fail`` anyway, unless the status says otherwise."""
    PUT_OFF = "put off"
    """A deadline ran out while a transport was being closed, and was put off until that was done:
    it is checked for nothing."""


class Actor(Word):
    """Who makes a move."""

    PERSON = "person", "Whoever holds the lifecycle, by its methods."
    CALLER = "caller", "The program around: it cancels the task, or its own functions fail."
    SERVICE = "service", "Answers `request_qr` and `check_status`."
    KEEPER = "keeper", "Keeps the lease: grants it, or does not, and takes it away."
    TRANSPORT = "transport", "The transport and the peer at its other end."
    CLOCK = "clock", "Deadlines and delays."
    LIFECYCLE = "lifecycle", "The lifecycle itself: what it does without being asked."


class Label(StrEnum):
    """What happens in a move; ``by`` is who does it, ``meaning`` is its sentence."""

    by: Actor
    meaning: str

    def __new__(cls, value: str, by: Actor, meaning: str) -> Self:
        """Make the member: text, with its actor and its sentence."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.by = by
        member.meaning = meaning
        return member

    PAIR = "pair", Actor.PERSON, "`pair()` is called."
    TRIGGER = "trigger", Actor.PERSON, "`generate()`, `cancel()` or `reset()` is called."

    CANCELLED = "cancelled", Actor.CALLER, "The task in `pair()` is cancelled; a shield holds."
    SHIELD_BROKEN = (
        "shield broken",
        Actor.CALLER,
        "The task is cancelled natively in the middle of a graceful close: `abort()` at once.",
    )
    MISUSED = "misused", Actor.CALLER, "An error that comes out of `pair()` as it is."
    NOT_SHOWN = "not shown", Actor.CALLER, "The hook that shows the code cannot: a verdict."
    NOT_MADE = "not made", Actor.CALLER, "The transport factory raises: a verdict."

    ANSWER = "answer", Actor.SERVICE, "`request_qr` gives back a code, or that it is paired."
    REFUSAL = "refusal", Actor.SERVICE, "`request_qr` raises: a verdict."
    STATUS = "status", Actor.SERVICE, "`check_status` gives back a signal."

    GRANTED = "granted", Actor.KEEPER, "The lease is had; without one that is so at once."
    NOT_GRANTED = "not granted", Actor.KEEPER, "The lease cannot be had."
    LOST = "lost", Actor.KEEPER, "The lease is lost, or somebody takes it over."

    SOCKET = "socket", Actor.TRANSPORT, "The transport's socket comes to exist."
    OPENED = "opened", Actor.TRANSPORT, "`open()` returns: the transport listens."
    REFUSED = "refused", Actor.TRANSPORT, "The peer refuses; trying again cannot help."
    BROKEN = "broken", Actor.TRANSPORT, "The transport breaks, or the peer goes."
    SIGNAL = "signal", Actor.TRANSPORT, "The transport hands over a signal."
    SHUT = "shut", Actor.TRANSPORT, "Closing gracefully, the transport shuts the socket."
    CLOSED = (
        "closed",
        Actor.TRANSPORT,
        "`close_nowait()` or `aclose()` is over; `abort()` follows.",
    )

    DEADLINE = "deadline", Actor.CLOCK, "A deadline of the phase or of the attempt runs out."
    OPEN_TIMEOUT = "open timeout", Actor.CLOCK, "`open()` has taken too long."
    CLOSE_TIMEOUT = "close timeout", Actor.CLOCK, "`aclose()` hangs; `abort()` follows."
    DELAY_OVER = "delay over", Actor.CLOCK, "The delay between two transports is over."

    HELD_ON = "held on", Actor.LIFECYCLE, "The lease is held already: another code is asked for."
    MAKE = "make", Actor.LIFECYCLE, "A transport is made, and held before it is opened."
    WAIT = "wait", Actor.LIFECYCLE, "The budget allows another transport, after a delay."
    GIVE_UP = "give up", Actor.LIFECYCLE, "No other transport is made: a verdict."
    CHECKED = (
        "checked",
        Actor.LIFECYCLE,
        "The final status check found nothing. It takes time only with a `check_status`.",
    )
    CLOSE = "close", Actor.LIFECYCLE, "The state is being left: the transport is closed."
    COMMIT = "commit", Actor.LIFECYCLE, "The pending row is taken, and observers are notified."
    CANCELLATION = "cancellation", Actor.LIFECYCLE, "The task's cancellation reaches an await."
    RETURN = "return", Actor.LIFECYCLE, "`pair()` returns or raises. Async hooks may hold it up."


class Situation(NamedTuple):
    """One lifecycle and its world at one instant."""

    state: State = INITIAL
    pairing: Pairing = Pairing.NOBODY
    pending: Event | None = None
    """The event of the row out of the state that is decided, and is not yet taken."""
    final_check: Deadline | Check | None = None
    """Why the final status check is under way, or follows on a close that is."""
    fault: Fault | None = None
    """What became of the last transport, until another may be made."""
    transport: Phase | None = None
    """Where the transport is; None where there can be none. While it is opening, it shakes hands if
    it has a socket."""
    phase: Phase | None = None
    """What the person owes while a code is displayed; what is asked for, in `generating`."""
    socket: bool = False
    """Whether the kernel may have a socket. A transport may give it back sooner, not later."""
    cancelled: bool = False
    """Whether the task in `pair()` was cancelled from outside, and has yet to say so."""

    lease: bool = False
    """Whether the lease is held: until it is lost, or nothing of the attempt is left."""

    def __str__(self) -> str:
        said = [
            "" if self.pairing is Pairing.NOBODY else self.pairing.value,
            "" if self.phase is None else self.phase.value,
            "" if self.transport is None else f"transport {self.transport}",
            "" if self.fault is None else self.fault.value,
            "socket" if self.socket else "",
            "" if self.final_check is None else f"final check: {self.final_check}",
            "" if self.pending is None else f"pending: {self.pending}",
            "cancelled" if self.cancelled else "",
            "leased" if self.lease else "",
        ]
        return ", ".join([self.state.value, *filter(None, said)])


Value = State | Pairing | Event | Deadline | Check | Fault | Phase | bool | None
"""What a field of a situation can be."""

FIELD_OF: Mapping[Region, str] = MappingProxyType(
    {Region.REQUEST: "phase", Region.TRANSPORT: "transport", Region.PERSON: "phase"}
)
"""The field that holds each region's phase."""

FIELDS: Mapping[str, tuple[Value, ...]] = MappingProxyType(
    {
        "state": tuple(State),
        "pairing": tuple(Pairing),
        "pending": (None, *Event),
        "final_check": (None, *Check, *Deadline),
        "fault": (None, *Fault),
        "transport": (
            None,
            Phase.ABSENT,
            Phase.OPENING,
            Phase.LISTENING,
            Phase.CLOSING,
            Phase.WAITING,
        ),
        "phase": (
            None,
            Phase.ACQUIRING,
            Phase.REQUESTING,
            Phase.SCANNING,
            Phase.APPROVING,
            Phase.ACTING,
        ),
        "socket": (False, True),
        "cancelled": (False, True),
        "lease": (False, True),
    }
)
"""Every field of a situation, and every value that it can be given."""

TRANSPORTS = frozenset(FIELDS["transport"])
"""Wherever a transport can be."""
