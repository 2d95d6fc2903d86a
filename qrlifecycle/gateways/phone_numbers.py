"""Phone numbers, for services that give a code to type: they want digits and nothing else."""

from __future__ import annotations

import re

from ..errors import InvalidValue

__all__ = ["digits_of"]

SPACING = re.compile(r"[\s().\-/]")

NUMBER = re.compile(r"\+?([1-9]\d{6,14})", re.ASCII)
"""The country's code and the rest (ITU-T E.164: at most 15 digits)."""


def digits_of(given: object) -> str:
    """The digits of a number.

    Raises:
        InvalidValue: it is none, or has no country's code. The text does not have it.
    """
    found = NUMBER.fullmatch(SPACING.sub("", given)) if isinstance(given, str) else None
    if found is None:
        raise InvalidValue("phone_number must be the whole number, as in +49 170 1234567")
    return found[1]
