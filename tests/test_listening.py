"""`qrlifecycle.testing.listening`: what is accepted has an owner."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from qrlifecycle.testing.listening import stop_listening

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """A server of asyncio's own, on a real clock."""
    return "asyncio"


@pytest.mark.parametrize("turns", range(5))
async def test_a_connection_that_was_just_accepted_finds_its_owner(turns: int) -> None:
    """Whenever the server ends, no accepted socket is left without a transport."""
    wires: list[asyncio.BaseTransport] = []

    class Wire(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            wires.append(transport)

    server = await asyncio.get_running_loop().create_server(Wire, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    with socket.create_connection(address) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await stop_listening(server)
        for wire in wires:
            wire.close()
        for _ in range(3):
            await asyncio.sleep(0)
        client.settimeout(2)
        try:
            assert client.recv(1) == b""  # the end: closed by its owner ...
        except ConnectionResetError:
            assert not wires  # ... or never accepted
    gc.collect()
