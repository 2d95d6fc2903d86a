"""Clauses T4, T5 and T7, as checks: what `receive()` gives, when, and when it must end.

A check's docstring is its fact. It finds nothing, or raises `Breach`; `CannotDo` of the peer's
skips it.
"""

from __future__ import annotations

import math

import anyio
import anyio.lowlevel

from ...errors import TransportLost
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
from .peers import CannotDo
from .places import place_of_method
from .steps import (
    WAITS,
    at_each_turn,
    each_stalled_opening,
    end_of,
    judge_failed,
    pass_turns,
)

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
    if not await bench.soon(waiting.done.wait):
        how = f"did not end within {bench.limit:g} s of {step}()"
        raise await bench.overdue(waiting, how, await unshut(bench, transport, step))
    if waiting.returned:
        raise _delivered(transport, step, waiting)
    if not isinstance(waiting.error, anyio.EndOfStream):
        breach = bench.raised(waiting, "It must raise EndOfStream here.")
        breach.mend = await unshut(bench, transport, step) or breach.mend
        raise breach
    happened = f"{step}() was called while somebody waited in receive()."
    await bench.peer_sees_the_end(transport, happened, by=(step,))
    await bench.finish(transport)


async def unshut(bench: Bench, transport: Transport, step: str) -> str:
    """What to mend if a wait went on because the socket was not shut; nothing if it was."""
    if await bench.soon(bench.peer.wait_until_gone, LAST_SECONDS):
        return ""
    return f"{place_of_method(transport, step)} never shut the socket: shut it, and the wait ends."


@check("T4")
async def no_signal_after_aclose(bench: Bench) -> None:
    """A signal that has arrived is not delivered any more once aclose() was called."""
    await judge_silence(bench, "aclose")


@check("T4")
async def no_signal_after_abort(bench: Bench) -> None:
    """A signal that has arrived is not delivered any more once abort() was called."""
    await judge_silence(bench, "abort")


@check("T4")
async def no_signal_overtakes_abort(bench: Bench) -> None:
    """A signal on its way to a waiting receive() is not delivered once abort() was called."""

    async def judge(count: int) -> bool:
        transport = await bench.opened()
        waiting = bench.start(transport, "receive")
        await pass_turns(WAITS)
        await bench.told(bench.peer.send, bench.peer.signals[0])
        await pass_turns(count)
        had_ended = waiting.done.is_set()
        bench.abort(transport)
        await bench.end(waiting)
        if waiting.returned and not had_ended:
            raise _delivered(transport, "abort", waiting)
        await bench.finish(transport)
        return had_ended

    await at_each_turn(judge)


async def judge_silence(bench: Bench, step: str) -> None:
    """What came before the closing and was not taken is not delivered after it."""
    transport = await bench.opened()
    first, second = bench.peer.signals[:2]
    await bench.told(bench.peer.send, first, second)
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
    await bench.call_for(transport, "receive", TransportLost, limit=bench.silence)
    if anyio.current_time() - began < bench.peer.heartbeat / 2:
        raise Breach(
            f"receive() gave the peer up after less than half of {bench.peer.heartbeat:g} s.",
            mend=f"{place_of_method(transport, 'receive')} must wait for the heartbeat.",
        )
    await bench.finish(transport)
    happened = "The peer fell silent; then aclose() was called."
    await bench.nothing_left(transport, happened, by=("aclose",))


@check("T5")
async def peer_that_falls_silent_after_a_signal_is_lost(bench: Bench) -> None:
    """A peer that falls silent after a signal is lost as well, and stays lost."""
    require_heartbeat(bench)
    transport, signal = await bench.opened(), bench.peer.signals[0]
    await bench.told(bench.peer.send, signal)
    await bench.receive(transport, signal)
    await judge_lost(bench, bench.start(transport, "receive"))


@check("T5")
async def peer_that_falls_silent_after_it_said_that_it_is_there_is_lost(bench: Bench) -> None:
    """A peer that said that it is there, and then nothing more, is lost, and stays lost."""
    require_heartbeat(bench)
    receiving = bench.start(await bench.opened(), "receive")
    await bench.told(bench.peer.show_life)
    await bench.soon(bench.peer.wait_until_answered, LAST_SECONDS)
    await judge_lost(bench, receiving)


async def judge_lost(bench: Bench, receiving: Operation) -> None:
    """The peer falls silent, and whoever waits is told of it; so is whoever asks again."""
    transport = receiving.transport
    bench.peer.fall_silent()
    await bench.end(receiving, bench.silence)
    if receiving.returned:
        raise Breach(
            f"receive() gave {receiving.result!r}, and the peer had fallen silent.",
            mend=f"{place_of_method(transport, 'receive')} must raise TransportLost here.",
        )
    bench.require(receiving, TransportLost)
    await end_of(bench, transport)
    await bench.finish(transport)


@check("T5")
async def silent_handshake_fails(bench: Bench) -> None:
    """A peer that falls silent in the handshake makes open() fail within the heartbeat."""
    require_heartbeat(bench)

    async def judge(opening: Operation) -> None:
        await judge_failed(bench, opening, "met with silence")

    await each_stalled_opening(bench, judge)


@check("T5")
async def quiet_but_living_peer_is_not_lost(bench: Bench) -> None:
    """A peer that says no more than that it is there is not lost, and its next signal comes."""
    require_heartbeat(bench)
    for _ in range(TRIES):
        transport = await bench.opened()
        receiving = bench.start(transport, "receive")
        if await outlasts_quiet(bench, receiving):
            signal = bench.peer.signals[0]
            await bench.told(bench.peer.send, signal)
            await bench.give(receiving, signal)
            await bench.finish(transport)
            return
        await bench.discard(transport)
    raise CannotDo(f"this machine is too busy for a heartbeat of {bench.peer.heartbeat:g} s")


async def outlasts_quiet(bench: Bench, receiving: Operation) -> bool:
    """Some heartbeats without a signal; False if the machine did not let the peer speak in time."""
    interval = bench.peer.heartbeat / SIGNS_OF_LIFE
    for _ in range(QUIET_HEARTBEATS * SIGNS_OF_LIFE):
        began = anyio.current_time()
        await bench.told(bench.peer.show_life)
        ended = await bench.soon(receiving.done.wait, interval)
        if anyio.current_time() - began > 2 * interval:
            return False
        if ended:
            raise _given_up(receiving, interval)
        if not await bench.soon(bench.peer.wait_until_answered, interval):
            if anyio.current_time() - began > bench.peer.heartbeat:
                return False
            raise Breach(
                f"The peer said that it is there, and had no answer after {2 * interval:.2g} s.",
                place=receiving.where(),
                mend=f"{place_of_method(receiving.transport, 'receive')} must answer it, or mend "
                "what the peer was told in answers=.",
            )
    return True


def _given_up(receiving: Operation, interval: float) -> Breach:
    """A wait for a signal ended, although there was none, and the peer was there."""
    how = f"gave {receiving.result!r}" if receiving.returned else f"raised {receiving.raised()}"
    return Breach(
        f"The peer said every {interval:.2g} s that it is there, and receive() {how}.",
        place=receiving.where(),
        mend=f"{place_of_method(receiving.transport, 'receive')} must wait on after any message, "
        "and give up only when none comes; or mend what the peer was told in alive=.",
    )


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
    await bench.told(bench.peer.send, first, second)
    await bench.told(bench.peer.hang_up)
    await bench.receive(transport, first, second)
    await end_of(bench, transport)
    await bench.finish(transport)


@check("T5")
async def signals_before_the_break_are_kept(bench: Bench) -> None:
    """Signals that were taken before the link breaks are followed by the end, and no other."""
    transport = await bench.opened()
    first, second = bench.peer.signals[:2]
    await bench.told(bench.peer.send, first, second)
    await bench.receive(transport, first, second)  # a reset may discard what was not read yet
    bench.peer.reset()
    await end_of(bench, transport)
    await bench.finish(transport)


# T7


@check("T7")
async def signal_in_halves_is_whole(bench: Bench) -> None:
    """A signal of which half comes first, and the rest a moment later, is one signal."""
    transport = await bench.opened()
    receiving = bench.start(transport, "receive")
    await bench.told(bench.peer.send_in_halves, bench.peer.signals[0])
    mend = (
        f"{place_of_method(transport, 'receive')} must put together what comes in several reads: "
        "a stream has no messages."
    )
    await bench.give(receiving, bench.peer.signals[0], mend)
    await bench.finish(transport)


@check("T7")
async def early_signals_are_kept(bench: Bench) -> None:
    """Signals that arrive while open() is still under way are kept for receive(), in order."""
    early = bench.peer.signals[:3]
    bench.peer.send_early(*early)
    transport = await bench.opened()
    await pass_turns(WAITS)
    mend = (
        f"{place_of_method(transport, 'open')} must keep what comes before it returns, in order, "
        f"and {place_of_method(transport, 'receive')} must give that first."
    )
    await bench.receive(transport, *early, mend=mend)
    await bench.finish(transport)
