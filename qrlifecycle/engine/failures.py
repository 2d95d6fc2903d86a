"""Why an attempt fails: what an error or a deadline means as an end.

An error brings its reason along (`ServiceRefused`), or its kind has one
(`outcome.REASON_OF_ERROR`), or it is what goes wrong in that state (`REASON_OTHERWISE`), or with a
lease. A deadline has one (`outcome.REASON_OF_DEADLINE`), and a refusal that a service sends brings
its own along (`signals.PairingRefused`). Three more are noticed elsewhere and put into words here:
`wrong_identity` in `incoming`, `expired` in `attempt`, `codes_used_up` in both. `showing_failed` is
decided in `progress`.

**Every end has words.** The outcome's ``error`` says what happened and what to do, also where
nothing was raised: which number of the policy ran out, or that the service sent a refusal without a
word of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ..errors import (
    LeaseHeld,
    PeerError,
    ServiceRefused,
    ServiceUnavailable,
    TransportError,
    TransportUnreachable,
    UsageError,
)
from ..logs import logger, warn_shared
from ..outcome import REASON_OF_DEADLINE, REASON_OF_ERROR, Cancelled, Failed, Reason
from ..policy import Policy
from ..signals import PairingRefused
from ..states import Deadline, State

__all__ = [
    "FAILED",
    "cause_of",
    "failure_by",
    "failure_by_deadline",
    "failure_of_code",
    "failure_of_identity",
    "failure_of_lease",
    "failure_told",
    "log_end",
    "none_listened",
]

REASON_OTHERWISE: Mapping[State, Reason] = {
    State.GENERATING: Reason.GENERATING_FAILED,
    State.DISPLAYED: Reason.TRANSPORT_UNREACHABLE,
}
"""Why an attempt fails by an error that has no reason of its own (`REASON_OF_ERROR`)."""

RAN_OUT: Mapping[Deadline, tuple[str, str, str]] = {
    Deadline.ATTEMPT: (
        "the attempt was not over",
        "attempt_timeout",
        "pair again when somebody is there, or allow more time",
    ),
    Deadline.LEASE: (
        "nobody gave the lease",
        "lease_timeout",
        "is its keeper there, and who holds it?",
    ),
    Deadline.REQUEST: (
        "request_qr gave no code",
        "generate_timeout",
        "is the service up? Else allow more time",
    ),
    Deadline.APPROVAL: (
        "the phone has read the code, and nothing came of it",
        "approval_timeout",
        "was it approved there, and does the service tell?",
    ),
    Deadline.ACTION: (
        "what the service requires was not done",
        "action_timeout",
        "does on_action_required show it to the person?",
    ),
}
"""What is said of a deadline that ran out: what did not happen, within which number of the policy,
and what to do. A code's own is not here: there may be another."""

REASONS_TO_MEND = frozenset({Reason.AUTHENTICATION_REFUSED, Reason.REFUSED_BY_SERVICE})
"""Reasons that stay until somebody changes how the program or the service is set up."""

FAILED = "failed, %s"
"""How an attempt ended that failed, in the log."""

UNREACHABLE_OR_LOST = (Reason.TRANSPORT_UNREACHABLE, Reason.TRANSPORT_LOST)
"""Whatever the last error was: lost is what listened before, in this state."""


def none_listened(last: TransportUnreachable | None) -> TransportUnreachable:
    """Why a code that was never handed out ran out; ``last`` is what a transport ended by last."""
    text = "no transport listened while the code lived"
    if last is None:
        return TransportUnreachable(text)
    return last.retold(TransportUnreachable, f"{text}: {last}")


def failure_by(error: Exception, state: State, *, ever_listened: bool | None) -> Failed:
    """What an error from `request_qr` or the transport means as an end.

    An error of the peer's branch says in its text all there is to say. An outcome is kept, and the
    frames that the error went through may keep a token or an answer: it lets go of them.

    Args:
        error: what was raised.
        state: where.
        ever_listened: whether any transport of this state came to listen; None where there is no
            connection.
    """
    reason = _reason_of(error, REASON_OTHERWISE[state])
    if isinstance(error, ServiceRefused) and isinstance(error.reason, Reason):
        reason = error.reason
    if reason in UNREACHABLE_OR_LOST and ever_listened is not None:
        reason = UNREACHABLE_OR_LOST[ever_listened]
    return Failed(reason, _without_frames(error))


def failure_of_lease(error: Exception) -> Failed:
    """What it means as an end that the lease cannot be had, or is lost.

    Unless it is somebody else's, it is lost: whatever an error of its keeper's means elsewhere.
    """
    reason = Reason.LEASE_LOST
    if isinstance(error, LeaseHeld):
        reason = _reason_of(error, reason)
    return Failed(reason, _without_frames(error))


def failure_told(signal: PairingRefused) -> Failed:
    """What a refusal that the service told means as an end."""
    if signal.error is None:
        text = f"the service sent a refusal, without a word of its own: {signal.reason.meaning}"
        return Failed(signal.reason, ServiceRefused(text, reason=signal.reason), signal.data)
    return Failed(signal.reason, _without_frames(signal.error), signal.data)


def failure_by_deadline(
    deadline: Deadline,
    state: State,
    policy: Policy,
    unavailable: ServiceUnavailable | None,
    awaits: str,
) -> Failed:
    """What a deadline that ran out means as an end.

    Args:
        deadline: which.
        state: where.
        policy: whose numbers they are.
        unavailable: why there is no code yet, if the service said so.
        awaits: what was waited for, where somebody knows better than to ask; else nothing.
    """
    what, number, advice = RAN_OUT[deadline]
    limit = f"within policy.{number} ({getattr(policy, number):g} s)"
    text = f"in state '{state}' {what} {limit}; "
    if unavailable is None:
        return Failed(REASON_OF_DEADLINE[deadline], PeerError(text + (awaits or advice)))
    said = str(unavailable) or "it is unavailable"
    error = ServiceUnavailable(
        f"{text}the service's last answer: {said}", ending=unavailable.ending
    )
    error.__cause__ = _without_frames(unavailable)
    return Failed(REASON_OF_DEADLINE[deadline], error)


def failure_of_code(policy: Policy, codes_left: int, said: PeerError | None = None) -> Failed:
    """What a code that ran out means as an end.

    Args:
        policy: whose numbers they are.
        codes_left: how many more might have been shown.
        said: the service's own words for it.
    """
    if codes_left <= 0:
        shown = f"the {policy.max_codes} codes that policy.max_codes allows"
    elif policy.max_refreshes > 0:
        shown = f"{policy.max_refreshes + 1} codes, and policy.max_refreshes allows no other"
    else:
        text = "the code ran out, and policy.max_refreshes is 0; ask again when a person is there"
        return Failed(Reason.EXPIRED, _with_words(said, text))
    text = f"nobody scanned any of {shown}; ask again when a person is there"
    return Failed(Reason.CODES_USED_UP, _with_words(said, text))


def failure_of_identity(data: Mapping[str, object]) -> Failed:
    """What it means as an end that another account was paired than was to be."""
    text = (
        "an account was paired that expect_identity does not name or accept; use the right phone, "
        "or compare how the service spells an account"
    )
    return Failed(Reason.WRONG_IDENTITY, PeerError(text), data)


def _reason_of(error: Exception, otherwise: Reason) -> Reason:
    reasons = (reason for kind, reason in REASON_OF_ERROR.items() if isinstance(error, kind))
    return next(reasons, otherwise)


def _with_words(said: PeerError | None, text: str) -> PeerError:
    return PeerError(text if said is None or not str(said) else f"{said}; {text}")


def _without_frames(error: Exception) -> Exception:
    if isinstance(error, PeerError):
        error.__traceback__ = error.__context__ = None
    return error


def cause_of(error: Exception) -> str:
    """What a transport broke by, for a log. The text of our own errors only: it holds no secret."""
    return str(error) if isinstance(error, TransportError) else type(error).__name__


def log_end(outcome: Failed | Cancelled) -> None:
    """Say why there is no pairing; the text of our own errors only: it holds no secret.

    A success was told when it was heard.

    It is the course of things that somebody does not scan, or the network breaks. A mistake in the
    program, or in how it is set up, is not: the next attempt will fail as well.
    """
    if isinstance(outcome, Cancelled):
        logger.info("cancelled")
        return
    why = str(outcome)
    if outcome.reason in REASONS_TO_MEND or isinstance(outcome.error, UsageError):
        warn_shared(FAILED, why, alike=why, otherwise=logging.INFO)
    else:
        logger.info(FAILED, why)
