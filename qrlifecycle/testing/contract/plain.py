"""Bytes over a plain socket, without a task or a library between: nobody else's mind is in it."""

from __future__ import annotations

import os
import socket

import anyio

__all__ = ["READ", "connect", "read", "write_all"]

READ = 65_536
"""Bytes taken from a socket at once."""


async def connect(raw: socket.socket, host: str, port: int) -> None:
    """Connect a socket that does not block.

    Raises:
        OSError: nobody answers there.
    """
    try:
        raw.connect((host, port))
    except BlockingIOError:
        await anyio.wait_writable(raw)
        if error := raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error)) from None


async def read(raw: socket.socket, most: int = READ) -> bytes:
    """What came; nothing if the other side has ended."""
    while True:
        try:
            return raw.recv(most)
        except (BlockingIOError, InterruptedError):
            await anyio.wait_readable(raw)


async def write_all(raw: socket.socket, data: bytes) -> None:
    """Hand it all to the kernel.

    Raises:
        BrokenResourceError: the other side is gone.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[raw.send(rest) :]
        except (BlockingIOError, InterruptedError):
            await anyio.wait_writable(raw)
        except OSError as error:
            raise anyio.BrokenResourceError from error
