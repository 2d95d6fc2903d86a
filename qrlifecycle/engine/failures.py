"""Why an attempt fails: what an error or a deadline means as an end.

An error brings its reason along (`ServiceRefused`), or its kind has one
(`outcome.REASON_OF_ERROR`), or it is what goes wrong in that state (`REASON_OTHERWISE`). A deadline
has one (`outcome.REASON_OF_DEADLINE`), and a refusal that a service sends brings its own along
(`signals.PairingRefused`). Four more are decided where they are noticed: `wrong_identity` in
`incoming`, `expired` in `attempt`, `codes_used_up` in both, `showing_failed` in `progress`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ..errors import PeerError, QRLifecycleError, ServiceRefused, TransportError, UsageError
from ..logs import logger, warn_shared
from ..outcome import REASON_OF_ERROR, Failed, Reason
from ..signals import PairingRefused
from ..states import State

__all__ = ["cause_of", "failure_by", "failure_told", "log_failure"]

REASON_OTHERWISE: Mapping[State, Reason] = {
    State.GENERATING: Reason.GENERATING_FAILED,
    State.DISPLAYED: Reason.TRANSPORT_UNREACHABLE,
}
"""Why an attempt fails by an error that has no reason of its own (`REASON_OF_ERROR`)."""

TO_MEND = frozenset({Reason.AUTHENTICATION_REFUSED, Reason.REFUSED_BY_SERVICE})
"""Reasons that stay until somebody changes how the program or the service is set up."""

FAILED = "failed, %s: %s"

UNREACHABLE_OR_LOST = (Reason.TRANSPORT_UNREACHABLE, Reason.TRANSPORT_LOST)
"""Whatever the last error was: lost is what listened before, in this state."""


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
    reasons = (reason for kind, reason in REASON_OF_ERROR.items() if isinstance(error, kind))
    reason = next(reasons, REASON_OTHERWISE[state])
    if isinstance(error, ServiceRefused) and isinstance(error.reason, Reason):
        reason = error.reason
    if reason in UNREACHABLE_OR_LOST and ever_listened is not None:
        reason = UNREACHABLE_OR_LOST[ever_listened]
    return Failed(reason, _without_frames(error))


def failure_told(signal: PairingRefused) -> Failed:
    """What a refusal that the service told means as an end."""
    error = None if signal.error is None else _without_frames(signal.error)
    return Failed(signal.reason, error, signal.data)


def _without_frames(error: Exception) -> Exception:
    if isinstance(error, PeerError):
        error.__traceback__ = error.__context__ = None
    return error


def cause_of(error: Exception) -> str:
    """What a transport broke by, for a log. The text of our own errors only: it holds no secret."""
    return str(error) if isinstance(error, TransportError) else type(error).__name__


def log_failure(outcome: Failed) -> None:
    """Say why there is no pairing; the text of our own errors only: it holds no secret.

    It is the course of things that somebody does not scan, or the network breaks. A mistake in the
    program, or in how it is set up, is not: the next attempt will fail as well.
    """
    ours = isinstance(outcome.error, QRLifecycleError) and str(outcome.error)
    why = ours or outcome.reason.meaning
    if outcome.reason in TO_MEND or isinstance(outcome.error, UsageError):
        alike = f"{outcome.reason}: {why}"
        warn_shared(FAILED, outcome.reason, why, alike=alike, otherwise=logging.INFO)
    else:
        logger.info(FAILED, outcome.reason, why)
