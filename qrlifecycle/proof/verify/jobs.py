"""What `qrlifecycle verify` does: explorations, the contract, and properties, as jobs.

A job can be pickled, and done in another process; its findings can be sent back.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from ...errors import UnsupportedBackend
from ...testing.acts import Act
from ...testing.clock import VirtualClockEventLoop
from ...testing.contract import CLAUSES, checks
from ...testing.contract.check import LIMIT, PeerFactory
from ...testing.contract.smoke import smoke_test
from ...testing.judge import Breach
from ...testing.plans import Plan
from ...testing.run_plan import run_plan, run_plans_together
from ..exploration import Exploration, PromiseRefuted, explore
from ..exploration.conformance import Seen
from ..exploration.scene import World
from .factories import error_with_place, peer_factory
from .work import Work

__all__ = ["OURS", "AnyJob", "Contract", "Explore", "Findings", "Properties"]

OURS = "qrlifecycle.testing:socketio_peer"
"""The factory of our own transport's peer."""


@dataclass(frozen=True)
class Findings:
    """What a job found.

    Attributes:
        broken: promises and clauses, as "promise 3" or "T1"; nothing if the job itself failed.
        counterexample: how to reproduce it; empty if nothing broke.
        alike: what is equal in two counterexamples of the same fault.
        failure: why the job did not finish, which refutes nothing.
        skipped: why it cannot be done here.
        counts: how many situations, moves, plans and checks of each clause there were.
        complete: whether a world was explored to its end.
        seen: rows that were taken, and ends.
        visited: the situations of the lifecycle, as the model describes them.
        notes: further lines to print.
    """

    broken: frozenset[str] = frozenset()
    counterexample: str = ""
    alike: str = ""
    failure: str = ""
    skipped: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    complete: bool = False
    seen: frozenset[object] = frozenset()
    visited: frozenset[Seen] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def checked(self) -> bool:
        """Whether anything was tested."""
        return any(self.counts[what] for what in ("moves", "plans", *CLAUSES))


class _Work(Work[Findings]):
    def undone(self, why: str) -> Findings:
        """The findings if it could not be done to its end."""
        return Findings(failure=why)

    def skipped(self, why: str) -> Findings:
        """The findings if it cannot be done here."""
        return Findings(skipped=why)


@dataclass(frozen=True)
class Explore(_Work):
    """One world, on one event loop."""

    world: World
    backend: str

    def __str__(self) -> str:
        return f"exploration of '{self.world.name}' on {self.backend}"

    @property
    def length(self) -> float:
        """About how long it takes, compared with others."""
        acts = len(frozenset(Act) - self.world.without)
        return float(acts**self.world.racing * (2 if self.world.status else 1))

    def work(self, report: Callable[[str], object]) -> Findings:
        """Explore."""
        explored: list[Exploration] = []

        def progress(exploration: Exploration) -> None:
            explored[:] = [exploration]
            report(f"{len(exploration.situations):,} situations, {exploration.moves:,} moves")

        broken, counterexample, alike = frozenset[str](), "", ""
        try:
            explore(self.world, backend=self.backend, progress=progress)
        except PromiseRefuted as error:
            broken = frozenset(f"promise {breach.promise}" for breach in error.breaches)
            counterexample = str(error)
            alike = f"{[*map(str, error.breaches)]} {error.schedule}"
        (seen,) = explored
        return Findings(
            broken,
            counterexample,
            alike,
            counts=Counter(situations=len(seen.situations), moves=seen.moves),
            complete=seen.complete,
            seen=frozenset(seen.seen),
            visited=frozenset(seen.stood),
        )


@dataclass(frozen=True)
class Contract(_Work):
    """Every check of the contract, for the transports of a factory's peers."""

    factory: str
    backend: str

    length = math.inf

    def __str__(self) -> str:
        return f"contract of {self.factory} on {self.backend}"

    def work(self, report: Callable[[str], object]) -> Findings:
        """Make the checks."""
        factory = peer_factory(self.factory)
        anyio.run(smoke_test, factory, backend=self.backend)
        return anyio.run(self._check, factory, report, backend=self.backend)

    async def _check(self, factory: PeerFactory, report: Callable[[str], object]) -> Findings:
        counts: Counter[str] = Counter()
        failures, notes, failure = [], [], ""
        for check in checks():
            report(check.name)
            try:
                result = await check.run(factory, limit=LIMIT)
            except (UnsupportedBackend, KeyboardInterrupt, anyio.get_cancelled_exc_class()):
                raise
            except BaseException as error:  # the other checks would raise it, too
                failure = f"{check}: {error_with_place(error)}"
                break
            if result.unfinished is not None:  # the others may be finished all the same
                failure = failure or f"{check}: {result.unfinished}"
            elif result.skipped is not None:
                counts[f"{check.clause} skipped"] += 1
                notes.append(f"{check}, on {self.backend}: {result.skipped}")
            else:
                counts[check.clause] += 1
            if result.failure is not None:
                failures.append(result.failure)
        broken = frozenset(broken.clause for broken in failures)
        text = "\n".join(map(str, failures))
        return Findings(broken, text, failure=failure, counts=counts, notes=tuple(notes))


@dataclass(frozen=True)
class Properties(_Work):
    """Plans that Hypothesis draws, over scripted transports or those of a factory's peers."""

    factory: str | None
    backend: str
    seed: int
    plans: int
    at_once: int = 1
    """Lifecycles in one event loop; more than one only over scripted transports."""

    def __str__(self) -> str:
        several = f" of {self.at_once} lifecycles at once" if self.at_once > 1 else ""
        return f"properties{several} over {self.factory or 'scripted transports'} on {self.backend}"

    @property
    def length(self) -> float:
        """About how long it takes, compared with others."""
        return self.plans if self.factory is None else math.inf

    def work(self, report: Callable[[str], object]) -> Findings:
        """Perform plan after plan."""
        from hypothesis import HealthCheck, Phase, given, seed, settings
        from hypothesis.strategies import tuples

        from ...testing.strategies import plans

        factory = None if self.factory is None else peer_factory(self.factory)
        if factory is not None:
            anyio.run(smoke_test, factory, backend=self.backend)
        performed = 0
        broken: list[Findings] = []

        def holds(together: tuple[Plan, ...]) -> None:
            nonlocal performed
            performed += len(together)
            report(f"{performed:,} plans")
            if (found := self._perform(together, factory)) is not None:
                broken.append(found)
                raise AssertionError

        test = settings(
            max_examples=self.plans,
            deadline=None,
            database=None,  # what is drawn must follow from the seed alone
            print_blob=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            phases=[Phase.generate, Phase.shrink] if factory is None else [Phase.generate],
        )(given(together=tuples(*[plans()] * self.at_once))(holds))
        try:
            seed(self.seed)(test)()
        except (Exception, BaseExceptionGroup):
            if not broken:
                raise
            return replace(broken[-1], counts=Counter(plans=performed))
        return Findings(counts=Counter(plans=performed))

    def _perform(self, together: tuple[Plan, ...], factory: PeerFactory | None) -> Findings | None:
        """What plans broke that were performed at once, if anything."""
        breaches: list[Breach] = []
        peer = "" if self.factory is None else f", {self.factory.rpartition(':')[2]}"
        again = f"run_plan({together[0]!r}{peer})"
        if self.at_once > 1:
            again = f"run_plans_together({together!r})"

        async def main() -> None:
            if self.at_once > 1:
                judges = await run_plans_together(together)
            else:
                judges = [await run_plan(together[0], factory)]
            breaches.extend(breach for judge in judges for breach in judge.breaches)

        options = {} if factory is not None else _virtual(self.backend)
        anyio.run(main, backend=self.backend, backend_options=options)
        if not breaches:
            return None
        texts = "\n".join(dict.fromkeys(map(str, breaches)))
        broken = frozenset(f"promise {breach.promise}" for breach in breaches)
        return Findings(broken, f"{texts}\nTo see it again: await {again}")


def _virtual(backend: str) -> dict[str, Any]:
    """The options of an event loop on a virtual clock."""
    if backend == "asyncio":
        return {"loop_factory": VirtualClockEventLoop}
    from trio.testing import MockClock

    return {"clock": MockClock(autojump_threshold=0)}


AnyJob = Explore | Contract | Properties
