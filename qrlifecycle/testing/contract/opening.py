"""Clause T1, as checks: what cancelled and failed openings leave, and where cancellations go.

A check's docstring is its fact. It finds nothing, or raises `Breach`; `CannotDo` of the peer's
skips it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress

from anyio import get_cancelled_exc_class

from .check import (
    Check,
    listing,
)
from .harness import (
    LAST_SECONDS,
    Bench,
)
from .operation import (
    Breach,
    Operation,
)
from .peers import CannotDo
from .places import place_of_method
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

__all__ = ["CHECKS"]

CHECKS: list[Check] = []

check = listing(CHECKS)


@check("T1")
async def open_cancelled_at_each_turn(bench: Bench) -> None:
    """A cancelled open() leaves nothing, whenever it is cancelled."""

    async def judge(count: int) -> bool:
        opening = bench.start(bench.make(), "open")
        await pass_turns(count)
        had_ended = opening.done.is_set()
        opening.cancel()
        await judge_cancelled(bench, opening)
        return had_ended

    await at_each_turn(judge)


@check("T1")
async def open_cancelled_at_each_wait(bench: Bench) -> None:
    """A cancelled open() leaves nothing, whatever it waits for."""

    async def judge(count: int, native: bool) -> Operation:
        opening = bench.start(bench.make(), "open", cancel_at=count, native=native)
        await judge_cancelled(bench, opening)
        return opening

    await at_each_wait(judge)


@check("T1")
async def open_cancelled_while_the_peer_is_silent(bench: Bench) -> None:
    """A cancelled open() leaves nothing, however far the handshake came."""

    async def judge(opening: Operation) -> None:
        opening.cancel()
        await judge_cancelled(bench, opening)

    await each_stalled_opening(bench, judge)


@check("T1")
async def open_that_is_refused(bench: Bench) -> None:
    """A refused open() raises the typed error, and leaves nothing."""
    await bench.told(bench.peer.refuse)
    await judge_failed(bench, bench.start(bench.make(), "open"), "refused")


@check("T1")
async def open_whose_peer_hangs_up(bench: Bench) -> None:
    """An open() whose peer hangs up raises the typed error, and leaves nothing."""

    async def judge(opening: Operation) -> None:
        await bench.end(opening, bench.patience)
        if not opening.returned:
            await judge_failed(bench, opening, "hung up on")

    await each_stop(bench, bench.peer.break_off, judge)


@check("T1")
async def cancellation_comes_out_of_open(bench: Bench) -> None:
    """A cancelled open() lets the cancellation out, whatever it waits for."""

    async def judge(count: int, native: bool) -> Operation:
        opening = bench.start(bench.make(), "open", cancel_at=count, native=native)
        return await judge_let_out(bench, opening, native=native)

    await at_each_wait(judge)


@check("T1")
async def cancellation_comes_out_of_receive(bench: Bench) -> None:
    """A receive() that waits, for the first signal or another, lets a cancellation out."""
    signals = bench.peer.signals
    for native, heard in itertools.product(ways(), ((), signals[:1])):
        transport = await bench.opened()
        await bench.told(bench.peer.send, *heard)
        await bench.receive(transport, *heard)
        receiving = bench.start(transport, "receive", native=native)
        await pass_turns(WAITS)
        receiving.cancel()
        await judge_let_out(bench, receiving, native=native)


@check("T1")
async def cancellation_comes_out_of_receive_in_the_middle(bench: Bench) -> None:
    """A receive() that is cancelled lets it out, whatever it waits for when something comes."""

    async def judge(count: int, native: bool) -> Operation:
        receiving = bench.start(await bench.opened(), "receive", cancel_at=count, native=native)
        with suppress(CannotDo):
            await bench.told(bench.peer.show_life)
            await bench.soon(bench.peer.wait_until_answered, LAST_SECONDS)
        await bench.told(bench.peer.send, bench.peer.signals[0])
        return await judge_let_out(bench, receiving, native=native)

    await at_each_wait(judge)


@check("T1")
async def cancellation_comes_out_of_aclose(bench: Bench) -> None:
    """A cancelled aclose() lets the cancellation out, whatever it waits for."""

    async def judge(count: int, native: bool) -> Operation:
        closing = bench.start(await bench.opened(), "aclose", cancel_at=count, native=native)
        return await judge_let_out(bench, closing, native=native)

    await at_each_wait(judge)


async def at_each_wait(judge: Callable[[int, bool], Awaitable[Operation]]) -> None:
    """Judge call after call, each cancelled at a later wait, in every way.

    ``judge`` is told which wait, and whether natively; after a call that had no such wait, it is
    over.
    """
    for native in ways():
        for count in waits():
            if not (await judge(count, native)).cancelled:
                break


def ways() -> tuple[bool, ...]:
    """Whether to cancel natively: by a scope everywhere, and on asyncio by the task as well."""
    return (False, True) if get_cancelled_exc_class() is asyncio.CancelledError else (False,)


async def judge_let_out(bench: Bench, operation: Operation, *, native: bool) -> Operation:
    """A cancellation that was raised in a call must come out of it; nothing else is judged."""
    await bench.end(operation)
    judge_left_alone(bench, operation)
    if operation.swallowed:
        at = f" at {operation.place}," if operation.place else ""
        by = "Task.cancel()" if native else "a cancel scope"
        raised = f"raised {operation.raised()}" if operation.error else "returned"
        raise Breach(
            f"{operation} was cancelled{at} by {by}, and {raised}.",
            place=operation.where() or operation.place,
            mend=f"{place_of_method(operation.transport, operation.method)} must let it out: "
            "clean up under `except BaseException:`, and end that with a bare `raise`.",
        )
    await bench.discard(operation.transport)
    return operation
