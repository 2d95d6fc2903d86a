"""Every transport there is keeps the contract: ours, those of the examples, and that for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import anyio
import anyio.lowlevel
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from qrlifecycle import AsyncClientTransport, SocketIOTransport, Transport, TransportLost
from qrlifecycle.gateways.deferred import DeferredTransport
from qrlifecycle.testing import PairingServer, checks, socketio_peer
from qrlifecycle.testing.contract.check import Check, PeerFactory
from qrlifecycle.testing.contract.socketio_peer import event, frame
from qrlifecycle.testing.suite import TransportContract

from ..patience import patient_clock
from .peers import (
    BOT,
    USER,
    GreetedLineTransport,
    ScriptedEnd,
    async_client_peer,
    greeted_line_peer,
    line_peer,
    plain_websocket_peer,
    relayed_peer,
    shared_socket_peer,
    shared_websocket_peer,
    websocket_feed_peer,
)


class OnAsyncio(TransportContract):
    """Real sockets, on asyncio."""

    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, Any]]:
        return patient_clock("asyncio")


class OnBoth(TransportContract):
    """Real sockets, on asyncio and trio."""

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
        return patient_clock(request.param)


def waits(check: Check) -> bool:
    """Whether a check waits for a heartbeat to be over."""
    return check.clause == "T5" and ("silent" in check.name or "quiet" in check.name)


def opens_often(check: Check) -> bool:
    """Whether a check opens dozens of transports, one after another."""
    return check.name in {"open cancelled at each turn", "abort in the middle of open"}


def parameters(listed: Sequence[Check], slow: Callable[[Check], bool]) -> list[Any]:
    """These checks as a test's parameters, some of them slow."""
    return [
        pytest.param(check, id=str(check), marks=pytest.mark.slow if slow(check) else ())
        for check in listed
    ]


class InRealTime(TransportContract):
    """Where no clock can be wound on, so what waits for a heartbeat is slow."""

    @pytest.mark.anyio
    @pytest.mark.parametrize("check", parameters(checks(), waits))
    async def test_contract(self, check: Check, peer: PeerFactory) -> None:
        """It keeps the clause."""
        await super().test_contract(check, peer)


class OnUvloop(InRealTime):
    """Real sockets, on uvloop."""

    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, Any]]:
        pytest.importorskip("uvloop", reason="there is none for this system")
        return "asyncio", {"use_uvloop": True}


@pytest.mark.slow
class TestDeferred(OnBoth):
    """One that is made when it is opened keeps what the other one keeps."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return partial(greeted_line_peer, deferred)


def deferred(host: str, port: int, **options: Any) -> DeferredTransport:
    """A line transport that takes a turn of the event loop to be made."""

    async def make() -> GreetedLineTransport:
        await anyio.lowlevel.checkpoint()
        return GreetedLineTransport(host, port, **options)

    return DeferredTransport(make)


class AnySocketIO(TransportContract):
    """What speaks Socket.IO, and a server of raw bytes."""

    @pytest.mark.anyio
    async def test_t5_a_broken_connection_is_lost_each_time(self, peer: Any) -> None:
        """Whoever asks again after a reset gets the same."""
        async with peer() as server, server.make() as transport:
            await server.wait_until_connected()
            server.reset()
            for _ in range(3):
                with anyio.fail_after(5), pytest.raises(TransportLost):
                    await transport.receive()

    @pytest.mark.anyio
    async def test_t6_a_flood_lets_others_run_between_messages(self, peer: Any) -> None:
        """While thousands of messages come in at once, others run after every third at least."""
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        async with peer() as server, server.make() as transport:
            with anyio.fail_after(5):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(count_turns)
                    await server.send_bytes(frame(event("nobody", 1)) * 3000)
                    await server.send(server.signals[0])
                    assert await transport.receive() == server.signals[0]
                    tasks.cancel_scope.cancel()
        assert turns > 3000 / 3 - 10  # where one read ends and the next begins, there may be none


class TestSocketIO(AnySocketIO, OnBoth):
    """Our own WebSocket."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return socketio_peer


@pytest.mark.slow
class TestAMemberOfASharedSocket(OnBoth):
    """One lifecycle's share keeps what a socket of its own keeps."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return shared_socket_peer


@pytest.mark.slow
class TestWebSocketFeed(OnBoth):
    """What a shared socket opens: each signal says whose it is."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return websocket_feed_peer


@pytest.mark.slow
class TestAMemberOverAWebSocket(OnBoth):
    """One lifecycle's share of such a feed's socket."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return shared_websocket_peer


@pytest.mark.slow
class TestSocketIOOnUvloop(OnUvloop):
    """The same on the loop that many services run on."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return socketio_peer


class TestAsyncClient(AnySocketIO, OnAsyncio):
    """The adapter over python-socketio's client."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return async_client_peer


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """A thread with an event loop."""
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.fixture(scope="module")
def server(portal: BlockingPortal) -> Iterator[PairingServer]:
    """A pairing server in that thread."""
    with portal.wrap_async_context_manager(PairingServer()) as server:
        yield server


class BehindARelay(InRealTime):
    """What speaks Socket.IO, and a real pairing server, with the kit's peer between them.

    The server has a thread of its own, so time is real.
    """

    kind: ClassVar[Callable[..., Transport]]

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    @pytest.fixture
    def peer(self, server: PairingServer, portal: BlockingPortal) -> PeerFactory:
        portal.call(server.make_code, BOT, USER)
        return lambda: relayed_peer(server, portal, self.kind)


@pytest.mark.slow
class TestSocketIOBehindARelay(BehindARelay):
    """Our own WebSocket, on both event loops: the server has its own."""

    __test__ = True
    kind = SocketIOTransport

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        assert isinstance(request.param, str)
        return request.param


@pytest.mark.slow
class TestAsyncClientBehindARelay(BehindARelay):
    """The adapter over python-socketio's client."""

    __test__ = True
    kind = AsyncClientTransport


@pytest.mark.slow
class TestAsyncClientThatPolls(BehindARelay):
    """The same over HTTP; what closing and cancelling leave, that is: a relay knows no polls."""

    __test__ = True
    kind = staticmethod(partial(AsyncClientTransport, polling=True))

    @pytest.fixture
    def peer(self, server: PairingServer, portal: BlockingPortal) -> PeerFactory:
        portal.call(server.make_code, BOT, USER)
        return lambda: relayed_peer(server, portal, self.kind, websocket=False)

    @pytest.mark.anyio
    @pytest.mark.parametrize("check", parameters(checks(["T1", "T2", "T3"]), opens_often))
    async def test_contract(self, check: Check, peer: PeerFactory) -> None:
        """It keeps the clause."""
        await TransportContract.test_contract(self, check, peer)


class TestWebSocket(OnBoth):
    """Our own WebSocket, and a server of raw bytes."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return plain_websocket_peer


@pytest.mark.slow
class TestWelcomedWebSocket(OnBoth):
    """The same, where the server is greeted, and says that it listens; opening waits for it."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return partial(plain_websocket_peer, {"type": "hello"}, {"join": "bot-7"})


@pytest.mark.slow
class TestWebSocketOnUvloop(OnUvloop):
    """The same on the loop that many services run on."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return plain_websocket_peer


@pytest.mark.slow
class TestLineTransport(OnBoth):
    """The transport of `examples/line_transport.py`, whose server need not say anything."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return line_peer


@pytest.mark.slow
class TestGreetedLineTransport(OnBoth):
    """A line transport with a handshake, on which the tests of the kit build."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return greeted_line_peer


class TestScriptedTransport(TransportContract):
    """The transport for tests, on virtual clocks."""

    __test__ = True

    @pytest.fixture
    def peer(self) -> PeerFactory:
        return ScriptedEnd

    @pytest.mark.anyio
    @pytest.mark.parametrize("check", checks(), ids=str)
    async def test_contract(self, check: Check, peer: PeerFactory) -> None:
        """It keeps the clause, but that its `open()`, once it runs, does not notice `abort()`."""
        if check.name == "abort in the middle of open":
            pytest.skip("on purpose it is as careless as a transport may be under a lifecycle")
        await super().test_contract(check, peer)
