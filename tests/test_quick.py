"""What is quick is enough, and what is slow begins early."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import LONGEST
from .patience import PROCESS_HANGS

TOP = Path(__file__).parent.parent


def held(marks: str) -> Iterator[tuple[str, str]]:
    """The promises, and the clauses of the contract, that tests of these marks name: which, where.

    Where is a file, of which each is of one kind: units, properties, real sockets, the contract.
    """
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", marks]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=TOP, timeout=PROCESS_HANGS
    )
    for file, test in re.findall(r"^(tests/[^:]+)::(.*)$", done.stdout, re.MULTILINE):
        for numbers in re.findall(r"_promises?_((?:\d_)+)", test):
            yield from ((f"promise {number}", file) for number in numbers.strip("_").split("_"))
        for clause in re.findall(r"test_contract\[(?:\w+-)?(T\d) ", test):
            yield clause, file


@pytest.mark.slow
def test_what_a_file_holds_is_held_by_a_quick_test_of_it() -> None:
    """Each promise, in each kind of test; and each clause of the contract."""
    everything = set(held(""))
    assert {what for what, _ in everything} >= {f"promise {number}" for number in range(1, 10)}
    assert {what for what, _ in everything} >= {f"T{number}" for number in range(1, 8)}
    assert set(held("not slow")) == everything


def test_what_comes_first_is_there_and_has_slow_tests() -> None:
    """A file that was moved would be begun last again, and nobody would see why all is slower."""
    assert [file for file in LONGEST if "pytest.mark.slow" not in (TOP / file).read_text()] == []
