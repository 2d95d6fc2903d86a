"""What was measured of crowds, as a table: for a terminal, and in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..dashboard.study import percentile
from ..dashboard.tables import Table, number
from .crowd import Figures

__all__ = ["Run", "growth", "markdown", "plain"]

FEW = 5
"""Hundreds at either end of which the median is taken: the collector strikes one of them."""


@dataclass(frozen=True, slots=True)
class Run:
    """All that one command measured, and where."""

    machine: str
    arguments: str
    crowds: Mapping[str, Sequence[Figures]]

    def to_json(self) -> dict[str, Any]:
        """What JSON can say of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Run:
        """What `to_json` said."""
        crowds = {k: [Figures.from_json(one) for one in v] for k, v in said["crowds"].items()}
        return cls(said["machine"], said["arguments"], crowds)


def growth(crowd: Figures) -> float:
    """What the last hundred cost, as a ratio to the first."""
    few = max(1, min(FEW, len(crowd.opening) // 2))
    return statistics.median(crowd.opening[-few:]) / statistics.median(crowd.opening[:few])


def cut_off(crowd: Figures) -> float:
    """How many never heard; told only where there are any."""
    return crowd.lost


FIGURES: Mapping[str, Callable[[Figures], float]] = {
    "to open, CPU us": lambda crowd: statistics.fmean(crowd.opening),
    "last / first hundred": growth,
    "memory, kB": lambda crowd: crowd.memory,
    "tracked objects": lambda crowd: crowd.objects,
    "idle, CPU us a second": lambda crowd: crowd.idle,
    "success, CPU us": lambda crowd: crowd.told,
    "success p50, ms": lambda crowd: percentile(crowd.latencies, 50),
    "success p99, ms": lambda crowd: percentile(crowd.latencies, 99),
    "cut off, and never told": cut_off,
}


def _rows(run: Run) -> Iterator[tuple[str, ...]]:
    for title, figure in FIGURES.items():
        for ours, bare in zip(run.crowds["ours"], run.crowds["bare"], strict=True):
            if figure is cut_off and not ours.lost + bare.lost:
                continue
            mine, theirs = figure(ours), figure(bare)
            ratio = f"{mine / theirs:.2f}" if theirs else "-"
            yield f"{title}, {ours.size:,} at once", number(mine), number(theirs), ratio


def table(run: Run) -> Table:
    """Each figure at each size, ours beside the bare client's, and the ratio."""
    return Table("What each costs", ("", "ours", "bare client", "ratio"), tuple(_rows(run)))


def plain(run: Run) -> str:
    """For a terminal."""
    return f"{table(run).plain()}\n{run.machine}"


def markdown(run: Run) -> str:
    """For the page: the table, and the command that printed it, and where."""
    command = f".venv/bin/python -m tests.benchmarks.crowds {run.arguments}"
    return f"{table(run).markdown()}\n`{command}`, on {run.machine}.\n"
