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

from ..mutation import fresh
from ..mutation.forks import Forks, Slate, limit
from ..mutation.mutants import Mutant
from .changes import CHANGES, Change
from .witness import REPORT

__all__ = ["changed", "main"]

PACKAGE = Path(qrlifecycle.__file__).parent

AT_A_TIME = 2

SECONDS = 60
"""CPU time for the tests of a change; one that makes them hang is not caught by them."""

PATIENCE = 3
"""How many times as long they may take on the clock, for what waits without end."""


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


def passes(mutant: Mutant | None, tests: tuple[str, ...], report: Path, _slate: Slate) -> bool:
    """Whether tests pass; how each went is written to the report."""
    import pytest

    limit(SECONDS, PATIENCE * SECONDS)
    fresh.replace(mutant)
    options = () if mutant is None else ("-x",)
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
    os.chdir(fresh.TOP)
    fresh.prepare()
    with TemporaryDirectory() as folder:
        reports: dict[str, Path] = {}
        with Forks(AT_A_TIME) as forks:
            for number, (name, mutant, tests) in enumerate(tried(changes)):
                reports[name] = Path(folder, str(number))
                forks.begin(partial(passes, mutant, tests, reports[name]), lambda *_: None)
        went = {
            name: report.read_text().splitlines() if report.exists() else []
            for name, report in reports.items()
        }
    print(json.dumps(went))


if __name__ == "__main__":
    main(sys.argv[1:])
