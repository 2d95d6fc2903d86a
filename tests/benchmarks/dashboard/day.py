"""A day on a dashboard, as data: who arrives when, reads which page for how long, pairs a bot.

The same assumptions and the same seed make the same day. Each visit draws from a source of its own,
so that changing one assumption changes nothing else. Times are whole milliseconds since the day
began: sums of them are exact. This room must never know a socket, nor who lives the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import log
from random import Random

__all__ = ["LIFETIMES", "Act", "Assumptions", "Day", "Moment", "make_day"]

LIFETIMES = (60, 20, 20, 20, 20, 20)
"""Seconds that each code of a round is good for: WhatsApp's own, so whatsmeow and Baileys."""

GRACE = 3
"""Seconds after the last code's lifetime at which the server says that it ran out. They stand for
`Policy.expiry_grace`, for which the library listens on."""

READING = 5
"""Seconds for which the success, or the failure, is read before the dialog goes on."""

QUICKEST_SCAN = 3
"""Seconds within which nobody gets a phone out."""

PATIENCE = 40
"""Mean seconds after which somebody closes a code that they will not scan."""

SPREAD = 0.6
"""Sigma of the scan delay's logarithm: one person in twenty takes over 2.7 times the median."""

GOLDEN = 0.6180339887
"""Its multiples, without their whole parts, fill 0 to 1 evenly however many are taken."""


class Act(StrEnum):
    """What can happen on a dashboard."""

    PAGE = "a page loads, and the one before it is left"
    WIZARD = "the dialog that pairs a bot opens"
    CODE = "the person asks for a code, and it is shown"
    ROTATE = "the service replaces the code"
    SCAN = "the phone scans the code, and the bot is paired"
    EXPIRE = "the service's last code ran out"
    GIVE_UP = "the person closes the code without a scan"
    SHUT = "the dialog is closed"
    LEAVE = "the person goes away"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What a day is made from."""

    visits: int = 120
    """Visits in the day; each has a person, a browser tab and a bot of its own."""
    hours: float = 8.0
    """Hours over which they arrive, evenly and independently."""
    pages: float = 6.0
    """Mean pages of a visit, at least one (geometric)."""
    minutes_on_page: float = 2.0
    """Mean minutes on a page (exponential)."""
    code_share: float = 0.1
    """Share of the visits that open the dialog and show a code."""
    codes_per_visit: int = 1
    """How many times in a row such a visit asks for a code, each for another bot."""
    form_seconds: float = 45.0
    """Mean seconds in the dialog before each code (exponential)."""
    scan_delay: float = 15.0
    """Median seconds from the code to the scan (log-normal)."""
    abandonment: float = 0.2
    """Share of the codes that are never scanned: every other one is closed, the rest run out."""


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """One thing that happens."""

    at: int
    """Milliseconds since the day began."""
    visit: int
    order: int
    """Its place in the visit."""
    act: Act


@dataclass(frozen=True, slots=True)
class Day:
    """All that happens, in order."""

    assumptions: Assumptions
    seed: int
    moments: tuple[Moment, ...]

    def count(self, act: Act) -> int:
        """How often something happens."""
        return sum(moment.act is act for moment in self.moments)


def make_day(assumptions: Assumptions, seed: int) -> Day:
    """The day that these assumptions and this seed make."""
    ranks = list(range(assumptions.visits))
    Random(f"{seed} ranks").shuffle(ranks)
    moments = [
        moment
        for visit, rank in enumerate(ranks)
        for moment in _Visit(assumptions, seed, visit, rank).moments()
    ]
    return Day(assumptions, seed, tuple(sorted(moments)))


class _Visit:
    """One visit. Its rank says whether it shows a code, so that the share is met exactly."""

    def __init__(self, assumptions: Assumptions, seed: int, visit: int, rank: int) -> None:
        self._assumed = assumptions
        self._seed = seed
        self._visit = visit
        self._rank = rank
        self._shows_code = rank + 0.5 < assumptions.code_share * assumptions.visits
        self._now = self._draw("arrival").random() * assumptions.hours * 3600

    def moments(self) -> Iterator[Moment]:
        for order, (at, act) in enumerate(self._walk()):
            yield Moment(round(at * 1000), self._visit, order, act)

    def _walk(self) -> Iterator[tuple[float, Act]]:
        reading = self._draw("pages")
        stays = [reading.expovariate(1 / self._assumed.minutes_on_page) * 60]
        going_on = 1 - 1 / self._assumed.pages
        while reading.random() < going_on:
            stays.append(reading.expovariate(1 / self._assumed.minutes_on_page) * 60)
        page_with_wizard = self._draw("wizard").randrange(len(stays))
        for page, stay in enumerate(stays):
            yield self._now, Act.PAGE
            self._now += stay / 2
            if self._shows_code and page == page_with_wizard:
                yield from self._pair()
            self._now += stay / 2
        yield self._now, Act.LEAVE

    def _pair(self) -> Iterator[tuple[float, Act]]:
        yield self._now, Act.WIZARD
        for number in range(self._assumed.codes_per_visit):
            filling_in = self._draw(f"form {number}")
            self._now += filling_in.expovariate(1 / self._assumed.form_seconds)
            yield self._now, Act.CODE
            yield from self._show(number)
            self._now += READING
        yield self._now, Act.SHUT

    def _show(self, number: int) -> Iterator[tuple[float, Act]]:
        shown, lived = self._now, 0
        after, end = self._end(number)
        for lifetime in LIFETIMES[:-1]:
            lived += lifetime
            if lived >= after:
                break
            yield shown + lived, Act.ROTATE
        self._now = shown + after
        yield self._now, end

    def _end(self, number: int) -> tuple[float, Act]:
        """Seconds after which a round's codes end, and how."""
        ran_out = float(sum(LIFETIMES))
        draw = self._draw(f"end {number}")
        delay = draw.lognormvariate(log(self._assumed.scan_delay), SPREAD)
        patience = draw.expovariate(1 / PATIENCE)
        place = (self._rank * self._assumed.codes_per_visit + number + 1) * GOLDEN % 1
        if place >= self._assumed.abandonment:
            after, end = max(delay, QUICKEST_SCAN), Act.SCAN
        elif place >= self._assumed.abandonment / 2:
            after, end = patience, Act.GIVE_UP
        else:
            after, end = ran_out, Act.EXPIRE
        return (after, end) if after < ran_out else (ran_out + GRACE, Act.EXPIRE)

    def _draw(self, purpose: str) -> Random:
        return Random(f"{self._seed} {self._visit} {purpose}")
