"""A virtual clock for asyncio, beside trio's own `trio.testing.MockClock`.

Time stands still while anything can run and jumps to the next timer when everybody waits, so that a
test of minutes takes milliseconds and always goes the same way. It is asyncio's own loop with
another clock, and uses nothing private of it. `settle()`, `tick()` and `before_each_step()` take a
program apart into its smallest steps, on both.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context
from random import Random
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple, cast
from unittest.mock import patch

import anyio

from ..errors import UsageError
from .timers import Timer, Timers

if TYPE_CHECKING:
    import trio
    import trio.testing

__all__ = [
    "Deadlock",
    "VirtualClockEventLoop",
    "before_each_step",
    "jump",
    "require_virtual_clock",
    "run_virtually",
    "settle",
    "tick",
    "timers",
]


T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Deadlock(RuntimeError):
    """Everybody waits, and no timer is left that could wake anybody.

    Who waits for a thread counts as well: its work takes real time, for which this clock does not
    wait. FastAPI calls each plain `def` in one, a dependency too: make it `async def`.
    """


DEADLOCK = (
    "everybody waits and no timer is set; a thread is not waited for, as that of a plain def which "
    "FastAPI calls, or of to_thread: make it async def, or give autojump_threshold="
)


REAL_CLOCK = (
    "the event loop's clock must be virtual: on asyncio with "
    'backend_options={"loop_factory": VirtualClockEventLoop}, on trio with '
    '{"clock": MockClock(autojump_threshold=0)}; an anyio_backend fixture gives the same as '
    '("asyncio", {...})'
)
"""What is said where time would have to be waited for."""

LONG = 10.0
"""Real seconds in which a busy system passes on what was sent over a socket, however busy it is."""


class _JumpingSelector(selectors.DefaultSelector):
    """Where a loop waits; this one does not wait but moves the loop's clock."""

    loop: VirtualClockEventLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.loop.autojump_threshold:
            ready = super().select(self.loop.autojump_threshold)
        if not ready and not self.loop.wake_settled(timeout):
            if timeout is not None:
                self.loop.jump_to_next_timer(timeout)
            elif not (self.loop.autojump_threshold and (ready := super().select(LONG))):
                raise Deadlock(DEADLOCK)
        return ready


class VirtualClockEventLoop(asyncio.SelectorEventLoop):
    """asyncio's selector loop on a virtual clock. Sockets work, but time does not wait for them.

    Use it as ``anyio.run(main, backend_options={"loop_factory": VirtualClockEventLoop})``.

    Args:
        autojump_threshold: as of trio's ``MockClock``: real seconds for which nothing must have
            happened before time jumps. The system passes on what was sent over a socket a moment
            later; 0.05 is enough for sockets whose both ends belong to this very loop. A thread
            that takes longer is waited for only while no timer is set.

    Raises:
        Deadlock: from the loop, when everybody waits and no timer is set; where sockets are given a
            moment, after ten seconds in which nothing has come over any.
    """

    _default_executor: Executor | None  # asyncio's own

    def __init__(self, autojump_threshold: float = 0.0) -> None:
        self.autojump_threshold = autojump_threshold
        self._now = 0.0
        self._settled: list[asyncio.Future[None]] = []
        self._ticks = 0
        self._rousing = 0
        self._timers = Timers()
        self.before_each_step: Callable[[], object] | None = None
        """Called before each callback that the loop runs, but for those that `settled()` rouses."""
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let virtual time pass at once."""
        self._now += seconds

    def jump_to_next_timer(self, seconds: float) -> None:
        """Let time pass to the earliest timer, or so many seconds if none is known."""
        soonest = self._timers.soonest(self._now)
        self._now = self._now + seconds if soonest is None else soonest

    def timers(self) -> list[Timer]:
        """The timers that are set, in the order in which they will run out."""
        return self._timers.in_order(self._now)

    async def settled(self) -> None:
        """Wait until everybody else waits; no time passes meanwhile."""
        future = self.create_future()
        self._settled.append(future)
        await future

    async def tick(self) -> bool:
        """Let time pass to the next timer, and wait until everybody waits again.

        Returns:
            Whether there was a timer.
        """
        self._ticks = 1
        await self.settled()
        passed, self._ticks = not self._ticks, 0
        return passed

    def wake_settled(self, until_timer: float | None) -> bool:
        """Wake whoever waits for `settled()`, unless a tick is due; say if there was anybody."""
        if self._ticks and until_timer is not None:
            self._ticks -= 1
            return False
        waiting = [future for future in self._settled if not future.done()]
        self._settled = []
        self._rousing = len(waiting)
        for future in waiting:
            future.set_result(None)
        return bool(waiting)

    async def shutdown_default_executor(self, _timeout: float | None = None) -> None:
        """As asyncio's own, but for as long as it takes: no thread ends sooner by a jump of time.

        From Python 3.12 on asyncio gives them five minutes, which are over here before a thread has
        got its turn.
        """
        self._executor_shutdown_called = True
        if self._default_executor is not None:
            self._default_executor.shutdown()

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As asyncio's own, with the hook before it."""
        return super().call_soon(self._step, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As asyncio's own, with the hook before it; ties run out in the order they were set in."""
        if when <= self._now:
            return super().call_at(when, self._step, callback, *args, context=context)
        after = self._timers.after_ties(when)
        handle = super().call_at(after, self._step, callback, *args, context=context)
        task = asyncio.current_task(self)
        timer = Timer(when, "" if task is None else task.get_name(), handle)
        self._timers.add(timer, self._now)
        return handle

    def _step(self, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        if self._rousing:  # only whoever waited for the others to settle
            self._rousing -= 1
        elif self.before_each_step is not None:
            self.before_each_step()
        callback(*args)


def _virtual_loop() -> VirtualClockEventLoop | None:
    """The running asyncio loop; None on trio."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    if not isinstance(loop, VirtualClockEventLoop):
        raise UsageError(REAL_CLOCK)
    return loop


def require_virtual_clock() -> None:
    """Refuse to go on in real time.

    Raises:
        UsageError: the event loop's clock is real.
    """
    if _virtual_loop() is None:
        _mock_clock()


async def settle() -> None:
    """Wait until all other tasks wait, on trio or on a `VirtualClockEventLoop`; no time passes."""
    if (loop := _virtual_loop()) is None:
        await anyio.wait_all_tasks_blocked()
    else:
        await loop.settled()


async def tick() -> bool:
    """Let time pass to the next timer, and wait until everybody waits again.

    On a `VirtualClockEventLoop`, or on trio with a `trio.testing.MockClock` that stands still.

    Returns:
        Whether there was a timer.
    """
    if (loop := _virtual_loop()) is not None:
        return await loop.tick()
    clock = _mock_clock()
    import trio  # noqa: PLC0415 - whoever is not on trio may not have it

    seconds = trio.lowlevel.current_statistics().seconds_to_next_deadline
    if seconds == math.inf:
        return False
    clock.jump(max(0.0, seconds))
    await anyio.wait_all_tasks_blocked()
    return True


def jump(seconds: float) -> None:
    """Let virtual time pass at once, on a `VirtualClockEventLoop` or trio's `MockClock`."""
    if (loop := _virtual_loop()) is not None:
        loop.jump(seconds)
        return
    _mock_clock().jump(seconds)


def _mock_clock() -> trio.testing.MockClock:
    import trio.testing  # noqa: PLC0415 - whoever is not on trio may not have it

    clock = trio.lowlevel.current_clock()
    if not isinstance(clock, trio.testing.MockClock):
        raise UsageError(REAL_CLOCK)
    return clock


def timers() -> list[tuple[float, str]]:
    """When each timer of a `VirtualClockEventLoop` runs out, and which task set it, in their order.

    None on trio, where all that is due is due in the same step.
    """
    loop = _virtual_loop()
    return [] if loop is None else [(timer.when, timer.task) for timer in loop.timers()]


class _Steps:
    """Calls a hook before each step of trio's scheduler, but for those of one task."""

    def __init__(self, hook: Callable[[], object], own: object) -> None:
        self._hook = hook
        self._own = own

    def before_task_step(self, task: object) -> None:
        if task is not self._own:
            self._hook()


@contextmanager
def before_each_step(hook: Callable[[], object]) -> Iterator[None]:
    """Call ``hook`` before each step that the event loop takes, but for those of this very task.

    On a `VirtualClockEventLoop` or on trio. What the hook does, it does between two steps: it may
    set events, cancel scopes, and call what may be called from a callback.
    """
    if (loop := _virtual_loop()) is not None:
        loop.before_each_step = hook
        try:
            yield
        finally:
            loop.before_each_step = None
        return
    import trio  # noqa: PLC0415 - whoever is not on trio may not have it

    steps = cast("trio.abc.Instrument", _Steps(hook, trio.lowlevel.current_task()))
    trio.lowlevel.add_instrument(steps)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(steps)


def run_virtually(main: Callable[[], Awaitable[object]], backend: str) -> None:
    """Run a coroutine function on a virtual clock that nobody but a test moves, in a fixed order.

    By themselves neither backend has one: trio draws lots which task runs first
    (https://github.com/python-trio/trio/issues/32; this is how its own test of determinism stops
    it), and anyio on asyncio cancels tasks and scopes in the order of a set, which is by address.

    Args:
        main: what to run.
        backend: "asyncio" or "trio".
    """
    if backend == "asyncio":
        from anyio._backends import _asyncio  # noqa: PLC0415 - whoever is on trio needs it not

        with patch.object(_asyncio, "set", _OrderedSet, create=True):
            anyio.run(main, backend_options={"loop_factory": VirtualClockEventLoop})
        return
    import trio._core._run as scheduler  # noqa: PLC0415 - whoever is not on trio may not have it
    import trio.testing  # noqa: PLC0415

    with (
        patch.object(scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
        patch.object(scheduler, "_r", _Unshuffled(0)),
    ):
        anyio.run(main, backend="trio", backend_options={"clock": trio.testing.MockClock()})


class _OrderedSet(dict[T, None]):
    """A set that keeps the order in which its members came."""

    def __init__(self, members: Iterable[T] = ()) -> None:
        super().__init__(dict.fromkeys(members))

    def add(self, member: T) -> None:
        self[member] = None

    def remove(self, member: T) -> None:
        del self[member]

    def discard(self, member: T) -> None:
        self.pop(member, None)


class _Unshuffled(Random):
    """Leaves things in their order."""

    def shuffle(self, x: object) -> None:
        """Do nothing."""
