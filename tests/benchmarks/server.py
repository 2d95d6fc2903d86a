"""The other end of the benchmarks, in a process of its own: it emits success with the time of it.

Run as ``python -m tests.benchmarks.server``; the first line it prints is its URL.
"""

from __future__ import annotations

import asyncio
import time

import socketio
from aiohttp import web

PAUSE = 0.015
"""Seconds between a client's joining and the success, so that one does not disturb the other."""


async def main() -> None:
    """Serve until the process is ended."""
    sio = socketio.AsyncServer(async_mode="aiohttp")
    app = web.Application()
    sio.attach(app)

    async def succeed(socket_id: str) -> None:
        joined = time.monotonic()
        await asyncio.sleep(PAUSE)
        now = time.monotonic()
        message = {"type": "whatsapp_connected", "botId": "b", "userId": "u"}
        await sio.emit(
            "whatsapp_connected", {**message, "at": now, "pause": now - joined}, to=socket_id
        )

    async def connect(socket_id: str, _environ: object, auth: dict[str, str]) -> None:
        if auth.get("userId") == "u":
            sio.start_background_task(succeed, socket_id)

    sio.on("connect", connect)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
