"""A row of the benchmarks' table: what is compared, and what came of it."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from .dashboard.tables import Table, number

__all__ = ["Comparison", "Measure", "Row", "compare", "markdown"]

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
    """The medians of a comparison."""

    title: str
    unit: str
    ours: float
    other: float
    other_name: str
    aim: float | None

    @property
    def ratio(self) -> float:
        """Ours to the other."""
        return self.ours / self.other

    def __str__(self) -> str:
        missed = "" if self.aim is None or self.ratio <= self.aim else "> "
        aim = "" if self.aim is None else f"{missed}{self.aim}"
        return (
            f"{self.title:<40} {self.ours:>9.3f} {self.unit:<3}{self.other_name:<26}"
            f"{self.other:>9.3f} {self.unit:<3}{self.ratio:>6.2f}  {aim}"
        )


async def compare(comparison: Comparison, url: str, share: float) -> Row:
    """Measure one row, both sides by turns."""
    ours: list[float] = []
    other: list[float] = []
    for _ in range(max(3, round(comparison.rounds * share))):
        ours.append(await comparison.ours(url))
        other.append(await comparison.other(url))
    return Row(
        comparison.title,
        comparison.unit,
        statistics.median(ours),
        statistics.median(other),
        comparison.other_name,
        comparison.aim,
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
            "" if row.aim is None else f"{row.aim:g}",
        )
        for row in rows
    ]
    head = ("", "ours", "compared with", "", "ratio", "aim")
    return (
        f"{Table('What things cost', head, tuple(lines)).markdown()}\n`{command}`, on {machine}.\n"
    )
