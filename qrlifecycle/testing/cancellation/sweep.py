"""One run of an attempt after another, each on a fresh event loop, and what each left behind."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio

from ..leaks import Leaks, own_sockets
from ..loop_warnings import LoopWarnings
from .report import Finding
from .stepping import End, SteppedRun
from .stepping_asyncio import AsyncioRun

__all__ = ["Sweep", "waiting"]

CHECK_INTERVAL = 0.005
"""Seconds between two checks of what is left."""


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
        yield f"it did not end when it was cancelled{waiting(run)}"
    elif run.delivered and run.end is End.RETURNED:
        yield "it swallowed the cancellation and returned; let the cancellation go on"
    elif run.delivered and run.end is End.RAISED:
        yield f"it raised {run.raised} in place of the cancellation; let the cancellation go on"


def waiting(run: SteppedRun) -> str:
    """Where an overdue coroutine waited, in words."""
    return "" if run.waits is None else f"; it waited at {run.waits}"


def _make_run(backend: str, step: int | None, *, after: bool, native: bool) -> SteppedRun:
    if backend == "trio":
        from .stepping_trio import TrioRun  # noqa: PLC0415 - trio need not be installed

        return TrioRun(step, after=after)
    return AsyncioRun(step, after=after, native=native)


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
