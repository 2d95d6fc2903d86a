"""What `qrlifecycle verify` does: explorations, the contract, and properties, as jobs.

A job can be pickled, and done in another process; what it found can be sent back. This room must
never know how jobs are dealt out, nor how what they found is told.
"""

from __future__ import annotations

import importlib
import math
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, cast

import anyio

from ..errors import InvalidValue, MissingExtra, PeerError, UnsupportedBackend
from ..outcome import Connected, Reason
from ..states import State
from ..table import single_rows
from ..testing.clock import VirtualClockEventLoop
from ..testing.contract import checks
from ..testing.contract.check import LIMIT, PeerFactory
from ..testing.exploration import Exploration, PromiseBroken, explore
from ..testing.exploration.acts import Act
from ..testing.exploration.scene import World
from ..testing.judge import Breach
from ..testing.performance import perform, perform_together
from ..testing.plans import Plan

__all__ = [
    "BEARS",
    "OURS",
    "PROMISES",
    "Contract",
    "Explore",
    "Findings",
    "Properties",
    "is_there",
    "missing",
    "never_seen",
    "peer_factory",
]

OURS = "qrlifecycle.testing:socketio_peer"
"""The factory of our own transport's peer."""

PROMISES = {
    1: "exclusion",
    2: "prompt leaving",
    3: "one socket",
    4: "no lost success",
    5: "cancellation",
    6: "secrets",
    7: "hostile input",
    8: "nothing left behind",
}

BEARS = {
    1: ("T2",),
    2: ("T2", "T4"),
    3: ("T1", "T2", "T3"),
    4: ("T4", "T7"),
    5: ("T1", "T3"),
    6: (),
    7: ("T5", "T6"),
    8: ("T1", "T2"),
}
"""The clauses that a promise rests on."""


@dataclass(frozen=True)
class Findings:
    """What a job found.

    Attributes:
        broken: promises and clauses, as "promise 3" or "T1"; nothing if the job itself failed.
        counterexample: how to see it; empty if nothing broke.
        skipped: why the job was not done.
        counts: how many of what were seen or made.
        complete: whether a world was explored to its end.
        seen: rows that were taken, and ends.
        notes: more to be said, line by line.
    """

    broken: frozenset[str] = frozenset()
    counterexample: str = ""
    skipped: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    complete: bool = False
    seen: frozenset[object] = frozenset()
    notes: tuple[str, ...] = ()


class _Work:
    """What all jobs share: whatever goes wrong with one is found, too."""

    def __call__(self, tell: Callable[[str], object]) -> Findings:
        """Do it."""
        try:
            return self.work(tell)
        except UnsupportedBackend as error:
            return Findings(skipped=str(error))
        except (Exception, BaseExceptionGroup) as error:
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            return Findings(counterexample=f"{self} could not be done: {text}")

    def ended(self) -> Findings:
        """What is to be said if the process that did it is gone."""
        return Findings(counterexample=f"{self} could not be done: its process ended")

    def work(self, tell: Callable[[str], object]) -> Findings:
        """Do it, and raise what goes wrong."""
        raise NotImplementedError


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
        return float(len(frozenset(Act) - self.world.without) ** self.world.racing)

    def work(self, tell: Callable[[str], object]) -> Findings:
        """Explore."""

        def progress(exploration: Exploration) -> None:
            tell(f"{len(exploration.situations):,} situations, {exploration.moves:,} moves")

        try:
            explored = explore(self.world, backend=self.backend, progress=progress)
        except PromiseBroken as error:
            broken = frozenset(f"promise {breach.promise}" for breach in error.breaches)
            return Findings(broken, str(error))
        return Findings(
            counts=Counter(situations=len(explored.situations), moves=explored.moves),
            complete=explored.complete,
            seen=frozenset(explored.seen),
        )


@dataclass(frozen=True)
class Contract(_Work):
    """Every check of the contract, for the transports of a factory's peers."""

    factory: str
    backend: str

    length = math.inf

    def __str__(self) -> str:
        return f"contract of {self.factory} on {self.backend}"

    def work(self, tell: Callable[[str], object]) -> Findings:
        """Make the checks."""
        factory = peer_factory(self.factory)
        with suppress(PeerError, OSError):  # a check is about to say more
            anyio.run(_take_in, factory, backend=self.backend)
        return anyio.run(self._check, factory, tell, backend=self.backend)

    async def _check(self, factory: PeerFactory, tell: Callable[[str], object]) -> Findings:
        counts: Counter[str] = Counter()
        failures, notes = [], []
        for check in checks():
            tell(check.name)
            result = await check.run(factory, limit=LIMIT)
            if result.skipped is not None:
                counts[f"{check.clause} skipped"] += 1
                notes.append(f"{check}, on {self.backend}: {result.skipped}")
            else:
                counts[check.clause] += 1
            if result.failure is not None:
                failures.append(result.failure)
        broken = frozenset(failure.clause for failure in failures)
        return Findings(broken, "\n".join(map(str, failures)), counts=counts, notes=tuple(notes))


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

    def work(self, tell: Callable[[str], object]) -> Findings:
        """Perform plan after plan."""
        from hypothesis import HealthCheck, Phase, given, seed, settings
        from hypothesis.strategies import tuples

        from ..testing.strategies import plans

        factory = None if self.factory is None else peer_factory(self.factory)
        if factory is not None:
            anyio.run(_take_in, factory, backend=self.backend)
        performed = 0
        broken: list[Findings] = []

        def holds(together: tuple[Plan, ...]) -> None:
            nonlocal performed
            performed += len(together)
            tell(f"{performed:,} plans")
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
            return broken[-1]
        return Findings(counts=Counter(plans=performed))

    def _perform(self, together: tuple[Plan, ...], factory: PeerFactory | None) -> Findings | None:
        """What plans broke that were performed at once, if anything."""
        breaches: list[Breach] = []
        peer = "" if self.factory is None else f", {self.factory.rpartition(':')[2]}"
        again = f"perform({together[0]!r}{peer})"
        if self.at_once > 1:
            again = f"perform_together({together!r})"

        async def main() -> None:
            if self.at_once > 1:
                judges = await perform_together(together)
            else:
                judges = [await perform(together[0], factory)]
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


async def _take_in(factory: PeerFactory) -> None:
    """Open a transport; if none did, no plan would get far, and none would fail."""
    trouble: Exception | None = None
    async with factory() as peer:
        transport = peer.make()
        try:
            with anyio.fail_after(LIMIT):
                await transport.open()
                await peer.wait_until_connected()
        except Exception as error:  # the task groups around us would wrap it
            trouble = error
        transport.abort()
        with anyio.move_on_after(LIMIT):
            await transport.aclose()
        peer.drop()
    if trouble is not None:
        raise trouble


def peer_factory(named: str) -> PeerFactory:
    """What ``MODULE:FACTORY`` names.

    Raises:
        InvalidValue: nothing that can be called.
    """
    module_name, colon, name = named.partition(":")
    if not (module_name and colon and name):
        raise InvalidValue(f"{named!r} names no factory: give MODULE:FACTORY, as in my_tests:peer")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise InvalidValue(
            f"cannot import {module_name!r}: {type(error).__name__}: {error}"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise InvalidValue(f"module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    if not callable(found):
        raise InvalidValue(f"{named} cannot be called; a factory makes a fresh peer at each call")
    return cast("PeerFactory", found)


def never_seen(seen: frozenset[object]) -> list[str]:
    """The states, rows and ends that are not among those seen, in words."""
    rows = [(source, row.event) for source, row in single_rows()]
    states = {State.IDLE} | {
        state
        for source, row in single_rows()
        if (source, row.event) in seen
        for state in (source, row.target or source)
    }
    return [
        *(f"state {state}" for state in State if state not in states),
        *(f"row {source} : {event}" for source, event in rows if (source, event) not in seen),
        *(f"reason {reason}" for reason in Reason if reason not in seen),
        *([] if Connected in seen else ["a success"]),
    ]


def is_there(package: str) -> bool:
    """Whether a package is installed."""
    return find_spec(package) is not None


def missing(feature: str) -> str:
    """How to get what the extra for tests brings."""
    return f"skipped: {MissingExtra(feature, 'testing')}"
