"""`qrlifecycle audit`: whether the promises held in what really happened, from a journal.

This room must never know what a promise is, nor how a line is read.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from ..errors import InvalidValue
from ..monitoring.audit import (
    Alert,
    Audit,
    Durations,
    Limits,
    SecondSocket,
    Snapshot,
)
from ..monitoring.journal import (
    Entry,
    Skipped,
)
from ..monitoring.printable import printable
from .journals import entries
from .stopping import Stop

__all__ = ["run"]

MOST_SHOWN = 20
"""Findings that are told in full; the others are counted."""

MOST_PROCESSES = 10_000
"""How many are told apart."""


def run(arguments: argparse.Namespace, _stop: Stop) -> int:
    """Judge a journal, and say whether all was well."""
    limits = {limit.name: getattr(arguments, limit.name) for limit in fields(Limits)}
    reading = Reading(Limits(**{name: v for name, v in limits.items() if v is not None}))
    for entry in entries(arguments.file):
        reading.take(entry)
    if reading.lines and not (reading.records or reading.found):
        raise InvalidValue(f"nothing to judge in {arguments.file!r}: no line is a journal's")
    _report(reading)
    return 1 if reading.found else 0


@dataclass
class Reading:
    """What reading a journal has brought to light so far."""

    limits: Limits
    found: int = 0
    lines: int = 0
    records: int = 0
    skipped: Counter[Skipped] = field(default_factory=Counter)
    processes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._alerts: list[Alert] = []
        self.audit = Audit(self.limits, on_alert=self._alerts.append, clock=None)

    def take(self, entry: Entry) -> None:
        """Take a line."""
        self.lines = entry.number
        if entry.record is not None:
            self.records += 1
            if len(self.processes) < MOST_PROCESSES:
                self.processes.add(entry.record.process)
            self.audit(entry.record)
            for alert in self._alerts:
                self._tell_of(alert)
            self._alerts.clear()
        elif entry.skipped is not None:
            self.skipped[entry.skipped] += 1
            if entry.skipped is Skipped.BROKEN:
                self._tell(f"a line of a journal, but {entry.text}")

    def _tell_of(self, alert: Alert) -> None:
        who = f"lifecycle {alert.lifecycle}, attempt {alert.attempt}"
        if alert.subject is not None and not isinstance(alert, SecondSocket):  # whose text has it
            who += f", {' '.join(alert.subject)}"
        self._tell(f"{alert} ({who})")

    def _tell(self, text: str) -> None:
        self.found += 1
        if self.found <= MOST_SHOWN:
            print(f"line {self.lines}: {printable(text)}", flush=True)


# Afterwards


def _report(reading: Reading) -> None:
    if reading.found > MOST_SHOWN:
        print(f"... and {reading.found - MOST_SHOWN:,} more")
    snapshot = reading.audit.snapshot()
    rows = [*_lines(reading), *_figures(snapshot)]
    width = max(len(name) for name, _ in rows)
    print()
    for name, value in rows:
        print(f"  {name:<{width}}  {printable(value)}")
    print()
    if reading.found:
        print(f"{reading.found:,} found.")
    elif snapshot.attempts or snapshot.openings:
        print("Every promise held.")
    else:
        print("There was nothing to judge.")


def _lines(reading: Reading) -> Iterator[tuple[str, str]]:
    skipped = reading.skipped
    processes = f"{len(reading.processes):,}"
    if len(reading.processes) == MOST_PROCESSES:
        processes += " or more"
    yield "lines", f"{reading.lines:,}: {reading.records:,} records of {processes} processes"
    if skipped[Skipped.FOREIGN]:
        yield "of other programs", f"{skipped[Skipped.FOREIGN]:,}"
    if skipped[Skipped.TORN]:
        yield "torn", f"{skipped[Skipped.TORN]:,}"


def _figures(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    yield "attempts", f"{snapshot.attempts:,}"
    if snapshot.unfinished:
        yield "without an end", f"{snapshot.unfinished:,}"
    yield "outcomes", _counts(snapshot.outcomes)
    yield "codes shown", f"{snapshot.codes:,}"
    yield "sockets opened", f"{snapshot.openings:,}, at most {snapshot.sockets_most:,} at once"
    yield "sockets closed", _counts(snapshot.closings)
    yield "socket-seconds", f"{snapshot.socket_seconds:,.1f}"
    yield "signal to closed", _durations(snapshot.success_to_closed)
    yield "scan to success", _durations(snapshot.scan_to_success)
    yield "found by status", f"{snapshot.found_by_status:,}"
    yield "dropped", _counts(snapshot.dropped)
    if snapshot.alerts:
        yield "alerts", _counts(snapshot.alerts)


def _counts(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count:,}" for name, count in ordered) or "none"


def _durations(durations: Durations) -> str:
    if not durations.count:
        return "none"
    mean, longest = durations.mean * 1000, durations.longest * 1000
    return f"mean {mean:,.1f} ms, longest {longest:,.1f} ms"
