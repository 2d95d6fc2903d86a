"""Faults, exits and cancellations at an awkward moment: nothing is lost, nothing is invented."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import (
    ActionRequired,
    Cancelled,
    Change,
    Connected,
    Event,
    Failed,
    InvalidValue,
    Outcome,
    Paired,
    Policy,
    QRCode,
    QRExpired,
    QRLifecycle,
    QRUpdated,
    Scanned,
    Signal,
    State,
    TransportLost,
    UsageError,
)
from qrlifecycle.engine.attempt import Attempt
from qrlifecycle.engine.incoming import Incoming
from qrlifecycle.engine.status import StatusReader
from qrlifecycle.records import Closed, Ended, Leaving, Record
from qrlifecycle.testing import (
    Fault,
    ScriptedPeer,
    ScriptedTransport,
    VirtualClockEventLoop,
    cancel_everywhere,
    settle,
)

from ..pairing import Pairing, asyncio_only, hang, request_qr

BACKENDS = ["asyncio", "trio"]


async def ending_of(lifecycle: QRLifecycle) -> Outcome | BaseException:
    """How `pair()` ended, whatever that was."""
    try:
        return await lifecycle.pair()
    except BaseException as error:
        return error


@asynccontextmanager
async def pairing_beside(
    lifecycle: QRLifecycle,
) -> AsyncIterator[list[Outcome | BaseException]]:
    """A `pair()` under way, and how it ended, once it has: before the block is left."""
    ended: list[Outcome | BaseException] = []

    async def pair() -> None:
        ended.append(await ending_of(lifecycle))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair)
        await settle()
        yield ended


# What a function raises in answer to being stopped


@pytest.mark.anyio
@pytest.mark.parametrize("place", ["request_qr", "open", "receive", "check_status", "on_change"])
@pytest.mark.parametrize("raised", [ValueError, InvalidValue, TransportLost, SystemExit, OSError])
async def test_what_comes_of_being_stopped_changes_no_end(
    place: str, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person has gone away: so it ended, whatever came up meanwhile; an exit comes out."""

    async def break_when_stopped(*_arguments: object) -> Any:
        try:
            await anyio.sleep_forever()
        finally:
            raise raised("as it was stopped")

    options: dict[str, Any] = {}
    request: Any = break_when_stopped if place == "request_qr" else request_qr
    if place in {"open", "receive"}:
        monkeypatch.setattr(ScriptedTransport, place, break_when_stopped)
    elif place != "request_qr":
        options = {place: break_when_stopped, "policy": Policy(hook_timeout=5)}
    peer = ScriptedPeer()
    lifecycle = QRLifecycle(request, peer, **options)
    async with pairing_beside(lifecycle) as ended:
        lifecycle.cancel()
    if issubclass(raised, Exception):
        assert ended == [Cancelled()]
    else:
        assert [type(one) for one in ended] == [raised]
    assert lifecycle.state is State.IDLE
    assert peer.open_sockets == 0


@pytest.mark.anyio
@asyncio_only
@pytest.mark.parametrize("place", ["request_qr", "receive", "check_status", "on_change"])
async def test_somebody_elses_cancellation_in_the_instant_of_ours_is_still_a_fault(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared future is cancelled, then `cancel()` is called: nobody cancelled `pair()` itself."""
    shared = asyncio.get_running_loop().create_future()

    async def wait(*_arguments: object) -> Any:
        await shared

    options: dict[str, Any] = {}
    if place == "receive":
        monkeypatch.setattr(ScriptedTransport, place, wait)
    elif place != "request_qr":
        options[place] = wait
    lifecycle = QRLifecycle(
        wait if place == "request_qr" else request_qr, ScriptedPeer(), **options
    )
    task = asyncio.ensure_future(ending_of(lifecycle))
    await settle()
    shared.cancel()
    lifecycle.cancel()
    assert await task == Cancelled()
    assert lifecycle.state is State.IDLE


@pytest.mark.anyio
@asyncio_only
async def test_promise_5_a_close_that_swallows_a_cancellation_hides_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The success stands and is told; who cancelled `pair()` sees it cancelled all the same."""

    async def swallow(_transport: ScriptedTransport) -> None:
        try:
            await anyio.sleep(0.5)
        except asyncio.CancelledError:
            return

    monkeypatch.setattr(ScriptedTransport, "aclose", swallow)
    told: list[Connected] = []
    peer = ScriptedPeer(closings=[Fault.SLOW])
    lifecycle = QRLifecycle(request_qr, peer, on_connected=told.append)
    task = asyncio.ensure_future(lifecycle.pair())
    await settle()
    peer.send(Paired("me"))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == [Connected("me")]
    assert lifecycle.state is State.CONNECTED
    assert peer.open_sockets == 0


# Exits, and who is told


@pytest.mark.anyio
async def test_promise_4_an_exit_of_one_observer_keeps_the_success_from_none() -> None:
    """`on_change` and a recorder want to exit at the success: the others are told it first."""
    told: list[Connected] = []
    records: list[Record] = []

    def leave(seen: object) -> None:
        if isinstance(seen, Change) and seen.outcome is not None:
            raise SystemExit(3)
        if isinstance(seen, Closed):
            raise KeyboardInterrupt

    peer = ScriptedPeer()
    lifecycle = QRLifecycle(
        request_qr,
        peer,
        on_change=leave,
        on_connected=told.append,
        recorders=[leave, records.append],
    )
    async with pairing_beside(lifecycle) as ended:
        peer.send(Paired("me"))
    assert [type(one) for one in ended] == [SystemExit]
    assert told == [Connected("me")]
    assert lifecycle.state is State.CONNECTED
    assert isinstance(records[-1], Ended)
    assert sum(isinstance(one, Closed) for one in records) == 1


@pytest.mark.anyio
async def test_cancel_is_not_lost_though_a_recorder_exits_at_it() -> None:
    """The exit comes out of `cancel()`, and `pair()` ends at once."""

    def leave(record: Record) -> None:
        if isinstance(record, Leaving):
            raise SystemExit(3)

    began = anyio.current_time()
    async with Pairing(recorders=[leave]) as pairing:
        with pytest.raises(SystemExit):
            pairing.lifecycle.cancel()
    assert pairing.outcome == Cancelled()
    assert anyio.current_time() == began


@pytest.mark.anyio
@asyncio_only
async def test_an_exit_of_a_hook_is_not_lost_to_a_cancellation() -> None:
    """A hook exits, and in the same instant `pair()` is cancelled."""

    async def leave(change: Change) -> None:
        if change.event is Event.QR_UPDATED:
            task.cancel()
            raise OwnExit

    lifecycle = QRLifecycle(request_qr, ScriptedPeer(), on_change=leave)
    task = asyncio.ensure_future(ending_of(lifecycle))
    assert type(await task) is OwnExit
    assert lifecycle.state is State.IDLE


@pytest.mark.anyio
async def test_promise_5_an_interrupt_before_the_close_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second Ctrl-C may strike between any two lines, also as leaving has just begun."""

    def strike(_reader: StatusReader) -> None:
        raise KeyboardInterrupt

    async def check_status() -> Signal | None:
        return None

    monkeypatch.setattr(StatusReader, "stop", strike)
    peer = ScriptedPeer()
    lifecycle = QRLifecycle(request_qr, peer, check_status=check_status)
    async with pairing_beside(lifecycle) as ended:
        lifecycle.cancel()
    assert [type(one) for one in ended] == [KeyboardInterrupt]
    assert peer.open_sockets == 0
    assert lifecycle.state is State.IDLE


class OwnExit(BaseException):
    """Not an `Exception`."""


@pytest.mark.anyio
async def test_an_async_hook_that_takes_no_argument_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It fails as it is called, not as it is awaited; its signature says otherwise."""

    class TakesNothing:
        __signature__ = inspect.signature(print)

        async def __call__(self) -> None:
            """Not a hook."""

    hook: Any = TakesNothing()
    async with Pairing(on_change=hook) as pairing:
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert "on_change raised TypeError" in caplog.text


# Hooks that are called outside a task


def foreign() -> BaseException:
    """Somebody else's cancellation."""
    return asyncio.CancelledError()


@pytest.mark.parametrize(
    ("make", "comes_out"), [(KeyboardInterrupt, True), (GeneratorExit, True), (foreign, False)]
)
@pytest.mark.parametrize("where", ["without a loop", "in a callback"])
def test_what_a_hook_raises_outside_a_task_is_told_apart(
    make: Callable[[], BaseException],
    *,
    comes_out: bool,
    where: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`reset()` is a plain call, and may come from anywhere: an exit comes out as it is."""

    async def fail() -> QRCode | Paired:
        raise OSError

    def hook(change: Change) -> None:
        if change.event is Event.RESET:
            raise make()

    lifecycle = QRLifecycle(fail, ScriptedPeer(), on_change=hook)
    raised: list[BaseException] = []

    def reset() -> None:
        try:
            lifecycle.reset()
        except BaseException as error:
            raised.append(error)

    async def main() -> None:
        await lifecycle.pair()
        if where == "in a callback":
            asyncio.get_running_loop().call_soon(reset)
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=VirtualClockEventLoop) as runner:
        runner.run(main())
    if where == "without a loop":
        reset()
    assert lifecycle.state is State.IDLE
    assert [type(one) for one in raised] == ([type(make())] if comes_out else [])
    assert comes_out == ("on_change raised ForeignCancellation" not in caplog.text)


# Thrown away


@pytest.mark.anyio
@asyncio_only
@pytest.mark.parametrize("check_status", [None, hang])
async def test_promise_5_a_coroutine_that_is_closed_by_hand_shuts_its_socket(
    check_status: Any,
) -> None:
    """Its hooks' tasks go too, and whoever drove it goes on undisturbed."""
    peer, tasks = ScriptedPeer(), asyncio.all_tasks()
    ran: list[str] = []

    async def hook(_change: Change) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ran.append("stopped")

    lifecycle = QRLifecycle(request_qr, peer, on_change=hook, check_status=check_status)
    coroutine = lifecycle.pair()
    while not peer.open_sockets:
        coroutine.send(None)
        await asyncio.sleep(0)
    coroutine.close()
    assert peer.open_sockets == 0
    assert lifecycle.state is State.IDLE
    await asyncio.sleep(1)
    assert ran == ["stopped"]
    assert asyncio.all_tasks() == tasks


# Cancelled at every step

SAYS: dict[str, tuple[tuple[Signal, ...], ...]] = {
    "happy": ((Scanned(), ActionRequired("passkey"), QRUpdated(QRCode("next")), Paired("me")),),
    "reconnecting": ((), (Scanned(), Paired("me"))),
    "lost": ((), ()),
    "another code": ((QRExpired(),), (Paired("me"),)),
    "no other code": ((QRExpired(),), (QRExpired(),)),
    "showing failed": ((QRUpdated(QRCode("next")),),),
}
"""What the peer says over one transport after another; after it nothing, or the connection breaks
if it has said nothing."""


class Paced(ScriptedTransport):
    """Says what comes next a moment after it is asked; a socket is a count, and takes no room."""

    rounds: Iterator[tuple[Signal, ...]] = iter(())
    said: Iterator[Signal] | None = None

    async def receive(self) -> Signal:
        """The next signal."""
        await anyio.lowlevel.checkpoint()
        if self.said is None:
            says = next(Paced.rounds)
            self.said = iter(says)
            if not says:
                raise TransportLost("broke")
        for signal in self.said:
            return signal
        await anyio.sleep_forever()
        raise AssertionError


SOON = Policy(
    reconnect_delay=0.001,
    reconnect_delay_max=0.001,
    status_retry_delay=0.001,
    status_retry_delay_max=0.001,
    max_reconnects=1,
    max_refreshes=1,
    expiry_grace=0,
    final_check_timeout=0.01,
)


@pytest.mark.parametrize(
    ("backend", "how"), [("asyncio", "scope"), ("asyncio", "native"), ("trio", "scope")]
)
@pytest.mark.parametrize("says", SAYS)
def test_promise_5_cancelled_at_every_step_it_ends_in_order(
    says: str, backend: str, how: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hooks and a status: no socket, a legal end, a success told once and never invented."""
    logging.disable()
    monkeypatch.setattr("qrlifecycle.testing.scripted.ScriptedTransport", Paced)
    wrong: list[object] = []

    async def attempt() -> None:
        Paced.rounds = iter(SAYS[says])
        told: list[Connected] = []
        peer = ScriptedPeer()

        async def check_status() -> Signal | None:
            await anyio.lowlevel.checkpoint()
            return None

        async def hook(seen: object) -> None:
            await anyio.lowlevel.checkpoint()
            if says == "showing failed" and isinstance(seen, QRCode):
                raise OSError

        hooks: dict[str, Any] = dict.fromkeys(("on_change", "on_qr_updated", "on_scanned"), hook)
        lifecycle = QRLifecycle(
            request_qr,
            peer,
            policy=SOON,
            check_status=check_status,
            on_connected=told.append,
            **hooks,
        )
        try:
            await lifecycle.pair()
        finally:
            seen = lifecycle.snapshot()
            fine = not (peer.open_sockets or seen.running or seen.pending or seen.transport)
            ended = seen.state in {State.IDLE, State.CONNECTED, State.FAILED}
            if not fine or not ended or len(told) != (seen.state is State.CONNECTED):
                wrong.append((seen, peer.open_sockets, told))

    try:
        report = cancel_everywhere(attempt, backend=backend, how=how, patience=0)
    finally:
        logging.disable(logging.NOTSET)
    assert wrong == []
    assert report.steps > 5


# Whoever calls back


def act(lifecycle: QRLifecycle, what: str) -> None:
    """One of a lifecycle's calls, or one after another; what is refused there is refused."""
    for name in what.split():
        try:
            if name == "pair":
                lifecycle.pair().send(None)
            else:
                getattr(lifecycle, name)()
        except UsageError:
            continue


class CallBack:
    """An observer that calls back once, at the given moment."""

    def __init__(self, what: str, moment: int, observer: str) -> None:
        self.what = what
        self.moments = moment
        self.told: list[Connected] = []
        hook = self.notice_async if observer == "async" else self.notice
        names = ("on_change", "on_qr_updated", "on_scanned", "on_connection_failed")
        options: dict[str, Any] = dict.fromkeys(names, hook)
        if observer == "recorder":
            options = {"recorders": [hook]}
        self.pairing = Pairing(on_connected=self.told.append, **options)

    def notice(self, _seen: object) -> None:
        """Call back, if it is time."""
        self.moments -= 1
        if self.moments == -1 and self.pairing.lifecycle.snapshot().running:
            act(self.pairing.lifecycle, self.what)

    async def notice_async(self, seen: object) -> None:
        """The same."""
        self.notice(seen)

    async def play(self) -> None:
        """A round in which the phone is patient."""
        async with self.pairing:
            for signal in (Scanned(), QRUpdated(QRCode("next")), Scanned()):
                self.pairing.peer.send(signal)
                await anyio.sleep(1)
            for _ in range(3):
                self.pairing.peer.send(Paired("me"))
                await anyio.sleep(1)


@pytest.mark.anyio
@pytest.mark.parametrize("what", ["cancel", "generate", "reset", "pair", "generate cancel"])
@pytest.mark.parametrize("observer", ["plain", "async", "recorder"])
async def test_whoever_calls_back_at_any_moment_breaks_nothing(what: str, observer: str) -> None:
    """From the first thing that an observer is told to the last: one end, legal, told as it is."""
    for moment in range(14):
        round_ = CallBack(what, moment, observer)
        await round_.play()
        pairing, outcome = round_.pairing, round_.pairing.outcome
        assert outcome is not None
        assert len(round_.told) == outcome.connected
        states = {Connected: State.CONNECTED, Failed: State.FAILED, Cancelled: State.IDLE}
        assert pairing.lifecycle.state in {states[type(outcome)], State.IDLE}
        assert pairing.peer.open_sockets == 0


@pytest.mark.anyio
async def test_an_interrupt_before_anything_could_be_decided_still_closes_and_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second Ctrl-C strikes where the first is being made a decision: closed, and `idle`."""
    peer = ScriptedPeer()

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Incoming, "take_signal", interrupt)
    monkeypatch.setattr(Attempt, "_decide_by", interrupt)
    lifecycle = QRLifecycle(request_qr, peer)
    async with pairing_beside(lifecycle) as ended:
        peer.send(Scanned())
        await settle()
        assert (lifecycle.state, peer.open_sockets) == (State.IDLE, 0)
    assert list(map(type, ended)) == [KeyboardInterrupt]
