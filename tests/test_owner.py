"""The room of `qrlifecycle.transports.owner`: where a message says whose it is."""

from __future__ import annotations

from typing import Any

import pytest

from qrlifecycle import InvalidValue
from qrlifecycle.transports.owner import (
    check_owner,
    names_another,
    owner_of_pair,
)

PAIR = owner_of_pair("bot-7", "7")


@pytest.mark.parametrize(
    "said",
    [
        {},
        None,
        7,
        "bot-8",
        [],
        {"botId": "bot-7", "userId": 7},
        {"bot_id": "bot-7", "user_id": 7.0},
        {"botId": None},
        {"bot_id": None, "botId": "bot-7"},
        {"data": {"botId": "bot-7"}},
        [{"userId": "7"}],
        '{"userId": "7"}',
        {"botId": "bot-7", "contact": {"botId": "of the contact"}},
        {"a": {"b": {"c": {"d": {"botId": "too deep to be meant"}}}}},
    ],
)
def test_ours_or_nobodys(said: object) -> None:
    """What names us, where it is nearest to the top, or nobody."""
    assert not names_another(said, PAIR)


@pytest.mark.parametrize(
    "said",
    [
        {"botId": "bot-8"},
        {"bot_id": "bot-8"},
        {"userId": "8"},
        {"user_id": "8"},
        {"botId": ""},
        '[{"botId": "bot-8"}]',
        '"{\\"botId\\": 8}"',
        {"bot_id": "bot-7", "botId": "bot-8"},
        {"botId": "bot-7", "userId": "8"},
        {"botId": "bot-7", "data": {"userId": "8"}},
        {"userId": 7.5},
        {"userId": True},
        {"userId": ["7"]},
        {"userId": {"id": "7"}},
        {"botId": None, "data": {"botId": "bot-8"}},
        {"a": {"b": {"c": {"botId": "bot-8"}}}},
        [{"botId": "bot-7"}, {"botId": "bot-8"}],
        '{"data": "{\\"botId\\": 8}"}',
    ],
)
def test_another(said: object) -> None:
    """Under any of the names, of any type, in whatever it is wrapped."""
    assert names_another(said, PAIR)


@pytest.mark.parametrize("said", ["{" * 100_000, "[" * 100_000, '"', "[1,", {"a": "{"}])
def test_what_only_looks_like_json_names_nobody(said: object) -> None:
    """And raises nothing."""
    assert not names_another(said, PAIR)


def test_keys_of_ones_own_take_the_place_of_the_usual() -> None:
    """Only they are looked at then; each by itself."""
    owner = check_owner({"session": "mine", "instance": "7"})
    assert not names_another({"session": "mine", "botId": "bot-8"}, owner)
    assert names_another({"session": "theirs"}, owner)
    assert names_another({"session": "mine", "data": {"instance": 8}}, owner)
    assert not names_another({"botId": "bot-8"}, check_owner({}))


def test_a_key_with_dots_is_the_way_there() -> None:
    """And it is looked for nowhere else."""
    owner = check_owner({"data.session": "mine"})
    assert not names_another({"session": "theirs", "data": {"session": "mine"}}, owner)
    assert not names_another({"x": {"data": {"session": "theirs"}}}, owner)
    assert not names_another({"data": None}, owner)
    assert names_another({"data": {"session": "theirs"}}, owner)
    assert names_another({"data": '{"session": 8}'}, owner)


@pytest.mark.parametrize("owner", [["session"], "session", {"session": 7}, {7: "x"}, {"": "x"}])
def test_an_owner_that_cannot_be_meant_is_refused(owner: Any) -> None:
    """By name."""
    with pytest.raises(InvalidValue, match=r"^owner must be"):
        check_owner(owner)


def test_it_may_be_looked_for_in_some_places_only() -> None:
    """At the top, in what is wrapped in a list or a text, and under the keys that are given."""
    said = {"contact": {"botId": "bot-8"}}
    assert names_another(said, PAIR)
    assert not names_another(said, PAIR, ("data",))
    for wrapped in ({"data": {"botId": 8}}, [{"botId": 8}], {"data": ['{"botId": 8}']}):
        assert names_another(wrapped, PAIR, ("data",))
