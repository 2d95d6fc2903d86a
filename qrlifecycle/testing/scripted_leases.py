"""A keeper of leases whose every answer is laid down beforehand, and its leases.

It keeps book of what is held, and since when it is not, so that a judge can hold a lifecycle to
promise 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import cycle

import anyio
import anyio.lowlevel

from ..errors import LeaseHeld, LeaseLost, LeaseTakenOver
from ..leases.base import Lease, Lost
from ..states import Word

__all__ = ["Keeping", "ScriptedKeeper"]


class Keeping(Word):
    """What comes of waiting for a lease."""

    HELD = "held", "it is had"
    SLOW = "slow", "it is had, late"
    HELD_ELSEWHERE = "held-elsewhere", "somebody else holds it"
    TAKEN_OVER = "taken-over", "somebody else claims it, late"
    AWAY = "away", "its keeper cannot be reached"
    FAILING = "failing", "it raises an error of its own"
    HUNG = "hung", "it is never had"


WAYS = (LeaseTakenOver(), LeaseLost("its keeper is away, as the plan has it"))
"""How a lease is lost, by turns."""


class ScriptedKeeper:
    """Makes one lifecycle's leases: ``QRLifecycle(request_qr, transport, lease=keeper)``.

    Args:
        answers: what comes of waiting for each lease, in order; afterwards each is had.
        late: seconds that a slow answer takes.
        released: called as a lease that is held is given back.
    """

    def __init__(
        self,
        answers: Iterable[Keeping] = (),
        late: float = 0.5,
        released: Callable[[], object] = lambda: None,
    ) -> None:
        self.late = late
        self.released = released
        self.lost_at: float | None = None
        """When the newest lease was lost, if it was."""
        self.held = 0
        """How many leases are held now."""
        self._answers = iter(answers)
        self._ways = cycle(WAYS)
        self.newest: ScriptedLease | None = None
        """The lease that was made last."""

    def __call__(self) -> Lease:
        """A fresh lease."""
        self.lost_at = None
        self.newest = ScriptedLease(self, next(self._answers, Keeping.HELD))
        return self.newest

    def lose(self) -> bool:
        """Take away the newest lease, if it is held; say whether it was."""
        lease = self.newest
        if lease is None or lease.lost is None:
            return False
        self.lost_at = anyio.current_time()
        lost, way = lease.lost, next(self._ways)
        lease.let_go()
        lost(type(way)(*way.args))
        return True


class ScriptedLease(Lease):
    """One of a scripted keeper's."""

    __slots__ = ("_answer", "_keeper", "lost")

    def __init__(self, keeper: ScriptedKeeper, answer: Keeping) -> None:
        self._keeper = keeper
        self._answer = answer
        self.lost: Lost | None = None
        """Whom to tell that it is lost; None if it is not held."""

    @property
    def token(self) -> int | None:
        """It has none."""
        return None

    async def acquire(self, lost: Lost, close_within: float) -> None:  # noqa: ARG002 - `Lease`'s
        """Wait for what was laid down."""
        match self._answer:
            case Keeping.SLOW:
                await anyio.sleep(self._keeper.late)
            case Keeping.HELD_ELSEWHERE:
                raise LeaseHeld
            case Keeping.TAKEN_OVER:
                await anyio.sleep(self._keeper.late)
                raise LeaseTakenOver
            case Keeping.AWAY:
                raise LeaseLost("its keeper is away, as the plan has it")
            case Keeping.FAILING:
                raise OSError("the keeper is broken, as the plan has it")
            case Keeping.HUNG:
                await anyio.sleep_forever()
            case _:
                await anyio.lowlevel.checkpoint()
        self.lost = lost
        self._keeper.held += 1

    def release(self) -> None:
        """Give it back."""
        if self.lost is not None:
            self._keeper.released()
            self.let_go()

    def let_go(self) -> None:
        """It is held no more."""
        self.lost = None
        self._keeper.held -= 1
