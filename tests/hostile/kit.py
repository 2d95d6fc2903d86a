"""The kit's own peers, told to misbehave at random."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any

import anyio

from qrlifecycle.testing import WirePeer, socketio_peer
from qrlifecycle.testing.contract.peer import CannotDo

from ..contract.peers import async_client_peer, plain_websocket_peer
from .acts import garbage
from .plan import Kind, Plan

__all__ = ["kit_peer", "misbehave"]

PEERS: dict[Kind, Callable[[], WirePeer]] = {
    Kind.SOCKETIO: socketio_peer,
    Kind.WEBSOCKET: plain_websocket_peer,
    Kind.ASYNC_CLIENT: async_client_peer,
}


def kit_peer(plan: Plan) -> WirePeer:
    """The kit's peer of this kind of transport."""
    return PEERS[plan.kind]()


async def misbehave(peer: WirePeer, plan: Plan) -> None:
    """Spoil some of the handshakes, and then do one thing after another."""
    dice = Random(f"{plan.seed}/kit")
    beforehand: list[Callable[[], Any]] = [
        lambda: peer.stall(dice.choice([0, 1, 2])),
        lambda: peer.break_off(dice.choice([0, 1, 2])),
        lambda: peer.greet_with(garbage(dice, plan.kind)),
        lambda: peer.send_early(*peer.signals[:2]),
        lambda: None,
        lambda: None,
    ]
    dice.choice(beforehand)()
    deeds: list[Callable[[], Awaitable[object]]] = [
        lambda: peer.send(*peer.signals[: dice.choice([1, 2, 3])]),
        lambda: peer.send_in_halves(peer.signals[0]),
        lambda: peer.send_bytes(garbage(dice, plan.kind)),
        lambda: peer.send_bytes(peer.flood * 1000),
        peer.hang_up,
        peer.show_life,
        lambda: _now(peer.reset),
        lambda: _now(peer.fall_silent),
        peer.go_away,
    ]
    for _ in range(dice.choice([1, 3, 6])):
        await anyio.sleep(dice.choice([0, 0.002, 0.01]))
        with suppress(CannotDo, anyio.ClosedResourceError, OSError):
            await dice.choice(deeds)()


async def _now(deed: Callable[[], object]) -> None:
    deed()
