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
    """Changed functions and constants; the exit code says that some are unexplained."""
    code, lines = run("test_a_phones_number_is_sent_as_the_service_takes_it")
    assert code == 1
    survived = [line for line in lines if line.startswith("survived: gateways.phone_numbers")]
    assert any("digits_of: found is None" in line for line in survived)
    assert not any("found[1]" in line for line in survived)
