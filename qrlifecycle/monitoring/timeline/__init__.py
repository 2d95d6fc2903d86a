"""The timeline: what a journal tells, as a picture that shows whether the promise was kept.

Each attempt is a lane: the states it went through, and under them its socket. So anybody can see
that a socket is open only while a code is on screen, or where it is not. `reading` and `growing`
make `lanes` of records, `words` says in a sentence what they show, `scale` lays out time, `text`
draws for a terminal and `plot` draws images. This room must never know where records come from, nor
who looks.
"""

from __future__ import annotations

from .glyphs import (
    GLYPHS,
    Style,
)
from .lanes import (
    Lane,
    Mark,
    MarkKind,
    Socket,
    Span,
    Timeline,
)
from .plot import (
    IMAGE_FORMATS,
    paint,
)
from .reading import (
    LAST,
    read,
)
from .text import (
    Line,
    Piece,
    draw,
)
from .words import finding

__all__ = [
    "GLYPHS",
    "IMAGE_FORMATS",
    "LAST",
    "Lane",
    "Line",
    "Mark",
    "MarkKind",
    "Piece",
    "Socket",
    "Span",
    "Style",
    "Timeline",
    "draw",
    "finding",
    "paint",
    "read",
]
