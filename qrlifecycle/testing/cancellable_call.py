"""A call of a transport's that can be cancelled, although the transport may not let it be.

A transport that catches a cancellation and goes on waiting keeps whoever called it for ever: anyio
cancels its next wait as well, and it catches that, too. Nobody outside can end such a call; but
whoever drives its coroutine step by step can, by running it no more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio

from ..transports.base import Transport
from .awaiting import Watched
from .contract.transport_lines import place_of_method, place_of_waiting

__all__ = ["CancellableCall"]

AT_ONCE = 0.001
"""Seconds in which a wait is cancelled that was cancelled before it began. A deadline of the
transport's own, which is no concern of ours, lets it wait for longer."""

MOST_CANCELLATIONS = 100
"""How many waits may be cancelled at once, and no others between: those of cleaning up, which are a
handful."""


class CancellableCall:
    """One call.

    Args:
        transport: whose method.
        method: its name.
        note: told the promise, and what is wrong, if the call does not let a cancellation out.
    """

    def __init__(
        self, transport: Transport, method: str, note: Callable[[int, str], object]
    ) -> None:
        self._transport = transport
        self._method = method
        self._note = note
        self._coroutine: Any = getattr(transport, method)()
        self._began = 0.0
        self._cancelled = 0
        self._stubborn = self._given_up = False

    async def run(self) -> Any:
        """Await it."""
        return await Watched(self._coroutine, waits=self._note_wait, raised=self._note_raised)

    def give_up(self) -> None:
        """Do not wait for it any more: the next cancellation comes out, whatever it does."""
        self._given_up = True

    def _note_wait(self, _count: int) -> None:
        self._began = anyio.current_time()

    def _note_raised(self, error: object) -> None:
        """Count a cancellation; raise it if the call had enough of them.

        Raises:
            BaseException: the cancellation.
        """
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
        self._note(5, self._in_words())
        with suppress(RuntimeError):  # it keeps even that to itself; most such are ended by abort()
            self._coroutine.close()
            raise error
        self._transport.abort()

    def _in_words(self) -> str:
        place = place_of_waiting(self._transport, self._coroutine)
        return (
            f"{self._method}() was cancelled{f' at {place}' if place else ''}, and goes on: the "
            "cancellation was swallowed (T1). "
            f"{place_of_method(self._transport, self._method)} must let it out: clean up under "
            "`except BaseException:`, and end that with a bare `raise`"
        )
