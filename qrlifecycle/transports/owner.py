"""Whose a message is: where it says so, and whether that is us.

One socket may hear of many pairings: servers send to everybody, or to a room with more in it than
one's own. So what a message says of its owner is looked for wherever services put it, and what is
another's is dropped before anything else of it is read.

A key is looked for where it is nearest to the top: further down it may well be about something
else. A key with dots is the way there (``"data.session"``), and it is looked for nowhere else. One
that is null says nothing, so it is looked for further down.

Whoever says by ``owner=`` what messages of ours say has it said in each: every value, at one of the
keys that it was given by. So two keys of one value are two places where it may stand, and two
values are a bot *and* a code, say: what names the bot alone may be about the code before.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto

from ..errors import InvalidValue, Malformed
from ..values import text_of

__all__ = [
    "Keys",
    "Owner",
    "Whose",
    "keys_of",
    "keys_of_pair",
    "named_in",
    "unsaid",
    "whose_is",
]

Owner = Mapping[str, str]
"""Whose messages are meant: where a message says it, and what it says there if it is ours."""

Keys = tuple[tuple[tuple[str, ...], str], ...]
"""What a message of ours may say: under any of these keys, only this; and so on."""

Level = list[tuple[str, object]]
"""What stands equally far down in a message, each with the way there."""

NESTED = 4
"""Levels of a message that are looked through for such a key: ``{"data": {"session": {...}}}``."""

JSON_BEGINS = ("{", "[", '"')
"""A service may have made text of its JSON itself: in whole, or of a part."""


UNSAID = "must say whose the message is, and is not there"
UNSAID_IN_PART = "must say whose the message is, and not all of them are there"


class Whose(Enum):
    """What a message says of its owner."""

    OURS = auto()
    NOBODYS = auto()
    """It says nothing of it, or not all that it has to."""
    ANOTHERS = auto()


def keys_of_pair(bot_id: str, user_id: str) -> Keys:
    """The usual names, for a bot and a user."""
    return ((("botId", "bot_id"), bot_id), (("userId", "user_id"), user_id))


def keys_of(owner: object) -> Keys:
    """Take what a program says: ours, by where messages say it.

    Raises:
        InvalidValue: no mapping from texts to texts, or an empty one.
    """
    if not isinstance(owner, Mapping):
        raise InvalidValue(
            f"owner must be a mapping such as {{'data.session': 'bot-7'}}, not "
            f"{type(owner).__name__}"
        )
    if not owner:
        raise InvalidValue("owner must have at least one key; None looks at nothing of yours")
    for pair in owner.items():
        if [type(part) for part in pair] != [str, str] or not all(pair):
            said = ", ".join("empty text" if part == "" else type(part).__name__ for part in pair)
            raise InvalidValue(
                f"owner must be texts by the keys that messages have, none empty, not {said}"
            )
    return tuple(((key,), value) for key, value in owner.items())


def unsaid(keys: Keys) -> Malformed:
    """Of a message that does not say whose it is, where each has to."""
    places: dict[str, list[str]] = {}
    for names, ours in keys:
        places.setdefault(ours, []).extend(names)
    field = "' and '".join("' or '".join(names) for names in places.values())
    return Malformed(field, UNSAID if len(places) == 1 else UNSAID_IN_PART)


def whose_is(said: object, keys: Keys, wrappers: Collection[str] | None = None) -> Whose:
    """Whose a message is, or what a tuple of its arguments says together.

    Args:
        said: the message.
        keys: what it may say.
        wrappers: where it is looked for below the top: only under these names, and in each of them,
            and one of the keys is enough; None: in whatever an object holds, and no further than
            where it is found, and all that a message of ours says has to be there.

    Raises:
        Malformed: there is what names nobody whom anyone could know, such as a list.
    """
    ways, named_there = list(keys), set[str]()
    for depth, level in _levels(said, wrappers):
        for way in tuple(ways):
            names, ours = way
            named = _named_at(level, names, depth)
            answers = [_is_ours(value, ours, where) for where, value in named]
            if not all(answers):
                return Whose.ANOTHERS
            if answers:
                named_there.add(ours)
                if wrappers is None:
                    ways.remove(way)
        if not ways:
            break
    enough = wrappers is not None or all(ours in named_there for _, ours in keys)
    return Whose.OURS if named_there and enough else Whose.NOBODYS


def named_in(said: object, names: Sequence[str]) -> str:
    """Who is named in a message, for whoever hears everybody.

    Args:
        said: the message, or a tuple of its arguments.
        names: the keys that say it, where each is looked for as `whose_is` does.

    Raises:
        Malformed: nobody is named, or several are, or what names nobody whom anyone could know.
    """
    for depth, level in _levels(said, None):
        named = _named_at(level, names, depth)
        found = {text_of(value, where) for where, value in named} - {None}
        if len(found) > 1:
            raise Malformed("' or '".join(names), "must say whose the message is, not of several")
        if found:
            return str(found.pop())
    raise Malformed("' or '".join(names), UNSAID)


def _levels(said: object, wrappers: Collection[str] | None) -> Iterator[tuple[int, Level]]:
    """A message from the top down, as far as there is anything in it."""
    level = [("", _parsed(one)) for one in (said if isinstance(said, tuple) else (said,))]
    for depth in range(NESTED):
        if not level:
            return
        yield depth, level
        level = [inner for path, one in level for inner in _inside(path, one, wrappers)]


def _named_at(level: Level, names: Sequence[str], depth: int) -> Level:
    """What stands under these keys and says anything, with the way there."""
    named = []
    for path, one in level:
        if not isinstance(one, dict):
            continue
        for key in names:
            if (value := one.get(key)) is not None:
                named.append((path + key, value))
            if depth == 0 and "." in key and (value := _at(one, key)) is not None:
                named.append((key, value))
    return named


def _is_ours(value: object, ours: str, where: str) -> bool:
    try:
        return text_of(value, where) == ours
    except Malformed:
        raise
    except ValueError:  # a number of more digits than there is text for
        return False


def _at(said: object, path: str) -> object:
    """What stands there, or None."""
    for key in path.split("."):
        said = _parsed(said)
        said = said.get(key) if isinstance(said, dict) else None
    return said


def _inside(path: str, one: object, wrappers: Collection[str] | None) -> Level:
    """What is one level further down, and the way there."""
    if isinstance(one, dict):
        keys = one if wrappers is None else wrappers
        return [(f"{path}{key}.", _parsed(one[key])) for key in keys if key in one]
    return [(path, _parsed(each)) for each in one] if isinstance(one, list) else []


def _parsed(said: object) -> object:
    """What a text says that is JSON; it may be text within text."""
    for _ in range(2):
        if isinstance(said, str) and said.lstrip()[:1] in JSON_BEGINS:
            with suppress(ValueError, RecursionError):
                said = json.loads(said)
    return said
