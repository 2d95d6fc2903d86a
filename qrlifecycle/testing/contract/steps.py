"""What checks of several clauses do: openings that hang or fail, and the end of a peer.

This room must never know a protocol.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio
import anyio.lowlevel

from ...errors import TransportError, TransportLost
from ...transports.base import Transport
from .bench import Bench
from .operation import Breach, Operation
from .places import place_of_method

__all__ = ["each_stalled_opening", "end_of", "first_said", "judge_failed", "pass_turns"]

WAITS = 5
"""Turns after which a call that has begun waits."""


async def pass_turns(count: int) -> None:
    """Let the event loop turn."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


@contextmanager
def first_said(what: str) -> Iterator[None]:
    """Let a breach say first what went before it."""
    try:
        yield
    except Breach as breach:
        breach.happened = f"{what} {breach.happened}"
        raise


async def each_stalled_opening(bench: Bench, judge: Callable[[Operation], Awaitable[None]]) -> None:
    """Openings that hang: before the peer's first step of the handshake, after it, and so on."""
    for after in itertools.count():
        bench.peer.stall(after)
        opening = bench.start(bench.make(), "open")
        await bench.first(opening.done.wait, bench.peer.wait_until_stalled)
        await pass_turns(WAITS)
        if opening.returned:
            await bench.finish(opening.transport)
            return
        await judge(opening)


async def judge_failed(bench: Bench, opening: Operation, how: str) -> None:
    """A failed opening raises the typed error; after `abort()` nothing may be left open."""
    await bench.end(opening, bench.patience)
    transport = opening.transport
    if opening.returned:
        raise Breach(
            f"open() returned, although it was {how}.",
            mend=f"{place_of_method(transport, 'open')} must raise TransportUnreachable or "
            "TransportRefused.",
        )
    bench.require(opening, TransportError)
    bench.abort(transport)
    happened = f"open() was {how} and failed; then abort() was called."
    await bench.nothing_left(transport, happened, opening.where(), by=("abort", "open"))


async def end_of(bench: Bench, transport: Transport) -> None:
    """The peer is gone: nothing more comes."""
    await bench.call_for(
        transport, "receive", TransportLost, anyio.EndOfStream, limit=bench.patience
    )
