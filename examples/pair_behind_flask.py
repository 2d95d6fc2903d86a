"""Pair behind Flask, or any other WSGI program: a page that asks, and tabs that share an attempt.

Under WSGI nobody hears that a client has gone. So the page asks every second or two, and asking is
what keeps a tab joined: one that has not asked for ten seconds has left. It needs the extra
`examples`; it pairs a user with two tabs, lets another go away, and prints what was left open.
"""

import time
from functools import partial

from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal
from flask import Flask, Response, jsonify, request

from qrlifecycle import BlockingPairings, Connected, QRCode, QRLifecycle, SocketIOTransport
from qrlifecycle.testing import PairingServer

BOT = "bot-7"
USERS = (("ada", "1"), ("ada", "2"), ("bob", "1"))

app = Flask(__name__)
pairings = BlockingPairings(patience=10)  # seconds without a question: then a tab has gone


def current_user() -> str:
    """Here: what your log-in says."""
    return request.headers["X-User"]


def current_tab() -> str:
    """A name that the page made up when it was loaded: ``crypto.randomUUID()``."""
    return request.headers["X-Tab"]


def make_lifecycle(user: str) -> QRLifecycle:
    portal, server = app.config["PORTAL"], app.config["SERVER"]  # yours: an HTTP client

    async def request_qr() -> QRCode:
        # One event loop runs all attempts: what blocks does so in a worker thread.
        code = await to_thread.run_sync(portal.call, server.make_code, BOT, user)
        return QRCode(code, expires_in=60)

    transport = partial(SocketIOTransport, server.url, bot_id=BOT, user_id=user)
    return QRLifecycle(request_qr, transport)


@app.post("/pair")
def begin() -> tuple[str, int]:
    user = current_user()  # a second tab joins the attempt that is under way
    pairings.join(user, current_tab(), partial(make_lifecycle, user))
    return "", 204


@app.get("/pair")
def look() -> Response:
    there = pairings.look(current_user(), current_tab())
    if there is None:  # it did not ask for too long, or the service was restarted
        return jsonify(failed="The connection was lost. Please try again.", retryable=True)
    match there.outcome:
        case None:
            code = there.lifecycle.qr
            return jsonify(picture=None if code is None else code.svg())
        case Connected(identity):
            return jsonify(paired=identity)
        case failed:
            return jsonify(failed=failed.person, retryable=failed.retryable)


@app.delete("/pair")
def leave() -> tuple[str, int]:
    pairings.leave(current_user(), current_tab())  # the last tab takes the socket with it
    return "", 204


def visit(portal: BlockingPortal, server: PairingServer) -> None:
    """What the pages of two users would do; one has two tabs."""
    page = app.test_client()
    ada, again, bob = ({"X-User": user, "X-Tab": tab} for user, tab in USERS)
    for tab in (ada, again):
        page.post("/pair", headers=tab)
        while not page.get("/pair", headers=tab).json["picture"]:  # type: ignore[index]
            time.sleep(0.05)
    page.delete("/pair", headers=ada)  # one dialog is closed; the other shows the code still
    portal.call(server.scan, BOT, "ada")  # the phone
    while "paired" not in (answer := page.get("/pair", headers=again).json):  # type: ignore[operator]
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
        pairings,
    ):
        app.config.update(PORTAL=portal, SERVER=server)
        visit(portal, server)
