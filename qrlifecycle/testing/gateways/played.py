"""What emulators of services with HTTP and a WebSocket on one port have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from ..http_server import HTTPServer, Request, Response, ServerWebSocket, Upgrade
from ..leaks import KIT
from .emulator import Emulator

__all__ = ["PlayedService"]


class PlayedService(Emulator):
    """A service on loopback: it answers requests, has sockets, and goes on by itself.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.server = HTTPServer(self._answer, host=host, port=port)
        self.sockets: list[tuple[Request, ServerWebSocket]] = []
        """Whoever is connected, and with which handshake."""
        self.opened: list[Request] = []
        """The handshakes of every socket that was ever let in."""
        self.muted = False
        """Whether what is broadcast is lost on its way."""
        self._stack = AsyncExitStack()
        self._tasks: TaskGroup | None = None
        self._later: set[anyio.CancelScope] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.server.url

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.server)
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._tasks is not None
        self._tasks.cancel_scope.cancel()
        await self._stack.aclose()

    # What a service is

    @abstractmethod
    async def _answer(self, request: Request) -> Response | Upgrade | None:
        """Answer a request."""

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
        assert self._tasks is not None

        async def wait() -> None:
            with anyio.CancelScope() as scope:
                self._later.add(scope)
                await anyio.sleep(seconds)
                self._later.discard(scope)
                await what()
            self._later.discard(scope)

        self._tasks.start_soon(wait, name=KIT)

    def call_off(self) -> None:
        """Whatever was to happen does not."""
        for scope in tuple(self._later):
            scope.cancel()
        self._later.clear()

    # The operator, and the network between

    async def stop(self) -> None:
        """It is killed."""
        self.call_off()
        await self.server.stop()

    async def start(self) -> None:
        """It is there again, with what it had stored."""
        await self.server.start()

    async def freeze(self) -> None:
        """It answers nobody."""
        self.server.freeze()

    async def thaw(self) -> None:
        """It answers again."""
        self.server.thaw()

    async def drop(self) -> None:
        """Whoever is connected is cut off."""
        await self.server.drop()

    def handshakes(self, **query: str) -> list[Any]:
        """The handshakes of sockets whose query says this."""
        return [one for one in self.opened if query.items() <= one.query.items()]
