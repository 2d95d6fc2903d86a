"""What must be made again in a forked process: another thread may have held a lock at the fork."""

from __future__ import annotations

import os
from collections.abc import Callable
from weakref import WeakMethod

__all__ = ["in_each_fork"]

_methods: set[WeakMethod[Callable[[], object]]] = set()


def in_each_fork(method: Callable[[], object]) -> None:
    """Have a method called in each forked child, before any other code, while its object lives."""
    _methods.add(WeakMethod(method, _methods.discard))


def _in_the_child() -> None:
    for reference in tuple(_methods):
        if (method := reference()) is not None:
            method()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_the_child)
