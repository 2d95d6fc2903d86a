"""The timeline of lifecycles that have a lease, or a share of a shared socket."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from qrlifecycle import Event, Reason, State
from qrlifecycle.monitoring.timeline import (
    IMAGE_FORMATS,
    Lane,
    Timeline,
    draw,
    finding,
    paint,
    read,
)
from qrlifecycle.monitoring.timeline.captions import lease
from qrlifecycle.monitoring.timeline.lanes import LeaseSpan
from qrlifecycle.records import (
    Acquiring,
    Closing,
    Leased,
    LeaseEnd,
    Opening,
    Record,
    SharedOpened,
    SharedOpening,
)

from .journals import together
from .records import Story

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "read-a-timeline.md"


def waits() -> Story:
    """A lease is had after four seconds, and given back at the end."""
    story = Story("p-1").begin().lease(4).answer().open().show().pair()
    ended = story.records.pop()
    story.lose(LeaseEnd.RELEASED).records.append(ended)
    return story


def superseded(at: float = 20) -> Story:
    """A lease is taken over while a code is on screen, and the socket takes half a second."""
    story = Story("p-2", at=at).begin().lease(0.01).answer().open().show().wait(4)
    story.lose(LeaseEnd.TAKEN_OVER).leave(Event.FAIL).wait(0.5).close()
    return story.change(Event.FAIL, State.FAILED, Reason.SUPERSEDED).end()


def shares(at: float = 40) -> list[Record]:
    """A share of a shared socket."""
    hub = Story("p-9", at=at).add(SharedOpening).add(SharedOpened)
    return [*Story("p-3", at=at, shared="p-9").display().pair().records, *hub.records]


def all_three() -> Timeline:
    """One of each, as on the page."""
    shared = sorted(shares(), key=lambda record: record.monotonic)
    return read([*together(waits(), superseded()), *shared])


def text(timeline: Timeline, *, ascii_only: bool = False) -> str:
    """What a terminal without colours shows."""
    lines = draw(timeline, ascii_only=ascii_only)
    return "".join(f"{''.join(piece.text for piece in line).rstrip()}\n" for line in lines)


def lane_of(story: Story) -> Lane:
    """The only lane of a story."""
    (lane,) = read(story.records).lanes
    return lane


def test_the_page_shows_what_is_printed() -> None:
    """Waiting, held, taken over, and a share."""
    shown = re.findall(r"^```text\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert text(all_three()) == shown[-1]


def test_in_ascii_each_has_a_character_of_its_own() -> None:
    """As in a terminal that has no others."""
    drawn = text(all_three(), ascii_only=True)
    assert drawn.isascii()
    for meaning in (": waiting for the lease", "% lease held", "X lease lost", "_ share of a"):
        assert meaning in drawn


def test_what_became_of_a_lease_is_said() -> None:
    """Had, taken over, lost, never had, and still waited for."""
    assert lease(lane_of(waits())) == "had after 4.0 s"
    assert lease(lane_of(superseded())) == "taken over after 4.4 s"
    story = Story().begin().lease(1).answer().open().show().wait(2).lose(LeaseEnd.LOST)
    assert lease(lane_of(story)) == "lost after 2.4 s"
    story = Story().begin().add(Acquiring).wait(9)
    assert lease(lane_of(story.change(Event.FAIL, State.FAILED, Reason.CONFLICT).end())) == (
        "never had, in 9.0 s"
    )
    assert (
        lease(lane_of(Story().begin().add(Acquiring).wait(3).add(Acquiring))) == "waited for 3.0 s"
    )
    assert lease(lane_of(Story().display().pair())) == ""


def test_a_journal_that_is_cut_claims_nothing_of_before() -> None:
    """It may begin while a lease is waited for, or held; then that is all that is drawn."""
    whole = waits().records
    had = next(i for i, record in enumerate(whole) if isinstance(record, Leased))
    (lane,) = read(whole[had:]).lanes
    assert lane.lease is not None
    assert lane.lease == LeaseSpan(0.0, 0.0, lane.lease.gone, LeaseEnd.RELEASED)
    assert lane.lease.gone == pytest.approx(5.41)
    (lane,) = read(whole[had + 1 :]).lanes
    assert lane.lease is not None
    assert lane.lease == LeaseSpan(0.0, 0.0, lane.lease.gone, LeaseEnd.RELEASED)
    assert lane.lease.gone == pytest.approx(5.11)
    (lane,) = read([whole[0], *whole[had:]]).lanes  # of before there was a record of waiting
    assert lane.lease is not None
    assert (lane.lease.wanted, lane.lease.held) == (0.0, pytest.approx(4.0))


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="images need qrlifecycle[plot]")
@pytest.mark.parametrize("image", IMAGE_FORMATS)
def test_an_image_has_what_the_text_has(image: str) -> None:
    """A legend, and what became of each lease; and none of it where there is no lease."""
    painted = paint(all_three(), image)
    assert paint(all_three(), image) == painted
    if image != "svg":
        return
    said = re.findall(r"<text[^>]*>([^<]*)</text>", painted.decode())
    assert {"lease had after 4.0 s", "lease taken over after 4.4 s"} <= {*said}
    legend = {"waiting for the lease", "lease held", "lease lost, or taken over"}
    assert legend | {"share of a shared socket"} <= {*said}
    without = paint(read(Story().display().pair().records), image).decode()
    assert not any(entry in without for entry in (*legend, "share of"))


def test_a_share_of_a_socket_that_never_listened_is_no_socket() -> None:
    """Nobody knows whether there was one; it is drawn all the same."""
    story = Story(shared="p-9").begin().answer().add(Opening, None, "p-9").wait(1)
    story.close(Closing.FORCED).change(Event.FAIL, State.FAILED, Reason.TRANSPORT_UNREACHABLE).end()
    timeline = read(story.records)
    assert finding(timeline) == "1 attempt, 0 sockets"
    assert len(timeline.sockets) == 1
