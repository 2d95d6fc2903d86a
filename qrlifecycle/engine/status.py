"""Reading the status beside listening: events that nobody heard are not repeated, a status is.

A read never delays a signal: it runs in a task of its own, which asks for one answer after another.
A read has its own deadline, its faults are counted and not fatal, a question that was not
answered stays asked, and between two reads there is always a pause. What an answer leads to is
said in `incoming`.

It is read, while a code is displayed, when

- a transport has come to listen, the first as well as each after a break (`request_read()`);
- with `policy.confirm_success`, a success was claimed on the wire (`confirm_success()`), again and
  again until it is confirmed or the time for that is up;
- the transport says that it has changed (`StatusChanged`);
- `policy.status_interval` has passed since the last read and the pause after it;
- a code that was shown is about to be given up, whatever the cause: the final status check
  (`read_afresh()`). A read that is under way by then speaks of a time before; it is cancelled, its
  answer is of no use even if it is there in that instant, and another is begun after the pause.
  It ends with an answer, or at once if the service refuses to give one (`ServiceRefused`);
- the answer was missing, or was about a code that is not the newest any more.

In `generating` it is read for one cause only, the final status check: no code comes, because the
service refused, broke or took too long, and the account may be paired all the same.

**A read that is finished** (`policy.finish_reads`). To some services a question is a deed: what it
is answered is answered once. Such a read has no deadline of ours, and none is begun in place of
another. When the state is left it goes on, beside the next state, whose reader it then is, for
there is one read at a time all the same. A success that it finds counts wherever the attempt has
come to; nothing else of an earlier state does. A final status check ends with it, however little
there was left of its time. It ends with the attempt.
"""

from __future__ import annotations

import math
from contextlib import suppress
from inspect import isawaitable
from typing import NamedTuple

import anyio
import anyio.lowlevel

from ..codes import Code
from ..errors import (
    PeerError,
    QRLifecycleError,
    ServiceRefused,
    ServiceUnavailable,
    WrongAnswer,
)
from ..logs import warn_once
from ..signals import KINDS, Paired, Signal
from .backoff import Backoff, spread
from .progress import Progress
from .service import StatusCheck
from .user_code import describe, fault_of

__all__ = ["Answer", "StatusReader"]

MISSED = "check_status"
"""What reads of the status that gave no answer are counted under."""


class Answer(NamedTuple):
    """What a read gave: a signal or None, and the newest code when it was asked for."""

    signal: Signal | None
    code: Code | None


class StatusReader:
    """Reads when that was requested, and every so often; one read at a time.

    Args:
        check_status: what is read.
        progress: the lifecycle's: its code, its policy, and its observers, told of misses.
    """

    __slots__ = (
        "_backoff",
        "_check",
        "_confirm_until",
        "_due",
        "_ends_check",
        "_of_earlier_state",
        "_pause",
        "_progress",
        "_read",
        "_requested",
        "_retry_after",
        "change_told",
        "scope",
        "stopped",
    )

    def __init__(self, check_status: StatusCheck, progress: Progress) -> None:
        policy = progress.policy
        self._check = check_status
        self._progress = progress
        self._backoff = Backoff(policy.status_retry_delay, policy.status_retry_delay_max)
        self._retry_after: float | None = None
        """For how long the service asked, in place of the newest answer, to be left alone."""
        self._requested = anyio.Event()
        self._confirm_until = -math.inf
        self._due: float | None = None
        """When a read is due that nobody requests; None in a read and in the pause after it."""
        self._read: anyio.CancelScope | None = None
        """That of the read under way."""
        self._pause: anyio.CancelScope | None = None
        """That of the pause under way."""
        self._ends_check = False
        """Whether the final status check ends when the read under way does."""
        self._of_earlier_state = False
        """Whether the read under way began in an earlier state: only a success is of use then."""
        self.change_told = False
        """Whether the wire said that the status has changed, and no answer has been had since."""
        self.stopped = False
        """Whether the state that it read for is left; a read under way may be being finished."""
        self.scope = anyio.CancelScope()
        """What its task runs in."""

    @property
    def read_requested(self) -> bool:
        """Whether a read is due that has not begun."""
        return self._requested.is_set()

    @property
    def confirming(self) -> bool:
        """Whether a success was claimed, and is being read because of it."""
        return anyio.current_time() < self._confirm_until

    @property
    def finishing(self) -> bool:
        """Whether a read is under way that is not cut off."""
        return self._progress.policy.finish_reads and self._read is not None

    def stop(self) -> None:
        """Read no more, and no answer is of use any more; a read under way is cancelled.

        Unless it is one to be finished: then it is the last, and a success that it finds is of use.
        """
        self.stopped = True
        if not self.finishing:
            self.abandon()

    def resume(self) -> None:
        """Read again, for another state: what was to be finished goes on, and then the next."""
        if self.stopped:
            self.stopped, self._of_earlier_state = False, True

    def abandon(self) -> None:
        """Read no more, whatever is under way."""
        with suppress(RuntimeError):  # the event loop is closed: nothing runs on it any more
            self.scope.cancel()

    def request_read(self) -> None:
        """Read soon."""
        self._requested.set()

    def read_change(self) -> None:
        """Read soon: the wire says that the status has changed."""
        self.change_told = True
        self.request_read()

    def confirm_success(self) -> None:
        """Read soon, and again and again for a while: a success was claimed, and may be true.

        A status may lag behind the event that tells of it.
        """
        policy = self._progress.policy
        self._confirm_until = anyio.current_time() + policy.confirm_success_timeout
        self.request_read()

    def read_afresh(self) -> None:
        """Begin a read as soon as the pause between two allows: for the final status check.

        A read that is under way was begun before, and may speak of a time before; so it is given up
        for another. One that is to be finished counts as well, and the other comes after it.
        """
        self._backoff.reset()
        self.request_read()
        if self.finishing:
            return
        if self._read is not None:
            self._read.cancel()
        elif self._pause is not None:
            # As the shortest pause that there may be: a jittered delay is cut by up to half.
            soon = anyio.current_time() + self._progress.policy.status_retry_delay / 2
            self._pause.deadline = min(self._pause.deadline, soon)

    def end_check_with_read(self) -> bool:
        """Have the final status check end with the read under way; whether one is to be finished.

        However it ends: no other is begun.
        """
        self._ends_check = self.finishing
        return self._ends_check

    async def next_answer(self) -> Answer | None:
        """Wait until a read is due, and read; and again after a pause while there is no answer.

        Returns:
            None each time that it has waited for `policy.sleep_check_interval`.
        """
        policy = self._progress.policy
        while True:
            if self._due is None:
                self._due = anyio.current_time() + policy.status_interval
            until = min(self._due, anyio.current_time() + spread(policy.sleep_check_interval))
            with anyio.CancelScope(deadline=until) as waiting:
                await self._requested.wait()
            if waiting.cancelled_caught and anyio.current_time() < self._due:
                return None
            # One that was stopped before it ran is not to begin: to some a question is a deed.
            await anyio.lowlevel.checkpoint_if_cancelled()
            self._requested, self._due = anyio.Event(), None
            if (answer := await self._read_once()) is not None:
                return answer
            await self.pause()

    async def _read_once(self) -> Answer | None:
        """Read; None if there was no answer, or none of use."""
        policy, code = self._progress.policy, self._progress.code
        limit = math.inf if policy.finish_reads else policy.status_timeout
        answer, fault = None, None
        with anyio.move_on_after(limit) as self._read:
            try:
                answer = Answer(await self._ask(), code)
            except BaseException as error:
                fault = fault_of(error)
        read, self._read = self._read, None
        only_success, self._of_earlier_state = self._of_earlier_state, False
        self._retry_after = fault.retry_after if isinstance(fault, ServiceUnavailable) else None
        self._note_finished()
        try:
            if read.cancel_called and anyio.current_time() < read.deadline:
                # Given up for a fresh one, it says nothing, not even if it was answered in that
                # very instant: the answer may be older than what the fresh one is to find.
                return None
            if only_success and answer is not None and not isinstance(answer.signal, Paired):
                return None
            if answer is None:
                self._miss(fault or PeerError(f"no answer within {limit:g} s"))
                if isinstance(fault, ServiceRefused) and self._progress.final_check:
                    # It lets nobody ask: not in a moment either, and nothing else is waited for.
                    self._progress.end_wait()
            return answer
        finally:
            del fault  # see `reraise`

    def _note_finished(self) -> None:
        """A read has ended: who waits for that goes on, when the answer has been taken."""
        if self.stopped:
            self.abandon()
        if self._ends_check and self._progress.final_check:
            self._progress.end_wait()
        self._ends_check = False

    def accept(self, *, again: bool) -> None:
        """An answer was of use, so pauses are short again; or it was not: it is asked for again."""
        if again:
            self.request_read()
        else:
            self._backoff.reset()
        self.change_told = self.change_told and self.read_requested

    async def pause(self) -> None:
        """Wait between two reads, for as long as a service asks that is busy."""
        with anyio.move_on_after(self._backoff.next(self._retry_after)) as self._pause:
            await anyio.sleep_forever()
        self._pause = None

    async def _ask(self) -> Signal | None:
        asked: object = self._check()
        if not isawaitable(asked):
            kind = type(asked).__name__
            raise WrongAnswer(f"check_status must be an async function; it gave back {kind}")
        answer: object = await asked
        if answer is not None and not isinstance(answer, KINDS):
            kind = type(answer).__name__
            raise WrongAnswer(
                f"check_status gave back {kind}; give back Paired(identity), "
                "another signal, or None"
            )
        return answer

    def _miss(self, fault: Exception) -> None:
        """There was no answer: it is said, counted, and asked again."""
        # One of ours says it all; of any other, the place is of use and the text may hold a secret.
        text = str(fault) if isinstance(fault, QRLifecycleError) else describe(fault)
        if text != self._progress.why_given_up:  # else the attempt is about to end in these words
            warn_once("check_status failed: %s", text)
        self._progress.observers.count({MISSED: 1})
        self.request_read()
