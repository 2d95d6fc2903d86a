"""Everything that can be done to a lifecycle or around it, as words, and schedules of them.

A schedule is text: ``pair; code; ok; ok; paired & cancelled@2`` means that, each time when
everybody waits, `pair()` is called, `request_qr` gives back a code, the transport's socket comes to
exist, its handshake is done, and an account is paired, with the caller's cancellation striking
before the second step that the event loop takes after that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ..errors import InvalidValue
from ..outcome import Reason
from ..signals import (
    ActionRequired,
    Paired,
    PairingRefused,
    QRExpired,
    Scanned,
    Signal,
    StatusChanged,
)
from ..states import Word

__all__ = ["SIGNALS", "Act", "Schedule", "ScheduledAct"]


class Act(Word):
    """One thing that is done."""

    PAIR = "pair", "the program calls pair()"
    GENERATE = "generate", "the program calls generate()"
    CANCEL = "cancel", "the program calls cancel()"
    RESET = "reset", "the program calls reset()"
    CANCELLED = "cancelled", "the task that awaits pair() is cancelled"

    CODE = "code", "request_qr gives back a code"
    ALREADY_PAIRED = "already-paired", "request_qr says that the account is paired already"
    DENIED = "denied", "request_qr raises ServiceRefused"
    BUSY = "busy", "request_qr raises ServiceUnavailable"
    FAILING = "failing", "request_qr raises an error of its own"

    GRANTED = "granted", "the lease is had"
    HELD_ELSEWHERE = "held-elsewhere", "somebody else holds the lease"
    LOSE = "lose", "the lease is taken over"

    OK = "ok", "the transport goes on well from where it is"
    UNREACHABLE = "unreachable", "the transport raises TransportUnreachable"
    REFUSED = "refused", "the transport raises TransportRefused"
    BROKEN = "broken", "the transport raises OSError"

    ROTATED = "rotated", "a signal: another code"
    SCANNED = "scanned", "a signal: the phone has the code"
    ACTION = "action", "a signal: the person has something to do"
    PAIRED = "paired", "a signal: an account is paired"
    STRANGER = "stranger", "a signal: somebody else's account is paired"
    EXPIRED = "expired", "a signal: the code ran out"
    CHANGED = "changed", "a signal: the status has changed"
    FAILED = "failed", "a signal: the pairing failed"
    HANG_UP = "hang-up", "the peer closes in order"
    BREAK = "break", "the connection breaks"
    NONSENSE = "nonsense", "receive() raises what the contract does not allow"

    SAYS_NOTHING = "says-nothing", "check_status has nothing to say"
    SAYS_PAIRED = "says-paired", "check_status says that an account is paired"
    SAYS_ROTATED = "says-rotated", "check_status says that there is another code"
    SAYS_FAILED = "says-failed", "check_status says that the pairing failed"
    SAYS_NONSENSE = "says-nonsense", "check_status raises an error of its own"

    TICK = "tick", "time passes to the next timer"


ACTS = {act.value: act for act in Act}

SIGNALS: dict[Act, Signal] = {
    Act.SCANNED: Scanned(),
    Act.ACTION: ActionRequired("passkey"),
    Act.PAIRED: Paired("me"),
    Act.STRANGER: Paired("somebody else"),
    Act.EXPIRED: QRExpired(),
    Act.CHANGED: StatusChanged(),
    Act.FAILED: PairingRefused(Reason.REFUSED_ON_PHONE),
}
"""What each act that is a signal sends; a rotation's code is made when it is sent."""


@dataclass(frozen=True, slots=True)
class ScheduledAct:
    """An act, done when everybody waits, and those that race with it.

    ``racing`` holds (k, act): the act is done right before the k-th step that the event loop takes
    after the first one; 0 is in the same instant.
    """

    act: Act
    racing: tuple[tuple[int, Act], ...] = ()

    def __str__(self) -> str:
        return " & ".join([self.act, *(f"{act}@{step}" for step, act in self.racing)])

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str()` gave.

        Raises:
            InvalidValue: an act that does not exist, or a step that is no number.
        """
        first, *others = (part.strip() for part in text.split("&"))
        pairs = [other.partition("@")[::2] for other in others]
        known = {first, *(act for act, _ in pairs)} <= ACTS.keys()
        if not (known and all(step.isdecimal() for _, step in pairs)):
            raise InvalidValue(f"no move of a schedule: '{text.strip()}'")
        return cls(ACTS[first], tuple((int(step), ACTS[act]) for act, step in pairs))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Moves, one after another, each when everybody waits."""

    moves: tuple[ScheduledAct, ...] = ()

    def __str__(self) -> str:
        return "; ".join(map(str, self.moves))

    def then(self, move: ScheduledAct) -> Schedule:
        """This, and one move more."""
        return Schedule((*self.moves, move))

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str()` gave.

        Raises:
            InvalidValue: this is no schedule, or one without a move.
        """
        given: object = text
        if not isinstance(given, str):
            raise InvalidValue(
                f"a schedule is text, as in 'pair; code; ok', not {type(given).__name__}"
            )
        moves = tuple(map(ScheduledAct.parse, filter(str.strip, text.split(";"))))
        if not moves:
            raise InvalidValue("a schedule has at least one move, as in 'pair; code; ok'")
        return cls(moves)
