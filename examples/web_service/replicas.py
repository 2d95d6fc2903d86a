"""What several processes of the service share: the leases in a Redis, and the cookies' key.

Without either in the environment there is one process, and nothing to share.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from qrlifecycle import UsageError
from qrlifecycle.leases import Leases, RedisLeases

__all__ = ["Shared", "shared_by_environment"]

REDIS = "QRLIFECYCLE_REDIS"
"""Where the URL of the Redis or Valkey is looked for: redis://host:port, or rediss:// for TLS."""

COOKIE_KEY = "QRLIFECYCLE_COOKIE_KEY"
"""Where the key is looked for with which sessions, which are cookies, are signed."""

SHORTEST = 32
"""Characters of the key, at least."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What this process shares with others."""

    redis: Any = field(default=None, repr=False)
    """A client of coredis, not yet entered; None where there is one process."""
    cookie_key: bytes | None = field(default=None, repr=False)

    @asynccontextmanager
    async def leases(self, machine: str) -> AsyncIterator[Leases | None]:
        """The leases, by which the others call this process ``machine``; None without a Redis.

        A Redis that is not there does not keep the service from starting: who asks for a code
        waits for it.
        """
        if self.redis is None:
            yield None
            return
        async with self.redis as client, RedisLeases(client, machine=machine) as leases:
            yield leases


def shared_by_environment() -> Shared:
    """What the environment says.

    Raises:
        UsageError: a Redis without a key that the other processes have as well, a key that can be
            guessed, or a URL that cannot be meant.
    """
    url, key = os.environ.get(REDIS) or None, os.environ.get(COOKIE_KEY) or None
    if url is not None and key is None:
        raise UsageError(f"{REDIS} is for several processes: give all the same {COOKIE_KEY}")
    if key is not None and len(key) < SHORTEST:
        raise UsageError(f"{COOKIE_KEY} must have {SHORTEST} characters or more, drawn at random")
    client = None if url is None else _client(url)
    return Shared(client, None if key is None else key.encode())


def _client(url: str) -> Any:
    try:
        import coredis  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError(f"{REDIS} needs a client: pip install '.[redis]'") from None
    try:
        if url.startswith(("redis://", "rediss://")):
            return coredis.Redis.from_url(url)
    except ValueError:
        pass
    raise UsageError(f"{REDIS} must look like redis://host:port, or rediss://host:port")
