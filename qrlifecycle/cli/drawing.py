"""What standard output can show of a code: half blocks, coloured spaces, or nothing.

Half blocks need an encoding that has them; on a terminal they are black on white whatever its
theme, and elsewhere they are drawn for a dark background unless it is said to be light. A terminal
without half blocks is given spaces in two colours, two for each module. What has neither (a pipe in
ASCII, say) cannot show a code: characters such as ``#`` leave gaps that scanners do not read over.
"""

from __future__ import annotations

import os
import sys

from ..codes import BLOCKS, QRCode

__all__ = ["NARROW", "Drawing", "can_draw", "draw", "draws_blocks", "draws_colours"]

BLACK_ON_WHITE = "\x1b[38;5;16;48;5;231m{}\x1b[0m"
"""These two of the 256 colours are the same in every theme."""

DARK, LIGHT = "\x1b[48;5;16m", "\x1b[48;5;231m"

NARROW = 2
"""Light modules around a code where there is no room for the four of the standard."""

DUMB = {"dumb", "unknown"}


def draws_blocks() -> bool:
    """Whether the encoding of standard output has half blocks."""
    try:
        "".join(BLOCKS.values()).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def draws_colours() -> bool:
    """Whether standard output is a terminal that knows more than letters."""
    dumb = os.environ.get("TERM", "dumb") in DUMB and os.name != "nt"
    return sys.stdout.isatty() and not dumb


def can_draw() -> bool:
    """Whether standard output can show a code at all."""
    return draws_blocks() or draws_colours()


class Drawing:
    """A code in lines of text, with the columns that they take on screen."""

    def __init__(self, lines: list[str], columns: int) -> None:
        self.lines = lines
        self.columns = columns


def draw(qr: QRCode, size: os.terminal_size, *, invert: bool) -> Drawing:
    """Draw a code for standard output, which must be able to show it.

    Args:
        qr: the code.
        size: the terminal's; with less room than the code takes, the border is narrower.
        invert: where there are no colours, draw for a light background.
    """
    wide = _drawn(qr, invert=invert, narrow=False)
    if not draws_colours() or (wide.columns <= size.columns and len(wide.lines) < size.lines):
        return wide
    return _drawn(qr, invert=invert, narrow=True)


def _drawn(qr: QRCode, *, invert: bool, narrow: bool) -> Drawing:
    border = {"border": NARROW} if narrow else {}
    rows = qr.matrix(**border)
    if not draws_colours():
        return Drawing(qr.text(ink=invert).splitlines(), len(rows))
    if draws_blocks():
        lines = qr.text(ink=True, **border).splitlines()
        return Drawing([BLACK_ON_WHITE.format(line) for line in lines], len(rows))
    return Drawing([_coloured(row) for row in rows], 2 * len(rows))


def _coloured(row: list[bool]) -> str:
    """A row of modules as spaces; a colour is named where it changes."""
    text, before = "", None
    for dark in row:
        if dark is not before:
            text, before = text + (DARK if dark else LIGHT), dark
        text += "  "
    return f"{text}\x1b[0m"
