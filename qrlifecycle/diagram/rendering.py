"""The table as a picture: Mermaid, DOT, SVG, PNG, PDF, a table for the terminal, and JSON.

Everything is derived from the given table, so a picture cannot show a row that does not exist. The
role of a state (the socket is open, an attempt ends) is shown by colour and in words. The package
that draws images is imported when an image is asked for.
"""
# ruff: noqa: A002 - `format` is the common name, and nothing here uses the builtin.

from __future__ import annotations

import difflib
import json
import re
import textwrap
from collections.abc import Iterator
from enum import StrEnum
from itertools import zip_longest
from typing import NamedTuple

from .errors import InvalidValue, MissingExtra
from .states import (
    INITIAL,
    SOCKET_OWNER,
    TABLE,
    Event,
    Row,
    State,
    single_rows,
)

__all__ = [
    "FORMATS",
    "IMAGE_FORMATS",
    "TEXT_FORMATS",
    "difference",
    "draw",
    "paint",
    "render",
    "roles",
]

TEXT_FORMATS: tuple[str, ...] = ("mermaid", "dot", "text", "json")
"""What `draw` writes."""

IMAGE_FORMATS: tuple[str, ...] = ("svg", "png", "pdf")
"""What `paint` makes; the ``diagram`` extra is needed."""

FORMATS: tuple[str, ...] = TEXT_FORMATS + IMAGE_FORMATS
"""What `render` accepts."""

TITLE = "QR pairing"
ENTRY = ("entry", "open transport")
EXIT = ("exit", "close transport")
STAY = "stay"
RESTARTS = frozenset({Event.GENERATE, Event.RESET})
WHY_COLUMNS = 54
"""Keeps the table for the terminal under 100 columns."""
PNG_DOTS_PER_INCH = "160"


class Role(StrEnum):
    """What a state means in the picture."""

    ORDINARY = "ordinary"
    SOCKET = "socket"
    SUCCESS = "success"
    FAILURE = "failure"


LEGEND = {
    Role.SOCKET: "the socket is open",
    Role.SUCCESS: "ended in success",
    Role.FAILURE: "ended in failure",
}


class Colours(NamedTuple):
    """The colours of one box; text on fill keeps the contrast that WCAG AA asks for."""

    fill: str
    border: str
    text: str


PAPER = "#FFFFFF"
INK = "#1E293B"

UNLIT = {
    Role.ORDINARY: Colours("#F1F5F9", "#64748B", INK),
    Role.SOCKET: Colours("#DBEAFE", "#2563EB", "#1E3A8A"),
    Role.SUCCESS: Colours("#DCFCE7", "#16A34A", "#14532D"),
    Role.FAILURE: Colours("#FEE2E2", "#DC2626", "#7F1D1D"),
}
LIT = {
    Role.ORDINARY: Colours("#334155", "#0F172A", PAPER),
    Role.SOCKET: Colours("#1D4ED8", "#172554", PAPER),
    Role.SUCCESS: Colours("#15803D", "#052E16", PAPER),
    Role.FAILURE: Colours("#B91C1C", "#450A0A", PAPER),
}
ARROWS = {
    Role.ORDINARY: "#475569",
    Role.SOCKET: "#1D4ED8",
    Role.SUCCESS: "#166534",
    Role.FAILURE: "#B91C1C",
}
"""An arrow and its label have the colour of the target."""


def render(
    format: str, *, state: State | None = None, table: tuple[Row, ...] = TABLE
) -> str | bytes:
    """The table in any of `FORMATS`: text from `draw`, bytes from `paint`.

    Args:
        format: one of `FORMATS`.
        state: the state to highlight, if any.
        table: the rows to draw.

    Raises:
        InvalidValue: there is no such format.
        MissingExtra: an image was asked for and pygraphviz is not installed.
    """
    if format not in FORMATS:
        raise InvalidValue(f"no diagram format {format!r}; there are: {', '.join(FORMATS)}")
    if format in IMAGE_FORMATS:
        return paint(format, state=state, table=table)
    return draw(format, state=state, table=table)


def draw(format: str, *, state: State | None = None, table: tuple[Row, ...] = TABLE) -> str:
    """The table in one of `TEXT_FORMATS`; the same call gives the same text, ending in a newline.

    ``json`` is one object: ``initial`` and ``socket_owner`` (names of states); ``states``, each
    with ``name``, ``meaning``, ``ends`` (an attempt ends here) and ``lit``; and ``rows``, one for
    each source, with ``source``, ``event``, ``target`` (null if internal), ``internal``, ``why``.

    Raises:
        InvalidValue: there is no such text format.
    """
    match format:
        case "mermaid":
            lines = _mermaid(state, table)
        case "dot":
            lines = _dot(state, table)
        case "text":
            lines = _text(state, table)
        case "json":
            lines = [_json(state, table)]
        case _:
            raise InvalidValue(f"no text format {format!r}; there are: {', '.join(TEXT_FORMATS)}")
    return "\n".join(lines) + "\n"


def paint(format: str, *, state: State | None = None, table: tuple[Row, ...] = TABLE) -> bytes:
    """The table as an image in one of `IMAGE_FORMATS`.

    Raises:
        InvalidValue: there is no such image format.
        MissingExtra: pygraphviz is not installed.
    """
    if format not in IMAGE_FORMATS:
        raise InvalidValue(f"no image format {format!r}; there are: {', '.join(IMAGE_FORMATS)}")
    try:
        import pygraphviz  # noqa: PLC0415 - see the first lines
    except ImportError:
        raise MissingExtra("drawing a diagram as SVG, PNG or PDF", "diagram") from None
    graph = pygraphviz.AGraph(string=draw("dot", state=state, table=table))
    if format == "png":
        graph.graph_attr["dpi"] = PNG_DOTS_PER_INCH
    image = graph.draw(format=format, prog="dot")
    assert isinstance(image, bytes), "without a path, draw() gives back what it has drawn"
    return _self_contained(image, _title(state)) if format == "svg" else image


def difference(committed: str, format: str, name: str) -> str:
    """A unified diff from a committed diagram to what is drawn now; empty if they are equal.

    Line endings, trailing white space and blank lines around the diagram do not matter. Of a
    Markdown file only the first fenced block in that format counts.

    Args:
        committed: the text of the file.
        format: one of `TEXT_FORMATS`.
        name: the file's name, for the diff's head; ``.md`` at its end means Markdown.

    Raises:
        InvalidValue: no such text format, or a Markdown file without such a block.
    """
    drawn = _lines(draw(format))
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


def _title(state: State | None) -> str:
    return TITLE if state is None else f"{TITLE}: {state} now"


def _ends(table: tuple[Row, ...]) -> tuple[State, ...]:
    """The states that only a new attempt or a reset leads out of."""
    left_for_more = {source for source, row in single_rows(table) if row.event not in RESTARTS}
    return tuple(s for s in State if s not in left_for_more | {INITIAL, SOCKET_OWNER})


def roles(table: tuple[Row, ...] = TABLE) -> dict[State, Role]:
    """What each state means in a picture."""
    failures = {row.target for row in table if row.event is Event.FAIL}
    found = dict.fromkeys(State, Role.ORDINARY)
    for end in _ends(table):
        found[end] = Role.FAILURE if end in failures else Role.SUCCESS
    found[SOCKET_OWNER] = Role.SOCKET
    return found


def _arrows(table: tuple[Row, ...]) -> dict[tuple[State, State], list[Event]]:
    """The events of each (source, target), internal rows left out, in the order of the states."""
    arrows: dict[tuple[State, State], list[Event]] = {}
    order = list(State)
    for source, row in sorted(single_rows(table), key=lambda single: order.index(single[0])):
        if row.target is not None:
            arrows.setdefault((source, row.target), []).append(row.event)
    return arrows


def _inside(state: State, table: tuple[Row, ...]) -> list[str]:
    """The lines in the box below the name of the state."""
    internal = [
        f"{row.event} / {STAY}"
        for source, row in single_rows(table)
        if source is state and row.internal
    ]
    if state is SOCKET_OWNER:
        return [" / ".join(ENTRY), *internal, " / ".join(EXIT)]
    return internal


def _mermaid(state: State | None, table: tuple[Row, ...]) -> list[str]:
    lines = ["---", f'title: "{_title(state)}"', "---", "stateDiagram-v2", "  direction TB"]
    # Mermaid lays out the states in the order of the lines: the start comes first.
    lines.append(f"  [*] --> {INITIAL}")
    for (source, target), events in _arrows(table).items():
        lines.append(f"  {source} --> {target} : {' / '.join(events)}")
    styles: list[str] = []
    for each, role in roles(table).items():
        ending = [LEGEND[role]] if role in (Role.SUCCESS, Role.FAILURE) else []
        lines += [f"  {each} : {words}" for words in (each, *_inside(each, table), *ending)]
        lit = each is state
        fill, border, text = (LIT if lit else UNLIT)[role]
        name = f"{role}{'Now' if lit else ''}"
        style = f"fill:{fill},stroke:{border},color:{text},stroke-width:{4 if lit else 2}px"
        styles.append(f"  classDef {name} {style}")
        lines.append(f"  class {each} {name}")
    return [*lines, *dict.fromkeys(styles)]


def _dot(state: State | None, table: tuple[Row, ...]) -> list[str]:
    font = 'fontname="Helvetica,Arial,sans-serif"'
    return [
        f'digraph "{TITLE}" {{',
        f'  graph [rankdir=TB bgcolor="{PAPER}" pad=0.3 nodesep=0.5 ranksep=0.55 labelloc=t',
        f'    {font} fontsize=11 fontcolor="{INK}" label={_dot_heading(state)}]',
        f'  node [shape=box style="rounded,filled" margin="0.2,0.1" fontsize=14 {font}]',
        f"  edge [arrowsize=0.8 fontsize=11 {font}]",
        f'  start [shape=point width=0.16 label="" fillcolor="{INK}" color="{INK}"]',
        *_dot_states(state, table),
        f"  {{rank=same {' '.join(_ends(table))}}}",
        f'  start -> {INITIAL} [color="{INK}"]',
        *_dot_arrows(state, table),
        "}",
    ]


def _dot_states(state: State | None, table: tuple[Row, ...]) -> Iterator[str]:
    for each, role in roles(table).items():
        fill, border, text = (LIT if each is state else UNLIT)[role]
        yield (
            f'  {each} [fillcolor="{fill}" color="{border}" fontcolor="{text}"'
            f" penwidth={4 if each is state else 1.5} label={_dot_box(each, table)}]"
        )


def _dot_arrows(state: State | None, table: tuple[Row, ...]) -> Iterator[str]:
    role_of = roles(table)
    for (source, target), events in _arrows(table).items():
        colour = ARROWS[role_of[target]]
        label = "\\n".join(f" {event} " for event in events)
        yield (
            f'  {source} -> {target} [label="{label}" color="{colour}" fontcolor="{colour}"'
            f" penwidth={2.5 if source is state else 1.2}]"
        )


def _dot_heading(state: State | None) -> str:
    chips = "".join(
        f'<td border="1" color="{UNLIT[role].border}" bgcolor="{UNLIT[role].fill}">'
        f'<font color="{UNLIT[role].text}">{words}</font></td>'
        for role, words in LEGEND.items()
    )
    return (
        '<<table border="0" cellborder="0" cellspacing="6" cellpadding="3">'
        f'<tr><td colspan="{len(LEGEND)}"><font point-size="18"><b>{_title(state)}</b></font>'
        f"</td></tr><tr>{chips}</tr></table>>"
    )


def _dot_box(state: State, table: tuple[Row, ...]) -> str:
    inside = "".join(
        f'<tr><td align="left"><font point-size="11">{words}</font></td></tr>'
        for words in _inside(state, table)
    )
    if not inside:
        return f"<<b>{state}</b>>"
    return (
        '<<table border="0" cellborder="0" cellspacing="0" cellpadding="3">'
        f"<tr><td><b>{state}</b></td></tr><hr/>{inside}</table>>"
    )


def _self_contained(svg: bytes, title: str) -> bytes:
    # Graphviz begins with the address of a DTD, and puts a title only on parts of the drawing.
    start = svg.index(b"<svg")
    inner = svg.index(b">", start) + 1
    head = b'<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + svg[start:inner] + f"\n<title>{title}</title>".encode() + svg[inner:]


def _text(state: State | None, table: tuple[Row, ...]) -> list[str]:
    head = ("  state", "event", "target", "why")
    blocks = [_block(each, state, table) for each in State]
    rows = [head, *(row for block in blocks for row in block)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    blocks[0][:0] = [head, tuple("-" * width for width in widths)]
    lines = [f"  {_title(state)}"]
    for block in blocks:
        lines.append("")
        for row in block:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(cells).rstrip())
    return lines


def _block(state: State, lit: State | None, table: tuple[Row, ...]) -> list[tuple[str, ...]]:
    pairs = zip_longest(_marks(state, lit, table), _cells(state, table))
    return [(mark or "", *(cells or ("", "", ""))) for mark, cells in pairs]


def _marks(state: State, lit: State | None, table: tuple[Row, ...]) -> list[str]:
    """The first column: the name of the state, and its marks."""
    role = roles(table)[state]
    marks = {"now": state is lit, "initial": state is INITIAL, "socket open": role is Role.SOCKET}
    marks |= {end: role is end for end in (Role.SUCCESS, Role.FAILURE)}
    name = f"{'>' if state is lit else ' '} {state}"
    return [name, *(f"  ({mark})" for mark, true in marks.items() if true)]


def _cells(state: State, table: tuple[Row, ...]) -> list[tuple[str, str, str]]:
    """The other columns: event, target and why, the last wrapped."""
    rows = [
        (row.event.value, row.target.value if row.target else f"({STAY})", row.why)
        for source, row in single_rows(table)
        if source is state
    ]
    if state is SOCKET_OWNER:
        rows = [(ENTRY[0], "", ENTRY[1]), *rows, (EXIT[0], "", EXIT[1])]
    cells: list[tuple[str, str, str]] = []
    for event, target, why in rows:
        first, *rest = textwrap.wrap(why, WHY_COLUMNS) or [""]
        cells += [(event, target, first), *(("", "", more) for more in rest)]
    return cells


def _json(state: State | None, table: tuple[Row, ...]) -> str:
    ends = _ends(table)
    states = [
        {"name": each, "meaning": each.meaning, "ends": each in ends, "lit": each is state}
        for each in State
    ]
    rows = [
        {
            "source": source,
            "event": row.event,
            "target": row.target,
            "internal": row.internal,
            "why": row.why,
        }
        for source, row in single_rows(table)
    ]
    picture = {"initial": INITIAL, "socket_owner": SOCKET_OWNER, "states": states, "rows": rows}
    return json.dumps(picture, indent=2)
