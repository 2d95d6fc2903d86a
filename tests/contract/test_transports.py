"""The contract of `qrlifecycle.transports.base`, clause by clause, on every transport there is.

To put another one to it, write a case (see `cases`) and add a line to `EVERY` and what else fits.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from trio.testing import MockClock

from qrlifecycle import (
    QRExpired,
    Scanned,
    Signal,
    Transport,
    TransportError,
    TransportLost,
    TransportUnreachable,
)
from qrlifecycle.testing import VirtualClockEventLoop

from .cases import Case, HostileCase, RawSocketIOCase, ScriptedCase, SocketIOCase, WireCase

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Setting:
    """A case and the event loop it runs on."""

    case: Callable[[], Case]
    backend: str | tuple[str, dict[str, Any]]


VIRTUAL_ASYNCIO = ("asyncio", {"loop_factory": VirtualClockEventLoop})


def virtual_trio() -> tuple[str, dict[str, Any]]:
    """A clock of its own for each test."""
    return "trio", {"clock": MockClock(autojump_threshold=0)}


SCRIPTED = [
    pytest.param(Setting(ScriptedCase, VIRTUAL_ASYNCIO), id="scripted on asyncio"),
    pytest.param(Setting(ScriptedCase, "trio"), id="scripted on trio"),
]
WIRES = [pytest.param(Setting(RawSocketIOCase, "asyncio"), id="socketio, raw server")]
HOSTILE = [*WIRES, *SCRIPTED]
EVERY = [pytest.param(Setting(SocketIOCase, "asyncio"), id="socketio, real server"), *HOSTILE]


@pytest.fixture
def anyio_backend(setting: Setting) -> object:
    """What the setting says; virtual time where no real socket is waited for."""
    return virtual_trio() if setting.backend == "trio" else setting.backend


@pytest.fixture
async def case(setting: Setting, anyio_backend: object) -> AsyncIterator[Case]:
    """The case, with its peer started."""
    async with setting.case() as case:
        yield case


every = pytest.mark.parametrize("setting", EVERY)
hostile = pytest.mark.parametrize("setting", HOSTILE)
wires = pytest.mark.parametrize("setting", WIRES)

STEPS = {"aclose": Transport.aclose, "abort": Transport.abort}
ORDERS = ["aclose", "abort", "aclose aclose", "abort abort", "aclose abort", "abort aclose"]


async def take(transport: Transport, step: str) -> None:
    """Close or abort."""
    if step == "abort":
        transport.abort()
    else:
        await transport.aclose()


async def assert_gone(case: Case, transport: Transport) -> None:
    """After `aclose()`, nothing is left on this side, and the peer sees the end."""
    assert case.leftovers() == []
    await case.peer_sees_the_end()


# T1


@every
@pytest.mark.parametrize("turns", [*range(12), 15, 20, 30, 50])
async def test_t1_a_cancelled_open_leaves_nothing(case: Case, turns: int) -> None:
    """Wherever in `open()` the cancellation strikes, after `abort()` nothing is open."""
    transport = case.make()
    opened = False

    async def open_it() -> None:
        nonlocal opened
        await transport.open()
        opened = True

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_it)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            scope.cancel()
    transport.abort()
    if opened:  # too late to be cancelled: its tasks may wait for aclose()
        await transport.aclose()
    await assert_gone(case, transport)


@hostile
async def test_t1_an_open_cancelled_while_it_hangs_leaves_nothing(case: HostileCase) -> None:
    """A handshake that never ends is cancelled: after `abort()` nothing is open."""
    case.hang_openings()
    transport = case.make()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(transport.open)
        await case.peer_is_half_way()
        tasks.cancel_scope.cancel()
    transport.abort()
    await assert_gone(case, transport)


@hostile
async def test_t1_a_failed_open_leaves_nothing(case: HostileCase) -> None:
    """A refused `open()` raises the typed error; after `abort()` nothing is open."""
    case.refuse_openings()
    transport = case.make()
    with pytest.raises(TransportError):
        await transport.open()
    transport.abort()
    await assert_gone(case, transport)


# T2


@every
async def test_t2_after_abort_the_peer_sees_the_end(case: Case) -> None:
    """`abort()` is enough to shut the socket, without any `aclose()`."""
    transport = case.make()
    await transport.open()
    transport.abort()
    await case.peer_sees_the_end()


@every
async def test_t2_when_aclose_ends_tasks_and_descriptors_are_gone(case: Case) -> None:
    """Not a little later: when `aclose()` returns."""
    transport = case.make()
    await transport.open()
    await transport.aclose()
    await assert_gone(case, transport)


@every
async def test_t2_aclose_after_abort_ends_tasks_and_descriptors(case: Case) -> None:
    """After `abort()`, too, `aclose()` is where the tasks end."""
    transport = case.make()
    await transport.open()
    transport.abort()
    await transport.aclose()
    await assert_gone(case, transport)


@every
@pytest.mark.parametrize("turns", range(5))
async def test_t2_a_cancelled_aclose_ends_tasks_and_descriptors(case: Case, turns: int) -> None:
    """Wherever in `aclose()` the cancellation strikes, after `abort()` nothing is open."""
    transport = case.make()
    await transport.open()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.aclose)
            for _ in range(1 + turns):
                await anyio.lowlevel.checkpoint()
            scope.cancel()
    transport.abort()
    await assert_gone(case, transport)


@hostile
async def test_t2_abort_in_the_middle_of_open_shuts_the_socket(case: HostileCase) -> None:
    """The peer sees the end although `open()` still runs."""
    case.hang_openings()
    transport = case.make()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(open_and_be_refused, transport)
        await case.peer_is_half_way()
        transport.abort()
        await case.peer_sees_the_end()
        tasks.cancel_scope.cancel()
    await transport.aclose()
    await assert_gone(case, transport)


async def open_and_be_refused(transport: Transport) -> None:
    """What `open()` may raise when it is cut off."""
    with pytest.raises(TransportError):
        await transport.open()


# T3


@every
@pytest.mark.parametrize("order", ORDERS)
async def test_t3_closing_before_open_is_fine(case: Case, order: str) -> None:
    """`aclose()` and `abort()` in any order, when there was no `open()`."""
    transport = case.make()
    for step in order.split():
        await take(transport, step)
    assert case.leftovers() == []


@every
@pytest.mark.parametrize("order", ORDERS)
async def test_t3_closing_again_is_fine(case: Case, order: str) -> None:
    """`aclose()` and `abort()` in any order, after each other."""
    transport = case.make()
    await transport.open()
    for step in order.split():
        await take(transport, step)
    await transport.aclose()
    await assert_gone(case, transport)


@every
async def test_t3_closing_at_the_same_time_is_fine(case: Case) -> None:
    """Several tasks in `aclose()` at once, and an `abort()` between them."""
    transport = case.make()
    await transport.open()
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(transport.aclose)
        await anyio.lowlevel.checkpoint()
        transport.abort()
    await assert_gone(case, transport)


@hostile
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("end", ["hang_up", "break_link"])
async def test_t3_closing_after_the_peer_is_fine(case: HostileCase, end: str, order: str) -> None:
    """`aclose()` and `abort()` in any order, when the peer is gone already."""
    transport = case.make()
    await transport.open()
    getattr(case, end)()
    with anyio.fail_after(2), pytest.raises((TransportLost, anyio.EndOfStream)):
        await transport.receive()
    for step in order.split():
        await take(transport, step)
    await transport.aclose()
    await assert_gone(case, transport)


# T4


@every
@pytest.mark.parametrize("step", STEPS)
async def test_t4_a_waiting_receive_ends(case: Case, step: str) -> None:
    """Somebody waits in `receive()` while the transport is closed: the wait ends."""
    transport = case.make()
    await transport.open()
    ended: list[str] = []

    async def wait() -> None:
        with pytest.raises(anyio.EndOfStream):
            await transport.receive()
        ended.append("the wait")

    with anyio.fail_after(2):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            await take(transport, step)
    assert ended
    await transport.aclose()


@every
@pytest.mark.parametrize("step", STEPS)
async def test_t4_no_signal_is_delivered_after_closing(case: Case, step: str) -> None:
    """What came before the closing and was not taken is not delivered after it."""
    transport = case.make()
    await transport.open()
    await case.send(Scanned(), QRExpired())
    with anyio.fail_after(2):
        assert await transport.receive() == Scanned()
    await take(transport, step)
    for _ in range(2):
        with anyio.fail_after(2), pytest.raises(anyio.EndOfStream):
            await transport.receive()
    assert [signal async for signal in transport] == []
    await transport.aclose()


# T5


@wires
async def test_t5_a_peer_that_falls_silent_is_lost_within_the_heartbeat(case: WireCase) -> None:
    """Nothing comes any more, and no end either: `receive()` raises, and not before its time."""
    transport = case.make()
    await transport.open()
    began = anyio.current_time()
    with anyio.fail_after(case.heartbeat + 1), pytest.raises(TransportLost):
        await transport.receive()
    assert anyio.current_time() - began > case.heartbeat / 2
    await transport.aclose()
    await assert_gone(case, transport)


@wires
async def test_t5_a_handshake_that_hangs_fails_within_the_heartbeat(case: WireCase) -> None:
    """A peer that takes the connection and says nothing: `open()` raises."""
    case.hang_openings()
    transport = case.make()
    with anyio.fail_after(case.heartbeat + 1), pytest.raises(TransportUnreachable):
        await transport.open()
    transport.abort()
    await assert_gone(case, transport)


@hostile
async def test_t5_a_broken_link_is_the_typed_error(case: HostileCase) -> None:
    """A reset: `receive()` raises at once, and each time it is asked."""
    transport = case.make()
    await transport.open()
    case.break_link()
    for _ in range(2):
        with anyio.fail_after(2), pytest.raises(TransportLost):
            await transport.receive()
    await transport.aclose()
    await assert_gone(case, transport)


@hostile
@pytest.mark.parametrize("end", ["hang_up", "break_link"])
async def test_t5_signals_before_the_end_come_first(case: HostileCase, end: str) -> None:
    """What a peer says right before it goes is not overtaken by its going."""
    transport = case.make()
    await transport.open()
    await case.send(Scanned(), QRExpired())
    if end == "hang_up":  # a reset may discard what was not read yet: TCP's right
        case.hang_up()
    with anyio.fail_after(2):
        assert [await transport.receive(), await transport.receive()] == [Scanned(), QRExpired()]
    if end == "break_link":
        case.break_link()
    with anyio.fail_after(2), pytest.raises((TransportLost, anyio.EndOfStream)):
        await transport.receive()
    await transport.aclose()


# T6


def garbage_of(setting: Setting) -> dict[str, bytes]:
    """What the setting's case calls garbage."""
    kind = setting.case
    assert isinstance(kind, type)
    assert issubclass(kind, WireCase)
    return kind.garbage


@pytest.mark.parametrize(
    ("setting", "garbage"),
    [
        pytest.param(wire.values[0], garbage, id=f"{wire.id}: {name}")
        for wire in WIRES
        if isinstance(wire.values[0], Setting)
        for name, garbage in garbage_of(wire.values[0]).items()
    ],
)
async def test_t6_garbage_becomes_nothing_or_the_typed_error(
    case: WireCase, garbage: bytes
) -> None:
    """Garbage, then a signal: the signal comes, or the typed error; never another exception."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    transport = case.make()
    await transport.open()
    case.send_garbage(garbage)
    await case.send(Scanned())
    with anyio.fail_after(2), suppress(TransportLost):
        assert await transport.receive() == Scanned()
    await transport.aclose()
    await assert_gone(case, transport)
    assert complaints == []


@wires
async def test_t6_a_flood_of_garbage_grows_nothing_and_starves_nobody(case: WireCase) -> None:
    """Thousands of messages at once: the signal after them comes, and others run meanwhile."""
    transport = case.make()
    await transport.open()
    case.send_garbage(b'\x81\x0e42["nobody",1]' * 3000)
    await case.send(Scanned())
    turns = 0
    ended = False

    async def count_turns() -> None:
        nonlocal turns
        while not ended:
            turns += 1
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count_turns)
            assert await transport.receive() == Scanned()
            ended = True
    assert turns > 1000
    await transport.aclose()
    await assert_gone(case, transport)


# T7


@hostile
async def test_t7_signals_while_opening_are_kept_in_order(case: HostileCase) -> None:
    """What a peer says before `open()` is done is there for the first `receive()`."""
    if isinstance(case, ScriptedCase):
        case.hang_openings()
    transport = case.make()
    early: list[Signal] = [Scanned(), QRExpired()]
    async with anyio.create_task_group() as tasks:
        if (sending := case.send_early(*early)) is not None:
            tasks.start_soon(partial(wait_for, sending))
        with anyio.fail_after(2):
            await transport.open()
    with anyio.fail_after(2):
        assert [await transport.receive() for _ in early] == early
    await transport.aclose()


async def wait_for(awaitable: Awaitable[object]) -> None:
    """As a function, for a task group."""
    await awaitable


def test_the_cases_have_a_finite_heartbeat() -> None:
    """Else the clauses on silence would wait for ever."""
    assert all(0 < kind.heartbeat < math.inf for kind in (SocketIOCase, RawSocketIOCase))
