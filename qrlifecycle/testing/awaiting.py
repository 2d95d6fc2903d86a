"""Where a suspended coroutine is: its chain of awaits, from the outermost frame inwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType

__all__ = ["chain"]

OPAQUE = ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow")
"""Awaitables that say nothing of what they run."""


def chain(awaiting: object) -> Iterator[tuple[object, str, FrameType]]:
    """Each coroutine or generator on the chain, its name and its frame; what has ended has none."""
    while awaiting is not None:
        suspended = awaiting
        match suspended:
            case CoroutineType():
                frame, awaiting = suspended.cr_frame, suspended.cr_await
            case GeneratorType():
                frame, awaiting = suspended.gi_frame, suspended.gi_yieldfrom
            case AsyncGeneratorType():
                frame, awaiting = suspended.ag_frame, suspended.ag_await
            case _:
                awaiting = _hidden_in(suspended)
                continue
        if frame is not None:
            yield suspended, suspended.__qualname__, frame


def _hidden_in(awaiting: object) -> object:
    """What an opaque awaitable (an async generator's next item, say) runs; None if nothing."""
    if type(awaiting).__name__ not in OPAQUE:
        return None
    kinds = (CoroutineType, AsyncGeneratorType)
    return next((held for held in gc.get_referents(awaiting) if isinstance(held, kinds)), None)
