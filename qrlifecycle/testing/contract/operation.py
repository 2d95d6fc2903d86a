"""One call of a transport's method, watched: where it waits, how it ends, and nothing it raises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from ...transports.base import Transport
from ..cancellable_call import CancellableCall
from ..wording import in_words
from .transport_lines import TransportLine, place_of_error, place_of_waiting

__all__ = ["Operation"]


class Operation:
    """One call of a transport's method, in a task of its own.

    Args:
        transport: whose method.
        method: its name.
        cancel_at: the wait of the call at which it is cancelled, the first being 1; 0 for none.
        native: whether to cancel by asyncio's `Task.cancel()`, and not by a scope.
        calls: makes several of them, each by the function that it is given; one unless given.
    """

    def __init__(
        self,
        transport: Transport,
        method: str,
        cancel_at: int = 0,
        *,
        native: bool = False,
        calls: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]] | None = None,
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
        self.place: TransportLine | None = None
        """Where it was when it was cancelled."""
        self.cancelled = False
        """Whether it was cancelled before it had ended."""
        self.delivered = False
        """Whether the cancellation was raised in it."""
        self.stubborn = False
        """Whether it had to be taken away, for it would not be cancelled."""
        self._running: CancellableCall[Any] | None = None
        self._scope = anyio.CancelScope()
        self._awaitable: object = None
        self._cancel_at = cancel_at
        self._native = native
        self._task: asyncio.Task[Any] | None = None
        self._calls = calls

    def __str__(self) -> str:
        return f"{self.method}()"

    @property
    def swallowed(self) -> bool:
        """Whether it kept the cancellation that was raised in it to itself."""
        return self.delivered and self.done.is_set() and self.cancellation is None

    def cancel(self) -> None:
        """Cancel it; note where it waits. The second time, always by the scope."""
        self.place = self.where() or self.place
        if self._native and self._task is not None and not self.cancelled:
            self._task.cancel()
        else:
            self._scope.cancel()
        self.cancelled = self.cancelled or not self.done.is_set()

    def raised(self) -> str:
        """What it raised, and where, in words."""
        place = self.where()
        return in_words(self.error) + (f", at {place}" if place else "")

    def note_raised(self, error: object) -> None:
        """Something was raised in it, at a wait: perhaps the cancellation."""
        if self.cancelled and isinstance(error, anyio.get_cancelled_exc_class()):
            self.delivered = True

    def give_up(self) -> None:
        """Cancel it; that comes out, whatever the call does about it."""
        if self._running is not None:
            self._running.give_up()
        self.cancel()

    def _note_stubborn(self) -> None:
        """It was cancelled again and again, and goes on."""
        self.stubborn, self.place = True, self.where() or self.place

    def _cancel_if_due(self, count: int) -> None:
        """It has come to this wait."""
        if count == self._cancel_at:
            self.cancel()

    def where(self) -> TransportLine | None:
        """The line of the transport's where it waits, or raised."""
        if self.error is not None:
            return place_of_error(self.transport, self.error)
        return place_of_waiting(self.transport, self._awaitable)

    async def run(self) -> None:
        """Make the call. Nothing is raised but this task's own cancellation."""
        self._task = _current_task()
        self.begun.set()
        try:
            with self._scope:
                try:
                    call = self._call_once
                    self.result = await (call() if self._calls is None else self._calls(call))
                    self.returned = True
                except anyio.get_cancelled_exc_class() as error:
                    if self._is_stray():
                        self.error = RuntimeError(f"{type(error).__name__}, which nobody asked for")
                        self.error.__cause__ = error
                    else:
                        self.cancellation = error
                        if not self._is_native_only():
                            raise
                except (KeyboardInterrupt, SystemExit):
                    raise
                except Exception as error:
                    self.error = error
                except BaseExceptionGroup as group:  # as trio's nurseries raise
                    rest: object = group.split(anyio.get_cancelled_exc_class())[1]
                    if not isinstance(rest, Exception):
                        self.cancellation = group
                        raise
                    self.error = rest
                except BaseException as error:
                    self.error = RuntimeError(f"{type(error).__name__}, which is no Exception")
                    self.error.__cause__ = error
        finally:
            self.done.set()

    async def _call_once(self) -> Any:
        """One call, which can be taken away: by closing its own coroutine, and none around it."""
        self._awaitable = awaitable = getattr(self.transport, self.method)()
        self._running = CancellableCall(
            awaitable,
            swallowed=self._note_stubborn,
            force=self.transport.abort,
            waits=self._cancel_if_due,
            raised=self.note_raised,
        )
        return await self._running.run()

    def _is_stray(self) -> bool:
        """Whether a cancellation that was just caught is one that nobody asked for."""
        return self._task is not None and not self._task.cancelling()

    def _is_native_only(self) -> bool:
        """Whether whoever cancelled this task was we, and it concerns nobody else."""
        if not (self._native and self.cancelled and self._task) or self._scope.cancel_called:
            return False
        return self._task.uncancel() == 0


def _current_task() -> asyncio.Task[Any] | None:
    """The task that runs; None on another event loop, where a cancellation is always a scope's."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
