"""What is needed of a client for Redis: run a script on a connection of one's own; hear a channel.

The client is the program's, with its TLS, its credentials, its Sentinel: `client_for()` takes one
of coredis (asyncio and trio), one of redis.asyncio, or a `KeeperClient` of your own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Self

import anyio.lowlevel

from ...errors import WrongAnswer
from .scripts import Script

__all__ = ["KeeperClient", "KeeperConnection", "Published", "client_for", "in_text"]


class KeeperConnection(ABC):
    """A connection of one's own: what others send does not delay what is sent here."""

    @abstractmethod
    async def run(self, script: Script, key: str, args: Sequence[str]) -> Any:
        """Run a script, which the server may not know yet; give back its answer, as it came.

        It may raise anything, and be cancelled at any moment: what it does next must not be spoiled
        by an answer that comes too late.
        """

    @abstractmethod
    def drop(self) -> None:
        """Nothing came in time: do not use what is connected any more, but connect afresh."""


class KeeperClient(ABC):
    """A client for Redis or Valkey."""

    @abstractmethod
    def connection(self) -> AbstractAsyncContextManager[KeeperConnection]:
        """A connection of one's own, which connects again by itself; entering it may wait."""

    @abstractmethod
    def messages(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """What is published on a channel from now on, until the connection breaks.

        It may raise anything, then and on entering.
        """


def client_for(client: object) -> KeeperClient:
    """What is needed of a client, whichever it is.

    Raises:
        WrongAnswer: it is none of those that are known.
    """
    if isinstance(client, KeeperClient):
        return client
    homes = tuple(kind.__module__ for kind in type(client).__mro__)
    if any(home.split(".")[0] == "coredis" for home in homes):
        from .with_coredis import CoredisClient  # noqa: PLC0415 - an extra

        return CoredisClient(client)
    if any(home.startswith("redis.asyncio") for home in homes):
        from .with_redis_py import RedisPyClient  # noqa: PLC0415 - the program's

        return RedisPyClient(client)
    raise WrongAnswer(
        "give a client of coredis or of redis.asyncio, or a KeeperClient of your own, not a "
        f"{type(client).__name__} of {type(client).__module__}"
    )


class Published:
    """The texts of what a client hears, one after another.

    Args:
        next_message: waits for a message; None is none, as it is for one of the client's own.
    """

    def __init__(self, next_message: Callable[[], Awaitable[Any]]) -> None:
        self._next_message = next_message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            await anyio.lowlevel.checkpoint_if_cancelled()  # whatever comes, however fast
            message = await self._next_message()
            if message is not None:
                text: str = in_text(message["data"])
                return text


def in_text(answer: Any) -> Any:
    """An answer with texts in place of bytes: which it is depends on the client's settings."""
    if isinstance(answer, bytes):
        return answer.decode()
    if isinstance(answer, list | tuple):
        return [in_text(part) for part in answer]
    return answer
