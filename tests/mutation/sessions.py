"""Sessions of pytest: what each is told, which tests are left out, and how long each may take."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import Phase, settings

from .forks import Slate, limit
from .modules import BACKENDS_MATTER, EXPLORATION, MODULES
from .order import Spent

__all__ = ["Watch", "explores", "is_of", "matters", "options", "steps_of"]

SECONDS = Spent(1, 10)
"""What each test may take at least, however fast it is unchanged; most take hundredths."""

SECONDS_TO_END = Spent(3, 10)
"""For what tests have left, and the search for what is garbage."""

TIMES = 10
"""How many times as long as unchanged it may take."""

UNKNOWN = Spent(12, 36)
"""What a test is taken to need at most of which nothing is known yet."""

SECONDS_TO_EXPLORE = Spent(180, 540)
"""For `explore()` in all worlds together."""


def options() -> list[str]:
    """What pytest is told."""
    settings.register_profile(
        "mutation",
        max_examples=20,
        phases=[Phase.explicit, Phase.generate],  # what fails need not be shrunk
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(settings.get_profile("default").suppress_health_check),
    )
    return [
        *("-x", "-q", "--tb=short", "-p", "no:cacheprovider", "--hypothesis-profile=mutation"),
        *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # several runs in one process
        *("-m", ""),  # slow ones as well
    ]


def steps_of(module: str) -> list[Sequence[str]]:
    """The tests of a module, step by step, from what is quickest to notice."""
    return [tests for tests in MODULES[module] if tests is not EXPLORATION]


def is_of(test: str, step: Sequence[str]) -> bool:
    """Whether a test is among those that a step names by folder, file, class or name."""
    return any(test == one or test.startswith((f"{one}/", f"{one}::", f"{one}[")) for one in step)


def matters(test: str, step: Sequence[str]) -> bool:
    """Whether a test of a step is run: what decides is the same on both backends, as a rule."""
    return "trio" not in test.lower() or not BACKENDS_MATTER.isdisjoint(step)


def explores() -> bool:
    """Whether every world can be explored, one act at a time."""
    from qrlifecycle.proof.exploration import explore
    from qrlifecycle.proof.exploration.worlds import WORLDS

    limit(*SECONDS_TO_EXPLORE)
    return all(explore(replace(world, racing=1)).complete for world in WORLDS)


class Watch:
    """Pytest's plugin that limits each test, and writes down which one runs.

    Args:
        slate: where it writes.
        spent: what the tests take while nothing is changed.
    """

    def __init__(self, slate: Slate, spent: Mapping[str, Spent]) -> None:
        self._slate = slate
        self._spent = spent
        self.failed: list[pytest.TestReport] = []
        """What failed so far."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """A test begins."""
        self._slate.write(item.nodeid)
        spent = self._spent.get(item.nodeid, UNKNOWN)
        cpu, clock = (max(least, TIMES * one) for least, one in zip(SECONDS, spent, strict=True))
        limit(cpu, clock * _crowd())
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A part of a test has ended."""
        if report.failed:
            self.failed.append(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """What tests have left is torn down."""
        limit(SECONDS_TO_END.cpu, SECONDS_TO_END.clock * _crowd())


def _crowd() -> float:
    """How many want a processor's time: on the clock, each takes so many times as long."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
