"""The leases of one process: nothing to reach, nothing that runs out."""

from __future__ import annotations

import threading
import time
from itertools import count

import anyio
import anyio.lowlevel

from ..errors import LeaseHeld, LeaseLost, LeaseTakenOver
from ..waiting import wait_for
from .base import ASKED, Holder, Lease, Leases, Lost, WhenHeld, check_key
from .home import Home
from .waits import Wait

__all__ = ["LocalLeases"]

OF_THIS_PROCESS = "another attempt of this process took the lease over"


class LocalLeases(Leases):
    """The leases of one process, in one event loop. Make one for all its lifecycles.

    ::

        leases = LocalLeases()
        lease = leases.lease("bot-7", "user-123")

    While any of them is in use all are used in one thread and event loop; elsewhere they are
    refused with `WrongThread`. Once none is, another may begin to.

    Args:
        machine: what `find_holder()` says of where a holder is.
    """

    def __init__(self, machine: str = "") -> None:
        self._machine = machine
        self._book = _Book()

    def __repr__(self) -> str:
        return f"<LocalLeases, {len(self._book.entries)} in use>"

    def lease(self, *key: str, when_held: WhenHeld = "take_over") -> Lease:
        """A fresh lease of this key."""
        check_key(key, when_held)
        return _LocalLease(self._book, key, when_held)

    async def find_holder(self, *key: str) -> Holder | None:
        """Who holds it at this moment; it is always this machine."""
        check_key(key)
        await anyio.lowlevel.checkpoint()
        holder = self._book.holder(key)
        if holder is None or holder.token is None:
            return None
        return Holder(self._machine, holder.since, holder.token)

    async def ask_to_leave(self, *key: str) -> bool:
        """Ask its holder to leave; say whether there is one."""
        check_key(key)
        await anyio.lowlevel.checkpoint()
        holder = self._book.holder(key)
        if holder is not None:
            holder.lose(LeaseTakenOver(ASKED))
        return holder is not None


class _Book:
    """Which leases are held or claimed, by key."""

    __slots__ = ("_home", "_opening", "entries", "tokens")

    def __init__(self) -> None:
        self.entries: dict[tuple[str, ...], _Entry] = {}
        self.tokens = count(1)
        self._home: Home | None = None
        self._opening = threading.Lock()
        """Held while somebody finds that the book is theirs: two threads may at once."""

    def entry(self, key: tuple[str, ...]) -> _Entry:
        """That of a key, to be claimed now.

        Raises:
            WrongThread: the leases are in use in another thread or event loop.
        """
        with self._opening:
            if not self.entries:
                self._home = Home("first used")
            self._require_here()
            return self.entries.setdefault(key, _Entry())

    def _require_here(self) -> None:
        if self.entries and self._home is not None:
            self._home.require()

    def holder(self, key: tuple[str, ...]) -> _LocalLease | None:
        """Who holds it.

        Raises:
            WrongThread: the leases are in use in another thread or event loop.
        """
        self._require_here()
        entry = self.entries.get(key)
        return None if entry is None else entry.holder

    def leave(self, lease: _LocalLease) -> None:
        """Neither a holder nor a claimant any more; whoever waits is woken to see.

        Raises:
            WrongThread: it is held or claimed in another thread.
        """
        entry = self.entries.get(lease.key)
        if entry is None or (lease is not entry.holder and lease is not entry.claimant):
            return
        assert self._home is not None, "of the first entry"
        self._home.require_thread()
        if entry.holder is lease:
            entry.holder = None
        if entry.claimant is lease:
            entry.claimant = None
        if entry.holder is None and entry.claimant is None:
            del self.entries[lease.key]
        entry.change()


class _Entry:
    """What the leases of one key share: who holds it, and who came last to take it over."""

    __slots__ = ("changed", "claimant", "holder")

    def __init__(self) -> None:
        self.holder: _LocalLease | None = None
        self.claimant: _LocalLease | None = None
        self.changed = anyio.Event()

    def change(self) -> None:
        """Wake whoever waits."""
        self.changed.set()
        self.changed = anyio.Event()


class _LocalLease(Lease):
    """One attempt's lease, kept in this process."""

    __slots__ = ("_book", "_lost", "_released", "_token", "_wait", "_when_held", "key", "since")

    def __init__(self, book: _Book, key: tuple[str, ...], when_held: WhenHeld) -> None:
        self._book = book
        self._when_held = when_held
        self._lost: Lost | None = None
        self._released = False
        self._token: int | None = None
        self._wait = Wait()
        self.key = key
        self.since = 0.0

    @property
    def token(self) -> int | None:
        """The fencing token; None before the lease is held."""
        return self._token

    @property
    def awaits(self) -> str:
        """What `acquire()` waits for, or waited for at the last."""
        return self._wait.reason

    def expect(self, at_most: float) -> None:
        """Its `acquire()` may take so long."""
        self._wait.at_most = at_most

    async def acquire(self, lost: Lost, close_within: float) -> None:  # noqa: ARG002 - `Lease`'s
        """Wait until the lease is held."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        if self._released:
            raise LeaseLost("it was released before; make a fresh lease for each attempt")
        entry = self._book.entry(self.key)
        # A claim counts like a lease that is held: between a release and the moment in which the
        # claimant runs, nobody holds it, and nobody but one that came later may slip in.
        taken = entry.holder is not None or entry.claimant is not None
        if taken and self._when_held == "reject":
            raise LeaseHeld
        entry.claimant = self
        entry.change()  # whoever claimed it before sees that it came too early
        try:
            if entry.holder is not None:
                entry.holder.lose(LeaseTakenOver(OF_THIS_PROCESS))
                self._wait.goes_on("this process holds it, and was asked to leave")
            while entry.holder is not None:
                await wait_for(entry.changed)
                self._require_claim(entry)
        except BaseException:
            self._book.leave(self)
            raise
        entry.holder, entry.claimant = self, None
        self._lost = lost
        self._token = next(self._book.tokens)
        self.since = time.time()

    def _require_claim(self, entry: _Entry) -> None:
        """Be the one that came last, still.

        Raises:
            LeaseLost: it was released meanwhile.
            LeaseTakenOver: somebody else came later.
        """
        if self._released:
            raise LeaseLost("it was released while it was waited for")
        if entry.claimant is not self:
            raise LeaseTakenOver(OF_THIS_PROCESS)

    def lose(self, error: LeaseTakenOver) -> None:
        """Tell the holder, once."""
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(error)

    def release(self) -> None:
        """Give it back, now."""
        self._book.leave(self)  # first: in another thread it is refused, and nothing has changed
        self._released, self._lost = True, None
