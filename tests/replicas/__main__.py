"""Replicas of a program under leases, as real processes: has a user two sockets, and when.

Each row has a Redis of its own on loopback, a server that records every socket with its lease's
token, and processes of the library, which are killed, frozen and cut off. It says what it demands,
and whether that was met; the exit code is 1 if something was not. Everything that it starts it
stops, also when it is interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

import anyio

from ..benchmarks.dashboard.tables import Table
from ..benchmarks.page import fill_page, this_machine
from ..leases.redis_server import MISSING
from .rows import ROWS, Result, play
from .stage import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the rows, print them, write them."""
    given = _parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    settings = Settings(given.users, given.processes, given.client, given.ttl)
    machine = this_machine()
    try:
        results = anyio.run(_play_all, given.only or list(ROWS), settings)
    except KeyboardInterrupt:
        print("interrupted; everything is stopped", file=sys.stderr)
        return 130
    if given.docs:
        command = " ".join([".venv/bin/python -m tests.replicas", *(arguments or sys.argv[1:])])
        fill_page({"replicas": markdown(results, command.replace(" --docs", ""), machine)})
    return 0 if all(result.met for result in results) else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.replicas", description=__doc__)
    parser.add_argument("--users", type=int, default=1000, help="of the crowd; a tenth elsewhere")
    parser.add_argument("--processes", type=int, default=4, help="of the crowd")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), metavar="ROW", help=str([*ROWS]))
    parser.add_argument("--client", choices=["coredis", "redis-py"], default="coredis")
    parser.add_argument("--ttl", type=float, default=10.0, help="seconds (10; the crowd's is 15)")
    parser.add_argument("--docs", action="store_true", help="fill docs/measured.md")
    given = parser.parse_args(arguments)
    if given.users < 20 or given.processes < 2:
        parser.error("at least 20 users and 2 processes")
    if MISSING:
        parser.error("there is no redis-server here, nor a valkey-server")
    return given


async def _play_all(names: Sequence[str], settings: Settings) -> list[Result]:
    results = []
    for name in names:
        result = await play(name, settings)
        print(plain(result), flush=True)
        results.append(result)
    return results


def plain(result: Result) -> str:
    """For a terminal."""
    lines = [f"{result.row}: {'; '.join(result.figures)}"]
    lines += [f"  {'met' if one.met else 'NOT MET'}: {one.what}" for one in result.demands]
    return "\n".join(lines)


def markdown(results: Sequence[Result], command: str, machine: str) -> str:
    """For the page: a row each, the command, and the machine with its load as it began."""
    rows = []
    for result in results:
        about = (ROWS[result.row].__doc__ or "").split("\n")[0].rstrip(".")
        demands = "; ".join(
            one.what if one.met else f"**not met:** {one.what}" for one in result.demands
        )
        rows.append((about, "; ".join(result.figures), demands))
    table = Table("Replicas", ("what happens", "measured", "demanded, and met"), tuple(rows))
    return f"{table.markdown().replace('--:', '---')}\n`{command}`, on {machine}.\n"


if __name__ == "__main__":
    sys.exit(main())
