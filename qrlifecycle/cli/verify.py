"""`qrlifecycle verify`: a verdict per promise, per clause and per world, and a counterexample.

This room must never know how a promise is put to the test.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..testing.contract import CLAUSES
from ..testing.exploration.scene import World
from ..testing.exploration.worlds import WIDE_WORLDS, WORLDS
from .stopping import Stop
from .verification import (
    BEARS,
    OURS,
    PROMISES,
    Contract,
    Explore,
    Findings,
    Properties,
    is_there,
    missing,
    never_seen,
    peer_factory,
)
from .workers import work_off

__all__ = ["run"]

AnyJob = Explore | Contract | Properties
Results = dict[AnyJob, Findings]
Rows = list[tuple[str, ...]]

PARTS = ("exploration", "contract", "properties")
BACKENDS = ("asyncio", "trio")

MOST_PROCESSES = 4

PLANS, WIRE_PLANS = 300, 30
"""Plans over scripted transports, and over real sockets, where each takes real time."""

DEEPER = 20
"""Times as many with --deep."""


def run(arguments: argparse.Namespace, stop: Stop) -> int:
    """Verify, and say whether all held."""
    if arguments.factory is not None:
        sys.path.insert(0, str(Path.cwd()))
        peer_factory(arguments.factory)
    seed = random.randrange(2**32) if arguments.seed is None else arguments.seed  # noqa: S311
    jobs, notes = _jobs(arguments, seed)
    began = time.monotonic()
    print(f"seed {seed}", *notes, sep="\n", flush=True)
    results: Results = {}
    with _progress(len(jobs)) as (news, done):
        for job, findings in work_off(_lines(jobs), stop, news):
            results[job] = findings
            done(job, findings)
    if stop.code is not None:
        return stop.leave(stop.code)
    return _report(results, seed, time.monotonic() - began)


# What is to be done


def _jobs(arguments: argparse.Namespace, seed: int) -> tuple[list[AnyJob], list[str]]:
    """The jobs, the longest first, and what is left out and why."""
    parts = [part for part in PARTS if not arguments.only or part in arguments.only]
    backends = [name for name in BACKENDS if not arguments.backend or name in arguments.backend]
    notes = []
    if "trio" in backends and not is_there("trio"):
        backends.remove("trio")
        notes.append(missing("what runs on trio"))
    if "properties" in parts and not is_there("hypothesis"):
        parts.remove("properties")
        notes.append(missing("drawing plans for the properties"))
    factory = arguments.factory or OURS
    times = DEEPER if arguments.deep else 1
    worlds = (*WORLDS, *WIDE_WORLDS) if arguments.deep else WORLDS
    jobs: list[AnyJob] = []
    for backend in backends:
        if "exploration" in parts:
            jobs += [Explore(world, backend) for world in worlds]
        if "contract" in parts:
            jobs.append(Contract(factory, backend))
        if "properties" in parts:
            jobs.append(Properties(None, backend, seed, PLANS * times))
            jobs.append(Properties(factory, backend, seed, WIRE_PLANS * times))
            if arguments.deep:
                jobs.append(Properties(None, backend, seed, PLANS * times // 2, at_once=2))
    return sorted(jobs, key=lambda job: -job.length), notes


def _lines(jobs: Sequence[AnyJob]) -> list[deque[AnyJob]]:
    """A line of jobs for each process: one for what mostly waits for sockets, the rest shared."""
    on_sockets = [job for job in jobs if getattr(job, "factory", None) is not None]
    others = deque(job for job in jobs if job not in on_sockets)
    count = min(os.cpu_count() or 1, MOST_PROCESSES, len(others))
    return [*([deque(on_sockets)] if on_sockets else []), *[others] * count]


# While it is done


@contextmanager
def _progress(
    count: int,
) -> Iterator[tuple[Callable[[Any, str], object], Callable[[Any, Findings], object]]]:
    """What is told of a job, and of its end: a bar in a terminal, plain lines elsewhere."""
    ended = 0
    if not (sys.stdout.isatty() and is_there("rich")):

        def line(job: AnyJob, findings: Findings) -> None:
            nonlocal ended
            ended += 1
            print(f"[{ended}/{count}] {job}: {_in_short(findings)}", flush=True)

        yield lambda _job, _text: None, line
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}", markup=False)) as progress:
        task = progress.add_task("", total=count)
        yield (
            lambda job, text: progress.update(task, description=f"{job}: {text}"),
            lambda _job, _findings: progress.advance(task),
        )


def _in_short(findings: Findings) -> str:
    if findings.counterexample:
        return "BROKEN"
    if findings.skipped:
        return f"skipped: {findings.skipped}"
    counts = findings.counts
    if "moves" in counts:
        return f"{counts['situations']:,} situations, {counts['moves']:,} moves"
    if "plans" in counts:
        return f"{counts['plans']:,} plans"
    return f"{sum(counts[clause] for clause in CLAUSES)} checks"


# Afterwards


def _report(results: Results, seed: int, seconds: float) -> int:
    """Print what came of it; the answer is the exit code."""
    unseen = _unseen(results)
    for title, rows in (
        ("promises", _promises(results)),
        ("clauses", _clauses(results)),
        ("worlds", _worlds(results)),
    ):
        if rows:
            print(f"\n{title}")
            _print_columns(rows)
    print()
    for findings in results.values():
        for note in findings.notes:
            print(f"skipped: {note}")
    for line in [*_bound(results), _totals(results, seed, seconds), *unseen]:
        print(line)
    broken = [(job, found) for job, found in results.items() if found.counterexample]
    for job, found in broken:
        print(f"\nBROKEN: {job}\n{found.counterexample}")
    if not broken and not unseen:
        print("Everything held.")
    return 1 if broken or unseen else 0


def _promises(results: Results) -> Rows:
    """A verdict for each promise, and the parts that bear on it."""
    broken = frozenset[str]().union(*(found.broken for found in results.values()))
    done = {type(job) for job, found in results.items() if not found.skipped}
    failed = {type(job) for job, found in results.items() if found.counterexample}
    rows: Rows = []
    for number, title in PROMISES.items():
        clauses = BEARS[number] if Contract in done else ()
        parts = [kind for kind in (Explore, Properties) if kind in done]
        by = [{Explore: "exploration", Properties: "properties"}[kind] for kind in parts]
        by += [f"contract {' '.join(clauses)}"] if clauses else []
        verdict = "held" if by else "not tried"
        if {f"promise {number}", *clauses} & broken:
            verdict = "BROKEN"
        elif failed & {*parts, *([Contract] if clauses else [])}:
            verdict = "held elsewhere; a part was not finished"
        rows.append((str(number), title, verdict, ", ".join(by)))
    return rows


def _clauses(results: Results) -> Rows:
    """A verdict for each clause, with the checks that were made."""
    found = [found for job, found in results.items() if isinstance(job, Contract)]
    counts = sum((one.counts for one in found), Counter[str]())
    rows: Rows = []
    for clause in CLAUSES if counts else ():
        made, skipped = counts[clause], counts[f"{clause} skipped"]
        verdict = "held" if made else "not tried"
        if any(clause in one.broken for one in found):
            verdict = "BROKEN"
        rows.append((clause, verdict, f"{made} checks made", f"{skipped} skipped"))
    return rows


def _worlds(results: Results) -> Rows:
    """What was seen of each world."""
    rows: Rows = []
    for job, found in results.items():
        if isinstance(job, Explore):
            seen = (
                f"{found.counts['situations']:,} situations",
                f"{found.counts['moves']:,} moves",
            )
            end = "complete" if found.complete else "not complete"
            end = "BROKEN" if found.counterexample else end
            rows.append((job.world.name, job.backend, *seen, end))
    return sorted(rows)


def _print_columns(rows: Rows) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join(cells).rstrip())


RACES = {1: "one act at a time", 2: "two racing acts", 3: "three racing acts"}


def _bound(results: Results) -> list[str]:
    """What was covered, in words."""
    worlds: list[World] = list(
        dict.fromkeys(job.world for job in results if isinstance(job, Explore))
    )
    if not worlds:
        return []
    count = Counter(world.racing for world in worlds)
    parts = (f"{RACES[n]} in {count[n]} worlds" for n in sorted(count))
    text = f"bound: {', '.join(parts)}; of racing acts, each before every step of the event loop"
    return [text]


def _totals(results: Results, seed: int, seconds: float) -> str:
    counts = sum((found.counts for found in results.values()), Counter[str]())
    checks = sum(counts[clause] for clause in CLAUSES)
    return (
        f"total: {counts['situations']:,} situations, {counts['moves']:,} moves, {checks} checks, "
        f"{counts['plans']:,} plans (--seed {seed}), {seconds:.0f} s"
    )


def _unseen(results: Results) -> list[str]:
    """What nothing was proved about, on each event loop, where nothing broke."""
    lines = []
    for backend in BACKENDS:
        found = [
            found
            for job, found in results.items()
            if isinstance(job, Explore) and job.backend == backend
        ]
        if not found or any(one.counterexample for one in found):
            continue
        if missed := never_seen(frozenset[object]().union(*(one.seen for one in found))):
            lines.append(f"On {backend}, nothing was proved about: {', '.join(missed)}.")
        if not all(one.complete for one in found):
            lines.append(f"On {backend}, a world was not explored to its end.")
    return lines
