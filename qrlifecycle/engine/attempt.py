"""One `pair()`: the loop that runs a lifecycle from a start to an end. A state is a scope.

The owner task runs one state after another. It does what the state is for inside a scope that ends
at the earlier deadline; then, whatever ended that, it leaves: reads of the status are stopped, the
transport is closed, and only then is the row taken that was decided on, and anybody notified of the
new state. So "no socket outside `displayed`" is no rule that code has to remember: there is one way
out of a state, the `finally` of `_run_state()`.

::

    run():        begin, state, state, ..., outcome
    _run_state(): activity, until something is decided or a deadline ran out;
                  then the final status check, and decide;
                  close the transport; commit

Before a code is given up the status is read once more, if the program gave a way to read it: a
success may have been missed. While that goes on, what still listens goes on listening.

**A cancellation of the task** strikes at an await. In the activity or the final status check it is
decided on as `cancel`, the state is left in order, and it goes on to the caller: the lifecycle is
`idle`. While the transport is being closed the close is shielded, and what was decided before
stands. If that was an end, the lifecycle is there afterwards, `connected` or `failed`; if it was
another code (`expired`, `generate`), its row is taken, and `generating` is left again before
anybody is asked for a code: `idle`. Only asyncio's own `Task.cancel()` breaks into the close; then
`abort()` comes at once, and all else is the same.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

import anyio
import anyio.lowlevel

from ..errors import UsageError
from ..logs import error_once, logger
from ..outcome import Cancelled, Failed, Outcome
from ..signals import Paired
from ..states import ENDS, Deadline, Event, State
from ..transports.base import Transport
from .connection import Connection
from .failures import (
    failure_by,
    failure_by_deadline,
    failure_of_code,
    log_end,
    none_listened,
)
from .incoming import Incoming
from .lease import LeaseOfAttempt
from .progress import CANCELLED, Progress, Transition
from .request import Request
from .service import Service
from .user_code import BackgroundTasks, describe, is_thrown_away

__all__ = ["Attempt"]


class Attempt:
    """One `pair()`.

    Args:
        progress: how far the lifecycle is.
        service: whom to ask and how to listen.
    """

    __slots__ = ("_lease", "_progress", "_request", "_service", "_tasks", "incoming", "thread")

    def __init__(self, progress: Progress, service: Service) -> None:
        self._progress = progress
        self._service = service
        hooked = progress.observers.hooked
        self._tasks = BackgroundTasks(needed=hooked or service.check_status is not None)
        self._request: Request | None = None
        self._lease = None if service.lease is None else LeaseOfAttempt(service.lease, progress)
        self.incoming = Incoming(progress, service, self._tasks)
        """What it listens to and reads: the transport and the status."""
        self.thread = threading.get_ident()
        """Where it runs; nobody else may touch it."""

    @property
    def transport(self) -> Transport | None:
        """The transport that is held, from before its opening until it is gone."""
        connection = self.incoming.connection
        return None if connection is None else connection.transport

    @property
    def leased(self) -> bool | None:
        """Whether the lease is held; None where there is none."""
        return None if self._lease is None else self._lease.held

    async def run(self) -> Outcome:
        """Run to an end, one state after another; whatever happens, nothing is left behind."""
        progress, observers = self._progress, self._progress.observers
        try:
            if observers.recording is not None:
                observers.recording.begin(progress.policy)
            async with self._tasks:
                observers.run_in(self._tasks, progress.note_showing)
                try:
                    progress.begin_attempt()
                    while (outcome := await self._run_state()) is None:
                        pass
                except BaseException:
                    # Interrupted between two states, by an observer that was notified of the one
                    # that is now to be left again; or as the first was left, by a native
                    # cancellation that broke into the closing.
                    if progress.state not in ENDS:
                        progress.commit(CANCELLED)
                        log_end(Cancelled())
                    raise
                finally:
                    if self._lease is not None:
                        self._lease.release()  # the last transport is gone
                    observers.run_in(None)
                    if self.incoming.reader is not None:
                        self.incoming.reader.abandon()
        finally:
            if observers.recording is not None:
                observers.recording.end()
        return outcome

    async def _run_state(self) -> Outcome | None:
        """Be in the state until a row out of it is decided; whatever happens, leave and commit.

        The order at the end is promise 1: stop what reads, close the transport, then take the row.
        Leaving may itself be interrupted: a task can be cancelled natively even under a shield.
        Then the transport was aborted, and the row is taken all the same, so that nobody sees a
        state that has no scope any more.
        """
        progress, incoming = self._progress, self.incoming
        activity = self._ACTIVITIES[progress.state]
        try:
            while progress.pending is None:
                with progress.until_deadline():
                    await activity(self)
                if progress.pending is None:
                    await self._leave_or_go_on()
        except BaseException as error:
            if self._decide_by(error):
                raise
        finally:
            try:
                if incoming.reader is not None:
                    incoming.reader.stop()
                if incoming.connection is not None:
                    await incoming.connection.close()
            finally:
                outcome = self._take_row()
        return outcome

    def _decide_by(self, error: BaseException) -> bool:
        """Decide how the state is left in which this was raised; say whether it is to go on up."""
        progress = self._progress
        if not isinstance(error, Exception):
            connection = self.incoming.connection
            if connection is not None and is_thrown_away(error):
                connection.abandon()
            progress.decide(CANCELLED)
            return True
        failure = self._failure(error)
        progress.decide(failure)
        if progress.pending is not failure:
            # An end was decided already, and this came of being stopped: the end stands.
            error_once("while the state was being left: %s", describe(error))
        return progress.pending is failure

    def _take_row(self) -> Outcome | None:
        """Take the row that was decided on; nothing of the state is left by then."""
        incoming, progress = self.incoming, self._progress
        if incoming.connection is not None:
            # A second Ctrl-C may strike anywhere, also before `close()` has done anything.
            incoming.connection.abandon()
        if incoming.reader is not None and not incoming.reader.finishing:
            incoming.reader = None
        incoming.connection = None
        transition = progress.pending or CANCELLED
        outcome = progress.commit(transition)
        if transition.event is Event.EXPIRED:
            logger.info("the code ran out")
        elif isinstance(outcome, Failed | Cancelled):
            log_end(outcome)
        return outcome

    # What each state is for

    async def _generate(self) -> None:
        """Ask for a code."""
        await anyio.lowlevel.checkpoint_if_cancelled()  # while the state before was being left
        if self._lease is not None and not await self._lease.acquire():
            return
        self._progress.begin_request()
        if self.incoming.late_success is not None:
            self.incoming.take_status(self.incoming.late_success, claimed=False)
            return
        self._request = Request(self._service.request_qr, self._progress.policy)
        answer = await self._request.ask()
        self._request = None
        self.incoming.notice_sleep()  # before the code's time begins
        if isinstance(answer, Exception):
            self._progress.give_up(self._failure(answer))
        elif isinstance(answer, Paired):
            self.incoming.take_paired(answer)
        else:
            self._progress.decide(Transition(Event.QR_READY, answer))

    async def _display(self) -> None:
        """Listen while the code is displayed."""
        progress, incoming = self._progress, self.incoming
        if incoming.connection is None:
            incoming.connection = Connection(
                self._service.transport, progress.policy, progress.observers
            )
        incoming.read_status_beside()
        try:
            while progress.pending is None and progress.verdict is None:
                incoming.take_signal(await incoming.connection.receive())
        except UsageError:
            raise
        except Exception as error:
            progress.give_up(self._failure(error))

    async def _leave_or_go_on(self) -> None:
        """A deadline ran out or there is a verdict: leave, unless the status tells otherwise."""
        progress = self._progress
        passed = anyio.current_time()  # before the check: what runs out during it does not count
        await self._check_finally()
        if progress.pending is not None:
            return
        transition = progress.verdict
        if transition is None and (deadline := progress.expired_deadline(passed)) is not None:
            transition = self._end_by(deadline)
        if transition is not None:
            progress.dispatch(transition)

    async def _check_finally(self) -> None:
        """The final status check: read once more, while what still listens goes on listening.

        Without a status to read it takes no time but the turns of the event loop in which a
        transport gets to know what has arrived by this instant.
        """
        progress, incoming = self._progress, self.incoming
        # A code that nobody saw was scanned by nobody. But where none comes, the service may have
        # said in words of its own that none is needed.
        due = progress.code_was_shown or progress.state is State.GENERATING
        reader = incoming.read_status_beside() if due else None
        seconds = 0.0 if reader is None else progress.policy.final_check_timeout
        if reader is None and incoming.connection is not None:
            await incoming.connection.catch_up()
        with progress.for_final_check(seconds) as check:
            if reader is not None:
                reader.read_afresh()
            await self._listen_to_the_end()
        if check.deadline > anyio.current_time():
            return  # ended before its time: by an answer, a decision, or a deadline put off
        if reader is not None and reader.end_check_with_read():
            with progress.for_final_check(progress.policy.status_timeout):
                await self._listen_to_the_end()

    async def _listen_to_the_end(self) -> None:
        """Until the scope around is cancelled, or a row is decided; but do not reconnect."""
        progress, connection = self._progress, self.incoming.connection
        try:
            while progress.pending is None and connection is not None and connection.listens:
                self.incoming.take_signal(await connection.receive(reconnect=False))
        except UsageError:
            raise
        except Exception as error:
            logger.debug("the transport broke in the final status check: %s", type(error).__name__)
        if progress.pending is None:
            await anyio.sleep_forever()

    # Ends

    def _end_by(self, deadline: Deadline) -> Transition:
        """How the state ends by a deadline that ran out; a refresh is spent."""
        progress = self._progress
        if deadline is not Deadline.CODE:
            why = None if self._request is None else self._request.unavailable
            awaits = self._lease.awaits() if self._lease and deadline is Deadline.LEASE else ""
            ended = failure_by_deadline(deadline, progress.state, progress.policy, why, awaits)
            return Transition(Event.FAIL, ended)
        if progress.withheld:
            connection = self.incoming.connection
            last = None if connection is None else connection.last_failure
            return self._failure(none_listened(last))
        if progress.refreshes_left > 0 and progress.codes_left > 0:
            progress.refreshes_left -= 1
            return Transition(Event.EXPIRED)
        ended = failure_of_code(progress.policy, progress.codes_left, progress.expiry_told)
        return Transition(Event.FAIL, ended)

    def _failure(self, error: Exception) -> Transition:
        """What an error from `request_qr` or the transport means as an end."""
        connection = self.incoming.connection
        ever = None if connection is None else connection.ever_listened
        return Transition(Event.FAIL, failure_by(error, self._progress.state, ever_listened=ever))

    _ACTIVITIES: ClassVar[Mapping[State, Callable[[Any], Awaitable[None]]]] = {
        State.GENERATING: _generate,
        State.DISPLAYED: _display,
    }
    """What each state is for; the others are ends. A test finds the state that is missing."""
