"""Which core a process runs on, where that can be said."""

from __future__ import annotations

import os
import sys

__all__ = ["keep_apart"]


def keep_apart(client: int, server: int) -> None:
    """Give a client's process a core of its own, and another one to the server's.

    On one core, whoever is woken waits until the other is done, and a figure has two values.
    """
    if sys.platform == "linux":
        first, *others = sorted(os.sched_getaffinity(client))
        if others:
            os.sched_setaffinity(client, {first})
            os.sched_setaffinity(server, {others[0]})
