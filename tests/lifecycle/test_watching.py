"""Who watches: `changes()` and the hooks, plain and async, quick, slow and raising."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Cancelled,
    Change,
    Connected,
    Event,
    Failed,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    Scanned,
    State,
)
from qrlifecycle.errors import NotPairing, WrongAnswer
from qrlifecycle.testing import Fault, ScriptedPeer, settle

from ..pairing import Pairing, hang, request_qr

pytestmark = pytest.mark.anyio


async def test_changes_tells_every_row_and_ends_with_the_attempt() -> None:
    """`changes()` yields each change in order and ends with the one that carries the outcome."""
    seen: list[Change] = []
    peer = ScriptedPeer()
    lifecycle = QRLifecycle(request_qr, peer)

    async def watch() -> None:
        seen.extend([change async for change in lifecycle.changes()])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await settle()
        tasks.start_soon(lifecycle.pair)
        await settle()
        peer.send(Paired("me"))
    assert [(c.source, c.event, c.target) for c in seen] == [
        (State.IDLE, Event.GENERATE, State.GENERATING),
        (State.GENERATING, Event.QR_READY, State.DISPLAYED),
        (State.DISPLAYED, Event.QR_UPDATED, State.DISPLAYED),
        (State.DISPLAYED, Event.PAIRED, State.CONNECTED),
    ]
    assert [c.outcome for c in seen] == [None, None, None, Connected("me")]


async def test_async_hooks_run_in_order_and_are_waited_for() -> None:
    """Async hooks run beside the lifecycle, each in order, and `pair()` returns when they ended."""
    heard: list[object] = []

    async def slowly(item: object) -> None:
        await anyio.sleep(1)
        heard.append(item)

    async with Pairing(on_change=slowly, on_connected=slowly) as pairing:
        pairing.peer.send(Paired("me"))
        await settle()
        assert pairing.lifecycle.state is State.CONNECTED
        assert pairing.outcome is None
    events = [item.event for item in heard if isinstance(item, Change)]
    assert events == [Event.GENERATE, Event.QR_READY, Event.QR_UPDATED, Event.PAIRED]
    assert Connected("me") in heard


@pytest.mark.parametrize("closing", [Fault.NONE, Fault.HUNG])
async def test_a_slow_hook_does_not_delay_the_closing(closing: Fault) -> None:
    """A hook that never ends is cut off; meanwhile the socket has long been closed."""

    async def never(item: object) -> None:
        await anyio.sleep_forever()

    policy = Policy(hook_timeout=5, close_timeout=0.5)
    began = anyio.current_time()
    async with Pairing(
        closings=(closing,), on_change=never, on_connected=never, policy=policy
    ) as p:
        p.peer.send(Paired())
        await anyio.sleep(0.6)
        assert p.peer.open_sockets == 0
        assert p.lifecycle.state is State.CONNECTED
    assert isinstance(p.outcome, Connected)
    assert anyio.current_time() - began < 5 * 5


async def test_a_raising_hook_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Plain or async, a hook's error is logged with its place, and the attempt goes on."""

    def plain(item: object) -> None:
        raise ZeroDivisionError

    async def later(item: object) -> None:
        raise LookupError

    async with Pairing(on_change=plain, on_scanned=later, on_connected=later) as pairing:
        pairing.peer.send(Scanned())
        await settle()
        pairing.peer.send(Paired())
    assert isinstance(pairing.outcome, Connected)
    assert {record.name for record in caplog.records} == {"qrlifecycle"}
    assert "on_change raised ZeroDivisionError" in caplog.text
    assert "on_scanned raised LookupError" in caplog.text
    assert "on_connected raised LookupError" in caplog.text
    assert Path(__file__).name in caplog.text


async def test_a_hook_may_trigger_and_everybody_sees_one_order() -> None:
    """A hook that calls a trigger finds it decided at once; the others hear of both in order."""
    lifecycle: QRLifecycle
    heard: list[Event] = []

    def cancel_when_ready(change: Change) -> None:
        heard.append(change.event)
        if change.event is Event.QR_READY:
            assert lifecycle.cancel()

    lifecycle = QRLifecycle(request_qr, peer := ScriptedPeer(), on_change=cancel_when_ready)
    changes = lifecycle.changes()
    assert await lifecycle.pair() == Cancelled()
    assert heard == [Event.GENERATE, Event.QR_READY, Event.CANCEL]
    assert [change.event async for change in changes] == heard
    assert peer.transports == []


async def test_a_hook_cannot_start_over_by_itself() -> None:
    """`generate()` from `on_connection_failed` is refused: `pair()` is what starts over."""
    refused: list[NotPairing] = []

    async def request() -> QRCode | Paired:
        raise OSError("down")

    def retry(failed: Failed) -> None:
        with pytest.raises(NotPairing) as error:
            lifecycle.generate()
        refused.append(error.value)

    lifecycle = QRLifecycle(request, ScriptedPeer(), on_connection_failed=retry)
    assert isinstance(await lifecycle.pair(), Failed)
    assert lifecycle.state is State.FAILED
    assert [(error.state, error.event) for error in refused] == [(State.FAILED, Event.GENERATE)]


async def test_a_change_outside_pair_is_told_to_an_async_hook_by_the_next_pair() -> None:
    """An async hook needs an owner: what happens outside `pair()` is told when one runs."""
    heard: list[Event] = []

    async def hear(change: Change) -> None:
        heard.append(change.event)

    async def paired() -> QRCode | Paired:
        return Paired()

    lifecycle = QRLifecycle(paired, ScriptedPeer(), on_change=hear)
    await lifecycle.pair()
    lifecycle.reset()
    assert heard == [Event.GENERATE, Event.PAIRED]
    await lifecycle.pair()
    assert heard == [Event.GENERATE, Event.PAIRED, Event.RESET, Event.GENERATE, Event.PAIRED]


async def test_a_change_after_an_attempt_that_raised_is_told_by_the_next_pair() -> None:
    """Nothing is started where nothing runs any more."""
    heard: list[Event] = []

    async def hear(change: Change) -> None:
        heard.append(change.event)

    async def nonsense() -> Any:
        return None

    lifecycle = QRLifecycle(nonsense, ScriptedPeer(), on_change=hear)
    with pytest.raises(WrongAnswer):
        await lifecycle.pair()
    lifecycle.reset()
    with pytest.raises(WrongAnswer):
        await lifecycle.pair()
    assert heard == [Event.GENERATE, Event.FAIL, Event.RESET, Event.GENERATE, Event.FAIL]


async def test_an_async_hook_is_told_by_the_next_pair_also_after_a_cancellation() -> None:
    """Nothing of a `pair()` that was cancelled is kept, so a trigger finds what it needs."""
    heard: list[Event] = []

    async def hear(change: Change) -> None:
        heard.append(change.event)

    lifecycle = QRLifecycle(request_qr, ScriptedPeer(), on_change=hear)
    with anyio.move_on_after(1):
        await lifecycle.pair()
    assert lifecycle._attempt is None
    heard.clear()
    with anyio.move_on_after(1):
        await lifecycle.pair()
    assert heard[:2] == [Event.GENERATE, Event.QR_READY]


async def test_a_lifecycle_says_where_it_stands() -> None:
    """Its repr has the state and the socket; nothing was dropped before anything came."""
    async with Pairing(hang) as pairing:
        assert repr(pairing.lifecycle) == "<QRLifecycle generating, socket closed>"
        pairing.lifecycle.cancel()
    async with Pairing() as pairing:
        assert repr(pairing.lifecycle) == "<QRLifecycle displayed, socket open>"
        pairing.lifecycle.cancel()
    assert repr(pairing.lifecycle) == "<QRLifecycle idle, socket closed>"
    assert pairing.lifecycle.dropped == {}
