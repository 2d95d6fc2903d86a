"""How often the event loop turns from a success that can be read to `pair()` having returned."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import Connected, QRCode, QRLifecycle, SocketIOTransport

from ..patience import HANGS
from ..raw_peer import PAIRED, RawPeer
from .transport import BOT, USER

pytestmark = pytest.mark.anyio


class Turns:
    """Counts the turns of the event loop, and notes in which a socket can be read."""

    def __init__(self) -> None:
        self.taken = 0
        self.watched = -1
        self.readable: list[int] = []


@contextmanager
def counted() -> Iterator[Turns]:
    """Turns of the loop that runs, as its selector sees them."""
    turns, loop = Turns(), asyncio.get_running_loop()
    selector: Any = loop._selector  # type: ignore[attr-defined] # of asyncio's own loops
    select = selector.select

    def note(timeout: float | None = None) -> Any:
        events = select(timeout)
        turns.taken += 1
        turns.readable += [turns.taken for key, _ in events if key.fd == turns.watched]
        return events

    selector.select = note
    try:
        yield turns
    finally:
        selector.select = select


class Watched(SocketIOTransport):
    """One whose socket is known once it is open."""

    turns: Turns

    async def open(self) -> None:
        await super().open()
        self.turns.watched = self._wire._stream._sockets[0].fileno()


async def request_qr() -> QRCode:
    """A code."""
    return QRCode("a code", expires_in=60)


async def test_a_success_is_the_outcome_in_the_next_turn_of_the_event_loop(peer: RawPeer) -> None:
    """The turn that finds the socket readable wakes `pair()`; in the next one it has returned.

    Between the two lie the message, its acknowledgement, the close, and the new state.
    """
    with counted() as turns, anyio.fail_after(HANGS):

        def make() -> Watched:
            transport = Watched(peer.url, bot_id=BOT, user_id=USER)
            transport.turns = turns
            return transport

        lifecycle = QRLifecycle(request_qr, make)
        pairing = asyncio.ensure_future(lifecycle.pair())
        while turns.watched == -1:
            await anyio.lowlevel.checkpoint()
        returned: list[int] = []
        pairing.add_done_callback(lambda _task: returned.append(turns.taken))
        peer.wire.send(PAIRED.replace("42[", "4217["))
        assert isinstance(await pairing, Connected)
        # The callback of a task is called a turn after its end.
        assert returned[0] - 1 - turns.readable[0] == 1
        await peer.wire.gone.wait()
    assert peer.wire.texts()[-2:] == ["4317[]", "41"]
