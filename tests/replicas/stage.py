"""What a row is played on: a Redis, a judge, and replicas, all of its own."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio

from ..leases.redis_server import RedisServer
from .processes import HANGS, Told, running
from .records import Overlaps, Socket, overlaps

__all__ = ["Settings", "Stage", "stage"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How large, and over what."""

    users: int = 1000
    """Of the crowd; other rows have a tenth of it."""
    processes: int = 4
    """Of the crowd, and of those that take over in turn."""
    client: str = "coredis"
    ttl: float = 10.0

    @property
    def few(self) -> list[str]:
        """Users of a row that is no crowd."""
        return [f"user-{number}" for number in range(max(2, self.users // 10))]

    @property
    def crowd(self) -> list[str]:
        """Users of the crowd."""
        return [f"user-{number}" for number in range(self.users)]


class Stage:
    """See the module; made by `stage()`."""

    def __init__(
        self, settings: Settings, redis: RedisServer, judge: Told, stack: AsyncExitStack
    ) -> None:
        self.settings = settings
        self.redis = redis
        self.replicas: list[Told] = []
        self._judge = judge
        self._stack = stack

    async def start(self, name: str, port: int | None = None, **times: Any) -> Told:
        """Another replica; over another port, if there is something between it and Redis."""
        settings = {"client": self.settings.client, "ttl": self.settings.ttl, **times}
        replica = await self._stack.enter_async_context(
            running(
                "replica", name, name, self._judge.said[0]["url"], port or self.redis.port,
                json.dumps(settings),
            )
        )  # fmt: skip
        self.replicas.append(replica)
        return replica

    async def start_many(self, count: int, **times: Any) -> list[Told]:
        """Some replicas."""
        return [await self.start(f"replica-{number}", **times) for number in range(count)]

    async def proxy(self) -> Told:
        """What stands between a replica and Redis."""
        return await self._stack.enter_async_context(running("proxy", "proxy", self.redis.port))

    async def sockets(self) -> list[Socket]:
        """All that the judge ever saw."""
        since = len(self._judge.said)
        await self._judge.tell()
        said = await self._judge.first("sockets", since=since)
        del self._judge.said[1:]
        return [Socket(**one) for one in said["sockets"]]

    async def still_open(self) -> list[Socket]:
        """Those that are, at the judge."""
        return [one for one in await self.sockets() if one.closed is None]

    async def until_open(self, count: int) -> None:
        """Wait until so many sockets are open at the judge, no more and no fewer.

        Raises:
            TimeoutError: it never was so.
        """
        with anyio.fail_after(HANGS):
            while len(await self.still_open()) != count:  # noqa: ASYNC110 - the judge is asked
                await anyio.sleep(0.1)

    async def overlaps(self) -> Overlaps:
        """Of all sockets up to now, by the judge's records and the clients'."""
        sockets = await self.sockets()
        gone: dict[tuple[str, float], float] = {}
        for replica in self.replicas:
            if replica.killed is not None:
                gone |= {(s.process, s.made): replica.killed for s in sockets
                         if s.process == replica.name}  # fmt: skip
            gone |= {(replica.name, one["made"]): one["at"] for one in replica.all("gone")}
        return overlaps(sockets, gone)


@asynccontextmanager
async def stage(settings: Settings, *, fences: bool = False) -> AsyncIterator[Stage]:
    """All of it, and in the end nothing of it."""
    async with AsyncExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        redis.end_grace()
        arguments = ["fence"] if fences else []
        judge = await stack.enter_async_context(running("judge", "judge", *arguments))
        yield Stage(settings, redis, judge, stack)


def clock() -> float:
    """That of all processes of this machine."""
    return time.monotonic()
