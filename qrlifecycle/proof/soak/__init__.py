"""Soaking: many lifecycles at a time, for as long as asked, against a server that misbehaves.

Real sockets on loopback, a real pairing server that is killed and restarted, a faulty proxy to it,
cancellations at any moment. Every lifecycle is judged, and at quiet moments the whole process: it
must be where it began. ``python -m qrlifecycle.proof.soak`` runs it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random

from ...testing.judge import Breach
from ...testing.loop_warnings import LoopWarnings
from ...testing.wording import PROMISES
from ...transports.base import Transport
from ...transports.socketio import SocketIOTransport
from .loop_lag import LoopLag
from .monitor import make_task, see_sockets
from .process_usage import ProcessUsage, resident_bytes
from .scenario import MakeTransport, Scenario
from .servers import SoakServers

__all__ = ["MakeTransport", "ProcessUsage", "Soak", "SoakReport"]

ROUND = 500
"""Lifecycles between two quiet moments."""

WARM_UP = 200
"""Lifecycles before the first quiet moment: what is made once is made in these."""

SAY = partial(print, flush=True)
"""Say a line on standard output, at once."""

PROGRESS_INTERVAL = 10.0
"""Seconds between two lines of progress."""


@dataclass(slots=True)
class SoakReport:
    """What happened."""

    seed: int
    lifecycles: int = 0
    seconds: float = 0.0
    kills: int = 0
    excused: int = 0
    """Successes that were missed while the process was starved; nobody is accused of them."""
    results: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    """Each promise that did not hold, in a sentence."""
    began: ProcessUsage | None = None
    ended: ProcessUsage | None = None

    def summary(self) -> list[str]:
        """All of it, in lines."""
        rate = self.lifecycles / max(self.seconds, 0.001)
        results = ", ".join(f"{word} {count}" for word, count in self.results.most_common())
        excused = f"not judged, for the event loop stood still: {self.excused}"
        return [
            f"{self.lifecycles} lifecycles in {self.seconds:.0f} s ({rate:.0f} a second), "
            f"server killed {self.kills} times, seed {self.seed}",
            f"outcomes: {results}",
            *([excused] if self.excused else []),
            f"began with {self.began}",
            f"ended with {self.ended}",
        ]


class Soak:
    """One soak; await `run()` once, on asyncio, in a loop of its own.

    Args:
        lifecycles: how many; `math.inf` for no limit.
        seconds: how long; `math.inf` for no limit.
        seed: the same seed draws the same plans.
        at_once: how many lifecycles run at a time.
        say: called with each line of progress.
        make_transport: what each lifecycle listens with, from a URL, a bot and a user.
    """

    def __init__(
        self,
        *,
        lifecycles: float = math.inf,
        seconds: float = math.inf,
        seed: int = 0,
        at_once: int = 40,
        say: Callable[[str], None] = SAY,
        make_transport: MakeTransport | None = None,
    ) -> None:
        self.report = SoakReport(seed)
        self._lifecycles = lifecycles
        self._seconds = seconds
        self._at_once = at_once
        self._say = say
        self._make_transport = make_transport or _make_transport
        self._begun = 0
        self._running: set[str] = set()
        self._started = time.monotonic()
        self._loop_lag = LoopLag()

    async def run(self) -> SoakReport:
        """Soak, and say what happened; after a breach nothing more is begun."""
        see_sockets()
        logger = logging.getLogger("qrlifecycle")
        contract_errors = ContractErrors(self.report.breaches)
        logger.addHandler(contract_errors)
        propagate, logger.propagate = logger.propagate, False
        asyncio.get_running_loop().set_task_factory(make_task)
        progress = asyncio.ensure_future(self._report_progress())
        self._loop_lag.start()
        try:
            with LoopWarnings() as warnings:
                warnings.watch_loop()
                await self._rounds(warnings)
        finally:
            progress.cancel()
            self._loop_lag.stop()
            logger.propagate = propagate
            logger.removeHandler(contract_errors)
            asyncio.get_running_loop().set_task_factory(None)
        self.report.seconds = time.monotonic() - self._started
        return self.report

    async def _rounds(self, warnings: LoopWarnings) -> None:
        report = self.report
        while report.began is None or self._goes_on():
            await self._round(WARM_UP if report.began is None else ROUND)
            report.ended = await ProcessUsage.take()
            report.began = report.began or report.ended
            growth = [*report.ended.growth_since(report.began), *warnings.texts]
            report.breaches += [self._sentence(Breach(8, what), "all together") for what in growth]

    async def _round(self, size: int) -> None:
        dice = self._dice(f"round {self._begun}")
        servers = SoakServers(dice, self._make_transport, self._loop_lag)
        last = self._begun + size
        await servers.open()
        try:
            workers = [self._run_scenarios(servers, last) for _ in range(self._at_once)]
            await asyncio.gather(*workers)
        finally:
            await servers.aclose()
            self.report.kills += servers.kills

    async def _run_scenarios(self, servers: SoakServers, last: int) -> None:
        """One lifecycle after another."""
        while self._begun < last and self._goes_on():
            self._begun += 1
            name = f"lifecycle {self._begun}"
            scenario = Scenario(servers, self._dice(name), f"user-{self._begun}")
            self._running.add(name)
            await scenario.run()
            self._running.discard(name)
            self.report.lifecycles += 1
            self.report.results[scenario.result] += 1
            self.report.excused += scenario.excused
            self.report.breaches += [self._sentence(breach, name) for breach in scenario.breaches]

    def _goes_on(self) -> bool:
        elapsed = time.monotonic() - self._started
        wanted = self._begun < self._lifecycles and elapsed < self._seconds
        return wanted and not self.report.breaches

    def _dice(self, name: str) -> Random:
        return Random(f"{self.report.seed}/{name}")  # noqa: S311 - no secret

    def _sentence(self, breach: Breach, who: str) -> str:
        name = PROMISES[breach.promise]
        return (
            f"Promise {breach.promise} ({name}) did not hold, seed {self.report.seed}, "
            f"{who}: {breach.text}"
        )

    async def _report_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_INTERVAL)
            elapsed = time.monotonic() - self._started
            connected = self.report.results["connected"]
            memory = resident_bytes() / 2**20
            self._say(
                f"{elapsed:4.0f} s: {self.report.lifecycles} lifecycles, {connected} connected, "
                f"{len(self._running)} at once, {memory:.0f} MiB"
            )


class ContractErrors(logging.Handler):
    """Notes what the library logs of a broken transport contract; keeps everything else quiet."""

    def __init__(self, breaches: list[str]) -> None:
        super().__init__()
        self._breaches = breaches

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what matters."""
        if record.levelno >= logging.ERROR and "contract" in record.getMessage():
            self._breaches.append(f"Promise 7 (hostile input) did not hold: {record.getMessage()}")


def _make_transport(url: str, bot_id: str, user_id: str) -> Transport:
    return SocketIOTransport(url, bot_id=bot_id, user_id=user_id, heartbeat=2.0)
