"""The server's side of Socket.IO over WebSocket, in raw bytes: the handshake, frames, and a peer.

No server library plays it: whoever wants a server that stops, breaks or babbles in the middle needs
one that can be stopped anywhere. The handshake does no I/O; bytes go in and bytes come out.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

import engineio.base_client

from ...codes import QRCode
from ...signals import Paired, PairingRefused, QRExpired, QRUpdated, Scanned, Signal
from ...transports.base import Transport
from ...transports.socketio import SocketIOTransport
from .wire import Greeting, Wire, WirePeer

__all__ = [
    "CONNECT",
    "HEADERS",
    "JOINED",
    "OPENED",
    "PING",
    "PONG",
    "UPGRADED",
    "ServerHandshake",
    "SocketIOPeer",
    "event",
    "frame",
    "greet_socketio",
    "refuse_socketio",
    "socketio_peer",
]

CONNECT, HEADERS, UPGRADED, OPENED, JOINED = range(5)
"""How far a handshake goes before the server falls silent."""

WEBSOCKET_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

PING_INTERVAL, PING_TIMEOUT = 25_000, 20_000
"""Milliseconds; Engine.IO's defaults."""

BOT, USER = "bot-7", "user-1"

HEARTBEAT = 0.5
"""Seconds; real ones."""


def frame(payload: str | bytes, kind: int = 1) -> bytes:
    """A WebSocket frame as servers send it."""
    body = payload.encode() if isinstance(payload, str) else payload
    size = len(body)
    if size < 126:
        return bytes([0x80 | kind, size]) + body
    if size < 1 << 16:
        return bytes([0x80 | kind, 126]) + size.to_bytes(2, "big") + body
    return bytes([0x80 | kind, 127]) + size.to_bytes(8, "big") + body


PING = frame("2")
"""Engine.IO's, from the server."""

PONG = b"\x81\x81"
"""How the answer begins, which is "3": a frame of text, masked, of one byte."""


def event(name: object, *args: object) -> str:
    """A Socket.IO event as text of a WebSocket frame."""
    return "42" + json.dumps([name, *args])


class ServerHandshake:
    """The server's part of one handshake: what the client sent goes in, the answers come out.

    Args:
        stop_at: how far it goes.
        status: an HTTP status to answer with, if not 101.
        intervals: ``pingInterval`` and ``pingTimeout`` in milliseconds, or whatever to send there.
        answer: what answers the client's wish to join.
    """

    def __init__(
        self,
        *,
        stop_at: int = JOINED,
        status: int = 101,
        intervals: tuple[object, object] = (PING_INTERVAL, PING_TIMEOUT),
        answer: str = '40{"sid":"x"}',
    ) -> None:
        self.request = b""
        """The client's request, once it has come."""
        self.received = b""
        """What the client has sent since."""
        self.joined = False
        """Whether the client was answered that it has joined."""
        self._stop_at = stop_at
        self._status = status
        self._intervals = intervals
        self._answer = answer

    def answers(self, data: bytes) -> list[bytes]:
        """Take what the client sent; give what a server sends now, one item for each step."""
        self.received += data
        if not self.request and b"\r\n\r\n" in self.received and self._stop_at >= HEADERS:
            self.request, _, self.received = self.received.partition(b"\r\n\r\n")
            return self._answers_to_request()
        if self.request and self.received and not self.joined and self._stop_at >= JOINED:
            self.joined = True
            return [frame(self._answer)]
        return []

    def header(self, name: bytes) -> bytes:
        """A header of the client's request, by its name in small letters, or nothing."""
        for line in self.request.split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip()
        return b""

    def _answers_to_request(self) -> list[bytes]:
        if self._status != 101:
            return [f"HTTP/1.1 {self._status} X\r\nContent-Length: 0\r\n\r\n".encode()]
        if self._stop_at < UPGRADED:
            return []
        key = self.header(b"sec-websocket-key")
        digest = hashlib.sha1(key + WEBSOCKET_MAGIC).digest()  # noqa: S324 - RFC 6455
        accept = base64.b64encode(digest)
        upgrade = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        if self._stop_at < OPENED:
            return [upgrade]
        interval, timeout = self._intervals
        welcome: dict[str, object] = {
            "sid": "s",
            "upgrades": [],
            "pingInterval": interval,
            "pingTimeout": timeout,
        }
        return [upgrade, frame("0" + json.dumps(welcome))]


async def greet_socketio(wire: Wire) -> None:
    """A `WirePeer`'s greeting: take a Socket.IO client in. Early signals come before the answer."""
    await _shake_hands(wire, ServerHandshake())


async def refuse_socketio(wire: Wire) -> None:
    """A `WirePeer`'s refusal: a Socket.IO client does not join."""
    await _shake_hands(wire, ServerHandshake(answer='44{"message":"not you"}'))


async def _shake_hands(wire: Wire, handshake: ServerHandshake) -> None:
    while True:
        answers = handshake.answers(await wire.receive())
        if handshake.joined:
            await wire.speak_early()
        for answer in answers:
            await wire.send(answer)
        if handshake.joined:
            return


class SocketIOPeer(WirePeer):
    """A peer whose leftovers are also the clients that python-engineio counts as connected."""

    def leftovers(self) -> list[str]:
        """Sockets, tasks, and entries in its registry."""
        clients = engineio.base_client.connected_clients
        return [*super().leftovers(), *(f"python-engineio's entry of {one!r}" for one in clients)]


def _make(host: str, port: int) -> Transport:
    """The adapter, as the README makes it."""
    url = f"http://{host}:{port}"
    return SocketIOTransport(url, bot_id=BOT, user_id=USER, heartbeat=HEARTBEAT)


def socketio_peer(
    make: Callable[[str, int], Transport] = _make,
    messages: Sequence[tuple[str, object, Signal]] = (),
    *,
    heartbeat: float = HEARTBEAT,
    garbage: Mapping[str, tuple[str, object]] | None = None,
    foreign: Mapping[str, tuple[str, object]] | None = None,
    refusal: Greeting | None = None,
    kind: type[SocketIOPeer] | None = None,
) -> WirePeer:
    """A raw Socket.IO server for `check_transport()`; as it is, for the adapter of the README.

    Args:
        make: makes a fresh transport to the server at this host and port.
        messages: what the server says: an event's name, what comes with it, and the signal that
            the transport must make of it; at least two, if any. The adapter's own unless given.
        heartbeat: seconds after which these transports count a silent peer as dead.
        garbage: what no transport can mean, by a name for it: an event's name, and what comes with
            it.
        foreign: what is another's, likewise: somebody else's success.
        refusal: plays the server's part where it lets nobody in; it refuses the client's joining
            unless given.
        kind: a class of your own in place of `SocketIOPeer`.
    """
    nobody = frame(event("nobody", "x" * 100))
    spelt = {frame(event(name, payload)): signal for name, payload, signal in messages}
    return (kind or SocketIOPeer)(
        make,
        signals=spelt or _signals(),
        heartbeat=heartbeat,
        alive=PING,
        answers=PONG,
        greet=greet_socketio,
        farewell=frame("1"),
        garbage=GARBAGE | _events(garbage),
        foreign=({} if messages else _OTHERS) | _events(foreign),
        refusal=refuse_socketio if refusal is None else refusal,
        flood=nobody,
    )


def _events(messages: Mapping[str, tuple[str, object]] | None) -> dict[str, bytes]:
    return {what: frame(event(name, said)) for what, (name, said) in (messages or {}).items()}


_OTHERS = _events(
    {
        "another user's": ("whatsapp_connected", {"botId": BOT, "userId": "eve"}),
        "another bot's": ("whatsapp_connected", {"data": {"botId": "bot-8", "userId": USER}}),
    }
)
"""What the default messages are when they are somebody else's."""


def _signals() -> dict[bytes, Signal]:
    """The default messages, and what the adapter makes of each."""
    owner = {"botId": BOT, "userId": USER}
    paired = {**owner, "identity": "49170"}
    rotated = {**owner, "qr": "rotated"}
    refused = {**owner, "reason": "refused_by_service"}
    return {
        frame(event("whatsapp_qr_scanned", owner)): Scanned(),
        frame(event("whatsapp_qr_expired", owner)): QRExpired(),
        frame(event("whatsapp_qr_updated", rotated)): QRUpdated(QRCode("rotated")),
        frame(event("whatsapp_connected", paired)): Paired("49170", paired),
        frame(event("whatsapp_connection_failed", refused)): PairingRefused(data=refused),
    }


GARBAGE = {
    "reserved bits": b"\xf1\x02hi",
    "masked frame": b"\x81\x82abcdxy",
    "frame that is not utf-8": b"\x81\x04\xff\xfe\xfd\xfc",
    "endless frame": b"\x81\x7f" + b"\x7f" * 8 + b"x" * 1000,
    "binary": b"\x82\x0242" + b"\x82\x00" + b"\x82\x02\x00\x01",
    **{
        name: frame(text)
        for name, text in {
            "empty": "",
            "unknown engine.io packet": "9x",
            "unknown socket.io packet": "49",
            "unhashable name": '42[["x"]]',
            "name that is an object": "42[{}]",
            "no name": "42[]",
            "no array": "42{}",
            "number": "425",
            "ack nobody asked for": '4317["x"]',
            "id without end": "42" + "1" * 110 + '["x"]',
            "attachment without end": "459999999999-[]",
            "refusal of no shape": '44{"message":[]}',
            "bad base64": "b!!",
            "another join": "40[1]",
            "deep": "42" + "[" * 50_000,
        }.items()
    },
}
"""What a Socket.IO server may send that no client can mean, by name."""
