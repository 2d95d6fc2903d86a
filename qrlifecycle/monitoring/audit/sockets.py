"""Which sockets are open now, for whom, and how long sockets were open.

A socket without a record of its closing counts as open until its process is known to have ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

__all__ = ["Sockets"]

Subject = tuple[str, ...]

MOST_OF_ONE = 100
"""Sockets of one lifecycle that are counted apart; there should be one."""


class Sockets:
    """Counts open sockets and their time.

    Attributes:
        open: how many are open now.
        most: how many were, at once.
        seconds: for how long the sockets were open that are closed by now.
    """

    def __init__(self) -> None:
        self.open = self.most = 0
        self.seconds = 0.0
        self._reported = 0.0
        self._held: dict[str, list[tuple[float, tuple[str, Subject] | None]]] = {}
        self._held_for: Counter[tuple[str, Subject]] = Counter()

    def opened(self, lifecycle: str, subject: Subject | None, at: float) -> int:
        """Count an opening; return how many other lifecycles have one open for the same subject."""
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
        """Count the closing of a lifecycle's latest socket, if it has any."""
        if held := self._held.get(lifecycle):
            since, key = held.pop()
            self.seconds += at - since
            self._release(lifecycle, key)

    def process_ended(self, lifecycle: str, at: float) -> None:
        """The process of a lifecycle ended, and with it whatever was still open at that time."""
        while lifecycle in self._held:
            self.closed(lifecycle, at)

    def seconds_at(self, now: Callable[[str], float]) -> float:
        """For how long sockets were open, including those that are open now. It never decreases.

        It would decrease, if a record arrives late and says that one was closed before then.

        Args:
            now: until when a lifecycle's open sockets are known to have been open.
        """
        held = self._held.items()
        open_now = sum(now(name) - since for name, sockets in held for since, _ in sockets)
        self._reported = max(self._reported, self.seconds + open_now)
        return self._reported

    def _release(self, lifecycle: str, key: tuple[str, Subject] | None) -> None:
        self.open -= 1
        if not self._held[lifecycle]:
            del self._held[lifecycle]
        if key is not None:
            self._held_for[key] -= 1
            if not self._held_for[key]:
                del self._held_for[key]
