"""A row of the benchmarks' table: what is compared, and what came of it."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from .dashboard.tables import Table, number

__all__ = ["Comparison", "Measure", "Row", "compare", "markdown", "median_of"]

Measure = Callable[[str], Awaitable[float]]


@dataclass(frozen=True)
class Comparison:
    """What is measured, ours and the other's, and the ratio that is aimed at."""

    title: str
    unit: str
    ours: Measure
    other: Measure
    other_name: str
    aim: float | None
    rounds: int


@dataclass(frozen=True)
class Row:
    """The medians of a comparison, in one process or over several."""

    title: str
    unit: str
    ours: float
    other: float
    other_name: str
    aim: float | None
    ratios: Sequence[float]
    """Ours to the other, of each process."""

    @property
    def ratio(self) -> float:
        """The median of the processes'. It need not be that of the medians beside it."""
        return statistics.median(self.ratios)

    @property
    def spread(self) -> str:
        """From the lowest ratio to the highest; nothing where one process has measured."""
        if len(self.ratios) < 2:
            return ""
        return f"{min(self.ratios):.2f} to {max(self.ratios):.2f}"

    def __str__(self) -> str:
        missed = "" if self.aim is None or self.ratio <= self.aim else "> "
        aim = "" if self.aim is None else f"{missed}{self.aim}"
        return (
            f"{self.title:<40} {self.ours:>9.3f} {self.unit:<3}{self.other_name:<26}"
            f"{self.other:>9.3f} {self.unit:<3}{self.ratio:>6.2f}  {self.spread:<13} {aim}"
        )


async def compare(comparison: Comparison, url: str, share: float) -> Row:
    """Measure one row, both sides by turns."""
    ours: list[float] = []
    other: list[float] = []
    for _ in range(max(3, round(comparison.rounds * share))):
        ours.append(await comparison.ours(url))
        other.append(await comparison.other(url))
    mine, others = statistics.median(ours), statistics.median(other)
    return Row(
        comparison.title,
        comparison.unit,
        mine,
        others,
        comparison.other_name,
        comparison.aim,
        (mine / others,),
    )


def median_of(rows: Sequence[Row]) -> Row:
    """One row for the same row of several processes."""
    return replace(
        rows[0],
        ours=statistics.median(row.ours for row in rows),
        other=statistics.median(row.other for row in rows),
        ratios=tuple(ratio for row in rows for ratio in row.ratios),
    )


def markdown(rows: Sequence[Row], command: str, machine: str) -> str:
    """For the page: the table, and the command that printed it, and where."""
    lines = [
        (
            row.title,
            f"{number(row.ours)} {row.unit}".rstrip(),
            row.other_name,
            f"{number(row.other)} {row.unit}".rstrip(),
            f"{row.ratio:.2f}",
            row.spread,
            "" if row.aim is None else f"{row.aim:g}",
        )
        for row in rows
    ]
    head = ("", "ours", "compared with", "", "ratio", "lowest to highest", "aim")
    return (
        f"{Table('What things cost', head, tuple(lines)).markdown()}\n`{command}`, on {machine}.\n"
    )
