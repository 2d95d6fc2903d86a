"""One request for a code at a time, for one account of one service.

Two that run at once make two sessions on some services: their codes alternate on screen, and a scan
of the wrong one never becomes a success (Evolution API); on others the second kills the code of the
first (GOWA). A program makes a gateway for each lifecycle, so it is not the gateway that has to be
alone, but the account.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

import anyio
from anyio.lowlevel import RunVar

__all__ = ["Turn", "turn_of"]


class Turn:
    """A lock that can be referred to weakly. ``async with`` waits for it, first come first served.

    It is there for as long as somebody has it or waits for it.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = anyio.Lock(fast_acquire=True)

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, *_error: object) -> None:
        self._lock.release()


_TURNS: RunVar[WeakValueDictionary[tuple[str, str], Turn]] = RunVar("qrlifecycle.gateways.turns")
"""Each event loop's own: a lock of one loop means nothing on another. It goes with the loop."""


def turn_of(place: str, account: str) -> Turn:
    """The turn of an account, on this event loop; the same object while anybody holds it.

    Args:
        place: the service's URL, without anything secret.
        account: the account there.
    """
    try:
        turns = _TURNS.get()
    except LookupError:
        turns = WeakValueDictionary()
        _TURNS.set(turns)
    if (turn := turns.get((place, account))) is None:
        turn = turns[place, account] = Turn()
    return turn
