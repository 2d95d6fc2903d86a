"""Pair from a program without async: the lifecycle runs behind anyio's blocking portal.

The portal is an event loop in a thread. The program asks it to pair, and gets the changes through a
queue. It uses a pairing server of its own, so it runs without changes.
"""

import json
from functools import partial
from queue import SimpleQueue
from urllib.request import Request, urlopen

from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from qrlifecycle import Change, Connected, Outcome, QRCode, QRLifecycle, SocketIOTransport
from qrlifecycle.testing import PairingServer

BOT, USER = "bot-7", "user-123"


def ask_for_a_code(url: str) -> QRCode:
    """The HTTP request behind "Generate QR": plain and blocking."""
    owner = json.dumps({"botId": BOT, "userId": USER}).encode()
    request = Request(f"{url}/qr", owner, {"Content-Type": "application/json"})  # noqa: S310 - ours
    with urlopen(request, timeout=10) as answer:  # noqa: S310 - ours
        body = json.load(answer)
    return QRCode(body["qr"], expires_in=body["expiresIn"])


def pair(portal: BlockingPortal, server: PairingServer) -> Outcome:
    news: SimpleQueue[Change] = SimpleQueue()
    lifecycle = QRLifecycle(
        lambda: to_thread.run_sync(ask_for_a_code, server.url),
        partial(SocketIOTransport, server.url, bot_id=BOT, user_id=USER),
        on_change=news.put,
    )
    pairing = portal.start_task_soon(lifecycle.pair)
    try:
        while (change := news.get()).outcome is None:
            print(change.event.meaning)
            if (qr := lifecycle.qr) is not None:
                print(qr.text())
                portal.call(server.scan, BOT, USER)  # the phone
        return pairing.result()
    finally:
        pairing.cancel()  # Ctrl-C, or an error of ours: the socket closes; after an end, nothing


def main() -> None:
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(PairingServer()) as server,
    ):
        match pair(portal, server):
            case Connected(identity):
                print(f"Paired with {identity}")
            case failed:
                print(failed.reason.person)
        print(f"Sockets ever opened: {len(server.sockets)}")


if __name__ == "__main__":
    main()
