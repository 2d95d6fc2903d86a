"""Cancelling a coroutine at every step of its way, and seeing what it leaves open.

Whoever holds a socket is cancelled some day at the one await that nobody thought of. So each is
tried: the coroutine is run again and again, on an ordinary event loop with real sockets, and
cancelled right before its first step, right after it while it waits, right before its second, and
so on to its last.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Literal, TypeVar, overload

from ...errors import InvalidValue
from ..backends import check_backend
from .report import CancellationReport, Finding, NotCancellationSafe
from .stepping import End
from .sweep import Sweep, waiting

__all__ = ["CancellationReport", "Finding", "NotCancellationSafe", "cancel_everywhere"]

T = TypeVar("T")


@overload
def cancel_everywhere(
    attempt: Callable[[], Awaitable[object]],
    *,
    within: None = None,
    backend: str = ...,
    backend_options: Mapping[str, Any] | None = ...,
    how: Literal["scope", "native"] = ...,
    repeat: int = ...,
    timeout: float = ...,
    patience: float = ...,
) -> CancellationReport: ...


@overload
def cancel_everywhere(
    attempt: Callable[[T], Awaitable[object]],
    *,
    within: Callable[[], AbstractAsyncContextManager[T]],
    backend: str = ...,
    backend_options: Mapping[str, Any] | None = ...,
    how: Literal["scope", "native"] = ...,
    repeat: int = ...,
    timeout: float = ...,
    patience: float = ...,
) -> CancellationReport: ...


def cancel_everywhere(
    attempt: Callable[..., Awaitable[object]],
    *,
    within: Callable[[], AbstractAsyncContextManager[Any]] | None = None,
    backend: str = "asyncio",
    backend_options: Mapping[str, Any] | None = None,
    how: Literal["scope", "native"] = "scope",
    repeat: int = 1,
    timeout: float = 10.0,
    patience: float = 0.1,
) -> CancellationReport:
    """Cancel a coroutine before and after each of its steps, and see what it leaves behind.

    A step is what the event loop runs of a task at a time. Right before one, what the task waited
    for is there already; right after it, the task has just begun to wait again.

    The attempt is run once to its end, and then again, on a fresh event loop each time, until a
    step is not reached any more. The steps of its child tasks count as well. After each run there
    must be no new socket, no task of its, no complaint of Python's, and the cancellation must have
    gone on to the caller, unless the attempt had finished by itself. Sockets are seen on Linux
    only.

    With real sockets the number of steps may differ from run to run: let the peer stay silent until
    it is asked to speak, or ask for more runs with ``repeat``.

    Args:
        attempt: async function that makes one fresh attempt.
        within: called for each run; gives back an async context manager for what the attempt needs
            and is not cancelled, a server for example. Its value is given to ``attempt``.
        backend: "asyncio" or "trio".
        backend_options: as for `anyio.run`; another event loop, for example.
        how: cancel a scope around the attempt, or the asyncio task that runs it (``"native"``),
            which may replace what an await was about to give back.
        repeat: runs for each such moment.
        timeout: seconds that one run may take; longer is a finding. What goes on for as long again
            although it is cancelled is thrown away; on trio it cannot be, and is waited for.
        patience: seconds in which what was left may still go of itself.

    Returns:
        How many steps and runs there were.

    Raises:
        NotCancellationSafe: something was left behind, or a cancellation was swallowed; each with
            the step and the line where the coroutine was.
        InvalidValue: there is no such backend or no such ``how``, or not both together.
        MissingExtra: the backend is not installed.
        BaseException: whatever the attempt itself raises when nobody cancels it.
        TimeoutError: the attempt does not end when nobody cancels it.
        RuntimeError: the attempt ends cancelled when nobody cancels it.
    """
    check_backend(backend)
    if how not in ("scope", "native"):
        raise InvalidValue(f"no how {how!r}; there are 'scope' and 'native'")
    if how == "native" and backend != "asyncio":
        raise InvalidValue(f"native cancellation is asyncio's; on {backend} use how='scope'")
    sweep = Sweep(attempt, within, backend, dict(backend_options or {}), timeout, patience)
    with _old_objects_aside():
        report = _sweep(sweep, how, repeat)
    if report.findings:
        raise NotCancellationSafe(report)
    return report


def _sweep(sweep: Sweep, how: str, repeat: int) -> CancellationReport:
    first = sweep.run(None)
    if first.error is not None:
        raise first.error
    if first.end is End.OVERDUE:
        raise TimeoutError(
            f"the attempt did not end by itself within {sweep.timeout:g} s{waiting(first)}; "
            "cancel_everywhere needs one that does, or a longer timeout"
        )
    if first.end is End.CANCELLED:
        where = "" if first.place is None else f" at {first.place}"
        raise RuntimeError(
            f"the attempt ended cancelled{where}, though nobody had cancelled it; what comes after "
            "that was never run, and cancel_everywhere needs an attempt that comes to its end"
        )
    steps, runs, step, reached = first.steps, 1, 0, True
    while reached or step < first.steps:
        step, reached = step + 1, False
        for after in (False, True) * repeat:
            made = sweep.run(step, after=after, native=how == "native")
            runs += 1
            if made.steps >= step:
                reached, steps = True, max(steps, step)
    return CancellationReport(sweep.backend, how, steps, runs, tuple(sweep.findings))


@contextmanager
def _old_objects_aside() -> Iterator[None]:
    """Let the garbage collector, which runs after each run, look at what is new only."""
    gc.collect()
    if gc.get_freeze_count():  # somebody else's doing, and theirs to undo
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
