"""Dropping a connection: what the kernel does with it once its socket is closed."""

from __future__ import annotations

import socket
import struct

__all__ = ["reset_on_close"]

AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: on, for no time."""


def reset_on_close(made: socket.socket) -> None:
    """On closing, have the kernel drop what was not sent and reset the connection.

    Raises:
        OSError: the socket is closed already.
    """
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
