"""What an attempt waits for that has no lease yet: said once in the log, and by its failure."""

from __future__ import annotations

from math import isinf

from ..logs import logger

__all__ = ["Wait"]


class Wait:
    """One `acquire()`'s.

    Attributes:
        at_most: seconds for which it is waited at most, if somebody said so.
        reason: what it waits for, as was said last.
    """

    __slots__ = ("_said", "at_most", "reason")

    def __init__(self) -> None:
        self.at_most: float | None = None
        self.reason = ""
        self._said = False

    def goes_on(self, reason: str) -> None:
        """It is for this that it waits now; the first time that goes into the log."""
        self.reason = reason
        if not self._said:
            self._said = True
            logger.info("waiting for the lease%s: %s", self._limit(), reason)

    def _limit(self) -> str:
        if self.at_most is None or isinf(self.at_most):
            return ""
        return f", {self.at_most:g} s at most"
