"""The core modules, and which tests look at each: from those that notice soonest."""

from __future__ import annotations

from pathlib import Path

import qrlifecycle

__all__ = ["BACKENDS_MATTER", "EXPLORATION", "MODULES", "path_of"]

EXPLORATION: tuple[str, ...] = ()
"""Stands for `explore()` in every world, one act at a time."""

CORE = (
    "tests/engine/test_progress.py",
    "tests/lifecycle",
    "tests/engine/test_connection.py",
    "tests/engine/test_status.py",
    "tests/engine/test_finished_reads.py",
    "tests/engine/test_snapshot.py",
    "tests/test_reasons.py",
    "tests/test_no_transport.py",
    "tests/engine/test_observers.py",
    "tests/test_records.py",
    "tests/engine/test_showing.py",
    "tests/engine/test_interruptions.py",
    "tests/engine/test_lease.py",
)


USER_CODE = (
    "tests/engine/test_foreign_exceptions.py",
    "tests/engine/test_background_tasks.py",
    "tests/engine/test_user_code.py",
)

SLEEP = ("tests/engine/test_sleep.py",)

BACKENDS_MATTER = frozenset({*USER_CODE, *SLEEP})
"""Tests of what is decided differently on asyncio and on trio."""

MODEL = tuple(
    f"tests/test_model.py::Test{name}"
    for name in ("Enumeration", "Following", "Proof", "Printed", "Page")
)
"""Those that take no minute."""


SOCKETIO = tuple(
    tuple(f"tests/socketio/test_{name}.py" for name in names)
    for names in (
        ("usage", "handshake", "messages", "turns", "secrets"),
        ("closing", "garbage", "hostile_peers"),
        ("async_client", "side_by_side"),
    )
)
"""By file: the whole folder has Node's servers in it, which take more than all of the time."""


ADVICE = tuple(
    f"tests/gateways/test_{name}.py" for name in ("first_hour", "verdicts", "hostile_services")
)
"""What is said of a refusal, and of what a gateway cannot be made with."""


SHARED = ("tests/gateways/test_reaching.py", "tests/gateways/test_shared_gateways.py")
"""What listens to a service over real sockets, also for all of its accounts."""


def _core(*own: str) -> tuple[tuple[str, ...], ...]:
    return (own, tuple(path for path in CORE if path not in own), EXPLORATION)


MODULES: dict[str, tuple[tuple[str, ...], ...]] = {
    "engine.connection": _core(
        "tests/engine/test_connection.py",
        "tests/test_calling.py",
        "tests/shared_socket/test_telling.py",
    ),
    "engine.reconnects": _core(
        "tests/engine/test_reconnects.py", "tests/engine/test_connection.py"
    ),
    "engine.progress": (SLEEP, *_core("tests/engine/test_progress.py")),
    "engine.attempt": (SLEEP, *_core("tests/lifecycle", "tests/test_logs.py")),
    "engine.incoming": (SLEEP, *_core("tests/lifecycle", "tests/engine/test_status.py")),
    "lifecycle": _core(
        "tests/lifecycle",
        "tests/test_logs.py",
        "tests/test_calling.py",
        "tests/pairings/test_leaving.py",
        "tests/gateways/test_unseen.py",
        "tests/pairings/test_blocking_pairings.py",
    ),
    "engine.failures": _core("tests/test_reasons.py"),
    "engine.lease": _core("tests/engine/test_lease.py", "tests/leases/test_threads.py"),
    "engine.status": _core("tests/engine/test_status.py", "tests/engine/test_finished_reads.py"),
    "engine.observers": _core("tests/engine/test_observers.py", "tests/gateways/test_unseen.py"),
    "engine.unseen": (("tests/gateways/test_unseen.py",),),
    "engine.hooks": _core(
        "tests/engine/test_hooks.py",
        "tests/engine/test_observers.py",
        "tests/test_floods.py::test_a_hook_that_waits_for_what_a_flood_sets_can_be_cancelled",
    ),
    "engine.user_code": _core(*USER_CODE),
    "engine.recording": _core("tests/engine/test_recording.py", "tests/test_records.py"),
    "engine.request": _core("tests/lifecycle/test_round.py", "tests/test_logs.py"),
    "calling": (
        ("tests/test_calling.py",),
        ("tests/gateways/test_first_hour.py",),
        ("tests/test_audit.py", "tests/lifecycle/test_misuse.py"),
    ),
    "pairings": (
        ("tests/pairings/test_pairings.py", "tests/pairings/test_leaving.py"),
        ("tests/pairings/test_any_order.py", "tests/pairings/test_blocking_pairings.py"),
    ),
    "blocking": (("tests/test_blocking.py",), ("tests/pairings/test_blocking_pairings.py",)),
    "blocking_pairings": (("tests/pairings/test_blocking_pairings.py",),),
    "logs": (("tests/test_logs.py",), CORE),
    "sleeping": (SLEEP,),
    "engine.service": _core("tests/engine/test_status.py"),
    "engine.snapshot": _core("tests/engine/test_snapshot.py", "tests/pairings/test_leaving.py"),
    "transports.buffer": (("tests/test_buffer.py",), CORE, EXPLORATION),
    "machine": (("tests/test_machine.py",), ("tests/lifecycle",)),
    "states": (
        ("tests/test_states.py", "tests/test_machine.py"),
        ("tests/engine/test_progress.py",),
        CORE,
        MODEL,
    ),
    "engine.backoff": (("tests/engine/test_reconnects.py",),),
    "transports.no_transport": (("tests/test_no_transport.py",),),
    "transports.messages": (
        ("tests/test_messages.py", "tests/shared_socket/test_feed.py"),
        ("tests/test_arguments.py",),
        *SOCKETIO,
    ),
    "transports.owner": (
        ("tests/test_owner.py", "tests/test_messages.py", "tests/shared_socket/test_feed.py"),
        ("tests/test_arguments.py",),
    ),
    "transports.socketio.protocol": (("tests/socketio/test_protocol.py",), *SOCKETIO),
    "transports.socketio.transport": (
        *SOCKETIO,
        ("tests/contract/test_transports.py::TestSocketIO",),
    ),
    "transports.handshake": (("tests/socketio/test_protocol.py",), *SOCKETIO),
    "transports.pair": SOCKETIO,
    "transports.client": SOCKETIO,
    "transports.wire.handshake": (
        ("tests/wire/test_endings.py",),
        tuple(f"tests/wire/test_{name}.py" for name in ("options", "proxy", "connecting")),
    ),
    "gateways.base": (("tests/gateways/test_base.py",), ADVICE),
    "gateways.device_flow": (("tests/gateways/test_device_flow.py",), ADVICE),
    "gateways.evolution": (
        ("tests/gateways/test_evolution.py",),
        ("tests/gateways/test_evolution_traps.py",),
        ADVICE,
        SHARED,
    ),
    "gateways.failures": (("tests/gateways/test_base.py",), ADVICE),
    "gateways.http": (("tests/gateways/test_http.py",),),
    "gateways.gowa": (("tests/gateways/test_gowa.py",), ADVICE, SHARED),
    "gateways.waha": (("tests/gateways/test_waha.py",), ADVICE, SHARED),
    "gateways.wppconnect": (
        ("tests/gateways/test_wppconnect.py",),
        ("tests/gateways/test_wppconnect_traps.py",),
        ADVICE,
        SHARED,
    ),
    "gateways.actions": (("tests/gateways/test_waha.py",),),
    "gateways.code_on_screen": (("tests/gateways/test_gowa.py",), SHARED),
    "gateways.credentials": (("tests/gateways/test_base.py",), ADVICE),
    "gateways.deferred": (("tests/gateways/test_base.py",), SHARED),
    "gateways.keywords": (("tests/gateways/test_first_hour.py",),),
    "gateways.live_codes": (("tests/gateways/test_gowa.py",), SHARED),
    "gateways.phone_numbers": (("tests/gateways/test_evolution.py",),),
    "gateways.replies": (("tests/gateways/test_base.py",),),
    "gateways.sharing": (SHARED,),
    "gateways.turns": (("tests/gateways/test_base.py",),),
    "transports.async_client": (
        *SOCKETIO,
        ("tests/socketio/test_polling.py",),
        ("tests/contract/test_transports.py::TestAsyncClient",),
    ),
}


def path_of(module: str) -> Path:
    """Where the source of a module is."""
    return Path(qrlifecycle.__file__).parent / f"{module.replace('.', '/')}.py"
