"""The mutants of a source: what it would be with one place changed.

A condition loses a part or turns round, a statement is left out, a number is one more, a `finally`
runs only when all is well, an entry of a mapping is missing, a row of the table leads elsewhere.
Annotations and the types of casts, docstrings, `assert`, and texts (f-strings, and strings with a
space) are left alone.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from qrlifecycle.outcome import Reason
from qrlifecycle.states import Deadline, Event, Phase, State, Step

__all__ = ["Mutant", "mutants_of"]

Place = tuple[tuple[str, int | None], ...]
"""From the module down to a node: field after field, with the index in those that are lists."""

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
}

OTHER = {"min": "max", "max": "min", "any": "all", "all": "any"}

WORDS = {
    kind.__name__: [word.name for word in kind]
    for kind in (State, Event, Reason, Deadline, Phase, Step)
}
"""Names of one kind: each is replaced by the one after it."""

LEFT_ALONE = {"annotation", "returns", "decorator_list", "type_comment", "bases"}

UNTOUCHED_NAMES = {"__all__", "__slots__"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one place.

    Attributes:
        module: the module, dotted, below the package.
        scope: the function or class it is in, dotted; empty for the module itself.
        change: what was there and what is there instead; numbered from the second like it on.
        line: where, in the source as it is.
        tree: makes the changed module.
    """

    module: str
    scope: str
    change: str
    line: int
    tree: Callable[[], ast.Module]

    def __str__(self) -> str:
        return f"{self.module}:{self.line} {self.scope}: {self.change}"


def mutants_of(module: str, path: Path) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its source."""
    source = ast.parse(path.read_text(), str(path))
    known: Counter[tuple[str, str]] = Counter()
    for place, node, scope in _places(source, (), ""):
        for instead in _instead_of(node, inside=bool(scope) and not _is_field(source, place)):
            change = _difference(node, instead)
            known[scope, change] += 1
            if (number := known[scope, change]) > 1:
                change += f" #{number}"
            tree = partial(_changed, source, place, instead)
            yield Mutant(module, scope, change, _line(node), tree)


def _places(node: ast.AST, place: Place, scope: str) -> Iterator[tuple[Place, ast.AST, str]]:
    """Each node that may be changed, from the top."""
    if _is_left_alone(node):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        scope = f"{scope}.{node.name}".lstrip(".")
    yield place, node, scope
    for field, value in ast.iter_fields(node):
        if field in LEFT_ALONE or (isinstance(node, ast.Subscript) and field == "slice"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not (index == 0 and _is_cast(node, field)):
                yield from _places(child, (*place, (field, index)), scope)


def _is_cast(node: ast.AST, field: str) -> bool:
    """Whether the first of the field is a type, which nothing that runs looks at."""
    return field == "args" and isinstance(node, ast.Call) and ast.unparse(node.func) == "cast"


def _is_field(module: ast.Module, place: Place) -> bool:
    """Whether a node stands right in a class."""
    owner: Any = module
    for field, index in place[:-1]:
        owner = getattr(owner, field) if index is None else getattr(owner, field)[index]
    return isinstance(owner, ast.ClassDef)


def _is_left_alone(node: ast.AST) -> bool:
    match node:
        case ast.Assert() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Constant()):  # a docstring
            return True
        case ast.Constant(value=str(text)):
            return " " in text
        case ast.Assign(value=ast.Subscript() | ast.BinOp(op=ast.BitOr())):  # an alias of a type
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in UNTOUCHED_NAMES
    return False


def _instead_of(node: ast.AST, *, inside: bool) -> Iterator[ast.AST]:
    """What a node may be replaced by; ``inside`` a function."""
    yield from _with_a_part_less(node)
    if isinstance(node, ast.stmt):
        yield from _other_statements(node, inside=inside)
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node)
    elif isinstance(node, ast.expr):
        yield from _other_expressions(node)


def _other_statements(node: ast.stmt, *, inside: bool) -> Iterator[ast.stmt]:
    match node:
        case ast.Expr() | ast.Raise() | ast.Break() | ast.Continue():
            yield ast.Pass()
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.AugAssign(op=op) if type(op) in SWAPPED:
            yield _but(node, op=SWAPPED[type(op)]())
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            if inside and not _is_none(value) and not isinstance(value, ast.Constant):
                yield _but(node, value=ast.Constant(None))
        case ast.If(test=test) | ast.While(test=test) if _can_be_turned(test):
            yield _but(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.With(items=[ast.withitem(optional_vars=None)], body=body):
            yield _block(body)
        case ast.Try(finalbody=[_, *_] as last):
            rest = _but(node, finalbody=[]) if node.handlers else _block(node.body)
            yield _block([rest, *last])


def _other_expressions(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare(ops=ops):
            for index, op in enumerate(ops):
                swapped = SWAPPED[type(op)]()
                yield _but(node, ops=[*ops[:index], swapped, *ops[index + 1 :]])
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            yield left
            yield right
        case ast.BinOp(op=op) if type(op) in SWAPPED:
            yield _but(node, op=SWAPPED[type(op)]())
        case ast.IfExp(test=test) if _can_be_turned(test):
            yield _but(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Lambda(body=body) if not _is_none(body):
            yield _but(node, body=ast.Constant(None))
        case ast.Call(func=ast.Name(id=name)) if name in OTHER:
            yield _but(node, func=ast.Name(OTHER[name], ast.Load()))
        case ast.Attribute(value=ast.Name(id=kind), attr=word) if word in WORDS.get(kind, ()):
            words = WORDS[kind]
            yield _but(node, attr=words[(words.index(word) + 1) % len(words)])


def _other_constants(node: ast.Constant) -> Iterator[ast.expr]:
    match node.value:
        case bool(value):
            yield ast.Constant(not value)
        case int(value) | float(value):
            yield ast.Constant(value + 1)
        case str(value):
            yield ast.Constant(f"XX{value}")


PARTS = {
    ast.BoolOp: ("values", 2),
    ast.Call: ("keywords", 1),
    ast.Set: ("elts", 2),
    ast.List: ("elts", 1),
    ast.Tuple: ("elts", 2),
    ast.Try: ("handlers", 1),
    ast.Match: ("cases", 2),
    ast.comprehension: ("ifs", 1),
}
"""Of what a part may be missing: which, and how many there must be for that."""


def _with_a_part_less(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Dict):
        for index in range(len(node.keys)):
            yield _but(node, keys=_less(node.keys, index), values=_less(node.values, index))
    field, least = PARTS.get(type(node), ("", 0))
    if not field or isinstance(getattr(node, "ctx", None), ast.Store):
        return
    parts: list[ast.AST] = getattr(node, field)
    if len(parts) < least:
        return
    for index in range(len(parts)):
        left = _less(parts, index)
        if isinstance(node, ast.BoolOp) and len(left) == 1:
            yield left[0]
        elif isinstance(node, ast.Try) and not left and not node.finalbody:
            yield _block(node.body)
        else:
            yield _but(node, **{field: left})


def _less(parts: list[Any], index: int) -> list[Any]:
    return [*parts[:index], *parts[index + 1 :]]


def _but(node: ast.AST, **fields: object) -> Any:
    """A copy of a node with other fields."""
    other = copy.copy(node)
    for field, value in fields.items():
        setattr(other, field, value)
    return other


def _block(body: list[ast.stmt]) -> ast.stmt:
    return ast.If(ast.Constant(True), body, [])


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _can_be_turned(test: ast.expr) -> bool:
    """Whether no change inside does the same."""
    if isinstance(test, ast.Compare):
        return len(test.ops) > 1
    turned = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    return not turned and not isinstance(test, ast.BoolOp | ast.Constant)


def _changed(module: ast.Module, place: Place, instead: ast.AST) -> ast.Module:
    """A copy of the module that has something else in a place."""
    changed = copy.deepcopy(module)
    node: Any = changed
    for field, index in place[:-1]:
        node = getattr(node, field) if index is None else getattr(node, field)[index]
    field, index = place[-1]
    old = getattr(node, field) if index is None else getattr(node, field)[index]
    new = copy.deepcopy(instead)
    if hasattr(old, "lineno"):
        ast.copy_location(new, old)
    if index is None:
        setattr(node, field, new)
    else:
        getattr(node, field)[index] = new
    return ast.fix_missing_locations(changed)


def _line(node: ast.AST) -> int:
    if isinstance(node, ast.comprehension):
        node = node.target
    return getattr(node, "lineno", 0)


def _difference(node: ast.AST, instead: ast.AST) -> str:
    """What is changed, in a line."""
    if isinstance(node, ast.Try):
        if node.finalbody and isinstance(instead, ast.If):
            return "finally -> afterwards"
        lost = [one for one in node.handlers if one not in getattr(instead, "handlers", ())]
        return f"{_text(lost[0]).partition(':')[0]} -> left out"
    if isinstance(node, ast.Match):
        lost_case = next(one for one in node.cases if one not in getattr(instead, "cases", ()))
        return f"case {_text(lost_case.pattern)} -> left out"
    if isinstance(node, ast.With) and isinstance(instead, ast.If):
        return f"with {_text(node.items[0])} -> without"
    return f"{_text(node)} -> {_text(instead)}"


LONGEST = 120
"""Characters that a node is shown with."""


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 2 :]}"
