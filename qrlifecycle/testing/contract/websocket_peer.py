"""The server's side of a plain WebSocket, in raw bytes: for `check_transport()`.

No server library plays it: whoever wants a server that stops, breaks or babbles in the middle needs
one that can be stopped anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import SERVER, Protocol

from ...logs import SILENT
from ...signals import Signal
from ...transports.base import Transport
from ...transports.websocket import Said
from .peer import CannotCheck
from .wire import Greeting, Wire, WirePeer

__all__ = [
    "GARBAGE",
    "PING",
    "PONG",
    "frame",
    "greet_websocket",
    "refuse_websocket",
    "upgrade",
    "websocket_peer",
]

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""


def frame(payload: str | bytes, kind: int = 1) -> bytes:
    """A WebSocket frame as servers send it."""
    body = payload.encode() if isinstance(payload, str) else payload
    size = len(body)
    if size < 126:
        return bytes([0x80 | kind, size]) + body
    if size < 1 << 16:
        return bytes([0x80 | kind, 126]) + size.to_bytes(2, "big") + body
    return bytes([0x80 | kind, 127]) + size.to_bytes(8, "big") + body


PING = frame(b"", 9)

PONG = b"\x8a\x80"
"""How the answer begins: a pong, masked, of no bytes."""

CLOSE = frame((1000).to_bytes(2, "big"), 8)


def upgrade(request: bytes) -> bytes:
    """The answer to a client's handshake."""
    key = b""
    for line in request.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"sec-websocket-key":
            key = value.strip()
    accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest())  # noqa: S324 - RFC 6455
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


async def refuse_websocket(wire: Wire) -> None:
    """A `WirePeer`'s refusal: no WebSocket client is let in."""
    await _request(wire)
    await wire.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")


async def _request(wire: Wire) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += await wire.receive()
    return request


async def greet_websocket(wire: Wire) -> None:
    """A `WirePeer`'s greeting: take a WebSocket client in."""
    answer = upgrade(await _request(wire))
    await wire.send(answer[:20])
    await wire.send(answer[20:])


def websocket_peer(
    make: Callable[[str], Transport],
    messages: Sequence[tuple[object, Signal]],
    *,
    heartbeat: float,
    garbage: Mapping[str, object] | None = None,
    foreign: Mapping[str, object] | None = None,
    refusal: object = None,
    greeting: Said | Iterable[Said] = (),
    welcome: object = None,
    kind: type[WirePeer] = WirePeer,
) -> WirePeer:
    """A raw WebSocket server for `check_transport()`.

    Args:
        make: makes a fresh transport to the server at this URL.
        messages: what the server says, and the signal that the transport must make of it; text and
            bytes are sent as they are, and anything else as JSON; at least two.
        heartbeat: seconds after which these transports count a silent peer as dead.
        garbage: messages that no transport can mean, by name.
        foreign: messages that are another's, by name: somebody else's success.
        refusal: how the server lets nobody in. It answers the handshake with HTTP 401 unless given;
            a number is the code that it closes with after what these transports say first, a
            message is said there, and a function plays all of it, as ``greet`` of a `WirePeer`.
        greeting: what these transports say first, if anything, in the same forms as theirs: the
            server waits for it, and says nothing before.
        welcome: the message by which these transports know that the server listens, if they wait
            for one; it ends the handshake.
        kind: a class of your own in place of `WirePeer`.
    """
    greetings = [greeting] if isinstance(greeting, str | bytes | Mapping) else [*greeting]
    return kind(
        lambda host, port: make(f"ws://{host}:{port}/"),
        signals={frame(_encoded(said)): signal for said, signal in messages},
        heartbeat=heartbeat,
        alive=PING,
        answers=PONG,
        greet=_greeting(greetings, welcome),
        farewell=CLOSE,
        garbage=GARBAGE | _frames(garbage),
        foreign=_frames(foreign),
        refusal=_refusal(greetings, refusal),
    )


def _refusal(greetings: Sequence[object], refusal: Any) -> Greeting:
    if refusal is None:
        return refuse_websocket
    if callable(refusal):
        return cast("Greeting", refusal)
    closes = isinstance(refusal, int)
    last = frame(refusal.to_bytes(2, "big"), 8) if closes else frame(_encoded(refusal))
    greet = _greeting(greetings, None)

    async def refuse(wire: Wire) -> None:
        await greet(wire)
        await wire.send(last)

    return refuse


def _frames(messages: Mapping[str, object] | None) -> dict[str, bytes]:
    return {name: frame(_encoded(said)) for name, said in (messages or {}).items()}


def _greeting(greetings: Sequence[object], welcome: object) -> Greeting:
    """Take a client in, hear what it says first, and say the message that it waits for."""

    async def greet(wire: Wire) -> None:
        await greet_websocket(wire)
        heard = await _messages(wire, len(greetings))
        if not all(map(_means, heard, greetings)):
            raise CannotCheck("the client said something else first than greeting= has")
        if welcome is not None:
            await wire.send(frame(_encoded(welcome)))

    return greet


async def _messages(wire: Wire, count: int) -> list[bytes]:
    """The next messages of a client's; its pings and pongs are none."""
    protocol = Protocol(SERVER, max_size=None, logger=SILENT)
    messages: list[bytes] = []
    message = b""
    while len(messages) < count:
        protocol.receive_data(await wire.receive())
        for event in protocol.events_received():
            if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
                message += event.data
                if event.fin:
                    messages.append(message)
                    message = b""
    return messages[:count]


def _means(heard: bytes, greeting: object) -> bool:
    """Whether a message is this one; JSON may be spelt in more than one way."""
    if not isinstance(greeting, str | bytes):
        try:
            found: object = json.loads(heard)
        except ValueError:
            return False
        return found == greeting
    return heard == (greeting.encode() if isinstance(greeting, str) else greeting)


def _encoded(said: object) -> str | bytes:
    return said if isinstance(said, str | bytes) else json.dumps(said)


GARBAGE = {
    "reserved bits": b"\xf1\x02hi",
    "masked frame": b"\x81\x82abcdxy",
    "text that is not utf-8": b"\x81\x04\xff\xfe\xfd\xfc",
    "endless frame": b"\x81\x7f" + b"\x7f" * 8 + b"x" * 1000,
    "a part of nothing": b"\x80\x02hi",
    "unknown opcode": b"\x83\x02hi",
    "long ping": b"\x89\x7e\x00\x7e" + b"x" * 126,
    "ping in parts": b"\x09\x01x",
    "close of one byte": b"\x88\x01\x03",
    "close with code 1005": b"\x88\x02\x03\xed",
    "close with a reason that is not utf-8": b"\x88\x04\x03\xe8\xff\xfe",
    "empty": frame(""),
    "deep": frame("[" * 50_000),
}
"""What a server may send that no client can mean, by name."""
