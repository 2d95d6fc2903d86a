"""`qrlifecycle verify`: the jobs that were asked for, news of them, and how it ended.

This room must never know how a promise is put to the test.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from platform import python_version
from typing import Any
from unittest.mock import patch

from ..errors import (
    MissingExtra,
    UsageError,
)
from ..proof.exploration.worlds import (
    WIDE_WORLDS,
    WORLDS,
)
from ..proof.verify.factories import check_factory
from ..proof.verify.jobs import (
    OURS,
    AnyJob,
    Contract,
    Explore,
    Findings,
    Properties,
)
from ..proof.verify.report import (
    Results,
    Rows,
    breaches,
    tables,
    totals,
    unproved,
    untried,
)
from ..proof.verify.workers import work_off
from ..testing.backends import BACKENDS
from ..testing.contract import CLAUSES
from .stopping import Stop

__all__ = ["run"]

PARTS: dict[str, type[AnyJob]] = {
    "exploration": Explore,
    "contract": Contract,
    "properties": Properties,
}

NEEDS = {"trio": "trio", "properties": "hypothesis"}
"""The packages, of the extra for tests, that something needs."""

MOST_PROCESSES = 4

PLANS, WIRE_PLANS = 300, 30
"""Plans over scripted transports, and over real sockets, where each takes real time."""

DEEPER = 20
"""Times as many with --deep."""

STANDS_ON = ("anyio", "transitions", "python-socketio")

NEWS_INTERVAL = 5.0
"""Seconds between two lines of news, where there is no terminal."""


def run(arguments: argparse.Namespace, stop: Stop) -> int:
    """Verify, and say whether all held."""
    here = _here()
    if arguments.factory is not None:
        sys.path.insert(0, str(here))
        check_factory(arguments.factory)
    seed = random.randrange(2**32) if arguments.seed is None else arguments.seed  # noqa: S311
    missing = _missing(arguments)
    jobs = _jobs(arguments, seed, missing)
    began = time.monotonic()
    skipped = (f"skipped: {why}" for why in missing.values())
    print(f"seed {seed}; {_versions()}", *skipped, sep="\n", flush=True)
    results: Results = {}
    with _nothing_stored(), _progress(len(jobs)) as (news, done):
        for job, findings in work_off(_lines(jobs), stop, news):
            results[job] = findings
            done(job, findings)
    if stop.code is not None:
        _tell_interruption(results)
        return stop.leave(stop.code)
    _report(results, seed, time.monotonic() - began)
    return _verdict(results, arguments, list(missing))


def _here() -> Path:
    """The directory in which this was called.

    Raises:
        UsageError: it was deleted; no process can be started in it.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            f"there is no current directory any more: {error.strerror}; change to one that exists"
        ) from error


# What is to be done


def _missing(arguments: argparse.Namespace) -> dict[str, MissingExtra]:
    """What is left out because its package is not installed.

    Raises:
        MissingExtra: it was asked for by name.
    """
    absent = [name for name, package in NEEDS.items() if find_spec(package) is None]
    for name in absent:
        if name in (arguments.backend or ()):
            raise MissingExtra(f"--backend {name}", "testing")
        if name in (arguments.only or ()):
            raise MissingExtra(f"--only {name}", "testing")
    left = [
        name for name in absent if not (arguments.backend if name in BACKENDS else arguments.only)
    ]
    texts = {"trio": "what runs on trio", "properties": "drawing plans for the properties"}
    return {name: MissingExtra(texts[name], "testing") for name in left}


def _jobs(arguments: argparse.Namespace, seed: int, missing: Collection[str]) -> list[AnyJob]:
    """The jobs, the longest first."""
    parts = [part for part in arguments.only or PARTS if part not in missing]
    backends = [name for name in arguments.backend or BACKENDS if name not in missing]
    factory = arguments.factory or OURS
    times = DEEPER if arguments.deep else 1
    worlds = (*WORLDS, *WIDE_WORLDS) if arguments.deep else WORLDS
    jobs: list[AnyJob] = []
    for backend in dict.fromkeys(backends):
        if "exploration" in parts:
            jobs += [Explore(world, backend) for world in worlds]
        if "contract" in parts:
            jobs.append(Contract(factory, backend))
        if "properties" in parts:
            jobs.append(Properties(None, backend, seed, PLANS * times))
            jobs.append(Properties(factory, backend, seed, WIRE_PLANS * times))
            if arguments.deep:
                jobs.append(Properties(None, backend, seed, PLANS * times // 2, at_once=2))
    return sorted(jobs, key=lambda job: -job.length)


def _lines(jobs: Sequence[AnyJob]) -> list[deque[AnyJob]]:
    """A line of jobs for each process: one for what mostly waits for sockets, the rest shared."""
    on_sockets = [job for job in jobs if getattr(job, "factory", None) is not None]
    others = deque(job for job in jobs if job not in on_sockets)
    count = min(os.cpu_count() or 1, MOST_PROCESSES, len(others))
    return [*([deque(on_sockets)] if on_sockets else []), *[others] * count]


# While it is done


def _versions() -> str:
    """Of Python, and of what the library stands on: with others it may go another way."""
    told = (f"{name} {version(name)}" for name in STANDS_ON)
    return ", ".join((f"Python {python_version()}", *told))


@contextmanager
def _nothing_stored() -> Iterator[None]:
    """Hypothesis stores nothing in the processes that are started meanwhile.

    It puts a cache beside its database, in the current directory, and does without where it cannot.
    """
    name = "HYPOTHESIS_STORAGE_DIRECTORY"
    with patch.dict(os.environ, {name: os.environ.get(name, os.devnull)}):
        yield


@contextmanager
def _progress(
    count: int,
) -> Iterator[tuple[Callable[[Any, str], object], Callable[[Any, Findings], object]]]:
    """What is told of a job, and of its end: a bar in a terminal, plain lines elsewhere."""
    if not (sys.stdout.isatty() and find_spec("rich") is not None):
        lines = _Lines(count)
        yield lines.news, lines.done
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}", markup=False)) as progress:
        task = progress.add_task("", total=count)
        yield (
            lambda job, text: progress.update(task, description=f"{job}: {text}"),
            lambda _job, _findings: progress.advance(task),
        )


class _Lines:
    """Plain lines: one for each job that has ended, and now and then how far another one is."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._ended = 0
        self._said = time.monotonic()

    def news(self, job: AnyJob, text: str) -> None:
        """How far a job is, unless something was said just now."""
        if time.monotonic() >= self._said + NEWS_INTERVAL:
            self._say(f"{job}, under way: {text}")

    def done(self, job: AnyJob, findings: Findings) -> None:
        """A job has ended."""
        self._ended += 1
        self._say(f"{job}: {_in_short(findings)}")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        print(f"[{self._ended}/{self._count}] {text}", flush=True)


def _in_short(findings: Findings) -> str:
    if findings.counterexample:
        return "BROKEN"
    if findings.failure:
        return "not finished"
    if findings.skipped:
        return f"skipped: {findings.skipped}"
    counts = findings.counts
    if "moves" in counts:
        return f"{counts['situations']:,} situations, {counts['moves']:,} moves"
    if "plans" in counts:
        return f"{counts['plans']:,} plans"
    return f"{sum(counts[clause] for clause in CLAUSES)} checks"


# Afterwards


def _report(results: Results, seed: int, seconds: float) -> None:
    """Print what came of it."""
    for title, rows in tables(results):
        if rows:
            print(f"\n{title}")
            _print_columns(rows)
    print()
    for findings in results.values():
        for note in findings.notes:
            print(f"skipped: {note}")
    print(*totals(results, seed, seconds), *unproved(results), sep="\n")
    if not _checked(results):  # why not is said in the end, and once
        results = {job: found for job, found in results.items() if found.counterexample}
    for text in breaches(results):
        print(f"\n{text}")


def _checked(results: Results) -> bool:
    """Whether anything was put to the test at all."""
    return any(found.checked for found in results.values())


def _verdict(results: Results, arguments: argparse.Namespace, missing: list[str]) -> int:
    """Say whether all held; the answer is the exit code.

    Raises:
        UsageError: nothing was checked, or nothing of what was named on the command line.
    """
    sys.stdout.flush()
    if any(found.counterexample for found in results.values()):
        return 1
    if not _checked(results):
        why = dict.fromkeys(found.failure or found.skipped for found in results.values())
        raise UsageError(f"nothing was checked: {'; '.join(filter(None, why)) or 'nothing to do'}")
    if unproved(results) or any(found.failure for found in results.values()):
        return 1
    for option, name in _named(arguments):
        own = [found for job, found in results.items() if _is_of(job, name)]
        if not any(found.checked for found in own):
            why = dict.fromkeys(found.skipped for found in own if found.skipped)
            raise UsageError(f"{option} {name}: nothing was checked: {'; '.join(why)}")
    left = [*missing, *untried(results)]
    some = f"Everything that was tried held; not tried: {', '.join(left)}."
    print(some if left else "Everything held.")
    return 0


def _named(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """What was asked for by name, with its option."""
    return [
        *(("--only", name) for name in arguments.only or ()),
        *(("--backend", name) for name in arguments.backend or ()),
    ]


def _is_of(job: AnyJob, name: str) -> bool:
    """Whether a job is of a part, or on an event loop."""
    return job.backend == name or (name in PARTS and isinstance(job, PARTS[name]))


def _tell_interruption(results: Results) -> None:
    """Say what was found until a stop was asked for."""
    broken = {job: found for job, found in results.items() if found.broken}
    for text in breaches(broken):
        print(f"\n{text}", flush=True)
    names = sorted(frozenset[str]().union(*(found.broken for found in broken.values())))
    refuted = f"refuted so far: {', '.join(names)}" if names else "nothing was refuted so far"
    print(f"interrupted; {refuted}", file=sys.stderr, flush=True)


def _print_columns(rows: Rows) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join(cells).rstrip())
