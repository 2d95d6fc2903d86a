"""The picture as a graph for Graphviz: a state with phases is a cluster, and so is each region."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ..states import INITIAL, Phase, PhaseRow, Region, Row, State
from .palette import ARROWS, INK, LEGEND, LIT, PAPER, UNLIT, Colours, Role
from .picture import TITLE, Picture, ends_of, roles

__all__ = ["draw_dot"]

HIDDEN = 'shape=point style=invis width=0 height=0 label=""'
"""A node that only says where an arrow of a cluster ends: Graphviz has no arrows to clusters."""


def draw_dot(picture: Picture) -> list[str]:
    """The lines of the graph."""
    font = 'fontname="Helvetica,Arial,sans-serif"'
    return [
        f'digraph "{TITLE}" {{',
        f'  graph [rankdir=TB bgcolor="{PAPER}" pad=0.3 nodesep=0.5 ranksep=0.55 labelloc=t',
        *(["    compound=true nodesep=0.35 ranksep=0.4"] if picture.inside else []),
        f'    {font} fontsize=11 fontcolor="{INK}" label={_heading(picture)}]',
        f'  node [shape=box style="rounded,filled" margin="0.2,0.1" fontsize=14 {font}]',
        f"  edge [arrowsize=0.8 fontsize=11 {font}]",
        f'  start [shape=point width=0.16 label="" fillcolor="{INK}" color="{INK}"]',
        *_states(picture),
        f"  {{rank=same {' '.join(ends_of(picture.table))}}}",
        f'  start -> {INITIAL} [color="{INK}"]',
        *_arrows(picture),
        "}",
    ]


def _heading(picture: Picture) -> str:
    chips = "".join(
        f'<td border="1" color="{UNLIT[role].border}" bgcolor="{UNLIT[role].fill}">'
        f'<font color="{UNLIT[role].text}">{words}</font></td>'
        for role, words in LEGEND.items()
    )
    notes = "".join(
        f'<tr><td colspan="{len(LEGEND)}" cellpadding="0">{words}</td></tr>'
        for words in picture.notes
    )
    return (
        '<<table border="0" cellborder="0" cellspacing="6" cellpadding="3">'
        f'<tr><td colspan="{len(LEGEND)}"><font point-size="18"><b>{picture.title}</b></font>'
        f"</td></tr><tr>{chips}</tr>{notes}</table>>"
    )


# States


def _states(picture: Picture) -> Iterator[str]:
    for state, role in roles(picture.table).items():
        lit = state is picture.lit
        colours = (LIT if lit else UNLIT)[role]
        if picture.regions(state):
            yield from _cluster(state, role, colours, picture)
            continue
        yield (
            f"  {state} [{_coloured(colours)}"
            f" penwidth={4 if lit else 1.5} label={_box(state, picture)}]"
        )


def _coloured(colours: Colours) -> str:
    fill, border, text = colours
    return f'fillcolor="{fill}" color="{border}" fontcolor="{text}"'


def _box(state: State, picture: Picture) -> str:
    inside = "".join(
        f'<tr><td align="left"><font point-size="11">{words}</font></td></tr>'
        for words in picture.lines_in(state)
    )
    if not inside:
        return f"<<b>{state}</b>>"
    return (
        '<<table border="0" cellborder="0" cellspacing="0" cellpadding="3">'
        f"<tr><td><b>{state}</b></td></tr><hr/>{inside}</table>>"
    )


def _cluster(state: State, role: Role, colours: Colours, picture: Picture) -> Iterator[str]:
    """A state with its regions side by side, between two hidden nodes that its arrows lead to."""
    yield f"  subgraph cluster_{state} {{"
    yield f'    graph [style="rounded,filled" {_coloured(colours)} margin=14'
    yield f"      penwidth={4 if state is picture.lit else 1.5} label={_banner(state, picture)}]"
    yield f"    {_top(state)} [{HIDDEN}]"
    yield f"    {_bottom(state, picture)} [{HIDDEN}]"
    for region, phases in picture.regions(state).items():
        yield from _region(region, phases, role, picture)
        yield f"    {_top(state)} -> {region} [style=invis weight=4]"
        for phase in phases:
            yield f"    {phase} -> {_bottom(state, picture)} [style=invis weight=0]"
    yield "  }"


def _banner(state: State, picture: Picture) -> str:
    """The name of the state, with what it does in every phase in one line below."""
    words = picture.lines_in(state)
    name = f'<td colspan="{len(words) or 1}"><font point-size="14"><b>{state}</b></font></td>'
    cells = "".join(f'<td><font point-size="11">{each}</font></td>' for each in words)
    rows = f"<tr>{name}</tr>" + (f"<hr/><tr>{cells}</tr>" if cells else "")
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="5">{rows}</table>>'


# Regions and phases


def _region(
    region: Region, phases: tuple[Phase, ...], role: Role, picture: Picture
) -> Iterator[str]:
    ink = ARROWS[role]
    title = (
        '<<table border="0" cellborder="0" cellspacing="0" cellpadding="2">'
        f'<tr><td><font point-size="12"><b>{region}</b></font></td></tr>'
        f'<tr><td><font point-size="10">{escape(region.meaning)}</font></td></tr></table>>'
    )
    yield f"    subgraph cluster_{region} {{"
    yield f'      graph [style="rounded,filled,dashed" fillcolor="{PAPER}" penwidth=1.2 margin=12'
    yield f'        color="{UNLIT[role].border}" fontcolor="{INK}" label={title}]'
    yield f'      {region} [shape=point width=0.11 label="" fillcolor="{ink}" color="{ink}"]'
    for phase in phases:
        box = _phase(phase, picture)
        yield f"      {phase} [{_coloured(UNLIT[role])} penwidth=1.2 label={box}]"
    for phase in phases[:1]:
        yield f'      {region} -> {phase} [color="{ink}" weight=9]'
    for (source, target), rows in picture.phase_arrows(phases).items():
        up = phases.index(target) < phases.index(source)
        ends = _drawn(*((target, source) if up else (source, target)), up=up)
        label = _label(rows, picture)
        yield f'      {ends}label="{label}" color="{ink}" fontcolor="{ink}"]'
    yield "    }"


def _phase(phase: Phase, picture: Picture) -> str:
    rows = "".join(
        f'<tr><td><font point-size="{size}">{escape(words)}</font></td></tr>'
        for size, words in ((13, phase), *((10, line) for line in picture.lines_of(phase)))
    )
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="1">{rows}</table>>'


# Arrows


def _arrows(picture: Picture) -> Iterator[str]:
    role_of = roles(picture.table)
    order = list(State)
    for (source, target), rows in picture.arrows().items():
        colour = ARROWS[role_of[target]]
        width = 2.5 if source is picture.lit else 1.2
        up = picture.inside is not None and order.index(target) < order.index(source)
        upper, lower = (target, source) if up else (source, target)
        ends = _drawn(_bottom(upper, picture), _top(lower), up=up)
        if upper is not lower:
            ends += f"ltail=cluster_{upper} " if picture.regions(upper) else ""
            ends += f"lhead=cluster_{lower} " if picture.regions(lower) else ""
        yield (
            f'  {ends}label="{_label(rows, picture)}" color="{colour}" fontcolor="{colour}"'
            f" penwidth={width}]"
        )


def _top(state: State) -> str:
    """Where arrows into the state lead to: itself, or the hidden node at its top."""
    return state


def _bottom(state: State, picture: Picture) -> str:
    """Where arrows out of the state begin: itself, or the hidden node at its bottom."""
    return f"{state}_exit" if picture.regions(state) else state


def _drawn(upper: str, lower: str, *, up: bool) -> str:
    """The beginning of an arrow.

    Graphviz decides by the arrows what stands above what. One that leads up is drawn backwards, or
    whatever Graphviz finds first in a circle would be on top.
    """
    return f"{upper} -> {lower} [{'dir=back ' if up else ''}"


def _label(rows: list[Row] | list[PhaseRow], picture: Picture) -> str:
    lines: list[str] = []
    for row in rows:
        if isinstance(row, PhaseRow):
            lines.append(row.by)
            continue
        lines.append(row.event)
        if replaced := picture.replaced(row):
            lines += ["replaces pending", ", ".join(replaced)]
    return "\\n".join(f" {line} " for line in lines)
