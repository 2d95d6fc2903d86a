"""A TCP server on loopback that stalls, breaks and floods on command: the kit's own peer.

`relay()` puts it in front of a real server. This room must never know the checks, nor a lifecycle.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from math import isinf

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream, SocketAttribute

from ...errors import InvalidValue
from ...policy import is_positive
from ...signals import Signal
from ...transports.base import Transport
from ...transports.reset import reset_on_close
from ..remains import KIT, Remains
from .peers import CannotDo, Peer

__all__ = ["Greeting", "Wire", "WirePeer", "relay"]

HOST = "127.0.0.1"

READ = 65_536
"""Bytes taken from a socket at once."""

ANSWER = 5.0
"""Seconds that a real server has for passing on a signal that it was told to send."""

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


class Wire(ByteStream):
    """One connection to a `WirePeer`: the stream that its greeting is given."""

    def __init__(self, peer: WirePeer, raw: socket.socket) -> None:
        self.gone = anyio.Event()
        """Set when the client is gone, in order or not."""
        self.peer = peer
        self.passed_on = 0
        """How many times something was sent."""
        self._raw = raw
        self._scope = anyio.CancelScope()
        self._steps = 0
        self._writing: set[anyio.CancelScope] = set()
        self._unsaid = list(peer.early)
        self._held = b""
        self._broken_off = False
        self.greeting = True
        """Whether the handshake is still under way."""

    async def receive(self, max_bytes: int = READ) -> bytes:
        """What the client sent.

        Raises:
            EndOfStream: the client is gone.
        """
        await self._release()
        try:
            data = await self._read(max_bytes)
        except OSError:
            data = b""
        if not data:
            self.gone.set()
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        """Send to the client. In the greeting, each call is a step that the peer may stop at.

        Raises:
            BrokenResourceError: the client is gone.
        """
        if self.greeting and self.peer.stops_at == self._steps:
            if self.peer.hangs_up:
                self._broken_off = True
                raise anyio.EndOfStream
            self.peer.stalled.set()  # from here on nothing is sent
            return
        self._steps += 1
        await self._release()
        if self._unsaid:
            self._held = item
        else:
            await self.write(item)

    async def send_eof(self) -> None:
        """Say that nothing more will come."""
        await self._release()
        with suppress(OSError):
            self._raw.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        """Close this end."""
        self._scope.cancel()
        await anyio.lowlevel.checkpoint()

    async def speak_early(self) -> None:
        """Call it in a greeting where your server may speak before the handshake is done.

        The first of the early signals goes out here, and the others with the last bytes.
        """
        if self._unsaid:
            self._held += self._unsaid.pop(0)

    async def write(self, data: bytes) -> None:
        """Send, whatever the greeting says; nothing goes out once the peer is silent."""
        with anyio.CancelScope() as scope:
            self._writing.add(scope)
            try:
                await self._write_all(b"" if self.peer.silent else data)
            finally:
                self._writing.discard(scope)
        if scope.cancelled_caught:
            raise anyio.BrokenResourceError
        self.passed_on += 1
        self.peer.noticed()

    def reset(self) -> None:
        """Break the connection."""
        with suppress(OSError):
            reset_on_close(self._raw)
        self._scope.cancel()

    async def serve(self) -> None:
        """Greet, then read until the client is gone."""
        try:
            with self._raw:
                with self._scope:
                    await self._greet_and_read()
                await self._end_writing()
        finally:
            self.gone.set()
            self.peer.noticed()

    def count_as_peers(self, stream: ByteStream) -> None:
        """A connection of the greeting's own to a server of this process is not the transport's."""
        ends = (SocketAttribute.local_port, SocketAttribute.remote_port)
        self.peer.remains.servers |= {stream.extra(end) for end in ends}  # noqa: S610 - anyio's

    async def _greet_and_read(self) -> None:
        self._raw.setblocking(False)
        self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            await self._greet()
        while not self._broken_off and not self.gone.is_set():
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await self.receive()

    async def _end_writing(self) -> None:
        """The socket is about to be closed: nobody may wait for it any more."""
        with anyio.CancelScope(shield=True):
            while self._writing:
                for scope in self._writing:
                    scope.cancel()
                await anyio.lowlevel.checkpoint()

    async def _write_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._raw.send(rest) :]
            except (BlockingIOError, InterruptedError):
                await anyio.wait_writable(self._raw)
            except OSError as error:
                raise anyio.BrokenResourceError from error

    async def _greet(self) -> None:
        if self.peer.garbled is not None:
            await self.write(self.peer.garbled)
        elif self.peer.greet is not None:
            try:
                await self.peer.greet(self)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                raise
            except Exception as error:
                self.peer.troubles.append(f"{type(error).__name__}: {error}")
                raise anyio.EndOfStream from error
        self._held += b"".join(self._unsaid)
        await self._release()
        self.greeting = False

    async def _release(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            await self.write(held)

    async def _read(self, most: int) -> bytes:
        while True:
            try:
                return self._raw.recv(most)
            except (BlockingIOError, InterruptedError):
                await anyio.wait_readable(self._raw)


Greeting = Callable[[Wire], Awaitable[None]]
"""The server's part of a handshake, over the bytes of one connection."""


class WirePeer(Peer):
    """A TCP server on loopback that stays silent, stalls, breaks and floods on command.

    Args:
        make: makes a fresh transport to whoever listens at this host and port.
        signals: what goes over the wire, and what `receive()` must make of it; at least two,
            different. With ``send``, just the signals.
        heartbeat: seconds after which these transports count a silent peer as dead.
        greet: plays the server's part of the handshake; none if the client's connecting is all.
        send: has the server behind a `relay()` send a signal.
        farewell: what a server of this protocol says before it closes in order.
        garbage: bytes that no transport can mean, by name; sent beside a default set.
        flood: bytes to send again and again; the first signal's unless given.

    Raises:
        InvalidValue: fewer than two different signals, a heartbeat that is not above 0, or signals
            without bytes and no ``send``.
    """

    def __init__(
        self,
        make: Callable[[str, int], Transport],
        *,
        signals: Mapping[bytes, Signal] | Sequence[Signal],
        heartbeat: float,
        greet: Greeting | None = None,
        send: Callable[[Signal], Awaitable[object]] | None = None,
        farewell: bytes = b"",
        garbage: Mapping[str, bytes] | None = None,
        flood: bytes = b"",
    ) -> None:
        spelt = signals if isinstance(signals, Mapping) else {}
        self.signals = tuple(signals.values() if isinstance(signals, Mapping) else signals)
        if len(self.signals) < 2 or self.signals[0] == self.signals[1]:
            raise InvalidValue("a peer needs at least two signals, and the first two must differ")
        if not (spelt or send):
            raise InvalidValue("say how the signals are spelt (bytes: signal), or give send=")
        if not is_positive(heartbeat) or isinf(heartbeat):
            raise InvalidValue("heartbeat must be above 0, and finite")
        self.heartbeat = heartbeat
        self.garbage = dict(garbage or {})
        self.anything = GARBAGE
        self.flood = flood or next(iter(spelt), b"")
        self.greet = greet
        self.wires: list[Wire] = []
        self.remains: Remains
        self.stops_at: int | None = None
        """The step of the greeting that is not taken."""
        self.hangs_up = False
        """Whether the peer hangs up there, instead of falling silent."""
        self.silent = False
        self.garbled: bytes | None = None
        self.early: list[bytes] = []
        self.stalled = anyio.Event()
        self.troubles: list[str] = []
        self._make = make
        self._spelt = spelt
        self._send = send
        self._farewell = farewell
        self._news = anyio.Event()
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
            self.remains = Remains(servers={self.port})
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
                wire = Wire(self, raw)
                self.wires.append(wire)
                tasks.start_soon(wire.serve, name=KIT)
                self.noticed()
        self._deaf.set()

    def make(self) -> Transport:
        """A fresh transport to this peer."""
        return self._make(HOST, self.port)

    async def send(self, *signals: Signal) -> None:
        """All in one segment; a server behind a relay sends one by one."""
        if self._send is None:
            await self.send_bytes(b"".join(map(self._spell, signals)))
            return
        for signal in signals:
            await self._have_sent(signal, self._send)

    async def wait_until_gone(self) -> None:
        """Every client is gone, as the operating system says."""
        await self._until(lambda: all(wire.gone.is_set() for wire in self.wires))

    def leftovers(self) -> list[str]:
        """Sockets and tasks."""
        return self.remains.all()

    async def wait_until_connected(self) -> None:
        """A client is there that is not gone."""
        await self._until(lambda: bool(self._open()))

    def drop(self) -> None:
        """Reset every connection; shut the sockets, and cancel the tasks, that were left behind."""
        for wire in self.wires:
            wire.reset()
        self.remains.clear()

    def stall(self, after: int) -> None:
        """Fall silent in the greeting, after it has sent this many times."""
        self._stop(after, hang_up=False)

    async def wait_until_stalled(self) -> None:
        """Wait until a greeting was stopped."""
        await self.stalled.wait()

    def break_off(self, after: int) -> None:
        """Hang up in the greeting, after it has sent this many times."""
        self._stop(after, hang_up=True)

    def greet_with(self, data: bytes) -> None:
        """Answer at once, with these bytes."""
        if self.greet is None:
            raise CannotDo("the peer was given no greet=, so there is no handshake to spoil")
        self.garbled = data

    async def refuse(self) -> None:
        """Do not listen any more; the port stays this peer's."""
        self._accepting.cancel()
        await self._deaf.wait()
        self._listener.close()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((HOST, self.port))

    def send_early(self, *signals: Signal) -> None:
        """Where the greeting says so, and with its last bytes."""
        if self._send is not None:
            raise CannotDo("a server behind a relay cannot be made to speak before its time")
        self.early = [self._spell(signal) for signal in signals]

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
        self.silent = True

    async def send_bytes(self, data: bytes) -> None:
        """To every client that is there."""
        for wire in self._open():
            with suppress(anyio.BrokenResourceError):
                await wire.write(data)

    def trouble(self) -> str:
        """What the greeting raised."""
        return "; ".join(dict.fromkeys(self.troubles))

    def noticed(self) -> None:
        """Something was sent, or a client is gone."""
        self._news.set()
        self._news = anyio.Event()

    def _stop(self, after: int, *, hang_up: bool) -> None:
        if self.greet is None:
            raise CannotDo("the peer was given no greet=, so there is no handshake to stop in")
        self.stops_at, self.hangs_up, self.stalled = after, hang_up, anyio.Event()

    async def _have_sent(self, signal: Signal, send: Callable[[Signal], Awaitable[object]]) -> None:
        """Have the server send a signal; wait until it went through, or nobody listens any more."""
        before = self._passed_on()
        await send(signal)
        with anyio.move_on_after(ANSWER):
            await self._until(lambda: self._passed_on() > before or not self._open())
            return
        raise TimeoutError(f"the server sent nothing within {ANSWER:g} s of send({signal!r})")

    def _spell(self, signal: Signal) -> bytes:
        return next(data for data, meant in self._spelt.items() if meant == signal)

    def _open(self) -> list[Wire]:
        return [wire for wire in self.wires if not wire.gone.is_set()]

    def _passed_on(self) -> int:
        return sum(wire.passed_on for wire in self.wires)

    async def _until(self, fact: Callable[[], bool]) -> None:
        while not fact():
            await self._news.wait()


def relay(host: str, port: int) -> Greeting:
    """A greeting that is a real server's: bytes are passed on, both ways, until one side ends.

    A server in this process must run in another thread, or its tasks would count as left behind.
    """

    async def pass_on(source: ByteStream, target: ByteStream, done: anyio.CancelScope) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            while True:
                await target.send(await source.receive())
        done.cancel()

    async def greet(wire: Wire) -> None:
        async with await anyio.connect_tcp(host, port) as server:
            wire.count_as_peers(server)
            async with anyio.create_task_group() as tasks:
                for source, target in ((wire, server), (server, wire)):
                    tasks.start_soon(pass_on, source, target, tasks.cancel_scope, name=KIT)

    return greet
