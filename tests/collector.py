"""What is left to the garbage collector: what is in a circle, and all that the circle holds."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["left_to_the_collector"]


@contextmanager
def left_to_the_collector() -> Iterator[list[str]]:
    """The types of what only the collector could get rid of, known afterwards."""
    left: list[str] = []
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield left
        gc.collect()
        left += sorted({f"{type(one).__module__}.{type(one).__name__}" for one in gc.garbage})
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
