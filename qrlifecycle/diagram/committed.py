"""Whether a committed diagram is what is drawn now."""
# ruff: noqa: A002 - `format` is the common name, and nothing here uses the builtin.

from __future__ import annotations

import difflib
import re

from ..errors import InvalidValue
from .rendering import draw

__all__ = ["difference"]


def difference(committed: str, format: str, name: str, *, phases: bool = False) -> str:
    """A unified diff from a committed diagram to what is drawn now; empty if they are equal.

    Line endings, trailing white space and blank lines around the diagram do not matter. Of a
    Markdown file only the first fenced block in that format counts.

    Args:
        committed: the text of the file.
        format: one of `TEXT_FORMATS`.
        name: the file's name, for the diff's head; ``.md`` at its end means Markdown.
        phases: whether the diagram draws what goes on inside a state.

    Raises:
        InvalidValue: no such text format, or a Markdown file without such a block.
    """
    drawn = _lines(draw(format, phases=phases))
    old = _lines(_fenced(committed, format, name) if name.endswith(".md") else committed)
    diff = difflib.unified_diff(old, drawn, name, f"{name} (drawn now)", lineterm="")
    return "".join(f"{line}\n" for line in diff)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def _fenced(markdown: str, format: str, name: str) -> str:
    # MyST, which the documentation is written in, puts the word in braces.
    fence = re.compile(
        rf"^(?P<fence>`{{3,}})[ ]*\{{?{re.escape(format)}\}}?[ ]*\n(?P<body>.*?)^(?P=fence)",
        re.MULTILINE | re.DOTALL,
    )
    found = fence.search("\n".join(line.rstrip() for line in markdown.splitlines()))
    if found is None:
        raise InvalidValue(f"{name} has no fenced ```{format} block to compare with")
    return found["body"]
