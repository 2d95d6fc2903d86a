"""What the contract's checks need at the other end of a transport: good and evil on command.

`WirePeer` is one for whatever speaks over TCP.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from ...errors import UsageError
from ...signals import Signal
from ...transports.base import Transport

__all__ = ["CannotCheck", "CannotDo", "Peer", "Unfinished"]


class CannotDo(Exception):
    """A peer cannot do what it was asked for; the check that asked is skipped, and says why."""


class CannotCheck(UsageError, RuntimeError):
    """Nothing can be checked: peer and transport do not come together, or the peer does nothing."""


class Unfinished(Exception):
    """What a peer was given failed in the middle of a check: nothing is known of the transport."""


class Peer(ABC):
    """The other end of the transports to check, and what makes them. An async context manager.

    Implement the abstract methods, and of the others what your peer can do: each that it cannot do
    skips the checks that need it.

    Attributes:
        signals: what the peer can send: at least two, different ones.
        heartbeat: seconds after which these transports count a silent peer as dead; infinite if
            there is no silence on whatever they speak over.
        garbage: bytes that no transport can mean, by name.
        foreign: messages that are whole, and another's, by name: somebody else's success.
        anything: bytes that no transport may choke on, by name, though one may find a signal there.
        flood: bytes to send again and again; none if there is nothing to flood with.
        doubt: what may be wrong on the peer's side where a signal did not come; empty if nothing.
    """

    signals: Sequence[Signal]
    heartbeat: float
    garbage: Mapping[str, bytes] = {}
    foreign: Mapping[str, bytes] = {}
    anything: Mapping[str, bytes] = {}
    flood: bytes = b""
    doubt: str = ""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self.start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    @abstractmethod
    async def start(self, stack: AsyncExitStack) -> None:
        """Start; ``stack`` ends it."""

    @abstractmethod
    def make(self) -> Transport:
        """A fresh transport to this peer."""

    @abstractmethod
    async def send(self, *signals: Signal) -> None:
        """Send these, in order, to every transport that is open."""

    def spell(self, signal: Signal) -> bytes:  # noqa: ARG002
        """What a signal is over the wire."""
        raise CannotDo("the peer cannot say what a signal is over the wire")

    async def send_in_halves(self, signal: Signal) -> None:  # noqa: ARG002
        """Send the beginning of what it is over the wire, and a little later the rest."""
        raise CannotDo("the peer cannot send half of a signal")

    @abstractmethod
    async def wait_until_gone(self) -> None:
        """Wait until no transport is connected to this peer any more."""

    @abstractmethod
    def leftovers(self) -> list[str]:
        """What there is now, in words, that was not there before the first transport was made."""

    def unshut(self) -> list[str]:
        """In words, this process's sockets to this peer that are not shut; none if nobody knows."""
        return []

    async def wait_until_connected(self) -> None:  # noqa: B027 - at once, unless overridden
        """Wait until this peer, too, knows of the transport that was opened."""

    def drop(self) -> None:  # noqa: B027 - nothing, unless overridden
        """Cut whatever is connected, and end what transports left behind: a check is over."""

    def stall(self, after: int) -> None:  # noqa: ARG002
        """From now on, fall silent in each handshake after this many steps of the peer's."""
        raise CannotDo("the peer has no handshake to stall in")

    async def wait_until_stalled(self) -> None:
        """Wait until an opening has come as far as `stall()` lets it."""
        raise CannotDo("the peer has no handshake to stall in")

    def break_off(self, after: int) -> None:  # noqa: ARG002
        """From now on, hang up in each handshake after this many steps of the peer's."""
        raise CannotDo("the peer has no handshake to break off")

    def greet_with(self, data: bytes) -> None:  # noqa: ARG002
        """From now on, answer openings with these bytes in place of a handshake."""
        raise CannotDo("the peer has no handshake to spoil")

    async def go_away(self) -> None:
        """From now on, be away: openings reach nobody."""
        raise CannotDo("the peer cannot be away")

    def turn_away(self) -> None:
        """From now on, say to each opening that it is not let in, as this protocol says it."""
        raise CannotDo("the peer cannot say that somebody is not let in")

    def send_early(self, *signals: Signal) -> None:  # noqa: ARG002
        """From now on, send these while an opening is under way, before it is done."""
        raise CannotDo("the peer cannot speak before an opening is done")

    async def hang_up(self) -> None:
        """Close in order."""
        raise CannotDo("the peer cannot hang up")

    def reset(self) -> None:
        """Break every connection."""
        raise CannotDo("the peer cannot break a connection")

    def fall_silent(self) -> None:
        """From now on say nothing, but stay connected."""
        raise CannotDo("the peer cannot fall silent while time passes")

    async def send_bytes(self, data: bytes) -> None:  # noqa: ARG002
        """Send bytes as they are."""
        raise CannotDo("the peer has no bytes to send")

    async def show_life(self) -> None:
        """Say that this peer is there, and nothing else."""
        raise CannotDo("the peer has no way to say that it is there")

    async def wait_until_answered(self) -> None:  # noqa: B027 - at once, unless overridden
        """Wait until what `show_life()` said last is answered, if it has to be."""

    def trouble(self) -> str:
        """What went wrong on the peer's own side, in words; empty if nothing did."""
        return ""

    def unreached(self) -> str:
        """In words, that no transport has come as far as this peer; empty if one has, or it may."""
        return ""
