"""Pair an account over Socket.IO: request a code, show it, get the success, leave no socket.

It uses a pairing server of its own, so it runs without changes. For yours, give the URL.
"""

import logging
from functools import partial

import aiohttp
import anyio

from qrlifecycle import Connected, Paired, QRCode, QRLifecycle, SocketIOTransport
from qrlifecycle.testing import PairingServer

BOT, USER = "bot-7", "user-123"


async def request_qr(url: str) -> QRCode | Paired:
    """The HTTP request behind "Generate QR"."""
    owner = {"botId": BOT, "userId": USER}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/qr", json=owner) as answer:
        answer.raise_for_status()
        body = await answer.json()
    if body.get("paired"):
        return Paired(body["identity"])
    return QRCode(body["qr"], expires_in=body["expiresIn"])


async def main() -> None:
    async with PairingServer() as server:

        async def show(qr: QRCode) -> None:
            print("A code is on screen. This phone scans it:")
            async with aiohttp.ClientSession() as phone:
                await phone.post(qr.reveal(), data={"answer": "confirm"})

        lifecycle = QRLifecycle(
            partial(request_qr, server.url),
            partial(SocketIOTransport, server.url, bot_id=BOT, user_id=USER),
            on_qr_updated=show,
        )
        match await lifecycle.pair():
            case Connected(identity):
                print(f"Paired with {identity}; sockets ever opened: {len(server.sockets)}")
            case failed:
                print(failed.reason.person)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    anyio.run(main)
