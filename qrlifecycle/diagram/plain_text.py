"""The picture as tables for a terminal: one of the states' rows, and one for each region."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from ..states import INITIAL, Phase, State
from .palette import Role
from .picture import Picture, ends_after, roles

__all__ = ["draw_text"]

WHY_COLUMNS = 33
"""Keeps the tables within the 80 columns of a terminal."""

Cells = tuple[str, ...]
Block = list[Cells]


def draw_text(picture: Picture) -> list[str]:
    """The lines of the tables."""
    head = ("  state", "event", "target", "why")
    lines = [f"  {line}" for line in (picture.title, *picture.notes)]
    lines += _table(head, [_block(state, picture) for state in State])
    for state, region, phases in picture.all_regions():
        lines += ["", f"  Inside {state}, region {region}:", f"  {region.meaning}"]
        blocks = [_phase_block(phase, phases, picture) for phase in phases]
        lines += _table(("  phase", "by", "target", "why"), blocks)
    return lines


def _table(head: Cells, blocks: list[Block]) -> Iterator[str]:
    rows = [head, *(row for block in blocks for row in block)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = tuple("-" * width for width in widths)
    for block in ([head, rule, *blocks[0]], *blocks[1:]):
        yield ""
        for row in block:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            yield "  ".join(cells).rstrip()


def _block(state: State, picture: Picture) -> Block:
    role = roles(picture.table)[state]
    lit = state is picture.lit
    marks = {"now": lit, "initial": state is INITIAL, "socket open": role is Role.SOCKET}
    marks |= {end: role is end for end in (Role.SUCCESS, Role.FAILURE)}
    first = [f"{'>' if lit else ' '} {state}"]
    first += [f"  ({mark})" for mark, true in marks.items() if true]
    return _beside(first, picture.rows_in(state))


def _phase_block(phase: Phase, phases: tuple[Phase, ...], picture: Picture) -> Block:
    first = [f"  {phase}", *(["  (initial)"] if phase is phases[0] else [])]
    rows = [
        (row.by.value, row.target.value, row.why)
        for source, row in picture.phase_rows(phases)
        if source is phase
    ]
    deadline = picture.deadline(phase)
    if deadline is not None:
        rows.append(("deadline", "", ends_after(deadline)))
    return _beside(first, rows)


def _beside(first: list[str], rows: Iterable[tuple[str, str, str]]) -> Block:
    """The first column beside the others, the last of which is wrapped."""
    cells: list[tuple[str, str, str]] = []
    for event, target, why in rows:
        start, *rest = textwrap.wrap(why, WHY_COLUMNS) or [""]
        cells += [(event, target, start), *(("", "", more) for more in rest)]
    return [(mark or "", *(cell or ("", "", ""))) for mark, cell in zip_longest(first, cells)]
