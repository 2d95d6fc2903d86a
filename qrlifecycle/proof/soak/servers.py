"""The server that is soaked, killed and restarted, and the faulty proxy in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from ...testing.connection_plan import ConnectionPlan, ProxyFault
from ...testing.faulty_proxy import FaultyProxy
from ...testing.pairing_server import PairingServer
from .loop_lag import LoopLag
from .monitor import Owner
from .scenario import MakeTransport

__all__ = ["SoakServers"]

BIND_TRIES = 100
BIND_INTERVAL = 0.05
"""Seconds between two tries to listen where the server listened before: somebody's outgoing
connection may have taken the port for a moment."""

FAULT_RATE = 0.6
"""The share of the proxy's connections that have a fault, or are slow."""

LONGEST = 0.1
"""Seconds within which a later fault happens."""


class SoakServers:
    """A server and a faulty proxy to it; both listen from `open()` to `aclose()`.

    Args:
        dice: draw faults and the times of the server's ends.
        make_transport: what each lifecycle listens with.
        loop_lag: measures for how long the process was starved.
    """

    def __init__(self, dice: Random, make_transport: MakeTransport, loop_lag: LoopLag) -> None:
        self.make_transport = make_transport
        self.loop_lag = loop_lag
        self.kills = 0
        """How many times the server was killed."""
        self.alive = True
        """Whether the server runs: False from its being killed until it listens again."""
        self.server = PairingServer()
        self._dice = dice
        self._proxy: FaultyProxy | None = None
        self._owner = Owner()
        self._changing = asyncio.Lock()
        self._spared = 0
        self._spared_no_more = asyncio.Event()

    @property
    def server_url(self) -> str:
        """Straight to the server."""
        return self.server.url

    @property
    def proxy_url(self) -> str:
        """To the server by way of the faulty proxy."""
        assert self._proxy is not None
        return self._proxy.url

    @asynccontextmanager
    async def spared(self) -> AsyncIterator[None]:
        """Do not kill the server meanwhile."""
        self._spared += 1
        try:
            yield
        finally:
            self._spared -= 1
            self._spared_no_more.set()

    async def open(self) -> None:
        """Listen; from now on the server is killed now and then, and restarted."""
        await self._owner.start(self._open())

    async def aclose(self) -> None:
        """Be gone, with every task: engineio's server leaves one for each client, for a while."""
        async with self._changing:
            if self._proxy is not None:
                await self._proxy.aclose()
            await self.server.__aexit__()
            left = [task for task in self._owner.tasks if not task.done()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _open(self) -> None:
        await self.server.__aenter__()
        self._proxy = FaultyProxy(self.server.host, self.server.port, self._draw)
        await self._proxy.open()
        asyncio.ensure_future(self._kill_now_and_then())  # noqa: RUF006 - the owner knows it

    def _draw(self) -> ConnectionPlan:
        """What happens to a new connection through the proxy."""
        dice = self._dice
        ill, after = dice.random() < FAULT_RATE, dice.uniform(0, LONGEST)
        fault = dice.choice([*ProxyFault, None]) if ill else ProxyFault.NONE
        if fault is None:
            return ConnectionPlan(delay=after / 4)
        return ConnectionPlan(fault, after, garbage=dice.randbytes(dice.choice([1, 40, 3000])))

    async def _kill_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._dice.uniform(0.5, 3.0))
            while self._spared:
                self._spared_no_more.clear()
                await self._spared_no_more.wait()
            await self._kill()

    async def _kill(self) -> None:
        async with self._changing:
            self.kills += 1
            self.alive = False
            self.server.drop_connections()
            await self.server.__aexit__()
            await asyncio.sleep(self._dice.uniform(0, 0.2))
            fresh = PairingServer(port=self.server.port)
            for left in reversed(range(BIND_TRIES)):
                try:
                    await fresh.__aenter__()
                    break
                except OSError:
                    if not left:
                        raise
                    fresh = PairingServer(port=self.server.port)
                    await asyncio.sleep(BIND_INTERVAL)
            self.server = fresh
            self.alive = True
