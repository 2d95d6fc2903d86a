"""One mutant before the tests in a process that has imported nothing of the package yet.

The mutant takes the place of its module when that is imported, so that everything is made of it:
constants, classes, and what others make of these.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from .forks import Slate, limit
from .mutants import Mutant
from .order import Spent
from .sessions import Watch, explores, matters, options, steps_of

__all__ = ["TOP", "forget_the_package", "passes", "prepare", "replace"]

TOP = Path(__file__).parents[2]

SECONDS_TO_COLLECT = Spent(20, 60)
"""For importing the package, and finding the tests."""

NEEDED = (
    *("_pytest.assertion.rewrite", "aiohttp", "anyio._backends._asyncio"),
    *("anyio._backends._trio", "anyio.pytest_plugin", "engineio", "hypothesis", "pytest"),
    *("socketio", "transitions", "trio.testing"),
)
"""What costs the tests most of their time when it is imported anew for each mutant."""


class _Loader(SourceFileLoader):
    def __init__(self, mutant: Mutant, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        tree, path = self._mutant.tree(), self.get_filename(fullname)
        code: CodeType = compile(tree, path, "exec", dont_inherit=True)
        return code


class _Finder(MetaPathFinder):
    """Finds the mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> ModuleSpec | None:
        if fullname != f"qrlifecycle.{self._mutant.module}":
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(self._mutant, fullname, spec.origin)
        return spec


class _Sorted:
    """Pytest's plugin that brings tests into an order; it keeps what the order does not name."""

    def __init__(self, order: Sequence[str], step: Sequence[str]) -> None:
        self._places = {test: place for place, test in enumerate(order)}
        self._step = step

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if matters(item.nodeid, self._step)]
        items.sort(key=lambda item: self._places.get(item.nodeid, len(self._places)))


def prepare() -> None:
    """Import what all tests need, and nothing of the package."""
    for name in NEEDED:
        importlib.import_module(name)


def forget_the_package() -> None:
    """Let it be imported anew."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "qrlifecycle"]:
        del sys.modules[name]


def replace(mutant: Mutant | None) -> None:
    """Let the package be imported anew, with a mutant in place of its module, if there is one."""
    forget_the_package()
    if mutant is not None:
        sys.meta_path.insert(0, _Finder(mutant))


def passes(
    module: str,
    mutant: Mutant | None,
    slate: Slate,
    *,
    quick: bool,
    order: Sequence[str] = (),
    spent: Mapping[str, Spent] | None = None,
) -> bool:
    """Whether all tests of a module pass; to be called in a process of its own.

    Args:
        module: whose tests.
        mutant: what takes its place, if anything does.
        slate: is told which test runs.
        quick: explore nothing.
        order: the tests from which to begin, in each step.
        spent: what they take while nothing is changed.
    """
    replace(mutant)
    for step in steps_of(module):
        limit(*SECONDS_TO_COLLECT)
        plugins = [_Sorted(order, step), Watch(slate, spent or {})]
        if pytest.main([*options(), *step], plugins) != pytest.ExitCode.OK:
            return False
    slate.write("")  # whatever comes now, no test noticed it
    return quick or explores()
