"""What is awaited, looked at: where it is suspended, and what is raised at its waits."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Awaitable, Callable, Generator, Iterator
from functools import partial
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, Generic, TypeVar, cast

__all__ = ["Watched", "chain"]

T = TypeVar("T")

OPAQUE = ("coroutine_wrapper", "async_generator_asend", "async_generator_athrow")
"""Awaitables that say nothing of what they run."""


class Watched(Generic[T]):
    """Awaits something, and tells of each of its waits.

    Args:
        awaitable: what to await.
        waits: called at each wait with its number, the first being 1.
        raised: called with what is about to be raised at a wait; None where nothing is. What it
            raises itself comes out, and what is awaited is not run any more.
    """

    def __init__(
        self,
        awaitable: Awaitable[T],
        *,
        waits: Callable[[int], object] = lambda _count: None,
        raised: Callable[[object], object],
    ) -> None:
        self._awaitable = awaitable
        self._waits = waits
        self._raised = raised

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._awaitable.__await__()
        go_on: Callable[[], Any] = partial(next, steps)
        for count in itertools.count(1):
            try:
                wanted = go_on()
            except StopIteration as stop:
                return cast("T", stop.value)
            self._waits(count)
            try:
                sent = yield wanted
            except BaseException as error:  # whatever it is, it is for the inner one
                self._raised(error)
                go_on = partial(cast(Any, steps).throw, error)
            else:
                self._raised(getattr(sent, "error", None))  # as trio raises
                go_on = partial(cast(Any, steps).send, sent)
        raise AssertionError("there is always a next wait")


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
