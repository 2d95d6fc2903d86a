"""Leases kept by a real Redis keep the contract, over both clients and on both event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from qrlifecycle.leases.redis import RedisLeases
from qrlifecycle.testing import TwoMachines, check_leases

from .clients import Meddling, over_coredis, over_redis_py
from .redis_server import RedisServer

pytestmark = pytest.mark.anyio

TIMES: dict[str, Any] = {"ttl": 4.0, "renew_every": 0.5, "timeout": 0.5, "close_within": 0.5}
"""Seconds."""

OVER = [
    pytest.param(over_coredis, ("asyncio", {}), id="coredis-asyncio"),
    pytest.param(over_coredis, ("trio", {}), id="coredis-trio"),
    pytest.param(over_redis_py, ("asyncio", {}), id="redis-py-asyncio"),
]


@pytest.mark.parametrize(("over", "anyio_backend"), OVER)
@pytest.mark.parametrize(
    "clauses",
    [
        ["L9"],
        pytest.param(["L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8"], marks=pytest.mark.slow),
    ],
    ids="-".join,
)
async def test_promise_9_leases_kept_by_redis_keep_their_contract(
    server: RedisServer,
    over: Callable[[int], AbstractAsyncContextManager[Any]],
    clauses: list[str],
    anyio_backend: object,
) -> None:
    """`RedisLeases` of two machines pass every check, and none is skipped."""

    @asynccontextmanager
    async def two() -> AsyncIterator[TwoMachines]:
        server.fresh()
        async with over(server.port) as client, over(server.port) as other:
            meddling, clear = Meddling(client), Meddling(other)
            async with (
                RedisLeases(meddling, **TIMES) as first,
                RedisLeases(clear, **TIMES) as second,
            ):

                def cut_off() -> None:
                    meddling.cut = True

                def heard() -> list[str]:
                    everything = [str(args) for _, args in meddling.args + clear.args]
                    keys = server.admin.keys("*")
                    return [*everything, *keys]

                yield TwoMachines(first, second, TIMES["ttl"], cut_off, heard)

    report = await check_leases(two, clauses=clauses)
    assert report.skipped == ()
