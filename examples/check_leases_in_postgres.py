"""Hold the keeper of `leases_in_postgres.py` to its contract, on asyncio and trio.

Its argument says where a PostgreSQL for tests is, such as `postgresql://me@127.0.0.1/scratch`: the
table in there is dropped.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import LiteralString

import anyio
import psycopg
from leases_in_postgres import TABLE, Order, PostgresLeases

from qrlifecycle.testing import TwoMachines, check_leases

TTL = 10.0


class WatchedLeases(PostgresLeases):
    """Remember what they say to PostgreSQL, and can be cut off from it."""

    def __init__(self, url: str) -> None:
        super().__init__(url, ttl=TTL)
        self.is_cut_off = False
        self.said: list[str] = []

    def say(self, statement: LiteralString, **named: object) -> Order:
        if self.is_cut_off:
            return Order(statement, named)  # which nobody carries out: no answer, and no error
        order = super().say(statement, **named)
        self.said.append(f"{statement} {order.named}")
        return order


@asynccontextmanager
async def two_machines(url: str) -> AsyncIterator[TwoMachines]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS qr_lease")
        connection.execute(TABLE)
    async with WatchedLeases(url) as first, WatchedLeases(url) as second:

        def cut_off() -> None:
            first.is_cut_off = True

        yield TwoMachines(first, second, TTL, cut_off, lambda: first.said + second.said)


async def main(backend: str, url: str) -> None:
    report = await check_leases(lambda: two_machines(url), progress=print)
    print(f"on {backend}: {len(report.passed)} checks passed, {len(report.skipped)} skipped")


if __name__ == "__main__":
    for backend in ("asyncio", "trio"):
        anyio.run(main, backend, sys.argv[1], backend=backend)
