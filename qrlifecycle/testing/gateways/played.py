"""What emulators of services with HTTP and a WebSocket on one port have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import anyio

from ..http_server import Request, Response, ServerWebSocket, Upgrade
from .served import ServedEmulator

__all__ = ["PlayedService"]


class PlayedService(ServedEmulator):
    """A service on loopback: it answers requests, has sockets, and goes on by itself.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host=host, port=port)
        self.sockets: list[tuple[Request, ServerWebSocket]] = []
        """Whoever is connected, and with which handshake."""
        self.opened: list[Request] = []
        """The handshakes of every socket that was ever let in."""
        self.beside: dict[str, Self] = {}
        """Other accounts of the same service, by what it calls them; each with codes of its own."""
        self.muted = False
        """Whether what is broadcast is lost on its way."""
        self._later: set[anyio.CancelScope] = set()

    def admit(self, name: str, another: Self) -> None:
        """Have another account, which was not entered: on this port, and heard on these sockets.

        Args:
            name: what the service calls it.
            another: whose codes are scanned, and whose verbs are its own. What is done to the
                service is done to this one.
        """
        another.server, another._tasks = self.server, self._tasks
        another.sockets, another.opened = self.sockets, self.opened
        self.beside[name] = another

    def accounts(self) -> list[Self]:
        """All that there are, this one first."""
        return [self, *self.beside.values()]

    # What a service is

    async def respond(self, request: Request) -> Response | Upgrade:
        """Answer a request that is about this account."""
        raise NotImplementedError

    async def _greet(self, request: Request, socket: ServerWebSocket) -> bool:  # noqa: ARG002
        """Have a socket that was let in; False if it was closed again."""
        return True

    async def _hear(self, socket: ServerWebSocket, message: str | bytes) -> None:
        """Take what a client says; nothing, unless overridden."""

    def _upgrade(self, request: Request) -> Upgrade:
        """Let a client in."""

        async def serve(socket: ServerWebSocket) -> None:
            if await self._greet(request, socket):
                async with self._listed(request, socket):
                    with suppress(anyio.EndOfStream):
                        while True:
                            await self._hear(socket, await socket.receive())

        return Upgrade(serve)

    @asynccontextmanager
    async def _listed(self, request: Request, socket: ServerWebSocket) -> AsyncIterator[None]:
        entry = (request, socket)
        self.sockets.append(entry)
        self.opened.append(request)
        try:
            yield
        finally:
            self.sockets.remove(entry)

    async def broadcast(self, message: object) -> None:
        """Send to everybody who is connected."""
        for _, socket in () if self.muted else tuple(self.sockets):
            await socket.send(message)

    def later(self, seconds: float, what: Callable[[], Awaitable[object]]) -> None:
        """Have something happen in a while, unless the service is killed before."""

        async def wait() -> None:
            with anyio.CancelScope() as scope:
                self._later.add(scope)
                await anyio.sleep(seconds)
                self._later.discard(scope)
                await what()
            self._later.discard(scope)

        self._start(wait)

    def call_off(self) -> None:
        """Whatever was to happen does not."""
        for scope in tuple(self._later):
            scope.cancel()
        self._later.clear()

    # The operator, and the network between

    async def go_down(self) -> None:
        """What becomes of this account as the service is stopped."""
        self.call_off()

    async def stop(self) -> None:
        """It is killed."""
        for one in self.accounts():
            await one.go_down()
        await super().stop()

    def handshakes(self, **query: str) -> list[Any]:
        """The handshakes of sockets whose query says this."""
        return [one for one in self.opened if query.items() <= one.query.items()]
