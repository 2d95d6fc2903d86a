"""Small worlds: what breaks a promise in one of them is found within a second or two."""

from __future__ import annotations

from dataclasses import replace

from qrlifecycle.proof.exploration import explore, replay
from qrlifecycle.proof.exploration.scene import World
from qrlifecycle.proof.exploration.worlds import EVEN
from qrlifecycle.testing.acts import Act

EVERYWHERE = frozenset({Act.PAIR, Act.CODE, Act.OK, Act.TICK})

CODES = World(
    name="codes",
    policy=EVEN,
    without=frozenset(Act) - EVERYWHERE - {Act.GENERATE, Act.CANCEL, Act.CANCELLED, Act.PAIRED},
    racing=1,
)


def test_promise_1_holds_in_a_world_of_codes() -> None:
    """Whatever is done, no socket exists outside `displayed`, and none is denied."""
    assert explore(CODES).complete


READING = World(
    name="reading",
    policy=replace(EVEN, status_interval=1),
    status=True,
    without=frozenset(Act) - EVERYWHERE - {Act.CANCEL, Act.PAIRED, Act.SAYS_NOTHING},
    racing=1,
)


def test_promise_8_no_timer_is_left() -> None:
    """Nor where a status is read now and then: after `pair()`, nothing waits for any time."""
    assert explore(READING).complete


REOPENING = World(
    name="reopening", policy=replace(EVEN, max_reconnects=1, qr_lifetime=9), status=True
)


def test_promise_4_the_status_is_read_on_reconnecting() -> None:
    """A connection that broke is followed by another, and that by a read."""
    seen = replay("pair; code; ok; ok; says-nothing; hang-up; ok; ok; tick; ok; ok", REOPENING)
    assert seen[-1].endswith("displayed, 1 socket"), seen


def test_promise_7_a_connection_that_breaks_as_it_opens_raises_nothing() -> None:
    """Nor when its graceful close breaks as well: `explore()` found this schedule."""
    world = World(name="breaks", policy=EVEN)
    seen = replay("pair; code; ok; ok & break@0; broken", world)
    assert seen[-1].endswith("failed, no socket"), seen
