"""Clause T7, as checks: what has come is not lost when `receive()` is cancelled.

A check's docstring is its fact. It finds nothing, or raises `ClauseBroken`; a peer's
`CannotDo` skips it.
"""

from __future__ import annotations

import anyio

from ...signals import Signal
from .breaches import ClauseBroken
from .check import Check, listing
from .harness import Harness
from .opening import at_each_wait, ways
from .operation import Operation
from .steps import WAITS, first_said, pass_turns
from .transport_lines import place_of_error, place_of_method
from .wire import BETWEEN_HALVES

__all__ = ["CHECKS"]

CHECKS: list[Check] = []

check = listing(CHECKS)


@check("T7")
async def signal_outlives_a_cancelled_receive(harness: Harness) -> None:
    """A signal that came when receive() was cancelled comes out of the next receive()."""
    signal = harness.peer.signals[0]

    async def judge(count: int, native: bool) -> Operation:
        transport = await harness.opened()
        receiving = harness.start(transport, "receive", cancel_at=count, native=native)
        await harness.instruct(harness.peer.send, signal)
        await harness.end(receiving, harness.patience)
        if receiving.cancellation is not None:  # what else came of it is another check's
            await judge_kept(harness, receiving, signal)
        await harness.discard(transport)
        return receiving

    await at_each_wait(judge)


@check("T7")
async def half_of_a_signal_outlives_a_cancelled_receive(harness: Harness) -> None:
    """A signal of which half had come when receive() was cancelled is whole with the rest of it."""
    signal = harness.peer.signals[0]
    data = harness.peer.spell(signal)
    half = len(data) // 2
    for native in ways():
        transport = await harness.opened()
        receiving = harness.start(transport, "receive", native=native)
        await harness.instruct(harness.peer.send_bytes, data[:half])
        await anyio.sleep(BETWEEN_HALVES)
        await pass_turns(WAITS)
        receiving.cancel()
        await harness.end(receiving)
        if receiving.cancellation is not None:
            await harness.instruct(harness.peer.send_bytes, data[half:])
            await judge_kept(harness, receiving, signal)
        await harness.discard(transport)


async def judge_kept(harness: Harness, cancelled: Operation, signal: Signal) -> None:
    """The next `receive()` must give it; if not, the cancelled one had it, where it was."""
    transport, place = cancelled.transport, cancelled.place
    if cancelled.cancellation is not None:
        place = place_of_error(transport, cancelled.cancellation) or place
    at = f" at {place}" if place else ""
    mend = (
        f"{place_of_method(transport, 'receive')} must keep what it has read where the next call "
        "finds it, on `self`: not in a local variable, whatever it awaits next."
    )
    try:
        with first_said(f"{cancelled} was cancelled{at}, and called again."):
            await harness.receive(transport, signal, mend=mend)
    except ClauseBroken as breach:
        breach.place = place or breach.place
        raise
