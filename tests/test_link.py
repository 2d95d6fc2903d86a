"""The link: opened anew when it breaks, never two at once, never hammered."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from itertools import pairwise

import anyio
import pytest

from qrlifecycle import (
    Connected,
    Failed,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    State,
    TransportLost,
    TransportUnreachable,
)
from qrlifecycle.engine.backoff import Backoff
from qrlifecycle.testing import (
    Fault,
    ScriptedPeer,
    ScriptedTransport,
    settle,
)

from .pairing import Pairing, request_qr

pytestmark = pytest.mark.anyio

LONGER_THAN_ANY_WAIT = 6.0

PATIENT = Policy(max_reconnects=1_000)


def openings(pairing: Pairing) -> int:
    """How many transports there have been."""
    return len(pairing.peer.transports)


def listens(pairing: Pairing) -> bool:
    """Whether there is a socket, on either side."""
    assert pairing.lifecycle.socket_open is bool(pairing.peer.open_sockets)
    return pairing.lifecycle.socket_open


@pytest.mark.parametrize("end", [ScriptedPeer.break_connection, ScriptedPeer.hang_up])
async def test_a_link_that_breaks_is_opened_anew(end: Callable[[ScriptedPeer], None]) -> None:
    """Broken or closed by the peer, the link is replaced, the code stays, the success is heard."""
    async with Pairing() as pairing:
        shown = pairing.lifecycle.qr
        end(pairing.peer)
        await settle()
        assert pairing.lifecycle.state is State.DISPLAYED
        assert not listens(pairing)
        await anyio.sleep(LONGER_THAN_ANY_WAIT)
        assert listens(pairing)
        assert pairing.lifecycle.qr is shown
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert openings(pairing) == 2


@pytest.mark.parametrize("fault", [Fault.UNREACHABLE, Fault.BROKEN, Fault.HUNG])
async def test_the_first_opening_is_tried_again_too(fault: Fault) -> None:
    """A namespace that does not exist until the server first uses it is no reason to give up."""
    shown: list[QRCode] = []
    async with Pairing(openings=(fault, fault), on_qr_updated=shown.append) as pairing:
        await settle()
        assert shown == []
        await anyio.sleep(25)
        assert shown == [QRCode("first")]
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


async def test_promise_3_the_old_socket_is_gone_before_the_next_is_made() -> None:
    """Even when the goodbye hangs, there is never a second socket."""
    closings = (Fault.HUNG, Fault.SLOW, Fault.BROKEN)
    async with Pairing(closings=closings, policy=Policy(close_timeout=2)) as pairing:
        for _ in closings:
            pairing.peer.break_connection()
            await anyio.sleep(2 + LONGER_THAN_ANY_WAIT)
        pairing.lifecycle.cancel()
    assert openings(pairing) == 4
    assert pairing.peer.most_sockets == 1


async def test_a_refusal_while_opening_anew_ends_at_once() -> None:
    """What cannot get better is not tried again."""
    began = anyio.current_time()
    async with Pairing(openings=(Fault.NONE, Fault.REFUSED)) as pairing:
        pairing.peer.break_connection()
    assert pairing.failed().reason is Reason.AUTHENTICATION_REFUSED
    assert openings(pairing) == 2
    assert anyio.current_time() - began < LONGER_THAN_ANY_WAIT


@pytest.mark.parametrize("budget", [0, 1, 5])
async def test_a_peer_that_is_not_there_is_given_up(budget: int) -> None:
    """It is opened `max_reconnects` times more, each after a longer wait; then the reason is said."""
    moments: list[float] = []

    class Peer(ScriptedPeer):
        def __call__(self) -> ScriptedTransport:
            moments.append(anyio.current_time())
            return super().__call__()

    lifecycle = QRLifecycle(
        request_qr,
        Peer(openings=(Fault.UNREACHABLE,) * 9),
        policy=Policy(max_reconnects=budget, reconnect_delay=1.0, reconnect_delay_max=4.0),
    )
    outcome = await lifecycle.pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.TRANSPORT_UNREACHABLE
    assert isinstance(outcome.error, TransportUnreachable)
    waits = [after - before for before, after in pairwise(moments)]
    assert len(waits) == budget
    for wait, longest in zip(waits, [1, 2, 4, 4, 4], strict=False):
        assert longest / 2 <= wait <= longest


async def test_a_link_that_flaps_is_not_hammered() -> None:
    """A link that opens and breaks uses up the budget as one that never opens."""
    async with Pairing(policy=Policy(max_reconnects=3)) as pairing:
        while pairing.outcome is None:
            if pairing.lifecycle.socket_open:
                pairing.peer.break_connection()
            await anyio.sleep(0.1)
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    assert isinstance(pairing.failed().error, TransportLost)
    assert openings(pairing) == 4


async def test_a_slow_goodbye_is_no_holding() -> None:
    """The time that a broken link takes to be closed does not count as time that it held."""
    policy = Policy(max_reconnects=2, reconnect_delay=0.5, reconnect_delay_max=1, close_timeout=1)
    async with Pairing(closings=(Fault.HUNG,) * 99, policy=policy) as pairing:
        while pairing.outcome is None:
            if pairing.peer.listening:
                pairing.peer.break_connection()
            await anyio.sleep(0.05)
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    assert openings(pairing) == 3


async def test_a_link_that_is_never_found_again_was_lost() -> None:
    """Whoever was linked once has lost the link, whatever the last opening said."""
    faults = (Fault.NONE, Fault.UNREACHABLE)
    async with Pairing(openings=faults, policy=Policy(max_reconnects=1)) as pairing:
        pairing.peer.break_connection()
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    assert isinstance(pairing.failed().error, TransportUnreachable)


async def test_an_opening_that_is_too_late_shows_nothing() -> None:
    """A code that ran out while its transport opened is not put before anybody."""
    shown: list[QRCode] = []

    class Late(ScriptedTransport):
        async def open(self) -> None:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(70)
            await super().open()

    peer = ScriptedPeer()
    policy = Policy(open_timeout=100)
    lifecycle = QRLifecycle(
        request_qr,
        lambda: Late(peer, Fault.NONE, Fault.NONE),
        policy=policy,
        on_qr_updated=shown.append,
    )
    outcome = await lifecycle.pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.TRANSPORT_UNREACHABLE
    assert shown == []


async def test_a_link_that_held_starts_the_budget_afresh() -> None:
    """Breaks that are far apart are no flapping: there is no end to them but the code's."""

    async def ageless() -> QRCode:
        return QRCode("ageless")

    async with Pairing(ageless, policy=Policy(max_reconnects=1, qr_lifetime=500)) as pairing:
        for _ in range(10):
            await anyio.sleep(2 * LONGER_THAN_ANY_WAIT)
            pairing.peer.break_connection()
        await anyio.sleep(LONGER_THAN_ANY_WAIT)
        assert pairing.lifecycle.socket_open
        pairing.lifecycle.cancel()
    assert openings(pairing) == 11


async def test_the_codes_clock_goes_on_while_there_is_no_link() -> None:
    """A code that runs out between two openings is replaced in time."""
    began = anyio.current_time()
    policy = Policy(
        max_reconnects=9,
        reconnect_delay=30,
        reconnect_delay_max=300,
        expiry_grace=0,
        max_refreshes=0,
    )
    async with Pairing(policy=policy) as pairing:
        await anyio.sleep(40)
        pairing.peer.break_connection()
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - began == pytest.approx(60)


async def test_a_code_that_nobody_could_be_shown_is_not_asked_for_again() -> None:
    """If no transport listened while the code lived, the peer is unreachable, not the code old."""
    asked = 0

    async def request() -> QRCode:
        nonlocal asked
        asked += 1
        return QRCode("never seen", expires_in=30)

    async with Pairing(request, openings=(Fault.UNREACHABLE,) * 99, policy=PATIENT) as pairing:
        pass
    assert pairing.failed().reason is Reason.TRANSPORT_UNREACHABLE
    assert asked == 1


async def test_the_attempts_deadline_is_in_force_while_there_is_no_link() -> None:
    """No wait for an opening outlasts the attempt."""
    began = anyio.current_time()
    policy = Policy(
        max_reconnects=9, reconnect_delay=300, reconnect_delay_max=300, attempt_timeout=20
    )
    async with Pairing(openings=(Fault.UNREACHABLE,), policy=policy) as pairing:
        pass
    assert pairing.failed().reason is Reason.ATTEMPT_TIMED_OUT
    assert anyio.current_time() - began == pytest.approx(20)


async def test_promise_2_cancel_between_two_openings_leaves_at_once() -> None:
    """While nothing is open there is nothing to say goodbye to."""
    async with Pairing(policy=Policy(reconnect_delay=100, reconnect_delay_max=100)) as pairing:
        pairing.peer.break_connection()
        await settle()
        began = anyio.current_time()
        pairing.lifecycle.cancel()
    assert anyio.current_time() == began
    assert pairing.failed().reason is Reason.CANCELLED


async def test_promise_2_cancel_while_the_old_link_is_closed_takes_its_time_only() -> None:
    """The goodbye that is under way has its limit, and there is no second one."""
    async with Pairing(closings=(Fault.HUNG,), policy=Policy(close_timeout=2)) as pairing:
        pairing.peer.break_connection()
        await anyio.sleep(1.5)
        began = anyio.current_time()
        pairing.lifecycle.cancel()
    assert anyio.current_time() - began == pytest.approx(0.5)
    assert len(pairing.peer.closes) == 1


async def test_a_factory_that_fails_the_second_time_comes_out_of_pair() -> None:
    """A bug of the program is its own, at any opening."""
    peer = ScriptedPeer()

    def factory() -> ScriptedTransport:
        if peer.transports:
            raise RuntimeError("only one, sorry")
        return peer()

    lifecycle = QRLifecycle(request_qr, factory, on_qr_updated=lambda _qr: peer.break_connection())
    with pytest.raises(RuntimeError, match="only one"):
        await lifecycle.pair()
    assert lifecycle.state is State.FAILED
    assert peer.open_sockets == 0


async def test_a_rotation_while_opening_shows_the_newest_code() -> None:
    """What arrived during the handshake is taken before anything else happens."""
    async with Pairing(openings=(Fault.HUNG_HALFWAY,)) as pairing:
        for number in range(100):
            pairing.peer.send(QRUpdated(QRCode(f"rotated {number}")))
        pairing.peer.let_go.set()
        await settle()
        assert pairing.lifecycle.qr == QRCode("rotated 99")
        pairing.lifecycle.cancel()


async def test_what_came_before_the_break_is_not_lost_with_the_link() -> None:
    """Signals that were heard are taken before the break is."""
    async with Pairing(policy=Policy(max_refreshes=0)) as pairing:
        pairing.peer.send(Scanned())
        pairing.peer.send(Paired("me"))
        pairing.peer.break_connection()
    assert pairing.outcome == Connected("me")
    assert openings(pairing) == 1


async def test_a_break_is_logged_without_the_transports_own_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of an error that is none of ours only the kind is told."""
    async with Pairing(openings=(Fault.BROKEN, Fault.UNREACHABLE)) as pairing:
        await anyio.sleep(3)
        pairing.lifecycle.cancel()
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings[0].startswith("OSError; opening anew in 0.")
    assert warnings[1].startswith("nobody there, as the test wished; opening anew in ")


def test_waits_grow_are_cut_at_random_and_have_a_limit() -> None:
    """Each wait is between half and all of twice the one before, and never above the limit."""
    random.seed(1)
    waits = Backoff(0.5, 5.0)
    longest = [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    drawn = [waits.next() for _ in longest]
    assert all(most / 2 <= wait <= most for wait, most in zip(drawn, longest, strict=True))
    for _ in range(5_000):
        assert waits.next() <= 5.0
    waits.reset()
    assert waits.next() <= 0.5
