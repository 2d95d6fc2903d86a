"""One stay in a state: a scope, its clocks, and the step that ends it.

A state is a scope. While a lifecycle stands in `generating` or `displayed` it stands inside one of
these, and the first step that leads out decides how it leaves. A deadline is data: each clock has a
name, and the earliest that runs out says what happened. This room must never know the table, nor
what a step does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from anyio import CancelScope, current_time

from ..codes import PairingCode, QRCode
from ..outcome import (
    Connected,
    Failed,
    Outcome,
    Reason,
)
from ..policy import Policy
from ..records import (
    Leaving,
    Reporter,
)
from ..signals import ActionRequired
from ..states import Event
from .link import Link
from .status import StatusReader

__all__ = ["CANCELLED", "REASON_OF_DEADLINE", "Deadline", "Stay", "Step"]


class Deadline(Enum):
    """What may run out while a lifecycle stands in a state."""

    ATTEMPT = auto()
    REQUEST = auto()
    CODE = auto()
    APPROVAL = auto()
    ACTION = auto()


REASON_OF_DEADLINE: Mapping[Deadline, Reason] = {
    Deadline.ATTEMPT: Reason.ATTEMPT_TIMED_OUT,
    Deadline.REQUEST: Reason.GENERATING_TIMED_OUT,
    Deadline.APPROVAL: Reason.APPROVAL_TIMED_OUT,
    Deadline.ACTION: Reason.ACTION_TIMED_OUT,
}
"""What a deadline that ran out means as an end. A code's own is not here: there may be another."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event on its way to the table, with what it carries."""

    event: Event
    outcome: Outcome | None = None
    code: QRCode | PairingCode | None = None
    action: ActionRequired | None = None


CANCELLED = Step(Event.CANCEL, Failed(Reason.CANCELLED))


@dataclass(slots=True)
class Stay:
    """One stay in `generating` or `displayed`; the first step that leads out decides its end."""

    policy: Policy
    reporter: Reporter | None = None
    """Told the moment in which it is decided that a transport is to go."""
    code: QRCode | PairingCode | None = None
    """The newest code, handed out or not."""
    shown: bool = False
    """Whether the code has been handed out."""
    action: ActionRequired | None = None
    """What the person has to do now."""
    link: Link | None = None
    reader: StatusReader | None = None
    leaving: Step | None = None
    scope: CancelScope = field(default_factory=CancelScope)
    deadlines: dict[Deadline, float] = field(default_factory=dict)
    looking: bool = False
    """Whether this is the last look, which ends as soon as there is more time."""

    # The end

    def leave(self, step: Step) -> bool:
        """Decide how the stay ends and wake its owner; say whether it was still to be decided.

        Whoever goes away need not wait for a code that was about to be asked for or shown: a
        cancellation also replaces a step that does not lead to an end.
        """
        if self.leaving is not None and (step.event is not Event.CANCEL or self.leaving.outcome):
            return False
        self.leaving = step
        self.scope.cancel()
        self._tell()
        return True

    def end(self, step: Step) -> None:
        """Decide on an end, unless one has been decided on: the owner cannot walk further."""
        if self.leaving is None or self.leaving.outcome is None:
            self.leaving = step
            self._tell()

    def _tell(self) -> None:
        if self.reporter is not None and self.leaving is not None and self.link is not None:
            self.reporter.report(Leaving, self.leaving.event)

    @property
    def succeeded(self) -> bool:
        """Whether the stay is being left because an account is linked."""
        return self.leaving is not None and isinstance(self.leaving.outcome, Connected)

    def forget(self) -> None:
        """Keep no secret: an error's traceback may keep the stay."""
        self.code = self.action = None

    # The clocks

    def begin(self) -> CancelScope:
        """A fresh scope to stand in until the earliest deadline."""
        self.looking = False
        self.scope = CancelScope(deadline=self._earliest())
        return self.scope

    def begin_look(self, seconds: float) -> CancelScope:
        """A fresh scope for a last look: for so long, or until a deadline is put off."""
        self.looking = True
        self.scope = CancelScope(deadline=current_time() + seconds)
        return self.scope

    def run_out(self, passed: float) -> Deadline | None:
        """The deadline that ran out by ``passed``; None if it has been put off since.

        For the attempt as a whole it is now that counts: nothing new is begun after it.
        """
        if self.deadlines.get(Deadline.ATTEMPT, math.inf) <= current_time():
            return Deadline.ATTEMPT
        deadline = min(self.deadlines, key=self.deadlines.__getitem__)
        return deadline if self.deadlines[deadline] <= passed else None

    def set_deadline(self, deadline: Deadline, seconds: float | None) -> None:
        """Let the stay end in so many seconds, or no longer for None."""
        self.set_end(deadline, None if seconds is None else current_time() + seconds)

    def set_end(self, deadline: Deadline, when: float | None) -> None:
        """Let the stay end at ``when`` (seconds on anyio's clock), or no longer for None."""
        if when is None:
            self.deadlines.pop(deadline, None)
        else:
            self.deadlines[deadline] = when
        if not self.looking:
            self.scope.deadline = self._earliest()
        elif self._earliest() > current_time():
            self.scope.cancel()

    def _earliest(self) -> float:
        return min(self.deadlines.values(), default=math.inf)

    # What an internal row changes: the code on screen, and whose clock runs

    def replace_code(self, code: QRCode | PairingCode) -> None:
        """There is a newer code; its lifetime starts now."""
        policy = self.policy
        lifetime = policy.qr_lifetime if self.code is None else policy.rotated_lifetime
        self.code, self.action = code, None
        if self.reader is not None:
            self.reader.outdate()
        self.set_deadline(Deadline.APPROVAL, None)
        self.set_deadline(Deadline.ACTION, None)
        lifetime = lifetime if code.expires_in is None else code.expires_in
        self.set_deadline(Deadline.CODE, lifetime + policy.expiry_grace)

    def keep_back(self, code: QRCode | PairingCode) -> None:
        """There is a newer code, but nobody who would hear of its being scanned."""
        self.replace_code(code)
        self.shown = False

    def expire_code(self) -> None:
        """The service says that the code ran out; what is left of it is the grace.

        Once the phone has it, or the person has something to do, that clock matters no more.
        """
        if (ends := self.deadlines.get(Deadline.CODE)) is not None:
            self.set_end(Deadline.CODE, min(ends, current_time() + self.policy.expiry_grace))

    def confirm(self) -> None:
        """The phone has the code and is confirming: the code's own clock matters no more."""
        self.action = None
        self.set_deadline(Deadline.CODE, None)
        self.set_deadline(Deadline.ACTION, None)
        if Deadline.APPROVAL not in self.deadlines:
            self.set_deadline(Deadline.APPROVAL, self.policy.approval_timeout)

    def require(self, action: ActionRequired) -> None:
        """The person has something to do: only that clock matters now."""
        self.action = action
        self.set_deadline(Deadline.CODE, None)
        self.set_deadline(Deadline.APPROVAL, None)
        self.set_deadline(Deadline.ACTION, self.policy.action_timeout)
