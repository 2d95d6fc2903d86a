"""A transport whose every step is under the test's hand, and the peer at its other end.

The peer keeps book of the sockets that exist, and when, so that a test can hold a lifecycle to its
promises. A fake is for making faults happen: refusals, hanging and breaking handshakes, goodbyes
that never end. As a careless library would, it does not tidy up after itself: a socket that exists
is gone only by a finished `aclose()` or by `abort()`. This room must never know the lifecycle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

import anyio
import anyio.lowlevel

from ..errors import TransportLost, TransportRefused, TransportUnreachable
from ..signals import Signal
from ..transports.base import Transport
from ..transports.buffer import SignalBuffer

__all__ = ["Fault", "Goodbye", "ScriptedPeer", "ScriptedTransport"]


class Fault(StrEnum):
    """What goes wrong in an opening or a closing."""

    NONE = "none"
    SLOW = "slow"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    BROKEN = "broken"
    HUNG = "hung"
    HUNG_HALFWAY = "hung halfway"


@dataclass(frozen=True, slots=True)
class Goodbye:
    """How one call of `aclose()` went: how many seconds it had, and whether it came to its end."""

    seconds: float
    finished: bool


SLOW = 0.5
"""Seconds that a slow step takes."""


class ScriptedPeer:
    """The other end of `ScriptedTransport`s, which it makes: ``QRLifecycle(request_qr, peer)``.

    Args:
        openings: the fault of each opening, in order; afterwards there is none.
        closings: the fault of each closing, in order; afterwards there is none.
        watch: called whenever a socket has come to exist or is gone.
    """

    def __init__(
        self,
        openings: Iterable[Fault] = (),
        closings: Iterable[Fault] = (),
        watch: Callable[[], object] = lambda: None,
    ) -> None:
        self.transports: list[ScriptedTransport] = []
        self.most_sockets = 0
        self.goodbyes: list[Goodbye] = []
        self.let_go = anyio.Event()
        """Set it, and whatever hangs goes on."""
        self._openings = iter(openings)
        self._closings = iter(closings)
        self._watch = watch

    def __call__(self) -> ScriptedTransport:
        """A fresh transport: the peer itself is a lifecycle's transport factory."""
        transport = ScriptedTransport(
            self, next(self._openings, Fault.NONE), next(self._closings, Fault.NONE)
        )
        self.transports.append(transport)
        return transport

    @property
    def open_sockets(self) -> int:
        """How many sockets exist now."""
        return sum(transport.socket_exists for transport in self.transports)

    @property
    def listening(self) -> bool:
        """Whether the newest transport's handshake is done and its socket exists."""
        return bool(self.transports) and self.transports[-1].listening

    def send(self, signal: Signal) -> None:
        """Send a signal over every socket that exists; the others never hear of it."""
        for transport in self.transports:
            if transport.socket_exists:
                transport.buffer.put(signal)

    def hang_up(self) -> None:
        """Close in order."""
        for transport in self.transports:
            transport.buffer.end(anyio.EndOfStream())

    def break_link(self) -> None:
        """Let the link break."""
        for transport in self.transports:
            transport.buffer.end(TransportLost("the link broke, as the test wished"))

    def noticed(self) -> None:
        """Note that a socket came or went."""
        self.most_sockets = max(self.most_sockets, self.open_sockets)
        self._watch()


class ScriptedTransport(Transport):
    """One scripted opening; made by a `ScriptedPeer`."""

    def __init__(self, peer: ScriptedPeer, opening: Fault, closing: Fault) -> None:
        self.buffer = SignalBuffer()
        self.socket_exists = False
        self.listening = False
        self._peer = peer
        self._opening = opening
        self._closing = closing

    async def open(self) -> None:
        """Open as scripted: first there is no socket, then there is one, then it listens."""
        await self._stumble(self._opening, at=(Fault.HUNG, Fault.UNREACHABLE))
        self._set_socket(exists=True)
        late = (Fault.SLOW, Fault.HUNG_HALFWAY, Fault.REFUSED, Fault.BROKEN)
        await self._stumble(self._opening, at=late)
        self.listening = True

    async def receive(self) -> Signal:
        """The next signal that the peer sent."""
        return await self.buffer.get()

    async def aclose(self) -> None:
        """Close as scripted; the socket is gone only at the end."""
        began = anyio.current_time()
        self.buffer.close()
        finished = False
        try:
            await self._stumble(self._closing, at=tuple(Fault))
            finished = True
        except OSError:
            finished = True
            raise
        finally:
            self._peer.goodbyes.append(Goodbye(anyio.current_time() - began, finished))
        self._set_socket(exists=False)

    def abort(self) -> None:
        """Be gone."""
        self.buffer.close()
        self._set_socket(exists=False)

    def _set_socket(self, *, exists: bool) -> None:
        if self.socket_exists is not exists:
            self.socket_exists = exists
            self.listening = self.listening and exists
            self._peer.noticed()

    async def _stumble(self, fault: Fault, at: tuple[Fault, ...]) -> None:
        """Commit this fault, if it is one that happens here."""
        await anyio.lowlevel.checkpoint()
        match fault if fault in at else Fault.NONE:
            case Fault.SLOW:
                await anyio.sleep(SLOW)
            case Fault.HUNG | Fault.HUNG_HALFWAY:
                await self._peer.let_go.wait()
            case Fault.REFUSED:
                raise TransportRefused("turned away, as the test wished")
            case Fault.UNREACHABLE:
                raise TransportUnreachable("nobody there, as the test wished")
            case Fault.BROKEN:
                raise OSError("broken, as the test wished")
            case Fault.NONE:
                pass
