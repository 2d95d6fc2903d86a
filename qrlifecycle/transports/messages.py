"""What a server's message means: event names and payloads, mapped to signals.

Pure functions. The default understands messages such as
``{"type": "whatsapp_connected", "botId": ..., "userId": ...}``, whether sent as an event of that
name or as any event whose payload has that ``type``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from ..codes import PairingCode, QRCode
from ..engine.user_code import close_coroutine, fault_of
from ..errors import InvalidValue
from ..outcome import Reason
from ..signals import ActionRequired, Paired, PairingRefused, QRExpired, QRUpdated, Scanned, Signal
from .owner import Owner, names_another, value_as_text

__all__ = [
    "DEFAULT_SIGNALS",
    "MEANINGS",
    "Drop",
    "Payload",
    "SignalMap",
    "check_signals",
    "read_message",
]

Payload = Mapping[str, object]
"""A message's JSON object; empty when nothing came with the message."""

SignalMap = Mapping[str, Callable[[Any], Signal | None]]
"""From the name of a message to what makes a signal of its payload; None means "nothing to say".
A payload is a `Payload`, or whatever else a service sends in its place, as it came: text, a list, a
number, bytes. One that cannot be meant may raise anything: the message is then dropped, counted and
logged as malformed. So is one that is no object, by the functions that are used unless told
otherwise: they read objects, but for those that need none."""


class Drop(StrEnum):
    """Why a message became nothing."""

    UNKNOWN = "unknown"
    MALFORMED = "malformed"
    FOREIGN = "foreign"


def paired(payload: Payload) -> Signal:
    """Success; the identity is the first of the usual names for it."""
    for key in ("identity", "phoneNumber", "phone", "jid", "wuid"):
        if identity := value_as_text(payload.get(key)):
            return Paired(identity, payload)
    return Paired(None, payload)


def qr_updated(payload: Payload) -> Signal:
    """A new code, in ``qr`` or ``qrCode``; ``expiresIn`` gives its lifetime in seconds."""
    return _updated(QRCode, payload, payload.get("qr", payload.get("qrCode")))


def pairing_code(payload: Payload) -> Signal:
    """A new code to type, in ``code`` or ``pairingCode``; ``expiresIn`` as for a QR code."""
    return _updated(PairingCode, payload, payload.get("code", payload.get("pairingCode")))


def _updated(kind: type[QRCode | PairingCode], payload: Payload, code: Any) -> Signal:
    expires_in: Any = payload.get("expiresIn")
    return QRUpdated(kind(code, expires_in=expires_in))


def action_required(payload: Payload) -> Signal:
    """Something more is wanted from the person; ``action`` says what."""
    action: Any = payload.get("action")
    return ActionRequired(action, payload)


def scanned(_payload: Payload) -> Signal:
    """The phone has read the code."""
    return Scanned()


def expired(_payload: Payload) -> Signal:
    """The code ran out."""
    return QRExpired()


def connection_failed(payload: Payload) -> Signal:
    """Failure; a ``reason`` that is one of ours is taken, any other is the service's refusal."""
    said = payload.get("reason")
    reason = next((reason for reason in Reason if reason == said), Reason.REFUSED_BY_SERVICE)
    return PairingRefused(reason, payload)


MEANINGS: SignalMap = {
    "connected": paired,
    "qr_updated": qr_updated,
    "qr_scanned": scanned,
    "qr_expired": expired,
    "pairing_code": pairing_code,
    "action_required": action_required,
    "connection_failed": connection_failed,
}
"""What a message can mean, by the word for it."""

DEFAULT_SIGNALS: SignalMap = {
    f"{prefix}{name}": make
    for prefix in ("whatsapp_", "")
    for name, make in MEANINGS.items()
    if prefix or name != "connected"
}
"""The messages understood unless told otherwise."""


def check_signals(signals: object) -> None:
    """Raise `InvalidValue` for what is no map from names to functions."""
    if not isinstance(signals, Mapping):
        raise InvalidValue(f"signals must be a mapping, not {type(signals).__name__}")
    if not all(isinstance(name, str) and callable(make) for name, make in signals.items()):
        raise InvalidValue("signals must be functions by the names of messages")


def read_message(
    signals: SignalMap, name: object, args: tuple[object, ...], owner: Owner
) -> Signal | Drop | None:
    """The signal in a message, why there is none, or None for a message with nothing to say.

    Args:
        signals: what is understood.
        name: the event's name as it came.
        args: its arguments as they came; the first object among them is the payload (some servers
            append an argument of their own), or else the first of any kind.
        owner: whose messages this transport listens for.

    Raises:
        BaseException: a function of ``signals`` was interrupted, or ends the program.
    """
    payload = _payload_of(args)
    make = signals.get(name) if isinstance(name, str) else None
    kind = payload.get("type") if isinstance(payload, dict) else None
    if make is None and isinstance(kind, str):
        make = signals.get(kind)
    if make is None:
        return Drop.UNKNOWN
    if any(names_another(arg, owner) for arg in args):
        return Drop.FOREIGN
    try:
        meaning: object = make(payload)
    except BaseException as error:
        fault_of(error)
        return Drop.MALFORMED
    close_coroutine(meaning)
    return meaning if isinstance(meaning, Signal | None) else Drop.MALFORMED


def _payload_of(args: tuple[object, ...]) -> object:
    """What came with a message: an object, or whatever stands in its place.

    Only where nothing came is it empty. Were a payload of another kind read as empty, a success
    that names another bot in it would pass for ours.
    """
    there = [arg for arg in args if arg is not None]
    return next((arg for arg in there if isinstance(arg, dict)), there[0] if there else {})
