"""`qrlifecycle audit`: whether the promises held in a program that ran, from its journal."""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from ..errors import InvalidValue
from ..monitoring.audit import Alert, Audit, Durations, Figures, Limits, SecondSocket
from ..monitoring.journal import Skipped
from ..monitoring.printable import printable
from .journal_file import Disorder, JournalLine, journal_lines
from .output import folded
from .stopping import Stop

__all__ = ["run"]

MOST_SHOWN = 20
"""Findings that are printed; further ones are counted."""

MOST_PROCESSES = 10_000
"""How many are counted apart."""


def run(arguments: argparse.Namespace, _stop: Stop) -> int:
    """Judge a journal; return 1 if anything was found."""
    judgement, files = Judgement(_limits(arguments)), arguments.files
    for line in journal_lines(files):
        judgement.add(line)
    if judgement.lines and not (judgement.records or judgement.found):
        names = ", ".join(map(repr, files))
        raise InvalidValue(f"nothing to judge in {names}: no line is a journal's")
    _report(judgement)
    if judgement.disorder.of_one:
        judgement.disorder.require_none("what was found may be of the order alone")
    if not judgement.found:
        several = "nobody knows which sockets of several processes were open at once"
        judgement.disorder.require_none(several)
    return 1 if judgement.found else 0


def _limits(arguments: argparse.Namespace) -> Limits:
    """The limits that were given; what cannot be meant is called as it was given."""
    names = [limit.name for limit in fields(Limits)]
    given = {name: getattr(arguments, name) for name in names}
    try:
        return Limits(**{name: value for name, value in given.items() if value is not None})
    except InvalidValue as error:
        said = str(error)
    for name in names:
        said = said.replace(f"Limits.{name}", f"--{name.replace('_', '-')}")
    raise InvalidValue(said)


@dataclass
class Judgement:
    """What was found in a journal so far."""

    limits: Limits
    found: int = 0
    lines_of: dict[str, int] = field(default_factory=dict)
    """How many were read of each file."""
    records: int = 0
    skipped: Counter[Skipped] = field(default_factory=Counter)
    processes: set[str] = field(default_factory=set)
    disorder: Disorder = field(default_factory=Disorder)

    def __post_init__(self) -> None:
        self._line = ""
        self._alerts: list[Alert] = []
        self.audit = Audit(self.limits, on_alert=self._alerts.append, clock=None)

    @property
    def lines(self) -> int:
        """How many were read."""
        return sum(self.lines_of.values())

    def add(self, line: JournalLine) -> None:
        """Judge one more line."""
        entry, self._line = line.entry, line.place
        self.lines_of[line.file] = entry.number
        if entry.record is not None:
            self.records += 1
            self.disorder.note(entry.record, self._line)
            if len(self.processes) < MOST_PROCESSES:
                self.processes.add(entry.record.process)
            self.audit(entry.record)
            for alert in self._alerts:
                self._print_alert(alert)
            self._alerts.clear()
        elif entry.skipped is not None:
            self.skipped[entry.skipped] += 1
            if entry.skipped is Skipped.BROKEN:
                self._print_finding(f"a line of a journal, but {entry.text}")

    def _print_alert(self, alert: Alert) -> None:
        who = f"lifecycle {alert.lifecycle}, attempt {alert.attempt}"
        if alert.subject is not None and not isinstance(alert, SecondSocket):  # its text has it
            who += f", {' '.join(alert.subject)}"
        self._print_finding(f"{alert} ({who})")

    def _print_finding(self, text: str) -> None:
        self.found += 1
        if self.found <= MOST_SHOWN:
            print(folded(printable(f"{self._line}: {text}"), hang=2), flush=True)


# The report


def _report(judgement: Judgement) -> None:
    if judgement.found > MOST_SHOWN:
        print(f"... and {judgement.found - MOST_SHOWN:,} more")
    figures = judgement.audit.figures()
    rows = [*_lines(judgement), *_figures(figures), *_not_judged(judgement.limits, figures)]
    width = max(len(name) for name, _ in rows)
    print()
    for name, value in rows:
        print(folded(f"  {name:<{width}}  {printable(value)}", hang=width + 4))
    print()
    if judgement.found:
        print(f"{judgement.found:,} found.")
    elif judgement.disorder.of_one:
        print("Nothing was found.")
    elif judgement.disorder.of_several:
        print("In each process by itself every promise held.")
    elif figures.attempts or figures.openings:
        print("Every promise held.")
    else:
        print("There was nothing to judge.")


def _lines(judgement: Judgement) -> Iterator[tuple[str, str]]:
    skipped = judgement.skipped
    processes = f"{len(judgement.processes):,}"
    if len(judgement.processes) == MOST_PROCESSES:
        processes += " or more"
    yield "lines", f"{judgement.lines:,}: {judgement.records:,} records of {processes} processes"
    if skipped[Skipped.FOREIGN]:
        yield "of other programs", f"{skipped[Skipped.FOREIGN]:,}"
    if skipped[Skipped.TORN]:
        yield "torn", f"{skipped[Skipped.TORN]:,}"


def _figures(figures: Figures) -> Iterator[tuple[str, str]]:
    yield "attempts", f"{figures.attempts:,}"
    if figures.unfinished:
        yield "without an end", f"{figures.unfinished:,}"
    yield "outcomes", _counts(figures.outcomes)
    yield "codes shown", f"{figures.codes:,}"
    left = f"; {figures.sockets_open:,} of them never closed" if figures.sockets_open else ""
    yield "sockets opened", f"{figures.openings:,}, at most {figures.sockets_most:,} at once{left}"
    if figures.shares_open:
        yield "shares left open", f"{figures.shares_open:,}"
    if figures.leases_held:
        yield "leases never given back", f"{figures.leases_held:,}"
    yield "sockets closed", _counts(figures.closings)
    yield "socket-seconds", f"{figures.socket_seconds:,.1f}"
    yield "signal to closed", _durations(figures.success_to_closed)
    yield "scan to success", _durations(figures.scan_to_success)
    yield "found by status", f"{figures.found_by_status:,}"
    yield "dropped", _counts(figures.dropped)
    if figures.alerts:
        yield "alerts", _counts(figures.alerts)


def _not_judged(limits: Limits, figures: Figures) -> Iterator[tuple[str, str]]:
    """What was asked for, and is judged over more attempts than there were."""
    over_several = {
        "--socket-seconds-per-success": limits.socket_seconds_per_success,
        "--codes-per-success": limits.codes_per_success,
    }
    asked = [name for name, limit in over_several.items() if limit < math.inf]
    ended = figures.attempts - figures.unfinished
    if asked and ended < limits.window:
        yield (
            "not judged",
            f"{', '.join(asked)}: {ended:,} of {limits.window:,} attempts (--window)",
        )


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count:,}" for name, count in ordered) or "none"


def _durations(durations: Durations) -> str:
    if not durations.count:
        return "none"
    mean, longest = durations.mean * 1000, durations.longest * 1000
    return f"mean {mean:,.1f} ms, longest {longest:,.1f} ms"
