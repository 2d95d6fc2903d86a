"""Clauses T4, T5 and T7, as checks: what `receive()` gives, when, and when it must end.

A check's docstring is its fact. It finds nothing, or raises `ClauseBroken`; a peer's
`CannotDo` skips it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import anyio
import anyio.lowlevel

from ...errors import TransportLost
from ...signals import Signal
from ...transports.base import Transport
from .breaches import MEANING, ClauseBroken, call_raised, gave_another
from .check import Check, listing
from .harness import LAST_SECONDS, Harness
from .operation import Operation
from .peer import CannotDo
from .steps import (
    WAITS,
    at_each_turn,
    each_last,
    each_stalled_opening,
    end_of,
    judge_failed,
    pass_turns,
    says_in_any_order,
)
from .transport_lines import place_of_method

__all__ = ["CHECKS"]

CHECKS: list[Check] = []

check = listing(CHECKS)

QUIET_HEARTBEATS = 3

SIGNS_OF_LIFE = 3
"""How many a peer without a signal gives in a heartbeat."""

TRIES = 3
"""How often a machine may be too busy to give them in time."""


# T4


@check("T4")
async def waiting_receive_ends_with_aclose(harness: Harness) -> None:
    """A receive() that waits ends with EndOfStream when aclose() is called."""
    await judge_waiting(harness, "aclose")


@check("T4")
async def waiting_receive_ends_with_abort(harness: Harness) -> None:
    """A receive() that waits ends with EndOfStream when abort() is called."""
    await judge_waiting(harness, "abort")


async def judge_waiting(harness: Harness, step: str) -> None:
    """Somebody waits in `receive()` while the transport is closed."""
    transport = await harness.opened()
    waiting = harness.start(transport, "receive")
    await pass_turns(WAITS)
    await harness.take(transport, step)
    if not await harness.soon(waiting.done.wait):
        how = f"did not end within {harness.limit:g} s of {step}()"
        raise await harness.overdue(waiting, how, await unshut(harness, transport, step))
    if waiting.returned:
        raise _delivered(transport, step, waiting)
    if not isinstance(waiting.error, anyio.EndOfStream):
        breach = call_raised(waiting, "It must raise EndOfStream here.")
        breach.mend = await unshut(harness, transport, step) or breach.mend
        raise breach
    happened = f"{step}() was called while somebody waited in receive()."
    await harness.peer_sees_the_end(transport, happened, by=(step,))
    await harness.finish(transport)


async def unshut(harness: Harness, transport: Transport, step: str) -> str:
    """What to mend if a wait went on because the socket was not shut; nothing if it was."""
    if await harness.soon(harness.peer.wait_until_gone, LAST_SECONDS):
        return ""
    return f"{place_of_method(transport, step)} never shut the socket: shut it, and the wait ends."


@check("T4")
async def no_signal_after_aclose(harness: Harness) -> None:
    """A signal that has arrived is not delivered any more once aclose() was called."""
    await judge_silence(harness, "aclose")


@check("T4")
async def no_signal_after_abort(harness: Harness) -> None:
    """A signal that has arrived is not delivered any more once abort() was called."""
    await judge_silence(harness, "abort")


@check("T4")
async def no_signal_overtakes_abort(harness: Harness) -> None:
    """A signal on its way to a waiting receive() is not delivered once abort() was called."""

    async def judge(count: int) -> bool:
        transport = await harness.opened()
        waiting = harness.start(transport, "receive")
        await pass_turns(WAITS)
        await harness.instruct(harness.peer.send, harness.peer.signals[0])
        await pass_turns(count)
        had_ended = waiting.done.is_set()
        harness.abort(transport)
        await harness.end(waiting)
        if waiting.returned and not had_ended:
            raise _delivered(transport, "abort", waiting)
        await harness.finish(transport)
        return had_ended

    await at_each_turn(judge)


async def judge_silence(harness: Harness, step: str) -> None:
    """What came before the closing and was not taken is not delivered after it."""
    for *taken, last in each_last(harness):
        transport = await harness.opened()
        await harness.instruct(harness.peer.send, *taken, last)
        await harness.receive(transport, *taken)
        await harness.take(transport, step)
        for _ in range(2):
            asking = await harness.end(harness.start(transport, "receive"))
            if asking.returned:
                raise _delivered(transport, step, asking)
            harness.require(asking, anyio.EndOfStream)
        await harness.finish(transport)


def _delivered(transport: Transport, step: str, operation: Operation) -> ClauseBroken:
    return ClauseBroken(
        f"After {step}(), receive() gave {operation.result!r}.",
        mend=f"{place_of_method(transport, 'receive')} must raise EndOfStream once the transport "
        "is closed.",
    )


# T5


def require_heartbeat(harness: Harness) -> None:
    """Silence needs time that passes."""
    if math.isinf(harness.peer.heartbeat):
        raise CannotDo("these transports have no heartbeat")


@check("T5")
async def silent_peer_is_lost(harness: Harness) -> None:
    """A peer that falls silent becomes TransportLost within the heartbeat, and not before."""
    require_heartbeat(harness)
    began = anyio.current_time()
    transport = await harness.opened()
    harness.peer.fall_silent()
    await harness.call_for(transport, "receive", TransportLost, limit=harness.silence)
    if anyio.current_time() - began < harness.peer.heartbeat / 2:
        raise ClauseBroken(
            f"receive() gave the peer up after less than half of {harness.peer.heartbeat:g} s.",
            mend=f"{place_of_method(transport, 'receive')} must wait for the heartbeat.",
        )
    await harness.finish(transport)
    happened = "The peer fell silent; then aclose() was called."
    await harness.nothing_left(transport, happened, by=("aclose",))


@check("T5")
async def peer_that_falls_silent_after_a_signal_is_lost(harness: Harness) -> None:
    """A peer that falls silent after a signal is lost as well, and stays lost."""
    require_heartbeat(harness)
    transport, signal = await harness.opened(), harness.peer.signals[0]
    await harness.instruct(harness.peer.send, signal)
    await harness.receive(transport, signal)
    await judge_lost(harness, harness.start(transport, "receive"))


@check("T5")
async def peer_that_falls_silent_after_it_said_that_it_is_there_is_lost(harness: Harness) -> None:
    """A peer that said that it is there, and then nothing more, is lost, and stays lost."""
    require_heartbeat(harness)
    receiving = harness.start(await harness.opened(), "receive")
    await harness.instruct(harness.peer.show_life)
    await harness.soon(harness.peer.wait_until_answered, LAST_SECONDS)
    await judge_lost(harness, receiving)


async def judge_lost(harness: Harness, receiving: Operation) -> None:
    """The peer falls silent, and whoever waits is notified of it; so is whoever asks again."""
    transport = receiving.transport
    harness.peer.fall_silent()
    await harness.end(receiving, harness.silence)
    if receiving.returned:
        raise ClauseBroken(
            f"receive() gave {receiving.result!r}, and the peer had fallen silent.",
            mend=f"{place_of_method(transport, 'receive')} must raise TransportLost here.",
        )
    harness.require(receiving, TransportLost)
    await end_of(harness, transport)
    await harness.finish(transport)


@check("T5")
async def silent_handshake_fails(harness: Harness) -> None:
    """A peer that falls silent in the handshake makes open() fail within the heartbeat."""
    require_heartbeat(harness)

    async def judge(opening: Operation) -> None:
        await judge_failed(harness, opening, "met with silence")

    await each_stalled_opening(harness, judge)


@check("T5")
async def quiet_but_living_peer_is_not_lost(harness: Harness) -> None:
    """A peer that says no more than that it is there is not lost, and its next signal comes."""
    require_heartbeat(harness)
    for _ in range(TRIES):
        transport = await harness.opened()
        receiving = harness.start(transport, "receive")
        if await outlasts_quiet(harness, receiving):
            signal = harness.peer.signals[0]
            await harness.instruct(harness.peer.send, signal)
            await harness.give(receiving, signal)
            await harness.finish(transport)
            return
        await harness.discard(transport)
    raise CannotDo(f"this machine is too busy for a heartbeat of {harness.peer.heartbeat:g} s")


async def outlasts_quiet(harness: Harness, receiving: Operation) -> bool:
    """Some heartbeats without a signal; False if the machine did not let the peer speak in time."""
    interval = harness.peer.heartbeat / SIGNS_OF_LIFE
    for _ in range(QUIET_HEARTBEATS * SIGNS_OF_LIFE):
        began = anyio.current_time()
        await harness.instruct(harness.peer.show_life)
        ended = await harness.soon(receiving.done.wait, interval)
        if anyio.current_time() - began > 2 * interval:
            return False
        if ended:
            raise _given_up(receiving, interval)
        if not await harness.soon(harness.peer.wait_until_answered, interval):
            if anyio.current_time() - began > harness.peer.heartbeat:
                return False
            raise ClauseBroken(
                f"The peer said that it is there, and had no answer after {2 * interval:.2g} s.",
                place=receiving.where(),
                mend=f"{place_of_method(receiving.transport, 'receive')} must answer it, or mend "
                "what the peer was given as answers=.",
            )
    return True


def _given_up(receiving: Operation, interval: float) -> ClauseBroken:
    """A wait for a signal ended, although there was none, and the peer was there."""
    how = f"gave {receiving.result!r}" if receiving.returned else f"raised {receiving.raised()}"
    return ClauseBroken(
        f"The peer said every {interval:.2g} s that it is there, and receive() {how}.",
        place=receiving.where(),
        mend=f"{place_of_method(receiving.transport, 'receive')} must wait on after any message, "
        "and give up only when none comes; or mend what the peer was given as alive=.",
    )


@check("T5")
async def broken_connection_is_lost(harness: Harness) -> None:
    """A broken connection becomes TransportLost; whoever asks again is notified as well."""
    transport = await harness.opened()
    harness.peer.reset()
    await harness.call_for(transport, "receive", TransportLost, limit=harness.patience)
    await end_of(harness, transport)
    await harness.finish(transport)
    await harness.nothing_left(
        transport, "The connection broke; then aclose() was called.", by=("aclose",)
    )


@check("T5")
async def signals_before_the_end_come_first(harness: Harness) -> None:
    """What a peer says right before it hangs up is not overtaken by its hanging up."""
    for said in each_last(harness):
        transport = await harness.opened()
        await harness.instruct(harness.peer.send, *said)
        await harness.instruct(harness.peer.hang_up)
        await harness.receive(transport, *said)
        await end_of(harness, transport)
        await harness.finish(transport)


@check("T5")
async def signals_before_the_break_are_kept(harness: Harness) -> None:
    """Signals that were taken before the connection breaks are followed by the end only."""
    transport = await harness.opened()
    first, second = harness.peer.signals[:2]
    await harness.instruct(harness.peer.send, first, second)
    await harness.receive(transport, first, second)  # a reset may discard what was not read yet
    harness.peer.reset()
    await end_of(harness, transport)
    await harness.finish(transport)


# T7


@check("T7")
async def each_signal_comes_once(harness: Harness) -> None:
    """Each signal that is sent comes, once, whichever came before it."""
    signals = tuple(harness.peer.signals)
    if not says_in_any_order(harness):
        await judge_each(harness, signals[:2])
        return
    for order in (signals, signals[::-1]):
        await judge_each(harness, (*order, order[0]))


async def judge_each(harness: Harness, signals: Sequence[Signal]) -> None:
    """Each is sent before the last one is received: a silence would take longer to see."""
    transport = await harness.opened()
    await harness.instruct(harness.peer.send, signals[0])
    before: Signal | None = None
    for signal, after in zip(signals, (*signals[1:], None), strict=True):
        # A newer code may take the place of one that nobody took; and so on for each event.
        ahead = after is not None and after.event is not signal.event
        if after is not None and ahead:
            await harness.instruct(harness.peer.send, after)
        received = harness.start(transport, "receive")
        await harness.end(received, harness.patience, mend=f"{signal!r} was to come.")
        if received.result != signal:
            raise await missing_or_doubled(
                harness, received, before, signal, after if ahead else None
            )
        if after is not None and not ahead:
            await harness.instruct(harness.peer.send, after)
        before = signal
    asking = harness.start(transport, "receive")
    await pass_turns(WAITS)
    if asking.returned and asking.result == before:
        raise await missing_or_doubled(harness, asking, before, None, None)
    await harness.finish(transport)


async def missing_or_doubled(
    harness: Harness,
    received: Operation,
    before: Signal | None,
    wanted: Signal | None,
    after: Signal | None,
) -> ClauseBroken:
    """What is wrong where these were sent, and `receive()` did not give the wanted one."""
    transport, place = received.transport, received.where()
    sent = ", ".join(repr(signal) for signal in (before, wanted, after) if signal is not None)
    came = False
    if received.returned and received.result == after:
        late = harness.start(transport, "receive")
        came = await harness.soon(late.done.wait, harness.patience) and late.result == wanted
    if received.returned and received.result == before and (came or before != after):
        what = f"receive() gave {before!r} twice"
    elif received.returned and received.result == after:
        what = f"receive() gave {after!r} {'before' if came else 'and never'} {wanted!r}"
    elif received.returned and wanted is not None:
        what = gave_another(received.result, wanted)
    else:
        what = f"receive() raised {received.raised()}, and {wanted!r} never came"
    mend = (
        f"{place_of_method(transport, 'receive')} must give each signal that comes once, in order"
    )
    return ClauseBroken(
        f"After open(), the peer sent {sent}; {what}.",
        place=place,
        mend=" ".join(filter(None, (f"{mend}, or mend {MEANING}.", harness.peer.doubt))),
    )


@check("T7")
async def signal_in_halves_is_whole(harness: Harness) -> None:
    """A signal of which half comes first, and the rest a moment later, is one signal."""
    transport = await harness.opened()
    receiving = harness.start(transport, "receive")
    await harness.instruct(harness.peer.send_in_halves, harness.peer.signals[0])
    mend = (
        f"{place_of_method(transport, 'receive')} must put together what comes in several reads: "
        "a stream has no messages."
    )
    await harness.give(receiving, harness.peer.signals[0], mend)
    await harness.finish(transport)


@check("T7")
async def early_signals_are_kept(harness: Harness) -> None:
    """Signals that arrive while open() is still under way are kept for receive(), in order."""
    for early in (tuple(harness.peer.signals[:3]), *each_last(harness)):
        await judge_early(harness, early)


async def judge_early(harness: Harness, early: Sequence[Signal]) -> None:
    """These arrive before `open()` has returned."""
    harness.peer.send_early(*early)
    transport = await harness.opened()
    await pass_turns(WAITS)
    mend = (
        f"{place_of_method(transport, 'open')} must keep what comes before it returns, in order, "
        f"and {place_of_method(transport, 'receive')} must give that first."
    )
    try:
        await harness.receive(transport, *early, mend=mend)
    except ClauseBroken:
        harness.peer.send_early()
        await judge_each(harness, early)  # one that never comes is not lost for being early
        raise
    await harness.finish(transport)
