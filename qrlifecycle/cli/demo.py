"""`qrlifecycle demo`: a whole pairing on this machine, against a toy server that counts sockets.

The one place where a code's payload is shown as text: it is a credential of a toy server on the
same machine, and opening it in a browser plays the phone.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

import anyio

from ..codes import QRCode
from ..engine.service import Service
from ..errors import UsageError
from ..gateways.http import HTTPClient, send
from ..lifecycle import QRLifecycle
from ..policy import Policy
from ..testing.listening import is_loopback
from ..testing.pairing_server import PairingServer
from ..transports.socketio import SocketIOTransport
from .http_requests import CodeRequest, StatusRequest, default_qr_url
from .interactive import exit_code, make_lifecycle, make_view, policy_of, run_in_view
from .stopping import Stop

__all__ = ["run"]

BOT_ID = "demo-bot"
USER_ID = "demo-user"

SETTLING = 1.0
"""Seconds at most for the server to notice that our socket is closed."""


def run(arguments: argparse.Namespace, stop: Stop) -> int:
    """Demonstrate; return whether the account is paired, as an exit code."""
    if arguments.gateway is not None:
        from . import demo_gateway

        return demo_gateway.run(arguments, stop)
    if arguments.serve:
        raise UsageError("--serve plays a service for `qrlifecycle pair`: name it by --gateway")
    policy = policy_of(arguments)
    _check_host(arguments.host)
    return anyio.run(_demonstrate, arguments, policy, stop, backend="asyncio")


async def _demonstrate(arguments: argparse.Namespace, policy: Policy, stop: Stop) -> int:
    server = PairingServer(
        host=arguments.host,
        port=arguments.port,
        qr_lifetime=policy.qr_lifetime,
        log=lambda _line: None,  # its counts are printed at the end
    )
    try:
        await server.__aenter__()
    except OSError as error:
        where = f"{arguments.host}:{arguments.port}" if arguments.port else arguments.host
        raise UsageError(f"cannot listen on {where}: {_words(error)}") from None
    try:
        code = await _pair(server, arguments, policy, stop)
    finally:
        await server.__aexit__(None, None, None)
    return stop.leave(code)


async def _pair(
    server: PairingServer, arguments: argparse.Namespace, policy: Policy, stop: Stop
) -> int:
    hints = _hints(arguments.host, arguments.scan_after)
    title = f"qrlifecycle demo: a toy server at {server.url}"
    view = make_view(stop, hints, arguments, title=title, lifetime=policy.qr_lifetime)
    token = server.token
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    auth = {"token": token} if token else None
    request = CodeRequest(default_qr_url(server.url), BOT_ID, USER_ID, headers=bearer)
    transport = partial(SocketIOTransport, server.url, bot_id=BOT_ID, user_id=USER_ID, auth=auth)
    status = StatusRequest(f"{server.url}/status", BOT_ID, USER_ID, headers=bearer)
    lifecycle = make_lifecycle(Service(request, transport, status), policy, view)
    scanning = None
    if arguments.scan_after is not None:
        scanning = partial(_scan_after, arguments.scan_after, lifecycle)
    outcome = await run_in_view(lifecycle, view, stop, scanning)
    view.note(await _count(server))
    return exit_code(outcome, stop)


def _hints(host: str, scan_after: float | None) -> Callable[[QRCode], tuple[str, ...]]:
    if scan_after is not None:
        what = f"It is scanned automatically after {scan_after:g} s. Its address:"
    elif is_loopback(host):
        what = "In a browser on this machine its address is the phone:"
    else:
        what = "Scan it with a phone in this network, or open its address:"
    return lambda qr: (what, qr.reveal())


async def _scan_after(seconds: float, lifecycle: QRLifecycle) -> None:
    """Play the phone: say yes at the address in the code, as soon as there is a valid one."""
    async for _ in lifecycle.changes():
        if lifecycle.qr is not None:
            break
    await anyio.sleep(seconds)
    while True:
        if (qr := lifecycle.qr) is not None:
            answer = await send(HTTPClient(), "POST", qr.reveal())
            if answer.status_code < 400:
                return
        await anyio.sleep(0.05)


# What the server saw


async def _count(server: PairingServer) -> str:
    """The counts of the server, in one line."""
    with anyio.move_on_after(SETTLING):
        while server.open_sockets():  # noqa: ASYNC110 - the server has no event to wait for
            await anyio.sleep(0.001)
    ever = len(server.sockets)
    counts = [
        f"{ever} {'socket' if ever == 1 else 'sockets'} ever",
        f"{server.most_sockets()} at most",
        f"{server.open_sockets()} open now",
    ]
    return f"server: {'; '.join(filter(None, [', '.join(counts), _times(server)]))}"


def _times(server: PairingServer) -> str:
    """When the last socket was opened after the code, and closed after the scan."""
    if not server.sockets:
        return ""
    socket, pairing = server.sockets[-1], server.pairing(BOT_ID, USER_ID)
    parts = []
    if socket.opened_at >= pairing.made_at:
        parts.append(f"opened {_ms(socket.opened_at - pairing.made_at)} after the code")
    closed_at, scanned_at = socket.closed_at, pairing.decided_at
    if pairing.status == "paired" and closed_at is not None and scanned_at is not None:
        parts.append(f"closed {_ms(closed_at - scanned_at)} after the scan")
    return ", ".join(parts)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else "under 1 ms"


# Where it listens


def _is_name(host: str) -> bool:
    """Whether a name server can be asked for it: "192.168.1..20" is mistyped."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def _check_host(host: str) -> None:
    """A code must hold an address that a phone can open."""
    try:
        unspecified = not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        unspecified = False
        if urlsplit(f"//{host}").hostname != host.lower() or not _is_name(host):
            raise UsageError("--host takes an address, like 192.168.1.20") from None
    if unspecified:
        raise UsageError("--host takes the one address a phone can open, like 192.168.1.20")


def _words(error: OSError) -> str:
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__
