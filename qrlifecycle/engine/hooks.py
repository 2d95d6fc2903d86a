"""One hook of the program: called in order, one call at a time, and in nobody's way.

A plain hook is called in the event loop. An async one runs in a task beside, has a deadline for
each call, and a bounded backlog in which the newest of what repeats stands for all. What a hook
raises is logged without its text, which may hold a payload (`user_code` says which exceptions are a
hook's). Whether it ends the attempt is decided by `Progress.note_showing()`, which is told through
`settled`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import anyio
import anyio.lowlevel

from ..codes import Code
from ..logs import error_once, warn_once
from ..signals import ActionRequired
from .user_code import (
    BackgroundTasks,
    close_coroutine,
    describe,
    fault_of,
    warn_if_it_blocked,
)

__all__ = ["BACKLOG", "Hook", "HookRunner", "Settled", "append_news"]

T = TypeVar("T")

Hook = Callable[[T], Awaitable[object] | object]
"""A plain or async function of one argument."""

Settled = Callable[[str, Exception | None], None]
"""Told how a call of a hook ended: the hook's name, and None or the error that it raised."""

BACKLOG = 64
"""How many things a slow observer may lag behind before the oldest is forgotten. An attempt with
the default policy has at most 26 changes other than rotations."""


class HookRunner(Generic[T]):
    """Calls one hook.

    Args:
        name: for the log.
        hook: what is called.
        timeout: seconds that one call of an async hook may take.
    """

    __slots__ = ("_async", "_backlog", "_busy", "_epoch", "_hook", "_name", "_timeout",
                 "settled", "tasks")  # fmt: skip

    def __init__(self, name: str, hook: Hook[T], timeout: float) -> None:
        self._name = name
        self._hook = hook
        self._timeout = timeout
        self._async = inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(
            getattr(hook, "__call__", None)  # noqa: B004 - a callable object's own __call__ is asked
        )
        self._backlog: list[T] = []
        self._busy = False
        self._epoch: object = object()
        """Another object after each `forget()`: a call that began before it has the older one."""
        self.tasks: BackgroundTasks | None = None
        """Where async calls run; without it they wait for the next item that comes with it."""
        self.settled: Settled | None = None
        """Told what became of each call, if anybody needs to know; but not of a call that was
        forgotten while it ran."""

    def forget(self) -> None:
        """Drop what has not been delivered yet, and no longer care how a running call ends."""
        self._backlog.clear()
        self._epoch = object()

    def deliver(self, item: T) -> None:
        """Call the hook with ``item``, now if it is plain, as soon as it can be if async."""
        if not self._async:
            epoch, result = self._begin(item)
            if result is not None:
                self._take_for_async(epoch, result)
            return
        append_news(self._backlog, item)
        if self.tasks is not None and not self._busy:
            self._busy = True
            self.tasks.start(self._work)

    def _take_for_async(self, epoch: object, result: Awaitable[object]) -> None:
        """An async hook in disguise. Now that it is known, its calls too are made in order."""
        if self.tasks is not None:
            self._async = self._busy = True
            self.tasks.start(self._work, epoch, result)
        else:
            close_coroutine(result)
            warn_once(
                "%s returned a coroutine outside pair(); it was not run: make it an async function",
                self._name,
            )

    async def _work(self, epoch: object = None, begun: Awaitable[object] | None = None) -> None:
        try:
            if begun is not None:
                await self._finish(begun, epoch)
            while self._backlog:
                epoch, result = self._begin(self._backlog.pop(0))
                if result is not None:
                    await self._finish(result, epoch)
                # A hook may wait for nothing but what a peer's flood sets: see `waiting`.
                await anyio.lowlevel.checkpoint_if_cancelled()
        finally:
            self._busy = False

    def _begin(self, item: T) -> tuple[object, Awaitable[object] | None]:
        """Call the hook; give back its epoch and what has yet to be awaited, if anything."""
        epoch, began = self._epoch, time.monotonic()
        try:
            result: Any = self._hook(item)
        except BaseException as error:
            self._settle(epoch, fault_of(error))
            return epoch, None
        finally:
            warn_if_it_blocked(self._name, began)
        if inspect.iscoroutine(result) or (self._async and inspect.isawaitable(result)):
            return epoch, result
        if self.settled is not None:
            self._settle(epoch, None)
        return epoch, None

    async def _finish(self, result: Awaitable[object], epoch: object) -> None:
        error: Exception | None = None
        with anyio.move_on_after(self._timeout) as scope:
            try:
                await result
            except BaseException as raised:
                error = fault_of(raised)
        if scope.cancelled_caught:
            error = TimeoutError(f"{self._name} took longer than {self._timeout:g} s")
            error_once("%s took longer than %g s and was cancelled", self._name, self._timeout)
            self._settle(epoch, error, said=True)
        else:
            self._settle(epoch, error)
        del error  # see `reraise`

    def _settle(self, epoch: object, error: Exception | None, *, said: bool = False) -> None:
        if error is not None and not said:
            error_once("%s raised %s", self._name, describe(error))
        if self.settled is not None and epoch is self._epoch:
            self.settled(self._name, error)


def append_news(backlog: list[Any], item: Any) -> None:
    """Add to a backlog; what is present now, or the same internal change, replaces the last."""
    if backlog:
        supersedes = getattr(item, "supersedes", None)
        if isinstance(item, Code | ActionRequired) or (supersedes and supersedes(backlog[-1])):
            backlog.pop()
    backlog.append(item)
    del backlog[:-BACKLOG]
