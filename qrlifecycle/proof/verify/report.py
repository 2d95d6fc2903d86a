"""The report of `qrlifecycle verify`: a verdict for each promise, each clause and each world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from textwrap import wrap

from ...outcome import Connected, Reason
from ...states import State, single_rows
from ...testing.backends import BACKENDS
from ...testing.contract import CLAUSES
from ...testing.wording import PROMISES
from ..exploration.conformance import seen_in
from ..exploration.scene import World
from ..model import rest, situations
from .jobs import AnyJob, Contract, Explore, Findings, Properties

__all__ = [
    "Results",
    "Rows",
    "counterexamples",
    "never_seen",
    "tables",
    "totals",
    "unproved",
    "untried",
]

Results = dict[AnyJob, Findings]

Rows = list[tuple[str, ...]]

CLAUSES_OF_PROMISE = {
    1: ("T2",),
    2: ("T2", "T4"),
    3: ("T1", "T2", "T3"),
    4: ("T4", "T7"),
    5: ("T1", "T3", "T8"),
    6: (),
    7: ("T5", "T6"),
    8: ("T1", "T2"),
    9: (),
}
"""The clauses of the contract that a promise depends on."""

TESTED_EXTENT = {
    4: "no code before listening, a read on each opening, success only once",
    5: "cancel scopes, but not task.cancel()",
    6: "codes are forgotten; texts are not searched",
    7: "signals out of place, and errors; no floods",
    8: "tasks, timers and sockets",
    9: "what it does with its lease; check_leases tests a keeper",
}
"""What the exploration and the properties test of a promise, if not the whole of it."""

LIFECYCLES = ("exploration", "properties")
"""The parts that test the lifecycle itself."""

NARROW = 43
"""Characters of a line about what was tested: a row of the table must fit into 80 columns."""

RACES = {1: "one act at a time", 2: "two racing acts", 3: "three racing acts"}

WAITING_SITUATIONS = frozenset(seen_in(situation) for situation in situations() if rest(situation))
"""The situations in which the model can wait, as far as they can be observed."""


# Tables


def tables(results: Results) -> list[tuple[str, Rows]]:
    """The verdicts, as tables with a title; a table may be empty."""
    return [
        ("promises", _promises(results)),
        ("clauses", _clauses(results)),
        ("worlds", _worlds(results)),
    ]


def _promises(results: Results) -> Rows:
    """A verdict for each promise, the parts that tested it, and to what extent."""
    broken = frozenset[str]().union(*(found.broken for found in results.values()))
    rows: Rows = []
    for number, title in PROMISES.items():
        by, stopped = _bearing(results, CLAUSES_OF_PROMISE[number])
        verdict = "held" if by else "not tried"
        if {f"promise {number}", *CLAUSES_OF_PROMISE[number]} & broken:
            verdict = "BROKEN"
        elif by and stopped:
            verdict = "held by the other checks"
        first, *more = _extent(number, by)
        rows.append((str(number), title, verdict, first))
        rows += [("", "", "", line) for line in more]
    return rows


def _bearing(results: Results, clauses: tuple[str, ...]) -> tuple[list[str], bool]:
    """The parts that tested a promise with these clauses; whether one did not finish."""
    tried: set[str] = set()
    stopped = False
    for job, found in results.items():
        match job:
            case Contract():
                tried.update(clause for clause in clauses if found.counts[clause])
                stopped = stopped or bool(clauses and found.failure)
            case Explore() | Properties():
                if found.checked:
                    tried.add("exploration" if isinstance(job, Explore) else "properties")
                stopped = stopped or bool(found.failure or found.counterexample)
    by = [part for part in LIFECYCLES if part in tried]
    if kept := [clause for clause in clauses if clause in tried]:
        by.append(f"contract {' '.join(kept)}")
    return by, stopped


def _extent(number: int, by: list[str]) -> list[str]:
    """The parts that tested a promise and, if that is not the whole of it, the extent; in lines."""
    line = ", ".join(by)
    if by and not set(LIFECYCLES) & set(by):
        return [f"{line}: the transport only"]
    if not by or number not in TESTED_EXTENT:
        return [line]
    return [line, *wrap(f"of the lifecycle: {TESTED_EXTENT[number]}", NARROW)]


def _clauses(results: Results) -> Rows:
    """A verdict for each clause, with the number of its checks."""
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


# Lines


def totals(results: Results, seed: int, seconds: float) -> list[str]:
    """What was covered, in words and numbers."""
    counts = sum((found.counts for found in results.values()), Counter[str]())
    checks = sum(counts[clause] for clause in CLAUSES)
    return [
        *_bound(results),
        f"total: {counts['situations']:,} situations, {counts['moves']:,} moves, {checks} checks, "
        f"{counts['plans']:,} plans (--seed {seed}), {seconds:.0f} s",
        *(_visited(backend, explored) for backend, explored in _explored(results)),
    ]


def _bound(results: Results) -> list[str]:
    worlds: list[World] = list(
        dict.fromkeys(job.world for job in results if isinstance(job, Explore))
    )
    if not worlds:
        return []
    count = Counter(world.racing for world in worlds)
    parts = (f"{RACES[n]} in {count[n]} worlds" for n in sorted(count))
    return [f"bound: {', '.join(parts)}; of racing acts, each before every step of the event loop"]


def _visited(backend: str, explored: Sequence[Findings]) -> str:
    visited = frozenset[object]().union(*(found.visited for found in explored))
    return (
        f"On {backend}, the code was seen in {len(visited & WAITING_SITUATIONS)} of the "
        f"{len(WAITING_SITUATIONS)} situations where the model can wait."
    )


def unproved(results: Results) -> list[str]:
    """What nothing was proved about, on each event loop where nothing broke."""
    lines = []
    for backend, explored in _explored(results):
        if any(found.counterexample for found in explored):
            continue
        if missed := never_seen(frozenset[object]().union(*(found.seen for found in explored))):
            lines.append(f"On {backend}, nothing was proved about: {', '.join(missed)}.")
        if (
            not frozenset[object]().union(*(found.visited for found in explored))
            >= WAITING_SITUATIONS
        ):
            lines.append(
                f"On {backend}, the code was not seen in every situation where the model can wait."
            )
        if not all(found.complete for found in explored):
            lines.append(f"On {backend}, a world was not explored to its end.")
    return lines


def _explored(results: Results) -> list[tuple[str, list[Findings]]]:
    """The findings in the worlds, on each event loop that has any."""
    found = {
        backend: [
            found
            for job, found in results.items()
            if isinstance(job, Explore) and job.backend == backend
        ]
        for backend in BACKENDS
    }
    return [(backend, explored) for backend, explored in found.items() if explored]


def untried(results: Results) -> list[str]:
    """The jobs that could not be done here, and the clauses that no peer could be tested with."""
    jobs = sorted(str(job) for job, found in results.items() if found.skipped)
    contracts = [
        found.counts for job, found in results.items() if isinstance(job, Contract) and found.counts
    ]
    counts = sum(contracts, Counter[str]())
    return [*jobs, *(clause for clause in CLAUSES if contracts and not counts[clause])]


def counterexamples(results: Results) -> list[str]:
    """Each counterexample, and where it was found; then each job that did not finish."""
    order = sorted(results, key=str)
    alike: dict[str, list[AnyJob]] = {}
    for job in order:
        if results[job].counterexample:
            alike.setdefault(results[job].alike or str(job), []).append(job)
    texts = []
    for first, *others in alike.values():
        text = f"BROKEN: {first}\n{results[first].counterexample}"
        if others:
            text += f"\nThe same broke in: {', '.join(map(str, others))}"
        texts.append(text)
    texts += [
        f"NOT FINISHED: {job}: {results[job].failure}" for job in order if results[job].failure
    ]
    return texts


def never_seen(seen: frozenset[object]) -> list[str]:
    """The states, rows and ends that are not among those seen, in words."""
    rows = [(source, row.event) for source, row in single_rows()]
    states = {State.IDLE} | {
        state
        for source, row in single_rows()
        if (source, row.event) in seen
        for state in (source, row.target or source)
    }
    return [
        *(f"state {state}" for state in State if state not in states),
        *(f"row {source} : {event}" for source, event in rows if (source, event) not in seen),
        *(f"reason {reason}" for reason in Reason if reason not in seen),
        *([] if Connected in seen else ["a success"]),
    ]
