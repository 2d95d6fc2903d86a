"""What a lease must do, as an ABC and nine numbered clauses.

A lease says who may hold a transport for one key: a bot and a user, say. It is one attempt's: made,
acquired, released, thrown away. What keeps the leases of several machines is their *keeper*; a
`Leases` object is one machine's (one process's) way to it. A lease is a measure of hygiene. No
success depends on it: `check_status` finds one whoever holds the transport. The contract:

L1
    `acquire()` returns when the lease is held, raises `LeaseHeld` (somebody else has it, or has
    claimed it since) or `LeaseLost` (it cannot be had), and lets a cancellation out; then nothing
    is held.
L2
    From the return of `acquire()` until `release()`, or until ``close_within`` seconds after
    ``lost`` was called, no other `acquire()` of the key returns.
L3
    ``lost`` is called at most once, in the event loop, without waiting; never after `release()`.
L4
    ``lost`` is called at least ``close_within`` seconds before anybody else may hold the lease,
    also when the keeper cannot be reached.
L5
    `release()` is plain, at any moment, any number of times, also before `acquire()` and in the
    middle of it, which then raises `LeaseLost`. Afterwards nothing is held: the same machine can
    have it again at once, and whoever waits is told.
L6
    Of several that take a lease over, the one that came last gets it; those before it raise
    `LeaseHeld`.
L7
    A holder that died is none after the keeper's time to live.
L8
    Tokens grow: whoever holds it later has the greater `token`.
L9
    The keeper is told keys, random ids, times and the machine's name; never what stands behind
    ``lost``: a code, an identity, a token of the service.

`check_leases` in `qrlifecycle.testing` checks all of it on any keeper.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, Literal

from ..errors import InvalidValue
from ..secrecy import NotPickled

__all__ = ["ASKED", "Holder", "Lease", "LeaseFactory", "Leases", "Lost", "WhenHeld", "check_key"]

Lost = Callable[[Exception], object]
"""Called when a lease is lost, with the `LeaseHeld` or `LeaseLost` that says why; a plain function.

Whoever holds the lease has ``close_within`` seconds from then on to let go of what it is for.
"""

ASKED = "the lease's holder was asked to leave"
"""What is said of a lease that was lost by `ask_to_leave()`."""

WhenHeld = Literal["take_over", "reject"]
"""What to do about a lease that somebody else holds: ask the holder to leave and wait until it has
left, or raise `LeaseHeld`."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease: which machine, since when, and with which token."""

    machine: str
    """The name that the program gave to that machine's `Leases`: where to send a person, say."""
    since: float
    """Seconds since the epoch, by the keeper's clock."""
    token: int
    """Greater than that of every earlier holder."""


class Lease(NotPickled, ABC):
    """One attempt's lease of one key. See the module for the clauses L1 to L9."""

    __slots__ = ("__weakref__",)

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a ``release()`` that would have to be awaited: it is called on the way out.

        Raises:
            TypeError: ``release`` is an async function.
        """
        super().__init_subclass__(**options)
        if iscoroutinefunction(cls.release):
            raise TypeError(f"{cls.__name__}.release() must be a plain function, not an async one")

    @property
    @abstractmethod
    def token(self) -> int | None:
        """The fencing token; None before the lease is held.

        A service that is sent it on connecting, and refuses or closes whatever has a smaller one,
        needs to trust nobody's clock.
        """

    @property
    def awaits(self) -> str:
        """What `acquire()` waits for, or waited for at the last, in words and without a secret.

        It goes into the error of an attempt whose ``policy.lease_timeout`` ran out. Empty if the
        lease does not know.
        """
        return ""

    def expect(self, at_most: float) -> None:
        """Told before `acquire()` for how many seconds it is waited for: for a log line, say."""

    @abstractmethod
    async def acquire(self, lost: Lost, close_within: float) -> None:
        """Wait until the lease is held.

        Args:
            lost: told when it is lost, from the moment that this returns until `release()`.
            close_within: the seconds that its holder needs to let go.

        Raises:
            LeaseHeld: somebody else holds it, and this one does not take it over.
            LeaseTakenOver: somebody else claimed it while this one waited.
            LeaseLost: the keeper cannot be reached, or `release()` was called.
            InvalidValue: the keeper's time to live has no room for ``close_within``.
        """

    @abstractmethod
    def release(self) -> None:
        """Give it back, now, without awaiting. Nothing that it is for may be open any more."""


LeaseFactory = Callable[[], Lease]
"""A plain function that makes a fresh lease, called once for each attempt."""


class Leases(ABC):
    """One machine's way to the keeper of leases."""

    @abstractmethod
    def lease(self, *key: str, when_held: WhenHeld = "take_over") -> Lease:
        """A fresh lease of this key; nobody is asked for it yet.

        Args:
            key: whom it is for: a bot and a user, say.
            when_held: what to do if somebody else holds it.

        Raises:
            InvalidValue: no key, a part of it that is no text, or another ``when_held``.
        """

    @abstractmethod
    async def find_holder(self, *key: str) -> Holder | None:
        """Who holds it at this moment, on whichever machine; None if nobody does.

        Raises:
            LeaseLost: nobody knows: the keeper cannot be reached, or has forgotten and not been
                told again.
            InvalidValue: no key, or a part of it that is no text.
        """

    @abstractmethod
    async def ask_to_leave(self, *key: str) -> bool:
        """Ask its holder to leave, on whichever machine; say whether there is one.

        Its ``lost`` is told `LeaseTakenOver`. This does not wait until it has left.

        Raises:
            LeaseLost: the keeper cannot be reached.
            InvalidValue: no key, or a part of it that is no text.
        """


def check_key(key: tuple[str, ...], when_held: str = "take_over") -> None:
    """Make sure that a key can be meant.

    Raises:
        InvalidValue: no key, a part of it that is no text, or another ``when_held``.
    """
    if not key or not all(isinstance(part, str) and part for part in key):
        kinds = ", ".join(type(part).__name__ if part != "" else "''" for part in key)
        raise InvalidValue(f"a key is one or more texts, such as a bot and a user, not ({kinds})")
    if when_held not in {"take_over", "reject"}:
        raise InvalidValue("when_held is 'take_over' or 'reject'")
