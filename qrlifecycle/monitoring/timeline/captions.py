"""What both pictures of a timeline share: its words, its characters, its colours.

Text from a service or a transport is made printable here, before it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import NamedTuple

from ...diagram import ARROWS, INK, PAPER, UNLIT, Colours, Role, roles
from ...records import LeaseEnd
from ...states import SOCKET_OWNER, State
from ..printable import printable
from .lanes import Lane, MarkKind, Timeline, clock

__all__ = [
    "FAINT_COLOUR",
    "GLYPHS",
    "HELD",
    "INK",
    "LONGEST",
    "LOST",
    "OF_MARK",
    "OF_STATE",
    "ON",
    "OPENING",
    "OUTSIDE",
    "OUTSIDE_COLOUR",
    "PAPER",
    "QUIET_COLOUR",
    "SECOND",
    "SHARE",
    "SOCKET",
    "SOCKET_COLOUR",
    "STATE_COLOURS",
    "WAITING",
    "Glyph",
    "Style",
    "count",
    "duration",
    "end",
    "finding",
    "form_of_clock",
    "identifier",
    "lease",
    "notes",
    "outcome",
    "remarks",
    "subject",
    "usage",
]

LONGEST = 28
"""Characters of a label, if they fit."""

MOST_REMARKS = 3
"""Sentences for a lane; further ones are counted."""


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds, in a unit that is easy to read."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes:02} min"
    return f"{minutes} min {left:02} s"


# Of all lanes


def finding(timeline: Timeline) -> str:
    """What the picture shows, in one sentence: its title."""
    sockets, shared = timeline.sockets, timeline.shared
    own = sum(socket.shared is None for socket in sockets)
    counted = count(len(timeline.lanes), "attempt")
    if own or not shared:
        counted += f", {count(own, 'socket')}"
    if shared:
        counted += f", {count(shared, 'shared socket')}"
    outside = sum(bool(socket.outside) for socket in sockets)
    found = [f"{outside} open outside '{SOCKET_OWNER}'"] if outside else []
    found += _other_findings(timeline)
    if not (own or shared) or outside:
        return ", ".join([counted, *found])
    within = f"{'all' if own + shared > 1 else 'open'} within '{SOCKET_OWNER}'"
    return ", but ".join([f"{counted}, {within}", *([", ".join(found)] if found else [])])


def _other_findings(timeline: Timeline) -> Iterator[str]:
    """Findings other than sockets outside `displayed`."""
    if second := sum(socket.second for socket in timeline.sockets):
        yield f"{second} opened beside another"
    others = sum(
        bool(lane.alerts) and all(socket.healthy for socket in lane.sockets)
        for lane in timeline.lanes
    )
    if others:
        yield f"{count(others, 'attempt')} with another finding"
    if left_out := sum(lane.sockets_left_out for lane in timeline.lanes):
        yield f"{count(left_out, 'other socket')} not drawn"
    if timeline.alerts_left_out:
        yield f"{count(timeline.alerts_left_out, 'finding')} not drawn"


def usage(timeline: Timeline) -> str:
    """How long sockets were open, and how much of it while a code was on screen."""
    if not timeline.sockets:
        return "No socket was opened"
    spans = [(lane, socket) for lane in timeline.lanes for socket in lane.sockets]
    total = sum(lane.until(socket.end) - socket.start for lane, socket in spans)
    outside = [(lane, start, end) for lane, socket in spans for start, end in socket.outside]
    whose = (
        "The sockets drawn" if any(lane.sockets_left_out for lane in timeline.lanes) else "Sockets"
    )
    open_for = "open, or shares of one held," if timeline.shared else "open"
    said = [f"{whose} were {open_for} for {duration(total)}"]
    if not outside:
        said.append("all of it while a code was displayed")
    if (seconds := sum(lane.until(end) - start for lane, start, end in outside)) > 0:
        said.append(f"{duration(seconds)} of it while no code was displayed")
    if left := sum(end is None for _, _, end in outside):
        said.append(f"and {left} {'was' if left == 1 else 'were'} left open")
    return ", ".join(said)


def notes(timeline: Timeline, *, absolute: bool) -> Iterator[str]:
    """Further facts about the picture, in sentences."""
    lanes = timeline.lanes
    if lanes:
        yield f"{usage(timeline)}."
        each = "by the clock" if absolute else "each row from its own beginning"
        yield f"Begun {_period([lane.wall for lane in lanes])} UTC; {each}."
    if timeline.left_out:
        yield f"{count(timeline.left_out, 'other attempt')} in the journal not drawn."


def form_of_clock(timeline: Timeline) -> str:
    """How a time of day is written; with the day, where not all lanes began on one."""
    days = {clock(lane.wall, "%Y-%m-%d") for lane in timeline.lanes}
    return "%H:%M:%S" if len(days) < 2 else "%m-%d %H:%M:%S"


def _period(walls: Sequence[float]) -> str:
    first, latest = min(walls), max(walls)
    day, last_day = clock(first, "%Y-%m-%d"), clock(latest, "%Y-%m-%d")
    if day != last_day:
        return f"from {day} {clock(first)} to {last_day} {clock(latest)}"
    times = dict.fromkeys((clock(first), clock(latest)))
    return f"on {day}, {' to '.join(times)}"


# Of one lane


def subject(lane: Lane, longest: int = LONGEST) -> str:
    """The bot and user of the attempt, in at most ``longest`` characters."""
    if lane.subject:
        return _short(" ".join(lane.subject), longest)
    return "(no socket)" if lane.began and lane.ended and not lane.sockets else "(unknown)"


def identifier(lane: Lane, longest: int = LONGEST) -> str:
    """The lifecycle, and the number of the attempt if it is not the first."""
    attempt = f" #{lane.attempt}" if lane.attempt != 1 else ""
    return f"{_short(lane.lifecycle, longest - len(attempt))}{attempt}"


def outcome(lane: Lane) -> str:
    """How it ended, in a word or two."""
    if lane.state is State.CONNECTED:
        if lane.began and not lane.sockets:
            return "paired already"
        return "connected, by status" if lane.found_by_status else "connected"
    if lane.reason is not None:
        return lane.reason.replace("_", " ")
    if not lane.ended:
        return "no end known"
    return "ended" if lane.state is None else str(lane.state)


def end(lane: Lane) -> tuple[str, str]:
    """How it ended, and after how long."""
    seconds = duration(lane.duration)
    if not lane.ended:
        return outcome(lane), f"known for {seconds}"
    return outcome(lane), f"after {seconds}{'' if lane.began else ' or more'}"


def lease(lane: Lane) -> str:
    """What became of its lease; nothing if it had none."""
    if (span := lane.lease) is None:
        return ""
    if span.held is None:
        waited = duration(lane.duration - span.wanted)
        return f"never had, in {waited}" if lane.ended else f"waited for {waited}"
    if span.gone is None or not span.lost:
        return f"had after {duration(span.held - span.wanted)}"
    how = "taken over" if span.by is LeaseEnd.TAKEN_OVER else "lost"
    return f"{how} after {duration(span.gone - span.held)}"


def remarks(lane: Lane) -> list[str]:
    """The findings in a lane, each sentence once; the first few, and how many more.

    The last one says what of the lane is not drawn.
    """
    found = list(dict.fromkeys(printable(text) for text in lane.alerts))
    if len(found) > MOST_REMARKS:
        found[MOST_REMARKS:] = [f"... and {len(found) - MOST_REMARKS} more"]
    left_out = ((lane.spans_left_out, "state"), (lane.sockets_left_out, "socket"))
    if counted := " and ".join(
        count(number, f"other {what}") for number, what in left_out if number
    ):
        found.append(f"{counted} not drawn")
    return found


def _short(said: str, longest: int) -> str:
    """Foreign text, printable and short; both ends are kept, as identifiers differ at the end."""
    said = printable(said)
    if len(said) <= longest:
        return said
    half = max((longest - 3) // 2, 1)
    return f"{said[:half]}...{said[-half:]}"


# Characters


class Style(Enum):
    """What a piece of a line is; a program chooses a colour for each."""

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
    LEASE = auto()
    ALARM = auto()


class Glyph(NamedTuple):
    """A character, one in ASCII for the same, its style, and its text in the legend."""

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
SHARE = Glyph("─", "_", Style.SOCKET, "share of a shared socket")
OUTSIDE = Glyph("█", "!", Style.ALARM, f"socket outside '{SOCKET_OWNER}'")
SECOND = Glyph("▒", "2", Style.ALARM, "second socket")
WAITING = Glyph("┈", ":", Style.LEASE, "waiting for the lease")
HELD = Glyph("═", "%", Style.LEASE, "lease held")
LOST = Glyph("⊗", "X", Style.LEASE, "lease lost, or taken over")
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
    SHARE,
    SECOND,
    OUTSIDE,
    WAITING,
    HELD,
    LOST,
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

# Colours: the diagram's

STATE_COLOURS: dict[State, Colours] = {state: UNLIT[role] for state, role in roles().items()}
SOCKET_COLOUR = UNLIT[Role.SOCKET].border
OUTSIDE_COLOUR = ARROWS[Role.FAILURE]
QUIET_COLOUR = UNLIT[Role.ORDINARY].border
FAINT_COLOUR = UNLIT[Role.ORDINARY].fill
