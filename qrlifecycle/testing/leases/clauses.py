"""Clauses L1 to L9, as checks. A check's docstring is its fact.

It finds nothing, or raises `ClauseBroken`; `CannotDo` skips it.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from inspect import isawaitable

import anyio

from ...errors import LeaseHeld, LeaseLost, LeaseTakenOver
from ...leases.base import Leases
from ...policy import Policy
from ..contract.breaches import ClauseBroken
from ..contract.opening import ways
from ..contract.peer import CannotDo
from .machines import CLOSE_WITHIN, KEY, SECRET, Bench, Taking

__all__ = ["BODIES"]

Body = Callable[[Bench], Awaitable[None]]

BODIES: list[tuple[str, Body]] = []
"""Each check with its clause."""

CROWD = 6
"""So many take a lease over from each other, on both machines in turn."""

ROUNDS = 5

MOMENTS = 8
"""So many cancellations, each after twice as long as the one before."""

TO_CLOSE = Policy().close_timeout
"""Seconds that a lifecycle asks for, unless its policy says otherwise."""


def check(clause: str) -> Callable[[Body], Body]:
    """A decorator that lists a function as a check of this clause."""

    def add(body: Body) -> Body:
        BODIES.append((clause, body))
        return body

    return add


# L1


@check("L1")
async def a_free_lease_is_had_at_once(bench: Bench) -> None:
    """A lease that nobody holds is had at once, and has a token from then on."""
    for machine in (bench.two.first, bench.two.second):
        taking = await bench.take(machine)
        if not isinstance(taking.lease.token, int):
            raise ClauseBroken(
                "acquire() returned, and token is no whole number.", mend="Give out a token."
            )
        await give_back(bench, taking)


@check("L1")
async def a_held_lease_is_rejected(bench: Bench) -> None:
    """With when_held="reject", acquire() raises LeaseHeld, and the holder is told nothing."""
    holder = await bench.take(bench.two.first)
    for machine in (bench.two.second, bench.two.first):
        other = await bench.start(machine, "reject")
        await bench.raises(other, LeaseHeld, "The lease is held")
        if isinstance(other.error, LeaseTakenOver):
            raise ClauseBroken("It raised LeaseTakenOver.", mend="Nobody took anything over.")
    await bench.pause()
    if holder.losses:
        raise ClauseBroken("lost was called.", mend="Leave the holder alone.")


@check("L1")
async def a_cancellation_comes_out_of_acquire(bench: Bench) -> None:
    """A cancellation comes out of an acquire() that waits, which then claims nothing."""
    for native in ways():
        holder = await bench.take(bench.two.first)
        waiting = await bench.start(bench.two.second)
        await bench.is_lost(holder, "Somebody takes it over")
        waiting.cancel(natively=native)
        await bench.ended(waiting)
        if not isinstance(waiting.error, anyio.get_cancelled_exc_class()):
            way = "by Task.cancel()" if native else "by a cancel scope"
            raise ClauseBroken(
                f"acquire() was cancelled {way}, and the cancellation did not come out.",
                mend="Let it out.",
            )
        holder.release()
        await give_back(bench, await bench.take_when_free(bench.two.first))


@check("L1")
async def a_cancellation_in_the_middle_leaves_nothing(bench: Bench) -> None:
    """However far the acquire() of a free lease has come when it is cancelled, nothing is held."""
    for native in ways():
        for number in range(MOMENTS):
            taking = await bench.start(bench.two.first)
            await anyio.sleep(0.0005 * 2**number)
            taking.cancel(natively=native)
            await bench.ended(taking)
            if taking.held:
                taking.release()
            cancelled = "acquire() was cancelled in the middle"
            other = await bench.take_when_free(bench.two.second, cancelled)
            await give_back(bench, other)


# L2


@check("L2")
async def nobody_else_has_it_before_release(bench: Bench) -> None:
    """Whoever takes over waits until the holder has given the lease back, and has it then."""
    for other in (bench.two.second, bench.two.first):
        holder = await bench.take_when_free(bench.two.first)
        waiting = await bench.start(other)
        await bench.is_lost(holder, "Somebody takes it over")
        await bench.pause()
        if waiting.held:
            raise ClauseBroken(
                f"lost was called, release() was not, and acquire() on {waiting.name} returned.",
                mend="It must wait for release().",
            )
        holder.release()
        await bench.is_held(waiting, "It was given back")
        await give_back(bench, waiting)


@check("L2")
async def a_crowd_has_it_one_at_a_time(bench: Bench) -> None:
    """Of many that take it over from each other, on both machines, one has it at a time."""
    holding: list[Taking] = []
    most = 0

    async def hold(number: int) -> None:
        nonlocal most
        await anyio.sleep(0.01 * number)
        machine = bench.two.second if number % 2 else bench.two.first
        taking = await bench.start(machine)
        await bench.ended(taking)
        if taking.held:
            holding.append(taking)
            most = max(most, len(holding))
            with anyio.move_on_after(5 * CLOSE_WITHIN):
                await taking.lost.wait()
            await anyio.sleep(CLOSE_WITHIN / 5)
            holding.remove(taking)
        taking.release()

    async with anyio.create_task_group() as crowd:
        for number in range(CROWD):
            crowd.start_soon(hold, number)
    if most > 1:
        raise ClauseBroken(f"{most} had it at once.", mend="Grant it when nobody holds it.")
    if most == 0:
        raise ClauseBroken(
            f"None of them had it within {bench.limit:g} s.", mend="Grant it to the last one."
        )


# L3


@check("L3")
async def lost_is_called_once(bench: Bench) -> None:
    """However many take a lease over, its holder's lost is called once, in the event loop."""
    holder = await bench.take(bench.two.first)
    for machine in (bench.two.second, bench.two.first, bench.two.second):
        await bench.start(machine)
        await bench.is_lost(holder, "Somebody takes it over")
        await bench.pause()
    await bench.two.second.ask_to_leave(*KEY)
    await bench.pause()
    if len(holder.losses) != 1:
        raise ClauseBroken(f"lost was called {len(holder.losses)} times.", mend="Call it once.")
    if not isinstance(holder.losses[0], LeaseTakenOver):
        name = type(holder.losses[0]).__name__
        raise ClauseBroken(f"lost was told {name}.", mend="It must be LeaseTakenOver.")
    if holder.lost_in != [threading.get_ident()]:
        raise ClauseBroken("Another thread called lost.", mend="Call it in the event loop.")


@check("L3")
async def nothing_is_lost_after_release(bench: Bench) -> None:
    """After release() lost is not called, whoever takes the lease next."""
    gone = await bench.take(bench.two.first)
    gone.release()
    holder = await bench.take_when_free(bench.two.second)
    await bench.start(bench.two.first)
    await bench.is_lost(holder, "Somebody takes it over")
    await bench.pause()
    if gone.losses:
        raise ClauseBroken("It was called.", mend="Forget it in release().")


@check("L3")
async def whoever_is_asked_to_leave_is_told(bench: Bench) -> None:
    """ask_to_leave(), on either machine, has lost called with LeaseTakenOver; or says: nobody."""
    for machine in (bench.two.second, bench.two.first):
        holder = await bench.take_when_free(bench.two.first)
        if await machine.ask_to_leave(*KEY) is not True:
            raise ClauseBroken("It did not say that there is a holder.", mend="Say so.")
        await bench.is_lost(holder, "Its holder was asked to leave")
        if not isinstance(holder.losses[0], LeaseTakenOver):
            name = type(holder.losses[0]).__name__
            raise ClauseBroken(f"lost was told {name}.", mend="It must be LeaseTakenOver.")
        await give_back(bench, holder)
        if await machine.ask_to_leave(*KEY) is not False:
            raise ClauseBroken("It spoke of a holder when there was none.", mend="Say False.")


# L4


@check("L4")
async def a_holder_that_is_cut_off_is_told_in_time(bench: Bench) -> None:
    """A holder whose keeper cannot be reached is told so, close_within before another has it."""
    holder = await bench.take(bench.two.first, close_within=TO_CLOSE)
    ttl = await cut_off(bench)
    # Asked for again and again: whoever waits for it may sleep, and hide that lost came too late.
    other = await bench.take_when_free(
        bench.two.second, "Its holder is cut off", 2 * ttl + bench.limit
    )
    if not holder.losses:
        raise ClauseBroken(
            "Another one had it before lost was called.", mend="Call lost earlier, by a clock."
        )
    if not isinstance(holder.losses[0], LeaseLost):
        name = type(holder.losses[0]).__name__
        raise ClauseBroken(f"lost was told {name}.", mend="It must be LeaseLost.")
    room = (other.held_at or 0.0) - (holder.lost_at or 0.0)
    if room < TO_CLOSE:
        raise ClauseBroken(
            f"Another one had it {room:.3f} s after lost was called, and close_within was "
            f"{TO_CLOSE:g} s.",
            mend="Call lost earlier.",
        )


async def cut_off(bench: Bench) -> float:
    """Cut the first machine off; the seconds after which its holder is none."""
    two = bench.two
    if two.cut_off is None or two.ttl is None:
        raise CannotDo("the machines were given no ttl= and cut_off=, so no holder dies")
    answer = two.cut_off()
    if isawaitable(answer):
        await answer
    return two.ttl


# L5


@check("L5")
async def released_before_it_is_acquired(bench: Bench) -> None:
    """A lease that was released first holds nothing: acquire() raises LeaseLost."""
    lease = bench.two.first.lease(*KEY)
    early = Taking(lease, "the first machine")
    early.release()
    early.release()
    await early.run()
    await bench.raises(early, LeaseLost, "It was released before")
    await bench.take(bench.two.second, "reject")


@check("L5")
async def released_in_the_middle_of_acquire(bench: Bench) -> None:
    """release() ends an acquire() that waits, which then claims nothing."""
    holder = await bench.take(bench.two.first)
    waiting = await bench.start(bench.two.second)
    await bench.is_lost(holder, "Somebody takes it over")
    waiting.release()
    await bench.raises(waiting, LeaseLost, "It was released")
    holder.release()
    await bench.take_when_free(bench.two.first)


@check("L5")
async def released_while_cut_off(bench: Bench) -> None:
    """release() ends an acquire() that waits for a keeper that cannot be reached."""
    await cut_off(bench)
    waiting = await bench.start(bench.two.first)
    held = waiting.held  # some go on without the keeper
    waiting.release()
    if not held:
        await bench.raises(waiting, LeaseLost, "It was released")


@check("L5")
async def released_any_number_of_times(bench: Bench) -> None:
    """A release() that is repeated gives back nothing of whoever holds the lease by then."""
    gone = await bench.take(bench.two.first)
    gone.release()
    holder = await bench.take_when_free(bench.two.second)
    gone.release()
    await bench.pause()
    other = await bench.start(bench.two.first, "reject")
    await bench.raises(other, LeaseHeld, "Somebody else's lease was released once more")
    await give_back(bench, holder)


@check("L5")
async def had_again_at_once(bench: Bench) -> None:
    """Whoever gave a lease back has it again at once, where nobody else came."""
    for machine in (bench.two.first, bench.two.second):
        for _ in range(ROUNDS):
            taking = await bench.take_when_free(machine)
            taking.release()
            again = await bench.start(machine, "reject")
            await bench.is_held(again, "The same machine has just given it back")
            await give_back(bench, again)


# L6


@check("L6")
async def the_last_that_takes_over_gets_it(bench: Bench) -> None:
    """Of several that take a lease over the last one gets it; those before raise LeaseTakenOver."""
    holder = await bench.take(bench.two.first)
    earlier = await bench.start(bench.two.second)
    await bench.is_lost(holder, "Somebody takes it over")
    await bench.pause()
    machines = (bench.two.first, bench.two.second)
    for machine in machines:
        later = await bench.start(machine)
        await bench.raises(earlier, LeaseTakenOver, "Somebody came later")
        earlier = later
    holder.release()
    await bench.is_held(earlier, "It came last")


# L7


@check("L7")
async def a_dead_holder_is_none(bench: Bench) -> None:
    """When a holder died, another one has the lease after the time to live."""
    await bench.take(bench.two.first)
    ttl = await cut_off(bench)
    waiting = await bench.start(bench.two.second)
    # Who waits asks again every now and then: a quarter of the time more.
    await bench.is_held(waiting, "Its holder died", 1.25 * ttl + bench.limit)


# L8


@check("L8")
async def tokens_grow(bench: Bench) -> None:
    """Each holder's token is greater than that of the one before, and is what others find."""
    last: int | None = None
    for number in range(ROUNDS):
        machine = (bench.two.second, bench.two.first)[number % 2]
        taking = await bench.take_when_free(machine)
        token = taking.lease.token
        if token is None or (last is not None and token <= last):
            raise ClauseBroken(f"{token} came after {last}.", mend="Count upwards, for a key.")
        await is_found(bench, token)
        last = token
        await give_back(bench, taking)


async def is_found(bench: Bench, token: int) -> None:
    """Both machines find the holder, with this token."""
    for machine in (bench.two.first, bench.two.second):
        found = await machine.find_holder(*KEY)
        if found is None or found.token != token:
            raise ClauseBroken("find_holder() does not tell its token.", mend="Have it told.")


async def give_back(bench: Bench, taking: Taking) -> None:
    """Release, and see that both machines find nobody."""
    taking.release()
    for machine in (bench.two.first, bench.two.second):
        await finds_nobody(bench, machine)


async def finds_nobody(bench: Bench, machine: Leases) -> None:
    """Wait until nobody holds the lease as far as a machine knows.

    Raises:
        ClauseBroken: somebody does.
    """
    over = anyio.current_time() + bench.limit
    while await machine.find_holder(*KEY) is not None:
        if anyio.current_time() > over:
            raise ClauseBroken(
                "It was released, and find_holder() finds one.", mend="Give it back."
            )
        await anyio.sleep(bench.limit / 50)


# L9


@check("L9")
async def the_keeper_hears_no_secret(bench: Bench) -> None:
    """What stands behind lost, a code say, is not told to the keeper, nor to who asks it."""
    taking = await bench.take(bench.two.first)
    found = await bench.two.second.find_holder(*KEY)
    if SECRET in f"{found!r} {taking.lease!r} {bench.two.first!r}":
        raise ClauseBroken("A secret stands in a repr.", mend="Take it out.")
    if bench.two.heard is None:
        raise CannotDo("the machines were given no heard=, so nobody knows what the keeper hears")
    await give_back(bench, taking)
    if any(SECRET in text for text in bench.two.heard()):
        raise ClauseBroken("It was told one.", mend="Tell it keys, random ids and times.")
