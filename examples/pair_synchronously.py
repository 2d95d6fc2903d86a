"""Pair from a program without async: it blocks until the attempt has ended.

The attempt runs in a thread of its own, and so do the hooks. It uses a pairing server of its own,
so it runs without changes.
"""

import json
from functools import partial
from urllib.request import Request, urlopen

from anyio import to_thread
from anyio.from_thread import start_blocking_portal

from qrlifecycle import (
    Connected,
    Event,
    Outcome,
    Paired,
    PairingThread,
    QRCode,
    QRLifecycle,
    SocketIOTransport,
    pair_blocking,
)
from qrlifecycle.testing import PairingServer

BOT, USER = "bot-7", "user-123"


def ask_for_a_code(url: str) -> QRCode | Paired:
    """The HTTP request behind "Generate QR": plain and blocking."""
    owner = json.dumps({"botId": BOT, "userId": USER}).encode()
    request = Request(f"{url}/qr", owner, {"Content-Type": "application/json"})  # noqa: S310 - ours
    with urlopen(request, timeout=10) as answer:  # noqa: S310 - ours
        body = json.load(answer)
    if body.get("paired"):
        return Paired(body["identity"])
    return QRCode(body["qr"], expires_in=body["expiresIn"])


def play_the_phone(qr: QRCode) -> None:
    urlopen(qr.reveal(), b"answer=confirm", timeout=10).close()  # noqa: S310 - ours


def make_lifecycle(url: str) -> QRLifecycle:
    return QRLifecycle(
        partial(to_thread.run_sync, partial(ask_for_a_code, url), abandon_on_cancel=True),
        partial(SocketIOTransport, url, bot_id=BOT, user_id=USER),
    )


def pair_and_watch(lifecycle: QRLifecycle) -> Outcome:
    """The same with something to do meanwhile; whatever is raised here closes the socket."""
    with PairingThread(lifecycle) as pairing:
        for change in pairing.changes():
            print(change.event.meaning)
            if change.event is Event.QR_UPDATED and (qr := lifecycle.qr) is not None:
                print(qr.text())
                play_the_phone(qr)
        return pairing.result()


def main() -> None:
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(PairingServer()) as server,
    ):
        lifecycle = make_lifecycle(server.url)
        match pair_and_watch(lifecycle):
            case Connected(identity):
                print(f"Paired with {identity}")
            case failed:
                print(failed.reason.person)
        print(f"Sockets ever opened: {len(server.sockets)}")
        assert pair_blocking(lifecycle).connected  # it is paired already: no code, no socket


if __name__ == "__main__":
    main()
