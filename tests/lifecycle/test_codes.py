"""Codes and their clocks: what is shown, for how long, and what comes after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import anyio
import pytest

from qrlifecycle import (
    WHATSAPP,
    Cancelled,
    Connected,
    Failed,
    Paired,
    PairingCode,
    PairingRefused,
    Policy,
    QRCode,
    QRExpired,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    State,
    TransportLost,
    TransportUnreachable,
)
from qrlifecycle.testing import Fault, ScriptedPeer, ScriptedTransport, settle

from ..pairing import ONCE, Pairing, be_busy, hang, request_qr

pytestmark = pytest.mark.anyio


async def test_an_expired_code_is_replaced_while_the_budget_lasts() -> None:
    """Each code that runs out asks for another, over a socket of its own, until none is left."""
    asked: list[float] = []

    async def request() -> QRCode | Paired:
        asked.append(anyio.current_time())
        return QRCode(f"code {len(asked)}", expires_in=10)

    async with Pairing(request, policy=Policy(max_refreshes=2, expiry_grace=0)) as pairing:
        pass
    assert pairing.failed().reason is Reason.CODES_USED_UP
    assert [round(when - asked[0]) for when in asked] == [0, 10, 20]
    assert len(pairing.peer.transports) == 3
    assert pairing.peer.most_sockets == 1


@pytest.mark.parametrize("max_codes", [2, 20])
async def test_without_a_budget_the_first_expiry_ends_the_attempt(max_codes: int) -> None:
    """With no refreshes the reason is "expired", and the service is asked once."""
    async with Pairing(policy=Policy(max_refreshes=0, max_codes=max_codes)) as pairing:
        pass
    assert pairing.failed().reason is Reason.EXPIRED
    assert len(pairing.peer.transports) == 1


async def test_codes_that_the_service_pushes_are_bounded_like_those_that_are_asked_for() -> None:
    """Whoever makes them, `max_codes` are shown; one more ends the attempt instead, at once."""
    shown: list[QRCode] = []
    began = anyio.current_time()
    async with Pairing(policy=Policy(max_codes=3), on_qr_updated=shown.append) as pairing:
        for name in ("second", "second", "third", "fourth", "fifth"):
            pairing.peer.send(QRUpdated(QRCode(name)))
            await settle()
    assert pairing.failed().reason is Reason.CODES_USED_UP
    assert "the 3 codes that policy.max_codes allows; " in str(pairing.failed().error)
    assert (pairing.lifecycle.state, anyio.current_time()) == (State.FAILED, began)
    assert shown == [QRCode("first"), QRCode("second"), QRCode("third")]
    assert len(pairing.peer.transports) == 1


async def test_promise_4_a_code_too_many_gives_up_no_success_that_was_missed() -> None:
    """The status is read once more before the attempt ends."""
    answers: Iterator[Signal | None] = iter([None, Paired("me")])

    async def check_status() -> Signal | None:
        return next(answers)

    async with Pairing(policy=Policy(max_codes=1), check_status=check_status) as pairing:
        pairing.peer.send(QRUpdated(QRCode("second")))
    assert pairing.outcome == Connected("me")


async def test_both_budgets_bound_the_codes_that_are_asked_for() -> None:
    """An expired code is replaced while there is a refresh, and a code, left."""
    for policy in (
        Policy(max_refreshes=1, max_codes=9),
        Policy(max_refreshes=9, max_codes=2),
        Policy(max_refreshes=0, max_codes=1),
    ):
        async with Pairing(policy=policy) as pairing:
            pass
        assert pairing.failed().reason is Reason.CODES_USED_UP
        assert len(pairing.peer.transports) == min(policy.max_refreshes + 1, policy.max_codes)


async def test_a_code_that_was_never_shown_spends_nothing() -> None:
    """What came and went while no transport listened is no code on screen."""
    answers = iter([None, *(QRUpdated(QRCode(f"unseen {n}")) for n in range(5))])

    async def check_status() -> Signal | None:
        return next(answers, None)

    policy = Policy(max_codes=2, status_interval=0.1, reconnect_delay=8, reconnect_delay_max=8)
    shown: list[QRCode] = []
    async with Pairing(
        policy=policy, check_status=check_status, on_qr_updated=shown.append
    ) as pairing:
        pairing.peer.break_connection()
        await anyio.sleep(9)
        assert shown == [QRCode("first"), QRCode("unseen 4")]
        pairing.lifecycle.cancel()


async def test_a_person_who_asks_has_as_many_codes_again() -> None:
    """`generate()` is a person's wish, so both budgets start anew."""
    codes = (QRCode(f"code {n}", expires_in=10) for n in range(99))

    async def request() -> QRCode | Paired:
        return next(codes)

    async with Pairing(request, policy=Policy(max_codes=2, expiry_grace=0)) as pairing:
        await anyio.sleep(15)
        pairing.lifecycle.generate()
        await settle()
        assert pairing.lifecycle.qr == QRCode("code 2", expires_in=10)
        await anyio.sleep(15)
        assert pairing.lifecycle.qr == QRCode("code 3", expires_in=10)
    assert pairing.failed().reason is Reason.CODES_USED_UP


async def test_a_person_who_asks_from_within_the_hook_has_as_many_codes_again() -> None:
    """The code that the hook was told of is counted before it asks, and not once it has."""
    shown: list[QRCode] = []

    def ask_once(code: QRCode) -> None:
        shown.append(code)
        if len(shown) == 1:
            pairing.lifecycle.generate()

    pairing = Pairing(policy=Policy(max_codes=1), on_qr_updated=ask_once)
    async with pairing:
        for name in ("second", "third", "fourth"):
            pairing.peer.send(QRUpdated(QRCode(name)))
            await settle()
    assert pairing.failed().reason is Reason.CODES_USED_UP
    assert shown == [QRCode("first", expires_in=60)] * 2


@pytest.mark.parametrize("policy", [Policy(max_refreshes=1), Policy(max_codes=2)])
async def test_whoever_pairs_again_has_as_many_codes_again(policy: Policy) -> None:
    """What an attempt has spent is not owed by the next one, of either budget."""
    asked: list[QRCode] = []

    async def request() -> QRCode | Paired:
        asked.append(QRCode(f"code {len(asked)}", expires_in=10))
        return asked[-1]

    lifecycle = QRLifecycle(request, ScriptedPeer(), policy=policy)
    for attempt in (1, 2, 3):
        outcome = await lifecycle.pair()
        assert isinstance(outcome, Failed)
        assert outcome.reason is Reason.CODES_USED_UP
        assert len(asked) == 2 * attempt


async def test_the_server_may_say_that_the_code_ran_out() -> None:
    """`QRExpired` does what the code's own clock does."""
    async with Pairing(policy=Policy(max_refreshes=1, expiry_grace=2)) as pairing:
        pairing.peer.send(QRExpired())
        await anyio.sleep(2.1)
        assert len(pairing.peer.transports) == 2
        pairing.peer.send(QRExpired())
    assert pairing.failed().reason is Reason.CODES_USED_UP


async def test_a_success_within_the_grace_still_counts() -> None:
    """A phone that was quick enough for the service may be heard after the code's own time."""
    async with Pairing(policy=Policy(max_refreshes=0, expiry_grace=3)) as pairing:
        await anyio.sleep(62.9)
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


async def test_an_expiry_that_is_said_again_gives_no_second_grace() -> None:
    """However often the server says it, the code is given up once its grace is over."""
    began = anyio.current_time()
    async with Pairing(policy=Policy(max_refreshes=0, expiry_grace=3)) as pairing:
        while pairing.outcome is None:
            pairing.peer.send(QRExpired())
            await anyio.sleep(0.5)
    assert anyio.current_time() - began == pytest.approx(3, abs=0.5)


async def test_the_same_code_again_is_no_new_picture() -> None:
    """A server that repeats itself neither shows a code again nor gives it a longer life."""
    shown: list[QRCode] = []
    began = anyio.current_time()
    policy = Policy(max_refreshes=0, expiry_grace=0)
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
    async with Pairing(
        request, policy=Policy(max_refreshes=0, qr_lifetime=7, expiry_grace=0)
    ) as pairing:
        pass
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - began == pytest.approx(7)


async def test_the_codes_clock_starts_when_it_arrives_not_when_it_is_shown() -> None:
    """A slow opening does not lengthen a code's life: its service counts from its making."""
    began = anyio.current_time()
    policy = Policy(max_refreshes=0, qr_lifetime=7, expiry_grace=0)

    async def request() -> QRCode | Paired:
        return QRCode("ageless")

    async with Pairing(request, openings=(Fault.SLOW,), policy=policy):
        pass
    assert anyio.current_time() - began == pytest.approx(7)


async def test_a_rotation_starts_the_new_codes_clock() -> None:
    """A code that came over the wire has a lifetime of its own."""
    began = anyio.current_time()
    async with Pairing(policy=Policy(max_refreshes=0, expiry_grace=0)) as pairing:
        await anyio.sleep(50)
        pairing.peer.send(QRUpdated(QRCode("second", expires_in=30)))
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - began == pytest.approx(80)


async def test_whoever_looks_late_is_told_the_time_that_is_left() -> None:
    """Of the newest code, without the grace; of none that the phone has, nor of one to come."""
    openings = (Fault.HUNG,)
    policy = Policy(open_timeout=2, rotated_lifetime=20, expiry_grace=3)
    async with Pairing(openings=openings, policy=policy) as pairing:
        lifecycle = pairing.lifecycle

        def left() -> float | None:
            return lifecycle.code_expires_in

        assert left() is None
        await anyio.sleep(10)
        assert left() == pytest.approx(50)
        pairing.peer.send(QRUpdated(QRCode("second")))
        await settle()
        assert left() == pytest.approx(20)
        await anyio.sleep(20)
        assert left() == pytest.approx(0, abs=0.01)
        await anyio.sleep(1)
        assert left() == 0
        pairing.peer.send(Scanned())
        await settle()
        assert lifecycle.qr is not None
        assert left() is None
        pairing.peer.send(Paired())
    assert lifecycle.code_expires_in is None


async def test_scanned_stops_the_codes_clock_and_starts_the_confirmations() -> None:
    """A scanned code does not expire under the phone; but the phone has its own deadline."""
    began = anyio.current_time()
    async with Pairing(policy=Policy(max_refreshes=0, approval_timeout=100)) as pairing:
        await anyio.sleep(10)
        pairing.peer.send(Scanned())
        await anyio.sleep(60)
        pairing.peer.send(Scanned())  # said again, it does not start the deadline again
    assert pairing.failed().reason is Reason.APPROVAL_TIMED_OUT
    assert anyio.current_time() - began == pytest.approx(110)


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
    """Nobody listened in time; if the connection broke as well, that is what went wrong."""

    def be_late(transport: ScriptedTransport) -> None:
        be_busy(60)
        if error is TransportLost:
            transport.buffer.end(TransportLost("at once"))

    at_the_end_of_each_opening(monkeypatch, be_late)
    shown: list[QRCode] = []
    async with Pairing(policy=replace(ONCE, expiry_grace=0), on_qr_updated=shown.append) as pairing:
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
    assert await lifecycle.pair() == Cancelled()
    assert shown == []


async def test_a_status_that_never_answers_puts_no_deadline_off() -> None:
    """The final status check begins when the code has run out, and takes its time only then."""
    began = anyio.current_time()
    policy = replace(ONCE, max_refreshes=0, qr_lifetime=5, expiry_grace=0, final_check_timeout=10)

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
    async with Pairing(policy=Policy(confirm_success=True), check_status=unknown) as pairing:
        for signal in (Paired("me"), Paired("me"), PairingRefused(Reason.CONFLICT)):
            pairing.peer.send(signal)
            await settle()
    assert pairing.failed().reason is Reason.CONFLICT
    assert anyio.current_time() == began


async def test_an_attempt_that_is_over_asks_for_nothing_more() -> None:
    """A deadline that passes during a final status check is the end, whatever the look was for."""
    asked = 0

    async def request() -> QRCode:
        nonlocal asked
        asked += 1
        return QRCode("first", expires_in=10)

    began = anyio.current_time()
    policy = Policy(expiry_grace=0, attempt_timeout=12, final_check_timeout=5)
    async with Pairing(request, policy=policy, check_status=hang) as pairing:
        pass
    assert pairing.failed().reason is Reason.ATTEMPT_TIMED_OUT
    assert anyio.current_time() - began == pytest.approx(15)
    assert asked == 1


async def test_what_broke_is_the_reason_though_time_ran_out_in_the_final_check() -> None:
    """A deadline that came later did not end it."""
    policy = replace(ONCE, attempt_timeout=3, final_check_timeout=5)
    async with Pairing(policy=policy, check_status=hang) as pairing:
        await anyio.sleep(2)
        pairing.peer.break_connection()
    assert pairing.failed().reason is Reason.TRANSPORT_LOST


def codes_of(pairing: Pairing) -> tuple[QRCode | None, PairingCode | None]:
    """What there is to scan, and what to type."""
    return pairing.lifecycle.qr, pairing.lifecycle.pairing_code


async def test_a_code_to_type_has_the_same_lifecycle() -> None:
    """A `PairingCode` is told by its own hook, expires, is replaced, and pairs like a picture."""
    typed: list[PairingCode] = []
    codes = [PairingCode("ABCD-2222", expires_in=10), PairingCode("ABCD-1111", expires_in=10)]
    policy = Policy(expiry_grace=0)

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
    policy = replace(WHATSAPP, expiry_grace=0.0, max_refreshes=0)

    async def request() -> QRCode:
        return ageless[0]

    began = anyio.current_time()
    async with Pairing(request, policy=policy) as pairing:
        for rotated, lifetime in zip(ageless[1:], (60, 20), strict=True):
            await anyio.sleep(lifetime - 1)
            pairing.peer.send(QRUpdated(rotated))
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - began == pytest.approx(59 + 19 + 20)


def test_an_infinite_deadline_is_no_deadline() -> None:
    """Every time but the closing's may be infinite."""
    Policy(attempt_timeout=math.inf, qr_lifetime=math.inf, open_timeout=math.inf)
