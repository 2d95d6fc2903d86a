"""Every clause has its culprits, and catches them, with the line to mend."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Sequence
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
from anyio.abc import SocketStream

from qrlifecycle import Signal, Transport
from qrlifecycle.testing import WirePeer, check_transport, checks
from qrlifecycle.testing.contract import ContractBroken, opening
from qrlifecycle.testing.contract.check import CheckResult

from ..patience import patient_clock
from ..sockets import needs_proc
from . import culprits
from .culprits import (
    AbortIsPolite,
    AbortIsPoliteAndPatient,
    AbortsInAMoment,
    AcloseLeavesIt,
    AnswersWhateverHappens,
    AsksTheKernel,
    AwaitsWithASignalInHand,
    BlocksAsItCloses,
    BlocksOnEachSignal,
    BlocksWhileOpening,
    ClosesOnce,
    ClosesRegardless,
    ComplainsOfTheEnd,
    ConnectsWhenMade,
    DeafWhileOpening,
    DeliversAfterTheEnd,
    DeliversASuccessAfterTheEnd,
    DeliversWhatIsOnItsWay,
    DropsASuccessBehindTheWelcome,
    DropsWhatIsEarly,
    ForgetsTheHalfWhenCancelled,
    ForgetsTheSocket,
    ForgetsWhenCancelled,
    GivesASuccessTwice,
    HeartbeatBySignal,
    HeartbeatUntilTheFirstPing,
    HeartbeatUntilTheFirstSignal,
    LastInFirstOut,
    LatestEarlyFirst,
    LeaksWhereItIsSentAway,
    LeavesATask,
    LeavesItsKeepAlive,
    LetsNothingOut,
    LooksAtADeque,
    LooksForTheEndAfterASuccess,
    LosesASuccess,
    LosesASuccessAfterACode,
    NeverYields,
    NoCloseOnCancel,
    NoHeartbeat,
    NoPong,
    Queued,
    RaisesInItsProtocol,
    RaisesOnAbort,
    RaisesWhatItLikes,
    SaysItIsClosed,
    ShieldsItself,
    Stray,
    TakesALengthToComeWhole,
    TakesAReadForAMessage,
    TakesNoCancellation,
    TriesAgainWhereItIsSentAway,
    TrustsEveryByte,
    TurnsACancellationIntoAnError,
    WaitsForEver,
    WaitsForWhatAFloodSets,
    WaitsOnRegardless,
)
from .peers import SIGNALS, GreetedLineTransport, greet_with_a_line, greeted_line_peer

pytestmark = [pytest.mark.anyio, needs_proc]

FILE = Path(culprits.__file__)

IMPATIENT = 1.0
"""Seconds; a call that hangs is what some of these are here for."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Real sockets, on a clock that waits for them."""
    return patient_clock(request.param)


@pytest.fixture(autouse=True)
async def closed_in_the_end(
    anyio_backend: object, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """What a culprit leaves behind is closed, in the event loop that it was left in."""
    streams: list[SocketStream] = []

    async def connect_and_note(host: str, port: int) -> SocketStream:
        streams.append(stream := await connect(host, port))
        return stream

    connect = anyio.connect_tcp
    monkeypatch.setattr(anyio, "connect_tcp", connect_and_note)
    yield
    for stream in streams:
        await anyio.aclose_forcefully(stream)


EVERY = ""

SILENCE = "open cancelled while the peer is silent"

QUIET = "quiet but living peer is not lost"

PAIRED = b"paired me\n"

CODES = [spelt for spelt in SIGNALS if spelt != PAIRED]

ORDERS = [*permutations(SIGNALS), *([code, PAIRED][::way] for code in CODES for way in (1, -1))]


@pytest.mark.parametrize(
    ("culprit", "clause", "name", "says"),
    [
        (NoCloseOnCancel, "T1", SILENCE, ["open: socket 127.0.0.1:", "abort() (", "must close it"]),
        (ForgetsTheSocket, "T1", SILENCE, ["open: socket 127.0.0.1:", "must close it"]),
        (
            LeaksWhereItIsSentAway,
            "T1",
            "open that is turned away",
            ["did not let it in", "socket 127.0.0.1:", "abort() (", "must close it"],
        ),
        (
            TriesAgainWhereItIsSentAway,
            "T1",
            "open that is turned away",
            ["raised TransportUnreachable: no welcome", "must raise TransportRefused", "not tried"],
        ),
        (RaisesWhatItLikes, "T1", EVERY, ["raised OSError", "must raise TransportError"]),
        (
            TurnsACancellationIntoAnError,
            "T1",
            "cancellation comes out of open",
            ["was cancelled at", "raised TransportUnreachable: no", "open() (", "must let it out"],
        ),
        (
            WaitsOnRegardless,
            "T1",
            "cancellation comes out of receive",
            ["by a cancel scope, and raised TransportLost", "receive() (", "must let it out"],
        ),
        (
            AnswersWhateverHappens,
            "T1",
            "cancellation comes out of receive in the middle",
            ["by Task.cancel(), and returned", "receive() (", "must let it out"],
        ),
        (
            TakesNoCancellation,
            "T1",
            "cancellation comes out of receive",
            ["was cancelled at", "went on: the cancellation was swallowed", "must let it out"],
        ),
        (
            TakesNoCancellation,
            "T8",
            "cancellation comes out of a flood",
            ["was cancelled at", "went on: the cancellation was swallowed", "must let it out"],
        ),
        *(
            (
                culprit,
                "T8",
                "nothing blocks the event loop",
                [
                    f"{method}() kept the event loop waiting at ",
                    "for 0.",
                    "each time.",
                    "to_thread",
                ],
            )
            for culprit, method in (
                (BlocksWhileOpening, "open"),
                (BlocksOnEachSignal, "receive"),
                (AsksTheKernel, "receive"),
                (BlocksAsItCloses, "aclose"),
            )
        ),
        *(
            (
                LetsNothingOut,
                clause,
                name,
                ["was cancelled at", "went on: the cancellation was swallowed", "must let it out"],
            )
            for clause, name in (
                ("T1", "cancellation comes out of receive"),
                ("T8", "cancellation comes out of a flood"),
            )
        ),
        (
            ClosesRegardless,
            "T1",
            "cancellation comes out of aclose",
            ["by a cancel scope, and returned", "aclose() (", "must let it out"],
        ),
        (AbortIsPolite, "T2", "abort shuts the socket", ["still open", "abort() (", "must shut"]),
        (
            AbortsInAMoment,
            "T2",
            "abort shuts the socket",
            ["abort() returned.", "still open: socket 127.0.0.1:", "shut the socket itself"],
        ),
        (
            ForgetsWhenCancelled,
            "T2",
            "aclose after a cancelled receive",
            ["receive() was cancelled; then aclose()", "open: socket 127.0.0.1:", "receive() ("],
        ),
        (
            AcloseLeavesIt,
            "T2",
            "aclose ends tasks and descriptors",
            ["open: socket 127.0.0.1:", "aclose() (", "must close it"],
        ),
        (
            AcloseLeavesIt,
            "T1",
            "open cancelled at each wait",
            ["open() returned; then abort() and aclose()", ". aclose() (", "must close it"],
        ),
        (
            SaysItIsClosed,
            "T2",
            "close nowait tells the truth",
            ["close_nowait() returned True.", "still open", "close_nowait() ("],
        ),
        (DeafWhileOpening, "T2", "abort in the middle of open", ["still open", "open() ("]),
        (
            LeavesATask,
            "T2",
            "aclose ends tasks and descriptors",
            ["still open: task ping, tasks.py:", "aclose() (", "must end it"],
        ),
        (
            LeavesItsKeepAlive,
            "T2",
            "aclose ends tasks and descriptors",
            ["still open: task LeavesItsKeepAlive.keep_alive, culprits.py:", "must end it"],
        ),
        (
            AcloseLeavesIt,
            "T2",
            "abort in the middle of open",
            ["Even aclose() left it", ". aclose() (", "must close it"],
        ),
        (
            AbortIsPolite,
            "T2",
            "abort in the middle of open",
            ["abort() was called", ". abort() (", "must shut the socket"],
        ),
        (ComplainsOfTheEnd, "T2", "aclose cancelled at each turn", ["It must not raise."]),
        (ShieldsItself, "T2", "aclose ends tasks and descriptors", ["aclose() did not end within"]),
        (ClosesOnce, "T3", EVERY, ["raised RuntimeError: closed already"]),
        (
            RaisesOnAbort,
            "T3",
            EVERY,
            ["abort() came before open()", "abort() raised RuntimeError: not open yet, at"],
        ),
        (DeliversAfterTheEnd, "T4", EVERY, ["gave QRUpdated(", "must raise EndOfStream"]),
        (
            DeliversWhatIsOnItsWay,
            "T4",
            "no signal overtakes abort",
            ["After abort(), receive() gave QRUpdated(", "once the transport is closed"],
        ),
        (WaitsForEver, "T4", "waiting receive ends with abort", ["receive() did not end within"]),
        (
            AbortIsPolite,
            "T4",
            "waiting receive ends with abort",
            ["receive() raised TransportLost", "abort() (", "never shut the socket"],
        ),
        (
            AbortIsPoliteAndPatient,
            "T4",
            "waiting receive ends with abort",
            ["receive() did not end within 1 s of abort()", "abort() (", "never shut the socket"],
        ),
        (Stray, "T4", EVERY, ["CancelledError, which nobody asked for"]),
        (
            NoHeartbeat,
            "T5",
            "silent peer is lost",
            ["receive() did not end within 2.5 s", "heartbeat=0.5 s; does the transport know it?"],
        ),
        (
            HeartbeatUntilTheFirstSignal,
            "T5",
            "peer that falls silent after a signal is lost",
            ["receive() did not end within 2.5 s"],
        ),
        (
            HeartbeatUntilTheFirstPing,
            "T5",
            "peer that falls silent after it said that it is there is lost",
            ["receive() did not end within 2.5 s"],
        ),
        (NoPong, "T5", QUIET, ["had no answer after 0.33 s", "receive() (", "must answer it"]),
        (
            HeartbeatBySignal,
            "T5",
            QUIET,
            ["every 0.17 s that it is there, and receive() raised TransportLost", "must wait on"],
        ),
        (
            AcloseLeavesIt,
            "T5",
            "silent peer is lost",
            ["then aclose() was called", ". aclose() (", "must close it"],
        ),
        (
            TrustsEveryByte,
            "T6",
            "garbage",
            ["raised UnicodeDecodeError", "is dropped, and the next message waited for"],
        ),
        (
            RaisesInItsProtocol,
            "T6",
            "garbage",
            ["the loop's exception handler got", "UnicodeDecodeError"],
        ),
        (
            DropsWhatIsEarly,
            "T7",
            EVERY,
            ["raised TransportLost", ". be_welcomed() (", "which open() calls) must keep what"],
        ),
        (
            TakesALengthToComeWhole,
            "T7",
            "signal in halves is whole",
            ["receive() ", "must put together what comes in several reads"],
        ),
        (
            TakesAReadForAMessage,
            "T7",
            "signal in halves is whole",
            ["receive() ", "must put together what comes in several reads"],
        ),
        (
            ForgetsTheHalfWhenCancelled,
            "T7",
            "half of a signal outlives a cancelled receive",
            ["was cancelled at", "called again. receive() raised TransportLost", "must keep what"],
        ),
        (
            AwaitsWithASignalInHand,
            "T7",
            "signal outlives a cancelled receive",
            ["was cancelled at", "called again. receive() raised TransportLost", "must keep what"],
        ),
        (
            LosesASuccess,
            "T7",
            "early signals are kept",
            ["After open(), the peer sent", "and never Paired(identity='me'). receive() ("],
        ),
        (LatestEarlyFirst, "T7", EVERY, ["receive() gave Paired(", "and receive() ("]),
        (LastInFirstOut, "T7", EVERY, ["gave Paired(identity='me') before QRUpdated("]),
        (
            NeverYields,
            "T8",
            "flood lets others in",
            ["signals in a row; nobody else had a turn", "must await anyio.lowlevel.checkpoint()"],
        ),
        (LooksAtADeque, "T8", "flood lets others in", ["signals in a row", "receive() ("]),
        pytest.param(
            WaitsForWhatAFloodSets,
            "T8",
            "cancellation comes out of a flood",
            ["was cancelled while messages came in, and went on for", "must await a checkpoint"],
            marks=pytest.mark.slow,
        ),
    ],
)
async def test_a_culprit_is_caught_by_its_clause(
    culprit: type[Transport], clause: str, name: str, says: list[str], anyio_backend_name: str
) -> None:
    """The clause that it breaks says so, what was left open, and which line to look at."""
    if "For asyncio" in str(culprit.__doc__) and anyio_backend_name != "asyncio":
        pytest.skip("a transport for asyncio")
    if any("did not end" in part for part in says) and anyio_backend_name != "trio":
        pytest.skip("it hangs as long on asyncio")
    found = [
        result.failure
        for check in checks([clause])
        if name in {EVERY, check.name}
        for result in [await check.run(partial(greeted_line_peer, culprit), limit=IMPATIENT)]
        if result.failure is not None
    ]
    texts = [str(failure) for failure in found]
    assert all(text.startswith(f"{clause} (") for text in texts)
    assert any(all(part in text for part in says) for text in texts), texts
    if (line := marked_line(culprit)) is not None:
        assert (str(FILE), line) in {(f.place.path, f.place.line) for f in found if f.place}
        assert any(f"at culprits.py:{line}, in `" in text for text in texts), texts


def marked_line(culprit: type) -> int | None:
    """The line of a culprit that has a comment: that is where it goes wrong."""
    lines, first = inspect.getsourcelines(culprit)
    return next((first + n for n, line in enumerate(lines) if "  # " in line), None)


def given_signals(culprit: type[Transport], order: Sequence[bytes]) -> WirePeer:
    """A peer of lines that was given its signals in this order."""
    return WirePeer(
        partial(culprit, heartbeat=0.5),  # type: ignore[call-arg]
        signals={spelt: SIGNALS[spelt] for spelt in order},
        heartbeat=0.5,
        greet=greet_with_a_line,
    )


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(order, marks=() if order in (ORDERS[0], ORDERS[-1]) else pytest.mark.slow)
        for order in ORDERS
    ],
)
@pytest.mark.parametrize(
    ("culprit", "says"),
    [
        (GivesASuccessTwice, r"receive\(\) gave Paired\(identity='me'\) twice"),
        (LosesASuccess, r"(and never Paired\(identity='me'\)|and Paired\(.*\) never came)\. rec"),
        (LosesASuccessAfterACode, r"(never Paired\(.*\)|and Paired\(.*\) never came)\. receive"),
    ],
)
async def test_promise_4_a_signal_that_is_lost_or_doubled_is_named(
    culprit: type[Transport], says: str, order: Sequence[bytes]
) -> None:
    """In whatever order the peer was given them; on whichever loop."""
    (check,) = (one for one in checks(["T7"]) if one.name == "each signal comes once")
    result = await check.run(lambda: given_signals(culprit, order), limit=IMPATIENT)
    assert re.search(says, str(result.failure)), result


@pytest.mark.parametrize("order", [(*CODES, PAIRED), (PAIRED, *CODES)])
@pytest.mark.parametrize(
    ("culprit", "clause", "name", "says"),
    [
        (
            LooksForTheEndAfterASuccess,
            "T5",
            "signals before the end come first",
            "receive() raised EndOfStream",
        ),
        (
            DeliversASuccessAfterTheEnd,
            "T4",
            "no signal after aclose",
            "After aclose(), receive() gave Paired(",
        ),
        (
            DropsASuccessBehindTheWelcome,
            "T7",
            "early signals are kept",
            "receive() raised TransportLost",
        ),
    ],
)
async def test_a_mistake_about_one_kind_of_signal_is_found(
    culprit: type[Transport], clause: str, name: str, says: str, order: Sequence[bytes]
) -> None:
    """Each signal is the last once, wherever the peer was given it."""
    (check,) = (one for one in checks([clause]) if one.name == name)
    result = await check.run(lambda: given_signals(culprit, order), limit=IMPATIENT)
    assert says in str(result.failure), result


@pytest.mark.parametrize(
    "culprit", [TurnsACancellationIntoAnError, WaitsOnRegardless, ClosesRegardless]
)
async def test_a_native_cancellation_is_tried_as_well(
    culprit: type[Transport], monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str
) -> None:
    """On asyncio a task can be cancelled without any scope; that must come out, too."""
    if anyio_backend_name != "asyncio":
        pytest.skip("only asyncio's tasks can be cancelled")
    monkeypatch.setattr(opening, "ways", lambda: (True,))
    peer = partial(greeted_line_peer, culprit)
    results = [await check.run(peer) for check in checks(["T1"])]
    failures = [str(result.failure) for result in results if result.failure is not None]
    assert failures
    cancelled = [failure for failure in failures if "turned away" not in failure]
    assert all("by Task.cancel(), and" in failure for failure in cancelled)


class InANursery(GreetedLineTransport):
    """A transport for trio, with a nursery of trio's own; it keeps the contract."""

    async def open(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.checkpoint)
            await super().open()

    async def receive(self) -> Signal:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 0.1)
            return await super().receive()


async def test_a_group_of_cancellations_is_a_cancellation(anyio_backend_name: str) -> None:
    """A nursery that is cancelled raises a group, or not; both come out."""
    if anyio_backend_name != "trio":
        pytest.skip("trio's nurseries are for trio")
    names = {f"cancellation comes out of {method}" for method in ("open", "receive", "aclose")}
    chosen = [check for check in checks(["T1"]) if check.name in names]
    results = [await check.run(partial(greeted_line_peer, InANursery)) for check in chosen]
    assert [str(result.failure) for result in results if not result.passed] == []


async def test_what_they_are_built_on_keeps_the_contract() -> None:
    """It is the culprits' own lines that are caught: their base is let through, nothing skipped."""
    report = await check_transport(partial(greeted_line_peer, Queued), clauses=["T4", "T7"])
    assert report.passed == report.results


async def test_a_constructor_that_connects_is_told_not_to() -> None:
    """Where the peer refuses it, what it raised comes out of the factory: said with its place."""
    (refused,) = (check for check in checks() if check.name == "open where nobody listens")
    failure = (await refused.run(partial(greeted_line_peer, ConnectsWhenMade))).failure
    assert failure is not None
    assert re.match(r"Making a transport raised .*Error.* \(culprits\.py:\d+\)\.", failure.happened)
    assert failure.mend.startswith("A constructor opens nothing")


async def test_every_breach_is_told_at_once() -> None:
    """All checks are made, whatever failed before, and the error has every failure."""
    results: list[CheckResult] = []
    with pytest.raises(ContractBroken) as caught:
        await check_transport(
            partial(greeted_line_peer, NoCloseOnCancel),
            clauses=["T1", "T7"],
            limit=IMPATIENT,
            progress=results.append,
        )
    broken = caught.value
    assert [result.check for result in results] == list(checks(["T1", "T7"]))
    assert broken.report.results == tuple(results)
    assert len(broken.failures) > 1
    assert str(broken) == "\n".join(map(str, broken.failures))
    assert results[-1].passed, "what T1 left open is not T7's"
