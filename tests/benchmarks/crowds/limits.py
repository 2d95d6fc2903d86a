"""What a process may have: more sockets than the usual limit allows, and a core before others."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SPARE", "raise_limit", "urgent"]

SPARE = 100
"""Descriptors that a process needs beside its sockets."""


def raise_limit() -> int:
    """Raise this process's limit of descriptors as far as it may be raised; how far that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextmanager
def urgent(*processes: int) -> Iterator[None]:
    """Let these processes have a core whenever they need one, before all that is not urgent.

    Raises:
        PermissionError: only root may say so.
    """
    for process in processes:
        os.sched_setscheduler(process, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        for process in processes:
            os.sched_setscheduler(process, os.SCHED_OTHER, os.sched_param(0))
