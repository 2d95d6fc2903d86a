"""One attempt: from wherever a lifecycle stands to an end, one stay after another.

A stay is lived in its scope, and left before the next begins, whatever ended it. Before a code is
given up the truth is read once more, if the embedding program gave a way to read it. This room must
never know a protocol, nor which rows there are.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable, iscoroutine

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from ..codes import PairingCode, QRCode
from ..errors import (
    EventRefused,
    PeerError,
    QRLifecycleError,
    TransportUnreachable,
    WrongAnswer,
)
from ..machine import MACHINE
from ..outcome import (
    REASON_OF_ERROR,
    Connected,
    Failed,
    Outcome,
    Reason,
)
from ..records import FoundByStatus
from ..signals import (
    ActionRequired,
    Paired,
    PairingRefused,
    QRExpired,
    QRUpdated,
    Scanned,
    Signal,
)
from ..states import Event, State
from ..transports.base import TransportFactory
from .link import Link
from .standing import Standing
from .status import (
    StatusCheck,
    StatusReader,
)
from .stay import (
    CANCELLED,
    REASON_OF_DEADLINE,
    Deadline,
    Stay,
    Step,
)
from .watchers import describe

__all__ = ["Attempt", "Expectation", "QRRequest", "Service"]

QRRequest = Callable[[], Awaitable[QRCode | PairingCode | Paired]]
"""The HTTP request behind "Generate QR": what a lifecycle is given to get a code."""

Expectation = str | Callable[[str | None], bool]
"""The identity that must be linked, or a plain function that says whether an identity is right."""

MISSED = "check_status"
"""What reads of the status that gave no answer are counted under."""

logger = logging.getLogger("qrlifecycle")


@dataclass(frozen=True, slots=True)
class Service:
    """What the embedding program brings: how to ask its service, and how to hear from it."""

    request_qr: QRRequest
    transport: TransportFactory
    check_status: StatusCheck | None = None
    expect_identity: Expectation | None = None


class Attempt:
    """One walk along the table.

    Args:
        standing: where the lifecycle stands.
        service: whom to ask and how to listen.
        company: where reads of the status run; not needed without a `check_status`.
    """

    __slots__ = ("_company", "_ends", "_policy", "_service", "_shown", "_standing", "refreshes")

    def __init__(self, standing: Standing, service: Service, company: TaskGroup | None) -> None:
        self._standing = standing
        self._service = service
        self._company = company
        self._policy = standing.policy
        self._ends = anyio.current_time() + self._policy.attempt_timeout
        self._shown = False
        self.refreshes = self._policy.max_refreshes
        """How many more codes may be asked for without a person asking."""

    async def walk(self) -> Outcome:
        """Walk to an end, and say which; whatever happens, nothing is left behind."""
        standing = self._standing
        standing.stay = Stay(self._policy, standing.reporter)
        try:
            if standing.state is not State.GENERATING:
                standing.commit(Step(Event.GENERATE))
            while True:
                assert standing.stay is not None
                if (outcome := await self._stand(standing.stay)) is not None:
                    return outcome
        except BaseException:
            # Interrupted while it was told of a change; or in a goodbye, for a task can be
            # cancelled natively even under a shield.
            if standing.stay is not None:
                standing.commit(CANCELLED)
            raise

    async def _stand(self, stay: Stay) -> Outcome | None:
        """Stand in the state until a step leads out; whatever happens, leave it, then commit."""
        stay.set_end(Deadline.ATTEMPT, self._ends)
        live = self._generate if self._standing.state is State.GENERATING else self._display
        try:
            while stay.leaving is None:
                verdict: Step | None = None
                with stay.begin():
                    verdict = await live(stay)
                if stay.leaving is None:
                    await self._give_up(stay, verdict)
        except Exception as error:
            stay.end(self._failure(stay, error))
            raise
        except BaseException:
            stay.end(CANCELLED)
            raise
        finally:
            try:
                await self._clear(stay)
            finally:
                assert stay.leaving is not None
                self._standing.commit(stay.leaving)
        _log_failure(stay.leaving.outcome)
        return stay.leaving.outcome

    async def _generate(self, stay: Stay) -> Step | None:
        """Ask for a code; the answer is how to end if there is none."""
        stay.set_deadline(Deadline.REQUEST, self._policy.generate_timeout)
        await anyio.lowlevel.checkpoint_if_cancelled()  # while the state before was being left
        try:
            asked: object = self._service.request_qr()
            if not isawaitable(asked):
                kind = type(asked).__name__
                raise WrongAnswer(f"request_qr must be an async function; it gave back {kind}")
            answer: object = await asked
        except WrongAnswer:
            raise
        except Exception as error:
            if not isinstance(error, PeerError):
                logger.warning("request_qr raised %s", describe(error))
            return self._failure(stay, error)
        if isinstance(answer, QRCode | PairingCode):
            stay.leave(Step(Event.QR_READY, code=answer))
        elif isinstance(answer, Paired):
            stay.leave(self._success(answer, already_paired=True))
        else:
            kind = type(answer).__name__
            raise WrongAnswer(f"request_qr gave back {kind}; give back a code or Paired")
        return None

    async def _display(self, stay: Stay) -> Step | None:
        """Listen while the code is displayed; the answer is how to end if that cannot go on."""
        if stay.link is None:
            stay.link = Link(
                self._service.transport,
                self._policy,
                self._standing.count,
                self._standing.reporter,
            )
            if self._policy.show_at_once:
                self._listening(stay)
        self._read_beside(stay)
        error = await stay.link.hold(
            lambda: self._listening(stay), lambda signal: self._take(stay, signal)
        )
        return None if error is None else self._failure(stay, error)

    async def _give_up(self, stay: Stay, verdict: Step | None) -> None:
        """A deadline has run out or there is a verdict: leave, unless the truth is another."""
        passed = anyio.current_time()
        await self._look_again(stay)
        if stay.leaving is not None:
            return
        if verdict is None and (deadline := stay.run_out(passed)) is not None:
            verdict = self._meaning(stay, deadline)
        if verdict is not None:
            stay.leave(verdict)

    async def _look_again(self, stay: Stay) -> None:
        """The last look: read the status once more, while what still listens goes on listening.

        Without a status to read it takes no time, and finds what has arrived in this very instant.
        """
        reader = self._read_beside(stay) if self._shown else None
        link = stay.link
        with stay.begin_look(0 if reader is None else self._policy.status_timeout) as scope:
            if reader is not None:
                reader.look(satisfied=scope.cancel)
            if link is not None and link.listening:
                await link.listen(lambda signal: self._take(stay, signal))
            if stay.leaving is None:
                await anyio.sleep_forever()
        if reader is not None:
            reader.look(satisfied=None)

    async def _clear(self, stay: Stay) -> None:
        """Leave nothing of a stay: no reading, no transport."""
        try:
            if stay.reader is not None:
                stay.reader.stop()
        finally:
            if stay.link is not None:
                await stay.link.close()

    # Signals, from the transport and from the status

    def _listening(self, stay: Stay) -> bool:
        """A transport listens: hand the code out, if it was not, and ask what was missed."""
        if anyio.current_time() >= stay.scope.deadline:
            return True  # too late for anybody to scan it; listening is cut short
        if stay.leaving is None and not stay.shown:
            self._standing.put(Step(Event.QR_UPDATED, code=stay.code))
            self._shown = True
        if stay.reader is not None:
            stay.reader.want()
        return stay.leaving is None

    def _take(self, stay: Stay, signal: Signal) -> bool:
        """Put a transport's signal to the table, and say whether more can matter."""
        if not isinstance(signal, Signal):
            raise TypeError("receive() must give back a Signal")
        if isinstance(signal, Paired):
            if self._policy.confirm_success and stay.reader is not None:
                stay.reader.doubt()  # anybody may have said so
                return True
            logger.info("pairing event received")
        self._put_signal(stay, signal)
        if stay.succeeded:
            logger.info("connected, immediate success")
        return stay.leaving is None

    def _learn(self, stay: Stay, signal: Signal) -> None:
        """Put what a read of the status found to the table."""
        if stay.leaving is not None:
            return
        self._put_signal(stay, signal)
        if stay.succeeded:
            logger.info("connected, found by check_status")
            reporter, reader = self._standing.reporter, stay.reader
            if reporter is not None and reader is not None and not reader.in_doubt:
                reporter.report(FoundByStatus)

    def _read_beside(self, stay: Stay) -> StatusReader | None:
        """What reads the status beside a stay, from now on; None if there is nothing to read."""
        if self._service.check_status is None or self._company is None:
            return None
        if stay.reader is None:
            stay.reader = StatusReader(
                self._service.check_status,
                self._policy,
                learn=lambda signal: self._learn(stay, signal),
                miss=lambda: self._standing.count({MISSED: 1}),
            )
            self._company.start_soon(stay.reader.run)
        return stay.reader

    def _put_signal(self, stay: Stay, signal: Signal) -> None:
        """Put a signal to the table; one that it does not accept is dropped."""
        if isinstance(signal, QRUpdated):
            if signal.qr == stay.code:
                return  # the same code again is no news
            if not (self._policy.show_at_once or stay.link is None or stay.link.listening):
                stay.keep_back(signal.qr)  # it was read; it is handed out once a transport listens
                return
        try:
            if isinstance(signal, QRExpired):
                MACHINE.row(self._standing.state, signal.event)
                stay.expire_code()
            else:
                self._standing.put(self._step_of(signal))
        except EventRefused:
            self._standing.count({signal.event.value: 1})
            logger.debug(
                "signal for '%s' dropped in state '%s'", signal.event, self._standing.state
            )

    def _step_of(self, signal: Signal) -> Step:
        match signal:
            case Paired():
                return self._success(signal)
            case PairingRefused():
                return Step(signal.event, Failed(signal.reason, data=signal.data))
            case QRUpdated():
                return Step(signal.event, code=signal.qr)
            case ActionRequired():
                return Step(signal.event, action=signal)
            case Scanned():
                return Step(signal.event)
            case _:
                MACHINE.row(self._standing.state, signal.event)
                raise TypeError(f"{type(signal).__name__} carries nothing that is known")

    # Ends

    def _meaning(self, stay: Stay, deadline: Deadline) -> Step:
        """What a deadline that ran out means."""
        if deadline is not Deadline.CODE:
            return Step(Event.FAIL, Failed(REASON_OF_DEADLINE[deadline]))
        if stay.shown:
            return self._expiry()
        return self._failure(stay, TransportUnreachable("none listened while the code lived"))

    def _expiry(self) -> Step:
        """The code ran out: another is asked for while the budget lasts."""
        if self.refreshes > 0:
            self.refreshes -= 1
            return Step(Event.EXPIRED)
        used_up = Reason.CODES_USED_UP if self._policy.max_refreshes else Reason.EXPIRED
        return Step(Event.FAIL, Failed(used_up))

    def _success(self, paired: Paired, *, already_paired: bool = False) -> Step:
        """An account is linked: the right one?"""
        if not _is_expected(paired.identity, self._service.expect_identity):
            return Step(Event.FAIL, Failed(Reason.WRONG_IDENTITY, data=paired.data))
        return Step(Event.PAIRED, Connected(paired.identity, paired.data, already_paired))

    def _failure(self, stay: Stay, error: Exception) -> Step:
        """What an error from `request_qr` or the transport means as an end."""
        generating = self._standing.state is State.GENERATING
        reasons = (reason for kind, reason in REASON_OF_ERROR.items() if isinstance(error, kind))
        otherwise = Reason.GENERATING_FAILED if generating else Reason.TRANSPORT_UNREACHABLE
        reason = next(reasons, otherwise)
        ever_opened = stay.link is not None and stay.link.ever_opened
        if reason is Reason.TRANSPORT_UNREACHABLE and ever_opened:
            reason = Reason.TRANSPORT_LOST
        return Step(Event.FAIL, Failed(reason, error))


def _log_failure(outcome: Outcome | None) -> None:
    """Say why there is no link; the text of our own errors only: it holds no secret."""
    if isinstance(outcome, Failed) and outcome.reason is not Reason.CANCELLED:
        ours = isinstance(outcome.error, QRLifecycleError) and str(outcome.error)
        logger.info("failed, %s: %s", outcome.reason, ours or outcome.reason.meaning)


def _is_expected(identity: str | None, expected: Expectation | None) -> bool:
    if expected is None or isinstance(expected, str):
        return expected in (None, identity)
    try:
        answer: object = expected(identity)
    except Exception as error:
        logger.error("expect_identity raised %s", describe(error))
        return False
    if not isinstance(answer, bool):  # an async function in disguise, perhaps: all of it is true
        logger.error("expect_identity gave back %s, not True or False", type(answer).__name__)
        if iscoroutine(answer):
            answer.close()
        return False
    return answer
