"""The transports of these tests: for bot-7 and user-1, with a token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

import anyio

from qrlifecycle import AsyncClientTransport, SocketIOTransport, Transport

from ..patience import HANGS

__all__ = [
    "BOT",
    "FEW",
    "KINDS",
    "OWNER",
    "TOKEN",
    "USER",
    "MakeTransport",
    "Turns",
    "maker",
    "receive",
    "texts_of",
]

BOT, USER = "bot-7", "user-1"
FEW = 30
"""Turns of the event loop that closing may take at most; under ten are the rule."""

TOKEN = "t0ken-never-shown"
OWNER = {"botId": BOT, "userId": USER}


MakeTransport = Callable[..., Transport]
"""For bot-7 and user-1, with the right token, to a URL; options beside it."""

KINDS: tuple[type[SocketIOTransport | AsyncClientTransport], ...] = (
    SocketIOTransport,
    AsyncClientTransport,
)
"""All that speak Socket.IO: what they promise is the same, and so are the tests."""


def maker(kind: Callable[..., Transport]) -> MakeTransport:
    """What makes transports of one kind."""

    def transport_to(url: str, **options: Any) -> Transport:
        usual = {"bot_id": BOT, "user_id": USER, "auth": {"token": TOKEN}}
        return kind(url, **{**usual, **options})

    return transport_to


async def receive(transport: Transport) -> object:
    """The next signal."""
    with anyio.fail_after(HANGS):
        return await transport.receive()


class Turns:
    """Counts the turns of the event loop within a block, which judge whether it waits.

    Whoever waits for nothing but the loop itself takes a few, however busy the machine is.
    """

    def __init__(self) -> None:
        self.taken = 0
        self._next: asyncio.Handle | None = None

    def __enter__(self) -> Self:
        self._turn()
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._next is not None
        self._next.cancel()

    def _turn(self) -> None:
        self.taken += 1
        self._next = asyncio.get_running_loop().call_soon(self._turn)


def texts_of(error: BaseException | None) -> list[str]:
    """What an error and all that stands behind it say."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(error.args)]
        error = error.__cause__ or error.__context__
    return texts
