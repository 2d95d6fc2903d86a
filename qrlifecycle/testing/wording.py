"""Errors in words, without the groups that task groups wrap them in.

This room must never know what was tried.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["error_text", "innermost"]


def innermost(error: BaseException) -> Iterator[BaseException]:
    """What a group holds, however deep; an error by itself is itself."""
    if not isinstance(error, BaseExceptionGroup):
        yield error
        return
    for inner in error.exceptions:
        yield from innermost(inner)


def error_text(error: BaseException) -> str:
    """Class and text of an error, or of each one in a group, in one line."""
    texts = (
        f"{type(inner).__name__}: {inner}" if str(inner) else type(inner).__name__
        for inner in innermost(error)
    )
    return "; ".join(" ".join(text.split()) for text in dict.fromkeys(texts))
