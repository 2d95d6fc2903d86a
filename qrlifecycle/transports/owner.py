"""Whose a message is: where it says so, and whether that is somebody else.

One socket may hear of many pairings: servers send to everybody, or to a room with more in it than
one's own. So what a message says of its owner is looked for wherever services put it, and what is
another's is dropped before anything else of it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress

from ..errors import InvalidValue

__all__ = ["Owner", "check_owner", "names_another", "owner_of_pair", "value_as_text"]

Owner = tuple[tuple[tuple[str, ...], str], ...]
"""What a message may say of its owner: under any of these keys, only this; and so on."""

NESTED = 4
"""Levels of a message that are looked through for such a key: ``{"data": {"session": {...}}}``."""

JSON_BEGINS = ("{", "[", '"')
"""A service may have made text of its JSON itself: in whole, or of a part."""


def owner_of_pair(bot_id: str, user_id: str) -> Owner:
    """The usual names, for a bot and a user."""
    return ((("botId", "bot_id"), bot_id), (("userId", "user_id"), user_id))


def check_owner(owner: object) -> Owner:
    """Take what a program says: ours, by the keys that messages have for it.

    Raises:
        InvalidValue: no mapping from texts to texts.
    """
    if not isinstance(owner, Mapping):
        raise InvalidValue(f"owner must be a mapping, not {type(owner).__name__}")
    for pair in owner.items():
        if [type(part) for part in pair] != [str, str] or not all(pair):
            raise InvalidValue("owner must be texts by the keys that messages have, none empty")
    return tuple(((key,), value) for key, value in owner.items())


def names_another(said: object, owner: Owner) -> bool:
    """Whether a message names an owner that is not ours.

    A key counts where it is nearest to the top: further down it may well be about something else. A
    key with dots is the way there (``"data.session"``). One that is null says nothing, so it is
    looked for further down.
    """
    ways = [(keys, ours) for keys, ours in owner if not any("." in key for key in keys)]
    for keys, ours in owner:
        if any("." in key and _is_another(_at(said, key), ours) for key in keys):
            return True
    level = [_parsed(said)]
    for _ in range(NESTED):
        objects = [one for one in level if isinstance(one, dict)]
        for keys, ours in tuple(ways):
            named = [one[key] for one in objects for key in keys if one.get(key) is not None]
            if any(_is_another(value, ours) for value in named):
                return True
            if named:
                ways.remove((keys, ours))
        if not ways:
            break
        level = [_parsed(inner) for one in level for inner in _inside(one)]
    return False


def value_as_text(value: object) -> str | None:
    """A text or a number as text; None for what is neither.

    Services write ids and phone numbers as either. JSON does not tell 7 from 7.0.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return str(int(value) if value == int(value) else value)
    except (ValueError, OverflowError):  # NaN, infinity, or more digits than there is text for
        return None


def _is_another(value: object, ours: str) -> bool:
    return value is not None and value_as_text(value) != ours


def _at(said: object, path: str) -> object:
    """What stands there, or None."""
    for key in path.split("."):
        said = _parsed(said)
        said = said.get(key) if isinstance(said, dict) else None
    return said


def _inside(one: object) -> Iterable[object]:
    if isinstance(one, dict):
        return one.values()
    return one if isinstance(one, list) else ()


def _parsed(said: object) -> object:
    """What a text says that is JSON; it may be text within text."""
    for _ in range(2):
        if isinstance(said, str) and said.lstrip()[:1] in JSON_BEGINS:
            with suppress(ValueError, RecursionError):
                said = json.loads(said)
    return said
