"""The kit's plans: what fails is printed to be pasted, and what is broken does fail."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar
from unittest.mock import AsyncMock, patch

import anyio
import pytest
from anyio.abc import SocketStream
from hypothesis import given

import qrlifecycle.engine.connection as module_of_the_connection
from qrlifecycle import (
    Connected,
    Event,
    Failed,
    InvalidValue,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    Reason,
    Signal,
    State,
    Transport,
)
from qrlifecycle.engine.hooks import HookRunner
from qrlifecycle.engine.lease import LeaseOfAttempt
from qrlifecycle.engine.status import StatusReader
from qrlifecycle.testing import (
    Fault,
    Plan,
    ScriptedKeeper,
    ScriptedPeer,
    ScriptedTransport,
    WirePeer,
    run_plan,
    settle,
)
from qrlifecycle.testing.acts import Act
from qrlifecycle.testing.contract.check import PeerFactory
from qrlifecycle.testing.judge import Judge
from qrlifecycle.testing.plans import BRISK, Answer, PlanStep, Reading
from qrlifecycle.testing.scripted_leases import Keeping
from qrlifecycle.testing.strategies import plans
from qrlifecycle.testing.suite import LifecyclePromises, TransportContract

from ..contract.peers import (
    SIGNALS,
    GreetedLineTransport,
    greet_with_a_line,
    greeted_line_peer,
    line_peer,
)
from ..pairing import request_qr
from ..patience import patient_clock
from ..sockets import needs_proc

NAMES: dict[str, object] = {
    "Act": Act,
    "BRISK": BRISK,
    "replace": replace,
    "Answer": Answer,
    "Fault": Fault,
    "Keeping": Keeping,
    "Plan": Plan,
    "Policy": Policy,
    "Reading": Reading,
    "PlanStep": PlanStep,
}


@given(plan=plans())
def test_what_is_printed_of_a_plan_makes_it_again(plan: Plan) -> None:
    """The `repr()` of any plan is Python for an equal one."""
    assert eval(repr(plan), dict(NAMES)) == plan


def test_a_plan_prints_only_what_is_not_ordinary() -> None:
    """Defaults are left out, and infinity is spelt so that it needs no import."""
    assert repr(Plan()) == "Plan()"
    plan = Plan(steps=(PlanStep(Act.PAIR, None),), policy=Policy(attempt_timeout=math.inf))
    assert repr(plan) == (
        'Plan(steps=(PlanStep(Act.PAIR, None),), policy=Policy(attempt_timeout=float("inf")))'
    )


@given(plan=plans(most_steps=0))
def test_the_policy_of_a_plan_that_is_drawn_is_short(plan: Plan) -> None:
    """What it has in common with those of all others is not printed."""
    assert len(repr(replace(Plan(), policy=plan.policy))) < 300
    assert repr(Plan(policy=BRISK)) == "Plan(policy=BRISK)"


def test_a_step_is_something_that_can_be_done_at_any_time() -> None:
    """What answers a question is no step, and is refused."""
    with pytest.raises(InvalidValue, match="'code' is no step of a plan"):
        PlanStep(Act.CODE)


@pytest.mark.anyio
@pytest.mark.parametrize("scale", [0, -1, math.inf, math.nan])
async def test_a_scale_is_a_positive_number(scale: float) -> None:
    """Anything else is refused before anything happens."""
    with pytest.raises(InvalidValue, match="scale must be above 0"):
        await run_plan(Plan(), line_peer, scale=scale)


ROUND = Plan(steps=(PlanStep(Act.PAIR, 0.1), PlanStep(Act.SCANNED), PlanStep(Act.PAIRED, 0.1)))

CUT_SHORT = Plan(steps=(PlanStep(Act.PAIR, 0.1), PlanStep(Act.CANCELLED)), closings=(Fault.SLOW,))


@pytest.mark.anyio
async def test_a_plan_does_what_it_says() -> None:
    """Code, scan and success: the judge has seen these rows, and the end."""
    judge = await run_plan(ROUND)
    assert judge.breaches == []
    assert judge.outcomes == [Connected("me")]
    assert judge.seen >= {
        (State.IDLE, Event.GENERATE),
        (State.GENERATING, Event.QR_READY),
        (State.DISPLAYED, Event.SCANNED),
        (State.DISPLAYED, Event.PAIRED),
        Connected,
    }


@pytest.mark.anyio
async def test_the_guests_request_and_policy_stand_in_for_the_plans() -> None:
    """They are called and followed; the plan's answers are not."""
    plan = Plan(steps=(PlanStep(Act.PAIR),), answers=(Answer.HUNG,), policy=Policy(qr_lifetime=9))

    async def request_qr() -> QRCode | Paired:
        await anyio.sleep(1)
        return QRCode("mine")

    judge = await run_plan(
        plan, request_qr=request_qr, policy=Policy(max_refreshes=0, confirm_success=True)
    )
    assert judge.breaches == []
    assert judge.seen >= {(State.DISPLAYED, Event.FAIL), Reason.EXPIRED}


@pytest.mark.anyio
@pytest.mark.parametrize("pause", [None, 0.0, 100.0])
async def test_an_attempt_without_a_deadline_is_cancelled_in_the_end(pause: float | None) -> None:
    """A plan comes to an end although its policy has none, and the graceful close hangs."""
    policy = Policy(attempt_timeout=math.inf, qr_lifetime=math.inf)
    steps = (PlanStep(Act.PAIR, pause),)
    judge = await run_plan(Plan(steps=steps, closings=(Fault.HUNG,), policy=policy))
    assert judge.breaches == []
    assert (State.DISPLAYED, Event.CANCEL) in judge.seen
    assert anyio.current_time() >= policy.close_timeout


class Unshielded:
    """anyio, but that nothing is shielded."""

    def __getattr__(self, name: str) -> Any:
        return getattr(anyio, name)

    def move_on_after(self, seconds: float, *, shield: bool = False) -> anyio.CancelScope:
        """Not, whatever is asked."""
        assert shield in (True, False)
        return anyio.move_on_after(seconds)


@pytest.mark.anyio
async def test_a_graceful_close_that_is_cut_short_is_a_breach() -> None:
    """A lifecycle that does not shield the graceful close is caught by a plan that cancels it."""
    assert (await run_plan(CUT_SHORT)).breaches == []
    with patch.object(module_of_the_connection, "anyio", Unshielded()):
        judge = await run_plan(CUT_SHORT)
    assert list(map(str, judge.breaches)) == ["promise 2: a graceful close was cut short"]


@pytest.mark.anyio
@pytest.mark.parametrize("last", [PlanStep(Act.BREAK, 15.0), PlanStep(Act.BREAK)])
async def test_an_opening_that_no_read_follows_is_a_breach(last: PlanStep) -> None:
    """Somebody looks some seconds after it; or only the final check reads, which is too late."""
    plan = Plan(steps=(PlanStep(Act.PAIR, 5.0), last), statuses=(Reading.SLOW,))
    assert (await run_plan(plan)).breaches == []
    request, requests = StatusReader.request_read, iter((True, False))

    def request_but_once(reader: StatusReader) -> None:
        if next(requests, True):
            request(reader)

    with patch.object(StatusReader, "request_read", request_but_once):
        judge = await run_plan(plan)
    said = "promise 4: a transport listens, and the status was not read"
    assert list(map(str, judge.breaches)) == [said]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("times", "said"),
    [
        (0, ["promise 4: on_connected was called 0 times for 1 successes"]),
        (1, []),
        (2, ["promise 4: on_connected was called 2 times for 1 successes"] * 2),
    ],
)
async def test_a_success_that_is_not_told_once_is_a_breach(times: int, said: list[str]) -> None:
    """Told never, or twice: it is noted when it is told too often, and at the end of `pair()`."""
    deliver = HookRunner.deliver

    def deliver_so_often(runner: HookRunner[object], item: object) -> None:
        for _ in range(times if runner._name == "on_connected" else 1):
            deliver(runner, item)

    with patch.object(HookRunner, "deliver", deliver_so_often):
        judge = await run_plan(ROUND)
    assert list(map(str, judge.breaches)) == said


@pytest.mark.anyio
async def test_a_success_that_was_none_is_a_breach() -> None:
    """An outcome that does not say what was told: nobody may take the one for the other."""
    failed = Failed(Reason.EXPIRED)
    judge: Judge = await run_plan(Plan())
    with patch.object(QRLifecycle, "pair", AsyncMock(return_value=Connected("me"))):
        await judge.pair()
    said = f"promise 4: pair() ended with {Connected('me')}; reached was []"
    assert list(map(str, judge.breaches)) == [said]
    judge.breaches.clear()
    with patch.object(QRLifecycle, "pair", AsyncMock(return_value=failed)):
        await judge.pair()
    assert judge.breaches == []


HELD_AND_LOST = Plan(
    steps=(PlanStep(Act.PAIR, 1.0), PlanStep(Act.LOSE, 0.1), PlanStep(Act.SCANNED, 5.0)),
    closings=(Fault.HUNG,),
    leases=(Keeping.SLOW,),
    policy=Policy(attempt_timeout=30),
)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Keeping.HELD_ELSEWHERE, Reason.CONFLICT),
        (Keeping.TAKEN_OVER, Reason.SUPERSEDED),
        (Keeping.AWAY, Reason.LEASE_LOST),
        (Keeping.FAILING, Reason.LEASE_LOST),
        (Keeping.HUNG, Reason.LEASE_LOST),
    ],
)
async def test_a_lease_that_is_not_had_ends_the_attempt(answer: Keeping, reason: Reason) -> None:
    """For the reason that a plan says; the next attempt has a lease of its own."""
    plan = Plan(
        steps=(PlanStep(Act.PAIR, 31.0), PlanStep(Act.PAIR, 1.0), PlanStep(Act.PAIRED)),
        leases=(answer,),
    )
    judge = await run_plan(plan)
    assert judge.breaches == []
    assert reason in judge.seen
    assert judge.outcomes[-1] == Connected("me")


@pytest.mark.anyio
async def test_a_lease_that_is_lost_ends_the_attempt() -> None:
    """A transport that does not close is gone in time; two losses are of two kinds."""
    judge = await run_plan(HELD_AND_LOST)
    assert judge.breaches == []
    assert judge.seen >= {Reason.SUPERSEDED, (State.DISPLAYED, Event.FAIL)}
    pair_and_lose = (PlanStep(Act.PAIR, 1.0), PlanStep(Act.LOSE, 2.0))
    judge = await run_plan(Plan(steps=pair_and_lose * 2, leases=()))
    assert judge.breaches == []
    assert judge.seen >= {Reason.SUPERSEDED, Reason.LEASE_LOST}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "plan",
    [
        Plan(steps=(PlanStep(Act.PAIR, 0.5), PlanStep(Act.LOSE)), answers=(Answer.BUSY,)),
        Plan(steps=(PlanStep(Act.PAIR, 1.0), PlanStep(Act.BREAK, 0.5), PlanStep(Act.LOSE))),
    ],
    ids=["between two requests", "between two transports"],
)
async def test_promise_9_a_loss_as_a_pause_ends_is_before_what_follows_the_pause(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper says so in the instant in which the next code, or transport, is due."""
    monkeypatch.setattr("qrlifecycle.engine.backoff.uniform", lambda _least, most: most)
    policy = Policy(generate_retry_delay=0.5, reconnect_delay=0.5)
    for _ in range(10):  # trio draws the order of what ends in one instant
        judge = await run_plan(replace(plan, leases=(), policy=policy))
        assert judge.breaches == []
        assert Reason.SUPERSEDED in judge.seen


async def is_held(_lease: LeaseOfAttempt) -> bool:
    """A lease that nobody asked for."""
    return True


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "instead", "said"),
    [
        ("release", lambda _lease: None, "pair() ended, and its lease was not given back"),
        ("acquire", is_held, "a code was asked for without a lease"),
        ("acquire", is_held, "a transport was made without a lease"),
        ("_lose", lambda *_: None, "a socket exists without a lease"),
    ],
)
async def test_promise_9_broken_is_told(name: str, instead: Any, said: str) -> None:
    """Whatever of it the lifecycle forgets: each of its facts is judged."""
    steps = (PlanStep(Act.PAIR, 1.0), PlanStep(Act.LOSE, 5.0), PlanStep(Act.SCANNED, 5.0))
    plan = ROUND if name == "release" else Plan(steps=steps)
    with patch.object(LeaseOfAttempt, name, instead):
        judge = await run_plan(replace(plan, leases=()))
    assert f"promise 9: {said}" in map(str, judge.breaches)


@pytest.mark.anyio
async def test_promise_9_a_lease_that_is_given_back_too_early_is_told() -> None:
    """While a socket exists, somebody else could have it."""
    keeper = ScriptedKeeper()
    peer = ScriptedPeer()
    judge = Judge(peer, Policy(), request_qr, keeper=keeper)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(judge.pair)
        await settle()
        assert peer.open_sockets == 1
        assert keeper.held == 1
        assert keeper.newest is not None
        keeper.newest.release()
        judge.cancel()
    said = "promise 9: a lease was given back while a socket existed"
    assert said in map(str, judge.breaches)


def patient_line_peer() -> WirePeer:
    """A line server with clients that wait for it."""
    return WirePeer(GreetedLineTransport, signals=SIGNALS, heartbeat=30, greet=greet_with_a_line)


class ForgetfulTransport(Transport):
    """It says that it is closed."""

    streams: ClassVar[list[SocketStream]] = []
    """Those that it left open."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    async def open(self) -> None:
        """Connect."""
        self.streams.append(await anyio.connect_tcp(self.host, self.port))

    async def receive(self) -> Signal:
        """Nothing ever comes."""
        await anyio.sleep_forever()
        raise AssertionError

    async def aclose(self) -> None:
        """Forget about it."""

    def abort(self) -> None:
        """Forget about it."""


def forgetful_peer() -> WirePeer:
    """A line server that is not told."""
    return WirePeer(ForgetfulTransport, signals=SIGNALS, heartbeat=30)


class OnAWire:
    """Real sockets, on a clock that waits for them."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
        return patient_clock(request.param)


class TestOnAWire(OnAWire):
    """Plans over a real wire."""

    async def test_a_plan_goes_over_a_real_wire(self) -> None:
        """The peer sends what the plan says, as far as it can; nothing is left."""
        plan = Plan(
            steps=(PlanStep(Act.PAIR, 30.0), PlanStep(Act.SCANNED), PlanStep(Act.PAIRED, 30.0))
        )
        judge = await run_plan(plan, patient_line_peer, policy=Policy())
        assert judge.breaches == []
        assert judge.outcomes == [Connected("me")]

    async def test_a_plan_that_ends_with_pair_is_ended_at_once(self) -> None:
        """An attempt that has hardly begun is cancelled; its own deadlines are not waited for."""
        plan = Plan(steps=(PlanStep(Act.PAIR, None),))
        with anyio.fail_after(20):
            judge = await run_plan(plan, line_peer, policy=Policy())
        assert judge.breaches == []
        assert Reason.CANCELLED in judge.seen

    @needs_proc
    async def test_a_transport_that_forgets_its_socket_is_caught(self) -> None:
        """By the operating system, though it says that it is closed."""
        judge = await run_plan(
            Plan(steps=(PlanStep(Act.PAIR, 30.0),)), forgetful_peer, policy=Policy()
        )
        while ForgetfulTransport.streams:
            await anyio.aclose_forcefully(ForgetfulTransport.streams.pop())
        promises = {breach.promise for breach in judge.breaches}
        assert promises >= {1, 5, 8}

    @pytest.mark.parametrize("fault", [Fault.HUNG_HALFWAY, Fault.BROKEN, Fault.UNREACHABLE])
    async def test_openings_fail_over_a_real_wire(self, fault: Fault) -> None:
        """The first one does, as the plan says; no promise is broken."""
        plan = Plan(steps=(PlanStep(Act.PAIR, 60.0),), openings=(fault,))
        policy = Policy(open_timeout=0.1, max_reconnects=0)
        judge = await run_plan(plan, greeted_line_peer, policy=policy)
        assert judge.breaches == []
        assert (State.DISPLAYED, Event.FAIL) in judge.seen

    async def test_a_silent_peer_is_noticed(self) -> None:
        """A connection on which nothing is said any more is lost after the heartbeat."""
        plan = Plan(steps=(PlanStep(Act.PAIR, 80.0),), openings=(Fault.HUNG,))
        judge = await run_plan(plan, line_peer, policy=Policy(max_reconnects=0))
        assert judge.breaches == []
        assert (State.DISPLAYED, Event.FAIL) in judge.seen


class Mine(LifecyclePromises):
    """As a guest would write it; it is not collected."""

    max_examples: ClassVar[int | None] = 3
    examples: ClassVar[Sequence[Plan]] = (ROUND,)

    @pytest.fixture
    def peer(self) -> PeerFactory | None:
        return None


@pytest.mark.anyio
async def test_a_failing_class_prints_a_plan_to_paste() -> None:
    """Each breach once, then how to see it again."""
    body = Mine.test_promises_1_2_3_4_5_8_9_hold_under_every_plan.hypothesis.inner_test  # type: ignore[attr-defined]
    fixtures = {"peer": None, "policy": None, "request_qr": None}
    await body(Mine(), plan=CUT_SHORT, **fixtures)
    with (
        patch.object(module_of_the_connection, "anyio", Unshielded()),
        pytest.raises(pytest.fail.Exception) as raised,
    ):
        await body(Mine(), plan=CUT_SHORT, **fixtures)
    assert not raised.value.pytrace
    assert str(raised.value).splitlines() == [
        "promise 2: a graceful close was cut short",
        f"To see it again: await run_plan({CUT_SHORT!r})",
    ]


@pytest.mark.anyio
async def test_what_a_plan_has_go_wrong_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """The warnings and errors are a plan's own; what the transport does wrong is still said."""
    body = Mine.test_promises_1_2_3_4_5_8_9_hold_under_every_plan.hypothesis.inner_test  # type: ignore[attr-defined]
    fixtures = {"peer": None, "policy": None, "request_qr": None}
    plan = Plan(
        steps=(PlanStep(Act.PAIR, 31.0), PlanStep(Act.PAIR, 31.0), PlanStep(Act.BREAK, 60.0)),
        answers=(Answer.BUSY, Answer.FAILING),
        statuses=(Reading.FAILING, Reading.NONSENSE),
        leases=(Keeping.HELD, Keeping.FAILING),
    )
    await run_plan(plan)
    assert caplog.records
    caplog.clear()
    await body(Mine(), plan=plan, **fixtures)
    assert not caplog.records
    with patch.object(ScriptedTransport, "abort", lambda transport: transport.nothing()):
        await body(Mine(), plan=replace(plan, answers=(), leases=None), **fixtures)
    assert "the transport broke its contract: abort() raised AttributeError" in caplog.text


def test_a_class_tries_its_own_examples_first_and_as_many_as_it_says() -> None:
    """Each class has a test of its own; one class's numbers are not another's."""
    test: Any = Mine.test_promises_1_2_3_4_5_8_9_hold_under_every_plan
    tried: list[Plan] = []

    def note(plan: Plan, **_fixtures: object) -> None:
        tried.append(plan)

    with patch.object(test.hypothesis, "inner_test", note):
        test(Mine(), peer=None, policy=None, request_qr=None)
    assert tried[0] == ROUND
    assert len(tried) == 1 + 3


@pytest.mark.parametrize("base", [LifecyclePromises, TransportContract])
def test_a_class_without_a_peer_says_what_to_do(base: type[Any]) -> None:
    """Whoever forgot the fixture is told which."""
    fixture = inspect.unwrap(base.peer._get_wrapped_function())
    with pytest.raises(NotImplementedError, match="override the fixture 'peer'"):
        fixture(base())


def test_plans_need_neither_pytest_nor_hypothesis() -> None:
    """They can be made and performed where neither is installed."""
    code = "import sys, qrlifecycle.testing; print({'pytest', 'hypothesis'} & set(sys.modules))"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed == "set()\n"
