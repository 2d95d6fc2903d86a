"""A coroutine that runs step by step, and is cancelled right before or after one of its steps.

A step is what a scheduler runs of a task at a time: from one await that had to wait to the next.
The coroutine's own tasks are those that inherit its context: its children, but not a server beside
it. Here is what both event loops share, and asyncio; `stepping_trio` has trio. This room must never
know what the coroutine does.
"""

from __future__ import annotations

import asyncio
import linecache
import sys
import weakref
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from anyio import CancelScope

from ..awaiting import chain
from ..own_code import is_own
from ..wording import error_text

__all__ = ["AsyncioRun", "End", "Place", "SteppedRun", "place_of", "place_of_start"]

OWNER: ContextVar[SteppedRun] = ContextVar("qrlifecycle_stepped_run")
"""The run that a task belongs to."""

OURS = "cancelled by qrlifecycle.testing"
"""What a cancellation of ours says, to be told from others."""

HERE = {__file__, str(Path(__file__).with_name("stepping_trio.py"))}


@dataclass(frozen=True, slots=True)
class Place:
    """A line of code where a coroutine stood."""

    file: str
    line: int
    function: str
    source: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}: {self.source}"


def place_of(coroutine: object, started: Place | None = None) -> Place | None:
    """The innermost line of the program's own code on a coroutine's chain of awaits.

    Where all of it is the standard library or installed packages, it is the line of the program's
    at which the task was started, or else the innermost of all.
    """
    frames = [frame for *_, frame in chain(coroutine) if frame.f_code.co_filename not in HERE]
    own = [frame for frame in frames if is_own(frame.f_code.co_filename)]
    if not own and started is not None:
        return started
    return next(map(_place_in, (own or frames)[-1:]), None)


def place_of_start(starter: object, its_own: Place | None) -> Place | None:
    """The innermost line of the program's own code that runs now, while a task is being started.

    Args:
        starter: the coroutine of the task that starts it.
        its_own: where that was started itself, which is the answer if it runs no such line.
    """
    outermost = getattr(starter, "cr_frame", None)
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - public, for all its underscore
    while frame is not None and outermost is not None:
        file = frame.f_code.co_filename
        if is_own(file) and file not in HERE:
            return _place_in(frame)
        frame = None if frame is outermost else frame.f_back
    return its_own


def _place_in(frame: FrameType) -> Place:
    file, line = frame.f_code.co_filename, frame.f_lineno
    name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
    return Place(file, line, name, linecache.getline(file, line).strip())


class End(Enum):
    """How a coroutine ended."""

    RETURNED = auto()
    RAISED = auto()
    CANCELLED = auto()
    OVERDUE = auto()


class SteppedRun(ABC):
    """One run of a coroutine in the event loop at hand.

    Args:
        cancel_at: the step at which it is cancelled, from 1; None for never.
        after: cancel when the step has been made and its task waits again, not right before it,
            when what the task waited for is there already.
        native: cancel the task instead of a scope around it.
    """

    def __init__(
        self, cancel_at: int | None = None, *, after: bool = False, native: bool = False
    ) -> None:
        self.cancel_at = cancel_at
        self.after = after
        self.native = native
        self.steps = 0
        """How many steps the coroutine and its children have made."""
        self.place: Place | None = None
        """Where the cancellation met the task whose step it was."""
        self.delivered = False
        """Whether the cancellation was raised in the coroutine itself."""
        self.end: End | None = None
        self.error: Exception | None = None
        """What it raised, of a run that nobody cancelled."""
        self.raised = ""
        """What it raised, in words: the error itself would keep everything alive."""

    @abstractmethod
    async def perform(self, attempt: Callable[[], Awaitable[object]], timeout: float) -> None:
        """Run to the end; after ``timeout`` seconds it counts as `End.OVERDUE`."""

    @abstractmethod
    def left(self) -> list[str]:
        """The coroutine's children that are still there, in words."""

    def reached(self) -> bool:
        """Count a step; say whether it is the one at which to cancel."""
        self.steps += 1
        return self.steps == self.cancel_at

    def note_end(self, error: BaseException | None, cancelled: type[BaseException]) -> None:
        """Note how the coroutine ended, in time: with an error, or with None."""
        if self.end is End.OVERDUE:
            return
        if isinstance(error, BaseExceptionGroup):
            error = error.split(cancelled)[1] or cancelled()
        if error is None:
            self.end = End.RETURNED
        elif isinstance(error, cancelled):
            self.end = End.CANCELLED
        else:
            self.end = End.RAISED
            self.raised = error_text(error)
            if self.cancel_at is None and isinstance(error, Exception):
                self.error = error


class AsyncioRun(SteppedRun):
    """A run on asyncio: a task factory wraps the coroutines."""

    _host: asyncio.Task[None] | None = None
    _scope: CancelScope

    async def perform(self, attempt: Callable[[], Awaitable[object]], timeout: float) -> None:
        """Run to the end; see `SteppedRun.perform`."""
        loop = asyncio.get_running_loop()
        self._tasks: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()
        self._scope = CancelScope()
        loop.set_task_factory(partial(self._make_task, loop.get_task_factory() or _plain_task))
        context = copy_context()
        context.run(OWNER.set, self)
        self._host = loop.create_task(self._stand(attempt), context=context)
        self._tasks.discard(self._host)
        _, running = await asyncio.wait({self._host}, timeout=timeout)
        if running:
            self.end = End.OVERDUE
            self._host.cancel()
        self._host = None  # it would keep alive what it was cancelled in

    def left(self) -> list[str]:
        """The coroutine's children that are still there, in words."""
        return [_describe(task) for task in self._tasks if not task.done()]

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

    async def _stand(self, attempt: Callable[[], Awaitable[object]]) -> None:
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
        task = make(loop, SteppedCoroutine(coroutine, self, started), **options)
        self._tasks.add(task)
        return task


class SteppedCoroutine(Coroutine[Any, Any, Any]):
    """A coroutine whose every step is told to a run; it looks like the one that it wraps."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], run: AsyncioRun, started: Place | None
    ) -> None:
        self.coroutine = coroutine
        self.started = started
        """Where the program started the task that runs this."""
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self.coroutine, name)

    def __await__(self) -> Generator[Any, Any, Any]:
        raise TypeError("a task runs this, nobody awaits it")

    def place(self) -> Place | None:
        """Where it stands; None if it has ended."""
        return place_of(self.coroutine, self.started)

    def send(self, value: Any) -> Any:
        """Make a step."""
        return self._run.step(self, partial(self.coroutine.send, value), thrown=False)

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """Make a step that begins with an error."""
        self._run.note_thrown(kind if value is None else value)
        error = (kind,) if value is None and traceback is None else (kind, value, traceback)
        return self._run.step(self, partial(self.coroutine.throw, *error), thrown=True)

    def close(self) -> None:
        """Close the coroutine."""
        self.coroutine.close()


def _describe(task: asyncio.Future[Any]) -> str:
    """A task's name, and where it stands."""
    if not isinstance(task, asyncio.Task):
        return repr(task)
    coroutine = task.get_coro()
    place = coroutine.place() if isinstance(coroutine, SteppedCoroutine) else None
    return f"task {task.get_name()}" + ("" if place is None else f", {place}")


def _plain_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
) -> asyncio.Task[Any]:
    return asyncio.Task(coroutine, loop=loop, **options)
