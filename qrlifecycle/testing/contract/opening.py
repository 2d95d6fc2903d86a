"""Clause T1, as checks: what cancelled and failed openings leave, and where cancellations go.

A check's docstring is its fact. It finds nothing, or raises `ClauseBroken`; a peer's
`CannotDo` skips it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress

from anyio import get_cancelled_exc_class

from ...errors import TransportRefused
from .breaches import ClauseBroken, to_let_out
from .check import Check, listing
from .harness import LAST_SECONDS, Harness
from .operation import Operation
from .peer import CannotDo
from .steps import (
    WAITS,
    at_each_turn,
    each_stalled_opening,
    each_stop,
    judge_cancelled,
    judge_failed,
    judge_left_alone,
    pass_turns,
    waits,
)

__all__ = ["CHECKS", "at_each_wait", "ways"]

CHECKS: list[Check] = []

check = listing(CHECKS)


@check("T1")
async def open_cancelled_at_each_turn(harness: Harness) -> None:
    """A cancelled open() leaves nothing, whenever it is cancelled."""

    async def judge(count: int) -> bool:
        opening = harness.start(harness.make(), "open")
        await pass_turns(count)
        had_ended = opening.done.is_set()
        opening.cancel()
        await judge_cancelled(harness, opening)
        return had_ended

    await at_each_turn(judge)


@check("T1")
async def open_cancelled_at_each_wait(harness: Harness) -> None:
    """A cancelled open() leaves nothing, whatever it waits for."""

    async def judge(count: int, native: bool) -> Operation:
        opening = harness.start(harness.make(), "open", cancel_at=count, native=native)
        await judge_cancelled(harness, opening)
        return opening

    await at_each_wait(judge)


@check("T1")
async def open_cancelled_while_the_peer_is_silent(harness: Harness) -> None:
    """A cancelled open() leaves nothing, however far the handshake came."""

    async def judge(opening: Operation) -> None:
        opening.cancel()
        await judge_cancelled(harness, opening)

    await each_stalled_opening(harness, judge)


@check("T1")
async def open_where_nobody_listens(harness: Harness) -> None:
    """An open() that reaches nobody raises the typed error, and leaves nothing."""
    await harness.instruct(harness.peer.go_away)
    await judge_failed(harness, harness.start(harness.make(), "open"), "refused")


@check("T1")
async def open_that_is_turned_away(harness: Harness) -> None:
    """Whoever is not let in is told so by TransportRefused, and nothing is left."""
    harness.peer.turn_away()
    transport = harness.make()
    opening = await harness.end(harness.start(transport, "open"), harness.patience)
    mend = "It must raise TransportRefused here: what is refused is not tried again and again."
    harness.require(opening, TransportRefused, mend=mend)
    if opening.returned:  # some are turned away right after
        await harness.call_for(transport, "receive", TransportRefused, limit=harness.patience)
        await harness.finish(transport)
        happened = "It was open, and then not let in; then it was closed."
        await harness.nothing_left(transport, happened, by=("aclose",))
        return
    harness.abort(transport)
    place = opening.where()
    happened = f"Its peer did not let it in{f' at {place}' if place else ''}; then it was aborted."
    await harness.nothing_left(transport, happened, place, by=("abort", "open"))


@check("T1")
async def open_whose_peer_hangs_up(harness: Harness) -> None:
    """An open() whose peer hangs up raises the typed error, and leaves nothing."""

    async def judge(opening: Operation) -> None:
        await harness.end(opening, harness.patience)
        if not opening.returned:
            await judge_failed(harness, opening, "hung up on")

    await each_stop(harness, harness.peer.break_off, judge)


@check("T1")
async def cancellation_comes_out_of_open(harness: Harness) -> None:
    """A cancelled open() lets the cancellation out, whatever it waits for."""

    async def judge(count: int, native: bool) -> Operation:
        opening = harness.start(harness.make(), "open", cancel_at=count, native=native)
        return await judge_let_out(harness, opening, native=native)

    await at_each_wait(judge)


@check("T1")
async def cancellation_comes_out_of_receive(harness: Harness) -> None:
    """A receive() that waits, for the first signal or another, lets a cancellation out."""
    signals = harness.peer.signals
    for native, received in itertools.product(ways(), ((), signals[:1])):
        transport = await harness.opened()
        await harness.instruct(harness.peer.send, *received)
        await harness.receive(transport, *received)
        receiving = harness.start(transport, "receive", native=native)
        await pass_turns(WAITS)
        receiving.cancel()
        await judge_let_out(harness, receiving, native=native)


@check("T1")
async def cancellation_comes_out_of_receive_in_the_middle(harness: Harness) -> None:
    """A receive() that is cancelled lets it out, whatever it waits for when something comes."""

    async def judge(count: int, native: bool) -> Operation:
        receiving = harness.start(await harness.opened(), "receive", cancel_at=count, native=native)
        with suppress(CannotDo):
            await harness.instruct(harness.peer.show_life)
            await harness.soon(harness.peer.wait_until_answered, LAST_SECONDS)
        await harness.instruct(harness.peer.send, harness.peer.signals[0])
        return await judge_let_out(harness, receiving, native=native)

    await at_each_wait(judge)


@check("T1")
async def cancellation_comes_out_of_aclose(harness: Harness) -> None:
    """A cancelled aclose() lets the cancellation out, whatever it waits for."""

    async def judge(count: int, native: bool) -> Operation:
        closing = harness.start(await harness.opened(), "aclose", cancel_at=count, native=native)
        return await judge_let_out(harness, closing, native=native)

    await at_each_wait(judge)


async def at_each_wait(judge: Callable[[int, bool], Awaitable[Operation]]) -> None:
    """Judge call after call, each cancelled at a later wait, in every way.

    ``judge`` is given which wait, and whether natively; after a call that had no such wait, it is
    over.
    """
    for native in ways():
        for count in waits():
            if not (await judge(count, native)).cancelled:
                break


def ways() -> tuple[bool, ...]:
    """Whether to cancel natively: by a scope everywhere, and on asyncio by the task as well."""
    return (False, True) if get_cancelled_exc_class() is asyncio.CancelledError else (False,)


async def judge_let_out(harness: Harness, operation: Operation, *, native: bool) -> Operation:
    """A cancellation that was raised in a call must come out of it; nothing else is judged."""
    await harness.end(operation)
    judge_left_alone(operation)
    if operation.swallowed:
        at = f" at {operation.place}," if operation.place else ""
        by = "Task.cancel()" if native else "a cancel scope"
        raised = f"raised {operation.raised()}" if operation.error else "returned"
        raise ClauseBroken(
            f"{operation} was cancelled{at} by {by}, and {raised}.",
            place=operation.where() or operation.place,
            mend=f"{to_let_out(operation.transport, operation.method)}.",
        )
    await harness.discard(operation.transport)
    return operation
