"""A plugin for pytest that writes down how each test failed: by an assertion of its own, or not.

It runs in the process that a treacherous change is tried in.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

__all__ = ["REPORT", "pytest_runtest_makereport"]

REPORT = "TREACHERY_REPORT"
"""The environment variable that names the file to write to: a line for each test."""


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Write down how a test went, in a word."""
    if call.when == "call" or call.excinfo is not None:
        how = "passed" if call.excinfo is None else _kind_of(call.excinfo.value)
        with Path(os.environ[REPORT]).open("a") as report:
            report.write(f"{how} {item.nodeid.partition('[')[0]}\n")


def _kind_of(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        kinds = {_kind_of(one) for one in error.exceptions}
        return "assertion" if "assertion" in kinds else "error"
    wanted = AssertionError | pytest.fail.Exception
    return "assertion" if isinstance(error, wanted) else "error"
