"""Clocks that wait for real sockets: time jumps, but not ahead of what is under way."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import anyio
import pytest

from qrlifecycle.testing import PairingServer, VirtualClockEventLoop

from .patience import HANGS, patient_clock

T = TypeVar("T")


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


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_on_a_patient_clock_even_who_is_never_at_rest_comes_to_a_deadline(backend: str) -> None:
    """Each step takes a moment."""

    async def spin() -> bool:
        with anyio.move_on_after(0.01) as scope:
            while True:
                await anyio.lowlevel.checkpoint()
        return scope.cancelled_caught

    name, options = patient_clock(backend)
    assert anyio.run(spin, backend=name, backend_options=options)
