"""How long to wait before trying again: longer each time, never longer than a limit, never alike.

This room must never know what is tried.
"""

from __future__ import annotations

import random

__all__ = ["Backoff"]

MOST_DOUBLINGS = 30
"""Beyond these a wait is at any sensible limit already."""


class Backoff:
    """Waits that double from ``first`` up to ``most`` seconds, each cut at random by up to half.

    The cut keeps programs apart that lost the same server at the same moment ("equal jitter" in
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    __slots__ = ("_count", "_first", "_most")

    def __init__(self, first: float, most: float) -> None:
        self._first = first
        self._most = most
        self._count = 0

    def next(self) -> float:
        """The next wait, in seconds."""
        wait: float = min(self._most, self._first * 2 ** min(self._count, MOST_DOUBLINGS))
        self._count += 1
        return random.uniform(0.5 * wait, wait)  # noqa: S311 - nobody gains by guessing it

    def reset(self) -> None:
        """Begin with the first wait again."""
        self._count = 0
