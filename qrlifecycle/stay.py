"""One stay in a state: a scope, its deadlines, and the step that ends it.

A state is a scope. While a lifecycle stands in `generating` or `displayed` it stands inside one of
these, and the first step that leads out decides how it leaves. This room must never know the table,
nor what a step does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from anyio import CancelScope

from .events import Event
from .outcome import Failed, Outcome, Reason
from .qr import QRCode
from .transports.base import Transport

__all__ = ["CANCELLED", "REASON_OF_DEADLINE", "Deadline", "Stay", "Step"]


class Deadline(Enum):
    """What may run out while a lifecycle stands in a state."""

    ATTEMPT = auto()
    REQUEST = auto()
    OPENING = auto()
    CODE = auto()
    CONFIRMATION = auto()


REASON_OF_DEADLINE: Mapping[Deadline, Reason] = {
    Deadline.ATTEMPT: Reason.ATTEMPT_TIMED_OUT,
    Deadline.REQUEST: Reason.GENERATING_TIMED_OUT,
    Deadline.OPENING: Reason.TRANSPORT_UNREACHABLE,
    Deadline.CONFIRMATION: Reason.CONFIRMATION_TIMED_OUT,
}
"""What a deadline that ran out means as an end. A code's own is not here: there may be another."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event on its way to the table, with what it carries."""

    event: Event
    outcome: Outcome | None = None
    qr: QRCode | None = None


CANCELLED = Step(Event.CANCEL, Failed(Reason.CANCELLED))


@dataclass(slots=True)
class Stay:
    """One stay in `generating` or `displayed`; the first step that leads out decides its end."""

    qr: QRCode | None = None
    transport: Transport | None = None
    leaving: Step | None = None
    scope: CancelScope = field(default_factory=CancelScope)
    deadlines: dict[Deadline, float] = field(default_factory=dict)

    def leave(self, step: Step, *, wake: bool = True) -> bool:
        """Decide how the stay ends and wake its owner; say whether it was still to be decided.

        Whoever goes away need not wait for a code that was about to be asked for or shown: a
        cancellation also replaces a step that does not lead to an end.
        """
        if self.leaving is not None and (step.event is not Event.CANCEL or self.leaving.outcome):
            return False
        self.leaving = step
        if wake:
            self.scope.cancel()
        return True

    def end(self, step: Step) -> None:
        """Decide on an end, unless one has been decided on: the owner cannot walk further."""
        if self.leaving is None or self.leaving.outcome is None:
            self.leaving = step

    def set_deadline(self, deadline: Deadline, when: float | None) -> None:
        """Let the stay end at ``when`` (seconds on anyio's clock), or no longer for None."""
        if when is None:
            self.deadlines.pop(deadline, None)
        else:
            self.deadlines[deadline] = when
        self.scope.deadline = min(self.deadlines.values(), default=math.inf)
