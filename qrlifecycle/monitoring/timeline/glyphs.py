"""What each thing looks like in a terminal: a character, one in ASCII, and a word for its colour.

This room must never know where a glyph will stand, nor what colour its style has.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from ...states import SOCKET_OWNER, State
from .lanes import MarkKind

__all__ = [
    "GLYPHS",
    "OF_MARK",
    "OF_STATE",
    "ON",
    "OPENING",
    "OUTSIDE",
    "SECOND",
    "SOCKET",
    "Glyph",
    "Style",
]


class Style(Enum):
    """What a piece of a line is, for whoever has colours."""

    PLAIN = auto()
    TITLE = auto()
    TROUBLE = auto()
    QUIET = auto()
    IDLE = auto()
    GENERATING = auto()
    DISPLAYED = auto()
    CONNECTED = auto()
    FAILED = auto()
    MARK = auto()
    SOCKET = auto()
    ALARM = auto()


class Glyph(NamedTuple):
    """How something is drawn, and how in ASCII; and what the legend says of it."""

    rich: str
    ascii: str
    style: Style
    meaning: str


IDLE = Glyph("-", "-", Style.IDLE, "cancelled")
GENERATING = Glyph("░", ".", Style.GENERATING, "generating")
DISPLAYED = Glyph("▓", "#", Style.DISPLAYED, "displayed")
CONNECTED = Glyph("✓", "+", Style.CONNECTED, "connected")
FAILED = Glyph("✗", "x", Style.FAILED, "failed")
CODE = Glyph("◆", "Q", Style.MARK, "code shown")
SCANNED = Glyph("●", "s", Style.MARK, "scanned")
ACTION = Glyph("?", "?", Style.MARK, "action required")
OPENING = Glyph("╌", "~", Style.SOCKET, "socket opening")
SOCKET = Glyph("━", "=", Style.SOCKET, "socket open")
OUTSIDE = Glyph("█", "!", Style.ALARM, f"socket outside '{SOCKET_OWNER}'")
SECOND = Glyph("▒", "2", Style.ALARM, "second socket")
ON = Glyph("▶", ">", Style.QUIET, "goes on, end unknown")

GLYPHS = (
    GENERATING,
    DISPLAYED,
    CODE,
    SCANNED,
    ACTION,
    CONNECTED,
    FAILED,
    IDLE,
    OPENING,
    SOCKET,
    SECOND,
    OUTSIDE,
    ON,
)
"""In the order of the legend."""

OF_STATE = {
    State.IDLE: IDLE,
    State.GENERATING: GENERATING,
    State.DISPLAYED: DISPLAYED,
    State.CONNECTED: CONNECTED,
    State.FAILED: FAILED,
}
OF_MARK = {MarkKind.CODE: CODE, MarkKind.SCANNED: SCANNED, MarkKind.ACTION: ACTION}
