"""What the failures of a service mean, the same for each: one place.

A refusal ends the attempt, with its reason. What may be otherwise in a moment is tried again: a
service that restarts, a proxy's page in its place, no answer in time. Which reason fits an answer
that only one service gives is that service's own to say.

=======================================  =========================================================
401, 403                                 ``authentication_refused``
404, 422, any other 4xx, a redirect      ``refused_by_service``
408, 425, 429, 5xx                       tried again, within ``policy.generate_timeout``
no answer, or none that can be read      tried again
=======================================  =========================================================
"""

from __future__ import annotations

from collections.abc import Mapping

from ..engine.user_code import place_of
from ..errors import (
    InvalidValue,
    Malformed,
    PeerError,
    ServiceRefused,
    ServiceUnavailable,
    UsageError,
)
from ..outcome import Reason
from ..signals import PairingRefused, QRExpired
from ..values import NOT_NOW, UNAUTHORIZED

__all__ = ["expiry_told", "failure_of_status", "meaning_of", "refusal_told"]

UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading an answer raises that is not as it should be."""


def failure_of_status(
    status: int, advice: str | None = None, retry_after: float | None = None
) -> PeerError | None:
    """What an HTTP status means as a failure; None if it is a success.

    Args:
        status: the status.
        advice: what a refusal with it means at this service, and what to do; no secret.
        retry_after: seconds that the service asks to wait.
    """
    if 200 <= status < 300:
        return None
    said = f"the service answered HTTP {status}"
    if status in UNAUTHORIZED:
        why = advice or "it does not accept the credentials"
        return ServiceRefused(f"{said}: {why}", reason=Reason.AUTHENTICATION_REFUSED)
    if 300 <= status < 400:
        return ServiceRefused(f"{said}: it redirects, which is not followed; correct the URL")
    if 400 <= status < 500 and status not in NOT_NOW:
        why = advice or "it refuses what it was asked; its own log says why"
        return ServiceRefused(f"{said}: {why}", reason=Reason.REFUSED_BY_SERVICE)
    wait = "" if retry_after is None else f", and asks to wait {retry_after:g} s"
    return ServiceUnavailable(f"{said}{wait}", retry_after=retry_after)


def refusal_told(
    reason: Reason, text: str, data: Mapping[str, object] | None = None
) -> PairingRefused:
    """A verdict of the service's that is no HTTP status: a word on its socket, or in its status.

    Args:
        reason: what it comes to.
        text: what the service said, and what to do; no secret.
        data: what it sent along.
    """
    return PairingRefused(reason, data or {}, ServiceRefused(text, reason=reason))


def expiry_told(text: str) -> QRExpired:
    """The service's word that a code is good no more: what it said, without a secret."""
    return QRExpired(PeerError(text))


def meaning_of(error: Exception) -> Exception:
    """The error that a gateway raises in place of one that was raised in it.

    Ours go on, without the frames that they went through, which hold credentials and answers. What
    reading an answer raises is the service's fault. Anything else is the program's own.
    """
    if isinstance(error, Malformed | InvalidValue):
        return ServiceUnavailable(f"the service's answer cannot be read: {error}")
    if isinstance(error, UNREADABLE) and not isinstance(error, UsageError):
        what = f"{type(error).__name__}{place_of(error)}"
        return ServiceUnavailable(f"the service's answer cannot be read: reading it raised {what}")
    if isinstance(error, PeerError | UsageError):
        error.__context__ = error.__cause__ = None
        return error.with_traceback(None)
    return error
