"""What a check of leases works with: two machines, and one attempt at a lease after another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from inspect import isawaitable

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from ...leases.base import Lease, Leases, Lost, WhenHeld
from ..contract.breaches import ClauseBroken
from ..contract.peer import CannotDo

__all__ = ["CLOSE_WITHIN", "KEY", "PAUSE", "Bench", "MakeTwo", "Taking", "TwoMachines"]

KEY = ("bot-7", "user-123")

SECRET = "code-that-nobody-may-hear-of"  # noqa: S105 - what a check looks for
"""Stands behind the ``lost`` of every attempt, where a code would be."""

CLOSE_WITHIN = 0.25
"""Seconds that a holder asks for, unless a check is about them."""

PAUSE = 0.2
"""Seconds in which what must not happen would."""


@dataclass(frozen=True, slots=True)
class TwoMachines:
    """Two machines with one keeper, and what can be done to them.

    ``first`` and ``second`` may be the same object, where there is but one process. Without
    ``ttl`` and ``cut_off`` no holder is seen to die, and two checks are skipped; without ``heard``
    one is.
    """

    first: Leases
    second: Leases
    ttl: float | None = None
    """Seconds after which a holder that died is none. Ten are good: two checks wait for so long,
    and what happens at once has half of it, so that nothing which merely runs out passes."""
    cut_off: Callable[[], Awaitable[object] | None] | None = None
    """From now on nothing gets from ``first`` to the keeper, nor back; ``second`` still does.
    Better than an error is that nothing comes back: so it is with a network that is cut."""
    heard: Callable[[], Collection[str]] | None = None
    """All that the keeper was told, as text: what was sent to it, say, or all that it keeps."""


MakeTwo = Callable[[], AbstractAsyncContextManager[TwoMachines]]
"""Makes two machines with a fresh keeper: a function with `contextlib.asynccontextmanager`, say."""


class Lossy:
    """What a lease is given to call; it speaks of a secret, which no keeper needs to know."""

    def __init__(self, taking: Taking) -> None:
        self._taking = taking
        self._thread = threading.get_ident()
        self.secret = SECRET

    def __repr__(self) -> str:
        return f"<of an attempt whose code is {SECRET}>"

    def __call__(self, error: Exception) -> None:
        """The lease is lost."""
        taking = self._taking
        taking.losses.append(error)
        taking.lost_in.append(threading.get_ident())
        if threading.get_ident() == self._thread:
            taking.lost_at = taking.lost_at or anyio.current_time()
            taking.lost.set()


class Taking:
    """One attempt to have a lease, in a task of its own."""

    def __init__(self, lease: Lease, name: str, close_within: float = CLOSE_WITHIN) -> None:
        self.lease = lease
        self.name = name
        self._close_within = close_within
        self.lost = anyio.Event()
        self.losses: list[Exception] = []
        self.lost_in: list[int] = []
        self.lost_at: float | None = None
        self.held_at: float | None = None
        self.error: BaseException | None = None
        self.done = anyio.Event()
        """`acquire()` has ended."""
        self._scope = anyio.CancelScope()
        self._natively: Callable[[], object] | None = None
        self._uncancel: Callable[[], object] | None = None

    @property
    def held(self) -> bool:
        """Whether `acquire()` has returned."""
        return self.held_at is not None

    def cancel(self, *, natively: bool = False) -> None:
        """Cancel `acquire()`.

        Raises:
            CannotDo: natively, where there is no such thing.
        """
        if not natively:
            self._scope.cancel()
            return
        if self._natively is None:
            raise CannotDo("only asyncio has a cancellation of its own")
        task, self._natively = self._natively, None
        task()

    async def run(self) -> None:
        """Acquire; whatever comes of it is noted."""
        try:
            self._note_task()
            with self._scope:
                await self._acquire()
        except BaseException:
            if self._uncancel is None or self._natively is not None:
                raise
            self._uncancel()  # it was `cancel()` above that came out
        finally:
            self.done.set()

    async def _acquire(self) -> None:
        try:
            lost: Lost = Lossy(self)
            await self.lease.acquire(lost, self._close_within)
        except BaseException as error:
            self.error = error
            if not isinstance(error, Exception):
                raise
        else:
            self.held_at = anyio.current_time()

    def _note_task(self) -> None:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return  # trio
        if task is not None:
            self._natively, self._uncancel = task.cancel, task.uncancel

    def release(self) -> None:
        """Give it back.

        Raises:
            ClauseBroken: it raises, or wants to be awaited.
        """
        try:
            answer: object = self.lease.release()
        except Exception as error:
            raise ClauseBroken(
                f"release() raised {type(error).__name__}.", mend="It must raise nothing."
            ) from error
        if isawaitable(answer):
            close = getattr(answer, "close", None)
            if close is not None:
                close()
            raise ClauseBroken(
                "release() gave back something to await.", mend="It must be a plain function."
            )


class Bench:
    """Where a check is made.

    Args:
        two: the machines.
        tasks: where attempts run.
        limit: seconds for what happens at once.
    """

    def __init__(self, two: TwoMachines, tasks: TaskGroup, limit: float) -> None:
        self.two = two
        self.limit = limit
        self._tasks = tasks
        self._made: list[Taking] = []

    async def start(
        self,
        machine: Leases,
        when_held: WhenHeld = "take_over",
        close_within: float = CLOSE_WITHIN,
    ) -> Taking:
        """Begin to acquire, and let it come as far as it comes at once."""
        name = "the first machine" if machine is self.two.first else "the second machine"
        taking = Taking(machine.lease(*KEY, when_held=when_held), name, close_within)
        self._made.append(taking)
        self._tasks.start_soon(taking.run)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        return taking

    async def take(
        self,
        machine: Leases,
        when_held: WhenHeld = "take_over",
        close_within: float = CLOSE_WITHIN,
    ) -> Taking:
        """Have the lease, which is free.

        Raises:
            ClauseBroken: it cannot be had.
        """
        taking = await self.start(machine, when_held, close_within)
        await self.is_held(taking, "Nobody holds the lease")
        return taking

    async def take_when_free(
        self, machine: Leases, because: str = "It was given back", within: float | None = None
    ) -> Taking:
        """Have the lease that is free by now, or soon: the keeper may yet have to hear of it.

        Raises:
            ClauseBroken: it cannot be had.
        """
        over = anyio.current_time() + (self.limit if within is None else within)
        while True:
            taking = await self.start(machine, "reject")
            await self.ended(taking)
            if taking.held or anyio.current_time() > over:
                self._require_held(taking, because)
                return taking
            await anyio.sleep(self.limit / 50)

    async def is_held(self, taking: Taking, because: str, within: float | None = None) -> None:
        """Wait until `acquire()` has returned.

        Raises:
            ClauseBroken: it does not, or raises.
        """
        await self.ended(taking, within)
        self._require_held(taking, because)

    async def ended(self, taking: Taking, within: float | None = None) -> None:
        """Wait until `acquire()` has ended, for so many seconds."""
        with anyio.move_on_after(self.limit if within is None else within):
            await taking.done.wait()

    async def raises(self, taking: Taking, kind: type[Exception], because: str) -> None:
        """Wait until `acquire()` has raised this error.

        Raises:
            ClauseBroken: it does not, or raises another.
        """
        await self.ended(taking)
        if not isinstance(taking.error, kind):
            raise ClauseBroken(
                f"{because}, and acquire() on {taking.name} {self._outcome(taking)}.",
                mend=f"It must raise {kind.__name__}.",
            )

    async def is_lost(self, taking: Taking, because: str, within: float | None = None) -> None:
        """Wait until ``lost`` was called.

        Raises:
            ClauseBroken: it was not.
        """
        with anyio.move_on_after(self.limit if within is None else within):
            await taking.lost.wait()
        if not taking.losses:
            raise ClauseBroken(
                f"{because}, and lost was not called on {taking.name}.", mend="Call it."
            )

    async def pause(self) -> None:
        """Time for what must not happen."""
        await anyio.sleep(PAUSE)

    def _require_held(self, taking: Taking, because: str) -> None:
        if not taking.held:
            raise ClauseBroken(
                f"{because}, and acquire() on {taking.name} {self._outcome(taking)}.",
                mend="It must return.",
            )

    def _outcome(self, taking: Taking) -> str:
        if taking.held:
            return "returned"
        if taking.error is None:
            return f"has not ended after {self.limit:g} s"
        return f"raised {type(taking.error).__name__}"

    def clear(self) -> None:
        """Give everything back, whatever was found."""
        for taking in self._made:
            try:
                taking.release()
            except ClauseBroken:
                continue
