"""The crowd's server, in a process of its own: python-socketio's, with its defaults.

Run as ``python -m tests.benchmarks.crowds.server``. Its first line is its URL; for each line that
it reads it tells every client of a success, evenly over a second, and prints how long that took.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time

import socketio
from aiohttp import web

from .limits import raise_limit

SPREAD = 1.0
"""Seconds over which all are told. More than the server can do in them take longer."""

BACKLOG = 4096


async def tell(sio: socketio.AsyncServer, sockets: list[str]) -> float:
    """Tell all of them; how many seconds it took.

    The collector rests meanwhile: its pauses grow with the crowd, and only the client's count.
    """
    gc.collect()
    gc.disable()
    began = time.monotonic()
    for number, socket_id in enumerate(sockets):
        # Zero, when it is late: what it has told goes out all the same before the next.
        await asyncio.sleep(max(0.0, began + number * SPREAD / len(sockets) - time.monotonic()))
        message = {"botId": "b", "userId": "u", "at": time.monotonic()}
        await sio.emit("whatsapp_connected", message, to=socket_id)
    gc.enable()
    return time.monotonic() - began


async def main() -> None:
    """Serve until nothing more can be read."""
    raise_limit()
    sio = socketio.AsyncServer(async_mode="aiohttp")
    app = web.Application()
    sio.attach(app)
    sockets: dict[str, None] = {}

    def connect(socket_id: str, _environ: object, _auth: object) -> None:
        sockets[socket_id] = None

    def disconnect(socket_id: str, _reason: object) -> None:
        sockets.pop(socket_id, None)

    sio.on("connect", connect)
    sio.on("disconnect", disconnect)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=BACKLOG).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await tell(sio, list(sockets))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
