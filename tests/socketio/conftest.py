"""Real sockets, real time: a server that wants a token, and a peer of raw bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from qrlifecycle.testing import PairingServer

from ..raw_peer import RawPeer
from .transport import BOT, KINDS, TOKEN, USER, MakeTransport, maker


@pytest.fixture
def anyio_backend() -> str:
    """Real sockets want real time."""
    return "asyncio"


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def transport_to(request: pytest.FixtureRequest) -> MakeTransport:
    """Makes transports of a kind, one kind after another."""
    return maker(request.param)


@pytest.fixture
async def server() -> AsyncIterator[PairingServer]:
    """A pairing server that wants a token."""
    async with PairingServer(token=TOKEN) as server:
        server.make_code(BOT, USER)
        yield server


@pytest.fixture
async def peer() -> AsyncIterator[RawPeer]:
    """A peer of raw bytes that joins the client and then says nothing."""
    async with RawPeer() as peer:
        yield peer
