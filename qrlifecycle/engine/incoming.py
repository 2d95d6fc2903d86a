"""What comes in while a state lasts, from the transport and from the status, and what it leads to.

A signal is put to the table the moment it comes, whoever brings it; what the table does not accept
is dropped and counted. From a transport it is taken as it is, but for a success that is to be
confirmed first. What a read of the status answers may be too late, or about an older code, and is
then of no use, unless it is a success. Whatever comes in is also a moment in which somebody looks
whether the machine has slept.
"""

from __future__ import annotations

import anyio

from ..codes import PairingCode, QRCode
from ..errors import EventRefused
from ..logs import logger
from ..machine import MACHINE
from ..outcome import Connected
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
from ..states import Event, Phase
from .connection import Connection
from .failures import failure_of_code, failure_of_identity, failure_told
from .progress import Progress, Transition
from .service import Service
from .status import Answer, StatusReader
from .user_code import BackgroundTasks

__all__ = ["Incoming"]

STATUS_CHANGED = "status_changed"
"""What a `StatusChanged` is counted under where there is no status to read."""

FINAL = (Paired, PairingRefused, type(None))
"""Answers that are true whatever code they were asked about."""


class Incoming:
    """What is listened to and read in one state after another.

    Args:
        progress: how far the lifecycle is.
        service: whom to ask for the status, and whose account it is to be.
        tasks: where the status is read.
    """

    __slots__ = (
        "_progress",
        "_service",
        "_sleep",
        "_tasks",
        "connection",
        "late_success",
        "reader",
    )

    def __init__(self, progress: Progress, service: Service, tasks: BackgroundTasks) -> None:
        self._progress = progress
        self._service = service
        self._tasks = tasks
        self._sleep = SleepWatch()
        self.connection: Connection | None = None
        """To the peer, while a code is displayed."""
        self.reader: StatusReader | None = None
        """Of the status, if there is one; it outlives its state if it has a read to finish."""
        self.late_success: Paired | None = None
        """A success that a read found which was finished when another code was decided on."""

    # From the transport

    def take_signal(self, signal: Signal | None) -> None:
        """Put a transport's signal to the table; None: a transport has come to listen."""
        self.notice_sleep()  # before a newer code's time begins
        if signal is None:
            self._begin_listening()
        elif isinstance(signal, StatusChanged):
            self._read_changed_status()
        elif not isinstance(signal, Paired):
            self._dispatch(signal)
        elif self._progress.policy.confirm_success:
            assert self.reader is not None, "a policy that needs a status has one"
            self.reader.confirm_success()  # anybody may have said so
            logger.debug("pairing event received; check_status has to confirm it")
        else:
            logger.info("pairing event received")
            if self._dispatch(signal):
                logger.info("connected, immediate success")

    def _begin_listening(self) -> None:
        """Hand the code out, if it was not, and read what was missed."""
        progress = self._progress
        if anyio.current_time() >= progress.earlier_deadline:
            return  # too late for anybody to scan it; listening is cut short
        if progress.withheld and progress.pending is None:
            progress.dispatch(Transition(Event.QR_UPDATED, progress.code))
        if self.reader is not None:
            self.reader.request_read()

    def _read_changed_status(self) -> None:
        if (reader := self.reader) is not None:
            reader.read_change()
        else:
            self._progress.observers.count({STATUS_CHANGED: 1})
            logger.debug("signal that the status has changed dropped: there is no check_status")

    # From the status

    def read_status_beside(self) -> StatusReader | None:
        """What reads the status beside this state from now on; None if there is none to read."""
        if self._service.check_status is None:
            return None
        if self.reader is None or self.reader.scope.cancel_called:
            self.reader = StatusReader(self._service.check_status, self._progress)
            self._tasks.start(self._read_status, self.reader)
        self.reader.resume()
        return self.reader

    async def _read_status(self, reader: StatusReader) -> None:
        """Put one answer after another to the table, until the state is left."""
        with reader.scope:
            while True:
                if self._take_answer(reader, await reader.next_answer()):
                    await reader.pause()

    def _take_answer(self, reader: StatusReader, answer: Answer | None) -> bool:
        """Put an answer to the table, if there is one; say whether there is."""
        progress = self._progress
        self.notice_sleep()
        if answer is None:
            return False
        if reader.stopped or progress.pending is not None:
            # Too late: it could not be stopped on its way, or was to be finished.
            if progress.policy.finish_reads and isinstance(answer.signal, Paired):
                self._take_late_success(answer.signal)
            return True
        # An answer says nothing of a code that is newer than the one that it was asked about.
        stale = answer.code is not progress.code and not isinstance(answer.signal, FINAL)
        if answer.signal is not None and not stale:
            self.take_status(answer.signal, claimed=reader.confirming or reader.change_told)
        reader.accept(again=stale or reader.confirming)
        # An answer ends the final status check, whatever it says, unless another is to be had.
        if progress.final_check and not reader.read_requested:
            progress.end_wait()
        else:
            progress.wake()
        return True

    def _take_late_success(self, paired: Paired) -> None:
        """A read that was finished found a success when its state was left already, or about to be.

        It is told once. So it counts now or, where a row to `generating` is pending, right after.
        """
        if self._progress.pending is None:
            self.take_status(paired, claimed=False)
            self._progress.wake()
        else:
            self.late_success = paired

    def take_status(self, signal: Signal, *, claimed: bool) -> None:
        """Put what a read of the status found to the table.

        Args:
            signal: what it found.
            claimed: whether the wire claimed a success, or said that the status has changed, and
                a success is confirmed by this; else the status is the first to tell.
        """
        if self._dispatch(signal):
            how = "confirmed" if claimed else "found"
            logger.info("connected, %s by check_status", how)
            recording = self._progress.observers.recording
            if recording is not None and not claimed:
                recording.record(FoundByStatus)

    # From `request_qr`

    def take_paired(self, paired: Paired) -> None:
        """The service gave no code, for the account is paired already."""
        progress = self._progress
        transition = self._success(paired, already_paired=True)
        progress.decide(transition)
        if progress.pending is transition and transition.event is Event.PAIRED:
            logger.info("connected, already paired")

    # What it leads to

    def _dispatch(self, signal: Signal) -> bool:
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
                    transition = Transition(Event.FAIL, failure_told(signal))
                case ActionRequired():
                    transition = Transition(Event.ACTION_REQUIRED, signal)
                case Scanned():
                    transition = Transition(Event.SCANNED, signal)
                case QRUpdated():
                    self._rotate_code(signal.qr)
                    return False
                case QRExpired() if signal.event is Event.EXPIRED:
                    MACHINE.row(progress.state, signal.event)
                    progress.expire_code(signal.error)
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

    def _success(self, paired: Paired, *, already_paired: bool) -> Transition:
        """An account is paired: the right one?"""
        if not self._service.expects(paired.identity):
            return Transition(Event.FAIL, failure_of_identity(paired.data))
        return Transition(Event.PAIRED, Connected(paired.identity, paired.data, already_paired))

    def _rotate_code(self, code: QRCode | PairingCode) -> None:
        progress, connection = self._progress, self.connection
        if code == progress.code:
            return  # the same code again is no news
        if progress.codes_left == 0:
            progress.give_up(Transition(Event.FAIL, failure_of_code(progress.policy, 0)))
        elif connection is not None and not connection.listens:
            progress.withhold_code(code)  # it was read; it is handed out once a transport listens
        else:
            progress.dispatch(Transition(Event.QR_UPDATED, code))

    # Nobody tells that the machine slept

    def notice_sleep(self) -> None:
        """What ran out while the machine slept has run out, and is not waited for.

        Where only the wall clock has jumped nobody knows. It ends nothing: the status is read, and
        another code is asked for, if the budget allows. A final status check is not disturbed.
        """
        progress = self._progress
        if progress.final_check:
            return
        slept, jumped = self._sleep.look()
        if not slept and not jumped:
            return
        logger.info("the machine slept for %.0f s, or its clock was put forward", slept)
        progress.pass_time(slept)
        if jumped and progress.phase is Phase.SCANNING and progress.refreshes_left > 0:
            progress.run_out()
        if self.reader is not None and anyio.current_time() < progress.earlier_deadline:
            self.reader.request_read()  # else it is about to be read, before the code is given up
