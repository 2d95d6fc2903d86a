"""One attempt's lease, kept by Redis."""

from __future__ import annotations

import random
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import Protocol

import anyio
import anyio.lowlevel

from ...errors import InvalidValue, LeaseHeld, LeaseLost, LeaseTakenOver
from ...logs import warn_once
from ...policy import number_or_kind
from ...waiting import wait_for
from ..base import Lease, Lost, WhenHeld
from ..waits import Wait
from .keeper import Answer, Keeper, Times
from .session import Session

__all__ = ["Process", "RedisLease"]

SOON = 0.05
"""Seconds before it is asked again where nobody knows better."""


class Process(Protocol):
    """What a lease needs of its process."""

    keeper: Keeper
    session: Session
    times: Times
    keeps: bool
    """Whether to go on without the keeper when it is away."""

    def enter(self, lease: RedisLease) -> None:
        """From now on the process knows of it."""

    def leave(self, lease: RedisLease) -> None:
        """It holds nothing any more, and the keeper is told so.

        Raises:
            WrongThread: it is had in another thread.
        """

    async def until_given_back(self, key: str) -> None:
        """Wait until the keeper has heard what this process gave back of this key."""

    def confirm(self, lease: RedisLease) -> None:
        """It knows that it holds the lease, and the keeper is told so."""

    def ask_beside(self, lease: RedisLease) -> None:
        """It goes on without the keeper, which is asked once it is there again."""

    def judge_wait(self, at_most: float) -> None:
        """A lease is waited for so many seconds: it may be too few."""


class RedisLease(Lease):
    """One attempt's; `RedisLeases.lease()` makes it."""

    __slots__ = (
        "_answered",
        "_asking",
        "_changed",
        "_claimed",
        "_ended_by",
        "_lost",
        "_process",
        "_token",
        "_wait",
        "_when_held",
        "holder",
        "key",
        "trusting",
    )

    def __init__(self, process: Process, key: str, when_held: WhenHeld) -> None:
        self._process = process
        self._when_held: WhenHeld = when_held
        self._changed: anyio.Event | None = None
        self._answered = self._claimed = False
        self._ended_by: Exception | None = None
        self._lost: Lost | None = None
        self._token: int | None = None
        self._wait = Wait()
        self._asking: anyio.CancelScope | None = None
        """Its asking, whatever that waits for; None where nothing is waited for."""
        self.key = key
        self.holder = secrets.token_hex(8)
        """The name of this attempt with the keeper."""
        self.trusting = False
        """Whether it goes on without the keeper."""

    @property
    def token(self) -> int | None:
        """The fencing token; None before the lease is held, and while it goes on without one."""
        return self._token

    @property
    def awaits(self) -> str:
        """What `acquire()` waits for, or waited for at the last."""
        outage = self._process.session.outage
        return str(outage) if outage else self._wait.reason

    def expect(self, at_most: float) -> None:
        """Its `acquire()` may take so long."""
        self._wait.at_most = at_most
        self._process.judge_wait(at_most)

    @property
    def held(self) -> bool:
        """Whether it is held, and is to be said again if need be."""
        return self._token is not None and self._ended_by is None

    @property
    def waiting(self) -> bool:
        """Whether `acquire()` is under way."""
        return self._token is None and not self.trusting and self._ended_by is None

    async def acquire(self, lost: Lost, close_within: float) -> None:
        """Wait until the lease is held."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        process = self._process
        if close_within > process.times.close_within:
            raise InvalidValue(
                f"its holder takes up to {number_or_kind(close_within)} s to close, as by "
                f"policy.close_timeout, and RedisLeases(close_within=) allows "
                f"{process.times.close_within:g} s: raise the one, or lower the other"
            )
        if self._ended_by is not None:
            raise LeaseLost("it was released before; make a fresh lease for each attempt")
        self._lost = lost
        process.enter(self)  # known before it is asked for: an answer may never come
        try:
            await self._unless_ended(self._have_it)
        except BaseException:
            self.release()
            raise

    async def _unless_ended(self, wait: Callable[[], Awaitable[object]]) -> None:
        """Do what may wait for a keeper that is away; its end has to wait for none.

        Raises:
            LeaseLost: it is released, or lost.
        """
        self._raise_if_ended()
        with anyio.CancelScope() as self._asking:
            await wait()
        self._asking = None  # thousands may be held
        self._raise_if_ended()

    async def _have_it(self) -> None:
        """Ask for it; go on without the keeper where that is wanted, and nobody answers."""
        process = self._process
        patience = process.times.timeout if process.keeps else inf
        if not await self._ask_until_held(self._when_held, patience):
            self.trusting = True
            process.ask_beside(self)

    async def ask_beside(self) -> None:
        """Having gone on without the keeper: have the lease after all, or lose it."""
        try:
            await self._unless_ended(partial(self._ask_until_held, "reject"))
        except LeaseHeld as error:
            self.lose(error)
        except LeaseLost:
            return  # it was released
        self.trusting = False

    async def _ask_until_held(self, when_held: WhenHeld, patience: float = inf) -> bool:
        """Ask, and wait to be told; ask again now and then, for what is told may be lost.

        Returns:
            Whether it is held; False if the keeper has answered nothing for ``patience`` seconds.
        """
        unanswered = inf  # since when
        while self._token is None:
            if not await self._can_ask(patience):
                return False
            self._changed = anyio.Event()  # before it is asked: nothing that comes then is missed
            self._raise_if_ended()  # or what is asked for now is heard after its release
            asked = anyio.current_time()
            seconds = await self._ask(when_held)
            unanswered = inf if self._answered else min(unanswered, asked)
            if anyio.current_time() - unanswered >= patience:
                return False
            if seconds is not None:
                await self._pause(seconds)
        return True

    async def _can_ask(self, patience: float) -> bool:
        """Wait for so many seconds until there is somebody to ask."""
        process = self._process
        if outage := process.session.outage:
            self._wait.goes_on(str(outage))
        with anyio.move_on_after(patience) as waiting:
            await process.session.wait_until_good()
            await process.until_given_back(self.key)
        return not waiting.cancelled_caught

    async def _ask(self, when_held: WhenHeld) -> float | None:
        """Once; the seconds after which to ask again, or None if it is held."""
        session = self._process.session
        asked_under = session.id
        try:
            answer = await self._process.keeper.acquire(
                asked_under, self.key, self.holder, when_held, claimed=self._claimed
            )
        except LeaseLost as error:
            self._answered = False
            self._wait.goes_on(str(error))
            if not session.outage:  # that is said already; this may be for ever
                warn_once("leases: none is had: %s", error)
            return SOON * 4
        self._answered = True
        if answer.word == "held":
            # What was granted counts under the session that it was asked with, and only while that
            # is good by our clock: the answer may have been under way for longer than it lives.
            if asked_under != session.id or not session.good:
                return SOON
            self._token = answer.token
            self._process.confirm(self)
            return None
        return self._seconds_after(answer, asked_under)

    def _seconds_after(self, answer: Answer, asked_under: str) -> float:
        match answer.word:
            case "taken":
                raise LeaseHeld
            case "superseded":
                raise LeaseTakenOver
            case "no session":
                self._process.session.doubt(asked_under)
                return SOON
            case "grace":
                self._wait.goes_on(
                    f"the keeper has just begun, or lost its data, and grants nothing for one ttl "
                    f"({self._process.times.ttl:g} s), in which others may say what they hold"
                )
                return answer.seconds + SOON * random.random()  # noqa: S311 - no secret
        self._claimed = True
        self._wait.goes_on(f"machine {answer.machine!r} holds it, and was asked to leave")
        soon = min(self._process.times.ttl / 5, answer.seconds + SOON / 10)
        return soon * (0.75 + 0.5 * random.random())  # noqa: S311 - not all at once

    async def _pause(self, seconds: float) -> None:
        assert self._changed is not None
        with anyio.move_on_after(seconds):
            await wait_for(self._changed)

    def _raise_if_ended(self) -> None:
        if self._ended_by is not None:
            raise self._ended_by

    def wake(self) -> None:
        """It may be free."""
        if self._changed is not None:
            self._changed.set()

    def lose(self, error: Exception) -> None:
        """It is held no more, or will not be: tell whoever holds it, or waits for it."""
        if self._ended_by is not None:
            return
        told = self._token is not None or self.trusting
        self._ended_by = error
        self._ask_no_more()
        lost, self._lost = self._lost, None
        if told and lost is not None:
            lost(error)

    def release(self) -> None:
        """Give it back, now."""
        self._process.leave(self)  # first: in another thread it is refused, and nothing has changed
        self._lost = None
        if self._ended_by is None:
            self._ended_by = LeaseLost("it was released while it was waited for")
        self._ask_no_more()

    def _ask_no_more(self) -> None:
        self.wake()
        if self._asking is not None:
            self._asking.cancel()
