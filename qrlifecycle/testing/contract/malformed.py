"""Clause T6, as checks: input that means nothing, and more of it than anybody wants.

A check's docstring is its fact. It finds nothing, or raises `ClauseBroken`; a peer's
`CannotDo` skips it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel

from ...errors import TransportError, TransportLost
from ...signals import Signal
from ...transports.base import Transport
from .breaches import ClauseBroken, call_raised
from .check import Check, listing
from .harness import Harness
from .operation import Operation
from .peer import CannotDo
from .steps import first_said
from .transport_lines import place_of_error, place_of_method

__all__ = ["CHECKS"]

CHECKS: list[Check] = []

check = listing(CHECKS)

FLOOD = 128 * 1024
"""Bytes, unless they were more than `MOST_MESSAGES`."""

MOST_MESSAGES = 5000

FLOOD_PATIENCES = 4
"""How many times as long as a call a flood may take: 4 ms for a message, where 0.1 ms is usual."""

ONE_READ = 64 * 1024
"""Bytes that a transport may work on before others have their turn; what one read brings."""


@check("T6")
async def garbage(harness: Harness) -> None:
    """Malformed input becomes nothing or TransportLost, never another exception."""
    for strict, kinds in ((True, harness.peer.garbage), (False, harness.peer.anything)):
        for name, data in kinds.items():
            await judge_garbage(harness, name, data, strict=strict)
    if not (harness.peer.garbage or harness.peer.anything):
        await harness.instruct(harness.peer.send_bytes, b"")  # says why, if it cannot
        raise CannotDo("the peer has no garbage")


@check("T6")
async def message_of_somebody_else(harness: Harness) -> None:
    """What is somebody else's becomes nothing: a server may say everything to everybody."""
    if not harness.peer.foreign:
        await harness.instruct(harness.peer.send_bytes, b"")  # says why, if it cannot
        raise CannotDo("the peer was given no foreign=, so nothing is somebody else's")
    for name, data in harness.peer.foreign.items():
        transport = await harness.opened()
        await harness.instruct(harness.peer.send_bytes, data)
        await harness.instruct(harness.peer.send, harness.peer.signals[0])
        receiving = await harness.end(harness.start(transport, "receive"), harness.patience)
        if receiving.returned and receiving.result not in harness.peer.signals[:1]:
            method = place_of_method(transport, "receive")
            raise ClauseBroken(
                f"The message {name!r}, which is somebody else's, became {receiving.result!r}.",
                mend=f"{method} must pass over what is not for its owner: say owner=, or compare "
                "whose it is, before it is believed.",
            )
        harness.require(receiving, mend="It must not raise here.")
        await harness.finish(transport)


async def judge_garbage(harness: Harness, name: str, data: bytes, *, strict: bool) -> None:
    """Garbage, then two signals, of which the first may be taken for the garbage's tail."""
    transport = await harness.opened()

    async def send() -> None:
        await harness.peer.send_bytes(data)
        await harness.peer.send(*harness.peer.signals[:2])

    with harness.beside(send):
        await judge_received_garbage(harness, transport, name, data, strict=strict)
    await harness.finish(transport)
    happened = f"The garbage {name!r} was received; then aclose() was called."
    await harness.nothing_left(transport, happened, by=("aclose",))
    judge_loop_errors(harness, transport, name)


@check("T6")
async def garbage_in_place_of_a_handshake(harness: Harness) -> None:
    """A peer that answers the opening with garbage makes open() raise the typed error."""
    for name, data in harness.peer.anything.items() or [("nothing", b"")]:
        harness.peer.greet_with(data)
        transport = harness.make()
        opening = await harness.end(harness.start(transport, "open"), harness.patience)
        with first_said(f"The garbage {name!r} was received."):
            harness.require(opening, TransportError)
        harness.abort(transport)
        await harness.take(transport, "aclose")
        happened = f"open() was answered with the garbage {name!r}; then aclose() was called."
        await harness.nothing_left(transport, happened, by=("aclose",))
        judge_loop_errors(harness, transport, name)


async def judge_received_garbage(
    harness: Harness, transport: Transport, name: str, data: bytes, *, strict: bool
) -> None:
    """It becomes nothing, or the end; if it is not ``strict``, it may become signals."""
    for _ in data:  # it cannot hold more messages than bytes
        receiving = await harness.end(harness.start(transport, "receive"), harness.patience)
        with first_said(f"The garbage {name!r} was received."):
            harness.require(
                receiving,
                TransportLost,
                mend="What cannot be read is dropped, and the next message waited for; where "
                "nothing can be read any more, it raises TransportLost.",
            )
        if receiving.error is not None or receiving.result in harness.peer.signals:
            return
        if strict:
            raise ClauseBroken(
                f"The garbage {name!r} became {receiving.result!r}.",
                mend=f"{place_of_method(transport, 'receive')} must pass over what means nothing.",
            )


def judge_loop_errors(harness: Harness, transport: Transport, name: str) -> None:
    """On asyncio, an exception that nobody catches goes to the event loop."""
    for context in harness.loop_errors:
        error = context.get("exception")
        place = place_of_error(transport, error) if error is not None else None
        raise ClauseBroken(
            f"After the garbage {name!r} the loop's exception handler got: {context.get('message')}"
            + (f" ({type(error).__name__})" if error is not None else "")
            + (f", at {place}." if place else "."),
            place=place,
            mend=f"Catch it there, and let {place_of_method(transport, 'receive')} raise "
            "TransportLost.",
        )


@check("T6")
async def flood(harness: Harness) -> None:
    """A flood does not keep other tasks from running, and the signal after it comes."""
    if not harness.peer.flood:
        await harness.instruct(harness.peer.send_bytes, b"")  # says why, if it cannot
        raise CannotDo("the peer was given no flood=, so there is nothing to flood with")
    transport = await harness.opened()
    last = harness.peer.signals[1]
    messages = min(FLOOD // len(harness.peer.flood) + 1, MOST_MESSAGES)
    data = harness.peer.flood * messages
    count = 0

    async def send() -> None:
        await harness.peer.send_bytes(data)
        await harness.peer.send(last)

    async def turn() -> None:
        nonlocal count
        while True:
            count += 1
            await anyio.lowlevel.checkpoint()

    with harness.beside(send, turn):
        draining = await drained(harness, transport, last, messages)
    if not draining.returned:
        raise call_raised(draining, f"{last!r} was to come after the flood.")
    if count < len(data) // ONE_READ:
        raise ClauseBroken(
            f"While {len(data)} bytes came in, other tasks had {count} turns.",
            mend=f"{place_of_method(transport, 'receive')} must let others run between messages.",
        )
    await harness.finish(transport)
    await harness.nothing_left(
        transport, "A flood came in; then aclose() was called.", by=("aclose",)
    )


async def drained(harness: Harness, transport: Transport, last: Signal, messages: int) -> Operation:
    """Receive until this signal comes: as long as others do come, or are dropped.

    Where no message of the flood is a signal and none is counted, nobody can say how far it is.
    """
    given = 0

    async def receive_all(receive: Callable[[], Awaitable[Signal]]) -> None:
        nonlocal given
        while await receive() != last:
            given += 1

    draining = harness.start(transport, "receive", calls=receive_all)
    began, before = anyio.current_time(), 0
    while not await harness.soon(draining.done.wait, harness.patience):
        so_far = given + sum(transport.dropped.values())
        took = anyio.current_time() - began
        progress = f"{so_far:,} of {messages:,} messages"
        if 0 < so_far == before:
            raise await harness.overdue(
                draining, f"gave nothing for {harness.patience:g} s, after {progress} of a flood"
            )
        if took > FLOOD_PATIENCES * harness.patience:
            raise await harness.overdue(
                draining, f"was still receiving a flood after {took:.3g} s: {progress}"
            )
        before = so_far
    return draining
