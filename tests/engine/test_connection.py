"""The connection: reconnected when it breaks, never two at once, never hammered."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NoReturn, cast

import anyio
import pytest

from qrlifecycle import (
    Cancelled,
    Connected,
    Failed,
    InvalidValue,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    State,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
    UsageError,
    WrongAnswer,
)
from qrlifecycle.engine.connection import TURN_AFTER, Connection
from qrlifecycle.engine.observers import Observers
from qrlifecycle.errors import Ending
from qrlifecycle.records import Closed, Closing, Opening, Record, Recorder
from qrlifecycle.states import Phase
from qrlifecycle.testing import Fault, ScriptedPeer, ScriptedTransport, settle

from ..pairing import ONCE, Pairing, asyncio_only, be_busy, hang, request_qr

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
async def test_a_connection_that_breaks_is_reconnected(
    end: Callable[[ScriptedPeer], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Broken or closed by the peer, it is replaced; the code stays, the success is heard."""
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
    assert "broke its contract" not in caplog.text


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
    """Even when the graceful close hangs, there is never a second socket."""
    closings = (Fault.HUNG, Fault.SLOW, Fault.BROKEN)
    async with Pairing(closings=closings, policy=Policy(close_timeout=2)) as pairing:
        for _ in closings:
            pairing.peer.break_connection()
            await anyio.sleep(2 + LONGER_THAN_ANY_WAIT)
        pairing.lifecycle.cancel()
    assert openings(pairing) == 4
    assert pairing.peer.most_sockets == 1


async def test_a_refusal_at_first_ends_at_once() -> None:
    """What cannot get better is not tried again."""
    began = anyio.current_time()
    peer = ScriptedPeer(openings=(Fault.REFUSED,))
    outcome = await QRLifecycle(request_qr, peer).pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.AUTHENTICATION_REFUSED
    assert len(peer.transports) == 1
    assert anyio.current_time() == began


async def test_a_refusal_after_an_unreachable_server_ends_at_once() -> None:
    """Nobody was let in before: it is about credentials, or the bot."""
    peer = ScriptedPeer(openings=(Fault.UNREACHABLE, Fault.REFUSED))
    outcome = await QRLifecycle(request_qr, peer).pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.AUTHENTICATION_REFUSED
    assert len(peer.transports) == 2


async def test_a_refusal_after_having_been_let_in_is_tried_once_more() -> None:
    """A token may have run out meanwhile: the next transport may have a fresh one, each time."""
    faults = (Fault.NONE, Fault.REFUSED, Fault.NONE, Fault.REFUSED, Fault.NONE)
    async with Pairing(openings=faults) as pairing:
        for _ in range(2):
            pairing.peer.break_connection()
            await anyio.sleep(2 * LONGER_THAN_ANY_WAIT)
            assert listens(pairing)
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert openings(pairing) == 5


def turn_away(pairing: Pairing) -> None:
    """The peer of the newest transport refuses, after it let it listen."""
    pairing.peer.transports[-1].buffer.end(TransportRefused("not you"))


async def test_a_refusal_right_after_listening_ends_at_once() -> None:
    """Some let everybody in, and turn away then: to listen shows no rights, nor that they ended."""
    async with Pairing() as pairing:
        turn_away(pairing)
    failed = pairing.failed()
    assert failed.reason is Reason.AUTHENTICATION_REFUSED
    assert str(failed.error) == "not you"
    assert len(pairing.peer.transports) == 1


@pytest.mark.parametrize("shown", ["a signal", "a while", "another break"])
async def test_a_refusal_after_the_peer_showed_that_it_lets_us_in_is_tried_once_more(
    shown: str,
) -> None:
    """By a signal, by no refusal for as long as counts as stable, or by a break that was none."""
    async with Pairing() as pairing:
        if shown == "a signal":
            pairing.peer.send(Scanned())
            await settle()
        elif shown == "a while":
            await anyio.sleep(Policy().stable_after)
        else:
            pairing.peer.break_connection()
            await anyio.sleep(LONGER_THAN_ANY_WAIT)
            assert listens(pairing)
        turn_away(pairing)
        await anyio.sleep(LONGER_THAN_ANY_WAIT)
        assert listens(pairing)
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


@pytest.mark.parametrize("budget", [0, 1, 5])
async def test_refused_twice_after_having_been_let_in_it_is_lost(budget: int) -> None:
    """It is tried once more, within the budget; whoever was let in did not lack the rights."""
    faults = (Fault.NONE, Fault.REFUSED, Fault.REFUSED)
    async with Pairing(openings=faults, policy=Policy(max_reconnects=budget)) as pairing:
        pairing.peer.break_connection()
    failed = pairing.failed()
    assert failed.reason is Reason.TRANSPORT_LOST
    assert openings(pairing) == 1 + min(budget, 2)
    if budget:
        assert isinstance(failed.error, TransportLost)
        assert "ask for one each time" in str(failed.error)


class NeverOpens(ScriptedTransport):
    """Its opening ends in one way; unless it is the first one, if that is let in."""

    ending = Ending.OTHER
    first_is_let_in = False

    async def open(self) -> None:
        """Open, or fail."""
        if self.first_is_let_in and len(self._peer.transports) == 1:
            return await super().open()
        raise TransportUnreachable("it did not open", ending=self.ending)


class PeerOf(ScriptedPeer):
    """A peer of such transports."""

    def __init__(self, ending: Ending, *, first_is_let_in: bool = False) -> None:
        super().__init__()
        self.ending, self.first_is_let_in = ending, first_is_let_in

    def __call__(self) -> ScriptedTransport:
        """A fresh one."""
        made = NeverOpens(self, Fault.NONE, Fault.NONE)
        made.ending, made.first_is_let_in = self.ending, self.first_is_let_in
        self.transports.append(made)
        return made


@pytest.mark.parametrize("budget", [0, 1, 5])
@pytest.mark.parametrize("ending", Ending)
async def test_what_only_somebody_can_mend_is_tried_once_more(ending: Ending, budget: int) -> None:
    """Another protocol, say: whoever sits before the code is told soon, and not after ten tries."""
    peer = PeerOf(ending)
    outcome = await QRLifecycle(request_qr, peer, policy=Policy(max_reconnects=budget)).pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.TRANSPORT_UNREACHABLE
    lasting = {Ending.ANOTHER_PROTOCOL, Ending.CERTIFICATE, Ending.PROXY_CREDENTIALS}
    assert len(peer.transports) == 1 + (min(budget, 1) if ending in lasting else budget)


async def test_where_somebody_was_let_in_it_is_tried_as_often_as_all_else() -> None:
    """A server that restarts may have something else in its place for a while."""
    peer = PeerOf(Ending.ANOTHER_PROTOCOL, first_is_let_in=True)
    lifecycle = QRLifecycle(request_qr, peer, policy=Policy(max_reconnects=5))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        assert peer.listening
        peer.break_connection()
    assert len(peer.transports) == 6


@pytest.mark.parametrize("budget", [0, 1, 5])
async def test_a_peer_that_is_not_there_is_given_up(budget: int) -> None:
    """`max_reconnects` tries more, each after a longer delay; then the reason is said."""
    moments: list[float] = []

    class Peer(ScriptedPeer):
        def __call__(self) -> ScriptedTransport:
            moments.append(anyio.current_time())
            return super().__call__()

    lifecycle = QRLifecycle(
        request_qr,
        Peer(openings=(Fault.UNREACHABLE,) * 9),
        policy=Policy(
            max_reconnects=budget, reconnect_delay=1.0, reconnect_delay_max=4.0, stable_after=4.0
        ),
    )
    outcome = await lifecycle.pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.TRANSPORT_UNREACHABLE
    assert isinstance(outcome.error, TransportUnreachable)
    waits = [after - before for before, after in pairwise(moments)]
    assert len(waits) == budget
    for wait, longest in zip(waits, [1, 2, 4, 4, 4], strict=False):
        assert longest / 2 <= wait <= longest


async def test_a_connection_that_flaps_is_not_hammered() -> None:
    """A connection that opens and breaks uses up the budget as one that never opens."""
    async with Pairing(policy=Policy(max_reconnects=3)) as pairing:
        while pairing.outcome is None:
            if pairing.lifecycle.socket_open:
                pairing.peer.break_connection()
            await anyio.sleep(0.1)
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    assert isinstance(pairing.failed().error, TransportLost)
    assert openings(pairing) == 4


async def test_a_slow_graceful_close_is_no_holding() -> None:
    """The time that a broken transport takes to be closed does not count as time that it held."""
    policy = Policy(max_reconnects=2, reconnect_delay=0.5, reconnect_delay_max=1, stable_after=1)
    async with Pairing(closings=(Fault.HUNG,) * 99, policy=policy) as pairing:
        while pairing.outcome is None:
            if pairing.peer.listening:
                pairing.peer.break_connection()
            await anyio.sleep(0.05)
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    assert openings(pairing) == 3


async def test_a_connection_that_is_never_found_again_was_lost() -> None:
    """Whoever was connected once has lost the connection, whatever the last opening said."""
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


async def test_a_connection_that_held_starts_the_budget_afresh() -> None:
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


async def test_the_codes_clock_goes_on_while_there_is_no_connection() -> None:
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


@pytest.mark.parametrize("closing", [Fault.NONE, Fault.SLOW])
async def test_a_delay_that_a_final_check_interrupts_goes_on_after_it(closing: Fault) -> None:
    """A newer code puts a deadline off; the next transport is made no sooner for that."""
    codes = iter([None, QRUpdated(QRCode("newer", expires_in=500)), None])

    async def check_status() -> Signal | None:
        return next(codes)

    policy = Policy(reconnect_delay=100, reconnect_delay_max=100, expiry_grace=0)
    async with Pairing(closings=(closing,), policy=policy, check_status=check_status) as pairing:
        await anyio.sleep(59.9)
        broke_at = anyio.current_time()
        pairing.peer.break_connection()
        await anyio.sleep(40)  # of 60 the code lives, of 100 a delay is cut to 50 at least
        assert pairing.lifecycle.snapshot().newest_code == QRCode("newer")
        assert len(pairing.peer.transports) == 1
        assert pairing.lifecycle.snapshot().transport is Phase.WAITING
        await anyio.sleep(broke_at + 101 - anyio.current_time())
        assert pairing.lifecycle.qr == QRCode("newer")
        assert len(pairing.peer.transports) == 2
        pairing.lifecycle.cancel()


async def test_a_code_that_nobody_could_be_shown_is_not_asked_for_again() -> None:
    """If no transport listened while the code lived, the peer is unreachable, not the code old."""
    asked = 0

    async def request() -> QRCode:
        nonlocal asked
        asked += 1
        return QRCode("never seen", expires_in=30)

    async with Pairing(request, openings=(Fault.UNREACHABLE,) * 99, policy=PATIENT) as pairing:
        pass
    failed = pairing.failed()
    assert failed.reason is Reason.TRANSPORT_UNREACHABLE
    assert asked == 1
    assert str(failed.error) == (
        "no transport listened while the code lived: nobody there, as the test wished"
    )


async def test_a_code_whose_only_opening_took_its_time_has_no_other_cause() -> None:
    """It did not end before the code did."""
    policy = Policy(max_refreshes=0, open_timeout=3600)
    async with Pairing(openings=(Fault.HUNG,), policy=policy) as pairing:
        pass
    failed = pairing.failed()
    assert failed.reason is Reason.TRANSPORT_UNREACHABLE
    assert str(failed.error) == "no transport listened while the code lived"


async def test_the_attempts_deadline_is_in_force_while_there_is_no_connection() -> None:
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
    """While nothing is open there is nothing to close gracefully."""
    async with Pairing(policy=Policy(reconnect_delay=100, reconnect_delay_max=100)) as pairing:
        pairing.peer.break_connection()
        await settle()
        began = anyio.current_time()
        pairing.lifecycle.cancel()
    assert anyio.current_time() == began
    assert pairing.outcome == Cancelled()


async def test_promise_2_cancel_while_the_old_connection_is_closed_takes_its_time_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The close that is under way has its limit, there is no second one, and no reconnecting."""
    async with Pairing(closings=(Fault.HUNG,), policy=Policy(close_timeout=2)) as pairing:
        pairing.peer.break_connection()
        await anyio.sleep(1.5)
        began = anyio.current_time()
        pairing.lifecycle.cancel()
    assert anyio.current_time() - began == pytest.approx(0.5)
    assert len(pairing.peer.closes) == 1
    assert "reconnecting" not in caplog.text


async def test_a_factory_that_fails_the_second_time_ends_the_attempt() -> None:
    """A bug of the program is its own, at any opening, and it is not tried again."""
    peer = ScriptedPeer()
    made = 0

    def factory() -> ScriptedTransport:
        nonlocal made
        made += 1
        if made > 1:
            raise RuntimeError("only one, sorry")
        return peer()

    lifecycle = QRLifecycle(request_qr, factory, on_qr_updated=lambda _qr: peer.break_connection())
    outcome = await lifecycle.pair()
    assert isinstance(outcome, Failed)
    assert (outcome.reason, str(outcome.error)) == (Reason.TRANSPORT_LOST, "only one, sorry")
    assert lifecycle.state is State.FAILED
    assert (made, peer.open_sockets) == (2, 0)


async def test_a_rotation_while_opening_shows_the_newest_code() -> None:
    """What arrived during the handshake is taken before anything else happens."""
    async with Pairing(openings=(Fault.HUNG_HALFWAY,)) as pairing:
        for number in range(100):
            pairing.peer.send(QRUpdated(QRCode(f"rotated {number}")))
        pairing.peer.let_go.set()
        await settle()
        assert pairing.lifecycle.qr == QRCode("rotated 99")
        pairing.lifecycle.cancel()


async def test_what_came_before_the_break_is_not_lost_with_the_connection() -> None:
    """Signals that were heard are taken before the break is."""
    async with Pairing(policy=Policy(max_refreshes=0)) as pairing:
        pairing.peer.send(Scanned())
        pairing.peer.send(Paired("me"))
        pairing.peer.break_connection()
    assert pairing.outcome == Connected("me")
    assert openings(pairing) == 1


@pytest.mark.parametrize("policy", [Policy(max_refreshes=0), Policy(attempt_timeout=60)])
@pytest.mark.parametrize("blocked", [0.0, 30.0])
async def test_promise_4_what_has_arrived_by_the_deadline_is_heard(
    policy: Policy, blocked: float
) -> None:
    """Though it takes a client library some turns of the event loop to hand it on."""
    async with Pairing(policy=policy) as pairing:
        began, deadline = anyio.current_time(), min(policy.attempt_timeout, 63)

        async def arrive() -> None:
            await anyio.sleep_until(began + deadline - blocked / 2)
            be_busy(blocked)
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            pairing.peer.send(Paired("me"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(arrive)
    assert pairing.outcome == Connected("me")
    assert anyio.current_time() == began + deadline + blocked / 2


async def test_no_time_passes_while_what_has_arrived_is_waited_for() -> None:
    """What comes a moment after the deadline comes too late."""
    async with Pairing(policy=Policy(attempt_timeout=6)) as pairing:
        await anyio.sleep(6.001)
        assert pairing.failed().reason is Reason.ATTEMPT_TIMED_OUT


@pytest.mark.parametrize("wrong", [None, SystemExit, KeyboardInterrupt, LookupError])
async def test_promise_1_the_socket_is_shut_before_anything_else_is_asked_of_a_transport(
    wrong: type[BaseException] | None,
) -> None:
    """What it dropped is of interest to nobody as long as its socket may be open."""
    open_when_asked: list[bool] = []

    class Asked(ScriptedTransport):
        @property
        def dropped(self) -> Mapping[str, int]:
            open_when_asked.append(self.socket_exists)
            if wrong is not None:
                raise wrong
            return {"unknown": 1}

    peer = ScriptedPeer()
    make = lambda: Asked(peer, Fault.NONE, Fault.HUNG)  # noqa: E731
    policy = Policy(attempt_timeout=5)
    lifecycle = QRLifecycle(request_qr, make, policy=policy)
    if wrong is None or issubclass(wrong, Exception):
        await lifecycle.pair()
    else:
        with pytest.raises(wrong):
            await lifecycle.pair()
    assert open_when_asked == [False]
    assert peer.open_sockets == 0


async def test_a_break_is_logged_without_the_transports_own_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of an error that is none of ours only the kind is told."""
    async with Pairing(openings=(Fault.BROKEN, Fault.UNREACHABLE)) as pairing:
        await anyio.sleep(3)
        pairing.lifecycle.cancel()
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings[0].startswith("OSError; reconnecting in 0.")
    assert warnings[1].startswith("nobody there, as the test wished; reconnecting in ")


# A connection by itself


def connection_to(
    peer: ScriptedPeer, policy: Policy | None = None, recorder: Recorder | None = None
) -> Connection:
    """A connection that nobody observes but a recorder, if there is one."""
    policy = policy or Policy()
    recorders = () if recorder is None else (recorder,)
    return Connection(peer, policy, Observers({}, recorders, policy.hook_timeout))


async def test_listening_is_told_before_any_signal() -> None:
    """None each time a transport listens; then each signal, in order."""
    peer = ScriptedPeer()
    connection = connection_to(peer)
    assert await connection.receive() is None
    peer.send(Scanned())
    peer.send(Paired("me"))
    assert [await connection.receive() for _ in range(2)] == [Scanned(), Paired("me")]
    await connection.close()
    assert peer.open_sockets == 0


async def test_promise_5_signals_without_end_let_a_cancellation_in() -> None:
    """A transport that never waits has had a thousand of them heard by then, and no more."""

    class Flood(ScriptedTransport):
        async def receive(self) -> Signal:
            return Scanned()

    peer = ScriptedPeer()
    connection = connection_to(peer)
    connection._factory = lambda: Flood(peer, Fault.NONE, Fault.NONE)
    heard = 0
    assert await connection.receive() is None
    with anyio.CancelScope() as scope:
        scope.cancel()
        while heard < 3 * TURN_AFTER:
            await connection.receive()
            heard += 1
    assert heard == TURN_AFTER - 1
    await connection.close()


@pytest.mark.parametrize("end", [ScriptedPeer.hang_up, ScriptedPeer.break_connection])
async def test_what_a_connection_is_given_up_for_is_raised(
    end: Callable[[ScriptedPeer], None],
) -> None:
    """An orderly close is a loss as well, and it has words."""
    peer = ScriptedPeer()
    connection = connection_to(peer, Policy(max_reconnects=0))
    assert await connection.receive() is None
    end(peer)
    with pytest.raises(TransportLost, match=r".+"):
        await connection.receive()
    assert (connection.transport, peer.open_sockets) == (None, 0)


async def test_in_a_final_check_nothing_is_reconnected() -> None:
    """What broke is raised, and the transport is still held for whoever closes it."""
    peer = ScriptedPeer()
    connection = connection_to(peer)
    assert await connection.receive() is None
    peer.break_connection()
    with pytest.raises(TransportLost):
        await connection.receive(reconnect=False)
    assert len(peer.transports) == 1
    assert connection.phase is Phase.LISTENING
    await connection.close()


async def test_promise_3_an_opening_that_was_interrupted_is_closed_before_the_next() -> None:
    """A socket that came to exist half-way is not forgotten."""
    peer = ScriptedPeer(openings=(Fault.HUNG_HALFWAY,))
    connection = connection_to(peer, Policy(open_timeout=100))
    with anyio.move_on_after(1):
        await connection.receive()
    assert peer.open_sockets == 1
    assert await connection.receive() is None
    assert connection.phase is Phase.LISTENING
    assert [transport.socket_exists for transport in peer.transports] == [False, True]
    assert peer.most_sockets == 1
    await connection.close()
    assert peer.open_sockets == 0


async def test_promise_1_no_transport_is_made_once_leaving_is_decided() -> None:
    """It may be decided while an opening that was interrupted is being closed."""
    peer = ScriptedPeer(openings=(Fault.HUNG_HALFWAY,), closings=(Fault.SLOW,))
    connection = connection_to(peer, Policy(open_timeout=100))
    for seconds in (1, 0.25):
        with anyio.move_on_after(seconds):
            await connection.receive()
    assert len(peer.transports) == 1
    assert peer.open_sockets == 0


@pytest.mark.parametrize("closing", [Fault.NONE, Fault.SLOW, Fault.BROKEN, Fault.HUNG])
async def test_promise_1_a_transport_is_held_until_it_is_gone(closing: Fault) -> None:
    """Whatever its closing is like, whoever sees its socket sees it held."""
    seen: list[tuple[int, bool]] = []
    peer = ScriptedPeer(closings=(closing,))
    connection = connection_to(peer, Policy(close_timeout=1))

    class Seen(ScriptedTransport):
        def abort(self) -> None:
            look()
            super().abort()

    def look() -> None:
        seen.append((peer.open_sockets, connection.transport is not None))

    def make() -> ScriptedTransport:
        return Seen(peer, Fault.NONE, closing)

    connection._factory = make
    peer.watch = look
    assert await connection.receive() is None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.close)
        await settle()
        look()
    look()
    assert (1, True) in seen
    assert seen[-1] == (0, False)
    assert [held for sockets, held in seen if sockets and not held] == []


@asyncio_only
async def test_promise_5_a_close_that_is_cancelled_natively_aborts() -> None:
    """No shield holds it; the socket is gone all the same when it goes on."""
    peer = ScriptedPeer(closings=(Fault.HUNG,))
    connection = connection_to(peer)
    assert await connection.receive() is None
    closing = asyncio.ensure_future(connection.close())
    await settle()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert peer.open_sockets == 0
    assert (connection.transport, connection.phase) == (None, Phase.ABSENT)


async def test_a_closing_that_an_interrupt_ended_halfway_can_still_be_abandoned() -> None:
    """Ctrl-C may strike before `aclose()` has been called."""
    peer = ScriptedPeer()
    connection = connection_to(peer)
    assert await connection.receive() is None
    connection.phase = Phase.CLOSING
    connection.abandon()
    assert peer.open_sockets == 0
    assert (connection.transport, connection.phase) == (None, Phase.ABSENT)


async def test_a_closing_that_an_interrupt_ended_halfway_can_be_begun_again() -> None:
    """Where there is time to, gracefully."""
    peer = ScriptedPeer()
    connection = connection_to(peer)
    assert await connection.receive() is None
    connection.phase = Phase.CLOSING
    await connection.close()
    assert [close.finished for close in peer.closes] == [True]
    assert peer.open_sockets == 0
    assert (connection.transport, connection.phase) == (None, Phase.ABSENT)


async def test_promise_2_a_graceful_close_comes_before_the_force() -> None:
    """The transport closes gracefully while the socket is there; only then it is shut."""
    seen: list[tuple[str, int]] = []

    class Seen(ScriptedTransport):
        async def aclose(self) -> None:
            seen.append(("aclose", peer.open_sockets))
            await super().aclose()

        def abort(self) -> None:
            seen.append(("abort", peer.open_sockets))
            super().abort()

    peer = ScriptedPeer()
    connection = connection_to(peer)
    connection._factory = lambda: Seen(peer, Fault.NONE, Fault.NONE)
    assert await connection.receive() is None
    await connection.close()
    assert seen == [("aclose", 1), ("abort", 0)]


class AtOnce(ScriptedTransport):
    """Closes without waiting, if it can; ``seen`` is what was called."""

    can = True

    def __init__(self, peer: ScriptedPeer, seen: list[str]) -> None:
        super().__init__(peer, Fault.NONE, Fault.NONE)
        self.seen = seen

    async def aclose(self) -> None:
        self.seen.append("aclose")
        await super().aclose()

    def close_nowait(self) -> bool:
        self.seen.append("close_nowait")
        return self.can

    def abort(self) -> None:
        self.seen.append("abort")
        super().abort()


@pytest.mark.parametrize("can", [True, False])
async def test_promise_2_what_closes_at_once_is_not_waited_for(can: bool) -> None:
    """Where `close_nowait()` does all of it, nothing is awaited; `abort()` comes last as ever."""
    peer, seen, records = ScriptedPeer(), list[str](), list[Record]()
    transport = AtOnce(peer, seen)
    transport.can = can
    connection = connection_to(peer, recorder=records.append)
    connection._factory = lambda: transport
    assert await connection.receive() is None
    with anyio.CancelScope() as scope:
        scope.cancel()
        await connection.close()
    assert seen == ["close_nowait", *([] if can else ["aclose"]), "abort"]
    assert [record.how for record in records if isinstance(record, Closed)] == [Closing.GRACEFUL]
    assert (connection.transport, connection.phase) == (None, Phase.ABSENT)


async def test_promise_2_only_true_says_that_it_is_closed() -> None:
    """Of a coroutine nothing is awaited, and none is left over: `aclose()` is what closes."""
    peer, seen, answer = ScriptedPeer(), list[str](), hang()
    transport = AtOnce(peer, seen)
    transport.can = cast("bool", answer)
    connection = connection_to(peer)
    connection._factory = lambda: transport
    assert await connection.receive() is None
    await connection.close()
    assert seen == ["close_nowait", "aclose", "abort"]
    assert inspect.getcoroutinestate(answer) == inspect.CORO_CLOSED


async def test_promise_2_another_way_to_close_is_not_passed_over() -> None:
    """A class with an `aclose()` of its own closes by that, whatever an ancestor does at once."""

    class Own(AtOnce):
        async def aclose(self) -> None:
            self.seen.append("its own")
            await super().aclose()

    peer, seen = ScriptedPeer(), list[str]()
    connection = connection_to(peer)
    connection._factory = lambda: Own(peer, seen)
    assert await connection.receive() is None
    await connection.close()
    assert seen == ["its own", "aclose", "abort"]


def test_what_is_to_close_at_once_is_a_plain_function() -> None:
    """An async `close_nowait()` is refused where its class is written, as an async `abort()` is."""
    with pytest.raises(TypeError, match=r"Broken\.close_nowait\(\) must be a plain function"):

        class Broken(ScriptedTransport):
            async def close_nowait(self) -> bool:  # type: ignore[override]
                return True


async def test_a_connection_that_is_being_closed_does_not_listen() -> None:
    """From the graceful close on, nobody may wait for its signals."""
    peer = ScriptedPeer(closings=(Fault.SLOW,))
    connection = connection_to(peer)
    assert await connection.receive() is None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.close)
        await settle()
        assert connection.transport is not None
        assert connection.phase is Phase.CLOSING
    assert connection.transport is None
    assert connection.phase is Phase.ABSENT


@pytest.mark.parametrize(
    ("where", "kind"), [("open", WrongAnswer), ("open", InvalidValue), ("receive", WrongAnswer)]
)
async def test_a_transport_that_is_used_wrongly_comes_out_of_pair(
    where: str,
    kind: type[UsageError],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What the program must mend is no fault of the connection, and nobody tries again."""

    async def misused(_transport: object) -> NoReturn:
        raise kind("not so")

    monkeypatch.setattr(ScriptedTransport, where, misused)
    peer = ScriptedPeer()
    with pytest.raises(kind, match="not so"):
        await QRLifecycle(request_qr, peer).pair()
    assert len(peer.transports) == 1
    assert peer.open_sockets == 0
    assert "broke its contract" not in caplog.text


async def test_how_a_connection_ended_is_told_by_error_and_record() -> None:
    """The peer closed it, or it broke; where our own side leaves there is nothing to say."""
    records: list[Record] = []
    async with Pairing(recorders=[records.append], policy=PATIENT) as pairing:
        for end in (pairing.peer.hang_up, pairing.peer.break_connection):
            end()
            await anyio.sleep(LONGER_THAN_ANY_WAIT)
        pairing.peer.send(Paired("me"))
    endings = [record.ending for record in records if isinstance(record, Closed)]
    assert endings == [Ending.CLOSED, Ending.OTHER, None]

    async with Pairing(policy=ONCE) as pairing:
        pairing.peer.hang_up()
    assert isinstance(error := pairing.failed().error, TransportLost)
    assert error.ending is Ending.CLOSED

    async with Pairing(openings=(Fault.HUNG,), policy=ONCE) as pairing:
        pass
    assert isinstance(error := pairing.failed().error, TransportUnreachable)
    assert error.ending is Ending.SILENT


@asyncio_only
@pytest.mark.parametrize("opening", [Fault.NONE, Fault.HUNG_HALFWAY])
async def test_promise_5_a_coroutine_that_is_closed_shuts_its_socket_at_once(
    opening: Fault,
) -> None:
    """Nothing is awaited any more, for nobody would wake it."""
    peer = ScriptedPeer(openings=(opening,))
    records: list[Record] = []
    lifecycle = QRLifecycle(request_qr, peer, recorders=[records.append])
    coroutine = lifecycle.pair()
    while coroutine.send(None) is None:
        pass
    assert peer.open_sockets == 1
    raised: object = None
    try:
        coroutine.close()
    except RuntimeError as error:
        raised = error
    assert raised is None
    assert peer.open_sockets == 0
    assert not lifecycle.socket_open
    assert [record.how for record in records if isinstance(record, Closed)] == [Closing.FORCED]


@asyncio_only
async def test_promise_5_a_coroutine_that_is_closed_while_it_asks_leaves_nothing() -> None:
    """There is no transport yet; the state is a legal one, and nothing is raised."""
    lifecycle = QRLifecycle(hang, ScriptedPeer())
    coroutine = lifecycle.pair()
    coroutine.send(None)
    assert lifecycle.state is State.GENERATING
    coroutine.close()
    assert lifecycle.state is State.IDLE


@pytest.mark.parametrize("made", [object(), 3, "a transport"])
async def test_what_is_no_transport_is_told_by_its_kind(made: object) -> None:
    """The error names the kind of the thing, and not the thing."""
    lifecycle = QRLifecycle(request_qr, lambda: made)  # type: ignore[arg-type,return-value]
    with pytest.raises(WrongAnswer, match=f"gave back {type(made).__name__}, which"):
        await lifecycle.pair()


async def test_a_factory_that_is_async_is_not_run() -> None:
    """What it gave back is closed, so that nobody is told of a coroutine never awaited."""

    async def factory() -> ScriptedTransport:
        return ScriptedPeer()()

    made = factory()
    connection = connection_to(ScriptedPeer())
    connection._factory = lambda: made  # type: ignore[assignment,return-value]
    with pytest.raises(WrongAnswer, match="gave back coroutine"):
        await connection.receive()
    assert inspect.getcoroutinestate(made) == inspect.CORO_CLOSED


async def test_a_subject_that_raises_is_a_broken_contract_and_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is for the record only: the record has none, the fault is logged, the success is heard."""

    def fail(_transport: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(ScriptedTransport, "subject", property(fail))
    records: list[Record] = []
    async with Pairing(recorders=[records.append]) as pairing:
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert [record.subject for record in records if isinstance(record, Opening)] == [None]
    assert "broke its contract: subject raised ZeroDivisionError" in caplog.text


async def test_an_abort_that_is_interrupted_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever comes out of it, the transport is held no more."""

    def interrupted(_transport: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(ScriptedTransport, "abort", interrupted)
    connection = connection_to(ScriptedPeer())
    assert await connection.receive() is None
    with pytest.raises(KeyboardInterrupt):
        await connection.close()
    assert connection.transport is None


async def test_an_abort_that_is_async_has_closed_nothing_and_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody can wait for it there; it is not run, and recorded as a transport that is broken."""

    async def shut() -> None:
        """Would shut the socket, if anybody waited."""

    made = shut()
    monkeypatch.setattr(ScriptedTransport, "abort", lambda _transport: made)
    records: list[Record] = []
    async with Pairing(recorders=[records.append]) as pairing:
        pairing.peer.send(Paired("me"))
    assert inspect.getcoroutinestate(made) == inspect.CORO_CLOSED
    assert [record.how for record in records if isinstance(record, Closed)] == [Closing.BROKEN]
    assert "broke its contract: abort() raised TypeError" in caplog.text


async def test_what_a_transport_dropped_is_counted_once_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By cause, over all transports of the code."""
    monkeypatch.setattr(ScriptedTransport, "dropped", {"foreign": 2})
    async with Pairing() as pairing:
        assert pairing.lifecycle.dropped == {}
        pairing.peer.break_connection()
        await anyio.sleep(LONGER_THAN_ANY_WAIT)
        assert pairing.lifecycle.dropped == {"foreign": 2}
        pairing.lifecycle.cancel()
    assert pairing.lifecycle.dropped == {"foreign": 4}


async def test_a_graceful_close_that_fails_is_logged_by_its_kind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """For whoever looks at DEBUG; it changes nothing."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    async with Pairing(closings=(Fault.BROKEN,)) as pairing:
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert "the transport's graceful close failed: OSError" in caplog.messages
