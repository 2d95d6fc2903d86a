"""The server's side of Socket.IO 4 over WebSocket, for emulators, on asyncio and trio.

It does what Node's does: a client joins a namespace, if there is one of that name, and hears what
is said there. Packets are python-socketio's own codec's. `PairingServer` is python-socketio's whole
server; that runs on asyncio only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from secrets import token_urlsafe

import anyio
from socketio import packet as socketio

from .http_server import ServerWebSocket, Upgrade
from .leaks import KIT

__all__ = ["SocketIOServer", "opening_packet"]

PING_INTERVAL, PING_TIMEOUT = 25.0, 20.0
"""Seconds; Engine.IO's defaults, and what the real services say."""

MESSAGE, PING, CLOSE = "4", "2", "1"
"""Engine.IO's words, each the first letter of a message."""


def opening_packet() -> str:
    """What Engine.IO's server says first, over WebSocket as well as by polling."""
    welcome = {
        "sid": token_urlsafe(15),
        "upgrades": [],
        "pingInterval": int(PING_INTERVAL * 1000),
        "pingTimeout": int(PING_TIMEOUT * 1000),
        "maxPayload": 1000000,
    }
    return f"0{json.dumps(welcome, separators=(',', ':'))}"


class SocketIOServer:
    """Namespaces, and who listens in them.

    Args:
        ever: whether a namespace is there from the beginning; the others come to be with the first
            event in them.
    """

    def __init__(self, *, ever: Callable[[str], bool] = lambda name: name == "/") -> None:
        self.namespaces: set[str] = set()
        """Those that have come to be."""
        self._ever = ever
        self._members: dict[ServerWebSocket, set[str]] = {}

    def accept(self) -> Upgrade:
        """What a client's handshake is answered with."""
        return Upgrade(self._serve)

    def forget(self) -> None:
        """It is started afresh, and knows no namespace any more."""
        self.namespaces.clear()

    async def emit(self, namespace: str, name: str, *args: object) -> None:
        """Tell everybody in a namespace, which comes to be by it."""
        self.namespaces.add(namespace)
        packet = socketio.Packet(socketio.EVENT, data=[name, *args], namespace=namespace)
        for socket, joined in tuple(self._members.items()):
            if namespace in joined:
                await socket.send(f"{MESSAGE}{packet.encode()}")

    async def _serve(self, socket: ServerWebSocket) -> None:
        self._members[socket] = set()
        try:
            await socket.send(opening_packet())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._ping, socket, name=KIT)
                await self._listen(socket)
                tasks.cancel_scope.cancel()
        finally:
            del self._members[socket]

    async def _listen(self, socket: ServerWebSocket) -> None:
        while True:
            try:
                text = await socket.receive()
            except anyio.EndOfStream:
                return
            if text == CLOSE:
                return
            if isinstance(text, str) and text.startswith(MESSAGE):
                await self._take(socket, socketio.Packet(encoded_packet=text[1:]))

    async def _take(self, socket: ServerWebSocket, packet: socketio.Packet) -> None:
        namespace = packet.namespace or "/"
        if packet.packet_type == socketio.DISCONNECT:
            self._members[socket].discard(namespace)
        elif packet.packet_type == socketio.CONNECT:
            answer, said = socketio.CONNECT_ERROR, {"message": "Invalid namespace"}
            if namespace in self.namespaces or self._ever(namespace):
                answer, said = socketio.CONNECT, {"sid": token_urlsafe(15)}
                self._members[socket].add(namespace)
            encoded = socketio.Packet(answer, data=said, namespace=namespace).encode()
            await socket.send(f"{MESSAGE}{encoded}")

    async def _ping(self, socket: ServerWebSocket) -> None:
        while True:
            await anyio.sleep(PING_INTERVAL)
            await socket.send(PING)
