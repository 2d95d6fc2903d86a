"""The operating system's word: which sockets this process has, and which port is free."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from qrlifecycle.testing.leaks import CAN_SEE_SOCKETS, own_sockets

needs_proc = pytest.mark.skipif(
    not CAN_SEE_SOCKETS, reason="needs Linux: /proc/self/fd is the judge"
)


def free_port() -> int:
    """A port of loopback on which nobody listens, for whoever cannot be given port 0."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def descriptors() -> int:
    """How many file descriptors of any kind this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def client_sockets(port: int) -> int:
    """How many sockets of this process lead to a server's port; half-made ones count."""
    inodes = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:  # the listing's own descriptor is gone
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()  # the table repeats a line when sockets come and go while it is read
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        remote_port = int(fields[2].rpartition(":")[2], 16)
        if remote_port == port and fields[9] in inodes:
            found.add(fields[9])
    return len(found)


def connected_to(port: int) -> int:
    """How many sockets of this process are connected to a port, each counted once."""
    return len(
        own_sockets(lambda made: made.family == socket.AF_INET and made.getpeername()[1] == port)
    )


NARROW = 32 * 1024
"""Bytes, which Linux doubles."""


def narrow(port: int) -> None:
    """Give what is sent to this port a small buffer.

    What piles up in the kernel is then some thousand bytes and not millions. (A small buffer for
    what is received would have Linux drop segments that it had promised to take.)
    """

    def narrow_one(made: socket.socket) -> bool:
        if made.family == socket.AF_INET and made.getpeername()[1] == port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW)
        return False

    own_sockets(narrow_one)
