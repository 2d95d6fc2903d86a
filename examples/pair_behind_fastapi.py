"""Pair behind FastAPI: a dependency that joins the user's attempt, as long as the request lives.

A dependency with `yield` is a scope: when the stream has been read to its end, or the client has
disconnected, the attempt is left. (From FastAPI 0.118 on: older ones leave it before they stream.)
A page may read the stream of a POST, or a WebSocket. A second tab joins the attempt that is under
way, and sees the same code; the last one to leave ends it, and with it its socket.
`examples/web_service` has what a page needs beside it: sessions, safe headers, a page.

It serves itself, pairs one user, lets another disconnect half-way, by either way, stops while a
third looks, and prints what was left open.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Annotated

import aiohttp
import anyio
import uvicorn
from fastapi import Depends, FastAPI, Header, WebSocket, WebSocketDisconnect
from fastapi.requests import HTTPConnection
from fastapi.responses import StreamingResponse

from qrlifecycle import (
    Connected,
    JoinedPairing,
    Outcome,
    Pairings,
    QRCode,
    QRLifecycle,
    SocketIOTransport,
)
from qrlifecycle.testing import PairingServer

BOT = "bot-7"
QUIET = 10.0  # seconds


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with PairingServer() as server, Pairings() as pairings:  # server: yours, an HTTP client
        app.state.server, app.state.pairings = server, pairings
        yield


app = FastAPI(lifespan=lifespan)


async def current_user(x_user: Annotated[str, Header()]) -> str:  # a plain one costs a thread
    """Here: what your log-in says."""
    return x_user


def make_lifecycle(server: PairingServer, user: str) -> QRLifecycle:
    async def request_qr() -> QRCode:
        return QRCode(server.make_code(BOT, user), expires_in=60)

    transport = partial(SocketIOTransport, server.url, bot_id=BOT, user_id=user)
    return QRLifecycle(request_qr, transport)


async def pairing(
    page: HTTPConnection,
    user: Annotated[str, Depends(current_user)],  # a request or a WebSocket
) -> AsyncIterator[JoinedPairing]:
    server: PairingServer = page.app.state.server
    pairings: Pairings = page.app.state.pairings
    async with pairings.join(user, partial(make_lifecycle, server, user)) as joined:
        yield joined


@app.post("/pair")
async def pair(pairing: Annotated[JoinedPairing, Depends(pairing)]) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        changes = pairing.changes()
        # Whoever joins late is shown first what there is.
        yield f"event: joined\ndata: {_data(pairing.lifecycle, None)}\n\n"
        while True:
            change = None
            with anyio.move_on_after(QUIET):  # a wait that is given up loses no change
                if (change := await anext(changes, None)) is None:
                    return
            if change is None:  # only by sending is it noticed that nobody is there any more
                yield ": nothing new\n\n"
            else:
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


@app.websocket("/pair")
async def pair_by_websocket(
    page: WebSocket, pairing: Annotated[JoinedPairing, Depends(pairing)]
) -> None:
    async def leave_with_the_page() -> None:
        while (await page.receive())["type"] != "websocket.disconnect":
            pass  # what the page says is of no interest here
        tasks.cancel_scope.cancel()

    await page.accept()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave_with_the_page)
        with suppress(WebSocketDisconnect):  # gone, in the moment in which something is sent
            await page.send_text(_data(pairing.lifecycle, None))
            async for change in pairing.changes():
                await page.send_text(_data(pairing.lifecycle, change.outcome))
            await page.close()
        tasks.cancel_scope.cancel()


class Server(uvicorn.Server):
    """It closes WebSockets, waits for open streams, and only then leaves the lifespan.

    So all pages are told first, for two seconds at the most.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        pairings: Pairings = app.state.pairings
        pairings.cancel_all()
        with anyio.move_on_after(2):
            await pairings.wait_until_left()
        await super().shutdown(sockets)


async def try_it(url: str, service: Server) -> None:
    server: PairingServer = app.state.server
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
        async with http.ws_connect(f"{url}/pair", headers={"X-User": "cyd"}) as page:
            while not server.open_sockets("cyd"):
                await page.receive()
        while server.open_sockets("cyd"):  # noqa: ASYNC110 - gone with the page, with no news sent
            await anyio.sleep(0.01)
        async with http.post(f"{url}/pair", headers={"X-User": "eve"}) as answer:
            while not server.open_sockets("eve"):
                await answer.content.readline()
            service.should_exit = True  # as uvicorn does itself on a signal
            *_, said, _end = (await answer.text()).splitlines()
            print(said)
    print(f"Sockets ever opened: {len(server.sockets)}; open now: {server.open_sockets()}")


async def main() -> None:
    service = Server(uvicorn.Config(app, port=0, log_level="warning"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.serve)
        while not service.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
            await anyio.sleep(0.01)
        port = service.servers[0].sockets[0].getsockname()[1]
        await try_it(f"http://127.0.0.1:{port}", service)


if __name__ == "__main__":
    anyio.run(main)
