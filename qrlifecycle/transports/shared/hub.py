"""One socket for many displayed codes: open while at least one of them is displayed, no longer.

Some services tell everything about all accounts over one socket. A lifecycle for each code would
open a socket for each, and all of them would hear the same. A `SharedSocket` opens one, and gives
each lifecycle a member: a transport that keeps T1 to T8, and has the socket in common with others.

::

    async with SharedSocket(partial(SocketIOFeed, url)) as shared:
        member = partial(shared.member, "bot-7", "user-123")
        outcome = await QRLifecycle(request_qr, member, check_status=check_status).pair()

**A feed** is any transport whose signals are `Addressed`: they say whose they are.

**Who owns the socket.** A task of the ``async with`` block, and no lifecycle's: so no lifecycle's
cancellation or fault touches what the others hear. Members count; the task opens a feed when there
is one, and closes it when there is none.

**The last leaves, the first comes.** `aclose()` of the last member waits until the feed is closed,
in order, or until somebody needs a socket again; its `abort()` shuts the feed at once. Who comes
while a feed says goodbye waits until it is gone, and gets a fresh one. So there are never two.

**A feed that breaks ends every member.** Reconnecting behind their backs would hide that something
may have been missed meanwhile; a lifecycle that opens again reads its status. They all come back
over one new opening, and the delay between two openings is the shared socket's.

Nor do they all listen in the same instant: each reads its status then, and `spreading` says how
many a second. Who comes for the first time waits for nobody, unless it is into that crowd.

**Slow members hold nobody up.** Whoever routes never waits: each member has a buffer of its own,
bounded by what signals mean. What is for nobody is counted.

**A message that names nobody** is for nobody, but that something is new: a feed's `StatusChanged`
need not be `Addressed`, and is for all, likewise spread. Each reads its own status.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import anyio
import anyio.lowlevel
from anyio import EndOfStream
from anyio.abc import TaskGroup

from ...blocking import in_event_loop
from ...engine.backoff import Backoff
from ...engine.user_code import close_coroutine, describe, fault_of
from ...errors import (
    Ending,
    TransportError,
    TransportLost,
    TransportUnreachable,
    UsageError,
    WrongAnswer,
)
from ...lifecycle import require_functions, require_recorders
from ...logs import error_once, logger
from ...policy import Policy
from ...records import Closing, Recorder
from ...signals import Addressed, Signal, StatusChanged
from ...waiting import wait_for
from ..base import Transport, TransportFactory
from .member import Member
from .spreading import Spreading
from .telling import Telling

__all__ = ["SharedSocket"]

Key = tuple[str, ...]

TURN_AFTER = 1000
"""Signals after which others have a turn, if the feed itself lets nobody have one."""

READS_A_SECOND = 200.0
"""Small requests that a service may well answer in a second, beside what else it does."""

NOBODY = "nobody"
"""Under which cause a signal is counted that was for no member."""


class SharedSocket:
    """Holds one feed while it has members; an async context manager.

    Args:
        feed: makes a fresh feed for each opening: a transport whose signals are `Addressed`.
        policy: its ``open_timeout`` and ``close_timeout``, and the delays between two openings.
        recorders: are told of the socket, as those of a lifecycle are of its own: give it the same.
        reads_a_second: how many members a second go on where many would at once, for each reads
            its status then: as they come back after a break, and as they hear that something is
            new. A quarter of a second's worth need not wait, and nobody waits in `open()` for
            longer than half of ``open_timeout``.

    Raises:
        InvalidValue: ``reads_a_second`` is no number above 0.

    Leaving the block ends all members that are left, and leaves nothing open.
    """

    def __init__(
        self,
        feed: TransportFactory,
        policy: Policy | None = None,
        *,
        recorders: Sequence[Recorder] = (),
        reads_a_second: float = READS_A_SECOND,
    ) -> None:
        require_functions(0, feed=feed)
        require_recorders(recorders)
        if not isinstance(policy, Policy | None):
            raise WrongAnswer(f"policy must be a Policy, not {type(policy).__name__}")
        if not in_event_loop():
            raise WrongAnswer("a SharedSocket is made in an async function, where its loop runs")
        self._make = feed
        self._telling = Telling(recorders)
        self._policy = Policy() if policy is None else policy
        self._backoff = Backoff(self._policy.reconnect_delay, self._policy.reconnect_delay_max)
        self._next_at = -math.inf
        self._spreading = Spreading(reads_a_second, self._policy.open_timeout / 2)
        self._crowded_until = -math.inf
        """As long as who comes may be one of those who come back."""
        self._since = math.inf
        """When the feed that is held came to listen."""
        self._members: dict[Key, list[Member]] = {}
        self._feed: Transport | None = None
        self._scope = anyio.CancelScope()
        """What the owner does while it holds a feed; cancelled when nobody needs it any more."""
        self._goodbye = anyio.CancelScope()
        """The feed's graceful close; cancelled when it is shut by force meanwhile."""
        self._listening = False
        self._news = anyio.Event()
        self._thread: int | None = None
        """Where it was entered, as long as it is."""
        self._tasks: TaskGroup | None = None
        self._dropped: Counter[str] = Counter()
        self._openings = 0

    @property
    def name(self) -> str:
        """Its identifier, in its log and its records, and as ``shared`` in those of its members."""
        return self._telling.about.lifecycle

    @property
    def feed(self) -> TransportFactory:
        """What makes its feeds."""
        return self._make

    @property
    def members(self) -> int:
        """How many members are held now."""
        return sum(map(len, self._members.values()))

    @property
    def is_open(self) -> bool:
        """Whether there is a socket now, from before its opening until it is gone."""
        return self._feed is not None

    @property
    def openings(self) -> int:
        """How many feeds were made so far."""
        return self._openings

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many messages of the feeds that are gone became nothing, by cause.

        ``nobody``: they were for no member.
        """
        return dict(self._dropped)

    def member(self, *key: str) -> Transport:
        """A transport for one displayed code; bind it: ``partial(shared.member, "bot-7")``.

        Args:
            key: whose signals it hears; what the feed's `Addressed` say.
        """
        return Member(self, key)

    async def __aenter__(self) -> Self:
        if self._thread is not None:
            raise UsageError("a SharedSocket is entered once at a time")
        self._thread = threading.get_ident()
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._own)
        self._tasks.start_soon(self._spreading.run)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._tasks is not None
        self._thread = None
        failure = TransportLost("the shared socket's block was left", ending=Ending.CLOSED)
        for member in self._all():
            member.end(failure)
        self._tasks.cancel_scope.cancel()
        if isinstance(error, Exception):
            # The group would wrap it: it comes out as it is, since this returns nothing true.
            await self._tasks.__aexit__(None, None, None)
            return None
        return await self._tasks.__aexit__(kind, error, traceback)

    # The owner's task

    async def _own(self) -> None:
        with self._telling.about:
            while True:
                while not self._members:
                    await wait_for(self._news)
                # Between two openings there is a delay, and then perhaps nobody needs another.
                if (delay := self._next_at - anyio.current_time()) > 0:
                    await anyio.sleep(delay)
                else:
                    await self._hold()

    async def _hold(self) -> None:
        """Hold one feed, until it breaks or nobody needs it."""
        failure: Exception | None = None
        self._scope = scope = anyio.CancelScope()
        self._since = math.inf
        try:
            with scope:
                await self._listen()
        except BaseException as error:
            failure = _failure_of(fault_of(error))
        finally:
            broke_at = anyio.current_time()
            self._listening = False
            self._spreading.clear()
            # Whoever comes from here on waits for another feed.
            held = self._all()
            broke = None if scope.cancel_called else failure
            await self._close(broke)
        if broke_at - self._since >= self._policy.stable_after:
            self._backoff.reset()
        if broke is not None:
            delay = self._backoff.next()
            self._next_at = anyio.current_time() + delay
            self._telling.broke(broke, delay)
            for member in held:
                member.end(broke)
        self._tell()

    async def _listen(self) -> None:
        """Open a feed, and hand on what comes; it ends by what it raises."""
        made: object = self._make()
        if not isinstance(made, Transport):
            close_coroutine(made)
            raise WrongAnswer(f"the feed's factory gave back {type(made).__name__}, no Transport")
        self._feed = feed = made
        self._openings += 1
        limit, opened = self._policy.open_timeout, False
        self._telling.opening()
        with anyio.move_on_after(limit):
            await feed.open()
            opened = True
        if not opened:
            raise TransportUnreachable(
                f"the shared socket did not open within {limit:g} s", ending=Ending.SILENT
            )
        self._telling.opened()
        self._since = anyio.current_time()
        self._listening = True
        if self._next_at > -math.inf:  # it broke before
            self._crowded_until = self._since + self._policy.reconnect_delay_max
            self._next_at = -math.inf
        for member in self._all():
            self._let_go_on(member)
        while True:
            for _ in range(TURN_AFTER):
                self._route(await feed.receive())
            await anyio.lowlevel.checkpoint()

    def _all(self) -> list[Member]:
        return [member for members in self._members.values() for member in members]

    def _let_go_on(self, member: Member) -> None:
        """End an opening: by and by, where all come back."""
        if anyio.current_time() <= self._crowded_until:
            self._spreading.add(member)
        else:
            member.go_on()

    def _route(self, signal: Signal) -> None:
        """Hand a signal to those whom it is for; this never waits."""
        if isinstance(signal, StatusChanged):
            for member in self._all():
                self._spreading.add(member)
            return
        if not isinstance(signal, Addressed):
            raise WrongAnswer(f"a feed's signals are Addressed, and {type(signal).__name__} is not")
        members = self._members.get(signal.key)
        if members is None:
            self._dropped[NOBODY] += 1
            return
        for member in members:
            member.buffer.put(signal.signal)
            self._spreading.hurry(member)

    async def _close(self, broke: Exception | None) -> None:
        """Close the feed that is held: gracefully for a while, then by force."""
        if (feed := self._feed) is None:
            return
        how = Closing.FORCED
        try:
            with anyio.move_on_after(self._policy.close_timeout, shield=True) as self._goodbye:
                await feed.aclose()
                how = Closing.GRACEFUL
        except BaseException as error:
            logger.debug("the feed's graceful close failed: %s", type(fault_of(error)).__name__)
        finally:
            how = how if self._abort(feed) else Closing.BROKEN
            self._feed = None
            self._count(feed)
            self._telling.closed(how, broke)

    def _abort(self, feed: Transport) -> bool:
        """Shut the feed; one that cannot even do that must not keep others from another."""
        try:
            feed.abort()
        except BaseException as error:
            error_once("the feed broke its contract: abort() raised %s", describe(fault_of(error)))
            return False
        return True

    def _count(self, feed: Transport) -> None:
        try:
            self._dropped.update(feed.dropped)
        except BaseException as error:
            error_once("the feed broke its contract: dropped raised %s", describe(fault_of(error)))

    def _tell(self) -> None:
        """Have the owner look, and whoever left last: members came, or the feed is gone."""
        news, self._news = self._news, anyio.Event()
        news.set()

    # What members do

    async def enter(self, member: Member) -> None:
        """Count a member, and wait until there is a feed that listens.

        Raises:
            UsageError: outside of the block, or in another thread.
            Exception: what the feed ended with.
        """
        if self._thread != threading.get_ident():
            raise UsageError("a member is opened within the SharedSocket's own block and thread")
        self._members.setdefault(member.key, []).append(member)
        self._tell()
        if self._listening:
            self._let_go_on(member)
        await member.until_go_on()

    def leave(self, member: Member) -> None:
        """Count a member no more; a feed that nobody needs is listened to no more."""
        here = self._members.get(member.key, [])
        if member not in here:
            return
        here.remove(member)
        self._spreading.discard(member)
        if not here:
            del self._members[member.key]
        if not self._members:
            self._listening = False
            self._scope.cancel()

    async def until_closed(self) -> None:
        """Wait until the feed is gone, or somebody else needs one."""
        while self._feed is not None and not self._members:
            await wait_for(self._news)

    def shut(self) -> None:
        """Shut the feed now, if nobody needs it."""
        if self._feed is not None and not self._members:
            self._abort(self._feed)
            self._goodbye.cancel()


def _failure_of(fault: Exception) -> Exception:
    """What a feed's end is for its members."""
    if isinstance(fault, EndOfStream):
        return TransportLost("the peer closed the shared socket", ending=Ending.CLOSED)
    if isinstance(fault, TransportError | UsageError):
        return fault
    error_once("the feed broke its contract: it raised %s", describe(fault))
    return TransportLost(f"the feed raised {type(fault).__name__}", ending=Ending.OTHER)
