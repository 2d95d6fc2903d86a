"""A transport that keeps a cancellation to itself ends no plan, and hangs none: it is named."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from qrlifecycle import Policy, Scanned, Signal
from qrlifecycle.testing import Fault, Plan, ScriptedPeer, ScriptedTransport, run_plan
from qrlifecycle.testing.acts import Act
from qrlifecycle.testing.cancellable_call import CancellableCall
from qrlifecycle.testing.plans import PlanStep

from ..contract.peers import GreetedLineTransport, greeted_line_peer
from ..patience import patient_clock

pytestmark = pytest.mark.anyio


class WaitsAgain(GreetedLineTransport):
    """Whoever cancels it is not heard until it is closed."""

    async def receive(self) -> Signal:
        while True:
            try:
                return await super().receive()
            except anyio.get_cancelled_exc_class():
                continue


class WaitsAgainWhateverComes(GreetedLineTransport):
    """Not even that ends it before it is closed."""

    async def receive(self) -> Signal:
        while True:
            try:
                return await super().receive()
            except BaseException:
                if self.closed:
                    raise anyio.EndOfStream from None


class WaitsAgainInAMoment(GreetedLineTransport):
    """It cleans up without end."""

    async def receive(self) -> Signal:
        while True:
            try:
                return await super().receive()
            except anyio.get_cancelled_exc_class():
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.1)


class OpensAgain(GreetedLineTransport):
    """It has another try, whoever gave up waiting."""

    async def open(self) -> None:
        while True:
            try:
                await anyio.sleep_forever()
            except anyio.get_cancelled_exc_class():
                continue


@pytest.mark.parametrize(
    ("culprit", "act"),
    [
        (WaitsAgain, Act.SCANNED),
        (WaitsAgain, Act.CANCEL),
        (WaitsAgain, Act.CANCELLED),
        (WaitsAgainWhateverComes, Act.SCANNED),
        (OpensAgain, Act.SCANNED),
        pytest.param(WaitsAgainInAMoment, Act.SCANNED, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_promise_5_a_swallowed_cancellation_ends_the_plan_and_is_named(
    culprit: type[GreetedLineTransport], act: Act, backend: str
) -> None:
    """Whoever cancels: the method, its line, and what to do about it; and nothing else is amiss."""
    plan = Plan(steps=(PlanStep(Act.PAIR, 5.0), PlanStep(act, 0.1)))
    name, options = patient_clock(backend)
    judge = anyio.run(
        partial(run_plan, plan, partial(greeted_line_peer, culprit), policy=Policy()),
        backend=name,
        backend_options=options,
    )
    method = "open" if culprit is OpensAgain else "receive"
    said = {str(breach) for breach in judge.breaches if breach.promise == 5}
    (text,) = (one for one in said if f"{method}() was cancelled at test_swallowed.py:" in one)
    assert f"the cancellation was swallowed (T1). {method}() (test_swallowed.py:" in text
    assert {breach.promise for breach in judge.breaches} <= {2, 5}


class Patient(ScriptedTransport):
    """It has deadlines of its own, of this length, and waits again after each."""

    seconds = 0.01

    async def receive(self) -> Signal:
        for _ in range(500):
            with anyio.move_on_after(self.seconds):
                await anyio.sleep_forever()
            await anyio.sleep(0.1 if self.seconds == 0 else 0)
        return Scanned()


@pytest.mark.parametrize("seconds", [0.01, 0.0])
async def test_a_transports_own_deadlines_are_no_swallowed_cancellations(seconds: float) -> None:
    """However many there are in one call, and however short they are."""
    transport = Patient(ScriptedPeer(), Fault.NONE, Fault.NONE)
    transport.seconds = seconds
    noted = list[str]()
    call = CancellableCall(
        transport.receive(),
        swallowed=lambda: noted.append("swallowed"),
        force=lambda: noted.append("force"),
    )
    assert await call.run() == Scanned()
    assert noted == []
