"""The machine sleeps: what ran out meanwhile has run out, though no timer counted."""

from __future__ import annotations

import logging
import sys
import time
from itertools import pairwise
from types import SimpleNamespace

import anyio
import pytest

from qrlifecycle import (
    WHATSAPP,
    Connected,
    Paired,
    Policy,
    QRCode,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    State,
    sleeping,
)
from qrlifecycle.sleeping import JUMP, SHORTEST, SleepWatch
from qrlifecycle.testing import settle

from ..pairing import ONCE, Pairing

pytestmark = pytest.mark.anyio


class Machine:
    """The two clocks that no event loop has."""

    def __init__(self) -> None:
        self.asleep = 1000.0
        self.ahead = 1.7e9

    def sleep(self, seconds: float) -> None:
        """Sleep; afterwards the wall clock is right, as it is nearly always."""
        self.asleep += seconds


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that sleeps when it is told."""
    made = Machine()
    clocks = SimpleNamespace(
        monotonic=lambda: 0.0,
        clock_gettime=lambda _clock: made.asleep,
        time=lambda: made.asleep + made.ahead,
    )
    monkeypatch.setattr(sleeping, "time", clocks)
    monkeypatch.setattr(sleeping, "GOES_ON", 7)
    return made


class Status:
    """A service's status, and how often it was asked."""

    def __init__(self) -> None:
        self.says: Signal | None = None
        self.asked = 0

    async def __call__(self) -> Signal | None:
        """Answer."""
        self.asked += 1
        return self.says


async def codes() -> QRCode:
    """A service that makes a code that lives 60 s."""
    return QRCode("a code", expires_in=60)


POLICY = Policy(expiry_grace=1, max_refreshes=1)


async def test_a_code_that_died_in_the_sleep_is_renewed_within_the_interval(
    machine: Machine,
) -> None:
    """The status is read first, for the code may have been scanned before the lid was closed."""
    status = Status()
    async with Pairing(codes, check_status=status, policy=POLICY) as pairing:
        await anyio.sleep(5)
        machine.sleep(300)
        await anyio.sleep(6)
        assert len(pairing.peer.transports) == 2  # another code, and so another transport
        assert status.asked == 3  # on opening, before the code was given up, on opening
        assert pairing.lifecycle.state is State.DISPLAYED
        await anyio.sleep(55)  # the new code's own time is whole
        assert pairing.lifecycle.qr is not None
        pairing.lifecycle.cancel()


async def test_a_success_in_the_sleep_is_found(machine: Machine) -> None:
    """Nobody heard of it."""
    status = Status()
    async with Pairing(codes, check_status=status, policy=POLICY) as pairing:
        await anyio.sleep(5)
        machine.sleep(300)
        status.says = Paired("me")
        await anyio.sleep(6)
    assert pairing.outcome == Connected("me")


async def test_after_a_nap_the_status_is_read_and_the_code_lives_on_for_its_rest(
    machine: Machine,
) -> None:
    """Its deadline is what it was by a clock that goes on."""
    status = Status()
    async with Pairing(codes, check_status=status, policy=POLICY) as pairing:
        await anyio.sleep(5)
        machine.sleep(20)
        await anyio.sleep(6)
        assert (status.asked, len(pairing.peer.transports)) == (2, 1)
        await anyio.sleep(29)
        assert len(pairing.peer.transports) == 1
        await anyio.sleep(1.1)  # 5 + 20 + 6 + 29 + 1.1 > 60 + 1
        assert len(pairing.peer.transports) == 2
        pairing.lifecycle.cancel()


@pytest.mark.parametrize("signal", [QRUpdated(QRCode("newer", expires_in=60)), Scanned()])
async def test_without_a_status_the_sleep_is_noticed_by_whatever_is_heard(
    machine: Machine, signal: Signal
) -> None:
    """A newer code's time begins when it is received, and so does that of an approval."""
    async with Pairing(codes, policy=Policy(approval_timeout=60, max_refreshes=1)) as pairing:
        await anyio.sleep(5)
        machine.sleep(300)
        pairing.peer.send(signal)
        await anyio.sleep(59)
        assert (pairing.lifecycle.state, len(pairing.peer.transports)) == (State.DISPLAYED, 1)
        pairing.lifecycle.cancel()


async def test_without_a_status_the_sleep_is_noticed_when_the_connection_did_not_survive_it(
    machine: Machine,
) -> None:
    """As few do: the heartbeat finds that out, and reconnecting looks at the clocks."""
    async with Pairing(codes, policy=POLICY) as pairing:
        await anyio.sleep(5)
        machine.sleep(300)
        pairing.peer.break_connection()
        await anyio.sleep(3)
        # The one that broke, the one in its place, and that of another code.
        assert len(pairing.peer.transports) == 3
        assert pairing.lifecycle.state is State.DISPLAYED
        await anyio.sleep(55)
        assert len(pairing.peer.transports) == 3
        pairing.lifecycle.cancel()


@pytest.mark.parametrize("slept", [20, 3600])
async def test_without_a_status_the_attempts_time_is_noticed_by_whatever_is_heard(
    machine: Machine, slept: float, caplog: pytest.LogCaptureFixture
) -> None:
    """The code is on its way; a nap is only said, and what was longer than the attempt ends it."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    policy = Policy(attempt_timeout=1000, approval_timeout=900)
    async with Pairing(codes, policy=policy) as pairing:
        began = anyio.current_time()
        await anyio.sleep(5)
        machine.sleep(slept)
        pairing.peer.send(Scanned())
        await settle()
        told = f"the machine slept for {slept} s, or its clock was put forward"
        assert caplog.messages.count(told) == 1
        assert pairing.lifecycle.snapshot().running is (slept < 1000)
        pairing.lifecycle.cancel()
    assert anyio.current_time() == began + 5


async def test_a_codes_time_begins_after_the_sleep_in_which_it_was_asked_for(
    machine: Machine,
) -> None:
    """The answer was there as soon as the machine woke, and the code is fresh."""

    async def slow() -> QRCode:
        machine.sleep(300)
        return QRCode("fresh", expires_in=60)

    async with Pairing(slow, policy=Policy(max_refreshes=0, expiry_grace=0)) as pairing:
        await anyio.sleep(1)
        pairing.peer.send(Scanned())  # whatever is heard asks whether the machine slept
        await anyio.sleep(50)
        assert pairing.lifecycle.state is State.DISPLAYED
        pairing.lifecycle.cancel()


async def test_a_sleep_in_the_final_check_asks_for_no_second_one(machine: Machine) -> None:
    """The transport is lost for good; what was read as the machine woke is the last word."""
    asked = 0

    async def check_status() -> Signal | None:
        nonlocal asked
        asked += 1
        if asked == 2:
            machine.sleep(20)
        return None

    async with Pairing(codes, check_status=check_status, policy=ONCE) as pairing:
        pairing.peer.break_connection()
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    assert asked == 2


async def test_the_attempts_own_time_goes_on_in_the_sleep(machine: Machine) -> None:
    """Also while a code is asked for."""

    async def slow() -> QRCode:
        machine.sleep(3600)
        return QRCode("too late")

    async with Pairing(slow) as pairing:
        pass
    assert pairing.failed().reason is Reason.ATTEMPT_TIMED_OUT


@pytest.mark.parametrize("refreshes", [0, 1])
async def test_a_wall_clock_that_is_put_right_ends_nothing(
    machine: Machine, refreshes: int
) -> None:
    """The status is read, and another code is asked for if the budget has one."""
    status = Status()
    policy = Policy(expiry_grace=1, max_refreshes=refreshes)
    async with Pairing(codes, check_status=status, policy=policy) as pairing:
        await anyio.sleep(5)
        machine.ahead += 1e9
        await anyio.sleep(6)
        assert pairing.lifecycle.state is State.DISPLAYED
        assert len(pairing.peer.transports) == 1 + refreshes
        assert status.asked == 2 + refreshes
        machine.ahead -= 1e9  # and back again
        await anyio.sleep(10)
        assert len(pairing.peer.transports) == 1 + refreshes
        pairing.lifecycle.cancel()


@pytest.mark.parametrize("_order", range(8))
async def test_a_code_that_ran_out_meanwhile_costs_one_read(machine: Machine, _order: int) -> None:
    """Whichever task runs first, which on trio is left to chance: that of the final check."""
    status = Status()
    async with Pairing(codes, check_status=status, policy=POLICY) as pairing:
        await anyio.sleep(5)
        machine.ahead += 1e9
        await anyio.sleep(6)
        assert len(pairing.peer.transports) == 2
        assert status.asked == 3  # on opening, before the code was given up, on opening
        pairing.lifecycle.cancel()


async def test_whoever_approves_on_the_phone_is_not_disturbed_by_a_jump(machine: Machine) -> None:
    """The code is on its way already."""
    status = Status()
    async with Pairing(codes, check_status=status, policy=POLICY) as pairing:
        pairing.peer.send(Scanned())
        await anyio.sleep(5)
        machine.ahead += 1e9
        await anyio.sleep(20)
        assert len(pairing.peer.transports) == 1
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


async def test_a_machine_that_is_awake_is_not_asked_for_more(machine: Machine) -> None:
    """Looking reads no status and moves no deadline; what is short is nobody's business."""
    status = Status()
    async with Pairing(codes, check_status=status, policy=POLICY) as pairing:
        for _ in range(5):
            await anyio.sleep(10)
            machine.asleep += SHORTEST / 10
            machine.ahead += JUMP / 10
        assert (status.asked, len(pairing.peer.transports)) == (1, 1)
        pairing.lifecycle.cancel()


async def test_no_two_looks_are_alike_far_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each comes in time; those of many codes that a pause made one crowd do not stay one."""
    looks: list[float] = []

    def look(_watch: SleepWatch) -> tuple[float, bool]:
        looks.append(anyio.current_time())
        return 0.0, False

    async with Pairing(codes, check_status=Status(), policy=POLICY) as pairing:
        await anyio.sleep(1)
        monkeypatch.setattr(SleepWatch, "look", look)
        await anyio.sleep(55)
        pairing.lifecycle.cancel()
    waits = [after - before for before, after in pairwise(looks)]
    assert len(waits) >= 4
    assert all(9 <= wait <= 10.01 for wait in waits)
    assert len({round(wait, 6) for wait in waits}) == len(waits)


def test_naps_add_up(machine: Machine) -> None:
    """What is too short to be told is not forgotten, and nothing is told twice."""
    watch = SleepWatch()
    machine.sleep(1.5)
    assert watch.look() == (0.0, False)
    machine.sleep(1.5)
    assert watch.look() == (3.0, False)
    assert watch.look() == (0.0, False)
    machine.ahead += JUMP
    assert watch.look() == (0.0, True)
    assert watch.look() == (0.0, False)


def test_the_real_clocks_are_there() -> None:
    """This machine does not sleep in between, and its wall clock says about what it is."""
    watch = SleepWatch()
    assert watch.look() == (0.0, False)
    assert watch.asleep > -0.01
    assert abs(watch.ahead + time.monotonic() + watch.asleep - time.time()) < 1


def test_the_clock_that_goes_on_is_asked_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Linux there is; where there is none, nobody can tell, and no sleep is made up."""
    if sys.platform == "linux":
        assert time.CLOCK_BOOTTIME == sleeping.GOES_ON
    monkeypatch.setattr(sleeping, "GOES_ON", None)
    assert SleepWatch().asleep == 0.0
    monkeypatch.setattr(sleeping, "GOES_ON", time.CLOCK_REALTIME)  # as after decades asleep
    assert SleepWatch().asleep > 1e8


def test_no_ready_made_policy_is_blind() -> None:
    """Each looks, in time for its own codes."""
    for policy in (Policy(), WHATSAPP):
        assert policy.sleep_check_interval < policy.rotated_lifetime
