"""Long polling, and sessions of one's own: what is the adapter's over `AsyncClient` alone."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web

from qrlifecycle import (
    AsyncClientTransport,
    Connected,
    InvalidValue,
    Paired,
    QRCode,
    QRLifecycle,
    Scanned,
    TransportError,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
)
from qrlifecycle.errors import Ending
from qrlifecycle.testing import PairingServer
from qrlifecycle.testing.leaks import Leaks

from ..patience import HANGS
from ..raw_peer import RawPeer
from ..wire.documented import is_documented
from .transport import BOT, TOKEN, USER, receive, texts_of

pytestmark = pytest.mark.anyio

OPEN = '0{"sid":"s","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}'
JOINED = '40{"sid":"x"}'
SUCCESS = '42["whatsapp_connected",{"identity":"+49"}]'


def polling(url: str, **options: Any) -> AsyncClientTransport:
    """For bot-7 and user-1, with the right token, over HTTP alone."""
    usual = {"bot_id": BOT, "user_id": USER, "auth": {"token": TOKEN}, "polling": True}
    return AsyncClientTransport(url, **{**usual, **options})


# A real server


async def test_the_walk_of_a_real_server(server: PairingServer) -> None:
    """All of it over HTTP; the server is told of our leaving."""
    async with polling(server.url) as transport:
        await server.scan(BOT, USER)
        assert await receive(transport) == Scanned()
        assert isinstance(await receive(transport), Paired)
    with anyio.fail_after(HANGS):
        while server.open_sockets():  # noqa: ASYNC110 - the server tells nobody
            await anyio.sleep(0.001)
    assert server.sockets[0].reason == "client disconnect"


async def test_a_wrong_token_is_refused(server: PairingServer) -> None:
    """As over WebSocket."""
    with pytest.raises(TransportRefused, match="credentials"):
        await polling(server.url, auth={"token": "wrong"}).open()


async def test_a_whole_lifecycle_leaves_nothing(server: PairingServer) -> None:
    """Not a socket."""
    leaks = Leaks({server.port})

    async def request_qr() -> QRCode:
        return QRCode(server.make_code(BOT, USER))

    async def scan(_qr: object) -> None:
        await server.scan(BOT, USER)

    lifecycle = QRLifecycle(request_qr, partial(polling, server.url), on_qr_updated=scan)
    with anyio.fail_after(HANGS):
        assert isinstance(await lifecycle.pair(), Connected)
    assert leaks.sockets() == []


@pytest.mark.parametrize("method", ["open", "receive", "aclose"])
async def test_it_can_be_cancelled_at_each_turn(server: PairingServer, method: str) -> None:
    """Then nothing is left, however far it had come."""
    leaks = Leaks({server.port})
    for turns in range(60):
        transport = polling(server.url)
        if method != "open":
            await transport.open()
        task = asyncio.ensure_future(getattr(transport, method)())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with anyio.fail_after(HANGS):
            with suppress(asyncio.CancelledError, TransportError):
                await task
            transport.abort()
            await transport.aclose()
        assert leaks.sockets() == []
        assert not transport._tasks


async def test_abort_ends_it_at_once(server: PairingServer) -> None:
    """Whoever waits is told, and the sockets are shut."""
    leaks = Leaks({server.port})
    transport = polling(server.url)
    await transport.open()
    waiting = asyncio.ensure_future(transport.receive())
    await asyncio.sleep(0)
    transport.abort()
    with anyio.fail_after(HANGS), pytest.raises(anyio.EndOfStream):
        await waiting
    await transport.aclose()
    assert leaks.sockets() == []


# Servers that misbehave

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PolledServer:
    """Says one thing after another to whoever polls; then it is silent."""

    def __init__(
        self, *says: str, then: Answer | None = None, posted: Answer | None = None
    ) -> None:
        self.says = list(says)
        self.then = then
        self.posted = posted
        self.heard: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """A poll is answered with what is to be said; what is sent is noted."""
        assert request.query["transport"] == "polling"
        if request.method == "POST":
            self.heard.append(await request.text())
            if self.posted is not None:
                return await self.posted(request)
            return web.Response(text="ok")
        if self.says:
            return web.Response(text=self.says.pop(0))
        if self.then is not None:
            return await self.then(request)
        await asyncio.sleep(2 * HANGS)
        return web.Response()


@asynccontextmanager
async def serving(server: PolledServer) -> AsyncIterator[PolledServer]:
    """A server that listens."""
    app = web.Application(client_max_size=10_000_000)
    app.router.add_route("*", "/socket.io/", server.answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


async def test_what_the_server_waits_for_is_answered_before_the_goodbye() -> None:
    """By a request, of which the end is waited for a tenth of a second."""
    server = PolledServer(OPEN, JOINED, '4217["whatsapp_connected",{"identity":"+49"}]')
    async with serving(server), polling(server.url) as transport:
        assert isinstance(await receive(transport), Paired)
    assert server.heard[0].startswith("40{")
    assert server.heard[1:] == ["4317[]", "41\x1e1"]


async def test_a_server_that_falls_silent_is_lost() -> None:
    """Within its heartbeat, which is its own number if that is the smaller one."""
    server = PolledServer(OPEN.replace("25000", "100").replace("20000", "100"), JOINED)
    async with serving(server), polling(server.url) as transport:
        with anyio.fail_after(HANGS), pytest.raises(TransportLost, match=r"silent for 0\.2 s"):
            await transport.receive()


async def test_a_server_that_says_nothing_at_first_is_unreachable() -> None:
    """Within our heartbeat."""
    async with serving(PolledServer()) as server:
        with anyio.fail_after(HANGS), pytest.raises(TransportUnreachable, match=r"within 0\.1 s"):
            await polling(server.url, heartbeat=0.1).open()


async def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    """Nor kept: a flood of bytes ends the connection."""

    async def pour(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"4" * 10_000)

    server = PolledServer(OPEN, JOINED, then=pour)
    async with serving(server), polling(server.url, max_message=50_000) as transport:
        with pytest.raises(TransportLost, match="more than 50000 bytes") as caught:
            await receive(transport)
        assert caught.value.ending is Ending.TOO_LARGE


async def test_promise_8_an_answer_without_end_to_what_was_sent_is_let_go_of() -> None:
    """The client never reads it: its connection is closed with the transport all the same."""
    answered = anyio.Event()

    async def never_end(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"o")
        answered.set()
        await asyncio.sleep(2 * HANGS)
        return response

    kept: list[aiohttp.ClientResponse] = []

    def make(**ours: Any) -> aiohttp.ClientSession:
        make_answer = ours["response_class"]

        def keep(*args: Any, **kwargs: Any) -> aiohttp.ClientResponse:
            kept.append(make_answer(*args, **kwargs))
            return kept[-1]

        options: dict[str, Any] = {**ours, "response_class": keep}
        return aiohttp.ClientSession(**options)

    # The wish to join is answered so; that the client has joined is told to whoever polls.
    async with serving(PolledServer(OPEN, JOINED, posted=never_end)) as server:
        transport = polling(server.url, session=make)
        await transport.open()
        await answered.wait()
        await transport.aclose()
        assert [answer.method for answer in kept if not answer.closed] == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, TransportRefused), (403, TransportRefused), (404, TransportUnreachable)],
)
async def test_http_statuses(status: int, error: type[TransportError]) -> None:
    """As over WebSocket; the text names the status, and no secret."""

    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text="s3cret")

    async with serving(PolledServer(then=refuse)) as server:
        with pytest.raises(error, match=str(status)) as caught:
            await polling(server.url).open()
        assert "s3cret" not in "".join(texts_of(caught.value))


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_a_server_that_knows_us_no_more(status: int) -> None:
    """It restarted, say: the path was right."""

    async def forget(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    server = PolledServer(OPEN, JOINED, then=forget)
    async with serving(server), polling(server.url) as transport:
        with anyio.fail_after(HANGS), pytest.raises(TransportLost) as caught:
            await transport.receive()
    assert (caught.value.ending, caught.value.status) == (Ending.CLOSED, status)
    assert is_documented(caught.value)


@pytest.mark.parametrize("garbage", ["", "x", "9", "4", "\x1e", "0", "0{}", '40{"sid":"x"}'])
async def test_garbage_in_place_of_the_open_is_unreachable(garbage: str) -> None:
    """It is no Socket.IO."""
    async with serving(PolledServer(garbage)) as server:
        with anyio.fail_after(HANGS), pytest.raises(TransportUnreachable):
            await polling(server.url, heartbeat=1).open()


@pytest.mark.parametrize("garbage", ["x", "9", "4", "\x1e", "42[]", "42{", "4\x1e" * 100])
async def test_garbage_later_does_no_harm(garbage: str) -> None:
    """It becomes nothing, or the typed error."""
    server = PolledServer(OPEN, JOINED, garbage, SUCCESS)
    async with serving(server), polling(server.url) as transport:
        with suppress(TransportLost):
            assert isinstance(await receive(transport), Paired)


# Through a proxy


class Proxy(PolledServer):
    """One that answers by itself, in place of whoever is asked for."""

    def __init__(self) -> None:
        super().__init__(OPEN, JOINED, SUCCESS)
        self.asked: list[tuple[str, str | None]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Note who is asked for, and by whom."""
        self.asked.append((request.host, request.headers.get("Proxy-Authorization")))
        return await super().answer(request)


@pytest.fixture
def _no_proxy_but_the_tests_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of whoever runs this names none."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("_no_proxy_but_the_tests_own")
@pytest.mark.parametrize("way", ["given", "by the environment"])
async def test_it_polls_by_way_of_a_proxy(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given, or named by the environment; its credentials are the proxy's."""
    proxy = Proxy()
    async with serving(proxy):
        url = proxy.url.replace("http://", "http://me:s3cret%21@")
        if way == "given":
            options = {"proxy": url}
        else:
            options = {}
            monkeypatch.setenv("HTTP_PROXY", url)
        async with polling("http://nowhere.example", **options) as transport:
            assert isinstance(await receive(transport), Paired)
    expected = "Basic " + base64.b64encode(b"me:s3cret!").decode()
    assert set(proxy.asked) == {("nowhere.example", expected)}


@pytest.mark.usefixtures("_no_proxy_but_the_tests_own")
async def test_a_session_of_ones_own_has_its_own_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says is passed over for it; what is given is not."""
    monkeypatch.setenv("HTTP_PROXY", "http://nobody.invalid:1")
    async with serving(Proxy()) as proxy:
        own = partial(aiohttp.ClientSession, proxy=proxy.url)
        async with polling("http://nowhere.example", session=own) as transport:
            assert isinstance(await receive(transport), Paired)


@pytest.mark.usefixtures("_no_proxy_but_the_tests_own")
async def test_a_proxy_that_is_not_spoken_with_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As over a wire of our own; and none is asked for where None is given."""
    monkeypatch.setenv("HTTP_PROXY", "socks5://me:s3cret@nobody.invalid:1")
    with pytest.raises(TransportUnreachable, match="no plain HTTP proxy") as caught:
        await polling("http://nowhere.example").open()
    assert caught.value.ending is Ending.PROXY
    assert "s3cret" not in "".join(texts_of(caught.value))
    server = PolledServer(OPEN, JOINED, SUCCESS)
    async with serving(server), polling(server.url, proxy=None) as transport:
        assert isinstance(await receive(transport), Paired)


# Sessions


async def test_a_session_of_ones_own_brings_what_it_has(peer: RawPeer) -> None:
    """Cookies, say, and headers; the sockets are ours all the same."""
    leaks = Leaks({peer.port})
    made: list[aiohttp.ClientSession] = []

    def make(**ours: Any) -> aiohttp.ClientSession:
        made.append(aiohttp.ClientSession(cookies={"tenant": "7"}, headers={"X-A": "b"}, **ours))
        return made[-1]

    async with AsyncClientTransport(peer.url, bot_id=BOT, user_id=USER, session=make):
        assert peer.wire.handshake.header(b"cookie") == b"tenant=7"
        assert peer.wire.handshake.header(b"x-a") == b"b"
        assert len(made) == 1
    assert made[0].closed
    assert leaks.sockets() == []


@pytest.mark.parametrize("wrong", ["text", "another connector"])
async def test_what_makes_no_session_of_ours_is_told_so(peer: RawPeer, wrong: str) -> None:
    """It is the program's mistake, and the only one of its kind."""

    def make(**ours: Any) -> Any:
        if wrong == "text":
            return "a session"
        made.append(aiohttp.ClientSession())
        return made[-1]

    made: list[aiohttp.ClientSession] = []
    transport = AsyncClientTransport(peer.url, bot_id=BOT, user_id=USER, session=make)
    with pytest.raises(InvalidValue, match="session must make a ClientSession"):
        await transport.open()
    await transport.aclose()
    for session in made:
        await session.close()
    assert peer.wires == []
