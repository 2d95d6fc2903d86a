"""Clause T8, as checks: whoever receives a flood of valid messages can be cancelled.

A check's docstring is its fact. It finds nothing, or raises `ClauseBroken`; `CannotDo` of the
peer's skips it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import anyio.lowlevel

from ...signals import Signal
from .breaches import ClauseBroken, call_raised
from .check import Check, listing
from .harness import Harness
from .malformed import FLOOD_PATIENCES, ONE_READ
from .opening import judge_let_out, ways
from .steps import pass_turns
from .transport_lines import place_of_method

__all__ = ["CHECKS"]

CHECKS: list[Check] = []

check = listing(CHECKS)

IN_FULL_FLOW = 50
"""Turns after which a flood has come as far as `receive()`, through whatever is between."""

MESSAGES_A_TURN = 4
"""More than one: who takes one in a turn has something to take in each."""

MOST_TURNS = 2000
"""Turns, with something to receive in each, in which a cancellation has to come out; a handful is
the rule. They are counted, for on a virtual clock no time passes while a flood does."""

READS = 4
"""How many reads a transport needs for all that has come."""

MOST_READS = 2.5
"""How many may be seen in a row: between two reads others have a turn, and trio may give it to them
before the first and after the second; and there is what was left of the read before."""


@check("T8")
async def cancellation_comes_out_of_a_flood(harness: Harness) -> None:
    """Whoever receives one signal after another can be cancelled, however fast they come."""
    pours: list[Callable[[], Awaitable[None]]] = [
        partial(harness.peer.send, signal) for signal in harness.peer.signals
    ]
    if harness.peer.flood:
        pours.append(partial(harness.peer.send_bytes, harness.peer.flood))
    for pour in pours:
        for native in ways():
            await judge_cancelled_in_flood(harness, pour, native=native)


async def judge_cancelled_in_flood(
    harness: Harness, pour: Callable[[], Awaitable[None]], *, native: bool
) -> None:
    """Something new comes in each turn of the event loop, and goes on coming."""
    transport = await harness.opened()
    given = 0

    async def receive_all(receive: Callable[[], Awaitable[Signal]]) -> None:
        nonlocal given
        while True:
            await receive()
            given += 1

    async def flood() -> None:
        while True:
            for _ in range(MESSAGES_A_TURN):
                await pour()
            await anyio.lowlevel.checkpoint()

    receiving = harness.start(transport, "receive", native=native, calls=receive_all)
    with harness.beside(flood):
        await pass_turns(IN_FULL_FLOW)
        receiving.cancel()
        before = given
        for _ in range(MOST_TURNS):
            if receiving.done.is_set():
                break
            await anyio.lowlevel.checkpoint()
    if not receiving.done.is_set():
        mend = (
            f"{place_of_method(transport, 'receive')} must await a checkpoint, such as "
            "anyio.lowlevel.checkpoint_if_cancelled(), before each of its waits."
        )
        how = f"was cancelled while messages came in, and went on for {given - before} signals"
        raise await harness.overdue(receiving, how, mend)
    if not receiving.cancelled:
        raise call_raised(receiving, "Nobody cancelled it yet, and messages came in.")
    await judge_let_out(harness, receiving, native=native)


@check("T8")
async def flood_lets_others_in(harness: Harness) -> None:
    """However much has come, others have their turn within what one read brings."""
    signal, last = harness.peer.signals[:2]
    spelling = harness.peer.spell(signal)
    count = READS * ONE_READ // len(spelling) + 1
    transport = await harness.opened()
    in_a_row = longest = 0

    async def send() -> None:
        await harness.peer.send_bytes(spelling * count)
        await harness.peer.send(last)

    async def turn() -> None:
        nonlocal in_a_row
        while True:
            in_a_row = 0
            await anyio.lowlevel.checkpoint()

    async def receive_all(receive: Callable[[], Awaitable[Signal]]) -> None:
        nonlocal in_a_row, longest
        while await receive() != last:
            in_a_row += 1
            longest = max(longest, in_a_row)

    with harness.beside(send, turn):
        await pass_turns(IN_FULL_FLOW)  # a transport that reads ahead has all of it
        receiving = harness.start(transport, "receive", calls=receive_all)
        await harness.end(receiving, FLOOD_PATIENCES * harness.patience)
    if not receiving.returned:
        raise call_raised(receiving, f"{last!r} was to come after the flood.")
    if longest * len(spelling) > MOST_READS * ONE_READ:
        raise ClauseBroken(
            f"receive() gave {longest:,} of {count:,} signals in a row; nobody else had a turn.",
            mend=f"{place_of_method(transport, 'receive')} must await anyio.lowlevel.checkpoint() "
            "every few hundred messages at the latest.",
        )
    await harness.finish(transport)
