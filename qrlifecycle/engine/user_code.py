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
  come out of `pair()` as they are, after the transport is closed: `fault_of()` raises them again.
- A **value of the wrong kind** is a mistake in the program: `WrongAnswer`, where it is given.

Theory: in a task of asyncio's, a cancellation is ours if a scope around this task is cancelled, or
if `Task.cancel()` was called on this task and nobody took that back (`Task.cancelling()`). On trio
there are only scopes.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVarTuple

import anyio

from ..errors import ForeignCancellation, QRLifecycleError

__all__ = ["BackgroundTasks", "describe", "fault_of"]

Arguments = TypeVarTuple("Arguments")


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
    if isinstance(error, anyio.get_cancelled_exc_class()) and not _is_our_cancellation():
        return ForeignCancellation()
    raise error


def _is_our_cancellation() -> bool:
    if anyio.get_current_task().has_pending_cancellation():
        return True
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:  # the event loop is not asyncio's
        return False
    return task is not None and task.cancelling() > 0


def describe(error: BaseException) -> str:
    """What was raised and where, for a log; the text of our own errors only: it holds no secret."""
    text = f": {error}" if isinstance(error, QRLifecycleError) else ""
    where = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    return f"{type(error).__name__}{text}\n{where}"


class BackgroundTasks:
    """What runs beside `pair()`: async hooks and reads of the status. ``async with`` is their time.

    A task group would hand out what is raised in a group of exceptions, and asyncio would let a
    `SystemExit` in a task stop the event loop at once, with the transport open. So neither is let
    into the group: it is kept, `pair()` is cancelled and closes, and then it is raised as it is.

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
        except (Exception, GeneratorExit, anyio.get_cancelled_exc_class()):
            raise
        except BaseException as error:
            assert self._group is not None
            self._raised = error
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
        if isinstance(error, GeneratorExit | anyio.get_cancelled_exc_class()):
            # The group has to see it. What it swallows of it is raised all the same: this returns
            # nothing true.
            await self._group.__aexit__(kind, error, trace)
        else:
            if error is not None and not isinstance(error, Exception):
                self._group.cancel_scope.cancel()
            await self._group.__aexit__(None, None, None)
        if self._raised is not None:
            raise self._raised
