"""What a person answers to an `ActionRequired`, typed for each kind of action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import WrongAnswer

__all__ = ["CodeCompared", "PasskeySigned", "PasswordGiven", "Reply"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person, or their browser, has to say to an action. Each kind answers one of them."""

    def __post_init__(self) -> None:
        if type(self) is Reply:
            raise WrongAnswer("a Reply by itself says nothing; use one of its kinds")


@dataclass(frozen=True, slots=True)
class PasskeySigned(Reply):
    """To ``passkey``: what ``navigator.credentials.get()`` gave for the options in the action.

    ``credential`` is a `PublicKeyCredential` as its ``toJSON()`` has it.
    """

    credential: Mapping[str, object] = field(repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class CodeCompared(Reply):
    """To ``compare_code``: whether the person sees the same code on both screens."""

    same: bool = True


@dataclass(frozen=True, slots=True)
class PasswordGiven(Reply):
    """To ``password``: the second password of the account."""

    password: str = field(repr=False)
