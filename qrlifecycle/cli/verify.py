"""`qrlifecycle verify`: does the jobs that were asked for; prints progress and results."""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from platform import python_version
from typing import Any
from unittest.mock import patch

from ..errors import MissingExtra, UsageError
from ..proof.verify.factories import check_factory
from ..proof.verify.jobs import Findings
from ..proof.verify.report import Results, Rows, counterexamples, tables, totals, unproved, untried
from ..proof.verify.schedule import OF_A_TRANSPORT, PARTS, is_named, queues, scheduled
from ..proof.verify.workers import work_off
from ..testing.backends import BACKENDS
from ..testing.contract import CLAUSES
from .drawing import draws_colours
from .stopping import Stop

__all__ = ["ALL", "ALL_TRIED", "print_columns", "progress", "run", "versions"]

ALL = "Everything held."
ALL_TRIED = "Everything that was tried held; what was skipped is named above."
"""The last lines of what found no fault."""

NEEDS = {"trio": "trio", "properties": "hypothesis"}
"""The packages of the extra ``testing`` that a backend or a part needs."""

DEPENDENCIES = ("anyio", "transitions", "python-socketio")

NEWS_INTERVAL = 5.0
"""Seconds between two lines of progress, where there is no terminal."""


def run(arguments: argparse.Namespace, stop: Stop) -> int:
    """Verify; return 0 if everything held."""
    directory = _here()
    if arguments.gateway is not None:
        from .verify_gateway import verify_gateway

        sys.path.insert(0, str(directory))
        return verify_gateway(arguments, stop)
    if arguments.scenario:
        raise UsageError("--scenario is one of a gateway's: give --gateway as well")
    if arguments.factory is not None:
        sys.path.insert(0, str(directory))
        check_factory(arguments.factory)
    seed = random.randrange(2**32) if arguments.seed is None else arguments.seed  # noqa: S311
    missing = _missing(arguments)
    parts = PARTS if arguments.factory is None else OF_A_TRANSPORT
    jobs = scheduled(
        [part for part in arguments.only or parts if part not in missing],
        [name for name in arguments.backend or BACKENDS if name not in missing],
        factory=arguments.factory,
        seed=seed,
        deep=arguments.deep,
    )
    began = time.monotonic()
    skipped = (f"skipped: {why}" for why in missing.values())
    print(f"seed {seed}; {versions()}", *skipped, sep="\n", flush=True)
    results: Results = {}
    with stop.asks(lambda: None), _nothing_stored(), progress(len(jobs), _in_short) as (news, done):
        for job, findings in work_off(queues(jobs), lambda: stop.code is not None, news):
            results[job] = findings
            done(job, findings)
    if stop.code is not None:
        _print_interruption(results)
        return stop.leave(stop.code)
    _report(results, seed, time.monotonic() - began)
    return _verdict(results, arguments, list(missing))


def _here() -> Path:
    """The current directory.

    Raises:
        UsageError: it was deleted; no process can be started in it.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            f"there is no current directory any more: {error.strerror}; change to one that exists"
        ) from error


# Before


def _missing(arguments: argparse.Namespace) -> dict[str, MissingExtra]:
    """What is left out because a package is not installed.

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


# Progress


def versions() -> str:
    """The versions of Python and of the dependencies: with others the results may differ."""
    dependencies = (f"{name} {version(name)}" for name in DEPENDENCIES)
    return ", ".join((f"Python {python_version()}", *dependencies))


@contextmanager
def _nothing_stored() -> Iterator[None]:
    """Have Hypothesis store nothing in the processes that are started meanwhile.

    It puts a cache beside its database, in the current directory; without a place it works as well.
    """
    name = "HYPOTHESIS_STORAGE_DIRECTORY"
    with patch.dict(os.environ, {name: os.environ.get(name, os.devnull)}):
        yield


@contextmanager
def progress(
    count: int, in_short: Callable[[Any], str]
) -> Iterator[tuple[Callable[[Any, str], object], Callable[[Any, Any], object]]]:
    """Functions for the news and for the end of a job: a bar in a terminal, lines elsewhere.

    Args:
        count: how many jobs there are.
        in_short: what a job has found, in a few words.
    """
    if not (draws_colours() and find_spec("rich") is not None):
        lines = _ProgressLines(count, in_short)
        yield lines.news, lines.done
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}", markup=False)) as bar:
        task = bar.add_task("", total=count)
        yield (
            lambda job, text: bar.update(task, description=f"{job}: {text}"),
            lambda _job, _findings: bar.advance(task),
        )


class _ProgressLines:
    """Plain lines: one for each job that has ended, and sometimes one for a job under way."""

    def __init__(self, count: int, in_short: Callable[[Any], str]) -> None:
        self._count = count
        self._in_short = in_short
        self._ended = 0
        self._said = time.monotonic()

    def news(self, job: object, text: str) -> None:
        """Print how far a job is, unless a line was printed shortly before."""
        if time.monotonic() >= self._said + NEWS_INTERVAL:
            self._say(f"{job}, under way: {text}")

    def done(self, job: object, findings: object) -> None:
        """A job has ended."""
        self._ended += 1
        self._say(f"{job}: {self._in_short(findings)}")

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


# Results


def _report(results: Results, seed: int, seconds: float) -> None:
    """Print the results."""
    for title, rows in tables(results):
        if rows:
            print(f"\n{title}")
            print_columns(rows)
    print()
    for findings in results.values():
        for note in findings.notes:
            print(f"skipped: {note}")
    print(*totals(results, seed, seconds), *unproved(results), sep="\n")
    if not _checked(results):  # the reason is printed at the end, once
        results = {job: found for job, found in results.items() if found.counterexample}
    for text in counterexamples(results):
        print(f"\n{text}")


def _checked(results: Results) -> bool:
    """Whether anything was tested at all."""
    return any(found.checked for found in results.values())


def _verdict(results: Results, arguments: argparse.Namespace, missing: list[str]) -> int:
    """Print whether everything held; return the exit code.

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
        own = [found for job, found in results.items() if is_named(job, name)]
        if not any(found.checked for found in own):
            why = dict.fromkeys(found.skipped for found in own if found.skipped)
            raise UsageError(f"{option} {name}: nothing was checked: {'; '.join(why)}")
    left = [*missing, *untried(results)]
    if left:
        print(f"Everything that was tried held; not tried: {', '.join(left)}.")
    else:
        print(ALL_TRIED if any(found.notes for found in results.values()) else ALL)
    return 0


def _named(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """What was named on the command line, with its option."""
    return [
        *(("--only", name) for name in arguments.only or ()),
        *(("--backend", name) for name in arguments.backend or ()),
    ]


def _print_interruption(results: Results) -> None:
    """Print what was found before a stop was asked for."""
    broken = {job: found for job, found in results.items() if found.broken}
    for text in counterexamples(broken):
        print(f"\n{text}", flush=True)
    names = sorted(frozenset[str]().union(*(found.broken for found in broken.values())))
    refuted = f"refuted so far: {', '.join(names)}" if names else "nothing was refuted so far"
    print(f"interrupted; {refuted}", file=sys.stderr, flush=True)


def print_columns(rows: Rows) -> None:
    """Print rows, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join(cells).rstrip())
