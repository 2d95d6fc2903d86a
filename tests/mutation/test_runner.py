"""The runner from its command line, over a module of five lines and three tests."""

from __future__ import annotations

import subprocess
import sys

import pytest

from .fresh import TOP

pytestmark = pytest.mark.slow

RUN = """
import sys
from tests.mutation import modules, __main__
from tests.mutation.__main__ import main

file = "tests/gateways/test_evolution.py"
modules.MODULES["gateways.phone_numbers"] = (tuple(f"{file}::{name}" for name in sys.argv[1:]),)
sys.exit(main(["gateways.phone_numbers", "--quick", "--jobs", "2"]))
"""


def run(*tests: str) -> tuple[int, list[str]]:
    """Its exit code, and what it prints."""
    command = [sys.executable, "-c", RUN, *tests]
    done = subprocess.run(command, cwd=TOP, check=False, text=True, stdout=subprocess.PIPE)
    return done.returncode, done.stdout.splitlines()


def test_what_no_test_notices_is_told() -> None:
    """Changed functions and constants alike; the exit code says that something is unexplained."""
    code, lines = run("test_a_phones_number_is_sent_as_the_service_takes_it")
    assert code == 1
    survived = [line.partition(" ")[2] for line in lines if line.startswith("survived: ")]
    assert len(survived) == 1
    assert "digits_of: raise InvalidValue" in survived[0]
    assert lines[-2].split()[:5] == ["all", "8", "7", "0", "1"]
    code, lines = run("test_an_instance_that_can_have_no_namespace_is_refused")
    constant = "'[\\\\s().\\\\-/]' -> 'XX[\\\\s().\\\\-/]'"
    assert any(constant in line for line in lines if line.startswith("survived: "))


def test_nothing_is_told_of_mutants_where_a_test_fails_by_itself() -> None:
    """With nothing changed; which one, and why, is said."""
    code, lines = run("test_there_is_no_such_test")
    assert code == 1
    assert lines[0] == "gateways.phone_numbers: its tests fail with nothing changed"
    assert not any(line.startswith(("survived", "killed")) for line in lines)
