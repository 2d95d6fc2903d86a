"""Where a server is reached, and ending one without losing a connection that it just accepted.

Python 3.11 makes a connection's transport a turn after accepting it, and fails to if the server was
closed meanwhile: nobody owns the socket then (`asyncio.base_events.Server._attach`).
"""

from __future__ import annotations

import asyncio
import ipaddress
from contextlib import suppress

__all__ = ["is_loopback", "stop_listening"]

LAST_TURNS = 5
"""Turns of the event loop from a connection's being accepted to its protocol's knowing of it."""


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def stop_listening(server: asyncio.Server) -> None:
    """Accept no more, let each accepted connection find its owner, then close the server."""
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # a loop that is not built on readiness
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
    for _ in range(LAST_TURNS):
        await asyncio.sleep(0)
    server.close()
