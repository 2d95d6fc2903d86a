"""For tests, yours and ours: a real pairing server, a scripted transport, a virtual clock.

Nothing here is imported by the library itself, and nothing is loaded into pytest.
"""

from __future__ import annotations

from .clock import Deadlock, VirtualClockEventLoop, settle
from .pairing_server import Pairing, PairingServer, SocketRecord
from .scripted import Fault, Goodbye, ScriptedPeer, ScriptedTransport

__all__ = [
    "Deadlock",
    "Fault",
    "Goodbye",
    "Pairing",
    "PairingServer",
    "ScriptedPeer",
    "ScriptedTransport",
    "SocketRecord",
    "VirtualClockEventLoop",
    "settle",
]
