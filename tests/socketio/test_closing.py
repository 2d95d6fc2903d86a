"""How the Socket.IO transport is closed: politely, by force, cancelled, without a loop."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle.testing.contract.socketio_peer import UPGRADED, frame
from qrlifecycle.testing.leaks import Leaks
from qrlifecycle.transports import async_client

from ..patience import HANGS, PROCESS_HANGS
from ..raw_peer import PAIRED, RawPeer
from ..sockets import needs_proc
from .test_hostile_peers import receive_all
from .transport import FEW, KINDS, MakeTransport, Turns, receive

pytestmark = pytest.mark.anyio


async def pass_turns(turns: int) -> None:
    """Let the event loop turn."""
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()


def unsent_by_the_kernel(port: int) -> int:
    """Bytes that the system keeps for a port, and has not sent, whoever owns the socket."""
    lines = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    queues = [fields[4] for fields in lines if int(fields[2].rpartition(":")[2], 16) == port]
    return sum(int(queue.partition(":")[0], 16) for queue in queues)


async def test_the_close_is_graceful(transport_to: MakeTransport, peer: RawPeer) -> None:
    """Socket.IO's disconnect, WebSocket's close, no waiting; and nothing is heard any more."""
    transport = transport_to(peer.url)
    await transport.open()
    peer.wire.send(PAIRED)
    await pass_turns(FEW)
    await transport.aclose()
    with pytest.raises(anyio.EndOfStream):
        await receive(transport)
    with anyio.fail_after(HANGS):
        await peer.wire.gone.wait()
    assert peer.wire.texts()[-1] == "41"
    assert peer.wire.received[-8] == 0x88


async def test_a_healthy_close_is_prompt(
    transport_to: MakeTransport, peer: RawPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a few turns of the event loop, and no second telling, which would not come here."""
    monkeypatch.setattr(async_client, "REAP_INTERVAL", 2 * HANGS)
    for _ in range(5):
        transport = transport_to(peer.url)
        await transport.open()
        with Turns() as turns, anyio.fail_after(HANGS):
            await transport.aclose()
        assert turns.taken < FEW


async def test_a_look_up_of_names_that_hangs_can_be_cancelled(
    transport_to: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that looks up cannot be stopped, but no task waits for it."""
    asked, go_on = threading.Event(), threading.Event()

    def hang(*_args: object, flags: int = 0, **_options: object) -> list[object]:
        if flags & socket.AI_NUMERICHOST:  # nothing is looked up for that
            raise socket.gaierror(socket.EAI_NONAME, "no number")
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


async def test_abort_resets_the_connection(transport_to: MakeTransport, peer: RawPeer) -> None:
    """By force: no close is sent, and `receive()` is at its end."""
    transport = transport_to(peer.url)
    await transport.open()
    peer.wire.send(PAIRED)
    transport.abort()
    with pytest.raises(anyio.EndOfStream):
        await receive(transport)
    with anyio.fail_after(HANGS):
        await peer.wire.gone.wait()
    assert "41" not in peer.wire.texts()
    await transport.aclose()


@needs_proc
async def test_abort_leaves_the_kernel_nothing_to_send(
    transport_to: MakeTransport, peer: RawPeer
) -> None:
    """What a peer did not read is thrown away with the socket, not kept for minutes."""
    transport = transport_to(peer.url)
    await transport.open()
    peer.wire.transport.pause_reading()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive_all, transport)
        with anyio.fail_after(HANGS):
            while not unsent_by_the_kernel(peer.port):
                peer.wire.send_raw(frame("x" * 100, kind=9) * 500)
                await anyio.lowlevel.checkpoint()
        transport.abort()
    await transport.aclose()
    assert unsent_by_the_kernel(peer.port) == 0


@pytest.mark.parametrize("cancels", [1, 2, 3])
async def test_native_cancellation_waits_until_all_is_gone(
    transport_to: MakeTransport, peer: RawPeer, cancels: int
) -> None:
    """`task.cancel()`, also several times in a row: when the task ends, nothing is left."""
    peer.stop_at = UPGRADED
    leaks, before = Leaks({peer.port}), asyncio.all_tasks()
    transport = transport_to(peer.url)
    task = asyncio.ensure_future(transport.open())
    with anyio.fail_after(HANGS):
        await peer.asked.wait()
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before
    assert leaks.sockets() == []


@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_a_graceful_close_that_is_cancelled_leaves_nothing(
    transport_to: MakeTransport, peer: RawPeer, turns: int
) -> None:
    """`aclose()` goes on to the end, and then the cancellation does, if it is not over by then."""
    leaks, before = Leaks({peer.port}), asyncio.all_tasks()
    transport = transport_to(peer.url)
    await transport.open()
    task = asyncio.ensure_future(transport.aclose())
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.cancel():
        with pytest.raises(asyncio.CancelledError):
            await task
    assert asyncio.all_tasks() == before
    assert leaks.sockets() == []


AFTER_THE_LOOP = """
import asyncio, os, socket
from qrlifecycle import {kind} as Transport
from tests.raw_peer import RawPeer

loop = asyncio.new_event_loop()
peer = RawPeer()
loop.run_until_complete(peer.__aenter__())
transport = Transport(peer.url, bot_id="b", user_id="u")
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


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_abort_after_the_event_loop_is_closed_is_fine(kind: type) -> None:
    """Too late for anything but the socket, which is shut; nothing is raised."""
    command = [sys.executable, "-c", AFTER_THE_LOOP.replace("{kind}", kind.__name__)]
    ran = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=PROCESS_HANGS
    )
    assert ran.stdout == "fine, and the peer sees b''\n", ran.stderr
