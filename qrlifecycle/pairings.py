"""Pairings that are joined: a second tab sees the attempt that is under way, rather than another.

An attempt belongs to the task that awaits `pair()`. Where several people, tabs or streams look at
one, it can be none of theirs: the first that is closed would take it from the others. So it is a
task of the ``async with Pairings()`` block, there for as long as somebody has joined.

**Whoever comes** while an attempt of the key runs joins it. Making one waits for nothing, so two
that come in the same moment cannot both make one.

**Whoever comes after the end** gets a fresh attempt, also while others still look at the one that
has ended. To come is to ask for a code: who opens the page again after a failure wants another,
and after a success the service says that the account is paired. Nobody is shown an end that
somebody else's attempt came to before.

**Whoever leaves last** cancels the attempt, and waits until its socket is closed. Who comes
meanwhile, or while an attempt ends, waits until nothing of it is left, and then gets a fresh one:
there are never two of one key.

**What has come to an end is cancelled by nobody.** The change that carries the outcome is read
before async hooks are done, so who leaves by it would cut off the `on_connected` that stores the
success, and lose an error that `pair()` is about to raise. So the last one waits for the hooks, as
`pair()` does.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

import anyio
from anyio.lowlevel import current_token

from .calling import no_such_call
from .engine.observers import Changes
from .engine.user_code import BackgroundTasks, close_coroutine, describe
from .errors import UsageError, WrongAnswer
from .lifecycle import QRLifecycle, expect_pair
from .logs import error_once
from .outcome import Cancelled, Failed, Outcome
from .secrecy import shown_half_made
from .waiting import wait_for

__all__ = ["JoinedPairing", "Pairings", "raise_unheard"]


@shown_half_made
class Pairings:
    """Runs attempts that several look at, one at a time for each key; an async context manager.

    ::

        async with Pairings() as pairings:  # once, for the whole program
            ...

        async with pairings.join("user-123", make_lifecycle) as pairing:  # in each tab's request
            show(pairing.lifecycle.qr, None)  # what there is: it may run already
            async for change in pairing.changes():
                show(pairing.lifecycle.qr, change.outcome)

    As a dependency with `yield` it needs FastAPI 0.118 or newer. An `EventSource` whose stream has
    ended connects again, and would ask for another code: its page closes it at the outcome.

    They are one event loop's. Leaving the block cancels whatever runs, and leaves nothing behind.
    `SystemExit` and the like, raised by a function of the program's, come out of this block as they
    are; everything else reaches those alone who joined that attempt.

    Raises:
        UsageError: it is entered while it is entered already.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, _Attempt] = {}
        self._tasks: BackgroundTasks | None = None
        self._loop: object = None
        """The event loop in which it was entered, as long as it is."""
        self._stopped = False
        """Whether no attempt is to run any more."""
        self._joined = 0
        """How many are in a block of `join`."""
        self._all_left = anyio.Event()
        """Set when the last of them has left it; a fresh one for those who come then."""

    def __repr__(self) -> str:
        return f"<Pairings, {len(self)} under way>"

    def __len__(self) -> int:
        """How many attempts there are, from their beginning until nothing of them is left."""
        return len(self._running)

    def __bool__(self) -> bool:
        return True

    def join(
        self, key: Hashable, make_lifecycle: Callable[[], QRLifecycle]
    ) -> AbstractAsyncContextManager[JoinedPairing]:
        """Join the attempt of this key that is under way, or begin one; leave it with the block.

        It is a block: ``async with pairings.join(...) as pairing:``.

        Args:
            key: whose attempt it is: a user, or a bot and a user. Log lines have it as ``key``.
            make_lifecycle: plain function that makes the lifecycle of a fresh attempt. It is not
                called if there is one to join; what takes its time belongs in `request_qr`. What
                it raises comes out here, and nothing has begun. What context variables say where
                it is called holds in the attempt as well, its hooks and its log lines.

        Raises:
            UsageError: outside of the ``async with Pairings()`` block, or in another event loop;
                when the block is left without an exception, what `pair()` raised, unless `result()`
                has said so.
            WrongAnswer: `key` cannot be a key; `make_lifecycle` is no function, or gave back
                something else than a lifecycle.
            PairingInProgress: it gave back one that runs already, for another key or elsewhere.
        """
        try:
            hash(key)
        except TypeError:
            raise WrongAnswer(
                f"key must be hashable, as text or a tuple of texts is; this {type(key).__name__} "
                "is not"
            ) from None
        return _Joining(partial(self._enter, key, make_lifecycle), self._note_left)

    def cancel_all(self) -> None:
        """Cancel every attempt, and whichever is joined from now on: the program stops.

        It waits for nothing: all who have joined read `Cancelled` as the outcome, and leave by it.
        So a server that waits for open streams before it stops has none to wait for. To be called
        in the event loop.
        """
        self._stopped = True
        for attempt in self._running.values():
            attempt.cancel()

    async def wait_until_left(self) -> None:
        """Wait until nobody is joined any more: for a server that closes what is open as it stops.

        After `cancel_all()` all leave as soon as they have read how it ended; who does not read is
        to be waited for for a limited time only.
        """
        while self._joined:
            await wait_for(self._all_left)

    def _note_left(self) -> None:
        self._joined -= 1
        if not self._joined:
            self._all_left.set()
            self._all_left = anyio.Event()

    async def _enter(self, key: Hashable, make_lifecycle: Callable[[], QRLifecycle]) -> _Attempt:
        """Count one more for an attempt of this key that has not ended."""
        while True:
            tasks = self._entered()
            attempt = self._running.get(key)
            if attempt is None:
                attempt = self._running[key] = _Attempt(key, _make(make_lifecycle))
                tasks.start(self._run, key, attempt)
            elif attempt.ending:
                await wait_for(attempt.gone)
                continue
            attempt.joined += 1
            self._joined += 1
            if self._stopped:
                attempt.cancel()
            return attempt

    def _entered(self) -> BackgroundTasks:
        if self._tasks is None:
            raise UsageError("pairings are joined within the block: async with Pairings()")
        if self._loop != current_token():
            raise UsageError(
                "pairings are joined in the event loop in which the block was entered; "
                "make other Pairings for another loop"
            )
        return self._tasks

    async def _run(self, key: Hashable, attempt: _Attempt) -> None:
        """Run one attempt to its end; its ordinary errors are for those who joined it."""
        try:
            with attempt.scope:
                # Also if it was cancelled already: then it asks for no code, and its observers are
                # told of a beginning and an end, so that nobody waits for news for ever.
                await attempt.lifecycle.pair()
        except Exception as error:
            attempt.error = error
            attempt.log_unheard()
        finally:
            del self._running[key]
            attempt.gone.set()

    async def __aenter__(self) -> Self:
        if self._loop is not None:
            raise UsageError("Pairings are entered once at a time")
        self._loop, self._stopped = current_token(), False
        tasks = BackgroundTasks(needed=True)
        await tasks.__aenter__()
        self._tasks = tasks
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._tasks is not None
        tasks, self._tasks = self._tasks, None
        self.cancel_all()
        try:
            await tasks.__aexit__(kind, error, trace)
        finally:
            self._loop = None


class _Joining(AbstractAsyncContextManager["JoinedPairing"]):
    """The block for which somebody has joined.

    Args:
        enter: gives the attempt, with one more who has joined it.
        left: told when the block is left.
    """

    def __init__(
        self, enter: Callable[[], Awaitable[_Attempt]], left: Callable[[], object]
    ) -> None:
        self._enter = enter
        self._left = left

    async def __aenter__(self) -> JoinedPairing:
        self._attempt = await self._enter()
        self._pairing = JoinedPairing(self._attempt)
        return self._pairing

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._pairing.left = True
        try:
            await self._attempt.leave()
        finally:
            self._left()
        if error is None:
            raise_unheard(self._pairing)
        else:
            self._attempt.log_unheard()

    if not TYPE_CHECKING:  # to a type checker it is not awaitable at all

        def __await__(self) -> NoReturn:
            raise UsageError("join() is not awaited, it is a block: async with pairings.join(...)")


class JoinedPairing:
    """An attempt as one of those see it who joined it: what `Pairings.join` gives."""

    def __init__(self, attempt: _Attempt) -> None:
        self.left = False
        """Whether the block of `join` is left, or about to be."""
        self._attempt = attempt
        self._changes = attempt.lifecycle.changes()
        self._heard = False

    @property
    def lifecycle(self) -> QRLifecycle:
        """What runs: its state, its code, its triggers. `cancel()` ends it for everybody."""
        return self._attempt.lifecycle

    def changes(self) -> Changes:
        """The changes since it was joined, to the last of the attempt. They can be read once.

        Where the state is `displayed` and `lifecycle.qr` is None, the code waits for its socket: it
        is shown only when somebody listens. The last change carries the outcome; hooks may still be
        at work then, and leaving the block waits for them. A wait for the next change may be given
        up, and another begun: no change is lost by that.

        Raises:
            UsageError: the block of `join` is left.
        """
        if self.left:
            raise UsageError(
                "changes() is read within the block of join(), which is left: join in a dependency "
                'with yield (scope="request"; FastAPI 0.118 or newer), or in the generator that '
                "the response streams"
            )
        return self._changes

    @property
    def outcome(self) -> Outcome | None:
        """How the attempt ended, once nothing of it is left; None before that."""
        return self._attempt.outcome if self._attempt.gone.is_set() else None

    async def result(self) -> Outcome:
        """Wait until the attempt has ended and nothing of it is left, and say how it ended.

        Raises:
            UsageError: what `pair()` raised.
        """
        await wait_for(self._attempt.gone)
        self._raise_unheard()
        return self._attempt.outcome

    def _raise_unheard(self) -> None:
        error = self._attempt.error
        if error is not None and not self._heard:
            self._heard = self._attempt.heard = True
            raise _own(error)


def raise_unheard(pairing: JoinedPairing) -> None:
    """Raise what `pair()` raised, once; each who joined has an error of its own."""
    pairing._raise_unheard()  # noqa: SLF001 - this module's own


def ended_by(pairing: JoinedPairing) -> Outcome | None:
    """How its attempt has ended, also while async hooks are still told so; None while it runs.

    A mistake of the program's is none of these: it is raised when nothing is left.
    """
    attempt = pairing._attempt  # noqa: SLF001 - likewise
    if attempt.gone.is_set():
        return attempt.outcome
    outcome = attempt.last.outcome
    mistake = isinstance(outcome, Failed) and isinstance(outcome.error, UsageError)
    return None if mistake else outcome


async def cancel_for_all(pairing: JoinedPairing) -> None:
    """Cancel the attempt for all who joined it, and wait until nothing of it is left."""
    attempt = pairing._attempt  # noqa: SLF001 - likewise
    attempt.cancel()
    await wait_for(attempt.gone)


class _Attempt:
    """One attempt, and how many have joined it."""

    def __init__(self, key: Hashable, lifecycle: QRLifecycle) -> None:
        self.lifecycle = lifecycle
        self.joined = 0
        self.scope = anyio.CancelScope()
        """The time of its `pair()`."""
        self.about = expect_pair(lifecycle, self.scope, key)
        """Whose its log lines are."""
        self.gone = anyio.Event()
        """Set when nothing of it is left."""
        self.last = lifecycle.changes()
        """Read by nobody: it knows how the attempt has ended."""
        self.error: Exception | None = None
        """What its `pair()` raised."""
        self.heard = False
        """Whether anybody was told that."""

    @property
    def ending(self) -> bool:
        """Whether it has come to an end, or will: one is decided, or it is being cancelled."""
        if self.scope.cancel_called or self.last.outcome is not None or self.gone.is_set():
            return True
        return self.lifecycle.snapshot().ending

    def cancel(self) -> None:
        """Cancel it, unless it comes to an end by itself: then it goes on until all is told.

        Its own trigger decides at once. A scope's cancellation is heard at its next wait: a success
        that comes first would stand, and the hooks that are told of it would be cut off.
        """
        if not self.ending:
            self.lifecycle.cancel()

    @property
    def outcome(self) -> Outcome:
        """How it has ended."""
        return self.last.outcome or Cancelled()

    async def leave(self) -> None:
        """Count one less; the last one waits until nothing is left, even if it is cancelled.

        The others wait for an attempt that ends, but may be cancelled: what `pair()` raises is
        there only when nothing of it is left.
        """
        try:
            if self.joined > 1 and self.ending:
                await wait_for(self.gone)
        finally:
            try:
                if self.joined == 1:  # by now, perhaps
                    self.cancel()
                    with anyio.CancelScope(shield=True):
                        await self.gone.wait()
            finally:
                self.joined -= 1

    def log_unheard(self) -> None:
        """Log what `pair()` raised if nobody is left who could be told."""
        if self.error is not None and not self.heard and not self.joined:
            with self.about:
                error_once("an attempt that everybody had left raised %s", describe(self.error))


def _own(error: Exception) -> Exception:
    """An error like this one: it holds the frames that it goes through, and each has others."""
    with suppress(Exception):  # a program's own class may not be copied so
        return copy.copy(error).with_traceback(error.__traceback__)
    return error


def require_maker(given: object) -> None:
    """Raise `WrongAnswer` for what is no function that can make a lifecycle."""
    if not callable(given):
        kind = type(given).__name__
        raise WrongAnswer(f"make_lifecycle must be a function that makes a fresh one, not {kind}")
    if (why := no_such_call(given, 0)) is not None:
        raise WrongAnswer(f"make_lifecycle {why}")


def _make(make_lifecycle: Callable[[], QRLifecycle]) -> QRLifecycle:
    require_maker(make_lifecycle)
    made: object = make_lifecycle()
    if not isinstance(made, QRLifecycle):
        close_coroutine(made)
        raise WrongAnswer(f"make_lifecycle gave back {type(made).__name__}, no QRLifecycle")
    return made
