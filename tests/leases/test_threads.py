"""Leases belong to one event loop: from another thread they are refused by name."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest

from qrlifecycle import Failed, Policy, Reason
from qrlifecycle.blocking import PairingThread, pair_blocking
from qrlifecycle.errors import LeaseTakenOver, WrongThread
from qrlifecycle.leases import Lease, Leases, LocalLeases

from ..far import BACKENDS, event_loop, far_away, until
from ..patience import HANGS
from .redis_server import RedisServer
from .test_redis_rules import machine

pytestmark = pytest.mark.anyio

KEY = ("bot-7", "user-123")

ADVICE = r"in each event loop.*let one event loop run all attempts"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Threads and Redis keep the time: no clock of ours is of use."""
    return request.param, {}


async def elsewhere(does: Callable[[], Awaitable[object]]) -> BaseException | None:
    """What is raised where this is awaited in an event loop of another thread."""
    backend = event_loop()

    def run() -> BaseException | None:
        async def main() -> object:
            return await does()

        try:
            anyio.run(main, backend=backend)
        except BaseException as error:
            return error
        return None

    return await anyio.to_thread.run_sync(run)


async def refused(leases: Leases, held: Lease) -> list[str]:
    """What each use of leases in another thread is refused with."""

    async def release() -> None:
        held.release()

    uses: list[Callable[[], Awaitable[object]]] = [
        partial(leases.lease(*KEY).acquire, lambda _: None, 0.5),
        partial(leases.lease("bot-7", "user-124", when_held="reject").acquire, print, 0.5),
        partial(leases.find_holder, *KEY),
        partial(leases.ask_to_leave, *KEY),
        release,
    ]
    errors = [await elsewhere(use) for use in uses]
    assert [type(error) for error in errors] == [WrongThread] * len(uses)
    return [str(error) for error in errors]


def nobody_is_told(error: Exception) -> None:
    """For a lease that nobody is to lose."""
    raise AssertionError(error)


async def test_promise_9_the_leases_of_a_process_are_refused_in_another_thread() -> None:
    """Each use, at once; the holder is not disturbed, and gives its lease back as ever."""
    leases = LocalLeases("here")
    held = leases.lease(*KEY)
    await held.acquire(nobody_is_told, 0.5)
    for text in await refused(leases, held):
        assert "first used" in text
    assert await leases.find_holder(*KEY) is not None
    held.release()
    assert await leases.find_holder(*KEY) is None


async def test_leases_of_a_process_that_nobody_uses_may_be_used_in_another_thread() -> None:
    """One event loop after another, as by one `pair_blocking` after another; then here again."""
    leases = LocalLeases()

    async def use() -> None:
        lease = leases.lease(*KEY)
        await lease.acquire(nobody_is_told, 0.5)
        assert await leases.ask_to_leave("bot-7", "nobody") is False
        lease.release()

    await use()
    assert await elsewhere(use) is None
    await use()


async def test_promise_9_leases_over_redis_are_refused_in_another_thread(
    server: RedisServer,
) -> None:
    """Each use, at once; the holder is not disturbed, and gives its lease back as ever."""
    async with machine(server) as one:
        held = await one.hold()
        for text in await refused(one.leases, held):
            assert "entered" in text
        assert await one.leases.find_holder(*KEY) is not None
        held.release()
        assert one.lost == []


def test_leases_are_refused_in_another_event_loop_of_their_thread() -> None:
    """Where the one that they were used in is left standing, and could tell nobody anything."""
    leases = LocalLeases()
    held: list[Lease] = []

    async def hold() -> None:
        held.append(leases.lease(*KEY))
        await held[-1].acquire(nobody_is_told, 0.5)

    anyio.run(hold)
    with pytest.raises(WrongThread, match=ADVICE):
        anyio.run(hold)
    held[0].release()  # a plain function, also where no event loop runs
    anyio.run(hold)


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_9_of_two_threads_that_share_leases_one_pairs(backend: str) -> None:
    """The other is told at once what to do, and opens no socket."""
    leases = LocalLeases()
    lease = partial(leases.lease, *KEY)
    with far_away() as far:
        first = far.lifecycle(lease=lease)
        with PairingThread(first, backend=backend) as pairing:
            until(lambda: first.qr)  # shown: it listens
            second = far.lifecycle(lease=lease)
            with pytest.raises(WrongThread, match=ADVICE):
                pair_blocking(second, backend=backend)
            assert first.socket_open
            far.scan()
            assert pairing.result(HANGS).connected
        assert far.server.most_sockets() == 1
        assert len(far.server.sockets) == 1


class TellsElsewhere(Lease):
    """A guest's, which is lost in a thread of its keeper's: against clause L3."""

    def __init__(self, raised: list[str]) -> None:
        self._raised = raised

    @property
    def token(self) -> int | None:
        return None

    async def acquire(self, lost: Any, close_within: float) -> None:
        def tell() -> None:
            try:
                lost(LeaseTakenOver())
            except WrongThread as error:
                self._raised.append(str(error))

        threading.Timer(0.1, tell).start()

    def release(self) -> None:
        pass


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loss_that_is_told_in_another_thread_is_refused_and_heeded_late(backend: str) -> None:
    """Nothing there can wake the attempt: it leaves at its next step, by that loss."""
    raised: list[str] = []
    with far_away() as far:
        lifecycle = far.lifecycle(
            lease=partial(TellsElsewhere, raised), policy=Policy(attempt_timeout=1)
        )
        outcome = pair_blocking(lifecycle, backend=backend)
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.SUPERSEDED
    assert "called in another thread than acquire()" in raised[0]
