"""A bad road to a server: a TCP relay whose every connection draws a fault.

What a network does to a client: nobody there, silence, garbage, resets, slowness, early or in the
middle of the talk.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from random import Random
from typing import Any

from ...testing.listening import stop_listening
from ...testing.relay import Side as RelayedSide

__all__ = ["Fault", "Road"]


class Fault(Enum):
    """What happens to one connection."""

    NONE = auto()
    REFUSE = auto()
    STALL = auto()
    BABBLE = auto()
    BABBLE_LATER = auto()
    RESET_LATER = auto()
    END_LATER = auto()
    SILENCE_LATER = auto()
    SLOW = auto()


AT_ONCE = (Fault.REFUSE, Fault.STALL, Fault.BABBLE)
"""Faults of a connection that never gets to the server."""


class Road:
    """The relay. Runs on asyncio.

    Args:
        host: where it listens, and where the server is.
        port: the server's.
        dice: draw the faults.
        fault_rate: the share of connections that have a fault.
        longest: seconds within which a later fault happens.
    """

    def __init__(
        self, host: str, port: int, dice: Random, *, fault_rate: float = 0.6, longest: float = 0.1
    ) -> None:
        self.target = (host, port)
        self.port = 0
        self._dice = dice
        self._fault_rate = fault_rate
        self._longest = longest
        self.links: set[Link] = set()
        """Connections of which a socket is left."""
        self.tasks: set[asyncio.Task[Any]] = set()
        """Connecting to the server."""
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._answer, self.target[0], 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        """Cut everything and be gone."""
        if self._server is None:
            return
        await stop_listening(self._server)
        while self.links:
            self.cut()
            await asyncio.sleep(0)
        if self.tasks:
            await asyncio.wait(tuple(self.tasks))

    def cut(self) -> None:
        """Reset every connection."""
        for link in tuple(self.links):
            link.end(reset=True)

    def draw(self) -> tuple[Fault, float]:
        """What happens to a new connection, and after how many seconds."""
        ill = self._dice.random() < self._fault_rate
        fault = self._dice.choice(list(Fault)) if ill else Fault.NONE
        return fault, self._dice.uniform(0, self._longest)

    def garbage(self) -> bytes:
        """Bytes of no meaning."""
        return self._dice.randbytes(self._dice.choice([1, 40, 3000]))

    def _answer(self) -> Side:
        return Link(self).client


class Link:
    """One connection: the client's side and the server's."""

    def __init__(self, road: Road) -> None:
        self.road = road
        self.client = Side(self)
        self.server = Side(self)
        self.fault, self._after = road.draw()
        self._mute = False
        self._ended = False
        self._timers: list[asyncio.TimerHandle] = []

    def begin(self) -> None:
        """The client's side is there."""
        loop = asyncio.get_running_loop()
        self.road.links.add(self)
        if self.fault not in AT_ONCE:
            task = loop.create_task(self._connect())
            self.road.tasks.add(task)
            task.add_done_callback(self.road.tasks.discard)
            self._timers.append(loop.call_later(self._after, self._act))
        elif self.fault is not Fault.STALL:
            self._act()

    def joined(self, side: Side) -> None:
        """The server's side is there."""
        if self._ended:
            side.close(reset=True)
        else:
            self.client.resume()

    def carry(self, data: bytes, sender: Side) -> None:
        """Hand over what a side sent."""
        if self._mute or self._ended:
            return
        to = self.server if sender is self.client else self.client
        if self.fault is Fault.SLOW:  # timers of one delay fire in their order
            loop = asyncio.get_running_loop()
            self._timers.append(loop.call_later(self._after / 4, to.send, data))
        else:
            to.send(data)

    def end(self, *, reset: bool) -> None:
        """End it on both sides."""
        self._ended = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.client.close(reset=reset)
        self.server.close(reset=reset)
        self.forget()

    def forget(self) -> None:
        """Nothing of it is left, perhaps."""
        if not self.client.there and not self.server.there:
            self.road.links.discard(self)

    def _act(self) -> None:
        """Let the fault happen."""
        match self.fault:
            case Fault.REFUSE | Fault.RESET_LATER:
                self.end(reset=True)
            case Fault.END_LATER:
                self.end(reset=False)
            case Fault.BABBLE | Fault.BABBLE_LATER:
                self.client.send(self.road.garbage())
            case Fault.SILENCE_LATER:
                self._mute = True
            case _:
                pass

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self.server, *self.road.target)
        except OSError:
            self.end(reset=True)


class Side(RelayedSide):
    """One of the two sockets of a link."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there; the client's is not read before the server's is there too."""
        super().connection_made(transport)
        if self is self._link.client:
            if self._link.fault not in AT_ONCE:  # what is not read would hide the client's end
                self.pause()
            self._link.begin()
        else:
            self._link.joined(self)

    def data_received(self, data: bytes) -> None:
        """Hand it over."""
        self._link.carry(data, self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, and the other one goes too."""
        self._transport = None
        self._link.end(reset=exc is not None)
