"""Which jobs `qrlifecycle verify` does, and how they are dealt out to processes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Collection, Sequence

from ..exploration.worlds import WIDE_WORLDS, WORLDS
from .jobs import OURS, AnyJob, Contract, Explore, Properties

__all__ = ["OF_A_TRANSPORT", "PARTS", "is_named", "queues", "scheduled"]

PARTS: dict[str, type[AnyJob]] = {
    "exploration": Explore,
    "contract": Contract,
    "properties": Properties,
}

OF_A_TRANSPORT = ("contract", "properties")
"""The parts that say something of a transport; the exploration is our lifecycle's."""

MOST_PROCESSES = 4

PLANS, WIRE_PLANS = 300, 30
"""Plans over scripted transports, and over real sockets, where each takes real time."""

DEEPER = 20
"""Times as many plans in a deep verification."""


def scheduled(
    parts: Collection[str],
    backends: Collection[str],
    *,
    factory: str | None,
    seed: int,
    deep: bool,
) -> list[AnyJob]:
    """The jobs, the longest first.

    With a factory, what is random is tried over its peers only: whoever wrote a transport asks
    about that, and our lifecycle over scripted ones is the same as without it.

    Args:
        parts: names in `PARTS`.
        backends: the event loops, as anyio names them.
        factory: what makes a peer, as ``MODULE:FACTORY``; None for the one of our own transport.
        seed: draws the plans.
        deep: whether to explore wider worlds and to draw more plans.
    """
    own = factory or OURS
    times = DEEPER if deep else 1
    worlds = (*WORLDS, *WIDE_WORLDS) if deep else WORLDS
    jobs: list[AnyJob] = []
    for backend in dict.fromkeys(backends):
        if "exploration" in parts:
            jobs += [Explore(world, backend) for world in worlds]
        if "contract" in parts:
            jobs.append(Contract(own, backend))
        if "properties" in parts:
            jobs.append(Properties(own, backend, seed, WIRE_PLANS * times))
        if "properties" in parts and factory is None:
            jobs.append(Properties(None, backend, seed, PLANS * times))
            if deep:
                jobs.append(Properties(None, backend, seed, PLANS * times // 2, at_once=2))
    return sorted(jobs, key=lambda job: -job.length)


def queues(jobs: Sequence[AnyJob]) -> list[deque[AnyJob]]:
    """A queue for each process: one for jobs that mostly wait for sockets, the rest shared."""
    on_sockets = [job for job in jobs if getattr(job, "factory", None) is not None]
    others = deque(job for job in jobs if job not in on_sockets)
    count = min(os.cpu_count() or 1, MOST_PROCESSES, len(others))
    return [*([deque(on_sockets)] if on_sockets else []), *[others] * count]


def is_named(job: AnyJob, name: str) -> bool:
    """Whether a job belongs to a part, or runs on an event loop, of this name."""
    return job.backend == name or (name in PARTS and isinstance(job, PARTS[name]))
