"""Peers that flood, stall, lie and never read: the Socket.IO transport holds."""

from __future__ import annotations

import asyncio
import gc
import math
import signal
from collections.abc import Callable
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import (
    AsyncClientTransport,
    Paired,
    Scanned,
    SocketIOTransport,
    Transport,
    TransportLost,
    TransportUnreachable,
)
from qrlifecycle.errors import Ending
from qrlifecycle.testing.contract.socketio_peer import event, frame
from qrlifecycle.transports import ledger
from qrlifecycle.transports.wire import stream

from ..patience import HANGS, PROCESS_HANGS, patient_clock
from ..raw_peer import PAIRED, RawPeer
from ..sockets import narrow, needs_proc
from .transport import FEW, MakeTransport, Turns, receive

pytestmark = pytest.mark.anyio

FLOOD_HANGS = PROCESS_HANGS
"""Seconds: how soon a peer has sent so much that its answers pile up is the machine's business."""

ON_A_PATIENT_CLOCK = pytest.mark.parametrize(
    "anyio_backend", [pytest.param(patient_clock("asyncio"), id="asyncio")]
)


async def test_a_message_that_is_too_large_breaks_the_connection(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """One below the limit is read."""
    async with transport_to(peer.url, max_message=1000) as transport:
        peer.wire.send(event("whatsapp_qr_scanned", {"x": "y" * 900}))
        assert await receive(transport) == Scanned()
        peer.wire.send(event("whatsapp_connected", {"x": "y" * 1000}))
        with pytest.raises(TransportLost, match=r"more than 1000 bytes \(max_message\)") as caught:
            await receive(transport)
        assert caught.value.ending is Ending.TOO_LARGE
        assert transport.dropped == {"too_large": 1}


async def test_a_message_may_have_a_mebibyte_unless_told_otherwise(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """One of about as much is read; half a kilobyte beyond it breaks the connection."""
    async with transport_to(peer.url) as transport:
        peer.wire.send(event("whatsapp_qr_scanned", {"x": "y" * (2**20 - 500)}))
        assert await receive(transport) == Scanned()
        peer.wire.send(event("whatsapp_qr_scanned", {"x": "y" * (2**20 + 500)}))
        with pytest.raises(TransportLost):
            await receive(transport)


async def test_attachments_without_end_are_not_collected(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """Python-socketio would keep as many as the server announces; more than eight are too many."""
    async with transport_to(peer.url) as transport:
        peer.wire.send_raw(frame('459-["x"]') + frame(b"a" * 1000, kind=2) * 20)
        peer.wire.send(event("whatsapp_qr_scanned"))
        assert await receive(transport) == Scanned()
        assert transport.dropped == {"malformed": 21}


@needs_proc
@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(frame("2") * 2000, id="engine.io pings"),
        pytest.param(frame("x" * 100, kind=9) * 500, id="websocket pings", marks=pytest.mark.slow),
        pytest.param(
            frame('4217["nobody"]') * 500,
            id="messages to be acknowledged",
            marks=pytest.mark.slow,
        ),
    ],
)
async def test_a_peer_that_never_reads_its_answers_is_cut_off(
    transport_to: MakeTransport, peer: RawPeer, frames: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that pile up break the transport: they neither grow for ever nor hold up news."""
    monkeypatch.setattr(stream, "MAX_OWED", 16_000)
    monkeypatch.setattr(ledger, "MAX_UNSENT", 16_000)
    async with transport_to(peer.url) as transport:
        narrow(peer.port)
        await lose_to_answers(transport, peer, frames)


async def lose_to_answers(
    transport: Transport, peer: RawPeer, frames: bytes, when_lost: Callable[[], None] = lambda: None
) -> None:
    """Lose a transport to a peer that does not read what it asks for; closing waits for nobody."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    peer.wire.transport.pause_reading()
    lost = False
    with anyio.fail_after(FLOOD_HANGS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flood, peer, frames)
            try:
                await transport.receive()
            except TransportLost:
                lost = True
            tasks.cancel_scope.cancel()
    assert lost
    when_lost()
    with Turns() as turns, anyio.fail_after(HANGS):
        await transport.aclose()
    assert turns.taken < FEW
    gc.collect()
    assert complaints == []


async def receive_all(transport: Transport) -> None:
    """Receive until there is no more."""
    with suppress(TransportLost, anyio.EndOfStream):
        while True:
            await transport.receive()


async def flood(peer: RawPeer, frames: bytes) -> None:
    """Send without end, as fast as the client takes it."""
    while not peer.wire.gone.is_set():
        if peer.wire.transport.get_write_buffer_size() < 1_000_000:
            peer.wire.send_raw(frames)
        await anyio.lowlevel.checkpoint()


async def test_success_right_before_the_close_is_heard(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """In one segment: the success, then Engine.IO's close. From Python 3.12 on it was overtaken."""
    async with transport_to(peer.url) as transport:
        peer.wire.send(PAIRED, "1")
        assert isinstance(await receive(transport), Paired)
        with pytest.raises(anyio.EndOfStream):
            await receive(transport)


@pytest.mark.parametrize(
    ("goodbye", "end"),
    [
        pytest.param(frame("1"), "in order", id="engine.io"),
        pytest.param(frame("41"), "in order", id="socket.io"),
        pytest.param(frame(b"\x03\xe8", kind=8), "by code", id="websocket, done"),
        pytest.param(frame(b"\x03\xe9", kind=8), "by code", id="websocket, going away"),
        pytest.param(frame(b"", kind=8), "by code", id="websocket, without a code"),
        pytest.param(frame(b"\x03\xf3", kind=8), "lost", id="websocket, an error"),
        pytest.param(frame(b"\x0f\xa1", kind=8), "lost", id="websocket, a code of its own"),
    ],
)
async def test_a_server_that_closes_need_not_say_so_twice(
    transport_to: MakeTransport, peer: RawPeer, goodbye: bytes, end: str
) -> None:
    """Whichever layer says graceful close: the end is known though nothing more comes.

    Without a word of Engine.IO's the code of WebSocket's close decides; python-socketio's client,
    which knows no such codes, has it that the connection is lost.
    """
    async with transport_to(peer.url) as transport:
        by_code = isinstance(transport, SocketIOTransport)
        orderly = end == "in order" or (end == "by code" and by_code)
        peer.wire.send_raw(goodbye)
        kind = anyio.EndOfStream if orderly else TransportLost
        with anyio.fail_after(HANGS), pytest.raises(kind):
            await transport.receive()


async def test_a_namespace_of_ones_own_may_be_closed_alone(transport_to: MakeTransport) -> None:
    """The server's graceful close to it is the end."""
    async with (
        RawPeer(answer='40/pairing,{"sid":"x"}') as peer,
        transport_to(peer.url, namespace="/pairing") as transport,
    ):
        peer.wire.send("41/pairing,")
        with pytest.raises(anyio.EndOfStream):
            await receive(transport)


async def test_a_flood_does_not_slow_the_closing(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """The peer sends without end and never answers: `aclose()` is quick all the same."""
    before = asyncio.all_tasks()
    transport = transport_to(peer.url)
    await transport.open()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(flood, peer, frame(event("nobody", {})) * 100)
        tasks.start_soon(receive_all, transport)
        while not transport.dropped:
            await anyio.lowlevel.checkpoint()
        with Turns() as turns, anyio.fail_after(HANGS):
            await transport.aclose()
        assert turns.taken < FEW
        tasks.cancel_scope.cancel()
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    "intervals",
    [
        (math.nan, 1),
        (math.inf, 1),
        ("soon", 1),
        (None, 1),
        (10**99, 1),
        (-5, -5),
        (0, 0),
        (25_000, 10**9),
    ],
)
@ON_A_PATIENT_CLOCK
async def test_absurd_intervals_do_not_outlive_the_heartbeat(
    transport_to: MakeTransport, intervals: tuple[object, object]
) -> None:
    """Whatever the server says about pings, a silent peer is lost within our heartbeat."""
    async with RawPeer(intervals=intervals) as peer:
        transport = transport_to(peer.url, heartbeat=0.1)
        with anyio.fail_after(1), pytest.raises((TransportUnreachable, TransportLost)):
            await open_and_receive(transport)
        await transport.aclose()


def heartbeat_of(transport: Transport) -> float:
    """Seconds of silence that it waits for."""
    if isinstance(transport, SocketIOTransport):
        return transport._wire.heartbeat
    assert isinstance(transport, AsyncClientTransport)
    assert transport._client is not None
    eio = transport._client.eio
    return float(eio.ping_interval + eio.ping_timeout)


async def open_and_receive(transport: Transport) -> None:
    """Some intervals are refused, others replaced."""
    await transport.open()
    await transport.receive()


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ((25_000, 20_000), 45),
        ((60_000, 30_000), 90),
        ((500, 200), 0.7),
        ((60_000, 30_500), 90),
        ((500, -500), 90),
        ((0, 0), 90),
    ],
)
async def test_a_server_s_own_intervals_count_up_to_the_heartbeat(
    transport_to: MakeTransport, asked: tuple[int, int], kept: tuple[int, int]
) -> None:
    """What would notice a dead peer later than in 90 s, or at once, is not taken over."""
    async with RawPeer(intervals=asked) as peer, transport_to(peer.url) as transport:
        assert heartbeat_of(transport) == kept


@pytest.mark.parametrize(
    "asked",
    [
        (math.nan, 20_000),
        (25_000, math.nan),
        (25_000, math.inf),
        (-math.inf, 1),
        (10**400, 1),
        ("soon", 1),
        (None, None),
    ],
)
async def test_promise_7_a_heartbeat_that_cannot_be_meant_is_not_taken_over(
    transport_to: MakeTransport, asked: tuple[object, object]
) -> None:
    """The server is refused, or our own number counts; it is never a wait without end."""
    number = all(isinstance(one, float | int) and not one > 10**300 for one in asked)
    async with RawPeer(intervals=asked) as peer:
        transport = transport_to(peer.url)
        try:
            await transport.open()
        except TransportUnreachable:
            assert isinstance(transport, AsyncClientTransport) or not number
        else:
            assert heartbeat_of(transport) == 90
        await transport.aclose()


@ON_A_PATIENT_CLOCK
async def test_pings_keep_a_quiet_connection_alive(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """A peer that pings is not silent; once it stops, the connection is lost."""
    async with transport_to(peer.url, heartbeat=0.2) as transport:
        with anyio.move_on_after(0.5) as longer_than_the_heartbeat:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(transport.receive)
                while True:
                    peer.wire.send("2")
                    await anyio.sleep(0.05)
        assert longer_than_the_heartbeat.cancelled_caught
        assert "3" in peer.wire.texts()
        with anyio.fail_after(1), pytest.raises(TransportLost):
            await transport.receive()


async def test_a_connection_that_broke_is_not_reconnected(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """That is for the lifecycle to do, with a transport of its own: nothing goes on running."""
    before = asyncio.all_tasks()
    async with transport_to(peer.url) as transport:
        peer.wire.reset()
        with pytest.raises(TransportLost):
            await receive(transport)
        with anyio.fail_after(HANGS):
            while asyncio.all_tasks() != before:
                await anyio.lowlevel.checkpoint()
        assert len(peer.wires) == 1


async def test_ctrl_c_stays_the_program_s_own(
    transport_to: MakeTransport, peer: RawPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python-engineio would have the event loop call a handler of its own."""
    monkeypatch.setattr("engineio.async_client.async_signal_handler_set", False)  # by others
    async with transport_to(peer.url):
        assert not asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
