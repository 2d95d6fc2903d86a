"""The peers of our own transports, for the contract."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
from anyio.abc import SocketStream
from anyio.from_thread import BlockingPortal
from anyio.streams.buffered import BufferedByteReceiveStream

from qrlifecycle import (
    AsyncClientTransport,
    Paired,
    Policy,
    QRCode,
    QRExpired,
    QRUpdated,
    Scanned,
    Signal,
    Transport,
    TransportRefused,
    TransportUnreachable,
    WebSocketTransport,
)
from qrlifecycle.signals import Addressed
from qrlifecycle.testing import (
    Fault,
    PairingServer,
    ScriptedPeer,
    ScriptedTransport,
    WirePeer,
    relay,
    socketio_peer,
)
from qrlifecycle.testing.contract.peer import Peer
from qrlifecycle.testing.contract.socketio_peer import PING, PONG, SocketIOPeer, event, frame
from qrlifecycle.testing.contract.websocket_peer import websocket_peer
from qrlifecycle.testing.contract.wire import Wire
from qrlifecycle.transports.shared import SharedSocket, WebSocketFeed

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from line_transport import LineTransport

__all__ = [
    "BOT",
    "SIGNALS",
    "USER",
    "GreetedLineTransport",
    "ScriptedEnd",
    "async_client_peer",
    "greet_with_a_line",
    "greeted_line_peer",
    "line_peer",
    "plain_websocket_peer",
    "relayed_peer",
    "shared_socket_peer",
    "shared_websocket_peer",
    "websocket_feed_peer",
]

BOT, USER = "bot-7", "user-1"

HEARTBEAT = 0.5
"""Seconds, by the test's clock."""

RELAYED_HEARTBEAT = 3.0
"""Seconds, real ones: behind a relay there is a server in a thread of its own."""

FLOOD = b"qrs " + b"x" * 100 + b"\n"

SIGNALS: dict[bytes, Signal] = {
    b"qr one\n": QRUpdated(QRCode("one")),
    b"paired me\n": Paired("me"),
    b"qr two\n": QRUpdated(QRCode("two")),
}


def async_client_peer() -> WirePeer:
    """The kit's raw Socket.IO server, for the adapter over python-socketio's client."""
    return socketio_peer(
        lambda host, port: AsyncClientTransport(
            f"http://{host}:{port}", bot_id=BOT, user_id=USER, heartbeat=HEARTBEAT
        )
    )


def relayed_peer(
    server: PairingServer,
    portal: BlockingPortal,
    kind: Callable[..., Transport],
    *,
    websocket: bool = True,
) -> WirePeer:
    """The kit's peer in front of a real pairing server, which has a thread of its own."""

    async def send(signal: Signal) -> None:
        scanning = isinstance(signal, Scanned)
        order: Any = partial(server.scan, confirm=False) if scanning else server.expire
        portal.call(order, BOT, USER)

    parts = urlsplit(server.url)
    assert parts.hostname is not None
    assert parts.port is not None
    return SocketIOPeer(
        lambda host, port: kind(
            f"http://{host}:{port}", bot_id=BOT, user_id=USER, heartbeat=RELAYED_HEARTBEAT
        ),
        signals=[Scanned(), QRExpired()],
        send=send,
        heartbeat=RELAYED_HEARTBEAT,
        alive=PING if websocket else None,
        answers=PONG if websocket else None,
        greet=relay(parts.hostname, parts.port),
        farewell=frame("1") if websocket else b"",
        flood=frame(event("nobody", "x" * 100)) if websocket else b"",
    )


class AddressedFeed(Transport):
    """Another transport, all of whose signals are for one."""

    __slots__ = ("_key", "_transport")

    def __init__(self, transport: Transport, *key: str) -> None:
        self._transport, self._key = transport, key

    @property
    def dropped(self) -> Mapping[str, int]:
        return self._transport.dropped

    async def open(self) -> None:
        await self._transport.open()

    async def receive(self) -> Signal:
        return Addressed(self._key, await self._transport.receive())

    async def aclose(self) -> None:
        await self._transport.aclose()

    def abort(self) -> None:
        self._transport.abort()


class MembersPeer(WirePeer):
    """A raw server, for the members of a shared socket, each of which opens and closes it."""

    async def start(self, stack: AsyncExitStack) -> None:
        policy = Policy(reconnect_delay=0.01, reconnect_delay_max=0.02)
        self.shared = await stack.enter_async_context(SharedSocket(self._feed, policy))
        await anyio.lowlevel.checkpoint()  # its task begins
        await super().start(stack)

    def make(self) -> Transport:
        return self.shared.member(BOT)

    def _feed(self) -> Transport:
        return super().make()


class SharedSocketPeer(MembersPeer, SocketIOPeer):
    """The kit's raw Socket.IO server, for such members."""

    def _feed(self) -> Transport:
        return AddressedFeed(super()._feed(), BOT)


def shared_socket_peer() -> WirePeer:
    """For the members of a shared socket, each of which opens and closes it by itself."""
    return socketio_peer(kind=SharedSocketPeer)


def websocket_feed_peer() -> WirePeer:
    """A server that says JSON over WebSocket to everybody, for a feed."""
    return _peer_of_feeds(lambda signal: Addressed((BOT,), signal))


def shared_websocket_peer() -> WirePeer:
    """The same, for the members of a shared socket over such a feed."""
    return _peer_of_feeds(lambda signal: signal, kind=MembersPeer)


def _peer_of_feeds(heard: Callable[[Signal], Signal], **options: Any) -> WirePeer:
    said = [
        ({"type": "qr", "qr": "one", "bot": BOT}, QRUpdated(QRCode("one"))),
        ({"type": "scanned", "data": {"bot": BOT}}, Scanned()),
        ({"type": "linked", "phone": "me", "bot": BOT}, Paired("me")),
    ]
    return websocket_peer(
        lambda url: WebSocketFeed(url, read_json, owner=["bot"], heartbeat=HEARTBEAT),
        [(message, heard(signal)) for message, signal in said],
        heartbeat=HEARTBEAT,
        garbage={
            "for nobody": {"type": "linked", "phone": "x"},
            "for several": [{"type": "linked", "bot": "a"}, {"bot": "b"}],
            "no phone": {"type": "linked", "bot": BOT},
            "a number": 7,
            "no JSON": "scanned",
        },
        **options,
    )


def line_peer() -> WirePeer:
    """A line server, whose clients need but connect."""
    return WirePeer(
        lambda host, port: LineTransport(host, port, heartbeat=HEARTBEAT),
        signals=SIGNALS,
        heartbeat=HEARTBEAT,
        alive=b"\n",
        flood=FLOOD,
        garbage={"no identity": b"paired\n", "no code": b"qr \n", "zero": b"\0\n"},
    )


def read_json(said: Any) -> Signal | None:
    """What a message of the service's means."""
    match said["type"]:
        case "qr":
            return QRUpdated(QRCode(said["qr"]))
        case "scanned":
            return Scanned()
        case "linked":
            return Paired(said["phone"])
    return None


def plain_websocket_peer(
    welcome: object = None, greeting: Mapping[str, object] | None = None
) -> WirePeer:
    """A server that says JSON over WebSocket; it may wait to be greeted, and say a welcome."""
    return websocket_peer(
        lambda url: WebSocketTransport(
            url,
            read_json,
            owner={"bot": BOT, "user": USER},
            greeting=greeting or (),
            welcome=None if welcome is None else lambda said: said == welcome,
            heartbeat=HEARTBEAT,
        ),
        [
            ({"type": "qr", "qr": "one", "bot": BOT, "user": USER}, QRUpdated(QRCode("one"))),
            ({"type": "scanned", "user": USER, "data": {"bot": BOT}}, Scanned()),
            ({"type": "linked", "phone": "me", "data": {"bot": BOT, "user": USER}}, Paired("me")),
        ],
        heartbeat=HEARTBEAT,
        garbage={
            "for nobody": {"type": "linked", "phone": "x"},
            "for any user of the bot": {"type": "linked", "phone": "x", "bot": BOT},
            "no phone": {"type": "linked", "bot": BOT, "user": USER},
            "a number": 7,
            "no JSON": "scanned",
            "binary": b"\xff",
        },
        foreign={
            "another bot's": {"type": "linked", "phone": "x", "bot": "another", "user": USER},
            "another's, further down": {"type": "linked", "phone": "x", "data": {"bot": "eve"}},
        },
        greeting=greeting or (),
        welcome=welcome,
    )


class AnsweredLines(BufferedByteReceiveStream):
    """Lines from a server; a "ping" among them is reported when it comes."""

    def __init__(self, stream: SocketStream, pinged: Callable[[], Awaitable[None]]) -> None:
        super().__init__(stream)
        self.pinged = pinged

    async def receive_until(self, delimiter: bytes, max_bytes: int) -> bytes:
        """The next line."""
        line = await super().receive_until(delimiter, max_bytes)
        if line == b"ping":
            await self.pinged()
        return line


class GreetedLineTransport(LineTransport):
    """A line transport with a handshake: it says hello, and waits for a welcome.

    What the server says before the welcome is kept; its pings are answered.
    """

    def __init__(self, host: str, port: int, heartbeat: float = 30) -> None:
        super().__init__(host, port, heartbeat)
        self.early: deque[Signal] = deque()

    async def open(self) -> None:
        """Connect, and be welcomed; if not, close what was opened."""
        await super().open()
        assert self.stream is not None
        self.lines = AnsweredLines(self.stream, self.pong)
        try:
            await self.be_welcomed(self.stream)
        except BaseException:
            await anyio.aclose_forcefully(self.stream)
            raise

    async def be_welcomed(self, stream: SocketStream) -> None:
        """The client's part of the handshake."""
        try:
            with anyio.fail_after(self.heartbeat):
                await stream.send(b"hello\n")
                while (line := await self.lines.receive_until(b"\n", 2048)) != b"welcome":
                    if line == b"go away":
                        raise TransportRefused("not welcome")
                    self.early.append(SIGNALS[line + b"\n"])
        except (TimeoutError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise TransportUnreachable("no welcome") from error
        except (anyio.IncompleteRead, anyio.DelimiterNotFound, KeyError) as error:
            raise TransportUnreachable("that was no welcome") from error

    async def pong(self) -> None:
        """Answer a ping."""
        assert self.stream is not None
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self.stream.send(b"pong\n")

    async def receive(self) -> Signal:
        """The next signal; the early ones come first."""
        if self.early and not self.closed:
            return self.early.popleft()
        return await super().receive()


async def greet_with_a_line(wire: Wire) -> None:
    """The server's part of it."""
    await wire.receive()
    await wire.speak_early()
    await wire.send(b"wel")
    await wire.send(b"come\n")


async def send_away(wire: Wire) -> None:
    """The server's part where nobody is welcome."""
    await wire.receive()
    await wire.send(b"go away\n")


def greeted_line_peer(make: Callable[..., Transport] = GreetedLineTransport) -> WirePeer:
    """A line server that welcomes its clients."""
    return WirePeer(
        partial(make, heartbeat=HEARTBEAT),
        signals=SIGNALS,
        heartbeat=HEARTBEAT,
        alive=b"ping\n",
        answers=b"pong\n",
        greet=greet_with_a_line,
        refusal=send_away,
        flood=FLOOD,
    )


class ScriptedEnd(Peer):
    """The transport for tests and its peer, on any event loop and clock."""

    signals = (Scanned(), QRExpired())
    heartbeat = inf

    async def start(self, stack: AsyncExitStack) -> None:
        """Make the peer; there is nothing to start."""
        self.peer = ScriptedPeer()

    def make(self) -> ScriptedTransport:
        """As its peer makes it."""
        return self.peer()

    async def send(self, *signals: Signal) -> None:
        """Send one by one."""
        for signal in signals:
            self.peer.send(signal)

    async def wait_until_gone(self) -> None:
        """No socket exists."""
        while self.peer.open_sockets:  # noqa: ASYNC110 - a socket that is left notifies nobody
            await anyio.sleep(0.01)

    def leftovers(self) -> list[str]:
        """Its sockets are but a number."""
        return ["a socket"] * self.peer.open_sockets

    def stall(self, after: int) -> None:
        """With a socket and no end; there is but one step."""
        self.peer = ScriptedPeer(openings=[Fault.HUNG_HALFWAY] if after == 0 else [])

    async def wait_until_stalled(self) -> None:
        """There is a socket."""
        while not self.peer.open_sockets:
            await anyio.lowlevel.checkpoint()

    def break_off(self, after: int) -> None:
        """With a socket first."""
        self.peer = ScriptedPeer(openings=[Fault.REFUSED] if after == 0 else [])

    async def go_away(self) -> None:
        """Nobody there."""
        self.peer = ScriptedPeer(openings=[Fault.UNREACHABLE])

    def send_early(self, *signals: Signal) -> None:
        """Once there is a socket, and before the handshake is done."""

        def say() -> None:
            if self.peer.open_sockets and not self.peer.listening:
                for signal in signals:
                    self.peer.send(signal)

        self.peer = ScriptedPeer(openings=[Fault.SLOW], watch=say)

    async def hang_up(self) -> None:
        """In order."""
        self.peer.hang_up()

    def reset(self) -> None:
        """By force."""
        self.peer.break_connection()
