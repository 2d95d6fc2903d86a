"""A TCP server on loopback that stalls, breaks and floods on command: the kit's own peer.

`relay()`, in a file of its own, puts it in front of a real server.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from math import isinf

import anyio

from ...errors import InvalidValue
from ...policy import is_positive
from ...signals import Signal
from ...transports.base import Transport
from ..leaks import KIT, Leaks, unshut_sockets
from .connection import Greeting, Orders, Wire, in_words_with_place
from .peer import CannotCheck, CannotDo, Peer, Unfinished

__all__ = ["Greeting", "Wire", "WirePeer"]

HOST = "127.0.0.1"

ANSWER = 5.0
"""Seconds that a server behind a relay has for a signal that it is to send."""

BETWEEN_HALVES = 0.01
"""Seconds in which a client reads the first half of a signal."""

GARBAGE: Mapping[str, bytes] = {
    "noise": bytes(range(256)) * 8,
    "zeros": bytes(1000),
    "not utf-8": b"\xff\xfe\xfd\n",
    "blank lines": b"\n\r\n \n\t\n",
    "a line without end": b"x" * 100_000,
    "deep nesting": b"[" * 50_000 + b"\n",
    "a number out of range": b'{"n": 1e999999}\n',
}
"""What is sent to every transport over TCP, whatever it speaks."""


def _require_bytes(signals: object, garbage: object, foreign: object, **optional: object) -> None:
    """What goes over a wire is bytes, and messages have names; text is mistaken easily."""
    said = [(name, data) for name, data in optional.items() if data is not None]
    for name, given in (("garbage", garbage), ("foreign", foreign)):
        if not isinstance(given, Mapping | None):
            raise InvalidValue(f"{name} must be bytes by name, not {type(given).__name__}")
        said += [(f"{name}[{key!r}]", data) for key, data in (given or {}).items()]
    if isinstance(signals, Mapping):
        said += [("what a signal is over the wire", data) for data in signals]
    for name, data in said:
        if not isinstance(data, bytes):
            raise InvalidValue(f"{name} must be bytes, not {type(data).__name__}")


def _require_functions(**optional: object) -> None:
    for name, function in optional.items():
        if not (function is None or callable(function)):
            raise InvalidValue(f"{name} must be a function, not {type(function).__name__}")


class WirePeer(Peer):
    """A TCP server on loopback that stays silent, stalls, breaks and floods on command.

    Args:
        make: makes a fresh transport to whoever listens at this host and port.
        signals: what goes over the wire, and what `receive()` must make of it; at least two,
            different. With ``send``, just the signals.
        heartbeat: seconds after which these transports count a silent peer as dead.
        alive: what the server sends to say that it is there, such as a ping; None if it has nothing
            to say but signals.
        answers: what the transport must send back to each; None if nothing. A WebSocket's client
            masks what it sends: give the two bytes that its frame begins with.
        greet: plays the server's part of the handshake; none if the client's connecting is all.
        send: has the server behind a `relay()` send a signal.
        ready: returns when the server behind a `relay()` knows all clients that are connected; for
            one that comes to know them only after their openings have returned.
        farewell: what a server of this protocol says before it closes in order.
        garbage: bytes that no transport can mean, by name; sent beside a default set.
        foreign: messages that are whole, and another's, by name: somebody else's success, where
            the server says it to everybody.
        refusal: plays the server's part of a handshake at whose end nobody is let in: a wrong
            token, say.
        flood: bytes to send again and again; the first signal's unless given.

    Raises:
        InvalidValue: fewer than two different signals, a heartbeat that is not above 0, signals
            without bytes and no ``send``, ``answers`` without ``alive``, or text for bytes.
    """

    def __init__(
        self,
        make: Callable[[str, int], Transport],
        *,
        signals: Mapping[bytes, Signal] | Sequence[Signal],
        heartbeat: float,
        alive: bytes | None = None,
        answers: bytes | None = None,
        greet: Greeting | None = None,
        send: Callable[[Signal], Awaitable[object]] | None = None,
        ready: Callable[[], Awaitable[object]] | None = None,
        farewell: bytes = b"",
        garbage: Mapping[str, bytes] | None = None,
        foreign: Mapping[str, bytes] | None = None,
        refusal: Greeting | None = None,
        flood: bytes = b"",
    ) -> None:
        _require_bytes(signals, garbage, foreign, alive=alive, answers=answers, farewell=farewell)
        spelt = signals if isinstance(signals, Mapping) else {}
        self.signals = tuple(signals.values() if isinstance(signals, Mapping) else signals)
        if len(self.signals) < 2 or self.signals[0] == self.signals[1]:
            raise InvalidValue("a peer needs at least two signals, and the first two must differ")
        if not (spelt or send):
            raise InvalidValue("say how the signals are spelt (bytes: signal), or give send=")
        _require_functions(make=make, greet=greet, refusal=refusal)
        if not is_positive(heartbeat) or isinf(heartbeat):
            raise InvalidValue("heartbeat must be above 0, and finite")
        if answers and not alive:
            raise InvalidValue("answers= is what comes back to alive=: give that as well")
        self.heartbeat = heartbeat
        self.garbage = dict(garbage or {})
        self.foreign = dict(foreign or {})
        self.refusal = refusal
        self.anything = GARBAGE
        self.flood = flood or next(iter(spelt), b"")
        self.greet = greet
        self.wires: list[Wire] = []
        self.leaks: Leaks
        self._make = make
        self._spelt = spelt
        self._send = send
        self._ready = ready
        if send is not None and ready is None:
            self.doubt = (
                "Or the server knows a client only some time after its open() has returned: then "
                "give ready=."
            )
        self._farewell = farewell
        self._alive = alive
        self._answers = answers
        self._orders: Orders
        self._accepting: anyio.CancelScope
        self._deaf = anyio.Event()

    async def start(self, stack: AsyncExitStack) -> None:
        """Listen."""
        await stack.enter_async_context(self._listening())

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        self._listener = socket.create_server((HOST, 0))
        try:
            self._listener.setblocking(False)
            self.port: int = self._listener.getsockname()[1]
            self.leaks = Leaks(servers={self.port})
            self._orders = Orders(self.greet, servers=self.leaks.servers)
            self._accepting = anyio.CancelScope()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._accept, tasks, name=KIT)
                yield
                tasks.cancel_scope.cancel()
        finally:
            self._listener.close()

    async def _accept(self, tasks: anyio.abc.TaskGroup) -> None:
        with self._accepting:
            while True:
                try:
                    raw, _ = self._listener.accept()
                except (BlockingIOError, InterruptedError, ConnectionError):
                    await anyio.wait_readable(self._listener)
                    continue
                wire = Wire(self._orders, raw)
                self.wires.append(wire)
                tasks.start_soon(wire.serve, name=KIT)
                self._orders.noticed()
        self._deaf.set()

    def make(self) -> Transport:
        """A fresh transport to this peer."""
        return self._make(HOST, self.port)

    async def send(self, *signals: Signal) -> None:
        """All in one segment; a server behind a relay sends one by one."""
        if self._send is None:
            await self.send_bytes(b"".join(map(self.spell, signals)))
            return
        for signal in signals:
            await self._have_sent(signal, self._send)

    def spell(self, signal: Signal) -> bytes:
        """The bytes that it was given for it."""
        if self._send is not None:
            raise CannotDo("a server behind a relay knows itself what a signal is over the wire")
        return next(data for data, meant in self._spelt.items() if meant == signal)

    async def send_in_halves(self, signal: Signal) -> None:
        """In three segments, of which the first is a single byte: a length may be torn as well."""
        if self._send is not None:
            raise CannotDo("a server behind a relay cannot be made to send half of a signal")
        # An open() may have returned although the peer's part of the handshake is not over.
        await self._until(lambda: not any(wire.greeting for wire in self._open()))
        data = self.spell(signal)
        middle = len(data) // 2
        for number, part in enumerate((data[:1], data[1:middle], data[middle:])):
            if number:
                await anyio.sleep(BETWEEN_HALVES)
            await self.send_bytes(part)

    async def wait_until_gone(self) -> None:
        """Every client is gone, as the operating system says."""
        await self._until(lambda: all(wire.gone.is_set() for wire in self.wires))

    def leftovers(self) -> list[str]:
        """Sockets and tasks."""
        return self.leaks.all()

    def unshut(self) -> list[str]:
        """Those that lead to its port, as the operating system says."""
        return unshut_sockets(self.port)

    async def wait_until_connected(self) -> None:
        """A client is there that is not gone, and a server behind a relay knows of it."""
        await self._until(lambda: bool(self._open()))
        if self._ready is not None:
            await self._ready()

    def drop(self) -> None:
        """Reset every connection; shut the sockets, and cancel the tasks, that were left behind."""
        for wire in self.wires:
            wire.reset()
        self.leaks.clear()

    def stall(self, after: int) -> None:
        """Fall silent in the greeting, after it has sent this many times."""
        self._stop(after, hang_up=False)

    async def wait_until_stalled(self) -> None:
        """Wait until a greeting was stopped."""
        await self._orders.stalled.wait()

    def break_off(self, after: int) -> None:
        """Hang up in the greeting, after it has sent this many times."""
        self._stop(after, hang_up=True)

    def greet_with(self, data: bytes) -> None:
        """Answer at once, with these bytes."""
        if self.greet is None:
            raise CannotDo("the peer was given no greet=, so there is no handshake to spoil")
        self._orders.garbled = data

    async def go_away(self) -> None:
        """Do not listen any more; the port stays this peer's."""
        self._accepting.cancel()
        await self._deaf.wait()
        self._listener.close()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((HOST, self.port))

    def turn_away(self) -> None:
        """By the handshake that it was given for that."""
        if self.refusal is None:
            raise CannotDo("the peer was given no refusal=, so nobody is ever refused by it")
        self._orders.greet = self.refusal

    def send_early(self, *signals: Signal) -> None:
        """Where the greeting says so, and with its last bytes."""
        if self._send is not None:
            raise CannotDo("a server behind a relay cannot be made to speak before its time")
        self._orders.early = [self.spell(signal) for signal in signals]

    async def hang_up(self) -> None:
        """Say farewell, and that nothing more will come; then wait for the client to go."""
        for wire in self._open():
            with suppress(anyio.BrokenResourceError):
                await wire.write(self._farewell)
            await wire.send_eof()

    def reset(self) -> None:
        """Reset every connection."""
        for wire in self._open():
            wire.reset()

    def fall_silent(self) -> None:
        """Read on, and say nothing."""
        self._orders.silent = True

    async def send_bytes(self, data: bytes) -> None:
        """To every client that is there."""
        for wire in self._open():
            with suppress(anyio.BrokenResourceError):
                await wire.write(data)

    async def show_life(self) -> None:
        """To every client that is there; what was received before is no answer to it."""
        if not self._alive:
            raise CannotDo("the peer was given no alive=, so it has nothing to say but signals")
        self._orders.received.clear()
        await self.send_bytes(self._alive)

    async def wait_until_answered(self) -> None:
        """The answer has come, if there has to be one."""
        await self._until(lambda: (self._answers or b"") in self._orders.received)

    def trouble(self) -> str:
        """What the greeting raised, and where."""
        return "; ".join(dict.fromkeys(self._orders.troubles))

    def unreached(self) -> str:
        """Nobody connected to its port."""
        if self.wires:
            return ""
        return f"nobody connected to {HOST}:{self.port}, the host and port that make= was given"

    def _stop(self, after: int, *, hang_up: bool) -> None:
        if self.greet is None:
            raise CannotDo("the peer was given no greet=, so there is no handshake to stop in")
        self._orders.stop(after, hang_up=hang_up)

    async def _have_sent(self, signal: Signal, send: Callable[[Signal], Awaitable[object]]) -> None:
        """Have the server send a signal; wait until it went through, or nobody listens any more."""
        before = self._passed_on()
        for late in (False, True):
            with anyio.move_on_after(ANSWER / 2):
                await self._ask_to_send(signal, send)
                await self._until(lambda: self._passed_on() > before or not self._open())
                if late and self._open():
                    raise CannotCheck(
                        f"the server behind the relay sent nothing after send({signal!r}), and "
                        "something after it was asked once more: it knows a client only some time "
                        "after that client's open() has returned. Give ready=, an async function "
                        "that returns when it knows all that are connected"
                    )
                return
        raise CannotCheck(
            f"the server behind the relay sent nothing within {ANSWER:g} s of send({signal!r}): "
            "send= must have it send that signal"
        )

    @staticmethod
    async def _ask_to_send(signal: Signal, send: Callable[[Signal], Awaitable[object]]) -> None:
        try:
            await send(signal)
        except Exception as error:
            what = in_words_with_place(error)
            raise Unfinished(f"send({signal!r}) raised {what}") from error

    def _open(self) -> list[Wire]:
        return [wire for wire in self.wires if not wire.gone.is_set()]

    def _passed_on(self) -> int:
        return sum(wire.passed_on for wire in self.wires)

    async def _until(self, fact: Callable[[], bool]) -> None:
        while not fact():
            await self._orders.news.wait()
