"""Pairings that are joined from a program without async: the tabs of a page, where requests block.

Under WSGI a request is a thread, and does not hear that its client has gone. So a page asks every
second or two how far it is, and asking is what keeps its tab joined: one that has not asked for so
long has left. What `Pairings` say of who joins, who leaves and who comes late is so here as well.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

import anyio
from anyio.abc import TaskGroup, TaskStatus
from anyio.from_thread import BlockingPortal

from .blocking import in_event_loop
from .errors import UsageError
from .lifecycle import QRLifecycle
from .outcome import Outcome
from .pairings import (
    JoinedPairing,
    Pairings,
    cancel_for_all,
    ended_by,
    raise_unheard,
    require_maker,
)
from .policy import is_positive

__all__ = ["BlockingPairings", "Look"]


class Look(NamedTuple):
    """What a tab sees of its attempt."""

    lifecycle: QRLifecycle
    """It may be looked at from any thread: its state, its code. Its triggers may not be called."""
    outcome: Outcome | None
    """How it ended, also while async hooks are still told so; None while it runs."""
    code_expires_in: float | None
    """For how many seconds the code to show was good still; None where that is of no use."""


class BlockingPairings:
    """Attempts that several tabs look at, for a program whose requests are threads.

    ::

        pairings = BlockingPairings(patience=10)                            # once, for a process

        pairings.join("user-123", tab, partial(make_lifecycle, "user-123"))  # POST
        pairings.look("user-123", tab)                                       # GET, again and again
        pairings.leave("user-123", tab)                                      # DELETE

    All attempts run in one thread with an event loop. It is begun by the first `join`, and ends
    with `close`, or with the process; leaving a ``with`` block closes as well. A server may fork:
    a child has none of these attempts, and a thread of its own. Any thread may call any method, but
    for one in which an event loop runs, such as that of the hooks.

    Args:
        patience: seconds without a `look` after which a tab has left.
        backend: the event loop of the thread, asyncio or trio.

    Raises:
        UsageError: a patience that is no number of seconds above 0.
    """

    def __init__(self, *, patience: float = 10.0, backend: str = "asyncio") -> None:
        if not is_positive(patience):
            raise UsageError("patience must be a number of seconds above 0")
        self._patience = patience
        self._backend = backend
        self._lock = threading.Lock()
        """Held while a thread is begun or put away."""
        self._thread: _Thread | None = None

    def join(self, key: Hashable, tab: Hashable, make_lifecycle: Callable[[], QRLifecycle]) -> None:
        """Have a tab join the attempt of this key that is under way, or begin one.

        One that has joined it already stays; one whose attempt has ended asks for another.

        Args:
            key: whose attempt it is: a user, or a bot and a user.
            tab: which tab of theirs; a page makes up a name for itself, say.
            make_lifecycle: plain function that makes the lifecycle of a fresh attempt. It is called
                in the thread of the attempts, where there is no request of yours; what it raises
                comes out here, and nothing has begun.

        Raises:
            UsageError: these are being closed, or were meanwhile; or an event loop runs in this
                thread.
            WrongAnswer: `make_lifecycle` is no function, or gave back something else than a
                lifecycle.
        """
        if in_event_loop():
            raise UsageError("an event loop runs in this thread: use Pairings there")
        require_maker(make_lifecycle)
        with self._lock:
            thread = self._here()
            if thread is None or thread.over:  # not before: two might have an attempt of one key
                thread = self._thread = _Thread(self._patience, self._backend)
        closed = UsageError("these pairings were closed while a tab joined")
        error = self._call(thread, closed, thread.join, key, tab, make_lifecycle)
        if error is not None:
            raise error

    def look(self, key: Hashable, tab: Hashable) -> Look | None:
        """What there is to see; None if the tab has left, or never joined. Whoever looks is there.

        Raises:
            UsageError: what `pair()` raised, once to each tab; or it is called in a hook.
        """
        if (thread := self._here()) is None:
            return None
        look: Look | None = self._call(thread, None, thread.look, key, tab)
        return look

    def leave(self, key: Hashable, tab: Hashable) -> None:
        """Have a tab leave: the last one ends the attempt, and its socket is closed on return.

        Raises:
            UsageError: it is called in a hook, which it might wait for.
        """
        if (thread := self._here()) is not None:
            self._call(thread, None, thread.leave, key, tab)

    def cancel(self, key: Hashable) -> None:
        """End the attempt of this key for all its tabs, which see `Cancelled`; if there is one.

        Nothing of it is left on return. The tabs have not left by it.

        Raises:
            UsageError: it is called in a hook, which it might wait for.
        """
        if (thread := self._here()) is not None:
            self._call(thread, None, thread.cancel, key)

    def close(self) -> None:
        """End all that runs, and the thread; a later `join` begins another.

        Raises:
            UsageError: it is called in a hook, which it would wait for.
        """
        if (thread := self._here()) is not None:
            thread.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(
        self, thread: _Thread, over: object, function: Callable[..., Any], *arguments: object
    ) -> Any:
        """Call in the event loop; ``over`` if that has ended.

        Raises:
            SystemExit: one of the program's functions raised it, or the like, which ended the
                thread. It is raised in the first call that comes upon that.
        """
        thread.require_elsewhere()
        try:
            return thread.portal.call(function, *arguments)
        except (RuntimeError, CancelledError):
            if not thread.ending:
                raise  # it is the function's own
        if not thread.closed:  # else who closes it waits for it, and it may wait for us
            thread.wait()
            self._forget(thread)
            thread.raise_unheard()
        return over

    def _here(self) -> _Thread | None:
        """The thread, if there is one in this process: a forked child has none of its parent's."""
        thread = self._thread
        return thread if thread is not None and thread.process == os.getpid() else None

    def _forget(self, thread: _Thread) -> None:
        with self._lock:
            if self._thread is thread:
                self._thread = None


class _NotMade(Exception):
    """There is no lifecycle, and why."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


@dataclass(slots=True, eq=False)
class _Tab:
    """A tab that has joined."""

    pairing: JoinedPairing
    scope: anyio.CancelScope
    """The time for which it stays."""
    left: anyio.Event
    told: bool = False
    """Whether it has seen how the attempt ended: then it may ask for another."""


class _Thread:
    """The thread of all attempts, from the first `join` on. Its methods run in its event loop."""

    def __init__(self, patience: float, backend: str) -> None:
        self.ending = False
        """Whether nothing is to be called any more."""
        self.closed = False
        """Whether somebody ends it, and waits for its end."""
        self.process = os.getpid()
        self._patience = patience
        self._tabs: dict[tuple[Hashable, Hashable], _Tab] = {}
        self._raised: BaseException | None = None
        ready: Future[tuple[BlockingPortal, Pairings, TaskGroup]] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(backend, ready), name="qrlifecycle-pairings", daemon=True
        )
        self._thread.start()
        self.portal, self._pairings, self._tasks = ready.result()

    def _run(self, backend: str, ready: Future[Any]) -> None:
        try:
            anyio.run(self._serve, ready, backend=backend)
        except BaseException as error:
            self._raised = error
            if not ready.done():
                ready.set_exception(error)

    async def _serve(self, ready: Future[Any]) -> None:
        async with (
            Pairings() as pairings,
            BlockingPortal() as portal,
            anyio.create_task_group() as tasks,
        ):
            ready.set_result((portal, pairings, tasks))
            try:
                await portal.sleep_until_stopped()
            finally:
                self.ending = True
                await portal.stop(cancel_remaining=True)  # and with it all who stay, or are to join

    @property
    def over(self) -> bool:
        """Whether it was ended, and nothing of it is left."""
        return self.closed and not self._thread.is_alive()

    def require_elsewhere(self) -> None:
        """Require that who calls this is not waited for."""
        if threading.current_thread() is self._thread:
            raise UsageError("a hook may not: it would wait for its own thread")

    def end(self) -> None:
        """End it, from another thread, and wait."""
        self.require_elsewhere()
        self.ending = self.closed = True
        with suppress(RuntimeError, CancelledError):  # it is not running, or ends
            self.portal.call(self.portal.stop)
        self.wait()

    def wait(self) -> None:
        """Wait until nothing of it is left."""
        self._thread.join()

    def raise_unheard(self) -> None:
        """Raise what ended it, once."""
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

    # In the event loop

    async def join(
        self, key: Hashable, tab: Hashable, make_lifecycle: Callable[[], QRLifecycle]
    ) -> BaseException | None:
        """Stay, or join; it has joined when this returns, unless it gives back what was raised."""
        here = self._tabs.get((key, tab))
        if here is not None and here.pairing.outcome is None and not here.told:
            self._renew(here)
            return None

        def make() -> QRLifecycle:
            try:
                return make_lifecycle()
            except BaseException as error:  # SystemExit, too: it is for the thread that waits
                raise _NotMade(error) from None

        try:
            await self._tasks.start(self._stay, (key, tab), make)
        except _NotMade as failed:
            return failed.error
        return None

    def look(self, key: Hashable, tab: Hashable) -> Look | None:
        """What there is to see."""
        if (here := self._tabs.get((key, tab))) is None:
            return None
        self._renew(here)
        raise_unheard(here.pairing)
        lifecycle, outcome = here.pairing.lifecycle, ended_by(here.pairing)
        here.told = outcome is not None
        return Look(lifecycle, outcome, lifecycle.code_expires_in)

    async def leave(self, key: Hashable, tab: Hashable) -> None:
        """Leave, and wait until it has."""
        if (here := self._tabs.get((key, tab))) is not None:
            here.scope.cancel()
            await here.left.wait()

    async def cancel(self, key: Hashable) -> None:
        """Cancel the attempt that tabs of this key have joined, and wait until it has ended."""
        for (whose, _), here in tuple(self._tabs.items()):
            if whose == key:
                await cancel_for_all(here.pairing)

    async def _stay(
        self,
        name: tuple[Hashable, Hashable],
        make_lifecycle: Callable[[], QRLifecycle],
        *,
        task_status: TaskStatus[None],
    ) -> None:
        """Be joined until it is told to leave, or has not looked for too long."""
        left = anyio.Event()
        try:
            with anyio.CancelScope() as scope:
                async with self._pairings.join(name[0], make_lifecycle) as pairing:
                    if (before := self._tabs.get(name)) is not None:
                        before.scope.cancel()
                    here = self._tabs[name] = _Tab(pairing, scope, left)
                    self._renew(here)
                    task_status.started()
                    try:
                        await anyio.sleep_forever()
                    finally:
                        if self._tabs.get(name) is here:
                            del self._tabs[name]
        finally:
            left.set()

    def _renew(self, tab: _Tab) -> None:
        tab.scope.deadline = anyio.current_time() + self._patience
