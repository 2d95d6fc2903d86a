"""Whether the machine slept: timers stand still meanwhile, and codes run out.

The clock of an event loop counts the seconds in which the machine is awake. A laptop that was
closed for an hour would show a code that is dead for as long as it was still good when it fell
asleep. Linux and macOS have a second clock, which goes on; what the two are apart is how long it
slept. (On Windows timers go on.) A virtual machine that was paused has only its wall clock put
right afterwards; but so has a kiosk without a battery when NTP finds its time, so a jump alone
proves nothing.
"""

from __future__ import annotations

import math
import sys
import time

__all__ = ["SleepWatch"]

SHORTEST = 2.0
"""Seconds asleep that are of interest; a code's own grace is longer."""

JUMP = 30.0
"""Seconds by which a wall clock that is put right may go ahead without anybody minding."""


GOES_ON: int | None
"""The clock that goes on while the machine sleeps; `time.monotonic()` does not, on these two."""

if sys.platform == "linux":
    GOES_ON = time.CLOCK_BOOTTIME
elif sys.platform == "darwin":
    GOES_ON = time.CLOCK_MONOTONIC
else:
    GOES_ON = None


class SleepWatch:
    """Tells how long the machine slept since it was last asked."""

    __slots__ = ("ahead", "asleep")

    def __init__(self) -> None:
        self.asleep = self.ahead = -math.inf
        """Seconds asleep, and seconds that the wall clock is ahead, since some beginning."""
        self.look()

    def look(self) -> tuple[float, bool]:
        """For how many seconds it slept, and whether the wall clock jumped ahead by itself.

        The first is 0 where nobody can tell; the second leaves out what the first accounts for.
        """
        awake = time.monotonic()
        going_on = awake if GOES_ON is None else time.clock_gettime(GOES_ON)
        asleep, ahead = going_on - awake, time.time() - going_on
        slept, jumped = asleep - self.asleep, ahead - self.ahead >= JUMP
        self.ahead = ahead
        if slept < SHORTEST:
            return 0.0, jumped
        self.asleep = asleep
        return slept, jumped
