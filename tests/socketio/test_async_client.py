"""What is the adapter's over python-socketio's client alone: its tasks, and its sockets."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import AsyncClientTransport
from qrlifecycle.testing.contract.socketio_peer import UPGRADED, frame
from qrlifecycle.transports import ledger as ledger_room

from ..patience import HANGS
from ..raw_peer import RawPeer
from .test_hostile_peers import lose_to_answers
from .transport import BOT, USER

pytestmark = pytest.mark.anyio


def transport_to(url: str, heartbeat: float = 90) -> AsyncClientTransport:
    """For bot-7 and user-1."""
    return AsyncClientTransport(url, bot_id=BOT, user_id=USER, heartbeat=heartbeat)


async def test_abort_resets_and_cancels(peer: RawPeer) -> None:
    """By force: the kernel keeps nothing to send, and a task that waits for no socket ends, too."""
    transport = transport_to(peer.url)
    await transport.open()
    waits_for_no_socket = transport._start(asyncio.Event().wait())
    transport.abort()
    assert transport._ledger is not None
    for made in transport._ledger._open_sockets():
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 0)
    with anyio.fail_after(HANGS):
        await peer.wire.gone.wait()
    assert waits_for_no_socket.cancelled()
    await transport.aclose()


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
    with anyio.fail_after(HANGS):
        await transport.aclose()
    assert stubborn.done()


async def test_a_cancellation_while_a_failed_opening_is_cleared_away_goes_on(peer: RawPeer) -> None:
    """The caller gets the cancellation, and not the failure that came before it."""
    peer.stop_at = UPGRADED
    transport = transport_to(peer.url, heartbeat=0.1)
    task = asyncio.ensure_future(transport.open())
    await asyncio.sleep(0)
    stubborn = transport._start(be_stubborn())
    with anyio.fail_after(HANGS):
        while not transport._closing:
            await anyio.lowlevel.checkpoint()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert stubborn.done()


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
        with anyio.fail_after(HANGS):
            await ledger.reap()
        assert stale.fileno() == -1
        assert other.getsockname()[0] == "0.0.0.0"


@pytest.mark.parametrize(
    ("frames", "size"),
    [
        pytest.param(frame("2" + "x" * 900_000), 900_007, id="large engine.io pings"),
        pytest.param(frame("2" + "x" * 100_000), 100_007, id="engine.io pings"),
        pytest.param(frame("x" * 100, kind=9) * 500, 53_000, id="websocket pings"),
    ],
)
async def test_a_peer_that_never_reads_its_answers_is_cut_off(
    peer: RawPeer, frames: bytes, size: int
) -> None:
    """Answers that pile up break the transport: they neither grow for ever nor hold up news."""
    async with transport_to(peer.url) as transport:
        most: list[int] = []
        await lose_to_answers(transport, peer, frames, lambda: most.append(unsent_of(transport)))
        assert max(most) < ledger_room.MAX_UNSENT + 2 * size


def unsent_of(transport: AsyncClientTransport) -> int:
    """Bytes that wait in this process to be sent."""
    assert transport._ledger is not None
    websockets = transport._ledger._websockets
    wires = [wire for w in websockets if (wire := ledger_room._transport_of(w)) is not None]
    assert transport._client is not None
    return sum(wire.get_write_buffer_size() for wire in wires) + sum(
        len(packet.data) for packet in transport._client.eio.queue._queue if packet is not None
    )
