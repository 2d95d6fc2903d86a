"""A TCP proxy between a client and a server: cuts links, holds data back, turns clients away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from qrlifecycle.testing.listening import stop_listening
from qrlifecycle.testing.side import Side as RelayedSide

from .patience import HANGS
from .sockets import connected_to

__all__ = ["News", "Proxy"]


class News:
    """Lets a test wait until something is so, instead of sleeping."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Something has happened."""
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until a fact is true; it is looked at whenever something has happened.

        Raises:
            TimeoutError: it never was.
        """
        async with asyncio.timeout(HANGS):
            while not fact():
                await self._event.wait()


class Proxy:
    """The proxy; an async context manager that listens on entering and leaves nothing behind.

    Args:
        url: the server, ``http://HOST:PORT``.
        delay: seconds by which whatever the server sends arrives late, in its order.
        cut_after: called for each connection; gives back the seconds after which it is cut, or
            None for never.
        cut_by_reset: called for each such cut; whether it is a reset, or else an orderly end.
    """

    def __init__(
        self,
        url: str,
        *,
        delay: float = 0.0,
        cut_after: Callable[[], float | None] = lambda: None,
        cut_by_reset: Callable[[], bool] = lambda: True,
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.target = (parts.hostname, parts.port)
        self.delay = delay
        self.cut_after = cut_after
        self.cut_by_reset = cut_by_reset
        self.refusing = False
        """Whether each new connection is reset at once."""
        self.accepted: list[float] = []
        """When each connection was made, but for those refused; by the event loop's clock."""
        self.refused = 0
        self.cuts = 0
        """How many connections were cut, on both sides."""
        self.most = 0
        """How many sockets of this process led here when a connection was made, at most. They are
        the client's, as the operating system knows them: what the proxy knows may be late."""
        self.news = News()
        self.port = 0
        self._links: set[Link] = set()
        self._sides: set[Side] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_links(self) -> int:
        """How many connections are open now."""
        return len(self._links)

    def cut(self, *, reset: bool = True) -> None:
        """Cut every connection, on both sides: by a reset, or by an orderly end."""
        for link in tuple(self._links):
            link.cut(reset=reset)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._answer, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        await stop_listening(self._server)
        for link in tuple(self._links):
            link.end(reset=True)
        for task in tuple(self._tasks):
            await asyncio.wait({task})
        await self.news.until(lambda: not self._sides)
        await self._server.wait_closed()

    def _answer(self) -> Side:
        return Link(self).client


class Link:
    """One connection through the proxy: the client's side and the server's."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.client = Side(self)
        self.server = Side(self)
        self.ended = False
        self._held: deque[tuple[bytes | None, asyncio.TimerHandle]] = deque()
        self._latest = 0.0
        self._cutting: asyncio.TimerHandle | None = None
        self._connecting: asyncio.Task[None] | None = None

    def begin(self, side: Side) -> None:
        """A side is there: the client's, and then the server's."""
        proxy, loop = self.proxy, asyncio.get_running_loop()
        if self.ended:
            side.close(reset=True)
        elif side is self.server:
            self.client.resume()
        elif proxy.refusing:
            proxy.refused += 1
            self.ended = True
            side.close(reset=True)
        else:
            proxy.accepted.append(loop.time())
            proxy.most = max(proxy.most, connected_to(proxy.port))
            proxy._links.add(self)
            self._connecting = loop.create_task(self._connect())
            proxy._tasks.add(self._connecting)
            self._connecting.add_done_callback(proxy._tasks.discard)
            if (seconds := proxy.cut_after()) is not None:
                self._cutting = loop.call_later(seconds, self._cut_in_time)
        proxy.news.tell()

    def pass_on(self, data: bytes | None, sender: Side) -> None:
        """Hand over what a side sent, or its end; late, if it is the server that is held back."""
        if self.ended:
            return
        if sender is self.client:
            self._deliver(data, self.server)
        elif not self._held and not self.proxy.delay:
            self._deliver(data, self.client)
        else:
            loop = asyncio.get_running_loop()
            self._latest = max(self._latest, loop.time() + self.proxy.delay)
            self._held.append((data, loop.call_at(self._latest, self._release)))

    def cut(self, *, reset: bool) -> None:
        """Cut it on both sides."""
        if not self.ended:
            self.proxy.cuts += 1
            self.end(reset=reset)

    def end(self, *, reset: bool) -> None:
        """End it on both sides, for whatever reason."""
        if self.ended:
            return
        self.ended = True
        self.proxy._links.discard(self)
        for _, timer in self._held:
            timer.cancel()
        self._held.clear()
        if self._cutting is not None:
            self._cutting.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        self.client.close(reset=reset)
        self.server.close(reset=reset)
        self.proxy.news.tell()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self.server, *self.proxy.target)
        except OSError:
            self.end(reset=True)

    def _cut_in_time(self) -> None:
        self.cut(reset=self.proxy.cut_by_reset())

    def _release(self) -> None:
        data, _ = self._held.popleft()
        self._deliver(data, self.client)

    def _deliver(self, data: bytes | None, side: Side) -> None:
        if data is None:
            self.end(reset=False)
        else:
            side.send(data)


class Side(RelayedSide):
    """One of the two sockets of a link."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there; the client's is not read before the server's is there too."""
        super().connection_made(transport)
        self._link.proxy._sides.add(self)
        if self is self._link.client:
            self.pause()
        self._link.begin(self)

    def data_received(self, data: bytes) -> None:
        """Hand it over."""
        self._link.pass_on(data, self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone: what came over it is still handed over, then the link ends."""
        self._link.proxy._sides.discard(self)
        self._link.pass_on(None, self)
        self._link.proxy.news.tell()
