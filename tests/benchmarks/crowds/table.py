"""What was measured of crowds, as tables: for a terminal, and in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..dashboard.tables import Table, number, share
from .figures import Figures

__all__ = ["Run", "markdown", "plain"]


@dataclass(frozen=True, slots=True)
class Run:
    """All that one command measured, and where."""

    machine: str
    arguments: str
    crowds: Mapping[str, Sequence[Figures]]
    """Ours and bare, each in the same order: by size, and for a size by pace."""

    def to_json(self) -> dict[str, Any]:
        """What JSON can say of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Run:
        """What `to_json` said."""
        crowds = {k: [Figures.from_json(one) for one in v] for k, v in said["crowds"].items()}
        return cls(said["machine"], said["arguments"], crowds)

    @property
    def pairs(self) -> Iterator[tuple[Figures, Figures]]:
        """Ours and the bare clients of one size and pace."""
        return zip(self.crowds["ours"], self.crowds["bare"], strict=True)


def memory(crowd: Figures) -> float:
    """Kilobytes each. A few take what importing left free, and the process does not grow."""
    return crowd.memory


def growth(crowd: Figures) -> float:
    """What the last hundred cost to open, as a ratio to the first."""
    return crowd.growth


def cut_off(crowd: Figures) -> float:
    """How many never heard; told only where there are any."""
    return crowd.lost


COSTS: Mapping[str, Callable[[Figures], float]] = {
    "to open, CPU us": lambda crowd: statistics.fmean(crowd.opening),
    "last / first hundred": growth,
    "memory, kB": memory,
    "tracked objects": lambda crowd: crowd.objects,
    "idle, CPU us a second": lambda crowd: crowd.idle,
    "success, CPU us": lambda crowd: crowd.told,
    "longest pass of the collector, ms": lambda crowd: crowd.paused,
    "cut off, and never told": cut_off,
}

FEWEST: Mapping[Callable[[Figures], float], int] = {memory: 1000, growth: 1000}
"""Below which a figure says nothing."""


def _costs(run: Run) -> Iterator[tuple[str, ...]]:
    for title, figure in COSTS.items():
        for ours, bare in _first_of_each_size(run):
            if figure is cut_off and not ours.lost + bare.lost:
                continue
            if figure in FEWEST and ours.size < FEWEST[figure]:
                continue
            mine, theirs = figure(ours), figure(bare)
            ratio = f"{mine / theirs:.2f}" if theirs else "-"
            yield f"{title}, {ours.size:,} at once", number(mine), number(theirs), ratio


def _first_of_each_size(run: Run) -> Iterator[tuple[Figures, Figures]]:
    """At one pace, for which of them it is told: it changes what a success costs, but not much."""
    seen: set[int] = set()
    for ours, bare in run.pairs:
        if ours.size not in seen:
            seen.add(ours.size)
            yield ours, bare


def _latencies(run: Run) -> Iterator[tuple[str, ...]]:
    for ours, bare in run.pairs:
        what = f"{ours.size:,} within {ours.over:g} s"
        milliseconds = (ours.p50, ours.p99, bare.p50, bare.p99)
        yield (what, number(round(ours.pace)), *map(number, milliseconds))


def _tables(run: Run) -> tuple[Table, Table]:
    """What each costs; and how soon each knows, by the pace at which they are told."""
    return (
        Table("What each costs", ("", "ours", "bare client", "ratio"), tuple(_costs(run))),
        Table(
            "How soon each knows",
            ("told", "told a second", "ours p50, ms", "p99", "bare client p50, ms", "p99"),
            tuple(_latencies(run)),
        ),
    )


def _where(run: Run) -> str:
    """The machine, and how far it was shared."""
    crowds = [crowd for crowds in run.crowds.values() for crowd in crowds]
    most = max(min(1.0, crowd.waited / crowd.took) for crowd in crowds if crowd.took)
    return f"{run.machine}; others had a crowd's core for up to {share(most)} of its telling"


def plain(run: Run) -> str:
    """For a terminal."""
    return "\n".join([*(table.plain() for table in _tables(run)), _where(run)])


def markdown(run: Run) -> str:
    """For the page: the tables, and the command that printed them, and where."""
    command = f".venv/bin/python -m tests.benchmarks.crowds {run.arguments}"
    tables = "\n".join(table.markdown() for table in _tables(run))
    return f"{tables}\n`{command}`, on {_where(run)}.\n"
