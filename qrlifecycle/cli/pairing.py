"""What `demo` and `pair` share: a lifecycle walked before somebody's eyes, stoppable at any moment.

This room must never know where codes come from.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import anyio

from ..codes import QRCode
from ..engine.attempt import Service
from ..errors import UsageError
from ..lifecycle import QRLifecycle
from ..outcome import (
    Failed,
    Outcome,
    Reason,
)
from ..policy import Policy
from ..states import State
from .stopping import Stop
from .view import (
    Hints,
    View,
    draws_blocks,
)

__all__ = ["attend", "exit_code", "make_lifecycle", "make_view", "policy_of"]

REFRESH_INTERVAL = 0.05
"""Seconds between two looks at whether anything on screen should look different."""

Beside = Callable[[], Coroutine[Any, Any, None]]
"""What runs beside an attempt and is cancelled with its end."""


def policy_of(arguments: argparse.Namespace) -> Policy:
    """The policy that the command line asks for.

    Raises:
        InvalidValue: a number that cannot be meant.
    """
    names = ("attempt_timeout", "max_refreshes", "qr_lifetime")
    asked = {name: getattr(arguments, name) for name in names}
    return Policy(**{name: value for name, value in asked.items() if value is not None})


def make_view(stop: Stop, hints: Hints, *, title: str, lifetime: float, plain: bool) -> View:
    """The live view where there is a terminal that can do it, else plain lines.

    Raises:
        MissingExtra: what draws is not installed.
    """
    QRCode("x").matrix()  # a missing package is told before anything is opened
    dumb = os.environ.get("TERM", "dumb") in {"dumb", "unknown"} and os.name != "nt"
    if plain or dumb or not sys.stdout.isatty() or not draws_blocks():
        return View(stop, hints, title=title)
    from .live import LiveView

    return LiveView(stop, hints, title=title, lifetime=lifetime)


def make_lifecycle(service: Service, policy: Policy, view: View) -> QRLifecycle:
    """A lifecycle that the view watches."""
    lifecycle = QRLifecycle(
        service.request_qr,
        service.transport,
        policy=policy,
        check_status=service.check_status,
        on_qr_updated=view.show,
        on_pairing_code=view.spell,
        on_action_required=view.require,
        on_change=view.changed,
    )
    view.watch(lifecycle)
    return lifecycle


async def attend(
    lifecycle: QRLifecycle, view: View, stop: Stop, beside: Beside | None = None
) -> Outcome:
    """Walk the lifecycle to its end before the view, and say there how it ended."""
    with view, _log_to(view):
        outcome = await _walk(lifecycle, view, stop, beside)
        view.end(outcome)
    return outcome


def exit_code(outcome: Outcome, stop: Stop) -> int:
    """What the command's end is as a number: a link is a link, even if somebody lost patience."""
    if outcome.connected:
        return 0
    return 1 if stop.code is None else stop.code


async def _walk(lifecycle: QRLifecycle, view: View, stop: Stop, beside: Beside | None) -> Outcome:
    outcome: Outcome = Failed(Reason.CANCELLED)
    mistake: UsageError | None = None
    loop = asyncio.get_running_loop()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_keep_fresh, view)
        if beside is not None:
            tasks.start_soon(beside)
        scope = anyio.CancelScope()
        with scope, stop.asks(lambda: loop.call_soon_threadsafe(_cancel, lifecycle, scope)):
            if stop.code is not None:  # the first line was written to nobody
                scope.cancel()
            try:
                outcome = await lifecycle.pair()
            except UsageError as error:  # kept out of the group, which would wrap it
                mistake = error
        tasks.cancel_scope.cancel()
    if mistake is not None:
        raise mistake
    return outcome


def _cancel(lifecycle: QRLifecycle, scope: anyio.CancelScope) -> None:
    # Only before the first step or after the last there is nothing that cancel() could leave.
    if not lifecycle.cancel() and lifecycle.state is State.IDLE:
        scope.cancel()


async def _keep_fresh(view: View) -> None:
    while True:
        await anyio.sleep(REFRESH_INTERVAL)
        view.refresh()


class LogToView(logging.Handler):
    """Shows the library's own log lines."""

    def __init__(self, view: View) -> None:
        super().__init__(logging.INFO)
        self._view = view

    def filter(self, record: logging.LogRecord) -> bool:
        """Not what its children say: the demo's server talks of sockets too."""
        return record.name == "qrlifecycle"

    def emit(self, record: logging.LogRecord) -> None:
        """Show it."""
        self._view.say(record.getMessage())


@contextmanager
def _log_to(view: View) -> Iterator[None]:
    logger, handler = logging.getLogger("qrlifecycle"), LogToView(view)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
