"""Pair behind FastAPI: a dependency that joins the user's attempt, as long as the request lives.

A dependency with `yield` is a scope: when the stream has been read to its end, or the client has
disconnected, the attempt is left. A second tab joins the attempt that is under way, and sees the
same code; the last one to leave ends it, and with it its socket.
`examples/web_service` has what a page needs beside it: sessions, safe headers, a page.

It serves itself, pairs one user, lets another disconnect half-way, and prints what was left open.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

import aiohttp
import anyio
import uvicorn
from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import StreamingResponse

from qrlifecycle import Connected, Outcome, Pairings, QRCode, QRLifecycle, SocketIOTransport
from qrlifecycle.pairings import JoinedPairing
from qrlifecycle.testing import PairingServer

BOT = "bot-7"
app = FastAPI()


def current_user(x_user: Annotated[str, Header()]) -> str:
    """Here: what your log-in says."""
    return x_user


def make_lifecycle(server: PairingServer, user: str) -> QRLifecycle:
    async def request_qr() -> QRCode:
        return QRCode(server.make_code(BOT, user), expires_in=60)

    transport = partial(SocketIOTransport, server.url, bot_id=BOT, user_id=user)
    return QRLifecycle(request_qr, transport)


async def pairing(
    request: Request, user: Annotated[str, Depends(current_user)]
) -> AsyncIterator[JoinedPairing]:
    server: PairingServer = request.app.state.server  # yours: an HTTP client
    pairings: Pairings = request.app.state.pairings
    async with pairings.join(user, partial(make_lifecycle, server, user)) as joined:
        yield joined


@app.post("/pair")
async def pair(pairing: Annotated[JoinedPairing, Depends(pairing)]) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        # Whoever joins late is shown first what there is.
        yield f"event: joined\ndata: {_data(pairing.lifecycle, None)}\n\n"
        async for change in pairing.changes():
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
    async with (
        PairingServer() as server,
        Pairings() as pairings,  # in your program: in the app's lifespan
        anyio.create_task_group() as tasks,
    ):
        app.state.server, app.state.pairings = server, pairings
        service = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
        tasks.start_soon(service.serve)
        while not service.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
            await anyio.sleep(0.01)
        port = service.servers[0].sockets[0].getsockname()[1]
        await try_it(f"http://127.0.0.1:{port}", server)
        service.should_exit = True


if __name__ == "__main__":
    anyio.run(main)
