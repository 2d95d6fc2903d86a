"""One redis-server for all tests of leases in a process, emptied for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .redis_server import MISSING, RedisServer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A real one."""
    if MISSING:
        pytest.skip("there is no redis-server here, nor a valkey-server")
    with RedisServer() as server:
        yield server


@pytest.fixture
def server(redis_server: RedisServer) -> RedisServer:
    """A real one that knows nothing."""
    redis_server.fresh()
    return redis_server
