"""One lifecycle on a stage: everything around it is held, until an act says how it goes on.

The service, the status, each step of the transport, the person, the caller and the clock: nothing
happens by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from itertools import repeat

import anyio
from anyio.abc import TaskGroup

from ...codes import PairingCode, QRCode
from ...errors import (
    LeaseHeld,
    LeaseTakenOver,
    ServiceRefused,
    ServiceUnavailable,
    TransportLost,
)
from ...leases.base import Lease, Lost
from ...outcome import Reason
from ...policy import Policy
from ...signals import Paired, PairingRefused, QRUpdated, Signal
from ...states import ENDS, Event, Phase, single_rows
from ...testing.acts import SIGNALS, Act
from ...testing.clock import settle, timers
from ...testing.judge import Judge
from ...testing.scripted import Fault, Point, ScriptedPeer, ScriptedTransport
from ..model import Label
from .fingerprint import Fingerprint, names_in

__all__ = ["Scene", "World"]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a lifecycle is put into: its numbers, and what may happen around it.

    Args:
        name: for reports.
        policy: the lifecycle's. The fewer different sums of its times there are, the sooner every
            situation has been seen; whole numbers and halves, quarters, ... are exact.
        status: whether there is a `check_status`.
        blind: whether the hook that shows the code raises.
        leases: whether there is a lease to be had first, that may be lost.
        at_once: whether transports close without waiting, by `close_nowait()`; else each closing
            takes as long as it takes, and may fail or hang.
        without: acts that do not happen here.
        racing: how many acts race with each other: 1 for none, 2 or 3.
    """

    name: str
    policy: Policy
    status: bool = False
    blind: bool = False
    leases: bool = False
    at_once: bool = False
    without: frozenset[Act] = frozenset()
    racing: int = 2

    @property
    def unaided(self) -> frozenset[Label]:
        """What of the model's world happens by itself here, where elsewhere it takes an act."""
        granted = () if self.leases else (Label.GRANTED,)
        closed = (Label.SHUT, Label.CLOSED) if self.at_once else ()
        return frozenset((*granted, *closed))


TRIGGERS = {Act.GENERATE: Event.GENERATE, Act.CANCEL: Event.CANCEL, Act.RESET: Event.RESET}

ROWS = frozenset((source, row.event) for source, row in single_rows())

FAULTS = {
    Act.OK: Fault.NONE,
    Act.UNREACHABLE: Fault.UNREACHABLE,
    Act.REFUSED: Fault.REFUSED,
    Act.BROKEN: Fault.BROKEN,
}

AT_POINT = {
    Point.CONNECTING: (Act.OK, Act.UNREACHABLE, Act.BROKEN),
    Point.HANDSHAKE: (Act.OK, Act.UNREACHABLE, Act.REFUSED, Act.BROKEN),
    Point.CLOSING: (Act.OK, Act.BROKEN),
    Point.GONE: (Act.OK, Act.BROKEN),
}
"""How a transport may go on from where it is held; that it hangs is the clock's act."""

ENDINGS = (Act.HANG_UP, Act.BREAK, Act.NONSENSE)

ON_THE_WIRE = (Act.ROTATED, *SIGNALS, *ENDINGS)

LATE = (Act.PAIRED,)
"""What stands for all that a peer says when it is listened to no more."""

CLOSING_POINTS = (Point.CLOSING, Point.GONE)

TO_REQUEST = (Act.CODE, Act.ALREADY_PAIRED, Act.DENIED, Act.BUSY, Act.FAILING)

TO_LEASE = (Act.GRANTED, Act.HELD_ELSEWHERE)

TO_STATUS = (
    Act.SAYS_NOTHING,
    Act.SAYS_PAIRED,
    Act.SAYS_ROTATED,
    Act.SAYS_FAILED,
    Act.SAYS_NONSENSE,
)


PAST = frozenset(
    {
        *("code", "withheld", "action", "attempt_ends", "phase_ends", "scope"),
        *("verdict", "final_check", "_code_is_seen", "ever_listened", "let_in"),
    }
)
"""What decides no more, once leaving a state has been decided."""

OF_STATUS = frozenset({"code_was_shown"})
"""What decides only where there is a status to read."""

OF_RECONNECTING = frozenset({"_listening_since", "_failures", "_backoff", "_next_at"})
"""What decides only where another transport may be made."""


class _Question:
    """An await that is held until an act answers it."""

    def __init__(self) -> None:
        self._answered = anyio.Event()
        self._answer: object = None

    @property
    def waiting(self) -> bool:
        return not self._answered.is_set()

    def answer(self, answer: object) -> None:
        """Answer; an exception is raised."""
        self._answer = answer
        self._answered.set()

    async def wait(self) -> object:
        await self._answered.wait()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class _Keeper:
    """Keeps the lifecycle's leases: it answers by an act, and takes one away by another."""

    def __init__(self) -> None:
        self.newest: _HeldLease | None = None
        self.lost_at: float | None = None
        self.released: Callable[[], object] = lambda: None

    def __call__(self) -> Lease:
        self.lost_at = None
        self.newest = _HeldLease(self)
        return self.newest

    @property
    def held(self) -> int:
        return int(self.newest is not None and self.newest.held)

    def lose(self) -> bool:
        lease = self.newest
        if lease is None or lease.lost is None:
            return False
        self.lost_at = anyio.current_time()
        lost, lease.lost = lease.lost, None
        lost(LeaseTakenOver())
        return True


class _HeldLease(Lease):
    """One of a `_Keeper`'s."""

    __slots__ = ("asked", "gone", "keeper", "lost")

    def __init__(self, keeper: _Keeper) -> None:
        self.keeper = keeper
        self.asked = _Question()
        self.lost: Lost | None = None
        self.gone = False

    @property
    def token(self) -> int | None:
        return None

    async def acquire(self, lost: Lost, close_within: float) -> None:  # noqa: ARG002 - `Lease`'s
        self.lost = lost
        try:
            await self.asked.wait()
        except BaseException:
            self.lost = None
            self.asked.answer(None)
            raise

    @property
    def held(self) -> bool:
        """Whether it can be lost."""
        return not self.asked.waiting and self.lost is not None and not self.gone

    def release(self) -> None:
        if self.held:
            self.keeper.released()
        self.gone, self.lost = True, None


class Scene:
    """A lifecycle in its world.

    Args:
        world: what it is put into.
        tasks: where `pair()` runs.
    """

    def __init__(self, world: World, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._without = world.without
        self.blind = world.blind
        self.leases = world.leases
        self.unaided = world.unaided
        self._reads = world.status
        nothing = frozenset[str]()
        self._idle_names = (nothing if world.status else OF_STATUS) | (
            nothing if world.policy.max_reconnects else OF_RECONNECTING
        )
        self._asked: _Question | None = None
        self._read: _Question | None = None
        closing = Fault.NONE if world.at_once else Fault.HELD
        self.peer = ScriptedPeer(repeat(Fault.HELD), repeat(closing))
        self._keeper = _Keeper()
        self.judge = Judge(
            self.peer,
            world.policy,
            self._request_qr,
            check_status=self._check_status if world.status else None,
            blind=world.blind,
            expect_identity="me",
            keeper=self._keeper if world.leases else None,
        )
        self.peer.watch = self.judge.look
        self._on_the_way: list[Act] = []
        self.pairing: object = None
        """The coroutine of the `pair()` that runs."""

    def __str__(self) -> str:
        sockets = self.peer.open_sockets
        return f"{self.judge.lifecycle.state}, {sockets or 'no'} socket{'s' * (sockets > 1)}"

    # What it asks, and who answers

    @property
    def _lease(self) -> _HeldLease | None:
        return self._keeper.newest

    async def _request_qr(self) -> QRCode | PairingCode | Paired:
        self._asked = _Question()
        try:
            return await self._asked.wait()  # type: ignore[return-value]
        finally:
            self._asked = None

    async def _check_status(self) -> Signal | None:
        self._read = _Question()
        try:
            return await self._read.wait()  # type: ignore[return-value]
        finally:
            self._read = None

    # Acts

    @property
    def transport(self) -> ScriptedTransport | None:
        """The newest transport."""
        return self.peer.transports[-1] if self.peer.transports else None

    @property
    def phase(self) -> Phase:
        """Where the transport itself is, whatever the lifecycle says of it."""
        transport = self.transport
        if not self.judge.lifecycle.socket_open or transport is None:
            return Phase.ABSENT
        if transport.point in CLOSING_POINTS:
            return Phase.CLOSING
        return Phase.LISTENING if transport.listening else Phase.OPENING

    @property
    def unheard(self) -> tuple[Act, ...]:
        """What the peer has done, and the lifecycle has yet to hear of."""
        if (transport := self.transport) is None or not transport.socket_exists:
            return ()
        return tuple(act for act in self._on_the_way if transport.buffer or transport.buffer.ended)

    def possible(self, *, refused: bool = True) -> tuple[Act, ...]:
        """What can happen now, beside the passing of time.

        Args:
            refused: also what the program may call although the table has no row for it.
        """
        return tuple(act for act in self._possible(refused) if act not in self._without)

    def _possible(self, refused: bool) -> Iterable[Act]:
        state = self.judge.lifecycle.state
        yield from (act for act, event in TRIGGERS.items() if refused or (state, event) in ROWS)
        if self.pairing is None:
            yield Act.PAIR
        elif self.judge.scope is not None and not self.judge.scope.cancel_called:
            yield Act.CANCELLED
        if self._lease is not None and self._lease.asked.waiting:
            yield from TO_LEASE
        if self._lease is not None and self._lease.held:
            yield Act.LOSE
        if self._asked is not None and self._asked.waiting:
            yield from TO_REQUEST
        if self._read is not None and self._read.waiting:
            yield from TO_STATUS
        if (transport := self.transport) is None:
            return
        if transport.point is not None:
            yield from AT_POINT[transport.point]
        if transport.socket_exists and not transport.buffer:
            yield from LATE if transport.buffer.ended else ON_THE_WIRE

    def do(self, act: Act) -> None:
        """Do it: a plain call, between two steps of the event loop."""
        judge = self.judge
        if act is Act.PAIR:
            self.pairing = pairing = self._pair()
            self._tasks.start_soon(lambda: pairing)
        elif act is Act.GENERATE:
            judge.generate()
        elif act is Act.CANCEL:
            judge.cancel()
        elif act is Act.RESET:
            judge.reset()
        elif act is Act.CANCELLED:
            judge.cancel_from_outside()
        elif act in {*TO_LEASE, Act.LOSE}:
            self._keep(act)
        elif act in TO_REQUEST:
            self._answer_request(act)
        elif act in TO_STATUS:
            self._answer_read(act)
        else:
            assert self.transport is not None
            if act in FAULTS:
                self.transport.proceed(FAULTS[act])
            else:
                self._send(self.transport, act)
        judge.look()

    async def _pair(self) -> None:
        try:
            await self.judge.pair()
        except Exception as error:
            self.judge.note(7, f"pair() raised {error!r}")
        finally:
            self.pairing = None

    def _keep(self, act: Act) -> None:
        """What the keeper of the lease does."""
        assert self._lease is not None
        if act is Act.LOSE:
            self.judge.lose()
        else:
            self._lease.asked.answer(None if act is Act.GRANTED else LeaseHeld())

    def _answer_request(self, act: Act) -> None:
        assert self._asked is not None
        answers = {
            Act.CODE: QRCode("one"),
            Act.ALREADY_PAIRED: Paired("me"),
            Act.DENIED: ServiceRefused("as the schedule wished"),
            Act.BUSY: ServiceUnavailable("as the schedule wished"),
            Act.FAILING: OSError("as the schedule wished"),
        }
        self._asked.answer(answers[act])

    def _answer_read(self, act: Act) -> None:
        assert self._read is not None
        answers: dict[Act, object] = {
            Act.SAYS_NOTHING: None,
            Act.SAYS_PAIRED: Paired("me"),
            Act.SAYS_ROTATED: QRUpdated(self._another_code()),
            Act.SAYS_FAILED: PairingRefused(Reason.CONFLICT),
            Act.SAYS_NONSENSE: OSError("as the schedule wished"),
        }
        self._read.answer(answers[act])

    def _send(self, transport: ScriptedTransport, act: Act) -> None:
        self._on_the_way.append(act)
        if act is Act.HANG_UP:
            transport.buffer.end(anyio.EndOfStream())
        elif act is Act.BREAK:
            transport.buffer.end(TransportLost("the connection broke, as the schedule wished"))
        elif act is Act.NONSENSE:
            transport.buffer.end(ZeroDivisionError("as the schedule wished"))
        elif act is Act.ROTATED:
            transport.buffer.put(QRUpdated(self._another_code()))
        else:
            transport.buffer.put(SIGNALS[act])

    def heard(self) -> None:
        """Whoever listens has heard all that was on the way; an end is heard each time."""
        if self.phase in {Phase.ABSENT, Phase.CLOSING}:
            self._on_the_way.clear()
        elif self.phase is Phase.LISTENING:
            self._on_the_way = [act for act in self._on_the_way if act in ENDINGS]

    def look_at_reading(self) -> None:
        """Promise 4: with everybody waiting, a read that is due is one that will be begun."""
        inside = self.judge.lifecycle.snapshot()
        if self.judge.read_by is None or inside.state in ENDS or inside.pending is not None:
            return
        if not inside.read_requested:  # else it comes after a pause
            self.judge.note_missing_read()

    def _another_code(self) -> QRCode:
        """One of two, and not the newest."""
        newest = self.judge.lifecycle.snapshot().newest_code
        return QRCode("two" if newest == QRCode("one") else "one")

    # What follows from what has been

    def fingerprint(self) -> Hashable:
        """All that decides what comes next."""
        judge = self.judge
        leaving = judge.lifecycle.snapshot().pending is not None
        print_of = Fingerprint(
            now=anyio.current_time(),
            memory=judge.policy.close_timeout + judge.policy.stable_after,  # see Connection
            without=self._idle_names | PAST if leaving else self._idle_names,
        )
        return (
            print_of.of(judge.lifecycle),
            print_of.of([self._asked, self._read, self.transport, judge.scope, self._lease]),
            print_of.of(timers()),
            print_of.of_coroutine(self.pairing),
            *map(print_of.of_coroutine, self._company()),
        )

    def _company(self) -> list[object]:
        """What runs beside `pair()`."""
        if not self._reads or self.pairing is None:
            return []
        coroutines = (task.coro for task in anyio.get_running_tasks())
        return [coro for coro in coroutines if "Incoming._read_status" in names_in(coro)]

    async def finish(self) -> None:
        """Bring it to an end, well."""
        self.peer.release()
        self._tasks.cancel_scope.cancel()
        await settle()
