"""Stand-in."""

from __future__ import annotations

from ..async_client import AsyncClientTransport, require_asyncio

__all__ = ["SocketIOTransport", "require_asyncio"]


class SocketIOTransport(AsyncClientTransport):
    __slots__ = ()
