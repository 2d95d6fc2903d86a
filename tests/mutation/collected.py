"""A process that imports and collects a module's tests once, for all mutants that need no more."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from multiprocessing import Pipe

import pytest

from .changes import Source
from .forks import nowhere
from .fresh import forget_the_package
from .lines import Tracer
from .modules import path_of
from .mutants import Mutant
from .sessions import options, steps_of
from .trials import Broken, Message, Trials

__all__ = ["in_place"]


def in_place(
    module: str, mutants: Sequence[Mutant], *, jobs: int, quick: bool
) -> Iterator[Message]:
    """Try those of a module's mutants that can be put in place; tells of each as it comes.

    Args:
        module: the module.
        mutants: some of its mutants.
        jobs: how many at a time.
        quick: explore nothing.
    """
    reading, writing = Pipe(duplex=False)
    if (pid := os.fork()) == 0:
        code = 1
        try:
            reading.close()
            nowhere(0, 1, 2)
            source = Source(path_of(module))
            with Tracer(source.path) as at_import:
                trials = Trials(
                    module,
                    source,
                    mutants,
                    jobs=jobs,
                    quick=quick,
                    tell=writing.send,
                    at_import=at_import,
                )
                code = _collect(module, trials)
        finally:
            os._exit(code)
    writing.close()
    try:
        while True:
            yield reading.recv()
    except EOFError:
        pass
    finally:
        reading.close()
        _, status = os.waitpid(pid, 0)
    if status != 0:
        yield Broken("what is wrong is said by pytest")


def _collect(module: str, trials: Trials) -> int:
    """Begin a session of pytest; its exit code."""
    forget_the_package()
    tests = [test for step in steps_of(module) for test in step]
    return int(pytest.main([*options(), *tests], [trials]))
