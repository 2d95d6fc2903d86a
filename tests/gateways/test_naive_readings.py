"""Each trap of a service has a test that fails where the service is read naively."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ..treachery.__main__ import changed
from ..treachery.changes import Change
from .naive_readings import READINGS

TOP = Path(__file__).parents[2]


def test_each_naive_reading_can_still_be_made() -> None:
    """What it changes stands once where it is looked for, and its test is there."""
    assert [changed(reading).change for reading in READINGS] == [one.name for one in READINGS]
    for reading in READINGS:
        ((file, _, test),) = (name.partition("::") for name in reading.tests)
        assert f"def {test}(" in (TOP / file).read_text()


@pytest.fixture(scope="module")
def went() -> dict[str, list[str]]:
    """How each test went: under its reading, and under none."""
    command = [sys.executable, "-m", "tests.gateways.naive_readings"]
    result = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = json.loads(result.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.parametrize("reading", READINGS, ids=[one.name for one in READINGS])
def test_a_naive_reading_is_found_out(reading: Change, went: dict[str, list[str]]) -> None:
    """By an assertion, or by a refusal that the gateway makes of it; without it the test passes."""
    (test,) = reading.tests
    assert f"passed {test}" in went[""]
    assert {f"passed {test}"} < {f"passed {test}", *went[f"{reading.name}: {test}"]}
