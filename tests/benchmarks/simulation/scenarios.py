"""What happens to a crowd of leases, and the figures of it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import cycle

import anyio
from anyio import current_time

from .server import ServiceTimes
from .world import Code, Process, World

__all__ = ["SCENARIOS", "Crowd", "Figures", "at", "figures_of"]

QUIET = 60.0
"""Seconds that nothing happens for."""

AWAY = 1.0
"""Seconds that a keeper needs to be there again."""

RELOAD = 3.0
"""Seconds within which those whose process is gone come again, by themselves or by a person."""

STAY = 5.0
"""Seconds for which a code is displayed in the rush, until it is scanned or closed."""

RUSH = 10.0
"""Seconds that they come for; what is counted is the second half, when as many go as come."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many, and how a keeper and its leases are."""

    processes: int
    leases: int
    """Of each process."""
    ttl: float = 15.0
    rate: float = 1000.0
    """Codes a second, in the rush."""
    replaced: int = 3
    """Processes that end in the deploy, one after another."""
    times: ServiceTimes = field(default_factory=ServiceTimes)


@dataclass(slots=True)
class Figures:
    """What came of one: the times in seconds."""

    seconds: float = 0.0
    """How long it took, or was looked at for."""
    lapsed: int = 0
    overlaps: int = 0
    older: int = 0
    commands: int = 0
    busy: float = 0.0
    longest_queue: float = 0.0
    begun: int = 0
    """Scripts that said leases again."""
    waits: list[float] = field(default_factory=list)
    """Of each code, until it had its lease."""
    displayed: int = 0
    """Codes in the end."""
    replaced: int = 1
    """Processes that ended, one after another."""

    @property
    def share(self) -> float:
        """Of the keeper's time."""
        return self.busy / self.seconds


def at(waits: list[float], share: float) -> float:
    """The wait that this share of them does not exceed."""
    return sorted(waits)[min(len(waits) - 1, int(share * len(waits)))] if waits else 0.0


def figures_of(world: World, began: float, waits: list[float] | None = None) -> Figures:
    """What there is to tell, by now.

    Raises:
        Exception: the simulated keeper is at fault.
    """
    judge, server = world.judge, world.server
    if server.fault is not None:
        raise server.fault
    return Figures(
        seconds=current_time() - began,
        lapsed=judge.lapsed,
        overlaps=judge.overlaps,
        older=judge.older,
        commands=server.commands.total(),
        busy=server.busy,
        longest_queue=server.longest_queue,
        begun=server.commands["begin"],
        waits=waits or [],
        displayed=len(judge.open),
    )


async def quiet(crowd: Crowd) -> Figures:
    """Nothing happens for a minute."""
    async with World(crowd.times, crowd.ttl).running(crowd.processes, crowd.leases) as world:
        began = current_time()
        await anyio.sleep(QUIET)
        return figures_of(world, began)


async def restart(crowd: Crowd) -> Figures:
    """The keeper is killed, and is back in a second, empty: until it knows of every lease again.

    It is looked at for one time to live more: what was said too late has lapsed by then.
    """
    async with World(crowd.times, crowd.ttl).running(crowd.processes, crowd.leases) as world:
        began, known = current_time(), world.known()
        await world.server.restart_empty(AWAY)
        while current_time() < began + 4 * crowd.ttl:
            if world.known() >= known and world.all_good():
                break
            await anyio.sleep(0.05)
        figures = figures_of(world, began)
        await anyio.sleep(crowd.ttl)
        later = figures_of(world, began)
        return replace(
            figures, lapsed=later.lapsed, overlaps=later.overlaps, displayed=later.displayed
        )


async def killed(crowd: Crowd) -> Figures:
    """A process is killed, and each of its users comes again, to one of the others."""
    async with World(crowd.times, crowd.ttl).running(crowd.processes, crowd.leases) as world:
        began, victim = current_time(), world.processes.pop(0)
        users = [code.user for code in world.judge.open.values() if code.process is victim]
        victim.kill()
        waits = await _come(world, users, RELOAD)
        return figures_of(world, began, waits)


async def deploy(crowd: Crowd) -> Figures:
    """A process after another ends, and a new one begins in its place.

    Its users come again as soon as it is ending, to any other process. The next one ends when they
    are all there.
    """
    async with World(crowd.times, crowd.ttl).running(crowd.processes, crowd.leases) as world:
        began, waits = current_time(), list[float]()
        for number in range(crowd.replaced):
            one = world.processes.pop(0)
            users = [code.user for code in world.judge.open.values() if code.process is one]
            world.begin(Process(world, crowd.processes + number))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one.end)
                waits += await _come(world, users, RELOAD)
        return replace(figures_of(world, began, waits), replaced=crowd.replaced)


async def rush(crowd: Crowd) -> Figures:
    """Codes come at a rate, are displayed for a while, and go."""
    async with World(crowd.times, crowd.ttl).running(crowd.processes) as world:
        waits, lottery, figures = list[float](), random.Random(0), Figures()
        count = int(crowd.rate * RUSH)
        processes = cycle(world.processes)
        began = current_time() + RUSH / 2
        async with anyio.create_task_group() as tasks:
            for user in range(count):
                if user == count // 2:
                    world.server.reset()
                    waits.clear()
                tasks.start_soon(_visit, next(processes), f"user-{user}", waits)
                await anyio.sleep(lottery.expovariate(crowd.rate))
            figures = figures_of(world, began, list(waits))
            tasks.cancel_scope.cancel()
        return figures


async def _visit(process: Process, user: str, waits: list[float]) -> None:
    code, came = Code(process, user), current_time()
    await code.display()
    waits.append(current_time() - came)
    await anyio.sleep(STAY)
    code.end()


async def _come(world: World, users: list[str], within: float) -> list[float]:
    """Each of these users comes to some process, and has a code in the end; how long it took."""
    waits, lottery = list[float](), random.Random(len(users))

    async def come(process: Process, user: str) -> None:
        came = current_time()
        if await Code(process, user).display():
            waits.append(current_time() - came)

    processes = cycle(world.processes)
    async with anyio.create_task_group() as tasks:
        for user in users:
            tasks.start_soon(come, next(processes), user)
            await anyio.sleep(lottery.uniform(0, 2 * within / len(users)))
    return waits


SCENARIOS: dict[str, Callable[[Crowd], Awaitable[Figures]]] = {
    "quiet": quiet, "restart": restart, "killed": killed, "deploy": deploy, "rush": rush,
}  # fmt: skip
"""By name."""
