"""The table as a picture: Mermaid, DOT, SVG, PNG, PDF, a table for the terminal, and JSON.

Everything is derived from the given data, so a picture cannot show a row that does not exist. The
role of a state (the socket is open, an attempt ends) is shown by colour and in words. With
``phases=True`` what goes on inside a state is drawn in it: its regions, their phases, what leads
from one to the next, and when a phase ends at the latest. The package that draws images is imported
when an image is asked for.
"""

from __future__ import annotations

from .committed import difference
from .palette import ARROWS, INK, LIT, PAPER, UNLIT, Colours, Role
from .picture import Inside, roles
from .rendering import FORMATS, IMAGE_FORMATS, TEXT_FORMATS, draw, paint, render

__all__ = [
    "ARROWS",
    "FORMATS",
    "IMAGE_FORMATS",
    "INK",
    "LIT",
    "PAPER",
    "TEXT_FORMATS",
    "UNLIT",
    "Colours",
    "Inside",
    "Role",
    "difference",
    "draw",
    "paint",
    "render",
    "roles",
]
