"""The virtual clock: time jumps when everybody waits, and stands still otherwise."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import anyio
import pytest

from qrlifecycle.testing import Deadlock, PairingServer, VirtualClockEventLoop, settle

from .patience import HANGS

T = TypeVar("T")


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


async def bytes_within_an_hour() -> bytes | None:
    """What a thread sends, if it comes before a virtual hour is over."""
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        sender = threading.Thread(target=there.send, args=(b"x",))
        with anyio.move_on_after(3600):
            sender.start()
            return await asyncio.get_running_loop().sock_recv(here, 1)
    return None


def run_with_threshold(seconds: float, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on a loop that waits for so many real seconds before its time jumps."""
    loop_factory = partial(VirtualClockEventLoop, autojump_threshold=seconds)
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main())


def test_time_waits_for_sockets_as_long_as_it_is_told() -> None:
    """Within the threshold what comes over a socket comes first; after it time jumps all the same.

    The first one's thread has as long as a hanging test.
    """
    assert run_with_threshold(HANGS, bytes_within_an_hour) == b"x"

    async def hour() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run_with_threshold(0.001, hour) == pytest.approx(3600)


def test_the_pairing_server_lives_by_its_event_loops_clock() -> None:
    """A code of a minute can be scanned for a virtual minute, and no longer."""

    async def scans() -> list[bool]:
        async with PairingServer(qr_lifetime=60) as server:
            found = []
            for seconds in (59, 61):
                server.make_code("bot-7", f"user-{seconds}")
                await asyncio.sleep(seconds)
                found.append(await server.scan("bot-7", f"user-{seconds}"))
            return found

    assert run_with_threshold(0.03, scans) == [True, False]


def test_a_deadlock_is_told() -> None:
    """When everybody waits and no timer is set, the loop says so instead of hanging."""
    with (
        pytest.raises(Deadlock),
        asyncio.Runner(loop_factory=VirtualClockEventLoop) as runner,
    ):
        runner.run(_wait_forever())


async def _wait_forever() -> None:
    await asyncio.get_running_loop().create_future()


def test_settling_needs_a_virtual_clock() -> None:
    """On asyncio's own loop `settle()` says what it needs."""
    with pytest.raises(AssertionError, match="VirtualClockEventLoop"):
        asyncio.run(settle())
