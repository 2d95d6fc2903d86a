"""The lease of one attempt: had before the first code, given back after the last transport.

To wait for it is a phase of `generating` with a deadline of its own. It is held through refreshes.
That it is lost is decided at once, and whatever goes on: unlike a deadline it is followed by no
final status check, for whoever has it next waits no longer than the closing takes; and by its row
in the table it replaces another code that was about to be asked for. Otherwise a lease that is lost
while a code that ran out is being closed would let another one be asked for, and shown over a
second transport.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from anyio import current_time

from ..errors import LeaseHeld, LeaseLost, LeaseTakenOver, UsageError, WrongAnswer, WrongThread
from ..leases.base import Lease, LeaseFactory
from ..logs import error_once
from ..records import Acquiring, Leased, LeaseEnd, LeaseGone, Record
from ..states import ENDS, Event
from .failures import failure_of_lease
from .progress import Progress, Transition
from .user_code import close_coroutine, describe, fault_of

__all__ = ["LeaseOfAttempt"]


class LeaseOfAttempt:
    """What one attempt has, or waits for.

    Args:
        factory: makes a fresh lease.
        progress: what is told when it cannot be had, or is lost.
    """

    __slots__ = ("_factory", "_lease", "_progress", "_thread", "held")

    def __init__(self, factory: LeaseFactory, progress: Progress) -> None:
        self._factory = factory
        self._progress = progress
        self._lease: Lease | None = None
        self._thread = threading.get_ident()
        self.held = False
        """Whether it is held now: from the return of `acquire()` until it is lost or given back."""

    async def acquire(self) -> bool:
        """Have it, if it is not held; say whether it is. If not, how the state is left is decided.

        Raises:
            UsageError: the factory gave back something else, or the lease is used wrongly.
        """
        if self.held:
            return True
        self.release()  # one that was waited for before, and no more
        began = current_time()
        self._record(Acquiring)
        try:
            self._lease = lease = self._made()
            lease.expect(self._progress.policy.lease_timeout)
            await lease.acquire(self._lose, self._progress.policy.close_timeout)
        except UsageError:
            raise
        except BaseException as error:
            self._progress.decide(self._failure(fault_of(error)))
            return False
        if self._progress.pending is not None:
            return False  # lost as it was had
        self.held = True
        self._record(Leased, current_time() - began, lease.token)
        return True

    def awaits(self) -> str:
        """What it waits for, as the lease says; empty if it does not know."""
        try:
            return "" if self._lease is None else self._lease.awaits
        except BaseException as error:
            error_once("awaits of the lease raised %s", describe(fault_of(error)))
            return ""

    def _made(self) -> Lease:
        """A fresh one.

        Raises:
            WrongAnswer: the factory gave back something else.
            Exception: what it raised.
        """
        lease: object = self._factory()
        if isinstance(lease, Lease):
            return lease
        close_coroutine(lease)
        raise WrongAnswer(
            f"lease must be a plain function that makes a Lease, not one that gives back "
            f"{type(lease).__name__}"
        )

    def _lose(self, error: Exception) -> None:
        """It is lost: the attempt ends now, whatever was planned. It may come from any task.

        Raises:
            WrongThread: it comes from another thread.
        """
        progress = self._progress
        if self._lease is None or progress.state in ENDS:
            return
        if threading.get_ident() != self._thread:
            # What waits cannot be woken from here; at its next step the attempt leaves.
            progress.pending = progress.pending or self._failure(error)
            raise WrongThread(
                "lost of a lease was called in another thread than acquire(): it is heard late; "
                "keepers call it in the event loop in which the lease was acquired"
            )
        was_held, self.held = self.held, False
        with progress.observers.about:
            if was_held:
                taken_over = isinstance(error, LeaseTakenOver)
                self._record(LeaseGone, LeaseEnd.TAKEN_OVER if taken_over else LeaseEnd.LOST)
            progress.decide(self._failure(error))
            progress.wake()

    def _failure(self, error: Exception) -> Transition:
        """How the attempt ends by this."""
        if not isinstance(error, LeaseHeld | LeaseLost):
            error_once("the lease failed with %s", describe(error))
        return Transition(Event.FAIL, failure_of_lease(error))

    def release(self) -> None:
        """Give it back; nothing that it is for is left."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        held, self.held = self.held, False
        try:
            lease.release()
        except BaseException as error:
            error_once("release() of the lease raised %s", describe(fault_of(error)))
        if held:
            self._record(LeaseGone, LeaseEnd.RELEASED)

    def _record(self, kind: Callable[..., Record], *fields: object) -> None:
        recording = self._progress.observers.recording
        if recording is not None:
            recording.record(kind, *fields)
