"""The promises by name, and errors in words, without the groups that task groups wrap them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

__all__ = ["PROMISES", "difference", "error_text", "in_words", "innermost", "kind_of"]

PROMISES = {
    1: "exclusion",
    2: "prompt leaving",
    3: "one socket",
    4: "no lost success",
    5: "cancellation",
    6: "secrets",
    7: "hostile input",
    8: "nothing left behind",
    9: "one socket per user",
}


def innermost(error: BaseException) -> Iterator[BaseException]:
    """What a group holds, however deep; an error by itself is itself."""
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for inner in error.exceptions:
        yield from innermost(inner)


def in_words(error: BaseException | None) -> str:
    """An error's class, and its text if it has one."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def kind_of(value: object) -> str:
    """What a value is, with its article; never what it holds."""
    kind = type(value).__name__
    article = "an" if kind[0].lower() in "aeiou" else "a"
    return "None" if value is None else f"{article} {kind}"


def difference(given: object, wanted: object) -> str:
    """In which fields two signals differ that look alike; of a code it is the hidden text.

    What a peer was given as the meaning of its bytes says nothing of `data`, as a rule, and a
    transport hands on the whole payload there.
    """
    if not (is_dataclass(given) and is_dataclass(wanted)):
        return "value"
    differing = []
    for field in fields(wanted):
        one, other = getattr(given, field.name, None), getattr(wanted, field.name)
        if one != other:
            shown = f" ({one!r}, not {other!r})" if repr(one) != repr(other) else " (it is hidden)"
            differing.append(f"'{field.name}'{shown}")
    return " and ".join(differing) or "value"


def error_text(error: BaseException) -> str:
    """Class and text of an error, or of each one in a group, in one line."""
    texts = map(in_words, innermost(error))
    return "; ".join(" ".join(text.split()) for text in dict.fromkeys(texts))
