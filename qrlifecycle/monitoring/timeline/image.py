"""The timeline as an image: SVG, PNG or PDF.

The same records give the same bytes with the same matplotlib, so that a committed picture can be
compared. matplotlib is imported when an image is asked for, and no display is needed. Coordinates
and sizes are inches, from the top left corner downwards.
"""
# ruff: noqa: A002 - `format` is the word for it, as in `qrlifecycle.diagram`.

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

from ...errors import InvalidValue, MissingExtra
from ...states import SOCKET_OWNER, State
from . import captions
from .captions import (
    FAINT_COLOUR,
    INK,
    OUTSIDE_COLOUR,
    PAPER,
    QUIET_COLOUR,
    SOCKET_COLOUR,
    STATE_COLOURS,
)
from .lanes import Lane, LeaseSpan, MarkKind, Scale, Socket, Timeline, clock
from .shapes import NARROWEST, SOCKET_HEIGHT, STATE_HEIGHT, Shapes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["IMAGE_FORMATS", "paint"]

IMAGE_FORMATS: tuple[str, ...] = ("svg", "png", "pdf")
"""What `paint` makes; the ``plot`` extra is needed."""

WIDTH, CHART = 12.0, 8.8
"""Inches; the rest is for labels and margins."""

LEFT, TOP, BOTTOM = 2.9, 2.0, 1.05
LANE, TRACK, REMARK = 0.56, 0.17, 0.2
"""Inches of height: a lane with one socket, each further socket, each sentence below."""

LEGEND = 0.3
"""Inches of height: a line of the legend."""

MARGIN, GAP = 0.25, 0.03
CHARACTER = 0.078
"""Inches that a character of a label takes, at most."""

NEVER_CLOSED = 0.5
"""Inches added to a socket that was left open: it must be visible where the journal ends, too."""

SHORT_OPENING = 0.12
"""Inches; opening that took no longer is drawn like open, unless something is wrong."""

MOST_LANES = 200
"""More lanes make an unreadable picture, and PNG has a largest size."""

DOTS_PER_INCH = 160

PROMISE = "The promise: one socket while a QR code is on screen, not before and not after."

SETTINGS = {
    "svg.hashsalt": "qrlifecycle",
    "svg.fonttype": "none",
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": INK,
    "hatch.linewidth": 1.5,
}
METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None},
    "png": {},
    "pdf": {"CreationDate": None},
}


def paint(timeline: Timeline, format: str, *, absolute: bool = False) -> bytes:
    """The timeline as an image in one of `IMAGE_FORMATS`.

    Args:
        timeline: what to draw.
        format: one of `IMAGE_FORMATS`.
        absolute: by the wall clock, instead of each lane from its own beginning.

    Raises:
        InvalidValue: there is no such image format, or there are too many lanes for an image.
        MissingExtra: matplotlib is not installed.
    """
    if format not in IMAGE_FORMATS:
        raise InvalidValue(f"no image format {format!r}; there are: {', '.join(IMAGE_FORMATS)}")
    if (number := len(timeline.lanes)) > MOST_LANES:
        raise InvalidValue(f"an image has room for {MOST_LANES} attempts, not for {number}")
    try:
        from matplotlib import style  # noqa: PLC0415 - see the first lines
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise MissingExtra("drawing a timeline as SVG, PNG or PDF", "plot") from None
    image = io.BytesIO()
    with style.context(["default", SETTINGS]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a subject's own script
        height = TOP + _bottom(timeline) + sum(map(_height, timeline.lanes))
        figure = Figure(figsize=(WIDTH, height), dpi=DOTS_PER_INCH, facecolor=PAPER)
        # One unit of the axes is an inch, from the top left corner downwards.
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
        axes.set_axis_off()
        _Picture(axes, timeline, absolute=absolute).paint(height)
        metadata = {"Title": captions.finding(timeline), **METADATA[format]}
        figure.savefig(image, format=format, metadata=metadata)
    return image.getvalue()


def _bottom(timeline: Timeline) -> float:
    return BOTTOM + LEGEND * any(lane.lease is not None for lane in timeline.lanes)


def _height(lane: Lane) -> float:
    return LANE + _tracks(lane) * TRACK + len(captions.remarks(lane)) * REMARK


def _tracks(lane: Lane) -> int:
    """Those below the first one: of further sockets, and of the lease."""
    further = max((socket.track for socket in lane.sockets), default=0)
    return further + (lane.lease is not None)


class _Picture:
    """One timeline on axes whose unit is an inch."""

    def __init__(self, axes: Axes, timeline: Timeline, *, absolute: bool) -> None:
        self._ink = Shapes(axes)
        self._timeline = timeline
        self._clock = captions.form_of_clock(timeline)
        self._absolute = absolute
        self._has_openings = False
        self._scale = Scale.of(timeline.lanes, absolute=absolute)
        said = ((lane, captions.outcome(lane), captions.lease(lane)) for lane in timeline.lanes)
        free = ((lane, 1.1 + CHARACTER * max(map(len, texts))) for lane, *texts in said)
        self._per_second = self._scale.per_second(free, CHART)

    def paint(self, height: float) -> None:
        """Draw all of it."""
        self._head()
        self._axis(height)
        top = TOP
        for index, lane in enumerate(self._timeline.lanes):
            if index % 2 == 0:
                band = WIDTH - 2 * MARGIN, _height(lane)
                self._ink.box(MARGIN, top, band, FAINT_COLOUR, zorder=0, alpha=0.6)
            self._lane(lane, top)
            top += _height(lane)
        self._legend(height - _bottom(self._timeline) + 0.4)

    # Title, axis, legend

    def _head(self) -> None:
        healthy = self._timeline.healthy
        self._ink.end(0.5, 0.5, State.CONNECTED if healthy else State.FAILED, size=17)
        title = captions.finding(self._timeline)
        size = min(17.0, 17 * 82 / len(title))
        colour = INK if healthy else OUTSIDE_COLOUR
        self._ink.text(0.78, 0.51, title, size=size, weight="bold", color=colour)
        notes = list(captions.notes(self._timeline, absolute=self._absolute))
        for index, line in enumerate((PROMISE, *notes[:2], " ".join(notes[2:]))):
            self._ink.text(0.78, 0.83 + index * 0.22, line, size=10, color=QUIET_COLOUR)

    def _axis(self, height: float) -> None:
        bottom = height - _bottom(self._timeline)
        for tick in self._scale.ticks(8):
            x = LEFT + tick.at * self._per_second
            self._ink.rule(x, TOP - 0.06, bottom)
            self._ink.text(x, TOP - 0.16, tick.label, size=8.5, color=QUIET_COLOUR, ha="center")

    def _legend(self, y: float) -> None:
        x = 0.4
        for state, name in (
            (State.GENERATING, "generating"),
            (State.DISPLAYED, "displayed: a code is on screen"),
        ):
            self._ink.state(x, y - STATE_HEIGHT / 2, 0.35, state)
            x = self._named(x + 0.35, y, name)
        for kind, name in ((MarkKind.CODE, "code shown"), (MarkKind.SCANNED, "scanned")):
            self._ink.mark(x + 0.1, y, kind)
            x = self._named(x + 0.2, y, name)
        for state, name in (
            (State.CONNECTED, "connected"),
            (State.FAILED, "failed"),
            (State.IDLE, "cancelled"),
        ):
            self._ink.end(x + 0.1, y, state)
            x = self._named(x + 0.2, y, name)
        x, y = 0.4, y + LEGEND
        self._ink.socket(x, y - SOCKET_HEIGHT / 2, 0.35)
        x = self._named(x + 0.35, y, "socket open")
        if self._has_openings:
            self._ink.opening(x, y - SOCKET_HEIGHT / 2, 0.35)
            x = self._named(x + 0.35, y, "socket opening")
        if self._timeline.shared:
            self._ink.share(x, y - SOCKET_HEIGHT / 2, 0.35)
            x = self._named(x + 0.35, y, captions.SHARE.meaning)
        self._ink.alarm(x, y - SOCKET_HEIGHT / 2, 0.35)
        x = self._named(x + 0.35, y, f"socket open outside '{SOCKET_OWNER}', or a second one")
        self._ink.on(x + 0.1, y, QUIET_COLOUR)
        self._named(x + 0.2, y, "goes on, its end is not known")
        if any(lane.lease is not None for lane in self._timeline.lanes):
            self._legend_of_leases(y + LEGEND)

    def _legend_of_leases(self, y: float) -> None:
        x = 0.4
        for glyph, draw in ((captions.WAITING, self._ink.waiting), (captions.HELD, self._ink.held)):
            draw(x, y - SOCKET_HEIGHT / 2, 0.35)
            x = self._named(x + 0.35, y, glyph.meaning)
        self._ink.lost(x + 0.1, y)
        self._named(x + 0.2, y, captions.LOST.meaning)

    def _named(self, x: float, y: float, name: str) -> float:
        """Write an entry of the legend; return where the next one begins."""
        self._ink.text(x + 0.08, y, name, size=9)
        return x + 0.08 + CHARACTER * len(name) + 0.22

    # One lane

    def _lane(self, lane: Lane, top: float) -> None:
        y = top + 0.1
        known = {"weight": "bold"} if lane.subject else {"color": QUIET_COLOUR}
        self._ink.text(0.4, y + 0.08, captions.subject(lane), size=10, **known)
        began = f"{clock(lane.wall, self._clock)}  {captions.identifier(lane)}"
        self._ink.text(0.4, y + 0.26, began, size=8, color=QUIET_COLOUR)
        for span in lane.spans:
            end = lane.until(span.end)
            x, width = self._x(lane, span.start), (end - span.start) * self._per_second
            if span.end is not None or not lane.ended or width > NARROWEST:
                self._ink.state(x, y, width, span.state)
        for mark in lane.marks:
            self._ink.mark(self._x(lane, mark.at), y + STATE_HEIGHT / 2, mark.kind)
        for socket in lane.sockets:
            self._socket(lane, socket, y + STATE_HEIGHT + GAP + socket.track * TRACK)
        if lane.lease is not None:
            self._lease(lane, lane.lease, y + STATE_HEIGHT + GAP + _tracks(lane) * TRACK)
        self._outcome(lane, y)
        below = top + _height(lane) - REMARK * len(captions.remarks(lane))
        for index, remark in enumerate(captions.remarks(lane)):
            line = below + index * REMARK
            self._ink.text(
                LEFT, line + 0.04, f"! {remark}", size=9, weight="bold", color=OUTSIDE_COLOUR
            )

    def _outcome(self, lane: Lane, y: float) -> None:
        left_open = any(end is None for socket in lane.sockets for _, end in socket.outside)
        x = self._x(lane, lane.length) + 0.14 + (NEVER_CLOSED + 0.1) * left_open
        outcome, after = captions.end(lane)
        colour = INK if lane.state is None else STATE_COLOURS[lane.state].text
        if lane.ended and lane.state is not None:
            self._ink.end(x, y + STATE_HEIGHT / 2, lane.state)
        else:
            self._ink.on(x, y + STATE_HEIGHT / 2, QUIET_COLOUR)
        self._ink.text(x + 0.18, y + 0.1, outcome, size=9.5, color=colour)
        self._ink.text(x + 0.18, y + 0.27, after, size=8, color=QUIET_COLOUR)

    def _lease(self, lane: Lane, lease: LeaseSpan, y: float) -> None:
        x = self._x(lane, lease.wanted)
        until = self._x(lane, lane.duration if lease.held is None else lease.held)
        if lease.held is None or until - x > SHORT_OPENING:
            self._ink.waiting(x, y, until - x)
        if lease.held is not None:
            gone = self._x(lane, lane.duration if lease.gone is None else lease.gone)
            self._ink.held(until, y, gone - until)
            if lease.lost:
                self._ink.lost(gone, y + SOCKET_HEIGHT / 2)
        beside = self._x(lane, lane.length) + 0.32
        said = f"lease {captions.lease(lane)}"
        self._ink.text(beside, y + 0.05, said, size=8, color=QUIET_COLOUR)

    def _socket(self, lane: Lane, socket: Socket, y: float) -> None:
        x, end = self._x(lane, socket.start), self._x(lane, lane.until(socket.end))
        if socket.second:
            self._ink.alarm(x, y, end - x)
        else:
            self._opening(lane, socket, y)
        for start, stop in socket.outside:
            left = self._x(lane, start)
            width = self._x(lane, lane.until(stop)) - left + (NEVER_CLOSED if stop is None else 0)
            self._ink.alarm(left, y, width)
            end = max(end, left + width)
        if socket.end is None:
            colour = SOCKET_COLOUR if socket.healthy else OUTSIDE_COLOUR
            self._ink.on(end + 0.06, y + SOCKET_HEIGHT / 2, colour)

    def _opening(self, lane: Lane, socket: Socket, y: float) -> None:
        """A socket that is the only one: while it was opening, and while it was open."""
        x, end = self._x(lane, socket.start), self._x(lane, lane.until(socket.end))
        opened = end if socket.opened is None else self._x(lane, socket.opened)
        if socket.opened is None or opened - x > SHORT_OPENING:
            self._has_openings = True
            self._ink.opening(x, y, opened - x)
            x = opened
        if socket.opened is not None:
            draw = self._ink.socket if socket.shared is None else self._ink.share
            draw(x, y, end - x)

    def _x(self, lane: Lane, at: float) -> float:
        return LEFT + (self._scale.shift(lane) + at) * self._per_second
