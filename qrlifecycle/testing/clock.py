"""A virtual clock for asyncio, beside trio's own `trio.testing.MockClock`.

Time stands still while anything can run and jumps to the next timer when everybody waits, so that a
test of minutes takes milliseconds and always goes the same way. It is asyncio's own loop with
another clock, and uses nothing private of it. This room must never know the lifecycle.
"""

from __future__ import annotations

import asyncio
import selectors

import anyio

__all__ = ["Deadlock", "VirtualClockEventLoop", "settle"]


class Deadlock(RuntimeError):
    """Everybody waits, and no timer is left that could wake anybody."""


class _JumpingSelector(selectors.DefaultSelector):
    """Where a loop waits; this one does not wait but moves the loop's clock."""

    loop: VirtualClockEventLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and (timeout is None or timeout > 0) and not self.loop.wake_settled():
            if timeout is None:
                raise Deadlock("everybody waits and no timer is set")
            self.loop.jump(timeout)
        return ready


class VirtualClockEventLoop(asyncio.SelectorEventLoop):
    """asyncio's selector loop on a virtual clock. Sockets work, but time does not wait for them.

    Use it as ``anyio.run(main, backend_options={"loop_factory": VirtualClockEventLoop})``.

    Raises:
        Deadlock: from the loop, when everybody waits and no timer is set.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._settled: list[asyncio.Future[None]] = []
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let virtual time pass at once."""
        self._now += seconds

    async def settled(self) -> None:
        """Wait until everybody else waits; no time passes meanwhile."""
        future = self.create_future()
        self._settled.append(future)
        await future

    def wake_settled(self) -> bool:
        """Wake whoever waits for `settled()`; say whether there was anybody."""
        waiting, self._settled = self._settled, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        return bool(waiting)


async def settle() -> None:
    """Wait until all other tasks wait, on trio or on a `VirtualClockEventLoop`; no time passes."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        await anyio.wait_all_tasks_blocked()
    else:
        assert isinstance(loop, VirtualClockEventLoop), "run asyncio on a VirtualClockEventLoop"
        await loop.settled()
