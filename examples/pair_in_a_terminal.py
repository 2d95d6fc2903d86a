"""Pair in a terminal: the code, the time that is left, and Ctrl-C to end it.

It uses a pairing server of its own; opening the address beside the code plays the phone. With the
argument "scan" the example plays the phone itself.
"""

import sys
from contextlib import suppress
from functools import partial

import anyio

from qrlifecycle import Connected, Event, Failed, QRCode, QRLifecycle, SocketIOTransport
from qrlifecycle.engine.observers import Changes
from qrlifecycle.testing import PairingServer

BOT, USER = "bot-7", "user-123"
SENTENCES = {
    Event.GENERATE: "Asking for a code ...",
    Event.SCANNED: "Your phone has read the code. Please approve there.",
    Event.EXPIRED: "The code expired. Asking for another ...",
}


async def draw(lifecycle: QRLifecycle, changes: Changes) -> None:
    left = 0
    while True:
        with anyio.move_on_after(1):  # a second without a change: only the clock is updated
            change = await anext(changes, None)
            if change is None:
                return
            left = 0
            match change.outcome:
                case Connected(identity):
                    print(f"\rPaired with {identity}")
                case Failed() as failed:
                    print(f"\r{failed.person}")
            if change.event is Event.QR_UPDATED and (qr := lifecycle.qr) is not None:
                left = int(qr.expires_in or 60)
                print(f"\r{qr.text()}{qr.reveal()}")
            elif change.event in SENTENCES:
                print(f"\r{SENTENCES[change.event]}")
            continue
        if left > 0:
            left -= 1
            said = f"{left:3} s left; Ctrl-C ends it " if left else "The code has run out.   "
            print(f"\r{said}", end="", flush=True)


async def main(*, plays_phone: bool) -> None:
    async with PairingServer() as server, anyio.create_task_group() as tasks:

        async def request_qr() -> QRCode:  # the HTTP request behind "Generate QR"
            return QRCode(server.make_code(BOT, USER), expires_in=60)

        async def scan(_qr: QRCode) -> None:
            if plays_phone:
                await server.scan(BOT, USER)

        transport = partial(SocketIOTransport, server.url, bot_id=BOT, user_id=USER)
        lifecycle = QRLifecycle(request_qr, transport, on_qr_updated=scan)
        tasks.start_soon(draw, lifecycle, lifecycle.changes())
        await lifecycle.pair()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # whatever was open is closed by then
        anyio.run(partial(main, plays_phone="scan" in sys.argv))
