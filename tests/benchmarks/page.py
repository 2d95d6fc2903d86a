"""The figures on the page ``docs/measured.md`` that one command prints: between marks of its own.

The study of a dashboard's day has other marks, and fills those itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .dashboard.study import this_machine

__all__ = ["PAGE", "fill", "fill_page", "this_machine"]

PAGE = Path(__file__).parents[2] / "docs" / "measured.md"

MARKS = re.compile(
    r"(?P<begin><!-- printed: (?P<name>\w+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)


def fill(page: str, made: Mapping[str, str]) -> str:
    """The page, with what stands between these marks made anew.

    Raises:
        ValueError: the page has no such mark.
    """
    names = {mark["name"] for mark in MARKS.finditer(page)}
    if missing := made.keys() - names:
        raise ValueError(f"no mark for {', '.join(sorted(missing))}")

    def remade(mark: re.Match[str]) -> str:
        text = made.get(mark["name"])
        return mark[0] if text is None else f"{mark['begin']}\n{text}\n{mark['end']}"

    return MARKS.sub(remade, page)


def fill_page(made: Mapping[str, str]) -> None:
    """Fill the page itself."""
    PAGE.write_text(fill(PAGE.read_text(), made))
