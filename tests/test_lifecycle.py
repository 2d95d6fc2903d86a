"""The lifecycle, one fact at a time: what a program sees of it, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, NoReturn

import anyio
import pytest
import trio
from trio.testing import MockClock

from qrlifecycle import (
    WHATSAPP,
    ActionRequired,
    Change,
    Connected,
    ConnectionFailed,
    Event,
    EventRefused,
    Failed,
    InvalidValue,
    Outcome,
    Paired,
    PairingCode,
    PairingInProgress,
    Policy,
    QRCode,
    QRExpired,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    ServiceRefused,
    Signal,
    State,
    Transport,
    TransportLost,
    TransportUnreachable,
    WrongAnswer,
    WrongThread,
)
from qrlifecycle.testing import (
    Fault,
    ScriptedPeer,
    ScriptedTransport,
    VirtualClockEventLoop,
    settle,
)

from .pairing import ONCE, Pairing, hang, request_qr

pytestmark = pytest.mark.anyio

asyncio_only = pytest.mark.parametrize(
    "anyio_backend",
    [pytest.param(("asyncio", {"loop_factory": VirtualClockEventLoop}), id="asyncio")],
)
"""For what only asyncio can do: to cancel a task, rather than a scope."""


# A healthy round


async def test_a_scan_connects_over_one_socket() -> None:
    """The success ends the attempt, with the identity, over one socket that is gone afterwards."""
    async with Pairing() as pairing:
        lifecycle = pairing.lifecycle
        assert (lifecycle.state, lifecycle.socket_open) == (State.DISPLAYED, True)
        assert pairing.peer.open_sockets == 1
        pairing.peer.send(Scanned())
        pairing.peer.send(Paired("me", {"token": "t"}))
    assert pairing.outcome == Connected("me", {"token": "t"})
    assert lifecycle.state is State.CONNECTED
    assert not lifecycle.socket_open
    assert (pairing.peer.open_sockets, pairing.peer.most_sockets) == (0, 1)
    assert len(pairing.peer.transports) == 1


async def test_the_healthy_round_is_logged_in_five_lines(caplog: pytest.LogCaptureFixture) -> None:
    """At INFO a healthy round writes its five lines, in order, and nothing else."""
    caplog.set_level(logging.INFO)
    async with Pairing() as pairing:
        pairing.peer.send(Paired())
    assert [r.message for r in caplog.records if r.name == "qrlifecycle"] == [
        "connecting for QR display",
        "connected for QR display",
        "pairing event received",
        "connected, immediate success",
        "transport closed",
    ]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ServiceRefused("no more bots"), "failed, refused_by_service: no more bots"),
        (OSError("s3cret"), f"failed, generating_failed: {Reason.GENERATING_FAILED.meaning}"),
    ],
)
async def test_a_failed_attempt_says_why_in_one_line(
    error: Exception, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The last line has the reason, and the text of an error of ours; of another it has none."""

    async def fail() -> QRCode:
        raise error

    caplog.set_level(logging.INFO)
    await QRLifecycle(fail, ScriptedPeer()).pair()
    assert caplog.records[-1].getMessage() == line


async def test_a_cancellation_is_no_failure_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Who went away need not be told why."""
    caplog.set_level(logging.INFO)
    async with Pairing() as pairing:
        pairing.lifecycle.cancel()
    assert caplog.records[-1].getMessage() == "transport closed"


async def test_promise_4_the_code_is_handed_out_once_the_transport_listens() -> None:
    """While the transport opens there is no code to show; when it listens, there is."""
    shown: list[str] = []
    async with Pairing(
        openings=(Fault.SLOW,), on_qr_updated=lambda qr: shown.append(qr.reveal())
    ) as p:
        assert p.lifecycle.state is State.DISPLAYED
        assert p.lifecycle.qr is None
        assert shown == []
        await anyio.sleep(0.6)
        assert p.lifecycle.qr == QRCode("first")
        assert shown == ["first"]
        p.lifecycle.cancel()


@pytest.mark.parametrize("check_status", [None, hang])
async def test_show_at_once_hands_the_code_out_before_the_transport_listens(
    check_status: Any,
) -> None:
    """A policy may ask for the code at once; it is there while the transport opens, at once too."""
    policy = Policy(show_at_once=True)
    async with Pairing(openings=(Fault.SLOW,), policy=policy, check_status=check_status) as pairing:
        assert pairing.lifecycle.qr == QRCode("first")
        assert len(pairing.peer.transports) == 1
        pairing.lifecycle.cancel()


async def test_show_at_once_is_for_a_code_that_was_read_as_well() -> None:
    """A newer code that `check_status` finds while the transport opens is not kept back."""

    async def newer() -> Signal | None:
        return QRUpdated(QRCode("second"))

    policy = Policy(show_at_once=True, status_interval=1)
    async with Pairing(openings=(Fault.HUNG,), policy=policy, check_status=newer) as pairing:
        await anyio.sleep(1.5)
        assert pairing.lifecycle.qr == QRCode("second")
        pairing.lifecycle.cancel()


async def test_whoever_goes_away_on_seeing_the_code_opens_no_socket() -> None:
    """With `show_at_once`, a hook that cancels is heeded before a transport is made."""
    lifecycle: QRLifecycle
    peer = ScriptedPeer()
    lifecycle = QRLifecycle(
        request_qr,
        peer,
        policy=Policy(show_at_once=True),
        on_qr_updated=lambda _qr: lifecycle.cancel(),
    )
    assert await lifecycle.pair() == Failed(Reason.CANCELLED)
    assert peer.transports == []


async def test_an_account_linked_already_opens_no_socket() -> None:
    """If the service says that the account is linked, no transport is ever made."""

    async def linked() -> QRCode | Paired:
        return Paired("me")

    async with Pairing(linked) as pairing:
        pass
    assert pairing.outcome == Connected("me", already_linked=True)
    assert pairing.peer.transports == []


async def test_a_rotation_changes_the_picture_on_the_same_socket() -> None:
    """`qr_updated` replaces the code and opens nothing."""
    shown: list[str] = []
    async with Pairing(on_qr_updated=lambda qr: shown.append(qr.reveal())) as pairing:
        pairing.peer.send(QRUpdated(QRCode("second")))
        await settle()
        assert pairing.lifecycle.qr == QRCode("second")
        pairing.lifecycle.cancel()
    assert shown == ["first", "second"]
    assert len(pairing.peer.transports) == 1


async def test_two_rounds_open_a_fresh_transport_each() -> None:
    """After an end, `pair()` goes round again, with a transport made anew."""
    async with Pairing() as pairing:
        pairing.peer.send(ConnectionFailed())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pairing.lifecycle.pair)
        await settle()
        pairing.peer.send(Paired())
    assert pairing.lifecycle.state is State.CONNECTED
    assert len(pairing.peer.transports) == 2
    assert pairing.peer.most_sockets == 1


# Ends


async def failing(error: Exception) -> Outcome:
    """How an attempt ends whose `request_qr` raises ``error``."""

    async def request() -> QRCode | Paired:
        raise error

    async with Pairing(request) as pairing:
        pass
    assert pairing.outcome is not None
    return pairing.outcome


async def test_a_service_that_refuses_is_named_as_the_reason() -> None:
    """`ServiceRefused` from `request_qr` ends with "refused by the service", and is the error."""
    error = ServiceRefused("not today")
    assert await failing(error) == Failed(Reason.REFUSED_BY_SERVICE, error)


async def test_a_service_that_breaks_fails_the_generating() -> None:
    """Any other error of `request_qr` is an outcome too, never an exception of `pair()`."""
    error = OSError("no route")
    assert await failing(error) == Failed(Reason.GENERATING_FAILED, error)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"request": hang, "policy": Policy(generate_timeout=3)}, Reason.GENERATING_TIMED_OUT),
        ({"request": hang, "policy": Policy(attempt_timeout=3)}, Reason.ATTEMPT_TIMED_OUT),
        (
            {"openings": (Fault.HUNG,), "policy": Policy(open_timeout=3, reopenings=0)},
            Reason.TRANSPORT_UNREACHABLE,
        ),
        (
            {"openings": (Fault.HUNG_HALFWAY,), "policy": Policy(open_timeout=3, reopenings=0)},
            Reason.TRANSPORT_UNREACHABLE,
        ),
        ({"policy": Policy(attempt_timeout=3)}, Reason.ATTEMPT_TIMED_OUT),
    ],
)
async def test_a_deadline_that_runs_out_names_its_reason(
    options: dict[str, Any], reason: Reason
) -> None:
    """Each deadline ends the attempt when it runs out, not sooner nor later, with its reason."""
    began = anyio.current_time()
    async with Pairing(**options) as pairing:
        pass
    assert pairing.failed().reason is reason
    assert anyio.current_time() - began == pytest.approx(3)
    assert pairing.peer.open_sockets == 0


@pytest.mark.parametrize(
    ("opening", "reason"),
    [
        (Fault.UNREACHABLE, Reason.TRANSPORT_UNREACHABLE),
        (Fault.BROKEN, Reason.TRANSPORT_UNREACHABLE),
        (Fault.REFUSED, Reason.AUTHENTICATION_REFUSED),
    ],
)
async def test_a_transport_that_does_not_open_names_its_reason(
    opening: Fault, reason: Reason
) -> None:
    """An opening that fails ends the attempt, and what had come to exist of a socket is gone."""
    async with Pairing(openings=(opening,), policy=ONCE) as pairing:
        pass
    assert pairing.failed().reason is reason
    assert pairing.failed().error is not None
    assert pairing.peer.open_sockets == 0


async def test_a_link_that_breaks_is_named_as_the_reason() -> None:
    """A broken link ends with "transport lost" and the transport's own error."""
    async with Pairing(policy=ONCE) as pairing:
        pairing.peer.break_link()
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    assert isinstance(pairing.failed().error, TransportLost)


async def test_a_peer_that_closes_in_order_is_named_as_the_reason() -> None:
    """A peer that hangs up while a code is displayed has lost us the transport, too."""
    async with Pairing(policy=ONCE) as pairing:
        pairing.peer.hang_up()
    assert pairing.failed().reason is Reason.TRANSPORT_LOST


async def test_a_refusal_over_the_wire_carries_reason_and_data() -> None:
    """`ConnectionFailed` ends the attempt with what it carried."""
    async with Pairing() as pairing:
        pairing.peer.send(ConnectionFailed(Reason.REFUSED_ON_PHONE, {"why": "not me"}))
    assert pairing.outcome == Failed(Reason.REFUSED_ON_PHONE, data={"why": "not me"})


# Codes that run out


async def test_an_expired_code_is_replaced_while_the_budget_lasts() -> None:
    """Each code that runs out asks for another, over a socket of its own, until none is left."""
    asked: list[float] = []

    async def request() -> QRCode | Paired:
        asked.append(anyio.current_time())
        return QRCode(f"code {len(asked)}", expires_in=10)

    async with Pairing(request, policy=Policy(refreshes=2, grace=0)) as pairing:
        pass
    assert pairing.failed().reason is Reason.REFRESHES_USED_UP
    assert [round(when - asked[0]) for when in asked] == [0, 10, 20]
    assert len(pairing.peer.transports) == 3
    assert pairing.peer.most_sockets == 1


async def test_without_a_budget_the_first_expiry_ends_the_attempt() -> None:
    """With no refreshes the reason is "expired", and the service is asked once."""
    async with Pairing(policy=Policy(refreshes=0)) as pairing:
        pass
    assert pairing.failed().reason is Reason.EXPIRED
    assert len(pairing.peer.transports) == 1


async def test_the_server_may_say_that_the_code_ran_out() -> None:
    """`QRExpired` does what the code's own clock does."""
    async with Pairing(policy=Policy(refreshes=1, grace=2)) as pairing:
        pairing.peer.send(QRExpired())
        await anyio.sleep(2.1)
        assert len(pairing.peer.transports) == 2
        pairing.peer.send(QRExpired())
    assert pairing.failed().reason is Reason.REFRESHES_USED_UP


async def test_a_success_within_the_grace_still_counts() -> None:
    """A phone that was quick enough for the service may be heard after the code's own time."""
    async with Pairing(policy=Policy(refreshes=0, grace=3)) as pairing:
        await anyio.sleep(62.9)
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


async def test_an_expiry_that_is_said_again_gives_no_second_grace() -> None:
    """However often the server says it, the code is given up once its grace is over."""
    began = anyio.current_time()
    async with Pairing(policy=Policy(refreshes=0, grace=3)) as pairing:
        while pairing.outcome is None:
            pairing.peer.send(QRExpired())
            await anyio.sleep(0.5)
    assert anyio.current_time() - began == pytest.approx(3, abs=0.5)


async def test_the_same_code_again_is_no_new_picture() -> None:
    """A server that repeats itself neither shows a code again nor gives it a longer life."""
    shown: list[QRCode] = []
    began = anyio.current_time()
    policy = Policy(refreshes=0, grace=0)
    async with Pairing(policy=policy, on_qr_updated=shown.append) as pairing:
        await anyio.sleep(30)
        pairing.peer.send(QRUpdated(QRCode("first", expires_in=60)))
    assert shown == [QRCode("first")]
    assert anyio.current_time() - began == pytest.approx(60)


async def test_a_code_without_a_lifetime_gets_the_policys() -> None:
    """A service that does not say how long a code lives leaves that to the policy."""

    async def request() -> QRCode | Paired:
        return QRCode("ageless")

    began = anyio.current_time()
    async with Pairing(request, policy=Policy(refreshes=0, qr_lifetime=7, grace=0)) as pairing:
        pass
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - began == pytest.approx(7)


async def test_the_codes_clock_starts_when_it_arrives_not_when_it_is_shown() -> None:
    """A slow opening does not lengthen a code's life: its service counts from its making."""
    began = anyio.current_time()
    policy = Policy(refreshes=0, qr_lifetime=7, grace=0)

    async def request() -> QRCode | Paired:
        return QRCode("ageless")

    async with Pairing(request, openings=(Fault.SLOW,), policy=policy):
        pass
    assert anyio.current_time() - began == pytest.approx(7)


async def test_a_rotation_starts_the_new_codes_clock() -> None:
    """A code that came over the wire has a lifetime of its own."""
    began = anyio.current_time()
    async with Pairing(policy=Policy(refreshes=0, grace=0)) as pairing:
        await anyio.sleep(50)
        pairing.peer.send(QRUpdated(QRCode("second", expires_in=30)))
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - began == pytest.approx(80)


async def test_scanned_stops_the_codes_clock_and_starts_the_confirmations() -> None:
    """A scanned code does not expire under the phone; but the phone has its own deadline."""
    began = anyio.current_time()
    async with Pairing(policy=Policy(refreshes=0, confirm_timeout=100)) as pairing:
        await anyio.sleep(10)
        pairing.peer.send(Scanned())
        await anyio.sleep(60)
        pairing.peer.send(Scanned())  # said again, it does not start the deadline again
    assert pairing.failed().reason is Reason.CONFIRMATION_TIMED_OUT
    assert anyio.current_time() - began == pytest.approx(110)


def be_busy(seconds: float) -> None:
    """Block the event loop, in virtual time."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, MockClock)
        clock.jump(seconds)
    else:
        assert isinstance(loop, VirtualClockEventLoop)
        loop.jump(seconds)


@pytest.mark.parametrize(
    "signal", [Paired("me"), Scanned(), ActionRequired("passkey"), QRUpdated(QRCode("second"))]
)
async def test_promise_4_what_came_in_time_counts_though_the_loop_was_busy(signal: Signal) -> None:
    """A signal that arrived before the deadline is taken, and the clock that it starts is new."""
    async with Pairing(policy=Policy(refreshes=0, grace=0)) as pairing:
        await anyio.sleep(59.9)
        pairing.peer.send(signal)
        be_busy(0.3)
        await anyio.sleep(50)
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


def at_the_end_of_each_opening(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[ScriptedTransport], object]
) -> None:
    """Do something in the very instant in which a transport comes to listen."""
    opens = ScriptedTransport.open

    async def open_and_act(transport: ScriptedTransport) -> None:
        await opens(transport)
        act(transport)

    monkeypatch.setattr(ScriptedTransport, "open", open_and_act)


@pytest.mark.parametrize("error", [TransportUnreachable, TransportLost])
async def test_a_code_that_ran_out_as_its_transport_opened_is_not_shown(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listened in time; if the link broke as well, that is what went wrong."""

    def be_late(transport: ScriptedTransport) -> None:
        be_busy(60)
        if error is TransportLost:
            transport.buffer.end(TransportLost("at once"))

    at_the_end_of_each_opening(monkeypatch, be_late)
    shown: list[QRCode] = []
    async with Pairing(policy=replace(ONCE, grace=0), on_qr_updated=shown.append) as pairing:
        pass
    assert shown == []
    assert type(pairing.failed().error) is error


async def test_whoever_goes_away_as_the_transport_opens_is_shown_no_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That it listens from this very instant on is no news to anybody."""
    at_the_end_of_each_opening(monkeypatch, lambda _transport: lifecycle.cancel())
    shown: list[QRCode] = []
    lifecycle = QRLifecycle(request_qr, ScriptedPeer(), on_qr_updated=shown.append)
    assert await lifecycle.pair() == Failed(Reason.CANCELLED)
    assert shown == []


async def test_a_status_that_never_answers_puts_no_deadline_off() -> None:
    """The last look begins when the code has run out, and takes its time only then."""
    began = anyio.current_time()
    policy = replace(ONCE, refreshes=0, qr_lifetime=5, grace=0, status_timeout=10)

    async def request() -> QRCode:
        return QRCode("ageless")

    async with Pairing(request, policy=policy, check_status=hang):
        pass
    assert anyio.current_time() - began == pytest.approx(15)


async def test_a_success_in_doubt_deafens_nobody() -> None:
    """While it is asked whether it is true, whatever else comes is heard at once."""

    async def unknown() -> Signal | None:
        return None

    began = anyio.current_time()
    async with Pairing(policy=Policy(confirm=True), check_status=unknown) as pairing:
        for signal in (Paired("me"), Paired("me"), ConnectionFailed(Reason.CONFLICT)):
            pairing.peer.send(signal)
            await settle()
    assert pairing.failed().reason is Reason.CONFLICT
    assert anyio.current_time() == began


async def test_an_attempt_that_is_over_asks_for_nothing_more() -> None:
    """A deadline that passes during a last look is the end, whatever the look was for."""
    asked = 0

    async def request() -> QRCode:
        nonlocal asked
        asked += 1
        return QRCode("first", expires_in=10)

    began = anyio.current_time()
    policy = Policy(grace=0, attempt_timeout=12, status_timeout=5)
    async with Pairing(request, policy=policy, check_status=hang) as pairing:
        pass
    assert pairing.failed().reason is Reason.ATTEMPT_TIMED_OUT
    assert anyio.current_time() - began == pytest.approx(15)
    assert asked == 1


async def test_what_broke_is_the_reason_though_time_ran_out_in_the_last_look() -> None:
    """A deadline that came later did not end it."""
    policy = replace(ONCE, attempt_timeout=3, status_timeout=5)
    async with Pairing(policy=policy, check_status=hang) as pairing:
        await anyio.sleep(2)
        pairing.peer.break_link()
    assert pairing.failed().reason is Reason.TRANSPORT_LOST


# More to say than yes and no


async def test_an_action_that_is_required_is_told_and_shown_until_it_is_past() -> None:
    """A passkey, a code to compare: the person is told, with what the service sent along."""
    told: list[ActionRequired] = []
    action = ActionRequired("compare_code", {"code": "123-456"})
    async with Pairing(on_action_required=told.append) as pairing:
        changes = pairing.lifecycle.changes()
        pairing.peer.send(Scanned())
        pairing.peer.send(action)
        await settle()
        assert (pairing.lifecycle.state, pairing.lifecycle.action) == (State.DISPLAYED, action)
        pairing.peer.send(Scanned())  # it is done, the phone goes on confirming
        await settle()
        assert (pairing.lifecycle.state, pairing.lifecycle.action) == (State.DISPLAYED, None)
        pairing.peer.send(action)
        await settle()
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert pairing.lifecycle.action is None
    assert told == [action, action]
    events = [change.event async for change in changes]
    assert events[:2] == [Event.SCANNED, Event.ACTION_REQUIRED]
    assert "123-456" not in repr(action)


async def test_an_action_has_a_deadline_of_its_own() -> None:
    """While the person is at it neither the code nor the confirmation runs out."""
    began = anyio.current_time()
    policy = Policy(refreshes=0, confirm_timeout=10, action_timeout=200)
    async with Pairing(policy=policy) as pairing:
        pairing.peer.send(Scanned())
        await anyio.sleep(5)
        pairing.peer.send(ActionRequired("passkey"))
    assert pairing.failed().reason is Reason.ACTION_TIMED_OUT
    assert anyio.current_time() - began == pytest.approx(205)


async def test_a_new_code_ends_what_was_asked_of_the_person_before() -> None:
    """Whoever gets a new code begins anew: nothing is required, and the code's clock runs."""
    async with Pairing(policy=Policy(refreshes=0, grace=0)) as pairing:
        pairing.peer.send(ActionRequired("passkey"))
        pairing.peer.send(QRUpdated(QRCode("second", expires_in=30)))
        await settle()
        assert pairing.lifecycle.action is None
        began = anyio.current_time()
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - began == pytest.approx(30)


@pytest.mark.parametrize("action", ["", "x" * 65, None, 5])
def test_an_action_is_a_word(action: Any) -> None:
    """What nobody could be told is refused where it is made."""
    with pytest.raises(InvalidValue, match="at most 64 characters"):
        ActionRequired(action)


def codes_of(pairing: Pairing) -> tuple[QRCode | None, PairingCode | None]:
    """What there is to scan, and what to type."""
    return pairing.lifecycle.qr, pairing.lifecycle.pairing_code


async def test_a_code_to_type_has_the_same_lifecycle() -> None:
    """A `PairingCode` is told by its own hook, expires, is replaced, and links like a picture."""
    typed: list[PairingCode] = []
    codes = [PairingCode("ABCD-2222", expires_in=10), PairingCode("ABCD-1111", expires_in=10)]
    policy = Policy(grace=0)

    async def request() -> PairingCode:
        return codes.pop()

    async with Pairing(request, on_pairing_code=typed.append, policy=policy) as pairing:
        assert codes_of(pairing) == (None, PairingCode("ABCD-1111"))
        await anyio.sleep(10.5)
        assert codes_of(pairing) == (None, PairingCode("ABCD-2222"))
        pairing.peer.send(QRUpdated(QRCode("a picture after all")))
        await settle()
        assert codes_of(pairing) == (QRCode("a picture after all"), None)
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert [code.reveal() for code in typed] == ["ABCD-1111", "ABCD-2222"]
    assert "ABCD" not in repr(typed)


async def test_whatsapps_codes_live_for_60_and_then_20_seconds() -> None:
    """The ready-made policy counts as WhatsApp does, where the server does not say."""
    ageless = [QRCode(str(number)) for number in range(3)]
    policy = replace(WHATSAPP, grace=0.0, refreshes=0)

    async def request() -> QRCode:
        return ageless[0]

    began = anyio.current_time()
    async with Pairing(request, policy=policy) as pairing:
        for rotated, lifetime in zip(ageless[1:], (60, 20), strict=True):
            await anyio.sleep(lifetime - 1)
            pairing.peer.send(QRUpdated(rotated))
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - began == pytest.approx(59 + 19 + 20)


# Triggers


async def test_generate_while_displayed_fetches_a_fresh_code_and_a_fresh_budget() -> None:
    """The person may ask for another code; the old socket is closed before the new one opens."""
    async with Pairing(policy=Policy(refreshes=1)) as pairing:
        await anyio.sleep(64)
        assert len(pairing.peer.transports) == 2
        pairing.lifecycle.generate()
        await settle()
        assert pairing.lifecycle.state is State.DISPLAYED
        assert (len(pairing.peer.transports), pairing.peer.most_sockets) == (3, 1)
    assert pairing.failed().reason is Reason.REFRESHES_USED_UP
    assert len(pairing.peer.transports) == 4


async def test_generate_decides_at_once_and_pair_walks_from_there() -> None:
    """Outside `pair()`, `generate()` moves to `generating`; the next `pair()` fetches the code."""
    lifecycle = QRLifecycle(request_qr, ScriptedPeer())
    lifecycle.generate()
    assert lifecycle.state is State.GENERATING
    with pytest.raises(EventRefused):
        lifecycle.generate()
    changes = lifecycle.changes()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        assert lifecycle.cancel()
    assert (await anext(changes)).event is Event.QR_READY


@pytest.mark.parametrize("request_", [hang, request_qr])
async def test_cancel_leaves_from_wherever_it_is(request_: Callable[[], Awaitable[Any]]) -> None:
    """`cancel()` ends the attempt from `generating` and from `displayed`, and says that it did."""
    async with Pairing(request_) as pairing:
        assert pairing.lifecycle.cancel() is True
    assert pairing.failed().reason is Reason.CANCELLED
    assert pairing.lifecycle.state is State.IDLE
    assert pairing.lifecycle.cancel() is False
    assert pairing.peer.open_sockets == 0


async def test_cancel_while_opening_leaves_no_socket() -> None:
    """A cancellation in the middle of a handshake takes the half-made socket along."""
    async with Pairing(openings=(Fault.HUNG_HALFWAY,)) as pairing:
        assert pairing.peer.open_sockets == 1
        pairing.lifecycle.cancel()
    assert pairing.peer.open_sockets == 0
    assert pairing.lifecycle.state is State.IDLE


async def test_cancel_while_leaving_for_another_code_is_not_lost() -> None:
    """Whoever goes away while an old code is being closed is not shown a new one."""
    async with Pairing(closings=(Fault.SLOW,)) as pairing:
        pairing.lifecycle.generate()
        assert pairing.lifecycle.cancel() is True
        assert pairing.lifecycle.cancel() is False
    assert pairing.failed().reason is Reason.CANCELLED
    assert len(pairing.peer.transports) == 1


async def test_after_the_success_was_decided_nothing_else_is_accepted() -> None:
    """While the transport of a success is closing, the table is closed for other events."""
    async with Pairing(closings=(Fault.SLOW,)) as pairing:
        pairing.peer.send(Paired("me"))
        await settle()
        assert pairing.lifecycle.state is State.DISPLAYED
        assert pairing.lifecycle.cancel() is False
        with pytest.raises(EventRefused, match="already being left"):
            pairing.lifecycle.generate()
    assert isinstance(pairing.outcome, Connected)


async def test_reset_makes_ready_for_another_round() -> None:
    """From an end `reset()` leads to `idle`; elsewhere it is refused and changes nothing."""
    async with Pairing() as pairing:
        with pytest.raises(EventRefused) as caught:
            pairing.lifecycle.reset()
        assert (caught.value.state, caught.value.event) == (State.DISPLAYED, Event.RESET)
        assert pairing.lifecycle.state is State.DISPLAYED
        pairing.peer.send(Paired())
    pairing.lifecycle.reset()
    assert pairing.lifecycle.state is State.IDLE


async def test_a_second_pair_is_a_typed_error() -> None:
    """While one `pair()` runs another raises, and the first goes on undisturbed."""
    async with Pairing() as pairing:
        with pytest.raises(PairingInProgress, match="state 'displayed'"):
            await pairing.lifecycle.pair()
        pairing.peer.send(Paired())
    assert isinstance(pairing.outcome, Connected)


async def test_a_trigger_from_another_thread_is_a_typed_error() -> None:
    """A trigger from another thread raises there and moves nothing here."""
    caught: list[BaseException] = []

    def elsewhere(lifecycle: QRLifecycle) -> None:
        try:
            lifecycle.generate()
        except WrongThread as error:
            caught.append(error)

    async with Pairing() as pairing:
        thread = threading.Thread(target=elsewhere, args=[pairing.lifecycle])
        thread.start()
        thread.join()
        assert pairing.lifecycle.state is State.DISPLAYED
        pairing.lifecycle.cancel()
    assert "anyio.from_thread.run_sync" in str(caught[0])


# What the embedding program did wrong


async def test_a_wrong_answer_of_request_qr_comes_out_of_pair() -> None:
    """A `request_qr` that gives back text is told what to give back; the state is `failed`."""

    async def wrong() -> Any:
        return "just text"

    lifecycle = QRLifecycle(wrong, ScriptedPeer(), on_change=lambda _change: None)
    with pytest.raises(WrongAnswer, match="gave back str; give back a code or Paired"):
        await lifecycle.pair()
    assert lifecycle.state is State.FAILED


async def test_a_request_qr_that_is_not_async_comes_out_of_pair() -> None:
    """A plain function is told to be an async one, before anything is awaited."""

    def plain() -> Any:
        return QRCode("a code")

    with pytest.raises(WrongAnswer, match="must be an async function; it gave back QRCode"):
        await QRLifecycle(plain, ScriptedPeer()).pair()


async def test_an_error_of_the_transport_factory_comes_out_of_pair() -> None:
    """A factory that raises is the program's own bug; the state is `failed`."""

    def broken() -> Transport:
        raise ZeroDivisionError

    lifecycle = QRLifecycle(request_qr, broken)
    with pytest.raises(ZeroDivisionError):
        await lifecycle.pair()
    assert lifecycle.state is State.FAILED
    assert not lifecycle.socket_open


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_qr": "http://service.example"},
        {"transport": 5},
        {"policy": {"refreshes": 3}},
        {"on_connected": "x"},
    ],
)
async def test_a_thing_of_the_wrong_kind_is_refused_when_it_is_given(wrong: dict[str, Any]) -> None:
    """Not when it is first used: the error names the argument."""
    arguments: dict[str, Any] = {"request_qr": request_qr, "transport": ScriptedPeer()}
    with pytest.raises(WrongAnswer, match=next(iter(wrong))):
        QRLifecycle(**{**arguments, **wrong})


@pytest.mark.parametrize("made", [None, "a transport", ScriptedPeer])
async def test_a_factory_that_makes_no_transport_is_told_so(made: object) -> None:
    """What a factory gives back must be a `Transport`; anything else comes out of `pair()`."""
    factory: Any = lambda: made  # noqa: E731
    with pytest.raises(WrongAnswer, match="no Transport"):
        await QRLifecycle(request_qr, factory).pair()


async def test_a_failing_request_qr_is_logged_with_its_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug in `request_qr` is an outcome, and a warning that says where; never its text."""

    async def buggy() -> QRCode | Paired:
        raise LookupError("token-of-a-user")

    async with Pairing(buggy) as pairing:
        pass
    assert repr(pairing.failed()) == "Failed(reason='generating_failed', error=LookupError)"
    assert "request_qr raised LookupError" in caplog.text
    assert "test_lifecycle.py" in caplog.text
    assert "token-of-a-user" not in caplog.text.replace('LookupError("token-of-a-user")', "")


def _breaks(_identity: str | None) -> NoReturn:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("expectation", "says"),
    [
        (_breaks, "expect_identity raised ZeroDivisionError"),
        (lambda _identity: "yes", "expect_identity gave back str, not True or False"),
    ],
)
async def test_an_expectation_that_decides_nothing_is_logged(
    expectation: Any, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """To the person it is a wrong identity; the log says that a function has to be mended."""
    async with Pairing(expect_identity=expectation) as pairing:
        pairing.peer.send(Paired("me"))
    assert pairing.failed().reason is Reason.WRONG_IDENTITY
    assert says in caplog.text


async def test_promise_7_a_transport_that_hands_over_nonsense_ends_the_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is no `Signal` is a broken contract: the attempt ends, the socket is closed."""
    async with Pairing(policy=ONCE) as pairing:
        pairing.peer.transports[-1].buffer._signals.append("paired")  # type: ignore[arg-type]
        pairing.peer.transports[-1].buffer._wake()
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    assert "broke its contract: it raised TypeError" in caplog.text
    assert pairing.peer.open_sockets == 0


def test_an_abort_that_must_be_awaited_is_refused_when_it_is_written() -> None:
    """`abort()` is the last resort and plain; an async one is told so at the class."""
    with pytest.raises(TypeError, match=r"Slow.abort\(\) must be a plain function"):

        class Slow(Transport):
            async def abort(self) -> None:  # type: ignore[override]
                """Not plain."""


# Promise 5


@pytest.mark.parametrize("after", [0, 0.25, 0.5, 0.75, 30.0])
@pytest.mark.parametrize("closing", list(Fault))
async def test_promise_5_a_cancellation_from_outside_goes_on(after: float, closing: Fault) -> None:
    """Cancelled at any await, the socket is closed, the state legal, the cancellation goes on."""
    peer = ScriptedPeer(openings=(Fault.SLOW,), closings=(closing,))
    lifecycle = QRLifecycle(request_qr, peer, policy=Policy(close_timeout=0.2))
    with anyio.move_on_after(after) as scope:
        await lifecycle.pair()
    assert scope.cancelled_caught
    assert lifecycle.state is State.IDLE
    assert not lifecycle.socket_open
    assert peer.open_sockets == 0


async def test_promise_5_a_cancellation_while_a_code_is_closed_asks_for_no_other() -> None:
    """The goodbye is shielded from it; what comes after is not even begun."""
    asked: list[State] = []

    async def request() -> QRCode:
        asked.append(lifecycle.state)
        return QRCode("first")

    lifecycle = QRLifecycle(request, ScriptedPeer(closings=(Fault.SLOW,)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        lifecycle.generate()
        await settle()
        tasks.cancel_scope.cancel()
    assert asked == [State.GENERATING]
    assert lifecycle.state is State.IDLE


async def test_promise_5_a_success_that_is_closing_survives_a_cancellation() -> None:
    """A cancellation while the success's transport closes goes on, and the state is `connected`."""
    peer = ScriptedPeer(closings=(Fault.SLOW,))
    told: list[Connected] = []
    lifecycle = QRLifecycle(request_qr, peer, on_connected=told.append)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        peer.send(Paired("me"))
        await settle()
        tasks.cancel_scope.cancel()
    assert lifecycle.state is State.CONNECTED
    assert told == [Connected("me")]
    assert peer.open_sockets == 0


@asyncio_only
@pytest.mark.parametrize("trigger", ["generate", "cancel"])
async def test_promise_5_a_native_cancellation_in_a_goodbye_ends_in_idle(trigger: str) -> None:
    """A shield of anyio's does not hold it; nobody goes on to another code that nobody awaits."""
    peer = ScriptedPeer(closings=(Fault.HUNG,))
    lifecycle = QRLifecycle(request_qr, peer)
    task = asyncio.ensure_future(lifecycle.pair())
    await settle()
    getattr(lifecycle, trigger)()
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lifecycle.state is State.IDLE
    assert not lifecycle.cancel()
    assert peer.open_sockets == 0


@asyncio_only
async def test_promise_5_a_success_that_is_closing_survives_a_native_cancellation() -> None:
    """No shield holds it, the cancellation goes on, and yet the account is linked."""
    peer = ScriptedPeer(closings=(Fault.HUNG,))
    lifecycle = QRLifecycle(request_qr, peer)
    task = asyncio.ensure_future(lifecycle.pair())
    await settle()
    peer.send(Paired("me"))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lifecycle.state is State.CONNECTED
    assert peer.open_sockets == 0


@asyncio_only
@pytest.mark.parametrize("trigger", ["generate", "cancel"])
async def test_promise_5_a_read_that_swallows_cancellations_hides_none(trigger: str) -> None:
    """However badly `check_status` behaves, the cancellation of `pair()` goes on."""

    async def swallow() -> Signal | None:
        with suppress(BaseException):
            await asyncio.sleep(3)
        return None

    lifecycle = QRLifecycle(request_qr, ScriptedPeer(), check_status=swallow)
    task = asyncio.ensure_future(lifecycle.pair())
    await settle()
    getattr(lifecycle, trigger)()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lifecycle.state is State.IDLE


@asyncio_only
@pytest.mark.parametrize("role", ["check_status", "on_qr_updated"])
async def test_somebody_elses_cancellation_is_a_fault_and_no_more(
    role: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A read or a hook that awaits a task which is cancelled has failed; `pair()` has not."""

    async def wait_for_another(*_arguments: object) -> Any:
        another = asyncio.ensure_future(asyncio.sleep(100))
        another.cancel()
        await another

    options: dict[str, Any] = {role: wait_for_another}
    async with Pairing(**options) as pairing:
        await anyio.sleep(1)
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert "CancelledError" in caplog.text


@asyncio_only
async def test_promise_5_a_native_cancellation_waits_for_no_hook() -> None:
    """Whoever cancels `pair()` gets it back at once: async hooks are cancelled with it."""
    lifecycle = QRLifecycle(request_qr, ScriptedPeer(), on_qr_updated=lambda _qr: hang())
    task = asyncio.ensure_future(lifecycle.pair())
    await settle()
    began = anyio.current_time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert anyio.current_time() == began


@asyncio_only
@pytest.mark.parametrize("hooks", [{}, {"on_change": lambda _change: None}])
async def test_a_request_that_somebody_else_cancelled_comes_out_of_pair(
    hooks: dict[str, Any],
) -> None:
    """It is a cancellation, whoever meant it; that there are hooks makes no difference."""
    shared = asyncio.ensure_future(hang())

    async def be_impatient() -> None:
        with anyio.move_on_after(1):
            await shared

    lifecycle = QRLifecycle(lambda: shared, ScriptedPeer(), **hooks)
    pairing, other = asyncio.ensure_future(lifecycle.pair()), asyncio.ensure_future(be_impatient())
    await asyncio.wait([pairing, other])
    assert pairing.cancelled()
    assert lifecycle.state is State.IDLE


@pytest.mark.parametrize("broken", ["abort", "dropped"])
async def test_a_transport_that_cannot_even_be_aborted_does_not_hide_the_end(
    broken: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its contract is broken, and said to be; the success stands, and is told."""

    def fail(*_arguments: object) -> NoReturn:
        raise ZeroDivisionError

    broken_one: Any = property(fail) if broken == "dropped" else fail
    monkeypatch.setattr(ScriptedTransport, broken, broken_one)
    async with Pairing() as pairing:
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert "abort() raised ZeroDivisionError" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("check_status", [None, hang])
def test_promise_5_a_task_thrown_away_with_its_loop_shuts_its_socket(check_status: Any) -> None:
    """If the event loop is closed under `pair()`, the socket is shut when its coroutine is."""
    peer = ScriptedPeer(openings=(Fault.HUNG_HALFWAY,))
    lifecycle = QRLifecycle(request_qr, peer, check_status=check_status)
    loop = asyncio.new_event_loop()
    coroutine = lifecycle.pair()
    task = loop.create_task(coroutine)
    while not peer.open_sockets:
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert not task.done()
    with suppress(RuntimeError):  # no scope can be left properly without its loop
        coroutine.close()
    assert peer.open_sockets == 0
    assert not lifecycle.socket_open


# Promise 6


async def test_promise_6_the_code_is_forgotten_when_displayed_is_left() -> None:
    """Once `displayed` is left nothing in the library keeps the code alive."""
    codes: list[weakref.ref[QRCode]] = []

    async def request() -> QRCode | Paired:
        code = QRCode("secret")
        codes.append(weakref.ref(code))
        return code

    async with Pairing(request, policy=ONCE) as pairing:
        changes = pairing.lifecycle.changes()
        pairing.peer.break_link()
    gc.collect()
    assert pairing.failed().error is not None
    assert changes is not None
    assert [code() for code in codes] == [None]


async def test_promise_6_no_text_shows_the_code(caplog: pytest.LogCaptureFixture) -> None:
    """Neither repr nor log at DEBUG nor a raising hook's complaint shows a payload."""
    caplog.set_level(logging.DEBUG)

    def tell(qr: QRCode) -> None:
        raise ValueError(f"cannot draw {qr.reveal()}")

    async with Pairing(on_qr_updated=tell) as pairing:
        pairing.peer.send(QRUpdated(QRCode("second")))
        texts = repr(pairing.lifecycle) + repr(pairing.lifecycle.qr)
        await settle()
        pairing.lifecycle.cancel()
    texts += caplog.text
    assert "on_qr_updated raised ValueError" in texts
    assert "cannot draw first" not in texts.replace("{qr.reveal()}", "")
    assert "second" not in texts.replace('QRCode("second")', "")


# Signals that do not fit


@pytest.mark.parametrize("kind", [Signal, QRExpired])
async def test_promise_7_a_signal_that_does_not_fit_is_dropped_and_counted(
    kind: type[Signal], caplog: pytest.LogCaptureFixture
) -> None:
    """Promise 7: a signal that the state does not accept moves nothing and raises nothing."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")

    class OutOfPlace(kind):  # type: ignore[misc,valid-type]
        event = Event.QR_READY

    async with Pairing() as pairing:
        pairing.peer.send(OutOfPlace())
        await settle()
        assert pairing.lifecycle.state is State.DISPLAYED
        assert pairing.lifecycle.dropped == {"qr_ready": 1}
        assert caplog.messages[-1] == "signal for 'qr_ready' dropped in state 'displayed'"
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


async def test_promise_7_a_signal_of_an_unknown_kind_breaks_the_contract() -> None:
    """Nobody knows what it carries; the error says whose class it was."""

    class Strange(Signal):
        event = Event.SCANNED

    async with Pairing(policy=ONCE) as pairing:
        pairing.peer.send(Strange())
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    assert str(pairing.failed().error) == "Strange carries nothing that is known"


async def test_promise_7_a_signal_out_of_place_raises_nothing() -> None:
    """Nor does it break the link that brought it: what was wrong was not the link."""

    class OutOfPlace(Signal):
        event = Event.QR_READY

    peer = ScriptedPeer()
    lifecycle = QRLifecycle(request_qr, peer)
    raised: list[Exception] = []

    async def pair() -> None:
        try:
            await lifecycle.pair()
        except Exception as error:
            raised.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair)
        await settle()
        peer.send(OutOfPlace())
        await settle()
        peer.send(Paired("me"))
    assert raised == []
    assert len(peer.transports) == 1


# Watching


async def test_changes_tells_every_row_and_ends_with_the_attempt() -> None:
    """`changes()` yields each change in order and ends with the one that carries the outcome."""
    seen: list[Change] = []
    peer = ScriptedPeer()
    lifecycle = QRLifecycle(request_qr, peer)

    async def watch() -> None:
        seen.extend([change async for change in lifecycle.changes()])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await settle()
        tasks.start_soon(lifecycle.pair)
        await settle()
        peer.send(Paired("me"))
    assert [(c.source, c.event, c.target) for c in seen] == [
        (State.IDLE, Event.GENERATE, State.GENERATING),
        (State.GENERATING, Event.QR_READY, State.DISPLAYED),
        (State.DISPLAYED, Event.QR_UPDATED, State.DISPLAYED),
        (State.DISPLAYED, Event.PAIRED, State.CONNECTED),
    ]
    assert [c.outcome for c in seen] == [None, None, None, Connected("me")]


async def test_async_hooks_run_in_order_and_are_waited_for() -> None:
    """Async hooks run beside the lifecycle, each in order, and `pair()` returns when they ended."""
    heard: list[object] = []

    async def slowly(item: object) -> None:
        await anyio.sleep(1)
        heard.append(item)

    async with Pairing(on_change=slowly, on_connected=slowly) as pairing:
        pairing.peer.send(Paired("me"))
        await settle()
        assert pairing.lifecycle.state is State.CONNECTED
        assert pairing.outcome is None
    events = [item.event for item in heard if isinstance(item, Change)]
    assert events == [Event.GENERATE, Event.QR_READY, Event.QR_UPDATED, Event.PAIRED]
    assert Connected("me") in heard


@pytest.mark.parametrize("closing", [Fault.NONE, Fault.HUNG])
async def test_a_slow_hook_does_not_delay_the_closing(closing: Fault) -> None:
    """A hook that never ends is cut off; meanwhile the socket has long been closed."""

    async def never(item: object) -> None:
        await anyio.sleep_forever()

    policy = Policy(hook_timeout=5, close_timeout=0.5)
    began = anyio.current_time()
    async with Pairing(
        closings=(closing,), on_change=never, on_connected=never, policy=policy
    ) as p:
        p.peer.send(Paired())
        await anyio.sleep(0.6)
        assert p.peer.open_sockets == 0
        assert p.lifecycle.state is State.CONNECTED
    assert isinstance(p.outcome, Connected)
    assert anyio.current_time() - began < 5 * 5


async def test_a_raising_hook_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Plain or async, a hook's error is logged with its place, and the attempt goes on."""

    def plain(item: object) -> None:
        raise ZeroDivisionError

    async def later(item: object) -> None:
        raise LookupError

    async with Pairing(on_change=plain, on_qr_updated=later, on_connected=later) as pairing:
        pairing.peer.send(Paired())
    assert isinstance(pairing.outcome, Connected)
    assert "on_change raised ZeroDivisionError" in caplog.text
    assert "on_connected raised LookupError" in caplog.text
    assert "test_lifecycle.py" in caplog.text


async def test_a_hook_may_trigger_and_everybody_sees_one_order() -> None:
    """A hook that calls a trigger finds it decided at once; the others hear of both in order."""
    lifecycle: QRLifecycle
    heard: list[Event] = []

    def cancel_when_ready(change: Change) -> None:
        heard.append(change.event)
        if change.event is Event.QR_READY:
            assert lifecycle.cancel()

    lifecycle = QRLifecycle(request_qr, peer := ScriptedPeer(), on_change=cancel_when_ready)
    changes = lifecycle.changes()
    assert await lifecycle.pair() == Failed(Reason.CANCELLED)
    assert heard == [Event.GENERATE, Event.QR_READY, Event.CANCEL]
    assert [change.event async for change in changes] == heard
    assert peer.transports == []


async def test_a_hook_may_start_over_after_a_failure() -> None:
    """`generate()` from `on_connection_failed` leaves the lifecycle ready for the next `pair()`."""
    lifecycle: QRLifecycle
    answers: Iterator[OSError | Paired] = iter([OSError("down"), Paired("me")])

    async def request() -> QRCode | Paired:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    def retry(failed: Failed) -> None:
        lifecycle.generate()

    lifecycle = QRLifecycle(request, ScriptedPeer(), on_connection_failed=retry)
    assert isinstance(await lifecycle.pair(), Failed)
    assert lifecycle.state is State.GENERATING
    assert await lifecycle.pair() == Connected("me", already_linked=True)


async def test_a_change_outside_pair_is_told_to_an_async_hook_by_the_next_pair() -> None:
    """An async hook needs an owner: what happens outside `pair()` is told when one runs."""
    heard: list[Event] = []

    async def hear(change: Change) -> None:
        heard.append(change.event)

    async def linked() -> QRCode | Paired:
        return Paired()

    lifecycle = QRLifecycle(linked, ScriptedPeer(), on_change=hear)
    await lifecycle.pair()
    lifecycle.reset()
    assert heard == [Event.GENERATE, Event.PAIRED]
    await lifecycle.pair()
    assert heard == [Event.GENERATE, Event.PAIRED, Event.RESET, Event.GENERATE, Event.PAIRED]


async def test_an_async_hook_is_told_by_the_next_pair_also_after_a_cancellation() -> None:
    """Nothing of a `pair()` that was cancelled is kept, so a trigger finds what it needs."""
    heard: list[Event] = []

    async def hear(change: Change) -> None:
        heard.append(change.event)

    lifecycle = QRLifecycle(request_qr, ScriptedPeer(), on_change=hear)
    with anyio.move_on_after(1):
        await lifecycle.pair()
    assert lifecycle._attempt is None
    heard.clear()
    lifecycle.generate()
    assert heard == []
    with anyio.move_on_after(1):
        await lifecycle.pair()
    assert heard[:2] == [Event.GENERATE, Event.QR_READY]


def test_an_infinite_deadline_is_no_deadline() -> None:
    """Every time but the closing's may be infinite."""
    Policy(attempt_timeout=math.inf, qr_lifetime=math.inf, open_timeout=math.inf)


# Promises 1, 2 and 3, each where it is kept


def expire(pairing: Pairing) -> None:
    """Let the service say that the code ran out."""
    pairing.peer.send(QRExpired())


def link(pairing: Pairing) -> None:
    """Let the service say that an account is linked."""
    pairing.peer.send(Paired("me"))


def refuse(pairing: Pairing) -> None:
    """Let the service say no."""
    pairing.peer.send(ConnectionFailed(Reason.CONFLICT))


@pytest.mark.parametrize("closing", [Fault.NONE, Fault.SLOW, Fault.BROKEN, Fault.HUNG])
@pytest.mark.parametrize(
    "leave",
    [
        expire,
        link,
        refuse,
        lambda pairing: pairing.lifecycle.cancel(),
        lambda pairing: pairing.lifecycle.generate(),
        lambda pairing: pairing.peer.break_link(),
    ],
)
async def test_promise_1_the_socket_is_gone_before_anybody_is_told_of_the_next_state(
    leave: Callable[[Pairing], object], closing: Fault
) -> None:
    """Whatever leads out of `displayed`, whoever sees another state sees no socket."""
    seen: list[tuple[State, int]] = []

    def look(change: Change) -> None:
        seen.append((pairing.lifecycle.state, pairing.peer.open_sockets))

    policy = replace(ONCE, grace=0, close_timeout=1)
    pairing = Pairing(closings=(closing,), policy=policy, on_change=look)
    pairing.peer.watch = lambda: seen.append((pairing.lifecycle.state, pairing.peer.open_sockets))
    async with pairing:
        assert pairing.peer.open_sockets == 1
        leave(pairing)
        await anyio.sleep(2)
        pairing.lifecycle.cancel()
    assert (State.DISPLAYED, 1) in seen
    assert [state for state, sockets in seen if sockets and state is not State.DISPLAYED] == []


@pytest.mark.parametrize("closing", [Fault.SLOW, Fault.HUNG])
@pytest.mark.parametrize("outside", [True, False])
async def test_promise_2_a_goodbye_has_its_time_and_no_more_even_under_a_cancellation(
    closing: Fault, outside: bool
) -> None:
    """It is not cut short by a cancellation, and when its time is over the door is shut."""
    peer = ScriptedPeer(closings=(closing,))
    lifecycle = QRLifecycle(request_qr, peer, policy=Policy(close_timeout=2))
    seen: list[tuple[int, State]] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        if outside:
            tasks.cancel_scope.cancel()
        else:
            lifecycle.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2.5)
            seen.append((peer.open_sockets, lifecycle.state))
            peer.let_go.set()
    assert seen == [(0, State.IDLE)]
    seconds = 0.5 if closing is Fault.SLOW else 2
    assert [goodbye.seconds for goodbye in peer.goodbyes] == [pytest.approx(seconds)]


async def test_promise_3_a_second_pair_is_refused_and_opens_no_socket() -> None:
    """Whoever calls `pair()` while one runs is told so, and disturbs nothing."""
    async with Pairing() as pairing:
        refused: object = None
        try:
            await pairing.lifecycle.pair()
        except Exception as error:
            refused = error
        assert isinstance(refused, PairingInProgress)
        assert len(pairing.peer.transports) == 1
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


async def test_a_lifecycle_says_where_it_stands() -> None:
    """Its repr has the state and the socket; nothing was dropped before anything came."""
    async with Pairing(hang) as pairing:
        assert repr(pairing.lifecycle) == "<QRLifecycle generating, socket closed>"
        pairing.lifecycle.cancel()
    async with Pairing() as pairing:
        assert repr(pairing.lifecycle) == "<QRLifecycle displayed, socket open>"
        pairing.lifecycle.cancel()
    assert repr(pairing.lifecycle) == "<QRLifecycle idle, socket closed>"
    assert pairing.lifecycle.dropped == {}


async def _knows_nobody(_identity: str | None) -> bool:
    return False


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"check_status": 7}, "check_status must be a function that is called later, not int"),
        ({"on_change": "me"}, "on_change must be a function that is called later, not str"),
        ({"recorders": 7}, "recorders must be a list of plain functions, not int"),
        ({"expect_identity": 7}, "expect_identity must be text or a plain function"),
        ({"expect_identity": _knows_nobody}, "must be a plain function, not an async one"),
    ],
)
def test_what_cannot_be_used_is_refused_when_it_is_given(wrong: dict[str, Any], says: str) -> None:
    """Before any attempt, and with the kind of what was given."""
    with pytest.raises(WrongAnswer, match=says):
        QRLifecycle(request_qr, ScriptedPeer(), **wrong)
