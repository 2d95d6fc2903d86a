"""For how long the keeper has not answered, and by what; or that only its channel is not heard."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import LeaseLost
from ...logs import logger
from .keeper import Times, kind_of

__all__ = ["LISTENED", "SAY_EVERY", "Deafness", "Outage"]

SAY_EVERY = 60.0
"""Seconds after which it is said again: what only somebody can mend is an outage for ever."""


LISTENED = 5.0
"""Seconds after which a listener has listened: what forbids it comes sooner."""


class Outage:
    """One process's, as its renewals see it: said at once, and again now and then.

    Args:
        now: the clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began = self._said = now()
        self._error: LeaseLost | None = None

    def __bool__(self) -> bool:
        return self._error is not None

    def __str__(self) -> str:
        return f"{self._error}, for {self._now() - self._began:.0f} s by now"

    def goes_on(self, error: LeaseLost) -> None:
        """It did not answer, by this."""
        now, begins = self._now(), not self
        self._error = error
        if begins:
            self._began = self._said = now
            logger.warning("leases: %s", error)
        elif now - self._said >= SAY_EVERY:
            self._said = now
            logger.warning("leases: %s", str(self))  # as it is now
        else:
            logger.debug("leases: %s", str(self))

    def is_over(self) -> None:
        """It answers."""
        if self:
            self._error = None
            logger.info("leases: the keeper answers again")


class Deafness:
    """That nothing can be listened to, while all else is answered: said once.

    It will not mend itself, and nothing but a delay tells of it.

    Args:
        outage: whether nothing is answered at all.
        times: when that is known at the latest.
        now: the clock.
    """

    def __init__(self, outage: Outage, times: Times, now: Callable[[], float]) -> None:
        self._outage = outage
        self._times = times
        self._now = now
        self._since: float | None = None
        self._said = False

    def goes_on(self, error: Exception, began: float) -> None:
        """It could not listen by this, or no more, after it had begun to at that time."""
        now, times = self._now(), self._times
        if now - began > LISTENED:
            self._since, self._said = None, False
        if self._outage:
            self._since = None  # that is said already
        elif self._since is None:
            self._since = now
        elif now - self._since > times.renew_every + times.timeout and not self._said:
            self._said = True
            logger.warning(
                "leases: what others say is heard only with a renewal, every %g s, for the channel "
                "cannot be listened to: %s",
                times.renew_every,
                kind_of(error),
            )
