"""How an attempt ended: connected, failed with a reason from a closed list, or cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Literal, NoReturn, Self

from .errors import (
    LeaseHeld,
    LeaseLost,
    LeaseTakenOver,
    PairingFailed,
    QRLifecycleError,
    ServiceRefused,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
    UsageError,
)
from .secrecy import shown_half_made
from .states import Deadline, Word

__all__ = [
    "REASON_OF_DEADLINE",
    "REASON_OF_ERROR",
    "Cancelled",
    "Connected",
    "Failed",
    "Outcome",
    "Reason",
]


class Reason(Word):
    """Why an attempt ended without a pairing: the closed list.

    ``meaning`` is the sentence for a developer, ``person`` the one for whoever stands in front of
    the screen, and ``retryable`` says whether asking again, unchanged, can help.
    """

    person: str
    retryable: bool

    def __new__(cls, value: str, meaning: str, person: str = "", retryable: bool = True) -> Self:
        """Make the member: text, with its sentences."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.person = person
        member.retryable = retryable
        return member

    CANCELLED = (
        "cancelled",
        "cancel() was called.",
        "Pairing was stopped.",
        True,
    )
    GENERATING_FAILED = (
        "generating_failed",
        "request_qr raised an error; it is the outcome's `error`.",
        "No code could be made just now. Please try again.",
        True,
    )
    GENERATING_TIMED_OUT = (
        "generating_timed_out",
        "request_qr took longer than policy.generate_timeout.",
        "No code came in time. Please try again.",
        True,
    )
    REFUSED_BY_SERVICE = (
        "refused_by_service",
        "The service said no, by ServiceRefused from request_qr or by a signal.",
        "The service does not allow this pairing.",
        False,
    )
    REFUSED_ON_PHONE = (
        "refused_on_phone",
        "The person declined on the phone.",
        "Pairing was declined on the phone.",
        True,
    )
    CONFLICT = (
        "conflict",
        "A signal or the lease said so: the same bot, or its user, is being paired elsewhere.",
        "Pairing goes on somewhere else. Please finish it there, or try again later.",
        True,
    )
    SUPERSEDED = (
        "superseded",
        "Another attempt took the lease over, or its holder was asked to leave.",
        "Pairing was ended from elsewhere, by another window say. Press the button for it here.",
        False,
    )
    LEASE_LOST = (
        "lease_lost",
        "The keeper of the leases gave none in policy.lease_timeout, or prolonged it too late.",
        "Pairing cannot go on just now. Please try again.",
        True,
    )
    WRONG_IDENTITY = (
        "wrong_identity",
        "An account was paired, but not the one that expect_identity names or accepts.",
        "Another account was paired than the one expected. Please use the right phone.",
        False,
    )
    EXPIRED = (
        "expired",
        "The code ran out, and policy.max_refreshes allows no other.",
        "The code has expired. Ask for a new one when you are ready.",
        True,
    )
    CODES_USED_UP = (
        "codes_used_up",
        "Nobody scanned the last of policy.max_codes, or of 1 + policy.max_refreshes codes.",
        "Nobody scanned the code. Ask for a new one when you are ready.",
        True,
    )
    APPROVAL_TIMED_OUT = (
        "approval_timed_out",
        "The phone scanned the code but nothing came within policy.approval_timeout.",
        "The phone scanned the code but did not finish. Please try again.",
        True,
    )
    ACTION_TIMED_OUT = (
        "action_timed_out",
        "The service required an action and nothing came within policy.action_timeout.",
        "What the service asked for was not done in time. Please try again.",
        True,
    )
    ATTEMPT_TIMED_OUT = (
        "attempt_timed_out",
        "The whole attempt took longer than policy.attempt_timeout.",
        "Pairing took too long. Please try again.",
        True,
    )
    AUTHENTICATION_REFUSED = (
        "authentication_refused",
        "The service turned us away: the credentials or the bot are not accepted.",
        "This program is not allowed to pair here.",
        False,
    )
    SHOWING_FAILED = (
        "showing_failed",
        "A hook that shows a code or an action raised, or took longer than policy.hook_timeout.",
        "The next step could not be shown. Please try again.",
        True,
    )
    TRANSPORT_UNREACHABLE = (
        "transport_unreachable",
        "No transport opened in 1 + policy.max_reconnects tries (in 2 if only somebody can mend "
        "it), or the factory raised.",
        "The service cannot be reached. Please try again.",
        True,
    )
    TRANSPORT_LOST = (
        "transport_lost",
        "The transport broke or the peer closed it, and none held after it.",
        "The connection was lost. Please try again.",
        True,
    )


REASON_OF_DEADLINE: Mapping[Deadline, Reason] = {
    Deadline.ATTEMPT: Reason.ATTEMPT_TIMED_OUT,
    Deadline.LEASE: Reason.LEASE_LOST,
    Deadline.REQUEST: Reason.GENERATING_TIMED_OUT,
    Deadline.APPROVAL: Reason.APPROVAL_TIMED_OUT,
    Deadline.ACTION: Reason.ACTION_TIMED_OUT,
}
"""What a deadline that ran out means as an end. A code's own is not here: there may be another."""

REASON_OF_ERROR: Mapping[type[Exception], Reason] = {
    ServiceRefused: Reason.REFUSED_BY_SERVICE,
    LeaseTakenOver: Reason.SUPERSEDED,  # before LeaseHeld, of which it is a kind
    LeaseHeld: Reason.CONFLICT,
    LeaseLost: Reason.LEASE_LOST,
    TransportRefused: Reason.AUTHENTICATION_REFUSED,
    TransportUnreachable: Reason.TRANSPORT_UNREACHABLE,
    TransportLost: Reason.TRANSPORT_LOST,
}
"""What an error of the peer's branch means as an end."""

MISTAKE = "Pairing does not work here: the program has to be mended."
"""The sentence for the person after a `UsageError`, whatever the reason: to try again is no use."""


@shown_half_made
@dataclass(frozen=True, slots=True)
class Connected:
    """The account is paired.

    ``identity`` names the account where the service tells it. ``data`` is what came with the
    success (a session token, say); it may hold secrets, so no repr shows it. ``already_paired``
    is true when no code had to be shown.
    """

    identity: str | None = None
    data: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)
    already_paired: bool = False

    connected: ClassVar[Literal[True]] = True

    def raise_for_failure(self) -> Self:
        """Itself: there is no failure to raise."""
        return self


@shown_half_made
@dataclass(frozen=True, slots=True, repr=False)
class Failed:
    """The attempt ended without a pairing; ``reason`` says why.

    ``error`` is the error behind it: what `request_qr` or the transport raised, or a `PeerError`
    that says what happened and what to do, such as which number of the policy ran out. Of an
    attempt that ended it is never None. The repr shows its kind only, and two outcomes that differ
    in it alone are equal. ``print(outcome)`` says reason and text: what happened, and what to do.
    ``data`` is what the service sent along; it may hold secrets, so neither shows it.
    """

    reason: Reason
    error: Exception | None = field(default=None, compare=False)
    data: Mapping[str, object] = field(default_factory=dict, hash=False)

    connected: ClassVar[Literal[False]] = False

    def __repr__(self) -> str:
        error = "" if self.error is None else f", error={type(self.error).__name__}"
        return f"Failed(reason='{self.reason}'{error})"

    def __str__(self) -> str:
        """Reason and text; of an error not ours the kind alone, for its text may be secret."""
        error = self.error
        if isinstance(error, QRLifecycleError) and (text := str(error)):
            return f"{self.reason}: {text}"
        kind = "" if error is None else f" ({type(error).__name__})"
        return f"{self.reason}: {self.reason.meaning}{kind}"

    @property
    def retryable(self) -> bool:
        """Whether asking again, unchanged, can help; after a mistake in the program it cannot."""
        return self.reason.retryable and not isinstance(self.error, UsageError)

    @property
    def person(self) -> str:
        """The sentence for whoever stands in front of the screen."""
        return MISTAKE if isinstance(self.error, UsageError) else self.reason.person

    def raise_for_failure(self) -> NoReturn:
        """Raise this failure.

        Raises:
            PairingFailed: always, with ``error`` as its cause.
        """
        raise PairingFailed(self.reason, self.reason.meaning) from self.error


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The attempt was ended by `cancel()`: neither a success nor a failure. The state is `idle`."""

    connected: ClassVar[Literal[False]] = False
    reason: ClassVar[Literal[Reason.CANCELLED]] = Reason.CANCELLED
    error: ClassVar[None] = None
    data: ClassVar[Mapping[str, object]] = MappingProxyType({})
    retryable: ClassVar[bool] = Reason.CANCELLED.retryable

    def __str__(self) -> str:
        """Reason and text, as of a failure."""
        return f"{self.reason}: {self.reason.meaning}"

    @property
    def person(self) -> str:
        """The sentence for whoever stands in front of the screen."""
        return self.reason.person

    def raise_for_failure(self) -> NoReturn:
        """Raise: there is no pairing.

        Raises:
            PairingFailed: always.
        """
        raise PairingFailed(self.reason, self.reason.meaning)


Outcome = Connected | Failed | Cancelled
"""How an attempt ended. ``outcome.connected`` tells which."""
