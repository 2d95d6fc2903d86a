"""Processes with the library's own `RedisLeases`, what they display, and who judges it.

Nobody displays anything but in name: a code is a lease that is held, and what is open while it is.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import anyio
from anyio import current_time
from anyio.abc import TaskGroup

from qrlifecycle.errors import LeaseHeld, LeaseTakenOver
from qrlifecycle.leases.redis import RedisLeases
from qrlifecycle.leases.redis.lease import RedisLease

from .server import Server, ServiceTimes, SimulatedClient

__all__ = ["CLOSING", "Code", "Judge", "Process", "World"]

CLOSING = 1.0
"""Seconds that a code's socket stays open once its lease is lost: all that it may take."""

BOT = "bot-7"


@dataclass(slots=True)
class Judge:
    """What is open at the gateway."""

    newest: dict[str, int] = field(default_factory=dict)
    """The greatest token of each user."""
    open: dict[str, Code] = field(default_factory=dict)
    overlaps: int = 0
    """How often a socket was opened while another one of the same user was open."""
    older: int = 0
    """How often one came with a token that is not greater than the last."""
    lapsed: int = 0
    """Leases that were lost, but for those that were taken over or whose process ended."""

    def opened(self, code: Code, token: int) -> None:
        """There is a socket."""
        self.overlaps += code.user in self.open
        self.older += token <= self.newest.get(code.user, 0)
        self.newest[code.user] = token
        self.open[code.user] = code

    def closed(self, code: Code) -> None:
        """It is gone."""
        if self.open.get(code.user) is code:
            del self.open[code.user]


class Code:
    """One that is displayed, or waits for its lease."""

    __slots__ = ("lease", "process", "user")

    def __init__(self, process: Process, user: str) -> None:
        self.process, self.user = process, user
        lease = process.leases.lease(BOT, user)
        assert isinstance(lease, RedisLease)
        self.lease = lease

    async def display(self) -> bool:
        """Have the lease, and open a socket; say whether there is one."""
        try:
            await self.lease.acquire(self.lose, CLOSING)
        except LeaseHeld:
            return False
        self.open()
        return True

    def open(self) -> None:
        """The lease is held."""
        assert self.lease.token is not None
        self.process.world.judge.opened(self, self.lease.token)

    def lose(self, error: Exception) -> None:
        """The lease is lost: the socket is closed, and takes as long for it as it may."""
        if not self.process.ending and not isinstance(error, LeaseTakenOver):
            self.process.world.judge.lapsed += 1
        self.process.closing.append((current_time() + CLOSING, self))
        self.process.more.set()

    def end(self) -> None:
        """The socket is closed, and the lease given back."""
        self.process.world.judge.closed(self)
        self.lease.release()


class Process:
    """One of many.

    Args:
        world: what it is in.
        number: which one.
    """

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.client = SimulatedClient(world.server)
        self.leases = RedisLeases(
            self.client, ttl=world.ttl, clock=current_time, machine=f"process-{number}"
        )
        self.closing = deque[tuple[float, Code]]()
        self.more = anyio.Event()
        self.ending = False
        self.up = anyio.Event()
        self._end = anyio.Event()
        self.ended = anyio.Event()

    def holds(self, users: range) -> None:
        """It holds the leases of these users, as one does that displays their codes for long."""
        session = self.leases.session
        session.good_until = current_time() + self.leases.times.kept
        for number in users:
            code = Code(self, f"user-{number}")
            lease = code.lease
            lease._lost, lease._token = code.lose, number + 1
            self.leases._book[lease.holder] = lease
            code.open()

    async def run(self) -> None:
        """Live until the end, or until it is killed."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._close)
            async with self.leases:
                self.up.set()
                await self._end.wait()
                self.ending = True
            tasks.cancel_scope.cancel()
        self.ended.set()

    async def end(self) -> None:
        """End in order: everything is closed and given back."""
        self._end.set()
        await self.ended.wait()

    def kill(self) -> None:
        """Its sockets are gone, and it says nothing any more."""
        self.client.killed = self.ending = True
        for code in [code for code in self.world.judge.open.values() if code.process is self]:
            self.world.judge.closed(code)
        self._end.set()

    async def _close(self) -> None:
        while True:
            self.more = anyio.Event()
            while self.closing:
                when, code = self.closing.popleft()
                await anyio.sleep_until(when)
                code.end()
            await self.more.wait()


class World:
    """A server, and many processes.

    Args:
        times: the server's.
        ttl: of the leases.
    """

    def __init__(self, times: ServiceTimes, ttl: float = 15.0) -> None:
        self.server = Server(times)
        self.ttl = ttl
        self.judge = Judge()
        self.processes: list[Process] = []
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self, processes: int, leases: int = 0) -> AsyncIterator[Self]:
        """With so many processes that hold so many leases each, and granting."""
        async with anyio.create_task_group() as self._tasks:
            for number in range(processes):
                process = Process(self, number)
                process.holds(range(number * leases, (number + 1) * leases))
                self.begin(process)
            for process in self.processes:
                await process.up.wait()
            while not self.all_good():  # noqa: ASYNC110 - time is nobody's here
                await anyio.sleep(0.1)
            await anyio.sleep(self.ttl + 1)  # nothing is granted before
            self.server.reset()
            yield self
            self._tasks.cancel_scope.cancel()

    def begin(self, process: Process) -> None:
        """It is one of them."""
        assert self._tasks is not None
        self.processes.append(process)
        self._tasks.start_soon(process.run)

    def all_good(self) -> bool:
        """Whether each has a session at the keeper that is good by its own clock."""
        return all(process.leases.session.good for process in self.processes)

    def known(self) -> int:
        """Leases that the keeper knows of."""
        return len(self.server.keeper.leases)


def key_of(user: str) -> str:
    """How the keeper calls a user's lease."""
    return json.dumps((BOT, user))
