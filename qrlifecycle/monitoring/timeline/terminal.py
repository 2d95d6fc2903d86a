"""The timeline for a terminal: two rows for each lane, the states and below them the socket.

Each thing has a character as well as a style, so it can be read without colour, and in a terminal
that has only ASCII. A span has at least one column, also where it lasted shorter: then what follows
is drawn a little to the right of its time.
"""

from __future__ import annotations

import textwrap
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple
from unicodedata import combining, east_asian_width

from ...states import State
from . import captions
from .captions import (
    GLYPHS,
    HELD,
    LOST,
    OF_MARK,
    OF_STATE,
    ON,
    OPENING,
    OUTSIDE,
    SECOND,
    SHARE,
    SOCKET,
    WAITING,
    Glyph,
    Style,
)
from .lanes import Lane, LeaseSpan, Scale, Socket, Timeline, clock

__all__ = ["Line", "Piece", "draw"]

NARROWEST = 40
"""Columns; in a narrower terminal the lines wrap."""

SLACK = 8
"""Columns kept free behind a lane: for spans that are drawn longer than they were, and a gap."""

MOST_MOVED = 3
"""Columns that a span may be drawn to the right of its time."""

NEVER_CLOSED = 3
"""Columns more for a socket that was left open."""

COLUMNS_PER_TICK = 10


class Piece(NamedTuple):
    """Some characters of a line."""

    text: str
    style: Style = Style.PLAIN


Line = list[Piece]

Cells = dict[int, Glyph]
"""The glyphs of a row, by column."""


def draw(
    timeline: Timeline, *, columns: int = 80, ascii_only: bool = False, absolute: bool = False
) -> list[Line]:
    """The timeline as lines of text.

    Args:
        timeline: what to draw.
        columns: how wide the lines may be; at least 40 are used.
        ascii_only: whether the terminal has no other characters.
        absolute: by the wall clock, instead of each lane from its own beginning.
    """
    return _Drawing(timeline, max(columns, NARROWEST), ascii_only, absolute).lines()


class _Drawing:
    """One timeline in a number of columns."""

    def __init__(self, timeline: Timeline, columns: int, ascii_only: bool, absolute: bool) -> None:
        self._timeline = timeline
        self._columns = columns
        self._ascii = ascii_only
        self._absolute = absolute
        self._scale = Scale.of(timeline.lanes, absolute=absolute)
        self._used: set[Glyph] = set()
        self._clock = captions.form_of_clock(timeline)
        labels = [label for lane in timeline.lanes for label in self._labels(lane)]
        self._label = min(max(map(_width, labels), default=0), columns * 2 // 5)
        self._chart = columns - self._label - 2
        self._per_second = self._scale.per_second(
            (
                (lane, SLACK + max(map(_width, (*captions.end(lane), captions.lease(lane)))))
                for lane in timeline.lanes
            ),
            self._chart,
        )

    def lines(self) -> list[Line]:
        """The whole picture."""
        lanes = [line for lane in self._timeline.lanes for line in self._lane(lane)]
        return [*self._head(), *self._axis(), *lanes, [], *self._legend()]

    # Title, axis, legend

    def _head(self) -> Iterator[Line]:
        healthy = self._timeline.healthy
        yield from self._wrapped(
            captions.finding(self._timeline), Style.TITLE if healthy else Style.TROUBLE
        )
        for note in captions.notes(self._timeline, absolute=self._absolute):
            yield from self._wrapped(note, Style.QUIET)
        yield []

    def _axis(self) -> Iterator[Line]:
        length = min(round(self._scale.length * self._per_second) + 1, self._chart)
        rule = ["-" if self._ascii else "─"] * length
        text = ""
        for tick in self._scale.ticks(max(len(rule) // COLUMNS_PER_TICK, 2)):
            column = round(tick.at * self._per_second)
            fits = column < length and column + len(tick.label) <= self._chart
            if fits and (column > len(text) or not text):
                rule[column] = "+" if self._ascii else "┬"
                text = text.ljust(column) + tick.label
        margin = " " * (self._label + 2)
        yield [Piece(margin + text, Style.QUIET)]
        yield [Piece(margin + "".join(rule), Style.QUIET)]

    def _legend(self) -> Iterator[Line]:
        line: Line = []
        for glyph in GLYPHS:
            if glyph not in self._used:
                continue
            entry = [Piece(self._drawn(glyph), glyph.style), Piece(f" {glyph.meaning}   ")]
            if line and sum(len(text) for text, _ in line + entry) - 3 > self._columns:
                yield line
                line = []
            line += entry
        yield line

    def _wrapped(self, text: str, style: Style, margin: int = 0) -> Iterator[Line]:
        width = max(self._columns - margin, 20)
        for line in textwrap.wrap(self._fit(text), width, subsequent_indent="  " if margin else ""):
            yield [Piece(" " * margin), Piece(line, style)]

    # One lane

    def _labels(self, lane: Lane) -> tuple[str, str, str]:
        began = f"{clock(lane.wall, self._clock)}  "
        width = min(captions.LONGEST, self._columns * 2 // 5 - len(began))
        indent = " " * len(began)
        return (
            self._fit(began + captions.subject(lane, width)),
            self._fit(indent + captions.identifier(lane, width)),
            f"{indent}lease",
        )

    def _lane(self, lane: Lane) -> Iterator[Line]:
        columns = _Columns(lane, self._scale.shift(lane), self._per_second)
        rows = [_states(lane, columns), *_sockets(lane, columns)]
        labels, ends = dict(enumerate(self._labels(lane))), dict(enumerate(captions.end(lane)))
        lease = labels.pop(2)
        if lane.lease is not None:
            labels[len(rows)], ends[len(rows)] = lease, captions.lease(lane)
            rows.append(_lease(lane, lane.lease, columns))
        style = OF_STATE[lane.state].style if lane.state and lane.ended else Style.QUIET
        behind = min(max((column for row in rows for column in row), default=-1) + 3, self._chart)
        for index, row in enumerate(rows):
            label, end = labels.get(index, ""), ends.get(index, "")
            yield [
                Piece(_cut(label, self._label) + "  ", Style.QUIET if index else Style.PLAIN),
                *self._row(row, behind),
                Piece(_cut(end, self._chart - behind).rstrip(), Style.QUIET if index else style),
            ]
        for remark in captions.remarks(lane):
            yield from self._wrapped(f"! {remark}", Style.TROUBLE, self._label + 2)

    def _row(self, cells: Cells, stop: int) -> Iterator[Piece]:
        """The cells of a row up to a column; adjacent cells of one style make one piece."""
        text, style = "", Style.PLAIN
        for column in range(stop):
            glyph = cells.get(column)
            this = Style.PLAIN if glyph is None else glyph.style
            if this is not style:
                yield Piece(text, style)
                text, style = "", this
            text += " " if glyph is None else self._drawn(glyph)
        yield Piece(text, style)

    def _drawn(self, glyph: Glyph) -> str:
        self._used.add(glyph)
        return glyph.ascii if self._ascii else glyph.rich

    def _fit(self, text: str) -> str:
        return text.encode("ascii", "replace").decode() if self._ascii else text


# The cells of a lane


@dataclass(frozen=True, slots=True)
class _Placed:
    """A span of a lane in columns; ``stop`` is the first column behind it."""

    state: State
    start: float
    end: float
    column: int
    stop: int


class _Columns:
    """The column of each moment of a lane: always within the span that it belongs to."""

    def __init__(self, lane: Lane, shift: float, per_second: float) -> None:
        self._shift = shift
        self._per_second = per_second
        self.spans = self._placed(lane, shortest=1)
        # Too many short spans would push the rest away; then they cover one another instead.
        if self.spans and self.spans[-1].stop > self._nearest(lane.length) + MOST_MOVED:
            self.spans = self._placed(lane, shortest=0)

    def _placed(self, lane: Lane, shortest: int) -> list[_Placed]:
        spans: list[_Placed] = []
        free = 0
        for index, span in enumerate(lane.spans):
            end = lane.until(span.end)
            if span.state is State.IDLE and not index and span.end is not None:
                continue  # before the attempt
            column = max(self._nearest(span.start), free)
            stop = max(self._nearest(end), column + shortest)
            free = stop
            spans.append(_Placed(span.state, span.start, end, column, stop))
        if spans:
            spans[-1] = replace(spans[-1], stop=max(spans[-1].stop, spans[-1].column + 1))
        return spans

    def bar(self, start: float, end: float, glyph: Glyph) -> Cells:
        """The cells from one moment to another; at least one."""
        first = self.start(start)
        return dict.fromkeys(range(first, max(self._stop(end), first + 1)), glyph)

    def start(self, at: float) -> int:
        """The column of a beginning; it is within the span that began last."""
        column = self._nearest(at)
        behind = bisect_right(self.spans, at, key=lambda span: span.start)
        if not behind or at > (span := self.spans[behind - 1]).end:
            return column  # outside every drawn span
        return max(min(column, span.stop - 1), span.column)

    def _stop(self, at: float) -> int:
        """The column after an end; it is within the first span that had not ended."""
        column = self._nearest(at)
        index = bisect_left(self.spans, at, key=lambda span: span.end)
        if index == len(self.spans) or (at < (span := self.spans[index]).start and index):
            return column
        return min(max(column, span.column), span.stop)

    def _nearest(self, at: float) -> int:
        return round((self._shift + at) * self._per_second)


def _states(lane: Lane, columns: _Columns) -> Cells:
    cells: Cells = {}
    for span in columns.spans:
        cells |= dict.fromkeys(range(span.column, span.stop), OF_STATE[span.state])
    for mark in lane.marks:
        column = columns.start(mark.at)
        if mark.kind in OF_MARK and column in cells:
            cells[column] = OF_MARK[mark.kind]
    if not lane.ended:
        cells[max(cells, default=columns.start(0) - 1) + 1] = ON
    return cells


def _sockets(lane: Lane, columns: _Columns) -> list[Cells]:
    """A row for each socket that was open at a time."""
    rows: list[Cells] = [{}]
    for socket in lane.sockets:
        while len(rows) <= socket.track:
            rows.append({})
        rows[socket.track] |= _socket(lane, socket, columns)
    return rows


def _socket(lane: Lane, socket: Socket, columns: _Columns) -> Cells:
    end = lane.until(socket.end)
    own = SOCKET if socket.shared is None else SHARE
    cells = columns.bar(socket.start, end, SECOND if socket.second else own)
    opening = columns.bar(socket.start, end if socket.opened is None else socket.opened, OPENING)
    # Usually opening takes less than one column; then it is not drawn.
    if not socket.second and (len(opening) > 1 or socket.opened is None):
        cells |= opening
    for start, stop in socket.outside:
        cells |= columns.bar(start, lane.until(stop), OUTSIDE)
        if stop is None:  # however short the rest of the journal is, it must be visible
            cells |= dict.fromkeys(range(max(cells), max(cells) + NEVER_CLOSED), OUTSIDE)
    if socket.end is None:
        cells[max(cells) + 1] = ON
    return cells


def _lease(lane: Lane, lease: LeaseSpan, columns: _Columns) -> Cells:
    """Waiting that took less than one column is not drawn, like an opening."""
    until = lane.duration if lease.held is None else lease.held
    cells = columns.bar(lease.wanted, until, WAITING)
    if lease.held is None:
        return cells
    cells = cells if len(cells) > 1 else {}
    cells |= columns.bar(lease.held, lane.duration if lease.gone is None else lease.gone, HELD)
    if lease.lost:
        cells[max(cells)] = LOST
    return cells


# Columns of text


def _width(text: str) -> int:
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    return 0 if combining(character) else 1 + (east_asian_width(character) in "WF")


def _cut(text: str, columns: int) -> str:
    """The text cut or padded to a number of columns."""
    while text and _width(text) > columns:
        text = text[:-1]
    return text + " " * (columns - _width(text))
