"""The numbers: deadlines in seconds, and how many codes may be asked for.

This room must never act on them; `qrlifecycle.lifecycle` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from .errors import InvalidValue

__all__ = ["Policy", "is_positive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Deadlines and budgets of an attempt. Times are seconds; ``math.inf`` means no limit.

    Raises:
        InvalidValue: a time that is not a positive number, or a budget that is not a whole number
            of at least 0.
    """

    generate_timeout: float = 30.0
    """How long `request_qr` may take."""

    open_timeout: float = 10.0
    """How long the transport may take to open."""

    close_timeout: float = 1.0
    """How long the polite goodbye may take before the door is shut by force."""

    attempt_timeout: float = 600.0
    """How long a whole `pair()` may take, all codes together."""

    qr_lifetime: float = 60.0
    """How long a code is good for if its service does not say. WhatsApp's first code lives 60 s."""

    refreshes: int = 5
    """How many times an expired code is replaced before giving up. WhatsApp gives 6 codes a round;
    RFC 8628, section 3.5, asks that a person be waited for after that."""

    confirm_timeout: float = 180.0
    """How long the phone may take between scanning and success. WPPConnect allows 180 s."""

    hook_timeout: float = 30.0
    """How long one call of an async hook may take before it is cancelled."""

    show_at_once: bool = False
    """Hand the code out before the transport listens. A success in that gap may be missed."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "show_at_once":
                valid = isinstance(value, bool)
                rule = "True or False"
            elif field.name == "refreshes":
                valid = isinstance(value, int) and not isinstance(value, bool) and value >= 0
                rule = "a whole number of at least 0"
            else:
                valid = is_positive(value)
                rule = "a number of seconds above 0 (math.inf for no limit)"
            if not valid:
                raise InvalidValue(f"Policy.{field.name} must be {rule}, not {value!r}")
        if math.isinf(self.close_timeout):
            raise InvalidValue("Policy.close_timeout must be finite: leaving always ends")


def is_positive(value: object) -> bool:
    """Whether this is a number above 0; neither NaN nor True is one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
