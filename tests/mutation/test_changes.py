"""Which mutants can be put in place of what is imported already."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from .changes import Source, innermost, live_functions
from .mutants import mutants_of

SOURCE = """
from functools import cache, partial

LIMIT = 3
TABLE = {"few": 1}

def plain(a, b=2):
    return a + b

def outer():
    def inner(x):
        return x * 5
    return inner

def numbers(n):
    if n < LIMIT:
        yield n

twice = partial(lambda n: n + n)

class Thing:
    size: int = 4

    def __init__(self):
        super().__init__()
        self.parts = []

    @property
    def half(self):
        return self.size / 6

    @staticmethod
    @cache
    def kept():
        return plain(7)
"""


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "things.py"
    path.write_text(SOURCE)
    return path


def imported(path: Path) -> ModuleType:
    """The module of a file."""
    spec = importlib.util.spec_from_file_location("things", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def change(path: Path, words: str) -> tuple[set[str] | None, set[str]]:
    """What a mutant changes, by name: the functions to replace, and those that show it."""
    (mutant,) = (one for one in mutants_of("things", path) if one.change == words)
    functions, near = Source(path).change(mutant)
    replaced = None if functions is None else {before.co_qualname for before, _ in functions}
    return replaced, near


@pytest.mark.parametrize(
    ("words", "replaced", "near"),
    [
        ("a + b -> a - b", "plain", "plain"),
        ("x * 5 -> x / 5", "outer", "outer.<locals>.inner"),
        ("n < LIMIT -> n <= LIMIT", "numbers", "numbers"),
        ("n + n -> n - n", "<lambda>", "<lambda>"),
        ("self.size / 6 -> self.size * 6", "Thing.half", "Thing.half"),
        ("7 -> 8", "Thing.kept", "Thing.kept"),
    ],
)
def test_a_change_inside_a_function_can_be_put_in_place(
    path: Path, words: str, replaced: str, near: str
) -> None:
    """What is replaced is a function that has a name; what shows it is the innermost."""
    assert change(path, words) == ({replaced}, {near})


@pytest.mark.parametrize(
    ("words", "near"),
    [
        ("3 -> 4", {"numbers"}),  # a constant of the module
        ("1 -> 2", set()),  # in a table
        ("2 -> 3", {"plain", "Thing.kept"}),  # a default
        ("4 -> 5", {"Thing.half"}),  # a field
        ("yield n -> pass", set()),  # it would be no generator
        ("super().__init__() -> pass", set()),  # it would have other cells
    ],
)
def test_a_change_of_anything_else_needs_a_new_start(
    path: Path, words: str, near: set[str]
) -> None:
    """Near are the functions that name what is changed."""
    replaced, shown = change(path, words)
    assert replaced is None
    assert shown >= near


def test_all_that_a_module_has_of_a_function_gets_its_code(path: Path) -> None:
    """Properties, what decorators have wrapped, and what others hold; no other import's."""
    source, module, another = Source(path), imported(path), imported(path)
    live, held = live_functions(module), module.twice
    for words in ("a + b -> a - b", "self.size / 6 -> self.size * 6", "n + n -> n - n"):
        (mutant,) = (one for one in mutants_of("things", path) if one.change == words)
        functions, _ = source.change(mutant)
        assert functions
        for before, after in functions:
            for function in live[before]:
                function.__code__ = after
    assert (module.plain(5), module.Thing.kept(), module.Thing().half, held(3)) == (3, 5, 24, 0)
    assert (another.plain(5), another.Thing.kept(), another.twice(3)) == (7, 9, 6)


def test_code_that_is_the_same_changes_nothing(path: Path) -> None:
    """Compiled twice, no function differs, and each is among those that there are."""
    source, again = Source(path), Source(path)
    pairs = list(zip(source.functions(), again.functions(), strict=True))
    assert pairs
    assert all(before == after for before, after in pairs)
    live = live_functions(imported(path))
    assert {"plain", "outer", "<lambda>", "Thing.half"} <= {code.co_qualname for code in live}
    assert set(live) <= {before for before, _ in pairs}


def test_the_innermost_of_what_differs_by_itself_is_itself() -> None:
    """A function that has lost the one inside it is what differs."""
    texts = "def f(): return lambda: 1", "def f(): pass"
    modules = (compile(text, "x", "exec") for text in texts)
    before, after = (next(c for c in m.co_consts if isinstance(c, CodeType)) for m in modules)
    assert [code.co_name for code in innermost(before, after)] == ["f"]
