"""qrlifecycle: one socket while a QR code is on screen, not before and not after.

The names that a program needs. Each is imported from its module when it is first used, so that a
program pays only for what it uses; everything else is imported from its own module
(`qrlifecycle.monitoring`, `qrlifecycle.testing`, `qrlifecycle.errors`, ...).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .blocking import PairingThread, pair_blocking
    from .blocking_pairings import BlockingPairings
    from .codes import PairingCode, QRCode
    from .engine.observers import Change
    from .errors import (
        EventRefused,
        InvalidValue,
        PairingFailed,
        PairingInProgress,
        PeerError,
        QRLifecycleError,
        ServiceRefused,
        ServiceUnavailable,
        TransportError,
        TransportLost,
        TransportRefused,
        TransportUnreachable,
        UsageError,
        WrongAnswer,
    )
    from .lifecycle import QRLifecycle
    from .outcome import Cancelled, Connected, Failed, Outcome, Reason
    from .pairings import JoinedPairing, Pairings
    from .policy import WHATSAPP, Policy
    from .signals import (
        ActionRequired,
        Paired,
        PairingRefused,
        QRExpired,
        QRUpdated,
        Scanned,
        Signal,
        StatusChanged,
    )
    from .states import Event, State
    from .transports.async_client import AsyncClientTransport
    from .transports.base import Transport
    from .transports.no_transport import NoTransport
    from .transports.socketio import SocketIOTransport
    from .transports.websocket import WebSocketTransport

__version__ = "0.1.0"

_MODULES = (
    "errors",
    "states",
    "policy",
    "codes",
    "outcome",
    "signals",
    "transports.base",
    "engine.observers",
    "transports.no_transport",
    "lifecycle",
    "pairings",
    "blocking",
    "blocking_pairings",
    "transports.websocket",
    "transports.socketio",
    "transports.async_client",
)
"""Where to look for a name; a module that costs more to import comes later."""

__all__ = [
    "WHATSAPP",
    "ActionRequired",
    "AsyncClientTransport",
    "BlockingPairings",
    "Cancelled",
    "Change",
    "Connected",
    "Event",
    "EventRefused",
    "Failed",
    "InvalidValue",
    "JoinedPairing",
    "NoTransport",
    "Outcome",
    "Paired",
    "PairingCode",
    "PairingFailed",
    "PairingInProgress",
    "PairingRefused",
    "PairingThread",
    "Pairings",
    "PeerError",
    "Policy",
    "QRCode",
    "QRExpired",
    "QRLifecycle",
    "QRLifecycleError",
    "QRUpdated",
    "Reason",
    "Scanned",
    "ServiceRefused",
    "ServiceUnavailable",
    "Signal",
    "SocketIOTransport",
    "State",
    "StatusChanged",
    "Transport",
    "TransportError",
    "TransportLost",
    "TransportRefused",
    "TransportUnreachable",
    "UsageError",
    "WebSocketTransport",
    "WrongAnswer",
    "pair_blocking",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        for path in _MODULES:
            module = import_module(f".{path}", __name__)
            if name in module.__all__:
                value = globals()[name] = getattr(module, name)
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
