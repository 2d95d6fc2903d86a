"""What the embedding program calls: `generate()`, `cancel()`, `reset()`, and `pair()` itself."""

from __future__ import annotations

import re
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import pytest

from qrlifecycle import (
    Cancelled,
    Connected,
    Event,
    EventRefused,
    Paired,
    PairingInProgress,
    Policy,
    QRLifecycle,
    Reason,
    State,
)
from qrlifecycle.errors import NotPairing, WrongThread
from qrlifecycle.testing import Fault, ScriptedPeer, settle

from ..pairing import Pairing, hang, request_qr

pytestmark = pytest.mark.anyio


async def test_generate_while_displayed_fetches_a_fresh_code_and_a_fresh_budget() -> None:
    """The person may ask for another code; the old socket is closed before the new one opens."""
    async with Pairing(policy=Policy(max_refreshes=1)) as pairing:
        await anyio.sleep(64)
        assert len(pairing.peer.transports) == 2
        pairing.lifecycle.generate()
        await settle()
        assert pairing.lifecycle.state is State.DISPLAYED
        assert (len(pairing.peer.transports), pairing.peer.most_sockets) == (3, 1)
    assert pairing.failed().reason is Reason.CODES_USED_UP
    assert len(pairing.peer.transports) == 4


async def test_generate_asks_for_a_code_only_while_a_pair_runs() -> None:
    """Outside `pair()` nobody would ask for the code: it is refused, and says what to do."""
    lifecycle = QRLifecycle(request_qr, ScriptedPeer())
    with pytest.raises(NotPairing, match=r"none does \(state 'idle'\); call pair\(\)"):
        lifecycle.generate()
    assert lifecycle.state is State.IDLE
    async with Pairing(hang) as pairing:
        with pytest.raises(EventRefused):
            pairing.lifecycle.generate()
        pairing.lifecycle.cancel()


@pytest.mark.parametrize("request_", [hang, request_qr])
async def test_cancel_leaves_from_wherever_it_is(request_: Callable[[], Awaitable[Any]]) -> None:
    """`cancel()` ends the attempt from `generating` and from `displayed`, and says that it did."""
    async with Pairing(request_) as pairing:
        assert pairing.lifecycle.cancel() is True
    assert pairing.outcome == Cancelled()
    assert pairing.lifecycle.state is State.IDLE
    assert pairing.lifecycle.cancel() is False
    assert pairing.peer.open_sockets == 0


async def test_cancel_while_opening_leaves_no_socket() -> None:
    """A cancellation in the middle of a handshake takes the half-made socket along."""
    async with Pairing(openings=(Fault.HUNG_HALFWAY,)) as pairing:
        assert pairing.peer.open_sockets == 1
        pairing.lifecycle.cancel()
    assert pairing.peer.open_sockets == 0
    assert pairing.lifecycle.state is State.IDLE


async def test_cancel_while_leaving_for_another_code_is_not_lost() -> None:
    """Whoever goes away while an old code is being closed is not shown a new one."""
    async with Pairing(closings=(Fault.SLOW,)) as pairing:
        pairing.lifecycle.generate()
        assert pairing.lifecycle.cancel() is True
        assert pairing.lifecycle.cancel() is False
    assert pairing.outcome == Cancelled()
    assert len(pairing.peer.transports) == 1


async def test_after_the_success_was_decided_nothing_else_is_accepted() -> None:
    """While the transport of a success is closing, the table is closed for other events."""
    async with Pairing(closings=(Fault.SLOW,)) as pairing:
        pairing.peer.send(Paired("me"))
        await settle()
        assert pairing.lifecycle.state is State.DISPLAYED
        assert pairing.lifecycle.cancel() is False
        with pytest.raises(EventRefused, match="nothing is, for an end is decided"):
            pairing.lifecycle.generate()
    assert isinstance(pairing.outcome, Connected)


async def test_while_a_refresh_is_pending_the_refusal_names_what_would_replace_it() -> None:
    """A second `generate()` is refused; the person may still go away."""
    async with Pairing(closings=(Fault.SLOW,)) as pairing:
        pairing.lifecycle.generate()
        with pytest.raises(EventRefused, match=r"called there: cancel\(\)$") as caught:
            pairing.lifecycle.generate()
        assert caught.value.accepted == (Event.FAIL, Event.CANCEL)
        assert pairing.lifecycle.cancel()
    assert pairing.outcome == Cancelled()


@pytest.mark.parametrize(
    ("request_", "state", "calls"),
    [
        (None, State.IDLE, ["pair"]),
        (hang, State.GENERATING, ["cancel"]),
        (request_qr, State.DISPLAYED, ["generate", "cancel"]),
    ],
)
async def test_what_a_refusal_advises_is_not_refused_there(
    request_: Callable[[], Awaitable[Any]] | None, state: State, calls: list[str]
) -> None:
    """A refused `reset()` names what may be called in its state, and each of those is accepted."""
    for name in calls:
        pairing = Pairing(request_ or request_qr)
        async with pairing if request_ is not None else anyio.create_task_group() as tasks:
            assert pairing.lifecycle.state is state
            with pytest.raises(EventRefused) as caught:
                pairing.lifecycle.reset()
            assert re.findall(r"(\w+)\(\)", str(caught.value)) == calls
            call = getattr(pairing.lifecycle, name)
            if name == "pair":
                assert isinstance(tasks, anyio.abc.TaskGroup)
                tasks.start_soon(call)
                await settle()
                assert pairing.lifecycle.state is State.DISPLAYED
            else:
                assert call() is not False
            pairing.lifecycle.cancel()


async def test_reset_makes_ready_for_another_round() -> None:
    """From an end `reset()` leads to `idle`; elsewhere it is refused and changes nothing."""
    async with Pairing() as pairing:
        with pytest.raises(EventRefused) as caught:
            pairing.lifecycle.reset()
        assert (caught.value.state, caught.value.event) == (State.DISPLAYED, Event.RESET)
        assert pairing.lifecycle.state is State.DISPLAYED
        pairing.peer.send(Paired())
    pairing.lifecycle.reset()
    assert pairing.lifecycle.state is State.IDLE


async def test_a_second_pair_is_a_typed_error() -> None:
    """While one `pair()` runs another raises, and the first goes on undisturbed."""
    async with Pairing() as pairing:
        with pytest.raises(PairingInProgress, match="state 'displayed'"):
            await pairing.lifecycle.pair()
        pairing.peer.send(Paired())
    assert isinstance(pairing.outcome, Connected)


async def test_a_trigger_from_another_thread_is_a_typed_error() -> None:
    """A trigger from another thread raises there and moves nothing here."""
    caught: list[BaseException] = []

    def elsewhere(lifecycle: QRLifecycle) -> None:
        try:
            lifecycle.generate()
        except WrongThread as error:
            caught.append(error)

    async with Pairing() as pairing:
        thread = threading.Thread(target=elsewhere, args=[pairing.lifecycle])
        thread.start()
        thread.join()
        assert pairing.lifecycle.state is State.DISPLAYED
        pairing.lifecycle.cancel()
    assert "anyio.from_thread.run_sync" in str(caught[0])
