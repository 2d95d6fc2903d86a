"""Runs a plan on a lifecycle: on a virtual clock, or over a real wire."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from functools import partial

import anyio
import anyio.lowlevel

from ..codes import QRCode
from ..engine.service import QRRequest
from ..errors import InvalidValue, ServiceRefused, ServiceUnavailable
from ..outcome import Reason
from ..policy import Policy, is_positive
from ..signals import Paired, PairingRefused, QRUpdated, Signal
from .acts import SIGNALS, Act
from .clock import require_virtual_clock
from .contract.check import PeerFactory, fresh_peer
from .judge import Judge
from .plan_targets import PlanTarget, ScriptedTarget, WireTarget
from .plans import BY_THE_PEER, Answer, Plan, PlanStep, Reading
from .scripted_leases import ScriptedKeeper

__all__ = ["SCALE", "run_plan", "run_plans_together"]

SCALE = 0.02
"""Real seconds for each of a plan's, over a wire: half a minute is well under one."""

LATE = 0.5
"""A plan's seconds that a slow answer takes."""

OF_THE_TRANSPORT = frozenset({"open_timeout", "close_timeout"})
"""Times that bound what happens on a real wire, which no scale makes faster."""


async def run_plan(
    plan: Plan,
    peer: PeerFactory | None = None,
    *,
    request_qr: QRRequest | None = None,
    policy: Policy | None = None,
    scale: float = SCALE,
) -> Judge:
    """Run a plan on a fresh lifecycle; its judge has noted each breach of a promise.

    Without a peer, transports are scripted and the event loop's clock must be virtual: a
    `VirtualClockEventLoop`, or trio's ``MockClock(autojump_threshold=0)``. With one, sockets and
    time are real, and what the peer cannot do is left out of the plan.

    Args:
        plan: what happens.
        peer: makes a fresh peer, which makes your transports: see `WirePeer`.
        request_qr: yours, in place of the plan's answers. What it opens, it must close.
        policy: yours, in place of the plan's; its times are never scaled.
        scale: seconds, over a real wire, for each second of the plan, `Policy.open_timeout` and
            `Policy.close_timeout` excepted.

    Raises:
        InvalidValue: a scale that is not above 0.
        WrongAnswer: ``peer`` makes no peer.
        UsageError: there is no peer, and the event loop's clock is real.
        Exception: what the peer raised.
    """
    if not is_positive(scale) or math.isinf(scale):
        raise InvalidValue("scale must be above 0, and finite")
    async with AsyncExitStack() as stack:
        target: PlanTarget
        if peer is None:
            require_virtual_clock()
            scale = 1.0
            target = ScriptedTarget(plan.openings, plan.closings)
        else:
            contract_peer = await stack.enter_async_context(fresh_peer(peer))
            stack.callback(contract_peer.drop)
            target = WireTarget(contract_peer, plan.openings, plan.closings)
        policy = policy or _scaled(plan.policy, scale)
        run = _PlanRun(plan, target, policy, request_qr, scale)
        await run.run(by_its_deadlines=peer is None)
        await run.check_leaks()
        return run.judge


async def run_plans_together(plans: Iterable[Plan]) -> list[Judge]:
    """Run plans at the same time, each on a lifecycle of its own over scripted transports.

    As for `run_plan` without a peer, the event loop's clock must be virtual.
    """
    runs = [
        _PlanRun(plan, ScriptedTarget(plan.openings, plan.closings), plan.policy, None, 1.0)
        for plan in plans
    ]
    async with anyio.create_task_group() as tasks:
        for run in runs:
            tasks.start_soon(partial(run.run, by_its_deadlines=True))
    for run in runs:
        await run.check_leaks()
    return [run.judge for run in runs]


class _PlanRun:
    """One plan, and the lifecycle that it happens to."""

    def __init__(
        self,
        plan: Plan,
        target: PlanTarget,
        policy: Policy,
        request_qr: QRRequest | None,
        scale: float,
    ) -> None:
        needs_status = policy.confirm_success or policy.status_interval < math.inf
        reads = plan.statuses is not None or needs_status
        self._plan = plan
        self._target = target
        self._scale = scale
        self._answers = iter(plan.answers)
        self._readings = iter(plan.statuses or ())
        self._ended = anyio.Event()
        """Set when a `pair()` has ended."""
        self.judge = Judge(
            target,
            policy,
            request_qr or self._request_qr,
            late=target.late,
            check_status=self._check_status if reads else None,
            keeper=None if plan.leases is None else ScriptedKeeper(plan.leases, LATE * scale),
            expect_identity=lambda identity: Paired(identity) != SIGNALS[Act.STRANGER],
        )
        target.watch, target.note = self.judge.look, self.judge.note

    async def run(self, *, by_its_deadlines: bool) -> None:
        """Do all steps, and come to an end.

        Args:
            by_its_deadlines: the attempt is to end by itself, which takes its time.
        """
        judge = self.judge
        async with anyio.create_task_group() as tasks:
            for step in self._plan.steps:
                if step.act is Act.PAIR:
                    tasks.start_soon(self._pair)
                else:
                    await self._do(step)
                judge.look()
                await self._pause(step)
            if by_its_deadlines:
                await anyio.sleep(_longest(judge.policy))
            if not by_its_deadlines or math.isinf(judge.policy.attempt_timeout):
                await self._target.rest()  # the last step's pair() may not have begun
                judge.cancel()
                await self._end()
            if judge.scope is not None:
                judge.note(2, "an attempt outlasted all its deadlines")
                self._target.give_up()
                tasks.cancel_scope.cancel()

    async def check_leaks(self) -> None:
        """Note what is left when all is over."""
        judge = self.judge
        for left in await self._target.left():
            judge.note(8, f"{left} is left")
        judge.check_closes()

    async def _end(self) -> None:
        """Wait until the attempt has ended, but no longer than leaving may take."""
        with anyio.move_on_after(self.judge.policy.close_timeout + self._target.late):
            while self.judge.scope is not None:
                await self._ended.wait()

    async def _do(self, step: PlanStep) -> None:
        judge = self.judge
        if step.act in BY_THE_PEER:
            await self._target.act(step.act)
        elif step.act is Act.LOSE:
            judge.lose()
        elif step.act is Act.GENERATE:
            judge.generate()
        elif step.act is Act.CANCEL:
            judge.cancel()
        elif step.act is Act.RESET:
            judge.reset()
        else:
            judge.cancel_from_outside()

    async def _pause(self, step: PlanStep) -> None:
        if step.pause is None:
            return
        if step.pause:
            await anyio.sleep(step.pause * self._scale)
        else:
            await self._target.rest()
        self.judge.look()

    async def _pair(self) -> None:
        try:
            await self.judge.pair()
        except Exception as error:
            self.judge.note(7, f"pair() raised {error!r}")
        finally:
            self._ended.set()
            self._ended = anyio.Event()

    async def _request_qr(self) -> QRCode | Paired:
        match next(self._answers, Answer.CODE):
            case Answer.SLOW:
                await anyio.sleep(LATE * self._scale)
            case Answer.ALREADY_PAIRED:
                return Paired("paired already")
            case Answer.DENIED:
                raise ServiceRefused("as the plan has it")
            case Answer.BUSY:
                raise ServiceUnavailable("as the plan has it")
            case Answer.FAILING:
                raise OSError("the service is broken, as the plan has it")
            case Answer.HUNG:
                await anyio.sleep_forever()
            case _:
                await anyio.lowlevel.checkpoint()
        return QRCode("a code")

    async def _check_status(self) -> Signal | None:
        self.judge.look()
        reading = next(self._readings, Reading.NOTHING)
        match reading:
            case Reading.SLOW:
                await anyio.sleep(LATE * self._scale)
            case Reading.NONSENSE:
                return {"status": "paired"}  # type: ignore[return-value] # the point of it
            case Reading.FAILING:
                raise OSError("the status is broken, as the plan has it")
            case Reading.HUNG:
                await anyio.sleep_forever()
            case Reading.ROTATED:
                return QRUpdated(QRCode("newer", expires_in=2 * self._scale))
            case _:
                await anyio.lowlevel.checkpoint()
        return SAID.get(reading)


SAID: dict[Reading, Signal] = {
    Reading.PAIRED: SIGNALS[Act.PAIRED],
    Reading.STRANGER: SIGNALS[Act.STRANGER],
    Reading.EXPIRED: SIGNALS[Act.EXPIRED],
    Reading.FAILED: PairingRefused(Reason.CONFLICT),
}


def _scaled(policy: Policy, scale: float) -> Policy:
    times = {field.name for field in fields(policy) if field.type == "float"} - OF_THE_TRANSPORT
    return replace(policy, **{name: getattr(policy, name) * scale for name in times})


def _longest(policy: Policy) -> float:
    """Seconds within which any attempt must have ended by its own deadlines; 0 if it need not."""
    if math.isinf(policy.attempt_timeout):
        return 0.0
    ending = policy.expiry_grace + policy.final_check_timeout + policy.close_timeout
    return 2 * (policy.attempt_timeout + ending)
