"""`qrlifecycle demo --gateway NAME`: a whole pairing against an emulator, on this machine."""

from __future__ import annotations

import argparse
from functools import partial

import anyio

from ..codes import QRCode
from ..errors import UsageError
from ..lifecycle import QRLifecycle
from ..testing.gateways.emulator import Emulator
from .gateways import GATEWAYS
from .interactive import exit_code, make_lifecycle, make_view, policy_of, run_in_view, service_of
from .stopping import Stop

__all__ = ["run"]

SCAN_AFTER = 3.0
"""Seconds until the code is scanned, if nothing else is said."""


def run(arguments: argparse.Namespace, stop: Stop) -> int:
    """Demonstrate; return whether the account is paired, as an exit code."""
    if arguments.host != "127.0.0.1":
        raise UsageError("--host is the toy server's; an emulator listens on 127.0.0.1")
    if arguments.serve:
        from . import demo_serve

        return demo_serve.run(arguments, stop)
    if arguments.port:
        raise UsageError(
            "--port is the toy server's, or goes with --serve; an emulator listens on 127.0.0.1"
        )
    GATEWAYS[arguments.gateway].require_extras()
    return anyio.run(_demonstrate, arguments, stop, backend="asyncio")


async def _demonstrate(arguments: argparse.Namespace, stop: Stop) -> int:
    async with GATEWAYS[arguments.gateway].play() as emulator:
        code = await _pair(emulator, arguments, stop)
    return stop.leave(code)


async def _pair(emulator: Emulator, arguments: argparse.Namespace, stop: Stop) -> int:
    gateway = emulator.gateway()
    policy = policy_of(arguments, gateway.policy)
    seconds = SCAN_AFTER if arguments.scan_after is None else arguments.scan_after
    title = f"qrlifecycle demo: {arguments.gateway}, played at {emulator.url}"
    what = (f"This code is scanned automatically after {seconds:g} s.",)
    hints, lifetime = partial(_hints, what), policy.qr_lifetime
    view = make_view(stop, hints, arguments, title=title, lifetime=lifetime)
    lifecycle = make_lifecycle(service_of(gateway), policy, view)
    scanning = partial(_scan_after, seconds, lifecycle, emulator)
    outcome = await run_in_view(lifecycle, view, stop, scanning)
    return exit_code(outcome, stop)


def _hints(what: tuple[str, ...], _qr: QRCode) -> tuple[str, ...]:
    return what


async def _scan_after(seconds: float, lifecycle: QRLifecycle, emulator: Emulator) -> None:
    """Play the phone, as soon as there is a code."""
    async for _ in lifecycle.changes():
        if lifecycle.qr is not None or lifecycle.pairing_code is not None:
            break
    await anyio.sleep(seconds)
    while True:
        code = lifecycle.qr or lifecycle.pairing_code
        try:
            if code is not None:
                await emulator.scan(code, emulator.account)
                return
        except KeyError:
            pass  # another is about to come
        await anyio.sleep(0.05)
