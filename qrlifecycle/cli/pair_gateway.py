"""`qrlifecycle pair GATEWAY`: a code from a service that a gateway knows.

The payload is never written as text, and what came with a success, such as tokens, is not shown.
"""

from __future__ import annotations

import argparse

import anyio

from ..codes import PairingCode, QRCode
from ..engine.reconnects import ENDINGS_TO_MEND
from ..engine.service import QRRequest, Service, StatusCheck
from ..errors import Ending, InvalidValue, PeerError, ServiceUnavailable
from ..gateways.base import Gateway
from ..signals import Paired, Signal
from .answering import Answering
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

TOLD_AT_ONCE = ENDINGS_TO_MEND | {Ending.NAME_NOT_FOUND, Ending.TLS}
"""How a request ends that ends so again until somebody mends what was typed, or the server."""


def run(arguments: argparse.Namespace, stop: Stop) -> int:
    """Pair; return whether the account is paired, as an exit code."""
    entry = GATEWAYS[arguments.gateway]
    ssl_context = read_ca_file(arguments.ca_file)
    if ssl_context is not None and not arguments.url.lower().startswith("https:"):
        raise InvalidValue(f"--ca-file is for https, and the {entry.url} has none")
    gateway = entry.make(arguments, ssl_context)
    if not entry.typed and getattr(arguments, "phone_number", None) is None:
        entry.require_extras()  # else there is something to type
        require_drawing()
    return anyio.run(_pair, gateway, arguments, stop, backend="asyncio")


class AskedByAPerson:
    """The same functions for somebody who waits: what has to be mended is said at once.

    A program that runs on asks again: there it may be mended meanwhile, and nobody sits before it.
    """

    def __init__(self, service: Service) -> None:
        assert service.check_status is not None
        self._request_qr: QRRequest = service.request_qr
        self._check_status: StatusCheck = service.check_status
        self._given_up = False

    async def request_qr(self) -> QRCode | PairingCode | Paired:
        """Ask for a code.

        Raises:
            PeerError: it is of no use to ask again.
        """
        try:
            return await self._request_qr()
        except ServiceUnavailable as error:
            if error.ending not in TOLD_AT_ONCE:
                raise
            self._given_up = True
            failure = PeerError(str(error))
        raise failure

    async def check_status(self) -> Signal | None:
        """Ask how far it is, unless nobody can be asked."""
        return None if self._given_up else await self._check_status()


async def _pair(gateway: Gateway, arguments: argparse.Namespace, stop: Stop) -> int:
    policy = policy_of(arguments, gateway.policy)
    title = f"qrlifecycle pair {arguments.gateway}: {gateway.account} at {gateway.place}"
    view = make_view(stop, hints, arguments, title=title, lifetime=policy.qr_lifetime)
    service = service_of(gateway)
    asked = AskedByAPerson(service)
    service = Service(asked.request_qr, service.transport, asked.check_status)
    answering = Answering(gateway, view)
    lifecycle = make_lifecycle(service, policy, view, answering.require)
    outcome = await run_in_view(lifecycle, view, stop, answering.run)
    note_dropped(view, lifecycle, outcome)
    return stop.leave(exit_code(outcome, stop))
