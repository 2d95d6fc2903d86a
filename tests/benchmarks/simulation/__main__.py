"""The leases' protocol at the size of a million, on a virtual clock: ``--processes``, ``--leases``.

Each process has the library's own `RedisLeases`. The keeper is in memory, does what the scripts do,
and serves one command at a time, for as long as a real Redis works on it. Time is virtual, so the
figures are the same on a busy machine; but for what ``--measure`` measures.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import anyio

from qrlifecycle.testing import VirtualClockEventLoop

from ...leases.redis_server import MISSING
from ..dashboard.tables import Table
from ..page import fill_page, this_machine
from .measuring import measure
from .scenarios import SCENARIOS, Crowd, Figures
from .server import ServiceTimes
from .table import Row, judged, rows

TTLS = (15.0, 30.0)
"""Of the restarts."""


def plays(crowd: Crowd, rates: Sequence[float]) -> Iterator[tuple[str, Crowd, str]]:
    """Each scenario, with what, and what that is called."""
    yield "quiet", crowd, ""
    for ttl in TTLS:
        yield "restart", replace(crowd, ttl=ttl), f"ttl {ttl:g} s"
    yield "killed", crowd, ""
    yield "deploy", crowd, f"{crowd.replaced} of {crowd.processes} processes"
    for rate in rates:
        yield "rush", replace(crowd, rate=rate), f"{rate:,.0f} codes a second"


def play(name: str, crowd: Crowd) -> Figures:
    """One scenario, on a virtual clock; nothing of it stays: a million leases are a gigabyte."""
    options = {"loop_factory": VirtualClockEventLoop}
    try:
        return anyio.run(SCENARIOS[name], crowd, backend_options=options)
    finally:
        gc.collect()


def play_all(crowd: Crowd, rates: Sequence[float], only: Sequence[str]) -> list[Row]:
    """The rows of all; how long each takes is told beside."""
    told, played = list[Row](), list[Figures]()
    for name, with_crowd, of in plays(crowd, rates):
        if only and name not in only:
            continue
        began = time.process_time()
        played.append(play(name, with_crowd))
        told += rows(name, played[-1], of)
        print(f"{name} {of}: {time.process_time() - began:.0f} s of CPU", file=sys.stderr)
    return told + judged(played)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, print, and write."""
    given = _parse(arguments)
    logging.getLogger("qrlifecycle").setLevel(logging.ERROR)  # each process says it is away
    gc.set_threshold(200_000, 50, 50)  # a million leases are no garbage
    times = measure() if given.measure else ServiceTimes()
    crowd = Crowd(given.processes, given.leases, replaced=given.replaced, times=times)
    head = (f"{given.processes:,} processes with {given.leases:,} leases each", "")
    told = play_all(crowd, given.rates, given.only)
    table = Table("The leases' protocol, simulated", head, tuple(told))
    print(table.plain())
    if given.docs:
        command = f".venv/bin/python -m {__package__} --processes {given.processes}"
        command += f" --leases {given.leases} --replaced {given.replaced}"
        command += f" --rates {' '.join(f'{rate:g}' for rate in given.rates)}"
        command += "".join(f" {word}" for word in ["--only", *given.only] if given.only)
        where = f"`{command}`, on {this_machine()}.\n"
        fill_page({"simulation": f"{table.markdown()}\n{where}"})
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    parser.add_argument("--processes", type=int, default=100)
    parser.add_argument("--leases", type=int, default=10_000, help="of each process")
    parser.add_argument("--replaced", type=int, default=3, help="processes that the deploy ends")
    parser.add_argument(
        "--rates", type=float, nargs="*", default=[1000, 5000, 10_000],
        help="codes a second that come in the rush",
    )  # fmt: skip
    parser.add_argument("--only", choices=list(SCENARIOS), nargs="+", default=[])
    parser.add_argument("--measure", action="store_true", help="measure a Redis first, and use it")
    parser.add_argument("--docs", action="store_true", help="fill docs/measured.md")
    given = parser.parse_args(arguments)
    if given.measure and MISSING:
        parser.error("there is no redis-server here, nor a valkey-server")
    if not 0 < given.replaced <= given.processes:
        parser.error("--replaced is at most --processes")
    return given


if __name__ == "__main__":
    sys.exit(main())
