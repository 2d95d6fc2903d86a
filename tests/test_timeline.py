"""The timeline: lanes out of records, and pictures that show where a promise was broken."""

from __future__ import annotations

import errno
import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrlifecycle import Paired, Scanned, diagram
from qrlifecycle.cli import main
from qrlifecycle.errors import InvalidValue, MissingExtra
from qrlifecycle.monitoring.audit import Alert, Audit, SocketOutsideDisplayed
from qrlifecycle.monitoring.journal import Journal, read_journal
from qrlifecycle.monitoring.timeline import (
    IMAGE_FORMATS,
    Lane,
    MarkKind,
    Socket,
    Span,
    Timeline,
    draw,
    finding,
    paint,
    read,
)
from qrlifecycle.monitoring.timeline.captions import SOCKET_COLOUR, duration, subject
from qrlifecycle.monitoring.timeline.lanes import Scale, clock
from qrlifecycle.outcome import Reason
from qrlifecycle.records import (
    Began,
    Changed,
    Closed,
    Closing,
    Dropped,
    Ended,
    FoundByStatus,
    Leaving,
    Opened,
    Opening,
    Record,
)
from qrlifecycle.states import Event, State

from . import terminal
from .journals import JOURNAL, bad_day, together, working_day, write
from .pairing import Pairing
from .patience import PROCESS_HANGS
from .records import EPOCH, Story

TOP = Path(__file__).parent.parent
PICTURE = TOP / "docs" / "images" / "timeline.svg"
PAGE = TOP / "docs" / "how-to" / "read-a-timeline.md"

needs_matplotlib = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="images need qrlifecycle[plot]"
)


def text(timeline: Timeline, *, columns: int = 80, ascii_only: bool = False) -> str:
    """What a terminal without colours shows."""
    lines = draw(timeline, columns=columns, ascii_only=ascii_only)
    return "".join(f"{''.join(piece.text for piece in line).rstrip()}\n" for line in lines)


def lane_of(story: Story) -> Lane:
    """The only lane of a story."""
    (lane,) = read(story.records).lanes
    return lane


# Lanes


def test_a_lane_has_the_spans_of_its_records() -> None:
    """States, the socket and the marks stand at the seconds since the lane's first record."""
    lane = lane_of(Story(at=100).display().scan(9).pair(3))
    assert [(s.state, round(s.start, 3), s.end and round(s.end, 3)) for s in lane.spans] == [
        (State.IDLE, 0, 0),
        (State.GENERATING, 0, 0.3),
        (State.DISPLAYED, 0.3, 12.41),
        (State.CONNECTED, 12.41, None),
    ]
    (socket,) = lane.sockets
    assert (socket.start, socket.opened, socket.end) == pytest.approx((0.3, 0.4, 12.41))
    assert (socket.how, socket.healthy, socket.track) == (Closing.GRACEFUL, True, 0)
    assert [(m.kind, round(m.at, 3)) for m in lane.marks] == [
        (MarkKind.CODE, 0.4),
        (MarkKind.SCANNED, 9.4),
    ]
    assert (lane.lifecycle, lane.attempt, lane.subject) == (
        "c0ffee0001-1",
        1,
        ("bot-7", "user-123"),
    )
    assert lane.wall == EPOCH + 100
    assert (lane.began, lane.ended, lane.healthy) == (True, True, True)


def test_a_clock_that_was_set_does_not_bend_a_lane() -> None:
    """Within a lane only the monotonic clock counts."""
    records = Story().display().scan(9).pair(3).records
    set_back = [
        replace(record, wall=record.wall - 3600 * (index > 4))
        for index, record in enumerate(records)
    ]
    assert read(set_back).lanes == read(records).lanes


def test_each_attempt_has_a_lane() -> None:
    """Two attempts of one lifecycle are two lanes; what is between them belongs to none."""
    story = Story().display().cancel(5)
    story.wait(10).change(Event.GENERATE, State.GENERATING)  # for the next attempt to fetch
    story.wait(75).display().pair(4)
    one, two = read(story.records).lanes
    assert one.length == pytest.approx(5.41)
    assert (one.state, one.reason) == (State.IDLE, Reason.CANCELLED)
    assert (two.attempt, two.state) == (2, State.CONNECTED)
    assert "c0ffee0001-1 #2" in text(read(story.records))


def test_a_reason_and_the_status_are_told() -> None:
    """A failure says its reason, and a success how it was found."""
    failed = Story("p-1").display().fail(8, Reason.APPROVAL_TIMED_OUT)
    found = Story("p-2").display().wait(3).find_by_status().pair(0)
    paired = Story("p-3").begin().change(Event.PAIRED, State.CONNECTED).end()
    drawn = text(read(together(failed, found, paired)))
    assert "approval timed out" in drawn
    assert "connected, by status" in drawn
    assert "paired already" in drawn


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_journal_without_its_beginning_accuses_nobody(cut: int) -> None:
    """Cut at the front, an attempt is drawn as far as it is known, and nothing is found in it."""
    timeline = read(Story().display().scan(9).pair(3).records[cut:])
    assert timeline.healthy
    assert len(timeline.lanes) == (cut < 10)
    for lane in timeline.lanes:
        assert not lane.began
        assert lane.ended
        assert lane.state is State.CONNECTED
        if cut < 9:
            (socket,) = lane.sockets
            assert socket.end is not None


@pytest.mark.parametrize("cut", range(1, 11))
def test_a_journal_without_its_end_has_open_spans(cut: int) -> None:
    """Cut at the back, what was not seen to end has no end, and nothing is found in it."""
    timeline = read(Story().display().scan(9).pair(3).records[:cut])
    (lane,) = timeline.lanes
    assert timeline.healthy
    assert not lane.ended
    assert all(socket.end is None for socket in lane.sockets) or cut >= 9
    assert not lane.spans or lane.spans[-1].end is None
    assert "▶" in text(timeline)


def test_only_the_latest_are_kept() -> None:
    """Of more attempts the latest are kept, and the picture says how many are not drawn."""
    timeline = read(working_day(), last=3)
    assert [lane.lifecycle for lane in timeline.lanes] == [f"c0ffee0001-{n}" for n in (10, 11, 12)]
    assert timeline.left_out == 9
    assert "9 other attempts in the journal not drawn." in text(timeline)
    with pytest.raises(InvalidValue, match="at least 1"):
        read([], last=0)


def test_an_attempt_that_made_room_does_not_come_back() -> None:
    """Records of an attempt that is no longer kept push out none that began later."""
    stories = [Story(f"p-{n}", at=n).display() for n in range(5)]
    for story in stories:
        story.wait(30).pair(1)
    timeline = read(together(*stories), last=2)
    assert [lane.lifecycle for lane in timeline.lanes] == ["p-3", "p-4"]
    assert all(lane.began for lane in timeline.lanes)


def test_what_was_found_and_is_not_drawn_is_told() -> None:
    """A title that speaks of what is drawn does not hide what was found elsewhere."""
    timeline = read(bad_day(), last=1)
    assert not timeline.healthy
    assert timeline.alerts_left_out == 6
    assert (
        finding(timeline)
        == "1 attempt, 1 socket, open within 'displayed', but 6 findings not drawn"
    )


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"lifecycle": "c0ffee0001-6"}, ["c0ffee0001-6"]),
        ({"subject": "user-664"}, ["c0ffee0001-4", "c0ffee0001-5"]),
        ({"subject": "user-664", "last": 1}, ["c0ffee0001-5"]),
        ({"subject": "user-664", "lifecycle": "c0ffee0001-4"}, ["c0ffee0001-4"]),
        ({"subject": "user-6"}, []),
        ({"lifecycle": "nobody"}, []),
    ],
)
def test_one_may_ask_for_a_lifecycle_or_a_subject(
    asked: dict[str, str | int], found: list[str]
) -> None:
    """Only what was asked for is kept, and only what was found in it is told."""
    timeline = read(bad_day(), **asked)  # type: ignore[arg-type]
    assert [lane.lifecycle for lane in timeline.lanes] == found
    assert timeline.alerts_left_out == 0


def test_an_attempt_without_a_socket_is_known_by_its_key() -> None:
    """By it one finds what ended before there was a transport; a subject says more, where it is."""
    early = (
        Story("p-1", key=("ada", "take over"))
        .begin()
        .change(Event.FAIL, State.FAILED, Reason.GENERATING_FAILED)
    )
    late = Story("p-2", key=("ada",), at=1).display().fail()
    other = Story("p-3", key=("bob",), at=2).display().fail()
    records = [*early.end().records, *late.records, *other.records]
    lanes = read(records, subject="ada").lanes
    assert [lane.subject for lane in lanes] == [("ada", "take over"), ("bot-7", "user-123")]
    assert [subject(lane) for lane in lanes] == ["ada take over", "bot-7 user-123"]
    assert [lane.lifecycle for lane in read(records, subject="user-123").lanes] == ["p-2", "p-3"]


def test_a_flood_on_the_wire_is_no_flood_of_marks() -> None:
    """Of what a peer says without end, a lane keeps a bounded part."""
    story = Story().display()
    for _ in range(3000):
        story.scan(0.001)
    assert len(lane_of(story.pair(1)).marks) == 1000


def flapping(attempts: int) -> Story:
    """One attempt whose connection comes and goes, with a code and a socket each time."""
    story = Story().display()
    for _ in range(attempts - 1):
        story.expire(0.5)
    return story.pair(0.5)


def test_of_a_lane_without_end_a_bounded_part_is_drawn() -> None:
    """Spans and sockets have an end, and the lane and the title say how many more there were."""
    timeline = read(flapping(3000).records)
    (lane,) = timeline.lanes
    assert (len(lane.spans), lane.spans_left_out) == (1001, 5001)
    assert (len(lane.sockets), lane.sockets_left_out) == (1000, 2000)
    assert all(socket.end is not None for socket in lane.sockets)
    assert (lane.state, lane.ended) == (State.CONNECTED, True)
    drawn = text(timeline)
    assert "! 5,001 other states and 2,000 other sockets not drawn" in drawn
    assert "2,000 other sockets not drawn" in finding(timeline)
    assert "The sockets drawn were open for" in drawn


def test_what_is_not_drawn_covers_nothing() -> None:
    """Between the spans that are kept and the last one a lane is empty, its sockets' row too."""
    lines = text(read(flapping(3000).records)).splitlines()
    states, sockets = (line[28:70] for line in lines[lines.index("") + 3 :][:2])
    assert " " * 20 in states
    assert " " * 20 in sockets


def test_a_socket_between_spans_that_are_not_drawn_stands_at_its_time() -> None:
    """It begins where it began, and not where the last span before it ended."""
    spans = (
        Span(State.GENERATING, 0, 1),
        Span(State.DISPLAYED, 1, 2),
        Span(State.DISPLAYED, 90),
    )
    sockets = (Socket(50, opened=50, end=60, how=Closing.GRACEFUL),)
    lane = Lane("p-1", 1, EPOCH, 100, spans=spans, sockets=sockets, ended=False)
    states, row = text(Timeline((lane,)), columns=140).splitlines()[6:8]
    first, last = states.index("░"), states.index("▶")
    assert "╌" not in row
    assert 0.45 < (row.index("━") - first) / (last - first) < 0.55
    assert 0.55 < (row.rindex("━") - first) / (last - first) < 0.65


def test_sockets_that_nobody_closes_fill_no_page() -> None:
    """Of sockets that are open at once ten have a row; the rest is counted, and closed in turn."""
    story = Story().begin().answer()
    for _ in range(500):
        story.open()
    assert len(text(read(story.records)).splitlines()) < 30
    for _ in range(499):
        story.close()
    lane = lane_of(story)
    assert (len(lane.sockets), lane.sockets_left_out) == (10, 490)
    assert [socket.end is None for socket in lane.sockets] == [True] + [False] * 9
    assert not lane.healthy


def test_a_socket_that_is_never_closed_has_a_bounded_number_of_times_outside() -> None:
    """However often the state that owns it is left."""
    story = Story().display()
    for _ in range(3000):
        story.wait(0.1).change(Event.EXPIRED, State.GENERATING).answer()
    (socket,) = lane_of(story).sockets
    assert len(socket.outside) == 1000


class Counted(float):
    """A time that counts how often it is compared."""

    compared = 0

    def __le__(self, other: float) -> bool:
        Counted.compared += 1
        return float(self) <= float(other)

    def __lt__(self, other: float) -> bool:
        Counted.compared += 1
        return float(self) < float(other)

    def __ge__(self, other: float) -> bool:
        Counted.compared += 1
        return float(self) >= float(other)

    def __gt__(self, other: float) -> bool:
        Counted.compared += 1
        return float(self) > float(other)


def test_drawing_takes_time_by_the_socket_and_not_by_its_square() -> None:
    """To find a socket's columns not every span is looked at."""
    lane = lane_of(flapping(400))
    spans = tuple(
        replace(
            span, start=Counted(span.start), end=None if span.end is None else Counted(span.end)
        )
        for span in lane.spans
    )
    Counted.compared = 0
    text(Timeline((replace(lane, spans=spans),)))
    assert 0 < Counted.compared < 100 * len(lane.sockets)


def test_what_is_long_is_not_kept_whole() -> None:
    """Identifiers and subjects are kept short; those that differ in the middle stay two."""
    long = "x" * 30_000
    stories = [
        Story(
            f"p-{long}{n}{long}-1", at=n, subject=("bot", f"{long}{n}{long}", *map(str, range(99)))
        )
        for n in range(2)
    ]
    lanes = read(together(*(story.display().pair(3) for story in stories))).lanes
    assert len({lane.lifecycle for lane in lanes}) == 2
    assert len({lane.subject for lane in lanes}) == 2
    for lane in lanes:
        assert len(lane.lifecycle) <= 200
        assert lane.lifecycle.startswith("p-xxx")
        assert lane.lifecycle.endswith("xxx-1")
        assert lane.subject is not None
        assert lane.subject[0] == "bot"
        assert sum(map(len, lane.subject)) <= 600
    beside = Story("q-1", at=1, subject=(long,)).display()
    first = Story("q-2", subject=(long,)).display()
    for lane in read(together(first, beside)).lanes:
        assert all(len(alert) <= 200 for alert in lane.alerts)


def test_a_long_subject_keeps_its_end() -> None:
    """Of a label that is too long the middle is left out, for the end tells users apart."""
    story = Story(subject=("support-bot-of-the-west", "user-4711")).display().pair(3)
    assert re.search(r"  support-b\.\.\.user-4711  ", text(read(story.records)))


# What must be seen


BAD = {
    "outlives the success": ("c0ffee0001-2", "█", (11.4, 17.4)),
    "before the code": ("c0ffee0001-3", "█", (0.5, 4.6)),
    "never closed": ("c0ffee0001-6", "█", (20.4, None)),
    "beside another lifecycle's": ("c0ffee0001-5", "▒", None),
    "beside its own": ("c0ffee0001-7", "▒", None),
}


@pytest.mark.parametrize(("lifecycle", "glyph", "outside"), BAD.values(), ids=BAD)
def test_promise_1_a_socket_that_should_not_be_is_seen(
    lifecycle: str, glyph: str, outside: tuple[float, float | None] | None
) -> None:
    """It is marked in its lane, the sentence stands below, and the title tells."""
    timeline = read(bad_day())
    (lane,) = (lane for lane in timeline.lanes if lane.lifecycle == lifecycle)
    (bad,) = (socket for socket in lane.sockets if not socket.healthy)
    if outside is None:
        assert bad.second
    else:
        assert bad.outside == (pytest.approx(outside),)
    drawn = text(replace(timeline, lanes=(lane,)))
    assert glyph in drawn.split("░ generating")[0]
    assert "! " in drawn
    assert finding(timeline) == (
        "8 attempts, 9 sockets, 3 open outside 'displayed', 2 opened beside another"
    )


def test_a_socket_that_may_be_open_still_is_drawn_so() -> None:
    """When abort() raised, the socket has no end, and from then on it is outside."""
    story = Story().display().wait(5).leave(Event.CANCEL).wait(0.01).close(Closing.BROKEN)
    timeline = read(story.change(Event.CANCEL, State.IDLE, Reason.CANCELLED).end().records)
    (socket,) = timeline.sockets
    assert (socket.end, socket.how) == (None, Closing.BROKEN)
    assert [end for _, end in socket.outside] == [None]
    assert "1 open outside 'displayed'" in finding(timeline)


def test_a_finding_that_is_no_sockets_is_told_too() -> None:
    """A slow success shows in its lane and in the title, though no socket was where it must not."""
    story = Story().display().wait(3).leave(Event.PAIRED).wait(1.4).close()
    timeline = read(story.change(Event.PAIRED, State.CONNECTED).end().records)
    assert not timeline.healthy
    assert finding(timeline).endswith("within 'displayed', but 1 attempt with another finding")
    assert "! success 1.400 s after the signal; the limit is 1 s" in text(timeline)


@pytest.mark.parametrize("columns", [40, 79, 80, 120, 300])
@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("absolute", [False, True])
def test_no_line_is_wider_than_the_terminal(columns: int, ascii_only: bool, absolute: bool) -> None:
    """Every line fits, of good days and bad."""
    for records in (working_day(), bad_day()):
        lines = draw(read(records), columns=columns, ascii_only=ascii_only, absolute=absolute)
        assert max(len("".join(p.text for p in line).rstrip()) for line in lines) <= columns


def test_ascii_is_enough() -> None:
    """Where there is nothing else, ASCII shows the same, with a character for each meaning."""
    story = Story(subject=("bot-7", "Ŋößô")).display().scan(9).pair(3)
    drawn = text(read(together(*[story])), ascii_only=True)
    assert drawn.isascii()
    assert re.search(r"\.Q#+s#+\+  connected", drawn)
    bad = text(read(bad_day()), ascii_only=True)
    assert bad.isascii()
    assert re.search(r"=+!+", bad)
    assert "! socket outside 'displayed'" in bad
    assert "2 second socket" in bad


def test_a_healthy_socket_is_drawn_under_displayed_only() -> None:
    """Column by column: where the socket is drawn, the state above it is `displayed`."""
    for columns in (60, 80, 131):
        lines = text(read(working_day()), columns=columns).splitlines()
        compared = 0
        for above, below in pairwise(lines):
            start = below.find("━")
            if start < 0 or not re.match(r"\d\d:", above):
                continue
            for state, socket in zip(above[start:], below[start:], strict=False):
                if socket == "━":
                    assert state in "▓◆●", f"{above}\n{below}"
                    compared += 1
        assert compared > 20


def test_what_somebody_said_moves_no_cursor() -> None:
    """Subjects and identifiers are shown without control characters, and short."""
    story = Story("\x1b[31mp-1", subject=("\x1b]0;x\x07", "$a^b$", "\ud800" + "long " * 40))
    records = story.display().pair(3).records
    drawn = text(read(records))
    assert "\x1b" not in drawn
    assert "\x07" not in drawn
    drawn.encode()
    if find_spec("matplotlib"):
        assert "$a^b$" in paint(read(records), "svg").decode()


# Words and scale


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"),
        (0.0124, "12 ms"),
        (0.9999, "1.0 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (90061, "25 h 01 min"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    """Milliseconds, seconds, minutes or hours."""
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("length", "labels"),
    [
        (0.02, ["0", "5 ms", "10 ms", "15 ms", "20 ms"]),
        (42, ["0", "10 s", "20 s", "30 s", "40 s"]),
        (150, ["0", "0:30", "1:00", "1:30", "2:00", "2:30"]),
        (600, ["0", "2 min", "4 min", "6 min", "8 min", "10 min"]),
        (7200 * 2.5, ["0", "1 h", "2 h", "3 h", "4 h", "5 h"]),
    ],
)
def test_ticks_stand_at_round_times(length: float, labels: list[str]) -> None:
    """A tick has a time that people read without reckoning."""
    assert [tick.label for tick in Scale(length).ticks(5)] == labels


def test_a_lane_says_its_day_where_not_all_are_of_one() -> None:
    """Of several days' journals nobody knows otherwise when it was."""
    day = 86400.0
    first, next_day = Story(at=0).display().pair(), Story("c-2", at=day).display().pair()
    of_one = "".join(text for line in draw(read(first.records)) for text, _ in line)
    of_both = read([*first.records, *next_day.records])
    text = "".join(text for line in draw(of_both) for text, _ in line)
    began = [clock(lane.wall, "%m-%d %H:%M:%S") for lane in of_both.lanes]
    assert began[0][:5] != began[1][:5]
    assert all(each in text for each in began)
    assert began[0] not in of_one
    if find_spec("matplotlib") is not None:
        assert all(each.encode() in paint(of_both, "svg") for each in began)


def test_by_the_clock_ticks_are_times_of_day() -> None:
    """On an absolute axis a tick has the time of day, in UTC."""
    scale = Scale.of(read(working_day()).lanes, absolute=True)
    assert [tick.label for tick in scale.ticks(6)] == ["09:00", "10:00", "11:00", "12:00"]


# Images


@needs_matplotlib
@pytest.mark.parametrize(
    "form",
    [pytest.param(form, marks=() if form == "svg" else pytest.mark.slow) for form in IMAGE_FORMATS],
)
def test_the_same_records_give_the_same_image(form: str) -> None:
    """Nothing in an image is of the moment in which it was made."""
    magic = {"svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-"}[form]
    first, second = (paint(read(bad_day()), form) for _ in range(2))
    assert first.startswith(magic)
    assert first == second


@needs_matplotlib
def test_an_image_tells_what_was_found() -> None:
    """The SVG has its finding as title and as text, and each sentence in its lane."""
    svg = paint(read(bad_day()), "svg").decode()
    title = "8 attempts, 9 sockets, 3 open outside 'displayed', 2 opened beside another"
    assert f"<title>{title}</title>" in svg
    assert svg.count(title) >= 2
    assert "! promise 1: a socket was open in state 'connected'" in svg
    assert diagram.UNLIT[diagram.Role.SOCKET].fill.lower() in svg


def never_opened() -> Story:
    """An attempt whose socket was refused."""
    story = Story().begin().answer().add(Opening, ("bot-7", "user-123")).wait(8)
    story.leave(Event.FAIL).close().change(Event.FAIL, State.FAILED, Reason.EXPIRED)
    return story.end()


@needs_matplotlib
def test_a_socket_that_never_opened_is_drawn_as_opening() -> None:
    """In text and in images alike, and the legend says what it is; where none is, it does not."""
    refused, opened = read(never_opened().records), read(Story().display().pair(9).records)
    assert "╌╌╌╌" in text(refused)
    assert "━" not in text(refused)
    image, other = (paint(timeline, "svg").decode() for timeline in (refused, opened))
    filled = f"fill: {SOCKET_COLOUR.lower()}"
    assert (image.count("stroke-dasharray"), other.count("stroke-dasharray")) == (2, 0)
    assert image.count(filled) == other.count(filled) - 1
    assert ("socket opening" in image, "socket opening" in other) == (True, False)


@needs_matplotlib
def test_a_socket_that_was_long_in_opening_is_drawn_in_two_parts() -> None:
    """First opening, then open."""
    story = Story().begin().answer().add(Opening, ("bot-7", "user-123")).wait(4).add(Opened)
    image = paint(read(story.show().pair(4).records), "svg").decode()
    assert image.count("stroke-dasharray") == 2
    assert image.count(f"fill: {SOCKET_COLOUR.lower()}") == 2


@needs_matplotlib
@pytest.mark.parametrize("absolute", [False, True])
def test_an_image_of_nothing_is_an_image(absolute: bool) -> None:
    """No lane, or a lane of one record, is drawn without complaint."""
    assert paint(Timeline(()), "svg", absolute=absolute)
    assert text(Timeline(()))
    assert paint(read(Story().begin().records[:1]), "svg", absolute=absolute)


@needs_matplotlib
def test_an_image_has_an_end() -> None:
    """So many attempts that an image of them would be no picture are refused, in words."""
    lane = lane_of(Story().display().pair(3))
    with pytest.raises(InvalidValue, match="room for 200 attempts, not for 201"):
        paint(Timeline((lane,) * 201), "png")
    with pytest.raises(InvalidValue, match="no image format 'gif'"):
        paint(Timeline((lane,)), "gif")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lacks the package is told what to install; text needs none."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"\.\[plot\]"):
        paint(read(working_day()), "svg")
    assert text(read(working_day()))


# Any records


STATES_ = st.sampled_from(list(State))
TIMES = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 2.0, 3.0, -1e300, 1e300])
COMMON = (
    st.sampled_from(["p-1", "p-2", "q-1"]),
    st.sampled_from([0, 1, 2]),
    TIMES,
    st.floats(0, 4e9) | st.sampled_from([-1e12, 253402300799.0]),
)
ANY_RECORD: st.SearchStrategy[Record] = st.one_of(
    st.builds(Began, *COMMON, st.just(1.0)),
    st.builds(
        Changed,
        *COMMON,
        STATES_,
        st.sampled_from(list(Event)),
        STATES_,
        st.none() | st.sampled_from(list(Reason)),
    ),
    st.builds(Opening, *COMMON, st.none() | st.just(("bot", "user"))),
    st.builds(Opened, *COMMON),
    st.builds(FoundByStatus, *COMMON),
    st.builds(Leaving, *COMMON, st.sampled_from(list(Event))),
    st.builds(Closed, *COMMON, st.sampled_from(list(Closing))),
    st.builds(Dropped, *COMMON, st.just("unknown"), st.just(3)),
    st.builds(Ended, *COMMON),
)


@st.composite
def damaged(draw_from: st.DrawFn) -> list[Record]:
    """A day's records, some lost, some out of order."""
    records = draw_from(st.sampled_from([working_day(), bad_day()]))
    kept = draw_from(st.lists(st.sampled_from(records), max_size=60))
    if draw_from(st.booleans()):
        kept.sort(key=records.index)
    return kept


def outside_by_the_audit(records: list[Record]) -> bool:
    """Whether the audit finds a socket outside `displayed`."""
    found: list[Alert] = []
    audit = Audit(on_alert=found.append, clock=None)
    for record in records:
        audit(record)
    return any(isinstance(alert, SocketOutsideDisplayed) for alert in found)


@given(st.lists(ANY_RECORD, max_size=40) | damaged(), st.integers(1, 5), st.booleans())
def test_any_records_are_drawn(records: list[Record], last: int, absolute: bool) -> None:
    """Whatever the records, in whatever order, a picture comes out, and it fits."""
    timeline = read(records, last=last)
    assert len(timeline.lanes) <= last
    for columns in (40, 80):
        for line in draw(timeline, columns=columns, absolute=absolute):
            assert len("".join(piece.text for piece in line).rstrip()) <= columns


@needs_matplotlib
@settings(max_examples=10)
@given(st.lists(ANY_RECORD, max_size=40) | damaged(), st.booleans())
def test_any_records_are_painted(records: list[Record], absolute: bool) -> None:
    """Whatever the records, an image comes out."""
    assert paint(read(records), "svg", absolute=absolute).endswith(b"</svg>\n")


@given(damaged())
def test_what_the_audit_finds_is_never_drawn_as_healthy(records: list[Record]) -> None:
    """A socket that the audit finds outside `displayed` is one that the picture marks."""
    timeline = read(records, last=100)
    if outside_by_the_audit(records):
        assert not timeline.healthy
        assert any(socket.outside for socket in timeline.sockets)
        assert "open outside" in finding(timeline)


# Real lifecycles, and the command


@pytest.mark.anyio
async def test_a_lifecycle_that_ran_is_a_healthy_lane(tmp_path: Path) -> None:
    """What a journal kept of an attempt is one lane, all within `displayed`."""
    path = tmp_path / "pairings.jsonl"
    with Journal(path) as journal:
        async with Pairing(recorders=[journal]) as pairing:
            pairing.peer.send(Scanned())
            pairing.peer.send(Paired("me"))
    with path.open("rb") as file:
        timeline = read(entry.record for entry in read_journal(file) if entry.record is not None)
    assert finding(timeline) == "1 attempt, 1 socket, open within 'displayed'"
    assert [mark.kind for mark in timeline.lanes[0].marks] == [MarkKind.CODE, MarkKind.SCANNED]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of a bad day, with a line of another program and a torn one."""
    path = write(tmp_path / "pairings.jsonl", bad_day())
    with path.open("ab") as file:
        file.write(b'GET /qr 200\n{"qrlifecycle":1,"at":"2026')
    return path


def test_the_command_prints(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To a pipe go plain lines of 80 columns; what was passed over is told beside."""
    assert main(["timeline", str(journal)]) == 0
    out, err = capsys.readouterr()
    assert out == text(read(bad_day()))
    assert err == "passed over: 1 of other programs, 1 torn\n"


@pytest.mark.parametrize(
    ("options", "title"),
    [
        (["--last", "1"], "1 attempt, 1 socket, open within 'displayed', but 6 findings not drawn"),
        (["--lifecycle", "c0ffee0001-1"], "1 attempt, 1 socket, open within 'displayed'"),
        (["--subject", "user-196"], "1 attempt, 1 socket, 1 open outside 'displayed'"),
    ],
)
def test_the_command_draws_what_is_asked_for(
    options: list[str], title: str, journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The options choose the attempts."""
    assert main(["timeline", str(journal), *options]) == 0
    assert capsys.readouterr().out.splitlines()[0] == title


@pytest.mark.parametrize(
    "form", ["txt", *(pytest.param(form, marks=pytest.mark.slow) for form in IMAGE_FORMATS)]
)
@pytest.mark.parametrize("absolute", [[], ["--absolute"]], ids=["aligned", "absolute"])
def test_the_command_writes(form: str, absolute: list[str], journal: Path) -> None:
    """The name of the file tells the format; what is written is what would be drawn."""
    if form in IMAGE_FORMATS:
        pytest.importorskip("matplotlib")
    path = journal.with_suffix(f".{form}")
    assert main(["timeline", str(journal), "--output", str(path), *absolute]) == 0
    if form in IMAGE_FORMATS:
        assert path.read_bytes() == paint(read(bad_day()), form, absolute=bool(absolute))
    elif not absolute:
        assert path.read_text(encoding="utf-8") == text(read(bad_day()))


def piped(*arguments: str, content: bytes, **env: str) -> subprocess.CompletedProcess[bytes]:
    """A command that reads standard input."""
    return subprocess.run(
        [sys.executable, "-m", "qrlifecycle", "timeline", "-", *arguments],
        check=False,
        capture_output=True,
        input=content,
        timeout=PROCESS_HANGS,
        env={**os.environ, "PYTHONWARNINGS": "error", **env},
    )


def test_the_command_reads_standard_input(journal: Path) -> None:
    """``-`` is standard input; to a pipe with ASCII only, ASCII is written."""
    done = piped(content=journal.read_bytes(), PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.decode("ascii") == text(read(bad_day()), ascii_only=True)


def test_in_a_terminal_there_are_colours(journal: Path) -> None:
    """A terminal gets the diagram's colours, its own width, and the same characters."""
    pytest.importorskip("rich")
    written = in_terminal("timeline", str(journal), columns=100)
    fill = diagram.UNLIT[diagram.Role.SOCKET].fill
    red, green, blue = (int(fill[place : place + 2], 16) for place in (1, 3, 5))
    assert f"{red};{green};{blue}" in written
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", written).replace("\r", "")
    assert text(read(bad_day()), columns=100).splitlines()[8] in plain.splitlines()
    without = in_terminal("timeline", str(journal), columns=100, NO_COLOR="1")
    assert not re.search(r"\x1b\[[\d;]*[34]8;", without)


def in_terminal(*arguments: str, columns: int, **env: str) -> str:
    """What a command writes to a terminal."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")
    }
    ours = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONIOENCODING": "utf-8"}
    code, written = terminal.in_terminal(
        [sys.executable, "-m", "qrlifecycle", *arguments],
        columns=columns,
        lines=50,
        environment={**kept, **ours, **env},
    )
    assert code == 0
    return written.decode()


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (None, [], "No such file"),
        (b"", [], "it is empty"),
        (b"GET /qr 200\n\x00\xff\n", [], "no line is a journal's (lines: 2 of other programs)"),
        (b'{"qrlifecycle":9}\n', [], "no line is a journal's (lines: 1 broken)"),
        ("good", ["--lifecycle", "nobody"], "of no attempt that was asked for"),
        ("good", ["--last", "0"], "at least 1 attempt"),
        ("good", ["--format", "gif"], "no format 'gif'"),
        ("good", ["--output", "timeline.gif"], "does not tell a format"),
        ("good", ["--output", "/nowhere/timeline.txt"], "cannot write"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line(
    content: bytes | str | None,
    options: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It says what is wrong, with exit code 2, and prints nothing else."""
    path = tmp_path / "pairings.jsonl"
    if isinstance(content, str):
        write(path, working_day())
    elif content is not None:
        path.write_bytes(content)
    assert main(["timeline", str(path), *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.startswith("qrlifecycle: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to])
def test_the_command_does_not_overwrite_its_journal(
    journal: Path,
    link: Callable[[Path, Path], None] | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By whatever name it goes; also one that is read from standard input."""
    output = journal
    if link is not None:
        output = journal.with_name("other.txt")
        link(output, journal)
    before = journal.read_bytes()
    assert main(["timeline", str(journal), "--output", str(output), "--format", "text"]) == 2
    assert "would overwrite the journal" in capsys.readouterr().err
    with journal.open("rb") as file:
        done = reading("timeline", "-", "--output", str(output), "--format", "text", stdin=file)
    assert done.returncode == 2
    assert b"would overwrite the journal" in done.stderr
    assert journal.read_bytes() == before


# A journal that is named


def reading(*arguments: str, stdin: IO[bytes] | None = None) -> subprocess.CompletedProcess[bytes]:
    """A command that reads what it is given; without standard input if it is given none."""
    command = [sys.executable, "-m", "qrlifecycle", *arguments]
    if stdin is None:
        command = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *command]
    return subprocess.run(
        command, check=False, capture_output=True, stdin=stdin, timeout=PROCESS_HANGS
    )


@pytest.mark.parametrize("command", ["audit", "timeline"])
def test_a_standard_input_that_is_closed_is_told_in_one_line(command: str) -> None:
    """As a shell's ``<&-`` leaves it."""
    done = reading(command, "-")
    assert done.returncode == 2
    assert done.stderr == b"qrlifecycle: error: cannot read '-': standard input is closed\n"


class Failing(io.BytesIO):
    """A file on a disk that fails."""

    def readline(self, _size: int | None = -1) -> bytes:
        """Fail."""
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("command", ["audit", "timeline"])
def test_what_cannot_be_read_is_not_said_to_be_unwritable(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A read that fails half-way is told as one."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Failing()))
    monkeypatch.setattr(Failing, "seekable", lambda _self: False)
    assert main([command, "-"]) == 2
    assert capsys.readouterr().err == "qrlifecycle: error: cannot read '-': Input/output error\n"


def test_a_bar_leaves_output_and_cursor_alone(tmp_path: Path) -> None:
    """What goes to a file while a bar is drawn gets there, and Ctrl-C leaves a cursor to see."""
    pytest.importorskip("rich")
    path = tmp_path / "long.jsonl"
    path.write_bytes(b"GET /qr 200\n" * 5000)
    script = (
        "import sys; from qrlifecycle.cli import journal_file; journal_file.LONG = 1000\n"
        "for _, entry in journal_file.journal_lines(sys.argv[1:]):\n"
        "    if entry.number % 1000 == 500: print(entry.number)"
    )
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=PROCESS_HANGS,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    drawn = b""
    with suppress(OSError):  # how Linux says that the other end is closed
        while chunk := os.read(ours, 65536):
            drawn += chunk
    os.close(ours)
    assert done.stdout == b"500\n1500\n2500\n3500\n4500\n"
    assert b"%" in drawn
    assert b"\x1b[?25l" not in drawn


def test_the_command_names_the_extra(
    journal: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without matplotlib an image is refused in one line."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["timeline", str(journal), "--output", str(journal.with_suffix(".svg"))]) == 2
    assert "pip install '.[plot]'" in capsys.readouterr().err


def test_text_needs_nothing_heavy() -> None:
    """Drawing text imports nothing that only a socket, a screen or an image needs."""
    heavy = ["aiohttp", "socketio", "ssl", "rich", "segno", "matplotlib", "numpy"]
    script = (
        "import sys; from qrlifecycle.cli import main; "
        f"code = main(['timeline', {str(JOURNAL)!r}]); "
        f"print([name for name in {heavy} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=PROCESS_HANGS,
    )
    assert done.stderr == "[] 0\n"


# The page


def test_the_pages_journal_is_the_one_made_here(tmp_path: Path) -> None:
    """The journal beside the page is what ``python -m tests.journals`` writes."""
    assert JOURNAL.read_bytes() == write(tmp_path / "day.jsonl", working_day()).read_bytes()


def test_the_pages_texts_are_what_is_printed() -> None:
    """What the page shows of a terminal is drawn today as well."""
    good, bad, *_ = re.findall(r"^```text\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert good == text(read(working_day(), last=4))
    assert bad == text(read(bad_day(), subject="user-196"))


@needs_matplotlib
def test_the_pages_picture_is_what_is_painted() -> None:
    """The committed picture is the page's journal; with the same matplotlib in each line.

    Of numpy's version depend the ids, which are made of numbers' texts, and the last digits.
    """
    ids, numbers = re.compile(r"\bp[0-9a-f]{10}\b"), re.compile(r"\d+\.\d{3,}")

    def steady(picture: str) -> str:
        found = list(dict.fromkeys(ids.findall(picture)))
        picture = ids.sub(lambda match: f"p{found.index(match[0])}", picture)
        return numbers.sub(lambda match: f"{float(match[0]):.2f}", picture)

    committed = steady(PICTURE.read_text())
    drawn = steady(paint(read(working_day()), "svg").decode())
    made_by = re.compile(r"Matplotlib v([\d.]+)")
    if made_by.findall(committed) == made_by.findall(drawn):
        assert committed == drawn
    words = re.compile(r"<text [^>]*>([^<]*)</text>")
    assert words.findall(committed) == words.findall(drawn)
