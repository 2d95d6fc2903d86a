"""The lifecycle: walks the table. A state is a scope.

One task owns it: the task that awaits `pair()`. While it is in `displayed` it stands inside the
scope of an open transport; to move on it first leaves that scope, whatever made it move. There is
no queue of events: an event is put to the table the moment it arrives, the first one that leads out
of the state decides the row, and what comes later meets a table that no longer accepts it. Time is
an event too, and a deadline is data.

This room is what an embedding program holds; `attempt` walks, `standing` knows where, `stay` has
the clocks, `link` keeps a transport open, and `status` reads the truth. It must never know a
protocol, nor which rows there are.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from inspect import iscoroutinefunction

import anyio
from anyio.abc import TaskGroup

from .codes import PairingCode, QRCode
from .engine.attempt import (
    Attempt,
    Expectation,
    QRRequest,
    Service,
)
from .engine.standing import Standing
from .engine.status import StatusCheck
from .engine.stay import (
    CANCELLED,
    Step,
)
from .engine.watchers import (
    Change,
    Changes,
    Hook,
    Watchers,
)
from .errors import (
    EventRefused,
    PairingInProgress,
    WrongAnswer,
)
from .outcome import (
    Connected,
    Failed,
    Outcome,
)
from .policy import Policy
from .records import (
    Recorder,
    Reporter,
)
from .signals import ActionRequired
from .states import Event, State
from .transports.base import TransportFactory

__all__ = ["QRLifecycle"]


class QRLifecycle:
    """The lifecycle of a QR code that somebody scans to link an account.

    Args:
        request_qr: async function that asks the service for a code; gives back a `QRCode`, a
            `PairingCode` to be typed, or `Paired` if the account is linked already.
        transport: called once for each opening; gives back a fresh `Transport`.
        policy: deadlines and budgets.
        check_status: async function that asks the service how far the pairing is; gives back
            `Paired`, any other signal, or None if there is nothing to say. It is called on each
            opening and before a code is given up, for servers do not repeat what nobody heard.
        expect_identity: the identity that must be linked, or a plain function that is given the
            identity (None if the service does not tell) and says whether it is the right one.
        on_connected: told the `Connected` outcome.
        on_qr_updated: told each QR code to show, the first as well as its replacements.
        on_pairing_code: the same for codes to type.
        on_action_required: told what the service requires of the person.
        on_connection_failed: told the `Failed` outcome, but not of a cancellation.
        on_change: told every `Change`.
        recorders: each is told every `Record`, in the instant; an `Audit`, a `Journal`, or any
            plain function that does not block.

    A hook may be plain or async. Plain ones are called in the event loop and must not block; async
    ones run beside the lifecycle, in order, and `pair()` waits for them before it returns, at most
    ``policy.hook_timeout`` seconds for each call. What happens while no `pair()` runs is told to an
    async hook when the next one starts.

    Raises:
        WrongAnswer: something of the wrong kind was given, or a policy that needs `check_status`
            without one.
    """

    __slots__ = ("__weakref__", "_attempt", "_service", "_standing")

    def __init__(
        self,
        request_qr: QRRequest,
        transport: TransportFactory,
        *,
        policy: Policy | None = None,
        check_status: StatusCheck | None = None,
        expect_identity: Expectation | None = None,
        on_connected: Hook[Connected] | None = None,
        on_qr_updated: Hook[QRCode] | None = None,
        on_pairing_code: Hook[PairingCode] | None = None,
        on_action_required: Hook[ActionRequired] | None = None,
        on_connection_failed: Hook[Failed] | None = None,
        on_change: Hook[Change] | None = None,
        recorders: Sequence[Recorder] = (),
    ) -> None:
        hooks = {
            "on_connected": on_connected,
            "on_qr_updated": on_qr_updated,
            "on_pairing_code": on_pairing_code,
            "on_action_required": on_action_required,
            "on_connection_failed": on_connection_failed,
            "on_change": on_change,
        }
        given = {name: hook for name, hook in hooks.items() if hook is not None}
        _require_functions(request_qr=request_qr, transport=transport, **given)
        _require_fitting(policy, check_status, expect_identity)
        _require_recorders(recorders)
        policy = policy or Policy()
        self._service = Service(request_qr, transport, check_status, expect_identity)
        reporter = Reporter(tuple(recorders)) if recorders else None
        self._standing = Standing(policy, Watchers(given, policy.hook_timeout), reporter)
        self._attempt: Attempt | None = None

    def __repr__(self) -> str:
        socket = "open" if self.socket_open else "closed"
        return f"<QRLifecycle {self.state}, socket {socket}>"

    # What can be seen

    @property
    def state(self) -> State:
        """Where the lifecycle stands."""
        return self._standing.state

    @property
    def qr(self) -> QRCode | None:
        """The code to show now, or None when there is none to show."""
        return code if isinstance(code := self._standing.code, QRCode) else None

    @property
    def pairing_code(self) -> PairingCode | None:
        """The code to type now, or None when there is none."""
        return code if isinstance(code := self._standing.code, PairingCode) else None

    @property
    def action(self) -> ActionRequired | None:
        """What the service requires of the person now, or None when it requires nothing."""
        stay = self._standing.stay
        return None if stay is None else stay.action

    @property
    def socket_open(self) -> bool:
        """Whether a transport is held, from before its opening until it is gone."""
        stay = self._standing.stay
        return stay is not None and stay.link is not None and stay.link.transport is not None

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many messages became no signal, by cause, and how many signals were not accepted.

        The former are known once their transport is closed; the latter stand under their event.
        Under ``check_status`` stands how many reads of the status gave no answer.
        """
        return dict(self._standing.dropped or {})

    def changes(self) -> Changes:
        """The changes from now on, as an async iterator that ends with the attempt."""
        return self._standing.watchers.changes()

    # What can be done

    async def pair(self) -> Outcome:
        """Walk the lifecycle from here to an end, and say how it ended.

        When it has returned or raised, nothing is left behind: no socket, no task, no timer. It may
        be called again after any end; no `reset()` is needed.

        Raises:
            PairingInProgress: another `pair()` of this lifecycle runs.
            UsageError: `request_qr` or the transport was used in a way that cannot be; also
                whatever the transport factory itself raised. The state is `failed`.
        """
        standing = self._standing
        if standing.thread is not None:
            raise PairingInProgress(standing.state)
        standing.thread = threading.get_ident()
        try:
            if standing.reporter is not None:
                standing.reporter.begin(standing.policy)
            if not standing.watchers.hooked and self._service.check_status is None:
                return await self._walk(None)
            return await self._walk_in_company()
        finally:
            standing.thread = None
            if standing.reporter is not None:
                standing.reporter.end()

    def generate(self) -> None:
        """Ask for a code: a fresh one while one is displayed; else for the next `pair()` to fetch.

        A person asked, so the budget of refreshes starts anew.

        Raises:
            EventRefused: a code is being asked for already.
        """
        self._standing.put(Step(Event.GENERATE))
        if self._attempt is not None:
            self._attempt.refreshes = self._standing.policy.max_refreshes

    def cancel(self) -> bool:
        """Leave, because the person went away. Welcome in any state.

        Returns:
            Whether there was anything to leave.
        """
        try:
            self._standing.put(CANCELLED)
        except EventRefused:
            return False
        return True

    def reset(self) -> None:
        """Go back to `idle` from an end.

        Raises:
            EventRefused: the lifecycle is not at an end.
        """
        self._standing.put(Step(Event.RESET))

    # The walk

    async def _walk(self, company: TaskGroup | None) -> Outcome:
        self._attempt = Attempt(self._standing, self._service, company)
        try:
            return await self._attempt.walk()
        finally:
            self._attempt = None

    async def _walk_in_company(self) -> Outcome:
        """Walk beside async hooks and reads of the status."""
        watchers = self._standing.watchers
        end: Outcome | BaseException | None = None
        async with anyio.create_task_group() as company:
            watchers.run_in(company)
            try:
                end = await self._walk(company)
            except Exception as error:  # kept out of the group, which would wrap it
                end = error
            except BaseException as error:
                end = error  # a group may swallow it
                raise
            finally:
                watchers.run_in(None)
        assert end is not None
        if isinstance(end, BaseException):
            raise end
        return end


def _require_functions(**functions: object) -> None:
    for name, function in functions.items():
        if not callable(function):
            kind = type(function).__name__
            raise WrongAnswer(f"{name} must be a function that is called later, not {kind}")


def _require_recorders(recorders: object) -> None:
    if not isinstance(recorders, Sequence):
        kind = type(recorders).__name__
        raise WrongAnswer(f"recorders must be a list of plain functions, not {kind}")
    for recorder in recorders:
        _require_functions(**{"each of recorders": recorder})
        if iscoroutinefunction(recorder):
            raise WrongAnswer("a recorder must be a plain function, not an async one")


def _require_fitting(policy: object, check_status: object, expect_identity: object) -> None:
    if not isinstance(policy, Policy | None):
        raise WrongAnswer(f"policy must be a Policy, not {policy!r}")
    if check_status is not None:
        _require_functions(check_status=check_status)
    elif policy is not None and policy.confirm_success:
        raise WrongAnswer("policy.confirm_success needs a check_status")
    elif policy is not None and policy.status_interval < math.inf:
        raise WrongAnswer("policy.status_interval needs a check_status")
    if not isinstance(expect_identity, str | None) and not callable(expect_identity):
        raise WrongAnswer("expect_identity must be text or a plain function")
    if iscoroutinefunction(expect_identity):
        raise WrongAnswer("expect_identity must be a plain function, not an async one")
