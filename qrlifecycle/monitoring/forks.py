"""What must be made again in a forked process: another thread may have held a lock at the fork."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import MethodType
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["in_each_fork"]

# No `WeakMethod`: where its object lives until the interpreter ends, its callback complains there
# on standard error (Python 3.11).
_functions: WeakKeyDictionary[object, Callable[[Any], object]] = WeakKeyDictionary()


def in_each_fork(method: Callable[[], object]) -> None:
    """Have a method called in each forked child, before any other code, while its object lives.

    One method of each object.
    """
    assert isinstance(method, MethodType)
    _functions[method.__self__] = method.__func__


def _in_the_child() -> None:
    for of, function in tuple(_functions.items()):
        function(of)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_the_child)
