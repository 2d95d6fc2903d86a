"""For tests, yours and ours: a real pairing server, a scripted transport, a virtual clock.

Nothing here is imported by the library itself, and nothing is loaded into pytest.
"""

from __future__ import annotations

from .pairing_server import PairingServer, SocketRecord

__all__ = [
    "Fault",
    "Ledger",
    "PairingServer",
    "ScriptedTransport",
    "SocketRecord",
    "VirtualClockEventLoop",
]
