"""For tests, yours and ours: a real pairing server, a scripted transport, a virtual clock.

Nothing here is imported by the library itself, and nothing is loaded into pytest.
"""

from __future__ import annotations

from ..proof.exploration import (
    Exploration,
    NotCongruent,
    PromiseBroken,
    explore,
    replay,
)
from ..proof.exploration.scene import World
from ..proof.exploration.worlds import (
    WIDE_WORLDS,
    WORLDS,
)
from .acts import Act
from .cancellation import (
    CancellationReport,
    NotCancellationSafe,
    cancel_everywhere,
)
from .clock import (
    Deadlock,
    VirtualClockEventLoop,
    settle,
)
from .contract import (
    ContractBroken,
    ContractReport,
    check_transport,
    checks,
)
from .contract.check import (
    Check,
    CheckResult,
    ContractFailure,
)
from .contract.peers import (
    CannotCheck,
    CannotDo,
    Peer,
)
from .contract.smoke import smoke_test
from .contract.socketio import (
    greet_socketio,
    socketio_peer,
)
from .contract.wire import (
    Wire,
    WirePeer,
    relay,
)
from .judge import (
    Breach,
    Judge,
)
from .pairing_server import (
    Pairing,
    PairingServer,
    SocketRecord,
)
from .plans import (
    Answer,
    Plan,
    Reading,
    Step,
)
from .run_plan import (
    perform,
    perform_together,
)
from .scripted import (
    Fault,
    Goodbye,
    ScriptedPeer,
    ScriptedTransport,
)

__all__ = [
    "WIDE_WORLDS",
    "WORLDS",
    "Act",
    "Answer",
    "Breach",
    "CancellationReport",
    "CannotCheck",
    "CannotDo",
    "Check",
    "CheckResult",
    "ContractBroken",
    "ContractFailure",
    "ContractReport",
    "Deadlock",
    "Exploration",
    "Fault",
    "Goodbye",
    "Judge",
    "NotCancellationSafe",
    "NotCongruent",
    "Pairing",
    "PairingServer",
    "Peer",
    "Plan",
    "PromiseBroken",
    "Reading",
    "ScriptedPeer",
    "ScriptedTransport",
    "SocketRecord",
    "Step",
    "VirtualClockEventLoop",
    "Wire",
    "WirePeer",
    "World",
    "cancel_everywhere",
    "check_transport",
    "checks",
    "explore",
    "greet_socketio",
    "perform",
    "perform_together",
    "relay",
    "replay",
    "settle",
    "smoke_test",
    "socketio_peer",
]
