"""A way to Redis that can be stopped, in a process of its own.

Run as ``python -m tests.replicas.proxy PORT``, Redis's. It ends when nothing more can be read.
"""

from __future__ import annotations

import json
import sys

import anyio

from qrlifecycle.testing.faulty_proxy import FaultyProxy


async def main(port: int) -> None:
    """Pass on whatever comes."""
    async with FaultyProxy("127.0.0.1", port) as proxy:
        print(json.dumps({"what": "ready", "port": proxy.port}), flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]))
