"""A round from the beginning to its end: what a program is told, and how an attempt ends."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    Cancelled,
    Change,
    Connected,
    Event,
    Failed,
    InvalidValue,
    Paired,
    PairingRefused,
    PeerError,
    Policy,
    QRCode,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    ServiceRefused,
    ServiceUnavailable,
    State,
    TransportLost,
    WrongAnswer,
)
from qrlifecycle.errors import Ending
from qrlifecycle.testing import Fault, ScriptedPeer, settle

from ..pairing import ONCE, Pairing, hang, request_qr

pytestmark = pytest.mark.anyio


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
    ("error", "line", "level"),
    [
        (ServiceRefused("no more bots"), "refused_by_service: no more bots", logging.WARNING),
        (ServiceRefused("", reason=Reason.CONFLICT), "conflict", logging.INFO),
        (OSError("s3cret"), f"generating_failed: {Reason.GENERATING_FAILED.meaning}", logging.INFO),
    ],
)
async def test_a_failed_attempt_says_why_in_one_line(
    error: Exception, line: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It has the reason, and the text of an error of ours; it warns where the next fails alike."""

    async def fail() -> QRCode:
        raise error

    caplog.set_level(logging.INFO)
    await QRLifecycle(fail, ScriptedPeer()).pair()
    assert caplog.records[-1].getMessage().startswith(f"failed, {line}")
    assert caplog.records[-1].levelno == level


async def test_a_mistake_in_the_program_is_a_warning_and_of_many_ten_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others say it at INFO, so that each lifecycle has its last line."""
    wrong: Any = lambda: "no transport"  # noqa: E731
    caplog.set_level(logging.INFO)
    for _ in range(30):
        with pytest.raises(WrongAnswer):
            await QRLifecycle(request_qr, wrong).pair()
    levels = Counter(r.levelname for r in caplog.records if "failed, " in r.getMessage())
    assert levels == {"WARNING": 10, "INFO": 20}


async def test_a_cancellation_is_no_failure_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Who went away need not be told why; whoever reads the log sees that it ended."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    async with Pairing() as pairing:
        pairing.lifecycle.cancel()
    assert caplog.messages[-2:] == ["transport closed", "cancelled"]
    assert {record.levelname for record in caplog.records} == {"INFO"}


async def paired() -> QRCode | Paired:
    """A service that needs no code any more."""
    return Paired("me")


async def test_an_account_paired_already_opens_no_socket(caplog: pytest.LogCaptureFixture) -> None:
    """If the service says that the account is paired, no transport is made; the log has a line."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    async with Pairing(paired) as pairing:
        pass
    assert pairing.outcome == Connected("me", already_paired=True)
    assert pairing.peer.transports == []
    assert caplog.messages == ["connected, already paired"]


async def test_the_wrong_account_paired_already_is_not_logged_as_connected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The line says how it ended, as with any other failure."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    async with Pairing(paired, expect_identity="you") as pairing:
        pass
    assert isinstance(pairing.outcome, Failed)
    (line,) = caplog.messages
    assert line.startswith("failed, wrong_identity")


async def test_a_cancellation_that_was_first_is_not_logged_as_connected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It was decided on before the service's answer, which changes nothing any more."""

    async def cancel_and_answer() -> QRCode | Paired:
        lifecycle.cancel()
        return Paired("me")

    caplog.set_level(logging.INFO, "qrlifecycle")
    lifecycle = QRLifecycle(cancel_and_answer, ScriptedPeer())
    assert await lifecycle.pair() == Cancelled()
    assert caplog.messages == ["cancelled"]


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
        pairing.peer.send(PairingRefused())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pairing.lifecycle.pair)
        await settle()
        pairing.peer.send(Paired())
    assert pairing.lifecycle.state is State.CONNECTED
    assert len(pairing.peer.transports) == 2
    assert pairing.peer.most_sockets == 1


# Ends


async def failing(error: Exception) -> Failed:
    """How an attempt ends whose `request_qr` raises ``error``."""

    async def request() -> QRCode | Paired:
        raise error

    async with Pairing(request) as pairing:
        pass
    return pairing.failed()


async def test_a_service_that_refuses_is_named_as_the_reason() -> None:
    """`ServiceRefused` from `request_qr` ends with "refused by the service", and is the error."""
    error = ServiceRefused("not today")
    outcome = await failing(error)
    assert outcome == Failed(Reason.REFUSED_BY_SERVICE)
    assert outcome.error is error


async def test_a_refusal_may_bring_its_own_reason_along() -> None:
    """The same wrong key has one reason, whether the service says so by HTTP or on the socket."""
    error = ServiceRefused("the key is wrong", reason=Reason.AUTHENTICATION_REFUSED)
    outcome = await failing(error)
    assert outcome == Failed(Reason.AUTHENTICATION_REFUSED)
    assert outcome.error is error


async def test_a_service_that_restarts_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    """`ServiceUnavailable` is tried again with growing delays, within `generate_timeout`.

    What it says is said once, and at the end how often it was in all; each delay is at DEBUG.
    """
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    asked: list[float] = []

    async def request() -> QRCode | Paired:
        asked.append(anyio.current_time())
        if len(asked) < 5:
            raise ServiceUnavailable("the service answered HTTP 503")
        return Paired("me")

    policy = Policy(generate_retry_delay=1, generate_retry_delay_max=4)
    async with Pairing(request, policy=policy) as pairing:
        pass
    assert isinstance(pairing.outcome, Connected)
    waits = [later - earlier for earlier, later in pairwise(asked)]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, (1, 2, 4, 4), strict=True))
    text = "the service answered HTTP 503; asking for a code again, for 30 s at most"
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in said] == [text, f"4 times in all: {text}"]
    again = [line for line in caplog.messages if line.startswith("asking for a code again in ")]
    assert len(again) == 4


@pytest.mark.parametrize(
    ("asked_for", "waited"), [(3.0, 3.0), (60.0, 4.0), (0.0, 1.0), (None, 1.0)]
)
async def test_a_service_that_asks_to_wait_is_given_the_time(
    asked_for: float | None, waited: float
) -> None:
    """No longer than the longest delay, and no less than is waited anyway."""
    asked: list[float] = []

    async def request() -> QRCode | Paired:
        asked.append(anyio.current_time())
        if len(asked) == 1:
            raise ServiceUnavailable("the service answered HTTP 429", retry_after=asked_for)
        return Paired("me")

    policy = Policy(generate_retry_delay=1, generate_retry_delay_max=4)
    async with Pairing(request, policy=policy) as pairing:
        pass
    assert isinstance(pairing.outcome, Connected)
    first, second = asked
    least = waited if asked_for else waited / 2
    assert least <= second - first <= waited


async def test_a_service_that_stays_away_is_why_time_ran_out() -> None:
    """What was said last is in the outcome's error, beside the number that ran out, as its cause.

    Whichever deadline it is; and where nothing was said, that.
    """
    error, asked = ServiceUnavailable("HTTP 503", ending=Ending.TRY_LATER), 0

    async def request() -> QRCode | Paired:
        nonlocal asked
        asked += 1
        raise error

    for attempt_timeout, expected, number in [
        (99, Failed(Reason.GENERATING_TIMED_OUT), "policy.generate_timeout (20 s)"),
        (7, Failed(Reason.ATTEMPT_TIMED_OUT), "policy.attempt_timeout (7 s)"),
    ]:
        policy = Policy(generate_timeout=20, attempt_timeout=attempt_timeout)
        began = anyio.current_time()
        async with Pairing(request, policy=policy) as pairing:
            pass
        assert pairing.outcome == expected
        assert anyio.current_time() - began == pytest.approx(min(20, attempt_timeout))
        told = pairing.failed().error
        assert isinstance(told, ServiceUnavailable)
        assert told.__cause__ is error
        assert told.ending is Ending.TRY_LATER
        assert told.__traceback__ is error.__traceback__ is error.__context__ is None
        assert str(told).endswith(f"within {number}; the service's last answer: HTTP 503")
    assert asked > 5
    error = ServiceUnavailable()
    async with Pairing(request, policy=policy) as pairing:
        pass
    assert str(pairing.failed().error).endswith("the service's last answer: it is unavailable")


async def test_a_service_that_came_back_is_not_why_time_ran_out() -> None:
    """Once there was a code, what was said before it is no cause any more."""
    said: list[QRCode | ServiceUnavailable] = [ServiceUnavailable("HTTP 503"), QRCode("x")]

    async def request() -> QRCode | Paired:
        if isinstance(answer := said.pop(0), QRCode):
            return answer
        raise answer

    async with Pairing(request, policy=Policy(attempt_timeout=20)) as pairing:
        pass
    assert pairing.outcome == Failed(Reason.ATTEMPT_TIMED_OUT)
    assert "503" not in str(pairing.failed().error)


async def test_promise_5_a_service_that_is_waited_for_can_be_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`cancel()` in the delay leaves at once; the log says what was waited for, said or not."""

    async def request() -> QRCode | Paired:
        raise ServiceUnavailable

    began = anyio.current_time()
    policy = Policy(generate_retry_delay=9, generate_retry_delay_max=9)
    async with Pairing(request, policy=policy) as pairing:
        pairing.lifecycle.cancel()
    assert pairing.outcome == Cancelled()
    assert anyio.current_time() == began
    (told,) = caplog.messages
    assert told == "the service is unavailable; asking for a code again, for 30 s at most"


async def test_a_service_that_breaks_fails_the_generating() -> None:
    """Any other error of `request_qr` is an outcome too, never an exception of `pair()`."""
    error = OSError("no route")
    outcome = await failing(error)
    assert outcome == Failed(Reason.GENERATING_FAILED)
    assert outcome.error is error


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"request": hang, "policy": Policy(generate_timeout=3)}, Reason.GENERATING_TIMED_OUT),
        ({"request": hang, "policy": Policy(attempt_timeout=3)}, Reason.ATTEMPT_TIMED_OUT),
        (
            {"openings": (Fault.HUNG,), "policy": Policy(open_timeout=3, max_reconnects=0)},
            Reason.TRANSPORT_UNREACHABLE,
        ),
        (
            {"openings": (Fault.HUNG_HALFWAY,), "policy": Policy(open_timeout=3, max_reconnects=0)},
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


async def test_a_connection_that_breaks_is_named_as_the_reason() -> None:
    """A broken connection ends with "transport lost" and the transport's own error."""
    async with Pairing(policy=ONCE) as pairing:
        pairing.peer.break_connection()
    assert pairing.failed().reason is Reason.TRANSPORT_LOST
    assert isinstance(pairing.failed().error, TransportLost)


async def test_a_peer_that_closes_in_order_is_named_as_the_reason() -> None:
    """A peer that hangs up while a code is displayed has lost us the transport, too."""
    async with Pairing(policy=ONCE) as pairing:
        pairing.peer.hang_up()
    assert pairing.failed().reason is Reason.TRANSPORT_LOST


async def test_a_refusal_over_the_wire_carries_reason_and_data() -> None:
    """`PairingRefused` ends the attempt with what it carried."""
    async with Pairing() as pairing:
        pairing.peer.send(PairingRefused(Reason.REFUSED_ON_PHONE, {"why": "not me"}))
    assert pairing.outcome == Failed(Reason.REFUSED_ON_PHONE, data={"why": "not me"})


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
    policy = Policy(max_refreshes=0, approval_timeout=10, action_timeout=200)
    async with Pairing(policy=policy) as pairing:
        pairing.peer.send(Scanned())
        await anyio.sleep(5)
        pairing.peer.send(ActionRequired("passkey"))
    assert pairing.failed().reason is Reason.ACTION_TIMED_OUT
    assert anyio.current_time() - began == pytest.approx(205)


async def test_a_new_code_ends_what_was_asked_of_the_person_before() -> None:
    """Whoever gets a new code begins anew: nothing is required, and the code's clock runs."""
    async with Pairing(policy=Policy(max_refreshes=0, expiry_grace=0)) as pairing:
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


@pytest.mark.parametrize("told", [None, PeerError("HTTP 404: create it first")], ids=["no", "yes"])
async def test_promise_6_a_refusal_says_why_and_keeps_no_frame(
    told: PeerError | None, caplog: pytest.LogCaptureFixture
) -> None:
    """What a signal brings along is the outcome's error, and logged; its frames are forgotten."""
    caplog.set_level(logging.INFO)
    if told is not None:
        with suppress(PeerError):
            raise told
    async with Pairing() as pairing:
        pairing.peer.send(PairingRefused(Reason.CONFLICT, {"a": 1}, told))
    assert pairing.outcome == Failed(Reason.CONFLICT, data={"a": 1})
    error = pairing.failed().error
    assert error is told or (told is None and isinstance(error, ServiceRefused))
    assert error is not None
    assert error.__traceback__ is error.__context__ is None
    assert f"failed, conflict: {error}" in caplog.messages
    with pytest.raises(InvalidValue, match="error must be a PeerError or None"):
        PairingRefused(error=ValueError())  # type: ignore[arg-type]


async def test_a_code_that_ran_out_is_told_by_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Before the next is asked for."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    async with Pairing(policy=Policy(max_codes=2, expiry_grace=0)) as pairing:
        await anyio.sleep(61)
        assert caplog.messages.count("the code ran out") == 1
        pairing.lifecycle.cancel()


async def test_an_exit_between_two_states_is_told_by_the_log_as_a_cancellation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A hook wants to exit as it is told of the next: the state is `idle`, and the log says so."""
    caplog.set_level(logging.INFO, "qrlifecycle")

    def leave(change: Change) -> None:
        if change.target is State.DISPLAYED:
            raise SystemExit

    lifecycle = QRLifecycle(request_qr, ScriptedPeer(), on_change=leave)
    with pytest.raises(SystemExit):
        await lifecycle.pair()
    assert lifecycle.state is State.IDLE
    assert caplog.messages[-1] == "cancelled"
