"""The promises, each held to where it is kept."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    Change,
    Connected,
    Event,
    Paired,
    PairingCode,
    PairingInProgress,
    PairingRefused,
    Policy,
    QRCode,
    QRExpired,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    State,
)
from qrlifecycle.codes import Code
from qrlifecycle.records import Leaving, Record
from qrlifecycle.testing import Fault, ScriptedPeer, settle

from ..pairing import ONCE, Pairing, asyncio_only, be_busy, hang, request_qr
from ..sockets import descriptors, needs_proc

pytestmark = pytest.mark.anyio


async def no_news() -> Signal | None:
    """A status that has nothing to say."""
    return None


def expire(pairing: Pairing) -> None:
    """Let the service say that the code ran out."""
    pairing.peer.send(QRExpired())


def pair(pairing: Pairing) -> None:
    """Let the service say that an account is paired."""
    pairing.peer.send(Paired("me"))


def refuse(pairing: Pairing) -> None:
    """Let the service say no."""
    pairing.peer.send(PairingRefused(Reason.CONFLICT))


@pytest.mark.parametrize("closing", [Fault.NONE, Fault.SLOW, Fault.BROKEN, Fault.HUNG])
@pytest.mark.parametrize(
    "leave",
    [
        expire,
        pair,
        refuse,
        lambda pairing: pairing.lifecycle.cancel(),
        lambda pairing: pairing.lifecycle.generate(),
        lambda pairing: pairing.peer.break_connection(),
    ],
)
async def test_promise_1_the_socket_is_gone_before_anybody_is_told_of_the_next_state(
    leave: Callable[[Pairing], object], closing: Fault
) -> None:
    """Whatever leads out of `displayed`, whoever sees another state sees no socket."""
    seen: list[tuple[State, int]] = []

    def look(change: Change) -> None:
        seen.append((pairing.lifecycle.state, pairing.peer.open_sockets))

    policy = replace(ONCE, expiry_grace=0, close_timeout=1)
    pairing = Pairing(closings=(closing,), policy=policy, on_change=look)
    pairing.peer.watch = lambda: seen.append((pairing.lifecycle.state, pairing.peer.open_sockets))
    async with pairing:
        assert pairing.peer.open_sockets == 1
        leave(pairing)
        await anyio.sleep(2)
        pairing.lifecycle.cancel()
    assert (State.DISPLAYED, 1) in seen
    assert [state for state, sockets in seen if sockets and state is not State.DISPLAYED] == []


@pytest.mark.parametrize("closing", [Fault.SLOW, Fault.HUNG])
@pytest.mark.parametrize("outside", [True, False])
async def test_promise_2_a_graceful_close_has_its_time_and_no_more_even_under_a_cancellation(
    closing: Fault, outside: bool
) -> None:
    """It is not cut short by a cancellation, and when its time is over the door is shut."""
    peer = ScriptedPeer(closings=(closing,))
    lifecycle = QRLifecycle(request_qr, peer, policy=Policy(close_timeout=2))
    seen: list[tuple[int, State]] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        if outside:
            tasks.cancel_scope.cancel()
        else:
            lifecycle.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2.5)
            seen.append((peer.open_sockets, lifecycle.state))
            peer.let_go.set()
    assert seen == [(0, State.IDLE)]
    seconds = 0.5 if closing is Fault.SLOW else 2
    assert [goodbye.seconds for goodbye in peer.closes] == [pytest.approx(seconds)]


async def test_promise_3_a_second_pair_is_refused_and_opens_no_socket() -> None:
    """Whoever calls `pair()` while one runs is told so, and disturbs nothing."""
    peer, ended = ScriptedPeer(), list[object]()
    lifecycle = QRLifecycle(request_qr, peer)

    async def pair() -> None:
        try:
            ended.append(await lifecycle.pair())
        except Exception as error:
            ended.append(type(error))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair)
        await settle()
        tasks.start_soon(pair)
        await settle()
        peer.send(Paired("me"))
        await settle()
        tasks.cancel_scope.cancel()
    assert ended == [PairingInProgress, Connected("me")]
    assert len(peer.transports) == 1


async def test_promise_4_the_code_is_handed_out_once_the_transport_listens() -> None:
    """While the transport opens there is no code to show; when it listens, there is."""
    shown: list[str] = []
    async with Pairing(
        openings=(Fault.SLOW,), on_qr_updated=lambda qr: shown.append(qr.reveal())
    ) as p:
        assert p.lifecycle.state is State.DISPLAYED
        assert p.lifecycle.qr is None
        assert shown == []
        await anyio.sleep(0.6)
        assert p.lifecycle.qr == QRCode("first")
        assert shown == ["first"]
        p.lifecycle.cancel()


@pytest.mark.parametrize(
    "signal", [Paired("me"), Scanned(), ActionRequired("passkey"), QRUpdated(QRCode("second"))]
)
async def test_promise_4_what_came_in_time_counts_though_the_loop_was_busy(signal: Signal) -> None:
    """A signal that arrived before the deadline is taken, and the clock that it starts is new."""
    async with Pairing(policy=Policy(max_refreshes=0, expiry_grace=0)) as pairing:
        await anyio.sleep(59.9)
        pairing.peer.send(signal)
        be_busy(0.3)
        await anyio.sleep(50)
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


@pytest.mark.parametrize("after", [0, 0.25, 0.5, 0.75, 30.0])
@pytest.mark.parametrize("closing", list(Fault))
async def test_promise_5_a_cancellation_from_outside_goes_on(after: float, closing: Fault) -> None:
    """Cancelled at any await, the socket is closed, the state legal, the cancellation goes on."""
    peer = ScriptedPeer(openings=(Fault.SLOW,), closings=(closing,))
    lifecycle = QRLifecycle(request_qr, peer, policy=Policy(close_timeout=0.2))
    with anyio.move_on_after(after) as scope:
        await lifecycle.pair()
    assert scope.cancelled_caught
    assert lifecycle.state is State.IDLE
    assert not lifecycle.socket_open
    assert peer.open_sockets == 0


async def test_promise_5_a_cancellation_while_a_code_is_closed_asks_for_no_other() -> None:
    """The graceful close is shielded from it; what comes after is not even begun."""
    asked: list[State] = []

    async def request() -> QRCode:
        asked.append(lifecycle.state)
        return QRCode("first")

    lifecycle = QRLifecycle(request, ScriptedPeer(closings=(Fault.SLOW,)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        lifecycle.generate()
        await settle()
        tasks.cancel_scope.cancel()
    assert asked == [State.GENERATING]
    assert lifecycle.state is State.IDLE


async def test_promise_5_a_success_that_is_closing_survives_a_cancellation() -> None:
    """A cancellation while the success's transport closes goes on, and the state is `connected`."""
    peer = ScriptedPeer(closings=(Fault.SLOW,))
    told: list[Connected] = []
    lifecycle = QRLifecycle(request_qr, peer, on_connected=told.append)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        peer.send(Paired("me"))
        await settle()
        tasks.cancel_scope.cancel()
    assert lifecycle.state is State.CONNECTED
    assert told == [Connected("me")]
    assert peer.open_sockets == 0


@asyncio_only
@pytest.mark.parametrize("trigger", ["generate", "cancel"])
async def test_promise_5_a_native_cancellation_in_a_graceful_close_ends_in_idle(
    trigger: str,
) -> None:
    """A shield of anyio's does not hold it; nobody goes on to another code that nobody awaits."""
    peer = ScriptedPeer(closings=(Fault.HUNG,))
    lifecycle = QRLifecycle(request_qr, peer)
    task = asyncio.ensure_future(lifecycle.pair())
    await settle()
    getattr(lifecycle, trigger)()
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lifecycle.state is State.IDLE
    assert not lifecycle.cancel()
    assert peer.open_sockets == 0


@asyncio_only
async def test_promise_5_a_success_that_is_closing_survives_a_native_cancellation() -> None:
    """No shield holds it, the cancellation goes on, and yet the account is paired."""
    peer = ScriptedPeer(closings=(Fault.HUNG,))
    lifecycle = QRLifecycle(request_qr, peer)
    task = asyncio.ensure_future(lifecycle.pair())
    await settle()
    peer.send(Paired("me"))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lifecycle.state is State.CONNECTED
    assert peer.open_sockets == 0


async def test_promise_5_a_success_that_was_decided_survives_a_cancellation() -> None:
    """A cancellation in the instant in which the status tells of a success goes on after it."""
    told: list[Connected] = []

    async def check_status() -> Signal | None:
        return Paired("me")

    def cancel(record: Record) -> None:
        if isinstance(record, Leaving):
            tasks.cancel_scope.cancel()

    lifecycle = QRLifecycle(
        request_qr,
        ScriptedPeer(),
        check_status=check_status,
        on_connected=told.append,
        recorders=[cancel],
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
    assert lifecycle.state is State.CONNECTED
    assert told == [Connected("me")]


@asyncio_only
@pytest.mark.parametrize("trigger", ["generate", "cancel"])
async def test_promise_5_a_read_that_swallows_cancellations_hides_none(trigger: str) -> None:
    """However badly `check_status` behaves, the cancellation of `pair()` goes on."""

    async def swallow() -> Signal | None:
        with suppress(BaseException):
            await asyncio.sleep(3)
        return None

    lifecycle = QRLifecycle(request_qr, ScriptedPeer(), check_status=swallow)
    task = asyncio.ensure_future(lifecycle.pair())
    await settle()
    getattr(lifecycle, trigger)()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lifecycle.state is State.IDLE


@asyncio_only
async def test_promise_5_a_native_cancellation_waits_for_no_hook() -> None:
    """Whoever cancels `pair()` gets it back at once: async hooks are cancelled with it."""
    lifecycle = QRLifecycle(request_qr, ScriptedPeer(), on_qr_updated=lambda _qr: hang())
    task = asyncio.ensure_future(lifecycle.pair())
    await settle()
    began = anyio.current_time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert anyio.current_time() == began


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("check_status", [None, hang])
def test_promise_5_a_task_thrown_away_with_its_loop_shuts_its_socket(check_status: Any) -> None:
    """If the event loop is closed under `pair()`, the socket is shut when its coroutine is."""
    peer = ScriptedPeer(openings=(Fault.HUNG_HALFWAY,))
    lifecycle = QRLifecycle(request_qr, peer, check_status=check_status)
    loop = asyncio.new_event_loop()
    coroutine = lifecycle.pair()
    task = loop.create_task(coroutine)
    while not peer.open_sockets:
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert not task.done()
    with suppress(RuntimeError):  # no scope can be left properly without its loop
        coroutine.close()
    assert peer.open_sockets == 0
    assert not lifecycle.socket_open


async def test_promise_6_the_code_is_forgotten_when_displayed_is_left() -> None:
    """Once `displayed` is left nothing in the library keeps the code alive."""
    codes: list[weakref.ref[QRCode]] = []

    async def request() -> QRCode | Paired:
        code = QRCode("secret")
        codes.append(weakref.ref(code))
        return code

    async with Pairing(request, policy=ONCE) as pairing:
        changes = pairing.lifecycle.changes()
        pairing.peer.break_connection()
    gc.collect()
    assert pairing.failed().error is not None
    assert changes is not None
    assert [code() for code in codes] == [None]


PAYLOADS = ("5f0c1e9ad7b3", "c27e64b8105f", "93ad0b5f7e1c", "e8146fd2907b")
"""What no text holds by chance, and no line of a traceback shows."""


def text_of(record: logging.LogRecord) -> str:
    """All that any handler could write of a record: its message, its arguments, its exception."""
    return logging.Formatter().format(record) + repr(vars(record))


@pytest.mark.parametrize("kind", [QRCode, PairingCode])
async def test_promise_6_no_text_shows_the_code(
    kind: type[QRCode | PairingCode], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither repr nor log at DEBUG nor a complaint nor what watchers are told shows a payload."""
    caplog.set_level(logging.DEBUG)
    requested, sent, read, asked_again = (kind(payload) for payload in PAYLOADS)
    answers, readings = iter((requested, asked_again)), iter((None, QRUpdated(read)))
    texts: list[str] = []

    def note(told: object) -> None:
        texts.extend((repr(told), str(told)))

    drawn: list[str] = []

    def draw(code: Code) -> None:
        note(code)
        note(pairing.lifecycle)
        note(pairing.lifecycle.qr)
        drawn.append(code.reveal())
        if code == sent:  # a rotation: the attempt goes on
            raise ValueError(f"cannot draw {code.reveal()}")

    async def request() -> Any:
        return next(answers)

    async def check_status() -> Signal | None:
        if (reading := next(readings, None)) is None:
            raise ValueError(f"cannot read {' '.join(PAYLOADS)}")
        return reading

    hooks: dict[str, Any] = dict.fromkeys(("on_qr_updated", "on_pairing_code"), draw)
    hooks |= dict.fromkeys(("on_change", "on_connection_failed", "on_action_required"), note)
    policy = Policy(status_interval=1, max_reconnects=0)
    pairing = Pairing(request, check_status=check_status, policy=policy, **hooks)
    async with pairing:
        pairing.peer.send(QRUpdated(sent))
        pairing.peer.send(ActionRequired("passkey"))
        await anyio.sleep(5)
        pairing.lifecycle.generate()
        await settle()
        pairing.peer.transports[-1].buffer.end(OSError(f"cannot hear {' '.join(PAYLOADS)}"))
    note(pairing.failed())
    told = "\n".join((*texts, *map(text_of, caplog.records)))
    assert drawn == list(PAYLOADS), "a code was not handed out"
    assert any("raised ValueError" in line for line in caplog.messages)
    assert "check_status failed: ValueError" in told
    assert [payload for payload in PAYLOADS if payload in told] == []


@pytest.mark.parametrize("kind", [QRCode, PairingCode])
async def test_promise_6_no_text_of_a_hook_that_cannot_draw_shows_the_code(
    kind: type[QRCode | PairingCode], caplog: pytest.LogCaptureFixture
) -> None:
    """The attempt ends by it; the error is the outcome's, and its text is nobody's."""
    caplog.set_level(logging.DEBUG)

    async def request() -> Any:
        return kind(PAYLOADS[0])

    def draw(code: Code) -> None:
        raise ValueError(f"cannot draw {code.reveal()}")

    hooks: dict[str, Any] = dict.fromkeys(("on_qr_updated", "on_pairing_code"), draw)
    async with Pairing(request, **hooks) as pairing:
        pass
    failed = pairing.failed()
    assert failed.reason is Reason.SHOWING_FAILED
    assert isinstance(failed.error, ValueError)
    told = "\n".join((repr(failed), *map(text_of, caplog.records)))
    assert PAYLOADS[0] not in told


async def test_promise_7_a_transport_that_hands_over_nonsense_ends_the_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is no `Signal` is a broken contract: the attempt ends, the socket is closed."""
    async with Pairing(policy=ONCE) as pairing:
        pairing.peer.transports[-1].buffer._signals["paired"] = "paired"  # type: ignore[assignment]
        pairing.peer.transports[-1].buffer._wake()
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    said = (
        "broke its contract: it raised NoSignal: ScriptedTransport.receive() gave back str, which"
    )
    assert said in caplog.text
    assert pairing.peer.open_sockets == 0


@pytest.mark.parametrize("kind", [Signal, QRExpired])
async def test_promise_7_a_signal_that_does_not_fit_is_dropped_and_counted(
    kind: type[Signal], caplog: pytest.LogCaptureFixture
) -> None:
    """Promise 7: a signal that the state does not accept moves nothing and raises nothing."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")

    class OutOfPlace(kind):  # type: ignore[misc,valid-type]
        event = Event.QR_READY

    async with Pairing() as pairing:
        pairing.peer.send(OutOfPlace())
        await settle()
        assert pairing.lifecycle.state is State.DISPLAYED
        assert pairing.lifecycle.dropped == {"qr_ready": 1}
        assert caplog.messages[-1] == "signal for 'qr_ready' dropped in state 'displayed'"
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


class Refused(Signal):
    """What no state takes from a transport."""

    event = Event.QR_READY


class Noted(Scanned):
    """Weakly referred to."""


class Demanded(ActionRequired):
    """Weakly referred to."""


class Rotated(QRUpdated):
    """Weakly referred to."""


@pytest.mark.parametrize(
    "make",
    [
        lambda _number: Refused(),
        lambda _number: Noted(),
        lambda _number: Demanded("passkey"),
        lambda number: Rotated(QRCode(str(number))),
    ],
    ids=["refused", "scanned", "action", "rotated"],
)
async def test_promise_7_a_flood_of_signals_is_not_kept(make: Callable[[int], Signal]) -> None:
    """Taken or refused, a signal is forgotten: only the newest may still be in somebody's hands."""
    sent: list[weakref.ref[Signal]] = []
    async with Pairing() as pairing:
        for number in range(100):
            signal = make(number)
            sent.append(weakref.ref(signal))
            pairing.peer.send(signal)
            del signal
            await settle()
        gc.collect()
        assert sum(signal() is not None for signal in sent) <= 1
        pairing.lifecycle.cancel()


async def test_promise_7_a_signal_of_an_unknown_kind_breaks_the_contract() -> None:
    """Nobody knows what it carries; the error says whose class it was."""

    class Strange(Signal):
        event = Event.SCANNED

    async with Pairing(policy=ONCE) as pairing:
        pairing.peer.send(Strange())
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    assert str(pairing.failed().error) == "Strange carries nothing that is known"


async def test_promise_7_a_signal_out_of_place_raises_nothing() -> None:
    """Nor does it break the connection that brought it: what was wrong was not the connection."""

    class OutOfPlace(Signal):
        event = Event.QR_READY

    peer = ScriptedPeer()
    lifecycle = QRLifecycle(request_qr, peer)
    raised: list[Exception] = []

    async def pair() -> None:
        try:
            await lifecycle.pair()
        except Exception as error:
            raised.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair)
        await settle()
        peer.send(OutOfPlace())
        await settle()
        peer.send(Paired("me"))
    assert raised == []
    assert len(peer.transports) == 1


@needs_proc
@pytest.mark.parametrize(
    "leave", [expire, pair, refuse, lambda pairing: pairing.lifecycle.cancel()]
)
async def test_promise_8_no_descriptor_is_left(leave: Callable[[Pairing], object]) -> None:
    """Of whatever kind: after a `pair()`, however it ended, this process has those it had."""

    async def pair() -> None:
        async with Pairing(
            policy=Policy(max_refreshes=0, expiry_grace=0), check_status=no_news
        ) as pairing:
            leave(pairing)

    await pair()  # what is made once, for all of them
    gc.collect()
    before = descriptors()
    await pair()
    assert descriptors() == before
