"""One call of a transport's method, watched: where it waits, how it ends, and nothing it raises.

This room must never know what the method is for.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, cast

import anyio

from ...transports.base import Transport
from .places import Place, place_of_error, place_of_waiting

__all__ = ["Breach", "Operation"]


class Breach(Exception):
    """A check found the contract broken."""

    def __init__(
        self,
        happened: str,
        *,
        mend: str,
        left_open: tuple[str, ...] = (),
        place: Place | None = None,
    ) -> None:
        self.happened = happened
        self.mend = mend
        self.left_open = left_open
        self.place = place
        super().__init__(happened)


class Operation:
    """One call of a transport's method, in a task of its own.

    Args:
        transport: whose method.
        method: its name.
        cancel_at: the wait of the call at which it is cancelled, the first being 1; 0 for none.
        call: what makes the call, or several; a single one unless given.
    """

    def __init__(
        self,
        transport: Transport,
        method: str,
        cancel_at: int = 0,
        call: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self.transport = transport
        self.method = method
        self.begun = anyio.Event()
        self.done = anyio.Event()
        self.returned = False
        self.result: Any = None
        self.error: Exception | None = None
        """What it raised."""
        self.cancellation: BaseException | None = None
        """Kept as it came, for what its frames hold is not to vanish unseen."""
        self.place: Place | None = None
        """Where it was when it was cancelled."""
        self._scope = anyio.CancelScope()
        self._awaitable: object = None
        self._cancel_at = cancel_at
        self._call = call or getattr(transport, method)

    def __str__(self) -> str:
        return f"{self.method}()"

    def cancel(self) -> None:
        """Cancel it; note where it waits."""
        self.place = self.where() or self.place
        self._scope.cancel()

    def where(self) -> Place | None:
        """The line of the transport's where it waits, or raised."""
        if self.error is not None:
            return place_of_error(self.transport, self.error)
        return place_of_waiting(self.transport, self._awaitable)

    async def run(self) -> None:
        """Make the call. Nothing is raised but this task's own cancellation."""
        self.begun.set()
        try:
            with self._scope:
                try:
                    self._awaitable = awaitable = self._call()
                    self.result = await _Watched(awaitable, self._cancel_at, self.cancel)
                    self.returned = True
                except anyio.get_cancelled_exc_class() as error:
                    if _is_stray():
                        self.error = RuntimeError(f"{type(error).__name__}, which nobody asked for")
                        self.error.__cause__ = error
                    else:
                        self.cancellation = error
                        raise
                except Exception as error:
                    self.error = error
        finally:
            self.done.set()


def _is_stray() -> bool:
    """Whether a cancellation that was just caught is one that nobody asked for."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # another event loop, where a cancellation is always somebody's
        return False
    return task is not None and not task.cancelling()


class _Watched:
    """Awaits, and tells at the given wait of it, the first being 1."""

    def __init__(self, awaitable: Awaitable[Any], at: int, tell: Callable[[], None]) -> None:
        self._awaitable = awaitable
        self._at = at
        self._tell = tell

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._awaitable.__await__()
        go_on: Callable[[], Any] = partial(next, steps)
        for count in itertools.count(1):
            try:
                wanted = go_on()
            except StopIteration as stop:
                return stop.value
            if count == self._at:
                self._tell()
            try:
                go_on = partial(cast(Any, steps).send, (yield wanted))
            except BaseException as error:  # whatever it is, it is for the inner one
                go_on = partial(cast(Any, steps).throw, error)
        return None
