"""Socket.IO heard on a WebSocket of ours.

`protocol` speaks Engine.IO and Socket.IO and does no I/O; `transport` is what a program opens. The
packets are python-socketio's own codec's; of its client nothing is used.
"""

from .transport import SocketIOTransport

__all__ = ["SocketIOTransport"]
