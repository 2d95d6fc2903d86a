"""Clauses T2 and T3, as checks: what is left after closings of every kind, and in the middle.

A check's docstring is its fact. It finds nothing, or raises `ClauseBroken`; a peer's
`CannotDo` skips it.
"""

from __future__ import annotations

from ...errors import TransportError
from ...transports.base import Transport
from .breaches import ClauseBroken, call_raised
from .check import Check, listing
from .harness import LAST_SECONDS, Harness
from .operation import Operation
from .steps import (
    WAITS,
    at_each_turn,
    each_stalled_opening,
    end_of,
    first_said,
    judge_cancelled,
    pass_turns,
)
from .transport_lines import place_of_method

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
    ("close_nowait", "close_nowait"),
    ("abort", "close_nowait"),
]


def named(order: tuple[str, ...]) -> str:
    """An order of closing, in words."""
    return ", ".join(f"{step}()" for step in order)


# T2


@check("T2")
async def abort_shuts_the_socket(harness: Harness) -> None:
    """abort() shuts the socket before it returns, without any aclose(), and the peer sees it."""
    transport = await harness.opened()
    harness.abort(transport)
    if left := tuple(harness.peer.unshut()):
        raise ClauseBroken(
            "abort() returned.",
            left_open=left,
            mend=f"{place_of_method(transport, 'abort')} must shut the socket itself, and not have "
            "the event loop, a task or a thread do it later: nobody awaits it.",
        )
    await harness.peer_sees_the_end(transport, "abort() was called.", by=("abort",))


@check("T2")
async def aclose_ends_tasks_and_descriptors(harness: Harness) -> None:
    """When aclose() returns, and not a little later, tasks and descriptors are gone."""
    transport = await harness.opened()
    await harness.take(transport, "aclose")
    harness.nothing_left_now(transport, "aclose() returned.", by=("aclose",))
    await harness.nothing_left(transport, "aclose() returned.", by=("aclose",))


@check("T2")
async def aclose_after_abort_ends_tasks_and_descriptors(harness: Harness) -> None:
    """After abort(), too, tasks and descriptors are gone when aclose() has ended."""
    transport = await harness.opened()
    await harness.take(transport, "abort", "aclose")
    await harness.nothing_left(transport, "After abort(), aclose() returned.", by=("aclose",))


@check("T2")
async def close_nowait_tells_the_truth(harness: Harness) -> None:
    """When close_nowait() says that nothing is left, nothing is, and the peer sees the end."""
    transport = await harness.opened()
    if harness.close_nowait(transport):
        happened, by = "close_nowait() returned True.", ("close_nowait",)
        harness.nothing_left_now(transport, happened, by=by)
        await harness.nothing_left(transport, happened, by=by)


@check("T2")
async def aclose_cancelled_at_each_turn(harness: Harness) -> None:
    """A cancelled aclose(), followed by abort(), leaves nothing, whenever it is cancelled."""

    async def judge(count: int) -> bool:
        closing = harness.start(await harness.opened(), "aclose")
        await pass_turns(1 + count)
        had_ended = closing.done.is_set()
        closing.cancel()
        await judge_cancelled(harness, closing)
        return had_ended

    await at_each_turn(judge)


@check("T2")
async def aclose_after_a_cancelled_receive(harness: Harness) -> None:
    """When receive() was cancelled, aclose() leaves nothing either: that is the usual order."""
    transport = await harness.opened()
    receiving = harness.start(transport, "receive")
    await pass_turns(WAITS)
    receiving.cancel()
    await harness.end(receiving)
    await harness.take(transport, "aclose")
    happened = "receive() was cancelled; then aclose() was called."
    await harness.nothing_left(transport, happened, by=("receive", "aclose"))


@check("T2")
async def abort_in_the_middle_of_open(harness: Harness) -> None:
    """abort() shuts what open() has made so far, and what it makes later is shut as well."""

    async def judge(count: int) -> bool:
        opening = harness.start(harness.make(), "open")
        await opening.begun.wait()
        await pass_turns(count)
        had_ended = opening.done.is_set()
        await judge_aborted(harness, opening)
        return had_ended

    await at_each_turn(judge)


@check("T2")
async def abort_while_open_hangs(harness: Harness) -> None:
    """abort() shuts the socket although open() still waits for the peer."""

    async def judge(opening: Operation) -> None:
        place = opening.where()
        where = f" while it waited at {place}" if place else ""
        harness.abort(opening.transport)
        happened = f"abort() was called in the middle of open(){where}."
        await harness.peer_sees_the_end(opening.transport, happened, place, by=("abort",))
        await judge_aborted(harness, opening)

    await each_stalled_opening(harness, judge)


async def judge_aborted(harness: Harness, opening: Operation) -> None:
    """Abort in the middle of an opening: once it has ended, nothing may be left open."""
    place, in_time = opening.where(), not opening.done.is_set()
    harness.abort(opening.transport)
    if not await harness.soon(opening.done.wait, LAST_SECONDS):
        opening.cancel()
    await harness.end(opening)
    harness.require(opening, TransportError)
    where = f" while it waited at {place}" if place else ""
    happened = f"abort() was called in the middle of open(){where}; then open() ended."
    if not in_time:
        happened = "open() had ended when abort() was called."
    by = ("abort", "open") if in_time else ("abort",)
    await harness.peer_sees_the_end(opening.transport, happened, place, by=by)
    await harness.take(opening.transport, "aclose")
    happened = f"{happened} Even aclose() left it."
    await harness.nothing_left(opening.transport, happened, place, by=("aclose",))


# T3


@check("T3")
async def closing_before_open(harness: Harness) -> None:
    """aclose() and abort() in any order are fine when there was no open()."""
    for order in ORDERS:
        transport = harness.make()
        with first_said(f"{named(order)} came before open()."):
            await harness.take(transport, *order)
        await harness.nothing_left(transport, f"{named(order)} came before open().", by=order)


@check("T3")
async def closing_again(harness: Harness) -> None:
    """aclose() and abort() in any order, and again, are fine."""
    for order in ORDERS:
        transport = await harness.opened()
        await close_in_order(harness, transport, order, "after open()")


@check("T3")
async def closing_after_the_peer_hung_up(harness: Harness) -> None:
    """aclose() and abort() in any order are fine after the peer's orderly close."""
    for order in ORDERS:
        transport = await harness.opened()
        await harness.instruct(harness.peer.hang_up)
        await end_of(harness, transport)
        await close_in_order(harness, transport, order, "after the peer's close")


@check("T3")
async def closing_after_the_connection_broke(harness: Harness) -> None:
    """aclose() and abort() in any order are fine after the connection broke."""
    for order in ORDERS:
        transport = await harness.opened()
        harness.peer.reset()
        await end_of(harness, transport)
        await close_in_order(harness, transport, order, "after the connection broke")


@check("T3")
async def closing_at_the_same_time(harness: Harness) -> None:
    """Several tasks in aclose() at once, and an abort() between them, are fine."""
    transport = await harness.opened()
    closings = [harness.start(transport, "aclose") for _ in range(3)]
    await pass_turns(1)
    harness.abort(transport)
    for closing in closings:
        await harness.end(closing)
        if not closing.returned:
            raise call_raised(closing, "Several may call it at once, and none may be harmed.")
    await harness.nothing_left(transport, "Three tasks called aclose() at once.", by=("aclose",))


async def close_in_order(
    harness: Harness, transport: Transport, order: tuple[str, ...], when: str
) -> None:
    """Close in this order, and once more."""
    happened = f"{named(order)} came {when}, then aclose()."
    with first_said(happened):
        await harness.take(transport, *order, "aclose")
    await harness.nothing_left(transport, happened, by=("aclose",))
