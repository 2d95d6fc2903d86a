"""Pair over JSON on a WebSocket, as many services speak it, with one of a few lines beside it.

Run it with the argument "trio" (and trio installed), and the very same runs on trio.
"""

import json
import sys
import threading
from functools import partial
from typing import Any

import anyio
from websockets.sync.server import ServerConnection, serve

import qrlifecycle as q


def read(message: Any) -> q.Signal | None:
    match message:
        case {"type": "qr", "qr": code}:
            return q.QRUpdated(q.QRCode(code, expires_in=20))
        case {"type": "scanned"}:
            return q.Scanned()
        case {"type": "linked", "phone": phone}:
            return q.Paired(phone)
        case {"type": "refused"}:
            return q.PairingRefused()
    return None


def service(client: ServerConnection) -> None:
    """Here: the service."""
    joining = json.loads(client.recv())
    for message in (
        {"type": "joined"},
        {"type": "linked", "phone": "+1999", "bot": "another"},
        {"type": "scanned", "bot": joining["join"]},
        {"type": "linked", "phone": "+490001234567", "bot": joining["join"]},
    ):
        client.send(json.dumps(message))


async def request_qr() -> q.QRCode:
    return q.QRCode("https://login.example/code")  # here: the HTTP request for a code


async def main(port: int) -> None:
    transport = partial(
        q.WebSocketTransport,
        f"ws://127.0.0.1:{port}/pairings?token=yours",
        read,
        owner={"bot": "bot-7"},
        greeting={"join": "bot-7"},
        welcome=lambda message: bool(message["type"] == "joined"),
    )
    lifecycle = q.QRLifecycle(request_qr, transport, on_change=lambda c: print(c.event, c.target))
    print(await lifecycle.pair())


if __name__ == "__main__":
    with serve(service, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever).start()
        backend = "trio" if "trio" in sys.argv else "asyncio"
        anyio.run(main, server.socket.getsockname()[1], backend=backend)
        server.shutdown()
