"""Over coredis, on asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from coredis.exceptions import NoScriptError
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
        """One that is taken out of the client's pool for good."""
        connection = _Connection(self._client.connection_pool)
        try:
            yield connection
        finally:
            connection.give_back()

    @asynccontextmanager
    async def messages(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """By a pub/sub of the client's; that it tries again by itself is of no use here."""
        pubsub = self._client.pubsub(
            channels=[channel], ignore_subscribe_messages=True, retry_policy=NoRetryPolicy()
        )
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
            if self._connection is not None and not self._connection.usable:
                self.give_back()
            if self._connection is None:
                self._connection = await self._pool.get_connection()
            return self._connection

    def drop(self) -> None:
        """Shut it; what waits for an answer on it fails."""
        if self._connection is not None:
            self._connection.invalidate()

    def give_back(self) -> None:
        """To the pool, which looks itself whether it is still of use."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)
