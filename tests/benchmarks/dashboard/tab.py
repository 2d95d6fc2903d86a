"""A browser tab: what it is told of the person, and what it is asked for. It knows no socket.

A tab lives one visit. It is told what the person does, and listens for the news in its own way.
This room must never know the time of day, nor when anything happens.
"""

from __future__ import annotations

from typing import ClassVar

import aiohttp

__all__ = ["Tab"]


class Tab:
    """One visit's browser tab. This one asks for codes and never listens: what a day itself costs.

    Args:
        url: the server.
        user_id: the person.
    """

    name: ClassVar[str] = "nobody listens"
    """The design, in a few words."""
    listens: ClassVar[bool] = False
    """Whether it ever knows of a success."""

    def __init__(self, url: str, user_id: str) -> None:
        self.url = url
        self.owner = {"botId": f"bot-of-{user_id}", "userId": user_id}
        self.http = aiohttp.ClientSession(url)

    @property
    def sockets(self) -> int:
        """How many sockets it holds now."""
        return 0

    @property
    def polls(self) -> bool:
        """Whether it asks for the status each second now."""
        return False

    # What the person does

    async def load_page(self) -> None:
        """A page loads, and the one before it is left."""

    async def open_wizard(self) -> None:
        """The dialog that pairs a bot opens."""

    async def show_code(self) -> None:
        """The person asks for a code, and it is shown."""
        await self.request_code()

    async def hide_code(self) -> None:
        """The code is on screen no more, if one was."""

    async def close_wizard(self) -> None:
        """The dialog is closed."""

    async def leave(self) -> None:
        """The person goes away."""
        await self.hide_code()
        await self.http.close()

    # What there is to know

    async def see_new_code(self) -> None:
        """The service has replaced the code: see that, if this is how the tab hears of it."""

    async def see_success(self) -> float | None:
        """The phone has scanned: the moment (`time.monotonic()`) of knowing it, once it is known.

        None for a tab that finds it when it asks the next time.
        """
        return None

    async def see_expiry(self) -> None:
        """The last code ran out: see that, if this is how the tab hears of it, and hide it."""

    async def poll(self) -> bool:
        """Ask for the status; the answer is whether the bot is found to be paired, at last."""
        return False

    # What every design asks for in the same way

    async def request_code(self) -> str:
        """The request behind "Generate QR"."""
        async with self.http.post("/qr", json=self.owner) as response:
            return str((await response.json())["qr"])

    async def request_status(self) -> str:
        """Ask how far the pairing is."""
        async with self.http.get("/status", params=self.owner) as response:
            return str((await response.json())["status"])
