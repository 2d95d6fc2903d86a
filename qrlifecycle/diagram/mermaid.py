"""The picture as a Mermaid diagram: composite states, with a parallel region for each fact."""

from __future__ import annotations

from collections.abc import Iterator

from ..states import INITIAL, Phase, Region, Row, State
from .palette import LEGEND, LIT, UNLIT, Role
from .picture import Picture, roles

__all__ = ["draw_mermaid"]

REGION_STYLE = f"stroke:{UNLIT[Role.ORDINARY].border},stroke-dasharray:5 5"
"""No fill: arrows and their labels have the reader's theme, light or dark, and so has what they lie
on."""


def draw_mermaid(picture: Picture) -> list[str]:
    """The lines of the diagram."""
    title = " ".join([picture.title, *(f"({note})" for note in picture.notes[:1])])
    lines = ["---", f'title: "{title}"', "---", "stateDiagram-v2", "  direction TB"]
    # Mermaid lays out the states in the order of the lines: the start comes first.
    lines.append(f"  [*] --> {INITIAL}")
    for (source, target), rows in picture.arrows().items():
        label = " / ".join(_label(row, picture) for row in rows)
        lines.append(f"  {source} --> {target} : {label}")
    styles: dict[str, None] = {}
    for state, role in roles(picture.table).items():
        ending = [LEGEND[role]] if role in (Role.SUCCESS, Role.FAILURE) else []
        below = [*picture.lines_in(state), *ending]
        regions = picture.regions(state)
        if regions:
            lines += _composite(state, below, picture)
        else:
            lines += [f"  {state} : {words}" for words in (state, *below)]
        lit = state is picture.lit
        around = bool(regions)
        lines.append(f"  class {state} {_class(role, lit=lit, around=around)}")
        styles[_style(role, lit=lit, around=around)] = None
        if around:
            lines += _inner_classes(state, role, picture)
            styles[_style(role)] = None
            styles[f"  classDef region {REGION_STYLE}"] = None
    return [*lines, *styles]


def _label(row: Row, picture: Picture) -> str:
    replaced = ", ".join(picture.replaced(row))
    return f"{row.event} (replaces pending {replaced})" if replaced else row.event


def _class(role: Role, *, lit: bool = False, around: bool = False) -> str:
    return f"{role}{'Around' if around else ''}{'Now' if lit else ''}"


def _style(role: Role, *, lit: bool = False, around: bool = False) -> str:
    """The style of a class; around regions the title stands on the theme's ground, as they do."""
    fill, border, text = (LIT if lit else UNLIT)[role]
    colour = "" if around else f"color:{text},"
    style = f"fill:{fill},stroke:{border},{colour}stroke-width:{4 if lit else 2}px"
    return f"  classDef {_class(role, lit=lit, around=around)} {style}"


def _itself(state: State) -> str:
    return f"{state}_itself"


def _composite(state: State, below: list[str], picture: Picture) -> Iterator[str]:
    """A state with its regions; what it does in every phase stands in a box of its own."""
    yield f"  state {state} {{"
    regions = picture.regions(state)
    for count, (region, phases) in enumerate(regions.items()):
        if count:
            yield "    --"
        yield from _region(region, phases, picture)
    if below:
        yield "    --"
        for words in ("in every phase", *below):
            yield f"    {_itself(state)} : {words}"
    yield "  }"


def _region(region: Region, phases: tuple[Phase, ...], picture: Picture) -> Iterator[str]:
    yield f"    state {region} {{"
    yield "      direction TB"
    for phase in phases[:1]:
        yield f"      [*] --> {phase}"
    for (source, target), rows in picture.phase_arrows(phases).items():
        yield f"      {source} --> {target} : {' / '.join(row.by for row in rows)}"
    for phase in phases:
        for words in (phase, *picture.lines_of(phase)):
            yield f"      {phase} : {words}"
    yield "    }"


def _inner_classes(state: State, role: Role, picture: Picture) -> Iterator[str]:
    for region, phases in picture.regions(state).items():
        yield f"  class {region} region"
        for phase in phases:
            yield f"  class {phase} {_class(role)}"
    if picture.lines_in(state):
        yield f"  class {_itself(state)} {_class(role)}"
