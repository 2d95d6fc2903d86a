"""How the Socket.IO transport is closed: politely, by force, cancelled, without a loop."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle.testing.contract.socketio_peer import UPGRADED
from qrlifecycle.testing.leaks import Leaks
from qrlifecycle.transports import ledger as ledger_room
from qrlifecycle.transports import socketio as socketio_room

from ..patience import HANGS, PROCESS_HANGS
from ..raw_peer import PAIRED, RawPeer
from .transport import FEW, Turns, receive, transport_to

pytestmark = pytest.mark.anyio


async def test_the_close_is_graceful(peer: RawPeer) -> None:
    """Socket.IO's disconnect, WebSocket's close, no waiting; and nothing is heard any more."""
    transport = transport_to(peer.url)
    await transport.open()
    peer.wire.send(PAIRED)
    while not len(transport._buffer):
        await anyio.lowlevel.checkpoint()
    await transport.aclose()
    with pytest.raises(anyio.EndOfStream):
        await receive(transport)
    with anyio.fail_after(HANGS):
        await peer.wire.gone.wait()
    assert peer.wire.texts()[-1] == "41"
    assert peer.wire.received[-8] == 0x88


async def test_a_healthy_close_is_prompt(peer: RawPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a few turns of the event loop, and no second telling, which would not come here."""
    monkeypatch.setattr(socketio_room, "REAP_INTERVAL", 2 * HANGS)
    for _ in range(5):
        transport = transport_to(peer.url)
        await transport.open()
        with Turns() as turns, anyio.fail_after(HANGS):
            await transport.aclose()
        print("TURNS", turns.taken)
        assert turns.taken < FEW


async def test_a_look_up_of_names_that_hangs_can_be_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread that looks up cannot be stopped, but no task waits for it."""
    asked, go_on = threading.Event(), threading.Event()

    def hang(*_args: object, **_options: object) -> list[object]:
        asked.set()
        go_on.wait(2 * HANGS)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    before = asyncio.all_tasks()
    transport = transport_to("http://example.invalid")
    task = asyncio.ensure_future(transport.open())
    try:
        with anyio.fail_after(HANGS):
            while not asked.is_set():  # noqa: ASYNC110 - another thread's
                await anyio.sleep(0.001)
        task.cancel()
        with anyio.fail_after(HANGS), pytest.raises(asyncio.CancelledError):
            await task
        assert not go_on.is_set()
        assert asyncio.all_tasks() == before
    finally:
        go_on.set()


async def test_abort_resets_the_connection(peer: RawPeer) -> None:
    """By force: no close, and the kernel keeps nothing to send; `receive()` is at its end."""
    transport = transport_to(peer.url)
    await transport.open()
    peer.wire.send(PAIRED)
    waits_for_no_socket = transport._start(asyncio.Event().wait())
    transport.abort()
    assert transport._ledger is not None
    for made in transport._ledger._open_sockets():
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 0)
    with pytest.raises(anyio.EndOfStream):
        await receive(transport)
    with anyio.fail_after(HANGS):
        await peer.wire.gone.wait()
    assert "41" not in peer.wire.texts()
    assert waits_for_no_socket.cancelled()
    await transport.aclose()


@pytest.mark.parametrize("cancels", [1, 2, 3])
async def test_native_cancellation_waits_until_all_is_gone(peer: RawPeer, cancels: int) -> None:
    """`task.cancel()`, also several times in a row: when the task ends, nothing is left."""
    peer.stop_at = UPGRADED
    leaks = Leaks({peer.port})
    transport = transport_to(peer.url)
    task = asyncio.ensure_future(transport.open())
    with anyio.fail_after(HANGS):
        await peer.asked.wait()
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not transport._tasks
    assert leaks.sockets() == []


@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_a_graceful_close_that_is_cancelled_leaves_nothing(peer: RawPeer, turns: int) -> None:
    """`aclose()` goes on to the end, and then the cancellation does."""
    leaks, before = Leaks({peer.port}), asyncio.all_tasks()
    transport = transport_to(peer.url)
    await transport.open()
    task = asyncio.ensure_future(transport.aclose())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    assert leaks.sockets() == []


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


async def test_a_cancellation_while_a_failed_opening_is_cleared_away_goes_on(
    peer: RawPeer,
) -> None:
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


AFTER_THE_LOOP = """
import asyncio, os, socket
from qrlifecycle.transports.socketio import SocketIOTransport
from tests.raw_peer import RawPeer

loop = asyncio.new_event_loop()
peer = RawPeer()
loop.run_until_complete(peer.__aenter__())
transport = SocketIOTransport(peer.url, bot_id="b", user_id="u")
loop.run_until_complete(transport.open())
waiting = loop.create_task(transport.receive())
loop.run_until_complete(asyncio.sleep(0))
loop.close()
transport.abort()
with socket.socket(fileno=os.dup(peer.wire.transport.get_extra_info("socket").fileno())) as end:
    try:
        print("fine, and the peer sees", end.recv(100), flush=True)
    except ConnectionResetError:
        print("fine, and the peer sees", b"", flush=True)
os._exit(0)  # what a closed loop leaves behind would be complained about
"""


def test_abort_after_the_event_loop_is_closed_is_fine() -> None:
    """Too late for anything but the socket, which is shut; nothing is raised."""
    command = [sys.executable, "-c", AFTER_THE_LOOP]
    ran = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=PROCESS_HANGS
    )
    assert ran.stdout == "fine, and the peer sees b''\n", ran.stderr


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
