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
from ..outcome import Reason
from ..signals import ActionRequired, Paired, PairingRefused, QRExpired, QRUpdated, Scanned, Signal

__all__ = ["DEFAULT_SIGNALS", "MEANINGS", "Drop", "Payload", "SignalMap", "read_message"]

Payload = Mapping[str, object]
"""A message's JSON object; empty when the message had none."""

SignalMap = Mapping[str, Callable[[Payload], Signal | None]]
"""From the name of a message to what makes a signal of its payload; None means "nothing to say".
A payload that cannot be meant may raise `ValueError`, `TypeError`, `LookupError` or
`AttributeError`: the message is then dropped, counted and logged as malformed."""


class Drop(StrEnum):
    """Why a message became nothing."""

    UNKNOWN = "unknown"
    MALFORMED = "malformed"
    FOREIGN = "foreign"


def paired(payload: Payload) -> Signal:
    """Success; the identity is the first of the usual names for it."""
    for key in ("identity", "phoneNumber", "phone", "jid", "wuid"):
        if isinstance(identity := payload.get(key), str) and identity:
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

OWNERS = {"bot": ("botId", "bot_id"), "user": ("userId", "user_id")}
"""Under which names a payload says whose it is."""


def read_message(
    signals: SignalMap, name: object, args: tuple[object, ...], bot_id: str, user_id: str
) -> Signal | Drop | None:
    """The signal in a message, why there is none, or None for a message with nothing to say.

    Args:
        signals: what is understood.
        name: the event's name as it came.
        args: its arguments as they came; the first object among them is the payload (some servers
            append an argument of their own).
        bot_id: the bot this transport listens for.
        user_id: the user this transport listens for.
    """
    payload: Payload = next((arg for arg in args if isinstance(arg, dict)), {})
    make = signals.get(name) if isinstance(name, str) else None
    kind = payload.get("type")
    if make is None and isinstance(kind, str):
        make = signals.get(kind)
    if make is None:
        return Drop.UNKNOWN
    if _is_foreign(payload, OWNERS["bot"], bot_id) or _is_foreign(payload, OWNERS["user"], user_id):
        return Drop.FOREIGN
    try:
        meaning = make(payload)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return Drop.MALFORMED
    return meaning if isinstance(meaning, Signal | None) else Drop.MALFORMED


def _is_foreign(payload: Payload, keys: tuple[str, ...], owner: str) -> bool:
    return any(str(payload[key]) != owner for key in keys if payload.get(key) is not None)
