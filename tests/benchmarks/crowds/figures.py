"""What is measured of one crowd, and which of several runs counts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..dashboard.study import percentile

__all__ = ["Figures", "best"]

FEW = 5
"""Hundreds at either end of which the median is taken: the collector strikes one of them."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of one crowd."""

    size: int
    opening: tuple[float, ...]
    """Microseconds of CPU to open each, by hundreds in the order in which they were opened."""
    memory: float
    """Kilobytes of resident memory each."""
    objects: float
    """Objects each that the collector tracks."""
    idle: float
    """Microseconds of CPU each for every second in which nothing happens but heartbeats."""
    told: float
    """Microseconds of CPU for each success."""
    latencies: tuple[float, ...]
    """Milliseconds from the server's sending to knowing of the success; sorted."""
    lost: int = 0
    """How many lost their connection and never heard of it: the machine was too busy."""
    waited: float = 0.0
    """Seconds for which others had the crowd's core while it was told."""
    paused: float = 0.0
    """Milliseconds of CPU of the longest pass of the garbage collector while they were opened, and
    told: nobody hears of anything in that time."""
    over: float = 0.0
    """Seconds in which all were to be told."""
    took: float = 0.0
    """Seconds in which the server told them."""

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Figures:
        """What JSON makes of it."""
        lists = {name: tuple(said[name]) for name in ("opening", "latencies")}
        return cls(**{**said, **lists})

    @property
    def growth(self) -> float:
        """What the last hundred cost to open, as a ratio to the first."""
        few = max(1, min(FEW, len(self.opening) // 2))
        return statistics.median(self.opening[-few:]) / statistics.median(self.opening[:few])

    @property
    def pace(self) -> float:
        """How many the server told in a second; not counting the first, which was told at once."""
        return (self.size - 1) / self.took if self.took else 0.0

    @property
    def p50(self) -> float:
        """Milliseconds after which half of them knew."""
        return percentile(self.latencies, 50)

    @property
    def p99(self) -> float:
        """Milliseconds after which 99 of 100 knew."""
        return percentile(self.latencies, 99)


def best(runs: Sequence[Figures]) -> Figures:
    """The least that each figure was in any run: what is above it is others', on the same machine.

    The latencies are those of one run: in which the fewest were cut off, and then p99 was shortest.
    """
    undisturbed = min(runs, key=lambda run: (run.lost, run.p99))
    return replace(
        undisturbed,
        opening=tuple(map(min, zip(*(run.opening for run in runs), strict=True))),
        memory=min(run.memory for run in runs),
        objects=min(run.objects for run in runs),
        idle=min(run.idle for run in runs),
        told=min(run.told for run in runs),
        paused=min(run.paused for run in runs),
    )
