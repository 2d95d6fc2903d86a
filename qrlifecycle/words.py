"""Names that carry the sentence explaining them: the base of states, events and reasons.

So the sentence stands beside the name, and docs and messages are made from it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

__all__ = ["Word"]


class Word(StrEnum):
    """A name as used in logs, diagrams and messages; ``meaning`` is its sentence."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        """Make the member: text, with its sentence."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member
