"""The picture in any format."""
# ruff: noqa: A002 - `format` is the common name, and nothing here uses the builtin.

from __future__ import annotations

from ..errors import InvalidValue, MissingExtra
from ..states import TABLE, Row, State
from .dot import draw_dot
from .json_text import draw_json
from .mermaid import draw_mermaid
from .picture import INSIDE, Inside, Picture
from .plain_text import draw_text

__all__ = ["FORMATS", "IMAGE_FORMATS", "TEXT_FORMATS", "draw", "paint", "render"]

TEXT_FORMATS: tuple[str, ...] = ("mermaid", "dot", "text", "json")
"""What `draw` writes."""

IMAGE_FORMATS: tuple[str, ...] = ("svg", "png", "pdf")
"""What `paint` makes; the ``diagram`` extra is needed."""

FORMATS: tuple[str, ...] = TEXT_FORMATS + IMAGE_FORMATS
"""What `render` accepts."""

PNG_DOTS_PER_INCH = "160"


def render(
    format: str,
    *,
    state: State | None = None,
    phases: bool = False,
    table: tuple[Row, ...] = TABLE,
    inside: Inside = INSIDE,
) -> str | bytes:
    """The table in any of `FORMATS`: text from `draw`, bytes from `paint`.

    Args:
        format: one of `FORMATS`.
        state: the state to highlight, if any.
        phases: draw what goes on inside a state as well.
        table: the rows to draw.
        inside: the regions, phases and deadlines to draw.

    Raises:
        InvalidValue: there is no such format.
        MissingExtra: an image was asked for and pygraphviz is not installed.
    """
    if format not in FORMATS:
        raise InvalidValue(f"no diagram format {format!r}; there are: {', '.join(FORMATS)}")
    if format in IMAGE_FORMATS:
        return paint(format, state=state, phases=phases, table=table, inside=inside)
    return draw(format, state=state, phases=phases, table=table, inside=inside)


def draw(
    format: str,
    *,
    state: State | None = None,
    phases: bool = False,
    table: tuple[Row, ...] = TABLE,
    inside: Inside = INSIDE,
) -> str:
    """The table in one of `TEXT_FORMATS`; the same call gives the same text, ending in a newline.

    ``json`` is one object: ``initial`` and ``socket_owner`` (names of states); ``states``, each
    with ``name``, ``meaning``, ``ends`` (an attempt ends here) and ``lit``; and ``rows``, one for
    each source, with ``source``, ``event``, ``target`` (null if internal), ``internal``, ``why``.

    With ``phases`` each row has ``replaces`` (events whose pending row gives way to it), and there
    are ``regions``, each with ``state``, ``name``, ``meaning`` and ``phases``; ``phases``, each
    with ``name``, ``meaning``, ``region``, ``initial`` (the region begins in it) and ``deadline``
    (null if none runs in it); ``phase_rows``, one for each source, with ``source``, ``by``,
    ``step`` (whether ``by`` is a step of the engine, not an event), ``target`` and ``why``; and
    ``steps`` and ``deadlines``, each with ``name`` and ``meaning``.

    Raises:
        InvalidValue: there is no such text format.
    """
    picture = Picture(table, state, inside if phases else None)
    match format:
        case "mermaid":
            lines = draw_mermaid(picture)
        case "dot":
            lines = draw_dot(picture)
        case "text":
            lines = draw_text(picture)
        case "json":
            lines = [draw_json(picture)]
        case _:
            raise InvalidValue(f"no text format {format!r}; there are: {', '.join(TEXT_FORMATS)}")
    return "\n".join(lines) + "\n"


def paint(
    format: str,
    *,
    state: State | None = None,
    phases: bool = False,
    table: tuple[Row, ...] = TABLE,
    inside: Inside = INSIDE,
) -> bytes:
    """The table as an image in one of `IMAGE_FORMATS`; the arguments are those of `render`.

    Raises:
        InvalidValue: there is no such image format.
        MissingExtra: pygraphviz is not installed.
    """
    if format not in IMAGE_FORMATS:
        raise InvalidValue(f"no image format {format!r}; there are: {', '.join(IMAGE_FORMATS)}")
    try:
        import pygraphviz  # noqa: PLC0415 - it is dear, and only images need it
    except ImportError:
        raise MissingExtra("drawing a diagram as SVG, PNG or PDF", "diagram") from None
    dot = draw("dot", state=state, phases=phases, table=table, inside=inside)
    graph = pygraphviz.AGraph(string=dot)
    if format == "png":
        graph.graph_attr["dpi"] = PNG_DOTS_PER_INCH
    image = graph.draw(format=format, prog="dot")
    assert isinstance(image, bytes), "without a path, draw() gives back what it has drawn"
    return _self_contained(image, Picture(table, state).title) if format == "svg" else image


def _self_contained(svg: bytes, title: str) -> bytes:
    # Graphviz begins with the address of a DTD, and puts a title only on parts of the drawing.
    start = svg.index(b"<svg")
    inner = svg.index(b">", start) + 1
    head = b'<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + svg[start:inner] + f"\n<title>{title}</title>".encode() + svg[inner:]
