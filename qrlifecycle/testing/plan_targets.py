"""What a plan can be run against: a scripted peer, or any contract peer on a real wire.

Each is what a judge can watch, and does what a plan has the peer do; what it cannot do is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

import anyio
import anyio.lowlevel

from ..codes import PairingCode, QRCode
from ..signals import QRUpdated, Signal
from ..transports.base import Transport
from .acts import SIGNALS, Act
from .cancellable_call import CancellableCall
from .clock import settle
from .contract.breaches import swallowed, to_let_out
from .contract.harness import LAST_SECONDS, LAST_TURNS, LATE
from .contract.peer import CannotDo, Peer
from .contract.transport_lines import place_of_waiting
from .judge import EPSILON, WatchedPeer
from .scripted import Fault, GracefulClose, ScriptedPeer

__all__ = ["PlanTarget", "ScriptedTarget", "WireTarget"]

ROTATED_LIFETIME = 3.0
"""Seconds."""

REST = 0.01
"""Seconds after which everybody is taken to wait, where nobody can tell: the time of a handshake on
loopback, about."""

NEVER = 1_000_000
"""Steps that no handshake has."""


class PlanTarget(WatchedPeer, Protocol):
    """What a plan is run against.

    Attributes:
        late: seconds by which its clock may miss a deadline.
        watch: called whenever a socket has come to exist, listens, or is gone.
        note: called with each breach that it finds by itself: which promise, and what was seen.
    """

    late: float
    watch: Callable[[], object]
    note: Callable[[int, str], object]

    async def act(self, act: Act) -> None:
        """Do it, if the peer can."""

    async def rest(self) -> None:
        """Wait until everybody waits."""

    def give_up(self) -> None:
        """Take away whatever a lifecycle that has outlasted everything may still wait for."""

    async def left(self) -> list[str]:
        """What is left of a lifecycle that has ended, in words."""
        ...


class ScriptedTarget(ScriptedPeer):
    """A `ScriptedPeer` on a virtual clock. Make it inside the event loop."""

    def __init__(self, openings: Iterable[Fault], closings: Iterable[Fault]) -> None:
        super().__init__(openings, closings)
        self.late = EPSILON
        self.note: Callable[[int, str], object] = lambda _promise, _text: None
        self._tasks = _tasks_alive()
        self._codes = _codes()

    async def act(self, act: Act) -> None:
        """Do it, at once."""
        if act is Act.HANG_UP:
            self.hang_up()
        elif act is Act.BREAK:
            self.break_connection()
        else:
            self.send(next(self._codes) if act is Act.ROTATED else SIGNALS[act])

    async def rest(self) -> None:
        """No time passes."""
        await settle()

    def give_up(self) -> None:
        """Scripted transports wait for nothing that does not come."""

    async def left(self) -> list[str]:
        """Tasks and timers."""
        tasks = ["a task"] if _tasks_alive() > self._tasks else []
        return [*tasks, *(["a timer"] if _has_timer() else [])]


class WireTarget:
    """A contract's `Peer`, over whatever it speaks, in real time.

    Of the faults, an opening may be unreachable (the peer listens no more, from then on), broken
    off, hung half-way, or hung (it opens, and the peer says nothing more, ever); a graceful
    close may be broken, or hung (the peer says nothing more).
    """

    def __init__(self, peer: Peer, openings: Iterable[Fault], closings: Iterable[Fault]) -> None:
        self.peer = peer
        self.late = LATE
        self.watch: Callable[[], object] = lambda: None
        self.note: Callable[[int, str], object] = lambda _promise, _text: None
        self.closes: list[GracefulClose] = []
        self._transports: list[_Watched] = []
        self._openings = iter(openings)
        self._closings = iter(closings)
        self._away = False

    def __call__(self) -> Transport:
        """A fresh transport to the peer, which is watched."""
        opening, closing = next(self._openings, Fault.NONE), next(self._closings, Fault.NONE)
        self._transports.append(_Watched(self, self.peer.make(), opening, closing))
        return self._transports[-1]

    @property
    def open_sockets(self) -> int:
        """By what was called, or by what the operating system says, whichever is more."""
        held = sum(transport.held for transport in self._transports)
        return max(held, len(self.peer.unshut()))

    @property
    def listening(self) -> bool:
        """Whether the newest transport's `open()` returned, and nobody has closed it."""
        return bool(self._transports) and self._transports[-1].listening

    async def act(self, act: Act) -> None:
        """Do it; a signal that the peer does not have is left out."""
        with suppress(CannotDo):
            if act is Act.HANG_UP:
                await self.peer.hang_up()
            elif act is Act.BREAK:
                self.peer.reset()
            elif (signal := self._meant_by(act)) is not None:
                await self.peer.send(signal)

    async def rest(self) -> None:
        """Nobody can tell; some time passes."""
        await anyio.sleep(REST)

    def give_up(self) -> None:
        """Every transport is aborted, and every connection cut."""
        for transport in self._transports:
            transport.give_up()
        self.peer.drop()

    async def left(self) -> list[str]:
        """What the peer finds, now and in a while."""
        for _ in range(LAST_TURNS):
            if not self.peer.leftovers():
                return []
            await anyio.lowlevel.checkpoint()
        await anyio.sleep(LAST_SECONDS)
        return self.peer.leftovers()

    async def before_opening(self, fault: Fault) -> None:
        """Prepare the peer for an opening."""
        with suppress(CannotDo):
            match fault:
                case Fault.HUNG_HALFWAY:
                    self.peer.stall(0)
                case Fault.REFUSED | Fault.BROKEN:
                    self.peer.break_off(0)
                case Fault.UNREACHABLE if not self._away:
                    self._away = True
                    await self.peer.go_away()
                case _:
                    self.peer.stall(NEVER)

    def at_opened(self, fault: Fault) -> None:
        """An opening is done."""
        if fault is Fault.HUNG:
            with suppress(CannotDo):
                self.peer.fall_silent()

    def at_close(self, fault: Fault) -> None:
        """A graceful close begins."""
        with suppress(CannotDo):
            if fault is Fault.HUNG:
                self.peer.fall_silent()
            elif fault is Fault.BROKEN:
                self.peer.reset()

    def _meant_by(self, act: Act) -> Signal | None:
        """The peer's signal that is this act's, or of its kind."""
        signal = SIGNALS.get(act)
        if signal in self.peer.signals:
            return signal
        kind = QRUpdated if signal is None else type(signal)
        of_kind = (one for one in self.peer.signals if type(one) is kind)
        return None if act is Act.STRANGER else next(of_kind, None)


class _Watched(Transport):
    """A transport of the peer's, with an eye on what is called."""

    def __init__(self, end: WireTarget, inner: Transport, opening: Fault, closing: Fault) -> None:
        self.held = False
        """Whether it may have a socket: from `open()` to a finished `aclose()`, or `abort()`."""
        self.listening = False
        self._end = end
        self._inner = inner
        self._opening = opening
        self._closing = closing
        self._under_way: CancellableCall[Any] | None = None

    @property
    def dropped(self) -> Mapping[str, int]:
        """The transport's."""
        return self._inner.dropped

    async def open(self) -> None:
        """Open, as the plan has it."""
        self._hold(held=True)
        await self._end.before_opening(self._opening)
        await self._call("open")
        self.listening = True
        self._end.watch()
        self._end.at_opened(self._opening)

    async def receive(self) -> Signal:
        """The transport's next signal."""
        signal: Signal = await self._call("receive")
        return signal

    async def aclose(self) -> None:
        """Close, as the plan has it."""
        began, finished = anyio.current_time(), False
        self.listening = False
        self._end.at_close(self._closing)
        try:
            await self._call("aclose")
            self._hold(held=False)
            finished = True
        except Exception:
            finished = True
            raise
        finally:
            self._end.closes.append(GracefulClose(anyio.current_time() - began, finished))

    def abort(self) -> None:
        """Abort."""
        self.listening = False
        self._inner.abort()
        self._hold(held=False)

    async def _call(self, method: str) -> Any:
        """Call a method of the transport's."""
        coroutine = getattr(self._inner, method)()

        def note_swallowed() -> None:
            place = place_of_waiting(self._inner, coroutine)
            happened = swallowed(f"{method}()", place)
            self._end.note(5, f"{happened} (T1). {to_let_out(self._inner, method)}")

        self._under_way = CancellableCall(
            coroutine, swallowed=note_swallowed, force=self._inner.abort
        )
        return await self._under_way.run()

    def give_up(self) -> None:
        """Abort; what is called at this moment is called no more at its next wait."""
        if self._under_way is not None:
            self._under_way.give_up()
        with suppress(Exception):
            self.abort()

    def _hold(self, *, held: bool) -> None:
        if self.held is not held:
            self.held = held
            self._end.watch()


def _codes() -> Iterator[QRUpdated]:
    """One rotation after another: pictures and codes to type, by turns."""
    number = 0
    while True:
        number += 1
        yield QRUpdated(QRCode(f"rotated {number}", expires_in=ROTATED_LIFETIME))
        yield QRUpdated(PairingCode(f"TYPE-{number}", expires_in=ROTATED_LIFETIME))


def _tasks_alive() -> int:
    """How many tasks exist on this event loop."""
    return len(anyio.get_running_tasks())


def _has_timer() -> bool:
    """Whether a timer is set on this event loop."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        import trio  # noqa: PLC0415 - whoever is not on trio may not have it

        return trio.lowlevel.current_statistics().seconds_to_next_deadline < float("inf")
    timers: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined] # noqa: SLF001
    return any(not timer.cancelled() for timer in timers)
