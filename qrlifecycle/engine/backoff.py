"""Longer waits each time before trying again, never longer than a limit, and never alike."""

from __future__ import annotations

from random import uniform

__all__ = ["Backoff", "spread"]


class Backoff:
    """Waits that double from ``first`` up to ``most`` seconds, each cut at random by up to half.

    The cut keeps programs apart that lost the same server at the same moment ("equal jitter" in
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    __slots__ = ("_first", "_most", "_wait")

    def __init__(self, first: float, most: float) -> None:
        self._first = first
        self._most = most
        self._wait = first

    def next(self, retry_after: float | None = None) -> float:
        """The next wait, in seconds.

        Args:
            retry_after: for how long the peer asks to be left alone, if it does. No shorter than
                that, but no longer than the program waits for anybody.
        """
        wait, self._wait = self._wait, min(self._most, 2 * self._wait)
        chosen = uniform(0.5 * wait, wait)  # noqa: S311 - nobody gains by guessing it
        return chosen if retry_after is None else max(chosen, min(retry_after, self._most))

    def reset(self) -> None:
        """Begin with the first wait again."""
        self._wait = self._first


def spread(interval: float) -> float:
    """What comes again and again, cut at random by up to a tenth each time.

    A pause of the program's has all that ran out meanwhile run at once: without the cut that crowd
    would stay together, and hold up whatever else comes with it.
    """
    return interval * uniform(0.9, 1)  # noqa: S311 - nobody gains by guessing it
