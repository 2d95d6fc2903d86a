"""What a connection was made of is gone as soon as nobody holds it: no collector has to find it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import anyio
import pytest

from qrlifecycle import SocketIOTransport, TransportError
from qrlifecycle.testing.contract.socketio_peer import OPENED

from ..collector import left_to_the_collector
from ..raw_peer import PAIRED, RawPeer
from .transport import BOT, USER, receive

pytestmark = pytest.mark.anyio


async def end(peer: RawPeer, act: Callable[[RawPeer], object]) -> None:
    """A connection from its opening to its end, and then nobody holds it."""
    transport = SocketIOTransport(peer.url, bot_id=BOT, user_id=USER, heartbeat=0.2)
    with suppress(TransportError, anyio.EndOfStream):
        try:
            await transport.open()
            act(peer)
            await receive(transport)
        finally:
            await transport.aclose()
            transport.abort()


ENDS: dict[str, tuple[Callable[[RawPeer], object], RawPeer]] = {
    "a success": (lambda peer: peer.wire.send(PAIRED), RawPeer()),
    "a close": (lambda peer: peer.wire.hang_up(), RawPeer()),
    "a reset": (lambda peer: peer.wire.reset(), RawPeer()),
    "silence": (lambda _: None, RawPeer()),
    "no WebSocket": (lambda _: None, RawPeer(status=404)),
    "a refusal": (lambda _: None, RawPeer(status=401)),
    "let in by nobody": (lambda _: None, RawPeer(stop_at=OPENED)),
    "turned away": (lambda _: None, RawPeer(answer='44{"message":"no"}')),
    "no Socket.IO": (lambda peer: peer.wire.send_raw(b"\xff"), RawPeer()),
}
"""What the peer does, and what it is."""


@pytest.mark.parametrize("name", ENDS)
async def test_nothing_is_left_to_the_collector(name: str) -> None:
    """Whatever ends it. What the peer leaves is not counted."""
    act, peer = ENDS[name]
    async with peer:
        await end(peer, act)
        with left_to_the_collector() as left:
            await end(peer, act)
    assert [one for one in left if "tests" not in one] == []
