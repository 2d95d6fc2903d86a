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
from ..model import Situation as ModelSituation
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
    steps: list[tuple[Act, ...]] = []
    due = deque(move.racing)
    impossible: list[Act] = []
    taken = 0

    def before_step() -> None:
        nonlocal taken
        while due and due[0][0] == taken:
            act = due.popleft()[1]
            if act in scene.possible():
                scene.do(act)
            else:
                impossible.append(act)
        taken += 1
        if listing:
            steps.append(() if due else scene.possible(refused=False))

    with before_each_step(before_step) if due or listing else nullcontext():
        if move.act is Act.TICK:
            taken = 1
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
    scene.look_at_reading()
    return steps


def follow(
    scene: Scene, modelled: frozenset[ModelSituation], move: ScheduledAct, unheard: tuple[Act, ...]
) -> frozenset[ModelSituation]:
    """Where the model can be after a move; a breach is noted if the real code is not there."""
    possible = may_be(modelled, move, unheard, blind=scene.blind)
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
