"""The page that says what each ending means, as data."""

from __future__ import annotations

import re
from pathlib import Path

from qrlifecycle import TransportError
from qrlifecycle.errors import Ending

__all__ = ["PAGE", "is_documented", "rows"]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "when-a-connection-ends.md"


def rows() -> list[tuple[Ending, str]]:
    """The tables' endings, and what is said of each."""
    text = PAGE.read_text()
    found = re.findall(r"^\| `(\w+)` \| (.*?) \|", text, re.MULTILINE)
    of_socketio = re.findall(r"^\| ([^`|]+?) \| `(\w+)` \|", text, re.MULTILINE)
    known = {ending.value: ending for ending in Ending}
    return [
        *((known[name], said) for name, said in found),
        *((known[name], said) for said, name in of_socketio),
    ]


def is_documented(error: TransportError) -> bool:
    """Whether a row says what this error says."""
    said = str(error).removeprefix("before it was listened to: ")
    patterns = [
        ".*".join(map(re.escape, pattern.split("...")))
        for ending, pattern in rows()
        if ending is error.ending
    ]
    return any(re.fullmatch(pattern, said) for pattern in patterns)
