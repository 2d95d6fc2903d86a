"""A keeper that serves one command at a time, and the processes' way to it, on a virtual clock.

What is sent is served in the order in which it was sent, each command in the time that it takes a
real Redis. It is carried out when it is sent, at the moment of its turn, which nobody can tell from
its being carried out then: whatever is sent later has a later turn, and a restart, which loses what
waits for its turn, forgets what it did as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from qrlifecycle.leases.redis import KeeperClient, KeeperConnection
from qrlifecycle.leases.redis.scripts import ACQUIRE, ASK, BEGIN, FIND, RENEW, UPDATE, Script

from .keeper import InMemoryKeeper

__all__ = ["NAMES", "Server", "ServiceTimes", "SimulatedClient"]

NAMES = {
    ACQUIRE: "acquire", ASK: "ask", BEGIN: "begin", FIND: "find", RENEW: "renew", UPDATE: "update",
}  # fmt: skip

ONE_WAY = 0.00025
"""Seconds that a command is under way, and its answer: a network within a data centre."""

ABOUT = {"begin": 6, "update": 2}
"""Arguments of a script that are of none of its leases."""


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """Seconds that a server's one thread takes: for a command, and for each lease in it.

    `measure()` in `measuring.py` has them of a real Redis. These are of Redis 7.0.15; where a
    million are begun in all, each takes a little longer.
    """

    acquire: float = 46e-6
    renew: float = 22e-6
    begin: float = 35e-6
    each_begun: float = 8e-6
    update: float = 22e-6
    each_updated: float = 3.5e-6

    def of(self, name: str, args: Sequence[str]) -> float:
        """What a command takes."""
        match name:
            case "begin":
                return self.begin + self.each_begun * ((len(args) - ABOUT[name]) // 3)
            case "update":
                return self.update + self.each_updated * ((len(args) - ABOUT[name]) // 3)
            case "renew":
                return self.renew
        return self.acquire


Published = tuple[float, str]
"""When a hint is heard, and its text."""


class Server:
    """One, as all processes see it.

    Args:
        times: how long it takes for what.
    """

    def __init__(self, times: ServiceTimes) -> None:
        self._times = times
        self._free_at = 0.0
        self._listening: dict[str, MemoryObjectSendStream[Published]] = {}
        self.keeper = InMemoryKeeper(self._publish)
        self.run_number = 0
        self.away = False
        self.commands: Counter[str] = Counter()
        self.busy = 0.0
        """Seconds that it was at work."""
        self.longest_queue = 0.0
        """Seconds that a command waited for its turn and its end, at most."""
        self.fault: Exception | None = None
        """What went wrong in the keeper itself."""

    def reset(self) -> None:
        """Begin to count anew."""
        self.commands.clear()
        self.busy = self.longest_queue = 0.0

    async def run(self, script: Script, args: Sequence[str]) -> Any:
        """Have a script run; what is cancelled meanwhile is carried out all the same."""
        if self.away:
            await anyio.sleep(2 * ONE_WAY)
            raise ConnectionRefusedError
        now, name, run_number = anyio.current_time(), NAMES[script], self.run_number
        seconds = self._times.of(name, args)
        self._free_at = max(now + ONE_WAY, self._free_at) + seconds
        self.commands[name] += 1
        self.busy += seconds
        self.longest_queue = max(self.longest_queue, self._free_at - now)
        try:
            answer = self.keeper.run(script, args, self._free_at)
        except Exception as error:
            self.fault = error  # to a process it is one more keeper that does not answer
            raise
        await anyio.sleep_until(self._free_at + ONE_WAY)
        if run_number != self.run_number:
            raise ConnectionResetError
        return answer

    def _publish(self, process: str, text: str) -> None:
        stream = self._listening.get(process)
        if stream is not None:
            stream.send_nowait((self._free_at + ONE_WAY, text))

    @contextmanager
    def listening(self, process: str) -> Iterator[MemoryObjectReceiveStream[Published]]:
        """Hear what is published to a process."""
        if self.away:
            raise ConnectionRefusedError
        send, receive = anyio.create_memory_object_stream[Published](float("inf"))
        self._listening[process] = send
        try:
            with receive, send:
                yield receive
        finally:
            self._listening.pop(process, None)

    async def restart_empty(self, after: float) -> None:
        """Be killed, and be back after so many seconds, knowing nothing."""
        self.away = True
        self.run_number += 1
        for stream in self._listening.values():
            stream.close()
        self._listening.clear()
        await anyio.sleep(after)
        self.keeper = InMemoryKeeper(self._publish)
        self._free_at = anyio.current_time()
        self.away = False


class SimulatedClient(KeeperClient):
    """The way of one process."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.killed = False
        """Whether nothing of its process gets out any more."""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[KeeperConnection]:
        """One that never delays another."""
        yield _Connection(self)

    @asynccontextmanager
    async def messages(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """What is published, each when it has come."""
        process = channel.rpartition(":")[2]
        with self.server.listening(process) as published:

            async def heard() -> AsyncIterator[str]:
                async for when, text in published:
                    await anyio.sleep_until(when)
                    yield text
                raise ConnectionResetError

            hints = heard()
            try:
                yield hints
            finally:
                await hints.aclose()  # type: ignore[attr-defined]


class _Connection(KeeperConnection):
    def __init__(self, client: SimulatedClient) -> None:
        self._client = client

    async def run(self, script: Script, key: str, args: Sequence[str]) -> Any:
        if self._client.killed:
            await anyio.sleep_forever()
        return await self._client.server.run(script, args)

    def drop(self) -> None:
        """There is nothing to drop."""
