"""For how long the keeper has not answered, and by what: said at once, and again now and then."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import LeaseLost
from ...logs import logger

__all__ = ["SAY_EVERY", "Outage"]

SAY_EVERY = 60.0
"""Seconds after which it is said again: what only somebody can mend is an outage for ever."""


class Outage:
    """One process's, as its renewals see it.

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
