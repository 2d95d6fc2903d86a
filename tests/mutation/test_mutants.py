"""The mutants and the list of equivalent ones fit each other."""

from __future__ import annotations

from functools import cache
from itertools import islice

from .equivalents import Equivalents
from .modules import MODULES, path_of
from .mutants import Mutant, mutants_of


@cache
def every() -> list[Mutant]:
    """All mutants of all core modules."""
    return [mutant for module in MODULES for mutant in mutants_of(module, path_of(module))]


def test_every_entry_of_the_list_of_equivalents_is_a_mutant() -> None:
    """An entry whose place in the source has changed is noticed in every run of the tests."""
    known = Equivalents.read()
    assert known.modules <= set(MODULES)
    assert known.without_mutant(every(), MODULES) == []


def test_no_module_of_the_engine_is_forgotten() -> None:
    """Whoever adds one says which tests look at it."""
    folder = path_of("engine.attempt").parent
    engine = {f"engine.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"}
    assert engine <= set(MODULES)


def test_a_mutant_is_named_once() -> None:
    """No two mutants of a scope have the same words, so an entry means one of them."""
    names = [(mutant.module, mutant.scope, mutant.change) for mutant in every()]
    assert len(set(names)) == len(names)


def test_every_mutant_can_be_compiled() -> None:
    """A mutant is killed by what it does, not by a syntax error."""
    every_fifth = islice(mutants_of("engine.connection", path_of("engine.connection")), 0, None, 5)
    for mutant in every_fifth:  # of each kind there are some
        compile(mutant.tree(), str(mutant), "exec")
