"""A TCP proxy that does to connections what a network does: faults are drawn, or made on command.

A server that is not there, silence, garbage, resets, orderly ends, slowness; at once or in the
middle of a conversation. It knows no protocol. It runs on asyncio, beside the client or the server.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from ..transports.reset import reset_on_close
from .connection_plan import AT_ONCE, ConnectionPlan, ProxyFault
from .listening import stop_listening
from .news import News

__all__ = ["FaultyProxy"]


class FaultyProxy:
    """The proxy; an async context manager that listens on entering and leaves nothing behind.

    Args:
        host: where it listens, and where the server is.
        port: the server's.
        draw: called for each connection that is not refused; what happens to it.
    """

    def __init__(
        self, host: str, port: int, draw: Callable[[], ConnectionPlan] = ConnectionPlan
    ) -> None:
        self.target = (host, port)
        self.port = 0
        self.draw = draw
        self.refusing = False
        """Whether each new connection is reset at once."""
        self.accepted: list[float] = []
        """When each connection was made, but for those refused; by the event loop's clock."""
        self.refused = 0
        self.cuts = 0
        """How many connections were cut, on both sides."""
        self.news = News()
        """Of connections: accepted, refused, ended."""
        self.connections: set[ProxiedConnection] = set()
        """Those that have not ended."""
        self.sides: set[ProxySide] = set()
        """Sockets that there are."""
        self._connecting: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.target[0]}:{self.port}"

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._make_side, self.target[0], 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Reset every connection, and be gone."""
        if self._server is None:
            return
        await stop_listening(self._server)
        for connection in tuple(self.connections):
            connection.end(reset=True)
        if self._connecting:
            await asyncio.wait(tuple(self._connecting))
        await self.news.until(lambda: not self.sides)
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def cut(self, *, reset: bool = True) -> None:
        """Cut every connection, on both sides: by a reset, or by an orderly end."""
        for connection in tuple(self.connections):
            connection.cut(reset=reset)

    def note_accepted(self) -> None:
        """A connection is made that is not refused."""
        self.accepted.append(asyncio.get_running_loop().time())

    def _make_side(self) -> ProxySide:
        return ProxiedConnection(self).client

    def start_connecting(self, connection: ProxiedConnection) -> None:
        """Connect to the server, in a task."""
        task = asyncio.get_running_loop().create_task(connection.connect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)


class ProxiedConnection:
    """One connection through the proxy: the client's side and the server's."""

    def __init__(self, proxy: FaultyProxy) -> None:
        self.client = ProxySide(self)
        self.server = ProxySide(self)
        self._proxy = proxy
        self._plan = ConnectionPlan()
        self._ended = False
        self._silent = False
        self._late: deque[tuple[Callable[[], None], asyncio.TimerHandle]] = deque()
        self._fault: asyncio.TimerHandle | None = None

    def note_made(self, side: ProxySide) -> None:
        """A side's socket is there: the client's, and then the server's."""
        self._proxy.sides.add(side)
        if self._ended:
            side.close(reset=True)
        elif side is self.server:
            self.client.resume()
        elif self._proxy.refusing:
            self._refuse()
        else:
            self._begin()
        self._proxy.news.notify()

    def note_lost(self, side: ProxySide, *, reset: bool) -> None:
        """A side's socket is gone: what came over it is still passed on, then the other goes."""
        self._proxy.sides.discard(side)
        self._in_order(lambda: self.end(reset=reset))
        self._proxy.news.notify()

    def pass_on(self, data: bytes, sender: ProxySide) -> None:
        """Hand over what a side sent."""
        if not self._silent:
            receiver = self.server if sender is self.client else self.client
            self._in_order(lambda: receiver.send(data))

    def cut(self, *, reset: bool) -> None:
        """Cut it on both sides."""
        if not self._ended:
            self._proxy.cuts += 1
            self.end(reset=reset)

    def end(self, *, reset: bool) -> None:
        """End it on both sides, for whatever reason."""
        if self._ended:
            return
        self._ended = True
        self._proxy.connections.discard(self)
        for _, timer in self._late:
            timer.cancel()
        self._late.clear()
        if self._fault is not None:
            self._fault.cancel()
        self.client.close(reset=reset)
        self.server.close(reset=reset)
        self._proxy.news.notify()

    async def connect(self) -> None:
        """Connect to the server; if nobody answers, the client is reset."""
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self.server, *self._proxy.target
            )
        except OSError:
            self.end(reset=True)

    def _refuse(self) -> None:
        self._proxy.refused += 1
        self.end(reset=True)

    def _begin(self) -> None:
        self._plan = self._proxy.draw()
        if self._plan.fault is ProxyFault.REFUSE:
            self._refuse()
            return
        self._proxy.connections.add(self)
        self._proxy.note_accepted()
        if self._plan.fault in AT_ONCE:
            self.client.resume()  # what is not read would hide the client's end
            self._commit_fault()
        else:
            self._proxy.start_connecting(self)
            loop = asyncio.get_running_loop()
            self._fault = loop.call_later(self._plan.after, self._commit_fault)

    def _commit_fault(self) -> None:
        match self._plan.fault:
            case ProxyFault.RESET_LATER:
                self.cut(reset=True)
            case ProxyFault.END_LATER:
                self.cut(reset=False)
            case ProxyFault.BABBLE | ProxyFault.BABBLE_LATER:
                self.client.send(self._plan.garbage)
            case ProxyFault.SILENCE_LATER:
                self._silent = True
            case _:
                pass

    def _in_order(self, deed: Callable[[], None]) -> None:
        """Do it, late if the plan says so, and never before what came earlier."""
        if self._ended:
            return
        if not self._plan.delay:
            deed()
            return
        # Timers for one moment fire in no certain order, so each does the oldest deed.
        timer = asyncio.get_running_loop().call_later(self._plan.delay, self._do_oldest)
        self._late.append((deed, timer))

    def _do_oldest(self) -> None:
        deed, _ = self._late.popleft()
        deed()


class ProxySide(asyncio.Protocol):
    """One of the two sockets; while it is not there, what is done to it does nothing."""

    def __init__(self, connection: ProxiedConnection) -> None:
        self._connection = connection
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there; the client's is not read before the server's is there too."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self is self._connection.client:
            transport.pause_reading()
        self._connection.note_made(self)

    def data_received(self, data: bytes) -> None:
        """Hand it over."""
        self._connection.pass_on(data, self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._transport = None
        self._connection.note_lost(self, reset=exc is not None)

    def resume(self) -> None:
        """Read from now on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def send(self, data: bytes) -> None:
        """Send, if the socket is there."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self, *, reset: bool) -> None:
        """Close the socket, if there is one."""
        if self._transport is None:
            return
        if not reset:
            self._transport.close()
            return
        if not self._transport.is_closing():
            reset_on_close(self._transport.get_extra_info("socket"))
        self._transport.abort()
