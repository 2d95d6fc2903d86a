"""Signals: what a transport reports.

An event is a word of the table; a signal is what came over a connection, with what it carried. How
a service spells it is the transport's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .codes import PairingCode, QRCode
from .errors import InvalidValue, PeerError
from .outcome import Reason
from .secrecy import forget_arguments, shown_half_made
from .states import Event

__all__ = [
    "KINDS",
    "ActionRequired",
    "Addressed",
    "Paired",
    "PairingRefused",
    "QRExpired",
    "QRUpdated",
    "Scanned",
    "Signal",
    "StatusChanged",
]

LONGEST_ACTION = 64
"""Characters."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Something a transport reports. ``event`` is the table's word for it, where it has one.

    What cannot be meant is refused where it is made, so that nothing malformed is ever on its way.

    Raises:
        InvalidValue: a field of the wrong kind, or a signal that is none of the kinds below.
    """

    event: ClassVar[Event | None]

    def __post_init__(self) -> None:
        if type(self) is Signal:
            raise InvalidValue("a Signal by itself says nothing; use one of its kinds")


@forget_arguments
@shown_half_made
@dataclass(frozen=True, slots=True)
class QRUpdated(Signal):
    """The service replaced the code by a newer one: a picture, or a code to type."""

    event = Event.QR_UPDATED

    qr: QRCode | PairingCode

    def __post_init__(self) -> None:
        _require(self.qr, QRCode | PairingCode, "qr must be a QRCode or a PairingCode")


@dataclass(frozen=True, slots=True)
class Scanned(Signal):
    """The phone has read the code and is confirming."""

    event = Event.SCANNED


@forget_arguments
@shown_half_made
@dataclass(frozen=True, slots=True)
class ActionRequired(Signal):
    """The service wants something more from the person before it says yes.

    ``action`` says what, in the service's word (``passkey``, ``compare_code``, ``password``);
    ``data`` is what the person needs for it, and may hold secrets.

    Raises:
        InvalidValue: an action that is no word of at most 64 characters.
    """

    event = Event.ACTION_REQUIRED

    action: str
    data: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.action, str) or not 0 < len(self.action) <= LONGEST_ACTION:
            raise InvalidValue(f"an action is a word of at most {LONGEST_ACTION} characters")
        _require(self.data, Mapping, DATA)


@forget_arguments
@shown_half_made
@dataclass(frozen=True, slots=True)
class Paired(Signal):
    """The account is paired. Also what `request_qr` and `check_status` give back when it is.

    ``identity`` names the account; ``data`` is what came along and may hold secrets.
    """

    event = Event.PAIRED

    identity: str | None = None
    data: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        _require(self.identity, str | None, "identity must be text or None")
        _require(self.data, Mapping, DATA)


@dataclass(frozen=True, slots=True)
class QRExpired(Signal):
    """The service says that the code ran out: what is left of its time is the grace.

    No row is taken by it. When the grace is over the code has run out like any other: another is
    asked for (``expired``), or with no refresh left the attempt ends (``fail``). ``error`` is as
    that of `PairingRefused`, and what it says is in the outcome's then.
    """

    event = Event.EXPIRED

    error: PeerError | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        _require(self.error, PeerError | None, ERROR)


@forget_arguments
@shown_half_made
@dataclass(frozen=True, slots=True)
class PairingRefused(Signal):
    """The service or the person said no; ``data`` is what came along and may hold secrets.

    ``error`` says in words what the service answered, and what to do; it is logged, so it holds no
    secret. It becomes the outcome's, and two signals that differ in it alone are equal.
    """

    event = Event.FAIL

    reason: Reason = Reason.REFUSED_BY_SERVICE
    data: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)
    error: PeerError | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        _require(self.reason, Reason, "reason must be a Reason")
        _require(self.data, Mapping, DATA)
        _require(self.error, PeerError | None, ERROR)


@dataclass(frozen=True, slots=True)
class StatusChanged(Signal):
    """Something is new, and `check_status` says what: it is read as soon as the pause allows.

    For services whose messages tell that there is another code, or a success, but not which. A
    transport may report it; `check_status` may not give it back. Without a `check_status` it is
    dropped, and counted under ``status_changed``.
    """

    event = None


@shown_half_made
@dataclass(frozen=True, slots=True)
class Addressed(Signal):
    """A signal, and whose it is: what a transport reports that hears everybody.

    Only a `SharedSocket` can use it. ``key`` is what its members are made with: ``("bot-7",)``.

    Raises:
        InvalidValue: a key that is no tuple of texts, or is empty.
    """

    event = None

    key: tuple[str, ...]
    signal: Signal

    def __post_init__(self) -> None:
        _require(self.key, tuple, "key must be a tuple of texts")
        if not self.key or not all(isinstance(part, str) for part in self.key):
            raise InvalidValue("key must be a tuple of texts, and not empty")
        _require(self.signal, Signal, "signal must be a Signal")


KINDS = (QRUpdated, Scanned, ActionRequired, Paired, QRExpired, PairingRefused)
"""The kinds of signals that say something. Nobody knows what any other carries."""

DATA = "data must be a mapping"

ERROR = "error must be a PeerError or None"


def _require(value: object, kind: Any, rule: str) -> None:
    if not isinstance(value, kind):
        raise InvalidValue(f"{rule}, not {type(value).__name__}")
