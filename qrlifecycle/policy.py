"""The numbers: deadlines in seconds, and how often something may be tried. One meaning each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

from .errors import InvalidValue
from .secrecy import forget_arguments, shown_half_made

__all__ = ["WHATSAPP", "Policy", "is_positive", "number_or_kind", "trouble_with_text"]


@forget_arguments
@shown_half_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Deadlines and budgets of an attempt. Times are seconds; ``math.inf`` means no limit.

    `WHATSAPP` is a ready one; ``dataclasses.replace(WHATSAPP, confirm_success=True)`` changes it.

    Raises:
        InvalidValue: a time that is not a positive number, one that must be finite and is not, a
            first delay that is longer than the longest, or a budget that is not a whole number of
            at least 0.
    """

    lease_timeout: float = 30.0
    """How long a lease may be waited for. A holder that died is none after its keeper's time to
    live."""

    generate_timeout: float = 30.0
    """How long `request_qr` may take, with all the times that it is asked again."""

    generate_retry_delay: float = 0.5
    """The first delay before `request_qr` is asked again, after `ServiceUnavailable`. Each is twice
    the one before, cut by up to half at random."""

    generate_retry_delay_max: float = 5.0
    """The longest delay before `request_qr` is asked again, also for a service that asks to wait
    (Retry-After)."""

    open_timeout: float = 10.0
    """How long the transport may take to open."""

    close_timeout: float = 1.0
    """How long the graceful close may take before `abort()` is called."""

    attempt_timeout: float = 600.0
    """How long a whole `pair()` may take, all codes together; a final status check comes on
    top."""

    qr_lifetime: float = 60.0
    """How long a code is good for if its service does not say. WhatsApp's first code lives 60 s."""

    rotated_lifetime: float = 60.0
    """The same for a code that replaced another while it was displayed. WhatsApp's live 20 s."""

    expiry_grace: float = 3.0
    """How long a code that ran out is still listened for, before it is given up. Signal Desktop
    keeps the socket of a rotated code as well; users report scans accepted seconds too late."""

    max_refreshes: int = 5
    """How many times an expired code is replaced before giving up. WhatsApp gives 6 codes a round,
    the first and 5 more; RFC 8628, section 3.5, asks that a person be waited for after that."""

    max_codes: int = 6
    """How many codes may be shown, whoever makes them: those that replace an expired one, and those
    that the service pushes by itself. A person who asks for another has as many again. Without it,
    a code that nobody scans would be replaced on screen for all of `attempt_timeout`. WhatsApp
    gives 6 a round."""

    approval_timeout: float = 180.0
    """How long the phone may take between scanning and success. WPPConnect allows 180 s."""

    action_timeout: float = 120.0
    """How long the person may take for an action that the service requires. WhatsApp's passkey
    request gives them 60 s, and there may be a second question."""

    max_reconnects: int = 10
    """How many times in a row another transport is made, after an opening that failed or a
    transport that broke, before it counts as unreachable or lost. With the default delays that is
    half a minute; a restart of Evolution API took 24 s. What ends so again until somebody mends it
    (another protocol, a certificate, a proxy's credentials) is tried once more, and that is all."""

    reconnect_delay: float = 0.5
    """The first delay before reconnecting. Each is twice the one before, cut by up to half at
    random."""

    reconnect_delay_max: float = 5.0
    """The longest delay before reconnecting, also for a server that asks to wait (Retry-After)."""

    stable_after: float = 5.0
    """A transport that listened for as long as this gives back the budget of `max_reconnects`, and
    starts the delays afresh. Less, and a flapping server is reconnected to for ever."""

    status_timeout: float = 5.0
    """How long one `check_status` may take."""

    status_interval: float = math.inf
    """How often `check_status` is called while a code is displayed, beside the times when it always
    is. For servers that do not send failures: 5 to 10 s."""

    status_retry_delay: float = 0.5
    """The first pause between two reads of the status, cut by up to half at random; it doubles
    while there is no answer."""

    status_retry_delay_max: float = 5.0
    """The longest pause between two reads of the status, also for a service that asks to wait
    (Retry-After)."""

    final_check_timeout: float = 5.0
    """How long all of the final status check may take, before a code is given up."""

    sleep_check_interval: float = 10.0
    """How often it is looked whether the machine was asleep, where there is a `check_status`; it is
    also looked at whatever is heard, and at each reconnect. What ran out meanwhile has run out."""

    finish_reads: bool = False
    """A read of the status that has begun is finished, for its answer is given out once: RFC 8628's
    token is. Neither `status_timeout`, nor a final status check, nor another code cuts it off;
    before an end the answer is waited for, at most `status_timeout` longer. A cancellation ends it
    at once, and what it would have answered is lost."""

    confirm_success_timeout: float = 5.0
    """For how long, with `confirm_success`, the status is asked for a success that was claimed: it
    may lag behind the event. What it does not confirm by then is dropped."""

    hook_timeout: float = 30.0
    """How long one call of an async hook may take before it is cancelled."""

    confirm_success: bool = False
    """Believe a success from the transport only once `check_status` agrees. For servers on whose
    socket anybody can speak."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            valid, rule = _KINDS[str(field.type)]
            if field.name == "expiry_grace":
                valid, rule = _is_duration, "a number of seconds of at least 0"
            elif field.name == "max_codes":
                valid, rule = _is_positive_count, "a whole number of at least 1"
            if not valid(value):
                given = number_or_kind(value)
                raise InvalidValue(f"Policy.{field.name} must be {rule}, not {given}")
        for name in FINITE:
            if math.isinf(getattr(self, name)):
                raise InvalidValue(f"Policy.{name} must be finite: leaving always ends")
        for name in ("generate_retry_delay", "reconnect_delay", "status_retry_delay"):
            if getattr(self, name) > getattr(self, f"{name}_max"):
                raise InvalidValue(f"Policy.{name} must not be above {name}_max")


FINITE = (
    "close_timeout",
    "status_timeout",
    "final_check_timeout",
    "confirm_success_timeout",
    "expiry_grace",
    "generate_retry_delay",
    "generate_retry_delay_max",
    "reconnect_delay",
    "reconnect_delay_max",
    "status_retry_delay",
    "status_retry_delay_max",
)
"""Times that nothing else would bound."""


def is_positive(value: object) -> bool:
    """Whether this is a number above 0 that time can be counted in; neither NaN nor True is."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return float(value) > 0
    except OverflowError:  # a whole number with hundreds of digits
        return False


def number_or_kind(value: object) -> str:
    """How an error speaks of a value that was given: a number as it is, of all else the kind.

    Whatever was given by mistake may be a secret.
    """
    if type(value) is float or (type(value) is int and abs(value) < 10**15):
        return f"{value:.15g}"
    return type(value).__name__


def trouble_with_text(value: object) -> str | None:
    """What an error says of a value that must be text and say something; None if it is and does."""
    if isinstance(value, str):
        return None if value else "must be text that is not empty"
    return f"must be text that is not empty, not {type(value).__name__}"


def _is_duration(value: object) -> bool:
    return is_positive(value) or (value == 0 and not isinstance(value, bool))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_positive_count(value: object) -> bool:
    return _is_count(value) and value != 0


_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "float": (is_positive, "a number of seconds above 0 (math.inf for no limit)"),
    "int": (_is_count, "a whole number of at least 0"),
    "bool": (lambda value: isinstance(value, bool), "True or False"),
}
"""What a field's value must be, by the field's type."""

ORDINARY = Policy()
"""What a lifecycle has unless it is told otherwise; one for all, for it cannot change."""

WHATSAPP = Policy(qr_lifetime=60.0, rotated_lifetime=20.0, attempt_timeout=360.0)
"""WhatsApp's own numbers: a first code of 60 s, then five of 20 s (so whatsmeow and Baileys); the
whole attempt has time for those 160 s and for `approval_timeout`."""
