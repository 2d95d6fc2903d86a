"""Who listens again goes on by and by: each reads its status then, and the service has to answer.

A socket that breaks ends every member, and all come back over one opening. Were they all let go on
in that instant, the service, which has just come back, would be asked some thousand times at once.
So do those who are told that something is new, without whose it is.

Nobody misses anything by it: a member hears what is for it from before it is let go on, and goes on
at once when there is something.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import anyio

from ...errors import InvalidValue
from ...policy import is_positive, number_or_kind
from ...waiting import wait_for

if TYPE_CHECKING:
    from .member import Member

__all__ = ["Spreading"]

STEP = 0.05
"""Seconds between two looks at who may go on."""

AT_ONCE = 0.25
"""Seconds' worth of members that go on at once, if nobody did for a while: few need not wait."""


class Spreading:
    """Lets members go on, so many a second; the task of its owner runs `run()`.

    Args:
        a_second: how many; ``math.inf``: all at once.
        within: seconds within which a member that opens is let go on, however many there are.

    Raises:
        InvalidValue: ``a_second`` is no number above 0.
    """

    __slots__ = (
        "_a_second",
        "_looked_at",
        "_may",
        "_most",
        "_news",
        "_opening",
        "_told",
        "_within",
    )

    def __init__(self, a_second: float, within: float) -> None:
        if not is_positive(a_second):
            given = number_or_kind(a_second)
            raise InvalidValue(f"reads_a_second must be a number above 0, not {given}")
        self._a_second = a_second
        self._within = within
        self._most = max(1.0, a_second * AT_ONCE)
        self._may = self._most
        """How many may go on now; it grows with time."""
        self._looked_at = -math.inf
        self._opening: dict[Member, float] = {}
        """Who waits in `open()`, and until when at the most."""
        self._told: dict[Member, None] = {}
        """Who is to hear that something is new."""
        self._news = anyio.Event()

    def add(self, member: Member) -> None:
        """Let a member go on, at once if that is not too many; else in its turn."""
        now = anyio.current_time()
        if not (self._opening or self._told) and self._allowed(now) >= 1:
            self._may -= 1
            member.go_on()
        elif member.opens:
            self._opening[member] = now + self._within
            self._news.set()
        else:
            self._told[member] = None
            self._news.set()

    def hurry(self, member: Member) -> None:
        """There is something for it: it waits no more."""
        if self._opening.pop(member, None) is not None:
            member.go_on()

    def discard(self, member: Member) -> None:
        """It is gone."""
        self._opening.pop(member, None)
        self._told.pop(member, None)

    def clear(self) -> None:
        """Nobody goes on any more."""
        self._opening.clear()
        self._told.clear()

    async def run(self) -> None:
        """Let go on whoever waits, until it is cancelled."""
        while True:
            while not (self._opening or self._told):
                self._news = anyio.Event()
                await wait_for(self._news)
            self._look(anyio.current_time())
            await anyio.sleep(STEP)

    def _allowed(self, now: float, rate: float = 0.0) -> float:
        """How many may go on now, if ``rate`` a second may where that is more than usual."""
        if self._a_second == math.inf:
            return math.inf
        rate = max(rate, self._a_second)
        most = max(self._most, rate * STEP)
        self._may = min(most, self._may + (now - self._looked_at) * rate)
        self._looked_at = now
        return self._may

    def _look(self, now: float) -> None:
        rate = 0.0
        if self._opening:
            # All alike, and so that the one that came last need not wait longer than it may.
            left = next(reversed(self._opening.values())) - now
            rate = len(self._opening) / max(left, STEP)
        number = int(min(self._allowed(now, rate), len(self._opening) + len(self._told)))
        while self._opening and (number > 0 or next(iter(self._opening.values())) <= now):
            self._let_go(self._opening)
            number -= 1
        for _ in range(min(number, len(self._told))):
            self._let_go(self._told)

    def _let_go(self, waiting: dict[Member, Any]) -> None:
        member = next(iter(waiting))
        del waiting[member]
        self._may = max(0.0, self._may - 1)
        member.go_on()
