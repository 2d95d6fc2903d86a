"""Ending an asyncio server without losing a connection that it has just accepted.

Python 3.11 makes a connection's transport a turn after accepting it, and fails to if the server was
closed meanwhile: nobody owns the socket then (`asyncio.base_events.Server._attach`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

__all__ = ["stop_listening"]

LAST_TURNS = 5
"""Turns of the event loop from a connection's being accepted to its protocol's knowing of it."""


async def stop_listening(server: asyncio.Server) -> None:
    """Accept no more, let each accepted connection find its owner, then close the server."""
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # a loop that is not built on readiness
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
    for _ in range(LAST_TURNS):
        await asyncio.sleep(0)
    server.close()
