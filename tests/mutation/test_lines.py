"""Which lines of a file ran, as it is noted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ..collector import left_to_the_collector
from .lines import Tracer, lines_as_text, lines_of_text

SOURCE = """
def chosen(yes):
    if yes:
        return 1
    return 2
"""


@pytest.fixture(name="names")
def _names(tmp_path: Path) -> dict[str, Callable[..., object]]:
    """What the source defines."""
    names: dict[str, Callable[..., object]] = {}
    exec(compile(SOURCE, "things.py", "exec"), names)
    return names


def test_lines_are_noted_by_function(names: dict[str, Callable[..., object]]) -> None:
    """Those that ran, and the function's first; none of another file."""
    with Tracer("things.py") as tracer:
        names["chosen"](False)
    with Tracer("others.py") as other:
        names["chosen"](True)
    assert tracer.lines == {"chosen": {2, 3, 5}}
    assert other.lines == {}


def test_lines_are_noted_in_threads_that_begin(names: dict[str, Callable[..., object]]) -> None:
    """What a test runs elsewhere counts, too."""
    with Tracer("things.py") as tracer:
        thread = threading.Thread(target=names["chosen"], args=(True,))
        thread.start()
        thread.join()
    assert tracer.lines == {"chosen": {2, 3, 4}}


def test_what_notes_leaves_nothing_to_the_collector(
    names: dict[str, Callable[..., object]],
) -> None:
    """Tests that look at what is left see none of it."""
    with left_to_the_collector() as left, Tracer("things.py"):
        names["chosen"](True)
    assert left == []


def test_lines_come_out_of_their_text_as_they_were(
    names: dict[str, Callable[..., object]],
) -> None:
    """What one process writes down, another reads."""
    with Tracer("things.py") as tracer:
        names["chosen"](True)
    assert lines_of_text(lines_as_text(tracer.lines)) == tracer.lines
