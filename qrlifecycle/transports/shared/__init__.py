"""One socket for many displayed codes."""

from .feed import SocketIOFeed, WebSocketFeed
from .hub import SharedSocket

__all__ = ["SharedSocket", "SocketIOFeed", "WebSocketFeed"]
