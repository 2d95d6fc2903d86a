"""The monitor of one lifecycle: sees every socket and every task of it, from its making.

Python itself reports each socket (an audit event), before there is a descriptor; a context
variable says whose it is. Sockets come at that moment only, and states change at a `Change` only:
whoever looks at both has looked at every instant.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import weakref
from collections.abc import Coroutine
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from ...engine.observers import Change
from ...lifecycle import QRLifecycle
from ...states import State
from ...testing.judge import Breach

__all__ = ["OWNER", "Monitor", "Owner", "make_task", "see_sockets"]
T = TypeVar("T")

OWNER: ContextVar[Owner] = ContextVar("qrlifecycle_owner")
"""Whom the running code belongs to: the monitor of a lifecycle, or the server."""


class Owner:
    """Knows the tasks that were started on its behalf."""

    def __init__(self) -> None:
        self.tasks: weakref.WeakSet[asyncio.Future[Any]] = weakref.WeakSet()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task; whatever it starts is the owner's too."""
        context = copy_context()
        context.run(OWNER.set, self)
        return asyncio.get_running_loop().create_task(coroutine, context=context)

    def see(self, made: socket.socket) -> None:
        """A socket is being made."""


class Monitor(Owner):
    """Watches one lifecycle."""

    def __init__(self) -> None:
        super().__init__()
        self.lifecycle: QRLifecycle | None = None
        self.breaches: list[Breach] = []
        self._sockets: list[weakref.ref[socket.socket]] = []

    def open_sockets(self) -> int:
        """How many sockets the lifecycle has open now; the descriptors count."""
        sockets = [made for ref in self._sockets if (made := ref()) is not None]
        return sum(made.fileno() != -1 for made in sockets)

    def see(self, made: socket.socket) -> None:
        """A socket is being made."""
        state = None if self.lifecycle is None else self.lifecycle.state
        if state is not State.DISPLAYED:
            self.breaches.append(Breach(1, f"a socket was made in state '{state}'"))
        if count := self.open_sockets():
            self.breaches.append(Breach(3, f"a socket was made while {count} were open"))
        self._sockets.append(weakref.ref(made))

    def check(self, change: Change) -> None:
        """The state has changed: `on_change`."""
        count = self.open_sockets()
        if count and change.target is not State.DISPLAYED:
            where = f"at '{change.event}', in '{change.target}'"
            self.breaches.append(Breach(1, f"{count} sockets were open {where}"))

    def check_afterwards(self, *, but: asyncio.Future[Any] | None) -> None:
        """`pair()` has returned or raised: nothing may be left but the task that ran it."""
        if count := self.open_sockets():
            self.breaches.append(Breach(8, f"{count} sockets outlived pair()"))
        left = [repr(task) for task in self.tasks if not task.done() and task is not but]
        if left:
            self.breaches.append(Breach(8, f"tasks outlived pair(): {', '.join(left)}"))


def make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
) -> asyncio.Future[Any]:
    """A task factory: each task belongs to the owner of whoever starts it."""
    context = options.get("context")
    owner = OWNER.get(None) if context is None else context.get(OWNER)
    task: asyncio.Future[Any] = asyncio.Task(coroutine, loop=loop, **options)
    if owner is not None:
        owner.tasks.add(task)
    return task


def see_sockets() -> None:
    """Have each new socket of this process seen by its monitor. It cannot be undone."""
    if not _seeing:
        _seeing.append(True)
        sys.addaudithook(_note_socket)


_seeing: list[bool] = []


def _note_socket(event: str, details: tuple[Any, ...]) -> None:
    if event == "socket.__new__" and (owner := OWNER.get(None)) is not None:
        owner.see(details[0])
