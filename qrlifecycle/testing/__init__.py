"""For tests, yours and ours: a real pairing server, a scripted transport, a virtual clock.

Nothing here is imported by the library itself, and nothing is loaded into pytest.
"""

from __future__ import annotations

from .cancellation import CancellationReport, NotCancellationSafe, cancel_everywhere
from .checks import Check, CheckResult, ContractFailure
from .clock import Deadlock, VirtualClockEventLoop, settle
from .contract import ContractBroken, ContractReport, check_transport, checks
from .pairing_server import Pairing, PairingServer, SocketRecord
from .peers import CannotDo, Peer
from .scripted import Fault, Goodbye, ScriptedPeer, ScriptedTransport
from .socketio_wire import greet_socketio, socketio_peer
from .wire_peer import Wire, WirePeer, relay

__all__ = [
    "CancellationReport",
    "CannotDo",
    "Check",
    "CheckResult",
    "ContractBroken",
    "ContractFailure",
    "ContractReport",
    "Deadlock",
    "Fault",
    "Goodbye",
    "NotCancellationSafe",
    "Pairing",
    "PairingServer",
    "Peer",
    "ScriptedPeer",
    "ScriptedTransport",
    "SocketRecord",
    "VirtualClockEventLoop",
    "Wire",
    "WirePeer",
    "cancel_everywhere",
    "check_transport",
    "checks",
    "greet_socketio",
    "relay",
    "settle",
    "socketio_peer",
]
