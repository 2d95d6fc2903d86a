"""One crowd over one shared socket, in a process of its own: displayed, left alone, told, broken.

Run as ``python -m tests.benchmarks.shared.crowd COUNT SUCCESSES IDLE READS URGENT SELDOM``, where
READS and URGENT are 0 or 1. It prints one line of JSON: the rows of the table.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from qrlifecycle import Connected, Paired, Policy, QRCode, QRLifecycle
from qrlifecycle.transports.shared import SharedSocket, SocketIOFeed
from qrlifecycle.transports.shared.member import Member

from ..affinity import keep_apart
from ..crowds.crowd import resident
from ..crowds.limits import urgent
from ..dashboard.study import percentile
from ..dashboard.tables import number
from ..processes import line_of, running
from ..seldom import collect_seldom

POLICY = Policy(attempt_timeout=3600, open_timeout=60)
"""Nobody's time is to run out while others open."""

AT_ONCE = 20
"""How many begin at a time."""

RATE = 200.0
"""Successes a second, of those whose time is taken."""

SEES_AN_END = 10.0
"""Seconds after which a socket that the service still has is one that was left open."""


class Counting(SharedSocket):
    """A shared socket that counts who has come to listen."""

    listening = 0

    async def enter(self, member: Member) -> None:
        """As ever, and it is counted."""
        await super().enter(member)
        self.listening += 1


class Warnings(logging.Handler):
    """Counts lines."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        """One more."""
        self.lines += 1


@dataclass
class Figures:
    """What was measured of one crowd; times in seconds unless said otherwise."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, title: str, value: float | str) -> None:
        """One more figure, and the load beside it."""
        text = value if isinstance(value, str) else number(value)
        self.rows.append((title, text, f"{os.getloadavg()[0]:.1f}"))


class Crowd:
    """Lifecycles that display a code each, and are told of a success each.

    Args:
        count: how many.
        shared: what they share.
        reads: whether each has a ``check_status``.
    """

    def __init__(self, count: int, shared: Counting, *, reads: bool) -> None:
        self.count = count
        self.shared = shared
        self.reads: list[float] | None = [] if reads else None
        self.latencies: list[float] = []
        """Milliseconds from the service's word to `pair()` having returned."""
        self.worked: list[float] = []
        """Milliseconds of this thread's CPU from the message's being read to the same."""
        self._news = anyio.Event()
        self.ended = 0
        self._shown = anyio.Semaphore(0)

    async def begin(self, tasks: TaskGroup) -> None:
        """Have each show its code."""
        for first in range(0, self.count, AT_ONCE):
            some = range(first, min(first + AT_ONCE, self.count))
            for one in some:
                tasks.start_soon(self._pair, one)
            for _ in some:
                await self._shown.acquire()

    async def _pair(self, one: int) -> None:
        lifecycle = QRLifecycle(
            request_qr,
            partial(self.shared.member, f"user-{one}"),
            check_status=None if self.reads is None else self._check_status,
            policy=POLICY,
            on_qr_updated=self._note_shown,
        )
        outcome = await lifecycle.pair()
        assert isinstance(outcome, Connected), outcome
        self.ended += 1
        told: Any = outcome.data
        self.latencies.append((time.monotonic() - told["at"]) * 1e3)
        self.worked.append((time.thread_time() - told["cpu"]) * 1e3)
        news, self._news = self._news, anyio.Event()
        news.set()

    async def until_another(self) -> None:
        """Wait until one has ended."""
        await self._news.wait()

    def _note_shown(self, _qr: QRCode) -> None:
        self._shown.release()

    async def _check_status(self) -> Paired | None:
        assert self.reads is not None
        self.reads.append(time.monotonic())
        return None


async def request_qr() -> QRCode:
    """A service that answers at once: what is measured is the socket."""
    return QRCode("a code", expires_in=3600)


def read_linked(said: Any) -> Paired:
    """What the service's one message means; it is noted how much this thread had done by then."""
    return Paired(said["me"], {**said, "cpu": time.thread_time()})


async def until(happened: Callable[[], bool]) -> float:
    """Wait for it; how many seconds."""
    began = time.monotonic()
    while not happened():  # noqa: ASYNC110 - what is waited for is not to cost anything itself
        await anyio.sleep(0.02)
    return time.monotonic() - began


class Told:
    """The service's process, as it is told what to do."""

    def __init__(self, stdin: IO[str], line: Callable[[], str]) -> None:
        self._stdin = stdin
        self._line = line

    async def __call__(self, do: str, **more: float) -> dict[str, int]:
        """Have it do something, and wait until it is done."""
        self._stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._stdin.flush()
        answer: dict[str, int] = json.loads(await anyio.to_thread.run_sync(self._line))
        return answer


async def measure(count: int, taken: int, idle: float, reads: bool, urgently: bool) -> Figures:
    """One crowd, with a service of its own."""
    figures, warnings = Figures(), Warnings()
    logging.getLogger("qrlifecycle").addHandler(warnings)
    with running(f"{__package__}.server") as process:
        url = line_of(process)
        assert process.stdin is not None
        keep_apart(os.getpid(), process.pid)
        service = Told(process.stdin, partial(line_of, process))
        feed = partial(SocketIOFeed, url, owner=["session"], signals={"linked": read_linked})
        async with Counting(feed) as shared:
            await _warm_up(shared, service)
            crowd = Crowd(count, shared, reads=reads)
            async with anyio.create_task_group() as tasks:
                await _display(figures, crowd, tasks)
                await _leave_alone(figures, idle)
                with urgent(os.getpid(), process.pid) if urgently else nullcontext():
                    await _succeed(figures, crowd, service, taken)
                await _succeed_alone(figures, crowd, service, taken)
                await _break(figures, crowd, service)
                await _succeed_at_once(figures, crowd, service)
        counted = await _until_empty(service)
    figures.add("sockets at the service: openings, most at once, in the end",
                f"{counted['accepted'] - 1}, {counted['most']}, {counted['now']}")  # fmt: skip
    figures.add("lines at WARNING", warnings.lines)
    logging.getLogger("qrlifecycle").removeHandler(warnings)
    return figures


async def _warm_up(shared: Counting, service: Told) -> None:
    """What is thrown away: imports, caches and pools are nobody's cost."""
    crowd = Crowd(100, shared, reads=True)
    async with anyio.create_task_group() as tasks:
        await crowd.begin(tasks)
        await service("tell", first=0, count=100, rate=1000)
    await until(lambda: not shared.is_open)
    await _until_empty(service)
    shared.listening = 0
    gc.collect()


async def _until_empty(service: Told) -> dict[str, int]:
    """Wait until the service has seen each socket's end, which it may see late; what it counted."""
    counted = await service("count")
    with anyio.move_on_after(SEES_AN_END):
        while counted["now"]:
            await anyio.sleep(0.02)
            counted = await service("count")
    return counted


async def _display(figures: Figures, crowd: Crowd, tasks: TaskGroup) -> None:
    memory, cpu, began = resident(), time.process_time(), time.monotonic()
    await crowd.begin(tasks)
    figures.add("until all are displayed, s", time.monotonic() - began)
    figures.add("... displaying, CPU us each", (time.process_time() - cpu) / crowd.count * 1e6)
    await anyio.sleep(0.5)
    gc.collect()
    figures.add("memory each, kB", (resident() - memory) / crowd.count / 1024)


async def _leave_alone(figures: Figures, idle: float) -> None:
    cpu = time.process_time()
    await anyio.sleep(idle)
    figures.add("idle, CPU %", (time.process_time() - cpu) / idle * 100)


async def _succeed(figures: Figures, crowd: Crowd, service: Told, taken: int) -> None:
    """So many a second, each timed."""
    gc.collect()
    cpu = time.process_time()
    await service("tell", first=0, count=taken, rate=RATE)
    await until(lambda: crowd.ended == taken)
    figures.add("a success, CPU us", (time.process_time() - cpu) / taken * 1e6)
    title = f"success at {RATE:g} a second: median, p99, longest, ms"
    figures.add(title, _spread_of(crowd.latencies))


async def _succeed_alone(figures: Figures, crowd: Crowd, service: Told, taken: int) -> None:
    """As many more, one when the one before has ended: only its own work is in its time."""
    gc.collect()
    crowd.worked.clear()
    for one in range(taken):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(crowd.until_another)
            await service("tell", first=taken + one, count=1, rate=RATE)
    figures.add("... CPU from message to outcome, one alone, ms", _spread_of(crowd.worked))


def _spread_of(values: list[float]) -> str:
    values.sort()
    return ", ".join(number(percentile(values, one)) for one in (50, 99, 100))


async def _break(figures: Figures, crowd: Crowd, service: Told) -> None:
    """The socket breaks: all come back, over one opening."""
    shared, left = crowd.shared, crowd.count - crowd.ended
    openings, target, cpu = shared.openings, shared.listening + left, time.process_time()
    if crowd.reads is not None:
        crowd.reads.clear()
    began = time.monotonic()
    await service("drop")
    await until(lambda: shared.openings > openings and shared.members == left)
    heard = time.monotonic() - began
    await until(lambda: shared.listening >= target)
    figures.add("after a break: all hear again after, s", heard)
    figures.add("... and all listen, one after another, after, s", time.monotonic() - began)
    figures.add("... coming back, CPU us each", (time.process_time() - cpu) / left * 1e6)
    figures.add("... openings", shared.openings - openings)
    if (reads := crowd.reads) is not None:
        await until(lambda: len(reads) >= left)
        busiest = max(sum(t <= one < t + 0.1 for one in reads[n : n + left])
                      for n, t in enumerate(reads) if n % 50 == 0)  # fmt: skip
        figures.add("... reads of the status in the busiest 0.1 s", busiest)


async def _succeed_at_once(figures: Figures, crowd: Crowd, service: Told) -> None:
    """All that are left, as fast as the service can say it."""
    first, left = crowd.ended, crowd.count - crowd.ended
    cpu, began = time.process_time(), time.monotonic()
    await service("tell", first=first, count=left, rate=1e6)
    await until(lambda: crowd.ended == crowd.count)
    figures.add("all others succeed at once: successes a second", left / (time.monotonic() - began))
    figures.add("... a success of these, CPU us", (time.process_time() - cpu) / left * 1e6)


def main() -> None:
    """Measure one crowd."""
    count, taken, idle, reads, urgently, seldom = sys.argv[1:]
    collect_seldom(int(seldom))
    given = int(count), int(taken), float(idle), reads == "1", urgently == "1"
    figures = anyio.run(measure, *given)
    print(json.dumps(figures.rows), flush=True)


if __name__ == "__main__":
    main()
