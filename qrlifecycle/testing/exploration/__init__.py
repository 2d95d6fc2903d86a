"""Every order of events, on the real code, until there is nothing new.

In each situation that can be reached, with everybody waiting, every act is tried, and every ordered
pair of acts with the second before each step that the event loop takes after the first. It is one
long walk, which goes on from wherever a move has led to; so each situation is met again and again
in different ways, and must behave alike each time. A breach comes with a shortest schedule that
shows it. This room must never know what an act does.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

import anyio

from ... import backoff
from ...errors import InvalidValue
from ...model import Situation as ModelSituation
from ..clock import before_each_step, jump, run_virtually, settle, tick
from ..judge import Breach
from .acts import Act, Move, Schedule
from .conformance import BEGINNING, Seen, conforms, may_be, stands
from .fingerprint import EPOCH
from .scene import Scene, World
from .worlds import WIDE_WORLDS, WORLDS

__all__ = ["Exploration", "PromiseBroken", "explore", "replay"]

LONGEST_WALK = 500
"""Moves after which a walk begins anew: the books of a scene grow with each."""


class PromiseBroken(AssertionError):
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


class NotCongruent(AssertionError):
    """Two situations counted as one and did not behave alike: the fingerprint misses something."""


@dataclass(slots=True)
class Situation:
    """One of the situations in which everybody waits, and what has been tried in it."""

    number: int
    possible: tuple[Act, ...]
    untried: deque[Move] = field(repr=False)
    modelled: frozenset[ModelSituation] = field(repr=False)
    """Where the model can be."""
    leads_to: dict[Move, Situation] = field(default_factory=dict, repr=False)
    neighbours: dict[int, Move] = field(default_factory=dict, repr=False)
    """By the number of each situation next to this one, the first move that led there."""


@dataclass(slots=True)
class Exploration:
    """What was seen of a world.

    Attributes:
        situations: all that can be reached, in the order in which they were found.
        moves: how many different moves were tried in them.
        steps: how many were made altogether.
        seen: rows that were taken, as (source, event), and reasons of ends.
        stood: where the lifecycle stood, in the model's words; see `conformance.Seen`.
        complete: whether there is nothing new any more.
    """

    world: World
    backend: str
    situations: list[Situation] = field(default_factory=list, repr=False)
    moves: int = 0
    steps: int = 0
    seen: set[object] = field(default_factory=set)
    stood: set[Seen] = field(default_factory=set, repr=False)
    complete: bool = False


def explore(
    world: World,
    *,
    backend: str = "asyncio",
    most: float = math.inf,
    progress: Callable[[Exploration], object] = lambda _exploration: None,
) -> Exploration:
    """Explore a world until every situation has been seen and every move has been tried.

    Args:
        world: what the lifecycle is put into.
        backend: "asyncio" or "trio".
        most: how many moves to make at most; if that ends it, it is not ``complete``.
        progress: told now and then.

    Raises:
        PromiseBroken: with a shortest schedule that shows it.
        NotCongruent: the fingerprint is at fault.
    """
    exploration = Exploration(world, backend)
    with _undisturbed():
        run_virtually(lambda: _Explorer(exploration, progress).explore(most), backend)
    return exploration


def replay(schedule: str | Schedule, world: World | str, *, backend: str = "asyncio") -> list[str]:
    """Play a schedule, as a `PromiseBroken` prints it; the answer is what was seen, line by line.

    Args:
        schedule: what to play.
        world: where, or the name of one of `WORLDS` and `WIDE_WORLDS`.
        backend: "asyncio" or "trio".

    Raises:
        ValueError: this is no schedule, one of its acts cannot happen where it is to happen, or
            there is no world of that name.
    """
    schedule = schedule if isinstance(schedule, Schedule) else Schedule.parse(schedule)
    world = _world_called(world) if isinstance(world, str) else world
    seen: list[str] = []

    async def main() -> None:
        modelled = BEGINNING
        async with _on_stage(world) as scene:
            for move in schedule.moves:
                if move.act is not Act.TICK and move.act not in scene.possible():
                    raise InvalidValue(f"'{move}' cannot happen there; before it: {seen}")
                unheard = scene.unheard
                await make(scene, move)
                modelled = _follow(scene, modelled, move, unheard)
                seen.append(f"{move!s:<24} {move.act.meaning:<52} {scene}")
        seen.extend(map(str, scene.judge.breaches))

    with _undisturbed():
        run_virtually(main, backend)
    return seen


async def make(scene: Scene, move: Move) -> list[tuple[Act, ...]]:
    """Make a move, and wait until everybody waits again.

    Returns:
        What else was possible before each step of the event loop that followed; nothing for those
        before the last of the racing acts.
    """
    steps: list[tuple[Act, ...]] = []
    due = deque(move.racing)
    impossible: list[Act] = []

    def before_step() -> None:
        while due and due[0][0] == len(steps):
            act = due.popleft()[1]
            if act in scene.possible():
                scene.do(act)
            else:
                impossible.append(act)
        steps.append(() if due else scene.possible(refused=False))

    with before_each_step(before_step):
        if move.act is Act.TICK:
            steps.append(())
            ended = scene.judge.scope is None
            if await tick() and ended:
                scene.judge.note(8, "a timer is left")
        else:
            scene.do(move.act)
            before_step()
            await settle()
    if impossible or due:
        raise NotCongruent(f"'{move}' cannot be made as it was when it was first thought of")
    return steps


def _follow(
    scene: Scene, modelled: frozenset[ModelSituation], move: Move, unheard: tuple[Act, ...]
) -> frozenset[ModelSituation]:
    """Where the model can be after a move; a breach is noted if the real code is not there."""
    modelled = conforms(may_be(modelled, move, unheard), scene)
    if not modelled:
        scene.judge.note(5, f"the model cannot be in {stands(scene)}")
    scene.heard()
    return modelled


def _world_called(name: str) -> World:
    for world in (*WORLDS, *WIDE_WORLDS):
        if world.name == name:
            return world
    raise InvalidValue(f"there is no world called {name!r}")


class _Explorer:
    """Walks until nothing is untried."""

    def __init__(self, exploration: Exploration, progress: Callable[[Exploration], object]) -> None:
        self._exploration = exploration
        self._progress = progress
        self._known: dict[Hashable, Situation] = {}

    async def explore(self, most: float) -> None:
        """Walk again and again, until there is nothing new or there were so many moves."""
        jump(2 * EPOCH)
        exploration = self._exploration
        while not exploration.complete and exploration.moves < most:
            async with _on_stage(exploration.world) as scene:
                await self._walk(scene)
            exploration.seen |= scene.judge.seen
            self._progress(exploration)

    async def _walk(self, scene: Scene) -> None:
        """Walk from the beginning, along what is untried, or the shortest way to it."""
        here = self._situation_of(scene)
        for _ in range(LONGEST_WALK):
            way = _way(here, lambda situation: bool(situation.untried))
            if way is None:
                self._exploration.complete = here.number == 0
                return
            for move in way:
                await make(scene, move)
                scene.heard()
                here = here.leads_to[move]
            if way and self._situation_of(scene) is not here:
                raise NotCongruent(f"not where this leads otherwise: {Schedule(tuple(way))}")
            self._exploration.steps += len(way) + 1
            here = await self._try(scene, here, here.untried.popleft())

    async def _try(self, scene: Scene, here: Situation, move: Move) -> Situation:
        """Make a move that was not made before; the answer is where it leads."""
        exploration = self._exploration
        unheard = scene.unheard
        steps = await make(scene, move)
        modelled = _follow(scene, here.modelled, move, unheard)
        if scene.judge.breaches:
            raise self._breach(scene, here, move)
        there = here.leads_to[move] = self._situation_of(scene, modelled)
        here.neighbours.setdefault(there.number, move)
        exploration.moves += 1
        exploration.stood.add(stands(scene))
        if 1 + len(move.racing) < exploration.world.racing:
            here.untried.extend(_races(move, steps))
        return there

    def _situation_of(
        self, scene: Scene, modelled: frozenset[ModelSituation] = BEGINNING
    ) -> Situation:
        """The situation in which the scene is; a new one if it was never seen."""
        fingerprint = scene.fingerprint()
        if (situation := self._known.get(fingerprint)) is None:
            possible = (*scene.possible(), Act.TICK)
            situation = Situation(len(self._known), possible, deque(map(Move, possible)), modelled)
            self._known[fingerprint] = situation
            self._exploration.situations.append(situation)
        return situation

    def _shortest(self, situation: Situation) -> Schedule:
        way = _way(self._exploration.situations[0], lambda there: there is situation)
        assert way is not None
        return Schedule(tuple(way))

    def _breach(self, scene: Scene, here: Situation, move: Move) -> PromiseBroken:
        exploration = self._exploration
        schedule = self._shortest(here).then(move)
        return PromiseBroken(scene.judge.breaches, schedule, exploration.world, exploration.backend)


def _races(move: Move, steps: list[tuple[Act, ...]]) -> Iterator[Move]:
    """The moves in which one act more races with those of a move that has been made."""
    for step, possible in enumerate(steps):
        for act in possible:
            yield Move(move.act, (*move.racing, (step, act)))


def _way(start: Situation, wanted: Callable[[Situation], bool]) -> list[Move] | None:
    """A shortest way along moves that have been made; None if there is none."""
    came_from: dict[int, tuple[Situation, Move] | None] = {start.number: None}
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


@asynccontextmanager
async def _on_stage(world: World) -> AsyncIterator[Scene]:
    """A scene, brought to a good end."""
    found: Exception | None = None
    async with anyio.create_task_group() as tasks:
        scene = Scene(world, tasks)
        try:
            yield scene
        except Exception as error:  # kept out of the group, which would wrap it
            found = error
        await scene.finish()
    if found is not None:
        raise found


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without a log, and without chance: waits are as long as they may be."""
    logger = logging.getLogger("qrlifecycle")
    with (
        patch.object(logger, "disabled", True),
        patch.object(backoff, "uniform", lambda _low, high: high),
    ):
        yield
