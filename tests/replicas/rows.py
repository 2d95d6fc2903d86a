"""The rows: each plays one thing with real processes, and says what it demands."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import anyio

from .processes import Told
from .records import Overlaps
from .stage import Settings, Stage, clock, stage

__all__ = ["ROWS", "Demand", "Result", "play"]

LATE = 2.0
"""Seconds that a process of a busy machine may be late; demands of time allow for it."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a row demands, and whether it was met."""

    what: str
    met: bool
    of_time: bool = False
    """Whether a machine that is busy enough misses it."""


@dataclass(slots=True)
class Result:
    """What came of a row."""

    row: str
    figures: list[str] = field(default_factory=list)
    demands: list[Demand] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """All of it."""
        return all(demand.met for demand in self.demands)

    def demand(self, what: str, met: bool, *, of_time: bool = False) -> None:
        """One more."""
        self.demands.append(Demand(what, met, of_time))

    def never_two(self, found: Overlaps) -> None:
        """The demand of most rows."""
        late = f" ({found.late} by the judge's lateness)" if found.late else ""
        self.figures.append(f"overlaps {found.true}{late}")
        self.demand("never two sockets for a user", found.true == 0)


Row = Callable[[Settings, Result], Awaitable[None]]


async def take_over(settings: Settings, result: Result) -> None:
    """Replicas take a user over from each other, in turn."""
    async with stage(settings) as on:
        replicas = await on.start_many(settings.processes)
        turns, took = settings.users // 10, []
        for turn in range(turns):
            replica = replicas[turn % len(replicas)]
            heard, asked = len(replica.said), clock()
            await replica.tell(pair=["user"], within=0)
            took.append((await replica.first("shown", since=heard))["at"] - asked)
        await on.until_open(1)
        result.figures.append(f"{turns} times, from the order to the code {_spread(took, 1e3)} ms")
        sockets = sorted(await on.sockets(), key=lambda one: one.opened)
        gaps = [two.opened - (one.closed or 0) for one, two in zip(sockets, sockets[1:])]  # noqa: B905, RUF007
        result.figures.append(f"closed to open at the judge {_spread(gaps, 1e3)} ms")
        ended = [end["reason"] for one in replicas for end in one.all("ended")]
        result.demand("whoever is taken over ends so", ended == ["superseded"] * (turns - 1))
        tokens = [one.token for one in sockets]
        result.demand("tokens grow", tokens == sorted(set(tokens)))
        result.never_two(await on.overlaps())


async def ask_to_leave(settings: Settings, result: Result) -> None:
    """A user is asked to leave, from another replica."""
    async with stage(settings) as on:
        holder, other = await on.start_many(2)
        await holder.tell(pair=["user"], within=0)
        await holder.first("shown")
        asked = clock()
        await other.tell(leave="user")
        end = await holder.first("ended")
        result.figures.append(f"asked to ended {(end['at'] - asked) * 1e3:.1f} ms")
        result.demand("there was somebody to ask", (await other.first("told"))["asked"])
        result.demand("it ends as taken over", end["reason"] == "superseded")
        await on.until_open(0)
        result.never_two(await on.overlaps())


async def killed(settings: Settings, result: Result) -> None:
    """The holder is killed (kill -9), and another wants all its users."""
    async with stage(settings) as on:
        holder, other = await _one_holds(on)
        holder.kill()
        assert holder.killed is not None
        opened = await _all_shown(on, other)
        waited = [at - holder.killed for at in opened]
        result.figures.append(f"opened elsewhere after {_range(waited)} s")
        result.demand(
            "within ttl and a quarter of it", max(waited) <= settings.ttl * 1.25 + LATE,
            of_time=True,
        )  # fmt: skip
        await on.until_open(len(settings.few))
        result.never_two(await on.overlaps())


async def frozen(settings: Settings, result: Result) -> None:
    """The holder is stopped (SIGSTOP) for longer than ttl; the server does not fence."""
    await _freeze(settings, result, fences=False)


async def fenced(settings: Settings, result: Result) -> None:
    """The same, and the server closes the smaller token."""
    await _freeze(settings, result, fences=True)


async def _freeze(settings: Settings, result: Result, *, fences: bool) -> None:
    async with stage(settings, fences=fences) as on:
        holder, other = await _one_holds(on)
        holder.freeze()
        at = clock()
        waited = [shown - at for shown in await _all_shown(on, other)]
        await anyio.sleep(max(0.0, at + settings.ttl * 1.25 + LATE - clock()))
        thawed = clock()
        holder.thaw()
        few = len(settings.few)
        await holder.until(lambda: holder.counts["ended"] == few)
        ends = holder.all("ended")
        await on.until_open(few)
        found = await on.overlaps()
        closed = [one["at"] - thawed for one in holder.all("gone")]
        result.figures.append(f"opened elsewhere after {_range(waited)} s")
        result.figures.append(f"the old ones closed {_range(closed, 1e3)} ms after it went on")
        result.demand("the old ones are lost", all(e["reason"] in LOST for e in ends))
        if fences:
            shut = sum(one.fenced for one in await on.sockets())
            result.figures.append(f"{shut} closed by the server")
            result.never_two(found)
        else:
            result.figures.append(f"overlaps {found.true}, the longest {found.longest:.1f} s")
            result.demand("two sockets, as A3 says", found.true == few)


LOST = {"lease_lost", "superseded"}


async def restarted(settings: Settings, result: Result) -> None:
    """Redis is killed and comes back empty; half of what is held is taken over meanwhile."""
    async with stage(settings) as on:
        holder, other = await _one_holds(on)
        on.redis.kill()
        half = settings.few[: len(settings.few) // 2]
        await other.tell(pair=half, within=0)
        await anyio.sleep(0.5)
        on.redis.start()
        back = clock()
        shown = await _all_shown(on, other, half)
        await holder.until(lambda: holder.counts["ended"] >= len(half))
        await on.until_open(len(settings.few))
        reasons = [one["reason"] for one in holder.all("ended")]
        result.figures.append(
            f"taken over {_range([at - back for at in shown])} s after its return"
        )
        result.demand("what is held stays", reasons == ["superseded"] * len(half))
        result.demand("nothing is granted for one ttl", min(shown) - back >= settings.ttl)
        result.never_two(await on.overlaps())


async def paused_for_long(settings: Settings, result: Result) -> None:
    """Redis is stopped for half as long again as ttl."""
    async with stage(settings) as on:
        holder, other = await _one_holds(on)
        few = len(settings.few)
        on.redis.pause()
        at = clock()
        await other.tell(pair=settings.few, within=0)
        await holder.until(lambda: holder.counts["ended"] == few)
        await anyio.sleep(max(0.0, at + settings.ttl * 1.5 - clock()))
        on.redis.resume()
        back = clock()
        shown = await _all_shown(on, other, ())
        ends = holder.all("ended")
        result.figures.append(f"all closed after {_range([e['at'] - at for e in ends])} s")
        result.figures.append(f"others open {_range([s - back for s in shown])} s after its return")
        result.demand("the old ones are lost", all(e["reason"] == "lease_lost" for e in ends))
        result.demand(
            "before ttl is over", max(e["at"] for e in ends) - at <= settings.ttl, of_time=True
        )
        await on.until_open(few)
        result.never_two(await on.overlaps())


async def paused(settings: Settings, result: Result) -> None:
    """Redis is stopped for a fifth of ttl, and half of what is held is wanted elsewhere meanwhile.

    Whoever renewed just before it may hold for longer than that, also on a machine that is late.
    """
    async with stage(settings) as on:
        holder, other = await _one_holds(on)
        half = settings.few[: len(settings.few) // 2]
        on.redis.pause()
        await other.tell(pair=half, within=0)
        await anyio.sleep(settings.ttl / 5)
        closed = holder.counts["ended"]
        on.redis.resume()
        back = clock()
        shown = await _all_shown(on, other, half)
        await on.until_open(len(settings.few))
        reasons = {one["reason"] for one in holder.all("ended")}
        result.figures.append(
            f"taken over {_range([at - back for at in shown])} s after its return"
        )
        result.demand("nothing closes meanwhile", closed == 0)
        result.demand("nothing is lost", reasons == {"superseded"})
        result.never_two(await on.overlaps())


async def cut_off(settings: Settings, result: Result) -> None:
    """The holder is cut off from Redis (a stopped proxy), and another wants all its users."""
    async with stage(settings) as on:
        proxy = await on.proxy()
        holder = await on.start("holder", proxy.said[0]["port"])
        other = await on.start("other")
        await _all_shown(on, holder)
        proxy.freeze()
        at = clock()
        shown = await _all_shown(on, other)
        ends = holder.all("ended")
        few = len(settings.few)
        result.figures.append(f"old ones closed after {_range([e['at'] - at for e in ends])} s")
        result.figures.append(f"others opened after {_range([s - at for s in shown])} s")
        result.demand("all old ones closed before", len(ends) == few)
        result.demand("they are lost", all(e["reason"] == "lease_lost" for e in ends))
        await on.until_open(few)
        result.never_two(await on.overlaps())


async def keeps(settings: Settings, result: Result) -> None:
    """With ``when_away="keep"`` Redis is gone for a ttl and all wanted twice, until it is back."""
    async with stage(settings) as on:
        few = len(settings.few)
        holder = await on.start("holder", when_away="keep")
        other = await on.start("other", when_away="keep")
        await _all_shown(on, holder)
        on.redis.kill()
        await anyio.sleep(settings.ttl * 1.2)
        closed = holder.counts["ended"]
        await _all_shown(on, other)
        await on.until_open(2 * few)
        on.redis.start()
        back = clock()
        await on.until_open(few)
        result.figures.append(f"{few} users had two while it was away")
        result.figures.append(f"one each {clock() - back:.1f} s after its return")
        users = {one.user for one in await on.still_open()}
        reasons = {e["reason"] for one in (holder, other) for e in one.all("ended")}
        result.demand("what is held stays", closed == 0)
        result.demand("one each is left in the end", len(users) == few)
        result.demand("the others end as taken over", reasons <= {"superseded", "conflict"})


async def crowd(settings: Settings, result: Result) -> None:
    """Each process wants each user once within 20 s."""
    async with stage(settings) as on:
        replicas = await on.start_many(settings.processes, ttl=15.0)
        on.redis.admin.config_resetstat()
        began, users = clock(), settings.crowd
        async with anyio.create_task_group() as tasks:
            for one in replicas:
                tasks.start_soon(_order, one, users, 20.0)
        asked = len(users) * len(replicas)
        with anyio.fail_after(300):
            while _ended(replicas) < asked - len(users):  # noqa: ASYNC110 - several are heard
                await anyio.sleep(0.1)
        took = clock() - began
        await on.until_open(len(users))
        sockets = await on.sockets()
        reasons = [e["reason"] for one in replicas for e in one.all("ended")]
        calls = sum(_calls(on.redis.admin.info("commandstats")))
        result.figures.append(
            f"{asked:,} attempts, {len(sockets):,} sockets, done after {took:.0f} s, "
            f"{calls / asked:.1f} scripts an attempt"
        )
        open_for = {one.user for one in sockets if one.closed is None}
        result.demand("one open for each user", open_for == set(users))
        result.demand("all others are taken over", set(reasons) == {"superseded"})
        result.never_two(await on.overlaps())


def _ended(replicas: Iterable[Told]) -> int:
    return sum(one.counts["ended"] for one in replicas)


def _calls(said: Mapping[str, Mapping[str, int]]) -> Iterable[int]:
    return (said[one]["calls"] for one in ("cmdstat_evalsha", "cmdstat_eval") if one in said)


async def _order(replica: Told, users: Iterable[str], within: float) -> None:
    await replica.tell(pair=list(users), within=within)


async def _one_holds(on: Stage) -> tuple[Told, Told]:
    """Two replicas, of which the first holds every user."""
    holder, other = await on.start("holder"), await on.start("other")
    await _all_shown(on, holder)
    return holder, other


async def _all_shown(on: Stage, by: Told, users: Iterable[str] | None = None) -> list[float]:
    """Have a replica want users, all unless said; when each was shown.

    None of them, or those that it wants already, are waited for alone.
    """
    asked = {one["user"] for one in by.all("asked")}
    wanted = on.settings.few if users is None else list(users)
    if new := [user for user in wanted if user not in asked]:
        await by.tell(pair=new, within=0)
    count = len(wanted) or len(on.settings.few)
    await by.until(lambda: by.counts["shown"] >= count)
    return [one["at"] for one in by.all("shown")]


def _range(seconds: Iterable[float], times: float = 1.0) -> str:
    """From the least to the greatest."""
    values = sorted(one * times for one in seconds)
    low, high = values[0], values[-1]
    return f"{low:.2f} to {high:.2f}" if times == 1.0 else f"{low:.0f} to {high:.0f}"


def _spread(seconds: Iterable[float], times: float) -> str:
    """Median and p95."""
    values = sorted(one * times for one in seconds)
    high = values[min(len(values) - 1, int(len(values) * 0.95))]
    return f"{statistics.median(values):.1f}, p95 {high:.1f}"


ROWS: Mapping[str, Row] = {
    "take_over": take_over,
    "ask_to_leave": ask_to_leave,
    "killed": killed,
    "frozen": frozen,
    "fenced": fenced,
    "restarted": restarted,
    "paused": paused,
    "paused_for_long": paused_for_long,
    "cut_off": cut_off,
    "keeps": keeps,
    "crowd": crowd,
}


async def play(name: str, settings: Settings) -> Result:
    """One row."""
    result = Result(name)
    try:
        await ROWS[name](settings, result)
    except* TimeoutError:
        result.demand("it comes to an end", met=False)
    return result
