"""Over redis.asyncio, on asyncio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from redis.exceptions import ConnectionError as BrokenConnection
from redis.exceptions import NoScriptError

from .client import KeeperClient, KeeperConnection, Published
from .scripts import Script

__all__ = ["RedisPyClient"]


class RedisPyClient(KeeperClient):
    """A client of the program's.

    Args:
        client: a ``redis.asyncio.Redis``, or one that its ``Sentinel`` gives out for the master.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[KeeperConnection]:
        """One that is taken out of the client's pool for good."""
        single = self._client.client()
        try:
            yield _Connection(single)
        finally:
            # It belongs to the pool, which the program closes.
            connection, single.connection = single.connection, None
            if connection is not None:
                with anyio.CancelScope(shield=True):  # neither of them waits for the server
                    await connection.disconnect(nowait=True)
                    await single.connection_pool.release(connection)

    @asynccontextmanager
    async def messages(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """By a pub/sub of the client's."""
        subscribed = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            await subscribed.subscribe(channel)
            yield Published(partial(subscribed.get_message, timeout=None))
        finally:
            await subscribed.aclose()


class _Connection(KeeperConnection):
    """One command at a time; one that is cancelled while its answer is awaited disconnects."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._one_at_a_time = anyio.Lock()

    async def run(self, script: Script, key: str, args: Sequence[str]) -> Any:
        """On a connection that broke while nobody used it, which is noticed by using it, once more.

        Whether the client itself tries again is as the program made it; by ``from_url()`` it does
        not.
        """
        async with self._one_at_a_time:
            connected_before = self._client.connection is not None
            afresh = await self._connect()
            try:
                return await self._run(script, key, args)
            except BrokenConnection:
                if afresh or not connected_before or not script.repeatable:
                    raise
            await self._connect()
            return await self._run(script, key, args)

    async def _run(self, script: Script, key: str, args: Sequence[str]) -> Any:
        """By its name; by its text if the server does not know it."""
        try:
            return await self._client.evalsha(script.sha, 1, key, *args)
        except NoScriptError:
            return await self._client.eval(script.text, 1, key, *args)

    async def _connect(self) -> bool:
        """Connect again, if need be; say whether it was.

        A command would do so by itself, but to where it was connected before. This asks a Sentinel,
        if there is one, which server is the primary by now.
        """
        connection = self._client.connection
        if connection is not None and not connection.is_connected:
            await connection.connect()
            return True
        return False

    def drop(self) -> None:
        """It is done already: the command was cancelled."""
