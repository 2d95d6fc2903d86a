"""Mutants put in place, in forks of a process that has collected a module's tests.

A mutant that changes functions alone, none of which ran before the first test, is put in place: the
functions that there are get its code. Only the tests that run any of them look at it; what a test
runs is noted before, in a fork for each, so that no cache hides from one what another has run. All
other mutants are left, with the order in which the tests should look at them.

Whatever this cannot see is on the safe side: a test that only reads code, or fails for what another
has left behind, lets a mutant survive that would be killed.
"""

from __future__ import annotations

import gc
import importlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType

import pytest

from .changes import Pair, Source, live_functions
from .forks import Forks, Slate, Verdict
from .lines import Tracer, lines_as_text, lines_of_text
from .mutants import Mutant
from .order import Note, Order, Spent
from .sessions import Watch, explores, is_of, matters, steps_of

__all__ = ["Broken", "Left", "Message", "Noted", "Trials", "Tried"]


@dataclass(frozen=True, slots=True)
class Broken:
    """The tests fail while nothing is changed."""

    why: str


@dataclass(frozen=True, slots=True)
class Noted:
    """What the tests take while nothing is changed."""

    spent: dict[str, Spent]


@dataclass(frozen=True, slots=True)
class Tried:
    """A mutant was put in place; mutants are numbered."""

    number: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Left:
    """A mutant that cannot be put in place, and all tests, from those that are nearest to it."""

    number: int
    tests: list[str]


Message = Broken | Noted | Tried | Left

Put = list[tuple[FunctionType, CodeType]]
"""The code that functions get."""


class Trials:
    """Pytest's plugin that tries mutants once the tests are collected, and runs no test itself.

    Args:
        module: whose mutants.
        source: the module.
        mutants: some of its mutants.
        jobs: how many at a time.
        quick: explore nothing.
        tell: is told what comes of it.
        at_import: notes what runs before the first test.
    """

    def __init__(
        self,
        module: str,
        source: Source,
        mutants: Sequence[Mutant],
        *,
        jobs: int,
        quick: bool,
        tell: Callable[[Message], object],
        at_import: Tracer,
    ) -> None:
        self._module = f"qrlifecycle.{module}"
        self._source = source
        self._mutants = mutants
        self._jobs = jobs
        self._quick = quick
        self._tell = tell
        self._at_import = at_import
        self._steps = steps_of(module)
        self._items: dict[str, pytest.Item] = {}
        self._live: dict[CodeType, list[FunctionType]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what no step has run."""
        self._items = {item.nodeid: item for item in items if self._is_run(item.nodeid)}

    def _is_run(self, test: str) -> bool:
        return any(is_of(test, step) and matters(test, step) for step in self._steps)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Everything has been collected."""
        if session.testsfailed:
            return None  # pytest has something to say
        module = importlib.import_module(self._module)
        self._at_import.stop()
        if module.__file__ != self._source.path:
            raise RuntimeError(f"{module.__file__} was imported, not {self._source.path}")
        self._live = live_functions(module)
        gc.collect()
        gc.freeze()  # what is looked at is copied in a fork
        same = [(f, code) for code in self._source.functions() for f in self._live.get(code, ())]
        if (order := self._order(same)) is not None and self._is_unharmed(order, same):
            self._try_all(order)
        return True

    def _order(self, same: Put) -> Order | None:
        """What is known of the tests; None if one fails, by itself and with nothing changed."""
        notes: dict[str, Note] = {}
        broken: list[str] = []

        def ended(test: str, verdict: Verdict, word: str) -> None:
            if verdict is not Verdict.SURVIVED:
                broken.append(f"{verdict}: {test}\n{word}")
                return
            cpu, clock, lines = word.split(" ", 2)
            step = next(n for n, step in enumerate(self._steps) if is_of(test, step))
            notes[test] = Note(step, Spent(float(cpu), float(clock)), lines_of_text(lines))

        with Forks(self._jobs) as forks:
            for test in self._items:
                forks.begin(partial(self._note, test, same), partial(ended, test))
        if broken:
            self._tell(Broken("\n".join(broken)))
            return None
        return Order(notes)

    def _note(self, test: str, same: Put, slate: Slate) -> bool:
        """Write down what a test takes and runs; in a process of its own."""
        watch = Watch(slate, {})
        cpu, clock = time.process_time(), time.monotonic()
        with Tracer(self._source.path) as tracer:
            well = self._passes([test], same, watch)
        spent = f"{time.process_time() - cpu} {time.monotonic() - clock}"
        failures = "\n".join(report.longreprtext for report in watch.failed)
        slate.write(f"{spent} {lines_as_text(tracer.lines)}" if well else failures)
        return well

    def _passes(self, tests: Sequence[str], put: Put, watch: Watch) -> bool:
        """Whether tests pass with other code in some functions; in a process of its own."""
        for function, code in put:
            function.__code__ = code
        items = [self._items[test] for test in tests]
        session, config = items[0].session, items[0].config
        config.pluginmanager.register(watch)
        for item, following in zip(items, [*items[1:], None], strict=True):
            config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                break
        config.hook.pytest_sessionfinish(session=session, exitstatus=session.testsfailed)
        config._ensure_unconfigure()  # tells of what nobody has caught
        return not session.testsfailed

    def _is_unharmed(self, order: Order, same: Put) -> bool:
        """Whether all tests pass one after the other, with nothing changed."""
        harmed: list[str] = []

        def ended(verdict: Verdict, word: str) -> None:
            if verdict is not Verdict.SURVIVED:
                harmed.append(f"{verdict}, after others: {word}")

        with Forks(1) as forks:
            forks.begin(partial(self._try, order.all("", ()), same, order), ended)
        self._tell(Broken(harmed[0]) if harmed else Noted(order.spent))
        return not harmed

    def _try(self, tests: Sequence[str], put: Put, order: Order, slate: Slate) -> bool:
        """Whether nobody notices other code in some functions; in a process of its own."""
        if tests and not self._passes(tests, put, Watch(slate, order.spent)):
            return False
        slate.write("")  # whatever comes now, no test noticed it
        return self._quick or explores()

    def _try_all(self, order: Order) -> None:
        left: list[Callable[[], Left]] = []
        with Forks(self._jobs) as forks:
            for number, mutant in enumerate(self._mutants):
                functions, near = self._source.change(mutant)
                tests = partial(order.running, mutant.scope, near, mutant.line)
                if (put := self._put(functions)) is None:
                    left.append(partial(self._left, number, tests, order))
                else:
                    work = partial(self._try, tests(), put, order)
                    forks.begin(work, partial(self._ended, number, order))
        for one in left:  # by now it is known who notices what
            self._tell(one())

    def _put(self, functions: Sequence[Pair] | None) -> Put | None:
        """What is to be put where, if that can be done by now."""
        if functions is None:
            return None
        put: Put = []
        for before, after in functions:
            live = self._live.get(before)
            if not live or before.co_qualname in self._at_import.lines:
                return None
            put += [(function, after) for function in live]
        return put

    def _ended(self, number: int, order: Order, verdict: Verdict, word: str) -> None:
        if verdict is not Verdict.SURVIVED and word:
            order.noticed(self._mutants[number].scope, word)
        self._tell(Tried(number, verdict))

    def _left(self, number: int, near: Callable[[], list[str]], order: Order) -> Left:
        return Left(number, order.all(self._mutants[number].scope, near()))
