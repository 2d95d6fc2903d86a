"""One run: a plan is carried out, and judged by what is left of it and what came out."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel

from qrlifecycle.testing.leaks import KIT, Leaks
from qrlifecycle.testing.loop_warnings import LoopWarnings

from .acts import SECRET
from .kit import kit_peer, misbehave
from .plan import LOOPS, Interruption, Kind, Loop, Plan, draw
from .server import serving
from .subjects import Running, maker

__all__ = ["Verdict", "run"]

HANGS = 20.0
"""Seconds after which a run is given up; a heartbeat is a hundredth."""

LAST_TURNS = 100
LAST_SECONDS = 0.3
"""Turns, and then seconds, in which what was asked to end has to be gone."""

SCOPES = {Interruption.SCOPE, Interruption.DEADLINE}
NATIVE = {Interruption.NATIVE, Interruption.TWICE}


@dataclass
class Verdict:
    """What was wrong, if anything."""

    plan: Plan
    faults: list[str] = field(default_factory=list)
    came_out: list[str] = field(default_factory=list)
    """How it ended, in words."""
    of_uvloop: int = 0
    """Complaints that are uvloop's own."""

    def __str__(self) -> str:
        again = f"python -m tests.hostile --runs 1 --seed {self.plan.seed}"
        return "\n  ".join([str(self.plan), *self.faults, f"again: {again}"])


class Lines(logging.Handler):
    """Every line of the library's log in this run."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.texts.append(record.getMessage())


def descriptors() -> dict[str, str]:
    """This process's descriptors, and what each is of."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except OSError:  # the listing's own
            continue
    return found


@cache
def warm_up() -> None:
    """What a loop makes when it runs for the first time, and keeps, is nobody's."""
    for loop in LOOPS:
        anyio.run(anyio.lowlevel.checkpoint, **_backend(loop))


def run(seed: int) -> Verdict:
    """Carry out the plan of a seed; nothing is left of it afterwards."""
    warm_up()
    verdict = Verdict(draw(seed))
    before, threads, lines = descriptors(), threading.active_count(), Lines()
    logger = logging.getLogger("qrlifecycle")
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    warned = LoopWarnings()
    try:
        with warned:
            anyio.run(_live, verdict, warned, **_backend(verdict.plan.loop))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a stray cancellation is none of ours either
        verdict.faults.append(f"the run itself raised {error!r}")
    finally:
        logger.removeHandler(lines)
    faults = verdict.faults
    verdict.of_uvloop = sum(_is_uvloops_own(verdict.plan, text) for text in warned.texts)
    faults += [text for text in warned.texts if not _is_uvloops_own(verdict.plan, text)]
    faults += [f"descriptor left: {one}" for one in (descriptors().items() - before.items())]
    if threading.active_count() > threads:
        faults.append(f"threads left: {threading.enumerate()}")
    faults += [f"a secret in the log: {text}" for text in lines.texts if SECRET in text]
    return verdict


def _is_uvloops_own(plan: Plan, text: str) -> bool:
    """Whether it is about the future of a TLS handshake that nobody but uvloop ever held.

    Its `create_connection()` awaits the connection, and then the handshake. If it is cancelled in
    the first, and the socket shut, the second fails as well, and is looked at by nobody.
    """
    if not (plan.loop is Loop.UVLOOP and plan.kind is Kind.ASYNC_CLIENT and plan.tls):
        return False
    return text.startswith("Future exception was never retrieved: ConnectionResetError")


def _backend(loop: Loop) -> dict[str, Any]:
    if loop is Loop.UVLOOP:
        return {"backend": "asyncio", "backend_options": {"use_uvloop": True}}
    return {"backend": loop.value}


@asynccontextmanager
async def _peer(plan: Plan) -> AsyncIterator[int]:
    """Who misbehaves; the port is given."""
    if not plan.from_the_kit:
        async with serving(plan) as port:
            yield port
        return
    async with kit_peer(plan) as peer, anyio.create_task_group() as tasks:
        tasks.start_soon(misbehave, peer, plan, name=KIT)
        yield peer.port
        tasks.cancel_scope.cancel()


async def _live(verdict: Verdict, warned: LoopWarnings) -> None:
    plan, faults = verdict.plan, verdict.faults
    warned.watch_loop()
    with anyio.move_on_after(HANGS) as limit:
        async with _peer(plan) as port:
            leaks = Leaks(servers={port})
            running = Running(plan, maker(plan, port))
            await _interrupted(running)
            faults += running.faults
            verdict.came_out = running.came_out
            faults += [f"left: {one}" for one in await _left(leaks)]
            faults += [f"a secret: {text}" for text in _texts(running) if SECRET in text]
    if limit.cancelled_caught:
        faults.append(f"it did not end within {HANGS:g} s")


async def _left(leaks: Leaks) -> list[str]:
    """What is left after some turns."""
    for _ in range(LAST_TURNS):
        if not leaks.all():
            return []
        await anyio.lowlevel.checkpoint()
    await anyio.sleep(LAST_SECONDS)
    return leaks.all()


def _texts(running: Running) -> list[str]:
    """Every text of what came out, of what it came from, and of its pickle."""
    found: list[str] = []
    seen: set[int] = set()
    errors: list[BaseException | None] = [*running.errors]
    while errors:
        if (error := errors.pop()) is None or id(error) in seen:
            continue
        seen.add(id(error))
        found += [str(error), repr(error)]
        errors += [error.__cause__, error.__context__]
    found += [
        repr(pickle.dumps(error)) for error in running.errors if "qr" in type(error).__module__
    ]
    found += [repr(running.transport), repr(running.lifecycle)]
    return found


async def _interrupted(running: Running) -> None:
    """Run it, and interrupt it as its plan says."""
    plan = running.plan
    native = plan.interruption in NATIVE and plan.loop is not Loop.TRIO
    if native:
        await _cancel_natively(running)
        return
    limit = plan.seconds + 0.02 if plan.interruption is Interruption.DEADLINE else None
    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(limit) as scope:
            deed: Callable[[], Awaitable[object]] = running.interrupt
            if plan.interruption in SCOPES | NATIVE:
                deed = _canceller(scope)
            if plan.interruption not in {Interruption.NONE, Interruption.DEADLINE}:
                tasks.start_soon(_later, plan, deed, name=KIT)
            await running.run()
        tasks.cancel_scope.cancel()


def _canceller(scope: anyio.CancelScope) -> Callable[[], Awaitable[None]]:
    async def cancel() -> None:
        scope.cancel()

    return cancel


async def _later(plan: Plan, deed: Callable[[], Awaitable[object]]) -> None:
    """After the plan's turns and seconds."""
    await anyio.sleep(plan.seconds)
    for _ in range(plan.turns):
        await anyio.lowlevel.checkpoint()
    await deed()


async def _cancel_natively(running: Running) -> None:
    """By `Task.cancel()`: what it does must come out."""
    plan = running.plan
    task = asyncio.create_task(running.run())
    told = False

    async def cancel() -> None:
        nonlocal told
        told = task.cancel()
        if plan.interruption is Interruption.TWICE:
            for _ in range(plan.again):
                await anyio.lowlevel.checkpoint()
            task.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_later, plan, cancel, name=KIT)
        await asyncio.wait({task})
        tasks.cancel_scope.cancel()
    if not task.cancelled():
        task.result()
        if told:
            running.faults.append("a cancellation did not come out")
