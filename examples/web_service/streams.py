"""Attempts as streams of news: one attempt at a time per user, and a stream for each dialog.

Whoever opens a second tab joins the attempt that is under way: both show the same code, and are
told the same end. A dialog that is closed leaves; the last one takes the attempt with it, and its
socket. Over several processes a lease says whose turn it is: the newest takes over.
"""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import Self

import anyio

from qrlifecycle import JoinedPairing, Pairings, QRLifecycle
from qrlifecycle.leases import Leases

from .news import News, SendNews, news_of, news_of_now
from .service import Platform

__all__ = ["Streams"]

QUIET = 10.0
"""Seconds without news after which a line without news is sent: so both ends, and every proxy
between them, can tell a quiet connection from a dead one."""

MOST = 1000
"""Streams that may be open at a time."""


class Streams:
    """Streams of news, and the attempts that they are about; an async context manager.

    Args:
        platform: makes the lifecycles.
        leases: say whose turn it is among several processes; None where there is one.
        plays_phone: whether the page gets the content of a code, to open it in place of a phone.
        most: how many streams may be open at a time.
    """

    def __init__(
        self,
        platform: Platform,
        *,
        leases: Leases | None = None,
        plays_phone: bool = False,
        most: int = MOST,
    ) -> None:
        self._platform = platform
        self._leases = leases
        self._plays_phone = plays_phone
        self._most = most
        self._pairings = Pairings()
        self._open = 0

    async def __aenter__(self) -> Self:
        await self._pairings.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._pairings.__aexit__(kind, error, trace)

    @property
    def attempts(self) -> int:
        """How many attempts are under way."""
        return len(self._pairings)

    @property
    def full(self) -> bool:
        """Whether no further stream may be opened for now."""
        return self._open >= self._most

    async def pair(self, user_id: str, send: SendNews) -> None:
        """Join the user's attempt, or begin one, and send its progress to a page until its end."""
        key = self._platform.key(user_id)
        self._open += 1
        try:
            async with self._pairings.join(key, partial(self._lifecycle, user_id)) as pairing:
                await self._send_all(pairing, send)
        finally:
            self._open -= 1

    def close(self) -> None:
        """End every attempt, and begin no other: the service is about to stop."""
        self._pairings.cancel_all()

    def _lifecycle(self, user_id: str) -> QRLifecycle:
        if self._leases is None:
            return self._platform.lifecycle(user_id)
        key = self._platform.key(user_id)
        lease = partial(self._leases.lease, *key, when_held="take_over")
        return self._platform.lifecycle(user_id, lease=lease)

    async def _send_all(self, pairing: JoinedPairing, send: SendNews) -> None:
        """Send what there is, each change as it comes, and regularly that there is none."""
        lifecycle, changes = pairing.lifecycle, pairing.changes()
        if (now := news_of_now(lifecycle, plays_phone=self._plays_phone)) is not None:
            await send(now)
        while True:
            news: News | None = None
            with anyio.move_on_after(QUIET):
                change = await anext(changes, None)
                if change is None:
                    return
                news = news_of(change, lifecycle, plays_phone=self._plays_phone)
            await send(news)
