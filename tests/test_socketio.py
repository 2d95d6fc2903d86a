"""The rooms of `qrlifecycle.transports.socketio` and `ledger`: real sockets, real time."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trustme
from aiohttp import web

from qrlifecycle import (
    InvalidValue,
    Paired,
    QRCode,
    QRLifecycle,
    QRUpdated,
    Scanned,
    Signal,
    TransportError,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
    UnsupportedBackend,
)
from qrlifecycle.testing import PairingServer
from qrlifecycle.testing.contract.socketio import CONNECT, HEADERS, OPENED, UPGRADED, event, frame
from qrlifecycle.testing.remains import Remains
from qrlifecycle.transports import ledger as ledger_room
from qrlifecycle.transports.messages import Payload
from qrlifecycle.transports.socketio import REAP_INTERVAL, SocketIOTransport

from .peers import PAIRED, RawPeer

pytestmark = pytest.mark.anyio

BOT, USER = "bot-7", "user-1"
TOKEN = "t0ken-never-shown"
OWNER = {"botId": BOT, "userId": USER}


@pytest.fixture
def anyio_backend() -> str:
    """Real sockets want real time."""
    return "asyncio"


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


def transport_to(url: str, **options: Any) -> SocketIOTransport:
    """For bot-7 and user-1, with the right token."""
    options.setdefault("auth", {"token": TOKEN})
    return SocketIOTransport(url, bot_id=BOT, user_id=USER, **options)


async def receive(transport: SocketIOTransport) -> object:
    """The next signal, soon."""
    with anyio.fail_after(2):
        return await transport.receive()


# The handshake


async def test_the_ids_and_the_token_are_sent_on_connecting(peer: RawPeer) -> None:
    """In Socket.IO's auth payload, never in the URL."""
    async with transport_to(peer.url):
        (joining,) = peer.wire.texts()
    assert joining[:2] == "40"
    assert json.loads(joining[2:]) == {**OWNER, "token": TOKEN}
    assert TOKEN.encode() not in peer.wire.handshake.request


async def test_without_auth_the_ids_are_sent_alone(peer: RawPeer) -> None:
    """Not every server wants a token."""
    async with transport_to(peer.url, auth=None):
        (joining,) = peer.wire.texts()
    assert json.loads(joining[2:]) == OWNER


async def test_headers_query_and_path_are_sent(peer: RawPeer) -> None:
    """As given; the transport is WebSocket from the first byte."""
    headers = {"Authorization": "Bearer b", "X-Tenant": "7"}
    url = f"{peer.url}/ignored?tenant=7"
    async with transport_to(url, headers=headers, socketio_path="/deep/socket.io/"):
        wire = peer.wire
    assert wire.handshake.request.startswith(
        b"GET /deep/socket.io/?tenant=7&transport=websocket&EIO=4"
    )
    assert wire.handshake.header(b"authorization") == b"Bearer b"
    assert wire.handshake.header(b"x-tenant") == b"7"
    assert len(peer.wires) == 1
    assert headers == {"Authorization": "Bearer b", "X-Tenant": "7"}


async def test_a_namespace_of_ones_own() -> None:
    """It is joined, heard, and left by name."""
    async with PairingServer(namespace="/pairing") as server:
        server.make_code(BOT, USER)
        async with transport_to(server.url, namespace="/pairing") as transport:
            await server.scan(BOT, USER, confirm=False)
            assert await receive(transport) == Scanned()
        with anyio.fail_after(2):
            while server.open_sockets():  # noqa: ASYNC110 - the server tells nobody
                await anyio.sleep(0.001)
        assert server.sockets[0].reason == "client disconnect"


async def test_a_missing_namespace_is_unreachable(server: PairingServer) -> None:
    """It may exist a little later: that is no refusal."""
    with pytest.raises(TransportUnreachable, match="no such namespace"):
        await transport_to(server.url, namespace="/nowhere").open()


async def test_a_wrong_token_is_refused(server: PairingServer) -> None:
    """For good: the same token will not be better next time."""
    with pytest.raises(TransportRefused, match="credentials"):
        await transport_to(server.url, auth={"token": "wrong"}).open()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, TransportRefused),
        (403, TransportRefused),
        (404, TransportUnreachable),
        (500, TransportUnreachable),
        (503, TransportUnreachable),
    ],
)
async def test_http_statuses(status: int, error: type[TransportError]) -> None:
    """401 and 403 are for good, all others are not; the text names the status."""
    async with RawPeer(status=status) as peer:
        with pytest.raises(error, match=str(status)):
            await transport_to(peer.url).open()


CREDENTIALS = "the server refused the credentials or the bot"


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ('44{"message":"no"}', TransportRefused, CREDENTIALS),
        ('44{"message":[]}', TransportRefused, CREDENTIALS),
        ('44"no"', TransportRefused, CREDENTIALS),
        ("44", TransportRefused, CREDENTIALS),
        ('44{"message":"Invalid namespace"}', TransportUnreachable, "no such namespace"),
        ("41", TransportUnreachable, "the server closed before the namespace was joined"),
        ("1", TransportUnreachable, "before the namespace was joined"),
    ],
)
async def test_answers_to_the_wish_to_join(
    answer: str, error: type[TransportError], said: str
) -> None:
    """A refusal in any shape is one, at once; a good-bye is a server that is not ready."""
    async with RawPeer(answer=answer) as peer:
        with anyio.fail_after(2), pytest.raises(error, match=said):
            await transport_to(peer.url).open()


async def test_a_redirect_is_not_followed() -> None:
    """Headers and token stay with the address they were meant for."""

    async def redirect(_request: web.Request) -> web.Response:
        raise web.HTTPFound(elsewhere.url)

    app = web.Application()
    app.router.add_get("/socket.io/", redirect)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with RawPeer() as elsewhere:
        with pytest.raises(TransportUnreachable, match="redirects"):
            await transport_to(f"http://127.0.0.1:{port}").open()
        assert elsewhere.wires == []
    await runner.cleanup()


async def test_a_dropped_message_is_seen_in_the_log_and_by_the_lifecycle(
    server: PairingServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Unknown at DEBUG, unreadable as a warning, with the name; counted by the lifecycle."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")

    def unreadable(payload: Payload) -> Signal:
        return Paired(str(payload["session"]))

    signals = {"whatsapp_connected": unreadable}
    lifecycle: QRLifecycle

    async def request_qr() -> QRCode:
        return QRCode(server.make_code(BOT, USER))

    async def scan(_qr: QRCode) -> None:
        await server.scan(BOT, USER)
        while "malformed" not in caplog.text:
            await anyio.lowlevel.checkpoint()
        lifecycle.cancel()

    lifecycle = QRLifecycle(
        request_qr, partial(transport_to, server.url, signals=signals), on_qr_updated=scan
    )
    await lifecycle.pair()
    assert lifecycle.dropped == {"unknown": 1, "malformed": 1}
    levels = {r.getMessage(): r.levelname for r in caplog.records if "dropped" in r.getMessage()}
    assert levels == {
        "a message was dropped: unknown (event 'whatsapp_qr_scanned')": "DEBUG",
        "a message was dropped: malformed (event 'whatsapp_connected')": "WARNING",
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"auth": "a token"}, "auth must be a mapping, not str"),
        ({"auth": {"token": object()}}, "auth must hold only what JSON can say"),
        ({"headers": ["x"]}, "headers must be a mapping, not list"),
        ({"signals": ["x"]}, "signals must be a mapping, not list"),
        ({"heartbeat": "x"}, "max_message and heartbeat must be above 0"),
        ({"max_message": None}, "max_message and heartbeat must be above 0"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_refused(wrong: dict[str, Any], said: str) -> None:
    """At construction, by name."""
    with pytest.raises(InvalidValue, match=f"^{said}"):
        transport_to("http://127.0.0.1:1", **wrong)


async def test_nobody_there_is_unreachable() -> None:
    """A port that nobody listens on."""
    async with RawPeer() as peer:
        url = peer.url
    with pytest.raises(TransportUnreachable, match="cannot connect"):
        await transport_to(url).open()


@pytest.mark.parametrize("stop_at", [CONNECT, HEADERS, UPGRADED, OPENED])
async def test_a_handshake_that_stalls_is_unreachable(stop_at: int) -> None:
    """Wherever the peer falls silent, `open()` ends within the heartbeat and leaves nothing."""
    async with RawPeer(stop_at=stop_at) as peer:
        remains = Remains({peer.port})
        with anyio.fail_after(2), pytest.raises(TransportUnreachable, match=r"within 0\.1 s"):
            await transport_to(peer.url, heartbeat=0.1).open()
        assert remains.sockets() == []


async def test_a_transport_is_opened_once(peer: RawPeer) -> None:
    """Not twice, and not after it was closed; the second attempt does not harm the first."""
    transport = transport_to(peer.url)
    await transport.open()
    with pytest.raises(TransportUnreachable, match="once"):
        await transport.open()
    peer.wire.send(PAIRED)
    assert isinstance(await receive(transport), Paired)
    await transport.aclose()
    with pytest.raises(TransportUnreachable, match="once"):
        await transport.open()
    closed, aborted = transport_to(peer.url), transport_to(peer.url)
    await closed.aclose()
    aborted.abort()
    for gone in (closed, aborted):
        with pytest.raises(TransportUnreachable, match="once"):
            await gone.open()
    assert len(peer.wires) == 1


@pytest.mark.parametrize("polite", [True, False])
async def test_an_opening_ends_when_its_transport_is_closed(peer: RawPeer, polite: bool) -> None:
    """Whoever waits for the handshake is told at once that somebody closed the door."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    peer.stop_at = UPGRADED
    before = asyncio.all_tasks()
    transport = transport_to(peer.url)
    opening = asyncio.ensure_future(transport.open())
    with anyio.fail_after(2):
        await peer.asked.wait()
        if polite:
            await transport.aclose()
        else:
            transport.abort()
        with pytest.raises(TransportUnreachable, match="the transport was closed while it opened"):
            await opening
    assert asyncio.all_tasks() == before
    assert transport.dropped == {}
    assert complaints == []


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority that nobody knows."""
    return trustme.CA()


@pytest.fixture
async def tls_peer(authority: trustme.CA) -> AsyncIterator[RawPeer]:
    """A peer whose certificate is from there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with RawPeer(tls=context) as peer:
        yield peer


async def test_tls_is_verified_unless_told_otherwise(tls_peer: RawPeer) -> None:
    """An unknown authority: no handshake, and nothing was sent."""
    with pytest.raises(TransportUnreachable, match="cannot connect"):
        await transport_to(tls_peer.url).open()
    assert all(not wire.received for wire in tls_peer.wires)


async def test_tls_with_a_context_of_ones_own(tls_peer: RawPeer, authority: trustme.CA) -> None:
    """Verification is the context's; closing waits for no goodbye of TLS."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    remains = Remains({tls_peer.port})
    transport = transport_to(tls_peer.url, ssl_context=context)
    await transport.open()
    tls_peer.wire.send(PAIRED)
    assert isinstance(await receive(transport), Paired)
    with anyio.fail_after(0.5):
        await transport.aclose()
    assert remains.sockets() == []
    with anyio.fail_after(2):
        await tls_peer.wire.gone.wait()


# Messages


@pytest.mark.parametrize("as_message", [False, True])
async def test_the_walk_of_a_real_server(as_message: bool) -> None:
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


async def test_an_extra_trailing_argument_is_no_trouble(peer: RawPeer) -> None:
    """Node's connection state recovery appends an offset to every event."""
    async with transport_to(peer.url) as transport:
        peer.wire.send(event("whatsapp_connected", {**OWNER, "identity": "+49"}, "offset-1"))
        paired = await receive(transport)
        assert isinstance(paired, Paired)
        assert paired.identity == "+49"


async def test_what_becomes_nothing_is_counted_by_cause(peer: RawPeer) -> None:
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


async def test_signals_of_ones_own_may_fail_in_any_way(peer: RawPeer) -> None:
    """A map's own mistake is a malformed message, not a broken link."""

    def clumsy(payload: Payload) -> Any:
        raise AttributeError(payload["secret"])

    own = {"clumsy": clumsy, "done": lambda _payload: Paired("+49")}
    async with transport_to(peer.url, signals=own) as transport:
        peer.wire.send(event("clumsy", {"secret": "s"}), event("done"))
        assert await receive(transport) == Paired("+49")
        assert transport.dropped == {"malformed": 1}


async def test_a_message_that_asks_for_an_answer_gets_one(peer: RawPeer) -> None:
    """An id means that the server waits for an acknowledgement."""
    async with transport_to(peer.url) as transport:
        peer.wire.send('4217["whatsapp_qr_scanned",{}]')
        assert await receive(transport) == Scanned()
        with anyio.fail_after(2):
            while "4317[]" not in peer.wire.texts():  # noqa: ASYNC110 - the wire tells nobody
                await anyio.sleep(0.001)


@pytest.mark.parametrize("count", [1, 8])
async def test_a_message_with_attachments_is_heard(peer: RawPeer, count: int) -> None:
    """Pictures beside the success make it a binary event; it is a success all the same."""
    async with transport_to(peer.url) as transport:
        pictures = [{"_placeholder": True, "num": number} for number in range(count)]
        header = json.dumps(["whatsapp_connected", {**OWNER, "identity": "+49", "are": pictures}])
        peer.wire.send_raw(frame(f"45{count}-{header}") + frame(b"\x89PNG", kind=2) * count)
        paired = await receive(transport)
        assert isinstance(paired, Paired)
        assert paired.identity == "+49"
        assert paired.data["are"] == [b"\x89PNG"] * count


# Hostile peers


async def test_a_message_that_is_too_large_breaks_the_link(peer: RawPeer) -> None:
    """One below the limit is read."""
    async with transport_to(peer.url, max_message=1000) as transport:
        peer.wire.send(event("whatsapp_qr_scanned", {"x": "y" * 900}))
        assert await receive(transport) == Scanned()
        peer.wire.send(event("whatsapp_connected", {"x": "y" * 1000}))
        with pytest.raises(TransportLost):
            await receive(transport)


async def test_a_message_may_have_a_mebibyte_unless_told_otherwise(peer: RawPeer) -> None:
    """One of about as much is read; half a kilobyte beyond it breaks the link."""
    async with transport_to(peer.url) as transport:
        peer.wire.send(event("whatsapp_qr_scanned", {"x": "y" * (2**20 - 500)}))
        assert await receive(transport) == Scanned()
        peer.wire.send(event("whatsapp_qr_scanned", {"x": "y" * (2**20 + 500)}))
        with pytest.raises(TransportLost):
            await receive(transport)


async def test_attachments_without_end_are_not_collected(peer: RawPeer) -> None:
    """Python-socketio would keep as many as the server announces; more than eight are too many."""
    async with transport_to(peer.url) as transport:
        peer.wire.send_raw(frame('459-["x"]') + frame(b"a" * 1000, kind=2) * 20)
        peer.wire.send(event("whatsapp_qr_scanned"))
        assert await receive(transport) == Scanned()
        assert transport.dropped == {"malformed": 21}


@pytest.mark.parametrize(
    ("frames", "size"),
    [
        pytest.param(frame("2" + "x" * 900_000), 900_007, id="large engine.io pings"),
        pytest.param(frame("2" + "x" * 100_000), 100_007, id="engine.io pings"),
        pytest.param(frame("x" * 100, kind=9) * 500, 53_000, id="websocket pings"),
    ],
)
async def test_a_peer_that_never_reads_its_answers_is_cut_off(
    peer: RawPeer, monkeypatch: pytest.MonkeyPatch, frames: bytes, size: int
) -> None:
    """Answers that pile up break the link: they neither grow without bound nor hold up the news."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with transport_to(peer.url) as transport:
        peer.wire.transport.pause_reading()
        lost = False
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(flood, peer, frames)
                try:
                    await transport.receive()
                except TransportLost:
                    lost = True
                tasks.cancel_scope.cancel()
        assert lost
        assert unsent_of(transport) < ledger_room.MAX_UNSENT + 2 * size
        with anyio.fail_after(0.5):
            await transport.aclose()
    gc.collect()
    assert complaints == []


async def flood(peer: RawPeer, frames: bytes) -> None:
    """Send without end, as fast as the client takes it."""
    while not peer.wire.gone.is_set():
        if peer.wire.transport.get_write_buffer_size() < 1_000_000:
            peer.wire.send_raw(frames)
        await anyio.lowlevel.checkpoint()


def unsent_of(transport: SocketIOTransport) -> int:
    """Bytes that wait in this process to be sent."""
    assert transport._ledger is not None
    websockets = transport._ledger._websockets
    wires = [wire for w in websockets if (wire := ledger_room._transport_of(w)) is not None]
    assert transport._client is not None
    return sum(wire.get_write_buffer_size() for wire in wires) + sum(
        len(packet.data) for packet in transport._client.eio.queue._queue if packet is not None
    )


async def test_success_right_before_the_close_is_heard(peer: RawPeer) -> None:
    """In one segment: the success, then Engine.IO's close. From Python 3.12 on it was overtaken."""
    async with transport_to(peer.url) as transport:
        peer.wire.send(PAIRED, "1")
        assert isinstance(await receive(transport), Paired)
        with pytest.raises(anyio.EndOfStream):
            await receive(transport)


@pytest.mark.parametrize(
    ("goodbye", "end"),
    [
        pytest.param(frame("1"), anyio.EndOfStream, id="engine.io"),
        pytest.param(frame("41"), anyio.EndOfStream, id="socket.io"),
        pytest.param(frame(b"\x03\xe8", kind=8), TransportLost, id="websocket"),
        pytest.param(frame(b"", kind=8), TransportLost, id="websocket, without a code"),
    ],
)
async def test_a_server_that_closes_need_not_say_so_twice(
    peer: RawPeer, goodbye: bytes, end: type[Exception]
) -> None:
    """Whichever layer says goodbye: the end is known though nothing more comes."""
    async with transport_to(peer.url) as transport:
        peer.wire.send_raw(goodbye)
        with anyio.fail_after(1), pytest.raises(end):
            await transport.receive()


async def test_a_namespace_of_ones_own_may_be_closed_alone() -> None:
    """The server's goodbye to it is the end."""
    async with (
        RawPeer(answer='40/pairing,{"sid":"x"}') as peer,
        transport_to(peer.url, namespace="/pairing") as transport,
    ):
        peer.wire.send("41/pairing,")
        with pytest.raises(anyio.EndOfStream):
            await receive(transport)


async def test_a_flood_does_not_slow_the_closing(peer: RawPeer) -> None:
    """The peer sends without end and never answers: `aclose()` is quick all the same."""
    transport = transport_to(peer.url)
    await transport.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(flood, peer, frame(event("nobody", {})) * 100)
        while not transport.dropped:
            await anyio.lowlevel.checkpoint()
        with anyio.fail_after(0.5):
            await transport.aclose()
        tasks.cancel_scope.cancel()
    assert not transport._tasks


@pytest.mark.parametrize(
    "intervals",
    [
        (math.nan, 1),
        (math.inf, 1),
        ("soon", 1),
        (None, 1),
        (10**99, 1),
        (-5, -5),
        (0, 0),
        (25_000, 10**9),
    ],
)
async def test_absurd_intervals_do_not_outlive_the_heartbeat(
    intervals: tuple[object, object],
) -> None:
    """Whatever the server says about pings, a silent peer is lost within our heartbeat."""
    async with RawPeer(intervals=intervals) as peer:
        transport = transport_to(peer.url, heartbeat=0.1)
        with anyio.fail_after(1), pytest.raises((TransportUnreachable, TransportLost)):
            await open_and_receive(transport)
        await transport.aclose()


async def open_and_receive(transport: SocketIOTransport) -> None:
    """Some intervals are refused, others replaced."""
    await transport.open()
    await transport.receive()


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ((25_000, 20_000), (25, 20)),
        ((60_000, 30_000), (60, 30)),
        ((500, 200), (0.5, 0.2)),
        ((60_000, 30_500), (90, 0)),
        ((500, -500), (90, 0)),
    ],
)
async def test_a_server_s_own_intervals_count_up_to_the_heartbeat(
    asked: tuple[int, int], kept: tuple[int, int]
) -> None:
    """What would notice a dead peer later than in 90 s, or at once, is not taken over."""
    async with RawPeer(intervals=asked) as peer, transport_to(peer.url) as transport:
        assert transport._client is not None
        eio = transport._client.eio
        assert (eio.ping_interval, eio.ping_timeout) == kept


async def test_pings_keep_a_quiet_link_alive(peer: RawPeer) -> None:
    """A peer that pings is not silent; once it stops, the link is lost."""
    async with transport_to(peer.url, heartbeat=0.2) as transport:
        with anyio.move_on_after(0.5) as longer_than_the_heartbeat:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(transport.receive)
                while True:
                    peer.wire.send("2")
                    await anyio.sleep(0.05)
        assert longer_than_the_heartbeat.cancelled_caught
        assert "3" in peer.wire.texts()
        with anyio.fail_after(1), pytest.raises(TransportLost):
            await transport.receive()


async def test_a_link_that_broke_is_not_opened_anew(peer: RawPeer) -> None:
    """That is for the lifecycle to do, with a transport of its own: nothing goes on running."""
    async with transport_to(peer.url) as transport:
        peer.wire.reset()
        with pytest.raises(TransportLost):
            await receive(transport)
        with anyio.fail_after(2):
            while transport._tasks:
                await anyio.lowlevel.checkpoint()
        assert len(peer.wires) == 1


async def test_ctrl_c_stays_the_program_s_own(
    peer: RawPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python-engineio would have the event loop call a handler of its own."""
    monkeypatch.setattr("engineio.async_client.async_signal_handler_set", False)  # by others
    async with transport_to(peer.url):
        assert not asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


# Closing


async def test_the_goodbye_is_polite(peer: RawPeer) -> None:
    """Socket.IO's disconnect, WebSocket's close, no waiting; and nothing is heard any more."""
    transport = transport_to(peer.url)
    await transport.open()
    peer.wire.send(PAIRED)
    while not len(transport._buffer):
        await anyio.lowlevel.checkpoint()
    await transport.aclose()
    with pytest.raises(anyio.EndOfStream):
        await receive(transport)
    with anyio.fail_after(2):
        await peer.wire.gone.wait()
    assert peer.wire.texts()[-1] == "41"
    assert peer.wire.received[-8] == 0x88


async def test_a_healthy_close_is_prompt(peer: RawPeer) -> None:
    """It takes a few turns of the event loop; the best of five is far from a second telling."""
    seconds = []
    for _ in range(5):
        transport = transport_to(peer.url)
        await transport.open()
        began = time.perf_counter()
        await transport.aclose()
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < REAP_INTERVAL / 2


async def test_a_look_up_of_names_that_hangs_can_be_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread that looks up cannot be stopped, but no task waits for it."""
    asked, go_on = threading.Event(), threading.Event()

    def hang(*_args: object, **_options: object) -> list[object]:
        asked.set()
        go_on.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    before = asyncio.all_tasks()
    transport = transport_to("http://example.invalid")
    task = asyncio.ensure_future(transport.open())
    try:
        with anyio.fail_after(2):
            while not asked.is_set():  # noqa: ASYNC110 - another thread's
                await anyio.sleep(0.001)
        task.cancel()
        with anyio.fail_after(0.5), pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == before
    finally:
        go_on.set()


async def test_abort_resets_the_connection(peer: RawPeer) -> None:
    """By force: no goodbye, and the kernel keeps nothing to send; `receive()` is at its end."""
    transport = transport_to(peer.url)
    await transport.open()
    peer.wire.send(PAIRED)
    waits_for_no_socket = transport._start(asyncio.Event().wait())
    transport.abort()
    assert transport._ledger is not None
    for made in transport._ledger._open_sockets():
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 0)
    with pytest.raises(anyio.EndOfStream):
        await receive(transport)
    with anyio.fail_after(2):
        await peer.wire.gone.wait()
    assert "41" not in peer.wire.texts()
    assert waits_for_no_socket.cancelled()
    await transport.aclose()


@pytest.mark.parametrize("cancels", [1, 2, 3])
async def test_native_cancellation_waits_until_all_is_gone(peer: RawPeer, cancels: int) -> None:
    """`task.cancel()`, also several times in a row: when the task ends, nothing is left."""
    peer.stop_at = UPGRADED
    remains = Remains({peer.port})
    transport = transport_to(peer.url)
    task = asyncio.ensure_future(transport.open())
    with anyio.fail_after(2):
        await peer.asked.wait()
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not transport._tasks
    assert remains.sockets() == []


@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_a_goodbye_that_is_cancelled_leaves_nothing(peer: RawPeer, turns: int) -> None:
    """`aclose()` goes on to the end, and then the cancellation does."""
    remains, before = Remains({peer.port}), asyncio.all_tasks()
    transport = transport_to(peer.url)
    await transport.open()
    task = asyncio.ensure_future(transport.aclose())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    assert remains.sockets() == []


async def be_stubborn() -> None:
    """Swallow a cancellation, as a client's task may, and end at the next."""
    for _ in range(2):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def test_a_task_that_swallows_a_cancellation_is_told_again(peer: RawPeer) -> None:
    """Closing takes one more telling, and then it is gone."""
    transport = transport_to(peer.url)
    await transport.open()
    stubborn = transport._start(be_stubborn())
    await asyncio.sleep(0)
    with anyio.fail_after(1):
        await transport.aclose()
    assert stubborn.done()


async def test_a_cancellation_while_a_failed_opening_is_cleared_away_goes_on(
    peer: RawPeer,
) -> None:
    """The caller gets the cancellation, and not the failure that came before it."""
    peer.stop_at = UPGRADED
    transport = transport_to(peer.url, heartbeat=0.1)
    task = asyncio.ensure_future(transport.open())
    await asyncio.sleep(0)
    stubborn = transport._start(be_stubborn())
    with anyio.fail_after(2):
        while not transport._closing:
            await anyio.lowlevel.checkpoint()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert stubborn.done()


AFTER_THE_LOOP = """
import asyncio, os, socket
from qrlifecycle.transports.socketio import SocketIOTransport
from tests.peers import RawPeer

loop = asyncio.new_event_loop()
peer = RawPeer()
loop.run_until_complete(peer.__aenter__())
transport = SocketIOTransport(peer.url, bot_id="b", user_id="u")
loop.run_until_complete(transport.open())
waiting = loop.create_task(transport.receive())
loop.run_until_complete(asyncio.sleep(0))
loop.close()
transport.abort()
with socket.socket(fileno=os.dup(peer.wire.transport.get_extra_info("socket").fileno())) as end:
    try:
        print("fine, and the peer sees", end.recv(100), flush=True)
    except ConnectionResetError:
        print("fine, and the peer sees", b"", flush=True)
os._exit(0)  # what a closed loop leaves behind would be complained about
"""


def test_abort_after_the_event_loop_is_closed_is_fine() -> None:
    """Too late for anything but the socket, which is shut; nothing is raised."""
    command = [sys.executable, "-c", AFTER_THE_LOOP]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    assert ran.stdout == "fine, and the peer sees b''\n", ran.stderr


async def test_a_descriptor_closed_behind_our_back_is_left_alone(peer: RawPeer) -> None:
    """Its number may be another's by now: it is neither shut nor waited for.

    Uvloop does that when a connection breaks while it is taken over; closing then span for ever.
    """
    ledger = ledger_room.Ledger(None)
    made = ledger._make_socket((2, 1, 6))
    number = made.fileno()
    made.detach()
    other = socket.socket(fileno=number)  # closed behind its back, and used anew
    with other, socket.socket() as another:
        stale = socket.socket(fileno=other.fileno())
        ledger._sockets[:] = [(stale, ledger_room._identity_of(another))]
        ledger.shut()
        with anyio.fail_after(1):
            await ledger.reap()
        assert stale.fileno() == -1
        assert other.getsockname()[0] == "0.0.0.0"


# Secrets


class Everything(logging.Handler):
    """All that any logger says."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text, the arguments and the exception."""
        self.texts.append(self.format(record) + repr(record.args))


@pytest.fixture
def everything() -> Any:
    """Every logger at DEBUG, python-socketio's and aiohttp's too."""
    handler = Everything()
    names = ("", "socketio", "engineio", "socketio.client", "engineio.client", "aiohttp", "asyncio")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    loggers[0].addHandler(handler)
    yield handler
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def texts_of(error: BaseException | None) -> list[str]:
    """What an error and all that stands behind it say."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(error.args)]
        error = error.__cause__ or error.__context__
    return texts


@pytest.mark.parametrize("end", ["refused", "http", "garbage", "unreachable", "lost", "fine"])
async def test_no_secret_is_shown(everything: Everything, end: str) -> None:
    """Neither token, nor URL's query or password, nor payload: in no log, repr or error."""
    secrets = ["t0ken", "qu3ry", "passw0rd", "h3ader", "payl0ad"]
    texts: list[str] = []
    evil: dict[str, dict[str, Any]] = {
        "refused": {"answer": '44{"message":"payl0ad"}'},
        "http": {"status": 500},
        "garbage": {"intervals": ("payl0ad", 1)},
    }
    async with RawPeer(**evil.get(end, {})) as peer:
        port = 1 if end == "unreachable" else peer.port
        transport = SocketIOTransport(
            f"http://me:passw0rd@127.0.0.1:{port}/?key=qu3ry",
            bot_id=BOT,
            user_id=USER,
            auth={"token": "t0ken"},
            headers={"X-Key": "h3ader"},
            heartbeat=0.5,
        )
        texts.append(repr(transport))
        try:
            await transport.open()
            peer.wire.send(
                event("whatsapp_qr_updated", {**OWNER, "qr": "payl0ad"}),
                event("whatsapp_qr_updated", {**OWNER, "qr": ["payl0ad"]}),
                event(["payl0ad"]),
                event("nobody", "payl0ad"),
            )
            signal = await receive(transport)
            assert signal == QRUpdated(QRCode("payl0ad"))
            texts.append(repr(signal))
            if end == "lost":
                peer.wire.send_raw(b"\xf1payl0ad")
                await receive(transport)
        except TransportError as error:
            texts += texts_of(error)
            assert end != "fine"
        else:
            assert end == "fine"
        texts.append(repr(transport) + repr(transport.dropped))
        await transport.aclose()
    texts += everything.texts
    assert [(s, text) for s in secrets for text in texts if s in text] == []


async def test_the_net_for_secrets_has_no_hole(everything: Everything) -> None:
    """What python-socketio would say, had it a log of its own, is heard."""
    logging.getLogger("engineio.client").info("Received packet %s", TOKEN)
    assert any(TOKEN in text for text in everything.texts)


def test_the_repr_says_where_and_for_whom() -> None:
    """Scheme, host, port and the two ids; no more."""
    transport = transport_to("https://me:pw@example.org:8443/a?b=c#d")
    assert (
        repr(transport) == "<SocketIOTransport https://example.org:8443 bot='bot-7' user='user-1'>"
    )
    transport = transport_to("wss://example.org/a")
    assert repr(transport) == "<SocketIOTransport wss://example.org bot='bot-7' user='user-1'>"


# Usage


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3cret",
        "127.0.0.1:8000/s3cret",
        "ftp://s3cret",
        "http://",
        "http://:80/s3cret",
        "http://host:s3cret",
        "http://host:99999/?s3cret",
        "http://[::s3cret",
        None,
        b"http://s3cret",
    ],
)
def test_a_bad_url_is_an_invalid_value_that_is_not_shown(url: Any) -> None:
    """The URL itself may hold a token."""
    with pytest.raises(InvalidValue, match="http://host:port") as caught:
        transport_to(url)
    assert "s3cret" not in "".join(map(str, texts_of(caught.value)[:3]))


@pytest.mark.parametrize("name", ["bot_id", "user_id"])
@pytest.mark.parametrize("value", ["", None, 7])
def test_a_bad_id_is_an_invalid_value(name: str, value: Any) -> None:
    """Empty, or no text."""
    ids: dict[str, Any] = {"bot_id": BOT, "user_id": USER, name: value}
    with pytest.raises(InvalidValue, match=f"^{name} must be text that is not empty"):
        SocketIOTransport("http://host", **ids)


@pytest.mark.parametrize(
    "options",
    [
        {"namespace": "pairing"},
        {"max_message": 0},
        {"max_message": -1},
        {"heartbeat": 0},
        {"heartbeat": -1},
        {"heartbeat": math.inf},
        {"heartbeat": math.nan},
    ],
)
def test_bad_options_are_invalid_values(options: dict[str, Any]) -> None:
    """Numbers that are not above 0 and finite, a namespace without its stroke."""
    with pytest.raises(InvalidValue):
        transport_to("http://host", **options)


def test_without_asyncio_it_says_what_to_do() -> None:
    """On trio, `open()` raises the typed error; closing what never opened is fine there, too."""

    async def main() -> None:
        transport = transport_to("http://127.0.0.1:1")
        with pytest.raises(UnsupportedBackend, match=r"^SocketIOTransport needs asyncio"):
            await transport.open()
        transport.abort()
        await transport.aclose()
        with pytest.raises(anyio.EndOfStream):
            await transport.receive()

    check: Callable[[], Any] = main
    anyio.run(check, backend="trio")
