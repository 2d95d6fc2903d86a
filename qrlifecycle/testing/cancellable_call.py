"""A call of a transport's that can be cancelled, although the transport may not let it be.

A transport that catches a cancellation and goes on waiting keeps whoever called it for ever: anyio
cancels its next wait as well, and it catches that, too. Nobody outside can end such a call; but
whoever drives its coroutine step by step can, by running it no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import CoroutineType
from typing import Generic, TypeVar

import anyio

from .awaiting import Watched

__all__ = ["CancellableCall"]

T = TypeVar("T")

AT_ONCE = 0.001
"""Seconds in which a wait is cancelled that was cancelled before it began. A deadline of the
transport's own, which is no concern of ours, lets it wait for longer."""

MOST_CANCELLATIONS = 100
"""How many waits may be cancelled at once, and no others between: those of cleaning up, which are a
handful."""


class CancellableCall(Generic[T]):
    """One call.

    Args:
        awaitable: what the call gave.
        swallowed: called if it does not let a cancellation out.
        force: called if it cannot even be taken away: to end what it waits for.
        waits: called at each of its waits, with the number; see `Watched`.
        raised: called with what is about to be raised there.
    """

    def __init__(
        self,
        awaitable: Awaitable[T],
        *,
        swallowed: Callable[[], object],
        force: Callable[[], object],
        waits: Callable[[int], object] = lambda _count: None,
        raised: Callable[[object], object] = lambda _error: None,
    ) -> None:
        self._awaitable = awaitable
        self._swallowed = swallowed
        self._force = force
        self._waits = waits
        self._raised = raised
        self._began = 0.0
        self._cancelled = 0
        self._stubborn = self._given_up = False

    async def run(self) -> T:
        """Await it."""
        return await Watched(self._awaitable, waits=self._note_wait, raised=self._note_raised)

    def give_up(self) -> None:
        """Do not wait for it any more: the next cancellation comes out, whatever it does."""
        self._given_up = True

    def _note_wait(self, count: int) -> None:
        self._waits(count)
        self._began = anyio.current_time()

    def _note_raised(self, error: object) -> None:
        """Count a cancellation; raise it if the call had enough of them.

        Raises:
            BaseException: the cancellation.
        """
        self._raised(error)
        at_once = anyio.current_time() - self._began < AT_ONCE
        if not isinstance(error, anyio.get_cancelled_exc_class()):
            self._cancelled -= 0 if at_once else min(1, self._cancelled)
            return
        self._cancelled += 1 if at_once else -min(1, self._cancelled)
        if self._cancelled < MOST_CANCELLATIONS and not self._given_up:
            return
        if self._stubborn:
            raise error
        self._stubborn, self._given_up, self._cancelled = True, False, 0
        self._swallowed()
        if isinstance(self._awaitable, CoroutineType):
            with suppress(RuntimeError):  # it keeps even that to itself
                self._awaitable.close()
                raise error
        with suppress(Exception):
            self._force()
