"""`qrlifecycle audit`: whether the promises held in what really happened, from a journal.

This room must never know what a promise is, nor how a line is read.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from ..audit import Alert, Audit, Durations, Limits, Snapshot
from ..errors import InvalidValue
from ..journal import Entry, Skipped, read_journal
from .printable import printable

__all__ = ["run"]

MOST_SHOWN = 20
"""Findings that are told in full; the others are counted."""

MOST_PROCESSES = 10_000
"""How many are told apart."""

EVERY = 1000
"""Lines between two moves of the progress bar."""


def run(arguments: argparse.Namespace) -> int:
    """Judge a journal, and say whether all was well."""
    limits = {limit.name: getattr(arguments, limit.name) for limit in fields(Limits)}
    reading = Reading(Limits(**{name: v for name, v in limits.items() if v is not None}))
    with _opened(arguments.file) as file, _progress(file) as moved:
        for entry in read_journal(file):
            reading.take(entry)
            if entry.number % EVERY == 0:
                moved()
    _report(reading)
    return 1 if reading.found else 0


@dataclass
class Reading:
    """What reading a journal has brought to light so far."""

    limits: Limits
    found: int = 0
    lines: int = 0
    skipped: Counter[Skipped] = field(default_factory=Counter)
    processes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.audit = Audit(self.limits, on_alert=self._on_alert, clock=None)

    def take(self, entry: Entry) -> None:
        """Take a line."""
        self.lines = entry.number
        if entry.record is not None:
            if len(self.processes) < MOST_PROCESSES:
                self.processes.add(entry.record.process)
            self.audit(entry.record)
        elif entry.skipped is not None:
            self.skipped[entry.skipped] += 1
            if entry.skipped is Skipped.BROKEN:
                self._tell(f"a line of a journal, but {entry.text}")

    def _on_alert(self, alert: Alert) -> None:
        subject = "" if alert.subject is None else f", {' '.join(alert.subject)}"
        self._tell(f"{alert} (lifecycle {alert.lifecycle}, attempt {alert.attempt}{subject})")

    def _tell(self, text: str) -> None:
        self.found += 1
        if self.found <= MOST_SHOWN:
            print(f"line {self.lines}: {printable(text)}", flush=True)


def _opened(name: str) -> AbstractContextManager[IO[bytes]]:
    if name == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise InvalidValue(f"cannot read {name!r}: {error.strerror}") from None


@contextmanager
def _progress(file: IO[bytes]) -> Iterator[Callable[[], object]]:
    """What is called now and then; a bar where there is a terminal and the size is known."""
    size = os.fstat(file.fileno()).st_size if file.seekable() else 0
    if not (size and sys.stderr.isatty() and find_spec("rich") is not None):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=size)
        yield lambda: progress.update(task, completed=file.tell())


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
    records = reading.lines - skipped.total()
    processes = f"{len(reading.processes):,}"
    if len(reading.processes) == MOST_PROCESSES:
        processes += " or more"
    yield "lines", f"{reading.lines:,}: {records:,} records of {processes} processes"
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
