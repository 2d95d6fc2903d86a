"""A pairing server in a thread of its own, for programs without async that pair with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from qrlifecycle import QRCode, QRLifecycle, SocketIOTransport
from qrlifecycle.testing import PairingServer

from .patience import HANGS

__all__ = ["BACKENDS", "BOT", "USER", "Far", "event_loop", "far_away", "portals", "until"]

BOT, USER = "bot-7", "user-123"
BACKENDS = ["asyncio", "trio"]


class Far:
    """A pairing server in a thread of its own, and lifecycles that pair with it."""

    def __init__(self, portal: BlockingPortal, server: PairingServer) -> None:
        self.portal = portal
        self.server = server

    def scan(self, *_told: object) -> None:
        """Play the phone."""
        self.portal.call(self.server.scan, BOT, USER)

    def refuse(self) -> None:
        """Play a phone whose owner says no."""
        self.portal.call(self.server.refuse, BOT, USER)

    async def request_qr(self) -> QRCode:
        """Ask for a code."""
        code = self.portal.start_task_soon(self.server.make_code, BOT, USER)
        return QRCode(await anyio.to_thread.run_sync(code.result), expires_in=60)

    def lifecycle(self, **options: Any) -> QRLifecycle:
        """A new one."""
        options.setdefault("request_qr", self.request_qr)
        transport = partial(SocketIOTransport, self.server.url, bot_id=BOT, user_id=USER)
        return QRLifecycle(transport=transport, **options)


def event_loop() -> str:
    """Which one runs here, as `backend` names it."""
    return anyio.get_cancelled_exc_class().__module__.partition(".")[0]


def until(true: Callable[[], object]) -> None:
    """Wait for what nobody announces."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() < begun + HANGS
        time.sleep(0.005)


@contextmanager
def far_away() -> Iterator[Far]:
    """A server; afterwards no socket leads to it, and no event loop is left."""
    before = portals()
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(PairingServer()) as server,
    ):
        yield Far(portal, server)
        until(lambda: server.open_sockets() == 0)
    until(lambda: portals() == before)  # it ends a little after what ran in it


def portals() -> set[threading.Thread]:
    """The threads with an event loop of their own; trio keeps its workers for a while."""
    ours = ("portal", "pairings")
    return {one for one in threading.enumerate() if any(name in one.name for name in ours)}
