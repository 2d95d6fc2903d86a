"""What an embedding program gets wrong, and cancellations that nobody there asked for."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, NoReturn

import anyio
import pytest

from qrlifecycle import (
    Connected,
    Failed,
    InvalidValue,
    Paired,
    PeerError,
    Policy,
    QRCode,
    QRLifecycle,
    QRUpdated,
    Reason,
    Signal,
    State,
    Transport,
    TransportLost,
    WrongAnswer,
)
from qrlifecycle.errors import ForeignCancellation
from qrlifecycle.monitoring import Audit
from qrlifecycle.testing import Fault, ScriptedPeer, ScriptedTransport

from ..pairing import Pairing, asyncio_only, hang, request_qr

pytestmark = pytest.mark.anyio


# What the embedding program did wrong


async def test_a_wrong_answer_of_request_qr_comes_out_of_pair() -> None:
    """A `request_qr` that gives back text is told what to give back; the state is `failed`."""

    async def wrong() -> Any:
        return "just text"

    lifecycle = QRLifecycle(wrong, ScriptedPeer(), on_change=lambda _change: None)
    with pytest.raises(WrongAnswer, match="gave back str; give back a code or Paired"):
        await lifecycle.pair()
    assert lifecycle.state is State.FAILED


async def test_a_request_qr_that_is_not_async_comes_out_of_pair() -> None:
    """A plain function is told to be an async one, before anything is awaited."""

    def plain() -> Any:
        return QRCode("a code")

    with pytest.raises(WrongAnswer, match="must be an async function; it gave back QRCode"):
        await QRLifecycle(plain, ScriptedPeer()).pair()


async def test_an_error_of_the_transport_factory_ends_the_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A factory that raises is the program's own bug: an outcome, and a line that says where."""

    def broken() -> Transport:
        raise ZeroDivisionError

    lifecycle = QRLifecycle(request_qr, broken)
    outcome = await lifecycle.pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.TRANSPORT_UNREACHABLE
    assert isinstance(outcome.error, ZeroDivisionError)
    assert "the transport factory raised ZeroDivisionError" in caplog.text
    assert Path(__file__).name in caplog.text
    assert lifecycle.state is State.FAILED
    assert not lifecycle.socket_open


async def test_a_call_that_does_not_fit_is_told_by_its_names() -> None:
    """However deep in the factory, with its place; it is no service that cannot be reached."""

    def inner(*, bot: str, token: str) -> Transport:
        raise AssertionError

    def outer(**options: Any) -> Transport:
        return inner(**options)

    missing = r"inner\(\) missing 2 required keyword-only arguments: 'bot' and 'token'"
    lifecycle = QRLifecycle(request_qr, outer)
    with pytest.raises(WrongAnswer, match=rf"a call does not fit: .*{missing} \(.*misuse\.py:\d+"):
        await lifecycle.pair()
    assert lifecycle.state is State.FAILED


async def test_a_type_error_with_a_text_of_its_own_is_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The text may hold a secret."""

    def broken() -> Transport:
        raise TypeError(f"f() got the token {'3' * 3}")

    outcome = await QRLifecycle(request_qr, broken).pair()
    assert isinstance(outcome, Failed)
    assert "the transport factory raised TypeError\n" in caplog.text
    assert "333" not in caplog.text


async def test_a_factory_that_was_given_what_cannot_be_meant_comes_out_of_pair() -> None:
    """An error of usage is the program's to mend: nobody is asked to try again."""

    def misused() -> Transport:
        raise InvalidValue("no such URL")

    lifecycle = QRLifecycle(request_qr, misused)
    with pytest.raises(InvalidValue, match="no such URL"):
        await lifecycle.pair()
    assert lifecycle.state is State.FAILED


async def test_a_transport_that_makes_no_sense_of_the_wire_is_no_error_of_usage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A value that cannot be meant came from the peer: it is told in one line, and reconnected."""

    class Naive(ScriptedTransport):
        async def receive(self) -> Signal:
            return QRUpdated(QRCode("x" * 3000))  # what its server sent

    peer, policy = ScriptedPeer(), Policy(max_reconnects=1, reconnect_delay=0.001)
    make = lambda: Naive(peer, Fault.NONE, Fault.NONE)  # noqa: E731
    outcome = await QRLifecycle(request_qr, make, policy=policy).pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.TRANSPORT_LOST
    assert isinstance(outcome.error, TransportLost)
    assert str(outcome.error).startswith("what came could not be read: a QR code holds at most")
    said = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(said) == 2
    assert all("raised InvalidValue: a QR code holds at most 2953 bytes" in line for line in said)
    assert all(f"({__file__}:" in line and "\n" not in line for line in said)


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_qr": "http://service.example"},
        {"transport": 5},
        {"policy": {"max_refreshes": 3}},
        {"on_connected": "x"},
    ],
)
async def test_a_thing_of_the_wrong_kind_is_refused_when_it_is_given(wrong: dict[str, Any]) -> None:
    """Not when it is first used: the error names the argument."""
    arguments: dict[str, Any] = {"request_qr": request_qr, "transport": ScriptedPeer()}
    with pytest.raises(WrongAnswer, match=next(iter(wrong))):
        QRLifecycle(**{**arguments, **wrong})


@pytest.mark.parametrize("made", [None, "a transport", ScriptedPeer])
async def test_a_factory_that_makes_no_transport_is_told_so(made: object) -> None:
    """What a factory gives back must be a `Transport`; anything else comes out of `pair()`."""
    factory: Any = lambda: made  # noqa: E731
    with pytest.raises(WrongAnswer, match="no Transport"):
        await QRLifecycle(request_qr, factory).pair()


async def test_a_failing_request_qr_is_logged_with_its_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug in `request_qr` is an outcome, and a warning that says where; never its text."""

    async def buggy() -> QRCode | Paired:
        raise LookupError("token-of-a-user")

    async with Pairing(buggy) as pairing:
        pass
    assert repr(pairing.failed()) == "Failed(reason='generating_failed', error=LookupError)"
    assert "request_qr raised LookupError" in caplog.text
    assert Path(__file__).name in caplog.text
    assert "token-of-a-user" not in caplog.text.replace('LookupError("token-of-a-user")', "")


def _breaks(_identity: str | None) -> NoReturn:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("expectation", "says"),
    [
        (_breaks, "expect_identity raised ZeroDivisionError"),
        (lambda _identity: "yes", "expect_identity gave back str, not True or False"),
    ],
)
async def test_an_expectation_that_decides_nothing_is_logged(
    expectation: Any, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """To the person it is a wrong identity; the log says that a function has to be mended."""
    async with Pairing(expect_identity=expectation) as pairing:
        pairing.peer.send(Paired("me"))
    assert pairing.failed().reason is Reason.WRONG_IDENTITY
    assert says in caplog.text


def test_an_abort_that_must_be_awaited_is_refused_when_it_is_written() -> None:
    """`abort()` is the last resort and plain; an async one is told so at the class."""
    with pytest.raises(TypeError, match=r"Slow.abort\(\) must be a plain function"):

        class Slow(Transport):
            async def abort(self) -> None:  # type: ignore[override]
                """Not plain."""


# Promise 5


@asyncio_only
@pytest.mark.parametrize("role", ["check_status", "on_change"])
async def test_promise_5_somebody_elses_cancellation_is_a_fault_and_no_more(
    role: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A read or a hook that awaits a task which is cancelled has failed; `pair()` has not."""

    async def wait_for_another(*_arguments: object) -> Any:
        another = asyncio.ensure_future(asyncio.sleep(100))
        another.cancel()
        await another

    options: dict[str, Any] = {role: wait_for_another}
    async with Pairing(**options) as pairing:
        await anyio.sleep(1)
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert "it was cancelled from elsewhere" in caplog.text


@pytest.mark.parametrize("role", ["check_status", "on_qr_updated"])
async def test_promise_5_an_exit_in_the_background_closes_and_comes_out(role: str) -> None:
    """`SystemExit` in a task beside `pair()` waits for nothing, leaves no socket, and is raised."""

    async def leave(*_arguments: object) -> Any:
        await anyio.sleep(1)
        raise SystemExit(3)

    options: dict[str, Any] = {role: leave}
    peer = ScriptedPeer()
    lifecycle = QRLifecycle(request_qr, peer, **options)
    began = anyio.current_time()
    raised: object = None
    try:
        await lifecycle.pair()
    except BaseException as error:
        raised = error
    assert isinstance(raised, SystemExit)
    assert raised.code == 3
    assert anyio.current_time() - began == pytest.approx(1)
    assert lifecycle.state is State.IDLE
    assert peer.open_sockets == 0


@asyncio_only
@pytest.mark.parametrize("hooks", [{}, {"on_change": lambda _change: None}])
async def test_promise_5_a_request_that_somebody_else_cancelled_is_a_fault(
    hooks: dict[str, Any],
) -> None:
    """Nobody cancelled `pair()`; that there are hooks makes no difference."""
    shared = asyncio.ensure_future(hang())

    async def be_impatient() -> None:
        with anyio.move_on_after(1):
            await shared

    lifecycle = QRLifecycle(lambda: shared, ScriptedPeer(), **hooks)
    pairing, other = asyncio.ensure_future(lifecycle.pair()), asyncio.ensure_future(be_impatient())
    await asyncio.wait([pairing, other])
    assert not pairing.cancelled()
    outcome = pairing.result()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.GENERATING_FAILED
    assert isinstance(outcome.error, ForeignCancellation)


async def test_what_a_service_answered_wrongly_is_its_fault_and_said_with_its_place() -> None:
    """A code that nobody could show is the service's, as what comes over the wire is."""

    async def ask() -> QRCode:
        answer: dict[str, Any] = {"code": "abc", "ttl": "45"}
        return QRCode(answer["code"], expires_in=answer["ttl"])

    outcome = await QRLifecycle(ask, ScriptedPeer()).pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.GENERATING_FAILED
    assert outcome.retryable
    assert isinstance(outcome.error, PeerError)
    assert re.fullmatch(
        r"what the service answered cannot be used: expires_in must be seconds above 0, not str "
        r"\(.*test_misuse\.py:\d+\)",
        str(outcome.error),
    )


@pytest.mark.parametrize("broken", ["abort", "dropped"])
async def test_a_transport_that_cannot_even_be_aborted_does_not_hide_the_end(
    broken: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its contract is broken, and said to be; the success stands, and is told."""

    def fail(*_arguments: object) -> NoReturn:
        raise ZeroDivisionError

    broken_one: Any = property(fail) if broken == "dropped" else fail
    monkeypatch.setattr(ScriptedTransport, broken, broken_one)
    async with Pairing() as pairing:
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert re.search(rf"{broken}(\(\))? raised ZeroDivisionError", caplog.text)


async def _knows_nobody(_identity: str | None) -> bool:
    return False


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"check_status": 7}, "check_status must be a function that is called later, not int"),
        ({"on_change": "me"}, "on_change must be a function that is called later, not str"),
        ({"recorders": 7}, "recorders must be a list of plain functions, not int"),
        (
            {"recorders": [_knows_nobody]},
            "each of recorders must be a plain function, not",
        ),
        ({"recorders": [Audit]}, r"a recorder is an object, Audit\(\.\.\.\), not its class"),
        ({"expect_identity": 7}, "expect_identity must be text or a plain function"),
        ({"expect_identity": _knows_nobody}, "must be a plain function, not an async one"),
    ],
)
def test_what_cannot_be_used_is_refused_when_it_is_given(wrong: dict[str, Any], says: str) -> None:
    """Before any attempt, and with the kind of what was given."""
    with pytest.raises(WrongAnswer, match=says):
        QRLifecycle(request_qr, ScriptedPeer(), **wrong)
