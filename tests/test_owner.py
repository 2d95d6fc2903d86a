"""Where a message says whose it is."""

from __future__ import annotations

from typing import Any

import pytest

from qrlifecycle import InvalidValue
from qrlifecycle.errors import Malformed
from qrlifecycle.transports.owner import Whose, keys_of, keys_of_pair, unsaid, whose_is

PAIR = keys_of_pair("bot-7", "7")


def names_another(said: object, *given: Any) -> bool:
    """Whether a message is another's."""
    return whose_is(said, *given) is Whose.ANOTHERS


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
        {"botId": None, "data": {"botId": "bot-8"}},
        {"a": {"b": {"c": {"botId": "bot-8"}}}},
        [{"botId": "bot-7"}, {"botId": "bot-8"}],
        '{"data": "{\\"botId\\": 8}"}',
    ],
)
def test_another(said: object) -> None:
    """Under any of the names, of any type, in whatever it is wrapped."""
    assert names_another(said, PAIR)


@pytest.mark.parametrize("value", [True, ["7"], {"id": "7"}, []])
@pytest.mark.parametrize("key", ["botId", "bot_id", "userId", "user_id"])
def test_what_cannot_be_read_is_neither_ours_nor_anothers(key: str, value: object) -> None:
    """The service may mean us in a way that nobody understands; the error says where."""
    for said in ({key: value}, {"data": {key: value}}, [{key: value}]):
        with pytest.raises(Malformed, match=f"^'(data.)?{key}' must be text or a number, not "):
            whose_is(said, PAIR)
    with pytest.raises(Malformed, match=f"^'data.a.{key}' must"):
        whose_is({"data": [{"a": {key: value}}]}, PAIR)


@pytest.mark.parametrize(
    ("said", "whose"),
    [
        ({"botId": "bot-7"}, Whose.OURS),
        ({"data": {"userId": 7}}, Whose.OURS),
        ({"botId": None}, Whose.NOBODYS),
        ({"other": "bot-7"}, Whose.NOBODYS),
        ("bot-7", Whose.NOBODYS),
        (({"x": 1}, {"botId": "bot-7"}), Whose.OURS),
        (({"botId": "bot-7"}, {"botId": "bot-8"}), Whose.ANOTHERS),
        ({"userId": 10**5000}, Whose.ANOTHERS),
    ],
)
def test_ours_nobodys_or_anothers(said: object, whose: Whose) -> None:
    """A message may name us, somebody else, or nobody; the user alone names us, or the bot."""
    assert whose_is(said, PAIR, ("data",)) is whose


def test_two_keys_of_one_value_are_two_places_where_it_may_stand() -> None:
    """One is enough; where both are there, neither may be another's."""
    owner = keys_of({"session": "mine", "data.instance": "mine", "code": "abc"})
    assert whose_is({"session": "mine", "code": "abc"}, owner) is Whose.OURS
    assert whose_is({"data": {"instance": "mine", "code": "abc"}}, owner) is Whose.OURS
    assert whose_is({"session": "mine", "data": {"instance": "mine"}}, owner) is Whose.NOBODYS
    assert names_another({"session": "mine", "code": "abc", "data": {"instance": "x"}}, owner)


@pytest.mark.parametrize("said", ["{" * 100_000, "[" * 100_000, '"', "[1,", {"a": "{"}])
def test_what_only_looks_like_json_names_nobody(said: object) -> None:
    """And raises nothing."""
    assert not names_another(said, PAIR)


def test_keys_of_ones_own_take_the_place_of_the_usual() -> None:
    """Only they are looked at then; each by itself, and all that they are to say has to be said."""
    owner = keys_of({"session": "mine", "instance": "7"})
    for said, whose in (
        ({"session": "mine", "botId": "bot-8"}, Whose.NOBODYS),
        ({"instance": 7}, Whose.NOBODYS),
        ({"session": "mine", "instance": None}, Whose.NOBODYS),
        ({"session": "mine", "data": {"instance": 7}}, Whose.OURS),
    ):
        assert whose_is(said, owner) is whose
    assert names_another({"session": "theirs"}, owner)
    assert names_another({"session": "mine", "data": {"instance": 8}}, owner)
    assert whose_is({"botId": "bot-8"}, ()) is Whose.NOBODYS


def test_a_key_with_dots_is_the_way_there() -> None:
    """And it is looked for nowhere else."""
    owner = keys_of({"data.session": "mine"})
    assert not names_another({"session": "theirs", "data": {"session": "mine"}}, owner)
    assert not names_another({"x": {"data": {"session": "theirs"}}}, owner)
    assert not names_another({"data": None}, owner)
    assert names_another({"data": {"session": "theirs"}}, owner)
    assert names_another({"data": '{"session": 8}'}, owner)
    assert whose_is({"data": {"session": "mine"}}, owner) is Whose.OURS
    assert whose_is([{"data": {"session": "mine"}}], owner) is Whose.NOBODYS
    assert whose_is({"data.session": "mine"}, owner) is Whose.OURS


@pytest.mark.parametrize(
    "owner",
    [
        *("", "session", b"session", ["session"], [], {}, 7),
        *({"session": 7}, {7: "x"}, {"": "x"}, {"x": ""}),
    ],
)
def test_an_owner_that_cannot_be_meant_is_refused(owner: Any) -> None:
    """By name."""
    with pytest.raises(InvalidValue, match=r"^owner must "):
        keys_of(owner)


def test_what_is_wrong_of_an_owner_is_told_by_its_kind() -> None:
    """Whichever of the two it is; never by its value."""
    for owner, said in (({"": "x"}, "empty text, str"), ({"x": 7}, "str, int")):
        with pytest.raises(InvalidValue, match=f"none empty, not {said}$"):
            keys_of(owner)


def test_what_is_unsaid_says_where_it_was_to_be_said() -> None:
    """Each of the places."""
    assert str(unsaid(keys_of({"session": "a", "data.id": "a"}))) == (
        "'session' or 'data.id' must say whose the message is, and is not there"
    )
    assert str(unsaid(keys_of({"bot": "a", "id": "a", "code": "b"}))) == (
        "'bot' or 'id' and 'code' must say whose the message is, and not all of them are there"
    )


def test_it_may_be_looked_for_in_some_places_only() -> None:
    """At the top, in what is wrapped in a list or a text, and under the keys that are given."""
    said = {"contact": {"botId": "bot-8"}}
    assert names_another(said, PAIR)
    assert not names_another(said, PAIR, ("data",))
    for wrapped in ({"data": {"botId": 8}}, [{"botId": 8}], {"data": ['{"botId": 8}']}):
        assert names_another(wrapped, PAIR, ("data",))
