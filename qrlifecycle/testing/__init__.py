"""For tests, yours and ours: a real pairing server, a scripted transport, a virtual clock.

Nothing here is imported by the library itself, and nothing is loaded into pytest.
"""

from __future__ import annotations

from .cancellation import CancellationReport, NotCancellationSafe, cancel_everywhere
from .clock import Deadlock, VirtualClockEventLoop, settle
from .contract import ContractBroken, ContractReport, check_transport, checks
from .contract.checks import Check, CheckResult, ContractFailure
from .contract.peers import CannotDo, Peer
from .contract.socketio import greet_socketio, socketio_peer
from .contract.wire import Wire, WirePeer, relay
from .exploration.acts import Act
from .judge import Breach, Judge
from .pairing_server import Pairing, PairingServer, SocketRecord
from .performance import perform
from .plans import Answer, Plan, Reading, Step
from .scripted import Fault, Goodbye, ScriptedPeer, ScriptedTransport

__all__ = [
    "Act",
    "Answer",
    "Breach",
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
    "Judge",
    "NotCancellationSafe",
    "Pairing",
    "PairingServer",
    "Peer",
    "Plan",
    "Reading",
    "ScriptedPeer",
    "ScriptedTransport",
    "SocketRecord",
    "Step",
    "VirtualClockEventLoop",
    "Wire",
    "WirePeer",
    "cancel_everywhere",
    "check_transport",
    "checks",
    "greet_socketio",
    "perform",
    "relay",
    "settle",
    "socketio_peer",
]
