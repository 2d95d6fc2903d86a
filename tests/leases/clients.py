"""Clients for Redis, as a program would have them, and one that can be interfered with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import coredis
import redis.asyncio

from qrlifecycle.leases.redis import KeeperClient, KeeperConnection
from qrlifecycle.leases.redis.client import client_for
from qrlifecycle.leases.redis.scripts import ACQUIRE, ASK, BEGIN, FIND, RENEW, UPDATE, Script

__all__ = ["Meddling", "over_coredis", "over_redis_py"]

NAMES = {
    ACQUIRE: "acquire", ASK: "ask", BEGIN: "begin", FIND: "find", RENEW: "renew", UPDATE: "update",
}  # fmt: skip


@asynccontextmanager
async def over_coredis(port: int, **account: Any) -> AsyncIterator[Any]:
    """A client of coredis."""
    async with coredis.Redis(host="127.0.0.1", port=port, **account) as client:
        yield client


@asynccontextmanager
async def over_redis_py(port: int, **account: Any) -> AsyncIterator[Any]:
    """A client of redis.asyncio."""
    client = redis.asyncio.Redis(host="127.0.0.1", port=port, **account)
    try:
        yield client
    finally:
        await client.aclose()


Around = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""What is done in place of a call: it is given the script's name, and what runs it."""


class Meddling(KeeperClient):
    """A client whose calls are counted, and can be delayed, dropped, or answered by nobody."""

    def __init__(self, client: Any) -> None:
        self._client = client_for(client)
        self.sent: Counter[str] = Counter()
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.connections: dict[str, set[int]] = defaultdict(set)
        self.args: list[tuple[str, Sequence[str]]] = []
        self.around: Around | None = None
        self.deaf = False
        """Whether nothing that is published is heard."""
        self.cut = False
        """Whether nothing gets through."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[KeeperConnection]:
        async with self._client.connection() as connection:
            yield _MeddledWith(self, connection)

    @asynccontextmanager
    async def messages(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        async with self._client.messages(channel) as messages:

            async def heard() -> AsyncIterator[str]:
                async for text in messages:
                    if not self.deaf and not self.cut:
                        yield text

            hints = heard()
            try:
                yield hints
            finally:
                await hints.aclose()  # type: ignore[attr-defined]


class _MeddledWith(KeeperConnection):
    def __init__(self, client: Meddling, connection: KeeperConnection) -> None:
        self._client, self._connection = client, connection

    async def run(self, script: Script, key: str, args: Sequence[str]) -> Any:
        client, name = self._client, NAMES[script]
        client.sent[name] += 1
        client.connections[name].add(id(self))
        client.args.append((name, args))
        client.under_way[name] += 1
        client.most[name] = max(client.most[name], client.under_way[name])

        async def through() -> Any:
            if client.cut:
                await anyio.sleep_forever()
            answer = await self._connection.run(script, key, args)
            if client.cut:
                await anyio.sleep_forever()
            return answer

        try:
            if client.around is None:
                return await through()
            return await client.around(name, through)
        finally:
            client.under_way[name] -= 1

    def drop(self) -> None:
        self._connection.drop()
