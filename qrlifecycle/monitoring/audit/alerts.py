"""Alerts: each is a type with its numbers, and ``str()`` of it is a sentence; and their limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ...errors import InvalidValue
from ...policy import number_or_kind
from ...secrecy import forget_arguments, shown_half_made

__all__ = [
    "Alert",
    "Limits",
    "PromiseBroken",
    "SecondSocket",
    "SlowSuccess",
    "SocketOutsideDisplayed",
    "Waste",
]


LARGEST_WINDOW = 1_000_000
"""Attempts."""


@forget_arguments
@shown_half_made
@dataclass(frozen=True, slots=True)
class Limits:
    """The limits beyond which there is an alert; ``math.inf`` means never.

    Raises:
        InvalidValue: a limit that is not a number above 0, or a window that is no whole number of
            at least 1.
    """

    success: float = 1.0
    """Seconds from the success signal to the state `connected`; the socket is closed in between.
    It takes some milliseconds. As much as the default `close_timeout` means that a peer was waited
    for, or that the event loop was blocked."""

    scan_to_success: float = math.inf
    """Seconds from the scan to the success, where the service reports both. Most of it is the time
    of the phone and of the service."""

    openings_per_attempt: float = math.inf
    """Sockets opened in one attempt, one after another."""

    socket_seconds_per_success: float = math.inf
    """Seconds of open sockets for each success, over the last `window` attempts."""

    codes_per_success: float = math.inf
    """Codes shown for each success, over the last `window` attempts."""

    window: int = 20
    """How many attempts the two limits above are judged over, once there were that many."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not value > 0:
                given = number_or_kind(value)
                raise InvalidValue(f"Limits.{name} must be a number above 0, not {given}")
        if not isinstance(self.window, int) or self.window > LARGEST_WINDOW:
            rule = f"a whole number of at most {LARGEST_WINDOW:,}"
            raise InvalidValue(f"Limits.window must be {rule}, not {number_or_kind(self.window)}")


@shown_half_made
@dataclass(frozen=True, slots=True)
class Alert:
    """Something that should not be. ``wall`` is when it was found, as `time.time()` counts.

    ``subject`` is the transport's, if it has one.
    """

    kind: ClassVar[str]

    lifecycle: str
    attempt: int
    subject: tuple[str, ...] | None
    wall: float


@shown_half_made
@dataclass(frozen=True, slots=True)
class PromiseBroken(Alert):
    """A promise did not hold; ``promise`` is its number, None for a step that is not the table's.

    Missing lines in a journal look the same.
    """

    kind = "promise_broken"

    promise: int | None
    text: str

    def __str__(self) -> str:
        broken = "not a step of the table" if self.promise is None else f"promise {self.promise}"
        return f"{broken}: {self.text}"


@shown_half_made
@dataclass(frozen=True, slots=True)
class SocketOutsideDisplayed(PromiseBroken):
    """A socket was open while no code was displayed: promise 1."""

    kind = "socket_outside_displayed"


@shown_half_made
@dataclass(frozen=True, slots=True)
class SecondSocket(Alert):
    """Two lifecycles had a socket open for one subject at the same time.

    Two shares of one shared socket are one socket. Those of several processes are found in a
    journal that has the records of them all, as the first of them closes.
    """

    kind = "second_socket"

    others: int
    """How many were open before this one; in other processes: how many were opened after it."""
    elsewhere: bool = False
    """Whether they are other processes'."""

    def __str__(self) -> str:
        whom = "somebody" if self.subject is None else " ".join(self.subject)
        if self.elsewhere:
            return (
                f"while a socket was open for {whom}, other processes opened {self.others} more; "
                "leases keep that from happening"
            )
        return f"a socket was opened for {whom}, who had {self.others} open already"


@shown_half_made
@dataclass(frozen=True, slots=True)
class SlowSuccess(Alert):
    """A success took longer than the limit; ``since`` says what it is counted from."""

    kind = "slow_success"

    since: str
    seconds: float
    limit: float

    def __str__(self) -> str:
        took = f"{self.seconds:.3f}" if self.seconds >= 0.01 else f"{self.seconds:.1g}"
        return f"success {took} s after the {self.since}; the limit is {self.limit:g} s"


@shown_half_made
@dataclass(frozen=True, slots=True)
class Waste(Alert):
    """More was used than the limit allows; ``what`` is the limit's name.

    Where it is judged over several ``attempts``, of any lifecycles, the one that is named is the
    last of them.
    """

    kind = "waste"

    what: str
    value: float
    limit: float
    attempts: int = 1

    def __str__(self) -> str:
        over = f" over the last {self.attempts} attempts" if self.attempts > 1 else ""
        value = f"{self.value:.4g}" if self.value < math.inf else "there was no success"
        return f"{self.what.replace('_', ' ')}{over}: {value}; the limit is {self.limit:g}"
