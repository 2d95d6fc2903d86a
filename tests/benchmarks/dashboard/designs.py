"""All designs: those with sockets of their own, those that poll, and this library.

This room must never know the time of day, nor when anything happens.
"""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial

from qrlifecycle import Outcome, Paired, Policy, QRCode, QRLifecycle, SocketIOTransport

from .socket_tabs import SocketPerPageTab, SocketPerVisitTab
from .tab import Tab

__all__ = [
    "COMPARED",
    "DESIGNS",
    "OURS",
    "CodePollingTab",
    "LifecycleTab",
    "PagePollingTab",
]

POLICY = Policy(expiry_grace=0, max_refreshes=0, attempt_timeout=math.inf)
"""The library's deadlines run on real time and the day does not: the server's messages end a code,
and the grace is in the day."""


class CodePollingTab(Tab):
    """Asks for the status each second while a code is shown; one connection is kept alive."""

    name = "polling, code shown"
    listens = True

    def __init__(self, url: str, user_id: str) -> None:
        super().__init__(url, user_id)
        self._shown = False

    @property
    def polls(self) -> bool:
        """While a code is shown."""
        return self._shown

    async def show_code(self) -> None:
        """Ask for it, and begin to ask how far it is."""
        await self.request_code()
        self._shown = True

    async def hide_code(self) -> None:
        """Ask no more."""
        self._shown = False

    async def poll(self) -> bool:
        """Ask, and hide a code that is scanned or ran out."""
        status = await self.request_status()
        paired = self._shown and status == "paired"
        if status in ("paired", "expired"):
            self._shown = False
        return paired


class PagePollingTab(CodePollingTab):
    """Asks for the status each second while any page is shown."""

    name = "polling, page shown"

    @property
    def polls(self) -> bool:
        """From the first page to the last."""
        return not self.http.closed


class LifecycleTab(Tab):
    """This library: a socket while the code is on screen, and the status read where it advises."""

    name = "qrlifecycle"
    listens = True

    def __init__(self, url: str, user_id: str) -> None:
        super().__init__(url, user_id)
        bot_id = self.owner["botId"]
        self._codes: asyncio.Queue[QRCode] = asyncio.Queue()
        self._pairing: asyncio.Task[Outcome] | None = None
        self._lifecycle = QRLifecycle(
            self._request_qr,
            partial(SocketIOTransport, url, bot_id=bot_id, user_id=user_id),
            policy=POLICY,
            check_status=self._check_status,
            on_qr_updated=self._codes.put_nowait,
        )

    @property
    def sockets(self) -> int:
        """One while a code is displayed."""
        return int(self._lifecycle.socket_open)

    async def show_code(self) -> None:
        """Begin to pair."""
        self._pairing = asyncio.create_task(self._lifecycle.pair())
        await self._codes.get()

    async def hide_code(self) -> None:
        """Cancel, if there is anything to cancel."""
        self._lifecycle.cancel()
        if self._pairing is not None:
            await self._pairing

    async def see_new_code(self) -> None:
        """The hook is told."""
        await self._codes.get()

    async def see_success(self) -> float | None:
        """`pair()` has returned, and the socket is closed."""
        assert self._pairing is not None
        outcome = await self._pairing
        known = time.monotonic()
        assert outcome.connected, outcome
        return known

    async def see_expiry(self) -> None:
        """`pair()` has returned."""
        assert self._pairing is not None
        await self._pairing

    async def _request_qr(self) -> QRCode:
        return QRCode(await self.request_code())

    async def _check_status(self) -> Paired | None:
        return Paired() if await self.request_status() == "paired" else None


COMPARED = SocketPerPageTab
"""The design that the others are compared with."""

OURS = LifecycleTab

DESIGNS: tuple[type[Tab], ...] = (
    SocketPerPageTab,
    SocketPerVisitTab,
    PagePollingTab,
    CodePollingTab,
    LifecycleTab,
)
"""All of them, in the order of the table."""
