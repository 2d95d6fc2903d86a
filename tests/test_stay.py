"""A stay and its link by themselves: what the whole lifecycle shows only now and then."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from itertools import permutations
from typing import Any, NoReturn

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    Connected,
    Event,
    EventRefused,
    Failed,
    Paired,
    PairingCode,
    Policy,
    QRCode,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    State,
    TransportLost,
    WrongAnswer,
)
from qrlifecycle.engine.link import Link
from qrlifecycle.engine.stay import (
    CANCELLED,
    Deadline,
    Stay,
    Step,
)
from qrlifecycle.testing import (
    Fault,
    ScriptedPeer,
    ScriptedTransport,
    settle,
)

from .pairing import Pairing, asyncio_only, request_qr

pytestmark = pytest.mark.anyio

FAILED = Step(Event.FAIL, Failed(Reason.CONFLICT))

LINKED = Step(Event.PAIRED, Connected("me"))


# A stay


@pytest.mark.parametrize("later", [Step(Event.EXPIRED), Step(Event.GENERATE), FAILED, LINKED])
async def test_the_first_step_that_leads_out_decides(later: Step) -> None:
    """What comes later is refused, and so is a second cancellation."""
    for first in (Step(Event.GENERATE), FAILED, CANCELLED):
        stay = Stay(Policy())
        assert stay.leave(first)
        assert not stay.leave(later)
        assert stay.leaving is first


@pytest.mark.parametrize("first", [Step(Event.EXPIRED), Step(Event.GENERATE)])
async def test_a_cancellation_replaces_a_step_that_leads_to_no_end(first: Step) -> None:
    """Whoever goes away is not shown another code."""
    stay = Stay(Policy())
    assert stay.leave(first)
    assert stay.leave(CANCELLED)
    assert stay.leaving is CANCELLED
    assert not stay.leave(CANCELLED)


@pytest.mark.parametrize("first", [FAILED, LINKED, CANCELLED])
async def test_a_cancellation_replaces_no_end(first: Step) -> None:
    """What was decided is what is told."""
    stay = Stay(Policy())
    assert stay.leave(first)
    assert not stay.leave(CANCELLED)
    stay.end(CANCELLED)
    assert stay.leaving is first


async def test_whoever_leaves_wakes_the_owner() -> None:
    """Leaving cancels the scope that is stood in."""
    stay = Stay(Policy())
    with stay.begin() as scope:
        stay.leave(FAILED)
    assert scope.cancel_called


async def test_only_a_link_is_a_success() -> None:
    """Neither a stay that goes on nor one that is being left otherwise has succeeded."""
    for step, succeeded in ((None, False), (FAILED, False), (LINKED, True)):
        stay = Stay(Policy())
        if step is not None:
            stay.leave(step)
        assert stay.succeeded is succeeded


async def test_the_attempts_deadline_counts_from_now_and_others_from_then() -> None:
    """A deadline that runs out in the very instant has run out."""
    stay = Stay(Policy())
    now = anyio.current_time()
    stay.set_end(Deadline.CODE, now)
    assert stay.run_out(now) is Deadline.CODE
    assert stay.run_out(now - 1) is None
    stay.set_end(Deadline.ATTEMPT, now)
    assert stay.run_out(now - 1) is Deadline.ATTEMPT


async def test_the_earliest_deadline_is_the_scopes() -> None:
    """Each clock has a name; when it is taken away, the next one counts."""
    stay = Stay(Policy())
    now = anyio.current_time()
    stay.set_deadline(Deadline.ACTION, 7)
    stay.set_deadline(Deadline.CODE, 5)
    assert stay.begin().deadline == now + 5
    stay.set_deadline(Deadline.CODE, None)
    assert stay.scope.deadline == now + 7
    stay.set_deadline(Deadline.ACTION, None)
    assert stay.scope.deadline == math.inf


async def test_a_last_look_ends_when_there_is_more_time_and_not_before() -> None:
    """A deadline that has run out and stays so ends no look."""
    stay = Stay(Policy())
    now = anyio.current_time()
    stay.set_end(Deadline.CODE, now)
    with stay.begin_look(3) as scope:
        assert scope.deadline == now + 3
        stay.set_end(Deadline.CODE, now)
        assert not scope.cancel_called
        stay.set_end(Deadline.CODE, now + 1)
    assert scope.cancel_called


async def test_what_the_person_is_at_has_the_only_clock_beside_the_attempts() -> None:
    """A code, a confirmation, an action: each ends the clock of the one before, whichever it is."""
    stay = Stay(Policy())
    begin: dict[Deadline, Callable[[], None]] = {
        Deadline.CODE: lambda: stay.replace_code(QRCode("newer")),
        Deadline.APPROVAL: stay.confirm,
        Deadline.ACTION: lambda: stay.require(ActionRequired("passkey")),
    }
    stay.set_deadline(Deadline.ATTEMPT, 600)
    for before, clock in permutations(begin, 2):
        begin[before]()
        begin[clock]()
        assert stay.deadlines.keys() == {Deadline.ATTEMPT, clock}


# A link


def counted(_dropped: object) -> None:
    """Nobody asks what was dropped."""


def heard_by(heard: list[Signal], enough: int) -> Any:
    """Takes signals, so many."""

    def take(signal: Signal) -> bool:
        heard.append(signal)
        return len(heard) < enough

    return take


async def test_a_link_that_nobody_wants_is_not_listened_to() -> None:
    """When it listens and that is to be all, nothing is received."""
    heard: list[Signal] = []
    link = Link(ScriptedPeer(), Policy(), counted)
    with anyio.move_on_after(10) as patience:
        assert await link.hold(lambda: False, heard_by(heard, 1)) is None
    assert (heard, patience.cancelled_caught) == ([], False)
    await link.close()


async def test_a_link_that_is_wanted_is_listened_to_until_it_is_enough() -> None:
    """Each signal is handed over, and after the last that matters no other."""
    heard: list[Signal] = []
    peer = ScriptedPeer()
    link = Link(peer, Policy(), counted)

    def listening() -> bool:
        peer.send(Scanned())
        peer.send(Paired("me"))
        return True

    assert await link.hold(listening, heard_by(heard, 2)) is None
    assert heard == [Scanned(), Paired("me")]
    await link.close()
    assert peer.open_sockets == 0


async def test_what_broke_a_link_is_the_answer() -> None:
    """An orderly close is a loss as well, and it has words."""
    for end in (ScriptedPeer.hang_up, ScriptedPeer.break_connection):
        peer = ScriptedPeer()
        link = Link(peer, Policy(max_reconnects=0), counted)
        error = await link.hold(lambda p=peer, end=end: end(p) is None, lambda _signal: True)  # type: ignore[misc]
        assert isinstance(error, TransportLost)
        assert str(error)


def go_on(_signal: Signal | None = None) -> bool:
    """Wants more, whatever there is."""
    return True


async def test_promise_3_an_opening_that_was_interrupted_is_closed_before_the_next() -> None:
    """A socket that came to exist half-way is not forgotten."""
    peer = ScriptedPeer(openings=(Fault.HUNG_HALFWAY,))
    link = Link(peer, Policy(open_timeout=100), counted)
    with anyio.move_on_after(1):
        await link.hold(go_on, go_on)
    assert peer.open_sockets == 1
    with anyio.move_on_after(1):
        await link.hold(go_on, go_on)
    assert link.listening
    assert [transport.socket_exists for transport in peer.transports] == [False, True]
    assert peer.most_sockets == 1
    await link.close()
    assert peer.open_sockets == 0


async def test_promise_1_no_transport_is_made_once_leaving_is_decided() -> None:
    """It may be decided while an opening that was interrupted is being closed."""
    peer = ScriptedPeer(openings=(Fault.HUNG_HALFWAY,), closings=(Fault.SLOW,))
    link = Link(peer, Policy(open_timeout=100), counted)
    for seconds in (1, 0.25):
        with anyio.move_on_after(seconds):
            await link.hold(go_on, go_on)
    assert len(peer.transports) == 1
    assert peer.open_sockets == 0


async def test_a_link_that_is_being_closed_does_not_listen() -> None:
    """From the goodbye on, nobody may wait for its signals."""
    peer = ScriptedPeer(closings=(Fault.SLOW,))
    link = Link(peer, Policy(), counted)
    assert await link.hold(lambda: False, go_on) is None
    assert link.listening
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(link.close)
        await settle()
        assert link.transport is not None
        assert not link.listening
    assert link.transport is None


@pytest.mark.parametrize("where", ["open", "receive"])
async def test_a_transport_that_is_used_wrongly_comes_out_of_pair(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What the program must mend is no fault of the link, and nobody tries again."""

    async def misused(_transport: object) -> NoReturn:
        raise WrongAnswer("not so")

    monkeypatch.setattr(ScriptedTransport, where, misused)
    peer = ScriptedPeer()
    with pytest.raises(WrongAnswer, match="not so"):
        await QRLifecycle(request_qr, peer).pair()
    assert len(peer.transports) == 1
    assert peer.open_sockets == 0
    assert "broke its contract" not in caplog.text


@asyncio_only
@pytest.mark.parametrize("opening", [Fault.NONE, Fault.HUNG_HALFWAY])
async def test_promise_5_a_coroutine_that_is_closed_shuts_its_socket_at_once(
    opening: Fault,
) -> None:
    """Nothing is awaited any more, for nobody would wake it."""
    peer = ScriptedPeer(openings=(opening,))
    lifecycle = QRLifecycle(request_qr, peer)
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


@pytest.mark.parametrize("made", [object(), 3, "a transport"])
async def test_what_is_no_transport_is_told_by_its_kind(made: object) -> None:
    """The error names the kind of the thing, and not the thing."""
    lifecycle = QRLifecycle(request_qr, lambda: made)  # type: ignore[arg-type,return-value]
    with pytest.raises(WrongAnswer, match=f"gave back {type(made).__name__}, which"):
        await lifecycle.pair()


async def test_an_abort_that_is_interrupted_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever comes out of it, the transport is held no more."""

    def interrupted(_transport: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(ScriptedTransport, "abort", interrupted)
    link = Link(ScriptedPeer(), Policy(), counted)
    assert await link.hold(lambda: False, go_on) is None
    with pytest.raises(KeyboardInterrupt):
        await link.close()
    assert link.transport is None


@pytest.mark.parametrize(("held", "afresh"), [(3.9, False), (4.0, True), (100.0, True)])
async def test_a_link_that_held_long_enough_starts_budget_and_waits_afresh(
    held: float, afresh: bool
) -> None:
    """As long as the longest wait is enough."""
    policy = Policy(max_reconnects=1, reconnect_delay=1, reconnect_delay_max=4)
    link = Link(ScriptedPeer(), policy, counted)
    error = TransportLost("again")
    assert link._may_open_anew(error, anyio.current_time())
    waits = [link._backoff.next() for _ in range(5)]
    assert waits[-1] > 1
    link._opened_at = 100.0
    assert link._may_open_anew(error, 100.0 + held) is afresh
    assert (link._backoff.next() <= 1) is afresh
    assert link._may_open_anew(error, 100.0) is False


async def test_a_goodbye_that_fails_is_logged_by_its_kind(caplog: pytest.LogCaptureFixture) -> None:
    """For whoever looks at DEBUG; it changes nothing."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    async with Pairing(closings=(Fault.BROKEN,)) as pairing:
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert "the transport's goodbye failed: OSError" in caplog.messages


async def test_a_code_that_is_forgotten_leaves_no_action() -> None:
    """Neither can be asked for when the stay is over."""
    stay = Stay(Policy())
    stay.replace_code(QRCode("one"))
    stay.forget()
    assert (stay.code, stay.action) == (None, None)
    await settle()


# Where the lifecycle stands


@pytest.mark.parametrize(
    ("hook", "signals"),
    [
        ("on_qr_updated", [QRUpdated(QRCode("second"))]),
        ("on_pairing_code", [QRUpdated(PairingCode("1")), QRUpdated(PairingCode("2"))]),
        ("on_action_required", [ActionRequired("one"), ActionRequired("two")]),
    ],
)
async def test_promise_6_what_a_slow_hook_was_not_told_is_past_when_the_state_is_left(
    hook: str, signals: list[Signal]
) -> None:
    """Nobody is shown a code, or asked for something, after the end."""
    told: list[object] = []
    go = anyio.Event()

    async def slow(item: object) -> None:
        told.append(item)
        await go.wait()

    options: dict[str, Any] = {hook: slow}
    async with Pairing(**options) as pairing:
        for signal in signals:
            pairing.peer.send(signal)
            await settle()
        pairing.lifecycle.cancel()
        await settle()
        go.set()
    assert len(told) == 1


async def test_where_there_is_no_stay_there_is_no_code() -> None:
    """Before the first `pair()` and after its end nothing is there to show or to do."""
    lifecycle = QRLifecycle(request_qr, ScriptedPeer())
    assert (lifecycle.qr, lifecycle.pairing_code, lifecycle.action) == (None, None, None)
    with anyio.move_on_after(1):
        await lifecycle.pair()
    assert (lifecycle.qr, lifecycle.pairing_code, lifecycle.action) == (None, None, None)


async def test_a_state_that_is_being_left_takes_nothing_in() -> None:
    """What would only be noted is refused as well."""
    async with Pairing(closings=(Fault.SLOW,)) as pairing:
        standing = pairing.lifecycle._standing
        pairing.lifecycle.cancel()
        for step in (Step(Event.SCANNED), Step(Event.QR_UPDATED, code=QRCode("late"))):
            with pytest.raises(EventRefused):
                standing.put(step)
        assert pairing.lifecycle.qr == QRCode("first")


async def test_an_error_of_usage_is_a_failure_though_a_fresh_code_was_asked_for() -> None:
    """What comes out of `pair()` leaves the lifecycle in `failed`, whatever was decided before."""

    class Misused(ScriptedTransport):
        async def receive(self) -> Signal:
            try:
                return await super().receive()
            finally:
                raise WrongAnswer("used in a way that cannot be")

    lifecycle = QRLifecycle(request_qr, lambda: Misused(ScriptedPeer(), Fault.NONE, Fault.NONE))

    async def pair() -> None:
        with pytest.raises(WrongAnswer):
            await lifecycle.pair()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair)
        await settle()
        lifecycle.generate()
    assert lifecycle.state is State.FAILED
