"""Engine.IO and Socket.IO as a function of messages: no socket, no time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrlifecycle import InvalidValue, TransportError, TransportRefused, TransportUnreachable
from qrlifecycle.errors import Ending
from qrlifecycle.transports.handshake import (
    CLOSED_EARLY,
    ENGINEIO,
    TOO_OLD,
    check_auth,
    engineio_address,
    engineio_path,
    recovers,
    refusal,
    without_offset,
)
from qrlifecycle.transports.messages import Drop
from qrlifecycle.transports.socketio.protocol import (
    MAX_ATTACHMENTS,
    NO_HEARTBEAT,
    NOT_SOCKETIO,
    Message,
    SocketIOProtocol,
)
from qrlifecycle.transports.socketio.transport import NOT_JOINED, NOT_OPENED

from .transport import texts_of

OPEN = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'
JOINED = '40{"sid":"x"}'
MALFORMED, UNKNOWN = (Drop.MALFORMED,), (Drop.UNKNOWN,)


def opened(namespace: str = "/", *, max_size: float = 1000) -> SocketIOProtocol:
    """A protocol whose server has said its first word; ours is sent."""
    protocol = SocketIOProtocol(namespace, {"token": "t"}, max_size)
    assert protocol.take(OPEN) == ()
    protocol.answers.clear()
    return protocol


def joined(**options: float) -> SocketIOProtocol:
    """One that was let into the namespace."""
    protocol = opened(**options)  # type: ignore[arg-type]
    assert protocol.take(JOINED) == ()
    assert protocol.joined
    return protocol


# The handshake


@pytest.mark.parametrize(
    ("namespace", "joining", "answer", "goodbye"),
    [
        ("/", '40{"token":"t"}', JOINED, "41"),
        ("/a", '40/a,{"token":"t"}', '40/a,{"sid":"x"}', "41/a,"),
        ("/a/b-c", '40/a/b-c,{"token":"t"}', '40/a/b-c,{"sid":"x"}', "41/a/b-c,"),
    ],
)
def test_the_handshake(namespace: str, joining: str, answer: str, goodbye: str) -> None:
    """OPEN is answered by the wish to join, with auth; the server's answer ends it."""
    protocol = SocketIOProtocol(namespace, {"token": "t"}, 1000)
    assert protocol.beat is None
    assert protocol.take(OPEN) == ()
    assert (protocol.answers, protocol.beat, protocol.joined) == ([joining], 45, False)
    assert protocol.take(answer) == ()
    assert protocol.joined
    assert protocol.answers == [joining]
    assert protocol.goodbye() == goodbye


@pytest.mark.parametrize(
    ("interval", "timeout", "beat"),
    [
        ("500", "200", 0.7),
        ('"500"', "200.5", 0.7005),
        ("0", "0", 0),
        ("-5", "1", -0.004),
        ("1e999", "1", math.inf),
        ("1" + "0" * 90, "1", 1e87),
        ("NaN", "1", None),
    ],
)
def test_the_server_says_its_heartbeat(interval: str, timeout: str, beat: float | None) -> None:
    """In milliseconds; what may not be meant is for whoever waits to judge."""
    protocol = SocketIOProtocol("/", {}, 1000)
    protocol.take(f'0{{"pingInterval":{interval},"pingTimeout":{timeout}}}')
    assert protocol.beat == beat if beat is not None else math.isnan(protocol.beat or 0)


@pytest.mark.parametrize(
    "first",
    ["", "2", "3", "4", "6", JOINED, '42["x"]', "hello", '{"type":"hello"}', b"", b"x", "b!!", "9"],
)
def test_what_begins_without_an_open_is_another_protocol(first: str | bytes) -> None:
    """Some other service on a WebSocket: that is said at once."""
    with pytest.raises(TransportUnreachable, match=r"but not Socket\.IO") as caught:
        SocketIOProtocol("/", {}, 1000).take(first)
    assert caught.value.ending is Ending.ANOTHER_PROTOCOL


@pytest.mark.parametrize(
    "welcome",
    [
        *("0", "0x", "0[]", "0{}", '0{"pingInterval":1}', '0{"pingInterval":null,"pingTimeout":1}'),
        '0{"pingInterval":"soon","pingTimeout":1}',
        f'0{{"pingInterval":1{"0" * 400},"pingTimeout":1}}',
    ],
)
def test_an_open_without_a_heartbeat_is_another_protocol(welcome: str) -> None:
    """No server of Engine.IO 3 or 4 leaves it out."""
    with pytest.raises(TransportUnreachable, match=r"Socket\.IO 3 or newer") as caught:
        SocketIOProtocol("/", {}, 1000).take(welcome)
    assert caught.value.ending is Ending.ANOTHER_PROTOCOL


@pytest.mark.parametrize("namespace", ["/", "/a"])
@pytest.mark.parametrize("answer", ["40", "40{}", '40{"sid":null}', "40[]", '40"x"'])
def test_promise_4_a_server_of_socketio_2_is_told_apart(namespace: str, answer: str) -> None:
    """It lets everybody into "/" by itself, and its answer has no session's id."""
    with pytest.raises(TransportUnreachable, match=r"Socket\.IO 2; .* 3 or newer") as caught:
        opened(namespace).take(answer)
    assert caught.value.ending is Ending.ANOTHER_PROTOCOL


@pytest.mark.parametrize("goodbye", ["1", "41"])
def test_a_server_that_closes_before_it_let_us_in(goodbye: str) -> None:
    """It was never listened to."""
    with pytest.raises(TransportUnreachable, match="before the namespace was joined"):
        opened().take(goodbye)


def test_what_comes_before_joining_is_heard() -> None:
    """Servers may speak as soon as they know who is there."""
    protocol = opened()
    assert protocol.take('42["early",1]') == (Message("early", (1,)),)
    assert protocol.take("42[]") == MALFORMED
    assert not protocol.joined


# Refusals


def refused(answer: str) -> TransportError:
    """What a refusal is."""
    with pytest.raises(TransportError) as caught:
        opened().take(answer)
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        *(f'{{"code":{code}}}' for code in (408, 425, 429, 500, 503, 599, '"429"', 429.0)),
        *(f'{{"{key}":503}}' for key in ("status", "statusCode", "status_code")),
        '{"retryAfter":30}',
        '{"retry_after":"30"}',
        '[{"code":429}]',
        '{"code":"rate limited","status":429}',
    ],
)
def test_a_refusal_for_now_is_none_for_good(data: str) -> None:
    """HTTP's numbers for "not now", wherever a middleware puts them."""
    error = refused(f'44{{"message":"s3cret","data":{data}}}')
    assert isinstance(error, TransportUnreachable)
    assert error.ending is Ending.TRY_LATER
    assert "s3cret" not in "".join(texts_of(error))


@pytest.mark.parametrize(
    "data",
    [
        *("null", '"text"', "429", "[]", "{}", '{"code":null}', '{"code":true}', '{"code":"x"}'),
        *('{"code":401}', '{"code":403}', '{"code":1}', '{"code":99999}', '{"code":429.5}'),
        *('{"code":[429]}', '{"retryAfter":"soon"}', '{"retryAfter":NaN}', '{"code":1e999}'),
        '{"code":403,"retryAfter":30}',
    ],
)
def test_a_refusal_that_says_nothing_else_is_for_good(data: str) -> None:
    """It is about credentials, or the bot, as most are."""
    error = refused(f'44{{"message":"s3cret","data":{data}}}')
    assert isinstance(error, TransportRefused)
    assert error.ending is Ending.REFUSED
    assert "s3cret" not in "".join(texts_of(error))


def test_a_refusal_says_the_number_that_came_with_it() -> None:
    """So that somebody can tell one from another in the log; of the server's text, nothing."""
    later = refused('44{"message":"busy","data":{"code":429,"retryAfter":7}}')
    assert (later.status, later.retry_after) == (429, 7)
    assert str(later) == "the server lets nobody in for now (code 429)"
    never = refused('44{"message":"no","data":{"code":403}}')
    assert str(never) == "the server refused the credentials or the bot (code 403)"
    assert never.status == 403


@pytest.mark.parametrize("answer", ['44{"message":"Invalid namespace"}', '44"Unable to connect"'])
def test_a_namespace_that_is_not_there_may_come(answer: str) -> None:
    """Node's and Python's words for it."""
    error = refused(answer)
    assert isinstance(error, TransportUnreachable)
    assert str(error) == "the server has no such namespace"


# Messages


@pytest.mark.parametrize("name", ["status", "connect", "disconnect", "connect_error", "error", ""])
def test_promise_4_what_a_service_calls_its_own_events_is_its_own(name: str) -> None:
    """A word that the protocol has, too, is told apart by the kind of packet."""
    protocol = joined()
    assert protocol.take(f'42["{name}",{{"x":1}},2]') == (Message(name, ({"x": 1}, 2)),)
    assert protocol.joined
    assert protocol.answers == []


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ('420["x"]', "430[]"),
        ('4217["x"]', "4317[]"),
        ('42123456789012345["x"]', "43123456789012345[]"),
        ('4217["disconnect",{}]', "4317[]"),
    ],
)
def test_what_a_server_waits_for_is_answered(message: str, answer: str) -> None:
    """An id asks for word that the message has come."""
    protocol = joined()
    assert len(protocol.take(message)) == 1
    assert protocol.answers == [answer]


@pytest.mark.parametrize("offset", ["PhQ3dWc", "PhQ3dWc.1", "1732838400000-0", "_-9"])
def test_promise_4_a_success_without_a_payload_has_no_offset_for_one(offset: str) -> None:
    """A server that can recover a connection counts its messages in what looks like an argument."""
    protocol = opened()
    protocol.take('40{"sid":"x","pid":"y"}')
    for args in ("", '"text",', '{"a":1},', '"text",7,'):
        (message,) = protocol.take(f'42["x",{args}"{offset}"]')
        assert isinstance(message, Message)
        assert list(message.args) == json.loads(f"[{args.rstrip(',')}]")
    assert protocol.take(f'427["x","{offset}"]') == (Message("x", (offset,)),)
    for kept in ("two words", "", "ö" * 9, "x" * 65, "{}"):
        assert protocol.take(json.dumps(["x", kept]).join(["42", ""])) == (Message("x", (kept,)),)
    for joining in ('40{"sid":"x"}', '40{"sid":"x","pid":null}'):
        plain = opened()
        plain.take(joining)
        assert plain.take(f'42["x","{offset}"]') == (Message("x", (offset,)),)


def test_in_a_namespace_of_ones_own_it_is_answered_there() -> None:
    """By name; what is for another namespace is not ours."""
    protocol = opened("/a")
    protocol.take('40/a,{"sid":"x"}')
    assert protocol.take('42/a,7["x"]') == (Message("x", ()),)
    assert protocol.take('427["x"]') == UNKNOWN
    assert protocol.take('42/ab,7["x"]') == UNKNOWN
    assert protocol.take("41") == UNKNOWN
    assert protocol.answers == ["43/a,7[]"]


@pytest.mark.parametrize("ping", ["2", "2probe", "2" + "x" * 100_000, '2{"a":1}', "2" + "[" * 9999])
def test_a_ping_is_answered_with_no_more_than_a_pong(ping: str) -> None:
    """A peer does not decide how much we send."""
    protocol = joined()
    assert protocol.take(ping) in ((), MALFORMED)
    assert protocol.answers in (["3"], [])


def test_what_says_nothing_is_nothing() -> None:
    """A "noop" is meant for those who poll."""
    assert joined().take("6") == ()


@pytest.mark.parametrize("goodbye", ["1", "41"])
def test_a_server_that_closes_is_gone_in_order(goodbye: str) -> None:
    """By either protocol's word."""
    with pytest.raises(anyio.EndOfStream):
        joined().take(goodbye)


@pytest.mark.parametrize(
    "message",
    [
        *("", "3", "5", "7", "9", "x", "-1", OPEN, "4", "4x", "49", "42", "42x", "42{}", "425"),
        *("42[]", "42[[]]", "42[1]", "42[null]", '42{"a":1}', '42"x"', "4[]", "4{}", "4null"),
        *("4[1]", '4{"a":1}', "4[[2]]", "4true"),
        *(JOINED, "40", '44{"message":"late"}', '4317["x"]', "43[]", '461-["x"]', "46[]"),
        *("42" + "[" * 50_000, "42" + "1" * 110 + '["x"]', '459-["x"]', '4599999999999-["x"]'),
        *(b"", b"x", "bAAAA", "b!!"),
    ],
)
def test_promise_7_what_no_server_can_mean_is_malformed(message: str | bytes) -> None:
    """It is counted, nothing is raised or sent, and the next message is heard."""
    protocol = joined()
    assert protocol.take(message) == MALFORMED
    assert protocol.take('42["x"]') == (Message("x", ()),)
    assert protocol.answers == []


# Attachments


def header(count: int, *, ack: str = "") -> str:
    """A message with so many attachments."""
    places = [{"_placeholder": True, "num": number} for number in range(count)]
    return f"45{count}-{ack}{json.dumps(['x', places])}"


@pytest.mark.parametrize("count", [1, 2, MAX_ATTACHMENTS])
def test_a_message_is_whole_with_its_last_attachment(count: int) -> None:
    """And answered then, and not before."""
    protocol = joined()
    assert protocol.take(header(count, ack="7")) == ()
    for number in range(count - 1):
        assert protocol.take(bytes([number])) == ()
    assert protocol.answers == []
    whole = [bytes([number]) for number in range(count)]
    assert protocol.take(whole[-1]) == (Message("x", (whole,)),)
    assert protocol.answers == ["437[]"]


def test_a_message_with_no_attachment_is_whole_at_once() -> None:
    """Whether it says so or not."""
    protocol = joined()
    assert protocol.take('450-["x"]') == (Message("x", ()),)
    assert protocol.take('45["x"]') == (Message("x", ()),)


def test_what_is_torn_and_what_follows_are_counted_each() -> None:
    """Where the next message is none either."""
    protocol = joined()
    protocol.take(header(1))
    assert protocol.take("42[]") == MALFORMED * 2
    protocol.take(header(1))
    assert protocol.take("42{") == MALFORMED * 2
    assert protocol.take("42{") == MALFORMED


def test_control_packets_do_not_come_between_a_message_and_its_attachments() -> None:
    """Engine.IO's ping may come at any time."""
    protocol = joined()
    protocol.take(header(1))
    assert protocol.take("2") == protocol.take("6") == ()
    assert protocol.take(b"a") == (Message("x", ([b"a"],)),)


@pytest.mark.parametrize("next_one", ['42["y"]', '451-["y",{"_placeholder":true,"num":0}]'])
def test_promise_7_a_message_whose_attachments_do_not_come_is_dropped(next_one: str) -> None:
    """When the next one comes, which is heard."""
    protocol = joined()
    protocol.take(header(2))
    protocol.take(b"a")
    assert protocol.take(next_one)[0] is Drop.MALFORMED
    late = (Message("y", (b"b",)),) if next_one.startswith("45") else MALFORMED
    assert protocol.take(b"b") == late
    assert protocol.take('42["z"]') == (Message("z", ()),)


@pytest.mark.parametrize("place", ["7", "-9", '"0"', "[]", "null", "{}", "1e99", "1.5"])
def test_a_place_that_is_none_makes_a_message_malformed(place: str) -> None:
    """With the attachment that would go there; the next message is heard."""
    protocol = joined()
    assert protocol.take(f'451-["x",{{"_placeholder":true,"num":{place}}}]') == ()
    assert protocol.take(b"a") == MALFORMED
    assert protocol.take('42["y"]') == (Message("y", ()),)


def test_promise_7_attachments_have_a_limit_together() -> None:
    """Each may be as large as a message, but not all of them."""
    protocol = joined(max_size=10)
    protocol.take(header(3))
    assert protocol.take(b"a" * 5) == ()
    assert protocol.take(b"a" * 5) == ()
    assert protocol.take(b"a") == MALFORMED
    assert protocol.take(b"") == MALFORMED
    assert protocol.take(header(1)) == ()
    assert protocol.take(b"a" * 10) == (Message("x", ([b"a" * 10],)),)


# Anything


PLACED = '["x",{"_placeholder":true,"num":0}]'

texts = st.one_of(
    st.text(max_size=20),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(
            ["", *"0123456b", "40", "41", "42", "43", "44", "45", "46", "451-", "452-"]
        ),
        st.sampled_from(["", "/", "/a,", "7", "-", "1-", "99999999999-"]),
        st.sampled_from(
            ["", "[]", '["x"]', "{}", '{"sid":"x"}', '["x",{"_placeholder":true,"num":0}]']
        )
        | st.text(max_size=8),
    ),
)


@given(messages=st.lists(texts | st.binary(max_size=8), max_size=8), opening=st.booleans())
def test_promise_7_no_message_raises_what_it_may_not(
    messages: list[str | bytes], opening: bool
) -> None:
    """Whatever comes, in whatever order: events, drops, or one of the ends there are."""
    protocol = SocketIOProtocol("/", {}, 1000) if opening else joined()
    for message in messages:
        try:
            news = protocol.take(message)
        except (TransportUnreachable, TransportRefused):
            assert not protocol.joined
            return
        except anyio.EndOfStream:
            assert protocol.joined
            return
        assert all(isinstance(one, Message | Drop) for one in news)
        assert len(news) <= 2
        assert len(protocol.answers) <= 1
        protocol.answers.clear()


@pytest.mark.parametrize(
    "said",
    [
        *(CLOSED_EARLY, TOO_OLD, NOT_SOCKETIO, NO_HEARTBEAT, NOT_OPENED, NOT_JOINED),
        "the server did not let us into the namespace: ",
        *(str(refusal(said)) for said in ("Invalid namespace", None, {"data": {"code": 429}})),
    ],
)
def test_the_page_on_endings_has_what_is_said(said: str) -> None:
    """Each text, with what it means and what to do."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "when-a-connection-ends.md"
    assert said.partition(" (code")[0] in page.read_text()


def test_what_comes_before_the_joining_is_answered_has_no_offset() -> None:
    """Whether the server counts what it says is known only by its answer."""
    (early,) = opened().take('42["linked","abc"]')
    assert isinstance(early, Message)
    assert early.args == ("abc",)


# What a program says of the handshake


@pytest.mark.parametrize("args", [[{"a": 1}], [["abc"]], [7], ["a b c"], ["ab"], []])
def test_what_is_no_offset_is_an_argument(args: list[object]) -> None:
    """Only a short text without spaces, the last of all, is taken for a server's count."""
    assert without_offset(args) == tuple(args)
    assert without_offset([*args, "1700000000000-0"]) == tuple(args)


@pytest.mark.parametrize("joined", [None, "pid", ["pid"], {}, {"pid": 7}])
def test_who_says_no_such_thing_on_joining_recovers_nothing(joined: object) -> None:
    """Only Node's servers do, by a text."""
    assert not recovers(joined)
    assert recovers({"pid": "x"})


def test_auth_that_is_nested_too_deep_cannot_be_sent() -> None:
    """It is refused where it is given, and not when somebody connects."""
    deep: object = "x"
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidValue, match="JSON"):
        check_auth({"token": deep}, {})


@pytest.mark.parametrize(
    ("url", "path", "where"),
    [
        ("http://h/", "socket.io", "socket.io"),
        ("http://h", "/socket.io/", "socket.io"),
        ("http://h/a/b/", "//socket.io//", "a/b/socket.io"),
        ("http://h//a", "", "a"),
        ("http://h/X/", "/X", "X/X"),
    ],
)
def test_slashes_at_the_ends_of_a_path_say_nothing(url: str, path: str, where: str) -> None:
    """They are neither doubled nor missed."""
    assert engineio_path(url, path) == where


def test_a_query_that_says_nothing_of_the_protocol_is_refused_as_well() -> None:
    """It would be there twice, and the first counts."""
    for query in ("EIO=3", "EIO=", "a=1&transport="):
        with pytest.raises(InvalidValue, match="EIO or transport"):
            engineio_address(f"http://h/?{query}", "socket.io")
    assert engineio_address("http://h/?a=", "socket.io").target.endswith("?a=&" + ENGINEIO)


@pytest.mark.parametrize(
    ("said", "ending", "status"),
    [
        (["no", {"message": "Invalid namespace"}], Ending.NOT_CONNECTED, None),
        (({"code": 429}, "no"), Ending.TRY_LATER, 429),
        ({"code": 429, "data": "no"}, Ending.TRY_LATER, 429),
        ({"data": {"code": True, "status": "503"}}, Ending.TRY_LATER, 503),
        ({"data": {"code": 599}}, Ending.TRY_LATER, 599),
        ({"data": {"code": 600}}, Ending.REFUSED, None),
        ({"data": {"code": 100}}, Ending.REFUSED, 100),
        ({"data": {"code": 99}}, Ending.REFUSED, None),
    ],
)
def test_a_middlewares_number_is_found_wherever_it_may_stand(
    said: object, ending: Ending, status: int | None
) -> None:
    """Beside the text or in its data; what HTTP has no status for is none."""
    error = refusal(said)
    assert (error.ending, error.status) == (ending, status)
