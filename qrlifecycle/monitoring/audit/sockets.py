"""Which sockets are open now, for whom, and how long sockets were open.

A socket without a record of its closing counts as open until its process is known to have ended.
A share of a shared socket is none: the shared socket is one, and has records of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Sockets"]

Subject = tuple[str, ...]

MOST_OF_ONE = 100
"""Sockets of one lifecycle that are counted apart; there should be one."""


class _Held(NamedTuple):
    """A socket, or a share of one, that a lifecycle holds."""

    since: float
    whom: tuple[str, Subject] | None
    """Its process and its subject."""
    socket: str
    """The identifier of what has the socket: the lifecycle's, or that of the shared socket."""
    is_share: bool


class Sockets:
    """Counts open sockets and their time.

    Attributes:
        open: how many are open now.
        most: how many were, at once.
        shares: how many lifecycles have a share of a shared socket now.
        seconds: for how long the sockets were open that are closed by now.
    """

    def __init__(self) -> None:
        self.open = self.most = 0
        self.seconds = 0.0
        self._reported = 0.0
        self.shares = 0
        self._held: dict[str, list[_Held]] = {}
        self._held_for: dict[tuple[str, Subject], Counter[str]] = {}

    def opened(
        self, lifecycle: str, subject: Subject | None, at: float, shared: str | None = None
    ) -> int:
        """Count an opening; return how many other sockets are open for the same subject.

        Args:
            lifecycle: whose it is, or which shared socket it is.
            subject: whom it is for.
            at: when it was.
            shared: which shared socket it is only a share of.
        """
        held = self._held.setdefault(lifecycle, [])
        if len(held) == MOST_OF_ONE:
            return 0
        whom = None if subject is None else (lifecycle.partition("-")[0], subject)
        socket = shared or lifecycle
        held.append(_Held(at, whom, socket, shared is not None))
        if shared is None:
            self.open += 1
            self.most = max(self.most, self.open)
        else:
            self.shares += 1
        if whom is None:
            return 0
        sockets = self._held_for.setdefault(whom, Counter())
        sockets[socket] += 1
        return len(sockets) - 1

    def closed(self, lifecycle: str, at: float) -> bool:
        """Count the closing of a lifecycle's latest socket; False if it was only a share of one."""
        held = self._held.get(lifecycle)
        if not held:
            return True
        last = held.pop()
        if last.is_share:
            self.shares -= 1
        else:
            self.open -= 1
            self.seconds += at - last.since
        if not held:
            del self._held[lifecycle]
        self._release(last)
        return not last.is_share

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
        open_now = sum(
            max(now(name) - socket.since, 0.0)
            for name, sockets in held
            for socket in sockets
            if not socket.is_share
        )
        self._reported = max(self._reported, self.seconds + open_now)
        return self._reported

    def _release(self, held: _Held) -> None:
        if held.whom is None:
            return
        sockets = self._held_for[held.whom]
        sockets[held.socket] -= 1
        if not sockets[held.socket]:
            del sockets[held.socket]
        if not sockets:
            del self._held_for[held.whom]
