"""One connection to a peer over TCP: bytes out and in, and a greeting that can be stopped.

Neither a stream of anyio's nor a server library's plays it, for each of them has a mind of its own
about what is sent when.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from ...transports.reset import reset_on_close
from ..wording import in_words
from .plain import READ, read, write_all
from .transport_lines import place_of_trouble

__all__ = ["Greeting", "Orders", "Wire", "in_words_with_place"]


@dataclass
class Orders:
    """What all connections of a peer are to do, and what they report. Make it inside the loop."""

    greet: Greeting | None
    early: list[bytes] = field(default_factory=list)
    """What to say before the handshake is done."""
    stops_at: int | None = None
    """The step of the greeting that is not taken."""
    hangs_up: bool = False
    """Whether the peer hangs up there, instead of falling silent."""
    stalled: anyio.Event = field(default_factory=anyio.Event)
    """Set when a greeting was stopped."""
    silent: bool = False
    """Whether nothing is said any more."""
    received: bytearray = field(default_factory=bytearray)
    """What clients have sent since this was last cleared."""
    garbled: bytes | None = None
    """What is said in place of the greeting."""
    troubles: list[str] = field(default_factory=list)
    """What the greeting raised, in words."""
    servers: set[int] = field(default_factory=set)
    """Ports of this process whose ends of connections are not the transport's."""
    news: anyio.Event = field(default_factory=anyio.Event)
    """Set when something was sent or came, or a client is gone; it is a fresh one each time."""

    def stop(self, after: int, *, hang_up: bool) -> None:
        """From now on, stop in each greeting after this many steps."""
        self.stops_at, self.hangs_up, self.stalled = after, hang_up, anyio.Event()

    def noticed(self) -> None:
        """Something was sent or came, or a client is gone."""
        self.news.set()
        self.news = anyio.Event()


class Wire(ByteStream):
    """One connection to a `WirePeer`: the stream that its greeting is given."""

    def __init__(self, orders: Orders, raw: socket.socket) -> None:
        self.gone = anyio.Event()
        """Set when the client is gone, in order or not."""
        self.orders = orders
        self.passed_on = 0
        """How many times something was sent."""
        self._raw = raw
        self._scope = anyio.CancelScope()
        self._steps = 0
        self._writing: set[anyio.CancelScope] = set()
        self._unsaid = list(orders.early)
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
            data = await read(self._raw, max_bytes)
        except OSError:
            data = b""
        if not data:
            self.gone.set()
            raise anyio.EndOfStream
        self.orders.received += data
        self.orders.noticed()
        return data

    async def send(self, item: bytes) -> None:
        """Send to the client. In the greeting, each call is a step that the peer may stop at.

        Raises:
            BrokenResourceError: the client is gone.
        """
        if self.greeting and self.orders.stops_at == self._steps:
            if self.orders.hangs_up:
                self._broken_off = True
                raise anyio.EndOfStream
            self.orders.stalled.set()  # from here on nothing is sent
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

        Early signals go out here, but the last of several, which comes with the last bytes.
        """
        here = self._unsaid[:-1] or self._unsaid
        self._held += b"".join(here)
        del self._unsaid[: len(here)]

    async def write(self, data: bytes) -> None:
        """Send, whatever the greeting says; nothing goes out once the peer is silent."""
        with anyio.CancelScope() as scope:
            self._writing.add(scope)
            try:
                await write_all(self._raw, b"" if self.orders.silent else data)
            finally:
                self._writing.discard(scope)
        if scope.cancelled_caught:
            raise anyio.BrokenResourceError
        self.passed_on += 1
        self.orders.noticed()

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
            self.orders.noticed()

    def count_as_peers(self, port: int) -> None:
        """A socket on this port is the greeting's own or its server's, and not the transport's."""
        self.orders.servers.add(port)

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

    async def _greet(self) -> None:
        if self.orders.garbled is not None:
            await self.write(self.orders.garbled)
        elif self.orders.greet is not None:
            try:
                await self.orders.greet(self)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                raise
            except Exception as error:
                self.orders.troubles.append(f"the greeting raised {in_words_with_place(error)}")
                self._broken_off = True  # a client may wait long for somebody who is not there
                raise anyio.EndOfStream from error
        self._held += b"".join(self._unsaid)
        await self._release()
        self.greeting = False

    async def _release(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            await self.write(held)


def in_words_with_place(error: Exception) -> str:
    """What a function that the peer was given raised, and where."""
    place = place_of_trouble(error)
    return in_words(error) + ("" if place is None else f" ({place})")


Greeting = Callable[[Wire], Awaitable[None]]
"""The server's part of a handshake, over the bytes of one connection."""
