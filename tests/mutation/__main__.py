"""Would the tests notice? ``python -m tests.mutation [MODULE ...]``.

Each mutant of the core modules is put before the tests of its module, then before those of the
whole core, and then before `explore()` in all its worlds, one act at a time. Where it can be put in
place of what is imported already, only the tests that run what it changes look at it; otherwise
everything is imported with it (see `trials`). The list ``equivalent.toml`` names the mutants that
change nothing anybody could see, each with the reason; an entry that fits no mutant, or one that is
killed after all, is an error. The exit code is 0 when no survivor is unexplained.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from .equivalents import Equivalents
from .fresh import TOP, prepare
from .modules import MODULES, path_of
from .mutants import mutants_of
from .report import Report
from .run import Run

__all__ = ["main"]


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
    prepare()
    began, report = time.monotonic(), Report(len(chosen), equivalents)
    fair = all(
        Run(module, own, jobs=given.jobs, quick=given.quick, told=report.tell).is_fair()
        for module in modules
        if (own := [mutant for mutant in chosen if mutant.module == module])
    )
    print(report, f"{time.monotonic() - began:.0f} s, {given.jobs} at a time", sep="\n")
    return 0 if fair and report.clean else 1


if __name__ == "__main__":
    sys.exit(main())
