"""Redis is killed and started again: the first call afterwards is answered, over either client."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest
import redis.asyncio

from qrlifecycle.leases import RedisLeases

from ..patience import HANGS
from .clients import over_coredis, over_redis_py
from .redis_server import MISSING, RedisServer
from .test_redis_rules import KEY, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(MISSING, reason="there is no redis-server here, nor a valkey-server"),
]

Over = Callable[[int], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def over_redis_py_by_url(port: int) -> AsyncIterator[Any]:
    """As most programs make one: a client that does not try again by itself."""
    async with redis.asyncio.from_url(f"redis://127.0.0.1:{port}") as client:
        yield client


RUNS = [
    pytest.param(over_coredis, ("asyncio", {}), id="coredis-asyncio"),
    pytest.param(over_coredis, ("trio", {}), id="coredis-trio"),
    pytest.param(over_redis_py, ("asyncio", {}), id="redis_py"),
    pytest.param(over_redis_py_by_url, ("asyncio", {}), id="redis_py-by-url"),
]


async def restart(server: RedisServer, leases: RedisLeases) -> None:
    """Kill it, and start it; until the renewals are answered again."""
    server.kill()
    await until(lambda: leases.session.outage)
    server.start()
    server.end_grace()
    await until(lambda: not leases.session.outage)


@pytest.mark.parametrize(("over", "anyio_backend"), RUNS)
async def test_a_restart_of_redis_spoils_no_call_after_it(
    over: Over, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that broke unnoticed while nobody used it is connected afresh, and asked again.

    Each is the first call after a restart: to look, to ask, and to acquire.
    """
    caplog.set_level(logging.INFO, "qrlifecycle")
    with RedisServer() as server:
        server.end_grace()
        async with over(server.port) as client, RedisLeases(client, renew_every=0.2) as leases:
            assert await leases.find_holder(*KEY) is None
            await restart(server, leases)
            assert await leases.find_holder(*KEY) is None
            await restart(server, leases)
            assert await leases.ask_to_leave(*KEY) is False
            await restart(server, leases)
            caplog.clear()
            lease = leases.lease(*KEY)
            with anyio.fail_after(HANGS):
                await lease.acquire(lambda _: None, 0.5)
            lease.release()
    assert "waiting for the lease" not in caplog.text
