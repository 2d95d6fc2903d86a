"""Designs that hold python-socketio's own client: per page, dialog and code, or per visit.

This room must never know the time of day, nor when anything happens.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Any

import aiohttp
import socketio

from .tab import Tab

__all__ = ["SocketPerPageTab", "SocketPerVisitTab", "SocketTab"]

DASHBOARD = "dashboard"
"""What a page's or a dialog's socket joins instead of a bot: nothing is sent there, which is kinder
than sending each of them every message of the user."""


class Socket:
    """A socket of python-socketio's own client, WebSocket from the first byte.

    Args:
        http: the tab's session.
    """

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._client = socketio.AsyncClient(
            reconnection=False, handle_sigint=False, http_session=http
        )
        self._client.on("*", self._on_message)
        self._heard: asyncio.Queue[tuple[str, float]] = asyncio.Queue()

    async def open(self, url: str, bot_id: str, user_id: str) -> None:
        """Connect and join."""
        auth = {"botId": bot_id, "userId": user_id}
        await self._client.connect(url, auth=auth, transports=["websocket"])

    async def close(self) -> None:
        """Disconnect."""
        await self._client.disconnect()

    async def hear(self, name: str) -> float:
        """When a message of this name arrives, or arrived."""
        while True:
            heard, at = await self._heard.get()
            if heard == name:
                return at

    def _on_message(self, name: str, *_data: Any) -> None:
        self._heard.put_nowait((name, time.monotonic()))


class SocketTab(Tab, ABC):
    """Holds sockets, each in a place of its own."""

    listens = True

    def __init__(self, url: str, user_id: str) -> None:
        super().__init__(url, user_id)
        self._open: dict[str, Socket] = {}

    @property
    def sockets(self) -> int:
        """As many as there are places."""
        return len(self._open)

    @property
    @abstractmethod
    def listener(self) -> Socket:
        """The socket that hears of the code."""

    async def see_new_code(self) -> None:
        """The socket says so."""
        await self.listener.hear("whatsapp_qr_updated")

    async def see_success(self) -> float | None:
        """The socket says so."""
        known = await self.listener.hear("whatsapp_connected")
        await self.hide_code()
        return known

    async def see_expiry(self) -> None:
        """The socket says so."""
        await self.listener.hear("whatsapp_qr_expired")
        await self.hide_code()

    async def leave(self) -> None:
        """Close whatever is open."""
        for place in tuple(self._open):
            await self._close(place)
        await super().leave()

    async def _put(self, place: str, bot_id: str) -> None:
        socket = self._open[place] = Socket(self.http)
        await socket.open(self.url, bot_id, self.owner["userId"])

    async def _close(self, place: str) -> None:
        if (socket := self._open.pop(place, None)) is not None:
            await socket.close()


class SocketPerPageTab(SocketTab):
    """A socket for each page, another for the dialog, a third for the code; each from its loading.

    Kinder than it may have been: the code's socket is closed with the code, there is no polling
    before the upgrade to WebSocket, and nothing connects again by itself.
    """

    name = "a socket per page, dialog and code"

    @property
    def listener(self) -> Socket:
        """The code's own."""
        return self._open["code"]

    async def load_page(self) -> None:
        """Every navigation disconnects and connects."""
        await self._close("page")
        await self._put("page", DASHBOARD)

    async def open_wizard(self) -> None:
        """Another socket."""
        await self._put("wizard", DASHBOARD)

    async def show_code(self) -> None:
        """A third."""
        await self.request_code()
        await self._put("code", self.owner["botId"])

    async def hide_code(self) -> None:
        """The third goes."""
        await self._close("code")

    async def close_wizard(self) -> None:
        """The second goes."""
        await self._close("wizard")


class SocketPerVisitTab(SocketTab):
    """One socket from the first page to the last: a single-page program that shares it well."""

    name = "a socket per visit"

    @property
    def listener(self) -> Socket:
        """The only one."""
        return self._open["visit"]

    async def load_page(self) -> None:
        """The first page connects."""
        if not self._open:
            await self._put("visit", self.owner["botId"])

    async def show_code(self) -> None:
        """The socket is there."""
        await self.request_code()
