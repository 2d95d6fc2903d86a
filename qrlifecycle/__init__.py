"""qrlifecycle: one socket while a QR code is on screen, not before and not after.

The front door: names only. A name's room is imported when the name is first used, so that a program
pays only for what it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .codes import (
        Code,
        PairingCode,
        QRCode,
    )
    from .engine.observers import (
        Change,
        Changes,
    )
    from .errors import (
        EventRefused,
        InvalidTable,
        InvalidValue,
        MissingExtra,
        PairingFailed,
        PairingInProgress,
        PeerError,
        QRLifecycleError,
        ServiceRefused,
        TransportError,
        TransportLost,
        TransportRefused,
        TransportUnreachable,
        UnsupportedBackend,
        UsageError,
        WrongAnswer,
        WrongThread,
    )
    from .lifecycle import QRLifecycle
    from .monitoring.audit import (
        Alert,
        Audit,
        Limits,
    )
    from .monitoring.journal import Journal
    from .outcome import (
        Connected,
        Failed,
        Outcome,
        Reason,
    )
    from .policy import (
        WHATSAPP,
        Policy,
    )
    from .records import (
        Record,
        Recorder,
    )
    from .signals import (
        ActionRequired,
        Paired,
        PairingRefused,
        QRExpired,
        QRUpdated,
        Scanned,
        Signal,
    )
    from .states import (
        TABLE,
        Event,
        Row,
        State,
    )
    from .transports.base import (
        Transport,
        TransportFactory,
    )
    from .transports.buffer import SignalBuffer
    from .transports.socketio import SocketIOTransport

_ROOMS = (
    "errors",
    "states",
    "policy",
    "codes",
    "outcome",
    "signals",
    "transports.base",
    "transports.buffer",
    "engine.observers",
    "lifecycle",
    "transports.socketio",
    "records",
    "monitoring.audit",
    "monitoring.journal",
)
"""Where to look for a name; a room that costs more to import comes later."""

__all__ = [
    "TABLE",
    "WHATSAPP",
    "ActionRequired",
    "Alert",
    "Audit",
    "Cancelled",
    "Change",
    "Changes",
    "Code",
    "Connected",
    "Event",
    "EventRefused",
    "Failed",
    "InvalidTable",
    "InvalidValue",
    "Journal",
    "Limits",
    "MissingExtra",
    "Outcome",
    "Paired",
    "PairingCode",
    "PairingFailed",
    "PairingInProgress",
    "PairingRefused",
    "PeerError",
    "Policy",
    "QRCode",
    "QRExpired",
    "QRLifecycle",
    "QRLifecycleError",
    "QRUpdated",
    "Reason",
    "Record",
    "Recorder",
    "Row",
    "Scanned",
    "ServiceRefused",
    "Signal",
    "SignalBuffer",
    "SocketIOTransport",
    "State",
    "Transport",
    "TransportError",
    "TransportFactory",
    "TransportLost",
    "TransportRefused",
    "TransportUnreachable",
    "UnsupportedBackend",
    "UsageError",
    "WrongAnswer",
    "WrongThread",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        for room in _ROOMS:
            module = import_module(f".{room}", __name__)
            if name in module.__all__:
                value = globals()[name] = getattr(module, name)
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
