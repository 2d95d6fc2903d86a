"""Where leases are at home: one thread, and the event loop that runs there."""

from __future__ import annotations

import threading

from anyio.lowlevel import RunVar

from ..errors import WrongThread

__all__ = ["Home"]

MARK: RunVar[object] = RunVar("qrlifecycle.leases")
"""One object for each event loop, by which it is known again."""


class Home:
    """The thread and the event loop in which it is made.

    A lease that is lost is told there, and nothing but that event loop wakes by it: to an attempt
    in another thread it would be told where it cannot act, and its socket would stay open.

    Args:
        begun: how leases came to be at home here, for the error.
    """

    __slots__ = ("_begun", "_loop", "_thread")

    def __init__(self, begun: str) -> None:
        self._begun = begun
        self._thread = threading.get_ident()
        self._loop = _this_loop()

    def require_thread(self) -> None:
        """Be in its thread: also where no task runs, as in a callback.

        Raises:
            WrongThread: another.
        """
        if threading.get_ident() != self._thread:
            self._refuse()

    def require(self) -> None:
        """Be in its event loop.

        Raises:
            WrongThread: another one, or another thread.
        """
        self.require_thread()
        if _this_loop() is not self._loop:
            self._refuse()

    def _refuse(self) -> None:
        raise WrongThread(
            f"leases are used in the thread and the event loop in which they were {self._begun}, "
            "and this is another: make leases in each event loop (a RedisLeases with a client of "
            "its own, within an anyio.run() in each thread), or let one event loop run all "
            "attempts (Pairings, BlockingPairings, or one portal and its call(lifecycle.pair))"
        )


def _this_loop() -> object:
    try:
        return MARK.get()
    except LookupError:
        MARK.set(mark := object())
        return mark
