"""The lifecycle: walks the table, and waits. A state is a scope.

One task owns it: the task that awaits `pair()`. While it is in `displayed` it stands inside the
scope of an open transport; to move on it first leaves that scope, whatever made it move. There is
no queue of events: an event is put to the table the moment it arrives, the first one that leads out
of the state decides the row, and what comes later meets a table that no longer accepts it. Time is
an event too, and a deadline is data.

This is the only room that waits and reads a clock. It must never know a protocol, nor which rows
there are.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import anyio
from anyio import EndOfStream

from .errors import (
    EventRefused,
    PairingInProgress,
    PeerError,
    TransportError,
    TransportLost,
    UsageError,
    WrongAnswer,
    WrongThread,
)
from .events import Event
from .machine import MACHINE
from .outcome import REASON_OF_ERROR, Connected, Failed, Outcome, Reason
from .policy import Policy
from .qr import QRCode
from .signals import ConnectionFailed, Paired, QRExpired, QRUpdated, Signal
from .states import State
from .stay import CANCELLED, REASON_OF_DEADLINE, Deadline, Stay, Step
from .table import INITIAL
from .transports.base import Transport, TransportFactory
from .watchers import Change, Changes, Hook, Watchers, describe

__all__ = ["QRLifecycle"]

QRRequest = Callable[[], Awaitable[QRCode | Paired]]
"""The HTTP request behind "Generate QR": what a lifecycle is given to get a code."""

logger = logging.getLogger("qrlifecycle")


class QRLifecycle:
    """The lifecycle of a QR code that somebody scans to link an account.

    Args:
        request_qr: async function that asks the service for a code; gives back a `QRCode`, or
            `Paired` if the account is linked already.
        transport: called once for each opening; gives back a fresh `Transport`.
        policy: deadlines and budgets.
        on_connected: told the `Connected` outcome.
        on_qr_updated: told each code to show, the first as well as its replacements.
        on_connection_failed: told the `Failed` outcome, but not of a cancellation.
        on_change: told every `Change`.

    A hook may be plain or async. Plain ones are called in the event loop and must not block; async
    ones run beside the lifecycle, in order, and `pair()` waits for them before it returns, at most
    ``policy.hook_timeout`` seconds for each call. What happens while no `pair()` runs is told to an
    async hook when the next one starts.
    """

    __slots__ = (
        "__weakref__",
        "_attempt_ends",
        "_dropped",
        "_policy",
        "_qr",
        "_refreshes",
        "_request_qr",
        "_state",
        "_stay",
        "_thread",
        "_transport",
        "_watchers",
    )

    def __init__(
        self,
        request_qr: QRRequest,
        transport: TransportFactory,
        *,
        policy: Policy | None = None,
        on_connected: Hook[Connected] | None = None,
        on_qr_updated: Hook[QRCode] | None = None,
        on_connection_failed: Hook[Failed] | None = None,
        on_change: Hook[Change] | None = None,
    ) -> None:
        hooks = {
            "on_connected": on_connected,
            "on_qr_updated": on_qr_updated,
            "on_connection_failed": on_connection_failed,
            "on_change": on_change,
        }
        given = {name: hook for name, hook in hooks.items() if hook is not None}
        _require_functions(request_qr=request_qr, transport=transport, **given)
        if not isinstance(policy, Policy | None):
            raise WrongAnswer(f"policy must be a Policy, not {policy!r}")
        self._request_qr = request_qr
        self._transport = transport
        self._policy = policy or Policy()
        self._watchers = Watchers(given, self._policy.hook_timeout)
        self._state = INITIAL
        self._stay: Stay | None = None
        self._qr: QRCode | None = None
        self._thread: int | None = None
        self._refreshes = 0
        self._attempt_ends = math.inf
        self._dropped: Counter[str] | None = None

    def __repr__(self) -> str:
        socket = "open" if self.socket_open else "closed"
        return f"<QRLifecycle {self._state}, socket {socket}>"

    # What can be seen

    @property
    def state(self) -> State:
        """Where the lifecycle stands."""
        return self._state

    @property
    def qr(self) -> QRCode | None:
        """The code to show now, or None when there is none to show."""
        return self._qr

    @property
    def socket_open(self) -> bool:
        """Whether a transport is held, from before its opening until it is gone."""
        return self._stay is not None and self._stay.transport is not None

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many messages became no signal, by cause, and how many signals were not accepted.

        The former are known once their transport is closed; the latter stand under their event.
        """
        return dict(self._dropped or {})

    def changes(self) -> Changes:
        """The changes from now on, as an async iterator that ends with the attempt."""
        return self._watchers.changes()

    # What can be done

    async def pair(self) -> Outcome:
        """Walk the lifecycle from here to an end, and say how it ended.

        When it has returned or raised, nothing is left behind: no socket, no task, no timer.

        Raises:
            PairingInProgress: another `pair()` of this lifecycle runs.
            UsageError: `request_qr` or the transport was used in a way that cannot be; also
                whatever the transport factory itself raised. The state is `failed`.
        """
        if self._thread is not None:
            raise PairingInProgress(self._state)
        self._thread = threading.get_ident()
        try:
            if not self._watchers.hooked:
                return await self._walk()
            return await self._walk_beside_hooks()
        finally:
            self._thread = None

    def generate(self) -> None:
        """Ask for a code: a fresh one while one is displayed; else for the next `pair()` to fetch.

        A person asked, so the budget of refreshes starts anew.

        Raises:
            EventRefused: a code is being asked for already.
        """
        self._put(Step(Event.GENERATE))
        self._refreshes = self._policy.refreshes

    def cancel(self) -> bool:
        """Leave, because the person went away. Welcome in any state.

        Returns:
            Whether there was anything to leave.
        """
        try:
            self._put(CANCELLED)
        except EventRefused:
            return False
        return True

    def reset(self) -> None:
        """Go back to `idle` from an end.

        Raises:
            EventRefused: the lifecycle is not at an end.
        """
        self._put(Step(Event.RESET))

    # The walk

    async def _walk_beside_hooks(self) -> Outcome:
        end: Outcome | Exception | None = None
        async with anyio.create_task_group() as tasks:
            self._watchers.run_in(tasks)
            try:
                end = await self._walk()
            except Exception as error:  # kept out of the group, which would wrap it
                end = error
            finally:
                self._watchers.run_in(None)
        assert end is not None
        if isinstance(end, Exception):
            raise end
        return end

    async def _walk(self) -> Outcome:
        self._attempt_ends = anyio.current_time() + self._policy.attempt_timeout
        self._refreshes = self._policy.refreshes
        self._stay = Stay()
        if self._state is not State.GENERATING:
            self._commit(Step(Event.GENERATE))
        while True:
            if (outcome := await self._stand(self._stay)) is not None:
                return outcome

    async def _stand(self, stay: Stay) -> Outcome | None:
        """Stand in the state until a step leads out; whatever happens, leave it, then commit."""
        stay.set_deadline(Deadline.ATTEMPT, self._attempt_ends)
        live = self._generate if self._state is State.GENERATING else self._display
        try:
            with stay.scope:
                if stay.leaving is None:
                    await live(stay)
            if stay.leaving is None:
                self._run_out(stay)
        except Exception as error:
            stay.end(self._failure(stay, error))
            raise
        except BaseException:
            stay.end(CANCELLED)
            raise
        finally:
            try:
                await self._close(stay)
            finally:
                assert stay.leaving is not None
                self._commit(stay.leaving)
        return stay.leaving.outcome

    async def _generate(self, stay: Stay) -> None:
        stay.set_deadline(Deadline.REQUEST, anyio.current_time() + self._policy.generate_timeout)
        try:
            answer: object = await self._request_qr()
        except Exception as error:
            if not isinstance(error, PeerError):
                logger.warning("request_qr raised %s", describe(error))
            stay.leave(self._failure(stay, error))
            return
        if isinstance(answer, QRCode):
            stay.leave(Step(Event.QR_READY, qr=answer))
        elif isinstance(answer, Paired):
            linked = Connected(answer.identity, answer.data, already_linked=True)
            stay.leave(Step(Event.PAIRED, linked))
        else:
            kind = type(answer).__name__
            raise WrongAnswer(f"request_qr gave back {kind}; it must give back QRCode or Paired")

    async def _display(self, stay: Stay) -> None:
        self._start_clock(stay)
        stay.set_deadline(Deadline.OPENING, anyio.current_time() + self._policy.open_timeout)
        if self._policy.show_at_once:
            self._show(stay)
        if stay.leaving is not None:  # whoever was shown it has gone away
            return
        transport: object = self._transport()
        if not isinstance(transport, Transport):
            kind = type(transport).__name__
            raise WrongAnswer(f"the transport factory gave back {kind}, which is no Transport")
        stay.transport = transport
        try:
            await self._listen(stay, transport)
        except EndOfStream:
            stay.leave(self._failure(stay, TransportLost("the peer closed the connection")))
        except TransportError as error:
            stay.leave(self._failure(stay, error))
        except UsageError:
            raise
        except Exception as error:
            logger.error("the transport broke its contract: it raised %s", describe(error))
            stay.leave(self._failure(stay, error))
        except GeneratorExit:  # nothing may be awaited any more: _close() would be too late
            transport.abort()
            stay.transport = None
            raise

    async def _listen(self, stay: Stay, transport: Transport) -> None:
        logger.info("connecting for QR display")
        await transport.open()
        stay.set_deadline(Deadline.OPENING, None)
        logger.info("connected for QR display")
        if stay.leaving is None and not self._policy.show_at_once:
            self._show(stay)
        while stay.leaving is None:
            self._take(await transport.receive())

    async def _close(self, stay: Stay) -> None:
        """A bounded polite goodbye, then the door is shut by force."""
        if (transport := stay.transport) is None:
            return
        try:
            with anyio.move_on_after(self._policy.close_timeout, shield=True):
                await transport.aclose()
        except Exception as error:
            logger.debug("the transport's goodbye failed: %s", type(error).__name__)
        finally:
            transport.abort()
            stay.transport = None
            self._count(transport.dropped)
            logger.info("transport closed")

    # Steps

    def _put(self, step: Step, *, wake: bool = True) -> None:
        """Put a step to the table, now: it is noted, it decides where to go, or it is refused."""
        if self._thread not in (None, threading.get_ident()):
            raise WrongThread(step.event)
        row = MACHINE.row(self._state, step.event)
        stay = self._stay
        if stay is None or (row.internal and stay.leaving is None):
            self._commit(step)
        elif row.internal or not stay.leave(step, wake=wake):
            raise EventRefused(self._state, step.event)

    def _take(self, signal: Signal) -> None:
        """Put a signal to the table; one that it does not accept is dropped."""
        if isinstance(signal, Paired):
            logger.info("pairing event received")
        if not isinstance(signal, Signal):
            raise TypeError("receive() must give back a Signal")
        step = self._step_of(signal)
        try:
            self._put(step, wake=False)  # the owner is awake: it has just received the signal
        except EventRefused:
            self._count({step.event.value: 1})
            logger.debug("signal for '%s' dropped in state '%s'", step.event, self._state)
            return
        if isinstance(step.outcome, Connected):
            logger.info("connected, immediate success")

    def _count(self, dropped: Mapping[str, int]) -> None:
        if dropped:
            self._dropped = self._dropped or Counter()
            self._dropped.update(dropped)

    def _commit(self, step: Step) -> None:
        """Take the row, and tell."""
        source = self._state
        MACHINE.fire(self, step.event)
        if self._state is source:
            self._note(step)
        else:
            self._qr = None
            self._watchers.forget("on_qr_updated")
            if self._stay is not None:
                self._stay.qr = None  # an error's traceback may keep the stay, but not the secret
                self._stay = Stay(step.qr) if step.outcome is None else None
        self._watchers.tell("on_change", Change(source, step.event, self._state, step.outcome))
        if step.event is Event.QR_UPDATED:
            self._watchers.tell("on_qr_updated", step.qr)
        elif isinstance(step.outcome, Connected):
            self._watchers.tell("on_connected", step.outcome)
        elif step.event is Event.FAIL:
            self._watchers.tell("on_connection_failed", step.outcome)

    def _note(self, step: Step) -> None:
        """What an internal row changes: the code on screen, and whose clock runs."""
        stay = self._stay
        assert stay is not None
        if step.event is Event.SCANNED:
            stay.set_deadline(Deadline.CODE, None)
            if Deadline.CONFIRMATION not in stay.deadlines:
                wait = self._policy.confirm_timeout
                stay.set_deadline(Deadline.CONFIRMATION, anyio.current_time() + wait)
        elif step.qr is not None:
            self._qr = step.qr
            if step.qr is not stay.qr:
                stay.qr = step.qr
                stay.set_deadline(Deadline.CONFIRMATION, None)
                self._start_clock(stay)

    def _show(self, stay: Stay) -> None:
        self._put(Step(Event.QR_UPDATED, qr=stay.qr))

    def _start_clock(self, stay: Stay) -> None:
        """Give the code its lifetime from now."""
        lifetime = stay.qr.expires_in if stay.qr is not None else None
        lifetime = self._policy.qr_lifetime if lifetime is None else lifetime
        stay.set_deadline(Deadline.CODE, anyio.current_time() + lifetime)

    def _run_out(self, stay: Stay) -> None:
        """A deadline has ended the stay: say what that means."""
        deadline = min(stay.deadlines, key=stay.deadlines.__getitem__)
        if deadline is Deadline.CODE:
            stay.leave(self._expiry())
        else:
            stay.leave(Step(Event.FAIL, Failed(REASON_OF_DEADLINE[deadline])))

    def _expiry(self) -> Step:
        """The code ran out: another is asked for while the budget lasts."""
        if self._refreshes > 0:
            self._refreshes -= 1
            return Step(Event.EXPIRED)
        used_up = Reason.REFRESHES_USED_UP if self._policy.refreshes else Reason.EXPIRED
        return Step(Event.FAIL, Failed(used_up))

    def _step_of(self, signal: Signal) -> Step:
        match signal:
            case Paired():
                return Step(signal.event, Connected(signal.identity, signal.data))
            case ConnectionFailed():
                return Step(signal.event, Failed(signal.reason, data=signal.data))
            case QRUpdated():
                return Step(signal.event, qr=signal.qr)
            case QRExpired():
                return self._expiry()
            case _:
                return Step(signal.event)

    def _failure(self, stay: Stay, error: Exception) -> Step:
        """What an error from `request_qr` or the transport means as an end."""
        reasons = (reason for kind, reason in REASON_OF_ERROR.items() if isinstance(error, kind))
        if self._state is State.GENERATING:
            otherwise = Reason.GENERATING_FAILED
        elif Deadline.OPENING in stay.deadlines:
            otherwise = Reason.TRANSPORT_UNREACHABLE
        else:
            otherwise = Reason.TRANSPORT_LOST
        return Step(Event.FAIL, Failed(next(reasons, otherwise), error))


def _require_functions(**functions: object) -> None:
    for name, function in functions.items():
        if not callable(function):
            kind = type(function).__name__
            raise WrongAnswer(f"{name} must be a function that is called later, not {kind}")
