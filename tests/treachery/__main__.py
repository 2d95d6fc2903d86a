"""Try treacherous changes: ``python -m tests.treachery [NAME ...]`` prints how each test went.

It prints JSON, and without names it tries all of them. Each test runs in a process of its own, in
which the changed module takes the place of the one that it changes.
"""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import qrlifecycle

from ..mutation import trial
from ..mutation.mutants import Mutant
from .changes import CHANGES, Change
from .witness import REPORT

__all__ = ["changed", "main"]

PACKAGE = Path(qrlifecycle.__file__).parent

AT_A_TIME = 2

SECONDS = 60
"""CPU time for the tests of a change; one that makes them hang is not caught by them."""


def changed(change: Change) -> Mutant:
    """The changed module.

    Raises:
        ValueError: what is to be changed does not stand there once.
    """
    text = (PACKAGE / change.file).read_text()
    for old, new in change.edits:
        if text.count(old) != 1:
            raise ValueError(f"{change.name}: not once in {change.file}: {old!r}")
        text = text.replace(old, new)
    module = change.file.removesuffix(".py").replace("/", ".")
    return Mutant(module, "", change.name, 0, partial(ast.parse, text))


def passes(tests: tuple[str, ...], options: tuple[str, ...], report: Path) -> bool:
    """Whether tests pass; how each went is written to the report."""
    import pytest

    os.environ[REPORT] = str(report)
    plugin = ("-p", "tests.treachery.witness", "-p", "no:cacheprovider")
    every = ("-m", "")  # slow ones as well
    ignored = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
    return pytest.main(["-q", *plugin, *every, *ignored, *options, *tests]) == pytest.ExitCode.OK


def tried(
    changes: Sequence[Change],
) -> Iterator[tuple[str, Mutant | None, tuple[str, ...]]]:
    """A name, what is changed, and the tests for it; first nothing, and all of them."""
    yield "", None, tuple(sorted({test for change in changes for test in change.tests}))
    for change in changes:
        for test in change.tests:
            yield f"{change.name}: {test}", changed(change), (test,)


def main(names: Sequence[str], known: Sequence[Change] = CHANGES) -> None:
    """Try those that are named, or all that are known."""
    changes = [change for change in known if change.name in names or not names]
    os.chdir(trial.TOP)
    trial.prepare()
    running = 0
    with TemporaryDirectory() as folder:
        reports: dict[str, Path] = {}
        for number, (name, mutant, tests) in enumerate(tried(changes)):
            reports[name] = Path(folder, str(number))
            if running == AT_A_TIME:
                os.wait()
                running -= 1
            options = () if mutant is None else ("-x",)
            trial.begin(mutant, [(SECONDS, partial(passes, tests, options, reports[name]))])
            running += 1
        for _ in range(running):
            os.wait()
        went = {
            name: report.read_text().splitlines() if report.exists() else []
            for name, report in reports.items()
        }
    print()  # a trial may have been cut off in the middle of a line
    print(json.dumps(went))


if __name__ == "__main__":
    main(sys.argv[1:])
