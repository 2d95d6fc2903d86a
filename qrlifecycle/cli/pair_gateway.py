"""`qrlifecycle pair GATEWAY`: a code from a service that a gateway knows.

The payload is never written as text, and what came with a success, such as tokens, is not shown.
"""

from __future__ import annotations

import argparse

import anyio

from ..gateways.base import Gateway
from .gateways import GATEWAYS
from .interactive import (
    exit_code,
    make_lifecycle,
    make_view,
    policy_of,
    require_drawing,
    run_in_view,
    service_of,
)
from .pair import hints, note_dropped, read_ca_file
from .stopping import Stop

__all__ = ["run"]


def run(arguments: argparse.Namespace, stop: Stop) -> int:
    """Pair; return whether the account is paired, as an exit code."""
    entry = GATEWAYS[arguments.gateway]
    gateway = entry.make(arguments, read_ca_file(arguments.ca_file))
    if not entry.typed and getattr(arguments, "phone_number", None) is None:
        entry.require_extras()  # else there is something to type
        require_drawing()
    return anyio.run(_pair, gateway, arguments, stop, backend="asyncio")


async def _pair(gateway: Gateway, arguments: argparse.Namespace, stop: Stop) -> int:
    policy = policy_of(arguments, gateway.policy)
    title = f"qrlifecycle pair {arguments.gateway}: {gateway.account} at {gateway.place}"
    view = make_view(stop, hints, arguments, title=title, lifetime=policy.qr_lifetime)
    lifecycle = make_lifecycle(service_of(gateway), policy, view)
    outcome = await run_in_view(lifecycle, view, stop)
    note_dropped(view, lifecycle, outcome)
    return stop.leave(exit_code(outcome, stop))
