"""What becomes of whatever the program's own functions raise: one policy for all of them.

The engine calls code that it did not write: hooks, recorders, the transport factory and its
transports, `request_qr`, `check_status`, `expect_identity`. It may raise anything, anywhere. Four
kinds are told apart, in every place alike:

- An **ordinary exception** is a fault of that place, and each place has its own use for it: a
  hook's is logged, a transport's is a broken transport, `request_qr`'s ends the attempt.
  `fault_of()` gives it back.
- **Somebody else's cancellation** (a shared task that was cancelled, an orphaned future) is such a
  fault too. It looks like our own: asyncio raises one class for both. Told apart it must be, for
  our own has to go on and the other must not end a `pair()` that nobody cancelled. `fault_of()`
  gives back a `ForeignCancellation` in its place.
- **Our own cancellation**, `SystemExit`, `KeyboardInterrupt` and whatever else is no `Exception`
  come out of `pair()` as they are, never in a group, after the transport is closed: `fault_of()`
  raises them again.
- A **value of the wrong kind** is a mistake in the program: `WrongAnswer`, where it is given.

Theory: in a task of asyncio's, a cancellation is ours if `Task.cancel()` was called on this task
and nobody took that back (`Task.cancelling()`); a scope of anyio's calls it too, and takes it back
when it is left. So where a scope has been cancelled and has not yet said so, an exception that
comes first is somebody else's: as a fault it is harmless, for the scope cancels at the next await.
On trio there are only scopes, and a scope takes every `Cancelled` for its own. Outside a task, in a
callback or without an event loop, no cancellation is ours.
"""

from __future__ import annotations

import inspect
import os
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from errno import errorcode
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVarTuple

import anyio

from ..calling import has_names_only
from ..errors import ForeignCancellation, QRLifecycleError
from ..logs import warn_once

__all__ = [
    "BackgroundTasks",
    "close_coroutine",
    "describe",
    "fault_of",
    "is_thrown_away",
    "name_of",
    "native_cancellations",
    "not_run",
    "place_of",
    "raise_swallowed",
    "reraise",
    "warn_if_it_blocked",
]

Arguments = TypeVarTuple("Arguments")

BLOCKS = 0.5
"""Seconds in a plain function beyond which there is a warning. A request to a service takes some
tenths; what does not wait for anything takes milliseconds, also on a busy machine."""

PACKAGE = str(Path(__file__).parent.parent) + os.sep
"""Where this library's own frames are."""

STANDARD = str(Path(os.__file__).parent) + os.sep
"""Where those of Python's own library are."""


def fault_of(error: BaseException) -> Exception:
    """The fault that foreign code's exception is.

    Args:
        error: what was caught: an ``except BaseException`` is right around foreign code, with this
            as the first line of its body.

    Raises:
        BaseException: ``error`` itself, if it is nobody's to handle here.
    """
    if isinstance(error, Exception):
        return error
    if _is_cancellation(error) and not _is_our_cancellation(error):
        return ForeignCancellation()
    try:
        raise error
    finally:
        del error  # see `reraise`


def _is_cancellation(error: BaseException) -> bool:
    """Whether it is any event loop's, also one that does not run here."""
    for module, name in (("asyncio", "CancelledError"), ("trio", "Cancelled")):
        if isinstance(error, getattr(sys.modules.get(module), name, ())):
            return True
    return False


def _is_our_cancellation(error: BaseException) -> bool:
    try:
        if not isinstance(error, anyio.get_cancelled_exc_class()):
            return False
    except RuntimeError:  # no event loop runs here
        return False
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or not isinstance(error, asyncio.CancelledError):
        return anyio.get_current_task().has_pending_cancellation()
    return native_cancellations() > 0


def native_cancellations() -> int:
    """How many `Task.cancel()` of this task nobody has taken back; none where there is no such."""
    try:
        task = sys.modules["asyncio"].current_task()
    except (KeyError, RuntimeError):
        return 0
    return 0 if task is None else task.cancelling()


def raise_swallowed(before: int) -> None:
    """Let a native cancellation go on that foreign code kept to itself.

    A scope cancels again at the next await; a `Task.cancel()` does not.

    Args:
        before: `native_cancellations()` before the foreign code ran.

    Raises:
        asyncio.CancelledError: there are more by now.
    """
    if native_cancellations() > before and not anyio.get_current_task().has_pending_cancellation():
        raise anyio.get_cancelled_exc_class()


def is_thrown_away(error: BaseException) -> bool:
    """Whether the coroutine that caught this is being closed, so that it must await no more.

    Then it was raised right there; what foreign code raised has come from a frame further in.
    """
    trace = error.__traceback__
    return isinstance(error, GeneratorExit) and (trace is None or trace.tb_next is None)


def close_coroutine(answer: object) -> None:
    """An async function was given where a plain one belongs: what it gave back is never run."""
    if inspect.iscoroutine(answer):
        answer.close()


def not_run(answer: object) -> str | None:
    """What is said where a function that is to be plain gave back a coroutine, which is closed."""
    if not inspect.iscoroutine(answer):
        return None
    answer.close()
    return "gave back a coroutine, which was not run: make it a plain function"


def warn_if_it_blocked(name: str, began: float) -> None:
    """Say so where a plain function kept the event loop to itself: all else stood still meanwhile.

    Args:
        name: what it is called.
        began: when it was called, as `time.monotonic()` counts.
    """
    if (took := time.monotonic() - began) > BLOCKS:
        text = "%s blocked the event loop for %.1f s: await what takes long, or give it to a thread"
        warn_once(text, name, took)


def describe(error: BaseException) -> str:
    """What was raised and where, for a log.

    One of ours says it all, in one line, with the line of the program's that it went through; what
    a service sent is not to look like a mistake in here. Of any other the frames are of use, and
    the text may hold a secret, unless it says how a call does not fit.
    """
    name = type(error).__name__
    if not isinstance(error, QRLifecycleError):
        what = f"{name}: {error}" if has_names_only(error) else name_of(error)
        frames = traceback.extract_tb(error.__traceback__)
        return f"{what}\n{''.join(frames.format()).rstrip()}"
    return f"{name}: {error}{place_of(error)}"


def name_of(error: BaseException) -> str:
    """Its class; of one of the system's, also what its number means, which holds no secret."""
    number = error.errno if isinstance(error, OSError) else None
    means = f": {os.strerror(number)}" if isinstance(number, int) and number in errorcode else ""
    return f"{type(error).__name__}{means}"


def place_of(error: BaseException) -> str:
    """The line of the program's that an error went through last, in brackets; empty if none."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):  # reads no file
        name = frame.f_code.co_filename
        if not name.startswith((PACKAGE, STANDARD)):
            place = f" ({name}:{line})"
    return place


def reraise(error: BaseException) -> NoReturn:
    """Raise what was kept, and keep it no longer: an error holds the frames that it went through.

    A frame that holds it as well makes a circle, which only the garbage collector would open: with
    all that these frames hold, which may be a code, and in a crowd the collector is slow.

    Raises:
        BaseException: ``error``.
    """
    try:
        raise error
    finally:
        del error


class BackgroundTasks:
    """What runs beside `pair()`: async hooks and reads of the status. ``async with`` is their time.

    A task group would hand out what is raised in a group of exceptions, and asyncio would let a
    `SystemExit` in a task stop the event loop at once, with the transport open. So nothing but a
    cancellation is let into the group: it is kept, `pair()` is cancelled and closes, and then it is
    raised as it is.

    After the body's end, or an ordinary exception in it, the tasks are waited for; after anything
    else they are cancelled.

    Args:
        needed: whether anything will be started; if not, there is no group.
    """

    __slots__ = ("_group", "_raised")

    def __init__(self, *, needed: bool) -> None:
        self._group = anyio.create_task_group() if needed else None
        self._raised: BaseException | None = None

    def start(self, run: Callable[[*Arguments], Awaitable[object]], *arguments: *Arguments) -> None:
        """Start a task."""
        assert self._group is not None
        self._group.start_soon(self._guard, run, arguments)

    async def _guard(self, run: Callable[..., Awaitable[object]], arguments: Any) -> None:
        try:
            await run(*arguments)
        except BaseException as error:
            if is_thrown_away(error) or _is_cancellation(error):
                raise
            assert self._group is not None
            self._raised = self._raised or error
            self._group.cancel_scope.cancel()

    async def __aenter__(self) -> Self:
        if self._group is not None:
            await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the tasks; then raise what the body or one of them raised, as it is."""
        if self._group is None:
            return
        if error is not None and is_thrown_away(error):
            # Nothing may be awaited any more, not even the tasks; they are told.
            with suppress(RuntimeError):
                self._group.cancel_scope.cancel()
                self._group.cancel_scope.__exit__(None, None, None)
            return
        try:
            if error is not None and _is_cancellation(error):
                # The group has to see it. What it swallows of it is raised all the same: this
                # returns nothing true.
                await self._group.__aexit__(kind, error, trace)
            else:
                if error is not None and not isinstance(error, Exception):
                    self._group.cancel_scope.cancel()
                await self._group.__aexit__(None, None, None)
        finally:
            raised, self._raised = self._raised, None
            if raised is not None:
                reraise(raised)
