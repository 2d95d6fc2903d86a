"""Which sockets are open now, for whom, and how long sockets were open.

A socket that nobody closed stays open in these books, until its process is known to be gone. This
room must never know what is right or wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

__all__ = ["Sockets"]

Subject = tuple[str, ...]

MOST_OF_ONE = 100
"""Sockets of one lifecycle that are kept apart; there should be one."""


class Sockets:
    """The books of the sockets.

    Attributes:
        open: how many are open now.
        most: how many were, at once.
        seconds: for how long those were open that are closed again.
    """

    def __init__(self) -> None:
        self.open = self.most = 0
        self.seconds = 0.0
        self._told = 0.0
        self._held: dict[str, list[tuple[float, tuple[str, Subject] | None]]] = {}
        self._held_for: Counter[tuple[str, Subject]] = Counter()

    def opened(self, lifecycle: str, subject: Subject | None, at: float) -> int:
        """One was opened; the answer is how many other lifecycles have one open for its subject."""
        held = self._held.setdefault(lifecycle, [])
        if len(held) == MOST_OF_ONE:
            return 0
        key = None if subject is None else (lifecycle.partition("-")[0], subject)
        own = sum(key is not None and key == other for _, other in held)
        held.append((at, key))
        self.open += 1
        self.most = max(self.most, self.open)
        if key is None:
            return 0
        self._held_for[key] += 1
        return self._held_for[key] - 1 - own

    def closed(self, lifecycle: str, at: float) -> None:
        """The latest of a lifecycle was closed, if it has any."""
        if held := self._held.get(lifecycle):
            since, key = held.pop()
            self.seconds += at - since
            self._release(lifecycle, key)

    def gone(self, lifecycle: str, at: float) -> None:
        """A lifecycle's process is gone, and whatever it held; that it was open then is known."""
        while lifecycle in self._held:
            self.closed(lifecycle, at)

    def seconds_at(self, now: Callable[[str], float]) -> float:
        """For how long sockets were open, those that are open now included. It never gets less.

        It would, if a record that is on its way says that one was closed before then.

        Args:
            now: until when a lifecycle's open sockets are known to have been open.
        """
        held = self._held.items()
        open_now = sum(now(name) - since for name, sockets in held for since, _ in sockets)
        self._told = max(self._told, self.seconds + open_now)
        return self._told

    def _release(self, lifecycle: str, key: tuple[str, Subject] | None) -> None:
        self.open -= 1
        if not self._held[lifecycle]:
            del self._held[lifecycle]
        if key is not None:
            self._held_for[key] -= 1
            if not self._held_for[key]:
                del self._held_for[key]
