"""The kit waits for nobody without end, and says what never came."""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from qrlifecycle import (
    Paired,
    QRCode,
    QRUpdated,
    Scanned,
    Signal,
    Transport,
    TransportUnreachable,
    WebSocketTransport,
    WrongAnswer,
)
from qrlifecycle.errors import Ending
from qrlifecycle.testing import (
    Fault,
    ScriptedTransport,
    WirePeer,
    check_transport,
    checks,
    relay,
    websocket_peer,
)
from qrlifecycle.testing.contract import CannotCheck, malformed, wire
from qrlifecycle.testing.contract import check as contract_check
from qrlifecycle.testing.contract.check import Check, CheckResult
from qrlifecycle.testing.contract.harness import Harness
from qrlifecycle.testing.contract.wire import HOST, Greeting, Wire
from qrlifecycle.testing.suite import TransportContract

from ..pairing import be_busy
from ..patience import patient_clock
from .peers import (
    SIGNALS,
    GreetedLineTransport,
    ScriptedEnd,
    greet_with_a_line,
    line_peer,
    read_json,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


async def greet_wrongly(_wire: object) -> None:
    """A greeting that somebody has not finished writing."""
    raise KeyError("no such header")


def a_peer(greet: Greeting = greet_with_a_line, **options: Any) -> WirePeer:
    """A line server with this greeting."""
    make = partial(GreetedLineTransport, heartbeat=0.5)
    return WirePeer(make, **{"signals": SIGNALS, "heartbeat": 0.5, "greet": greet, **options})


def a_peer_nobody_calls() -> WirePeer:
    """Its clients call a port at which nobody listens."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    return WirePeer(
        lambda host, _port: GreetedLineTransport(host, port, heartbeat=0.5),
        signals=SIGNALS,
        heartbeat=0.5,
        greet=greet_with_a_line,
    )


class BlocksTheLoop(GreetedLineTransport):
    """Connects by a call that blocks, so its peer cannot take part."""

    async def open(self) -> None:
        """In vain."""
        be_busy(self.heartbeat)
        raise TransportUnreachable("no welcome")


def a_peer_whose_client_blocks() -> WirePeer:
    """It runs in the event loop that its client blocks."""
    make = partial(BlocksTheLoop, heartbeat=0.5)
    return WirePeer(make, signals=SIGNALS, heartbeat=0.5, greet=greet_with_a_line)


def a_relay_to_nobody() -> WirePeer:
    """Its server is not running."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    return a_peer(relay(HOST, port), signals=[Scanned(), Paired()], send=silence)


def a_server_that_says_something_else() -> WirePeer:
    """Its bytes are not what they are said to be."""
    return a_peer(signals={b"paired you\n": Paired("me"), b"qr two\n": QRUpdated(QRCode("two"))})


async def welcome_otherwise(wire: Wire) -> None:
    """A greeting in other words than the transport's."""
    await wire.receive()
    await wire.send(b"hi\n")


def a_server_that_spells_otherwise() -> WirePeer:
    """Its bytes mean nothing to the transport."""
    return a_peer(signals={b"PAIRED me\n": Paired("me"), b"qr two\n": QRUpdated(QRCode("two"))})


def a_peer_without_the_welcome() -> WirePeer:
    """A transport of ours waits for a message that its peer was not told to say."""

    def make(url: str) -> WebSocketTransport:
        return WebSocketTransport(url, read_json, welcome=lambda _said: True, heartbeat=0.5)

    said = [({"type": "scanned"}, Scanned()), ({"type": "linked", "phone": "me"}, Paired("me"))]
    return websocket_peer(make, said, heartbeat=0.5)


def a_peer_that_waits_to_be_greeted(greeting: Mapping[str, object] | None = None) -> WirePeer:
    """A transport of ours says something else first, or nothing."""

    def make(url: str) -> WebSocketTransport:
        return WebSocketTransport(
            url, read_json, greeting=greeting or (), welcome=lambda _said: True, heartbeat=0.5
        )

    said = [({"type": "scanned"}, Scanned()), ({"type": "linked", "phone": "me"}, Paired("me"))]
    return websocket_peer(make, said, heartbeat=0.5, greeting={"join": "bot-7"}, welcome="joined")


async def silence(_signal: Signal) -> None:
    """Have nothing sent."""


NOT_READY: list[tuple[Callable[[], WirePeer], str]] = [
    (
        partial(a_peer, greet_wrongly),
        r"^nothing can be checked: open\(\) raised TransportUnreachable: that was no welcome, at "
        r"peers\.py:\d+, in `.*`\. On the peer's side, the greeting raised KeyError: "
        r"'no such header' \(test_deadlines\.py:\d+\)\.$",
    ),
    (
        a_peer_nobody_calls,
        r"open\(\) raised TransportUnreachable: .* On the peer's side, nobody connected to "
        r"127\.0\.0\.1:\d+, the host and port that make= was given\.$",
    ),
    (
        a_relay_to_nobody,
        r"On the peer's side, the greeting raised ConnectionError: no server answers at "
        r"127\.0\.0\.1:\d+\.$",
    ),
    (
        a_server_that_says_something_else,
        r"receive\(\) gave Paired\(identity='you'\) when Paired\(identity='me'\) was to come\. "
        r"Mend receive\(\) .*, or what the peer was given as the meaning of the bytes\.$",
    ),
    (
        partial(a_peer, welcome_otherwise),
        r"open\(\) raised TransportUnreachable: that was no welcome, at .* Mend open\(\) "
        r"\(peers\.py:\d+\), or the peer's greet: it must not raise here\.$",
    ),
    (
        a_peer_without_the_welcome,
        r"is what `welcome` waits for, at .* Mend what the transport is given, or what the peer is "
        r"told: the greeting= that it says, or the welcome= that it waits for\. It must not raise "
        r"here\.$",
    ),
    (
        a_peer_that_waits_to_be_greeted,
        r"nothing that it said is what `welcome` waits for, at .* the greeting= that it says, ",
    ),
    (
        partial(a_peer_that_waits_to_be_greeted, {"join": "bot-8"}),
        r"On the peer's side, the greeting raised CannotCheck: '?the client said something else "
        r"first than greeting= has",
    ),
    (
        a_server_that_spells_otherwise,
        r"receive\(\) raised TransportLost: .* Mend receive\(\) \(peers\.py:\d+\), or what the "
        r"peer was given as the meaning of the bytes: Paired\(identity='me'\) was to come\.$",
    ),
    (
        a_peer_whose_client_blocks,
        r"On the peer's side, the event loop stood still for 0\.\d+ s, and the peer with it: "
        r"open\(\) blocks it, or this machine is busy; nobody connected to 127\.0\.0\.1:\d+, ",
    ),
]


@pytest.mark.parametrize(("peer", "says"), NOT_READY)
async def test_what_never_opens_is_told_before_all_checks(
    peer: Callable[[], WirePeer], says: str
) -> None:
    """One transport must open and give a signal; if not, it is said whose fault that seems."""
    results: list[CheckResult] = []
    with anyio.fail_after(30), pytest.raises(CannotCheck, match=says):
        await check_transport(peer, progress=results.append)
    assert results == []


async def test_the_pytest_class_opens_one_transport_first() -> None:
    """Each of its tests fails with the same clear error if none opens."""
    with pytest.raises(CannotCheck, match="the greeting raised KeyError"):
        await TransportContract().test_contract(checks()[0], partial(a_peer, greet_wrongly))


@pytest.mark.parametrize("peer", [peer for peer, _ in NOT_READY[:3]])
async def test_no_check_hangs_on_a_transport_that_never_opens(
    peer: Callable[[], WirePeer],
) -> None:
    """Made by itself, each check of open() ends, and finds nothing kept but the refusal."""
    with anyio.fail_after(60):
        results = [await check.run(peer) for check in checks(["T1"])]
    kept = [result.check.name for result in results if result.passed]
    assert kept == ["open where nobody listens"]


async def test_a_failing_greeting_is_told_with_the_failure() -> None:
    """Whoever wrote the server's part of the handshake wrong sees that beside the failure."""
    *_, check = checks(["T7"])
    result = await check.run(partial(a_peer, greet_wrongly))
    assert result.failure is not None
    assert "open() raised TransportUnreachable" in str(result.failure)
    assert "(On the peer's side, the greeting raised KeyError: 'no such" in str(result.failure)


async def hang(_signal: Signal) -> None:
    """Never have sent anything."""
    await anyio.sleep_forever()


@pytest.mark.parametrize("send", [silence, hang])
async def test_a_server_that_does_not_send_is_told(
    send: Callable[[Signal], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `send=` that has nothing sent, or never returns, is not waited for without end."""
    monkeypatch.setattr(wire, "ANSWER", 0.1)
    signals = [Scanned(), Paired()]
    peer = WirePeer(GreetedLineTransport, signals=signals, heartbeat=1, send=send)
    async with peer, await anyio.connect_tcp(HOST, peer.port):
        await peer.wait_until_connected()
        with pytest.raises(CannotCheck, match=r"sent nothing within 0\.1 s of send\(Scanned"):
            await peer.send(Scanned())


async def test_a_peer_that_never_does_what_it_is_told_is_told() -> None:
    """A deed of the peer's has a deadline as well."""

    class Slow(ScriptedEnd):
        async def go_away(self) -> None:
            await anyio.sleep_forever()

    (check,) = (one for one in checks() if one.name == "open where nobody listens")
    with pytest.raises(CannotCheck, match=r"the peer's go_away\(\) did not end within 0\.2 s"):
        await check.run(Slow, limit=0.1)


async def test_a_check_has_a_deadline_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it waits for, it ends, and says which call waits where."""

    async def judge(harness: Harness) -> None:
        transport = await harness.opened()
        harness.start(transport, "receive")
        await anyio.sleep_forever()

    monkeypatch.setattr(contract_check, "PATIENCES", 1)
    check = Check("endless", "T5", "It ends.", judge)
    result = await check.run(ScriptedEnd, limit=0.2)
    assert result.failure is not None
    assert "more than 0.2 s to find out; there waited receive() at" in str(result.failure)


async def test_more_garbage_than_a_socket_holds_is_no_reason_to_wait() -> None:
    """It is sent while the transport receives, as far as that reads."""
    (check,) = (one for one in checks() if one.name == "garbage")
    with anyio.fail_after(30):
        assert (await check.run(partial(a_peer, garbage={"a lot": bytes(2**24)}))).passed


async def test_a_peer_without_a_flood_skips_the_flood() -> None:
    """A server behind a relay has nothing to flood with, unless it is given."""
    (check,) = (one for one in checks() if one.name == "flood")
    result = await check.run(partial(a_peer, signals=[Scanned(), Paired()], send=silence))
    assert "no flood=" in str(result.skipped)


QUIET = "quiet but living peer is not lost"


async def outlasts_quiet(**options: Any) -> CheckResult:
    """What is said of a transport whose peer is quiet, and lives."""
    (check,) = (one for one in checks() if one.name == QUIET)
    return await check.run(partial(a_peer, **options))


async def test_a_peer_with_nothing_but_signals_skips_the_quiet() -> None:
    """Without `alive=` there is nothing to be quiet with, and the reason says so."""
    assert "given no alive=" in str((await outlasts_quiet()).skipped)


async def test_a_sign_of_life_that_means_a_signal_is_told() -> None:
    """Bytes that the transport takes for a signal are no sign of life."""
    text = str((await outlasts_quiet(alive=b"paired me\n")).failure)
    assert "receive() gave Paired(identity='me'). receive() (peers.py:" in text
    assert text.endswith("or mend what the peer was given as alive=.")


async def test_a_busy_machine_breaks_no_heartbeat() -> None:
    """Where the peer cannot speak in time, nothing is said of the transport."""

    def make(host: str, port: int) -> Transport:
        return HoldsUpTheLoop(host, port, heartbeat=0.2)

    (check,) = (one for one in checks() if one.name == QUIET)
    peer = partial(WirePeer, make, signals=SIGNALS, heartbeat=0.2, alive=b"\n")
    result = await check.run(partial(peer, greet=greet_with_a_line))
    assert result.skipped == "this machine is too busy for a heartbeat of 0.2 s"


@pytest.mark.parametrize(
    ("error", "doubted"),
    [
        (TransportUnreachable("no answer", ending=Ending.SILENT), True),
        (TransportUnreachable("no answer", ending=Ending.RESET), False),
    ],
)
async def test_an_opening_that_gives_up_in_silence_may_be_a_busy_machines(
    error: Exception, doubted: bool
) -> None:
    """Where the peer was not silent, a transport's time may be up because nobody had a turn."""

    class GivesUp(GreetedLineTransport):
        async def open(self) -> None:
            raise error

    (check,) = (one for one in checks() if one.name == "each signal comes once")
    peer = partial(WirePeer, partial(GivesUp, heartbeat=0.5), signals=SIGNALS, heartbeat=0.5)
    text = str((await check.run(partial(peer, greet=greet_with_a_line))).failure)
    assert "open() raised TransportUnreachable: no answer" in text
    assert ("or this machine is too busy for a heartbeat of 0.5 s: give a" in text) is doubted


class HoldsUpTheLoop(GreetedLineTransport):
    """As a machine that has no time for this process."""

    async def receive(self) -> Signal:
        """Later."""
        be_busy(0.2)
        return await super().receive()


async def test_a_transport_that_was_given_no_heartbeat_is_asked_about_it() -> None:
    """Whoever gave only the peer the heartbeat is reminded of the transport."""
    (check,) = (one for one in checks() if one.name == "silent peer is lost")
    peer = partial(WirePeer, GreetedLineTransport, signals=SIGNALS, heartbeat=0.1)
    result = await check.run(partial(peer, greet=greet_with_a_line), limit=0.5)
    question = "The peer was given heartbeat=0.1 s; does the transport know it?"
    assert str(result.failure).endswith(question)


async def be_long(seconds: float) -> None:
    """Take time, where the check keeps others running and time would stand still."""
    be_busy(seconds)
    await anyio.lowlevel.checkpoint()


class SlowlyRead(ScriptedTransport):
    """A transport that takes its time for each message of a flood, and may give up."""

    end: FloodingEnd

    async def receive(self) -> Signal:
        """One signal of the flood, later; at last, what else there is."""
        await self.end.flooded.wait()
        if not self.end.unread:
            return await super().receive()
        while not self.end.gives:
            await be_long(0.1)
        await be_long(0.2)
        self.end.gives -= 1
        self.end.unread -= 1
        return self.end.signals[0]


class FloodingEnd(ScriptedEnd):
    """A peer whose flood is a signal for each byte."""

    flood = b"x"
    gives = 1000
    """How many signals its transport gives."""
    unread = 0

    def __init__(self) -> None:
        self.flooded = anyio.Event()

    def make(self) -> ScriptedTransport:
        """A slow one."""
        transport = SlowlyRead(self.peer, Fault.NONE, Fault.NONE)
        transport.end = self
        self.peer.transports.append(transport)
        return transport

    async def send_bytes(self, data: bytes) -> None:
        """A signal for each."""
        self.unread += len(data)
        self.flooded.set()


async def flooded(gives: int, limit: float) -> CheckResult:
    """What the check of floods says of a transport that gives only so many signals."""

    def peer() -> FloodingEnd:
        end = FloodingEnd()
        end.gives = gives
        return end

    (check,) = (one for one in checks() if one.name == "flood")
    return await check.run(peer, limit=limit)


async def test_a_flood_is_judged_by_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transport that is slow, as any is on a busy machine, is not broken while signals come."""
    monkeypatch.setattr(malformed, "MOST_MESSAGES", 6)
    assert (await flooded(1000, limit=1.0)).passed


async def test_a_flood_that_stops_coming_is_told_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing for so long, after so many messages."""
    monkeypatch.setattr(malformed, "MOST_MESSAGES", 6)
    monkeypatch.setattr(malformed, "FLOOD_PATIENCES", 1000)
    text = str((await flooded(1, limit=0.6)).failure)
    assert "receive() gave nothing for 0.6 s, after 1 of 6 messages of a flood" in text


async def test_a_flood_does_not_last_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow is slow: at some time it is over."""
    monkeypatch.setattr(malformed, "FLOOD_PATIENCES", 1)
    text = str((await flooded(1000, limit=0.5)).failure)
    assert re.search(r"still receiving a flood after [\d.]+ s: \d+ of 5,000 messages", text)


async def test_what_makes_no_peer_is_refused() -> None:
    """Whoever gives a peer, and not what makes it, is told so; so is who gives something else."""

    async def make() -> WirePeer:
        return line_peer()

    with pytest.raises(WrongAnswer, match=r"my_peer, not my_peer\(\)"):
        await check_transport(line_peer())  # type: ignore[arg-type]
    with pytest.raises(WrongAnswer, match="not an async one"):
        await check_transport(make)  # type: ignore[arg-type]
    with pytest.raises(WrongAnswer, match="not one that returns None"):
        await check_transport(lambda: None)  # type: ignore[arg-type, return-value]
