"""The handshake of the Socket.IO transport, over TLS too: what is sent, what is refused."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import ssl
from collections.abc import AsyncIterator
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
    Scanned,
    Signal,
    TransportError,
    TransportRefused,
    TransportUnreachable,
)
from qrlifecycle.testing import PairingServer
from qrlifecycle.testing.contract.socketio_peer import CONNECT, HEADERS, OPENED, UPGRADED
from qrlifecycle.testing.leaks import Leaks
from qrlifecycle.transports.messages import Payload

from ..patience import HANGS
from ..raw_peer import PAIRED, RawPeer
from .transport import BOT, FEW, OWNER, TOKEN, USER, MakeTransport, Turns, receive

pytestmark = pytest.mark.anyio


# The handshake


async def test_the_ids_and_the_token_are_sent_on_connecting(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """In Socket.IO's auth payload, never in the URL."""
    async with transport_to(peer.url):
        (joining,) = peer.wire.texts()
    assert joining[:2] == "40"
    assert json.loads(joining[2:]) == {**OWNER, "token": TOKEN}
    assert TOKEN.encode() not in peer.wire.handshake.request


async def test_without_auth_the_ids_are_sent_alone(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """Not every server wants a token."""
    async with transport_to(peer.url, auth=None):
        (joining,) = peer.wire.texts()
    assert json.loads(joining[2:]) == OWNER


async def test_headers_query_and_path_are_sent(transport_to: MakeTransport, peer: RawPeer) -> None:
    """As given, the path below that of the URL; WebSocket from the first byte."""
    headers = {"Authorization": "Bearer b", "X-Tenant": "7"}
    url = f"{peer.url}/bots/?tenant=7"
    async with transport_to(url, headers=headers, socketio_path="/deep/socket.io/"):
        wire = peer.wire
    assert wire.handshake.request.startswith(
        b"GET /bots/deep/socket.io/?tenant=7&transport=websocket&EIO=4"
    )
    assert wire.handshake.header(b"authorization") == b"Bearer b"
    assert wire.handshake.header(b"x-tenant") == b"7"
    assert len(peer.wires) == 1
    assert headers == {"Authorization": "Bearer b", "X-Tenant": "7"}


async def test_a_namespace_of_ones_own(transport_to: MakeTransport) -> None:
    """It is joined, heard, and left by name."""
    async with PairingServer(namespace="/pairing") as server:
        server.make_code(BOT, USER)
        async with transport_to(server.url, namespace="/pairing") as transport:
            await server.scan(BOT, USER, confirm=False)
            assert await receive(transport) == Scanned()
        with anyio.fail_after(HANGS):
            while server.open_sockets():  # noqa: ASYNC110 - the server tells nobody
                await anyio.sleep(0.001)
        assert server.sockets[0].reason == "client disconnect"


async def test_a_missing_namespace_is_unreachable(
    transport_to: MakeTransport, server: PairingServer
) -> None:
    """It may exist a little later: that is no refusal."""
    with pytest.raises(TransportUnreachable, match="no such namespace"):
        await transport_to(server.url, namespace="/nowhere").open()


async def test_a_wrong_token_is_refused(transport_to: MakeTransport, server: PairingServer) -> None:
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
async def test_http_statuses(
    transport_to: MakeTransport, status: int, error: type[TransportError]
) -> None:
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
        ('44{"message":"no","data":{"code":403}}', TransportRefused, CREDENTIALS),
        ('44{"message":"no","data":{"code":429}}', TransportUnreachable, r"for now \(code 429\)"),
        ('44{"message":"no","data":{"statusCode":"503"}}', TransportUnreachable, "for now"),
        ('44{"message":"no","data":{"retryAfter":3}}', TransportUnreachable, "for now"),
        ("40", TransportUnreachable, r"Socket\.IO 2; Socket\.IO 3 or newer is needed"),
        ("40{}", TransportUnreachable, r"Socket\.IO 2; Socket\.IO 3 or newer is needed"),
        ('44{"message":"Invalid namespace"}', TransportUnreachable, "no such namespace"),
        ("41", TransportUnreachable, "the server closed before the namespace was joined"),
        ("1", TransportUnreachable, "before the namespace was joined"),
    ],
)
async def test_answers_to_the_wish_to_join(
    transport_to: MakeTransport, answer: str, error: type[TransportError], said: str
) -> None:
    """A refusal in any shape is one, at once; a good-bye is a server that is not ready."""
    async with RawPeer(answer=answer) as peer:
        with anyio.fail_after(HANGS), pytest.raises(error, match=said):
            await transport_to(peer.url).open()


async def test_a_redirect_is_not_followed(transport_to: MakeTransport) -> None:
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


async def test_promise_3_an_opening_that_is_cut_off_is_tried_once(
    transport_to: MakeTransport,
) -> None:
    """A client library tries again by itself; how often is for the lifecycle to say."""
    connections = 0

    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(cut_off, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TransportUnreachable):
            await transport_to(f"http://127.0.0.1:{port}").open()
    assert connections == 1


async def test_a_dropped_message_is_seen_in_the_log_and_by_the_lifecycle(
    transport_to: MakeTransport, server: PairingServer, caplog: pytest.LogCaptureFixture
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
    texts = {r.getMessage().partition(" (/")[0]: r.levelname for r in caplog.records}
    levels = {text: level for text, level in texts.items() if "dropped" in text}
    malformed = "a message was dropped: malformed (event 'whatsapp_connected')"
    assert levels == {
        "a message was dropped: unknown (event 'whatsapp_qr_scanned')": "DEBUG",
        f"{malformed}: the function that reads it raised KeyError": "WARNING",
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"auth": "a token"}, "auth must be a mapping, not str"),
        ({"auth": {"token": object()}}, "auth must hold only what JSON can say"),
        ({"auth": {"token": b"t"}}, "auth must hold only what JSON can say"),
        ({"auth": {"age": math.nan}}, "auth must hold only what JSON can say"),
        ({"headers": ["x"]}, "headers must be a mapping, not list"),
        ({"signals": ["x"]}, "signals must be a mapping, not list"),
        ({"heartbeat": "x"}, "heartbeat must be a finite number of seconds above 0"),
        ({"max_message": None}, "max_message must be a whole number of bytes above 0"),
        ({"max_message": 1.5}, "max_message must be a whole number of bytes above 0"),
    ],
)
def test_an_argument_that_cannot_be_meant_is_refused(
    transport_to: MakeTransport, wrong: dict[str, Any], said: str
) -> None:
    """At construction, by name."""
    with pytest.raises(InvalidValue, match=f"^{said}"):
        transport_to("http://127.0.0.1:1", **wrong)


async def test_nobody_there_is_unreachable(transport_to: MakeTransport) -> None:
    """A port that nobody listens on."""
    async with RawPeer() as peer:
        url = peer.url
    with pytest.raises(TransportUnreachable, match="cannot connect"):
        await transport_to(url).open()


@pytest.mark.parametrize("stop_at", [CONNECT, HEADERS, UPGRADED, OPENED])
async def test_a_handshake_that_stalls_is_unreachable(
    transport_to: MakeTransport, stop_at: int
) -> None:
    """Wherever the peer falls silent, `open()` ends within the heartbeat and leaves nothing."""
    async with RawPeer(stop_at=stop_at) as peer:
        leaks = Leaks({peer.port})
        with anyio.fail_after(HANGS), pytest.raises(TransportUnreachable, match=r"within 0\.1 s"):
            await transport_to(peer.url, heartbeat=0.1).open()
        assert leaks.sockets() == []


async def test_a_transport_is_opened_once(transport_to: MakeTransport, peer: RawPeer) -> None:
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


@pytest.mark.parametrize("graceful", [True, False])
async def test_an_opening_ends_when_its_transport_is_closed(
    transport_to: MakeTransport, peer: RawPeer, graceful: bool
) -> None:
    """Whoever waits for the handshake is told at once that somebody closed the door."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    peer.stop_at = UPGRADED
    before = asyncio.all_tasks()
    transport = transport_to(peer.url)
    opening = asyncio.ensure_future(transport.open())
    with anyio.fail_after(HANGS):
        await peer.asked.wait()
        if graceful:
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


async def test_tls_is_verified_unless_told_otherwise(
    transport_to: MakeTransport, tls_peer: RawPeer
) -> None:
    """An unknown authority: no handshake, and nothing was sent."""
    with pytest.raises(TransportUnreachable, match=r"cannot connect|certificate .* is not trusted"):
        await transport_to(tls_peer.url).open()
    assert all(not wire.received for wire in tls_peer.wires)


async def test_tls_with_a_context_of_ones_own(
    transport_to: MakeTransport, tls_peer: RawPeer, authority: trustme.CA
) -> None:
    """Verification is the context's; closing waits for no graceful close of TLS."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    leaks = Leaks({tls_peer.port})
    transport = transport_to(tls_peer.url, ssl_context=context)
    await transport.open()
    tls_peer.wire.send(PAIRED)
    assert isinstance(await receive(transport), Paired)
    with Turns() as turns, anyio.fail_after(HANGS):
        await transport.aclose()
    assert turns.taken < FEW
    assert leaks.sockets() == []
    with anyio.fail_after(HANGS):
        await tls_peer.wire.gone.wait()
