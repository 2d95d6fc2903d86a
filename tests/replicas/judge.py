"""The server of Socket.IO whom all replicas connect to: it keeps a record of each socket.

Run as ``python -m tests.replicas.judge [fence]``. It prints its URL first; for each line that it
reads, all its records. With ``fence`` it refuses and closes the smaller token of a user.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from typing import Any

import socketio
from aiohttp import web
from socketio.exceptions import ConnectionRefusedError as Refused

from ..benchmarks.crowds.limits import raise_limit
from .records import Socket

BACKLOG = 4096


class Judge:
    """Who is connected, and was.

    Args:
        fences: whether of a user's sockets only the one with the greatest token may stay.
    """

    def __init__(self, *, fences: bool) -> None:
        self.sockets: list[Socket] = []
        self._fences = fences
        self._open: dict[str, tuple[Socket, Any]] = {}
        self._greatest: dict[str, int] = {}

    def connect(self, socket_id: str, environ: dict[str, Any], auth: dict[str, Any]) -> None:
        """Somebody is there."""
        user, token = auth["userId"], auth["token"]
        if self._fences:
            if token < self._greatest.get(user, 0):
                raise Refused("a newer one was here")
            self._greatest[user] = token
            self._close_all_of(user)
        socket = Socket(user, token, auth["process"], auth["made"], time.monotonic())
        self.sockets.append(socket)
        self._open[socket_id] = socket, environ["aiohttp.request"]

    def _close_all_of(self, user: str) -> None:
        """At once: a process that is frozen answers no goodbye."""
        for socket_id, (socket, request) in tuple(self._open.items()):
            if socket.user == user:
                self.disconnect(socket_id)
                socket.fenced = True
                if request.transport is not None:
                    request.transport.abort()

    def disconnect(self, socket_id: str, _reason: object = None) -> None:
        """Somebody is gone."""
        if (one := self._open.pop(socket_id, None)) is not None:
            one[0].closed = time.monotonic()


async def main(*, fences: bool) -> None:
    """Serve until nothing more can be read."""
    raise_limit()
    logging.getLogger("aiohttp.server").disabled = True  # clients that go away are its business
    judge = Judge(fences=fences)
    sio = socketio.AsyncServer(async_mode="aiohttp")
    app = web.Application()
    sio.attach(app)
    sio.on("connect", judge.connect)
    sio.on("disconnect", judge.disconnect)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=BACKLOG).start()
    host, port = runner.addresses[0][:2]
    print(json.dumps({"what": "ready", "url": f"http://{host}:{port}"}), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        sockets = [socket.to_json() for socket in judge.sockets]
        print(json.dumps({"what": "sockets", "sockets": sockets}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(fences="fence" in sys.argv[1:]))
