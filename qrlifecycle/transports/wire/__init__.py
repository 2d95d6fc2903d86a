"""One WebSocket of ours: a socket that is owned from `socket()` on, and protocols without I/O.

It runs on asyncio, uvloop and trio, has no task of its own and no queue, and can be shut at any
moment by a plain call. `WebSocketConnection` is all of it, `WireOptions` is what it is told, and
`WiredTransport` is what a transport over it begins with.
"""

from .connection import WebSocketConnection
from .options import WireOptions
from .transport import WiredTransport

__all__ = ["WebSocketConnection", "WireOptions", "WiredTransport"]
