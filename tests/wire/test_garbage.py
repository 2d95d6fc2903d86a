"""A transport over a WebSocket is gone as soon as nobody holds it: no collector has to find it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest

from qrlifecycle import Paired, Signal, TransportError, WebSocketTransport
from qrlifecycle.testing.contract.websocket_peer import frame

from ..collector import left_to_the_collector
from .serving import Served, listening, serve_quietly

pytestmark = pytest.mark.anyio

HEARTBEAT = 0.5


def read(_said: Any) -> Signal:
    """Whatever is said is a success."""
    return Paired()


async def tell(served: Served) -> None:
    """Say that it succeeded, and hear the goodbye."""
    await served.accept(frame("{}"))
    await served.read_to_the_end()


async def close(served: Served) -> None:
    """Close by a code that is no order."""
    await served.accept(frame(b"\x03\xf3", 8))


async def reset(served: Served) -> None:
    """Break the connection."""
    await served.accept()
    served.reset()


async def babble(served: Served) -> None:
    """Break the rules of WebSocket."""
    await served.accept(b"\xff\xff")
    await served.read_to_the_end()


async def refuse(served: Served) -> None:
    """Let nobody in."""
    await served.answer(b"HTTP/1.1 401 X\r\n\r\n")


async def speak_another_protocol(served: Served) -> None:
    """Be no server of HTTP."""
    await served.answer(b"SSH-2.0\r\n")


async def end(port: int) -> None:
    """A transport from its opening to its end; and then nobody holds it."""
    transport = WebSocketTransport(f"ws://127.0.0.1:{port}/", read, heartbeat=HEARTBEAT)
    with suppress(TransportError, anyio.EndOfStream):
        try:
            await transport.open()
            await transport.receive()
        finally:
            await transport.aclose()
            transport.abort()


HANDLERS = (tell, close, reset, babble, refuse, speak_another_protocol, serve_quietly)


@pytest.mark.parametrize("handler", HANDLERS)
async def test_nothing_is_left_to_the_collector(
    handler: Callable[[Served], Awaitable[object]],
) -> None:
    """Whatever ends it. What the test's own server leaves is not looked at."""
    async with listening(handler) as port:
        await end(port)
        with left_to_the_collector() as left:
            await end(port)
    ours = [one for one in left if one.startswith("qrlifecycle.") and ".testing." not in one]
    assert ours == []
