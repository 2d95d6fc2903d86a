"""Whose a message is: where it says so, and whether that is somebody else.

One socket may hear of many pairings: servers send to everybody, or to a room with more in it than
one's own. So what a message says of its owner is looked for wherever services put it, and what is
another's is dropped before anything else of it is read.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from ..errors import InvalidValue
from ..values import text_of

__all__ = ["Owner", "check_owner", "names_another", "owner_of_pair"]

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


def names_another(said: object, owner: Owner, wrappers: Collection[str] | None = None) -> bool:
    """Whether a message, or one of a tuple of its arguments, names an owner that is not ours.

    A key counts where it is nearest to the top: further down it may well be about something else. A
    key with dots is the way there (``"data.session"``). One that is null says nothing, so it is
    looked for further down: in whatever an object holds, or only under the keys of ``wrappers``.
    """
    for keys, ours in owner:
        if any(_is_another(_at(said, key), ours) for key in keys):
            return True
    ways = list(owner)
    level = [_parsed(one) for one in (said if isinstance(said, tuple) else (said,))]
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
        level = [_parsed(inner) for one in level for inner in _inside(one, wrappers)]
    return False


def _is_another(value: object, ours: str) -> bool:
    if value is None:
        return False
    try:
        return text_of(value, "") != ours
    except ValueError:  # neither text nor a number, or one of more digits than there is text for
        return True


def _at(said: object, path: str) -> object:
    """What stands there, or None."""
    for key in path.split("."):
        said = _parsed(said)
        said = said.get(key) if isinstance(said, dict) else None
    return said


def _inside(one: object, wrappers: Collection[str] | None) -> Iterable[object]:
    if isinstance(one, dict):
        return [value for key, value in one.items() if wrappers is None or key in wrappers]
    return one if isinstance(one, list) else ()


def _parsed(said: object) -> object:
    """What a text says that is JSON; it may be text within text."""
    for _ in range(2):
        if isinstance(said, str) and said.lstrip()[:1] in JSON_BEGINS:
            with suppress(ValueError, RecursionError):
                said = json.loads(said)
    return said
