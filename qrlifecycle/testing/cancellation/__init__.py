"""Cancelling a coroutine at every step of its way, and seeing what it leaves open.

Whoever holds a socket is cancelled some day at the one await that nobody thought of. So each is
tried: the coroutine is run again and again, on an ordinary event loop with real sockets, and
cancelled right before its first step, right after it while it waits, right before its second, and
so on to its last.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar, overload

import anyio

from ...errors import InvalidValue
from ..backends import check_backend
from ..leaks import Leaks, own_sockets
from ..loop_warnings import LoopWarnings
from .program_lines import ProgramLine
from .stepping import AsyncioRun, End, SteppedRun

__all__ = ["CancellationReport", "Finding", "NotCancellationSafe", "cancel_everywhere"]

T = TypeVar("T")

CHECK_INTERVAL = 0.005
"""Seconds between two checks of what is left."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one run left behind, or did wrong."""

    step: int | None
    """The step at which the coroutine was cancelled; None: nobody cancelled it."""
    after: bool
    """Whether the step was made first, and the coroutine waited for something again."""
    place: ProgramLine | None
    """Where it was then: the innermost line that is neither Python's nor a package's; for a task
    that runs only those, where it was started."""
    troubles: tuple[str, ...]
    """In words."""

    def __str__(self) -> str:
        moment = f"cancelled right {'after' if self.after else 'before'} step {self.step}"
        cancelled = "not cancelled" if self.step is None else moment
        where = "" if self.place is None else f", {self.place}"
        return "\n  ".join([f"{cancelled}{where}", *self.troubles])


@dataclass(frozen=True, slots=True)
class CancellationReport:
    """What was tried, and what was found."""

    backend: str
    how: str
    steps: int
    """How many steps the longest run had; it was cancelled before and after each of them."""
    runs: int
    findings: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.steps} steps, {self.runs} runs on {self.backend}, cancelled by "
            f"{'a scope' if self.how == 'scope' else 'the task itself'}"
        )


class NotCancellationSafe(AssertionError):
    """A cancelled coroutine left something behind, or kept the cancellation to itself."""

    def __init__(self, report: CancellationReport) -> None:
        self.report = report
        super().__init__(report)

    def __str__(self) -> str:
        findings = self.report.findings
        return "\n".join(
            [f"{len(findings)} of {self.report.runs} runs went wrong ({self.report}):"]
            + [str(finding) for finding in findings]
        )


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
            f"the attempt did not end by itself within {sweep.timeout:g} s{_waiting(first)}; "
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


@dataclass(slots=True)
class Sweep:
    """Runs an attempt on one event loop after another, and collects the findings."""

    attempt: Callable[..., Awaitable[object]]
    within: Callable[[], AbstractAsyncContextManager[Any]] | None
    backend: str
    options: dict[str, Any]
    timeout: float
    patience: float
    findings: list[Finding] = field(default_factory=list)

    def run(self, step: int | None, *, after: bool = False, native: bool = False) -> SteppedRun:
        """Run once, cancelled at a step or not at all; note what was found."""
        left: list[str] = []
        with LoopWarnings() as warnings, _same_order(self.backend):
            run = _make_run(self.backend, step, after=after, native=native)
            anyio.run(
                self._perform,
                run,
                warnings,
                left,
                backend=self.backend,
                backend_options=self.options,
            )
        troubles = [*_misbehaviour(run), *left, *warnings.texts]
        if troubles and run.error is None:
            at = step if step is not None and run.steps >= step else None
            self.findings.append(Finding(at, after, run.place, tuple(troubles)))
        return run

    async def _perform(self, run: SteppedRun, warnings: LoopWarnings, left: list[str]) -> None:
        warnings.watch_loop()
        if self.within is None:
            await self._watch(run, self.attempt, left)
            return
        async with self.within() as given:
            await self._watch(run, partial(self.attempt, given), left)

    async def _watch(
        self, run: SteppedRun, attempt: Callable[[], Awaitable[object]], left: list[str]
    ) -> None:
        leaks = Leaks(_own_servers())
        await run.run(attempt, self.timeout)
        until = anyio.current_time() + self.patience
        # The system has to be asked: it notifies nobody.
        while (found := [*leaks.sockets(), *run.left()]) and anyio.current_time() < until:  # noqa: ASYNC110
            await anyio.sleep(CHECK_INTERVAL)
        left.extend(f"left open: {what}" for what in found)
        run.let_go(self.timeout)


def _misbehaviour(run: SteppedRun) -> Iterator[str]:
    """What a cancelled coroutine did that it should not have done."""
    if run.cancel_at is None or run.steps < run.cancel_at:
        return
    if run.end is End.OVERDUE:
        yield f"it did not end when it was cancelled{_waiting(run)}"
    elif run.delivered and run.end is End.RETURNED:
        yield "it swallowed the cancellation and returned; let the cancellation go on"
    elif run.delivered and run.end is End.RAISED:
        yield f"it raised {run.raised} in place of the cancellation; let the cancellation go on"


def _waiting(run: SteppedRun) -> str:
    """Where an overdue coroutine waited, in words."""
    return "" if run.waits is None else f"; it waited at {run.waits}"


def _make_run(backend: str, step: int | None, *, after: bool, native: bool) -> SteppedRun:
    if backend == "trio":
        from .stepping_trio import TrioRun  # noqa: PLC0415 - trio need not be installed

        return TrioRun(step, after=after)
    return AsyncioRun(step, after=after, native=native)


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


@contextmanager
def _same_order(backend: str) -> Iterator[None]:
    if backend == "trio":
        from .stepping_trio import same_dice  # noqa: PLC0415 - trio need not be installed

        with same_dice():
            yield
    else:
        yield


def _own_servers() -> set[int]:
    """The ports on which this process listens."""
    ports: set[int] = set()

    def note(made: socket.socket) -> bool:
        inet = made.family in (socket.AF_INET, socket.AF_INET6)
        if inet and made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            ports.add(made.getsockname()[1])
        return False

    own_sockets(note)
    return ports
