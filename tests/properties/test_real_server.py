"""The promises against a real Socket.IO server, with the operating system as the judge."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

import anyio
import anyio.from_thread
import pytest
from anyio.from_thread import BlockingPortal
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qrlifecycle import (
    AsyncClientTransport,
    Change,
    EventRefused,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    SocketIOTransport,
    State,
    Transport,
)
from qrlifecycle.testing import PairingServer

from ..patience import HANGS
from ..sockets import client_sockets, descriptors, needs_proc

pytestmark = [pytest.mark.anyio, needs_proc]

BOT, USER = "bot-7", "user-123"


class RoundAct(Enum):
    """What can happen to a pairing over a real server."""

    SCAN = auto()
    SCAN_ONLY = auto()
    REFUSE = auto()
    ROTATE = auto()
    EXPIRE = auto()
    CANCEL = auto()
    GENERATE = auto()
    CANCEL_FROM_OUTSIDE = auto()
    CANCEL_THE_TASK = auto()
    DROP_CONNECTION = auto()


@dataclass(frozen=True)
class RoundStep:
    """An act, some milliseconds after the one before it; None: after the code is on screen."""

    milliseconds: float | None
    act: RoundAct


STEPS = st.lists(
    st.builds(RoundStep, st.sampled_from([None, 0, 0.3, 1, 2, 3, 5]), st.sampled_from(RoundAct)),
    min_size=1,
    max_size=4,
)


@pytest.fixture
def anyio_backend() -> str:
    """Real sockets, real time; python-socketio needs asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """An event loop in another thread, so that its tasks are not taken for ours."""
    with anyio.from_thread.start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="module")
def server(portal: BlockingPortal) -> Iterator[PairingServer]:
    """The real pairing server."""
    with portal.wrap_async_context_manager(PairingServer()) as server:
        yield server


class Round:
    """One `pair()` against the server, and what was seen."""

    def __init__(
        self,
        portal: BlockingPortal,
        server: PairingServer,
        kind: Callable[..., Transport] = SocketIOTransport,
    ) -> None:
        self.portal = portal
        self.server = server
        self.breaches: list[str] = []
        self.shown = anyio.Event()
        self.scope = anyio.CancelScope()
        self.task: asyncio.Task[object] | None = None
        self.asked_again = False
        self.lifecycle = QRLifecycle(
            self.request_qr,
            partial(kind, server.url, bot_id=BOT, user_id=USER),
            policy=Policy(max_refreshes=1, attempt_timeout=2 * HANGS),
            on_change=self.look,
            on_qr_updated=lambda _qr: self.shown.set(),
        )

    async def request_qr(self) -> QRCode | Paired:
        """The service, without HTTP, so that every socket to the server is the transport's."""
        await asyncio.sleep(0)
        return QRCode(self.server.make_code(BOT, USER), expires_in=60)

    def look(self, change: Change) -> None:
        """Promises 1 and 3, as the operating system sees them."""
        count = client_sockets(self.server.port)
        if count > (self.lifecycle.state is State.DISPLAYED):
            self.breaches.append(f"{count} sockets at {change.event} -> {change.target}")

    async def pair(self) -> None:
        """Run `pair()` until it ends, one way or another; then nothing may be left."""
        self.task = asyncio.current_task()
        try:
            with self.scope:
                await self.lifecycle.pair()
        finally:
            if client_sockets(self.server.port):
                self.breaches.append("a socket outlived pair()")
            # generate() after the end, and before pair() has returned, decides for the next pair()
            again = self.asked_again and self.lifecycle.state is State.GENERATING
            if self.lifecycle.state in {State.GENERATING, State.DISPLAYED} and not again:
                self.breaches.append(f"pair() ended in {self.lifecycle.state}")

    async def run(self, steps: list[RoundStep], patience: float = 0.05) -> None:
        """Pair while the steps happen; wait for a code at most ``patience`` seconds."""
        pairing = asyncio.ensure_future(self.pair())
        for step in steps:
            if step.milliseconds is None:
                with anyio.move_on_after(patience):
                    await self.shown.wait()
            else:
                await asyncio.sleep(step.milliseconds / 1000)
            self.do(step.act)
        self.lifecycle.cancel()
        await asyncio.wait({pairing})
        if not pairing.cancelled():
            pairing.result()

    def do(self, act: RoundAct) -> None:
        """Do one thing."""
        try:
            if act is RoundAct.CANCEL:
                self.lifecycle.cancel()
            elif act is RoundAct.GENERATE:
                self.asked_again = self.lifecycle.state not in {State.GENERATING, State.DISPLAYED}
                self.lifecycle.generate()
            elif act is RoundAct.CANCEL_FROM_OUTSIDE:
                self.scope.cancel()
            elif act is RoundAct.CANCEL_THE_TASK:
                assert self.task is not None
                self.task.cancel()
            elif act is RoundAct.DROP_CONNECTION:
                self.portal.call(self.server.drop_connections)
            else:
                self.portal.call(partial(self.tell_server, act))
        except (EventRefused, KeyError):
            pass  # nobody asked for a code yet, or it is not the time

    async def tell_server(self, act: RoundAct) -> None:
        """Let the phone or the service do something."""
        match act:
            case RoundAct.SCAN:
                await self.server.scan(BOT, USER)
            case RoundAct.SCAN_ONLY:
                await self.server.scan(BOT, USER, confirm=False)
            case RoundAct.REFUSE:
                await self.server.refuse(BOT, USER)
            case RoundAct.ROTATE:
                await self.server.rotate(BOT, USER)
            case RoundAct.EXPIRE:
                await self.server.expire(BOT, USER)


@pytest.mark.parametrize(
    "kind", [SocketIOTransport, pytest.param(AsyncClientTransport, marks=pytest.mark.slow)]
)
@settings(max_examples=60)
@example(
    steps=[
        RoundStep(0, RoundAct.CANCEL),
        RoundStep(0, RoundAct.GENERATE),
        RoundStep(None, RoundAct.SCAN),
    ]
)
@given(steps=STEPS)
async def test_promises_1_3_5_8_hold_against_the_real_server(
    portal: BlockingPortal,
    server: PairingServer,
    kind: Callable[..., Transport],
    steps: list[RoundStep],
) -> None:
    """Whatever happens when, no socket is open outside `displayed`, and nothing is left."""
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, what: troubles.append(what))
    before = asyncio.all_tasks()
    round_ = Round(portal, server, kind)
    await round_.run(steps)
    assert round_.breaches == []
    assert asyncio.all_tasks() == before
    gc.collect()
    assert troubles == []


async def test_promise_8_the_descriptors_are_back_where_they_were(portal: BlockingPortal) -> None:
    """After twenty rounds and the server's end, this process has the descriptors it had."""
    before = descriptors()
    with portal.wrap_async_context_manager(PairingServer()) as server:
        for _ in range(20):
            await Round(portal, server).run([RoundStep(None, RoundAct.SCAN)], patience=HANGS)
        assert len(server.sockets) == 20
        assert server.most_sockets() == 1
    gc.collect()
    assert descriptors() == before
