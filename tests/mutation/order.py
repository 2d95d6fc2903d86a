"""The order in which tests look at a mutant: first those that will notice it, if any does."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from .lines import Lines

__all__ = ["Note", "Order", "Spent"]

SLOW = 0.3
"""Seconds from which on a test waits for those that take less."""


class Spent(NamedTuple):
    """What a test takes while nothing is changed: of the processor, and on the clock."""

    cpu: float
    clock: float


class Note(NamedTuple):
    """What is known of a test.

    Attributes:
        step: the first of its module's steps that has it.
        spent: what it takes.
        lines: what it runs of the module.
    """

    step: int
    spent: Spent
    lines: Lines


class Order:
    """Sorts tests by what is known of them, and by what they noticed so far.

    Attributes:
        spent: what each takes while nothing is changed.
    """

    def __init__(self, notes: Mapping[str, Note]) -> None:
        self._notes = notes
        self.spent = {test: note.spent for test, note in notes.items()}
        self._noticed: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def noticed(self, scope: str, test: str) -> None:
        """A test has noticed a mutant of a scope: it will be among the first for the next."""
        self._noticed[scope][test] += 1

    def running(self, scope: str, functions: Collection[str], line: int) -> list[str]:
        """The tests that run any of some functions, from those that run a line of them."""
        there: list[str] = []
        elsewhere: list[str] = []
        for test, note in self._notes.items():
            lines = [note.lines[function] for function in functions if function in note.lines]
            if lines:
                (there if any(line in some for some in lines) else elsewhere).append(test)
        return [*self._sorted(scope, there), *self._sorted(scope, elsewhere)]

    def all(self, scope: str, first: Iterable[str]) -> list[str]:
        """Every test, from some that are known to be near."""
        near = list(first)
        return [*near, *self._sorted(scope, self._notes.keys() - set(near))]

    def _sorted(self, scope: str, tests: Iterable[str]) -> list[str]:
        noticed = self._noticed[scope]

        def key(test: str) -> tuple[int, bool, int, float, str]:
            step, spent, _ = self._notes[test]
            return -noticed[test], spent.clock > SLOW, step, spent.clock, test

        return sorted(tests, key=key)
