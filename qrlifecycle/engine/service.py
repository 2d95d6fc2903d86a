"""What the embedding program brings: how to ask its service, and how to hear from it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..codes import PairingCode, QRCode
from ..leases.base import LeaseFactory
from ..logs import error_once
from ..signals import Paired, Signal
from ..transports.base import TransportFactory
from .user_code import close_coroutine, describe, fault_of, warn_if_it_blocked

__all__ = ["Expectation", "QRRequest", "Service", "StatusCheck"]

QRRequest = Callable[[], Awaitable[QRCode | PairingCode | Paired]]
"""The HTTP request behind "Generate QR": what a lifecycle is given to get a code."""

StatusCheck = Callable[[], Awaitable[Signal | None]]
"""The HTTP request that asks how far a pairing is: `Paired` if the account is paired, any other
signal that fits, or None if there is nothing to say."""

Expectation = str | Callable[[str | None], bool]
"""The identity that must be paired, or a plain function that says whether an identity is right."""


@dataclass(frozen=True, slots=True)
class Service:
    """The functions that a lifecycle was given."""

    request_qr: QRRequest
    transport: TransportFactory
    check_status: StatusCheck | None = None
    expect_identity: Expectation | None = None
    lease: LeaseFactory | None = None

    def expects(self, identity: str | None) -> bool:
        """Whether it is this account that was to be paired; nobody's word is taken for it."""
        expected = self.expect_identity
        if expected is None or isinstance(expected, str):
            return expected in (None, identity)
        began = time.monotonic()
        try:
            answer: object = expected(identity)
        except BaseException as error:
            error_once("expect_identity raised %s", describe(fault_of(error)))
            return False
        finally:
            warn_if_it_blocked("expect_identity", began)
        if not isinstance(answer, bool):  # an async function in disguise, perhaps: it is all true
            error_once("expect_identity gave back %s, not True or False", type(answer).__name__)
            close_coroutine(answer)
            return False
        return answer
