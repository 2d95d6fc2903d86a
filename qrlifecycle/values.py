"""Values as services send them: of a kind that nobody promised.

A phone number comes as a number, a status as true or false, an object as text. What says the same
is read as the same. What is there and cannot be meant is `Malformed`, which names the field and the
kind of what was found, never the value; it is not the same as nothing being there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

from .codes import PairingCode, QRCode
from .errors import InvalidValue, Malformed
from .policy import is_positive, number_or_kind

__all__ = [
    "NOT_NOW",
    "UNAUTHORIZED",
    "code_of",
    "fields_of",
    "json_in",
    "kind_of",
    "object_in",
    "seconds_to_wait",
    "text_of",
    "value_at",
]

C = TypeVar("C", QRCode, PairingCode)

UNAUTHORIZED = frozenset({401, 403})
"""HTTP's numbers for credentials that are not accepted, or not there (RFC 9110, 15.5)."""

NOT_NOW = frozenset({408, 425, 429})
"""Those of a request that is right, and comes at the wrong moment: Request Timeout (RFC 9110), Too
Early (RFC 8470), Too Many Requests (RFC 6585). What a number from 500 on means depends on who was
asked for what."""


LONGEST_WAIT = 86_400.0
"""Seconds; what is longer, or a date, is no Retry-After that anybody waits for here."""


def kind_of(value: object) -> str:
    """What a value is, in JSON's words."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN or infinity"
    kinds = {int: "a number", float: "a number", str: "text", list: "a list", bytes: "bytes"}
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    return next((word for kind, word in kinds.items() if isinstance(value, kind)), "something else")


def text_of(value: object, field: str, *, boolean: bool = False) -> str | None:
    """A value as text; a number as JSON spells it. None if there is nothing, not even a letter.

    Args:
        value: what is there.
        field: what to call it if it cannot be meant.
        boolean: whether true and false say something here; as text they are "true" and "false".

    Raises:
        Malformed: it is a list, an object, or another thing that is no text.
    """
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool) and boolean:
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Malformed(field, f"must be text or a number, not {kind_of(value)}")


def value_at(value: object, path: str) -> object:
    """What is at a dotted path into objects; None if nothing is."""
    found = value
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def fields_of(value: object, field: str) -> Mapping[str, object]:
    """The fields of an object.

    Raises:
        Malformed: it is none.
    """
    if not isinstance(value, Mapping):
        raise Malformed(field, f"must be an object, not {kind_of(value)}")
    return value


def code_of(kind: type[C], text: Any, field: str, lifetime: Any, lifetime_field: str) -> C:
    """The code that a service sent, of this kind, and its lifetime in seconds, if it sent one.

    Raises:
        Malformed: there is no such code, or no such lifetime.
    """
    if lifetime is not None and not is_positive(lifetime):
        number = isinstance(lifetime, int | float) and not isinstance(lifetime, bool)
        found = number_or_kind(lifetime) if number else kind_of(lifetime)
        raise Malformed(lifetime_field, f"must be seconds above 0, not {found}")
    if not isinstance(text, str):
        raise Malformed(field, f"must be a code as text, not {kind_of(text)}")
    try:
        return kind(text, expires_in=lifetime)
    except InvalidValue as error:
        trouble = f"is no code: {error}"
    raise Malformed(field, trouble)


def object_in(text: str | bytes) -> Mapping[str, object] | None:
    """The object that a text of JSON is; None if it is anything else."""
    with suppress(ValueError, RecursionError):
        found = json_in(text)
        if isinstance(found, dict):
            return found
    return None


def json_in(text: str | bytes) -> Any:
    """What a text of JSON says; a mark of the byte order before it says nothing (RFC 8259, 8.1).

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text.removeprefix("\ufeff") if isinstance(text, str) else text)


def seconds_to_wait(retry_after: str) -> float | None:
    """What a header ``Retry-After`` asks for, if it says so in seconds (RFC 9110, 10.2.3)."""
    value = retry_after.strip()
    seconds = float(value) if value.isascii() and value.isdigit() else math.inf
    return seconds if seconds <= LONGEST_WAIT else None
