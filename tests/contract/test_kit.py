"""The kit itself: what it refuses, skips and survives."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from websockets.frames import Frame, Opcode

from qrlifecycle import (
    ActionRequired,
    InvalidValue,
    Paired,
    PairingRefused,
    QRCode,
    QRExpired,
    QRUpdated,
    Scanned,
    Signal,
    SocketIOTransport,
    Transport,
    TransportRefused,
    WebSocketTransport,
    WrongAnswer,
)
from qrlifecycle.testing import (
    WirePeer,
    check_transport,
    checks,
    relay,
    settle,
    socketio_peer,
    websocket_peer,
)
from qrlifecycle.testing.contract import wire
from qrlifecycle.testing.contract.peer import CannotCheck, CannotDo, Peer, Unfinished
from qrlifecycle.testing.contract.transport_lines import place_of_method
from qrlifecycle.testing.contract.websocket_peer import frame, greet_websocket
from qrlifecycle.testing.contract.wire import Wire
from qrlifecycle.testing.leaks import Leaks
from qrlifecycle.testing.suite import TransportContract
from qrlifecycle.testing.wording import difference

from ..patience import patient_clock
from .peers import (
    RELAYED_HEARTBEAT,
    SIGNALS,
    GreetedLineTransport,
    ScriptedEnd,
    greeted_line_peer,
    line_peer,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


def test_every_clause_has_checks_with_a_name_and_a_fact() -> None:
    """The checks cover T1 to T8, in order, each with a name of its own and a sentence."""
    listed = checks()
    assert sorted({check.clause for check in listed}) == [f"T{n}" for n in range(1, 9)]
    assert [check.clause for check in listed] == sorted(check.clause for check in listed)
    assert len({check.name for check in listed}) == len(listed)
    assert all(check.fact.endswith(".") for check in listed)


def test_a_clause_that_there_is_not_is_refused() -> None:
    """The error says which there are."""
    with pytest.raises(InvalidValue, match="no clause 'T9'; there are T1, T2"):
        checks(["T9"])


def test_a_clause_is_given_in_a_list() -> None:
    """Text is a collection of letters, and no letter is a clause."""
    with pytest.raises(InvalidValue, match=r"give a list of clauses: \['T7'\], not 'T7'"):
        checks("T7")


@pytest.mark.parametrize("limit", [0, -1, float("nan"), "5", None])
async def test_a_limit_that_cannot_be_is_refused(limit: Any) -> None:
    """Nobody is accused of needing more than no time."""
    with pytest.raises(InvalidValue, match="limit must be seconds above 0"):
        await check_transport(line_peer, limit=limit)


@pytest.mark.parametrize("made", [None, GreetedLineTransport])
async def test_what_makes_no_transport_is_told_so(made: object) -> None:
    """Before anything is checked, with what was made."""
    with pytest.raises(WrongAnswer, match="which is no Transport"):
        await check_transport(partial(greeted_line_peer, lambda *_, **__: made))  # type: ignore[arg-type]


async def test_a_socketio_server_may_have_words_of_its_own() -> None:
    """The peer says them, and what the adapter is given to make of them must come."""

    def make(host: str, port: int) -> SocketIOTransport:
        return SocketIOTransport(
            f"http://{host}:{port}",
            bot_id="bot-7",
            user_id="user-1",
            signals={"linked": lambda who: Paired(str(who["name"])), "late": lambda _: QRExpired()},
        )

    messages = [("linked", {"name": "ada"}, Paired("ada")), ("late", {}, QRExpired())]
    report = await check_transport(partial(socketio_peer, make, messages), clauses=["T4", "T7"])
    assert report.passed == report.results


async def test_a_websocket_server_hears_its_greeting_before_it_speaks() -> None:
    """Of several messages, in parts and with pings between; the welcome comes after the last."""
    said: list[str | bytes | dict[str, object]] = ["x" * 5, b"y" * 300, {"join": "z" * 70_000}]
    peer = websocket_peer(
        lambda url: WebSocketTransport(url, lambda _said: None),
        [("a", Scanned()), ("b", Paired("me"))],
        heartbeat=1,
        greeting=said,
        welcome="hello",
    )
    halves = [
        Frame(Opcode.TEXT, b"xx", fin=False),
        Frame(Opcode.PING, b""),
        Frame(Opcode.CONT, b"xxx"),
        Frame(Opcode.BINARY, b"y" * 300),
        Frame(Opcode.TEXT, json.dumps(said[2], indent=1).encode()),
    ]
    sent = b"".join(one.serialize(mask=True) for one in halves)
    async with peer, await anyio.connect_tcp("127.0.0.1", peer.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await client.receive()
        (served,) = peer.wires
        said_so_far = served.passed_on
        for begins, ends in pairwise((0, 1, 3, len(sent) - 1)):
            await client.send(sent[begins:ends])
            come = partial(served.orders.received.endswith, sent[:ends])
            await peer._until(come)
        await settle()
        assert served.passed_on == said_so_far
        await client.send(sent[-1:])
        assert await client.receive() == frame("hello")


async def test_what_is_no_exception_is_a_failure_like_another() -> None:
    """`receive()` raises what nobody expects: the check says so, and the others are made."""

    class Odd(GreetedLineTransport):
        async def receive(self) -> Signal:
            await super().receive()
            raise GeneratorExit

    check = next(check for check in checks(["T7"]) if check.name == "signal in halves is whole")
    result = await check.run(partial(greeted_line_peer, Odd))
    assert result.failure is not None
    assert "GeneratorExit, which is no Exception" in str(result.failure)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"signals": {b"one": Scanned()}}, "at least two signals"),
        ({"signals": {b"one": Scanned(), b"two": Scanned()}}, "must differ"),
        ({"signals": [Scanned(), Paired()]}, "give send="),
        ({"heartbeat": 0}, "above 0"),
        ({"answers": b"pong"}, "give that as well"),
        ({"heartbeat": float("inf")}, "finite"),
        ({"signals": {"one": Scanned(), b"two": Paired()}}, "over the wire must be bytes, not str"),
        ({"alive": "ping"}, "alive must be bytes, not str"),
        ({"farewell": 7}, "farewell must be bytes, not int"),
        ({"garbage": {"x": "text"}}, r"garbage\['x'\] must be bytes, not str"),
        ({"foreign": {"x": None}}, "foreign"),
        ({"greet": b"welcome"}, "greet must be a function, not bytes"),
        ({"refusal": {"error": "no"}}, "refusal must be a function, not dict"),
        ({"garbage": [b"x"]}, "garbage must be bytes by name, not list"),
    ],
)
def test_a_peer_that_cannot_be_meant_is_refused(options: dict[str, object], says: str) -> None:
    """What a check would stumble over is said when the peer is made."""
    with pytest.raises(InvalidValue, match=says):
        WirePeer(GreetedLineTransport, **{"signals": SIGNALS, "heartbeat": 1, **options})  # type: ignore[arg-type]


async def test_what_a_peer_cannot_do_is_skipped_and_says_why() -> None:
    """Without `greet=` there is no handshake to stall in; the other checks of T1 are made."""
    report = await check_transport(line_peer, clauses=["T1"])
    assert {result.check.name for result in report.skipped} == {
        "open cancelled while the peer is silent",
        "open whose peer hangs up",
        "open that is turned away",
    }
    assert all(re.search("greet=|refusal=", str(result.skipped)) for result in report.skipped)
    assert len(report.passed) == 7
    assert [line.split()[0] for line in str(report).splitlines()].count("skipped") == 3


def welcome_or_refuse(said: Any) -> bool:
    """As a program writes its `welcome`."""
    if "error" in said:
        raise TransportRefused("bad token")
    return "ok" in said


def read_anything(said: Any) -> Signal | None:
    """As a program writes its `read`."""
    return Scanned() if "a" in said else Paired() if "b" in said else None


async def greet_and_close(wire: Wire) -> None:
    """A refusal of one's own: taken in, and closed with a code that refuses everybody."""
    await greet_websocket(wire)
    await wire.send(frame((1008).to_bytes(2, "big"), 8))


NO = {"error": "no"}


@pytest.mark.parametrize(
    ("refusal", "options", "heeded"),
    [
        (None, {}, True),
        (4401, {}, True),
        (4999, {}, False),
        (4999, {"refusing": [4999]}, True),
        (NO, {"welcome": welcome_or_refuse}, True),
        (NO, {"greeting": {"hello": "t"}, "welcome": welcome_or_refuse}, True),
        (NO, {"welcome": lambda said: "ok" in said}, False),
        (NO, {}, False),
        (greet_and_close, {}, True),
    ],
)
async def test_a_server_lets_nobody_in_in_a_way_of_its_own(
    refusal: object, options: dict[str, Any], heeded: bool
) -> None:
    """By status, code, message, or all that a function does; who takes it for an outage is told."""
    check = next(one for one in checks(["T1"]) if one.name == "open that is turned away")
    peer = partial(
        websocket_peer,
        lambda url: WebSocketTransport(url, read_anything, heartbeat=0.5, **options),
        [({"a": 1}, Scanned()), ({"b": 1}, Paired())],
        heartbeat=0.5,
        greeting=options.get("greeting", ()),
        welcome={"ok": True} if "welcome" in options else None,
        refusal=refusal,
    )
    result = await check.run(peer)
    assert result.passed is heeded
    if not heeded:
        assert "TransportRefused" in str(result.failure)


def test_what_is_somebody_else_s_is_said_beside_the_default_messages() -> None:
    """What is given is not dropped because the messages are the usual ones."""
    usual = socketio_peer().foreign
    more = socketio_peer(foreign={"eve's": ("linked", {"user": "eve"})}).foreign
    assert usual
    assert more.keys() == usual.keys() | {"eve's"}


async def test_somebody_else_s_success_that_is_believed_is_told_as_what_it_is() -> None:
    """No garbage: the message is whole, and whose it is was not asked."""
    check = next(one for one in checks(["T6"]) if one.name == "message of somebody else")

    def peer(owner: dict[str, str] | None, foreign: Mapping[str, object] | None) -> WirePeer:
        return websocket_peer(
            lambda url: WebSocketTransport(
                url, lambda said: Paired(said["phone"]), owner=owner, heartbeat=0.5
            ),
            [({"user": "ada", "phone": phone}, Paired(phone)) for phone in ("1", "2")],
            heartbeat=0.5,
            foreign=foreign,
        )

    of_eve = {"eve's": {"user": "eve", "phone": "3"}}
    believed = str((await check.run(partial(peer, None, of_eve))).failure)
    assert "The message \"eve's\", which is somebody else's, became Paired(" in believed
    assert "say owner=" in believed
    assert (await check.run(partial(peer, {"user": "ada"}, of_eve))).passed
    assert "given no foreign=" in str((await check.run(partial(peer, None, None))).skipped)


async def test_the_least_of_a_peer_is_enough() -> None:
    """A peer that can do no more than it must has a transport checked by the rest."""

    class Least(ScriptedEnd):
        stall, wait_until_stalled = Peer.stall, Peer.wait_until_stalled
        break_off, go_away, send_early = Peer.break_off, Peer.go_away, Peer.send_early
        hang_up, reset = Peer.hang_up, Peer.reset

    report = await check_transport(Least, clauses=["T1", "T3", "T4", "T5", "T6", "T7", "T8"])
    assert {result.check.clause for result in report.passed} == {"T1", "T3", "T4", "T7", "T8"}
    assert len(report.skipped) + len(report.passed) == len(report.results)


async def test_what_the_making_raises_comes_out_as_it_is() -> None:
    """Where no transport can be made, it is no clause's; once one was, its constructor's it is."""

    def make(_host: str, _port: int) -> Transport:
        raise ZeroDivisionError

    def peer() -> WirePeer:
        return WirePeer(make, signals=SIGNALS, heartbeat=1)

    with pytest.raises(ZeroDivisionError):
        await check_transport(peer)
    *_, check = checks(["T7"])
    failure = (await check.run(peer)).failure
    assert failure is not None
    assert failure.happened.startswith("Making a transport raised ZeroDivisionError (test_kit.py:")


async def test_a_cancelled_check_leaves_nothing() -> None:
    """The cancellation goes on to the caller, and the peer is gone."""
    with anyio.move_on_after(0.1) as scope:
        while True:
            await check_transport(greeted_line_peer, clauses=["T5"])
    assert scope.cancelled_caught


async def test_what_a_peer_of_ones_own_cannot_do_has_a_reason() -> None:
    """Each deed that is not implemented says in words what is missing."""
    peer = ScriptedEnd()
    for deed in (partial(Peer.stall, peer, 0), partial(Peer.reset, peer), peer.fall_silent):
        with pytest.raises(CannotDo, match=r"^the peer "):
            deed()


def test_a_method_without_source_is_named_all_the_same() -> None:
    """A method that is no Python function has no line."""

    class Odd(GreetedLineTransport):
        abort = partial(print)  # pyright: ignore[reportAssignmentType]

    assert place_of_method(Odd("", 0), "abort") == "abort()"


def test_the_pytest_class_wants_its_fixture() -> None:
    """It is no test by itself, and says what to override."""
    assert TransportContract.__test__ is False
    fixture = TransportContract.peer
    function = getattr(fixture, "__wrapped__", None) or fixture._get_wrapped_function()
    with pytest.raises(NotImplementedError, match="override the fixture 'peer'"):
        function(TransportContract())


def test_the_kit_imports_neither_pytest_nor_hypothesis() -> None:
    """Whoever runs the checks plainly needs neither."""
    code = "import qrlifecycle.testing, sys; print({'pytest', 'hypothesis'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize("module", [pytest.param("suite", marks=pytest.mark.slow), "strategies"])
def test_what_needs_an_extra_says_which(module: str) -> None:
    """Without Hypothesis, the error names what to install."""
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from qrlifecycle.errors import MissingExtra\n"
        f"try: import qrlifecycle.testing.{module}\n"
        "except MissingExtra as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install '.[testing]'" in result.stdout


async def test_the_raw_socketio_server_sends_what_it_says() -> None:
    """The ready-made peer has a signal of each kind that its protocol has beside codes to type."""
    peer = socketio_peer()
    kinds = {type(signal) for signal in peer.signals}
    assert kinds == {Scanned, QRExpired, QRUpdated, Paired, PairingRefused}
    assert len(peer.signals) == len(kinds)
    assert peer.garbage


async def test_each_signal_of_the_raw_socketio_server_arrives() -> None:
    """The transport makes of each message what the peer says that it means."""
    async with socketio_peer() as peer, peer.make() as transport:
        await peer.wait_until_connected()
        await peer.send(*peer.signals)
        with anyio.fail_after(5):
            assert [await transport.receive() for _ in peer.signals] == list(peer.signals)


def a_screen(**options: Any) -> WirePeer:
    """A Socket.IO server whose messages name a screen, for a transport that is told so, or not."""

    def make(host: str, port: int) -> SocketIOTransport:
        url = f"http://{host}:{port}"
        signals = {"linked": lambda who: Paired(who["name"]), "late": lambda _: QRExpired()}
        return SocketIOTransport(
            url, bot_id="b", user_id="u", heartbeat=0.5, signals=signals, **options
        )

    return socketio_peer(
        make,
        [("linked", {"screen": 7, "name": "ada"}, Paired("ada")), ("late", {}, QRExpired())],
        garbage={"for another": ("linked", {"screen": 8, "name": "eve"})},
    )


async def test_a_socketio_servers_messages_for_another_are_garbage() -> None:
    """Whoever does not compare is found out by name; whoever does, is not."""
    (malformed,) = (check for check in checks() if check.name == "garbage")
    assert (await malformed.run(partial(a_screen, owner={"screen": "7"}))).failure is None
    failure = (await malformed.run(a_screen)).failure
    assert failure is not None
    assert "'for another' became Paired(identity='eve')" in failure.happened


async def test_a_signal_that_was_dropped_is_said_to_have_been() -> None:
    """Nobody is sent to mend what waits for bytes: they came, and the log says what was wrong."""
    with pytest.raises(CannotCheck, match="What came was dropped: 1 foreign") as raised:
        await check_transport(partial(a_screen, owner={"screen": "8"}))
    assert "Mend what reads the messages (the log says why" in str(raised.value)
    assert "_hear" not in str(raised.value)


# A server of one's own, behind a relay


real_time = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
"""The server has a thread of its own, and no clock of ours."""

CODE, SUCCESS = QRUpdated(QRCode("one")), Paired("me")

Send = Callable[[Signal], Awaitable[object]]


def relayed(server: Any, send: Send, ready: Callable[[], Awaitable[object]] | None) -> WirePeer:
    """A peer before a server in a thread of its own."""
    return WirePeer(
        partial(GreetedLineTransport, heartbeat=RELAYED_HEARTBEAT),
        signals=[CODE, SUCCESS],
        send=send,
        ready=ready,
        heartbeat=RELAYED_HEARTBEAT,
        greet=relay(*server.server_address),
    )


@contextmanager
def line_server(knows_after: float = 0.0) -> Iterator[tuple[Any, list[Any]]]:
    """A server of lines; it comes to know a client some seconds after it has welcomed it."""
    clients: list[Any] = []

    class Service(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.rfile.readline()
                if not knows_after:
                    clients.append(self.wfile)
                self.wfile.write(b"welcome\n")
                if knows_after:
                    time.sleep(knows_after)
                    clients.append(self.wfile)
                self.rfile.read()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Service) as server:
        server.daemon_threads = True
        serve = partial(server.serve_forever, poll_interval=0.01)  # so long does a shutdown take
        threading.Thread(target=serve, daemon=True).start()
        yield server, clients
        server.shutdown()


def tell(clients: list[Any], signal: Signal) -> None:
    """Have the server send a signal to all that it knows."""
    for client in clients:
        with suppress(OSError, ValueError):
            client.write(next(line for line, meant in SIGNALS.items() if meant == signal))


@real_time
async def test_what_send_raises_leaves_one_check_unfinished_and_the_rest_go_on() -> None:
    """It is no failure of the transport's, and is not passed over: it is named, with its line."""
    with line_server() as (server, clients):
        calls = 0

        async def send(signal: Signal) -> None:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise LookupError("no such client")
            tell(clients, signal)

        with pytest.raises(CannotCheck) as caught:
            await check_transport(partial(relayed, server, send, None), clauses=["T4", "T7"])
    (line,) = str(caught.value).splitlines()
    assert line.startswith("unfinished  T4 ")
    assert "send(Paired(identity='me')) raised LookupError: no such client" in line
    assert Path(__file__).name in line
    assert calls > 3


@real_time
async def test_send_that_always_raises_says_so_before_anything_is_checked() -> None:
    """Nothing can be checked with it."""

    async def send(signal: Signal) -> None:
        raise LookupError("no such client")

    refused = pytest.raises(CannotCheck, match="nothing can be checked: send")
    with line_server() as (server, _), refused as caught:
        await check_transport(partial(relayed, server, send, None), clauses=["T4"])
    assert isinstance(caught.value.__cause__, Unfinished)


@pytest.mark.slow
@real_time
async def test_a_server_that_knows_its_client_late_is_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not the transport's fault that nobody was there yet; `ready=` waits for the server."""
    monkeypatch.setattr(wire, "ANSWER", 2.0)
    with line_server(knows_after=0.3) as (server, clients):

        async def send(signal: Signal) -> None:
            tell(clients, signal)

        with pytest.raises(CannotCheck, match=r"only some time after .* Give ready="):
            await check_transport(partial(relayed, server, send, None), clauses=["T4"])

        async def ready() -> None:
            await anyio.sleep(2 * 0.3)

        check = next(check for check in checks(["T7"]) if "halves" in check.name)
        result = await check.run(partial(relayed, server, send, ready))
        assert result.skipped == "a server behind a relay cannot be made to send half of a signal"
        check = checks(["T5"])[0]
        assert (await check.run(partial(relayed, server, send, ready))).unfinished is None


@real_time
async def test_a_signal_that_went_astray_behind_a_relay_may_be_the_servers_doing() -> None:
    """Something else went through meanwhile, so nobody can be sure; what is to be done is said."""
    with line_server() as (server, clients):

        async def send(signal: Signal) -> None:
            tell(clients, CODE if signal == SUCCESS else signal)

        check = next(check for check in checks(["T5"]) if "end come first" in check.name)
        result = await check.run(partial(relayed, server, send, None))
        assert result.failure is not None
        assert "when Paired(identity='me') was to come" in str(result.failure)
        assert str(result.failure).count("then give ready=") == 1

        async def ready() -> None:
            """It knows all."""

        result = await check.run(partial(relayed, server, send, ready))
        assert "give ready=" not in str(result.failure)


async def test_a_pipe_of_the_programs_is_not_taken_for_a_connection() -> None:
    """What leads nowhere has no port; cleaning up passes it over."""
    leaks = Leaks(servers={1})
    one, other = socket.socketpair()
    with closing(one), closing(other):
        assert one.family == socket.AF_UNIX
        leaks.clear()


async def test_two_signals_that_look_alike_are_told_apart_by_field() -> None:
    """A transport hands on the payload, of which the peer was told nothing."""

    class Whole(GreetedLineTransport):
        async def receive(self) -> Signal:
            signal = await super().receive()
            return Paired("me", {"who": "me"}) if signal == SUCCESS else signal

    check = next(check for check in checks(["T7"]) if "early" in check.name)
    result = await check.run(partial(greeted_line_peer, Whole))
    assert result.failure is not None
    said = (
        "receive() gave another Paired(identity='me'), with another 'data' ({'who': 'me'}, not {})"
    )
    assert said in str(result.failure)


@pytest.mark.parametrize(
    ("given", "wanted", "says"),
    [
        (Paired("a", {"x": 1}), Paired("a"), "'data' ({'x': 1}, not {})"),
        (QRUpdated(QRCode("a")), QRUpdated(QRCode("b")), "'qr' (it is hidden)"),
        (ActionRequired("a", {"x": 1}), ActionRequired("b"), "'action' ('a', not 'b') and 'data' "),
        (Scanned(), Scanned(), "value"),
        (1, 2, "value"),
    ],
)
def test_a_difference_names_its_fields(given: object, wanted: object, says: str) -> None:
    """Of a code it is the text, which nobody sees."""
    assert difference(given, wanted).startswith(says)
