"""The virtual clock: time jumps when everybody waits, and stands still otherwise."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrlifecycle import UsageError
from qrlifecycle.testing import Plan, VirtualClockEventLoop, run_plan, settle
from qrlifecycle.testing.clock import Deadlock
from qrlifecycle.testing.timers import FEW, MOST_TIES, Timer, Timers

from .patience import HANGS


@pytest.mark.anyio
async def test_an_hour_passes_at_once() -> None:
    """On either backend an hour of virtual sleep is an hour, and hardly any of it is real."""
    began, really_began = anyio.current_time(), time.monotonic()
    await anyio.sleep(3600)
    assert anyio.current_time() - began == pytest.approx(3600)
    assert time.monotonic() - really_began < 3600 / 10


@pytest.mark.anyio
async def test_settling_lets_others_run_and_no_time_pass() -> None:
    """`settle()` returns when all others wait; the clock has not moved."""
    steps: list[int] = []

    async def other() -> None:
        for step in range(5):
            steps.append(step)
            await anyio.lowlevel.checkpoint()
        await anyio.sleep(1)

    async with anyio.create_task_group() as tasks:
        began = anyio.current_time()
        tasks.start_soon(other)
        await settle()
        assert steps == [0, 1, 2, 3, 4]
        assert anyio.current_time() == began


def test_a_deadlock_is_told() -> None:
    """When everybody waits and no timer is set, the loop says so instead of hanging."""
    with (
        pytest.raises(Deadlock),
        asyncio.Runner(loop_factory=VirtualClockEventLoop) as runner,
    ):
        runner.run(_wait_forever())


def test_a_thread_that_is_waited_for_is_named() -> None:
    """The commonest cause, for FastAPI has them; with real time given it is none."""
    done = threading.Event()

    async def wait_for_a_thread() -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, done.wait, HANGS)

    patient = partial(VirtualClockEventLoop, autojump_threshold=0.001)
    with ThreadPoolExecutor(1) as threads:
        with (
            pytest.raises(Deadlock, match="a thread is not waited for"),
            asyncio.Runner(loop_factory=VirtualClockEventLoop) as runner,
        ):
            runner.run(wait_for_a_thread())
        done.set()
        with asyncio.Runner(loop_factory=patient) as runner:
            assert runner.run(wait_for_a_thread())


async def _wait_forever() -> None:
    await asyncio.get_running_loop().create_future()


def test_what_a_busy_system_passes_on_late_is_no_deadlock() -> None:
    """Where sockets are given a moment, one that needs longer is waited for."""

    async def receive() -> bytes:
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            late = threading.Timer(0.1, far.send, [b"late"])
            late.start()
            try:
                return await asyncio.get_running_loop().sock_recv(near, 4)
            finally:
                await asyncio.to_thread(late.join)

    impatient = partial(VirtualClockEventLoop, autojump_threshold=0.001)
    with asyncio.Runner(loop_factory=impatient) as runner:
        assert runner.run(receive()) == b"late"


def test_a_thread_that_still_runs_in_the_end_is_waited_for() -> None:
    """Minutes of virtual time pass at once, and asyncio would leave it behind, with a warning."""
    ended = threading.Event()

    async def leave_one_behind() -> None:
        loop = asyncio.get_running_loop()
        begun = asyncio.Event()

        def work() -> None:
            loop.call_soon_threadsafe(begun.set)
            time.sleep(0.05)
            ended.set()

        loop.run_in_executor(None, work)
        await begun.wait()

    patient = partial(VirtualClockEventLoop, autojump_threshold=0.05)
    with asyncio.Runner(loop_factory=patient) as runner:
        runner.run(leave_one_behind())
    assert ended.is_set()


def test_settling_needs_a_virtual_clock() -> None:
    """On asyncio's own loop `settle()` says what it needs; so does a plan without a peer."""
    with pytest.raises(UsageError, match=r"must be virtual: on asyncio .*VirtualClockEventLoop"):
        asyncio.run(settle())
    with pytest.raises(UsageError, match=r"on trio with \{\"clock\": MockClock"):
        asyncio.run(run_plan(Plan()))


def run_on_a_virtual_clock(main: Callable[[], Any]) -> Any:
    """What a coroutine function gives back."""
    with asyncio.Runner(loop_factory=VirtualClockEventLoop) as runner:
        return runner.run(main())


def test_timers_for_the_same_time_run_out_in_the_order_they_were_set_in() -> None:
    """Also where some between them, or after them, were cancelled before the next was set."""

    async def ties() -> list[int]:
        loop, ran = asyncio.get_running_loop(), list[int]()
        for number in range(MOST_TIES):
            loop.call_at(5, ran.append, number)
            loop.call_at(5, ran.append, -1).cancel()
            for _ in range(3 * FEW):  # of another time: all that are cancelled are looked for
                loop.call_at(3, ran.append, -1).cancel()
        await asyncio.sleep(6)
        return ran

    assert run_on_a_virtual_clock(ties) == list(range(MOST_TIES))


def test_what_is_due_already_runs_at_once() -> None:
    """A timer for now, or for a time that has passed, moves the clock nowhere."""

    async def due() -> tuple[list[int], float]:
        loop, ran = asyncio.get_running_loop(), list[int]()
        await asyncio.sleep(2)
        for when in (2, 1):
            loop.call_at(when, ran.append, when)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return ran, loop.time()

    assert run_on_a_virtual_clock(due) == ([1, 2], 2)


class Handle:
    """An event loop's, that counts how often it is looked at."""

    def __init__(self, when: float) -> None:
        self._when, self._cancelled, self.looks = when, False, 0

    def when(self) -> float:
        self.looks += 1
        return self._when

    def cancelled(self) -> bool:
        self.looks += 1
        return self._cancelled

    def cancel(self) -> None:
        self._cancelled = True


def timer(when: float, after: float) -> tuple[Timer, Handle]:
    """One that is set."""
    handle = Handle(after)
    return Timer(when, "", cast("asyncio.TimerHandle", handle)), handle


@pytest.mark.parametrize("times", [1, 7, 2000])
def test_what_a_timer_costs_does_not_grow_with_how_many_are_set(times: int) -> None:
    """Set, nearly all cancelled, and run out: each is looked at some few times, of thousands."""
    timers, handles = Timers(), list[Handle]()
    for number in range(2000):
        when = 1.0 + number % times
        one, handle = timer(when, timers.after_ties(when))
        timers.add(one, 0)
        handles.append(handle)
        if number % 10:
            handle.cancel()
    now: float | None = 0.0
    while now is not None:
        now = timers.soonest(now)
    assert sum(handle.looks for handle in handles) < 10 * len(handles)


Acts = st.lists(st.tuples(st.sampled_from(["set", "cancel", "next", "all"]), st.integers(0, 9)))


@given(Acts)
def test_the_next_timer_is_the_earliest_that_was_not_cancelled(acts: list[tuple[str, int]]) -> None:
    """And all of them are those that have yet to run out, in their order; whatever was done."""
    timers, kept, now = Timers(), list[tuple[Timer, Handle]](), 0.0
    for act, which in acts:
        kept = [(one, handle) for one, handle in kept if one.when > now and not handle._cancelled]
        if act == "set":
            when = now + which % 3 + 1
            ties = [handle._when for one, handle in kept if one.when == when]
            after = timers.after_ties(when)
            assert after > max(ties) if ties else after == when
            kept.append(timer(when, after))
            timers.add(kept[-1][0], now)
        elif act == "cancel" and kept:
            kept[which % len(kept)][1].cancel()
        elif act == "next":
            soonest = timers.soonest(now)
            assert soonest == min((one.when for one, _ in kept), default=None)
            now = now if soonest is None else soonest
        elif act == "all":
            in_order = sorted(kept, key=lambda one: one[1]._when)
            assert timers.in_order(now) == [one for one, _ in in_order]
