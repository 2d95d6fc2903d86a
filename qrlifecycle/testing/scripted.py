"""A transport whose every step is under the test's hand, and the peer at its other end.

The peer keeps book of the sockets that exist, and when, so that a test can hold a lifecycle to its
promises. A fake is for making faults happen: refusals, hanging and breaking handshakes, closes
that never end; laid down beforehand, or said from one step to the next while it is held. As a
careless library would, it does not tidy up after itself: a socket that exists is gone only by a
finished `aclose()` or by `abort()`.
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

__all__ = ["Fault", "GracefulClose", "Point", "ScriptedPeer", "ScriptedTransport"]


class Fault(StrEnum):
    """What goes wrong in an opening or a closing."""

    NONE = "none"
    SLOW = "slow"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    BROKEN = "broken"
    HUNG = "hung"
    HUNG_HALFWAY = "hung halfway"
    HELD = "held"
    """At each `Point` it stops, until `ScriptedTransport.proceed()` says how it goes on."""


class Point(StrEnum):
    """Where a transport may be held."""

    CONNECTING = "connecting"
    """In `open()`; there is no socket yet."""
    HANDSHAKE = "handshake"
    """In `open()`; there is a socket, and nobody listens yet."""
    CLOSING = "closing"
    """In `aclose()`; there is a socket."""
    GONE = "gone"
    """In `aclose()`; the socket is gone."""


@dataclass(frozen=True, slots=True)
class GracefulClose:
    """How one call of `aclose()` went: how many seconds it had, and whether it came to its end."""

    seconds: float
    finished: bool


FAULTS_AT: dict[Point, frozenset[Fault]] = {
    Point.CONNECTING: frozenset({Fault.HUNG, Fault.UNREACHABLE}),
    Point.HANDSHAKE: frozenset({Fault.SLOW, Fault.HUNG_HALFWAY, Fault.REFUSED, Fault.BROKEN}),
    Point.CLOSING: frozenset(Fault) - {Fault.HELD},
    Point.GONE: frozenset(),
}
"""Which of the faults laid down beforehand happen where."""

SLOW = 0.5
"""Seconds that a slow step takes."""


class ScriptedPeer:
    """The other end of `ScriptedTransport`s, which it makes: ``QRLifecycle(request_qr, peer)``.

    Args:
        openings: the fault of each opening, in order; afterwards there is none.
        closings: the fault of each closing, in order; afterwards there is none.
        watch: called whenever a socket has come to exist, listens, or is gone.
    """

    def __init__(
        self,
        openings: Iterable[Fault] = (),
        closings: Iterable[Fault] = (),
        watch: Callable[[], object] = lambda: None,
    ) -> None:
        self.transports: list[ScriptedTransport] = []
        self.open_sockets = 0
        """How many sockets exist now."""
        self.most_sockets = 0
        self.closes: list[GracefulClose] = []
        self.let_go = anyio.Event()
        """Set it, and whatever hangs goes on."""
        self.released = False
        """Whether nothing is held any more."""
        self._openings = iter(openings)
        self._closings = iter(closings)
        self.watch = watch

    def __call__(self) -> ScriptedTransport:
        """A fresh transport: the peer itself is a lifecycle's transport factory."""
        transport = ScriptedTransport(
            self, next(self._openings, Fault.NONE), next(self._closings, Fault.NONE)
        )
        self.transports.append(transport)
        return transport

    @property
    def listening(self) -> bool:
        """Whether the newest transport's handshake is done and its socket exists."""
        return bool(self.transports) and self.transports[-1].listening

    def send(self, *signals: Signal) -> None:
        """Send signals over every socket that exists; the others never get them."""
        for transport in self.transports:
            if transport.socket_exists:
                for signal in signals:
                    transport.buffer.put(signal)

    def hang_up(self) -> None:
        """Close in order."""
        for transport in self.transports:
            transport.buffer.end(anyio.EndOfStream())

    def break_connection(self) -> None:
        """Let the connections break."""
        for transport in self.transports:
            transport.buffer.end(TransportLost("the connection broke, as the test wished"))

    def release(self) -> None:
        """Whatever is held goes on well, now and later."""
        self.released = True
        for transport in self.transports:
            transport.proceed()

    def noticed(self, change: int) -> None:
        """Note that a socket came (1) or went (-1)."""
        self.open_sockets += change
        self.most_sockets = max(self.most_sockets, self.open_sockets)
        self.watch()


class ScriptedTransport(Transport):
    """One scripted opening; made by a `ScriptedPeer`."""

    def __init__(self, peer: ScriptedPeer, opening: Fault, closing: Fault) -> None:
        self.buffer = SignalBuffer()
        self.socket_exists = False
        self.listening = False
        self.point: Point | None = None
        """Where it is held, while it is."""
        self._peer = peer
        self._opening = opening
        self._closing = closing
        self._said = Fault.NONE
        self._proceed = anyio.Event()

    def proceed(self, fault: Fault = Fault.NONE) -> None:
        """Let it go on from where it is held, so."""
        self.point, self._said = None, fault
        self._proceed.set()

    async def open(self) -> None:
        """Open as scripted: first there is no socket, then there is one, then it listens."""
        await self._stumble(Point.CONNECTING, self._opening)
        self._set_socket(exists=True)
        await self._stumble(Point.HANDSHAKE, self._opening)
        self.listening = True
        self._peer.watch()

    async def receive(self) -> Signal:
        """The next signal that the peer sent."""
        return await self.buffer.get()

    def close_nowait(self) -> bool:
        """Close at once, as most do, where no other closing was scripted."""
        if self._closing is not Fault.NONE:
            return False
        self.buffer.close()
        self._set_socket(exists=False)
        self._peer.closes.append(GracefulClose(0.0, finished=True))
        return True

    async def aclose(self) -> None:
        """Close as scripted; the socket is gone only at the end."""
        began = anyio.current_time()
        self.buffer.close()
        finished = False
        try:
            await self._stumble(Point.CLOSING, self._closing)
            self._set_socket(exists=False)
            await self._stumble(Point.GONE, self._closing)
            finished = True
        except OSError:
            finished = True
            raise
        finally:
            self._peer.closes.append(GracefulClose(anyio.current_time() - began, finished))

    def abort(self) -> None:
        """Be gone."""
        self.buffer.close()
        self._set_socket(exists=False)

    def _set_socket(self, *, exists: bool) -> None:
        if self.socket_exists is not exists:
            self.socket_exists = exists
            self.listening = self.listening and exists
            self._peer.noticed(1 if exists else -1)

    async def _stumble(self, point: Point, scripted: Fault) -> None:
        """Commit the scripted fault, if it is one that happens here, or what is said."""
        await anyio.lowlevel.checkpoint()
        if scripted is Fault.HELD:
            if self._peer.released:
                return
            await self._commit(await self._hold(point))
        elif scripted in FAULTS_AT[point]:
            await self._commit(scripted)

    async def _hold(self, point: Point) -> Fault:
        self.point, self._proceed = point, anyio.Event()
        try:
            await self._proceed.wait()
        finally:
            self.point = None
        return self._said

    async def _commit(self, fault: Fault) -> None:
        match fault:
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
            case _:
                pass
