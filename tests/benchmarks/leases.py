"""What a lease costs: `pair()` without one, with a local one, with one of Redis; and holding many.

The three take turns, round by round. The code has succeeded by the time it is shown, so that little
but the lease is measured. Redis is real, and on loopback.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from functools import partial

import anyio

from qrlifecycle import NoTransport, Paired, Policy, QRCode, QRLifecycle
from qrlifecycle.leases import LeaseFactory, Leases, LocalLeases, RedisLeases

from ..leases.clients import over_coredis, over_redis_py
from ..leases.redis_server import MISSING, RedisServer
from .dashboard.tables import Table, number
from .page import fill_page, this_machine

CLIENTS = {"coredis": over_coredis, "redis-py": over_redis_py}

PAUSE = 0.01
"""Seconds between two lifecycles: the one's lease is not given back in the other's time."""

POLICY = Policy(status_interval=5)


async def request_qr() -> QRCode:
    """A service that answers at once."""
    return QRCode("a code", expires_in=60)


async def check_status() -> Paired:
    """The phone was faster."""
    return Paired("a phone")


async def pair(lease: LeaseFactory | None) -> float:
    """Milliseconds of one lifecycle."""
    began = time.perf_counter()
    lifecycle = QRLifecycle(
        request_qr, NoTransport, check_status=check_status, policy=POLICY, lease=lease
    )
    (await lifecycle.pair()).raise_for_failure()
    return (time.perf_counter() - began) * 1e3


async def pairs(leases: RedisLeases, rounds: int) -> list[tuple[str, str]]:
    """The medians, and what they are above the first."""
    local = LocalLeases()
    factories: dict[str, LeaseFactory | None] = {
        "no lease": None,
        "`LocalLeases`": partial(local.lease, "bot", "user"),
        "`RedisLeases`": partial(leases.lease, "bot", "user"),
    }
    took: dict[str, list[float]] = {name: [] for name in factories}
    for _ in range(rounds):
        for name, lease in factories.items():
            took[name].append(await pair(lease))
            await anyio.sleep(PAUSE)
    medians = {name: statistics.median(times) for name, times in took.items()}
    least = medians["no lease"]
    return [
        (f"`pair()`, {name}, median ms", f"{median:.2f} (+{max(0.0, median - least):.2f})")
        for name, median in medians.items()
    ]


async def idle(
    server: RedisServer, leases: Leases, count: int, seconds: float
) -> list[tuple[str, str]]:
    """What it costs to hold many, and do nothing."""
    empty = server.admin.info("memory")["used_memory"]
    held = [leases.lease("bot", f"user-{one}") for one in range(count)]
    async with anyio.create_task_group() as tasks:
        for lease in held:
            tasks.start_soon(lease.acquire, _lost, 1.0)
    await anyio.sleep(1)  # until all are confirmed
    memory = server.admin.info("memory")["used_memory"] - empty
    before, cpu = _commands(server), time.process_time()
    await anyio.sleep(seconds)
    commands, cpu = _commands(server) - before, time.process_time() - cpu
    for lease in held:
        lease.release()
    return [
        (f"{count:,} leases held: calls to Redis a second", number(commands / seconds)),
        ("... CPU of the process", f"{cpu / seconds * 100:.2f} %"),
        ("... Redis's memory, B a lease", number(memory / count)),
    ]


def _lost(error: Exception) -> None:
    raise error


def _commands(server: RedisServer) -> int:
    """Calls of scripts: each is one request."""
    return int(server.admin.info("commandstats")["cmdstat_evalsha"]["calls"])


async def measure(client: str, rounds: int, count: int, seconds: float) -> list[tuple[str, str]]:
    """All of it, over one client."""
    with RedisServer() as server:
        server.end_grace()
        over = CLIENTS[client](server.port)
        async with over as connected, RedisLeases(connected) as leases:
            rows = await pairs(leases, rounds)
            return rows + await idle(server, leases, count, seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.leases", description=__doc__)
    parser.add_argument("--client", choices=list(CLIENTS), default="coredis")
    parser.add_argument("--rounds", type=int, default=300, help="of pair()")
    parser.add_argument("--held", type=int, default=10_000, help="leases that are held")
    parser.add_argument("--idle", type=float, default=30, metavar="S", help="seconds of nothing")
    parser.add_argument("--docs", action="store_true", help="fill docs/measured.md")
    given = parser.parse_args(arguments)
    if MISSING:
        parser.error("there is no redis-server here, nor a valkey-server")
    machine = this_machine()
    rows = anyio.run(measure, given.client, given.rounds, given.held, given.idle)
    table = Table("Leases", (f"over {given.client}", ""), tuple(rows))
    print(f"{table.plain()}\n{machine}")
    if given.docs:
        command = f".venv/bin/python -m tests.benchmarks.leases --client {given.client}"
        command += f" --idle {given.idle:g}"
        fill_page({"leases": f"{table.markdown()}\n`{command}`, on {machine}.\n"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
