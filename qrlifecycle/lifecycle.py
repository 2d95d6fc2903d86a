"""The lifecycle as an embedding program holds it: its face.

One task owns a lifecycle: the task that awaits `pair()`. While it is in `displayed` it is inside
the scope of an open transport; to move on it first leaves that scope, whatever made it move. How it
does so is in `engine`: `attempt` is the loop, `progress` what it decides on, `connection` keeps a
transport open, `status` reads beside it, `incoming` says what both lead to, and `observers` are
notified.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable, Mapping, Sequence
from inspect import iscoroutinefunction

import anyio

from .calling import no_plain_function, no_such_call
from .codes import PairingCode, QRCode
from .engine.attempt import Attempt
from .engine.hooks import Hook
from .engine.observers import Change, Changes
from .engine.progress import CANCELLED, Progress, Transition
from .engine.service import Expectation, QRRequest, Service, StatusCheck
from .engine.snapshot import Snapshot, take_snapshot
from .errors import EventRefused, NotPairing, PairingInProgress, WrongAnswer, WrongThread
from .leases.base import LeaseFactory
from .logs import About
from .outcome import Connected, Failed, Outcome
from .policy import ORDINARY, Policy
from .records import Recorder
from .secrecy import NotPickled, forgetful, shown_half_made
from .signals import ActionRequired, Scanned
from .states import ENDS, Event, State
from .transports.base import TransportFactory

__all__ = ["QRLifecycle", "expect_pair", "warn_of_unseen_codes"]

TIME_IS_THE_LOOPS = (
    "code_expires_in was read in another thread than pair()'s, whose time it is: read it there, or "
    "from BlockingPairings.look()"
)


@shown_half_made
class QRLifecycle(NotPickled):
    """The lifecycle of a QR code that somebody scans to pair an account.

    ::

        transport = partial(SocketIOTransport, url, bot_id="bot-7", user_id="user-123")
        outcome = await QRLifecycle(request_qr, transport, on_qr_updated=show).pair()

    Args:
        request_qr: async function that asks the service for a code; gives back a `QRCode`, a
            `PairingCode` to be typed, or `Paired` if the account is paired already.
        transport: plain function that is called once for each opening; gives back a fresh
            `Transport`.
        policy: deadlines and budgets.
        check_status: async function that asks the service how far the pairing is; gives back
            `Paired`, any other signal, or None if there is nothing to say. It is called on each
            opening, before a code is given up, and when no code comes, for servers do not repeat
            what nobody heard.
        expect_identity: the identity that must be paired, or a plain function that is given the
            identity (None if the service does not tell) and says whether it is the right one.
        lease: plain function that makes a fresh lease of the user (`qrlifecycle.leases`); one that
            `pair()` waits for before it asks for a code, and gives back when nothing is left.
        on_connected: told the `Connected` outcome.
        on_qr_updated: told each QR code to show, the first as well as its replacements.
        on_pairing_code: the same for codes to type.
        on_scanned: told that the phone has the code: "now approve on your phone".
        on_action_required: told what the service requires of the person.
        on_connection_failed: told the `Failed` outcome; a cancellation is none.
        on_change: told every `Change`.
        recorders: each is told every `Record`, in the instant; an `Audit`, a `Journal`, or any
            plain function that does not block.

    A hook may be plain or async. Plain ones are called in the event loop and must not block; async
    ones run beside the lifecycle, in order, and `pair()` waits for them before it returns, at most
    ``policy.hook_timeout`` seconds for each call. What happens while no `pair()` runs is told to an
    async hook when the next one starts. What a hook raises is logged and changes nothing, but for
    the three that show the person something (a code, a code to type, an action): what nobody can
    see ends the attempt, with the reason ``showing_failed``.

    Raises:
        WrongAnswer: something of the wrong kind was given, a function that cannot be called as it
            would be (without arguments; a hook with one), or a policy that needs `check_status`
            without one.
    """

    __slots__ = ("__weakref__", "_attempt", "_expected", "_progress", "_service")

    @forgetful
    def __init__(
        self,
        request_qr: QRRequest,
        transport: TransportFactory,
        *,
        policy: Policy | None = None,
        check_status: StatusCheck | None = None,
        expect_identity: Expectation | None = None,
        lease: LeaseFactory | None = None,
        on_connected: Hook[Connected] | None = None,
        on_qr_updated: Hook[QRCode] | None = None,
        on_pairing_code: Hook[PairingCode] | None = None,
        on_scanned: Hook[Scanned] | None = None,
        on_action_required: Hook[ActionRequired] | None = None,
        on_connection_failed: Hook[Failed] | None = None,
        on_change: Hook[Change] | None = None,
        recorders: Sequence[Recorder] = (),
    ) -> None:
        hooks = {
            "on_connected": on_connected,
            "on_qr_updated": on_qr_updated,
            "on_pairing_code": on_pairing_code,
            "on_scanned": on_scanned,
            "on_action_required": on_action_required,
            "on_connection_failed": on_connection_failed,
            "on_change": on_change,
        }
        given = {name: hook for name, hook in hooks.items() if hook is not None}
        require_functions(0, request_qr=request_qr, transport=transport)
        require_functions(1, **given)
        if lease is not None:
            require_functions(0, lease=lease)
        _require_fitting(policy, check_status, expect_identity)
        _require_hearing(transport, policy)
        require_recorders(recorders)
        self._service = Service(request_qr, transport, check_status, expect_identity, lease)
        self._progress = Progress(policy or ORDINARY, given, recorders)
        self._attempt: Attempt | None = None
        """The `pair()` that runs."""
        self._expected: anyio.CancelScope | None = None
        """Where a `pair()` is about to be awaited."""

    def __repr__(self) -> str:
        socket = "open" if self.socket_open else "closed"
        return f"<QRLifecycle {self.state}, socket {socket}>"

    # What can be seen

    @property
    def state(self) -> State:
        """The state of the lifecycle."""
        return self._progress.state

    @property
    def qr(self) -> QRCode | None:
        """The code to show now, or None when there is none to show."""
        self._note_read("qr")
        return code if isinstance(code := self._progress.shown_code, QRCode) else None

    @property
    def pairing_code(self) -> PairingCode | None:
        """The code to type now, or None when there is none."""
        self._note_read("pairing_code")
        return code if isinstance(code := self._progress.shown_code, PairingCode) else None

    def _note_read(self, where: str) -> None:
        if (unseen := self._progress.observers.unseen) is not None:
            unseen.note_read(where)

    @property
    def code_expires_in(self) -> float | None:
        """For how many seconds the code to show now is good still, to be read in the event loop.

        That is of use to whoever begins to look late. None when there is no code, or the phone has
        it: then it is the person's approval that is waited for.

        Raises:
            WrongThread: another thread runs `pair()`, and time is its event loop's.
        """
        self._require_own_thread(TIME_IS_THE_LOOPS)
        return self._progress.code_expires_in

    @property
    def action(self) -> ActionRequired | None:
        """What the service requires of the person now, or None when it requires nothing."""
        return self._progress.action

    @property
    def socket_open(self) -> bool:
        """Whether a transport is held, from before its opening until it is gone.

        One that holds no socket (`NoTransport`) does not count.
        """
        transport = None if self._attempt is None else self._attempt.transport
        return transport is not None and transport.holds_socket

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many messages became no signal, by cause, and how many signals were not accepted.

        The former are known once their transport is closed; the latter stand under their event.
        Under ``check_status`` stands how many reads of the status gave no answer.
        """
        return dict(self._progress.observers.dropped or {})

    def snapshot(self) -> Snapshot:
        """What goes on inside at this instant: for a page that says so, a test, a proof.

        From any thread, at any moment.
        """
        return take_snapshot(self._progress, self._attempt)

    def changes(self) -> Changes:
        """The changes from now on, as an async iterator that ends with the attempt."""
        return self._progress.observers.changes()

    # What can be done

    async def pair(self) -> Outcome:
        """Run the lifecycle from an end to an end, and say how it ended.

        When it has returned or raised, nothing is left behind: no socket, no task, no timer. It may
        be called again after any end; no `reset()` is needed.

        A cancellation of the calling task, `SystemExit` and `KeyboardInterrupt` come out as they
        are, after the socket is closed; the state is `idle` then, unless an end was decided before.

        Raises:
            PairingInProgress: another `pair()` of this lifecycle runs.
            UsageError: the program asked for what cannot be: `request_qr` or the factory gave back
                something else, say, or the transport does not run on this event loop. The state is
                `failed`. Everything else that goes wrong is an outcome.
        """
        self._expected = None
        if self._attempt is not None:
            raise PairingInProgress(self.state)
        about = self._progress.observers.about
        with about:
            try:
                self._attempt = Attempt(self._progress, self._service)
                return await self._attempt.run()
            finally:
                self._attempt = None
                about.sum_up()

    def generate(self) -> None:
        """Ask for a fresh code while one is displayed.

        A person asked, so the budgets of codes and of refreshes start anew.

        Raises:
            EventRefused: a code is being asked for already, or an end is decided.
            NotPairing: no `pair()` runs that could ask for it.
        """
        if self.state in ENDS:
            raise NotPairing(self.state, Event.GENERATE)
        self._trigger(Transition(Event.GENERATE))
        self._progress.renew_budgets()

    def cancel(self) -> bool:
        """Leave, because the person went away. It may be called in any state.

        Returns:
            Whether there was anything to leave.

        Raises:
            WrongThread: another thread runs `pair()`; so for `generate()` and `reset()`.
        """
        if self._expected is not None:
            self._expected.cancel()
            return True
        try:
            self._trigger(CANCELLED)
        except EventRefused:
            return False
        return True

    def reset(self) -> None:
        """Go back to `idle` from an end: for a page that puts the result away.

        Nobody else needs it, for `pair()` begins at any end.

        Raises:
            EventRefused: the lifecycle is not at an end.
        """
        self._trigger(Transition(Event.RESET))

    def _trigger(self, transition: Transition) -> None:
        self._require_own_thread(transition.event)
        with self._progress.observers.about:
            try:
                self._progress.dispatch(transition)
            finally:  # an observer may have raised what is no observer's; what is decided, is
                self._progress.wake()

    def _require_own_thread(self, what: Event | str) -> None:
        if self._attempt is not None and self._attempt.thread != threading.get_ident():
            raise WrongThread(what)


def expect_pair(lifecycle: QRLifecycle, scope: anyio.CancelScope, key: Hashable = None) -> About:
    """A task was started that is about to await `pair()` in this scope; until then it may be left.

    Args:
        lifecycle: whose `cancel()` cancels the scope as long as `pair()` has not begun.
        scope: where it is awaited; in a cancelled one it ends without having asked for a code.
        key: whose attempt it is, for the log.

    Returns:
        What log lines about it are written in.

    Raises:
        PairingInProgress: one runs, whose `cancel()` and log lines stay its own.
    """
    if lifecycle._attempt is not None:  # noqa: SLF001
        raise PairingInProgress(lifecycle.state)
    lifecycle._expected = scope  # noqa: SLF001 - this module's own
    about = lifecycle._progress.observers.about  # noqa: SLF001
    about.key = key
    return about


def warn_of_unseen_codes(lifecycle: QRLifecycle) -> QRLifecycle:
    """Have a lifecycle say so where nobody is given its codes: `request_qr` shows none by itself.

    Returns:
        The same.
    """
    lifecycle._progress.observers.warn_of_unseen_codes()  # noqa: SLF001 - this module's own
    return lifecycle


def require_functions(number: int, **functions: object) -> None:
    """Require what can be called with so many arguments, as far as one can know."""
    for name, function in functions.items():
        if not callable(function):
            kind = type(function).__name__
            raise WrongAnswer(f"{name} must be a function that is called later, not {kind}")
        if (why := no_such_call(function, number)) is not None:
            raise WrongAnswer(f"{name} {why}")


def require_recorders(recorders: object) -> None:
    """Require what may be told records: plain functions, each with one argument."""
    if not isinstance(recorders, Sequence):
        kind = type(recorders).__name__
        raise WrongAnswer(f"recorders must be a list of plain functions, not {kind}")
    for recorder in recorders:
        if isinstance(recorder, type):
            raise WrongAnswer(f"a recorder is an object, {recorder.__name__}(...), not its class")
        if (why := no_plain_function(recorder)) is not None:
            raise WrongAnswer(f"each of recorders {why}")


def _require_hearing(transport: object, policy: Policy | None) -> None:
    """Where there is nothing to listen to, the status must be read every so often.

    For that there is a `check_status`: a policy with an interval has been refused without one.
    """
    if getattr(transport, "holds_socket", True) is False:
        name = getattr(transport, "__name__", type(transport).__name__)
        if policy is None or policy.status_interval == math.inf:
            raise WrongAnswer(f"{name} hears nothing: give check_status, and a status_interval")


def _require_fitting(policy: object, check_status: object, expect_identity: object) -> None:
    if not isinstance(policy, Policy | None):
        raise WrongAnswer(f"policy must be a Policy, not {type(policy).__name__}")
    if check_status is not None:
        require_functions(0, check_status=check_status)
    elif policy is not None and policy.confirm_success:
        raise WrongAnswer("policy.confirm_success needs a check_status")
    elif policy is not None and policy.status_interval < math.inf:
        raise WrongAnswer("policy.status_interval needs a check_status")
    if not isinstance(expect_identity, str | None):
        if not callable(expect_identity):
            raise WrongAnswer("expect_identity must be text or a plain function")
        require_functions(1, expect_identity=expect_identity)
    if iscoroutinefunction(expect_identity):
        raise WrongAnswer("expect_identity must be a plain function, not an async one")
