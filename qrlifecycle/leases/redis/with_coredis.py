"""Over coredis, on asyncio and trio.

Connections are made as the client's pool makes its own, and live in its task group, but none is
taken out of the pool. That of coredis 6.9 never gets back the place of a connection that broke
while it was taken out, or was given up while it connected. A server that is there and does not
answer for some minutes would so use up all places of the pool: nobody could reach it any more, not
even when it is well again, neither these leases nor the program.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskStatus
from coredis.exceptions import NoScriptError, RedisError
from coredis.retry import NoRetryPolicy

from .client import KeeperClient, KeeperConnection, Published
from .scripts import Script

__all__ = ["CoredisClient"]


class CoredisClient(KeeperClient):
    """A client that the program has entered.

    Args:
        client: a ``coredis.Redis``, or one that its ``Sentinel`` gives out for the primary.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[KeeperConnection]:
        """One that connects when something is sent."""
        connection = _Connection(self._client.connection_pool)
        try:
            yield connection
        finally:
            connection.drop()

    @asynccontextmanager
    async def messages(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """By a pub/sub of the client's; that it tries again by itself is of no use here."""
        pubsub = self._client.pubsub(
            channels=[channel], ignore_subscribe_messages=True, retry_policy=NoRetryPolicy()
        )
        pubsub.acquire_connection = partial(_connection_for, self._client.connection_pool)
        try:
            async with pubsub as subscribed:
                yield Published(subscribed.get_message)
        except BaseExceptionGroup as group:
            # Where the client is cancelled as well, its connection is closed before the pub/sub
            # has unsubscribed, which then complains of that beside the cancellation.
            cancelled = group.subgroup(anyio.get_cancelled_exc_class())
            if cancelled is None:
                raise
            raise _first_of(cancelled) from None


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group, however deep."""
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


class _Connection(KeeperConnection):
    """Requests are answered in their order; one whose asker was cancelled is answered to nobody."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._connection: Any = None
        self._connecting = anyio.Lock()

    async def run(self, script: Script, key: str, args: Sequence[str]) -> Any:
        """By its name; by its text if the server does not know it."""
        connection = await self._connected()
        try:
            return await connection.create_request(b"EVALSHA", script.sha, 1, key, *args)
        except NoScriptError:
            return await connection.create_request(b"EVAL", script.text, 1, key, *args)

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._connection is None or not self._connection.usable:
                self._connection = await _connect(self._pool)
            return self._connection

    def drop(self) -> None:
        """Shut it; what waits for an answer on it fails."""
        if self._connection is not None:
            self._connection.invalidate()


async def _connect(pool: Any) -> Any:
    """A connection as the pool would make one.

    Raises:
        Exception: the server cannot be reached, or lets nobody in.
    """
    connection = await pool._construct_connection()  # noqa: SLF001 - Sentinel's asks who it is
    error = await pool.task_group.start(_serve, connection)
    if error is not None:
        raise error
    return connection


async def _serve(connection: Any, *, task_status: TaskStatus[Exception | None]) -> None:
    """Run a connection. That it does not come to be is told to who waits, not to all in the group.

    Of one that breaks later whoever uses it hears.
    """
    try:
        await connection.run(task_status=task_status)
    except RedisError as error:
        task_status.started(error)


@asynccontextmanager
async def _connection_for(pool: Any) -> AsyncIterator[Any]:
    """A connection for as long as the block lasts."""
    connection = await _connect(pool)
    try:
        yield connection
    finally:
        connection.invalidate()
