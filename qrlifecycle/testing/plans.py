"""Plans: what a person, a service, a wire and a clock do to a lifecycle, one step after another.

A plan is a plain value. Its `repr()` is Python that makes it again, so a plan that broke a promise
can be pasted into a test.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from ..errors import InvalidValue
from ..policy import Policy
from ..states import Word
from .acts import Act
from .scripted import Fault
from .scripted_leases import Keeping

__all__ = ["BRISK", "BY_THE_KEEPER", "BY_THE_PEER", "BY_THE_PROGRAM", "Answer", "Plan", "PlanStep",
           "Reading"]  # fmt: skip

BY_THE_PROGRAM = (Act.PAIR, Act.GENERATE, Act.CANCEL, Act.RESET, Act.CANCELLED)
"""What a step may be that the embedding program does."""

BY_THE_PEER = (
    *(Act.ROTATED, Act.SCANNED, Act.ACTION, Act.PAIRED, Act.STRANGER, Act.EXPIRED, Act.FAILED),
    *(Act.CHANGED, Act.HANG_UP, Act.BREAK),
)
"""What a step may be that comes over the wire."""

BY_THE_KEEPER = (Act.LOSE,)
"""What a step may be that comes from whoever keeps the lease; nothing happens if none is held."""

STEPS = frozenset({*BY_THE_PROGRAM, *BY_THE_PEER, *BY_THE_KEEPER})


class Answer(Word):
    """What the service does when `request_qr` asks for a code."""

    CODE = "code", "it gives a code"
    SLOW = "slow", "it gives a code, late"
    ALREADY_PAIRED = "already-paired", "it says that the account is paired already"
    DENIED = "denied", "it raises ServiceRefused"
    BUSY = "busy", "it raises ServiceUnavailable"
    FAILING = "failing", "it raises an error of its own"
    HUNG = "hung", "it never answers"


class Reading(Word):
    """What one call of `check_status` gives."""

    NOTHING = "nothing", "there is nothing to say"
    SLOW = "slow", "there is nothing to say, late"
    PAIRED = "paired", "an account is paired"
    STRANGER = "stranger", "somebody else's account is paired"
    ROTATED = "rotated", "there is another code"
    EXPIRED = "expired", "the code ran out"
    FAILED = "failed", "the pairing failed"
    NONSENSE = "nonsense", "it gives what is no signal"
    FAILING = "failing", "it raises an error of its own"
    HUNG = "hung", "it never answers"


@dataclass(frozen=True, slots=True, repr=False)
class PlanStep:
    """An act, and how long it is until the next one.

    Args:
        act: one of `BY_THE_PROGRAM`, `BY_THE_PEER` or `BY_THE_KEEPER`.
        pause: seconds until the next step; 0: until everybody waits; None: none, the two race.

    Raises:
        InvalidValue: an act that is no step of a plan.
    """

    act: Act
    pause: float | None = 0.0

    def __post_init__(self) -> None:
        if self.act not in STEPS:
            raise InvalidValue(
                f"'{self.act}' is no step of a plan; the transport's faults, and what the service "
                "and the keeper of the lease say, have lists of their own"
            )

    def __repr__(self) -> str:
        pause = "" if self.pause == 0 else f", {self.pause!r}"
        return f"PlanStep({_code(self.act)}{pause})"


ORDINARY = Policy()

BRISK = Policy(
    lease_timeout=1.5,
    generate_timeout=2.0,
    generate_retry_delay_max=1.0,
    open_timeout=1.0,
    attempt_timeout=30.0,
    qr_lifetime=10.0,
    rotated_lifetime=2.0,
    expiry_grace=0.5,
    max_refreshes=1,
    approval_timeout=4.0,
    action_timeout=3.0,
    max_reconnects=1,
    reconnect_delay_max=1.0,
    stable_after=1.0,
    status_timeout=0.75,
    status_retry_delay_max=1.0,
    final_check_timeout=0.75,
    confirm_success_timeout=0.75,
)
"""Everything takes a few seconds: the policies of plans that are drawn differ from it in little."""


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Plan:
    """Everything that happens to one lifecycle.

    Args:
        steps: what is done, in order.
        answers: those of the service, in order; afterwards each is a code.
        statuses: the readings, in order; afterwards there is nothing to say. None: there is no
            `check_status`.
        openings: the fault of each opening, in order; afterwards there is none.
        closings: the fault of each closing, in order; afterwards there is none.
        leases: what comes of waiting for each lease, in order; afterwards each is had. None: there
            is no lease.
        policy: the lifecycle's.
    """

    steps: tuple[PlanStep, ...] = (PlanStep(Act.PAIR),)
    answers: tuple[Answer, ...] = ()
    statuses: tuple[Reading, ...] | None = None
    openings: tuple[Fault, ...] = ()
    closings: tuple[Fault, ...] = ()
    leases: tuple[Keeping, ...] | None = None
    policy: Policy = ORDINARY

    def __repr__(self) -> str:
        return f"Plan({_differences(self, Plan())})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002
        """IPython's protocol, by which Hypothesis prints what failed."""
        printer.text(repr(self))


def _code(value: object) -> str:
    """Python that makes a value again."""
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, tuple):
        items = ", ".join(map(_code, value))
        return f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, Policy):
        return _code_of_policy(value)
    return 'float("inf")' if value == float("inf") else repr(value)


def _code_of_policy(policy: Policy) -> str:
    """The shorter of what makes it of the ordinary one, and of the brisk one."""
    if policy == BRISK:
        return "BRISK"
    of_brisk = f"replace(BRISK, {_differences(policy, BRISK)})"
    return min((f"Policy({_differences(policy, ORDINARY)})", of_brisk), key=len)


def _differences(value: Plan | Policy, usual: Plan | Policy) -> str:
    """Arguments: the fields in which it differs."""
    given = ((field.name, getattr(value, field.name)) for field in fields(value))
    return ", ".join(f"{name}={_code(it)}" for name, it in given if it != getattr(usual, name))
