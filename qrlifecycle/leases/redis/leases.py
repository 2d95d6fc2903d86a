"""The leases of several machines, kept by one Redis or Valkey."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Literal, Self

import anyio
from anyio.abc import TaskGroup

from ...errors import InvalidValue, LeaseLost, LeaseTakenOver, UsageError
from ...logs import logger
from ...policy import is_positive, number_or_kind
from ..base import Holder, Lease, Leases, WhenHeld, check_key
from ..home import Home
from .client import client_for
from .keeper import Hint, Keeper, Times, Word, read_hint
from .lease import RedisLease
from .outage import Deafness
from .outbox import Outbox
from .session import Session, clock

__all__ = ["RedisLeases"]

LISTEN_AGAIN = 0.2
"""Seconds before a listener whose connection broke connects again."""


class RedisLeases(Leases):
    """The leases of several machines, kept by one Redis or Valkey. Enter it; one for a process.

    ::

        async with coredis.Redis(host="redis.internal") as client:
            async with RedisLeases(client) as leases:
                lease = leases.lease("bot-7", "user-123")

    One command renews everything that a process holds. A process that was killed holds nothing
    after ``ttl``; one that cannot reach the keeper lets go of everything before that.

    Args:
        client: a client of coredis (asyncio and trio) or of redis.asyncio, which the program has
            opened. Three connections are made as it makes its own; with redis.asyncio they are
            taken from its pool. Or a `KeeperClient`.
        ttl: seconds for which a process is believed to live without a renewal. ``ttl`` and a
            quarter of it more is the longest wait after a machine was killed or the keeper began:
            ``policy.lease_timeout`` must be above that.
        renew_every: seconds between renewals; a fifth of ``ttl`` unless given.
        timeout: seconds that an answer of the keeper may take.
        drift: by how much the keeper's clock may be faster than ours: 0.01 is 1 %.
        slack: seconds that this process may be late to act.
        close_within: seconds that a holder may take to let go; at least ``policy.close_timeout``.
        when_away: what becomes of leases while the keeper is away: "close" loses what is held when
            its time is up, and grants nothing; "keep" goes on with what is held, and goes on
            without a lease where one is wanted, which two machines may then do for one user.
        machine: what others are told of where a holder is; the host's name unless given.
        prefix: what all keys and channels begin with. All machines must say the same.

    Raises:
        WrongAnswer: the client is none of those that are known.
        InvalidValue: a time that cannot be meant, or a ``ttl`` that is too short for the others.
    """

    def __init__(
        self,
        client: object,
        *,
        ttl: float = 15.0,
        renew_every: float | None = None,
        timeout: float = 1.0,
        drift: float = 0.01,
        slack: float = 0.25,
        close_within: float = 1.0,
        when_away: Literal["close", "keep"] = "close",
        machine: str = "",
        prefix: str = "{qrl}:",
        clock: Callable[[], float] = clock,
    ) -> None:
        _require_seconds("ttl", ttl)
        renew_every = ttl / 5 if renew_every is None else renew_every
        self.times = Times(ttl, renew_every, timeout, drift, slack, close_within)
        _require_fitting(self.times, when_away)
        self.keeps = when_away == "keep"
        process = secrets.token_hex(8)
        self.keeper = Keeper(
            client_for(client), self.times, prefix, process, machine or socket.gethostname()
        )
        self.session = Session(self.keeper, self.times, self, keeps=self.keeps, now=clock)
        self._process = process
        self._clock = clock
        self._outbox = Outbox(self.keeper)
        self._book: dict[str, RedisLease] = {}
        self._left = anyio.Event()
        self._tasks: TaskGroup | None = None
        self._home: Home | None = None
        self._was_open = self._judged = False
        self._stack = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<RedisLeases, {len(self._book)} in use>"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.keeper.connected())
            self._home = Home("entered")
            self._tasks = await stack.enter_async_context(anyio.create_task_group())
            self._tasks.start_soon(self._listen_forever)
            self._tasks.start_soon(self.session.renew_forever)
            self._tasks.start_soon(self.session.watch_the_clock)
            self._tasks.start_soon(self._outbox.send_forever)
            with anyio.move_on_after(self.times.timeout):
                await self.session.wait_until_good()  # if it is there; else it is waited for later
            self._stack = stack.pop_all()
            self._was_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tasks, self._tasks = self._tasks, None
        for lease in list(self._book.values()):
            lease.lose(LeaseLost("the program is closing its leases"))
        try:
            with anyio.move_on_after(self.times.close_within + self.times.timeout, shield=True):
                while self._book:
                    self._left = anyio.Event()
                    await self._left.wait()
                self._outbox.put(Word("end", self._process, self.session.id))
                await self._outbox.send_all()
        finally:
            if tasks is not None:
                tasks.cancel_scope.cancel()
            # What the program raised goes on as it is; the task group would wrap it.
            if not isinstance(error, anyio.get_cancelled_exc_class()):
                kind = error = traceback = None
            await self._stack.__aexit__(kind, error, traceback)

    # For programs

    def lease(self, *key: str, when_held: WhenHeld = "take_over") -> Lease:
        """A fresh lease of this key; the keeper is not asked for it yet."""
        check_key(key, when_held)
        return RedisLease(self, json.dumps(key), when_held)

    async def find_holder(self, *key: str) -> Holder | None:
        """Who holds it at this moment, on whichever machine; None if nobody does.

        Raises:
            LeaseLost: the keeper did not answer within ``timeout``, has just begun, so that who
                holds a lease may be about to say so, or these leases are closed: nobody knows.
            UsageError: they were never entered, or in another thread or event loop.
            InvalidValue: no key, or a part of it that is no text.
        """
        check_key(key)
        self._require_open()
        return await self.keeper.find(json.dumps(key))

    async def ask_to_leave(self, *key: str) -> bool:
        """Ask its holder to leave, on whichever machine; say whether there is one.

        Raises:
            LeaseLost: the keeper did not answer within ``timeout``, has just begun, so that who
                holds a lease may be about to say so, or these leases are closed: nobody may have
                been asked.
            UsageError: they were never entered, or in another thread or event loop.
            InvalidValue: no key, or a part of it that is no text.
        """
        check_key(key)
        self._require_open()
        return await self.keeper.ask(json.dumps(key))

    # For a lease

    def enter(self, lease: RedisLease) -> None:
        """From now on the process knows of it.

        Raises:
            UsageError: these leases were never entered, or in another thread or event loop.
            LeaseLost: they are closed.
        """
        self._require_open()
        self._book[lease.holder] = lease

    def leave(self, lease: RedisLease) -> None:
        """It holds nothing any more; the keeper is told, whatever it was asked before."""
        if lease.holder not in self._book:
            return
        self._home_here().require_thread()
        del self._book[lease.holder]
        self._outbox.put(Word("release", lease.key, lease.holder))
        self._left.set()

    async def until_given_back(self, key: str) -> None:
        """Wait until the keeper has heard what this process gave back of this key."""
        await self._outbox.until_given_back(key)

    def confirm(self, lease: RedisLease) -> None:
        """It knows that it holds the lease."""
        self._outbox.put(Word("confirm", lease.key, lease.holder))

    def ask_beside(self, lease: RedisLease) -> None:
        """It goes on without the keeper, which is asked once it is there again."""
        assert self._tasks is not None
        self._tasks.start_soon(lease.ask_beside)

    def judge_wait(self, at_most: float) -> None:
        """Say once that an attempt may give up while nothing is wrong with the keeper."""
        longest = self.times.ttl * 1.25
        if at_most <= longest and not self._judged:
            self._judged = True
            logger.warning(
                "leases: policy.lease_timeout is %g s, and after a kill of a machine, or a restart "
                "of the keeper, a lease may be had only after ttl + ttl / 4, %g s: allow more than "
                "that, or lower the ttl",
                at_most,
                longest,
            )

    # For the session

    def to_say_again(self) -> list[tuple[str, str, int]]:
        """Key, holder and token of what is held."""
        return [
            (lease.key, lease.holder, lease.token)
            for lease in self._book.values()
            if lease.held and lease.token is not None
        ]

    def begun(self, said: list[tuple[str, str, int]], gone: list[str]) -> None:
        """A session has begun with these leases, of which some are somebody else's by now."""
        for holder in gone:
            if (lease := self._book.get(holder)) is not None:
                lease.lose(LeaseTakenOver())
        for key, holder, _ in said:
            if holder not in self._book:  # released meanwhile, and said to be held after that
                self._outbox.put(Word("release", key, holder))

    def lose_all(self, error: LeaseLost) -> None:
        """The time is up: whoever waits for a lease goes on waiting."""
        for lease in list(self._book.values()):
            if lease.held:
                lease.lose(error)

    def confirm_all(self) -> None:
        """Tell the keeper of everything that is held."""
        for lease in list(self._book.values()):
            if lease.held:
                self.confirm(lease)

    def hear(self, hint: Hint) -> None:
        """Somebody said something to this process; it may have been said long ago, or twice."""
        lease = self._book.get(hint.holder)
        if lease is None:
            if hint.word == "leave":  # nobody here holds that: let it be free
                self._outbox.put(Word("release", hint.key, hint.holder))
        elif hint.word == "leave" or (hint.word == "superseded" and lease.waiting):
            lease.lose(hint.taken_over())
        elif hint.word == "free":
            lease.wake()

    def _require_open(self) -> None:
        if self._tasks is None:
            # Never entered is a mistake; closed meanwhile is how a program ends.
            raise (LeaseLost if self._was_open else UsageError)(
                "these leases are not open; use them within 'async with RedisLeases(...)'"
            )
        self._home_here().require()

    def _home_here(self) -> Home:
        assert self._home is not None, "they were entered"
        return self._home

    async def _listen_forever(self) -> None:
        """Hear hints; what is not heard comes with the next renewal, or is asked for again."""
        deafness = Deafness(self.session.outage, self.times, self._clock)
        while True:
            began = self._clock()
            try:
                async with self.keeper.hints() as hints:
                    async for text in hints:
                        if (hint := read_hint(text)) is not None:
                            self.hear(hint)
            except Exception as error:
                logger.debug("leases: listening again after %s", type(error).__name__)
                deafness.goes_on(error, began)
            await anyio.sleep(LISTEN_AGAIN)


def _require_seconds(name: str, value: object) -> None:
    if not is_positive(value) or value == float("inf"):
        raise InvalidValue(f"{name} must be seconds above 0, not {number_or_kind(value)}")


def _require_fitting(times: Times, when_away: str) -> None:
    """Refuse times that cannot be meant together."""
    for name in ("renew_every", "timeout", "close_within"):
        _require_seconds(name, getattr(times, name))
    numbers = all(isinstance(number, int | float) for number in (times.drift, times.slack))
    if not numbers or not (0 <= times.drift < 1 and times.slack >= 0):
        raise InvalidValue("drift must be from 0 to below 1, and slack no less than 0 s")
    if times.kept <= times.renew_every + times.timeout:
        raise InvalidValue(
            f"ttl is too short: of {times.ttl:g} s, {times.kept:g} are left beside closing, drift "
            f"and slack, and a renewal takes up to renew_every + timeout, "
            f"{times.renew_every + times.timeout:g} s"
        )
    if when_away not in {"close", "keep"}:
        raise InvalidValue("when_away is 'close' or 'keep'")
