"""Clauses T1 to T3, as checks: what is left after openings and closings of every kind.

A check's docstring is its fact. It finds nothing, or raises `Breach`; `CannotDo` of the peer's
skips it. This room must never know a protocol.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import anyio

from ...errors import TransportError
from ...transports.base import Transport
from .bench import LAST_SECONDS, Bench
from .check import Check, listing
from .operation import Operation
from .steps import each_stalled_opening, end_of, first_said, judge_failed, pass_turns

__all__ = ["CHECKS"]

CHECKS: list[Check] = []

check = listing(CHECKS)

ORDERS = [
    ("aclose",),
    ("abort",),
    ("aclose", "aclose"),
    ("abort", "abort"),
    ("aclose", "abort"),
    ("abort", "aclose"),
]

EACH_TURN = 100
"""Turns of the event loop that a sweep takes one by one; then it takes longer and longer strides:
a server in another thread makes a client turn thousands of times."""

SWEEP = 4.0
"""Seconds after which a sweep is over, however far it came."""


def turns() -> Iterator[int]:
    """How many turns of the event loop to wait, in one opening or closing after another."""
    count = 0
    while True:
        yield count
        count += 1 if count < EACH_TURN else count // 4


def at(operation: Operation) -> str:
    """Where it was cancelled, in words."""
    return f" at {operation.place}" if operation.place else ""


def named(order: tuple[str, ...]) -> str:
    """An order of closing, in words."""
    return ", ".join(f"{step}()" for step in order)


async def judge_cancelled(bench: Bench, operation: Operation) -> None:
    """After a cancelled call and `abort()`, nothing may be left open."""
    await bench.end(operation)
    bench.require(operation, TransportError)
    bench.abort(operation.transport)
    if operation.returned:  # too late to be cancelled: its tasks may wait for aclose()
        await bench.finish(operation.transport)
    happened = f"{operation} was cancelled{at(operation)}; then abort() was called."
    by = ("abort", operation.method)
    await bench.nothing_left(operation.transport, happened, operation.place, by=by)


# T1


@check("T1")
async def open_cancelled_at_each_turn(bench: Bench) -> None:
    """A cancelled open() leaves nothing, whenever it is cancelled."""
    ended = 0
    began = anyio.current_time()
    for count in turns():
        opening = bench.start(bench.make(), "open")
        await pass_turns(count)
        ended = ended + 1 if opening.done.is_set() else 0
        opening.cancel()
        await judge_cancelled(bench, opening)
        if ended == 2 or anyio.current_time() > began + SWEEP:
            return


@check("T1")
async def open_cancelled_at_each_wait(bench: Bench) -> None:
    """A cancelled open() leaves nothing, whatever it waits for."""
    for count in itertools.count(1):
        opening = bench.start(bench.make(), "open", cancel_at=count)
        await judge_cancelled(bench, opening)
        if opening.place is None:  # there was no such wait
            return


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
    await bench.peer.refuse()
    await judge_failed(bench, bench.start(bench.make(), "open"), "refused")


@check("T1")
async def open_whose_peer_hangs_up(bench: Bench) -> None:
    """An open() whose peer hangs up raises the typed error, and leaves nothing."""
    for after in itertools.count():
        bench.peer.break_off(after)
        opening = await bench.end(bench.start(bench.make(), "open"), bench.patience)
        if opening.returned:
            await bench.finish(opening.transport)
            return
        await judge_failed(bench, opening, "hung up on")


# T2


@check("T2")
async def abort_shuts_the_socket(bench: Bench) -> None:
    """abort() is enough to shut the socket, without any aclose(): the peer sees the end."""
    transport = await bench.opened()
    bench.abort(transport)
    await bench.peer_sees_the_end(transport, "abort() was called.", by=("abort",))


@check("T2")
async def aclose_ends_tasks_and_descriptors(bench: Bench) -> None:
    """When aclose() returns, and not a little later, tasks and descriptors are gone."""
    transport = await bench.opened()
    await bench.take(transport, "aclose")
    bench.nothing_left_now(transport, "aclose() returned.", by=("aclose",))
    await bench.nothing_left(transport, "aclose() returned.", by=("aclose",))


@check("T2")
async def aclose_after_abort_ends_tasks_and_descriptors(bench: Bench) -> None:
    """After abort(), too, tasks and descriptors are gone when aclose() has ended."""
    transport = await bench.opened()
    await bench.take(transport, "abort", "aclose")
    await bench.nothing_left(transport, "After abort(), aclose() returned.", by=("aclose",))


@check("T2")
async def aclose_cancelled_at_each_turn(bench: Bench) -> None:
    """A cancelled aclose(), followed by abort(), leaves nothing, whenever it is cancelled."""
    ended = 0
    for count in turns():
        closing = bench.start(await bench.opened(), "aclose")
        await pass_turns(1 + count)
        ended = ended + 1 if closing.done.is_set() else 0
        closing.cancel()
        await judge_cancelled(bench, closing)
        if ended == 2:
            return


@check("T2")
async def abort_in_the_middle_of_open(bench: Bench) -> None:
    """abort() shuts what open() has made so far, and what it makes later is shut as well."""
    ended = 0
    began = anyio.current_time()
    for count in turns():
        opening = bench.start(bench.make(), "open")
        await opening.begun.wait()
        await pass_turns(count)
        ended = ended + 1 if opening.done.is_set() else 0
        await judge_aborted(bench, opening)
        if ended == 2 or anyio.current_time() > began + SWEEP:
            return


@check("T2")
async def abort_while_open_hangs(bench: Bench) -> None:
    """abort() shuts the socket although open() still waits for the peer."""

    async def judge(opening: Operation) -> None:
        place = opening.where()
        where = f" while it waited at {place}" if place else ""
        bench.abort(opening.transport)
        happened = f"abort() was called in the middle of open(){where}."
        await bench.peer_sees_the_end(opening.transport, happened, place, by=("abort",))
        await judge_aborted(bench, opening)

    await each_stalled_opening(bench, judge)


async def judge_aborted(bench: Bench, opening: Operation) -> None:
    """Abort in the middle of an opening: once it has ended, nothing may be left open."""
    place = opening.where()
    bench.abort(opening.transport)
    if not await bench.soon(opening.done.wait, LAST_SECONDS):
        opening.cancel()
    await bench.end(opening)
    bench.require(opening, TransportError)
    where = f" while it waited at {place}" if place else ""
    happened = f"abort() was called in the middle of open(){where}; then open() ended."
    await bench.peer_sees_the_end(opening.transport, happened, place, by=("open",))
    await bench.take(opening.transport, "aclose")
    await bench.nothing_left(opening.transport, f"{happened} Even aclose() left it.", place)


# T3


@check("T3")
async def closing_before_open(bench: Bench) -> None:
    """aclose() and abort() in any order are fine when there was no open()."""
    for order in ORDERS:
        transport = bench.make()
        with first_said(f"{named(order)} came before open()."):
            await bench.take(transport, *order)
        await bench.nothing_left(transport, f"{named(order)} came before open().")


@check("T3")
async def closing_again(bench: Bench) -> None:
    """aclose() and abort() in any order, and again, are fine."""
    for order in ORDERS:
        transport = await bench.opened()
        await close_in_order(bench, transport, order, "after open()")


@check("T3")
async def closing_after_the_peer_hung_up(bench: Bench) -> None:
    """aclose() and abort() in any order are fine after the peer's orderly close."""
    for order in ORDERS:
        transport = await bench.opened()
        await bench.peer.hang_up()
        await end_of(bench, transport)
        await close_in_order(bench, transport, order, "after the peer's close")


@check("T3")
async def closing_after_the_link_broke(bench: Bench) -> None:
    """aclose() and abort() in any order are fine after the link broke."""
    for order in ORDERS:
        transport = await bench.opened()
        bench.peer.reset()
        await end_of(bench, transport)
        await close_in_order(bench, transport, order, "after the link broke")


@check("T3")
async def closing_at_the_same_time(bench: Bench) -> None:
    """Several tasks in aclose() at once, and an abort() between them, are fine."""
    transport = await bench.opened()
    closings = [bench.start(transport, "aclose") for _ in range(3)]
    await pass_turns(1)
    bench.abort(transport)
    for closing in closings:
        await bench.end(closing)
        if not closing.returned:
            raise bench.raised(closing, "Several may call it at once, and none may be harmed.")
    await bench.nothing_left(transport, "Three tasks called aclose() at once.", by=("aclose",))


async def close_in_order(
    bench: Bench, transport: Transport, order: tuple[str, ...], when: str
) -> None:
    """Close in this order, and once more."""
    happened = f"{named(order)} came {when}, then aclose()."
    with first_said(happened):
        await bench.take(transport, *order, "aclose")
    await bench.nothing_left(transport, happened, by=("aclose",))
