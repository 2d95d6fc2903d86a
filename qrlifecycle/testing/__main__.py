"""``python -m qrlifecycle.testing``: the pairing server, by itself, until it is stopped."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from functools import partial

import anyio

from . import pairing_server
from .pairing_server import PairingServer

TOKEN = "QRLIFECYCLE_TOKEN"  # noqa: S105 - the name of a variable, not a token
"""Where the token is looked for; `qrlifecycle pair` takes it from there as well."""


async def serve(host: str, port: int) -> None:
    """Run the server, its log on standard output, its address in the first line."""
    log, token = partial(print, flush=True), os.environ.get(TOKEN)
    async with PairingServer(host=host, port=port, token=token, log=log) as server:
        print(server.url, flush=True)
        if server.token is not None and token is None:
            print(f"{TOKEN}={server.token}", flush=True)
        await anyio.sleep_forever()


def requests() -> str:
    """What it can be asked, as its module says it, in plain text."""
    _, table, rest = (pairing_server.__doc__ or "").partition("====")
    return f"requests:\n{table}{rest}".replace("``", "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m qrlifecycle.testing",
        description="The pairing server, by itself, until it is stopped.",
        epilog=requests(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=0, help="the port; 0 takes a free one")
    arguments = parser.parse_args()
    try:
        with suppress(KeyboardInterrupt):
            anyio.run(serve, arguments.host, arguments.port)
    except (OSError, OverflowError) as error:
        parser.error(f"cannot listen on {arguments.host}, port {arguments.port}: {error}")
