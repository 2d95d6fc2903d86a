"""Whether another transport is made after one that ended, and when; and how long anybody waits."""

from __future__ import annotations

import math
import random
from typing import cast

import anyio
import pytest

from qrlifecycle import (
    Policy,
    TransportError,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
)
from qrlifecycle.engine.backoff import Backoff, spread
from qrlifecycle.engine.reconnects import Reconnects
from qrlifecycle.errors import Ending

pytestmark = pytest.mark.anyio


def test_waits_grow_are_cut_at_random_and_have_a_limit() -> None:
    """Each wait is between half and all of twice the one before, and never above the limit."""
    random.seed(1)
    waits = Backoff(0.5, 5.0)
    longest = [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    drawn = [waits.next() for _ in longest]
    assert all(most / 2 <= wait <= most for wait, most in zip(drawn, longest, strict=True))
    for _ in range(5_000):
        assert waits.next() <= 5.0
    waits.reset()
    assert waits.next() <= 0.5


def test_what_comes_again_and_again_is_spread() -> None:
    """Never later than said, a tenth sooner at most, and not alike; what never comes does not."""
    random.seed(1)
    waits = [spread(10.0) for _ in range(1_000)]
    assert 9 <= min(waits) < 9.1
    assert 9.9 < max(waits) <= 10
    assert spread(math.inf) == math.inf


async def test_the_first_transport_is_due_at_once_and_each_other_after_its_delay() -> None:
    """Seconds from now, as long as they are not over."""
    reconnects = Reconnects(Policy(reconnect_delay=1, reconnect_delay_max=8))
    assert reconnects.due_in <= 0
    delay = reconnects.delay(TransportLost("again"))
    assert reconnects.due_in == pytest.approx(delay)
    await anyio.sleep(delay)
    assert reconnects.due_in <= 1e-9


@pytest.mark.parametrize(("asks_for", "least", "most"), [(3, 3, 3), (3600, 8, 8), (0.001, 0.5, 1)])
async def test_a_server_that_asks_for_time_is_given_it_within_the_longest_delay(
    asks_for: float, least: float, most: float
) -> None:
    """Never less than without its asking: many ask at once to be left alone."""
    reconnects = Reconnects(Policy(reconnect_delay=1, reconnect_delay_max=8))
    reconnects.delay(TransportUnreachable("busy", retry_after=asks_for))
    assert least <= round(reconnects.due_in, 6) <= most


async def test_what_the_last_transport_ended_by_is_known_without_its_frames() -> None:
    """As one of ours says it; of any other error nothing is kept."""
    reconnects = Reconnects(Policy())
    reconnects.spend(OSError("s3cret"), 0.0)
    assert reconnects.last_failure is None
    with pytest.raises(TransportLost) as raised:
        raise TransportLost("gone", ending=Ending.RESET, code=1006)
    reconnects.spend(raised.value, 0.0)
    last = cast("TransportError | None", reconnects.last_failure)
    assert last is not None
    assert (str(last), last.ending, last.code) == ("gone", Ending.RESET, 1006)
    assert last.__traceback__ is last.__cause__ is None


def test_what_is_known_of_a_refusal_is_known_of_the_loss_that_it_becomes() -> None:
    """Whoever was let in before lost the transport; how is for the program to tell apart."""
    reconnects = Reconnects(Policy())
    refused = TransportRefused("not you", ending=Ending.REFUSED, status=401, code=1008)
    assert reconnects.given_up_for(refused) is refused
    reconnects.let_in = True
    lost = reconnects.given_up_for(refused)
    assert isinstance(lost, TransportLost)
    assert (lost.ending, lost.status, lost.code) == (Ending.REFUSED, 401, 1008)


@pytest.mark.parametrize(("held", "afresh"), [(3.9, False), (4.0, True), (100.0, True)])
async def test_a_transport_that_held_long_enough_gives_the_budget_and_the_delays_back(
    held: float, afresh: bool
) -> None:
    """`stable_after` is long enough."""
    policy = Policy(max_reconnects=1, reconnect_delay=1, reconnect_delay_max=8, stable_after=4)
    reconnects, error = Reconnects(policy), TransportLost("again")
    assert reconnects.spend(error, anyio.current_time())
    assert max(reconnects.delay(error) for _ in range(5)) > 1
    reconnects.listens()
    now = anyio.current_time()
    assert reconnects.spend(error, now + held) is afresh
    assert (reconnects.delay(error) <= 1) is afresh
    assert reconnects.spend(error, now) is False
