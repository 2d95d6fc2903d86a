"""The figures of a simulation as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator

from ..dashboard.tables import number
from .scenarios import Figures, at

__all__ = ["Row", "judged", "rows"]

Row = tuple[str, str]


def rows(name: str, figures: Figures, of: str) -> Iterator[Row]:
    """What is told of one scenario.

    Args:
        name: which.
        figures: what came of it.
        of: what it was played with, where there are several.
    """
    return _ROWS[name](figures, of)


def judged(all_figures: list[Figures]) -> list[Row]:
    """What must be nothing, of all together."""
    return [
        ("two sockets of one user, in all of this", number(sum(f.overlaps for f in all_figures))),
        ("tokens that did not grow", number(sum(f.older for f in all_figures))),
    ]


def _quiet(figures: Figures, _of: str) -> Iterator[Row]:
    yield "nothing happens: commands a second", number(figures.commands / figures.seconds)
    yield "... of the keeper's time", _share(figures)


def _restart(figures: Figures, of: str) -> Iterator[Row]:
    yield f"the keeper is back empty, {of}: it knows all again after, s", number(figures.seconds)
    yield "... of which it was busy, s", number(figures.busy)
    yield "... scripts in which leases were said", number(figures.begun)
    yield "... a command waited for at most, s", number(figures.longest_queue)
    yield "... leases that lapsed", number(figures.lapsed)


def _killed(figures: Figures, _of: str) -> Iterator[Row]:
    yield "a process is killed: users that come again", number(len(figures.waits))
    yield "... have a code after, s: median", number(at(figures.waits, 0.5))
    yield "... at most", number(at(figures.waits, 1))
    yield "... commands a second meanwhile", number(figures.commands / figures.seconds)
    yield "... leases of others that lapsed", number(figures.lapsed)


def _deploy(figures: Figures, of: str) -> Iterator[Row]:
    each = figures.seconds / figures.replaced
    yield f"rolling deploy, {of}: for each of them, s", number(each)
    yield "... wait for a lease, s: median", number(at(figures.waits, 0.5))
    yield "... p99", number(at(figures.waits, 0.99))
    yield "... commands a second", number(figures.commands / figures.seconds)
    yield "... of the keeper's time", _share(figures)
    yield "... leases of others that lapsed", number(figures.lapsed)


def _rush(figures: Figures, of: str) -> Iterator[Row]:
    yield f"{of} come, and go: commands a second", number(figures.commands / figures.seconds)
    yield "... of the keeper's time", _share(figures)
    yield "... wait for a lease, ms: median", number(at(figures.waits, 0.5) * 1000)
    yield "... p99", number(at(figures.waits, 0.99) * 1000)
    yield "... leases that lapsed", number(figures.lapsed)


_ROWS = {
    "quiet": _quiet, "restart": _restart, "killed": _killed, "deploy": _deploy, "rush": _rush,
}  # fmt: skip


def _share(figures: Figures) -> str:
    return f"{figures.share * 100:.2f} %"
