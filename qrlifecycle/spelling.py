"""What may have been meant by a word that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that may have been meant, as the end of an error; empty if none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - it is of use to who misspells only

    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
