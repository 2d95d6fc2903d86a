"""What a mutant changes of a module's code: some functions, or what runs when it is imported.

Only functions can be given other code in a process that has imported the module. Constants,
defaults, fields and decorators are made by code that has run by then.
"""

from __future__ import annotations

import ast
import gc
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import NamedTuple

from .mutants import Mutant

__all__ = ["Change", "Source", "changed_functions", "innermost", "live_functions"]

Pair = tuple[CodeType, CodeType]
"""A function's code as it is, and as the mutant has it."""

HOLLOW = "\0code"
"""Stands where code was taken out."""


class Change(NamedTuple):
    """What a mutant changes.

    Attributes:
        functions: what is to be replaced; None where that is not enough.
        near: by qualified name, the functions that show it, as far as that can be said.
    """

    functions: list[Pair] | None
    near: set[str]


class Source:
    """A module as it is.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._tree = ast.parse(path.read_text(), self.path)
        self._code = compile(self._tree, self.path, "exec", dont_inherit=True)

    def functions(self) -> Iterator[CodeType]:
        """All of its functions, those inside others too."""
        return _every_function(self._code)

    def change(self, mutant: Mutant) -> Change:
        """What a mutant of it changes."""
        try:
            after = compile(mutant.tree(), self.path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return Change(None, set())
        pairs = changed_functions(self._code, after)
        if pairs is None:
            return Change(None, set(self._mentioning(mutant.line)))
        return Change(pairs, {one.co_qualname for pair in pairs for one in innermost(*pair)})

    def _mentioning(self, line: int) -> Iterator[str]:
        """The functions that name what a line makes when the module is imported."""
        names = _names_made(self._tree.body, line)
        for code in self.functions():
            if code.co_name in names or not names.isdisjoint(code.co_names):
                yield code.co_qualname


def changed_functions(before: CodeType, after: CodeType) -> list[Pair] | None:
    """The functions of a module or of its classes that differ.

    Args:
        before: the code of the module, or of one of its classes.
        after: the same with the mutant in it.

    Returns:
        None where anything else differs, or one cannot stand for the other.
    """
    nested = _nested(before, after)
    if nested is None:
        return None
    changed: list[Pair] = []
    for pair in nested:
        if pair[0] == pair[1]:
            continue
        if _is_function(pair[0]):
            inside = [pair] if _can_stand_for(*pair) else None
        else:
            inside = changed_functions(*pair)
        if inside is None:
            return None
        changed += inside
    return changed


def innermost(before: CodeType, after: CodeType) -> Iterator[CodeType]:
    """The functions inside a function that differ themselves: who runs none sees no difference."""
    nested = _nested(before, after)
    if nested is None:
        yield before
        return
    for one, other in nested:
        if one != other:
            yield from innermost(one, other)


def live_functions(module: ModuleType) -> dict[CodeType, list[FunctionType]]:
    """The functions of a module that there are in this process, by their code."""
    live: dict[CodeType, list[FunctionType]] = {}
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__globals__ is vars(module):
            live.setdefault(one.__code__, []).append(one)
    return live


def _nested(before: CodeType, after: CodeType) -> list[Pair] | None:
    """What is inside both, if they do not differ by themselves."""
    if _hollow(before) != _hollow(after):
        return None
    pairs = zip(before.co_consts, after.co_consts, strict=True)
    return [(one, other) for one, other in pairs if isinstance(one, CodeType)]


def _hollow(code: CodeType) -> CodeType:
    """Code without what is inside it."""
    consts = tuple(HOLLOW if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.replace(co_consts=consts)


def _is_function(code: CodeType) -> bool:
    """Whether it runs when it is called: a class's body runs where it stands."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED)


def _can_stand_for(before: CodeType, after: CodeType) -> bool:
    """Whether a function that has the one code can be given the other.

    Others may have asked, when they were imported, whether it is a generator or a coroutine.
    """
    return (before.co_flags, before.co_freevars) == (after.co_flags, after.co_freevars)


def _every_function(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if _is_function(constant):
                yield constant
            yield from _every_function(constant)


def _names_made(body: list[ast.stmt], line: int) -> set[str]:
    for statement in body:
        if statement.lineno <= line <= (statement.end_lineno or statement.lineno):
            match statement:
                case ast.ClassDef(body=inside, name=name):
                    return _names_made(inside, line) or {name}
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    return {name}
            nodes = ast.walk(statement)
            stored = (n for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            return {node.id for node in stored}
    return set()
