"""Playing a move on the real code, with the model beside it.

A move is made between two moments in which everybody waits; where the code stands afterwards must
be where the model can be.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from unittest.mock import patch

import anyio

from ...engine import backoff
from ...testing.acts import Act, ScheduledAct
from ...testing.clock import before_each_step, settle, tick
from ..model import Situation
from .conformance import conforms, differs, may_be
from .scene import Scene, World

__all__ = ["NotCongruent", "follow", "make", "on_stage", "undisturbed"]


class NotCongruent(AssertionError):
    """Two situations counted as one and did not behave alike: the fingerprint misses something.

    It says nothing of the lifecycle: the exploration itself is at fault.
    """


async def make(scene: Scene, move: ScheduledAct, *, listing: bool = True) -> list[tuple[Act, ...]]:
    """Make a move, and wait until everybody waits again.

    Args:
        scene: where.
        move: what to do.
        listing: whether to find out what else was possible.

    Returns:
        What else was possible before each step of the event loop that followed; nothing for those
        before the last of the racing acts.
    """
    steps = _Steps(scene, move, listing=listing)
    with before_each_step(steps.before_step) if steps.due or listing else nullcontext():
        if move.act is Act.TICK:
            steps.skip_one()
            ended = scene.judge.scope is None
            if await tick() and ended:
                scene.judge.note(8, "a timer is left")
        else:
            scene.do(move.act)
            steps.before_step()
            await settle()
    if steps.impossible or steps.due:
        raise NotCongruent(f"'{move}' cannot be made as it was when it was first thought of")
    scene.look_at_reading()
    return steps.possible


class _Steps:
    """The steps of the event loop that follow a move, and what races with it before each."""

    def __init__(self, scene: Scene, move: ScheduledAct, *, listing: bool) -> None:
        self.due = deque(move.racing)
        """The racing acts that are still to be done, each with the step before which it is."""
        self.impossible: list[Act] = []
        """Those of them that could not be done by then."""
        self.possible: list[tuple[Act, ...]] = []
        """What else could be done before each step, if that is listed."""
        self._scene = scene
        self._listing = listing
        self._taken = 0

    def before_step(self) -> None:
        """Do what is due before this step, and list what else is possible."""
        while self.due and self.due[0][0] == self._taken:
            act = self.due.popleft()[1]
            if act in self._scene.possible():
                self._scene.do(act)
            else:
                self.impossible.append(act)
        self._taken += 1
        if self._listing:
            self.possible.append(() if self.due else self._scene.possible(refused=False))

    def skip_one(self) -> None:
        """Before the first step, which is the clock's, nothing races."""
        self._taken = 1
        self.possible.append(())


def follow(
    scene: Scene, modelled: frozenset[Situation], move: ScheduledAct, unheard: tuple[Act, ...]
) -> frozenset[Situation]:
    """Where the model can be after a move; a breach is noted if the real code is not there."""
    possible = may_be(modelled, move, unheard, blind=scene.blind, unaided=scene.unaided)
    modelled = conforms(possible, scene)
    if not modelled:
        scene.judge.note(5, differs(possible, scene))
    scene.heard()
    return modelled


@asynccontextmanager
async def on_stage(world: World) -> AsyncIterator[Scene]:
    """A scene, brought to a good end."""
    found: Exception | None = None
    async with anyio.create_task_group() as tasks:
        scene = Scene(world, tasks)
        # On asyncio, anyio calls once more for the group of the scene before, which was cancelled:
        # a step that would count as one of this scene's first move, and of no other's.
        await settle()
        try:
            yield scene
        except Exception as error:  # kept out of the group, which would wrap it
            found = error
        await scene.finish()
    if found is not None:
        raise found


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without a log, and without chance: waits are as long as they may be."""
    logger = logging.getLogger("qrlifecycle")
    with (
        patch.object(logger, "disabled", True),
        patch.object(backoff, "uniform", lambda _low, high: high),
    ):
        yield
