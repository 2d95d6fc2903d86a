"""Clauses T2 and T3, as checks: what is left after closings of every kind, and in the middle.

A check's docstring is its fact. It finds nothing, or raises `Breach`; `CannotDo` of the peer's
skips it.
"""

from __future__ import annotations

from ...errors import TransportError
from ...transports.base import Transport
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
from .places import place_of_method
from .steps import (
    WAITS,
    at_each_turn,
    each_stalled_opening,
    end_of,
    first_said,
    judge_cancelled,
    pass_turns,
)

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


def named(order: tuple[str, ...]) -> str:
    """An order of closing, in words."""
    return ", ".join(f"{step}()" for step in order)


# T2


@check("T2")
async def abort_shuts_the_socket(bench: Bench) -> None:
    """abort() shuts the socket before it returns, without any aclose(), and the peer sees it."""
    transport = await bench.opened()
    bench.abort(transport)
    if left := tuple(bench.peer.unshut()):
        raise Breach(
            "abort() returned.",
            left_open=left,
            mend=f"{place_of_method(transport, 'abort')} must shut the socket itself, and not have "
            "the event loop, a task or a thread do it later: nobody awaits it.",
        )
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

    async def judge(count: int) -> bool:
        closing = bench.start(await bench.opened(), "aclose")
        await pass_turns(1 + count)
        had_ended = closing.done.is_set()
        closing.cancel()
        await judge_cancelled(bench, closing)
        return had_ended

    await at_each_turn(judge)


@check("T2")
async def aclose_after_a_cancelled_receive(bench: Bench) -> None:
    """When receive() was cancelled, aclose() leaves nothing either: that is the usual order."""
    transport = await bench.opened()
    receiving = bench.start(transport, "receive")
    await pass_turns(WAITS)
    receiving.cancel()
    await bench.end(receiving)
    await bench.take(transport, "aclose")
    happened = "receive() was cancelled; then aclose() was called."
    await bench.nothing_left(transport, happened, by=("receive", "aclose"))


@check("T2")
async def abort_in_the_middle_of_open(bench: Bench) -> None:
    """abort() shuts what open() has made so far, and what it makes later is shut as well."""

    async def judge(count: int) -> bool:
        opening = bench.start(bench.make(), "open")
        await opening.begun.wait()
        await pass_turns(count)
        had_ended = opening.done.is_set()
        await judge_aborted(bench, opening)
        return had_ended

    await at_each_turn(judge)


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
    place, in_time = opening.where(), not opening.done.is_set()
    bench.abort(opening.transport)
    if not await bench.soon(opening.done.wait, LAST_SECONDS):
        opening.cancel()
    await bench.end(opening)
    bench.require(opening, TransportError)
    where = f" while it waited at {place}" if place else ""
    happened = f"abort() was called in the middle of open(){where}; then open() ended."
    if not in_time:
        happened = "abort() was called after open()."
    by = ("abort", "open") if in_time else ("abort",)
    await bench.peer_sees_the_end(opening.transport, happened, place, by=by)
    await bench.take(opening.transport, "aclose")
    happened = f"{happened} Even aclose() left it."
    await bench.nothing_left(opening.transport, happened, place, by=("aclose",))


# T3


@check("T3")
async def closing_before_open(bench: Bench) -> None:
    """aclose() and abort() in any order are fine when there was no open()."""
    for order in ORDERS:
        transport = bench.make()
        with first_said(f"{named(order)} came before open()."):
            await bench.take(transport, *order)
        await bench.nothing_left(transport, f"{named(order)} came before open().", by=order)


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
        await bench.told(bench.peer.hang_up)
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
