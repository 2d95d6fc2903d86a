"""What one Redis has to do for the leases of many processes, past what one machine can hold.

The processes are of the keeper's side alone: each says what a process with so many leases says,
over connections of its own, by the library's own `Keeper` and scripts; all from this process, whose
own lateness is in the figures. Nobody displays anything. Redis is real, and on loopback.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import anyio
import redis.asyncio

from qrlifecycle.errors import LeaseLost
from qrlifecycle.leases.redis import keeper as keepers
from qrlifecycle.leases.redis.client import client_for
from qrlifecycle.leases.redis.keeper import Keeper, Times

from ..leases.redis_server import MISSING, RedisServer
from .dashboard.tables import Table, number
from .page import fill_page, this_machine

TIMES = Times(ttl=15, renew_every=3, timeout=1, drift=0.01, slack=0.25, close_within=1)
"""As `RedisLeases` has them unless told otherwise."""

AGAIN = 0.2
"""Seconds after which a session that could not be begun is begun anew, as in the library."""

ROUNDS = 10
"""Renewals of each process in what is measured of a quiet hour."""


@dataclass(slots=True)
class Process:
    """One of many, and how it fared."""

    keeper: Keeper
    number: int
    leases: int
    given_up: int = 0
    took: float = 0.0

    def held(self) -> Iterator[tuple[str, str, int]]:
        """What it holds."""
        first = self.number * self.leases
        for one in range(first, first + self.leases):
            yield json.dumps(["bot-7", f"user-{one}"]), f"{one:016x}", one + 1

    async def say_again(self) -> None:
        """As it does when the keeper has forgotten everything, until it is heard."""
        began = time.monotonic()
        while time.monotonic() - began < 4 * TIMES.ttl:
            try:
                await self.keeper.begin(f"s{self.number}-{self.given_up}", [*self.held()])
                break
            except LeaseLost:
                self.given_up += 1
                await anyio.sleep(AGAIN)
        self.took = time.monotonic() - began

    async def renew(self) -> None:
        """Once."""
        await self.keeper.renew(f"s{self.number}-{self.given_up}")


async def measure(count: int, leases: int) -> list[tuple[str, str]]:
    """What is measured, and its figure."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(RedisServer())
        processes = [Process(await _keeper(stack, server, n), n, leases) for n in range(count)]
        await _all(processes, Process.say_again)
        longest = max(one.took for one in processes)
        busy = _busy(server)
        given_up = sum(one.given_up for one in processes)
        memory = server.admin.info("memory")["used_memory"] / count / leases
        server.admin.config_resetstat()
        for _ in range(ROUNDS):
            await _all(processes, Process.renew)
        renewal = _busy(server) / ROUNDS / count
    each = count / TIMES.renew_every
    return [
        ("all have said theirs again after, s", number(longest)),
        ("... of which Redis was busy, s", number(busy)),
        ("... beginnings given up", number(given_up)),
        ("... they have, s", number(TIMES.kept - TIMES.renew_every)),
        ("in a quiet hour: renewals a second", number(each)),
        ("... share of Redis's time", f"{renewal * each * 100:.2f} %"),
        ("Redis's memory, B a lease", number(memory)),
    ]


async def _keeper(stack: AsyncExitStack, server: RedisServer, process: int) -> Keeper:
    client = redis.asyncio.Redis(port=server.port)
    stack.push_async_callback(client.aclose)
    keeper = Keeper(client_for(client), TIMES, "{qrl}:", f"{process:016x}", "machine")
    await stack.enter_async_context(keeper.connected())
    return keeper


async def _all(processes: Sequence[Process], do: Any) -> None:
    async with anyio.create_task_group() as tasks:
        for one in processes:
            tasks.start_soon(do, one)


def _busy(server: RedisServer) -> float:
    """Seconds that Redis was at work on scripts since this was reset, or it was started."""
    said = server.admin.info("commandstats")
    scripts = [said[one] for one in ("cmdstat_evalsha", "cmdstat_eval") if one in said]
    return float(sum(one["usec"] for one in scripts)) / 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.keeper", description=__doc__)
    parser.add_argument("--processes", type=int, default=100)
    parser.add_argument("--leases", type=int, default=10_000, help="of each process")
    parser.add_argument("--at-once", type=int, help="leases said in one script; the library's")
    parser.add_argument("--docs", action="store_true", help="fill docs/measured.md")
    given = parser.parse_args(arguments)
    if MISSING:
        parser.error("there is no redis-server here, nor a valkey-server")
    if given.at_once:
        keepers.SAID_AT_ONCE = given.at_once
    machine = this_machine()
    head = (f"{given.processes:,} processes with {given.leases:,} leases each", "")
    table = Table("The keeper", head, tuple(anyio.run(measure, given.processes, given.leases)))
    print(f"{table.plain()}\n{machine}")
    if given.docs:
        command = f".venv/bin/python -m tests.benchmarks.keeper --processes {given.processes}"
        where = f"`{command} --leases {given.leases}`, on {machine}.\n"
        fill_page({"keeper": f"{table.markdown()}\n{where}"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
