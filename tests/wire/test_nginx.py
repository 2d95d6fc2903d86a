"""Each transport through a real nginx: what its configuration does, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from qrlifecycle import (
    AsyncClientTransport,
    Connected,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    Scanned,
    Signal,
    SocketIOTransport,
    TransportError,
    TransportLost,
    TransportUnreachable,
    WebSocketTransport,
)
from qrlifecycle.errors import Ending
from qrlifecycle.testing import PairingServer
from qrlifecycle.testing.contract.socketio_peer import frame

from ..nginx import Nginx
from ..patience import HANGS
from .serving import Served, listening

pytestmark = pytest.mark.anyio

BOT, USER = "bot-7", "user-1"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """In real time: nginx has a process of its own."""
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """A thread with an event loop, for a server that runs on asyncio only."""
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.fixture
def server(portal: BlockingPortal) -> Iterator[PairingServer]:
    """A pairing server in that thread."""
    with portal.wrap_async_context_manager(PairingServer()) as server:
        yield server


KINDS: dict[str, Callable[..., Any]] = {
    "our own": SocketIOTransport,
    "the adapter": AsyncClientTransport,
    "the adapter, polling": partial(AsyncClientTransport, polling=True),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, anyio_backend: str) -> Callable[..., Any]:
    """What speaks Socket.IO; the adapter runs on asyncio only."""
    made = KINDS[request.param]
    if made is not SocketIOTransport and anyio_backend == "trio":
        pytest.skip("the adapter runs on asyncio only")
    return made


def read(said: Any) -> Signal | None:
    """What a message of the plain service's means."""
    return {"scanned": Scanned(), "linked": Paired("me")}.get(said)


def say(word: str) -> bytes:
    """One of its messages, as it is sent."""
    return frame(json.dumps(word))


@asynccontextmanager
async def until_heard() -> AsyncIterator[None]:
    """What comes in here comes at once, or never."""
    with anyio.fail_after(HANGS):
        yield


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what happens in the server's thread."""
    async with until_heard():
        while not happened():  # noqa: ASYNC110 - another thread sets no event here
            await anyio.sleep(0.01)


async def new_code(server: PairingServer, portal: BlockingPortal) -> QRCode:
    """As a service makes it."""
    return QRCode(await anyio.to_thread.run_sync(portal.call, server.make_code, BOT, USER))


async def scan(server: PairingServer, portal: BlockingPortal) -> None:
    """As the phone does it."""

    def scan_there() -> None:
        portal.call(server.scan, BOT, USER)

    await anyio.to_thread.run_sync(scan_there)


async def pair_through(
    url: str, server: PairingServer, portal: BlockingPortal, kind: Callable[..., Any]
) -> Any:
    """One pairing, whose code is scanned as soon as it is displayed; how it ended."""

    async def show(_code: QRCode) -> None:
        await scan(server, portal)

    request_qr = partial(new_code, server, portal)
    transport = partial(kind, url, bot_id=BOT, user_id=USER)
    async with until_heard():
        return await QRLifecycle(request_qr, transport, on_qr_updated=show).pair()


async def failure_of(transport: Any) -> TransportError:
    """What its opening raises."""
    async with until_heard():
        with pytest.raises(TransportError) as raised:
            await transport.open()
    return raised.value


@pytest.mark.slow
async def test_a_success_comes_through(
    tmp_path: Path, server: PairingServer, portal: BlockingPortal, kind: Callable[..., Any]
) -> None:
    """And no socket is left behind it."""
    with Nginx(tmp_path, server.port) as nginx:
        outcome = await pair_through(nginx.url, server, portal, kind)
        await until(lambda: not server.open_sockets())
    assert isinstance(outcome, Connected)
    assert len(server.sockets) == 1


@pytest.mark.slow
async def test_a_success_comes_through_as_json(tmp_path: Path) -> None:
    """Over a plain WebSocket."""

    async def service(served: Served) -> None:
        await served.accept(say("scanned") + say("linked"))
        await served.read_to_the_end()

    async with listening(service) as port:
        with Nginx(tmp_path, port) as nginx:
            async with until_heard(), WebSocketTransport(nginx.url, read) as transport:
                assert await transport.receive() == Scanned()
                assert await transport.receive() == Paired("me")


@pytest.mark.slow
async def test_where_upgrade_is_not_passed_on_it_says_so(
    tmp_path: Path, server: PairingServer, portal: BlockingPortal, kind: Callable[..., Any]
) -> None:
    """The commonest fault of a configuration; whoever polls does not mind."""
    with Nginx(tmp_path, server.port, upgrade=False) as nginx:
        if isinstance(kind, partial):
            outcome = await pair_through(nginx.url, server, portal, kind)
            assert isinstance(outcome, Connected)
            return
        error = await failure_of(kind(nginx.url, bot_id=BOT, user_id=USER))
    assert isinstance(error, TransportUnreachable)
    assert (error.ending, error.status) == (Ending.NO_WEBSOCKET, 400)
    assert "must pass on the headers Upgrade and Connection" in str(error)


@pytest.mark.slow
async def test_where_upgrade_is_not_passed_on_to_a_plain_service_it_says_so(
    tmp_path: Path,
) -> None:
    """The service sees a request of HTTP, and says what it lacks."""
    seen: list[Served] = []

    async def service(served: Served) -> None:
        await served.answer(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
        await served.read_to_the_end()

    async with listening(service, served=seen) as port:
        with Nginx(tmp_path, port, upgrade=False) as nginx:
            error = await failure_of(WebSocketTransport(nginx.url, read))
    assert seen[0].header(b"upgrade") == []
    assert (error.ending, error.status) == (Ending.NO_WEBSOCKET, 426)


@pytest.mark.slow
async def test_a_backend_that_is_down_is_tried_later(
    tmp_path: Path, kind: Callable[..., Any]
) -> None:
    """502: a service that restarts, mostly."""
    with Nginx(tmp_path, 1) as nginx:
        made = kind(nginx.url, bot_id=BOT, user_id=USER)
        for transport in (made, WebSocketTransport(nginx.url, read)):
            error = await failure_of(transport)
            assert isinstance(error, TransportUnreachable)
            assert (error.ending, error.status) == (Ending.TRY_LATER, 502)


@pytest.mark.slow
async def test_a_socket_that_idles_is_cut_and_said_to_be(tmp_path: Path) -> None:
    """By ``proxy_read_timeout``; a heartbeat that is shorter keeps it."""

    async def service(served: Served) -> None:
        await served.accept()
        while True:
            data = await served.read(6)
            del served.received[:]
            if data[0] == 0x89:  # our ping is masked, and empty
                await served.send(b"\x8a\x00")

    async with listening(service) as port:
        with Nginx(tmp_path, port, read_timeout="1s") as nginx:
            async with until_heard(), WebSocketTransport(nginx.url, read) as idle:
                with pytest.raises(TransportLost) as raised:
                    await idle.receive()
            assert raised.value.ending is Ending.HUNG_UP
            async with WebSocketTransport(nginx.url, read, heartbeat=1) as lively:
                with anyio.move_on_after(3) as scope:
                    await lively.receive()
            assert scope.cancelled_caught


async def test_promise_4_an_nginx_that_is_restarted_while_a_code_is_displayed_costs_no_success(
    tmp_path: Path, server: PairingServer, portal: BlockingPortal, kind: Callable[..., Any]
) -> None:
    """The socket breaks, openings fail for a while, and then it is listened to again."""
    nginx = Nginx(tmp_path, server.port)
    nginx.start()
    opened: list[str] = []

    def make() -> Any:
        opened.append("made")
        if len(opened) == 3:
            nginx.start()
        return kind(nginx.url, bot_id=BOT, user_id=USER)

    policy = Policy(reconnect_delay=0.05, reconnect_delay_max=0.1, max_reconnects=50)
    shown = anyio.Event()
    lifecycle = QRLifecycle(
        partial(new_code, server, portal), make, policy=policy, on_qr_updated=lambda _: shown.set()
    )
    ended: list[Any] = []

    async def pair() -> None:
        ended.append(await lifecycle.pair())

    try:
        async with until_heard(), anyio.create_task_group() as tasks:
            tasks.start_soon(pair)
            await shown.wait()
            nginx.stop()
            await until(lambda: len(server.sockets) == 2)
            await scan(server, portal)
    finally:
        nginx.stop()
    assert [type(one) for one in ended] == [Connected]
    assert len(opened) >= 3
