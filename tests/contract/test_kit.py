"""The kit itself: what it refuses, skips and survives."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    InvalidValue,
    Paired,
    PairingRefused,
    QRExpired,
    QRUpdated,
    Scanned,
    Signal,
    SocketIOTransport,
    Transport,
    WrongAnswer,
)
from qrlifecycle.testing import WirePeer, check_transport, checks, socketio_peer
from qrlifecycle.testing.contract.peer import CannotDo, Peer
from qrlifecycle.testing.contract.transport_lines import place_of_method
from qrlifecycle.testing.suite import TransportContract

from ..patience import patient_clock
from .peers import SIGNALS, GreetedLineTransport, ScriptedEnd, greeted_line_peer, line_peer

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


async def test_a_socketio_server_may_have_words_of_its_own(anyio_backend_name: str) -> None:
    """The peer says them, and what the adapter is given to make of them must come."""
    if anyio_backend_name != "asyncio":
        pytest.skip("the adapter is for asyncio")

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
    }
    assert all("greet=" in str(result.skipped) for result in report.skipped)
    assert len(report.passed) == 7
    assert [line.split()[0] for line in str(report).splitlines()].count("skipped") == 2


async def test_the_least_of_a_peer_is_enough() -> None:
    """A peer that can do no more than it must has a transport checked by the rest."""

    class Least(ScriptedEnd):
        stall, wait_until_stalled = Peer.stall, Peer.wait_until_stalled
        break_off, refuse, send_early = Peer.break_off, Peer.refuse, Peer.send_early
        hang_up, reset = Peer.hang_up, Peer.reset

    report = await check_transport(Least, clauses=["T1", "T3", "T4", "T5", "T6", "T7", "T8"])
    assert {result.check.clause for result in report.passed} == {"T1", "T3", "T4", "T8"}
    assert len(report.skipped) + len(report.passed) == len(report.results)


async def test_what_the_making_raises_comes_out_as_it_is() -> None:
    """An error of the function that makes the transport is not the contract's."""

    def make(_host: str, _port: int) -> Transport:
        raise ZeroDivisionError

    *_, check = checks(["T7"])
    with pytest.raises(ZeroDivisionError):
        await check.run(lambda: WirePeer(make, signals=SIGNALS, heartbeat=1))


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


@pytest.mark.parametrize("module", ["suite", "strategies"])
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
    assert "pip install 'qrlifecycle[testing]'" in result.stdout


async def test_the_raw_socketio_server_sends_what_it_says() -> None:
    """The ready-made peer has a signal of each kind that its protocol has beside codes to type."""
    peer = socketio_peer()
    kinds = {type(signal) for signal in peer.signals}
    assert kinds == {Scanned, QRExpired, QRUpdated, Paired, PairingRefused}
    assert len(peer.signals) == len(kinds)
    assert peer.garbage


async def test_each_signal_of_the_raw_socketio_server_arrives(anyio_backend_name: str) -> None:
    """The adapter makes of each message what the peer says that it means."""
    if anyio_backend_name != "asyncio":
        pytest.skip("the adapter is for asyncio")
    async with socketio_peer() as peer, peer.make() as transport:
        await peer.wait_until_connected()
        await peer.send(*peer.signals)
        with anyio.fail_after(5):
            assert [await transport.receive() for _ in peer.signals] == list(peer.signals)
