"""How an attempt ended: the closed list of reasons, and outcomes that keep secrets."""

from __future__ import annotations

import pytest

from qrlifecycle import (
    Connected,
    Failed,
    PairingFailed,
    PeerError,
    Reason,
    TransportLost,
    WrongAnswer,
)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence_for_each_reader(reason: Reason) -> None:
    """A reason speaks to the developer, to the person, and says whether to try again."""
    assert reason.meaning.endswith(".")
    assert reason.person.endswith(".")
    assert reason.meaning != reason.person
    assert isinstance(reason.retryable, bool)
    assert Failed(reason).retryable is reason.retryable


@pytest.mark.parametrize("reason", [Reason.GENERATING_FAILED, Reason.SHOWING_FAILED])
def test_after_a_mistake_in_the_program_nobody_is_asked_to_try_again(reason: Reason) -> None:
    """Whatever the reason, what was written wrong stays so: it is said, and not retryable."""
    failed = Failed(reason, WrongAnswer("request_qr gave back str; give back a code or Paired"))
    assert not failed.retryable
    assert "try again" not in failed.person
    assert "has to be mended" in failed.person
    assert Failed(reason, PeerError("not today")).person == reason.person


def test_a_failure_can_be_raised_with_its_cause() -> None:
    """`raise_for_failure()` raises the failure, and the error behind it is its cause."""
    error = TransportLost("the connection broke")
    with pytest.raises(PairingFailed, match="transport_lost: The transport broke") as caught:
        Failed(Reason.TRANSPORT_LOST, error).raise_for_failure()
    assert caught.value.__cause__ is error
    assert caught.value.reason == Reason.TRANSPORT_LOST


def test_a_success_raises_nothing() -> None:
    """`raise_for_failure()` of a success gives the success back."""
    success = Connected("me")
    assert success.raise_for_failure() is success


def test_promise_6_no_outcome_shows_its_data() -> None:
    """What came along with an end may hold tokens: no repr shows it."""
    data = {"token": "secret"}
    assert "secret" not in repr(Connected("me", data)) + repr(Failed(Reason.EXPIRED, None, data))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PeerError("the code ran out; ask again"), "the code ran out; ask again"),
        (PeerError(), f"{Reason.EXPIRED.meaning} (PeerError)"),
        (OSError("secret"), f"{Reason.EXPIRED.meaning} (OSError)"),
        (None, Reason.EXPIRED.meaning),
    ],
)
def test_promise_6_a_failure_that_is_printed_says_why(error: Exception | None, said: str) -> None:
    """Reason and text, of an error of ours; of any other its kind, and never the data."""
    failed = Failed(Reason.EXPIRED, error, {"token": "secret"})
    assert str(failed) == f"{failed}" == f"expired: {said}"
    assert repr(failed).startswith("Failed(reason='expired'")


def test_a_failure_that_is_half_made_can_be_printed() -> None:
    """As its repr can be: neither raises in a report of what went wrong."""
    half_made = Failed.__new__(Failed)
    assert str(half_made) == repr(half_made) == "<Failed, half made>"


def test_outcomes_can_be_told_apart_and_kept_in_sets() -> None:
    """`connected` tells which; both are hashable whatever their data."""
    assert Connected().connected
    assert not Failed(Reason.EXPIRED).connected
    assert len({Connected("me", {"a": []}), Connected("me", {"a": []})}) == 1
    assert Failed(Reason.EXPIRED, TransportLost()) == Failed(Reason.EXPIRED)  # the same end
