"""Promise 5 under a flood: whatever valid message a peer repeats, `pair()` can be ended.

How long a flood lasts is counted in turns of the event loop, with something new in each.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import (
    ActionRequired,
    AsyncClientTransport,
    Cancelled,
    Change,
    Connected,
    Event,
    Failed,
    Outcome,
    Paired,
    Policy,
    QRCode,
    QRExpired,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    SocketIOTransport,
    State,
    Transport,
)
from qrlifecycle.engine.observers import Changes, Observers
from qrlifecycle.engine.user_code import BackgroundTasks
from qrlifecycle.testing import ScriptedPeer, settle
from qrlifecycle.testing.contract.socketio_peer import event
from qrlifecycle.transports.base import TransportFactory
from qrlifecycle.transports.buffer import SignalBuffer

from .pairing import be_busy, request_qr
from .raw_peer import RawPeer

pytestmark = pytest.mark.anyio

IN_FULL_FLOW = 60
"""Turns after which a flood has come as far as the lifecycle."""

MOST_TURNS = 2_000
"""Turns in which a cancellation has to have come out; twenty are the rule over a socket."""

SOON = 0.3
"""Seconds until a deadline; by then a flood is in full flow."""

WAYS = ["cancel", "task", "attempt_timeout", "move_on_after"]

DEADLINES = WAYS[2:]

SIGNALS: dict[str, Callable[[int], Signal]] = {
    "scanned": lambda _: Scanned(),
    "updated": lambda number: QRUpdated(QRCode(f"code {number}")),
    "expired": lambda _: QRExpired(),
    "action": lambda number: ActionRequired(f"action {number}"),
}

MESSAGES: dict[str, Callable[[int], str]] = {
    "scanned": lambda _: event("whatsapp_qr_scanned", {}),
    "updated": lambda number: event("whatsapp_qr_updated", {"qr": f"code {number}"}),
    "expired": lambda _: event("whatsapp_qr_expired", {}),
    "action": lambda number: event("whatsapp_action_required", {"action": f"action {number}"}),
}


class Round:
    """A `pair()` in a task beside a flood, and a way to end it."""

    def __init__(self, transport: TransportFactory, way: str, **options: Any) -> None:
        self.way = way
        self.outcome: Outcome | None = None
        self.cancelled = False
        self.shown = anyio.Event()
        self.ended = anyio.Event()
        self.lifecycle = QRLifecycle(
            request_qr, transport, on_qr_updated=lambda _: self.shown.set(), **options
        )
        self._task: asyncio.Task[Any] | None = None
        self._ends = math.inf

    @property
    def overdue(self) -> bool:
        """Whether it has to end now."""
        return anyio.current_time() > self._ends

    async def pair(self) -> None:
        """The `pair()`."""
        if self.way == "task":
            self._task = asyncio.current_task()
        if self.way in DEADLINES:
            self._ends = anyio.current_time() + SOON
        try:
            with anyio.move_on_after(SOON if self.way == "move_on_after" else None) as scope:
                self.outcome = await self.lifecycle.pair()
            self.cancelled = scope.cancelled_caught
        except asyncio.CancelledError:
            if self._task is None:
                raise
            self.cancelled = self._task.uncancel() == 0
        finally:
            self.ended.set()

    def end(self) -> None:
        """Have it end, unless a deadline does that."""
        if self.way in DEADLINES:
            return
        self._ends = -math.inf
        if self._task is not None:
            self._task.cancel()
        else:
            self.lifecycle.cancel()

    def judge(self) -> None:
        """It ended in the way that it had to."""
        reasons = {"cancel": Reason.CANCELLED, "attempt_timeout": Reason.ATTEMPT_TIMED_OUT}
        if self.way in reasons:
            assert isinstance(self.outcome, Cancelled | Failed)
            assert self.outcome.reason is reasons[self.way]
        else:
            assert self.cancelled
            assert self.lifecycle.state is State.IDLE
        assert not self.lifecycle.socket_open


def policy_for(way: str, **options: Any) -> Policy:
    """No deadline but the one at hand comes soon."""
    seconds = SOON if way == "attempt_timeout" else 300
    return Policy(attempt_timeout=seconds, max_codes=sys.maxsize, **options)


async def in_time(ended: anyio.Event, overdue: Callable[[], bool]) -> bool:
    """Whether something ends in time, counted from when it is overdue; now it is to end anyway."""
    turns = 0
    while not ended.is_set() and turns < MOST_TURNS:
        turns += overdue()
        await anyio.lowlevel.checkpoint()
    try:
        return ended.is_set()
    finally:
        ended.set()  # and so the flood ends


async def pass_turns(turns: int) -> None:
    """Let the event loop turn."""
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()


async def flood(send: Callable[[int], None], ended: anyio.Event) -> None:
    """Send in each turn."""
    for number in itertools.count():
        if ended.is_set():
            return
        send(number)
        await anyio.lowlevel.checkpoint()


async def outlast(round_: Round, send: Callable[[int], None]) -> None:
    """A round under a flood that goes on until the round has ended; it must end in time."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(round_.pair)
        await round_.shown.wait()
        tasks.start_soon(flood, send, round_.ended)
        await pass_turns(IN_FULL_FLOW)
        round_.end()
        assert await in_time(round_.ended, lambda: round_.overdue)
    round_.judge()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("make", [SocketIOTransport, AsyncClientTransport])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_promise_5_no_flood_over_a_socket_shuts_out_a_cancellation(
    make: Callable[..., Transport], kind: str, way: str
) -> None:
    """Over a real socket: each message, again and again, and each way to end."""
    message = MESSAGES[kind]
    async with RawPeer() as peer:

        def send(number: int) -> None:
            wire = peer.wire
            if wire.handshake.joined and wire.transport.get_write_buffer_size() < 1_000_000:
                wire.send(*(message(4 * number + n) for n in range(4)))

        def transport() -> Transport:
            return make(peer.url, bot_id="bot-7", user_id="user-1")

        with anyio.fail_after(60):
            await outlast(Round(transport, way, policy=policy_for(way)), send)


@pytest.fixture
def _task_needs_asyncio(way: str, anyio_backend_name: str) -> None:
    if way == "task" and anyio_backend_name != "asyncio":
        pytest.skip("only asyncio's tasks can be cancelled")


every_way = pytest.mark.parametrize("way", WAYS)
wherever_it_can_be = pytest.mark.usefixtures("_task_needs_asyncio")


@every_way
@wherever_it_can_be
@pytest.mark.parametrize("kind", SIGNALS)
async def test_promise_5_no_flood_of_signals_shuts_out_a_cancellation(kind: str, way: str) -> None:
    """Over a scripted peer: each signal, again and again, and each way to end."""
    peer = ScriptedPeer()

    def send(number: int) -> None:
        be_busy(0.002)
        peer.send(SIGNALS[kind](number))

    await outlast(Round(peer, way, policy=policy_for(way)), send)


@every_way
@wherever_it_can_be
async def test_promise_5_no_flood_that_has_the_status_read_shuts_out_a_cancellation(
    way: str,
) -> None:
    """Each success that is told has the status read, which never waits and knows of nothing."""
    peer = ScriptedPeer()

    async def check_status() -> Signal | None:
        return None

    def send(_number: int) -> None:
        be_busy(0.002)
        peer.send(Paired())

    policy = policy_for(
        way,
        confirm_success=True,
        status_retry_delay=0.001,
        status_retry_delay_max=0.001,
        status_timeout=0.1,
        final_check_timeout=0.1,
    )
    await outlast(Round(peer, way, policy=policy, check_status=check_status), send)


class Guest(Transport):
    """A guest's transport that breaks T8; for a test's sake not without end."""

    given = 0
    closed = False

    async def open(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def receive(self) -> Signal:
        """The next signal, of which there are many."""
        self.given += 1
        if self.given > 100 * MOST_TURNS or self.closed:
            raise anyio.EndOfStream
        be_busy(0.0001)
        return Scanned()

    async def aclose(self) -> None:
        self.closed = True
        await anyio.lowlevel.checkpoint()

    def abort(self) -> None:
        self.closed = True


class WaitsForWhatAFloodSets(Guest):
    """Waits as a buffer may be tempted to."""

    def __init__(self) -> None:
        self.news = anyio.Event()

    async def receive(self) -> Signal:
        """The next signal, one for each time that there are news."""
        self.news = anyio.Event()
        await self.news.wait()
        return await super().receive()


@every_way
@wherever_it_can_be
@pytest.mark.parametrize("kind", [Guest, WaitsForWhatAFloodSets])
async def test_promise_5_no_transport_that_never_truly_waits_shuts_out_a_cancellation(
    kind: type[Guest], way: str
) -> None:
    """A guest's `receive()` that returns at once, or never truly waits, starves nobody."""
    guest = kind()

    def send(_number: int) -> None:
        if isinstance(guest, WaitsForWhatAFloodSets):
            be_busy(0.002)
            guest.news.set()

    await outlast(Round(lambda: guest, way, policy=policy_for(way, max_reconnects=0)), send)
    assert guest.given <= 100 * MOST_TURNS


async def test_promise_4_a_success_behind_other_signals_is_found_at_the_last_moment() -> None:
    """The code runs out in the very moment in which all of it has arrived: the success counts."""
    peer = ScriptedPeer()
    round_ = Round(peer, "by itself", policy=Policy(expiry_grace=0, max_refreshes=0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(round_.pair)
        await round_.shown.wait()
        await settle()
        be_busy(60)
        for signal in (ActionRequired("look"), QRUpdated(QRCode("late")), Paired("me")):
            peer.send(signal)
    assert round_.outcome == Connected("me")


async def cancelled_in_a_flood(
    work: Callable[[], Awaitable[None]], send: Callable[[int], None]
) -> None:
    """Work under a flood; once its scope is cancelled, it must end in time."""
    scope, ended = anyio.CancelScope(), anyio.Event()

    async def run() -> None:
        with scope:
            await work()
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(flood, send, ended)
        tasks.start_soon(run)
        await pass_turns(IN_FULL_FLOW)
        scope.cancel()
        assert await in_time(ended, lambda: True)


async def test_whoever_receives_from_a_buffer_can_be_cancelled_in_a_flood() -> None:
    """`get()` again and again, and a `put()` in each turn."""
    buffer = SignalBuffer()

    async def work() -> None:
        while True:
            await buffer.get()

    await cancelled_in_a_flood(work, lambda _: buffer.put(Scanned()))


CHANGES = [
    Change(State.DISPLAYED, Event.SCANNED, State.DISPLAYED),
    Change(State.DISPLAYED, Event.QR_UPDATED, State.DISPLAYED),
]


async def test_whoever_watches_changes_can_be_cancelled_in_a_flood() -> None:
    """An iterator over changes, and a change in each turn."""
    changes = Changes()

    async def work() -> None:
        async for _ in changes:
            pass

    await cancelled_in_a_flood(work, lambda number: changes.put(CHANGES[number % 2]))


async def test_a_hook_that_waits_for_what_a_flood_sets_can_be_cancelled() -> None:
    """There is always another call for it, and between two of them it can be."""
    calls, news = 0, anyio.Event()

    async def hook(_change: object) -> None:
        nonlocal calls, news
        calls, news = calls + 1, anyio.Event()
        await news.wait()

    observers = Observers({"on_change": hook}, (), 1000)

    async def work() -> None:
        async with BackgroundTasks(needed=True) as tasks:
            observers.run_in(tasks)
            try:
                await anyio.sleep_forever()
            finally:
                observers.run_in(None)  # as pair() does

    def send(number: int) -> None:
        change = CHANGES[number % 2]
        observers.notify(change.source, change.event, change.target, None)
        news.set()

    await cancelled_in_a_flood(work, send)
    assert calls > 1
