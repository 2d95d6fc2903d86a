"""The judge: plays the embedding program, and notes every breach of a promise.

Whatever is done to the lifecycle is done through the judge, who knows from it what must follow.
Breaches are noted rather than raised, because what is raised inside a transport or a hook is the
lifecycle's to handle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import anyio

from ..codes import PairingCode, QRCode
from ..engine.observers import Change
from ..engine.service import QRRequest, StatusCheck
from ..errors import EventRefused, PairingInProgress
from ..leases.base import Lease
from ..lifecycle import QRLifecycle
from ..machine import MACHINE
from ..outcome import Cancelled, Connected, Outcome
from ..policy import Policy
from ..signals import Paired, Signal
from ..states import ENDS, SOCKET_OWNER, State
from ..transports.base import Transport
from .scripted import GracefulClose

__all__ = ["EPSILON", "Breach", "Judge", "WatchedKeeper", "WatchedPeer"]

EPSILON = 1e-6
"""Seconds by which sums of times may be wrong."""


class WatchedPeer(Protocol):
    """What the judge must be able to see at the other end: a `ScriptedPeer`, or one like it."""

    @property
    def open_sockets(self) -> int:
        """How many sockets exist now."""
        ...

    @property
    def listening(self) -> bool:
        """Whether the newest transport listens."""
        ...

    @property
    def closes(self) -> Sequence[GracefulClose]:
        """How each call of `aclose()` went."""
        ...

    def __call__(self) -> Transport:
        """A fresh transport to this peer."""
        ...


class WatchedKeeper(Protocol):
    """What the judge must be able to see of whoever keeps the lease: a `ScriptedKeeper`, say.

    Attributes:
        released: called as a lease that is held is given back.
    """

    released: Callable[[], object]

    @property
    def held(self) -> int:
        """How many leases are held now."""
        ...

    @property
    def lost_at(self) -> float | None:
        """When the newest lease was lost, if it was."""
        ...

    def lose(self) -> bool:
        """Take away the newest lease, if it is held; say whether it was."""
        ...

    def __call__(self) -> Lease:
        """A fresh lease."""
        ...


@dataclass(frozen=True, slots=True)
class Breach:
    """What was seen that a promise forbids."""

    promise: int
    text: str

    def __str__(self) -> str:
        return f"promise {self.promise}: {self.text}"


class Judge:
    """One lifecycle, what is done to it, and what was seen of it.

    Args:
        peer: the other end, which makes the transports.
        policy: the lifecycle's.
        request_qr: the lifecycle's.
        late: seconds by which the clock may miss a deadline: a real one does, a virtual one not.
        check_status: the lifecycle's, if it has one.
        keeper: who keeps its lease, if it has one.
        blind: whether the hook that shows codes raises, as if there were no screen.
        options: further arguments of the lifecycle.
    """

    def __init__(
        self,
        peer: WatchedPeer,
        policy: Policy,
        request_qr: QRRequest,
        *,
        late: float = EPSILON,
        check_status: StatusCheck | None = None,
        keeper: WatchedKeeper | None = None,
        blind: bool = False,
        **options: Any,
    ) -> None:
        self.peer = peer
        self._late = late
        self.policy = policy
        self.breaches: list[Breach] = []
        self.outcomes: list[Outcome] = []
        self.seen: set[object] = set()
        """Rows that were taken, as (source, event), and reasons of ends."""
        self.scope: anyio.CancelScope | None = None
        """Around `pair()`, while it runs."""
        self.read_by: float | None = None
        """When a read of the status must have begun, since a transport listens; None if none is
        due."""
        self._request_qr = request_qr
        self._keeper = keeper
        if keeper is not None:
            keeper.released = self._on_released
            options["lease"] = keeper
        self.lifecycle = QRLifecycle(
            request_qr if keeper is None else self._request,
            peer if keeper is None else self._make,
            policy=policy,
            on_change=self._on_change,
            on_qr_updated=lambda _qr: self._on_code(),
            on_pairing_code=lambda _code: self._on_code(),
            on_connected=self._on_connected,
            check_status=None if check_status is None else self._read,
            **options,
        )
        self._check_status = check_status
        self._blind = blind
        self._listening = False
        self._reached: list[Outcome] = []
        self._notified: list[Outcome] = []
        self._leave_by: float | None = None
        self._cancelled = False
        self._asked_again = False
        self._state = self.lifecycle.state

    def note(self, promise: int, text: str) -> None:
        """Note a breach."""
        self.breaches.append(Breach(promise, text))

    # What is checked

    def look(self) -> None:
        """Promises 1, 3, 4, 6 and 9, at an instant that somebody can observe."""
        state, sockets = self.lifecycle.state, self.peer.open_sockets
        if sockets and state is not SOCKET_OWNER:
            self.note(1, f"a socket exists in state {state}")
        if self.lifecycle.socket_open and state is not SOCKET_OWNER:
            self.note(1, f"socket_open in state {state}")
        if sockets and not self.lifecycle.socket_open:
            self.note(1, "a socket exists, and socket_open denies it")
        if sockets > 1:
            self.note(3, "two sockets at once")
        if self.lifecycle.qr is not None and state is not SOCKET_OWNER:
            self.note(6, f"a code is kept in state {state}")
        self._check_lease(sockets)
        self._check_read()

    def _check_lease(self, sockets: int) -> None:
        """Promise 9: no transport without a lease, but for the time that closing one may take."""
        keeper = self._keeper
        if keeper is None:
            return
        if keeper.held > 1:
            self.note(9, "two leases at once")
        if not sockets or keeper.held:
            return
        gone = self.policy.close_timeout + self._late
        if keeper.lost_at is None or anyio.current_time() > keeper.lost_at + gone:
            self.note(9, "a socket exists without a lease")

    def _on_released(self) -> None:
        """A lease is given back: nothing that it is for may be left."""
        if self.peer.open_sockets:
            self.note(9, "a lease was given back while a socket existed")

    def _make(self) -> Transport:
        """Make a transport, as the lifecycle does; one that opens while it is lost is closed."""
        if self._keeper is not None and not self._keeper.held:
            self.note(9, "a transport was made without a lease")
        return self.peer()

    async def _request(self) -> QRCode | PairingCode | Paired:
        """Ask for a code, as the lifecycle does: on many services that is exclusive already."""
        if self._keeper is not None and not self._keeper.held:
            self.note(9, "a code was asked for without a lease")
        return await self._request_qr()

    def _check_read(self) -> None:
        """Promise 4: where there is a status, a read of it is begun after each opening.

        A read that is under way may take its time, and between two reads there is a pause; then
        whatever else ends the state may come first.
        """
        if self.read_by is not None and anyio.current_time() > self.read_by:
            self.note_missing_read()
        listened, self._listening = self._listening, self.peer.listening
        if self._check_status is not None and self._listening and not listened:
            policy = self.policy
            within = policy.status_timeout + policy.status_retry_delay_max + policy.close_timeout
            self.read_by = anyio.current_time() + within + self._late

    def note_missing_read(self) -> None:
        """Note that a read was due, and was not begun."""
        self.note(4, "a transport listens, and the status was not read")
        self.read_by = None

    def check_closes(self) -> None:
        """Promise 2: each graceful close had its time, and no more."""
        for close in self.peer.closes:
            if close.seconds > self.policy.close_timeout + self._late:
                self.note(2, f"a graceful close took {close.seconds} s")
            if not close.finished and close.seconds < self.policy.close_timeout - self._late:
                self.note(2, "a graceful close was cut short")

    def _on_change(self, change: Change) -> None:
        """A row was taken: it must be the table's, and the leaving must have been prompt."""
        self.look()
        self.seen.add((change.source, change.event))
        if change.source is not self._state or change.target is not self.lifecycle.state:
            self.note(5, f"{change} does not lead from {self._state} to where it is")
        row = MACHINE.row(change.source, change.event)
        if (row.target or change.source) is not change.target:
            self.note(5, f"{change} is no row of the table")
        if not change.internal and self._leave_by is not None:
            if anyio.current_time() > self._leave_by + self._late:
                self.note(2, "left later than close_timeout after being asked")
            self._leave_by = None
        if not change.internal:
            self.read_by = None
        if isinstance(change.outcome, Connected):
            self._reached.append(change.outcome)
        self._state = change.target

    def _on_code(self) -> None:
        if not self.peer.listening:
            self.note(4, "a code was handed out before the transport listened")
        if self._blind:
            raise OSError("there is no screen, as the schedule wished")

    def _on_connected(self, outcome: Connected) -> None:
        self._notified.append(outcome)
        self._check_notified()

    def _check_notified(self) -> None:
        """Promise 4: each success is notified, once, in the instant in which it is reached."""
        if self._notified != self._reached:
            notified, reached = len(self._notified), len(self._reached)
            self.note(4, f"on_connected was called {notified} times for {reached} successes")

    # What is done

    def _read(self) -> Awaitable[Signal | None]:
        """Read the status, as the lifecycle asks for it."""
        assert self._check_status is not None
        self._check_read()
        self.read_by = None
        return self._check_status()

    def cancel(self) -> None:
        """Call `cancel()`."""
        if self.lifecycle.cancel():
            self._cancelled = True
            self._must_leave()

    def lose(self) -> None:
        """Have the lease lost, if it is held."""
        if self._keeper is not None and self._keeper.lose():
            self._must_leave()

    def generate(self) -> None:
        """Call `generate()`, which may be refused."""
        self._asked_again = self.lifecycle.state in ENDS
        self._trigger(self.lifecycle.generate)

    def reset(self) -> None:
        """Call `reset()`, which may be refused."""
        self._trigger(self.lifecycle.reset)

    def cancel_from_outside(self) -> None:
        """Cancel the task that awaits `pair()`."""
        if self.scope is not None:
            self.scope.cancel()
            self._must_leave()

    async def pair(self) -> None:
        """Run `pair()` under a scope that may be cancelled, and look at how it ends."""
        if self.scope is not None:
            try:
                await self.lifecycle.pair()
            except PairingInProgress:
                return
            self.note(3, "a second pair() was let in")
        self._cancelled = False
        self._reached, self._notified = [], []
        with anyio.CancelScope() as scope:
            self.scope = scope
            try:
                self._note_outcome(await self.lifecycle.pair())
            finally:
                self.scope = None
                self._check_end()

    def _must_leave(self) -> None:
        if self.lifecycle.state is SOCKET_OWNER and self._leave_by is None:
            self._leave_by = anyio.current_time() + self.policy.close_timeout

    def _trigger(self, trigger: Callable[[], object]) -> None:
        state = self.lifecycle.state
        try:
            trigger()
        except EventRefused as error:
            if error.state is not state or self.lifecycle.state is not state:
                self.note(5, "a refused trigger moved the state")
        else:
            self._must_leave()

    def _note_outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.seen.add(Connected if isinstance(outcome, Connected) else outcome.reason)
        if self._reached != ([outcome] if isinstance(outcome, Connected) else []):
            self.note(4, f"pair() ended with {outcome}; reached was {self._reached}")
        if isinstance(outcome, Cancelled) and not self._cancelled:
            self.note(5, "a cancellation from outside did not go on")

    def _check_end(self) -> None:
        # generate() after the end, and before pair() has returned, decides for the next one
        again = self._asked_again and self.lifecycle.state is State.GENERATING
        if self.lifecycle.state not in ENDS and not again:
            self.note(5, f"pair() ended in {self.lifecycle.state}")
        if self.peer.open_sockets:
            self.note(5, "pair() ended with a socket open")
        if self._keeper is not None and self._keeper.held:
            self.note(9, "pair() ended, and its lease was not given back")
        self._check_notified()
