"""Reading the truth beside listening: events that nobody heard are not repeated, a status is.

A read never delays a signal. It has its own deadline, its faults are counted and not fatal, a
question that was not answered stays asked, and between two reads there is always a pause. This room
must never know what an answer leads to.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from inspect import isawaitable

import anyio
import anyio.lowlevel

from ..errors import (
    PeerError,
    QRLifecycleError,
    WrongAnswer,
)
from ..policy import Policy
from ..signals import (
    Paired,
    PairingRefused,
    Signal,
)
from .backoff import Backoff
from .watchers import describe

__all__ = ["StatusCheck", "StatusReader"]

StatusCheck = Callable[[], Awaitable[Signal | None]]
"""The HTTP request that asks how far a pairing is: `Paired` if the account is linked, any other
signal that fits, or None if there is nothing to say."""

logger = logging.getLogger("qrlifecycle")


class StatusReader:
    """Reads when it is wanted, and every so often; one read at a time.

    Args:
        check_status: what is read.
        policy: how long a read may take, and how often it is due.
        learn: told what an answer says, if it says anything.
        miss: called for each read that gave no answer.
    """

    __slots__ = (
        "_backoff",
        "_check",
        "_doubt_ends",
        "_early",
        "_learn",
        "_miss",
        "_outdated",
        "_pause",
        "_policy",
        "_reading",
        "_satisfied",
        "_scope",
        "_wanted",
    )

    def __init__(
        self,
        check_status: StatusCheck,
        policy: Policy,
        *,
        learn: Callable[[Signal], None],
        miss: Callable[[], None],
    ) -> None:
        self._check = check_status
        self._policy = policy
        self._learn = learn
        self._miss = miss
        self._backoff = Backoff(policy.reconnect_delay, policy.reconnect_delay_max)
        self._scope = anyio.CancelScope()
        self._reading: anyio.CancelScope | None = None
        self._pause: anyio.CancelScope | None = None
        self._satisfied: Callable[[], None] | None = None
        self._early = False
        self._outdated = False
        self._doubt_ends = -math.inf
        self._wanted = anyio.Event()

    def want(self) -> None:
        """Read soon."""
        self._wanted.set()

    def doubt(self) -> None:
        """Read soon, and for ``policy.status_timeout`` again and again: a success may be true.

        A status may lag behind the event that tells of it.
        """
        self._doubt_ends = anyio.current_time() + self._policy.status_timeout
        self.want()

    @property
    def in_doubt(self) -> bool:
        """Whether a success was told, and is being read because of it."""
        return anyio.current_time() < self._doubt_ends

    def look(self, satisfied: Callable[[], None] | None) -> None:
        """Begin a last look: a read that begins now, but for the pause; None ends the look.

        Args:
            satisfied: called when there is an answer and nothing more is wanted.
        """
        self._satisfied = satisfied
        if satisfied is None:
            return
        self._backoff.reset()
        self.want()
        if self._reading is not None:
            self._early = True
            self._reading.cancel()
        elif self._pause is not None:
            soon = anyio.current_time() + self._policy.reconnect_delay / 2
            self._pause.deadline = min(self._pause.deadline, soon)

    def outdate(self) -> None:
        """There is a newer code than any that a read under way may speak of: read again."""
        self._outdated = True

    def stop(self) -> None:
        """Read no more; a read under way is cancelled, and nothing more is told."""
        self._scope.cancel()

    async def run(self) -> None:
        """Read until stopped."""
        with self._scope:
            while True:
                with anyio.move_on_after(self._policy.status_interval):
                    await self._wanted.wait()
                await self._read()
                with anyio.move_on_after(self._backoff.next()) as self._pause:
                    await anyio.sleep_forever()
                self._pause = None

    async def _read(self) -> None:
        self._wanted = anyio.Event()
        self._outdated = self._early = False
        fault = await self._ask()
        self._reading = None
        if fault is None or self._early:
            return
        # One of ours says it all; of any other, the place is of use and the text may hold a secret.
        ours = isinstance(fault, QRLifecycleError)
        logger.warning("check_status failed: %s", fault if ours else describe(fault))
        self._miss()
        self.want()

    async def _ask(self) -> BaseException | None:
        """Ask once, and use the answer; what went wrong is given back, None if nothing did."""
        limit = self._policy.status_timeout
        with anyio.move_on_after(limit) as self._reading:
            try:
                self._use(await self._answer())
            except anyio.get_cancelled_exc_class() as error:
                # Another task's cancellation, perhaps; if it is ours, this raises it again.
                await anyio.lowlevel.checkpoint()
                return error
            except Exception as error:
                return error
            return None
        return PeerError(f"no answer within {limit:g} s")

    async def _answer(self) -> Signal | None:
        asked: object = self._check()
        if not isawaitable(asked):
            kind = type(asked).__name__
            raise WrongAnswer(f"check_status must be an async function; it gave back {kind}")
        answer: object = await asked
        if not isinstance(answer, Signal | None):
            kind = type(answer).__name__
            raise WrongAnswer(
                f"check_status gave back {kind}; give back Paired(identity), "
                "another signal, or None"
            )
        return answer

    def _use(self, answer: Signal | None) -> None:
        if self._scope.cancel_called or self._early:
            return
        stale = self._outdated and not isinstance(answer, Paired | PairingRefused | None)
        if answer is not None and not stale:
            self._learn(answer)
        if stale or self.in_doubt:
            self.want()
        else:
            self._backoff.reset()
        if self._satisfied is not None and not self._wanted.is_set():
            self._satisfied()
