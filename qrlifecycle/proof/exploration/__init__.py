"""Every order of events, on the real code, until there is nothing new.

In each situation that can be reached, with everybody waiting, every act is tried, and every ordered
pair of acts with the second before each step that the event loop takes after the first. It is one
long walk, which goes on from wherever a move has led to; so each situation is met again and again
in different ways, and must behave alike each time. A breach comes with a shortest schedule that
shows it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from ...errors import InvalidValue
from ...testing.acts import Act, Schedule, ScheduledAct
from ...testing.backends import check_backend
from ...testing.clock import jump, run_virtually
from ...testing.judge import Breach
from ..model import Situation
from .conformance import BEGINNING, Seen, stands
from .fingerprint import EPOCH
from .playing import NotCongruent, follow, make, on_stage, undisturbed
from .scene import Scene, World
from .worlds import WIDE_WORLDS, WORLDS

__all__ = [
    "WIDE_WORLDS",
    "WORLDS",
    "Exploration",
    "NotCongruent",
    "PromiseRefuted",
    "World",
    "explore",
    "replay",
]

LONGEST_WALK = 500
"""Moves after which a walk begins anew: the books of a scene grow with each."""


class PromiseRefuted(AssertionError):
    """A promise was broken.

    Attributes:
        breaches: what was seen.
        schedule: a shortest one that shows it.
        world: where.
        backend: on which event loop.
    """

    def __init__(
        self, breaches: list[Breach], schedule: Schedule, world: World, backend: str
    ) -> None:
        self.breaches = breaches
        self.schedule = schedule
        self.world = world
        self.backend = backend
        super().__init__(breaches, schedule, world, backend)

    def __str__(self) -> str:
        what = "\n".join(map(str, self.breaches))
        how = "\n".join(f"  {move}" for move in self.schedule.moves)
        known = self.world in (*WORLDS, *WIDE_WORLDS)
        world = repr(self.world.name) if known else repr(self.world)
        again = f"replay({str(self.schedule)!r}, {world}, backend={self.backend!r})"
        return f"{what}\n{how}\nTo see it again: {again}"


@dataclass(slots=True)
class ExploredSituation:
    """One of the situations in which everybody waits, and what has been tried in it."""

    number: int
    possible: tuple[Act, ...]
    untried: deque[ScheduledAct] = field(repr=False)
    modelled: frozenset[Situation] = field(repr=False)
    """Where the model can be."""
    leads_to: dict[ScheduledAct, ExploredSituation] = field(default_factory=dict, repr=False)
    neighbours: dict[int, ScheduledAct] = field(default_factory=dict, repr=False)
    """By the number of each situation next to this one, the first move that led there."""


@dataclass(slots=True)
class Exploration:
    """What was seen of a world.

    Attributes:
        situations: all that can be reached, in the order in which they were found.
        moves: how many different moves were tried in them.
        steps: how many were made altogether, with those on the way to one that was not yet tried.
        seen: rows that were taken, as (source, event), and reasons of ends.
        stood: where the lifecycle stood, in the model's words; see `conformance.Seen`.
        complete: whether there is nothing new any more.
    """

    world: World
    backend: str
    situations: list[ExploredSituation] = field(default_factory=list, repr=False)
    moves: int = 0
    steps: int = 0
    seen: set[object] = field(default_factory=set, repr=False)
    stood: set[Seen] = field(default_factory=set, repr=False)
    complete: bool = False

    def __str__(self) -> str:
        end = "complete" if self.complete else "not complete"
        return (
            f"{self.world.name!r} on {self.backend}: {len(self.situations):,} situations, "
            f"{self.moves:,} moves, {end}"
        )


def explore(
    world: World | str,
    *,
    backend: str = "asyncio",
    most: float = math.inf,
    progress: Callable[[Exploration], object] = lambda _exploration: None,
) -> Exploration:
    """Explore a world until every situation has been seen and every move has been tried.

    Args:
        world: what the lifecycle is put into, or the name of one of `WORLDS` and `WIDE_WORLDS`.
        backend: "asyncio" or "trio".
        most: how many different moves to try at most; if that ends it, it is not ``complete``.
        progress: told at the beginning, and after some hundred steps again and again. It is given
            what is given back at the end, as far as it has come.

    Raises:
        PromiseRefuted: with a shortest schedule that shows it.
        NotCongruent: the exploration itself is at fault, not the lifecycle.
        InvalidValue: no such world, or no such backend.
        MissingExtra: the backend is not installed.
    """
    check_backend(backend)
    exploration = Exploration(_world(world), backend)
    progress(exploration)
    with undisturbed():
        run_virtually(lambda: _Explorer(exploration, progress).explore(most), backend)
    return exploration


def replay(schedule: str | Schedule, world: World | str, *, backend: str = "asyncio") -> list[str]:
    """Play a schedule, as a `PromiseRefuted` prints it; the answer is what was seen, line by line.

    Args:
        schedule: what to play.
        world: where, or the name of one of `WORLDS` and `WIDE_WORLDS`.
        backend: "asyncio" or "trio".

    Raises:
        InvalidValue: this is no schedule, one of its acts cannot happen where it is to happen, or
            there is no such world or backend.
        MissingExtra: the backend is not installed.
    """
    check_backend(backend)
    schedule = schedule if isinstance(schedule, Schedule) else Schedule.parse(schedule)
    world = _world(world)
    seen: list[str] = []

    async def main() -> None:
        modelled = BEGINNING
        async with on_stage(world) as scene:
            for move in schedule.moves:
                if move.act is not Act.TICK and move.act not in scene.possible():
                    raise InvalidValue(f"'{move}' cannot happen there; before it: {seen}")
                unheard = scene.unheard
                try:
                    await make(scene, move)
                except NotCongruent:  # the schedule's fault: it need not be an exploration's
                    raise InvalidValue(
                        f"'{move}' cannot happen there: what races with '{move.act}' is impossible "
                        f"at its step, or that step is never taken; before it: {seen}"
                    ) from None
                modelled = follow(scene, modelled, move, unheard)
                seen.append(f"{move!s:<24} {move.act.meaning:<52} {scene}")
        seen.extend(map(str, scene.judge.breaches))

    with undisturbed():
        run_virtually(main, backend)
    return seen


def _world(named: World | str) -> World:
    """A world, which may be called by its name."""
    if isinstance(named, World):
        return named
    for world in (*WORLDS, *WIDE_WORLDS):
        if world.name == named:
            return world
    names = ", ".join(repr(world.name) for world in (*WORLDS, *WIDE_WORLDS))
    raise InvalidValue(f"there is no world called {named!r}; there are {names}")


class _Explorer:
    """Walks until nothing is untried."""

    def __init__(self, exploration: Exploration, progress: Callable[[Exploration], object]) -> None:
        self._exploration = exploration
        self._progress = progress
        self._known: dict[Hashable, ExploredSituation] = {}

    async def explore(self, most: float) -> None:
        """Walk again and again, until there is nothing new or there were so many moves."""
        jump(2 * EPOCH)
        exploration = self._exploration
        while not exploration.complete and exploration.moves < most:
            async with on_stage(exploration.world) as scene:
                await self._walk(scene, most)
            exploration.seen |= scene.judge.seen
            self._progress(exploration)

    async def _walk(self, scene: Scene, most: float) -> None:
        """Walk from the beginning, along what is untried, or the shortest way to it."""
        here = self._situation_of(scene)
        for _ in range(LONGEST_WALK):
            if self._exploration.moves >= most:
                return
            way = [] if here.untried else _way(here, lambda there: bool(there.untried))
            if way is None:
                self._exploration.complete = here.number == 0
                return
            for move in way:
                await make(scene, move, listing=False)
                scene.heard()
                here = here.leads_to[move]
            if way and self._situation_of(scene) is not here:
                raise NotCongruent(f"not where this leads otherwise: {Schedule(tuple(way))}")
            self._exploration.steps += len(way) + 1
            here = await self._try(scene, here, here.untried.popleft())

    async def _try(
        self, scene: Scene, here: ExploredSituation, move: ScheduledAct
    ) -> ExploredSituation:
        """Make a move that was not made before; the answer is where it leads."""
        exploration = self._exploration
        unheard = scene.unheard
        more = 1 + len(move.racing) < exploration.world.racing
        steps = await make(scene, move, listing=more)
        modelled = follow(scene, here.modelled, move, unheard)
        if scene.judge.breaches:
            raise self._breach(scene, here, move)
        there = here.leads_to[move] = self._situation_of(scene, modelled)
        here.neighbours.setdefault(there.number, move)
        exploration.moves += 1
        exploration.stood.add(stands(scene)._replace(leased=None))
        if more:
            here.untried.extend(_races(move, steps))
        return there

    def _situation_of(
        self, scene: Scene, modelled: frozenset[Situation] = BEGINNING
    ) -> ExploredSituation:
        """The situation in which the scene is; a new one if it was never seen."""
        fingerprint = scene.fingerprint()
        if (situation := self._known.get(fingerprint)) is None:
            possible = (*scene.possible(), Act.TICK)
            situation = ExploredSituation(
                len(self._known), possible, deque(map(ScheduledAct, possible)), modelled
            )
            self._known[fingerprint] = situation
            self._exploration.situations.append(situation)
        return situation

    def _shortest(self, situation: ExploredSituation) -> Schedule:
        way = _way(self._exploration.situations[0], lambda there: there is situation)
        assert way is not None
        return Schedule(tuple(way))

    def _breach(self, scene: Scene, here: ExploredSituation, move: ScheduledAct) -> PromiseRefuted:
        exploration = self._exploration
        schedule = self._shortest(here).then(move)
        return PromiseRefuted(
            scene.judge.breaches, schedule, exploration.world, exploration.backend
        )


def _races(move: ScheduledAct, steps: list[tuple[Act, ...]]) -> Iterator[ScheduledAct]:
    """The moves in which one act more races with those of a move that has been made."""
    for step, possible in enumerate(steps):
        for act in possible:
            yield ScheduledAct(move.act, (*move.racing, (step, act)))


def _way(
    start: ExploredSituation, wanted: Callable[[ExploredSituation], bool]
) -> list[ScheduledAct] | None:
    """A shortest way along moves that have been made; None if there is none."""
    came_from: dict[int, tuple[ExploredSituation, ScheduledAct] | None] = {start.number: None}
    frontier = deque([start])
    while frontier:
        here = frontier.popleft()
        if wanted(here):
            way = []
            while (step := came_from[here.number]) is not None:
                here, move = step
                way.append(move)
            return way[::-1]
        for number, move in here.neighbours.items():
            if number not in came_from:
                came_from[number] = (here, move)
                frontier.append(here.leads_to[move])
    return None
