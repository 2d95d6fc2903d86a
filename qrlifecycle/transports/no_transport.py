"""No transport at all: for a service that cannot be listened to, and is only polled."""

from __future__ import annotations

from typing import ClassVar

import anyio
import anyio.lowlevel

from ..signals import Signal
from ..waiting import wait_for
from .base import Transport

__all__ = ["NoTransport"]


class NoTransport(Transport):
    """Hears nothing, and holds no socket: all that is known comes from `check_status`.

    ::

        policy = Policy(status_interval=5)
        QRLifecycle(request_qr, NoTransport, check_status=check_status, policy=policy)

    A lifecycle that is given it needs a `check_status`, and a ``status_interval`` in its policy.
    Neither the log nor a record of such an attempt speaks of a socket.
    """

    __slots__ = ("_closed",)

    holds_socket: ClassVar[bool] = False

    def __init__(self) -> None:
        self._closed = anyio.Event()

    async def open(self) -> None:
        """There is nothing to open."""
        await anyio.lowlevel.checkpoint_if_cancelled()

    async def receive(self) -> Signal:
        """Wait until it is closed: nothing is ever heard.

        Raises:
            EndOfStream: it was closed.
        """
        await wait_for(self._closed)
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        """End what waits."""
        self.abort()

    def abort(self) -> None:
        """End what waits."""
        self._closed.set()
