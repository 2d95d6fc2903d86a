"""One replica of a program: a process that displays codes, each under a lease.

Run as ``python -m tests.replicas.replica NAME JUDGE REDIS-PORT SETTINGS``, the settings as JSON:
the client, and what `RedisLeases` is given. It reads orders and prints what happens, a line of JSON
each, and ends when nothing more can be read.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from qrlifecycle import Policy, QRCode, QRLifecycle, SocketIOTransport
from qrlifecycle.leases import Lease, RedisLeases

from ..benchmarks.crowds.limits import raise_limit
from ..leases.clients import over_coredis, over_redis_py

BOT = "bot"

POLICY = Policy(attempt_timeout=3600, generate_timeout=120, lease_timeout=120)
"""Nobody's time is to run out while others are tried."""


def say(what: str, **more: object) -> None:
    """Tell who started this process."""
    print(json.dumps({"what": what, "at": time.monotonic(), **more}), flush=True)


async def request_qr() -> QRCode:
    """A service that answers at once."""
    return QRCode("a code", expires_in=3600)


async def next_line() -> str:
    """What is read next; nothing if there is no more."""
    return await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)


class Noted(SocketIOTransport):
    """It says when it is gone."""

    __slots__ = ("_gone", "_made")

    def __init__(self, url: str, user: str, token: int, process: str) -> None:
        self._gone, self._made = False, time.monotonic()
        auth = {"token": token, "process": process, "made": self._made}
        super().__init__(url, bot_id=BOT, user_id=user, auth=auth)

    def abort(self) -> None:
        """And then it is."""
        super().abort()
        if not self._gone:
            self._gone = True
            say("gone", made=self._made)


class Replica:
    """What it does for whom."""

    def __init__(self, name: str, url: str, leases: RedisLeases) -> None:
        self._name, self._url, self._leases = name, url, leases

    async def pair(self, user: str, wait: float) -> None:
        """Display a code until it is taken away."""
        await anyio.sleep(wait)
        say("asked", user=user)
        made: list[Lease] = []

        def lease() -> Lease:
            made.append(self._leases.lease(BOT, user))
            return made[-1]

        def transport() -> Noted:
            return Noted(self._url, user, made[-1].token or 0, self._name)

        def shown(_qr: object) -> None:
            say("shown", user=user, token=made[-1].token or 0)

        lifecycle = QRLifecycle(
            request_qr, transport, lease=lease, policy=POLICY, on_qr_updated=shown
        )
        outcome = await lifecycle.pair()
        say("ended", user=user, reason=str(getattr(outcome, "reason", "connected")))

    async def obey(self) -> None:
        """Do as one is told."""
        async with anyio.create_task_group() as tasks:
            while line := await next_line():
                order: dict[str, Any] = json.loads(line)
                if "leave" in order:
                    say("told", asked=await self._leases.ask_to_leave(BOT, order["leave"]))
                for user in order.get("pair", ()):
                    tasks.start_soon(self.pair, user, random.uniform(0, order["within"]))
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def leases_of(name: str, port: int, client: str, **times: Any) -> AsyncIterator[RedisLeases]:
    """Over the client of that name."""
    over = over_coredis if client == "coredis" else over_redis_py
    async with over(port) as connected, RedisLeases(connected, machine=name, **times) as leases:
        yield leases


async def main(name: str, url: str, port: str, settings: str) -> None:
    """Be one."""
    raise_limit()
    async with leases_of(name, int(port), **json.loads(settings)) as leases:
        say("ready")
        await Replica(name, url, leases).obey()
        say("bye")


if __name__ == "__main__":
    NAME, JUDGE, REDIS, SETTINGS = sys.argv[1:]
    anyio.run(main, NAME, JUDGE, REDIS, SETTINGS)
