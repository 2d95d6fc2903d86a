"""What every emulator has in common that is a server on loopback: it listens, and has moods."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self, TypeVarTuple

import anyio
from anyio.abc import TaskGroup

from ..http_server import HTTPServer, Request, Response, Upgrade
from ..leaks import KIT
from .emulator import Emulator

__all__ = ["ServedEmulator"]

Arguments = TypeVarTuple("Arguments")


class ServedEmulator(Emulator):
    """A service on loopback, which answers requests and goes on by itself.

    Args:
        host: the address to listen on.
        port: the port; 0 takes a free one.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.server = HTTPServer(self._answer, host=host, port=port)
        self._stack = AsyncExitStack()
        self._tasks: TaskGroup | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.server.url

    async def __aenter__(self) -> Self:
        self._tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(self._tasks.cancel_scope.cancel)
        # The last to come and the first to go: a request that is being answered starts tasks.
        await self._stack.enter_async_context(self.server)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    @abstractmethod
    async def _answer(self, request: Request) -> Response | Upgrade | bytes | None:
        """Answer a request."""

    def _start(
        self, what: Callable[[*Arguments], Coroutine[Any, Any, object]], *arguments: *Arguments
    ) -> None:
        """Have something go on beside the requests, until the emulator is left."""
        assert self._tasks is not None
        self._tasks.start_soon(what, *arguments, name=KIT)

    # The operator, and the network between

    async def stop(self) -> None:
        """It is killed."""
        await self.server.stop()

    async def start(self) -> None:
        """It is there again, with what it had stored."""
        await self.server.start()

    async def freeze(self) -> None:
        """It answers nobody, and tells nothing."""
        self.server.freeze()

    async def thaw(self) -> None:
        """It goes on."""
        self.server.thaw()

    async def drop(self) -> None:
        """Whoever is connected is cut off."""
        await self.server.drop()
