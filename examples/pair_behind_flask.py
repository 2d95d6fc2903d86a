"""Pair behind Flask, or any other WSGI program: each attempt in a thread of its own.

Under WSGI nobody hears that a client has gone. So the page asks every second or two, and asking is
what keeps the attempt alive: whoever has not asked for ten seconds has gone away. It needs the
extra `examples`; it pairs one user, lets another go away, and prints what was left open.
"""

import threading
import time
from functools import partial

from anyio.from_thread import BlockingPortal, start_blocking_portal
from flask import Flask, Response, jsonify, request

from qrlifecycle import Connected, PairingThread, QRCode, QRLifecycle, SocketIOTransport
from qrlifecycle.testing import PairingServer

BOT = "bot-7"
PATIENCE = 10  # seconds without a question after which the person has gone

app = Flask(__name__)
pairings: dict[str, PairingThread] = {}
one_at_a_time = threading.Lock()


def current_user() -> str:
    """Here: what your log-in says."""
    return request.headers["X-User"]


def make_lifecycle(user: str) -> QRLifecycle:
    portal, server = app.config["PORTAL"], app.config["SERVER"]  # yours: an HTTP client

    async def request_qr() -> QRCode:
        code = portal.start_task_soon(server.make_code, BOT, user).result()
        return QRCode(code, expires_in=60)

    transport = partial(SocketIOTransport, server.url, bot_id=BOT, user_id=user)
    return QRLifecycle(request_qr, transport)


@app.post("/pair")
def begin() -> tuple[str, int]:
    user = current_user()
    with one_at_a_time:  # a second tab takes over: the socket of the first is closed before
        if (before := pairings.pop(user, None)) is not None:
            before.close()
        pairings[user] = PairingThread(make_lifecycle(user), patience=PATIENCE).start()
    return "", 204


@app.get("/pair")
def look() -> Response:
    pairing = pairings[current_user()]
    match pairing.look():
        case None:
            code = pairing.lifecycle.qr
            return jsonify(picture=None if code is None else code.svg())
        case Connected(identity):
            return jsonify(paired=identity)
        case failed:
            return jsonify(failed=failed.reason.person, retryable=failed.retryable)


@app.delete("/pair")
def leave() -> tuple[str, int]:
    pairings[current_user()].close()
    return "", 204


def visit(portal: BlockingPortal, server: PairingServer) -> None:
    """What the pages of two users would do."""
    page = app.test_client()
    ada, bob = {"X-User": "ada"}, {"X-User": "bob"}
    page.post("/pair", headers=ada)
    while not page.get("/pair", headers=ada).json["picture"]:  # type: ignore[index]
        time.sleep(0.05)
    portal.call(server.scan, BOT, "ada")  # the phone
    while "paired" not in (answer := page.get("/pair", headers=ada).json):  # type: ignore[operator]
        time.sleep(0.05)
    print(answer)
    page.post("/pair", headers=bob)
    page.delete("/pair", headers=bob)  # the dialog is closed
    while server.open_sockets():
        time.sleep(0.01)
    print(f"Sockets open at once: {server.most_sockets()}; open now: {server.open_sockets()}")


if __name__ == "__main__":
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(PairingServer()) as server,
    ):
        app.config.update(PORTAL=portal, SERVER=server)
        visit(portal, server)
