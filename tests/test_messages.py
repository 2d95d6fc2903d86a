"""The room of `qrlifecycle.transports.messages`."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrlifecycle import (
    ActionRequired,
    InvalidValue,
    Paired,
    PairingCode,
    PairingRefused,
    QRCode,
    QRExpired,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    StatusChanged,
)
from qrlifecycle.signals import Addressed
from qrlifecycle.transports.messages import (
    DEFAULT_SIGNALS,
    Drop,
    Dropped,
    Payload,
    address_message,
    check_signals,
    read_message,
    scanned,
)

OWNER = {"botId": "bot-7", "userId": "user-1"}


def read(name: object, *args: object, signals: Any = DEFAULT_SIGNALS) -> Signal | Drop | None:
    """What a message for bot-7 and user-1 means, or the cause why it means nothing."""
    meaning = read_message(signals, name, args, "bot-7", "user-1")
    return meaning.cause if isinstance(meaning, Dropped) else meaning


def why(name: object, *args: object, signals: Any = DEFAULT_SIGNALS, owner: Any = None) -> str:
    """What is wrong with a message for bot-7 and user-1 that is malformed."""
    dropped = read_message(signals, name, args, "bot-7", "user-1", owner=owner)
    assert isinstance(dropped, Dropped)
    assert dropped.cause is Drop.MALFORMED
    return dropped.why


@pytest.mark.parametrize("prefix", ["whatsapp_", ""])
@pytest.mark.parametrize(
    ("name", "payload", "signal"),
    [
        ("qr_updated", {"qr": "code"}, QRUpdated(QRCode("code"))),
        ("qr_updated", {"qrCode": "code", "expiresIn": 20}, QRUpdated(QRCode("code"))),
        ("qr_scanned", {}, Scanned()),
        ("qr_expired", {}, QRExpired()),
        ("status_changed", {}, StatusChanged()),
    ],
)
def test_a_message_is_known_by_its_event_name_or_its_type(
    prefix: str, name: str, payload: dict[str, object], signal: Signal
) -> None:
    """As an event of that name, or as any event whose payload has that ``type``."""
    kind = prefix + name
    assert read(kind, {**OWNER, **payload}) == signal
    assert read("message", {**OWNER, **payload, "type": kind}) == signal
    assert read("anything", {**payload, "type": kind}) == signal


@pytest.mark.parametrize(
    ("name", "key", "other", "kind"),
    [
        ("qr_updated", "qr", "qrCode", QRCode),
        ("pairing_code", "code", "pairingCode", PairingCode),
    ],
)
def test_a_code_has_two_names_and_a_lifetime(
    name: str, key: str, other: str, kind: type[QRCode | PairingCode]
) -> None:
    """A picture or a code to type, by the first of its names, and for so many seconds."""
    for payload in ({key: "new", other: "old"}, {other: "new"}):
        meaning = read(name, {**payload, "expiresIn": 20})
        assert isinstance(meaning, QRUpdated)
        assert meaning.qr == kind("new")
        assert meaning.qr.expires_in == 20
        assert read(name, payload) == meaning


def test_an_action_is_a_word_and_what_is_needed_for_it() -> None:
    """The whole payload is handed on; an action that is no text is malformed."""
    payload = {"action": "compare_code", "code": "123"}
    assert read("action_required", payload) == ActionRequired("compare_code", payload)
    for wrong in ({}, {"action": 7}, {"action": ""}):
        assert read("action_required", wrong) is Drop.MALFORMED


@pytest.mark.parametrize("kind", ["whatsapp_qr_expired", "nobody"])
def test_the_event_name_counts_before_the_type(kind: str) -> None:
    """An event that is known by its name may have a ``type`` in its payload that means else."""
    assert read("whatsapp_qr_scanned", {**OWNER, "type": kind}) == Scanned()


def test_success_is_known_only_with_its_prefix() -> None:
    """A bare "connected" is what many servers greet with; it must not pass for success."""
    payload = {**OWNER, "identity": "+49"}
    assert read("whatsapp_connected", payload) == Paired("+49", payload)
    assert read("connected", payload) is Drop.UNKNOWN


@pytest.mark.parametrize("key", ["identity", "phoneNumber", "phone", "jid", "wuid"])
def test_the_identity_has_several_names(key: str) -> None:
    """The first usual name that holds text is taken."""
    payload = {key: "+49"}
    assert read("whatsapp_connected", payload) == Paired("+49", payload)


@pytest.mark.parametrize(
    ("number", "text"),
    [(491701234567, "491701234567"), (491701234567.0, "491701234567"), (0, "0"), (1.5, "1.5")],
)
def test_a_number_is_a_value(number: float, text: str) -> None:
    """A phone number as a JSON number is the same account as the one in text."""
    for key in ("identity", "phone"):
        payload = {key: number}
        assert read("whatsapp_connected", payload) == Paired(text, payload)
    assert read("pairing_code", {"code": 12345678}) == QRUpdated(PairingCode("12345678"))


@pytest.mark.parametrize(
    ("name", "payload", "field", "kind"),
    [
        ("whatsapp_connected", {"identity": ["+49"]}, "identity", "a list"),
        ("whatsapp_connected", {"identity": {}}, "identity", "an object"),
        ("whatsapp_connected", {"identity": None, "phone": True}, "phone", "true or false"),
        ("whatsapp_connected", {"phone": math.nan}, "phone", "NaN or infinity"),
        ("whatsapp_connected", {"phone": math.inf}, "phone", "NaN or infinity"),
        ("whatsapp_connected", {"phone": b"+49"}, "phone", "bytes"),
        ("qr_updated", {"qrCode": 7}, "qrCode", "a number"),
        ("qr_updated", {"qr": "x", "expiresIn": "20 s"}, "expiresIn", "text"),
        ("qr_updated", {"qr": "x", "expiresIn": -5}, "expiresIn", "-5"),
        ("pairing_code", {"code": ["x"]}, "code", "a list"),
        ("pairing_code", {"code": "x", "expiresIn": "20 s"}, "expiresIn", "text"),
        ("action_required", {"action": 7}, "action", "a number"),
        ("action_required", {}, "action", "null"),
        ("whatsapp_connected", {"botId": ["bot-7"]}, "botId", "a list"),
        ("whatsapp_connected", {"data": {"userId": {"a": 1}}}, "data.userId", "an object"),
    ],
)
def test_what_is_of_the_wrong_kind_is_malformed_and_says_where(
    name: str, payload: dict[str, object], field: str, kind: str
) -> None:
    """It is not taken for nothing: the message is dropped, with the field and what it holds."""
    said = why(name, payload)
    assert f"'{field}'" in said
    assert said.endswith(f"not {kind}")


@pytest.mark.parametrize("payload", ["bot-9", '"text"', "{torn", ["x"], [{"a": "x"}], 7, False])
def test_promise_7_a_payload_that_is_no_object_is_not_an_empty_one(payload: object) -> None:
    """Whose it is could not be seen: it ends nothing."""
    for name in ("whatsapp_connected", "connection_failed", "qr_updated", "action_required"):
        assert "'payload' must be an object" in why(name, payload)
    seen: list[object] = []
    assert read("state", payload, signals={"state": seen.append}) is None
    assert seen == [payload]  # a function of one's own is given it as it came


def test_an_object_as_text_is_the_object() -> None:
    """Some services make the text of JSON themselves; what it says counts all the same."""
    assert read("whatsapp_connected", json.dumps({"botId": "another"})) is Drop.FOREIGN
    mine = {**OWNER, "identity": "+49"}
    assert read("whatsapp_connected", json.dumps(mine)) == Paired("+49", mine)
    assert read("message", json.dumps({"type": "whatsapp_qr_scanned"})) == Scanned()
    assert read("whatsapp_qr_scanned", "[" * 100_000, "{" * 100_000) == Scanned()


@pytest.mark.parametrize("identity", ["", None])
def test_success_needs_no_identity(identity: object) -> None:
    """A success that names no account is still a success, of nobody in particular."""
    payload = {"identity": identity}
    assert read("whatsapp_connected", payload) == Paired(None, payload)
    assert read("whatsapp_connected") == Paired(None, {})


@pytest.mark.parametrize("key", ["botId", "bot_id", "userId", "user_id"])
@pytest.mark.parametrize("value", ["another", "", 7])
def test_a_message_for_somebody_else_is_foreign(key: str, value: object) -> None:
    """Another bot's or user's success is none of ours, wherever the message says whose it is."""
    for payload in ({key: value}, {"data": {key: value}}, {"payload": {key: value}}):
        assert read("whatsapp_connected", payload) is Drop.FOREIGN
        nobody = {"botId": None, "user_id": None}
        assert read("whatsapp_connected", {**nobody, **payload}) is Drop.FOREIGN


@pytest.mark.parametrize("key", ["botId", "bot_id", "userId", "user_id"])
@pytest.mark.parametrize("value", [["bot-7"], {"a": 1}, True])
def test_an_owner_that_cannot_be_read_is_not_taken_for_ours(key: str, value: object) -> None:
    """It is malformed, and says so: the service may mean us in a way that nobody understands."""
    assert read("whatsapp_connected", {key: value}) is Drop.MALFORMED


@pytest.mark.parametrize(
    "owner",
    [{"session": "bot-7"}, {"session": "bot-7", "data.instance": "bot-7"}],
)
def test_where_a_message_says_whose_it_is_can_be_told(owner: Any) -> None:
    """With `owner=` a message is ours if it says so at that place, and only then."""
    own = {"session-logged": lambda _payload: Paired()}

    def ask(payload: object) -> object:
        return read_message(own, "session-logged", (payload,), "bot-7", "user-1", owner=owner)

    assert ask({"session": "bot-7"}) == ask("bot-7") == Paired()
    assert ask({"session": "bot-7", "userId": "a user of the service's"}) == Paired()
    for other in ({"session": "another"}, {"session": ""}, {"session": 7}, "another"):
        assert ask(other) == (Drop.FOREIGN, "")
    assert "not a list" in why("session-logged", {"session": []}, signals=own, owner=owner)


@pytest.mark.parametrize(
    "payload", [{}, {"session": None}, {"botId": "bot-7"}, None, {"other": "bot-7"}, ["bot-7"], 7]
)
def test_promise_7_what_names_nobody_is_not_ours_with_an_owner(payload: object) -> None:
    """Where everybody is told everything, what does not say whose it is is malformed."""
    own = {"session-logged": lambda _payload: Paired()}
    meaning = read_message(
        own, "session-logged", (payload,), "bot-7", "u", owner={"session": "bot-7"}
    )
    assert isinstance(meaning, Dropped)
    assert meaning.cause is Drop.MALFORMED
    assert meaning.why == "'session' must say whose the message is, and is not there"


def test_of_several_places_all_that_are_there_must_be_ours() -> None:
    """A message that names two bots is not ours."""
    own, places = (
        {"news": lambda _payload: Scanned()},
        {"instance": "bot-7", "data.instance": "bot-7"},
    )

    def ask(payload: object) -> object:
        return read_message(own, "news", (payload,), "bot-7", "user-1", owner=places)

    assert ask({"data": {"instance": "bot-7"}}) == Scanned()
    assert ask({"instance": "bot-7", "data": {"instance": "bot-7"}}) == Scanned()
    assert ask({"instance": "bot-7", "data": {"instance": "x"}}) == (Drop.FOREIGN, "")


def test_with_an_owner_only_a_signal_has_to_say_whose_it_is() -> None:
    """What has nothing to say is no trouble, whoever it is for."""
    own: Any = {"news": lambda payload: Scanned() if payload.get("new") else None}
    for payload, expected in (({}, None), ({"new": 1}, Drop.MALFORMED)):
        meaning = read_message(own, "news", (payload,), "b", "u", owner={"session": "bot-7"})
        assert (meaning.cause if isinstance(meaning, Dropped) else meaning) is expected


def test_an_owner_need_not_be_called_as_the_bot_is() -> None:
    """It is what the service says there."""
    own, owner = {"news": lambda _payload: Scanned()}, {"session": "a name", "phone": "7"}
    for payload, expected in (
        ({"session": "a name", "phone": "7"}, Scanned()),
        ({"data": {"session": "a name"}, "phone": 7}, Scanned()),
        ({"session": "bot-7"}, Dropped(Drop.FOREIGN)),
        ({"session": "a name", "phone": 8}, Dropped(Drop.FOREIGN)),
    ):
        assert read_message(own, "news", (payload,), "bot-7", "u", owner=owner) == expected


@pytest.mark.parametrize("name", ["whatsapp_connected", "connection_failed", "qr_updated"])
def test_what_names_another_in_a_list_is_foreign_before_it_is_malformed(name: str) -> None:
    """Nobody is warned of what was meant for another."""
    assert read(name, [{"botId": "x"}]) is Drop.FOREIGN
    assert read(name, [OWNER]) is Drop.MALFORMED


def test_within_the_usual_wrappers_all_that_is_said_counts() -> None:
    """They hold the message, and nothing that it is about."""
    assert read("whatsapp_connected", {**OWNER, "data": {"botId": "another"}}) is Drop.FOREIGN
    assert read("whatsapp_connected", {**OWNER, "data": {"botId": ["bot-7"]}}) is Drop.MALFORMED


def test_an_id_may_be_a_number() -> None:
    """Servers spell ids as they like; the text is what counts."""
    message = ({"botId": 7, "userId": 1},)
    assert isinstance(
        read_message(DEFAULT_SIGNALS, "whatsapp_connected", message, "7", "1"), Paired
    )


def test_an_appended_argument_is_no_trouble() -> None:
    """Node's connection state recovery appends an offset to every event."""
    assert read("whatsapp_qr_scanned", OWNER, "offset-1") == Scanned()
    assert read("whatsapp_qr_scanned", "offset-1") == Scanned()


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"qr": None},
        {"qr": 7},
        {"qr": ""},
        {"qr": "x" * 3000},
        {"qr": "\ud800"},
        {"qr": "x", "expiresIn": "20"},
        {"qr": "x", "expiresIn": -1},
        {"qr": "x", "expiresIn": 0},
        {"qr": "x", "expiresIn": True},
        {"qr": "x", "expiresIn": math.nan},
        {"qr": "x", "expiresIn": []},
    ],
)
def test_a_code_that_cannot_be_meant_is_malformed(payload: dict[str, object]) -> None:
    """No text, too long, or with a lifetime that is none."""
    assert read("whatsapp_qr_updated", payload) is Drop.MALFORMED


def test_a_failure_keeps_a_reason_of_ours_and_no_other() -> None:
    """The list of reasons is closed; what the service makes up is its refusal."""
    payload = {"reason": "refused_on_phone"}
    known = read("whatsapp_connection_failed", payload)
    assert known == PairingRefused(Reason.REFUSED_ON_PHONE, payload)
    for reason in ("made up", 7, None, ["refused_on_phone"], {"a": 1}):
        made_up = read("whatsapp_connection_failed", {"reason": reason})
        assert isinstance(made_up, PairingRefused)
        assert made_up.reason is Reason.REFUSED_BY_SERVICE


@pytest.mark.parametrize("name", ["nobody", "", None, 7, ["x"], {"a": 1}, "__proto__"])
def test_an_unknown_message_is_unknown(name: object) -> None:
    """Whatever its name, and whatever type its payload says."""
    assert read(name) is Drop.UNKNOWN
    assert read(name, {"type": "nobody"}) is Drop.UNKNOWN
    assert read(name, {"type": ["whatsapp_connected"]}) is Drop.UNKNOWN


def test_signals_of_ones_own() -> None:
    """A map may add names, say nothing, and fail in the usual ways."""

    def state(payload: Payload) -> Signal | None:
        return {"open": Paired(str(payload["number"])), "wait": None}[str(payload["state"])]

    own = {"state": state}
    assert read("state", {"state": "open", "number": 49}, signals=own) == Paired("49")
    assert read("state", {"state": "wait", "number": 49}, signals=own) is None
    assert read("state", {"state": "else", "number": 49}, signals=own) is Drop.MALFORMED
    assert read("state", {}, signals=own) is Drop.MALFORMED
    assert read("whatsapp_connected", signals=own) is Drop.UNKNOWN


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)
keys = st.sampled_from(
    ["type", "botId", "userId", "qr", "expiresIn", "reason", "identity", "bot_id", "phone"]
)


@given(
    name=st.sampled_from(sorted(DEFAULT_SIGNALS)) | json_values,
    payload=st.dictionaries(keys, json_values | st.sampled_from(sorted(DEFAULT_SIGNALS))),
    others=st.lists(json_values, max_size=2),
)
def test_no_message_raises(name: object, payload: dict[str, object], others: list[object]) -> None:
    """Whatever JSON a message is made of, it becomes a signal or the cause why not."""
    assert isinstance(read(name, *others, payload), Signal | Drop)
    assert isinstance(read(name, *others), Signal | Drop)


def test_an_owner_that_is_null_is_no_owner() -> None:
    """A message whose ids are null names nobody, so it is nobody else's."""
    payload = {"botId": None, "userId": None}
    meaning = read_message(DEFAULT_SIGNALS, "whatsapp_connected", (payload,), "b", "u")
    assert isinstance(meaning, Paired)


@pytest.mark.parametrize("key", ["botId", "bot_id", "userId", "user_id"])
def test_promise_7_what_is_for_another_is_foreign(key: str) -> None:
    """However a message says whose it is, another's is dropped as such."""
    owner = {"b": "b", "u": "u"}[key[0]]
    for name in ("whatsapp_connected", "whatsapp_qr_updated"):
        payload = {"qr": "a code", key: "somebody else's"}
        dropped = read_message(DEFAULT_SIGNALS, name, (payload,), "b", "u")
        assert isinstance(dropped, Dropped)
        assert dropped.cause is Drop.FOREIGN
        meaning = read_message(DEFAULT_SIGNALS, name, ({**payload, key: owner},), "b", "u")
        assert isinstance(meaning, Signal)


@pytest.mark.parametrize(
    "fault", [ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError]
)
def test_promise_7_what_cannot_be_read_is_malformed_and_raises_nothing(
    fault: type[Exception],
) -> None:
    """Whatever a function raises over a payload that cannot be meant, the message is dropped."""

    def make(payload: object) -> Signal:
        raise fault

    try:
        meaning: object = read_message({"news": make}, "news", (), "b", "u")
    except Exception as error:
        meaning = error
    assert isinstance(meaning, Dropped)
    assert meaning.cause is Drop.MALFORMED
    assert fault.__name__ in meaning.why


OTHERS = {"botId": "another", "userId": "user-1", "identity": "+1"}


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps(OTHERS),
        json.dumps(json.dumps(OTHERS)),
        f"  {json.dumps(OTHERS)}",
        [OTHERS],
        [[OTHERS]],
        [json.dumps(OTHERS)],
        {"data": OTHERS},
        {"botId": None, "userId": None, "data": {"payload": OTHERS}},
        {"data": json.dumps(OTHERS)},
        {"payload": [1, OTHERS]},
    ],
)
@pytest.mark.parametrize(
    "name", ["whatsapp_connected", "connection_failed", "qr_expired", "qr_scanned"]
)
def test_promise_7_what_names_another_does_so_however_it_is_wrapped(
    name: str, payload: object
) -> None:
    """As text that was JSON, in a list, further down: it is another's, or malformed; not ours."""
    assert read(name, payload) in {Drop.FOREIGN, Drop.MALFORMED}


@pytest.mark.parametrize("payload", ["a session", "[]", "{", [], [{}], 7, True, 1.5, b"x", ""])
@pytest.mark.parametrize(
    "name", ["whatsapp_connected", "connection_failed", "qr_updated", "pairing_code"]
)
def test_promise_7_nobody_knows_whose_a_payload_is_that_is_no_object(
    name: str, payload: object
) -> None:
    """It is malformed, and neither a success nor a failure of ours."""
    assert read(name, payload) is Drop.MALFORMED


@pytest.mark.parametrize("payload", ["text", ["x"], 7, b"x", True])
def test_signals_of_ones_own_get_a_payload_as_it_came(payload: object) -> None:
    """Whoever knows what the service means by a bare text can read it."""
    seen: list[object] = []
    own = {"status": seen.append}
    assert read("status", payload, signals=own) is None
    assert read("status", None, payload, "offset-1", signals=own) is None
    assert seen == [payload, payload]


def test_an_async_function_in_the_map_makes_malformed_messages() -> None:
    """It is never run, and nobody is warned that it was not awaited."""

    async def late(_payload: object) -> Signal:
        return Scanned()

    assert "coroutine" in why("late", signals={"late": late})


def test_a_program_that_ends_in_a_function_of_the_map_ends() -> None:
    """`sys.exit()` is no malformed message."""

    def leave(_payload: object) -> Signal:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        read("leave", signals={"leave": leave})


@pytest.mark.parametrize(
    "fault", [ZeroDivisionError, OSError, RuntimeError, StopIteration, MemoryError]
)
def test_promise_7_a_function_of_the_map_may_raise_anything(fault: type[Exception]) -> None:
    """The kind and the place are said, for the author of the function; no text of it."""

    def make(_payload: object) -> Signal:
        raise fault("s3cret")

    line = make.__code__.co_firstlineno + 1
    said = f"the function that reads it raised {fault.__name__} ({__file__}:{line})"
    assert why("x", signals={"x": make}) == said


@pytest.mark.anyio
async def test_somebody_elses_cancellation_in_the_map_is_a_fault_like_another() -> None:
    """A cancellation that nobody asked for ends nobody's task."""

    def cancelled(_payload: object) -> Signal:
        raise asyncio.CancelledError

    assert "cancelled from elsewhere" in why("cancelled", signals={"cancelled": cancelled})


def test_what_stands_elsewhere_in_a_payload_is_no_owner() -> None:
    """The ids of a contact, say, further down than where services say whose a message is."""
    payload = {"identity": "+49", "contact": {"userId": "of the contact", "botId": "x"}}
    assert read("whatsapp_connected", payload) == Paired("+49", payload)


@pytest.mark.parametrize(
    ("ways", "said", "key"),
    [
        ([("session",)], "ada", ("ada",)),
        ([("session",)], {"session": "ada"}, ("ada",)),
        ([("bot",), ("user",)], {"bot": "b", "user": "u"}, ("b", "u")),
        ([("bot",), ("user",)], "ada", None),
        ([("session",)], "", None),
    ],
)
def test_a_bare_text_is_whose_a_message_is_where_one_word_says_it(
    ways: list[tuple[str, ...]], said: object, key: tuple[str, ...] | None
) -> None:
    """Of several words it could be any."""
    meaning = address_message(DEFAULT_SIGNALS, "qr_scanned", (said,), ways)
    if key is None:
        assert isinstance(meaning, Dropped)
        assert meaning.cause is Drop.MALFORMED
    else:
        assert meaning == Addressed(key, Scanned())


@pytest.mark.parametrize("owner", [{"a": "ada"}, {"a": "ada", "b": "ada"}, {"a": "ada", "b": "x"}])
def test_a_bare_text_is_the_owner_where_there_is_one(owner: dict[str, str]) -> None:
    """Of several values it says too little."""
    meaning = read_message(DEFAULT_SIGNALS, "qr_scanned", ("ada",), "b", "u", owner=owner)
    if len(set(owner.values())) == 1:
        assert meaning == Scanned()
    else:
        assert isinstance(meaning, Dropped)
        assert meaning.cause is Drop.MALFORMED
    other = read_message(DEFAULT_SIGNALS, "qr_scanned", ("eve",), "b", "u", owner=owner)
    assert other == Dropped(Drop.FOREIGN)


@pytest.mark.parametrize("signals", [{"x": 7}, {7: scanned}, {"x": scanned, "y": None}])
def test_what_is_no_function_by_a_name_is_no_map_of_signals(signals: Any) -> None:
    """Either of the two."""
    with pytest.raises(InvalidValue, match="signals must be functions by the names"):
        check_signals(signals)


def test_the_default_signals_are_shown_by_their_name() -> None:
    """In a signature they would be pages."""
    assert repr(DEFAULT_SIGNALS) == "DEFAULT_SIGNALS"
