"""A snapshot: what goes on inside, as one thing that can be asked for at any time."""

from __future__ import annotations

import anyio
import pytest

from qrlifecycle import Event, Paired, Policy, QRCode, QRLifecycle, Signal, State
from qrlifecycle.engine.snapshot import Snapshot
from qrlifecycle.states import Phase
from qrlifecycle.testing import Fault, ScriptedPeer, settle

from ..pairing import Pairing, hang, request_qr

pytestmark = pytest.mark.anyio

AT_REST = Snapshot(
    state=State.IDLE,
    running=False,
    phase=None,
    transport=None,
    pending=None,
    final_check=False,
    newest_code=None,
    read_requested=False,
)


async def test_before_and_after_an_attempt_nothing_goes_on() -> None:
    """Whatever there was of an attempt, the snapshot of its end shows nothing of it."""
    lifecycle = QRLifecycle(request_qr, ScriptedPeer())
    assert lifecycle.snapshot() == AT_REST
    with anyio.move_on_after(1):
        await lifecycle.pair()
    assert lifecycle.snapshot() == AT_REST


async def test_each_place_of_an_attempt_is_told_apart() -> None:
    """Asking, opening, listening, closing: a phase for each, and what is pending."""
    async with Pairing(hang) as pairing:
        generating = AT_REST._replace(state=State.GENERATING, running=True, phase=Phase.REQUESTING)
        assert pairing.lifecycle.snapshot() == generating
        pairing.lifecycle.cancel()

    async with Pairing(openings=(Fault.SLOW,), closings=(Fault.SLOW,)) as pairing:
        opening = AT_REST._replace(
            state=State.DISPLAYED,
            running=True,
            phase=Phase.SCANNING,
            transport=Phase.OPENING,
            newest_code=QRCode("first"),
        )
        assert pairing.lifecycle.snapshot() == opening
        await anyio.sleep(0.6)
        listening = opening._replace(transport=Phase.LISTENING)
        assert pairing.lifecycle.snapshot() == listening
        pairing.peer.send(Paired("me"))
        await settle()
        closing = listening._replace(transport=Phase.CLOSING, pending=Event.PAIRED)
        assert pairing.lifecycle.snapshot() == closing


async def test_between_two_transports_there_is_none_and_its_phase_says_why() -> None:
    """While it waits to reconnect; a code that is not out yet is there all the same."""
    async with Pairing(openings=(Fault.UNREACHABLE,)) as pairing:
        assert pairing.lifecycle.snapshot().transport is Phase.WAITING
        assert pairing.lifecycle.snapshot().newest_code == QRCode("first")
        pairing.lifecycle.cancel()


async def test_a_final_check_and_a_read_that_is_due_are_seen() -> None:
    """While the status is read, and while a read waits for the one under way."""

    async def check_status() -> Signal | None:
        await anyio.sleep(3)
        return None

    policy = Policy(max_refreshes=0, expiry_grace=0, confirm_success=True)
    async with Pairing(check_status=check_status, policy=policy) as pairing:
        await anyio.sleep(1)
        assert not pairing.lifecycle.snapshot().read_requested
        pairing.peer.send(Paired("me"))
        await settle()
        assert pairing.lifecycle.snapshot().read_requested
        assert not pairing.lifecycle.snapshot().final_check
        await anyio.sleep(60)
        assert pairing.lifecycle.snapshot().final_check


async def test_an_attempt_is_ending_from_when_its_end_is_decided_on() -> None:
    """Not while a code is replaced, after which it goes on; and until `pair()` has returned."""
    at_the_end: list[bool] = []

    def look(_told: object) -> None:
        at_the_end.append(pairing.lifecycle.snapshot().ending)

    closings = (Fault.SLOW, Fault.SLOW)
    async with Pairing(closings=closings, on_connected=look) as pairing:
        assert not pairing.lifecycle.snapshot().ending
        pairing.lifecycle.generate()
        await settle()
        assert pairing.lifecycle.snapshot().pending is Event.GENERATE
        assert not pairing.lifecycle.snapshot().ending
        await anyio.sleep(2)
        pairing.peer.send(Paired("me"))
        await settle()
        assert pairing.lifecycle.snapshot().pending is Event.PAIRED
        assert pairing.lifecycle.snapshot().ending
    assert at_the_end == [True]
    assert not pairing.lifecycle.snapshot().ending
