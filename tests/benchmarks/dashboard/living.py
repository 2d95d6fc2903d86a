"""Living a day: each of its moments is really done, while the time of day stands still.

Then the clock jumps to the next. So a day of eight hours takes seconds, and a time is the wait that
the day has in it plus the input and output that was really measured. The clients' book of sockets
and the server's are compared at every moment. This room must never know how a tab listens.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .day import Act, Assumptions, Day, Moment
from .process import ServerProcess
from .tab import Tab

__all__ = ["Account", "live"]

POLL_INTERVAL = 1000
"""Milliseconds between two polls of a tab that polls."""

PATIENCE = 20.0
"""Seconds that one act may really take."""

WARM_UP = Day(
    Assumptions(visits=1),
    0,
    tuple(
        Moment(at, -1, at, act)
        for at, act in enumerate(
            (Act.PAGE, Act.WIZARD, Act.CODE, Act.ROTATE, Act.SCAN, Act.SHUT, Act.LEAVE)
        )
    ),
)
"""A short visit before each day, so that no day pays for what is only ever done once."""


@dataclass(frozen=True, slots=True)
class Account:
    """What a day cost when a design lived it. Bytes are payload of TCP, as the server counts it."""

    design: str
    codes: int
    openings: int
    socket_seconds: float
    most: int
    heartbeats: int
    """Calculated: one for each whole 25 s that a socket was open. None is in the other figures."""
    log_lines: int
    socket_log_lines: int
    requests: int
    """HTTP requests, openings of WebSockets among them."""
    connections: int
    """TCP connections that the server accepted."""
    bytes_in: int
    bytes_out: int
    cpu_seconds: float
    memory_kilobytes: int
    """By which the largest resident size of the server's process grew."""
    successes: tuple[float, ...]
    """Seconds from each scan to knowing it."""
    open_sockets: tuple[tuple[int, int], ...] = field(repr=False)
    """How many sockets were open from which millisecond on."""


async def live(day: Day, design: type[Tab], patience: float = PATIENCE) -> Account:
    """Have a design live a day against a server of its own.

    Args:
        day: the day.
        design: the design.
        patience: seconds after which a socket that should be there, or gone, is missed.

    Raises:
        RuntimeError: the clients' book and the server's differ, or a socket is left.
    """
    async with ServerProcess(patience) as server:
        await _Life(WARM_UP, design, server).live()
        await server.ask("begin")
        life = _Life(day, design, server)
        await life.live()
        report = await server.ask("report")
        return life.account(report)


class _Life:
    def __init__(self, day: Day, design: type[Tab], server: ServerProcess) -> None:
        self._day = day
        self._design = design
        self._server = server
        self._tabs: dict[int, Tab] = {}
        self._now = 0
        self._socket_milliseconds: Counter[int] = Counter()
        self._polls: list[tuple[int, int]] = []
        self._polling: set[int] = set()
        self._scans: dict[int, int] = {}
        self._successes: list[float] = []
        self._open_sockets: list[tuple[int, int]] = []

    async def live(self) -> None:
        """From the first moment to the last; nothing is left, even if the day is broken off."""
        try:
            for moment in self._day.moments:
                await self._poll_until(moment.at)
                await self._set_clock(moment.at)
                async with asyncio.timeout(PATIENCE):
                    await self._act(moment)
                self._note(moment)
            await self._set_clock(self._now)
        finally:
            for tab in self._tabs.values():
                await tab.leave()

    def account(self, report: dict[str, Any]) -> Account:
        """Both books, which must agree."""
        ours, theirs = self._socket_milliseconds.total(), report.pop("socket_milliseconds")
        if report.pop("open") or ours != theirs:
            raise RuntimeError(f"the clients held sockets for {ours} ms, the server for {theirs}")
        if self._design.listens and len(self._successes) != self._day.count(Act.SCAN):
            raise RuntimeError("a scan was not heard of")
        return Account(
            design=self._design.name,
            codes=self._day.count(Act.CODE),
            socket_seconds=theirs / 1000,
            successes=tuple(self._successes),
            open_sockets=tuple(self._open_sockets),
            **report,
        )

    # The clock

    async def _set_clock(self, at: int) -> None:
        held = {visit: tab.sockets for visit, tab in self._tabs.items()}
        await self._server.ask("clock", at=at, open=sum(held.values()))
        for visit, count in held.items():
            self._socket_milliseconds[visit] += count * (at - self._now)
        self._now = at

    def _note(self, moment: Moment) -> None:
        """Remember how many sockets are open, and begin to poll where a tab does."""
        count = sum(tab.sockets for tab in self._tabs.values())
        if not self._open_sockets or self._open_sockets[-1][1] != count:
            self._open_sockets.append((moment.at, count))
        tab = self._tabs.get(moment.visit)
        if tab is not None and tab.polls and moment.visit not in self._polling:
            self._polling.add(moment.visit)
            heapq.heappush(self._polls, (moment.at + POLL_INTERVAL, moment.visit))

    async def _poll_until(self, at: int) -> None:
        while self._polls and self._polls[0][0] <= at:
            due, visit = heapq.heappop(self._polls)
            tab = self._tabs.get(visit)
            if tab is None or not tab.polls:
                self._polling.discard(visit)
                continue
            began = time.monotonic()
            if await tab.poll():
                waited = (due - self._scans.pop(visit)) / 1000
                self._successes.append(waited + time.monotonic() - began)
            heapq.heappush(self._polls, (due + POLL_INTERVAL, visit))

    # What happens

    async def _act(self, moment: Moment) -> None:
        visit, act = moment.visit, moment.act
        if visit not in self._tabs:
            self._tabs[visit] = self._design(self._server.url, f"user-{visit}")
        tab = self._tabs[visit]
        match act:
            case Act.PAGE:
                await tab.load_page()
            case Act.WIZARD:
                await tab.open_wizard()
            case Act.CODE:
                await self._server.ask("unlink", owner=tab.owner)
                await tab.show_code()
            case Act.GIVE_UP:
                await tab.hide_code()
            case Act.SHUT:
                await tab.close_wizard()
            case Act.LEAVE:
                await self._tabs.pop(visit).leave()
            case _:
                await self._happen_to_code(visit, tab, act)

    async def _happen_to_code(self, visit: int, tab: Tab, act: Act) -> None:
        match act:
            case Act.ROTATE:
                await self._server.ask("rotate", owner=tab.owner)
                await tab.see_new_code()
            case Act.EXPIRE:
                await self._server.ask("expire", owner=tab.owner)
                await tab.see_expiry()
            case Act.SCAN:
                await self._scan(visit, tab)

    async def _scan(self, visit: int, tab: Tab) -> None:
        scan = await self._server.ask("scan", owner=tab.owner)
        if not scan["good"]:
            raise RuntimeError("the code was good no more when the phone scanned it")
        known = await tab.see_success()
        if known is not None:
            self._successes.append(known - scan["at"])
        else:
            self._scans[visit] = self._now
