"""A lifecycle over a scripted peer, in a task beside the test: where most tests begin."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from types import coroutine
from typing import Any, Self

import anyio
import pytest
import trio
from trio.testing import MockClock

from qrlifecycle import Failed, Outcome, Paired, Policy, QRCode, QRLifecycle
from qrlifecycle.testing import Fault, ScriptedPeer, VirtualClockEventLoop, settle

__all__ = ["ONCE", "Pairing", "asyncio_only", "be_busy", "hang", "request_qr",
           "suspended"]  # fmt: skip

asyncio_only = pytest.mark.parametrize(
    "anyio_backend",
    [pytest.param(("asyncio", {"loop_factory": VirtualClockEventLoop}), id="asyncio")],
)
"""For what only asyncio can do: to cancel a task, rather than a scope."""


async def request_qr() -> QRCode | Paired:
    """A service that makes a code at once."""
    return QRCode("first", expires_in=60)


async def hang() -> QRCode | Paired:
    """A service that never answers."""
    await anyio.sleep_forever()
    raise AssertionError


@coroutine
def suspended() -> Generator[None, None, None]:
    """What waits, and is woken by nobody, on no event loop in particular."""
    yield


def be_busy(seconds: float) -> None:
    """Block the event loop, in virtual time."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, MockClock)
        clock.jump(seconds)
    else:
        assert isinstance(loop, VirtualClockEventLoop)
        loop.jump(seconds)


ONCE = Policy(max_reconnects=0)
"""For what happens when there is no second opening."""


class Pairing:
    """A lifecycle over a scripted peer, its `pair()` running in a task beside the test."""

    def __init__(
        self,
        request: Callable[[], Awaitable[Any]] = request_qr,
        openings: tuple[Fault, ...] = (),
        closings: tuple[Fault, ...] = (),
        **options: Any,
    ) -> None:
        self.peer = ScriptedPeer(openings, closings)
        self.lifecycle = QRLifecycle(request, self.peer, **options)
        self.outcome: Outcome | None = None
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._pair)
        await settle()
        return self

    async def __aexit__(self, *error: Any) -> None:  # noqa: PYI036 - passed on
        if error[0] is not None:
            self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(*error)

    async def _pair(self) -> None:
        self.outcome = await self.lifecycle.pair()

    def failed(self) -> Failed:
        """The outcome, which must be a failure."""
        assert isinstance(self.outcome, Failed)
        return self.outcome
