"""The messages of a Socket.IO server, as signals: real sockets, real time."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from qrlifecycle import Connected, Paired, QRCode, QRLifecycle, QRUpdated, Scanned
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


async def test_where_everybody_is_told_everything_ours_is_picked_out(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """By the place that `owner=` names; another's, and what cannot be read, end nothing."""
    own = {"session-logged": lambda payload: Paired(payload.get("number"))}
    async with transport_to(peer.url, signals=own, owner={"session": BOT}) as transport:
        peer.wire.send(
            event("session-logged", {"session": "another", "number": "+1"}),
            event("session-logged", json.dumps({"session": "another", "number": "+2"})),
            event("session-logged", [{"session": BOT, "number": "+3"}]),
            event("session-logged", {"number": "+4"}),
            event("session-logged", {"session": BOT, "number": "+49"}),
        )
        assert await receive(transport) == Paired("+49")
        assert transport.dropped == {"foreign": 2, "malformed": 2}


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


@pytest.mark.parametrize(
    "torn", ['451-["x"]', '452-["x",{"_placeholder":true,"num":0}]', '461-["x"]', '458-["x"]']
)
async def test_promise_7_attachments_that_do_not_come_deafen_nobody(
    transport_to: MakeTransport, peer: RawPeer, torn: str
) -> None:
    """The next message is heard over the same connection, whole, and so are its attachments."""
    async with transport_to(peer.url) as transport:
        pictured = (
            '451-["whatsapp_connected",{"identity":"+49","is":{"_placeholder":true,"num":0}}]'
        )
        peer.wire.send(torn, event("whatsapp_qr_scanned", OWNER), torn)
        peer.wire.send_raw(frame(pictured) + frame(b"PNG", kind=2))
        heard = []
        with anyio.move_on_after(HANGS):
            heard = [await transport.receive(), await transport.receive()]
        picture = {"identity": "+49", "is": b"PNG"}
        assert heard == [Scanned(), Paired("+49", picture)]
    assert len(peer.wires) == 1


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


async def test_the_answer_is_sent_before_the_goodbye(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """Also when the success that asks for it ends the lifecycle, which leaves at once."""

    async def request_qr() -> QRCode:
        return QRCode("a code", expires_in=60)

    def succeed(_qr: object) -> None:
        peer.wire.send('4217["whatsapp_connected",{"identity":"+49"}]')

    lifecycle = QRLifecycle(request_qr, lambda: transport_to(peer.url), on_qr_updated=succeed)
    with anyio.fail_after(HANGS):
        assert isinstance(await lifecycle.pair(), Connected)
        await peer.wire.gone.wait()
    assert peer.wire.texts()[-2:] == ["4317[]", "41"]


@pytest.mark.parametrize("name", ["connect", "disconnect", "connect_error", "message", "*"])
async def test_a_service_may_use_the_protocols_words(
    transport_to: MakeTransport, peer: RawPeer, name: str
) -> None:
    """An event of that name is one like any other: it ends nothing, and can be mapped."""
    async with transport_to(peer.url) as transport:
        peer.wire.send(event(name, {"reason": "old session"}), event("whatsapp_qr_scanned"))
        assert await receive(transport) == Scanned()
        assert transport.dropped == {"unknown": 1}
    own = {name: lambda payload: Paired(str(payload["reason"]))}
    async with transport_to(peer.url, signals=own) as transport:
        peer.wire.send(event(name, {"reason": "old session"}))
        assert await receive(transport) == Paired("old session")


async def test_a_message_says_whose_it_is_where_the_service_says_so(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """In a word of its own, which may stand further down."""
    async with transport_to(peer.url, owner={"session": BOT, "data.session": BOT}) as transport:
        peer.wire.send(
            event("whatsapp_connected", {"data": {"session": "theirs"}}),
            event("whatsapp_connected", json.dumps({"data": {"session": "theirs"}})),
            event("whatsapp_connected", {"data": {"session": BOT}, "userId": "of the phone"}),
        )
        assert isinstance(await receive(transport), Paired)
        assert transport.dropped == {"foreign": 2}


@pytest.mark.parametrize("payload", ["text", ["list"], 7, True])
async def test_promise_7_a_payload_that_is_no_object_is_nobodys_success(
    transport_to: MakeTransport, peer: RawPeer, payload: object, caplog: pytest.LogCaptureFixture
) -> None:
    """It is malformed, said once and then counted; one's own function gets it as it came."""
    async with transport_to(peer.url) as transport:
        peer.wire.send(*[event("whatsapp_connected", payload)] * 3, event("whatsapp_qr_scanned"))
        assert await receive(transport) == Scanned()
        assert transport.dropped == {"malformed": 3}
    said = [record.getMessage() for record in caplog.records if "malformed" in record.getMessage()]
    assert len(said) == 2
    assert said[1] == "2 more messages were dropped: malformed"
    async with transport_to(peer.url, signals={"x": lambda raw: Paired(repr(raw))}) as transport:
        peer.wire.send(event("x", payload))
        assert await receive(transport) == Paired(repr(payload))
