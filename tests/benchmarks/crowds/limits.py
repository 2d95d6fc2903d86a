"""What a process may have open: a socket each is more than the usual limit allows."""

from __future__ import annotations

import resource

__all__ = ["SPARE", "raise_limit"]

SPARE = 100
"""Descriptors that a process needs beside its sockets."""


def raise_limit() -> int:
    """Raise this process's limit of descriptors as far as it may be raised; how far that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
