"""For tests, yours and ours: a real pairing server, a scripted transport, a virtual clock.

These are the names that most tests need; what else a module has is imported from it. Nothing here
is imported by the library itself, and nothing is loaded into pytest.
"""

from __future__ import annotations

from .cancellation import cancel_everywhere
from .clock import VirtualClockEventLoop, settle
from .contract import check_transport, checks
from .contract.relay import relay
from .contract.socketio_peer import greet_socketio, socketio_peer
from .contract.websocket_peer import websocket_peer
from .contract.wire import WirePeer
from .gateways import Emulator, check_gateway
from .judge import Judge
from .leases import TwoMachines, check_leases
from .pairing_server import PairingServer
from .plans import Plan
from .run_plan import run_plan
from .scripted import Fault, ScriptedPeer, ScriptedTransport
from .scripted_leases import Keeping, ScriptedKeeper

__all__ = [
    "Emulator",
    "Fault",
    "Judge",
    "Keeping",
    "PairingServer",
    "Plan",
    "ScriptedKeeper",
    "ScriptedPeer",
    "ScriptedTransport",
    "TwoMachines",
    "VirtualClockEventLoop",
    "WirePeer",
    "cancel_everywhere",
    "check_gateway",
    "check_leases",
    "check_transport",
    "checks",
    "greet_socketio",
    "relay",
    "run_plan",
    "settle",
    "socketio_peer",
    "websocket_peer",
]
