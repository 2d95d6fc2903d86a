"""Pairing from a program without async: an attempt in a thread of its own.

The thread holds an event loop, anyio's blocking portal, and is gone when the attempt is over. Hooks
run in it; so do `request_qr` and `check_status`, which stay async. One that blocks is given as
``partial(anyio.to_thread.run_sync, function, abandon_on_cancel=True)``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from .engine.observers import Change
from .errors import UsageError
from .lifecycle import QRLifecycle, expect_pair
from .outcome import Cancelled, Outcome

__all__ = ["PairingThread", "in_event_loop", "pair_blocking"]

TURN = 0.5
"""Seconds between two looks at Ctrl-C. A lock is not interrupted on Windows, nor elsewhere when the
system hands the signal to another thread."""


def pair_blocking(lifecycle: QRLifecycle, *, backend: str = "asyncio") -> Outcome:
    """Run a lifecycle from an end to an end, and say how it ended: `pair()` for plain programs.

    For how long is the policy's: ``attempt_timeout`` ends it with an outcome. Whatever is raised in
    this thread meanwhile (`KeyboardInterrupt`, a worker's time limit) cancels the attempt, and
    comes out when the socket is closed.

    Args:
        lifecycle: what is to be run.
        backend: the event loop of its thread, asyncio or trio.

    Raises:
        UsageError: what `pair()` raises; or it is called where an event loop runs, which it would
            block: there, await `pair()`.
    """
    with PairingThread(lifecycle, backend=backend) as pairing:
        return pairing.result()


class PairingThread:
    """An attempt in a thread of its own, for a program that does something else meanwhile.

    A context manager: entering starts the attempt, leaving cancels it and waits until its socket is
    closed. Where no block of code is its scope, as with a window that is opened and closed, `start`
    and `close` are the same. Any thread may call any method; in its own thread, that is in a hook,
    there are the triggers alone, for the others wait. For the requests of a page, where nobody
    can say that the person has gone, there are `BlockingPairings`.

    Args:
        lifecycle: what is to be run; nobody else runs it meanwhile.
        backend: the event loop of the thread, asyncio or trio.

    Raises:
        UsageError: it is no lifecycle.
    """

    def __init__(self, lifecycle: QRLifecycle, *, backend: str = "asyncio") -> None:
        given: object = lifecycle
        if not isinstance(given, QRLifecycle):
            kind = type(given).__name__
            raise UsageError(f"a QRLifecycle runs, not {kind}; a gateway gives one: .lifecycle()")
        self.lifecycle = lifecycle
        """What runs. It may be looked at from any thread; its triggers are called here."""
        self._backend = backend
        self._thread = ExitStack()
        self._begun, self._closing = threading.Lock(), threading.Lock()
        self._portal: BlockingPortal | None = None
        self._own: threading.Thread | None = None
        """The thread of the attempt."""
        self._over = False
        """Whether its `pair()` has returned or raised."""

    def start(self) -> Self:
        """Begin.

        Raises:
            UsageError: it was begun before, or an event loop runs in this thread.
        """
        if in_event_loop():
            raise UsageError("an event loop runs in this thread: await pair() there")
        if not self._begun.acquire(blocking=False):
            raise UsageError("a PairingThread runs one attempt: make another for the next")
        portal = self._thread.enter_context(start_blocking_portal(self._backend))
        try:
            portal.call(self._prepare)
            self._portal = portal
            self._ended = portal.start_task_soon(self._run)
        except BaseException:  # a Ctrl-C in this very moment: nobody is there yet to close it
            self.close()
            raise
        return self

    def close(self) -> None:
        """Cancel what still runs, and wait until nothing of it is left.

        An attempt that has come to its end is not cancelled: its hooks are waited for, as by
        `pair()`. Where an exception leaves the block they are cancelled as well.

        Raises:
            UsageError: it is called in the attempt's own thread, which it would wait for.
        """
        self._require_elsewhere("close")
        self._call(self._leave)
        with self._closing:  # whoever closes it as well waits as long
            self._thread.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._call(self._scope.cancel)
        self.close()

    # What can be seen

    def result(self, timeout: float | None = None) -> Outcome:
        """Wait for the end, and say how it ended.

        Raises:
            TimeoutError: it has not ended within so many seconds; it goes on.
            UsageError: what `pair()` raised; or nothing was begun that could end, or it is called
                in the attempt's own thread.
        """
        self._require_elsewhere("result")
        if self._portal is None:
            raise UsageError("nothing was begun: enter the PairingThread, or start() it")
        while not wait([self._ended], TURN if timeout is None else timeout).done:
            if timeout is not None:
                raise TimeoutError("the attempt goes on")
        # A program that shuts down may have cancelled all tasks of the event loop, also this one.
        raised = None if self._ended.cancelled() else self._ended.result()
        if raised is not None:
            raise raised
        return self._end.outcome or Cancelled()

    def changes(self) -> Iterator[Change]:
        """The changes, from the first of the attempt to its last. They can be read once.

        Raises:
            UsageError: in the attempt's own thread.
        """
        self._require_elsewhere("changes")
        if self._portal is None:
            return
        while (change := self._call(anext, self._changes, None)) is not None:
            yield change

    # What can be done

    def cancel(self) -> bool:
        """Leave, because the person went away; whether there was anything to leave."""
        return bool(self._call(self.lifecycle.cancel))

    def generate(self) -> None:
        """Ask for a fresh code while one is displayed.

        Raises:
            EventRefused: a code is being asked for already, or the attempt has ended.
        """
        self._call(self.lifecycle.generate)

    # In its own thread

    def _require_elsewhere(self, name: str) -> None:
        """Require that who calls this is not waited for."""
        if threading.current_thread() is self._own:
            raise UsageError(
                f"{name}() waits for the thread in which it was called, a hook's; "
                "there is cancel(), and the lifecycle's own changes()"
            )

    def _call(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Call in the event loop; None if that is over."""
        if self._portal is None:
            return None
        if threading.current_thread() is self._own:
            return function(*arguments)
        try:
            return self._portal.call(function, *arguments)
        except RuntimeError:  # anyio's: the portal is not running
            return None

    def _prepare(self) -> None:
        self._own = threading.current_thread()
        self._scope = anyio.CancelScope()
        self._changes, self._end = self.lifecycle.changes(), self.lifecycle.changes()
        # Of the two, the second is read by nobody: it keeps an end that was decided before `pair()`
        # was left from outside, and gave back nothing.
        expect_pair(self.lifecycle, self._scope)

    def _leave(self) -> None:
        # Where it is over, what runs is somebody else's: they, and not this, may cancel it. An end
        # that was decided stays as it is.
        if not self._over:
            self.lifecycle.cancel()

    async def _run(self) -> BaseException | None:
        try:
            with self._scope:
                await self.lifecycle.pair()
        except anyio.get_cancelled_exc_class():
            raise
        except BaseException as error:  # SystemExit, too: it is for the thread that waits
            return error
        finally:
            self._over = True
        return None


def in_event_loop() -> bool:
    """Whether an event loop runs in this thread, which must not be blocked."""
    try:
        anyio.get_current_task()
    except RuntimeError:
        return False
    return True
