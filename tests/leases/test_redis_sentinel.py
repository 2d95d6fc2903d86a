"""Leases over a Sentinel's client: after a failover what is held is held, and others wait."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import coredis
import coredis.connection
import pytest
import redis as redis_py
import redis.asyncio

from qrlifecycle.leases.redis import RedisLeases

from ..patience import HANGS
from ..sockets import free_port
from .redis_server import MISSING
from .test_redis_rules import until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(MISSING, reason="there is no redis-server here, nor a valkey-server"),
]

KEY = ("bot-7", "user-123")

TTL = 8.0

NAME = "leases"
"""By which the Sentinel knows the servers."""

SENTINEL = f"""
port {{port}}
bind 127.0.0.1
dir {{folder}}
sentinel monitor {NAME} 127.0.0.1 {{primary}} 1
sentinel down-after-milliseconds {NAME} 500
sentinel failover-timeout {NAME} 2000
"""


class Servers:
    """A primary, a replica of it, and a Sentinel that watches both."""

    def __init__(self, folder: Path) -> None:
        self.sentinel = free_port()
        self._primary, replica = free_port(), free_port()
        found = shutil.which("redis-server") or shutil.which("valkey-server")
        assert found is not None
        self._program, self._folder = found, folder
        self._running: list[subprocess.Popen[bytes]] = []
        self._start(self._primary)
        self._start(replica, "--replicaof", "127.0.0.1", str(self._primary))
        self._wait(replica, lambda client: client.info()["master_link_status"] == "up")
        config = folder / "sentinel.conf"
        config.write_text(SENTINEL.format(port=self.sentinel, folder=folder, primary=self._primary))
        self._run(str(config), "--sentinel")
        self._wait(self.sentinel, lambda client: client.sentinel_slaves(NAME))

    def _start(self, port: int, *more: str) -> None:
        self._run("--port", str(port), "--bind", "127.0.0.1", "--save", "",
                  "--appendonly", "no", "--dir", str(self._folder), *more)  # fmt: skip
        self._wait(port, lambda client: client.ping())

    def _run(self, *arguments: str) -> None:
        command = [self._program, *arguments]
        self._running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))

    def _wait(self, port: int, there: Any) -> None:
        for _ in range(int(HANGS / 0.1)):
            try:
                with redis_py.Redis(port=port, decode_responses=True) as client:
                    if there(client):
                        return
            except redis_py.RedisError:
                pass
            time.sleep(0.1)
        raise RuntimeError("they did not come up")

    def kill_primary(self) -> None:
        """As by the power failing."""
        self._running[0].kill()

    def end(self) -> None:
        """All of them."""
        for process in self._running:
            process.kill()
            process.wait(HANGS)


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Up, and ended with the block."""
    made = Servers(folder)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Servers]:
    """A primary, a replica, and a Sentinel."""
    with servers(tmp_path) as made:
        yield made


@asynccontextmanager
async def over_coredis(port: int) -> AsyncIterator[Any]:
    """The client of coredis for the primary."""
    places = [coredis.connection.TCPLocation("127.0.0.1", port)]
    async with coredis.Sentinel(places) as sentinel, sentinel.primary_for(NAME) as client:
        yield client


@asynccontextmanager
async def over_redis_py(port: int) -> AsyncIterator[Any]:
    """The client of redis.asyncio for the primary."""
    sentinel = redis.asyncio.Sentinel([("127.0.0.1", port)])  # type: ignore[no-untyped-call]
    client = sentinel.master_for(NAME)
    try:
        yield client
    finally:
        await client.aclose()
        for each in sentinel.sentinels:
            await each.aclose()


@pytest.mark.parametrize(
    ("over", "anyio_backend"),
    [
        pytest.param(over_coredis, ("asyncio", {}), id="coredis-asyncio"),
        pytest.param(over_coredis, ("trio", {}), id="coredis-trio"),
        pytest.param(over_redis_py, ("asyncio", {}), id="redis-py-asyncio"),
    ],
)
async def test_a_failover_loses_nothing_and_grants_nothing_for_a_time(
    watched: Servers, over: Any, anyio_backend: object
) -> None:
    """The new primary is told what is held; who wants that is refused, and others wait."""
    lost: list[Exception] = []
    async with (
        over(watched.sentinel) as client,
        RedisLeases(client, ttl=TTL, renew_every=0.5) as one,
        RedisLeases(client, ttl=TTL, renew_every=0.5) as other,
    ):
        holder, wanted = one.lease(*KEY), other.lease("bot-7", "another")
        with anyio.fail_after(2 * HANGS):  # of which twice the time to live is waited for
            await holder.acquire(lost.append, 0.5)
            before = holder.token
            watched.kill_primary()
            await until(lambda: one.session.outage and other.session.outage)
            await until(lambda: not one.session.outage and not other.session.outage)
            again = anyio.current_time()
            found = await other.find_holder(*KEY)
            await wanted.acquire(lost.append, 0.5)
            granted = anyio.current_time()
        assert lost == []
        assert found is not None
        assert before is not None
        assert wanted.token is not None
        assert found.token == before < wanted.token
        assert granted - again > TTL / 2
        holder.release()
        wanted.release()
