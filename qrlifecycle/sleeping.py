"""Whether the machine slept: timers stand still meanwhile, and codes run out.

The clock of an event loop counts the seconds in which the machine is awake. A laptop that was
closed for an hour would show a code that is dead for as long as it was still good when it fell
asleep. Linux and macOS have a second clock, which goes on; what the two are apart is how long it
slept. (On Windows timers go on.) A virtual machine that was paused has only its wall clock put
right afterwards; but so has a kiosk without a battery when NTP finds its time, so a jump alone
proves nothing.
"""

from __future__ import annotations

import sys
import time

__all__ = ["SleepWatch"]

SHORTEST = 2.0
"""Seconds asleep that are of interest; a code's own grace is longer."""

JUMP = 30.0
"""Seconds by which a wall clock that is put right may go ahead without anybody minding."""


CLOCKS: tuple[int, int] | None
"""One that goes on while the machine sleeps, and one that does not."""

if sys.platform == "linux":
    CLOCKS = time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC
elif sys.platform == "darwin":
    CLOCKS = time.CLOCK_MONOTONIC, time.CLOCK_UPTIME_RAW
else:
    CLOCKS = None


def seconds_asleep() -> float:
    """How long the machine has slept since it was started; 0 where nobody can tell."""
    if CLOCKS is None:
        return 0.0
    going_on, standing_still = CLOCKS
    return time.clock_gettime(going_on) - time.clock_gettime(standing_still)


def seconds_ahead() -> float:
    """How far the wall clock is ahead of the time that the machine was awake or asleep."""
    return time.time() - time.monotonic() - seconds_asleep()


class SleepWatch:
    """Tells how long the machine slept since it was last asked."""

    __slots__ = ("_ahead", "_asleep")

    def __init__(self) -> None:
        self._asleep = seconds_asleep()
        self._ahead = seconds_ahead()

    def look(self) -> tuple[float, bool]:
        """For how many seconds it slept, and whether the wall clock jumped ahead by itself."""
        asleep, ahead = seconds_asleep(), seconds_ahead()
        slept, jump = asleep - self._asleep, ahead - self._ahead
        self._ahead = ahead
        if slept < SHORTEST:
            return 0.0, jump >= JUMP
        self._asleep = asleep
        return slept, jump >= JUMP
