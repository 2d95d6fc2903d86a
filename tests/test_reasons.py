"""Every end has a name: each reason of the closed list is reached by what really happens."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    Cancelled,
    Failed,
    Paired,
    PairingFailed,
    PairingRefused,
    PeerError,
    Policy,
    QRCode,
    QRExpired,
    QRUpdated,
    Reason,
    Scanned,
    ServiceRefused,
    Signal,
    State,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
)
from qrlifecycle.engine.failures import RAN_OUT, failure_by, log_end
from qrlifecycle.leases import Lease, LocalLeases, Lost
from qrlifecycle.outcome import REASON_OF_DEADLINE
from qrlifecycle.states import Deadline
from qrlifecycle.testing import Fault

from .pairing import ONCE, Pairing, hang, request_qr

pytestmark = pytest.mark.anyio

SECRET = "token=4711"


async def refuse() -> QRCode:
    """A service that says no."""
    raise ServiceRefused("this bot may not be paired")


async def break_down() -> QRCode:
    """A service that breaks, with a secret in the text of its error."""
    raise OSError(f"GET /qr?{SECRET}")


async def cancel(pairing: Pairing) -> None:
    """The person goes away."""
    pairing.lifecycle.cancel()


async def lose(pairing: Pairing) -> None:
    """The connection breaks."""
    pairing.peer.break_connection()


async def wait(_pairing: Pairing) -> None:
    """Let time pass."""


def cannot_draw(_qr: QRCode) -> None:
    """A hook that has no screen."""
    raise OSError(SECRET)


class OneUser(LocalLeases):
    """Leases of one user."""

    def lease_of_one(self) -> Lease:
        """A fresh one."""
        return self.lease("bot-7", "user-123")


LEASES = OneUser()


async def take_over(_pairing: Pairing) -> None:
    """Somebody else takes the lease over, and leaves."""
    lease = LEASES.lease_of_one()
    await lease.acquire(lambda _: None, 1.0)
    lease.release()


class NeverGranted(Lease):
    """A lease of a keeper that does not answer."""

    @property
    def token(self) -> int | None:
        return None

    async def acquire(self, lost: Lost, close_within: float) -> None:
        await anyio.sleep_forever()

    def release(self) -> None:
        """Nothing is held."""


def send(*signals: Signal) -> Callable[[Pairing], Awaitable[None]]:
    """Have the peer send."""

    async def act(pairing: Pairing) -> None:
        for signal in signals:
            pairing.peer.send(signal)

    return act


ENDS: dict[Reason, tuple[dict[str, Any], Callable[[Pairing], Awaitable[None]]]] = {
    Reason.GENERATING_FAILED: ({"request": break_down}, wait),
    Reason.GENERATING_TIMED_OUT: ({"request": hang}, wait),
    Reason.REFUSED_BY_SERVICE: ({"request": refuse}, wait),
    Reason.REFUSED_ON_PHONE: ({}, send(PairingRefused(Reason.REFUSED_ON_PHONE))),
    Reason.CONFLICT: ({}, send(PairingRefused(Reason.CONFLICT))),
    Reason.SUPERSEDED: ({"lease": LEASES.lease_of_one}, take_over),
    Reason.LEASE_LOST: ({"lease": NeverGranted}, wait),
    Reason.WRONG_IDENTITY: ({"expect_identity": "me"}, send(Paired("you"))),
    Reason.EXPIRED: ({"policy": Policy(max_refreshes=0)}, send(QRExpired())),
    Reason.CODES_USED_UP: ({}, wait),
    Reason.APPROVAL_TIMED_OUT: ({}, send(Scanned())),
    Reason.ACTION_TIMED_OUT: ({}, send(Scanned(), ActionRequired("passkey"))),
    Reason.ATTEMPT_TIMED_OUT: ({"policy": Policy(attempt_timeout=5)}, wait),
    Reason.AUTHENTICATION_REFUSED: ({"openings": (Fault.REFUSED,)}, wait),
    Reason.TRANSPORT_UNREACHABLE: ({"openings": (Fault.BROKEN,), "policy": ONCE}, wait),
    Reason.TRANSPORT_LOST: ({"policy": ONCE}, lose),
    Reason.SHOWING_FAILED: ({"on_qr_updated": cannot_draw}, wait),
}


def test_each_deadline_that_is_an_end_has_a_reason_a_number_and_words() -> None:
    """All but a code's own, which may be followed by another code."""
    ends = set(Deadline) - {Deadline.CODE}
    assert set(REASON_OF_DEADLINE) == set(RAN_OUT) == ends
    assert all(hasattr(Policy(), number) for _what, number, _advice in RAN_OUT.values())


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.CANCELLED])
async def test_each_reason_is_reached(reason: Reason) -> None:
    """Something real ends with each reason of the list, and the person is told a sentence."""
    options, act = ENDS[reason]
    told: list[Failed] = []
    options = {"request": request_qr, "on_connection_failed": told.append, **options}
    async with Pairing(**options) as pairing:
        await act(pairing)
    failed = pairing.failed()
    assert failed.reason is reason
    assert told == [failed]
    assert failed.error is not None
    assert pairing.peer.open_sockets == 0
    for sentence in (reason.meaning, failed.person):
        assert sentence.endswith(".")
        assert 10 < len(sentence) < 120


WORDS: dict[Reason, str] = {
    Reason.GENERATING_TIMED_OUT: (
        "in state 'generating' request_qr gave no code within policy.generate_timeout (30 s); "
    ),
    Reason.LEASE_LOST: (
        "in state 'generating' nobody gave the lease within policy.lease_timeout (30 s); "
    ),
    Reason.WRONG_IDENTITY: "an account was paired that expect_identity does not name or accept; ",
    Reason.EXPIRED: "the code ran out, and policy.max_refreshes is 0; ",
    Reason.CODES_USED_UP: "nobody scanned any of the 6 codes that policy.max_codes allows; ",
    Reason.APPROVAL_TIMED_OUT: (
        "in state 'displayed' the phone has read the code, and nothing came of it "
        "within policy.approval_timeout (180 s); "
    ),
    Reason.ACTION_TIMED_OUT: (
        "in state 'displayed' what the service requires was not done "
        "within policy.action_timeout (120 s); "
    ),
    Reason.ATTEMPT_TIMED_OUT: (
        "in state 'displayed' the attempt was not over within policy.attempt_timeout (5 s); "
    ),
    Reason.REFUSED_ON_PHONE: "the service sent a refusal, without a word of its own: The person ",
}


@pytest.mark.parametrize("reason", WORDS)
async def test_what_nobody_raised_has_words_too(
    reason: Reason, caplog: pytest.LogCaptureFixture
) -> None:
    """The outcome's error names the number of the policy, the state and what to do; so the log."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    options, act = ENDS[reason]
    async with Pairing(**options) as pairing:
        await act(pairing)
    error = pairing.failed().error
    assert isinstance(error, PeerError)
    assert str(error).startswith(WORDS[reason])
    assert len(str(error)) > len(WORDS[reason]) + 10  # what to do
    assert f"failed, {reason}: {error}" in caplog.messages


async def test_a_refusal_without_a_word_is_an_error_with_the_reason() -> None:
    """As one is that `request_qr` raises: a program that reads the error asks it alone."""
    async with Pairing() as pairing:
        pairing.peer.send(PairingRefused(Reason.CONFLICT))
    error = pairing.failed().error
    assert isinstance(error, ServiceRefused)
    assert error.reason is Reason.CONFLICT


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"max_codes": 2}, "any of the 2 codes that policy.max_codes allows; "),
        ({"max_refreshes": 1}, "any of 2 codes, and policy.max_refreshes allows no other; "),
        ({"max_codes": 3, "max_refreshes": 1}, "any of 2 codes, and policy.max_refreshes allows"),
        ({"max_codes": 1, "max_refreshes": 0}, "any of the 1 codes that policy.max_codes allows; "),
    ],
)
async def test_the_budget_that_is_used_up_is_named(numbers: dict[str, int], said: str) -> None:
    """Of the two that there are, the one that allows no other code."""
    async with Pairing(request_qr, policy=Policy(**numbers)) as pairing:  # type: ignore[arg-type]
        pass
    assert pairing.failed().reason is Reason.CODES_USED_UP
    assert said in str(pairing.failed().error)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [({"max_refreshes": 0}, Reason.EXPIRED), ({"max_codes": 1}, Reason.CODES_USED_UP)],
)
async def test_what_the_service_said_when_the_code_ran_out_is_said(
    numbers: dict[str, int], reason: Reason
) -> None:
    """Before the number that allows no other code; of an earlier code nothing is said any more."""
    async with Pairing(request_qr, policy=Policy(**numbers)) as pairing:  # type: ignore[arg-type]
        pairing.peer.send(QRExpired(PeerError("the session is closed")))
    failed = pairing.failed()
    assert failed.reason is reason
    assert str(failed.error).startswith("the session is closed; ")
    async with Pairing(request_qr, policy=Policy(**numbers)) as pairing:  # type: ignore[arg-type]
        pairing.peer.send(QRExpired(PeerError()))
    assert str(pairing.failed().error).startswith(("the code ran out, ", "nobody scanned "))
    async with Pairing(request_qr, policy=Policy(max_refreshes=1)) as pairing:
        pairing.peer.send(QRExpired(PeerError("the session is closed")))
    assert "closed" not in str(pairing.failed().error)
    async with Pairing(request_qr, policy=Policy(max_refreshes=0)) as pairing:
        pairing.peer.send(QRExpired(PeerError("of the first")))
        pairing.peer.send(QRUpdated(QRCode("another")))
    assert "of the first" not in str(pairing.failed().error)


async def test_a_cancellation_is_an_outcome_of_its_own() -> None:
    """It is no failure, so no hook is told of one; what the others have to say it has as well."""
    told: list[Failed] = []
    async with Pairing(on_connection_failed=told.append) as pairing:
        await cancel(pairing)
    outcome = pairing.outcome
    assert isinstance(outcome, Cancelled)
    assert (outcome.connected, outcome.reason, outcome.retryable) == (False, Reason.CANCELLED, True)
    assert outcome.person == Reason.CANCELLED.person
    assert told == []
    assert pairing.lifecycle.state is State.IDLE
    with pytest.raises(PairingFailed, match="cancelled: "):
        outcome.raise_for_failure()


@pytest.mark.parametrize(
    "reason", [Reason.GENERATING_FAILED, Reason.TRANSPORT_UNREACHABLE, Reason.TRANSPORT_LOST]
)
async def test_promise_6_the_error_behind_is_the_cause_and_its_text_is_not_ours(
    reason: Reason, caplog: pytest.LogCaptureFixture
) -> None:
    """The original error is there for whoever wants it; no text of ours repeats what it says."""
    options, act = ENDS[reason]
    async with Pairing(**options) as pairing:
        await act(pairing)
    failed = pairing.failed()
    assert failed.error is not None
    with pytest.raises(PairingFailed) as caught:
        failed.raise_for_failure()
    assert caught.value.__cause__ is failed.error
    assert SECRET not in f"{caught.value} {caught.value!r} {failed!r}"
    assert SECRET not in caplog.text.replace("{SECRET}", "")


@pytest.mark.parametrize(
    ("error", "ever_listened", "reason"),
    [
        (TransportUnreachable("down"), False, Reason.TRANSPORT_UNREACHABLE),
        (TransportUnreachable("down"), True, Reason.TRANSPORT_LOST),
        (TransportLost("broke"), False, Reason.TRANSPORT_UNREACHABLE),
        (TransportLost("broke"), True, Reason.TRANSPORT_LOST),
        (OSError(SECRET), False, Reason.TRANSPORT_UNREACHABLE),
        (OSError(SECRET), True, Reason.TRANSPORT_LOST),
        (OSError(SECRET), None, Reason.TRANSPORT_UNREACHABLE),
        (TransportRefused("no"), True, Reason.AUTHENTICATION_REFUSED),
    ],
)
def test_what_is_lost_listened_before_whatever_the_last_error_is(
    error: Exception, ever_listened: bool | None, reason: Reason
) -> None:
    """A transport may break while it opens, and one that was lost may not be reached again."""
    failed = failure_by(error, State.DISPLAYED, ever_listened=ever_listened)
    assert (failed.reason, failed.error) == (reason, error)


@pytest.mark.parametrize(
    ("error", "lets_go"), [(ServiceRefused("no"), True), (OSError(SECRET), False)]
)
def test_promise_6_an_error_of_the_peers_lets_go_of_its_frames(
    error: Exception, lets_go: bool
) -> None:
    """What it says is all there is to say; of anybody else's the traceback is what there is."""
    with pytest.raises(type(error)):
        raise error
    failed = failure_by(error, State.GENERATING, ever_listened=None)
    assert failed.error is error
    assert (error.__traceback__ is None) is lets_go


def test_an_error_of_a_transports_from_the_service_is_what_it_says() -> None:
    """The program asks for its code over one, perhaps: it is none of ours that was lost."""
    failed = failure_by(TransportLost("broke"), State.GENERATING, ever_listened=None)
    assert failed.reason is Reason.TRANSPORT_LOST


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ServiceRefused("this bot may not be linked"), "this bot may not be linked"),
        (ServiceRefused(), f"{Reason.REFUSED_BY_SERVICE.meaning} (ServiceRefused)"),
        (OSError(SECRET), f"{Reason.REFUSED_BY_SERVICE.meaning} (OSError)"),
        (None, Reason.REFUSED_BY_SERVICE.meaning),
    ],
)
def test_promise_6_a_failure_is_logged_with_its_reason_and_our_own_words_only(
    error: Exception | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the library's own log: what to look for stands in it."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    log_end(Failed(Reason.REFUSED_BY_SERVICE, error))
    told = f"failed, refused_by_service: {said}"
    assert caplog.record_tuples == [("qrlifecycle", logging.WARNING, told)]


def test_what_stays_until_somebody_mends_it_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Credentials and a service that refuses; the rest is the course of things."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    for reason in Reason:
        log_end(Failed(reason))
    warned = [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]
    assert [text.partition(":")[0] for text in warned] == [
        "failed, refused_by_service",
        "failed, authentication_refused",
    ]


def test_what_cannot_get_better_is_not_to_be_retried() -> None:
    """Only a refusal of the service's, and somebody else's account, need more than another try."""
    assert {reason for reason in Reason if not reason.retryable} == {
        Reason.REFUSED_BY_SERVICE,
        Reason.AUTHENTICATION_REFUSED,
        Reason.SUPERSEDED,
        Reason.WRONG_IDENTITY,
    }


def test_a_cancellation_is_printed_as_a_failure_is() -> None:
    """By reason and text: a program that logs each outcome need not ask which it is."""
    assert str(Cancelled()) == f"cancelled: {Reason.CANCELLED.meaning}"
