"""What is left open: this process's sockets and the event loop's tasks, compared with before.

On Linux the operating system is asked, by `/proc/self/fd`: no library's own count is trusted.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable, Collection
from pathlib import Path

import anyio
from anyio import TaskInfo, get_running_tasks

from .awaiting import chain

__all__ = ["CAN_SEE_SOCKETS", "KIT", "TASK", "Leaks", "own_sockets", "unshut_sockets"]

DESCRIPTORS = Path("/proc/self/fd")

CAN_SEE_SOCKETS = DESCRIPTORS.exists()
"""Whether this system says which sockets a process has (Linux does)."""

KIT = "qrlifecycle.testing"
"""The name of tasks that never count, because they are the test kit's own."""

TASK = "task "
"""How a task that is left begins, in words."""

NAMED_BY_ASYNCIO = re.compile(r"Task-\d+")

OPEN_STATES = frozenset({1, 8})
"""Linux's TCP_ESTABLISHED and TCP_CLOSE_WAIT (include/net/tcp_states.h): this end is not shut."""

INTERNET = (socket.AF_INET, socket.AF_INET6)
"""Families whose addresses have a port; a pipe's is text."""

ANYIO = str(Path(anyio.__file__).parent)


def own_sockets(wanted: Callable[[socket.socket], bool] = lambda _made: True) -> dict[str, str]:
    """Those of this process's sockets that are wanted: the system's name, and where each leads.

    An `OSError` of the asking means that the socket is not wanted. Empty where the system does not
    say (see `CAN_SEE_SOCKETS`).
    """
    found: dict[str, str] = {}
    for entry in DESCRIPTORS.iterdir() if CAN_SEE_SOCKETS else ():
        try:
            name = str(entry.readlink())
            if name.startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as made:
                    if wanted(made):
                        found[name] = _destination(made)
        except OSError:  # gone meanwhile
            continue
    return found


def unshut_sockets(port: int) -> list[str]:
    """Where each of this process's sockets leads that leads to a port and is not shut, in words."""

    def leads_there(made: socket.socket) -> bool:
        if made.family != socket.AF_INET or made.getpeername()[1] != port:
            return False
        return made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in OPEN_STATES

    return list(own_sockets(leads_there).values())


class Leaks:
    """What there is now that was not there when this was made. Make it inside the event loop.

    Args:
        servers: ports of this process's own servers, whose ends of connections do not count.
    """

    def __init__(self, servers: Collection[int] = ()) -> None:
        self.servers = set(servers)
        self._sockets = frozenset(own_sockets())
        self._tasks = frozenset(task.id for task in get_running_tasks())

    def sockets(self) -> list[str]:
        """Where each new socket leads, in words; a closed descriptor is no socket any more."""
        now = own_sockets(self._is_no_servers)
        return [destination for name, destination in now.items() if name not in self._sockets]

    def tasks(self) -> list[str]:
        """Each new task of this event loop, in words."""
        return [f"{TASK}{_named(task)}" for task in self._new_tasks()]

    def all(self) -> list[str]:
        """Sockets, then tasks."""
        return [*self.sockets(), *self.tasks()]

    def clear(self) -> None:
        """Shut new sockets that lead to the servers and, on asyncio, cancel new tasks.

        The descriptors stay their owner's, to be closed by whoever forgot them.
        """
        own_sockets(self._shut)
        ids = {task.id for task in self._new_tasks()}
        try:
            tasks = asyncio.all_tasks()
        except RuntimeError:  # another event loop, where no task outlives its nursery
            return
        for task in tasks:
            if id(task) in ids:
                task.cancel()

    def _new_tasks(self) -> list[TaskInfo]:
        return [
            task
            for task in get_running_tasks()
            if task.id not in self._tasks and task.name != KIT and not _is_a_test_runners(task)
        ]

    def _shut(self, made: socket.socket) -> bool:
        name = f"socket:[{os.fstat(made.fileno()).st_ino}]"
        is_new = name not in self._sockets and self._is_no_servers(made)
        if is_new and made.family in INTERNET and made.getpeername()[1] in self.servers:
            made.shutdown(socket.SHUT_RDWR)
        return False

    def _is_no_servers(self, made: socket.socket) -> bool:
        return made.family not in INTERNET or made.getsockname()[1] not in self.servers


def _destination(made: socket.socket) -> str:
    if made.family not in INTERNET:
        of_a_loop = " (an event loop in a thread has two)" if made.family.name == "AF_UNIX" else ""
        return f"socket of family {made.family.name}{of_a_loop}"
    host, port = made.getsockname()[:2]
    try:
        to_host, to_port = made.getpeername()[:2]
    except OSError:
        return f"socket {host}:{port}, not connected"
    return f"socket {host}:{port} -> {to_host}:{to_port}"


def _named(task: TaskInfo) -> str:
    """By its own name, or else its coroutine's, and the line at which that waits.

    A task of anyio's runs the coroutine inside one of anyio's own.
    """
    steps = (step for step in chain(task.coro) if not step[2].f_code.co_filename.startswith(ANYIO))
    if (step := next(steps, None)) is None:
        return task.name or "without a name"
    _, coroutine, frame = step
    name = task.name
    if name is None or NAMED_BY_ASYNCIO.fullmatch(name):
        name = coroutine
    return f"{name}, {Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def _is_a_test_runners(task: TaskInfo) -> bool:
    """Whether it is how anyio's pytest plugin runs a test."""
    return "TestRunner." in getattr(task.coro, "__qualname__", "")
