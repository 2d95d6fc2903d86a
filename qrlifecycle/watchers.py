"""Those who watch a lifecycle: hooks, and iterators over its changes.

A watcher is told after the fact and can neither delay the lifecycle nor break it: a hook's error is
logged without its text (which may hold a payload), an async hook runs beside, and whoever is slow
finds a bounded backlog in which the newest of a repeated internal change stands for all. This room
must never decide anything.
"""

from __future__ import annotations

import inspect
import logging
import traceback
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from .codes import Code
from .errors import QRLifecycleError
from .events import Event
from .outcome import Outcome
from .signals import ActionRequired
from .states import State
from .waiting import wait_for

__all__ = ["Change", "Changes", "Hook", "describe"]

T = TypeVar("T")

Hook = Callable[[T], Awaitable[object] | object]
"""A plain or async function of one argument."""

BACKLOG = 64
"""How many things a slow watcher may lag behind before the oldest is forgotten. An attempt with
the default policy has at most 26 changes other than rotations."""

logger = logging.getLogger("qrlifecycle")


@dataclass(frozen=True, slots=True)
class Change:
    """A row that was taken. ``outcome`` is there if it ended an attempt.

    ``source`` equals ``target`` for an internal row. What the code looks like now is the
    lifecycle's `qr`; a change never carries it.
    """

    source: State
    event: Event
    target: State
    outcome: Outcome | None = None

    @property
    def internal(self) -> bool:
        """Whether the state stayed as it was."""
        return self.source is self.target

    def supersedes(self, earlier: object) -> bool:
        """Whether this is the same internal change once more."""
        return self.internal and self == earlier


class Changes:
    """An async iterator over a lifecycle's changes, from the moment it was made.

    It ends with the attempt: the change that carries an outcome is the last one.
    """

    __slots__ = ("__weakref__", "_backlog", "_ended", "_waiter")

    def __init__(self) -> None:
        self._backlog: list[Change] = []
        self._waiter: anyio.Event | None = None
        self._ended = False

    def put(self, change: Change) -> None:
        """Add a change, unless the last one has been added."""
        if self._ended:
            return
        _append(self._backlog, change)
        self._ended = change.outcome is not None
        if self._waiter is not None:
            self._waiter.set()
            self._waiter = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while not self._backlog:
            if self._ended:
                raise StopAsyncIteration
            self._waiter = self._waiter or anyio.Event()
            await wait_for(self._waiter)
        return self._backlog.pop(0)


class HookRunner(Generic[T]):
    """Calls one hook, one call at a time and in order; async calls run in a task group."""

    __slots__ = ("_async", "_backlog", "_busy", "_hook", "_name")

    def __init__(self, name: str, hook: Hook[T]) -> None:
        self._name = name
        self._hook = hook
        self._async = inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(
            getattr(hook, "__call__", None)  # noqa: B004 - a callable object's own __call__ is asked
        )
        self._backlog: list[T] = []
        self._busy = False

    def forget(self) -> None:
        """Drop what has not been delivered yet."""
        self._backlog.clear()

    def deliver(self, item: T, tasks: TaskGroup | None, timeout: float) -> None:
        """Call the hook with ``item``, now if it is plain, as soon as it can be if async.

        Without a task group an async hook's item waits for the next call that brings one.
        """
        if not self._async:
            self._call(item, tasks, timeout)
            return
        _append(self._backlog, item)
        if tasks is not None and not self._busy:
            self._busy = True
            tasks.start_soon(self._work, timeout)

    async def _work(self, timeout: float) -> None:
        try:
            while self._backlog:
                item = self._backlog.pop(0)
                result: Any = self._hook(item)
                del item
                await self._finish(result, timeout)
                # A hook may wait for nothing but what the peer's flood sets: see `waiting`.
                await anyio.lowlevel.checkpoint_if_cancelled()
        finally:
            self._busy = False

    def _call(self, item: T, tasks: TaskGroup | None, timeout: float) -> None:
        try:
            result = self._hook(item)
        except Exception as error:
            self._complain(error)
            return
        if inspect.iscoroutine(result):
            self._adopt(result, tasks, timeout)

    def _adopt(
        self, coroutine: Coroutine[Any, Any, object], tasks: TaskGroup | None, timeout: float
    ) -> None:
        """A plain function turned out to return a coroutine: an async hook in disguise."""
        if tasks is None:
            coroutine.close()
            logger.warning(
                "%s returned a coroutine outside pair(); it was not run: make it an async function",
                self._name,
            )
        else:
            tasks.start_soon(self._finish, coroutine, timeout)

    async def _finish(self, result: Awaitable[object], timeout: float) -> None:
        with anyio.move_on_after(timeout) as scope:
            try:
                await result
            except anyio.get_cancelled_exc_class() as error:
                # Another task's cancellation, perhaps; if it is ours, this raises it again.
                await anyio.lowlevel.checkpoint()
                self._complain(error)
            except Exception as error:
                self._complain(error)
        if scope.cancelled_caught:
            logger.error("%s took longer than %g s and was cancelled", self._name, timeout)

    def _complain(self, error: BaseException) -> None:
        logger.error("%s raised %s", self._name, describe(error))


def describe(error: BaseException) -> str:
    """What was raised and where, for a log; the text of our own errors only: it holds no secret."""
    text = f": {error}" if isinstance(error, QRLifecycleError) else ""
    where = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    return f"{type(error).__name__}{text}\n{where}"


class Watchers:
    """All watchers of one lifecycle."""

    __slots__ = ("_iterators", "_pending", "_publishing", "_runners", "_tasks", "_timeout")

    def __init__(self, hooks: Mapping[str, Hook[Any]], timeout: float) -> None:
        self._runners = {name: HookRunner(name, hook) for name, hook in hooks.items()}
        self._timeout = timeout
        self._iterators: list[weakref.ref[Changes]] = []
        self._tasks: TaskGroup | None = None
        self._pending: list[tuple[str, Any]] = []
        self._publishing = False

    @property
    def hooked(self) -> bool:
        """Whether there is any hook at all."""
        return bool(self._runners)

    def run_in(self, tasks: TaskGroup | None) -> None:
        """Run async hooks in this task group from now on; None for nowhere."""
        self._tasks = tasks

    def changes(self) -> Changes:
        """A new iterator, kept only as long as its owner keeps it."""
        iterator = Changes()
        self._iterators = [ref for ref in self._iterators if ref() is not None]
        self._iterators.append(weakref.ref(iterator))
        return iterator

    def tell(self, hook: str, item: object) -> None:
        """Tell one hook; `on_change` items go to the iterators as well.

        Told while it tells (a hook called a trigger), it finishes the earlier news first, so that
        all watchers see one order.
        """
        self._pending.append((hook, item))
        if self._publishing:
            return
        self._publishing = True
        try:
            while self._pending:
                self._deliver(*self._pending.pop(0))
        finally:
            self._publishing = False

    def forget(self, hook: str) -> None:
        """Drop what ``hook`` has not been told yet."""
        self._pending = [news for news in self._pending if news[0] != hook]
        if hook in self._runners:
            self._runners[hook].forget()

    def _deliver(self, hook: str, item: Any) -> None:
        if isinstance(item, Change):
            for ref in self._iterators:
                if (iterator := ref()) is not None:
                    iterator.put(item)
        if hook in self._runners:
            self._runners[hook].deliver(item, self._tasks, self._timeout)


def _append(backlog: list[Any], item: Any) -> None:
    """Add to a backlog; what is present now, or the same internal change, replaces the last."""
    if backlog and (
        isinstance(item, Code | ActionRequired)
        or (isinstance(item, Change) and item.supersedes(backlog[-1]))
    ):
        backlog.pop()
    backlog.append(item)
    del backlog[:-BACKLOG]
