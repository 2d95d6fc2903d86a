"""Waiting, in a test on asyncio, until something is so: without sleeping, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["News"]

PATIENCE = 20.0
"""Seconds after which a test that waits for a fact has failed."""


class News:
    """Wakes whoever waits for a fact, whenever something has happened."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Something has happened: have the facts looked at."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until a fact is true; it is looked at whenever something has happened.

        Raises:
            TimeoutError: it never was.
        """
        async with asyncio.timeout(PATIENCE):
            while not fact():
                await self._event.wait()
