"""Pair over the transport of `line_transport.py`, with a server of a few lines beside it.

Run it with the argument "trio" (and trio installed), and the very same runs on trio.
"""

import sys
from functools import partial

import anyio
from anyio.abc import SocketStream
from line_transport import LineTransport

from qrlifecycle import Paired, QRCode, QRLifecycle


async def serve(stream: SocketStream) -> None:
    async with stream:
        await stream.send(b"\n")
        await stream.send(b"qr https://login.example/second-code\n")
        await stream.send(b"paired +490001234567\n")


async def request_qr() -> QRCode | Paired:
    return QRCode("https://login.example/first-code")  # here: the HTTP request for a code


async def main() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        transport = partial(LineTransport, "127.0.0.1", port)
        lifecycle = QRLifecycle(request_qr, transport, on_change=lambda c: print(c.event, c.target))
        print(await lifecycle.pair())
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main, backend="trio" if "trio" in sys.argv else "asyncio")
