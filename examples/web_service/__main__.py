"""Run the service: `python -m examples.web_service`, and open the address that it prints.

With QRLIFECYCLE_GATEWAY and QRLIFECYCLE_URL in the environment it pairs an account of that service;
with QRLIFECYCLE_REDIS and QRLIFECYCLE_COOKIE_KEY it is one of several processes.
What it needs is in the extra ``examples``: ``pip install '.[examples]'``.
"""

from __future__ import annotations

import argparse
import os
import socket
from contextlib import AsyncExitStack
from types import FrameType

import anyio
import uvicorn

from qrlifecycle import UsageError
from qrlifecycle.cli.gateways import gateway_in_environment
from qrlifecycle.testing import PairingServer

from .app import create_app
from .replicas import Shared, shared_by_environment
from .service import BotPlatform, GatewayPlatform, Platform
from .sessions import Sessions
from .streams import MOST, Streams

TOKEN = "QRLIFECYCLE_TOKEN"  # noqa: S105 - the name of a variable, not a token
"""Where the token of a real platform is looked for."""

DESCRIPTORS = 6
"""For each stream: its own, the socket's, that of a played server, and those of requests."""

GONE = 20
"""Seconds after which a browser that acknowledges nothing counts as disconnected."""


class Server(uvicorn.Server):
    """Uvicorn waits for open streams before it stops; so they are ended first."""

    def __init__(self, streams: Streams, sessions: Sessions, *, hosts: tuple[str, ...]) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(streams, sessions, hosts=hosts),
                loop="asyncio",
                lifespan="off",
                ws="none",
                access_log=False,
                log_level="warning",
                timeout_graceful_shutdown=5,
            )
        )
        self._streams = streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Stop, and let the program end by itself: uvicorn would raise the signal again."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the lifecycles, then whatever else is open."""
        self._streams.close()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections notice a peer that disappeared without closing."""
    listener = socket.create_server((host, port))
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted sockets inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE * 1000)
    return listener


def most_streams() -> int:
    """How many streams the descriptors suffice for; this process asks for as many as it needs."""
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return MOST
    wanted = MOST * DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed // DESCRIPTORS


def platform_of(url: str | None) -> Platform | None:
    """The platform that the command line or the environment names; None if neither does.

    Raises:
        UsageError: both do, or a setting is missing or cannot be meant.
    """
    gateway = gateway_in_environment()
    if gateway is None:
        return None if url is None else BotPlatform(url.rstrip("/"), token=os.environ.get(TOKEN))
    if url is not None:
        raise UsageError("a gateway's URL stands in QRLIFECYCLE_URL: leave out the other one")
    return GatewayPlatform(gateway)


async def serve(
    listener: socket.socket, host: str, platform: Platform | None, shared: Shared
) -> None:
    """Serve until a signal comes; without a platform, a pairing server is played as well."""
    url = f"http://{host}:{listener.getsockname()[1]}"
    async with AsyncExitStack() as stack:
        plays = platform is None
        if platform is None:
            played = await stack.enter_async_context(PairingServer(host=host))
            platform = BotPlatform(played.url, token=played.token)
        streams = await stack.enter_async_context(
            Streams(
                platform,
                leases=await stack.enter_async_context(shared.leases(machine=url)),
                plays_phone=plays,
                most=most_streams(),
            )
        )
        print(url, flush=True)
        server = Server(streams, Sessions(shared.cookie_key), hosts=(host, "localhost"))
        await server.serve(sockets=[listener])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.web_service", description=__doc__)
    parser.add_argument("url", nargs="?", help="a pairing server to use; without one, it is played")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen on; one that a phone can reach lets it scan for real",
    )
    parser.add_argument("--port", type=int, default=8000, help="the port; 0 takes a free one")
    arguments = parser.parse_args()
    if arguments.host in ("", "0.0.0.0", "::"):  # noqa: S104 - refused
        parser.error("--host takes one address: the page is served under no other name")
    try:
        platform, shared = platform_of(arguments.url), shared_by_environment()
    except UsageError as error:
        parser.error(str(error))
    if shared.redis is not None and platform is None:
        parser.error("several processes need one platform: each would play a pairing server")
    try:
        listener = listen(arguments.host, arguments.port)
    except (OSError, OverflowError) as error:
        parser.error(f"cannot listen on {arguments.host}, port {arguments.port}: {error}")
    with listener:
        anyio.run(serve, listener, arguments.host, platform, shared)
