"""Who listens again reads its status: many of them go on by and by, and miss nothing meanwhile."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import anyio
import pytest

from qrlifecycle import InvalidValue, Paired, Policy, QRLifecycle, Scanned
from qrlifecycle.signals import Addressed, Signal, StatusChanged
from qrlifecycle.testing import Fault, ScriptedPeer, settle
from qrlifecycle.transports.shared import SharedSocket
from qrlifecycle.transports.shared.member import Member

from ..pairing import request_qr

pytestmark = pytest.mark.anyio


async def come_back(shared: SharedSocket, peer: ScriptedPeer) -> None:
    """Have the socket break, so that whoever comes then may be one of a crowd that comes back."""
    async with shared.member("before"):
        peer.break_connection()
        await settle()


class Listeners:
    """Members that open at once, and when each was let go on, in seconds since the first was."""

    def __init__(self, shared: SharedSocket, number: int) -> None:
        self.members = [Member(shared, (str(one),)) for one in range(number)]
        self.times: list[float] = []
        self.heard: list[tuple[float, Signal]] = []
        self._began = math.nan

    def _since(self) -> float:
        if not self.times:
            self._began = anyio.current_time()
        return anyio.current_time() - self._began

    async def listen(self, member: Member) -> None:
        """Open, and hear."""
        await member.open()
        self.times.append(self._since())
        try:
            async for signal in member:
                self.heard.append((self._since(), signal))
        finally:
            member.abort()

    async def all(self) -> None:
        """Each of them."""
        async with anyio.create_task_group() as tasks:
            for member in self.members:
                tasks.start_soon(self.listen, member)


def most_in(times: list[float], seconds: float) -> int:
    """How many of these moments there were at the most within so long."""
    return max(sum(begin <= time < begin + seconds for time in times) for begin in times)


@pytest.mark.parametrize("reads_a_second", [100.0, 5.0])
async def test_many_go_on_so_many_a_second(reads_a_second: float) -> None:
    """A quarter of a second's worth at once, the others evenly, all in half an opening's time."""
    peer, policy = ScriptedPeer(), Policy(open_timeout=20)
    async with (
        SharedSocket(peer, policy, reads_a_second=reads_a_second) as shared,
        anyio.create_task_group() as tasks,
    ):
        await come_back(shared, peer)
        crowd = Listeners(shared, 300)
        tasks.start_soon(crowd.all)
        await anyio.sleep(11)
        assert len(crowd.times) == 300
        rate = max(reads_a_second, 300 / 10)
        assert most_in(crowd.times, 1) <= rate * 1.3 + 5
        assert crowd.times[-1] >= 300 / rate * 0.7
        tasks.cancel_scope.cancel()


async def test_few_need_not_wait() -> None:
    """Fifty listen again in the instant in which the socket does."""
    peer = ScriptedPeer()
    async with SharedSocket(peer) as shared, anyio.create_task_group() as tasks:
        await come_back(shared, peer)
        crowd = Listeners(shared, 50)
        tasks.start_soon(crowd.all)
        await anyio.sleep(1)
        assert crowd.times == [0.0] * 50
        tasks.cancel_scope.cancel()


async def test_who_is_told_something_need_not_wait() -> None:
    """A success is heard at once, whoever else waits to go on; before the opening and after it."""
    peer = ScriptedPeer()
    async with (
        SharedSocket(peer, reads_a_second=1.0) as shared,
        anyio.create_task_group() as tasks,
    ):
        await come_back(shared, peer)
        peer.watch = lambda: peer.send(Addressed(("298",), Paired("early")))
        crowd = Listeners(shared, 300)
        tasks.start_soon(crowd.all)
        await anyio.sleep(0.6)
        peer.watch = lambda: None
        peer.send(Addressed(("299",), Paired("me")))
        await settle()
        assert [signal for _, signal in crowd.heard] == [Paired("early"), Paired("me")]
        assert crowd.heard[0][0] == 0
        assert len(crowd.times) < 60
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("reads_a_second", [math.inf, 200.0, 1.0])
@pytest.mark.parametrize("broke", [True, False])
async def test_who_comes_for_the_first_time_waits_for_nobody(
    broke: bool, reads_a_second: float
) -> None:
    """Nor does who comes back, if it is said so."""
    peer = ScriptedPeer()
    async with (
        SharedSocket(peer, reads_a_second=reads_a_second) as shared,
        anyio.create_task_group() as tasks,
    ):
        if broke:
            await come_back(shared, peer)
            async with shared.member("again"):
                await anyio.sleep(0 if reads_a_second == math.inf else 6)
        crowd = Listeners(shared, 300)
        tasks.start_soon(crowd.all)
        await settle()
        assert crowd.times == [0.0] * 300
        tasks.cancel_scope.cancel()


async def test_who_comes_into_the_crowd_waits_with_it() -> None:
    """A socket that listens again is no reason to be asked all at once, a moment later."""
    peer = ScriptedPeer()
    async with (
        SharedSocket(peer, reads_a_second=100.0) as shared,
        anyio.create_task_group() as tasks,
    ):
        await come_back(shared, peer)
        async with shared.member("first"):
            crowd = Listeners(shared, 100)
            tasks.start_soon(crowd.all)
            await anyio.sleep(0.1)
            assert len(crowd.times) < 40
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("given", [0, -1, math.nan, "many", True])
async def test_a_rate_that_cannot_be_meant_is_refused(given: Any) -> None:
    """Where it is given."""
    with pytest.raises(InvalidValue, match="reads_a_second must be a number above 0"):
        SharedSocket(ScriptedPeer(), reads_a_second=given)


async def test_what_names_nobody_is_told_to_all_by_and_by() -> None:
    """Once each, however often it comes meanwhile; who has left hears nothing."""
    peer = ScriptedPeer()
    async with (
        SharedSocket(peer, reads_a_second=100.0) as shared,
        anyio.create_task_group() as tasks,
    ):
        crowd = Listeners(shared, 200)
        tasks.start_soon(crowd.all)
        await anyio.sleep(3)
        assert len(crowd.times) == 200
        crowd.members[-1].abort()
        began = anyio.current_time()
        for _ in range(3):
            peer.send(StatusChanged())
            await settle()
        assert len(crowd.heard) == 25
        await anyio.sleep(3)
        times = [time - began for time, _ in crowd.heard]
        assert {signal for _, signal in crowd.heard} == {StatusChanged()}
        assert 199 <= len(times) <= 199 + 25  # who was first is told again: it may have been early
        assert most_in(times, 1) <= 135
        tasks.cancel_scope.cancel()


async def test_who_waits_is_not_let_go_on_when_the_socket_breaks() -> None:
    """However long that takes to close: each ends with the break, and reads when it is back."""
    peer = ScriptedPeer(closings=[Fault.NONE, Fault.HUNG])
    async with SharedSocket(peer, Policy(close_timeout=60), reads_a_second=1.0) as shared:
        await come_back(shared, peer)
        await shared.member("first").open()
        waits = [shared.member(str(number)) for number in range(3)]
        async with anyio.create_task_group() as tasks:
            for member in waits:
                tasks.start_soon(opens_not, member)
            await settle()
            peer.break_connection()
            await anyio.sleep(10)
            peer.let_go.set()
        assert shared.members == 0


async def test_who_has_left_takes_nobody_s_turn() -> None:
    """A crowd that goes away again leaves nobody behind whom others wait."""
    policy, peer = Policy(open_timeout=1000, reconnect_delay_max=1000), ScriptedPeer()
    async with SharedSocket(peer, policy, reads_a_second=1.0) as shared:
        await come_back(shared, peer)
        await shared.member("stays").open()
        async with anyio.create_task_group() as tasks:
            crowd = Listeners(shared, 100)
            tasks.start_soon(crowd.all)
            await settle()
            tasks.cancel_scope.cancel()
        began = anyio.current_time()
        async with shared.member("another"):
            assert anyio.current_time() - began <= 1.1


async def opens_not(member: Any) -> None:
    """It ends with the socket that it waited for."""
    with pytest.raises(Exception, match="broke, as the test wished"):
        await member.open()


async def test_reads_of_the_status_after_a_break_are_spread() -> None:
    """A hundred lifecycles come back over one opening, and ask the service one after another."""
    peer, times = ScriptedPeer(), list[float]()

    async def check_status() -> Scanned | None:
        times.append(anyio.current_time())
        return None

    async with (
        SharedSocket(peer, reads_a_second=40.0) as shared,
        anyio.create_task_group() as tasks,
    ):
        for number in range(100):
            member = partial(shared.member, str(number))
            pairing = QRLifecycle(request_qr, member, check_status=check_status)
            tasks.start_soon(pairing.pair)
        await anyio.sleep(5)
        assert len(times) == 100
        times.clear()
        peer.break_connection()
        await anyio.sleep(6)
        assert len(times) == 100
        assert most_in(times, 0.2) <= 10 + 40 * 0.25
        assert len(peer.transports) == 2
        tasks.cancel_scope.cancel()
