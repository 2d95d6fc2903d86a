"""Leases kept by a real Redis keep the contract, over both clients and on both event loops."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from qrlifecycle.leases.redis import RedisLeases
from qrlifecycle.testing import TwoMachines, check_leases

from ..patience import HANGS
from .clients import Meddling, over_coredis, over_redis_py
from .redis_server import RedisServer

pytestmark = pytest.mark.anyio

TOP = Path(__file__).parent.parent.parent

TIMES: dict[str, Any] = {"ttl": 10.0, "renew_every": 0.5, "timeout": 0.5, "close_within": 1.0}
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


@pytest.mark.parametrize(("over", "anyio_backend"), OVER)
async def test_the_permissions_that_the_page_names_are_enough(
    server: RedisServer,
    over: Callable[..., AbstractAsyncContextManager[Any]],
    anyio_backend: object,
) -> None:
    """A user of Redis with no more than those takes a lease, takes it over, and gives it back."""
    page = (TOP / "docs" / "how-to" / "several-machines.md").read_text()
    (rules,) = re.findall(r"`(~\{qrl\}[^`]*)`", page)
    server.admin.execute_command("ACL", "SETUSER", "lessee", "reset", "on", ">pw", *rules.split())
    server.admin.acl_log_reset()  # other users have been refused before
    account = {"username": "lessee", "password": "pw"}
    async with over(server.port, **account) as client, RedisLeases(client, **TIMES) as leases:
        told = anyio.Event()
        holder, later = (leases.lease("bot-7", "user-123") for _ in range(2))
        await holder.acquire(lambda _: told.set(), 0.5)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(later.acquire, lambda _: None, 0.5)
            with anyio.fail_after(HANGS):
                await told.wait()
            holder.release()
        later.release()
    assert server.admin.acl_log() == []
