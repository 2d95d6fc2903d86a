"""The service, in a process of its own: a Socket.IO server that tells everybody everything.

Run as ``python -m tests.benchmarks.shared.server``. Its first line is its URL; for each line of
JSON that it reads it does what that says, and prints one: how many sockets it has, and had.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import Any

import anyio
import anyio.to_thread

from qrlifecycle.testing.http_server import HTTPServer, Request, ServerWebSocket, Upgrade
from qrlifecycle.testing.socketio_server import SocketIOServer

__all__ = ["Service"]


class Service:
    """The server, and its count of sockets."""

    def __init__(self) -> None:
        self.socketio = SocketIOServer()
        self.server = HTTPServer(self._answer)
        self.accepted = self.now = self.most = 0

    async def _answer(self, _request: Request) -> Upgrade:
        accepted = self.socketio.accept()

        async def serve(socket: ServerWebSocket) -> None:
            self.accepted += 1
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                await accepted.serve(socket)
            finally:
                self.now -= 1

        return Upgrade(serve)

    async def do(self, asked: dict[str, Any]) -> dict[str, int]:
        """What a line says; how many sockets there are then, were, and were at once."""
        match asked["do"]:
            case "tell":
                await self._tell(asked["first"], asked["count"], asked["rate"])
            case "drop":
                await self.server.drop()
        return {"accepted": self.accepted, "now": self.now, "most": self.most}

    async def _tell(self, first: int, count: int, rate: float) -> None:
        """Tell of so many successes, so many a second, each with the moment in which it is told."""
        gc.collect()
        gc.disable()  # only the client's pauses are to count
        began = time.monotonic()
        for number in range(count):
            await anyio.sleep(max(0.0, began + number / rate - time.monotonic()))
            said = {"session": f"user-{first + number}", "me": "me", "at": time.monotonic()}
            await self.socketio.emit("/", "linked", said)
        gc.enable()


async def main() -> None:
    """Serve until nothing more can be read."""
    service = Service()
    async with service.server as server:
        print(server.url, flush=True)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            print(json.dumps(await service.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    anyio.run(main)
