"""Clauses T4 to T7, as checks: what `receive()` gives, when, and what it must never give.

A check's docstring is its fact. It finds nothing, or raises `Breach`; `CannotDo` of the peer's
skips it. This room must never know a protocol.
"""

from __future__ import annotations

import math

import anyio
import anyio.lowlevel

from ...errors import TransportError, TransportLost
from ...transports.base import Transport
from .bench import Bench
from .check import Check, listing
from .operation import Breach, Operation
from .peers import CannotDo
from .places import place_of_error, place_of_method
from .steps import WAITS, each_stalled_opening, end_of, first_said, judge_failed, pass_turns

__all__ = ["CHECKS"]

CHECKS: list[Check] = []

check = listing(CHECKS)

FLOOD = 128 * 1024
"""Bytes."""

ONE_READ = 64 * 1024
"""Bytes that a transport may work on before others have their turn; what one read brings."""


# T4


@check("T4")
async def waiting_receive_ends_with_aclose(bench: Bench) -> None:
    """A receive() that waits ends with EndOfStream when aclose() is called."""
    await judge_waiting(bench, "aclose")


@check("T4")
async def waiting_receive_ends_with_abort(bench: Bench) -> None:
    """A receive() that waits ends with EndOfStream when abort() is called."""
    await judge_waiting(bench, "abort")


async def judge_waiting(bench: Bench, step: str) -> None:
    """Somebody waits in `receive()` while the transport is closed."""
    transport = await bench.opened()
    waiting = bench.start(transport, "receive")
    await pass_turns(WAITS)
    await bench.take(transport, step)
    await bench.end(waiting)
    if waiting.returned:
        raise _delivered(transport, step, waiting)
    bench.require(waiting, anyio.EndOfStream)
    await bench.finish(transport)


@check("T4")
async def no_signal_after_aclose(bench: Bench) -> None:
    """A signal that has arrived is not delivered any more once aclose() was called."""
    await judge_silence(bench, "aclose")


@check("T4")
async def no_signal_after_abort(bench: Bench) -> None:
    """A signal that has arrived is not delivered any more once abort() was called."""
    await judge_silence(bench, "abort")


async def judge_silence(bench: Bench, step: str) -> None:
    """What came before the closing and was not taken is not delivered after it."""
    transport = await bench.opened()
    first, second = bench.peer.signals[:2]
    await bench.peer.send(first, second)
    await bench.receive(transport, first)
    await bench.take(transport, step)
    for _ in range(2):
        asking = await bench.end(bench.start(transport, "receive"))
        if asking.returned:
            raise _delivered(transport, step, asking)
        bench.require(asking, anyio.EndOfStream)
    await bench.finish(transport)


def _delivered(transport: Transport, step: str, operation: Operation) -> Breach:
    return Breach(
        f"After {step}(), receive() gave {operation.result!r}.",
        mend=f"{place_of_method(transport, 'receive')} must raise EndOfStream once the transport "
        "is closed.",
    )


# T5


def require_heartbeat(bench: Bench) -> None:
    """Silence needs time that passes."""
    if math.isinf(bench.peer.heartbeat):
        raise CannotDo("these transports have no heartbeat")


@check("T5")
async def silent_peer_is_lost(bench: Bench) -> None:
    """A peer that falls silent becomes TransportLost within the heartbeat, and not before."""
    require_heartbeat(bench)
    began = anyio.current_time()
    transport = await bench.opened()
    bench.peer.fall_silent()
    await bench.call_for(transport, "receive", TransportLost, limit=bench.patience)
    if anyio.current_time() - began < bench.peer.heartbeat / 2:
        raise Breach(
            f"receive() gave the peer up after less than half of {bench.peer.heartbeat:g} s.",
            mend=f"{place_of_method(transport, 'receive')} must wait for the heartbeat.",
        )
    await bench.finish(transport)
    await bench.nothing_left(transport, "The peer fell silent; then aclose() was called.")


@check("T5")
async def silent_handshake_fails(bench: Bench) -> None:
    """A peer that falls silent in the handshake makes open() fail within the heartbeat."""
    require_heartbeat(bench)

    async def judge(opening: Operation) -> None:
        await judge_failed(bench, opening, "met with silence")

    await each_stalled_opening(bench, judge)


@check("T5")
async def broken_link_is_lost(bench: Bench) -> None:
    """A broken link becomes TransportLost; whoever asks again hears of the end as well."""
    transport = await bench.opened()
    bench.peer.reset()
    await bench.call_for(transport, "receive", TransportLost, limit=bench.patience)
    await end_of(bench, transport)
    await bench.finish(transport)
    await bench.nothing_left(transport, "The link broke; then aclose() was called.", by=("aclose",))


@check("T5")
async def signals_before_the_end_come_first(bench: Bench) -> None:
    """What a peer says right before it hangs up is not overtaken by its hanging up."""
    transport = await bench.opened()
    first, second = bench.peer.signals[:2]
    await bench.peer.send(first, second)
    await bench.peer.hang_up()
    await bench.receive(transport, first, second)
    await end_of(bench, transport)
    await bench.finish(transport)


@check("T5")
async def signals_before_the_break_are_kept(bench: Bench) -> None:
    """Signals that were taken before the link breaks are followed by the end, and no other."""
    transport = await bench.opened()
    first, second = bench.peer.signals[:2]
    await bench.peer.send(first, second)
    await bench.receive(transport, first, second)  # a reset may discard what was not read yet
    bench.peer.reset()
    await end_of(bench, transport)
    await bench.finish(transport)


# T6


@check("T6")
async def garbage(bench: Bench) -> None:
    """Malformed input becomes nothing or TransportLost, never another exception."""
    for strict, kinds in ((True, bench.peer.garbage), (False, bench.peer.anything)):
        for name, data in kinds.items():
            await judge_garbage(bench, name, data, strict=strict)
    if not (bench.peer.garbage or bench.peer.anything):
        await bench.peer.send_bytes(b"")  # says why there is none


async def judge_garbage(bench: Bench, name: str, data: bytes, *, strict: bool) -> None:
    """Garbage, then two signals, of which the first may be taken for the garbage's tail."""
    transport = await bench.opened()
    await bench.peer.send_bytes(data)
    await bench.peer.send(*bench.peer.signals[:2])
    for _ in data:  # it cannot hold more messages than bytes
        receiving = await bench.end(bench.start(transport, "receive"), bench.patience)
        with first_said(f"The garbage {name!r} was received."):
            bench.require(receiving, TransportLost)
        if receiving.error is not None or receiving.result in bench.peer.signals:
            break
        if strict:
            raise Breach(
                f"The garbage {name!r} became {receiving.result!r}.",
                mend=f"{place_of_method(transport, 'receive')} must pass over what means nothing.",
            )
    await bench.finish(transport)
    happened = f"The garbage {name!r} was received; then aclose() was called."
    await bench.nothing_left(transport, happened, by=("aclose",))
    judge_complaints(bench, transport, name)


@check("T6")
async def garbage_in_place_of_a_handshake(bench: Bench) -> None:
    """A peer that answers the opening with garbage makes open() raise the typed error."""
    for name, data in bench.peer.anything.items() or [("nothing", b"")]:
        bench.peer.greet_with(data)
        transport = bench.make()
        opening = await bench.end(bench.start(transport, "open"), bench.patience)
        with first_said(f"The garbage {name!r} was received."):
            bench.require(opening, TransportError)
        bench.abort(transport)
        await bench.take(transport, "aclose")
        await bench.nothing_left(transport, f"open() was answered with the garbage {name!r}.")
        judge_complaints(bench, transport, name)


def judge_complaints(bench: Bench, transport: Transport, name: str) -> None:
    """On asyncio, an exception that nobody catches goes to the event loop."""
    for complaint in bench.complaints:
        error = complaint.get("exception")
        place = place_of_error(transport, error) if error is not None else None
        raise Breach(
            f"After the garbage {name!r} the event loop was told: {complaint.get('message')}"
            + (f" ({type(error).__name__})" if error is not None else "")
            + (f", at {place}." if place else "."),
            place=place,
            mend=f"Catch it there, and let {place_of_method(transport, 'receive')} raise "
            "TransportLost.",
        )


@check("T6")
async def flood(bench: Bench) -> None:
    """A flood does not keep other tasks from running, and the signal after it comes."""
    if not bench.peer.flood:
        await bench.peer.send_bytes(b"")
        return
    transport = await bench.opened()
    last = bench.peer.signals[1]
    data = bench.peer.flood * (FLOOD // len(bench.peer.flood) + 1)
    count = 0

    async def send() -> None:
        await bench.peer.send_bytes(data)
        await bench.peer.send(last)

    async def turn() -> None:
        nonlocal count
        while True:
            count += 1
            await anyio.lowlevel.checkpoint()

    async def drain() -> None:
        while await transport.receive() != last:
            pass

    with bench.beside(send, turn):
        draining = await bench.end(bench.start(transport, "receive", call=drain), bench.patience)
    if not draining.returned:
        raise bench.raised(draining, f"{last!r} was to come after the flood.")
    if count < len(data) // ONE_READ:
        raise Breach(
            f"While {len(data)} bytes came in, other tasks had {count} turns.",
            mend=f"{place_of_method(transport, 'receive')} must let others run between messages.",
        )
    await bench.finish(transport)
    await bench.nothing_left(
        transport, "A flood came in; then aclose() was called.", by=("aclose",)
    )


# T7


@check("T7")
async def early_signals_are_kept(bench: Bench) -> None:
    """Signals that arrive while open() is still under way are kept for receive(), in order."""
    early = bench.peer.signals[:2]
    bench.peer.send_early(*early)
    transport = await bench.opened()
    await pass_turns(WAITS)
    await bench.receive(transport, *early)
    await bench.finish(transport)
