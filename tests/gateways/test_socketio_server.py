"""The kit's Socket.IO server, which emulators speak by: on asyncio and trio."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from qrlifecycle import SocketIOTransport, TransportUnreachable
from qrlifecycle.errors import Ending
from qrlifecycle.signals import Paired
from qrlifecycle.testing.http_server import HTTPServer

from ..patience import HANGS, patient_clock
from .services import telling_everybody

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


def client(server: HTTPServer, namespace: str = "/") -> SocketIOTransport:
    """Who listens there."""
    return SocketIOTransport(server.url, bot_id="b", user_id="u", namespace=namespace)


async def test_a_namespace_comes_to_be_with_the_first_event_in_it() -> None:
    """Before it, and after a restart, it cannot be joined."""
    async with telling_everybody() as (server, socketio):
        with pytest.raises(TransportUnreachable) as caught:
            await client(server, "/bot-7").open()
        assert caught.value.ending is Ending.NOT_CONNECTED
        await socketio.emit("/bot-7", "nothing")
        listener = client(server, "/bot-7")
        await listener.open()
        await socketio.emit("/", "whatsapp_connected", {"identity": "another"})
        await socketio.emit("/bot-7", "whatsapp_connected", {"identity": "ours"})
        with anyio.fail_after(HANGS):
            signal = await listener.receive()
        assert isinstance(signal, Paired)
        assert signal.identity == "ours"
        await listener.aclose()
        socketio.forget()
        with pytest.raises(TransportUnreachable):
            await client(server, "/bot-7").open()


async def test_it_shows_that_it_lives_unless_it_is_frozen() -> None:
    """Who listens hears its pings for ten minutes; frozen, it is silent, and says it afterwards."""
    async with telling_everybody() as (server, socketio):
        listener = client(server)
        await listener.open()
        with anyio.move_on_after(600):
            await listener.receive()
        server.freeze()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(socketio.emit, "/", "whatsapp_qr_scanned", {})
            with anyio.move_on_after(10) as silent:
                await listener.receive()
            assert silent.cancelled_caught
            server.thaw()
            with anyio.fail_after(HANGS):
                await listener.receive()
        await listener.aclose()
        assert server.open_connections <= 1
