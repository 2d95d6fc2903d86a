"""The virtual clock: time jumps when everybody waits, and stands still otherwise."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from functools import partial

import anyio
import pytest

from qrlifecycle.testing import VirtualClockEventLoop, settle
from qrlifecycle.testing.clock import Deadlock


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


def test_settling_needs_a_virtual_clock() -> None:
    """On asyncio's own loop `settle()` says what it needs."""
    with pytest.raises(AssertionError, match="VirtualClockEventLoop"):
        asyncio.run(settle())
