"""One case per transport: how to start its peer, make it, and have the peer do good and evil."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Self

import anyio
import anyio.from_thread
import engineio.base_client

from qrlifecycle import QRExpired, Scanned, Signal
from qrlifecycle.testing import Fault, PairingServer, ScriptedPeer
from qrlifecycle.transports.base import Transport
from qrlifecycle.transports.socketio import SocketIOTransport

from ..sockets import sockets_beside
from .peers import HEADERS, RawPeer, event

__all__ = ["Case", "RawSocketIOCase", "ScriptedCase", "SocketIOCase"]

BOT, USER = "bot-7", "user-1"

HEARTBEAT = 0.2
"""Seconds; real ones."""


class Case(ABC):
    """A transport and its peer. To put a transport to the contract, write one of these.

    A peer sends `Scanned` and `QRExpired`; to be held to the clauses it need not know more.
    """

    heartbeat: ClassVar[float] = HEARTBEAT
    """Seconds after which this case's transports count a silent peer as dead."""

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
        await self._stack.aclose()

    @abstractmethod
    async def start(self, stack: AsyncExitStack) -> None:
        """Start the peer; ``stack`` ends it."""

    @abstractmethod
    def make(self) -> Transport:
        """A fresh transport to the peer."""

    @abstractmethod
    async def send(self, *signals: Signal) -> None:
        """Have the peer send, to every transport that is open."""

    @abstractmethod
    async def peer_sees_the_end(self) -> None:
        """Wait until the peer has no connection any more."""

    @abstractmethod
    def leftovers(self) -> list[str]:
        """What is there now that was not there before: sockets, tasks, entries in registries."""


class HostileCase(Case):
    """A peer that can also misbehave."""

    @abstractmethod
    def hang_openings(self) -> None:
        """From now on, accept connections and never finish a handshake."""

    @abstractmethod
    async def peer_is_half_way(self) -> None:
        """Wait until a hanging opening has come as far as it gets."""

    @abstractmethod
    def refuse_openings(self) -> None:
        """From now on, have openings fail."""

    @abstractmethod
    def send_early(self, *signals: Signal) -> Awaitable[None] | None:
        """From now on, send these while an opening is under way, before it is done."""

    @abstractmethod
    def hang_up(self) -> None:
        """Close in order."""

    @abstractmethod
    def break_link(self) -> None:
        """Break the connection."""


class WireCase(HostileCase):
    """A peer with a wire under it: one that can fall silent, and send what means nothing."""

    garbage: ClassVar[dict[str, bytes]]
    """What a peer may send that no transport can mean, by name."""

    @abstractmethod
    def send_garbage(self, garbage: bytes) -> None:
        """Send bytes."""


class _Remains:
    """What a case on asyncio left behind, compared with the beginning."""

    def __init__(self, *ports: int) -> None:
        self._ports = ports
        self._sockets = sockets_beside(*ports)
        self._tasks = asyncio.all_tasks()

    def __call__(self) -> list[str]:
        tasks = [repr(task) for task in asyncio.all_tasks() - self._tasks if not _is_pytests(task)]
        clients = [repr(client) for client in engineio.base_client.connected_clients]
        return [*(sockets_beside(*self._ports) - self._sockets), *tasks, *clients]


class SocketIOCase(Case):
    """The Socket.IO adapter and a real pairing server, which has a thread of its own."""

    async def start(self, stack: AsyncExitStack) -> None:
        """Start the server in its thread."""
        portal = stack.enter_context(anyio.from_thread.start_blocking_portal("asyncio"))
        self.server = stack.enter_context(portal.wrap_async_context_manager(PairingServer()))
        self._call: Callable[..., Any] = portal.call
        self._call(self.server.make_code, BOT, USER)
        self.leftovers_since = _Remains(self.server.port)

    def make(self) -> Transport:
        """The adapter as the README makes it."""
        return SocketIOTransport(self.server.url, bot_id=BOT, user_id=USER)

    async def send(self, *signals: Signal) -> None:
        """Play the phone, or let the code run out."""
        for signal in signals:
            if isinstance(signal, Scanned):
                self._call(partial(self.server.scan, BOT, USER, confirm=False))
            else:
                self._call(self.server.expire, BOT, USER)

    async def peer_sees_the_end(self) -> None:
        """The server's own book says so."""
        with anyio.fail_after(2):
            while self.server.open_sockets():  # noqa: ASYNC110 - another thread's
                await anyio.sleep(0.001)

    def leftovers(self) -> list[str]:
        """Sockets, tasks, and clients that python-engineio still counts."""
        return self.leftovers_since()


class RawSocketIOCase(WireCase):
    """The Socket.IO adapter and a server of raw bytes."""

    garbage: ClassVar[dict[str, bytes]] = {
        "noise": bytes(range(256)) * 8,
        "reserved bits": b"\xf1\x02hi",
        "masked frame": b"\x81\x82abcdxy",
        "not utf-8": b"\x81\x04\xff\xfe\xfd\xfc",
        "endless frame": b"\x81\x7f" + b"\x7f" * 8 + b"x" * 1000,
        "binary": b"\x82\x0242" + b"\x82\x00" + b"\x82\x02\x00\x01",
        **{
            name: bytes([0x81, len(text.encode())]) + text.encode()
            for name, text in {
                "empty": "",
                "unknown engine.io packet": "9x",
                "unknown socket.io packet": "49",
                "unhashable name": '42[["x"]]',
                "name that is an object": "42[{}]",
                "no name": "42[]",
                "no array": "42{}",
                "number": "425",
                "ack nobody asked for": '4317["x"]',
                "id without end": "42" + "1" * 110 + '["x"]',
                "attachment without end": "459999999999-[]",
                "refusal of no shape": '44{"message":[]}',
                "bad base64": "b!!",
                "another join": "40[1]",
            }.items()
        },
        "deep": b"\x81\x7f" + (50_002).to_bytes(8, "big") + b"42" + b"[" * 50_000,
    }

    async def start(self, stack: AsyncExitStack) -> None:
        """Start the server, in this event loop but without a task."""
        self.peer = await stack.enter_async_context(RawPeer())
        self.leftovers_since = _Remains(self.peer.port)

    def make(self) -> Transport:
        """The adapter, with a heartbeat for the impatient."""
        return SocketIOTransport(self.peer.url, bot_id=BOT, user_id=USER, heartbeat=HEARTBEAT)

    async def send(self, *signals: Signal) -> None:
        """All in one segment."""
        self.peer.wire.send(*map(_spell, signals))

    async def peer_sees_the_end(self) -> None:
        """The server's end of every connection is gone."""
        with anyio.fail_after(2):
            for wire in self.peer.wires:
                await wire.gone.wait()

    def leftovers(self) -> list[str]:
        """Sockets, tasks, and clients that python-engineio still counts."""
        return self.leftovers_since()

    def hang_openings(self) -> None:
        """Take the request and never answer it."""
        self.peer.stop_at = HEADERS

    async def peer_is_half_way(self) -> None:
        """Wait for the request."""
        with anyio.fail_after(2):
            await self.peer.asked.wait()

    def refuse_openings(self) -> None:
        """Answer with HTTP 503."""
        self.peer.status = 503

    def send_early(self, *signals: Signal) -> None:
        """Before the namespace is joined."""
        self.peer.early = tuple(map(_spell, signals))

    def hang_up(self) -> None:
        """Engine.IO's close."""
        self.peer.wire.hang_up()

    def break_link(self) -> None:
        """A reset."""
        self.peer.wire.reset()

    def send_garbage(self, garbage: bytes) -> None:
        """As it is."""
        self.peer.wire.send_raw(garbage)


class ScriptedCase(HostileCase):
    """The transport for tests, on any event loop and clock."""

    async def start(self, stack: AsyncExitStack) -> None:
        """Make the peer; there is nothing to start."""
        self.peer = ScriptedPeer()
        self._early: tuple[Signal, ...] = ()

    def make(self) -> Transport:
        """As its peer makes it."""
        return self.peer()

    async def send(self, *signals: Signal) -> None:
        """Send one by one."""
        for signal in signals:
            self.peer.send(signal)

    async def peer_sees_the_end(self) -> None:
        """It has to be so at once."""
        assert self.peer.open_sockets == 0

    def leftovers(self) -> list[str]:
        """Its sockets are but a number."""
        return ["a socket"] * self.peer.open_sockets

    def hang_openings(self) -> None:
        """With a socket and no end."""
        self.peer = ScriptedPeer(openings=[Fault.HUNG_HALFWAY])

    async def peer_is_half_way(self) -> None:
        """Wait until there is a socket."""
        while not self.peer.open_sockets:
            await anyio.lowlevel.checkpoint()

    def refuse_openings(self) -> None:
        """With a socket first."""
        self.peer = ScriptedPeer(openings=[Fault.REFUSED])

    async def send_early(self, *signals: Signal) -> None:
        """Once there is a socket, and before the handshake is done."""
        await self.peer_is_half_way()
        await self.send(*signals)
        self.peer.let_go.set()

    def hang_up(self) -> None:
        """In order."""
        self.peer.hang_up()

    def break_link(self) -> None:
        """By force."""
        self.peer.break_link()


def _is_pytests(task: asyncio.Task[Any]) -> bool:
    """Whether it is how anyio's plugin runs a test."""
    return getattr(task.get_coro(), "__qualname__", "").startswith("TestRunner.")


def _spell(signal: Signal) -> str:
    names = {Scanned: "whatsapp_qr_scanned", QRExpired: "whatsapp_qr_expired"}
    return event(names[type(signal)], {"botId": BOT, "userId": USER})
