"""Which days are lived by which designs, and what came of all of them together.

Two kinds of day are lived by every design. Then one assumption of the ordinary day is changed at a
time, and the day is lived by the design of the note and by ours. This room must never know how the
result is shown.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

from .day import Assumptions, make_day
from .designs import COMPARED, DESIGNS, OURS
from .living import Account, live
from .tab import Tab

__all__ = [
    "KINDS",
    "Lived",
    "Plan",
    "Study",
    "measure",
    "percentile",
    "plans",
    "saved",
    "this_machine",
    "value_of",
]

Measure = Callable[[Account], float]

ORDINARY = "an ordinary day"
PAIRING = "people who only come to pair"

KINDS = {
    ORDINARY: Assumptions(visits=100),
    PAIRING: Assumptions(visits=150, pages=1, minutes_on_page=0.5, form_seconds=20, code_share=1),
}
"""The days that every design lives."""

CHANGES: dict[str, tuple[float, ...]] = {
    "code_share": (0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    "pages": (1, 3, 12, 24),
    "minutes_on_page": (0.25, 0.5, 4, 16),
    "codes_per_visit": (2, 5, 10),
    "scan_delay": (5, 30, 60),
    "abandonment": (0.0, 0.5, 1.0),
}
"""What else an assumption of the ordinary day may be; its own value is measured once."""

NOISE = 0.1
"""The share by which two lives of the same day differ in CPU, on a machine with other work."""

FEWEST_CODES = 8
"""Codes of a day at least: where they are rarer there are more visits."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A day to be lived, and by whom."""

    name: str
    assumptions: Assumptions
    designs: tuple[type[Tab], ...]
    varied: str = ""
    """The assumption that is changed; "" for the kinds of day."""


@dataclass(frozen=True, slots=True)
class Lived:
    """A day, and what it cost each design that lived it."""

    name: str
    varied: str
    assumptions: Assumptions
    accounts: tuple[Account, ...]

    def of(self, design: type[Tab]) -> Account:
        """What it cost a design."""
        return next(account for account in self.accounts if account.design == design.name)

    def cpu(self, account: Account) -> float:
        """The server's seconds above those of the same day when nobody listens.

        Never less than a tenth of those: a smaller difference is noise.
        """
        alone = self.of(Tab).cpu_seconds
        return max(account.cpu_seconds - alone, alone * NOISE)

    def saved(self, measure: Measure) -> float:
        """The share of something that ours saves against the design of the note."""
        return saved(measure(self.of(COMPARED)), measure(self.of(OURS)))


@dataclass(frozen=True, slots=True)
class Study:
    """All that was measured, where, and from which seed."""

    seed: int
    runs: int
    machine: str
    days: tuple[Lived, ...]

    @property
    def ordinary(self) -> Lived:
        """The day that the changes begin from, lived by every design."""
        return next(day for day in self.days if day.name == ORDINARY)

    @property
    def pairing(self) -> Lived:
        """The other day that every design lived."""
        return next(day for day in self.days if day.name == PAIRING)

    @property
    def kinds(self) -> tuple[Lived, ...]:
        """The days that every design lived."""
        return tuple(day for day in self.days if not day.varied)

    def changes(self, assumption: str) -> list[Lived]:
        """The days on which an assumption was another, and the ordinary day, by its value."""
        days = [day for day in self.days if day.varied == assumption]
        return sorted([*days, self.ordinary], key=lambda day: value_of(day, assumption))

    def successes(self, design: type[Tab]) -> list[float]:
        """Seconds from scan to knowing it, over the days that every design lived."""
        return sorted(time for day in self.kinds for time in day.of(design).successes)

    def to_json(self) -> dict[str, Any]:
        """What JSON can say of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Study:
        """What `to_json` said."""
        days = [
            Lived(
                day["name"],
                day["varied"],
                Assumptions(**day["assumptions"]),
                tuple(_account_of(account) for account in day["accounts"]),
            )
            for day in said["days"]
        ]
        return cls(said["seed"], said["runs"], said["machine"], tuple(days))


def _account_of(said: dict[str, Any]) -> Account:
    steps = tuple((int(at), int(count)) for at, count in said["open_sockets"])
    return Account(**{**said, "successes": tuple(said["successes"]), "open_sockets": steps})


def value_of(day: Lived, assumption: str) -> float:
    """What an assumption is on a day."""
    return float(getattr(day.assumptions, assumption))


def saved(before: float, after: float) -> float:
    """The share that is saved; none where there was nothing to save."""
    return 1 - after / before if before else 0.0


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of the sorted values that so many per cent of them are not above."""
    return values[max(0, -int(-len(values) * percent // 100) - 1)]


def plans(share: float = 1.0) -> Iterator[Plan]:
    """Every day of the study; of each so many visits as this share says."""
    for name, assumptions in KINDS.items():
        yield Plan(name, _scaled(assumptions, share), (Tab, *DESIGNS))
    ordinary = KINDS[ORDINARY]
    for assumption, values in CHANGES.items():
        for value in values:
            if value == getattr(ordinary, assumption):
                continue
            changed: Any = {assumption: value}
            assumptions = replace(ordinary, **changed)
            visits = max(ordinary.visits, round(FEWEST_CODES / assumptions.code_share))
            assumptions = _scaled(replace(assumptions, visits=visits), share)
            name = f"{assumption} {value:g}"
            yield Plan(name, assumptions, (COMPARED, OURS), assumption)


def _scaled(assumptions: Assumptions, share: float) -> Assumptions:
    fewest = round(1 / assumptions.code_share)
    return replace(assumptions, visits=max(fewest, round(assumptions.visits * share)))


async def measure(plans: Sequence[Plan], seed: int, runs: int) -> AsyncIterator[Lived]:
    """Live each day; designs take turns, so that a busy minute hits all of them.

    Args:
        plans: the days.
        seed: what they are drawn from.
        runs: how often each kind of day is lived. Of the others only what is counted is told, and
            that is the same each time.
    """
    for plan in plans:
        day = make_day(plan.assumptions, seed)
        turns = [
            [await live(day, design) for design in plan.designs]
            for _ in range(1 if plan.varied else runs)
        ]
        accounts = tuple(_together(list(times)) for times in zip(*turns, strict=True))
        yield Lived(plan.name, plan.varied, plan.assumptions, accounts)


def _together(accounts: list[Account]) -> Account:
    """Several lives of one day by one design: what is counted must be the same each time."""
    first = reduce(_agree, accounts)
    return replace(
        first,
        cpu_seconds=statistics.median(a.cpu_seconds for a in accounts),
        memory_kilobytes=round(statistics.median(a.memory_kilobytes for a in accounts)),
        successes=tuple(time for account in accounts for time in account.successes),
    )


def _agree(one: Account, other: Account) -> Account:
    for counted in ("codes", "openings", "socket_seconds", "socket_log_lines", "heartbeats"):
        if getattr(one, counted) != getattr(other, counted):
            raise RuntimeError(f"two lives of one day differ in {counted}")
    return one


def this_machine() -> str:
    """Where it is measured, in a few words."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    load, _, _ = os.getloadavg()
    return f"{python}, {platform.machine()}, {os.cpu_count()} cores with a load of {load:.1f}"
