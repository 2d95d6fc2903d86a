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

from ..codes import PairingCode, QRCode
from ..errors import (
    EventRefused,
    TransportUnreachable,
    UsageError,
)
from ..logs import error_once, logger
from ..machine import MACHINE
from ..outcome import REASON_OF_DEADLINE, Connected, Failed, Outcome, Reason
from ..records import FoundByStatus
from ..signals import (
    ActionRequired,
    Paired,
    PairingRefused,
    QRExpired,
    QRUpdated,
    Scanned,
    Signal,
    StatusChanged,
)
from ..sleeping import SleepWatch
from ..states import ENDS, Deadline, Event, Phase, State
from ..transports.base import Transport
from .connection import Connection
from .failures import failure_by, log_failure
from .progress import CANCELLED, Progress, Transition
from .request import Request
from .service import Service
from .status import Answer, StatusReader
from .user_code import BackgroundTasks, describe, is_thrown_away

__all__ = ["Attempt"]


class Attempt:
    """One `pair()`.

    Args:
        progress: how far the lifecycle is.
        service: whom to ask and how to listen.
    """

    __slots__ = (
        "_late_success",
        "_policy",
        "_progress",
        "_request",
        "_service",
        "_sleep",
        "_tasks",
        "codes_left",
        "connection",
        "reader",
        "refreshes_left",
        "thread",
    )

    def __init__(self, progress: Progress, service: Service) -> None:
        self._progress = progress
        self._service = service
        self._policy = progress.policy
        self._tasks: BackgroundTasks | None = None
        self._sleep = SleepWatch()
        self._request: Request | None = None
        self._late_success: Paired | None = None
        self.reader: StatusReader | None = None
        self.connection: Connection | None = None
        """To the peer, while a code is displayed."""
        self.codes_left = self._policy.max_codes
        """How many more codes may be shown without a person asking."""
        self.refreshes_left = self._policy.max_refreshes
        """How many more codes may be asked for without a person asking."""
        self.thread = threading.get_ident()
        """Where it runs; nobody else may touch it."""

    @property
    def transport(self) -> Transport | None:
        """The transport that is held, from before its opening until it is gone."""
        return None if self.connection is None else self.connection.transport

    def renew_budgets(self) -> None:
        """A person asked: there may be as many codes again."""
        self.codes_left = self._policy.max_codes
        self.refreshes_left = self._policy.max_refreshes

    async def run(self) -> Outcome:
        """Run to an end, one state after another; whatever happens, nothing is left behind."""
        progress, observers = self._progress, self._progress.observers
        beside = observers.hooked or self._service.check_status is not None
        try:
            if observers.recording is not None:
                observers.recording.begin(self._policy)
            async with BackgroundTasks(needed=beside) as self._tasks:
                observers.run_in(self._tasks)
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
                    raise
                finally:
                    observers.run_in(None)
                    if self.reader is not None:
                        self.reader.abandon()
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
        progress = self._progress
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
                if self.reader is not None:
                    self.reader.stop()
                if self.connection is not None:
                    await self.connection.close()
            finally:
                outcome = self._take_row()
        return outcome

    def _decide_by(self, error: BaseException) -> bool:
        """Decide how the state is left in which this was raised; say whether it is to go on up."""
        progress = self._progress
        if not isinstance(error, Exception):
            if self.connection is not None and is_thrown_away(error):
                self.connection.abandon()
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
        # A second Ctrl-C may strike anywhere, also before `close()` has done anything.
        connection, progress = self.connection, self._progress
        if connection is not None:
            connection.abandon()
        if self.reader is not None and not self.reader.finishing:
            self.reader = None
        self.connection = None
        outcome = progress.commit(progress.pending or CANCELLED)
        if isinstance(outcome, Failed):
            log_failure(outcome)
        return outcome

    # What each state is for

    async def _generate(self) -> None:
        """Ask for a code."""
        await anyio.lowlevel.checkpoint_if_cancelled()  # while the state before was being left
        if self._late_success is not None:
            self._handle_status(self._late_success, claimed=False)
            return
        self._request = Request(self._service.request_qr, self._policy)
        answer = await self._request.ask()
        self._notice_sleep()  # before the code's time begins
        if isinstance(answer, Exception):
            self._progress.give_up(self._failure(answer))
        elif isinstance(answer, Paired):
            self._progress.decide(self._success(answer, already_paired=True))
        else:
            self._progress.decide(Transition(Event.QR_READY, answer))

    async def _display(self) -> None:
        """Listen while the code is displayed."""
        progress = self._progress
        if self.connection is None:
            service = self._service
            self.connection = Connection(service.transport, self._policy, progress.observers)
        self._read_status_beside()
        try:
            while progress.pending is None and progress.verdict is None:
                signal = await self.connection.receive()
                self._notice_sleep()  # before a newer code's time begins
                if signal is None:
                    self._begin_listening()
                else:
                    self._handle_signal(signal)
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
        progress = self._progress
        # A code that nobody saw was scanned by nobody. But where none comes, the service may have
        # said in words of its own that none is needed.
        due = progress.code_was_shown or progress.state is State.GENERATING
        reader = self._read_status_beside() if due else None
        seconds = 0.0 if reader is None else self._policy.final_check_timeout
        if reader is None and self.connection is not None:
            await self.connection.catch_up()
        with progress.for_final_check(seconds) as check:
            if reader is not None:
                reader.read_afresh()
            await self._listen_to_the_end()
        if check.deadline > anyio.current_time() or progress.pending is not None:
            return
        if reader is not None and reader.end_check_with_read():
            with progress.for_final_check(self._policy.status_timeout):
                await self._listen_to_the_end()

    async def _listen_to_the_end(self) -> None:
        """Hear what there is to hear until the scope around is cancelled, or a row is decided."""
        await self._listen_on()
        if self._progress.pending is None:
            await anyio.sleep_forever()

    async def _listen_on(self) -> None:
        """Hear what the transport still has to say, if it listens; but do not reconnect."""
        connection = self.connection
        if connection is None or connection.phase is not Phase.LISTENING:
            return
        try:
            while self._progress.pending is None:
                signal = await connection.receive(reconnect=False)
                assert signal is not None
                self._handle_signal(signal)
        except UsageError:
            raise
        except Exception as error:
            logger.debug("the transport broke in the final status check: %s", type(error).__name__)

    def _notice_sleep(self) -> None:
        """The machine may have slept: what ran out meanwhile has run out, and is not waited for.

        Where only the wall clock has jumped nobody knows. It ends nothing: the status is read, and
        another code is asked for, if the budget allows.
        """
        progress = self._progress
        if progress.pending is not None or progress.final_check:
            return  # it is being left anyway
        slept, jumped = self._sleep.look()
        if not slept and not jumped:
            return
        logger.info("the machine slept for %.0f s, or its clock was put forward", slept)
        progress.pass_time(slept)
        if jumped and progress.phase is Phase.SCANNING and self.refreshes_left > 0:
            progress.run_out()
        if self.reader is not None and anyio.current_time() < progress.earlier_deadline:
            self.reader.request_read()  # else it is about to be read, before the code is given up

    # Signals, from the transport and from the status

    def _begin_listening(self) -> None:
        """A transport listens: hand the code out, if it was not, and read what was missed."""
        progress = self._progress
        if anyio.current_time() >= progress.earlier_deadline:
            return  # too late for anybody to scan it; listening is cut short
        if progress.withheld and progress.pending is None:
            self._hand_out(progress.code)
        if self.reader is not None:
            self.reader.request_read()

    def _handle_signal(self, signal: Signal) -> None:
        """Put a transport's signal to the table."""
        if isinstance(signal, StatusChanged):
            self._read_changed_status()
        elif not isinstance(signal, Paired):
            self._dispatch_signal(signal)
        elif self._policy.confirm_success:
            assert self.reader is not None, "a policy that needs a status has one"
            self.reader.confirm_success()  # anybody may have said so
            logger.debug("pairing event received; check_status has to confirm it")
        else:
            logger.info("pairing event received")
            if self._dispatch_signal(signal):
                logger.info("connected, immediate success")

    def _read_changed_status(self) -> None:
        if (reader := self.reader) is not None:
            reader.request_read()
        else:
            self._progress.observers.count({STATUS_CHANGED: 1})
            logger.debug("signal that the status has changed dropped: there is no check_status")

    async def _read_status(self, reader: StatusReader) -> None:
        """Put one answer after another to the table, until the state is left."""
        with reader.scope:
            while True:
                if self._take_answer(reader, await reader.next_answer()):
                    await reader.pause()

    def _take_answer(self, reader: StatusReader, answer: Answer | None) -> bool:
        """Put an answer to the table, if there is one; say whether there is."""
        progress = self._progress
        self._notice_sleep()
        if answer is None:
            return False
        if reader.stopped or progress.pending is not None:
            # Too late: it could not be stopped on its way, or was to be finished.
            if self._policy.finish_reads and isinstance(answer.signal, Paired):
                self._handle_late_success(answer.signal)
            return True
        # An answer says nothing of a code that is newer than the one that it was asked about.
        stale = answer.code is not progress.code and not isinstance(answer.signal, FINAL)
        if answer.signal is not None and not stale:
            self._handle_status(answer.signal, claimed=reader.confirming)
        reader.accept(again=stale or reader.confirming)
        if progress.final_check and not reader.read_requested:
            progress.end_wait()
        else:
            progress.wake()
        return True

    def _handle_late_success(self, paired: Paired) -> None:
        """A read that was finished found a success when its state was left already, or about to be.

        It is told once. So it counts now or, where a row to `generating` is pending, right after.
        """
        if self._progress.pending is None:
            self._handle_status(paired, claimed=False)
            self._progress.wake()
        else:
            self._late_success = paired

    def _handle_status(self, signal: Signal, *, claimed: bool) -> None:
        """Put what a read of the status found to the table."""
        if self._dispatch_signal(signal):
            how = "confirmed" if claimed else "found"
            logger.info("connected, %s by check_status", how)
            recording = self._progress.observers.recording
            if recording is not None and not claimed:
                recording.record(FoundByStatus)

    def _read_status_beside(self) -> StatusReader | None:
        """What reads the status beside this state from now on; None if there is none to read."""
        if self._service.check_status is None or self._tasks is None:
            return None
        if self.reader is None or self.reader.scope.cancel_called:
            self.reader = StatusReader(self._service.check_status, self._progress)
            self._tasks.start(self._read_status, self.reader)
        self.reader.resume()
        return self.reader

    def _dispatch_signal(self, signal: Signal) -> bool:
        """Put a signal to the table, and say whether it is the success.

        One that the table does not accept here is dropped and counted.
        """
        progress = self._progress
        try:
            match signal:
                case Paired():
                    unseen = not progress.code_was_shown
                    transition = self._success(signal, already_paired=unseen)
                case PairingRefused():
                    transition = Transition(Event.FAIL, Failed(signal.reason, data=signal.data))
                case ActionRequired():
                    transition = Transition(Event.ACTION_REQUIRED, signal)
                case Scanned():
                    transition = Transition(Event.SCANNED, signal)
                case QRUpdated():
                    self._rotate_code(signal.qr)
                    return False
                case QRExpired() if signal.event is Event.EXPIRED:
                    MACHINE.row(progress.state, signal.event)
                    progress.expire_code()
                    return False
                case _:
                    if signal.event is not None:  # out of place, it is only dropped
                        MACHINE.row(progress.state, signal.event)
                    raise TypeError(f"{type(signal).__name__} carries nothing that is known")
            progress.dispatch(transition)
            return transition.event is Event.PAIRED
        except EventRefused as refused:
            progress.observers.count({refused.event.value: 1})
            logger.debug("signal for '%s' dropped in state '%s'", refused.event, progress.state)
            return False

    def _rotate_code(self, code: QRCode | PairingCode) -> None:
        progress, connection = self._progress, self.connection
        if code == progress.code:
            return  # the same code again is no news
        if self.codes_left == 0:
            progress.give_up(Transition(Event.FAIL, Failed(Reason.CODES_USED_UP)))
        elif connection is not None and connection.phase is not Phase.LISTENING:
            progress.withhold_code(code)  # it was read; it is handed out once a transport listens
        else:
            self._hand_out(code)

    def _hand_out(self, code: QRCode | PairingCode | None) -> None:
        """Hand a code out; while any is displayed or withheld, the budget allows this one."""
        self._progress.dispatch(Transition(Event.QR_UPDATED, code))
        self.codes_left -= 1

    # Ends

    def _end_by(self, deadline: Deadline) -> Transition:
        """How the state ends by a deadline that ran out; a refresh is spent."""
        if deadline is not Deadline.CODE:
            request = self._request if deadline is Deadline.REQUEST else None
            why = None if request is None else request.unavailable
            return Transition(Event.FAIL, Failed(REASON_OF_DEADLINE[deadline], why))
        if self._progress.withheld:
            return self._failure(TransportUnreachable("none listened while the code lived"))
        if self.refreshes_left > 0 and self.codes_left > 0:
            self.refreshes_left -= 1
            return Transition(Event.EXPIRED)
        never = self._policy.max_refreshes == 0 and self.codes_left > 0
        return Transition(Event.FAIL, Failed(Reason.EXPIRED if never else Reason.CODES_USED_UP))

    def _success(self, paired: Paired, *, already_paired: bool) -> Transition:
        """An account is paired: the right one?"""
        if not self._service.expects(paired.identity):
            return Transition(Event.FAIL, Failed(Reason.WRONG_IDENTITY, data=paired.data))
        return Transition(Event.PAIRED, Connected(paired.identity, paired.data, already_paired))

    def _failure(self, error: Exception) -> Transition:
        """What an error from `request_qr` or the transport means as an end."""
        ever = None if self.connection is None else self.connection.ever_listened
        return Transition(Event.FAIL, failure_by(error, self._progress.state, ever_listened=ever))

    _ACTIVITIES: ClassVar[Mapping[State, Callable[[Any], Awaitable[None]]]] = {
        State.GENERATING: _generate,
        State.DISPLAYED: _display,
    }
    """What each state is for; the others are ends. A test finds the state that is missing."""


STATUS_CHANGED = "status_changed"
"""What a `StatusChanged` is counted under where there is no status to read."""

FINAL = (Paired, PairingRefused, type(None))
"""Answers that are true whatever code they were asked about."""
