"""What is said to the keeper without waiting for it: confirmations and releases, many at once."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import anyio

from ...errors import LeaseLost
from ...waiting import wait_for
from .keeper import Keeper, Word

__all__ = ["Outbox"]

BATCH = 200
"""Words in one script."""

AGAIN = 0.2
"""Seconds before what was not heard is said again."""


class Outbox:
    """Words that are to be said, one for each holder: a release takes the place of what it undoes.

    Nothing is forgotten until it was heard. A word that is said twice does no harm.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._words: dict[str, Word] = {}
        self._given_back: Counter[str] = Counter()
        self._more = anyio.Event()
        self._heard = anyio.Event()

    def put(self, word: Word) -> None:
        """Say it, soon."""
        self._drop(word.holder)  # in the order in which they were put
        self._words[word.holder] = word
        if word.word == "release":
            self._given_back[word.key] += 1
        self._more.set()

    async def until_given_back(self, key: str) -> None:
        """Wait until the keeper has heard of each lease of this key that was given back.

        Whoever asks for it earlier is told that the lease is held, and by this very process.
        """
        while key in self._given_back:
            await wait_for(self._heard)

    async def send_forever(self) -> None:
        """Say what there is to say."""
        while True:
            await wait_for(self._more)
            self._more = anyio.Event()
            await self.send_all()

    async def send_all(self) -> None:
        """Say it in the caller's own task, until everything was heard.

        That is how leases end: where they are cancelled, so is the task that sends for ever.
        """
        while self._words:
            await self._send()

    async def _send(self) -> None:
        batch = list(islice(self._words.values(), BATCH))
        try:
            await self._keeper.update(batch)
        except LeaseLost:
            await anyio.sleep(AGAIN)
            return
        for word in batch:
            if self._words.get(word.holder) is word:
                self._drop(word.holder)
        self._heard.set()
        self._heard = anyio.Event()

    def _drop(self, holder: str) -> None:
        word = self._words.pop(holder, None)
        if word is not None and word.word == "release":
            self._given_back[word.key] -= 1
            if not self._given_back[word.key]:
                del self._given_back[word.key]
