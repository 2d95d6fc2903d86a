"""Pair behind FastAPI: a dependency that is a lifecycle, as long as the request lives.

A dependency with `yield` is a scope, and so is a state: when the stream has been read to its end,
or the client has disconnected, the task group below ends, and with it the lifecycle and its socket.
`examples/web_service` has what a page needs beside it: sessions, one socket per user, safe headers.

It serves itself, pairs one user, lets another disconnect half-way, and prints what was left open.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, NamedTuple

import aiohttp
import anyio
import uvicorn
from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import StreamingResponse

from qrlifecycle import Connected, Outcome, QRCode, QRLifecycle, SocketIOTransport
from qrlifecycle.engine.observers import Changes
from qrlifecycle.testing import PairingServer

BOT = "bot-7"
app = FastAPI()


class Pairing(NamedTuple):
    lifecycle: QRLifecycle
    changes: Changes


def current_user(x_user: Annotated[str, Header()]) -> str:
    """Here: what your log-in says."""
    return x_user


async def pairing(
    request: Request, user: Annotated[str, Depends(current_user)]
) -> AsyncIterator[Pairing]:
    server: PairingServer = request.app.state.server  # yours: an HTTP client

    async def request_qr() -> QRCode:
        return QRCode(server.make_code(BOT, user), expires_in=60)

    transport = partial(SocketIOTransport, server.url, bot_id=BOT, user_id=user)
    lifecycle = QRLifecycle(request_qr, transport)
    async with anyio.create_task_group() as tasks:
        changes = lifecycle.changes()
        tasks.start_soon(lifecycle.pair)
        yield Pairing(lifecycle, changes)
        tasks.cancel_scope.cancel()


@app.post("/pair")
async def pair(pairing: Annotated[Pairing, Depends(pairing)]) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        async for change in pairing.changes:
            yield f"event: {change.event}\ndata: {_data(pairing.lifecycle, change.outcome)}\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


def _data(lifecycle: QRLifecycle, outcome: Outcome | None) -> str:
    match outcome:
        case None:
            return "" if lifecycle.qr is None else lifecycle.qr.svg()
        case Connected(identity):
            return f"Paired with {identity}"
        case failed:
            return failed.reason.person


async def try_it(url: str, server: PairingServer) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{url}/pair", headers={"X-User": "ada"}) as answer:
            async for line in answer.content:
                if line.startswith(b"data: <svg"):
                    await server.scan(BOT, "ada")  # the phone
                elif line.startswith(b"data: Paired"):
                    print(line.decode().strip())
        async with http.post(f"{url}/pair", headers={"X-User": "bob"}) as answer:
            while not server.open_sockets("bob"):
                await answer.content.readline()
            answer.close()  # the tab is closed
    while server.open_sockets():  # noqa: ASYNC110 - the server has no event to wait for
        await anyio.sleep(0.01)
    print(f"Sockets ever opened: {len(server.sockets)}; open now: {server.open_sockets()}")


async def main() -> None:
    async with PairingServer() as server, anyio.create_task_group() as tasks:
        app.state.server = server
        service = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        tasks.start_soon(service.serve)
        while not service.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
            await anyio.sleep(0.01)
        port = service.servers[0].sockets[0].getsockname()[1]
        await try_it(f"http://127.0.0.1:{port}", server)
        service.should_exit = True


if __name__ == "__main__":
    anyio.run(main)
