"""One mutant before the tests: a process of its own, which ends at the first that notices.

Each is forked from a process that has imported what all tests need, but nothing of the package. The
mutant takes the place of its module when that is imported.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

from .mutants import Mutant

__all__ = ["TOP", "Step", "Verdict", "begin", "prepare", "verdict_of"]

TOP = Path(__file__).parents[2]

Step = tuple[int, Callable[[], bool]]
"""How many seconds of CPU time it may take, and what says whether all was well."""

PATIENCE = 3
"""How many times as long it may take on the clock, for what waits without end."""

MOST_MEMORY = 3 * 2**29
"""Bytes of address space for a mutant that collects without end."""

NEEDED = (
    *("_pytest.assertion.rewrite", "aiohttp", "anyio._backends._asyncio"),
    *("anyio._backends._trio", "anyio.pytest_plugin", "engineio", "hypothesis", "pytest"),
    *("socketio", "transitions", "trio.testing"),
)
"""What costs the tests most of their time when it is imported anew for each mutant."""


class Verdict(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    """A test failed."""
    TIMED_OUT = "timed out"
    """It went on for so long that it never ends."""
    SURVIVED = "survived"


class _Loader(SourceFileLoader):
    def __init__(self, mutant: Mutant, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._mutant.tree(), self.get_filename(fullname), "exec")
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


def prepare() -> None:
    """Import what all tests need, and nothing of the package."""
    for name in NEEDED:
        importlib.import_module(name)


def begin(mutant: Mutant | None, steps: Sequence[Step]) -> int:
    """Put a mutant (or the package as it is) before some steps, in a process that is forked.

    Args:
        mutant: what takes its module's place.
        steps: the first of them that is not well is the last.

    Returns:
        The process's id; see `verdict_of`.
    """
    if (pid := os.fork()) != 0:
        return pid
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2) if mutant is not None else (0,):
            os.dup2(nowhere, descriptor)
        for name in [n for n in sys.modules if n.partition(".")[0] == "qrlifecycle"]:
            del sys.modules[name]
        if mutant is not None:
            sys.meta_path.insert(0, _Finder(mutant))
        code = 0 if all(_takes(step) for step in steps) else 1
    except BaseException:  # whatever it is, somebody has noticed
        traceback.print_exc()
    finally:
        os._exit(code)


def _takes(step: Step) -> bool:
    seconds, is_well = step
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(PATIENCE * seconds)
    return is_well()


def verdict_of(status: int) -> Verdict:
    """What the end of a process says, as `os.waitpid` gives it."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGALRM, signal.SIGPROF}:
        return Verdict.TIMED_OUT
    return Verdict.SURVIVED if status == 0 else Verdict.KILLED
