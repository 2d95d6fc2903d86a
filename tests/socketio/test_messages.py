"""The messages of a Socket.IO server, as signals: real sockets, real time."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from qrlifecycle import Paired, QRUpdated, Scanned
from qrlifecycle.testing import PairingServer
from qrlifecycle.testing.contract.socketio_peer import event, frame
from qrlifecycle.transports.messages import Payload

from ..patience import HANGS
from ..raw_peer import RawPeer
from .transport import BOT, OWNER, USER, MakeTransport, receive

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("as_message", [False, True])
async def test_the_walk_of_a_real_server(transport_to: MakeTransport, as_message: bool) -> None:
    """Each as an event of its name, or as "message" with a ``type``."""
    async with PairingServer(as_message=as_message) as server:
        server.make_code(BOT, USER)
        async with transport_to(server.url) as transport:
            await server.rotate(BOT, USER)
            updated = await receive(transport)
            assert isinstance(updated, QRUpdated)
            assert server.pairing(BOT, USER).code in updated.qr.reveal()
            await server.scan(BOT, USER)
            assert await receive(transport) == Scanned()
            paired = await receive(transport)
            assert isinstance(paired, Paired)
            assert paired.identity == "+490001234567"


async def test_an_extra_trailing_argument_is_no_trouble(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """Node's connection state recovery appends an offset to every event."""
    async with transport_to(peer.url) as transport:
        peer.wire.send(event("whatsapp_connected", {**OWNER, "identity": "+49"}, "offset-1"))
        paired = await receive(transport)
        assert isinstance(paired, Paired)
        assert paired.identity == "+49"


async def test_what_becomes_nothing_is_counted_by_cause(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """Foreign, unknown and malformed messages move nothing; the next good one comes."""
    async with transport_to(peer.url) as transport:
        peer.wire.send(
            event("whatsapp_connected", {**OWNER, "botId": "another"}),
            event("whatsapp_connected", {**OWNER, "userId": "another"}),
            event("nobody", {}),
            event("message", {"type": "nobody"}),
            event("message"),
            event("whatsapp_qr_updated", {**OWNER, "qr": 7}),
            event(["unhashable"]),
            event("whatsapp_qr_scanned", OWNER),
        )
        assert await receive(transport) == Scanned()
        assert transport.dropped == {"foreign": 2, "unknown": 3, "malformed": 2}


async def test_signals_of_ones_own_may_fail_in_any_way(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """A map's own mistake is a malformed message, not a broken connection."""

    def clumsy(payload: Payload) -> Any:
        raise AttributeError(payload["secret"])

    own = {"clumsy": clumsy, "done": lambda _payload: Paired("+49")}
    async with transport_to(peer.url, signals=own) as transport:
        peer.wire.send(event("clumsy", {"secret": "s"}), event("done"))
        assert await receive(transport) == Paired("+49")
        assert transport.dropped == {"malformed": 1}


async def test_a_message_that_asks_for_an_answer_gets_one(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """An id means that the server waits for an acknowledgement."""
    async with transport_to(peer.url) as transport:
        peer.wire.send('4217["whatsapp_qr_scanned",{}]')
        assert await receive(transport) == Scanned()
        with anyio.fail_after(HANGS):
            while "4317[]" not in peer.wire.texts():  # noqa: ASYNC110 - the wire tells nobody
                await anyio.sleep(0.001)


@pytest.mark.parametrize("count", [1, 8])
async def test_a_message_with_attachments_is_heard(
    transport_to: MakeTransport, peer: RawPeer, count: int
) -> None:
    """Pictures beside the success make it a binary event; it is a success all the same."""
    async with transport_to(peer.url) as transport:
        pictures = [{"_placeholder": True, "num": number} for number in range(count)]
        header = json.dumps(["whatsapp_connected", {**OWNER, "identity": "+49", "are": pictures}])
        peer.wire.send_raw(frame(f"45{count}-{header}") + frame(b"\x89PNG", kind=2) * count)
        paired = await receive(transport)
        assert isinstance(paired, Paired)
        assert paired.identity == "+49"
        assert paired.data["are"] == [b"\x89PNG"] * count
