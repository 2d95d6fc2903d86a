"""Pairing from plain programs: in a thread of its own, of which nothing is left."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from qrlifecycle import (
    Cancelled,
    Change,
    Connected,
    Event,
    EventRefused,
    Failed,
    PairingInProgress,
    PairingThread,
    Policy,
    QRCode,
    QRLifecycle,
    Reason,
    SocketIOTransport,
    State,
    UsageError,
    WrongAnswer,
    pair_blocking,
)
from qrlifecycle.gateways import GOWA

from .far import BACKENDS, Far, event_loop, far_away, portals, until
from .patience import HANGS


@pytest.fixture
def far() -> Iterator[Far]:
    """A server; afterwards nothing is left."""
    with far_away() as server:
        yield server


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_8_a_plain_program_pairs(far: Far, backend: str) -> None:
    """It blocks until the end, and says how it ended; nothing is left, and it can be done again."""
    lifecycle = far.lifecycle(on_qr_updated=far.scan)
    for _ in range(2):
        outcome = pair_blocking(lifecycle, backend=backend)
        assert isinstance(outcome, Connected)
        assert outcome.identity == "+490001234567"
    assert far.server.most_sockets() == 1


@pytest.mark.parametrize("named", [{}, *({"backend": name} for name in BACKENDS)])
def test_the_event_loop_of_the_thread_is_the_one_that_is_named(
    far: Far, named: dict[str, Any]
) -> None:
    """It is asyncio where none is."""
    loops: list[str] = []

    def scan(_qr: object) -> None:
        loops.append(event_loop())
        far.scan()

    assert pair_blocking(far.lifecycle(on_qr_updated=scan), **named).connected
    assert loops == [named.get("backend", "asyncio")]


def test_leaving_by_the_outcome_cuts_off_no_hook(far: Far) -> None:
    """The last change is read before an async hook has stored the success."""
    stored: list[object] = []

    async def store(outcome: object) -> None:
        await anyio.sleep(0.05)
        stored.append(outcome)

    with PairingThread(far.lifecycle(on_connected=store, on_qr_updated=far.scan)) as pairing:
        outcomes = [change.outcome for change in pairing.changes()]
    assert stored == outcomes[-1:]


def test_cancel_right_after_the_beginning_cancels(far: Far) -> None:
    """Whether or not the attempt has taken its first step."""
    with PairingThread(far.lifecycle(), backend="trio") as pairing:  # which shuffles its tasks
        assert pairing.cancel()
        assert pairing.result() == Cancelled()


@pytest.mark.parametrize("backend", BACKENDS)
def test_cancel_before_the_attempt_has_taken_its_first_step_cancels(
    far: Far, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is left before it asked for a code."""
    lifecycle, does, cancelled = far.lifecycle(), BlockingPortal.start_task_soon, list[bool]()

    def late(portal: BlockingPortal, function: Any, *arguments: Any) -> Any:
        if function.__name__ == "_run":
            monkeypatch.undo()
            cancelled.append(portal.call(lifecycle.cancel))
        return does(portal, function, *arguments)

    monkeypatch.setattr(BlockingPortal, "start_task_soon", late)
    with PairingThread(lifecycle, backend=backend) as pairing:
        assert cancelled == [True]
        assert pairing.result(HANGS) == Cancelled()


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_5_ctrl_c_closes_the_socket_and_comes_out(far: Far, backend: str) -> None:
    """As would any exception that a signal raises, a worker's time limit say."""
    main_thread = threading.get_ident()
    lifecycle = far.lifecycle(
        on_qr_updated=lambda _qr: signal.pthread_kill(main_thread, signal.SIGINT)
    )
    with pytest.raises(KeyboardInterrupt):
        pair_blocking(lifecycle, backend=backend)
    assert lifecycle.state is State.IDLE
    assert not lifecycle.socket_open


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("step", ["call", "start_task_soon"])
def test_promise_5_ctrl_c_while_it_is_begun_leaves_no_attempt_behind(
    far: Far, backend: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody holds a `PairingThread` yet that could be closed; so beginning it closes it."""
    does = getattr(BlockingPortal, step)

    def interrupted(portal: BlockingPortal, *arguments: Any) -> None:
        monkeypatch.undo()
        does(portal, *arguments)
        raise KeyboardInterrupt

    lifecycle = far.lifecycle()
    monkeypatch.setattr(BlockingPortal, step, interrupted)
    before = portals()
    with pytest.raises(KeyboardInterrupt) as held:  # as a debugger does, and all that it leads to
        pair_blocking(lifecycle, backend=backend)
    assert lifecycle.state is State.IDLE
    assert portals() == before
    del held


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_time_out_is_the_policys_and_an_outcome(far: Far, backend: str) -> None:
    """No other one is needed."""
    lifecycle = far.lifecycle(policy=Policy(attempt_timeout=0.2))
    outcome = pair_blocking(lifecycle, backend=backend)
    assert isinstance(outcome, Failed)
    assert outcome.reason in (Reason.ATTEMPT_TIMED_OUT, Reason.GENERATING_TIMED_OUT)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_pair_raises_comes_out_as_it_is(far: Far, backend: str) -> None:
    """A mistake in the program, and a `SystemExit` of one of its functions."""

    async def wrong() -> Any:
        return "no code"

    def leave(_change: Change) -> None:
        raise SystemExit(3)

    with pytest.raises(WrongAnswer):
        pair_blocking(far.lifecycle(request_qr=wrong), backend=backend)
    with pytest.raises(SystemExit) as left:
        pair_blocking(far.lifecycle(on_change=leave), backend=backend)
    assert left.value.code == 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_ended_by_an_exception_can_be_read_to_its_end(far: Far, backend: str) -> None:
    """Also by a `SystemExit`, which does not end the thread before that is closed."""

    def leave(change: Change) -> None:
        if change.event is Event.QR_READY:
            raise SystemExit(3)

    with PairingThread(far.lifecycle(on_change=leave), backend=backend) as pairing:
        with pytest.raises(SystemExit):
            pairing.result(HANGS)
        events = [change.event for change in pairing.changes()]
        with pytest.raises(EventRefused):
            pairing.generate()
    assert events == [Event.GENERATE, Event.QR_READY, Event.CANCEL]


def test_promise_5_an_attempt_whose_task_was_cancelled_was_cancelled(far: Far) -> None:
    """By a hook that cancels all that runs, as programs do that shut down."""

    def shut_down(_qr: QRCode) -> None:
        for task in asyncio.all_tasks():
            task.cancel()

    lifecycle = far.lifecycle(on_qr_updated=shut_down)
    with PairingThread(lifecycle) as pairing:
        assert pairing.result(HANGS) == Cancelled()
    assert (lifecycle.state, lifecycle.socket_open) == (State.IDLE, False)
    assert pairing.result() == Cancelled()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_lifecycle_that_another_thread_runs_is_refused_by_what_happened(
    far: Far, backend: str
) -> None:
    """Not by a cancel() that nobody called; the other goes on, and pairs."""
    lifecycle = far.lifecycle()
    with PairingThread(lifecycle, backend=backend) as pairing:
        until(lambda: lifecycle.qr)  # shown: it listens
        with pytest.raises(PairingInProgress, match="use a lifecycle of its own"):
            pair_blocking(lifecycle, backend=backend)
        assert lifecycle.socket_open
        far.scan()
        assert pairing.result(HANGS).connected


@pytest.mark.anyio
async def test_where_an_event_loop_runs_it_is_refused() -> None:
    """It would block that; nothing is begun."""

    async def request_qr() -> QRCode:
        raise AssertionError

    lifecycle = QRLifecycle(
        request_qr, partial(SocketIOTransport, "http://h", bot_id="b", user_id="u")
    )
    with pytest.raises(UsageError, match=r"await pair\(\) there"):
        pair_blocking(lifecycle)


# In a thread, beside something else


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_changes_can_be_read_meanwhile(far: Far, backend: str) -> None:
    """From the first to the last, which has the outcome."""
    with PairingThread(far.lifecycle(), backend=backend) as pairing:
        events, outcome = [], None
        for change in pairing.changes():
            events.append(change.event)
            outcome = change.outcome
            if change.event is Event.QR_UPDATED:
                with pytest.raises(TimeoutError):
                    pairing.result(timeout=0)
                far.scan()
        assert outcome is not None
        assert pairing.result() == outcome
        assert list(pairing.changes()) == []
    assert events == [Event.GENERATE, Event.QR_READY, Event.QR_UPDATED, Event.SCANNED, Event.PAIRED]
    assert pairing.result() == outcome


def test_a_trigger_may_come_from_any_thread(far: Far) -> None:
    """A fresh code, and going away; at an end the one is nothing, and the other is refused."""
    with PairingThread(far.lifecycle()) as pairing:
        codes = 0
        for change in pairing.changes():
            codes += change.event is Event.QR_UPDATED
            if change.event is Event.QR_UPDATED:
                if codes == 1:
                    pairing.generate()
                else:
                    assert pairing.cancel()
        assert codes == 2
        assert pairing.result() == Cancelled()
        assert not pairing.cancel()
        with pytest.raises(EventRefused):
            pairing.generate()


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_5_leaving_the_block_ends_it(far: Far, backend: str) -> None:
    """The socket is closed by then."""
    lifecycle = far.lifecycle()
    with PairingThread(lifecycle, backend=backend) as pairing:
        until(lambda: lifecycle.socket_open)
    assert not lifecycle.socket_open
    assert lifecycle.state is State.IDLE
    assert pairing.result() == Cancelled()
    pairing.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_promise_4_a_success_that_was_decided_is_not_cancelled_away(far: Far, backend: str) -> None:
    """A hook that hangs delays the end; who leaves then is told what it was."""
    hanging = threading.Event()

    async def hang(_connected: Connected) -> None:
        hanging.set()
        await anyio.sleep_forever()

    brief = Policy(hook_timeout=0.1)
    lifecycle = far.lifecycle(on_qr_updated=far.scan, on_connected=hang, policy=brief)
    with PairingThread(lifecycle, backend=backend) as pairing:
        assert hanging.wait(HANGS)
    assert pairing.result().connected


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_exception_leaves_a_success_as_it_was_decided(far: Far, backend: str) -> None:
    """It cuts off a hook that hangs, and what the outcome was is known all the same."""
    hanging = threading.Event()

    async def hang(_connected: Connected) -> None:
        hanging.set()
        await anyio.sleep_forever()

    def leave() -> None:
        with pairing:
            assert hanging.wait(HANGS)
            raise LookupError

    pairing = PairingThread(
        far.lifecycle(on_qr_updated=far.scan, on_connected=hang), backend=backend
    )
    with pytest.raises(LookupError):
        leave()
    assert pairing.result().connected


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_hook_may_call_what_acts(far: Far, backend: str) -> None:
    """It runs in the thread of the attempt; what waits for that thread is refused there."""
    refused: list[str] = []
    cancelled: list[bool] = []

    def hook(change: Change) -> None:
        if change.event is not Event.QR_UPDATED:
            return
        if not refused:
            for waits in (pairing.result, pairing.close, lambda: next(pairing.changes())):
                with pytest.raises(UsageError, match=r"\(\) waits for the thread") as raised:
                    waits()
                refused.append(str(raised.value).partition("(")[0])
            pairing.generate()
        else:
            cancelled.append(pairing.cancel())

    pairing = PairingThread(far.lifecycle(on_change=hook), backend=backend)
    with pairing:
        assert pairing.result() == Cancelled()
    assert refused == ["result", "close", "changes"]
    assert cancelled == [True]


def test_one_of_two_threads_begins_it(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other is refused, also while its thread is not there yet."""
    from qrlifecycle import blocking

    begin, refused = start_blocking_portal, []

    def slowly(backend: str) -> Any:
        with ThreadPoolExecutor(1) as other:
            refused.append(other.submit(pairing.start).exception(HANGS))
        return begin(backend)

    monkeypatch.setattr(blocking, "start_blocking_portal", slowly)
    pairing = PairingThread(far.lifecycle())
    with pairing:
        pass
    (error,) = refused
    assert isinstance(error, UsageError)
    assert "make another" in str(error)


def test_a_time_that_is_given_is_waited_for(far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it at once, and not the turns of who waits without end."""
    monkeypatch.setattr("qrlifecycle.blocking.TURN", 0.0)
    with PairingThread(far.lifecycle(on_qr_updated=far.scan)) as pairing:
        assert isinstance(pairing.result(HANGS), Connected)


def test_promise_8_whoever_closes_it_waits_until_nothing_is_left(far: Far) -> None:
    """Also when another thread closes it already."""
    leaving, go_on = threading.Event(), threading.Event()

    async def linger(change: Change) -> None:
        """Hold the end up, but not the event loop, in which `close()` has something to do."""
        if change.event is Event.CANCEL:
            leaving.set()
            await anyio.to_thread.run_sync(go_on.wait, HANGS)

    lifecycle = far.lifecycle(on_change=linger)
    with ThreadPoolExecutor(2) as threads, PairingThread(lifecycle) as pairing:
        until(lambda: pairing.lifecycle.socket_open)
        first = threads.submit(pairing.close)
        assert leaving.wait(HANGS)
        second = threads.submit(pairing.close)
        assert not wait([first, second], 0.05).done
        go_on.set()
        first.result(HANGS)
        second.result(HANGS)
        assert not pairing.lifecycle.socket_open


def test_what_was_not_begun_does_not_end(far: Far) -> None:
    """It is refused; so is a second beginning."""
    pairing = PairingThread(far.lifecycle())
    with pytest.raises(UsageError, match="nothing was begun"):
        pairing.result()
    assert (pairing.cancel(), list(pairing.changes())) == (False, [])
    pairing.close()
    with pairing, pytest.raises(UsageError, match="make another"):
        pairing.start()


def test_what_is_no_lifecycle_is_refused() -> None:
    """A gateway, say, of which one is asked for."""
    gateway: Any = GOWA("http://127.0.0.1:1", device="bot-7")
    with pytest.raises(UsageError, match=r"not GOWA; a gateway gives one: \.lifecycle\(\)"):
        pair_blocking(gateway)
