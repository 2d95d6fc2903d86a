"""Promise 7: hostile input never raises in a program, moves no state, and costs no memory."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import sys
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import aiohttp
import anyio
import anyio.lowlevel
import pytest
from aiohttp import web
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qrlifecycle import (
    AsyncClientTransport,
    Cancelled,
    Change,
    Connected,
    Event,
    Failed,
    InvalidValue,
    Outcome,
    Paired,
    PairingRefused,
    Policy,
    QRCode,
    QRExpired,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    SocketIOTransport,
    State,
    Transport,
)
from qrlifecycle.testing import Fault, ScriptedPeer, settle
from qrlifecycle.testing.contract.socketio_peer import event, frame
from qrlifecycle.transports.base import TransportFactory

from .patience import HANGS
from .raw_peer import PAIRED, RawPeer
from .sockets import client_sockets, needs_proc

pytestmark = pytest.mark.anyio

BOT, USER = "bot-7", "user-1"
OWNER = {"botId": BOT, "userId": USER}

ENDLESS = Policy(max_codes=sys.maxsize)
"""Here it is not the budget of codes that ends a flood of them."""

QUICK = Policy(reconnect_delay=0.01, reconnect_delay_max=0.02, stable_after=0.02)
"""For connections that a test breaks on purpose."""

HEALTHY = [Event.GENERATE, Event.QR_READY, Event.QR_UPDATED, Event.PAIRED]
"""The events of a round in which nothing but a code and a success counted."""

FLOOD = 100_000
"""Signals."""

WIRE_FLOOD = 6_000 if settings().max_examples <= 100 else FLOOD
"""Messages over a real socket. Python-socketio takes its time for each: all of them take minutes
under tracemalloc, which is for ``--hypothesis-profile=deep``."""

CHUNK = 500
"""Messages that are sent before the sender waits until they are taken."""

MOST_GROWTH = 5_000_000
"""Bytes that a flood of signals may cost at its worst moment."""

MOST_WIRE_GROWTH = 2_000_000 if WIRE_FLOOD < FLOOD else MOST_GROWTH
"""The same over a socket, whose buffers are part of it; were messages kept, it would be more: half
a kilobyte for each."""


class Reports:
    """A lifecycle's whole story, and its `pair()` in a task beside the test."""

    def __init__(self, transport: TransportFactory, **options: Any) -> None:
        options.setdefault("policy", QUICK)
        self.changes: list[Change] = []
        self.successes: list[Connected] = []
        self.shown = anyio.Event()
        self.ended = anyio.Event()
        self.outcome: Outcome | None = None
        self.wanted: str | None = None
        self.wanted_shown = anyio.Event()
        self.lifecycle = QRLifecycle(
            self._request_qr,
            transport,
            on_change=self._note,
            on_connected=self.successes.append,
            on_qr_updated=self._show,
            **options,
        )

    @property
    def events(self) -> list[Event]:
        """What happened, in order."""
        return [change.event for change in self.changes]

    async def run(self) -> None:
        """The `pair()`."""
        try:
            self.outcome = await self.lifecycle.pair()
        finally:
            self.ended.set()

    async def see(self, code: str) -> None:
        """Wait until a code is shown; to be called before it is sent, or at once after."""
        self.wanted, self.wanted_shown = code, anyio.Event()
        now = self.lifecycle.qr
        if now is None or now.reveal() != code:
            await self.wanted_shown.wait()

    async def _request_qr(self) -> QRCode:
        return QRCode("first", expires_in=60)

    def _note(self, change: Change) -> None:
        if change.event not in self.events[-1:]:  # a flood is not written down
            self.changes.append(change)

    def _show(self, qr: QRCode) -> None:
        self.shown.set()
        if qr.reveal() == self.wanted:
            self.wanted_shown.set()


@asynccontextmanager
async def pairing(
    transport: TransportFactory, *, within: float = HANGS, **options: Any
) -> AsyncIterator[Reports]:
    """A lifecycle whose first code is shown; in the end, its `pair()` has returned."""
    reports = Reports(transport, **options)
    with anyio.fail_after(within):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reports.run)
            await reports.shown.wait()
            yield reports
            await reports.ended.wait()


Kind = Callable[..., Transport]
"""What makes a transport of some kind."""


def transport_to(kind: Kind, peer: RawPeer, **options: Any) -> Callable[[], Transport]:
    """A real transport, as a factory."""
    return lambda: kind(peer.url, bot_id=BOT, user_id=USER, **options)


@contextmanager
def nothing_left(peer: RawPeer) -> Iterator[None]:
    """Afterwards: no complaint to the event loop, no task more than before, no socket."""
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    before = asyncio.all_tasks()
    try:
        yield
        assert asyncio.all_tasks() <= before
        assert client_sockets(peer.port) == 0
        gc.collect(1)  # a task whose error nobody looked at complains when it goes
        assert complaints == []
    finally:
        loop.set_exception_handler(handler)


@dataclass
class Growth:
    """How much memory a block took at its worst moment; a number once the block has ended."""

    peak: int = -1


@contextmanager
def growth() -> Iterator[Growth]:
    """Measure Python's memory: the peak, less what there was before."""
    measured = Growth()
    gc.collect()
    tracemalloc.start(1)
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        yield measured
        _, peak = tracemalloc.get_traced_memory()
        measured.peak = peak - before
    finally:
        tracemalloc.stop()
    print(f"at its worst, the flood took {measured.peak / 1e6:.2f} MB")


# What a hostile peer may send

JSON_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([10**400, "x" * 5_000, "\ud800", {"_placeholder": True, "num": 0}]),
)
JSON = st.recursive(
    JSON_LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
DEEP = st.builds(
    lambda depth, shape: shape[0] * depth + shape[1] * depth,
    st.sampled_from([50, 400, 960, 20_000]),
    st.sampled_from([("[", "]"), ('{"a":', "}"), ("[", "")]),
)
DATA = st.one_of(JSON.map(json.dumps), DEEP, st.text(max_size=10), st.just("x" * 200_000))
BODIES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", *"0123456789b", "40", "42", "43", "44", "45", "46", "47", "49"]),
    st.sampled_from(["", "", "0-", "1-", "2-", "9-", "99999999999-", "/other,", "17", "1" * 120]),
    DATA,
)
"""Anything that looks like Engine.IO and Socket.IO."""

FOREIGN = st.builds(
    lambda name, owner, more: event(name, {**more, **owner}),
    st.sampled_from(["whatsapp_connected", "whatsapp_qr_updated", "connection_failed", "message"]),
    st.sampled_from(
        [
            {**OWNER, "botId": "another", "qr": "theirs", "type": "whatsapp_connected"},
            {**OWNER, "userId": ["user-1"], "qr": "theirs", "type": "whatsapp_connected"},
            {**OWNER, "bot_id": 7, "qr": "theirs", "type": "whatsapp_connected"},
        ]
    ),
    st.dictionaries(st.text(max_size=4), JSON, max_size=2),
)
WRONG_CODES = st.builds(
    lambda qr, expires_in: event("whatsapp_qr_updated", {"qr": qr, "expiresIn": expires_in}),
    st.sampled_from([None, 7, "", ["x"], {"x": 1}, "x" * 3_000, "\ud800"]),
    JSON,
) | st.builds(
    lambda expires_in: event("whatsapp_qr_updated", {"qr": "good", "expiresIn": expires_in}),
    st.sampled_from(["soon", -1, 0, float("nan"), True, [60], {"s": 60}]),
)
UNFINISHED = st.builds(
    lambda kind, count, place: f'{kind}{count}["x",{{"_placeholder":true,"num":{place}}}]',
    st.sampled_from(["45", "46"]),
    st.sampled_from(["", "0-", "1-", "2-", "8-"]),
    st.sampled_from(["0", "7", "-9", '"0"', "[]", "null"]),
)
"""Binary messages, of which nothing or too little follows."""

TEXTS = st.one_of(BODIES, FOREIGN, WRONG_CODES, UNFINISHED)

FRAMES = st.one_of(
    TEXTS.map(frame),
    TEXTS.map(frame),
    TEXTS.map(lambda text: frame(text, kind=2)),
    st.builds(frame, st.binary(max_size=40), st.integers(0, 15)),
    st.builds(frame, st.sampled_from([b"\xff\xfe", b"42[\xc3\x28]", b"\xed\xa0\x80"])),
    st.binary(max_size=40),
    TEXTS.map(lambda text: b"\x01" + frame(text)[1:]),  # the first of several fragments
    TEXTS.map(lambda text: b"\xc1" + frame(text)[1:]),  # a reserved bit
)


@dataclass(frozen=True)
class Attack:
    """Frames, and what comes after them over the same connection."""

    frames: list[bytes]
    cut: int
    """How many bytes of the last frame do not come."""
    end: str

    def play(self, peer: RawPeer) -> None:
        """Send all of it at once; whoever reconnects is told of the success."""
        wire = peer.wire
        peer.early = (PAIRED,)
        whole = b"".join(self.frames)
        wire.send_raw(whole[: len(whole) - self.cut])
        match self.end:
            case "success":
                wire.send(PAIRED)
            case "success and close":
                wire.send(PAIRED, "1")
            case "end of stream":
                wire.transport.write_eof()
            case "reset":
                wire.reset()


# Some bytes that are no frame are the head of one that never ends: only a new one helps there.
ENDS = st.sampled_from(["end of stream", "reset"])
ATTACKS = st.builds(Attack, st.lists(FRAMES, min_size=1, max_size=4), st.integers(0, 20), ENDS)
ATTACKS_BY_TEXT = st.builds(
    Attack,
    st.lists(TEXTS.map(frame) | st.binary(max_size=9).map(lambda b: frame(b, 2)), max_size=4),
    st.just(0),
    st.sampled_from(["success", "success and close"]),
)


async def survive(kind: Kind, attack: Attack) -> None:
    """An attack on a displayed code: nothing happens but the success, in the end."""
    async with RawPeer() as peer:
        with nothing_left(peer):
            async with pairing(transport_to(kind, peer), within=HANGS) as reports:
                attack.play(peer)
            assert reports.outcome == Connected("+49", json.loads(PAIRED[2:])[1])
            assert reports.events == HEALTHY
            assert len(peer.wires) <= 2


EACH_KIND = [HealthCheck.differing_executors, HealthCheck.function_scoped_fixture]
"""The same test is made with each kind of transport."""


class RealSockets:
    """Against a server of raw bytes, over real sockets."""

    kind: ClassVar[Kind]

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Real sockets want real time, and the server of raw bytes wants asyncio."""
        return "asyncio"

    @settings(max_examples=50, suppress_health_check=EACH_KIND)
    @given(attack=ATTACKS)
    @example(attack=Attack([frame("42[" + "[" * 5_000)], 0, "reset"))
    @example(attack=Attack([frame(PAIRED)], 1, "end of stream"))
    async def test_promise_7_no_bytes_move_the_state_and_a_new_connection_brings_the_success(
        self, anyio_backend: object, attack: Attack
    ) -> None:
        """Any bytes, cut off anywhere, then the transport ends: the next one brings the success."""
        await survive(self.kind, attack)

    @settings(max_examples=50, suppress_health_check=EACH_KIND)
    @given(attack=ATTACKS_BY_TEXT)
    @example(attack=Attack([frame("\x00")], 0, "success"))
    async def test_promise_7_no_message_moves_the_state_or_deafens_the_connection(
        self, anyio_backend: object, attack: Attack
    ) -> None:
        """Any whole messages: the success after them is heard, here or over the next connection."""
        await survive(self.kind, attack)

    @pytest.mark.parametrize(
        "garbage",
        [
            pytest.param(frame('45["x"]'), id="no number of attachments"),
            pytest.param(frame('450-["x"]'), id="no attachments"),
            pytest.param(frame('451-["x"]'), id="an attachment that does not come"),
            pytest.param(frame('461-["x"]'), id="an ack's that does not come"),
            pytest.param(
                frame('451-["x",{"_placeholder":true,"num":7}]') + frame(b"x", kind=2),
                id="a place for another attachment",
            ),
            pytest.param(
                frame('451-["x",{"_placeholder":true,"num":"0"}]') + frame(b"x", kind=2),
                id="a place that is no number",
            ),
        ],
    )
    async def test_promise_7_a_binary_message_that_is_not_whole_does_not_deafen_the_connection(
        self, garbage: bytes
    ) -> None:
        """The success after it is heard, here or over the next connection."""
        await survive(self.kind, Attack([garbage], 0, "success"))

    async def test_promise_7_a_lifetime_beyond_all_numbers_does_not_break_the_connection(
        self,
    ) -> None:
        """A whole number that no float can hold: dropped or taken, and no more than that."""
        wrong = event("whatsapp_qr_updated", {**OWNER, "qr": "second", "expiresIn": 10**400})
        async with RawPeer() as peer:
            with nothing_left(peer):
                async with pairing(transport_to(self.kind, peer), within=HANGS) as reports:
                    peer.early = (PAIRED,)  # for a connection that breaks all the same
                    peer.wire.send(wrong, PAIRED)
            assert isinstance(reports.outcome, Connected)
            assert len(peer.wires) == 1

    @settings(max_examples=30, suppress_health_check=EACH_KIND)
    @given(early=st.lists(TEXTS, max_size=2), answer=TEXTS | st.just('40{"sid":"x"}'))
    @example(early=["44"], answer='40{"sid":"x"}')
    @example(early=["1"], answer="41")
    async def test_promise_7_a_hostile_handshake_ends_in_an_outcome(
        self, anyio_backend: object, early: list[str], answer: str
    ) -> None:
        """Rubbish before or in place of the joining: a named failure, or a transport that works."""
        policy = Policy(max_reconnects=0)
        async with RawPeer(early=tuple(early), answer=answer) as peer:
            with nothing_left(peer):
                reports = Reports(transport_to(self.kind, peer, heartbeat=0.05), policy=policy)
                with anyio.fail_after(HANGS):
                    await reports.run()
                assert isinstance(reports.outcome, Failed)
                assert reports.outcome.reason in {
                    Reason.TRANSPORT_UNREACHABLE,
                    Reason.TRANSPORT_LOST,
                    Reason.AUTHENTICATION_REFUSED,
                }
                assert set(reports.events) <= {*HEALTHY[:3], Event.FAIL}

    # Floods

    async def test_promise_7_a_flood_of_junk_costs_no_memory(self) -> None:
        """Thousands of unknown messages: counted, and the success after them connects."""
        junk = frame(event("nobody", {**OWNER, "x": "y" * 20})) * CHUNK
        async with RawPeer() as peer:
            with nothing_left(peer), growth() as measured:
                async with pairing(transport_to(self.kind, peer), within=600) as reports:
                    for _ in range(WIRE_FLOOD // CHUNK):
                        await send_and_drain(peer, junk)
                    assert reports.lifecycle.state is State.DISPLAYED
                    peer.wire.send(PAIRED)
            assert len(peer.wires) == 1
        assert isinstance(reports.outcome, Connected)
        assert reports.events == HEALTHY
        assert reports.lifecycle.dropped == {"unknown": WIRE_FLOOD}
        assert measured.peak < MOST_WIRE_GROWTH

    async def test_promise_7_a_flood_of_rotations_costs_no_memory(self) -> None:
        """Thousands of codes: the newest is shown, and the success after them connects."""
        async with RawPeer() as peer:
            with nothing_left(peer), growth() as measured:
                async with pairing(
                    transport_to(self.kind, peer), within=600, policy=ENDLESS
                ) as reports:
                    for start in range(0, WIRE_FLOOD, CHUNK):
                        codes = range(start, start + CHUNK)
                        await send_and_drain(peer, b"".join(map(rotation, codes)))
                    await reports.see(f"code-{WIRE_FLOOD - 1}")
                    assert reports.lifecycle.state is State.DISPLAYED
                    peer.wire.send(PAIRED)
            assert len(peer.wires) == 1
        assert isinstance(reports.outcome, Connected)
        assert reports.events == HEALTHY
        assert reports.lifecycle.dropped == {}
        assert measured.peak < MOST_WIRE_GROWTH

    # Foreign, late and repeated messages

    async def test_promise_7_what_is_for_another_moves_nothing(self) -> None:
        """Another bot's or user's messages are counted as foreign; one's own success connects."""
        foreign = [
            event(name, {**OWNER, **other, "qr": "theirs", "reason": "conflict"})
            for name in (
                "whatsapp_connected",
                "whatsapp_qr_updated",
                "whatsapp_qr_scanned",
                "whatsapp_qr_expired",
                "connection_failed",
            )
            for other in ({"botId": "bot-8"}, {"userId": "user-2"}, {"bot_id": 7})
        ]
        async with RawPeer() as peer:
            with nothing_left(peer):
                async with pairing(transport_to(self.kind, peer)) as reports:
                    peer.wire.send(*foreign, event("whatsapp_qr_updated", {**OWNER, "qr": "mine"}))
                    await reports.see("mine")
                    assert reports.lifecycle.state is State.DISPLAYED
                    peer.wire.send(*foreign, PAIRED)
        assert reports.successes == [reports.outcome]
        assert reports.events == HEALTHY
        assert reports.lifecycle.dropped == {"foreign": 2 * len(foreign)}

    async def test_promise_7_what_follows_a_success_changes_nothing(self) -> None:
        """In the same segment: another success, a refusal, a code; the first success counts."""
        refusal = event("connection_failed", {**OWNER, "reason": "conflict"})
        other = event("whatsapp_connected", {**OWNER, "identity": "+1"})
        late = event("whatsapp_qr_updated", {**OWNER, "qr": "late"})
        async with RawPeer() as peer:
            with nothing_left(peer):
                async with pairing(transport_to(self.kind, peer)) as reports:
                    peer.wire.send(*[PAIRED] * 50, other, refusal, late, "1", *[PAIRED] * 50)
        assert isinstance(reports.outcome, Connected)
        assert reports.outcome.identity == "+49"
        assert reports.successes == [reports.outcome]
        assert reports.events == HEALTHY
        assert len(peer.wires) == 1

    async def test_promise_7_what_follows_a_cancellation_changes_nothing(self) -> None:
        """A success that comes while the socket is being closed is too late."""
        async with RawPeer() as peer:
            with nothing_left(peer):
                async with pairing(transport_to(self.kind, peer)) as reports:
                    reports.lifecycle.cancel()
                    peer.wire.send(PAIRED)
        assert reports.outcome == Cancelled()
        assert reports.successes == []
        assert reports.lifecycle.state is State.IDLE
        assert reports.events == [*HEALTHY[:3], Event.CANCEL]

    # The status, from a real server

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            pytest.param(b"<html>not now</html>", 200, id="no JSON"),
            pytest.param(b"\xff\xfe\xfd", 200, id="no text"),
            pytest.param(b"", 200, id="nothing"),
            pytest.param(b"[" * 100_000, 200, id="deep"),
            pytest.param(b'"' + b"x" * 5_000_000 + b'"', 200, id="huge"),
            pytest.param(b"null", 200, id="null"),
            pytest.param(b'{"status":"paired"}', 200, id="other keys"),
            pytest.param(b'{"paired":' + b"9" * 5_000 + b"}", 200, id="endless number"),
            pytest.param(b'{"paired":true}', 500, id="broken server"),
        ],
    )
    async def test_promise_7_a_status_server_that_answers_rubbish_is_not_fatal(
        self, body: bytes, status: int
    ) -> None:
        """Each read is counted as missed; the success over the wire connects all the same."""
        answered = anyio.Event()

        async def check_status() -> Signal | None:
            try:
                async with (
                    aiohttp.ClientSession() as session,
                    session.get(url, raise_for_status=True) as response,
                ):
                    answer = await response.json()
                return Paired(answer["identity"]) if answer["paired"] else None
            finally:
                answered.set()

        async with RawPeer() as peer, serving(body, status) as url:
            async with pairing(transport_to(self.kind, peer), check_status=check_status) as reports:
                await answered.wait()
                while not reports.lifecycle.dropped:
                    await anyio.lowlevel.checkpoint()
                assert reports.lifecycle.state is State.DISPLAYED
                peer.wire.send(PAIRED)
            assert isinstance(reports.outcome, Connected)
            assert reports.events == HEALTHY
            assert set(reports.lifecycle.dropped) == {"check_status"}
            assert client_sockets(peer.port) == 0


@needs_proc
class TestRealSockets(RealSockets):
    """With a WebSocket of our own."""

    kind = SocketIOTransport


@needs_proc
@pytest.mark.slow
class TestAsyncClient(RealSockets):
    """With the adapter over python-socketio's client."""

    kind = AsyncClientTransport


def rotation(number: int) -> bytes:
    """A frame with a code of its own."""
    payload = f'{{"qr":"code-{number}","botId":"{BOT}","userId":"{USER}"}}'
    return frame(f'42["whatsapp_qr_updated",{payload}]')


async def send_and_drain(peer: RawPeer, data: bytes) -> None:
    """Send, with a ping, for a server that never pings counts as dead; wait until all is sent."""
    peer.wire.send_raw(data + frame("2"))
    while peer.wire.transport.get_write_buffer_size():
        await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def serving(body: bytes, status: int) -> AsyncIterator[str]:
    """A server that answers everything alike; where it is."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, status=status, content_type="application/json")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


# On a virtual clock, on asyncio and on trio


class OutOfPlace(Signal):
    """A signal whose event has no row in `displayed`."""

    event = Event.QR_READY


@pytest.mark.parametrize("hasty", [False, True], ids=["taken now and then", "all at once"])
async def test_promise_7_a_flood_of_signals_out_of_place_costs_no_memory(hasty: bool) -> None:
    """100,000 signals in the wrong place, a tenth if taken in turns: a count is left of them."""
    peer = ScriptedPeer()
    with growth() as measured:
        async with pairing(peer) as reports:
            for number in range(FLOOD if hasty else FLOOD // 10):
                peer.send(OutOfPlace())
                if not hasty and number % CHUNK == 0:
                    await settle()
            await settle()
            assert reports.lifecycle.state is State.DISPLAYED
            peer.send(Paired("me"))
    assert reports.outcome == Connected("me")
    assert reports.events == HEALTHY
    assert set(reports.lifecycle.dropped) == {"qr_ready"}
    assert measured.peak < MOST_GROWTH


@pytest.mark.parametrize("hasty", [False, True], ids=["taken now and then", "all at once"])
async def test_promise_7_a_flood_of_codes_costs_no_memory(hasty: bool) -> None:
    """As many codes: the newest is the one to show, and the success after them connects."""
    peer = ScriptedPeer()
    with growth() as measured:
        async with pairing(peer, policy=ENDLESS) as reports:
            for number in range(many := FLOOD if hasty else FLOOD // 10):
                peer.send(QRUpdated(QRCode(f"code-{number}")))
                if not hasty and number % CHUNK == 0:
                    await settle()
            await settle()
            assert reports.lifecycle.qr == QRCode(f"code-{many - 1}")
            peer.send(Paired("me"))
    assert reports.outcome == Connected("me")
    assert reports.events == HEALTHY
    assert measured.peak < MOST_GROWTH


LATE: list[Signal] = [
    Paired("another"),
    PairingRefused(Reason.CONFLICT),
    QRUpdated(QRCode("late")),
    Scanned(),
    QRExpired(),
]


async def test_promise_7_what_comes_while_a_success_is_closing_is_too_late() -> None:
    """The socket still exists; whatever comes over it, the first success is the outcome."""
    peer = ScriptedPeer(closings=[Fault.SLOW])
    async with pairing(peer) as reports:
        peer.send(Paired("me"))
        await settle()
        assert peer.open_sockets == 1
        for signal in LATE:
            peer.send(signal)
        await settle()
    assert reports.outcome == Connected("me")
    assert reports.successes == [reports.outcome]
    assert reports.events == HEALTHY
    assert peer.open_sockets == 0


async def test_promise_7_what_comes_while_a_cancellation_is_closing_is_too_late() -> None:
    """The socket still exists; whatever comes over it, the attempt was cancelled."""
    peer = ScriptedPeer(closings=[Fault.SLOW])
    async with pairing(peer) as reports:
        reports.lifecycle.cancel()
        await settle()
        assert peer.open_sockets == 1
        for signal in LATE:
            peer.send(signal)
        await settle()
    assert reports.outcome == Cancelled()
    assert reports.successes == []


async def test_promise_7_what_was_for_one_round_is_not_heard_in_the_next() -> None:
    """Signals sent over a connection that is gone reach no later `pair()`."""
    peer = ScriptedPeer()
    async with pairing(peer) as reports:
        peer.send(PairingRefused(Reason.CONFLICT))
    first = peer.transports[0]
    lifecycle = reports.lifecycle
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        for signal in LATE:
            first.buffer.put(signal)
        await settle()
        assert (lifecycle.state, lifecycle.qr) == (State.DISPLAYED, QRCode("first", expires_in=60))
        lifecycle.cancel()
    assert reports.successes == []


async def test_promise_7_a_success_from_the_wire_and_from_the_status_is_one() -> None:
    """Both say so at the same moment, and the wire many times: it is delivered once."""
    asked, answer = anyio.Event(), anyio.Event()

    async def check_status() -> Signal | None:
        asked.set()
        await answer.wait()
        return Paired("me")

    peer = ScriptedPeer(closings=[Fault.SLOW])
    async with pairing(peer, check_status=check_status) as reports:
        await asked.wait()
        answer.set()
        for _ in range(100):
            peer.send(Paired("me"))
    assert reports.outcome == Connected("me")
    assert reports.successes == [reports.outcome]
    assert reports.events == HEALTHY


# A status that is rubbish


def raising(error: Exception) -> Callable[[], Awaitable[Any]]:
    """A read that fails."""

    async def check_status() -> Any:
        raise error

    return check_status


def answering(answer: object) -> Callable[[], Awaitable[Any]]:
    """A read that gives back something."""

    async def check_status() -> Any:
        return answer

    return check_status


async def no_kind_of_signal() -> Any:
    """A read that means nothing in particular."""
    return Signal()


async def text_for_a_code() -> Any:
    """A read that takes a payload for a code."""
    return QRUpdated(cast("Any", "text"))


def forget_to_be_async() -> Any:
    """A read that cannot be awaited."""
    return Paired("nobody waits for me")


async def ask_for_ever() -> Any:
    """A read that comes to no end by itself."""
    return await ask_for_ever()


async def hang() -> Any:
    """A read without an answer."""
    await anyio.sleep_forever()


RUBBISH = [
    pytest.param(raising(KeyError("paired")), id="KeyError"),
    pytest.param(raising(ValueError("no JSON")), id="ValueError"),
    pytest.param(raising(RecursionError()), id="RecursionError"),
    pytest.param(raising(ExceptionGroup("many", [OSError(), ValueError()])), id="ExceptionGroup"),
    pytest.param(raising(StopAsyncIteration()), id="StopAsyncIteration"),
    pytest.param(raising(anyio.EndOfStream()), id="EndOfStream"),
    pytest.param(raising(TimeoutError()), id="TimeoutError"),
    pytest.param(ask_for_ever, id="real recursion"),
    pytest.param(forget_to_be_async, id="not async"),
    pytest.param(hang, id="hangs"),
    pytest.param(answering({"paired": True}), id="JSON"),
    pytest.param(answering("connected"), id="text"),
    pytest.param(answering(True), id="a truth"),
    pytest.param(answering(Paired), id="a class"),
    pytest.param(answering(Connected("me")), id="an outcome"),
    pytest.param(answering(Event.PAIRED), id="an event"),
    pytest.param(answering([Paired("me")]), id="a list"),
    pytest.param(no_kind_of_signal, id="a signal of no kind"),
    pytest.param(text_for_a_code, id="a code of the wrong type"),
]


@pytest.mark.parametrize("check_status", RUBBISH)
async def test_promise_7_a_status_that_is_rubbish_is_counted_and_nothing_more(
    check_status: Callable[[], Awaitable[Any]],
) -> None:
    """It moves nothing; a success over the wire connects in no time."""
    peer = ScriptedPeer()
    policy = Policy(status_timeout=1, final_check_timeout=1, qr_lifetime=60)
    async with pairing(peer, check_status=check_status, policy=policy, within=100) as reports:
        await anyio.sleep(20)
        assert reports.lifecycle.state is State.DISPLAYED
        assert reports.lifecycle.dropped["check_status"] > 1
        began = anyio.current_time()
        peer.send(Paired("me"))
        await reports.ended.wait()
        assert anyio.current_time() == began
    assert reports.outcome == Connected("me")
    assert reports.events == HEALTHY
    assert reports.lifecycle.dropped.keys() == {"check_status"}


@pytest.mark.parametrize("check_status", RUBBISH)
async def test_promise_7_a_final_check_that_sees_rubbish_keeps_nobody(
    check_status: Callable[[], Awaitable[Any]],
) -> None:
    """The code runs out, the status is rubbish: the attempt ends with its own reason, in time."""
    peer = ScriptedPeer()
    policy = Policy(status_timeout=1, final_check_timeout=1, max_refreshes=0, expiry_grace=3)
    async with pairing(peer, check_status=check_status, policy=policy, within=100) as reports:
        began = anyio.current_time()
    assert anyio.current_time() <= began + 60 + 3 + 1
    assert reports.outcome == Failed(Reason.EXPIRED)
    assert reports.events == [*HEALTHY[:3], Event.FAIL]


@pytest.mark.parametrize("lifetime", [10**400, -(10**400), "60", math.nan, True])
def test_promise_7_a_lifetime_that_no_clock_can_count_is_refused(lifetime: Any) -> None:
    """What arithmetic would stumble over later is refused where the code is made."""
    with pytest.raises(InvalidValue, match="expires_in must be seconds above 0"):
        QRCode("a code", expires_in=lifetime)
