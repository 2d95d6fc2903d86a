"""What a server's message means: event names and payloads, mapped to signals.

Pure functions. The default understands messages such as
``{"type": "whatsapp_connected", "botId": ..., "userId": ...}``, whether sent as an event of that
name or as any event whose payload has that ``type``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from ..calling import require_plain_function
from ..codes import PairingCode, QRCode
from ..engine.user_code import close_coroutine, fault_of, place_of
from ..errors import InvalidValue, Malformed, QRLifecycleError
from ..outcome import Reason
from ..signals import (
    ActionRequired,
    Addressed,
    Paired,
    PairingRefused,
    QRExpired,
    QRUpdated,
    Scanned,
    Signal,
    StatusChanged,
)
from ..values import code_of, fields_of, kind_of, object_in, text_of
from .owner import Owner, Whose, keys_of, keys_of_pair, named_in, unsaid, whose_is

__all__ = [
    "DEFAULT_SIGNALS",
    "MEANINGS",
    "Drop",
    "Dropped",
    "Payload",
    "SignalMap",
    "address_message",
    "check_signals",
    "payload_of",
    "read_message",
]

Payload = Mapping[str, object]
"""A message's JSON object; empty when the message had none."""

SignalMap = Mapping[str, Callable[[Any], Signal | None]]
"""From the name of a message to what makes a signal of its `Payload`; None means "nothing to say".
A payload that cannot be meant may raise anything, best of all `Malformed`, which says where: the
message is then dropped, counted and logged as malformed. A payload that is there and is no object,
such as a bare text, is given as it came."""


class Drop(StrEnum):
    """Why a message became nothing."""

    UNKNOWN = "unknown"
    MALFORMED = "malformed"
    FOREIGN = "foreign"
    TOO_LARGE = "too_large"
    """It was not read, and the connection ended by it."""


class Dropped(NamedTuple):
    """A message that became nothing: the cause, and for the author of `signals` what is wrong."""

    cause: Drop
    why: str = ""


def paired(payload: object) -> Signal:
    """Success; the identity is the first of the usual names for it that says anything."""
    fields = fields_of(payload, PAYLOAD)
    texts = (text_of(fields[key], key) for key in IDENTITIES if key in fields)
    return Paired(next(filter(None, texts), None), fields)


def qr_updated(payload: object) -> Signal:
    """A new code, in ``qr`` or ``qrCode``; ``expiresIn`` gives its lifetime in seconds."""
    fields = fields_of(payload, PAYLOAD)
    key = "qr" if "qr" in fields else "qrCode"
    lifetime = fields.get("expiresIn")
    return QRUpdated(code_of(QRCode, fields.get(key), key, lifetime, "expiresIn"))


def pairing_code(payload: object) -> Signal:
    """A new code to type, in ``code`` or ``pairingCode``; ``expiresIn`` as for a QR code."""
    fields = fields_of(payload, PAYLOAD)
    key = "code" if "code" in fields else "pairingCode"
    text, lifetime = text_of(fields.get(key), key), fields.get("expiresIn")
    return QRUpdated(code_of(PairingCode, text, key, lifetime, "expiresIn"))


def action_required(payload: object) -> Signal:
    """Something more is wanted from the person; ``action`` says what."""
    fields = fields_of(payload, PAYLOAD)
    action: Any = fields.get("action")
    if not isinstance(action, str):
        raise Malformed("action", f"must be text, not {kind_of(action)}")
    return ActionRequired(action, fields)


def scanned(_payload: object) -> Signal:
    """The phone has read the code."""
    return Scanned()


def expired(_payload: object) -> Signal:
    """The code ran out."""
    return QRExpired()


def connection_failed(payload: object) -> Signal:
    """Failure; a ``reason`` that is one of ours is taken, any other is the service's refusal."""
    fields = fields_of(payload, PAYLOAD)
    said = fields.get("reason")
    reason = next((reason for reason in Reason if reason == said), Reason.REFUSED_BY_SERVICE)
    return PairingRefused(reason, fields)


def status_changed(_payload: object) -> Signal:
    """Something is new; the status says what."""
    return StatusChanged()


MEANINGS: SignalMap = {
    "connected": paired,
    "qr_updated": qr_updated,
    "qr_scanned": scanned,
    "qr_expired": expired,
    "pairing_code": pairing_code,
    "action_required": action_required,
    "connection_failed": connection_failed,
    "status_changed": status_changed,
}
"""What a message can mean, by the word for it."""


class _Default(dict[str, Callable[[Any], Signal | None]]):
    """In a signature its name stands for it, rather than a function for each name in it."""

    def __repr__(self) -> str:
        return "DEFAULT_SIGNALS"


DEFAULT_SIGNALS: SignalMap = _Default(
    (f"{prefix}{name}", make)
    for prefix in ("whatsapp_", "")
    for name, make in MEANINGS.items()
    if prefix or name != "connected"
)
"""The messages understood unless told otherwise."""

PAYLOAD = "payload"
"""What a message's payload is called where it cannot be meant."""

IDENTITIES = ("identity", "phoneNumber", "phone", "jid", "wuid")
"""Under which names a payload says which account was paired."""

WRAPPERS = ("data", "payload")
"""Where services put what they have to say, if it is not at the top."""


def check_signals(signals: object) -> None:
    """Raise `InvalidValue` for what is no map from names to functions."""
    if signals is DEFAULT_SIGNALS:
        return
    if not isinstance(signals, Mapping):
        raise InvalidValue(f"signals must be a mapping, not {type(signals).__name__}")
    if not all(isinstance(name, str) and callable(make) for name, make in signals.items()):
        raise InvalidValue("signals must be functions by the names of messages")
    for name, make in signals.items():
        if make is not DEFAULT_SIGNALS.get(name):
            require_plain_function(f"signals[{name!r}]", make)


def read_message(
    signals: SignalMap,
    name: object,
    args: tuple[object, ...],
    bot_id: str,
    user_id: str,
    *,
    owner: Owner | None = None,
) -> Signal | Dropped | None:
    """The signal in a message, why there is none, or None for a message with nothing to say.

    Args:
        signals: what is understood.
        name: the event's name as it came.
        args: its arguments as they came; see `payload_of`.
        bot_id: the bot this transport listens for.
        user_id: the user this transport listens for.
        owner: whose messages are meant, for services that tell everybody everything: what says
            nowhere whose it is, or not all of it, is malformed then; a bare text is taken for the
            owner itself.
            Unless given, ``botId`` and ``userId`` (or ``bot_id`` and ``user_id``) are looked for,
            at the top and inside ``data`` and ``payload``, and what names nobody is for everybody.
    """
    payload = payload_of(args)
    if (make := _maker(signals, name, payload)) is None:
        return Dropped(Drop.UNKNOWN)
    try:
        if owner is None:
            whose = whose_is(args, keys_of_pair(bot_id, user_id), WRAPPERS)
        elif isinstance(payload, str):
            whose = _whose_text(payload, owner)
        else:
            whose = whose_is(args, keys_of(owner))
        if whose is Whose.ANOTHERS:
            return Dropped(Drop.FOREIGN)
        meaning: object = make(payload)
        if owner is not None and whose is Whose.NOBODYS and isinstance(meaning, Signal):
            raise unsaid(keys_of(owner))
    except BaseException as error:
        return _malformed(fault_of(error))
    return _checked(meaning)


def _whose_text(payload: str, owner: Owner) -> Whose:
    """Whose a bare text is: it says one value, which is too little where there are several."""
    values = set(owner.values())
    if payload not in values:
        return Whose.ANOTHERS
    return Whose.OURS if len(values) == 1 else Whose.NOBODYS


def address_message(
    signals: SignalMap, name: object, args: tuple[object, ...], ways: Sequence[Sequence[str]]
) -> Signal | Dropped | None:
    """The same for whoever hears everybody: a signal comes with whose it is.

    Args:
        signals: what is understood.
        name: the event's name as it came.
        args: its arguments as they came.
        ways: for each part of a key, under which names a message says it. If there is one part, a
            bare text is taken for it.
    """
    payload = payload_of(args)
    if (make := _maker(signals, name, payload)) is None:
        return Dropped(Drop.UNKNOWN)
    try:
        said = payload if isinstance(payload, str) and len(ways) == 1 else ""
        key = (said,) if said else tuple(named_in(args, names) for names in ways)
        meaning: object = make(payload)
        if isinstance(meaning, Signal):
            meaning = Addressed(key, meaning)
    except BaseException as error:
        return _malformed(fault_of(error))
    return _checked(meaning)


def _maker(
    signals: SignalMap, name: object, payload: object
) -> Callable[[Any], Signal | None] | None:
    """What makes a signal of it, by the event's name or by the payload's ``type``."""
    make = signals.get(name) if isinstance(name, str) else None
    if make is None and isinstance(payload, Mapping):
        kind = payload.get("type")
        make = signals.get(kind) if isinstance(kind, str) else None
    return make


def why_unreadable(fault: Exception) -> str:
    """What a function that reads a message raised; the text of our own errors only."""
    if isinstance(fault, QRLifecycleError):
        return str(fault)  # it holds no value
    return f"the function that reads it raised {type(fault).__name__}{place_of(fault)}"


def _malformed(fault: Exception) -> Dropped:
    return Dropped(Drop.MALFORMED, why_unreadable(fault))


def _checked(meaning: object) -> Signal | Dropped | None:
    if isinstance(meaning, Signal | None):
        return meaning
    close_coroutine(meaning)
    return Dropped(Drop.MALFORMED, f"its function gave back {type(meaning).__name__}, no Signal")


def payload_of(args: Sequence[object]) -> object:
    """What a message has to say: the first object among its arguments.

    Some servers append an argument of their own, and some send an object as a text of JSON. If
    there is no object it is the first argument, whatever that is; without one, or with null, it is
    an empty object.
    """
    given = [arg for arg in args if arg is not None]
    for arg in given:
        if isinstance(arg, dict):
            return arg
    for arg in given:
        if isinstance(arg, str) and arg.lstrip().startswith("{"):
            return arg if (found := object_in(arg)) is None else found
    return given[0] if given else {}
