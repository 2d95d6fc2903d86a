"""A coroutine that runs step by step, on asyncio: a task factory wraps its tasks' coroutines."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from itertools import count
from typing import Any, NoReturn

from anyio import CancelScope

from .program_lines import ProgramLine, place_of, place_of_start
from .stepping import OURS, OWNER, End, SteppedRun

__all__ = ["AsyncioRun"]

BETWEEN_TWO = 0.01
"""Seconds between two tasks that are let go, in which others may end of themselves."""


class AsyncioRun(SteppedRun):
    """A run on asyncio: a task factory wraps the coroutines."""

    _host: asyncio.Task[None] | None = None
    _scope: CancelScope

    async def run(self, attempt: Callable[[], Awaitable[object]], timeout: float) -> None:
        """Run to the end; see `SteppedRun.run`."""
        loop = asyncio.get_running_loop()
        self._numbers = count()
        self._hosts: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()
        self._tasks: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()
        self._scope = CancelScope()
        loop.set_task_factory(partial(self._make_task, loop.get_task_factory() or _plain_task))
        context = copy_context()
        context.run(OWNER.set, self)
        self._host = loop.create_task(self._host_attempt(attempt), context=context)
        self._tasks.discard(self._host)
        self._hosts.add(self._host)
        _, running = await asyncio.wait({self._host}, timeout=timeout)
        if running:
            self.end = End.OVERDUE
            self.waits = _place_of_task(self._host)
            self._host.cancel()
        self._host = None  # it would keep alive what it was cancelled in

    def left(self) -> list[str]:
        """The coroutine's children that are still there, in words."""
        return [_describe(task) for task in self._tasks if not task.done()]

    def let_go(self, patience: float) -> None:
        """Stop stepping what is still there; see `SteppedRun.let_go`."""
        if self._unended():
            asyncio.get_running_loop().call_later(patience, self._let_youngest_go)

    def _let_youngest_go(self) -> None:
        """Let go of one task, and of the next a little later: who waits for one may end by it."""
        if unended := self._unended():
            task, coroutine = max(unended, key=lambda one: one[1].number)
            coroutine.is_let_go = True
            task.cancel()
            asyncio.get_running_loop().call_later(BETWEEN_TWO, self._let_youngest_go)

    def _unended(self) -> list[tuple[asyncio.Future[Any], SteppedCoroutine]]:
        pairs = ((task, _stepped(task)) for task in (*self._tasks, *self._hosts))
        return [(task, inner) for task, inner in pairs if inner is not None and not task.done()]

    def step(self, inner: SteppedCoroutine, resume: Callable[[], Any], thrown: bool) -> Any:
        """Let a task make a step; cancel before or after it, if it is the one."""
        if not self.reached():
            return resume()
        self.place = inner.place()
        # A step that has begun is too late for a native cancellation: the next one brings it
        # instead of what was awaited, as if it had come right before this one.
        if not self.after and self._cancel() and self.native and not thrown:
            return None
        result = resume()
        self.place = inner.place() or self.place
        if self.after:
            self._cancel()
        return result

    def note_thrown(self, error: object) -> None:
        """Something was raised in a task: perhaps our cancellation, in the coroutine itself."""
        text = str(error) if isinstance(error, asyncio.CancelledError) else ""
        name = OURS if self.native else f"cancel scope {id(self._scope):x}"
        self.delivered = self.delivered or (name in text and self._is_current())

    def _cancel(self) -> bool:
        """Cancel the coroutine; say whether it is its own task that runs."""
        if not self.native:
            self._scope.cancel()
        elif self._host is not None:
            self._host.cancel(OURS)
        return self._is_current()

    def _is_current(self) -> bool:
        return self._host is not None and asyncio.current_task() is self._host

    async def _host_attempt(self, attempt: Callable[[], Awaitable[object]]) -> None:
        with self._scope:
            try:
                await attempt()
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                self.note_end(error, asyncio.CancelledError)
                if self.end is End.CANCELLED:
                    raise
            else:
                self.note_end(None, asyncio.CancelledError)

    def _make_task(
        self,
        make: Callable[..., asyncio.Future[Any]],
        loop: asyncio.AbstractEventLoop,
        coroutine: Any,
        **options: Any,
    ) -> asyncio.Future[Any]:
        context = options.get("context") or copy_context()
        if context.get(OWNER) is not self:
            return make(loop, coroutine, **options)
        current = asyncio.current_task(loop)
        starter = None if current is None else current.get_coro()
        started = None
        if isinstance(starter, SteppedCoroutine):
            started = place_of_start(starter.coroutine, starter.started)
        stepped = SteppedCoroutine(coroutine, self, started, next(self._numbers))
        task = make(loop, stepped, **options)
        self._tasks.add(task)
        return task


class SteppedCoroutine(Coroutine[Any, Any, Any]):
    """A coroutine whose every step is reported to a run; it looks like the one that it wraps."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        run: AsyncioRun,
        started: ProgramLine | None,
        number: int,
    ) -> None:
        self.coroutine = coroutine
        self.number = number
        """The how-manieth of its run, from 0."""
        self.is_let_go = False
        """Whether it makes no step any more: its next one ends its task."""
        self.started = started
        """Where the program started the task that runs this."""
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self.coroutine, name)

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("a task runs this, nobody awaits it")

    def place(self) -> ProgramLine | None:
        """Where it is; None if it has ended."""
        return place_of(self.coroutine, self.started)

    def send(self, value: Any) -> Any:
        """Make a step."""
        if self.is_let_go:
            self._end()
        return self._run.step(self, partial(self.coroutine.send, value), thrown=False)

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """Make a step that begins with an error."""
        if self.is_let_go:
            self._end()
        self._run.note_thrown(kind if value is None else value)
        error = (kind,) if value is None and traceback is None else (kind, value, traceback)
        return self._run.step(self, partial(self.coroutine.throw, *error), thrown=True)

    def close(self) -> None:
        """Close the coroutine."""
        self.coroutine.close()

    def _end(self) -> NoReturn:
        """End the task, whatever the coroutine says to being closed.

        One that ignores that is thrown away here and now: elsewhere, where no event loop runs,
        its awaits raise, and one that catches everything for ever would catch that for ever.
        """
        coroutine, self.coroutine = self.coroutine, _nothing()
        self.coroutine.close()
        with suppress(Exception, asyncio.CancelledError):
            coroutine.close()
        del coroutine
        raise asyncio.CancelledError


async def _nothing() -> None:
    """In place of a coroutine that was let go."""


def _stepped(task: asyncio.Future[Any]) -> SteppedCoroutine | None:
    coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
    return coroutine if isinstance(coroutine, SteppedCoroutine) else None


def _place_of_task(task: asyncio.Future[Any]) -> ProgramLine | None:
    stepped = _stepped(task)
    return None if stepped is None else stepped.place()


def _describe(task: asyncio.Future[Any]) -> str:
    """A task's name, and where it is."""
    if not isinstance(task, asyncio.Task):
        return repr(task)
    place = _place_of_task(task)
    return f"task {task.get_name()}" + ("" if place is None else f", {place}")


def _plain_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
) -> asyncio.Task[Any]:
    return asyncio.Task(coroutine, loop=loop, **options)
