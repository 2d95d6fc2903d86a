"""The transport of `examples/line_transport.py` keeps the contract, on asyncio and trio."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from qrlifecycle import Paired, QRCode, QRUpdated, TransportLost, TransportUnreachable

from ..sockets import client_sockets, needs_proc

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from line_transport import LineTransport

pytestmark = [pytest.mark.anyio, needs_proc]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Real sockets and real time."""
    return str(request.param)


class Peer:
    """A server that takes one client and is told by the test what to send."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.accepted = anyio.Event()
        self.gone = anyio.Event()
        self.stream: SocketStream

    def make(self, heartbeat: float = 5) -> LineTransport:
        """A fresh transport to this server."""
        return LineTransport("127.0.0.1", self.port, heartbeat)

    async def serve(self, stream: SocketStream) -> None:
        """Take the client; note when it is gone."""
        async with stream:
            self.stream = stream
            await stream.send(b"qr early\n")
            self.accepted.set()
            try:
                await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                self.gone.set()


@asynccontextmanager
async def a_peer() -> AsyncIterator[Peer]:
    """A server for one test; the whole of it may take a few seconds."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        peer = Peer(listener.extra(SocketAttribute.local_port))
        tasks.start_soon(listener.serve, peer.serve)
        with anyio.fail_after(5):
            yield peer
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("checkpoints", range(4))
async def test_t1_a_cancelled_open_leaves_nothing(checkpoints: int) -> None:
    """Cancelled early or late, `abort()` and `aclose()` leave no socket."""
    async with a_peer() as peer:
        transport = peer.make()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.open)
            for _ in range(checkpoints):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        transport.abort()
        await transport.aclose()
        assert client_sockets(peer.port) == 0


async def test_t1_a_failed_open_is_the_typed_error() -> None:
    """Nobody listens: `TransportUnreachable`, and nothing is left."""
    async with a_peer() as peer:
        port = peer.port
    transport = LineTransport("127.0.0.1", port)
    with pytest.raises(TransportUnreachable):
        await transport.open()
    transport.abort()


async def test_t2_after_abort_the_peer_sees_the_end() -> None:
    """`abort()` alone shuts the socket; `aclose()` closes the descriptor."""
    async with a_peer() as peer:
        transport = peer.make()
        await transport.open()
        await peer.accepted.wait()
        transport.abort()
        await peer.gone.wait()
        await transport.aclose()
        assert client_sockets(peer.port) == 0


async def test_t3_closing_twice_in_any_order_is_fine() -> None:
    """Before `open()` and after, `aclose()` and `abort()` may be called as often as one likes."""
    async with a_peer() as peer:
        await peer.make().aclose()
        transport = peer.make()
        await transport.open()
        for _ in range(2):
            transport.abort()
            await transport.aclose()


async def test_t4_after_abort_nothing_is_delivered() -> None:
    """A signal that has arrived is not handed out any more: `receive()` ends."""
    async with a_peer() as peer:
        transport = peer.make()
        await transport.open()
        await peer.accepted.wait()
        transport.abort()
        with pytest.raises(anyio.EndOfStream):
            await transport.receive()
        await transport.aclose()


async def test_t5_a_silent_peer_is_an_error_within_the_heartbeat() -> None:
    """Nothing is said for longer than the heartbeat: `TransportLost`."""
    async with a_peer() as peer, peer.make(heartbeat=0.5) as transport:
        await transport.receive()
        with pytest.raises(TransportLost, match="TimeoutError"):
            await transport.receive()


@pytest.mark.parametrize("garbage", [b"\xff\xfe\n", b"\0\n", b"paired\n", b"qr \n", b" \n"])
async def test_t6_a_malformed_line_is_nothing(garbage: bytes) -> None:
    """What means nothing is passed over; the next good line comes."""
    async with a_peer() as peer, peer.make() as transport:
        await transport.receive()
        await peer.accepted.wait()
        await peer.stream.send(garbage + b"paired me\n")
        assert await transport.receive() == Paired("me")


async def test_t6_a_line_without_end_is_the_typed_error() -> None:
    """A line that no QR code could fill breaks the link, and is not collected for ever."""
    async with a_peer() as peer, peer.make() as transport:
        await transport.receive()
        await peer.accepted.wait()
        await peer.stream.send(b"x" * 5000)
        with pytest.raises(TransportLost, match="DelimiterNotFound"):
            await transport.receive()


async def test_t7_what_arrives_while_opening_is_kept_in_order() -> None:
    """The peer speaks first; both lines are there when `receive()` is called."""
    async with a_peer() as peer, peer.make() as transport:
        await peer.accepted.wait()
        await peer.stream.send(b"paired me\n")
        received = [await transport.receive(), await transport.receive()]
        assert received == [QRUpdated(QRCode("early")), Paired("me")]
