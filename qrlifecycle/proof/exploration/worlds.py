"""The worlds that our own lifecycle is explored in: small ones, which together have everything.

Each has a few of the budgets, deadlines and acts; in each, every situation is reached. All times
that are equal run out in the same instant, which is where races are; the others are sums of halves.
"""

from __future__ import annotations

import math
from dataclasses import replace

from ...policy import Policy
from ...testing.acts import Act
from .scene import TO_STATUS, World

__all__ = ["EVEN", "EVERYWHERE", "WIDE_WORLDS", "WORLDS"]

EVEN = Policy(
    sleep_check_interval=math.inf,
    lease_timeout=1,
    generate_timeout=1,
    generate_retry_delay=0.5,
    generate_retry_delay_max=0.5,
    open_timeout=1,
    close_timeout=1,
    attempt_timeout=math.inf,
    qr_lifetime=1,
    rotated_lifetime=1,
    expiry_grace=0,
    max_refreshes=0,
    max_codes=2,
    approval_timeout=1,
    action_timeout=1,
    max_reconnects=0,
    reconnect_delay=1,
    reconnect_delay_max=1,
    stable_after=1,
    status_timeout=1,
    status_retry_delay=1,
    status_retry_delay_max=1,
    final_check_timeout=1,
    confirm_success_timeout=1,
)
"""Everything takes a second, and nothing is tried twice."""


def _with(*acts: Act) -> frozenset[Act]:
    """All acts but these, and but those that are everywhere."""
    return frozenset(Act) - EVERYWHERE - set(acts)


LEASE = (Act.GRANTED, Act.HELD_ELSEWHERE, Act.LOSE)

EVERYWHERE = frozenset(
    {Act.PAIR, Act.GENERATE, Act.CANCEL, Act.CANCELLED, Act.CODE, Act.OK, Act.PAIRED, Act.TICK}
)

WORLDS: tuple[World, ...] = (
    World(name="every act", policy=EVEN, racing=1),
    World(
        name="every answer of a status",
        policy=EVEN,
        status=True,
        without=_with(*TO_STATUS, Act.CHANGED, Act.ROTATED, Act.BREAK),
        racing=1,
    ),
    World(
        name="everything twice",
        policy=replace(EVEN, max_refreshes=1, max_reconnects=1, close_timeout=0.5),
        racing=1,
    ),
    World(
        name="another transport, with a status",
        policy=replace(EVEN, max_reconnects=1, qr_lifetime=2),
        status=True,
        without=_with(Act.SAYS_NOTHING, Act.SAYS_PAIRED, Act.HANG_UP) | {Act.GENERATE},
        racing=1,
    ),
    World(
        name="another transport, after a scan",
        policy=replace(EVEN, max_reconnects=1, approval_timeout=2, action_timeout=2),
        without=_with(Act.SCANNED, Act.ACTION, Act.HANG_UP),
        racing=1,
    ),
    World(
        name="every closing at once",
        policy=replace(EVEN, max_refreshes=1, max_reconnects=1),
        at_once=True,
        racing=1,
    ),
    World(
        name="a code that nobody can see",
        policy=EVEN,
        status=True,
        blind=True,
        without=_with(Act.SAYS_NOTHING, Act.SAYS_PAIRED, Act.ROTATED),
        racing=1,
    ),
    World(
        name="a lease",
        policy=replace(EVEN, max_refreshes=1, max_reconnects=1, close_timeout=0.5),
        leases=True,
        without=_with(*LEASE, Act.DENIED, Act.BREAK),
        racing=1,
    ),
    World(
        name="races for a lease",
        policy=replace(EVEN, max_refreshes=1),
        leases=True,
        without=_with(*LEASE, Act.BUSY) | {Act.CANCEL},
    ),
    World(
        name="races of one code",
        policy=EVEN,
        without=_with(Act.RESET, Act.BROKEN, Act.ROTATED, Act.BREAK),
    ),
    World(
        name="races of one code, closed at once",
        policy=EVEN,
        at_once=True,
        without=_with(Act.RESET, Act.BROKEN, Act.ROTATED, Act.BREAK),
    ),
    World(
        name="races for another code",
        policy=replace(EVEN, max_refreshes=1),
        without=_with(Act.EXPIRED),
    ),
    World(
        name="races for another transport",
        policy=replace(EVEN, max_reconnects=1, qr_lifetime=math.inf),
        without=_with(Act.BREAK),
    ),
    World(
        name="races of deadlines",
        policy=replace(EVEN, attempt_timeout=2, close_timeout=0.5),
        without=_with(Act.SCANNED, Act.ACTION) | {Act.GENERATE},
    ),
    World(
        name="races with a status",
        policy=EVEN,
        status=True,
        without=_with(Act.SAYS_NOTHING, Act.SAYS_PAIRED) | {Act.GENERATE},
    ),
    World(
        name="races with a status to believe",
        policy=replace(EVEN, confirm_success=True),
        status=True,
        without=_with(Act.SAYS_NOTHING, Act.SAYS_PAIRED) | {Act.GENERATE, Act.CANCEL},
    ),
)

WIDE_WORLDS: tuple[World, ...] = (
    World(
        name="everything twice, with a status",
        policy=replace(EVEN, max_refreshes=1, max_reconnects=1),
        status=True,
        without=_with(*TO_STATUS, Act.ROTATED, Act.BREAK),
        racing=1,
    ),
    World(name="races of every act", policy=EVEN),
    World(
        name="races of three",
        policy=EVEN,
        without=_with(Act.BREAK) | {Act.GENERATE},
        racing=3,
    ),
)
"""For those with minutes."""
