"""Draws the README's picture: ``python -m docs.draw_demo``.

The demo is run in a terminal of its own and scanned by itself. What that terminal showed is drawn
as an SVG of three scenes that follow one another: the command, the code, the end. Whoever wants no
motion sees the code. The picture is committed; a test reads the code in it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path

import pyte
from pyte.screens import Char

from tests.terminal import in_terminal

PICTURE = Path(__file__).parent / "images" / "demo.svg"

COLUMNS, LINES = 66, 27
WIDE, HIGH = 9, 18
"""Pixels of a character."""

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
"""To the terminal's other screen, on which the code is shown, and back."""

INK, PAPER = "#e2e8f0", "#0f172a"
COLOURS = {"default": INK, "green": "#4ade80", "red": "#f87171"}

STYLE = """\
text { white-space: pre }
text { font: 15px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
.bold { font-weight: bold }
.scene { animation: 11s step-end infinite }
#command { animation-name: first }
#displayed { animation-name: second }
#ended { animation-name: third }
@keyframes first { 0% { opacity: 1 } 12% { opacity: 0 } }
@keyframes second { 0% { opacity: 0 } 12% { opacity: 1 } 60% { opacity: 0 } }
@keyframes third { 0% { opacity: 0 } 60% { opacity: 1 } 100% { opacity: 1 } }
@media (prefers-reduced-motion: reduce) {
  .scene { animation: none }
  #command, #ended { opacity: 0 }
}
"""


def written_by(*command: str) -> bytes:
    """All that a command writes to a terminal of our size."""
    settings = {**os.environ, "TERM": "xterm-256color"}
    code, written = in_terminal(command, columns=COLUMNS, lines=LINES, environment=settings)
    if code:
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{written.decode()}")
    return written


def shown(written: bytes, until: str = "") -> pyte.Screen:
    """The screen after all that was written, or as soon as it shows a text."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    for start in range(0, len(written), 16):
        stream.feed(written[start : start + 16])
        if until and any(until in line for line in screen.display):
            break
    return screen


def scenes() -> Iterator[tuple[str, pyte.Screen]]:
    """What there is to see: the command, the code with the socket open, the end."""
    prompt = b"$ qrlifecycle demo --scan-after 2\r\n"
    written = written_by(sys.executable, "-m", "qrlifecycle", "demo", "--scan-after", "2")
    _, entered, rest = written.partition(ENTER)
    live, left, after = rest.partition(LEAVE)
    assert entered, "no code was shown"
    assert left, "no code was taken away"
    yield "command", shown(prompt)
    yield "displayed", shown(live, until="connected for QR display")
    yield "ended", shown(prompt + after)


def of_a_colour(name: str, otherwise: str) -> str:
    """A colour as SVG spells it."""
    if name == "default":
        return otherwise
    return COLOURS.get(name, f"#{name}")


def blocks(line: list[Char], top: int) -> Iterator[str]:
    """The backgrounds of a line, and the half blocks that a code is drawn with, run by run."""
    for half, full in enumerate(("▀█", "▄█")):
        colours = (
            of_a_colour(cell.fg, INK) if cell.data in full else of_a_colour(cell.bg, PAPER)
            for cell in line
        )
        column = 0
        for colour, run in groupby(colours):
            length = len(list(run))
            if colour != PAPER:
                place = f'x="{column * WIDE}" y="{top + half * HIGH // 2}"'
                size = f'width="{length * WIDE}" height="{HIGH // 2}"'
                yield f'<rect {place} {size} fill="{colour}"/>'
            column += length


def words(line: list[Char], top: int) -> Iterator[str]:
    """The texts of a line, each of one style."""
    column = 0
    for (colour, bold), run in groupby(line, key=lambda cell: (cell.fg, cell.bold)):
        text = "".join(cell.data for cell in run)
        if (plain := text.strip()) and not set(plain) <= set("▀▄█ "):
            left = (column + text.index(plain)) * WIDE
            style = ' class="bold"' if bold else ""
            place = f'x="{left}" y="{top + HIGH * 3 // 4}" textLength="{len(plain) * WIDE}"'
            fill = of_a_colour(colour, INK)
            yield f'<text {place} fill="{fill}"{style}>{escape(plain)}</text>'
        column += len(text)


def drawn(screen: pyte.Screen) -> Iterator[str]:
    """What a screen shows."""
    for number in range(LINES):
        line = [screen.buffer[number][column] for column in range(COLUMNS)]
        yield from blocks(line, number * HIGH)
        yield from words(line, number * HIGH)


def picture() -> str:
    """The SVG."""
    wide, high = COLUMNS * WIDE + 36, LINES * HIGH + 36
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}">',
        "<title>qrlifecycle demo, in a terminal</title>",
        f"<style>\n{STYLE}</style>",
        f'<rect width="{wide}" height="{high}" rx="8" fill="{PAPER}"/>',
        '<g transform="translate(18 18)" shape-rendering="crispEdges">',
    ]
    for name, screen in scenes():
        parts += [f'<g id="{name}" class="scene">', *drawn(screen), "</g>"]
    return "\n".join([*parts, "</g>", "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture())
