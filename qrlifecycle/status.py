"""Reading the truth beside listening: events that nobody heard are not repeated, a status is.

A read never delays a signal. It has its own deadline, its faults are counted and not fatal, a
question that was not answered stays asked, and between two reads there is always a pause. This room
must never know what an answer means.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from .backoff import Backoff
from .errors import WrongAnswer
from .policy import Policy
from .signals import QRUpdated, Signal
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
        satisfied: called when there is an answer and nothing more is wanted. If somebody waits for
            that, the first read is wanted at once.
    """

    __slots__ = (
        "_backoff",
        "_check",
        "_learn",
        "_miss",
        "_outdated",
        "_policy",
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
        satisfied: Callable[[], None] | None = None,
    ) -> None:
        self._check = check_status
        self._policy = policy
        self._learn = learn
        self._miss = miss
        self._satisfied = satisfied
        self._backoff = Backoff(policy.reopen_wait, policy.reopen_wait_max)
        self._scope = anyio.CancelScope()
        self._outdated = False
        self._wanted = anyio.Event()
        if satisfied is not None:
            self.want()

    def want(self) -> None:
        """Read soon."""
        self._wanted.set()

    def outdate(self) -> None:
        """There is a newer code than any that a read under way may bring."""
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
                self._wanted = anyio.Event()
                self._outdated = False
                await self._read()
                await anyio.sleep(self._backoff.next())

    async def _read(self) -> None:
        error: Exception = TimeoutError(f"no answer within {self._policy.status_timeout:g} s")
        with anyio.move_on_after(self._policy.status_timeout):
            try:
                answer: object = await self._check()
                if not isinstance(answer, Signal | None):
                    kind = type(answer).__name__
                    raise WrongAnswer(f"check_status gave back {kind}; give back a Signal or None")
            except Exception as raised:
                error = raised
            else:
                self._use(answer)
                return
        logger.warning("check_status failed: %s", describe(error))
        self._miss()
        self.want()

    def _use(self, answer: Signal | None) -> None:
        self._backoff.reset()
        if self._scope.cancel_called:
            return
        if answer is not None and not (self._outdated and isinstance(answer, QRUpdated)):
            self._learn(answer)
        if self._satisfied is not None and not self._wanted.is_set():
            self._satisfied()
