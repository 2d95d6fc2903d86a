"""The study as tables: for a terminal, and in Markdown.

This room must never measure anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from math import floor

from .day import Assumptions
from .designs import COMPARED, DESIGNS, OURS
from .living import Account
from .study import ORDINARY, Lived, Study, percentile, saved, value_of

__all__ = ["Table", "assumptions_table", "changes_table", "kind_table", "successes_table", "tables"]


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a head, and rows of text; the first column is text, the others are figures."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """As Markdown has it, without the title."""
        rule = ("---", *("--:" for _ in self.head[1:]))
        return "".join(f"| {' | '.join(line)} |\n" for line in (self.head, rule, *self.rows))

    def plain(self) -> str:
        """For a terminal that has nothing else."""
        lines = [self.head, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        return "\n".join(
            [self.title, *("  ".join(_aligned(line, widths)).rstrip() for line in lines)]
        )


def _aligned(line: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    for column, (text, width) in enumerate(zip(line, widths, strict=True)):
        yield f"{text:>{width}}" if column else f"{text:<{width}}"


def share(value: float) -> str:
    """A share in per cent; the nearer to all of it, the more places. Never rounded up to all."""
    places = 1 if value < 0.99 else 2
    return f"{floor(value * 10 ** (places + 2) + 1e-9) / 10**places:.{places}f} %"


def number(value: float) -> str:
    """A figure with three digits, or all of them before the point."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


ROWS: tuple[tuple[str, Callable[[Lived, Account], float]], ...] = (
    ("WebSocket connections opened", lambda _, account: account.openings),
    ("socket-seconds", lambda _, account: account.socket_seconds),
    ("most sockets at once", lambda _, account: account.most),
    ("heartbeats (calculated)", lambda _, account: account.heartbeats),
    ("log lines of sockets", lambda _, account: account.socket_log_lines),
    ("log lines, all", lambda _, account: account.log_lines),
    ("HTTP requests", lambda _, account: account.requests),
    ("TCP connections", lambda _, account: account.connections),
    ("kB in", lambda _, account: account.bytes_in / 1000),
    ("kB out", lambda _, account: account.bytes_out / 1000),
    ("server CPU, seconds", lambda day, account: day.cpu(account)),
    ("server memory, MB", lambda _, account: account.memory_kilobytes / 1024),
)


def kind_table(day: Lived) -> Table:
    """What a day cost each design."""
    rows = []
    for title, figure in ROWS:
        figures = [figure(day, day.of(design)) for design in DESIGNS]
        before, ours = figures[DESIGNS.index(COMPARED)], figures[DESIGNS.index(OURS)]
        rows.append((title, *(number(value) for value in figures), share(saved(before, ours))))
    head = ("", *(design.name for design in DESIGNS), "saved")
    title = (
        f"{day.name}: {day.assumptions.visits} visits, {day.of(OURS).codes} codes; "
        f"saved by {OURS.name} against {COMPARED.name}"
    )
    return Table(title, head, tuple(rows))


def successes_table(study: Study) -> Table:
    """From the scan to knowing it."""
    rows = []
    for design in DESIGNS:
        times = study.successes(design)
        at = [percentile(times, percent) for percent in (50, 99, 100)]
        rows.append((design.name, str(len(times)), *(f"{time * 1e3:,.1f}" for time in at)))
    head = ("from scan to success", "scans", "median, ms", "p99, ms", "longest, ms")
    return Table("From the scan to knowing of the success, over both days", head, tuple(rows))


LABELS = {
    "visits": "visits",
    "hours": "hours over which they arrive",
    "pages": "pages of a visit, mean",
    "minutes_on_page": "minutes on a page, mean",
    "code_share": "share of visits that show a code",
    "codes_per_visit": "codes in such a visit",
    "form_seconds": "seconds in the dialog before a code, mean",
    "scan_delay": "seconds to the scan, median",
    "abandonment": "share of codes that nobody scans",
}
"""Each assumption in words."""


def assumptions_table(study: Study) -> Table:
    """What the kinds of day are made from."""
    rows = tuple(
        (LABELS[field.name], *(f"{value_of(day, field.name):g}" for day in study.kinds))
        for field in fields(Assumptions)
    )
    return Table("Assumptions", ("", *(day.name for day in study.kinds)), rows)


def changes_table(study: Study) -> Table:
    """How the saving moves with each assumption of the ordinary day."""
    rows = []
    for assumption in dict.fromkeys(day.varied for day in study.days if day.varied):
        for day in study.changes(assumption):
            name = f"{LABELS[assumption]}: {value_of(day, assumption):g}"
            name += " (the ordinary day)" if day is study.ordinary else ""
            rows.append(_saved(name, day))
    rows.extend(_saved(day.name, day) for day in study.kinds if day.name != ORDINARY)
    head = (
        "saved against a socket per page, dialog and code",
        "socket-seconds",
        "connections, and log lines of sockets",
        "log lines, all",
        "bytes",
    )
    return Table("One assumption changed at a time", head, tuple(rows))


def _saved(name: str, day: Lived) -> tuple[str, ...]:
    measures: tuple[Callable[[Account], float], ...] = (
        lambda account: account.socket_seconds,
        lambda account: account.openings,
        lambda account: account.log_lines,
        lambda account: account.bytes_in + account.bytes_out,
    )
    return (name, *(share(day.saved(measure)) for measure in measures))


def tables(study: Study) -> list[Table]:
    """All of them, in order."""
    return [
        assumptions_table(study),
        *(kind_table(day) for day in study.kinds),
        successes_table(study),
        changes_table(study),
    ]
