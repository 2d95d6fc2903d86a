"""The session of a process: what one command renews, and what everything it holds hangs on.

Rules, each of which a fault taught when it was left out:

- Its time is counted from the *sending* of a renewal, never from the answer.
- It is not used until the server's answer to its beginning is here: if that answer is lost, so is
  what it said of leases that somebody else has by now.
- Another beginning is another session; whatever was granted under the one before counts for
  nothing.
- Its name is greater than that of the one before. What was given up may still be heard, long after:
  the server does not count a lease to an earlier session that is counted to a later one, or it
  would run out with the earlier one while its holder renews the later.
- When its time is up everything held is lost, whether or not the server can be heard.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Protocol

import anyio

from ...errors import LeaseLost
from ...sleeping import GOES_ON
from ...waiting import wait_for
from .keeper import Hint, Keeper, Times
from .outage import Outage

__all__ = ["Held", "Session", "clock"]

AGAIN = 0.2
"""Seconds before a renewal that failed is tried again."""

LOOK_EVERY = 0.5
"""Seconds after which the clock is looked at, at the latest: timers stand still while the machine
sleeps, and the server's clock does not."""

CONFIRM_AGAIN = 24 * 3600.0
"""Seconds after which the server is told once more of everything that is held: half of what it
keeps a lease for without a word."""


def clock() -> float:
    """Seconds that go on while the machine sleeps, where there is a clock for that."""
    return time.monotonic() if GOES_ON is None else time.clock_gettime(GOES_ON)


class Held(Protocol):
    """What the session knows of the leases of its process."""

    def to_say_again(self) -> list[tuple[str, str, int]]:
        """Key, holder and token of what is held."""
        ...

    def begun(self, said: list[tuple[str, str, int]], gone: list[str]) -> None:
        """A session has begun: this was said, and of it these holders hold nothing any more."""

    def lose_all(self, error: LeaseLost) -> None:
        """The time is up."""

    def hear(self, hint: Hint) -> None:
        """Somebody said something to this process."""

    def confirm_all(self) -> None:
        """Tell the server of everything that is held."""


class Session:
    """One process's.

    Args:
        keeper: whom to tell.
        times: when.
        held: what hangs on it.
        keeps: whether to go on without the server when it is away.
        now: the clock.
    """

    def __init__(
        self, keeper: Keeper, times: Times, held: Held, *, keeps: bool, now: Callable[[], float]
    ) -> None:
        self._keeper = keeper
        self._times = times
        self._held = held
        self._keeps = keeps
        self._now = now
        self._begun = False
        self.outage = Outage(now)
        """Whether, for how long and why the keeper does not answer."""
        self._changed = anyio.Event()
        self._hurry = anyio.Event()
        self._confirmed_at = now()
        self._number = 0
        self.id = ""
        self.good_until = now()
        """When what is held is lost, by our clock."""

    @property
    def good(self) -> bool:
        """Whether what it grants counts, at this moment."""
        return self._begun and self._now() < self.good_until

    async def wait_until_good(self) -> None:
        """Wait until it is."""
        while not self.good:
            await wait_for(self._changed)

    def doubt(self, session: str) -> None:
        """The server does not know it: another one is to begin now."""
        if session == self.id:
            self._begun = False
            self._hurry.set()

    async def renew_forever(self) -> None:
        """Keep it alive."""
        while True:
            sent = self._now()
            self._hurry = anyio.Event()
            try:
                await (self._renew(sent) if self._begun else self._begin(sent))
                pause = self._times.renew_every - (self._now() - sent) if self._begun else 0.0
                if self._begun:  # "no such session" is an answer, and another may follow it
                    self.outage.is_over()
            except LeaseLost as error:
                self.outage.goes_on(error)
                pause = AGAIN
            with anyio.move_on_after(max(0.01, pause)):
                await wait_for(self._hurry)

    async def watch_the_clock(self) -> None:
        """Lose what is held when the time is up, whatever else goes on."""
        while not self._keeps:
            left = self.good_until - self._now()
            await anyio.sleep(min(LOOK_EVERY, max(0.01, left)))
            if self._now() >= self.good_until:
                self._held.lose_all(LeaseLost("the lease could not be prolonged in time"))

    async def _renew(self, sent: float) -> None:
        hints = await self._keeper.renew(self.id)
        if hints is None:
            self._begun = False
            return
        self._prolong(sent)
        for hint in hints:
            self._held.hear(hint)
        if self._now() - self._confirmed_at > CONFIRM_AGAIN:
            self._confirmed_at = self._now()
            self._held.confirm_all()

    async def _begin(self, sent: float) -> None:
        if sent >= self.good_until and not self._keeps:
            self._held.lose_all(LeaseLost("the lease could not be prolonged in time"))
        self._number += 1
        self.id = f"{self._number:08x}{secrets.token_hex(8)}"  # what is left of the last runs out
        said = self._held.to_say_again()
        gone = await self._keeper.begin(self.id, said)
        self._begun = True
        self._prolong(sent)
        self._held.begun(said, gone)

    def _prolong(self, sent: float) -> None:
        self.good_until = max(self.good_until, sent + self._times.kept)
        self._changed.set()
        self._changed = anyio.Event()
