"""Each treacherous change is caught by the tests of the promise that it breaks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .__main__ import changed
from .changes import CHANGES, Change

TOP = Path(__file__).parents[2]

QUICK = tuple({change.promise: change for change in reversed(CHANGES)}.values())
"""The first change of each promise; the others take long."""

Verdicts = dict[str, dict[str, set[str]]]
"""From what was changed, by name, to how each test went: passed, assertion, error."""


def marks(change: Change) -> tuple[pytest.MarkDecorator, ...]:
    """What a change's tests are marked with."""
    return () if change in QUICK else (pytest.mark.slow,)


@pytest.fixture(scope="module")
def changes(request: pytest.FixtureRequest) -> list[Change]:
    """The changes that are to be tried in this run."""
    chosen = {
        item.callspec.params.get("change")
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path
        if hasattr(item, "callspec")
    }
    return [change for change in CHANGES if change in chosen]


@pytest.fixture(scope="module")
def verdicts(changes: list[Change]) -> Verdicts:
    """How each test went, under the changes that it must catch and under none."""
    command = [sys.executable, "-m", "tests.treachery", *(change.name for change in changes)]
    result = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    found: Verdicts = {}
    for name, lines in json.loads(result.stdout.splitlines()[-1]).items():
        tests = found.setdefault(name, {})
        for line in lines:
            how, _, test = line.partition(" ")
            tests.setdefault(test, set()).add(how)
    return found


def test_each_change_can_still_be_made() -> None:
    """What it changes stands once where it is looked for."""
    assert [changed(change).change for change in CHANGES] == [change.name for change in CHANGES]


@pytest.mark.parametrize(
    ("change", "test"),
    [
        pytest.param(change, test, id=change.name.replace(" ", "-"), marks=marks(change))
        for change in CHANGES
        for test in change.tests
    ],
)
def test_a_treacherous_change_is_caught_by_its_promises_own_test(
    change: Change, test: str, verdicts: Verdicts
) -> None:
    """The test bears the number of the promise, and fails by an assertion of its own."""
    assert re.search(rf"_promises?_(\d_)*{change.promise}_", test)
    how = verdicts[f"{change.name}: {test}"].get(test, set())
    assert how <= {"passed", "assertion"}, "it stumbles over the change"
    assert "assertion" in how, "it does not catch the change"


@pytest.mark.parametrize(
    "of", [pytest.param("some", id="quick"), pytest.param("the rest", marks=pytest.mark.slow)]
)
def test_unchanged_all_of_them_pass(of: str, changes: list[Change], verdicts: Verdicts) -> None:
    """What catches a change does not cry without one."""
    tests = {test for change in changes for test in change.tests}
    assert verdicts[""] == {test: {"passed"} for test in tests}


def test_each_promise_has_changes_that_break_it() -> None:
    """There is none that nobody tried to break, and no two changes are the same."""
    assert {change.promise for change in CHANGES} == set(range(1, 10))
    assert len({change.name for change in CHANGES}) == len(CHANGES)
    assert all(change.tests for change in CHANGES)
