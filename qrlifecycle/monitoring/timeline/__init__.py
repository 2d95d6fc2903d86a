"""The timeline: a journal as a picture that shows whether the promise was kept.

Each attempt is a lane: the states it went through, and below them its socket. So anybody can see
that a socket is open only while a code is on screen, or where it is not. `reading` makes `lanes` of
records, `captions` has the words, characters and colours that the pictures share, `terminal` draws
text and `image` draws images.
"""

from __future__ import annotations

from .captions import GLYPHS, Style, finding
from .image import IMAGE_FORMATS, paint
from .lanes import Lane, Mark, MarkKind, Socket, Span, Timeline
from .reading import LAST, read
from .terminal import Line, Piece, draw

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
