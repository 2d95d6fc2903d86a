"""WebSocketTransport: any service's JSON or text over WebSocket, with a function that reads it."""

from __future__ import annotations

import itertools
import json
import logging
import pickle
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Connected,
    Failed,
    InvalidValue,
    Paired,
    Policy,
    QRCode,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    TransportError,
    TransportLost,
    TransportRefused,
    TransportUnreachable,
    WebSocketTransport,
)
from qrlifecycle.errors import Ending
from qrlifecycle.monitoring import Journal
from qrlifecycle.monitoring.journal import read_journal
from qrlifecycle.records import Closed
from qrlifecycle.testing.contract.websocket_peer import frame
from qrlifecycle.transports.websocket import REFUSING

from .patience import HANGS, patient_clock
from .wire.documented import is_documented
from .wire.serving import Served, listening

pytestmark = pytest.mark.anyio

OWNER = {"bot": "bot-7", "user": "user-1"}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


def read(said: Any) -> Signal | None:
    """What a message means."""
    match said:
        case {"type": "qr"}:
            return QRUpdated(QRCode(said["qr"]))
        case {"type": "scanned"}:
            return Scanned()
        case {"type": "linked"}:
            return Paired(said["phone"])
    return None


def say(*messages: object) -> bytes:
    """Messages as frames of JSON."""
    return b"".join(frame(json.dumps(one)) for one in messages)


def transport_to(port: int, reads: Any = read, **options: Any) -> WebSocketTransport:
    """A transport to a server of a test's."""
    return WebSocketTransport(f"ws://127.0.0.1:{port}/", reads, **options)


@asynccontextmanager
async def saying(
    data: bytes, reads: Any = read, **options: Any
) -> AsyncIterator[WebSocketTransport]:
    """A transport that is open, to a server that has said this."""

    async def handler(served: Served) -> None:
        await served.accept(data)
        await served.read_to_the_end()

    async with listening(handler) as port, transport_to(port, reads, **options) as transport:
        yield transport


async def test_a_message_becomes_what_read_makes_of_it() -> None:
    """A signal, several, or none; in order, and what was one message goes in one breath."""

    def reads(said: Any) -> Iterable[Signal] | Signal | None:
        if said == "both":
            return [Scanned(), Paired("me")]
        return QRUpdated(QRCode("x")) if said == "one" else None

    async with saying(say("one", "none", "both"), reads) as transport:
        heard = [await transport.receive() for _ in range(3)]
        assert heard == [QRUpdated(QRCode("x")), Scanned(), Paired("me")]
        assert transport.dropped == {"unknown": 1}


async def test_what_is_not_known_is_named_and_what_says_nothing_is_not_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`read` gives None of the one, and no signal of the other."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")

    def reads(said: Any) -> Iterable[Signal] | Signal | None:
        return () if said == {"type": "starting"} else read(said)

    odd = [{"event": "news"}, {"event": 1, "type": "more"}, {"type": "starting"}, {"x": 1}, [1]]
    async with saying(say(*odd, {"type": "scanned"}), reads) as transport:
        assert await transport.receive() == Scanned()
        assert transport.dropped == {"unknown": 4}
    said = [line.getMessage() for line in caplog.records if "dropped: " in line.getMessage()]
    assert said[:2] == [
        f"a message was dropped: unknown (event {name!r})" for name in ("news", "more")
    ]
    assert said[2] == "a message was dropped: unknown"


async def test_what_came_in_one_read_is_kept_by_its_meaning() -> None:
    """A newer code replaces one that nobody took, and a repeated signal is one."""
    codes = ({"type": "qr", "qr": f"code {number}"} for number in range(20))
    data = say(*[{"type": "scanned"}] * 20, *codes, {"type": "linked", "phone": "me"})
    async with saying(data) as transport:
        heard = [await transport.receive() for _ in range(3)]
    assert heard == [Scanned(), QRUpdated(QRCode("code 19")), Paired("me")]


async def test_text_and_bytes_are_handed_on_as_they_came() -> None:
    """With text=True nothing is parsed."""
    seen: list[object] = []

    def reads(said: str | bytes) -> Signal | None:
        seen.append(said)
        return Scanned() if said == b"\xff" else None

    async with saying(frame("{not json") + frame(b"\xff", 2), reads, text=True) as transport:
        assert await transport.receive() == Scanned()
    assert seen == ["{not json", b"\xff"]


async def test_json_may_come_in_bytes() -> None:
    """As some services send it."""
    async with saying(frame(b'{"type":"scanned"}', 2)) as transport:
        assert await transport.receive() == Scanned()


async def test_what_cannot_be_meant_is_said_within_bounds_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A peer may send as much of it as it likes: what is alike is said once, and never a value."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    garbage = frame("{s3cret") + say(
        {"type": "linked", "s3cret": 1}, {"type": "qr", "qr": ""}, {"type": "qr"}
    )
    async with saying(garbage * 500 + say({"type": "scanned"})) as transport:
        assert await transport.receive() == Scanned()
        assert transport.dropped == {"malformed": 2000}
    said = [record.getMessage() for record in caplog.records]
    assert 1 <= len(said) <= 10
    assert not [text for text in said if "s3cret" in text]


async def test_a_mark_of_the_byte_order_is_no_part_of_json() -> None:
    """Some libraries begin a text with one, as some editors do a file."""
    async with saying(frame('\ufeff{"type": "scanned"}')) as transport:
        assert await transport.receive() == Scanned()


async def test_what_is_no_json_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    """With the argument for who speaks something else."""
    async with saying(frame("scanned") + say({"type": "scanned"})) as transport:
        assert await transport.receive() == Scanned()
    assert "malformed: 'message' is no JSON; what is not, is given to `read` with text=True" in (
        caplog.text
    )


@pytest.mark.parametrize("made", [7, "text", [Scanned(), "no"], [None]])
async def test_what_read_makes_must_be_signals(made: object) -> None:
    """Or it counts as malformed, as what cannot be meant."""

    def reads(said: Any) -> Any:
        return Scanned() if said == "good" else made

    async with saying(say("bad", "good"), reads) as transport:
        assert await transport.receive() == Scanned()
        assert transport.dropped == {"malformed": 1}


@pytest.mark.parametrize(
    "said",
    [
        {"type": "linked", "phone": "x", "bot": "another"},
        {"type": "linked", "phone": "x", "user": "another"},
        {"type": "linked", "phone": "x", "data": {"session": {"bot": "another"}}},
        {"type": "linked", "phone": "x", "bot": None, "data": {"bot": "another"}},
        {"type": "linked", "phone": "x", "data": json.dumps({"bot": "another"})},
    ],
)
async def test_a_message_for_another_is_dropped(said: object) -> None:
    """Wherever it says so; then it is not even read."""
    ours = {"type": "scanned", "data": {"bot": "bot-7"}, "user": "user-1"}
    async with saying(say(said, ours), owner=OWNER) as transport:
        assert transport.subject == ("bot-7", "user-1")
        assert await transport.receive() == Scanned()
        assert transport.dropped == {"foreign": 1}


@pytest.mark.parametrize(
    "said",
    [
        *({"bot": ["another"]}, {"bot": True}, {}, {"bot": None}, {"x": "bot-7"}),
        *({"bot": "bot-7"}, {"user": "user-1"}, {"bot": "bot-7", "user": None}),
    ],
)
async def test_with_an_owner_what_does_not_name_us_is_not_ours(said: dict[str, object]) -> None:
    """What names nobody, one of two or cannot be read is not; what means nothing need not say."""
    ours = {"type": "scanned", "bot": "bot-7", "user": "user-1"}
    async with saying(
        say({"type": "linked", "phone": "x", **said}, ours), owner=OWNER
    ) as transport:
        assert await transport.receive() == Scanned()
        assert transport.dropped == {"malformed": 1}
    async with saying(say({"type": "hello"}, ours), owner=OWNER) as transport:
        assert await transport.receive() == Scanned()
        assert transport.dropped == {"unknown": 1}


async def test_whom_it_is_for_is_said_once() -> None:
    """However many places there are where a message may say it."""
    owner = {"bot": "bot-7", "data.bot": "bot-7", "user": "user-1"}
    assert WebSocketTransport("ws://h", read, owner=owner).subject == ("bot-7", "user-1")


async def test_without_an_owner_there_is_no_subject() -> None:
    """Nor is a message for another."""
    async with saying(say({"type": "scanned", "bot": "x"})) as transport:
        assert transport.subject is None
        assert await transport.receive() == Scanned()


# Greeting and welcome


async def test_it_greets_and_waits_for_the_servers_word() -> None:
    """Opening returns when the server listens; what it says before that is kept."""
    served: list[Served] = []
    greeted = anyio.Event()

    async def handler(one: Served) -> None:
        await one.accept(say({"type": "scanned"}))
        await one.read(6 + len("hello") + 6 + len(json.dumps({"join": "bot-7"})))
        greeted.set()
        await anyio.sleep(5)
        await one.send(say({"type": "joined"}, {"type": "linked", "phone": "me"}))
        await one.read_to_the_end()

    def welcome(said: Any) -> bool:
        return bool(said["type"] == "joined")

    async with listening(handler, served=served) as port:
        began = anyio.current_time()
        greeting = ["hello", {"join": "bot-7"}]
        async with transport_to(port, greeting=greeting, welcome=welcome) as transport:
            assert greeted.is_set()
            assert anyio.current_time() - began >= 5
            assert await transport.receive() == Scanned()
            assert await transport.receive() == Paired("me")
            assert transport.dropped == {}


async def failure_of(transport: WebSocketTransport) -> TransportError:
    """What opening raises."""
    with anyio.fail_after(HANGS), pytest.raises(TransportError) as raised:
        await transport.open()
    assert raised.value.__context__ is None
    return raised.value


@pytest.mark.parametrize(
    ("said", "kind", "ending", "text"),
    [
        (b"", TransportUnreachable, Ending.SILENT, "is what `welcome` waits for"),
        (say({"type": "hello"}), TransportUnreachable, Ending.SILENT, "is what `welcome` waits"),
        (frame(b"\x03\xe8", 8), TransportUnreachable, Ending.CLOSED, "the server closed before"),
        (frame(b"\x03\xf0", 8), TransportRefused, Ending.REFUSED, "WebSocket code 1008"),
        (frame(b"\x03\xf3", 8), TransportUnreachable, Ending.CLOSED, "before it was listened to"),
        (say("no"), TransportRefused, Ending.OTHER, "not you"),
        (frame(b"\xff"), TransportUnreachable, Ending.ANOTHER_PROTOCOL, "before it was listened"),
    ],
)
async def test_a_welcome_that_does_not_come(
    said: bytes, kind: type[TransportError], ending: Ending, text: str
) -> None:
    """It was never open, however it ends; and whoever reads may say that it is refused."""

    def welcome(said: Any) -> bool:
        if said == "no":
            raise TransportRefused("not you")
        return False

    async def handler(served: Served) -> None:
        await served.accept(said)
        await served.read_to_the_end()

    async with listening(handler) as port:
        transport = transport_to(port, welcome=welcome, heartbeat=20)
        error = await failure_of(transport)
        await transport.aclose()
    assert type(error) is kind
    assert error.ending is ending
    assert text in str(error)
    assert is_documented(error) or ending is Ending.OTHER


async def test_a_welcome_is_not_missed_before_there_is_a_websocket() -> None:
    """A server that does not even answer the handshake is silent, and no more is known."""

    async def handler(served: Served) -> None:
        await served.read_to_the_end()

    async with listening(handler) as port:
        error = await failure_of(transport_to(port, welcome=lambda _said: False, heartbeat=20))
    assert str(error) == "the server did not answer within 20 s (our heartbeat)"


@pytest.mark.parametrize(
    ("said", "kind", "ending"),
    [
        (frame(b"\x0f\xa1no", 8), TransportRefused, Ending.REFUSED),
        (frame(b"\x03\xe8", 8), TransportUnreachable, Ending.CLOSED),
        (b"", TransportUnreachable, Ending.SILENT),
    ],
    ids=["4001", "1000", "nothing"],
)
async def test_who_is_turned_away_right_after_the_handshake_was_never_let_in(
    said: bytes, kind: type[TransportError], ending: Ending
) -> None:
    """The server is asked by a ping, and its close comes before the pong."""

    async def handler(served: Served) -> None:
        await served.accept()
        await served.read(6)
        await served.send(said)
        await served.read_to_the_end()

    async with listening(handler) as port:
        transport = transport_to(port, wait_for_pong=True, refusing={4001}, heartbeat=20)
        error = await failure_of(transport)
        await transport.aclose()
    assert type(error) is kind
    assert error.ending is ending


@pytest.mark.parametrize("said", [frame(b"", 10), say({"type": "scanned"})], ids=["pong", "text"])
@pytest.mark.parametrize("early", [False, True], ids=["asked", "at once"])
async def test_whoever_is_answered_is_let_in(said: bytes, early: bool) -> None:
    """By the pong, or by a message, which is kept; one that came at once needs no ping."""
    answered = said * (not early)

    async def handler(served: Served) -> None:
        await served.accept(said if early else b"")
        if not early:
            assert (await served.read(6))[:2] == b"\x89\x80"
        await anyio.sleep(1)
        await served.send(answered + say({"type": "linked", "phone": "me"}))
        await served.read_to_the_end()

    async with listening(handler) as port:
        began = anyio.current_time()
        async with transport_to(port, wait_for_pong=True) as transport:
            assert (anyio.current_time() - began >= 1) is not early
            if said != frame(b"", 10):
                assert await transport.receive() == Scanned()
            assert await transport.receive() == Paired("me")


async def test_what_was_said_before_the_end_is_heard() -> None:
    """A message and a close in one: it was let in."""

    async def handler(served: Served) -> None:
        await served.accept(say({"type": "scanned"}) + frame(b"\x03\xe8", 8))
        await served.read_to_the_end()

    async with listening(handler) as port, transport_to(port, wait_for_pong=True) as transport:
        assert await transport.receive() == Scanned()
        with pytest.raises(anyio.EndOfStream):
            await transport.receive()


async def test_closing_while_it_waits_for_a_welcome() -> None:
    """That it was our own side is what is said."""

    async def handler(served: Served) -> None:
        await served.accept()
        await served.read_to_the_end()

    for way in ("aclose", "abort"):
        async with listening(handler) as port, anyio.create_task_group() as tasks:
            transport = transport_to(port, welcome=lambda _: False)

            async def close(transport: Any = transport, way: str = way) -> None:
                await anyio.sleep(1)
                if way == "abort":
                    transport.abort()
                else:
                    await transport.aclose()

            tasks.start_soon(close)
            error = await failure_of(transport)
            assert error.ending is Ending.ABANDONED
            assert str(error) == "the transport was closed while it opened"


# Close codes


@pytest.mark.parametrize("code", sorted(REFUSING))
async def test_some_close_codes_turn_us_away_for_good(code: int) -> None:
    """The code is in the text and in its field."""
    async with saying(frame(code.to_bytes(2, "big"), 8)) as transport:
        with pytest.raises(TransportRefused) as raised:
            await transport.receive()
    assert raised.value.code == code
    assert raised.value.ending is Ending.REFUSED
    assert f"WebSocket code {code}" in str(raised.value)


async def test_which_codes_refuse_can_be_said() -> None:
    """Those, and no others."""
    for code, kind in ((4001, TransportRefused), (1008, TransportLost)):
        async with saying(frame(code.to_bytes(2, "big"), 8), refusing={4001}) as transport:
            with pytest.raises(kind):
                await transport.receive()


async def test_read_may_end_the_connection() -> None:
    """With a `TransportError` of its own: a service may refuse in its own words."""

    def reads(said: Any) -> Signal | None:
        if said == "unauthorised":
            raise TransportRefused("the service says that the session is not ours")
        return read(said)

    data = say({"type": "scanned"}, "unauthorised", {"type": "linked", "phone": "late"})
    async with saying(data, reads) as transport:
        assert await transport.receive() == Scanned()
        for _ in range(2):
            with pytest.raises(TransportRefused, match="the session is not ours"):
                await transport.receive()


# What it is told


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"read": None}, "read must be a function, not NoneType"),
        ({"welcome": 7}, "welcome must be a function, not int"),
        ({"owner": "bot-7"}, "owner must be a mapping such as {'data.session': 'bot-7'}, not str"),
        ({"owner": []}, "owner must be a mapping such as {'data.session': 'bot-7'}, not list"),
        ({"owner": {"bot": 7}}, "owner must be texts"),
        ({"owner": {"bot": ""}}, "owner must be texts"),
        ({"owner": {}}, "owner must have at least one key"),
        ({"owner": OWNER, "text": True}, "owner needs messages of JSON"),
        ({"greeting": 7}, "greeting must be text, bytes, or a mapping"),
        ({"greeting": [7]}, "greeting must be text, bytes, or a mapping"),
        ({"greeting": {"x": object()}}, "greeting must be text, bytes, or a mapping"),
        ({"refusing": 1008}, "refusing must be close codes, not int"),
        ({"refusing": [True]}, "refusing must be WebSocket close codes"),
        ({"refusing": [401]}, "refusing must be WebSocket close codes"),
        ({"refusing": [1000]}, "refusing cannot hold 1000 and 1001"),
        ({"headers": {"X": "\n"}}, "the header 'X' cannot be sent"),
        ({"cookies": []}, "cookies must be a mapping, not list"),
        ({"subprotocols": "v1"}, "subprotocols must be names"),
        ({"ssl_context": 7}, "ssl_context must be an SSLContext, not int"),
        ({"ssl_context": ssl.create_default_context()}, "ssl_context is given, and the URL"),
        ({"proxy": "socks5://x:1"}, "proxy must look like"),
        ({"max_message": 0}, "max_message must be"),
        ({"heartbeat": 0}, "heartbeat must be"),
        ({"heartbeat": "9"}, "heartbeat must be"),
        ({"url": "http://"}, "the server's URL must look like"),
    ],
)
def test_arguments_that_cannot_be_meant(options: dict[str, Any], text: str) -> None:
    """They are refused by name, where they are given."""
    with pytest.raises(InvalidValue) as raised:
        WebSocketTransport(**{"url": "ws://example.com", "read": read, **options})
    assert text in str(raised.value)
    assert raised.value.__context__ is None


async def test_every_argument_is_used() -> None:
    """What the handshake is told; the others have tests of their own."""
    served: list[Served] = []

    async def handler(one: Served) -> None:
        await one.accept_with(b"Sec-WebSocket-Protocol: v1")
        await one.send(frame("x" * 101))
        await one.read_to_the_end()

    async with listening(handler, served=served) as port:
        transport = transport_to(
            port,
            headers={"X-One": "1"},
            cookies={"a": "b"},
            subprotocols=["v1"],
            max_message=100,
            proxy=None,
        )
        async with transport:
            with pytest.raises(TransportLost, match=r"more than 100 bytes \(max_message\)"):
                await transport.receive()
    assert served[0].header(b"x-one") == [b"1"]
    assert served[0].header(b"cookie") == [b"a=b"]
    assert served[0].header(b"sec-websocket-protocol") == [b"v1"]


def test_it_shows_no_secret_and_is_not_pickled() -> None:
    """Whom it is for it does show."""
    transport = WebSocketTransport("wss://me:s3cret@example.com/s3cret?s3cret", read, owner=OWNER)
    assert repr(transport) == "<WebSocketTransport wss://example.com for ('bot-7', 'user-1')>"
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        pickle.dumps(transport)


# Under a lifecycle


async def request_qr() -> QRCode:
    """A code."""
    return QRCode("code", expires_in=60)


async def pair_with(port: int, **options: Any) -> Any:
    """One pairing."""
    transport = partial(WebSocketTransport, f"ws://127.0.0.1:{port}", read, owner=OWNER)
    return await QRLifecycle(request_qr, transport, **options).pair()


async def test_promise_1_a_lifecycle_pairs_over_it() -> None:
    """The socket is open while the code is displayed, and is gone before the success is told."""
    served: list[Served] = []
    states: list[Any] = []

    async def handler(one: Served) -> None:
        await one.accept()
        await anyio.sleep(1)
        await one.send(say({"type": "linked", "phone": "x", "bot": "bot-8"}))
        await one.send(say({"type": "scanned", **OWNER}))
        await one.send(say({"type": "linked", "phone": "+49", **OWNER}))
        await one.read_to_the_end()

    async with listening(handler, served=served) as port:
        outcome = await pair_with(port, on_change=lambda change: states.append(change.state))
        await served[0].through.wait()
        assert served[0].received[:2] == b"\x88\x82"  # our close, masked
    assert outcome == Connected("+49")
    assert len(served) == 1


async def test_the_journal_says_how_each_connection_ended(tmp_path: Path) -> None:
    """A break, an orderly end, and our own leaving, which is none."""
    success = say({"type": "linked", "phone": "me", **OWNER})
    ends = [frame(b"\x03\xf3", 8), frame(b"\x03\xe8", 8), success]

    async def handler(served: Served) -> None:
        await served.accept(ends.pop(0))
        await served.read_to_the_end()

    path = tmp_path / "journal"
    async with listening(handler) as port:
        with Journal(path) as journal:
            outcome = await pair_with(port, recorders=[journal])
    assert outcome == Connected("me")
    with path.open("rb") as file:
        records = [entry.record for entry in read_journal(file)]
    closed = [record for record in records if isinstance(record, Closed)]
    assert [record.ending for record in closed] == [Ending.CLOSED, Ending.CLOSED, None]
    assert path.read_text().count('"ending":"closed"') == 2


async def test_refused_for_now_is_tried_again_and_for_good_is_not() -> None:
    """503 passes, and asks for a while; 401 ends the attempt at once, with what was said."""
    answers = [b"HTTP/1.1 503 X\r\nRetry-After: 3\r\n\r\n", b"HTTP/1.1 401 X\r\n\r\n"]
    asked: list[float] = []

    async def handler(served: Served) -> None:
        asked.append(anyio.current_time())
        await served.answer(answers.pop(0))
        await served.read_to_the_end()

    async with listening(handler) as port:
        outcome = await pair_with(port, policy=Policy(reconnect_delay=0.1))
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.AUTHENTICATION_REFUSED
    assert isinstance(outcome.error, TransportRefused)
    assert outcome.error.status == 401
    assert answers == []
    assert 3 <= asked[1] - asked[0] < 3.5


async def test_a_server_that_asks_to_wait_long_is_waited_for_as_long_as_the_policy_says() -> None:
    """`reconnect_delay_max`: nobody sits before a code for an hour."""
    asked: list[float] = []

    async def handler(served: Served) -> None:
        asked.append(anyio.current_time())
        await served.answer(b"HTTP/1.1 429 X\r\nRetry-After: 3600\r\n\r\n")
        await served.read_to_the_end()

    async with listening(handler) as port:
        policy = Policy(reconnect_delay=0.1, reconnect_delay_max=4, max_reconnects=2)
        outcome = await pair_with(port, policy=policy)
    assert outcome.reason is Reason.TRANSPORT_UNREACHABLE
    assert outcome.error.ending is Ending.TRY_LATER
    assert outcome.error.retry_after == 3600
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert len(waits) == 2
    assert all(4 <= wait < 4.5 for wait in waits)
