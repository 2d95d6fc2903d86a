"""The judge: performs a plan on a real lifecycle over a scripted peer, and notes every breach.

Breaches are noted rather than raised, because what is raised inside a transport or a hook is the
lifecycle's to handle.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import anyio
import trio
from anyio.abc import TaskGroup

from qrlifecycle import (
    Change,
    Connected,
    ConnectionFailed,
    EventRefused,
    Failed,
    Outcome,
    Paired,
    PairingInProgress,
    QRCode,
    QRExpired,
    QRLifecycle,
    QRUpdated,
    Reason,
    Signal,
    State,
)
from qrlifecycle.machine import MACHINE
from qrlifecycle.testing import ScriptedPeer, settle

from .plans import Act, Answer, Plan, Status, Step

ENDS = {State.IDLE, State.CONNECTED, State.FAILED}
EPSILON = 1e-6
LONGEST = 60.0
"""Seconds within which any plan's attempt must have ended by its own deadlines."""


class Judge:
    """One plan, one lifecycle, and what was seen of them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.breaches: list[str] = []
        self.seen: set[object] = set()
        self.outcomes: list[Outcome] = []
        self.peer = ScriptedPeer(plan.openings, plan.closings, watch=self.look)
        self.lifecycle = QRLifecycle(
            self.request_qr,
            self.peer,
            policy=plan.policy,
            check_status=None if plan.statuses is None else self.check_status,
            expect_identity=lambda identity: identity != "somebody else",
            on_change=self.on_change,
            on_qr_updated=lambda _qr: self.on_picture(),
        )
        self._answers = iter(plan.answers)
        self._statuses = iter(plan.statuses or ())
        self._pair_scope: anyio.CancelScope | None = None
        self._leave_by: float | None = None
        self._cancelled = False
        self._asked_again = False
        self._state = State.IDLE

    # What is looked at

    def look(self) -> None:
        """Promises 1 and 3, at an instant that somebody can observe."""
        state = self.lifecycle.state
        if self.peer.open_sockets and state is not State.DISPLAYED:
            self.breaches.append(f"promise 1: a socket exists in state {state}")
        if self.lifecycle.socket_open and state is not State.DISPLAYED:
            self.breaches.append(f"promise 1: socket_open in state {state}")
        if self.peer.open_sockets and not self.lifecycle.socket_open:
            self.breaches.append("promise 1: a socket exists, and socket_open denies it")
        if self.peer.open_sockets > 1:
            self.breaches.append("promise 3: two sockets at once")
        if self.lifecycle.qr is not None and state is not State.DISPLAYED:
            self.breaches.append(f"promise 6: a code is kept in state {state}")

    def on_change(self, change: Change) -> None:
        """A row was taken: it must be the table's, and the leaving must have been prompt."""
        self.look()
        self.seen.add((change.source, change.event))
        if change.source is not self._state or change.target is not self.lifecycle.state:
            self.breaches.append(f"{change} does not lead from {self._state} to where it stands")
        row = MACHINE.row(change.source, change.event)
        if (row.target or change.source) is not change.target:
            self.breaches.append(f"{change} is no row of the table")
        if not change.internal and self._leave_by is not None:
            if anyio.current_time() > self._leave_by + EPSILON:
                self.breaches.append("promise 2: left later than close_timeout after being asked")
            self._leave_by = None
        self._state = change.target

    def on_picture(self) -> None:
        """Promise 4, its first half: no code is handed out before the transport listens."""
        if not self.plan.policy.show_at_once and not self.peer.listening:
            self.breaches.append("promise 4: a code was handed out before the transport listened")

    # What is done

    async def perform(self) -> None:
        """Perform the plan; then let the clock bring everything to an end."""
        before = tasks_alive()
        async with anyio.create_task_group() as tasks:
            for step in self.plan.steps:
                await self.do(step, tasks)
                self.look()
                if step.settle:
                    await settle()
                    self.look()
            await anyio.sleep(LONGEST)
            if self._pair_scope is not None:
                self.breaches.append("promise 2: an attempt outlasted all its deadlines")
                self.peer.let_go.set()
                tasks.cancel_scope.cancel()
        if tasks_alive() > before:
            self.breaches.append("promise 8: a task is left")
        if timers_alive():
            self.breaches.append("promise 8: a timer is left")
        for goodbye in self.peer.goodbyes:
            if goodbye.seconds > self.plan.policy.close_timeout + EPSILON:
                self.breaches.append(f"promise 2: a goodbye took {goodbye.seconds} s")
            if not goodbye.finished and goodbye.seconds < self.plan.policy.close_timeout - EPSILON:
                self.breaches.append("promise 2: a goodbye was cut short")

    async def do(self, step: Step, tasks: TaskGroup) -> None:  # noqa: C901 - a plain list
        """Do one step."""
        match step.act:
            case Act.PAIR:
                tasks.start_soon(self.pair)
            case Act.CANCEL:
                if self.lifecycle.cancel():
                    self._cancelled = True
                    self._must_leave()
            case Act.GENERATE:
                self._asked_again = self.lifecycle.state in ENDS
                self._trigger(self.lifecycle.generate)
            case Act.RESET:
                self._trigger(self.lifecycle.reset)
            case Act.CANCEL_FROM_OUTSIDE:
                if self._pair_scope is not None:
                    self._pair_scope.cancel()
                    self._must_leave()
            case Act.SIGNAL:
                assert step.signal is not None
                self.peer.send(step.signal)
            case Act.HANG_UP:
                self.peer.hang_up()
            case Act.BREAK_LINK:
                self.peer.break_link()
            case Act.WAIT:
                await anyio.sleep(step.seconds)

    def _must_leave(self) -> None:
        if self.lifecycle.state is State.DISPLAYED and self._leave_by is None:
            self._leave_by = anyio.current_time() + self.plan.policy.close_timeout

    def _trigger(self, trigger: object) -> None:
        assert callable(trigger)
        state = self.lifecycle.state
        try:
            trigger()
        except EventRefused as error:
            if error.state is not state or self.lifecycle.state is not state:
                self.breaches.append("a refused trigger moved the state")
        else:
            self._must_leave()

    async def pair(self) -> None:
        """Run `pair()` under a scope that the plan may cancel, and check how it ends."""
        if self._pair_scope is not None:
            try:
                await self.lifecycle.pair()
            except PairingInProgress:
                return
            self.breaches.append("a second pair() was let in")
        self._cancelled = False
        with anyio.CancelScope() as scope:
            self._pair_scope = scope
            try:
                outcome = await self.lifecycle.pair()
                self.note_outcome(outcome)
            finally:
                self._pair_scope = None
                # generate() after the end, and before pair() has returned, decides for the next one
                again = self._asked_again and self.lifecycle.state is State.GENERATING
                if self.lifecycle.state not in ENDS and not again:
                    self.breaches.append(f"promise 5: pair() ended in {self.lifecycle.state}")
                if self.peer.open_sockets:
                    self.breaches.append("promise 5: pair() ended with a socket open")

    def note_outcome(self, outcome: Outcome) -> None:
        """An outcome was returned: it must be the one of where the lifecycle ended."""
        self.outcomes.append(outcome)
        self.seen.add(outcome if isinstance(outcome, Connected) else outcome.reason)
        if outcome == Failed(Reason.CANCELLED) and not self._cancelled:
            self.breaches.append("promise 5: a cancellation from outside did not go on")

    async def request_qr(self) -> QRCode | Paired:
        """The service, as the plan has it."""
        match next(self._answers, Answer.QR):
            case Answer.QR:
                await anyio.lowlevel.checkpoint()
            case Answer.SLOW_QR:
                await anyio.sleep(0.5)
            case Answer.LINKED:
                return Paired("linked already")
            case Answer.BROKEN:
                raise OSError("the service is broken, as the plan has it")
            case Answer.HUNG:
                await anyio.sleep_forever()
        return QRCode("a code")

    async def check_status(self) -> Signal | None:
        """The truth, as the plan has it."""
        self.look()
        match status := next(self._statuses, Status.NOTHING):
            case Status.SLOW:
                await anyio.sleep(0.5)
            case Status.RUBBISH:
                rubbish: Any = {"status": "paired"}
                return rubbish  # type: ignore[no-any-return]
            case Status.BROKEN:
                raise OSError("the status is broken, as the plan has it")
            case Status.HUNG:
                await anyio.sleep_forever()
        return SAID.get(status)


SAID = {
    Status.PAIRED: Paired("me"),
    Status.SOMEBODY_ELSE: Paired("somebody else"),
    Status.NEWER_CODE: QRUpdated(QRCode("newer", expires_in=2)),
    Status.EXPIRED: QRExpired(),
    Status.FAILED: ConnectionFailed(Reason.CONFLICT),
}


def tasks_alive() -> int:
    """How many tasks exist on this event loop."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return trio.lowlevel.current_statistics().tasks_living


def timers_alive() -> bool:
    """Whether a timer is set on this event loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return trio.lowlevel.current_statistics().seconds_to_next_deadline < float("inf")
    gc.collect()
    return any(not handle.cancelled() for handle in loop._scheduled)  # type: ignore[attr-defined]
