"""A coroutine that runs step by step, on trio: an instrument counts the steps.

Trio shuffles what it runs on purpose. So that a step has the same number in every run, its dice are
the same in every run; there is no public way to do that
(https://github.com/python-trio/trio/issues/32): names touched here that trio does not document are
``trio._core._run._r`` and ``_ALLOW_DETERMINISTIC_SCHEDULING``, as trio's own tests do.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import outcome
import trio
import trio._core._run as scheduler

from .program_lines import ProgramLine, place_of, place_of_start
from .stepping import OURS, OWNER, End, SteppedRun

__all__ = ["TrioRun", "same_dice"]

GIVES_REASONS = "reason" in inspect.signature(trio.CancelScope.cancel).parameters
"""Whether a cancellation says whose it is; trio's do from 0.31 on."""


@contextmanager
def same_dice() -> Iterator[None]:
    """Let trio schedule in the same order in every run of an event loop."""
    names = ("_ALLOW_DETERMINISTIC_SCHEDULING", "_r")
    before = {name: getattr(scheduler, name) for name in names}
    for name, value in zip(names, (True, Random(0)), strict=True):  # noqa: S311 - no secret
        setattr(scheduler, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(scheduler, name, value)


class TrioRun(SteppedRun, trio.abc.Instrument):
    """A run on trio. There is no native cancellation there: every one is a scope's."""

    _scope: trio.CancelScope
    _stepping: trio.lowlevel.Task | None = None

    async def run(self, attempt: Callable[[], Awaitable[object]], timeout: float) -> None:
        """Run to the end; see `SteppedRun.run`."""
        self._tasks: dict[trio.lowlevel.Task, ProgramLine | None] = {}
        """Those of the coroutine, and where the program started each."""
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._attempt: Awaitable[object] | None = None
        trio.lowlevel.add_instrument(self)
        async with trio.open_nursery() as nursery:
            mark = OWNER.set(self)
            nursery.start_soon(self._host_attempt, attempt)
            OWNER.reset(mark)
            with trio.move_on_after(timeout):
                await self._ended.wait()
            if not self._ended.is_set():
                self.end = End.OVERDUE
                self.waits = place_of(self._attempt)
                nursery.cancel_scope.cancel()

    def left(self) -> list[str]:
        """The coroutine's children that are still there, in words."""
        places = ((task, place_of(task.coro, at)) for task, at in self._tasks.items())
        return [
            f"task {task.name}" + ("" if place is None else f", {place}") for task, place in places
        ]

    def let_go(self, patience: float) -> None:
        """Nothing: trio ends no task that does not end."""

    # The instrument

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """Note a task of the coroutine's."""
        if task.context.get(OWNER) is self:
            nursery = task.parent_nursery
            starter = None if nursery is None else nursery.parent_task
            if starter is None or starter not in self._tasks:
                self._tasks[task] = None
            else:
                self._tasks[task] = place_of_start(starter.coro, self._tasks[starter])

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        """Forget a task."""
        self._tasks.pop(task, None)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Count the step, and cancel first if it is the one."""
        if task in self._tasks and self.reached():
            self.place = self._place_of(task)
            self._stepping = task
            if not self.after:
                self._cancel()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """See how far the task came, and cancel it there if it is the step."""
        if task is self._stepping:
            self.place = self._place_of(task) or self.place
            self._stepping = None
            if self.after:
                self._cancel()

    def _cancel(self) -> None:
        if GIVES_REASONS:
            self._scope.cancel(reason=OURS)
        else:
            self._scope.cancel()

    def _place_of(self, task: trio.lowlevel.Task) -> ProgramLine | None:
        host = next(iter(self._tasks), None)
        own = self._attempt if task is host and self._attempt is not None else task.coro
        return place_of(own, self._tasks.get(task))

    # The coroutine

    async def _host_attempt(self, attempt: Callable[[], Awaitable[object]]) -> None:
        with self._scope:
            try:
                self._attempt = attempt()
                await ObservedAwaitable(self._attempt, self._observe)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                self.note_end(error, trio.Cancelled)
                if self.end is End.CANCELLED:
                    raise
            else:
                self.note_end(None, trio.Cancelled)
            finally:
                self._attempt = None
                self._ended.set()

    def _observe(self, value: object) -> None:
        """Trio gives a task what it waited for as an outcome: perhaps our cancellation."""
        error = value.error if isinstance(value, outcome.Error) else None
        if isinstance(error, trio.Cancelled):
            ours = getattr(error, "reason", None) == OURS if GIVES_REASONS else True
            self.delivered = self.delivered or (ours and self._scope.cancel_called)


class ObservedAwaitable:
    """An awaitable that reports what the event loop hands in."""

    def __init__(self, awaitable: Awaitable[object], observe: Callable[[object], None]) -> None:
        self._awaitable = awaitable
        self._observe = observe

    def __await__(self) -> Generator[Any, Any, object]:
        inner: Any = self._awaitable
        resume: Callable[[Any], Any] = inner.send
        value: Any = None
        while True:
            try:
                trap = resume(value)
            except StopIteration as end:
                return end.value
            try:
                value = yield trap
                resume = inner.send
                self._observe(value)
            except BaseException as error:
                value, resume = error, inner.throw
