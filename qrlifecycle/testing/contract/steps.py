"""What checks of several clauses do: openings that hang or fail, and the end of a peer."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio
import anyio.lowlevel

from ...errors import TransportError, TransportLost
from ...signals import Addressed, Signal
from ...transports.base import Transport
from .breaches import ClauseBroken, call_raised
from .harness import Harness
from .operation import Operation
from .peer import CannotDo
from .transport_lines import place_of_method

__all__ = [
    "WAITS",
    "at_each_turn",
    "each_last",
    "each_stalled_opening",
    "each_stop",
    "end_of",
    "first_said",
    "judge_cancelled",
    "judge_failed",
    "judge_left_alone",
    "pass_turns",
    "says_in_any_order",
    "waits",
]

WAITS = 5
"""Turns after which a call that has begun waits."""

EACH_TURN = 100
"""Turns of the event loop that a sweep takes one by one; then it takes longer and longer strides:
a server in another thread makes a client turn thousands of times."""

SWEEP = 4.0
"""Seconds after which a sweep is over, however far it came."""

MOST_STEPS = 50
"""Steps of a handshake; the longest known has three."""


async def pass_turns(count: int) -> None:
    """Let the event loop turn."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


@contextmanager
def first_said(what: str) -> Iterator[None]:
    """Let a breach say first what went before it."""
    try:
        yield
    except ClauseBroken as breach:
        breach.happened = f"{what} {breach.happened}"
        raise


def turns() -> Iterator[int]:
    """How many turns of the event loop to wait, in one opening or closing after another."""
    count = 0
    for _ in waits():
        yield count
        count += 1 if count < EACH_TURN else count // 4


def waits() -> Iterator[int]:
    """At which of its waits to cancel one call after another: 1, 2, and so on, for a while."""
    over = anyio.current_time() + SWEEP
    for count in itertools.count(1):
        yield count
        if anyio.current_time() > over:
            return


async def at_each_turn(judge: Callable[[int], Awaitable[bool]]) -> None:
    """Judge call after call, each a turn later than the one before.

    ``judge`` says whether its call had ended by then; after two that had, it is over.
    """
    ended = 0
    for count in turns():
        ended = ended + 1 if await judge(count) else 0
        if ended == 2:
            return


async def each_stop(
    harness: Harness, stop: Callable[[int], None], judge: Callable[[Operation], Awaitable[None]]
) -> None:
    """Openings that are stopped: before the peer's first step of the handshake, after it, and on.

    The last is one that nobody stops, and returns.
    """
    for after in range(MOST_STEPS):
        stop(after)
        opening = harness.start(harness.make(), "open")
        await judge(opening)
        if opening.returned:
            await harness.discard(opening.transport)
            return
    raise ClauseBroken(
        f"It never returned, with a peer that takes {MOST_STEPS} steps of its handshake or fewer.",
        mend="See that open() returns when nobody stops it.",
    )


async def each_stalled_opening(
    harness: Harness, judge: Callable[[Operation], Awaitable[None]]
) -> None:
    """Openings that hang: before the peer's first step of the handshake, after it, and so on."""

    async def judge_if_stalled(opening: Operation) -> None:
        await harness.first(opening.done.wait, harness.peer.wait_until_stalled)
        await pass_turns(WAITS)
        if not opening.returned:
            await judge(opening)

    await each_stop(harness, harness.peer.stall, judge_if_stalled)


async def judge_cancelled(harness: Harness, operation: Operation) -> None:
    """After a cancelled call and `abort()`, nothing may be left open."""
    await harness.end(operation)
    if operation.method == "aclose" and operation.error is not None:
        raise call_raised(operation, "It must not raise.")
    judge_left_alone(operation)
    harness.require(operation, TransportError)
    if operation.returned and operation.method == "open":  # too late to be cancelled
        await harness.discard(operation.transport)
        # What is left of this one is no fault of the next, which is cancelled in time.
        happened = "open() returned; then abort() and aclose() were called."
        await harness.nothing_left(operation.transport, happened, by=("aclose",))
        return
    harness.abort(operation.transport)
    at = f" at {operation.place}" if operation.place else ""
    happened = f"{operation} was cancelled{at}; then abort() was called."
    by = ("abort", operation.method)
    await harness.nothing_left(operation.transport, happened, operation.place, by=by)


def judge_left_alone(opening: Operation) -> None:
    """An opening that failed before it could be cancelled would fail always."""
    if opening.method == "open" and opening.error is not None and not opening.cancelled:
        raise call_raised(opening, "Nobody cancelled it, so it must return.")


async def judge_failed(harness: Harness, opening: Operation, how: str) -> None:
    """A failed opening raises the typed error; after `abort()` nothing may be left open."""
    await harness.end(opening, harness.patience)
    transport = opening.transport
    if opening.returned:
        raise ClauseBroken(
            f"open() returned, although it was {how}.",
            mend=f"{place_of_method(transport, 'open')} must raise TransportUnreachable or "
            "TransportRefused.",
        )
    harness.require(opening, TransportError)
    harness.abort(transport)
    happened = f"open() was {how} and failed; then abort() was called."
    await harness.nothing_left(transport, happened, opening.where(), by=("abort", "open"))


async def end_of(harness: Harness, transport: Transport) -> None:
    """The peer is gone: nothing more comes."""
    await harness.call_for(
        transport,
        "receive",
        TransportLost,
        anyio.EndOfStream,
        limit=harness.patience,
        mend="The connection is over: a read that gives nothing, or fails, is the end, and is told "
        "to whoever asks again as well, by EndOfStream or TransportLost.",
    )


def says_in_any_order(harness: Harness) -> bool:
    """Whether the peer says its signals in any order; a real server does not, nor one again."""
    try:
        harness.peer.spell(harness.peer.signals[0])
    except CannotDo:
        return False
    return True


def each_last(harness: Harness) -> list[tuple[Signal, ...]]:
    """What to have said: each signal once as the last, for what is lost may be one kind only.

    Before it comes one of another kind: of one kind, the newer may take the place of the older.
    """
    signals = tuple(harness.peer.signals)
    if not says_in_any_order(harness):
        return [signals[:2]]
    said = []
    for last in signals:
        others = (one for one in signals if _kind(one) != _kind(last))
        said.append((*itertools.islice(others, 1), last))
    return said


def _kind(signal: Signal) -> object:
    """What two signals have in common of which the newer may take the place of the older."""
    said = signal.signal if isinstance(signal, Addressed) else signal
    return said.event or type(said)
