"""Each peer that misbehaves, and what both transports make of it: the list, side by side.

What both make of it is the same, but where a line says otherwise: there ours knows more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    AsyncClientTransport,
    SocketIOTransport,
    Transport,
    TransportError,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
)
from qrlifecycle.testing.contract.socketio_peer import (
    CONNECT,
    GARBAGE,
    HEADERS,
    OPENED,
    UPGRADED,
    event,
    frame,
)

from ..patience import HANGS
from ..raw_peer import PAIRED, RawPeer, RawWire
from .transport import BOT, USER

pytestmark = pytest.mark.anyio

UNREACHABLE, REFUSED, LOST = TransportUnreachable, TransportRefused, TransportLost
PAIRED_THEN_QUIET = "the success, and goes on"

Outcome = type[TransportError] | str
"""An error of `open()` or `receive()`, or what came."""


@dataclass(frozen=True)
class Peer:
    """One that misbehaves, and what becomes of it."""

    name: str
    ours: Outcome
    ending: str
    """Ours has a word for it."""
    theirs: Outcome | None = None
    """What the adapter over python-socketio's client makes of it; the same, if not said."""
    options: dict[str, Any] = field(default_factory=dict)
    play: Callable[[RawWire], None] = lambda _wire: None
    """What it does once it has let us in."""

    def __str__(self) -> str:
        return self.name


def say(*frames: bytes) -> Callable[[RawWire], None]:
    """Send bytes; then the success."""
    return lambda wire: wire.send_raw(b"".join(frames) + frame(PAIRED))


def only(data: bytes) -> Callable[[RawWire], None]:
    """Send bytes, and no more."""
    return lambda wire: wire.send_raw(data)


def handshakes() -> Iterator[Peer]:
    """Those that misbehave before anything is heard."""
    steps = {"accept": CONNECT, "answer": HEADERS, "open": UPGRADED, "join": OPENED}
    for word, step in steps.items():
        yield Peer(f"never says {word}", UNREACHABLE, "silent", options={"stop_at": step})
    for status in (401, 403):
        yield Peer(f"HTTP {status}", REFUSED, "refused", options={"status": status})
    for status in (400, 404, 500):
        yield Peer(f"HTTP {status}", UNREACHABLE, "no_websocket", options={"status": status})
    for status in (429, 503):
        yield Peer(f"HTTP {status}", UNREACHABLE, "try_later", options={"status": status})
    for word, answer, kind, ending in (
        ("refuses", '44{"message":"no"}', REFUSED, "refused"),
        ("refuses for now", '44{"message":"no","data":{"code":503}}', UNREACHABLE, "try_later"),
        (
            "has no such namespace",
            '44{"message":"Invalid namespace"}',
            UNREACHABLE,
            "not_connected",
        ),
        ("speaks Socket.IO 2", "40", UNREACHABLE, "another_protocol"),
        ("leaves at once", "41", UNREACHABLE, "hung_up"),
        ("closes at once", "1", UNREACHABLE, "hung_up"),
        ("never answers", "6", UNREACHABLE, "silent"),
        ("answers rubbish", "49", UNREACHABLE, "silent"),
    ):
        yield Peer(word, kind, ending, options={"answer": answer})
    for intervals in (("soon", 1), (None, 1)):
        yield Peer(
            f"a heartbeat of {intervals[0]!r}",
            UNREACHABLE,
            "another_protocol",
            options={"intervals": intervals},
        )


def ends() -> Iterator[Peer]:
    """Those that end it, in some way or other."""
    for word, goodbye in {"leaves": "41", "closes": "1"}.items():
        yield Peer(word, "EndOfStream", "", play=only(frame(goodbye)))
    for code, word in {1000: "done", 1001: "going away", None: "no code"}.items():
        body = b"" if code is None else code.to_bytes(2, "big")
        yield Peer(
            f"WebSocket's close: {word}",
            "EndOfStream",
            "",
            theirs=LOST,
            play=only(frame(body, kind=8)),
        )
    for code in (1002, 1008, 1011, 1012, 4000):
        body = code.to_bytes(2, "big")
        yield Peer(
            f"WebSocket's close: {code}",
            LOST,
            "closed",
            play=only(frame(body, kind=8)),
        )
    yield Peer("hangs up", LOST, "hung_up", play=lambda wire: wire.transport.write_eof())
    yield Peer("resets", LOST, "reset", play=lambda wire: wire.reset())
    yield Peer("falls silent", LOST, "silent", options={"intervals": (100, 100)})
    large = event("nobody", "x" * 200_000)
    yield Peer("a message too large", LOST, "too_large", play=lambda wire: wire.send(large))


BROKEN = {
    "reserved bits": "another_protocol",
    "masked frame": "another_protocol",
    "frame that is not utf-8": "another_protocol",
    "endless frame": "too_large",
}
"""Garbage that ends the connection, and our word for it."""

GIVEN_UP = {"empty"}
"""Over these python-engineio's client gives the connection up; ours counts them."""


def babblers() -> Iterator[Peer]:
    """Those that send what nobody can mean, and then the success."""
    for name, data in GARBAGE.items():
        if ending := BROKEN.get(name):
            yield Peer(name, LOST, ending, play=say(data))
        else:
            theirs = LOST if name in GIVEN_UP else None
            yield Peer(name, PAIRED_THEN_QUIET, "", theirs=theirs, play=say(data))


KNOWS_LESS = {
    "WebSocket's close: done": "closed",
    "WebSocket's close: going away": "closed",
    "WebSocket's close: no code": "hung_up",
    "resets": "hung_up",
    "masked frame": "hung_up",
    "empty": "hung_up",
}
"""What the adapter calls it, of whose client less is to be had."""

PEERS = [*handshakes(), *ends(), *babblers()]


async def outcome_of(transport: Transport, peer: RawPeer, play: Any) -> tuple[Outcome, str]:
    """What becomes of an opening, and of a first `receive()`; and the word for it."""
    try:
        await transport.open()
        play(peer.wire)
        with anyio.fail_after(HANGS):
            await transport.receive()
    except TransportError as error:
        return type(error), str(error.ending)
    except anyio.EndOfStream:
        return "EndOfStream", ""
    finally:
        await transport.aclose()
    return PAIRED_THEN_QUIET, ""


@pytest.mark.parametrize("kind", [SocketIOTransport, AsyncClientTransport])
@pytest.mark.parametrize("case", PEERS, ids=str)
async def test_what_becomes_of_each_peer(case: Peer, kind: Callable[..., Transport]) -> None:
    """The same with both, but where it is said otherwise; each with a word of its own."""
    heartbeat = 0.2 if case.ending == "silent" else 30
    async with RawPeer(**case.options) as peer:
        transport = kind(
            peer.url, bot_id=BOT, user_id=USER, heartbeat=heartbeat, max_message=100_000
        )
        found, ending = await outcome_of(transport, peer, case.play)
    print(f"{case.name:<28} {kind.__name__:<22} {found} {ending}")
    if kind is SocketIOTransport:
        assert (found, ending) == (case.ours, case.ending)
    else:
        assert (found, ending) == (
            case.theirs or case.ours,
            KNOWS_LESS.get(case.name, case.ending),
        )


def test_the_list_has_each_kind_of_garbage() -> None:
    """Whatever the kit sends is in it."""
    assert set(GARBAGE) <= {peer.name for peer in PEERS}
    assert len({peer.name for peer in PEERS}) == len(PEERS)
