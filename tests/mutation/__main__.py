"""Would the tests notice? ``python -m tests.mutation [MODULE ...]``.

Each mutant of the core modules is put before the tests of its module, then before those of the
whole core, and then before `explore()` in all its worlds, one act at a time. The list
``equivalent.toml`` names the mutants that change nothing anybody could see, each with the reason;
an entry that fits no mutant, or one that is killed after all, is an error. The exit code is 0 when
no survivor is unexplained.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from . import trial
from .equivalents import Equivalents
from .modules import BACKENDS_MATTER, EXPLORATION, MODULES, path_of
from .mutants import Mutant, mutants_of
from .report import Report
from .trial import TOP, Step, Verdict

__all__ = ["main"]

SECONDS_OF_ITS_OWN = 20
"""CPU time for the tests of a module: several times what they need. Most mutants that never end are
met there, and cost all of it."""

SECONDS = 60
"""CPU time for other tests, of the whole core as a rule: several times what they need."""

SECONDS_TO_EXPLORE = 180
"""CPU time for `explore()` in all worlds together."""


def passes(tests: Sequence[str]) -> bool:
    """Whether some tests pass; to be called in a process of its own."""
    import pytest
    from hypothesis import settings

    settings.register_profile(
        "mutation",
        max_examples=20,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(settings.get_profile("default").suppress_health_check),
    )
    options = ["-x", "-q", "--tb=short", "-p", "no:cacheprovider", "--hypothesis-profile=mutation"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # several runs in one process
    options += ["-m", ""]  # slow ones as well
    if not BACKENDS_MATTER.intersection(tests):
        options += ["-k", "not trio"]  # what decides is the same on both, and takes half the time
    return pytest.main([*options, *tests]) == pytest.ExitCode.OK


def explores() -> bool:
    """Whether every world can be explored, one act at a time; in a process of its own."""
    from qrlifecycle.proof.exploration import explore
    from qrlifecycle.proof.exploration.worlds import WORLDS

    return all(explore(replace(world, racing=1)).complete for world in WORLDS)


def steps_of(module: str, *, quick: bool) -> Iterator[Step]:
    """What a mutant of a module is put before, from what is quickest to notice."""
    for place, tests in enumerate(MODULES[module]):
        if tests is not EXPLORATION:
            yield SECONDS if place else SECONDS_OF_ITS_OWN, partial(passes, tests)
        elif not quick:
            yield SECONDS_TO_EXPLORE, explores


def try_all(
    mutants: Iterable[Mutant], jobs: int, quick: bool, told: Callable[[Mutant, Verdict], object]
) -> None:
    """Put mutants before the tests, so many at a time; each verdict is told as it comes."""
    running: dict[int, Mutant] = {}

    def wait() -> None:
        pid, status = os.wait()
        told(running.pop(pid), trial.verdict_of(status))

    for mutant in mutants:
        running[trial.begin(mutant, list(steps_of(mutant.module, quick=quick)))] = mutant
        if len(running) == jobs:
            wait()
    while running:
        wait()


def control(modules: Iterable[str], quick: bool) -> bool:
    """Whether every test passes while nothing is changed."""
    for module in modules:
        _, status = os.waitpid(trial.begin(None, list(steps_of(module, quick=quick))), 0)
        if status != 0:
            print(f"{module}: its tests fail with nothing changed")
            return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of: {', '.join(MODULES)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    parser.add_argument("--only", default="", help="only mutants whose description has this in it")
    parser.add_argument("--quick", action="store_true", help="explore nothing")
    parser.add_argument("--list", action="store_true", help="list the mutants and try none")
    given = parser.parse_args(arguments)
    if unknown := set(given.modules) - set(MODULES):
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    modules = [module for module in MODULES if module in given.modules or not given.modules]
    mutants = [one for module in modules for one in mutants_of(module, path_of(module))]
    chosen = [mutant for mutant in mutants if given.only in str(mutant)]
    if given.list:
        print(*chosen, sep="\n")
        return 0
    equivalents = Equivalents.read()
    if stray := equivalents.without_mutant(mutants, modules):
        print("equivalent.toml names what is no mutant:", *stray, sep="\n  ")
        return 1
    os.chdir(TOP)
    trial.prepare()
    if not control(modules, given.quick):
        return 1
    began, report = time.monotonic(), Report(len(chosen), equivalents)
    try_all(chosen, given.jobs, given.quick, report.tell)
    print(report, f"{time.monotonic() - began:.0f} s, {given.jobs} at a time", sep="\n")
    return 0 if report.clean else 1


if __name__ == "__main__":
    sys.exit(main())
