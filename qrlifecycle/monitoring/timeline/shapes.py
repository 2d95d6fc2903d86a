"""What the image of a timeline consists of: spans, sockets, marks, ends, lines and text.

As in `image`, a unit of the axes is an inch, from the top left corner downwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...states import SOCKET_OWNER, State
from .captions import OUTSIDE_COLOUR, PAPER, QUIET_COLOUR, SOCKET_COLOUR, STATE_COLOURS
from .lanes import MarkKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["NARROWEST", "SOCKET_HEIGHT", "STATE_HEIGHT", "Shapes"]

STATE_HEIGHT, SOCKET_HEIGHT = 0.2, 0.09

NARROWEST, NARROWEST_ALARM = 0.02, 0.06
"""The least width of a box."""

GRID = "#E2E8F0"

SHAPES = {MarkKind.CODE: "D", MarkKind.SCANNED: "o", MarkKind.ACTION: "^"}

Strokes = tuple[tuple[tuple[float, float], ...], ...]

DASH: Strokes = (((-0.5, 0.0), (0.5, 0.0)),)
STROKES: dict[State, Strokes] = {
    State.CONNECTED: (((-0.5, 0.05), (-0.12, 0.42), (0.5, -0.38)),),
    State.FAILED: (((-0.4, -0.4), (0.4, 0.4)), ((-0.4, 0.4), (0.4, -0.4))),
}
"""The lines in the disc of an end, in units of its radius; downwards is positive."""


class Shapes:
    """Draws on axes whose unit is an inch."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes

    def state(self, x: float, y: float, width: float, state: State) -> None:
        """A span of time in a state."""
        fill, border, _ = STATE_COLOURS[state]
        self.box(x, y, (width, STATE_HEIGHT), fill, edgecolor=border, linewidth=1.0)

    def socket(self, x: float, y: float, width: float) -> None:
        """A socket."""
        self.box(x, y, (width, SOCKET_HEIGHT), SOCKET_COLOUR)

    def share(self, x: float, y: float, width: float) -> None:
        """A share of a shared socket: a thinner one."""
        self.box(x, y + SOCKET_HEIGHT / 3, (width, SOCKET_HEIGHT / 3), SOCKET_COLOUR)

    def opening(self, x: float, y: float, width: float) -> None:
        """A socket that does not listen yet: its outline, in dashes."""
        outline = {"edgecolor": SOCKET_COLOUR, "linewidth": 0.8, "linestyle": (0, (3, 2))}
        self.box(x, y, (width, SOCKET_HEIGHT), PAPER, **outline)

    def waiting(self, x: float, y: float, width: float) -> None:
        """A lease that is waited for: its outline, in dashes."""
        outline = {"edgecolor": QUIET_COLOUR, "linewidth": 0.8, "linestyle": (0, (2, 2))}
        self.box(x, y, (width, SOCKET_HEIGHT), PAPER, **outline)

    def held(self, x: float, y: float, width: float) -> None:
        """A lease that is held."""
        self.box(x, y, (width, SOCKET_HEIGHT), PAPER, edgecolor=QUIET_COLOUR, linewidth=0.8)
        self.box(x, y + SOCKET_HEIGHT / 3, (width, SOCKET_HEIGHT / 3), QUIET_COLOUR)

    def lost(self, x: float, y: float) -> None:
        """Where a lease was lost."""
        self._axes.plot([x], [y], "x", ms=7, color=OUTSIDE_COLOUR, mew=2, zorder=5)

    def alarm(self, x: float, y: float, width: float) -> None:
        """A socket where none may be: higher than others, hatched, red."""
        size = max(width, NARROWEST_ALARM), SOCKET_HEIGHT + 0.06
        self.box(x, y - 0.01, size, OUTSIDE_COLOUR, edgecolor=PAPER, hatch="////", zorder=4)

    def box(self, x: float, y: float, size: tuple[float, float], fill: str, **more: Any) -> None:
        """A filled rectangle, from its upper left corner."""
        from matplotlib.patches import Rectangle  # noqa: PLC0415 - see `image`

        width, height = size
        options = {"facecolor": fill, "edgecolor": "none", "linewidth": 0.0, "zorder": 2, **more}
        self._axes.add_patch(Rectangle((x, y), max(width, NARROWEST), height, **options))

    def mark(self, x: float, y: float, kind: MarkKind) -> None:
        """A moment in a state; findings of the audit have no shape."""
        if (shape := SHAPES.get(kind)) is not None:
            colour = STATE_COLOURS[SOCKET_OWNER].text
            hollow = PAPER if kind is MarkKind.SCANNED else colour
            self._axes.plot(
                [x],
                [y],
                shape,
                ms=6 if hollow is PAPER else 4.5,
                mfc=hollow,
                mec=colour,
                mew=1.5,
                zorder=5,
            )

    def end(self, x: float, y: float, state: State, size: float = 11) -> None:
        """How an attempt ended: a disc with a tick, a cross or a dash."""
        fill, border, ink = STATE_COLOURS[state]
        self._axes.plot([x], [y], "o", ms=size, mfc=fill, mec=border, mew=1.2, zorder=5)
        unit = size / 72 / 2
        for line in STROKES.get(state, DASH):
            self._axes.plot(
                [x + dx * unit for dx, _ in line],
                [y + dy * unit for _, dy in line],
                color=ink,
                lw=size / 7,
                solid_capstyle="round",
                zorder=6,
            )

    def on(self, x: float, y: float, colour: str) -> None:
        """It goes on, and its end is not known."""
        self._axes.plot([x], [y], ">", ms=7, color=colour, zorder=5, mew=0)

    def rule(self, x: float, top: float, bottom: float) -> None:
        """A line of the grid."""
        self._axes.plot([x, x], [top, bottom], color=GRID, lw=0.8, zorder=0.5)

    def text(self, x: float, y: float, text: str, **more: Any) -> None:
        """Text, from its left edge by default."""
        self._axes.text(x, y, text, va="center", **more)
