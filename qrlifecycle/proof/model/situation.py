"""Where one lifecycle and its world can be, and the words for what moves them.

A situation is what the promises are about: the state, whether somebody walks, what was decided, and
how far the transport and its socket are. This room must never know a rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Self

from ...states import INITIAL, Event, State, Word

__all__ = ["FIELDS", "Actor", "Label", "Phase", "Plan", "Situation", "Value", "Walk"]


class Walk(StrEnum):
    """Whether a `pair()` runs."""

    NOBODY = "nobody"
    WALKING = "walking"
    RETURNING = "returning"
    """It has come to an end of the table, and has yet to return: async hooks may hold it up."""


class Plan(StrEnum):
    """What the lifecycle does next, unless something leads out of the state meanwhile."""

    WAIT = "wait"
    """The link broke: another transport is opened after a wait."""
    LOST = "lost"
    """Nothing can be heard or asked any more: a last look, then ``fail``."""
    TIME = "time"
    """A deadline ran out: a last look, then leave, unless there is more time by then."""


class Phase(StrEnum):
    """How far the transport is."""

    NONE = "none"
    """There is none."""
    OPENING = "opening"
    """It is held and being opened; there is no socket yet."""
    HANDSHAKE = "handshake"
    """There is a socket; it does not listen yet."""
    LISTENING = "listening"
    CLOSING = "closing"
    """The goodbye is under way."""


class Actor(Word):
    """Who makes a move."""

    PERSON = "person", "Whoever holds the lifecycle, by its methods."
    CALLER = "caller", "The program around: it cancels the task, or misuses something."
    SERVICE = "service", "Answers `request_qr` and `check_status`."
    TRANSPORT = "transport", "The transport and the peer at its other end."
    CLOCK = "clock", "Deadlines and waits."
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
        "The task is cancelled natively in the middle of a goodbye: `abort()` at once.",
    )
    MISUSED = "misused", Actor.CALLER, "An error that comes out of `pair()` as it is."

    ANSWER = "answer", Actor.SERVICE, "`request_qr` gives back a code, or that it is linked."
    REFUSAL = "refusal", Actor.SERVICE, "`request_qr` raises."
    STATUS = "status", Actor.SERVICE, "`check_status` gives back a signal."

    SOCKET = "socket", Actor.TRANSPORT, "The transport's socket comes to exist."
    LISTENING = "listening", Actor.TRANSPORT, "`open()` returns: the transport listens."
    REFUSED = "refused", Actor.TRANSPORT, "The peer refuses; trying again cannot help."
    BROKEN = "broken", Actor.TRANSPORT, "The opening or the link breaks, or the peer goes."
    SIGNAL = "signal", Actor.TRANSPORT, "The transport hands over a signal."
    SHUT = "shut", Actor.TRANSPORT, "In its goodbye the transport shuts the socket."
    GOODBYE = "goodbye", Actor.TRANSPORT, "`aclose()` returns or raises; `abort()` follows."

    DEADLINE = "deadline", Actor.CLOCK, "A deadline of the stay runs out."
    OPENING_DEADLINE = "opening deadline", Actor.CLOCK, "`open()` has taken too long."
    GOODBYE_DEADLINE = "goodbye deadline", Actor.CLOCK, "`aclose()` hangs; `abort()` follows."
    WAIT_OVER = "wait over", Actor.CLOCK, "The wait between two openings is over."

    MAKE = "make", Actor.LIFECYCLE, "A transport is made, and held before it is opened."
    LOOK_OVER = (
        "look over",
        Actor.LIFECYCLE,
        "The last look found nothing. It takes time only with a `check_status`.",
    )
    CLOSE = "close", Actor.LIFECYCLE, "The state is being left: the goodbye begins."
    COMMIT = "commit", Actor.LIFECYCLE, "The row that was decided is taken, and told."
    CANCELLATION = "cancellation", Actor.LIFECYCLE, "The task's cancellation reaches an await."
    RETURN = "return", Actor.LIFECYCLE, "`pair()` returns or raises. Async hooks may hold it up."


@dataclass(frozen=True, slots=True)
class Situation:
    """One lifecycle and its world at one instant."""

    state: State = INITIAL
    walk: Walk = Walk.NOBODY
    leaving: Event | None = None
    """The step out of the state that has been decided and is not yet taken."""
    plan: Plan | None = None
    phase: Phase = Phase.NONE
    socket: bool = False
    """Whether the kernel may have a socket. A transport may give it back sooner, not later."""
    cancelled: bool = False
    """Whether the task in `pair()` was cancelled from outside, and has yet to say so."""

    @property
    def walking(self) -> bool:
        """Whether a `pair()` runs."""
        return self.walk is not Walk.NOBODY

    def __str__(self) -> str:
        said = [
            "" if self.walk is Walk.NOBODY else self.walk.value,
            "" if self.leaving is None else f"leaving by {self.leaving}",
            "" if self.plan is None else f"plan: {self.plan}",
            "" if self.phase is Phase.NONE else f"transport {self.phase}",
            "socket" if self.socket else "",
            "cancelled" if self.cancelled else "",
        ]
        return ", ".join([self.state.value, *filter(None, said)])


Value = State | Walk | Event | Plan | Phase | bool | None
"""What a field of a situation can be."""

FIELDS: Mapping[str, tuple[Value, ...]] = MappingProxyType(
    {
        "state": tuple(State),
        "walk": tuple(Walk),
        "leaving": (None, *Event),
        "plan": (None, *Plan),
        "phase": tuple(Phase),
        "socket": (False, True),
        "cancelled": (False, True),
    }
)
"""Every field of a situation, and every value that it can be given."""
