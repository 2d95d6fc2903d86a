"""How far a lifecycle is: its state and phase, what is pending, its deadlines, its code.

Each of these facts is kept here and nowhere else; nothing here waits. Three methods change the
state, and they are all there is:

- `dispatch()` puts a transition to the table, now. An internal row is taken at once. One that leads
  out of the state is *decided* on: it becomes `pending`, and from then on the table accepts what
  may replace it and nothing else. There is no queue of events, so there is no event that waits
  while the state moves away under it.
- `decide()` does the same for the owner, which goes on alike if something else was decided first.
- `commit()` takes the row, when nothing of the old state is left, and notifies the observers.

Before a decision there may be a *verdict* (`give_up()`): how the state is to be left, unless the
final status check finds otherwise. A deadline that ran out is no verdict: it may be put off.

Time is an event too, and a deadline is data: `attempt_ends` and `phase_ends` are all there are,
for at most one phase at a time has a deadline (`states.DEADLINE_OF`). The owner waits in one scope
whose deadline is the earlier of the two. Whatever moves a deadline moves the scope's with it, so
there is no timer to cancel and none that could fire late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from anyio import CancelScope, current_time

from ..codes import Code, PairingCode, QRCode
from ..errors import EventRefused, PeerError
from ..machine import MACHINE
from ..outcome import Cancelled, Failed, Outcome, Reason
from ..policy import Policy
from ..records import Leaving, Recorder
from ..signals import ActionRequired, Scanned
from ..states import (
    DEADLINE_OF,
    ENDS,
    INITIAL,
    INITIAL_PHASE,
    NEXT_PHASE,
    SOCKET_OWNER,
    Deadline,
    Event,
    Phase,
    Region,
    Row,
    State,
    Step,
)
from .hooks import Hook
from .observers import Observers

__all__ = ["CANCELLED", "Progress", "Transition"]

NEVER = math.inf

Apply = Callable[[Any, object], None]
"""What a row changes, of what its transition carries."""


class Transition(NamedTuple):
    """An event on its way to the table, and what it carries: an outcome if it ends the attempt."""

    event: Event
    carried: Outcome | QRCode | PairingCode | ActionRequired | Scanned | None = None


CANCELLED = Transition(Event.CANCEL, Cancelled())


class Progress:
    """Where one lifecycle is.

    Args:
        policy: how long each phase may take.
        hooks: by name; those that are not given are not there.
        recorders: each is told each record.
    """

    __slots__ = (
        "_code_is_seen",
        "_state",
        "action",
        "attempt_ends",
        "code",
        "code_was_shown",
        "codes_left",
        "expiry_told",
        "final_check",
        "observers",
        "pending",
        "phase",
        "phase_ends",
        "policy",
        "refreshes_left",
        "scope",
        "verdict",
        "withheld",
    )

    def __init__(
        self, policy: Policy, hooks: Mapping[str, Hook[Any]], recorders: Sequence[Recorder]
    ) -> None:
        self.policy = policy
        self.observers = Observers(hooks, recorders, policy.hook_timeout)
        self._state = INITIAL
        self.pending: Transition | None = None
        """What was decided on, and is taken when nothing of the state is left."""
        self.verdict: Transition | None = None
        """How the state is left, unless the final status check finds otherwise."""
        self.phase: Phase | None = None
        """What the person owes, while a code is displayed; what is asked for, in `generating`."""
        self.code: QRCode | PairingCode | None = None
        """The newest code, also while it is withheld."""
        self.withheld = False
        """Whether the code has yet to be handed out: nobody would hear of its being scanned."""
        self.action: ActionRequired | None = None
        """What the person has to do now."""
        self.code_was_shown = False
        """Whether the attempt ever handed out a code, so that somebody may have scanned one."""
        self.attempt_ends = self.phase_ends = NEVER
        """Seconds on anyio's clock."""
        self.scope: CancelScope | None = None
        """What the owner waits in, while an attempt is under way."""
        self.final_check = False
        """Whether the owner waits for the final status check."""
        self.expiry_told: PeerError | None = None
        """What the service said when it let the newest code run out, if it had words for it."""
        self._code_is_seen = False
        """Whether a hook has shown a code in this state, and none has failed to show one since."""
        self.codes_left = policy.max_codes
        """How many more codes may be shown without a person asking."""
        self.refreshes_left = policy.max_refreshes
        """How many more codes may be asked for without a person asking."""

    @property
    def state(self) -> State:
        """The state, as everybody sees it."""
        return self._state

    @property
    def shown_code(self) -> Code | None:
        """The code that has been handed out and is still good."""
        return None if self.withheld else self.code

    @property
    def code_expires_in(self) -> float | None:
        """For how many seconds the code that is shown is good still, but for the grace.

        None if there is none, or its time matters no more: the phone has it.
        """
        if self.shown_code is None:
            return None
        assert self.phase is not None
        if DEADLINE_OF[self.phase] is not Deadline.CODE:
            return None
        return max(0.0, self.phase_ends - self.policy.expiry_grace - current_time())

    # Transitions

    def begin_attempt(self) -> None:
        """Leave an end of the table for `generating`."""
        self.attempt_ends = current_time() + self.policy.attempt_timeout
        self.commit(Transition(Event.GENERATE))

    def dispatch(self, transition: Transition) -> None:
        """Put a transition to the table, now: it is taken, decided on, or refused.

        While anything is pending an internal row is refused as well: it replaces nothing.

        Raises:
            EventRefused: the table has no row for it here, or what is pending does not give way.
        """
        row = MACHINE.row(self._state, transition.event)
        if self._state in ENDS or (row.internal and self.pending is None):
            self.commit(transition)
        elif not self._decide(row, transition):
            raise EventRefused(self._state, transition.event, self._replacing)

    @property
    def _replacing(self) -> tuple[Event, ...]:
        """The events that what is pending would give way to."""
        state, pending = self._state, self.pending
        rows = (MACHINE.row(state, event) for event in MACHINE.accepted(state))
        return tuple(r.event for r in rows if pending is not None and pending.event in r.replaces)

    def decide(self, transition: Transition) -> None:
        """Decide on a row out of the state, if nothing is pending or what is gives way to it."""
        self._decide(MACHINE.row(self._state, transition.event), transition)

    def _decide(self, row: Row, transition: Transition) -> bool:
        if self.pending is not None and self.pending.event not in row.replaces:
            return False
        self.pending = transition
        self.final_check = False
        if self.observers.recording is not None and self._state is SOCKET_OWNER:
            self.observers.recording.record(Leaving, transition.event)
        return True

    def wake(self) -> None:
        """Wake the owner if there is anything for it to do; for whoever is not the owner.

        The owner itself looks at both before it waits again. It is never cancelled by what it
        decided itself: that would cost a turn of the event loop on the way of every success. In a
        final status check a verdict is no reason to wake it: the check may still find a success.
        """
        if self.pending is not None or (self.verdict is not None and not self.final_check):
            self.end_wait()

    def end_wait(self) -> None:
        """End what the owner waits for: the state's activity, or the final status check."""
        if self.scope is not None:
            self.scope.cancel()

    def commit(self, transition: Transition) -> Outcome | None:
        """Take the row, and notify; give back the outcome if the attempt ends by it."""
        event, carried = transition
        source = self._state
        MACHINE.fire(self, event)
        if self._state is source:
            self._TAKE[event](self, carried)
        else:
            self._enter(carried)
        self.observers.notify(source, event, self._state, carried)
        return carried if isinstance(carried, Outcome) else None

    # What a row changes

    def _enter(self, carried: object) -> None:
        """Nothing of the old state is kept: no secret either, for an error may keep `self`."""
        self.pending = self.verdict = self.code = self.action = None
        self.withheld = self._code_is_seen = False
        # Only now: that there is no code before it is what makes a code the first of its state.
        self._ENTER[self._state](self, carried)

    def _enter_generating(self, _carried: object) -> None:
        self.phase = INITIAL_PHASE[Region.REQUEST]
        self._set_phase_end(current_time() + self.policy.lease_timeout)

    def begin_request(self) -> None:
        """The lease is held, or none is needed: now the service is asked."""
        self._follow(Step.LEASED, self.policy.generate_timeout)

    def _enter_displayed(self, code: object) -> None:
        assert isinstance(code, QRCode | PairingCode)
        self.phase = INITIAL_PHASE[Region.PERSON]
        self.withhold_code(code)

    def _enter_end(self, _carried: object) -> None:
        self.phase = self.scope = None
        self.attempt_ends = self.phase_ends = NEVER
        self.code_was_shown = self.final_check = False
        self.renew_budgets()

    def renew_budgets(self) -> None:
        """A person asks: there may be as many codes again."""
        self.codes_left = self.policy.max_codes
        self.refreshes_left = self.policy.max_refreshes

    def withhold_code(self, code: QRCode | PairingCode) -> None:
        """There is a newer code, but nobody who would hear of its being scanned."""
        self._replace_code(code)
        self.withheld = True

    def _show_code(self, code: object) -> None:
        """Hand a code out; it is spent before any hook is told, which may ask for as many again."""
        assert isinstance(code, QRCode | PairingCode)
        if code is not self.code:
            self._replace_code(code)
        self.withheld = False
        self.code_was_shown = True
        self.codes_left -= 1

    def _replace_code(self, code: QRCode | PairingCode) -> None:
        """There is a newer code; its lifetime starts now, and the person owes a scan again."""
        policy = self.policy
        lifetime = policy.qr_lifetime if self.code is None else policy.rotated_lifetime
        lifetime = lifetime if code.expires_in is None else code.expires_in
        self.code, self.action, self.expiry_told = code, None, None
        self._follow(Event.QR_UPDATED, lifetime + policy.expiry_grace)

    def _await_approval(self, _carried: object) -> None:
        """The phone has the code: the code's own deadline matters no more."""
        self.action = None
        self._follow(Event.SCANNED, self.policy.approval_timeout)

    def _require_action(self, action: object) -> None:
        """The person has something to do: only that deadline matters now."""
        assert isinstance(action, ActionRequired)
        self.action = action
        self._follow(Event.ACTION_REQUIRED, self.policy.action_timeout)

    def pass_time(self, seconds: float) -> None:
        """So much time passed that no timer counted."""
        self.attempt_ends -= seconds
        self._set_phase_end(self.phase_ends - seconds)

    def run_out(self) -> None:
        """The deadline of the phase is now."""
        self._set_phase_end(min(self.phase_ends, current_time()))

    def expire_code(self, said: PeerError | None = None) -> None:
        """The service says that the code ran out: it is heard for `expiry_grace` seconds more."""
        if (self.phase, Event.EXPIRED) in NEXT_PHASE:
            self.expiry_told = said
            ends = current_time() + self.policy.expiry_grace
            self._set_phase_end(min(self.phase_ends, ends))

    def _follow(self, by: Step | Event, seconds: float) -> None:
        """Go to the phase that this leads to, if it leads anywhere, and start its deadline."""
        assert self.phase is not None
        if (target := NEXT_PHASE.get((self.phase, by))) is not None:
            self.phase = target
            self._set_phase_end(current_time() + seconds)

    def note_showing(self, hook: str, error: Exception | None) -> None:
        """A hook that shows the person something has returned, or raised.

        Who cannot see the code cannot scan it, so the first failure ends the attempt. That of a
        rotation does only if the next one fails too: the code before it is still on screen.
        """
        of_code = hook != "on_action_required"
        if error is None:
            self._code_is_seen = self._code_is_seen or of_code
        elif of_code and self._code_is_seen:
            self._code_is_seen = False  # the one before still is; the next must not fail as well
        elif self.pending is None:
            self.give_up(Transition(Event.FAIL, Failed(Reason.SHOWING_FAILED, error)))
            self.wake()

    def give_up(self, verdict: Transition) -> None:
        """Leave the state by this, unless the final status check finds otherwise; the first counts.

        What fails later may well have failed because of the first.
        """
        if self.verdict is None:
            self.verdict = verdict

    @property
    def why_given_up(self) -> str | None:
        """The words of the error that the attempt ends by, unless the final status check helps."""
        carried = None if self.verdict is None else self.verdict.carried
        return str(carried.error) if isinstance(carried, Failed) else None

    # Deadlines

    @property
    def earlier_deadline(self) -> float:
        """When the state is left at the latest, but for the final status check."""
        return min(self.attempt_ends, self.phase_ends)

    def until_deadline(self) -> CancelScope:
        """A fresh scope to wait in until the earlier deadline."""
        self.final_check = False
        self.scope = scope = CancelScope(deadline=self.earlier_deadline)
        return scope

    def for_final_check(self, seconds: float) -> CancelScope:
        """A fresh scope for a final status check: for so long, or until a deadline is put off."""
        self.final_check = True
        self.scope = scope = CancelScope(deadline=current_time() + seconds)
        return scope

    def expired_deadline(self, passed: float) -> Deadline | None:
        """The deadline that ran out by ``passed``; None if it has been put off since.

        For the attempt as a whole it is now that counts: nothing new is begun after it.
        """
        if self.attempt_ends <= current_time():
            return Deadline.ATTEMPT
        if self.phase is not None and self.phase_ends <= passed:
            return DEADLINE_OF[self.phase]
        return None

    def _set_phase_end(self, when: float) -> None:
        self.phase_ends = when
        ends, scope = min(self.attempt_ends, when), self.scope
        if scope is None:
            return
        if not self.final_check:
            scope.deadline = ends
        elif self.verdict is None and ends > current_time():
            scope.cancel()  # there is more time again, so nothing is to be checked finally

    _ENTER: ClassVar[Mapping[State, Apply]] = {
        State.IDLE: _enter_end,
        State.GENERATING: _enter_generating,
        State.DISPLAYED: _enter_displayed,
        State.CONNECTED: _enter_end,
        State.FAILED: _enter_end,
    }
    """What entering each state begins; a test finds the state that is missing."""

    _TAKE: ClassVar[Mapping[Event, Apply]] = {
        Event.QR_UPDATED: _show_code,
        Event.SCANNED: _await_approval,
        Event.ACTION_REQUIRED: _require_action,
    }
    """What each internal row changes; a test finds the event that is missing."""
