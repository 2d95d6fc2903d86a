"""The transport of these tests: for bot-7 and user-1, with a token."""

from __future__ import annotations

from typing import Any

import anyio

from qrlifecycle.transports.socketio import SocketIOTransport

__all__ = ["BOT", "OWNER", "TOKEN", "USER", "receive", "texts_of", "transport_to"]

BOT, USER = "bot-7", "user-1"
TOKEN = "t0ken-never-shown"
OWNER = {"botId": BOT, "userId": USER}


def transport_to(url: str, **options: Any) -> SocketIOTransport:
    """For bot-7 and user-1, with the right token."""
    options.setdefault("auth", {"token": TOKEN})
    return SocketIOTransport(url, bot_id=BOT, user_id=USER, **options)


async def receive(transport: SocketIOTransport) -> object:
    """The next signal, soon."""
    with anyio.fail_after(2):
        return await transport.receive()


def texts_of(error: BaseException | None) -> list[str]:
    """What an error and all that stands behind it say."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(error.args)]
        error = error.__cause__ or error.__context__
    return texts
