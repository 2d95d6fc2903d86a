"""Reading the status: what nobody heard is found, and reading never gets in the way."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NoReturn, Self

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    Cancelled,
    Change,
    Connected,
    Failed,
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
    ServiceRefused,
    ServiceUnavailable,
    Signal,
    State,
    StatusChanged,
    TransportLost,
    WrongAnswer,
)
from qrlifecycle.engine.progress import Progress
from qrlifecycle.engine.service import Service
from qrlifecycle.engine.status import StatusReader
from qrlifecycle.errors import Malformed
from qrlifecycle.records import FoundByStatus, Record
from qrlifecycle.testing import Fault, ScriptedPeer, ScriptedTransport, settle

from ..pairing import ONCE, Pairing, hang, request_qr

pytestmark = pytest.mark.anyio


class Status:
    """A service's status: what it says, how long it takes to, and when it was asked."""

    def __init__(self, says: Signal | None = None, latency: float = 0.0) -> None:
        self.says: object = says
        self.latency = latency
        self.asked: list[float] = []
        self.answered = 0

    async def __call__(self) -> Any:
        """Answer with what was true when it was asked."""
        self.asked.append(anyio.current_time())
        says = self.says
        await anyio.sleep(self.latency)
        self.answered += 1
        if isinstance(says, Exception):
            raise says
        return says

    def since(self, began: float) -> list[float]:
        """When it was asked, in seconds since then."""
        return [round(when - began, 3) for when in self.asked]


class Beside(Pairing):
    """A pairing whose status is read beside it."""

    def __init__(self, status: Status, *args: Any, **options: Any) -> None:
        self.status = status
        super().__init__(*args, check_status=status, **options)

    async def __aenter__(self) -> Self:
        self.began = anyio.current_time()
        return await super().__aenter__()


# When it is read


async def test_promise_4_a_success_before_the_opening_is_found_on_opening() -> None:
    """What happened before anybody listened is read as soon as somebody does."""
    async with Beside(Status(Paired("me"))) as pairing:
        pass
    assert pairing.outcome == Connected("me")
    assert pairing.status.since(pairing.began) == [0]


async def test_promise_4_a_success_while_the_connection_was_down_is_found_on_reconnecting() -> None:
    """Each opening asks what was missed."""
    async with Beside(Status()) as pairing:
        await anyio.sleep(10)
        pairing.peer.break_connection()
        pairing.status.says = Paired("me")
    assert pairing.outcome == Connected("me")
    assert len(pairing.status.asked) == 2
    assert anyio.current_time() - pairing.began < 11


async def test_promise_4_a_success_that_nobody_heard_is_found_before_the_code_is_given_up() -> None:
    """The final status check is taken when the code and its grace are over, and not before."""
    async with Beside(Status(), policy=Policy(expiry_grace=3)) as pairing:
        await anyio.sleep(1)
        pairing.status.says = Paired("me")
    assert pairing.outcome == Connected("me")
    assert pairing.status.since(pairing.began) == [0, 63]
    assert len(pairing.peer.transports) == 1


@pytest.mark.parametrize(
    ("policy", "signal", "seconds"),
    [
        (Policy(attempt_timeout=20), None, 20),
        (Policy(approval_timeout=20), Scanned(), 20),
        (Policy(max_refreshes=0, expiry_grace=2), QRExpired(), 2),
    ],
)
async def test_promise_4_no_deadline_gives_up_without_a_final_check(
    policy: Policy, signal: Signal | None, seconds: float
) -> None:
    """Whatever deadline it is that runs out, the truth comes first."""
    async with Beside(Status(), policy=policy) as pairing:
        if signal is not None:
            pairing.peer.send(signal)
        await anyio.sleep(1)
        pairing.status.says = Paired("me")
    assert pairing.outcome == Connected("me")
    assert pairing.status.since(pairing.began) == [0, seconds]


async def test_promise_4_a_connection_that_is_lost_for_good_is_followed_by_a_final_check() -> None:
    """The connection is gone, but the success need not be."""
    async with Beside(Status(), policy=ONCE) as pairing:
        await anyio.sleep(1)
        pairing.status.says = Paired("me")
        pairing.peer.break_connection()
    assert pairing.outcome == Connected("me")


async def test_promise_4_a_code_that_cannot_be_replaced_is_followed_by_a_final_check() -> None:
    """The service may refuse another code just because the last one was scanned."""
    codes = [QRCode("only", expires_in=5)]

    async def request() -> QRCode:
        await anyio.sleep(1)
        return codes.pop()

    async with Beside(Status(), request, policy=Policy(expiry_grace=0)) as pairing:
        await anyio.sleep(6.5)
        assert pairing.lifecycle.state is State.GENERATING
        pairing.status.says = Paired("me")
    assert pairing.outcome == Connected("me")


async def test_a_code_that_was_never_shown_needs_no_look() -> None:
    """Nobody can have scanned what nobody saw."""
    async with Beside(Status(Paired("me")), openings=(Fault.UNREACHABLE,), policy=ONCE) as pairing:
        pass
    assert pairing.failed().reason is Reason.TRANSPORT_UNREACHABLE
    assert pairing.status.asked == []


async def test_a_code_that_was_shown_in_an_attempt_needs_no_look_in_the_next() -> None:
    """Each attempt begins with nothing shown."""
    status, openings = Status(), (Fault.NONE, Fault.UNREACHABLE)
    async with Beside(status, openings=openings, policy=ONCE) as pairing:
        pairing.lifecycle.cancel()
    status.asked.clear()
    assert isinstance(await pairing.lifecycle.pair(), Failed)
    assert status.asked == []


@pytest.mark.parametrize("how", ["refused", "broken", "too late", "malformed"])
async def test_promise_4_where_no_code_comes_the_status_is_read(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The service says in its own words that the account is paired: that is no failure.

    No transport broke meanwhile, for there was none.
    """
    caplog.set_level(logging.DEBUG)

    async def request() -> QRCode:
        match how:
            case "refused":
                raise ServiceRefused("it is open already")
            case "broken":
                raise KeyError("qr")
            case "malformed":
                return QRCode("")
        await anyio.sleep_forever()
        raise AssertionError

    status = Status(Paired("me"))
    lifecycle = QRLifecycle(
        request, ScriptedPeer(), check_status=status, policy=Policy(generate_timeout=5)
    )
    assert await lifecycle.pair() == Connected("me", already_paired=True)
    assert len(status.asked) == 1
    assert "the transport broke" not in caplog.text


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, Reason.REFUSED_BY_SERVICE),
        (PairingRefused(Reason.CONFLICT), Reason.CONFLICT),
        (Scanned(), Reason.REFUSED_BY_SERVICE),
        (QRUpdated(QRCode("a code of another session")), Reason.REFUSED_BY_SERVICE),
        (Paired("another"), Reason.WRONG_IDENTITY),
    ],
)
async def test_where_no_code_comes_a_status_that_is_no_success_changes_little(
    answer: Signal | None, reason: Reason
) -> None:
    """The refusal stands, unless the status knows a better reason; no socket is opened."""

    async def request() -> QRCode:
        raise ServiceRefused("no")

    peer, status = ScriptedPeer(), Status(answer)
    lifecycle = QRLifecycle(request, peer, check_status=status, expect_identity="me")
    outcome = await lifecycle.pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is reason
    assert (len(status.asked), peer.transports) == (1, [])


async def test_where_no_code_comes_and_no_status_either_it_ends_in_time() -> None:
    """A service that is down altogether is asked for as long as a final status check may take."""

    async def request() -> QRCode:
        raise ServiceRefused("no")

    status, began = Status(latency=math.inf), anyio.current_time()
    policy = Policy(final_check_timeout=5)
    lifecycle = QRLifecycle(request, ScriptedPeer(), check_status=status, policy=policy)
    assert isinstance(await lifecycle.pair(), Failed)
    assert anyio.current_time() == began + 5


@pytest.mark.parametrize("finish", [False, True])
async def test_where_the_service_refuses_both_it_ends_at_once(*, finish: bool) -> None:
    """A key that is not accepted: nobody waits for five seconds of refused reads."""

    async def request() -> QRCode:
        raise ServiceRefused("no such key")

    status, began = Status(latency=1), anyio.current_time()
    status.says = ServiceRefused("no such key")
    policy = Policy(final_check_timeout=5, finish_reads=finish)
    lifecycle = QRLifecycle(request, ScriptedPeer(), check_status=status, policy=policy)
    outcome = await lifecycle.pair()
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.REFUSED_BY_SERVICE
    assert len(status.asked) == 1
    assert anyio.current_time() == began + 1


async def test_a_refused_read_ends_the_final_check_of_a_code_as_well() -> None:
    """And nothing before it: until then it is a read without an answer, like any other."""
    status = Status()
    status.says = ServiceRefused("no such key")
    policy = Policy(expiry_grace=0, max_refreshes=0, final_check_timeout=5)
    async with Beside(status, policy=policy) as pairing:
        for _ in range(300):
            await anyio.sleep(0.1)
            assert pairing.lifecycle.state is State.DISPLAYED
            assert not pairing.lifecycle.snapshot().final_check
        assert len(status.asked) > 2
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - pairing.began < 60 + 1
    last = status.since(pairing.began)[-1]
    assert last >= 60


async def test_what_is_no_refusal_is_asked_again_in_a_final_check() -> None:
    """A service that does not answer in this moment may in the next."""

    async def request() -> QRCode:
        raise ServiceRefused("no")

    for fault in (ServiceUnavailable("busy"), OSError("down"), Malformed("state", "is odd")):
        status, began = Status(), anyio.current_time()
        status.says = fault
        lifecycle = QRLifecycle(request, ScriptedPeer(), check_status=status)
        assert isinstance(await lifecycle.pair(), Failed)
        assert anyio.current_time() == began + Policy().final_check_timeout


@pytest.mark.parametrize(("says", "told"), [("no", 0), ("not in this way", 1)])
async def test_what_an_attempt_is_about_to_end_by_is_no_failure_of_a_read_as_well(
    says: str, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The same words stand in the log once; others are news."""

    async def request() -> QRCode:
        raise ServiceRefused("no")

    status = Status()
    status.says = ServiceRefused(says)
    lifecycle = QRLifecycle(request, ScriptedPeer(), check_status=status)
    assert isinstance(await lifecycle.pair(), Failed)
    assert caplog.messages.count(f"check_status failed: {says}") == told


async def test_the_status_is_read_as_often_as_the_policy_says() -> None:
    """Servers that send no failures are asked for them."""
    policy = Policy(status_interval=10, attempt_timeout=math.inf)
    async with Beside(Status(), policy=policy) as pairing:
        await anyio.sleep(45)
        pairing.status.says = PairingRefused(Reason.REFUSED_ON_PHONE)
    assert pairing.failed().reason is Reason.REFUSED_ON_PHONE
    read = pairing.status.since(pairing.began)
    assert len(read) == 6
    assert all(10 <= after - before <= 11 for before, after in pairwise(read))


async def test_promise_4_a_status_that_has_changed_is_read_at_once() -> None:
    """A message that says only that something is new is as good as one that says what."""
    async with Beside(Status(), policy=Policy(max_codes=9)) as pairing:
        await anyio.sleep(10)
        pairing.status.says = QRUpdated(QRCode("second"))
        pairing.peer.send(StatusChanged())
        await settle()
        assert pairing.lifecycle.qr == QRCode("second")
        await anyio.sleep(10)
        pairing.status.says = Paired("me")
        pairing.peer.send(StatusChanged())
    assert pairing.outcome == Connected("me")
    assert pairing.status.since(pairing.began) == [0, 10, 20]


async def test_promise_7_a_status_that_changes_without_end_is_read_now_and_then() -> None:
    """A flood of it asks the service no oftener than the pause between two reads allows."""
    policy = Policy(status_retry_delay=1, status_retry_delay_max=1)
    async with Beside(Status(), policy=policy) as pairing:
        for _ in range(1_000):
            pairing.peer.send(StatusChanged())
            await anyio.sleep(0.01)
        assert len(pairing.status.asked) <= 1 + 10 / 0.5
        pairing.lifecycle.cancel()


async def test_promise_7_a_status_that_nobody_can_read_may_change(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without a `check_status` it is dropped, and counted, and moves nothing; DEBUG says why."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    async with Pairing() as pairing:
        pairing.peer.send(StatusChanged())
        await settle()
        assert pairing.lifecycle.dropped == {"status_changed": 1}
        assert pairing.lifecycle.state is State.DISPLAYED
        assert caplog.messages[-1].endswith("dropped: there is no check_status")
        pairing.lifecycle.cancel()


async def test_a_status_does_not_say_that_it_has_changed() -> None:
    """It would be read for ever; it is a mistake of the function, and counts as a miss."""
    async with Beside(Status(StatusChanged())) as pairing:
        await anyio.sleep(1)
        assert pairing.lifecycle.dropped["check_status"] >= 1
        pairing.status.says = Paired("me")
    assert pairing.outcome == Connected("me")


async def test_without_an_interval_nothing_is_read_between_opening_and_the_final_check() -> None:
    """Whoever hears needs not ask."""
    async with Beside(Status()) as pairing:
        await anyio.sleep(50)
        assert pairing.status.since(pairing.began) == [0]
        pairing.lifecycle.cancel()


# Reading does not get in the way


@pytest.mark.parametrize("latency", [1.0, math.inf])
async def test_a_signal_is_not_delayed_by_a_read(latency: float) -> None:
    """The success on the wire is known at once, though the read still waits for its answer."""
    async with Beside(Status(latency=latency)) as pairing:
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert anyio.current_time() == pairing.began


@pytest.mark.parametrize("signal", [Scanned(), QRExpired(), ActionRequired("passkey")])
async def test_promise_4_no_signal_cuts_the_final_check_of_a_verdict_short(signal: Signal) -> None:
    """The code is given up for a cause that no deadline put off: the success is still found."""
    policy = Policy(max_codes=1, expiry_grace=3)
    async with Beside(Status(latency=2), policy=policy) as pairing:
        await anyio.sleep(10)
        pairing.status.says = Paired("me")
        pairing.peer.send(QRUpdated(QRCode("one too many")))
        await anyio.sleep(1)
        pairing.peer.send(signal)
    assert pairing.outcome == Connected("me")


async def test_a_transport_that_broke_in_a_final_check_is_replaced_if_the_code_lives_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether or not it would say so again: it said so once."""
    said: set[ScriptedTransport] = set()
    receive = ScriptedTransport.receive

    async def receive_and_break_once(transport: ScriptedTransport) -> Signal:
        if transport in said:
            await anyio.sleep_forever()
        try:
            return await receive(transport)
        except TransportLost:
            said.add(transport)
            raise

    monkeypatch.setattr(ScriptedTransport, "receive", receive_and_break_once)
    peer = ScriptedPeer()
    answers: list[Signal | None] = [None, QRUpdated(QRCode("newer", expires_in=500)), None]

    async def check_status() -> Signal | None:
        await anyio.sleep(2)
        return answers.pop(0) if answers else None

    lifecycle = QRLifecycle(
        request_qr, peer, check_status=check_status, policy=Policy(expiry_grace=0)
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await anyio.sleep(61)  # the final check began at 60
        peer.break_connection()
        await anyio.sleep(30)
        assert lifecycle.qr == QRCode("newer")
        assert len(peer.transports) == 2
        lifecycle.cancel()


async def test_promise_4_a_newer_code_is_kept_back_if_the_transport_broke_meanwhile() -> None:
    """Nobody would hear of its being scanned until the next one listens."""
    status = Status(latency=4)
    policy = Policy(expiry_grace=0, reconnect_delay=10, reconnect_delay_max=10)
    async with Beside(status, policy=policy) as pairing:
        await anyio.sleep(59)
        status.says = QRUpdated(QRCode("newer", expires_in=500))
        await anyio.sleep(2)
        pairing.peer.break_connection()
        await anyio.sleep(4)
        assert pairing.lifecycle.snapshot().newest_code == QRCode("newer")
        assert pairing.lifecycle.qr is None
        await anyio.sleep(10)
        assert pairing.lifecycle.qr == QRCode("newer")
        assert len(pairing.peer.transports) == 2
        pairing.lifecycle.cancel()


async def test_promise_4_a_signal_is_heard_during_the_final_check() -> None:
    """What still listens goes on listening, and the first to know decides."""
    policy = Policy(expiry_grace=0, max_refreshes=0, final_check_timeout=5)
    async with Beside(Status(latency=4), policy=policy) as pairing:
        await anyio.sleep(61)
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert anyio.current_time() == pairing.began + 61


@pytest.mark.parametrize(("delay", "breaks_after"), [(60, 50), (1, 59.8), (1, 61)])
async def test_in_the_final_check_nothing_is_reconnected(delay: float, breaks_after: float) -> None:
    """What does not listen by then is not needed any more: the status is asked."""
    policy = Policy(
        expiry_grace=0, max_refreshes=0, reconnect_delay=delay, reconnect_delay_max=delay
    )
    async with Beside(Status(latency=3), policy=policy) as pairing:
        await anyio.sleep(breaks_after)
        pairing.peer.break_connection()
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() == pairing.began + 63
    assert len(pairing.peer.transports) == 1


async def test_promise_4_a_transport_that_breaks_in_the_final_check_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The read goes on, and what it finds counts; whoever looks for why it was silent is told."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    policy = Policy(expiry_grace=0, max_refreshes=0)
    async with Beside(Status(latency=3), policy=policy) as pairing:
        await anyio.sleep(59)
        pairing.status.says = Paired("me")
        await anyio.sleep(2)
        pairing.peer.break_connection()
    assert pairing.outcome == Connected("me")
    assert anyio.current_time() == pairing.began + 63
    assert "the transport broke in the final status check: TransportLost" in caplog.messages


async def test_a_transport_that_is_used_wrongly_is_no_less_so_in_the_final_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the program must mend comes out of `pair()`, whatever the status says."""

    async def misused(_transport: object) -> NoReturn:
        raise WrongAnswer("not so")

    raised: list[WrongAnswer] = []
    status = Status(latency=3)

    async def pair() -> None:
        policy = Policy(expiry_grace=0, max_refreshes=0)
        lifecycle = QRLifecycle(request_qr, ScriptedPeer(), policy=policy, check_status=status)
        with pytest.raises(WrongAnswer, match="not so") as error:
            await lifecycle.pair()
        raised.append(error.value)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair)
        await anyio.sleep(59)
        monkeypatch.setattr(ScriptedTransport, "receive", misused)
    assert len(raised) == 1


async def test_a_new_code_during_the_final_check_keeps_the_state() -> None:
    """A rotation that was late is a rotation: same socket, new picture, new clock."""
    policy = Policy(expiry_grace=0, max_refreshes=0)
    async with Beside(Status(latency=2), policy=policy) as pairing:
        await anyio.sleep(61)
        pairing.peer.send(QRUpdated(QRCode("rotated", expires_in=30)))
        await anyio.sleep(10)
        assert pairing.lifecycle.qr == QRCode("rotated")
        assert pairing.lifecycle.state is State.DISPLAYED
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - pairing.began == pytest.approx(61 + 30 + 2)
    assert len(pairing.peer.transports) == 1


async def test_a_connection_that_breaks_once_the_final_check_is_over_is_reconnected() -> None:
    """More time means the whole of it: a look that nobody answers ends with it."""
    status = Status()
    policy = Policy(expiry_grace=0, max_refreshes=0)
    async with Beside(status, policy=policy) as pairing:
        await anyio.sleep(59)
        status.says = OSError("down")
        await anyio.sleep(2)
        pairing.peer.send(Scanned())
        await anyio.sleep(2)
        pairing.peer.break_connection()
        await anyio.sleep(3)
        assert len(pairing.peer.transports) == 2
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


@pytest.mark.parametrize("interval", [math.inf, 0.001])
async def test_promise_7_codes_that_live_no_time_cost_no_reads(interval: float) -> None:
    """Between two reads there is always a pause, whatever they bring and how often they are due."""
    codes = iter(range(1_000_000))
    asked = 0

    async def check_status() -> Signal | None:
        nonlocal asked
        asked += 1
        return QRUpdated(QRCode(str(next(codes)), expires_in=1e-9))

    policy = Policy(expiry_grace=0, max_refreshes=0, status_interval=interval, attempt_timeout=20)
    async with Pairing(check_status=check_status, policy=policy):
        pass
    assert asked <= 20 / 0.25 + 2


async def test_a_scan_during_the_final_check_keeps_the_state() -> None:
    """The phone was quicker than the end: it may confirm."""
    policy = Policy(expiry_grace=0, max_refreshes=0, approval_timeout=100)
    async with Beside(Status(latency=2), policy=policy) as pairing:
        await anyio.sleep(61)
        pairing.peer.send(Scanned())
        await anyio.sleep(50)
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


async def test_promise_4_success_by_two_ways_at_once_is_delivered_once() -> None:
    """Whoever is first says it; the other finds the stay being left."""
    told: list[Connected] = []
    status = Status(Paired("by reading"), latency=1)
    closing = (Fault.SLOW,)
    async with Beside(status, closings=closing, on_connected=told.append) as pairing:
        await anyio.sleep(0.9)
        pairing.peer.send(Paired("by wire"))
    assert told == [Connected("by wire")]
    assert pairing.outcome == Connected("by wire")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("after", [0.0, 5.0, 50.0, 59.9])
async def test_promise_4_success_found_by_the_status_is_delivered_once(
    after: float, asynchronous: bool
) -> None:
    """On opening, now and then, or in the final check: the hook and the changes tell of it once."""
    told: list[Connected] = []
    changes: list[Change] = []

    async def tell_later(outcome: Connected) -> None:
        told.append(outcome)

    status = Status(None if after else Paired("me"))
    policy = Policy(status_interval=10, expiry_grace=0, max_refreshes=0)
    on_connected = tell_later if asynchronous else told.append
    hooks = {"on_connected": on_connected, "on_change": changes.append}
    async with Beside(status, policy=policy, **hooks) as pairing:
        await anyio.sleep(after)
        status.says = Paired("me")
    assert pairing.outcome == Connected("me")
    assert told == [Connected("me")]
    assert [change.outcome for change in changes if change.outcome] == [Connected("me")]


@pytest.mark.parametrize("says", [Paired("you"), PairingRefused(Reason.CONFLICT)])
async def test_promise_4_no_success_is_delivered_that_was_none(says: Signal) -> None:
    """Somebody else's account, or a refusal: `on_connected` is not told."""
    told: list[Connected] = []
    status = Status(says)
    async with Beside(status, expect_identity="me", on_connected=told.append) as pairing:
        pass
    assert isinstance(pairing.outcome, Failed)
    assert told == []


# Faults


def not_async() -> Any:
    """A read that was not made an async function."""
    return Paired("me")


async def a_dict() -> Any:
    """A read that gives back what the service said."""
    return {"status": "paired"}


@pytest.mark.parametrize(
    ("check_status", "said"),
    [
        (not_async, "check_status must be an async function; it gave back Paired"),
        (
            a_dict,
            "check_status gave back dict; give back Paired(identity), another signal, or None",
        ),
    ],
)
async def test_a_read_that_was_written_wrong_is_told_how(
    check_status: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says what is wrong and what to do, and no place in the library is shown."""
    async with Pairing(check_status=check_status) as pairing:
        await settle()
        pairing.lifecycle.cancel()
    lines = [(record.name, record.getMessage()) for record in caplog.records]
    assert lines == [("qrlifecycle", f"check_status failed: {said}")]


@pytest.mark.parametrize(
    "fault", [OSError("down"), KeyError("status"), RecursionError(), {"status": "paired"}, "paired"]
)
async def test_promise_7_a_read_that_fails_is_counted_and_asked_again(
    fault: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Rubbish and faults are no news; the question stays asked until it is answered."""
    status = Status()
    status.says = fault
    async with Beside(status) as pairing:
        await anyio.sleep(8)
        assert pairing.lifecycle.state is State.DISPLAYED
        missed = len(status.asked)
        status.says = Paired("me")
    assert pairing.outcome == Connected("me")
    assert pairing.lifecycle.dropped == {"check_status": missed}
    assert 4 <= missed <= 8
    assert "check_status failed" in caplog.text
    assert "down" not in caplog.text


@pytest.mark.parametrize(
    ("asks_for", "then"), [(None, [0, 1]), (0.001, [0, 1]), (3, [0, 3]), (3600, [0, 8])]
)
async def test_a_service_that_asks_for_time_is_given_it_within_the_longest_pause(
    asks_for: float | None, then: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never less than without its asking; and once it answers, nothing of it is left."""
    monkeypatch.setattr("qrlifecycle.engine.backoff.uniform", lambda _least, most: most)
    status = Status()
    status.says = ServiceUnavailable("busy", retry_after=asks_for)
    policy = Policy(status_retry_delay=1, status_retry_delay_max=8, status_interval=0.5)
    async with Beside(status, policy=policy) as pairing:
        await anyio.sleep(then[1] - 0.5)
        status.says = None
        await anyio.sleep(2.6)
        pairing.lifecycle.cancel()
    assert status.since(pairing.began) == [*then, then[1] + 1.5]


async def test_a_read_has_its_own_deadline(caplog: pytest.LogCaptureFixture) -> None:
    """A read that hangs is given up, logged and counted as what took too long, and tried again."""
    status = Status(latency=math.inf)
    async with Beside(status, policy=Policy(status_timeout=2)) as pairing:
        await anyio.sleep(2.1)
        assert pairing.lifecycle.dropped == {"check_status": 1}
        assert "check_status failed: no answer within" in caplog.text
        status.latency, status.says = 0, Paired("me")
    assert pairing.outcome == Connected("me")
    assert anyio.current_time() - pairing.began < 3


async def test_a_final_check_that_gets_no_answer_ends_within_its_deadline() -> None:
    """A status that cannot be read does not keep an attempt from ending."""
    status = Status()
    status.says = OSError("down")
    policy = Policy(expiry_grace=0, max_refreshes=0, final_check_timeout=4)
    async with Beside(status, policy=policy) as pairing:
        pass
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - pairing.began == pytest.approx(64)


async def test_a_final_check_after_many_faults_asks_as_often_as_after_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pause that grew with the faults is cut off, and short again: there is little time."""
    monkeypatch.setattr("qrlifecycle.engine.backoff.uniform", lambda _least, most: most)
    status = Status()
    status.says = OSError("down")
    policy = Policy(expiry_grace=0, max_refreshes=0, status_retry_delay_max=30)
    async with Beside(status, policy=policy) as pairing:
        await anyio.sleep(61)
        status.says = Paired("me")
    assert pairing.outcome == Connected("me")
    assert status.since(pairing.began)[-4:] == [31.5, 60.25, 60.75, 61.75]


async def test_a_read_under_way_makes_way_for_the_final_check() -> None:
    """What was asked before is given up for what is true now, and that is no fault."""
    status = Status(latency=math.inf)
    policy = Policy(expiry_grace=0, max_refreshes=0, status_timeout=100)
    async with Beside(status, policy=policy) as pairing:
        await anyio.sleep(59)
        status.latency, status.says = 0, Paired("me")
    assert pairing.outcome == Connected("me")
    assert 60 < anyio.current_time() - pairing.began < 61
    assert len(status.asked) == 2
    assert pairing.lifecycle.dropped == {}


async def stubborn() -> Signal:
    """A read that nobody can stop."""
    with anyio.CancelScope(shield=True):
        await anyio.sleep(100)
    return Paired("too late")


async def test_promise_2_a_read_that_cannot_be_stopped_does_not_delay_the_closing() -> None:
    """A `check_status` that shields itself keeps `pair()` waiting, but no socket open."""
    async with Pairing(check_status=stubborn) as pairing:
        began = anyio.current_time()
        pairing.lifecycle.cancel()
        await settle()
        assert pairing.lifecycle.state is State.IDLE
        assert pairing.peer.open_sockets == 0
        assert anyio.current_time() == began
    assert pairing.outcome == Cancelled()


async def test_nothing_is_taken_in_once_the_state_is_left() -> None:
    """An answer that could not be stopped on its way leads to nothing any more."""
    answers = iter([stubborn, hang])

    async def check_status() -> Any:
        return await next(answers)()

    async with Pairing(check_status=check_status) as pairing:
        pairing.lifecycle.generate()
        await anyio.sleep(101)
        assert pairing.lifecycle.state is State.DISPLAYED
        pairing.lifecycle.cancel()
    assert pairing.outcome == Cancelled()


async def test_promise_4_what_was_asked_before_a_final_check_does_not_end_it() -> None:
    """An answer that could not be stopped on its way is passed over; one more is asked for."""
    asked = 0
    shown: list[QRCode] = []

    async def check_status() -> Signal | None:
        nonlocal asked
        asked += 1
        if asked == 1:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(61)
            return QRUpdated(QRCode("too late"))
        return Paired("me")

    policy = Policy(expiry_grace=0, max_refreshes=0, status_timeout=100)
    async with Pairing(
        policy=policy, check_status=check_status, on_qr_updated=shown.append
    ) as pairing:
        pass
    assert pairing.outcome == Connected("me")
    assert asked == 2
    assert shown == [QRCode("first")]


# What it finds


async def test_a_newer_code_is_found_too() -> None:
    """A rotation that nobody heard is shown once it is read."""
    shown: list[QRCode] = []
    async with Beside(Status(), on_qr_updated=shown.append) as pairing:
        pairing.peer.break_connection()
        pairing.status.says = QRUpdated(QRCode("rotated"))
        await anyio.sleep(5)
        assert pairing.lifecycle.qr == QRCode("rotated")
        pairing.lifecycle.cancel()
    assert shown == [QRCode("first"), QRCode("rotated")]


async def test_promise_4_a_newer_code_is_kept_back_until_a_transport_listens() -> None:
    """What is read while the connection is down is not shown before its success could be heard."""
    shown: list[tuple[str, bool]] = []
    status = Status()
    peer = ScriptedPeer(openings=(Fault.NONE, Fault.HUNG))
    lifecycle = QRLifecycle(
        request_qr,
        peer,
        policy=Policy(status_interval=1, open_timeout=20),
        check_status=status,
        on_qr_updated=lambda qr: shown.append((qr.reveal(), peer.listening)),
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lifecycle.pair)
        await settle()
        peer.break_connection()
        status.says = QRUpdated(QRCode("newer", expires_in=60))
        await anyio.sleep(5)
        assert (lifecycle.state, lifecycle.qr) == (State.DISPLAYED, None)
        await anyio.sleep(20)
        assert (lifecycle.state, lifecycle.qr) == (State.DISPLAYED, QRCode("newer"))
        lifecycle.cancel()
    assert shown == [("first", True), ("newer", True)]


async def test_the_same_code_again_is_no_news() -> None:
    """A status that tells the code on screen neither shows it again nor gives it a longer life."""
    shown: list[QRCode] = []
    status = Status(QRUpdated(QRCode("first", expires_in=60)))
    policy = Policy(status_interval=5, expiry_grace=0, max_refreshes=0)
    async with Beside(status, policy=policy, on_qr_updated=shown.append) as pairing:
        pass
    assert shown == [QRCode("first")]
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - pairing.began == pytest.approx(60, abs=1)


async def test_a_code_that_was_read_before_a_rotation_is_stale() -> None:
    """The newest code wins: an answer that was under way when it came is older."""
    async with Beside(Status(QRUpdated(QRCode("older")), latency=3)) as pairing:
        await anyio.sleep(1)
        pairing.peer.send(QRUpdated(QRCode("newest")))
        await anyio.sleep(3)
        assert pairing.status.answered == 1
        assert pairing.lifecycle.qr == QRCode("newest")
        pairing.lifecycle.cancel()


@pytest.mark.parametrize("stale", [QRExpired(), Scanned(), ActionRequired("passkey")])
async def test_promise_4_what_was_read_of_an_older_code_is_stale(stale: Signal) -> None:
    """A read that began before a rotation says nothing of the new code; it is asked again."""
    policy = Policy(expiry_grace=0, max_refreshes=0)
    async with Beside(Status(stale, latency=3), policy=policy) as pairing:
        await anyio.sleep(1)
        pairing.status.says = None
        pairing.peer.send(QRUpdated(QRCode("newest", expires_in=60)))
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - pairing.began == pytest.approx(1 + 60 + 3, abs=0.6)
    assert pairing.status.since(pairing.began)[1] == pytest.approx(3.4, abs=0.2)


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Paired("me"), Connected("me")),
        (PairingRefused(Reason.CONFLICT), Failed(Reason.CONFLICT)),
    ],
)
async def test_a_verdict_that_was_read_of_an_older_code_is_none_the_less_true(
    verdict: Signal, outcome: Outcome
) -> None:
    """An account is paired, or refused, by whichever code it was: nobody asks again."""
    async with Beside(Status(verdict, latency=3)) as pairing:
        await anyio.sleep(1)
        pairing.peer.send(QRUpdated(QRCode("newest")))
    assert pairing.outcome == outcome
    assert anyio.current_time() == pairing.began + 3


async def test_nothing_to_say_of_an_older_code_is_an_answer() -> None:
    """It is no news of the newer one either, and not asked for again."""
    async with Beside(Status(latency=3)) as pairing:
        await anyio.sleep(1)
        pairing.peer.send(QRUpdated(QRCode("newest")))
        await anyio.sleep(20)
        assert pairing.status.since(pairing.began) == [0]
        pairing.lifecycle.cancel()


@pytest.mark.parametrize(
    ("says", "dropped"),
    [(Scanned(), "scanned"), (QRUpdated(QRCode("late")), "qr_updated"), (QRExpired(), "expired")],
)
async def test_what_the_status_says_goes_through_the_same_table(
    says: Signal, dropped: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What does not fit is dropped and counted, as a signal is, and no success is made of it."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    codes = [QRCode("only", expires_in=5)]

    async def request() -> QRCode:
        await anyio.sleep(1)
        return codes.pop()

    status = Status()
    async with Beside(status, request, policy=Policy(expiry_grace=0)) as pairing:
        await anyio.sleep(6.5)
        assert pairing.lifecycle.state is State.GENERATING
        status.says = says
    assert pairing.failed().reason is Reason.GENERATING_FAILED
    assert pairing.lifecycle.dropped == {dropped: 1}
    assert "by check_status" not in caplog.text


@pytest.mark.parametrize(
    "says", [Scanned(), ActionRequired("passkey"), QRUpdated(QRCode("next")), QRExpired()]
)
async def test_nothing_but_a_success_is_said_to_be_one_that_the_status_found(
    says: Signal, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the log nor in a record, from which an audit counts what nobody heard."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    records: list[Record] = []
    async with Beside(Status(says), recorders=[records.append]) as pairing:
        pairing.lifecycle.cancel()
    assert "by check_status" not in caplog.text
    assert FoundByStatus not in map(type, records)


async def test_a_success_that_the_wire_told_to_read_is_none_that_nobody_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Some services say only that the status has changed; each success of theirs is heard."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    records: list[Record] = []
    async with Beside(Status(), recorders=[records.append]) as pairing:
        await anyio.sleep(5)
        pairing.status.says = Paired("me")
        pairing.peer.send(StatusChanged())
    assert pairing.outcome == Connected("me")
    assert "connected, confirmed by check_status" in caplog.messages
    assert FoundByStatus not in map(type, records)


async def test_a_change_that_was_read_explains_no_later_success(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its answer was that there is nothing yet; what a later read finds, nobody had told."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    records: list[Record] = []
    policy = Policy(status_interval=10)
    async with Beside(Status(), policy=policy, recorders=[records.append]) as pairing:
        await anyio.sleep(1)
        pairing.peer.send(StatusChanged())
        await anyio.sleep(1)
        pairing.status.says = Paired("me")
    assert pairing.outcome == Connected("me")
    assert "connected, found by check_status" in caplog.messages
    assert FoundByStatus in map(type, records)


async def test_a_change_that_is_told_during_a_read_explains_what_the_next_one_finds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The read under way may have begun too early; the one that the change asked for had not."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    async with Beside(Status(latency=3)) as pairing:
        await anyio.sleep(10)
        pairing.peer.send(StatusChanged())
        await anyio.sleep(1)
        pairing.status.says = Paired("me")
        pairing.peer.send(StatusChanged())
    assert pairing.outcome == Connected("me")
    assert "connected, confirmed by check_status" in caplog.messages


async def test_a_read_that_is_made_again_of_itself_was_told_by_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its answer was of an older code; that it is asked for again is no word of the wire's."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    async with Beside(Status(Scanned(), latency=3)) as pairing:
        await anyio.sleep(1)
        pairing.peer.send(QRUpdated(QRCode("second")))
        pairing.status.says = Paired("me")
    assert pairing.outcome == Connected("me")
    assert len(pairing.status.asked) == 2
    assert "connected, found by check_status" in caplog.messages


# Believing only what is confirmed

CONFIRM = Policy(confirm_success=True)


async def test_with_confirm_a_success_on_the_wire_is_believed_if_the_status_agrees(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The wire says when to look; the status says what is, and the log what came of it."""
    caplog.set_level(logging.DEBUG, "qrlifecycle")
    async with Beside(Status(), policy=CONFIRM) as pairing:
        await anyio.sleep(5)
        pairing.status.says = Paired("me")
        pairing.peer.send(Paired("somebody on the wire"))
    assert pairing.outcome == Connected("me")
    assert anyio.current_time() == pairing.began + 5
    assert [line for line in caplog.messages if "check_status" in line] == [
        "pairing event received; check_status has to confirm it",
        "connected, confirmed by check_status",
    ]


async def test_with_confirm_a_forged_success_changes_nothing() -> None:
    """Anybody may say so; nobody is believed, and the service is not hammered with questions."""
    async with Beside(Status(), policy=CONFIRM) as pairing:
        for _ in range(1_000):
            pairing.peer.send(Paired("forged"))
            await anyio.sleep(0.01)
        assert pairing.lifecycle.state is State.DISPLAYED
        assert len(pairing.status.asked) <= 10 / 0.25 + 1
        pairing.status.says = Paired("me")
        pairing.peer.send(Paired("forged"))
    assert pairing.outcome == Connected("me")
    assert anyio.current_time() - pairing.began < 10 + 5.1


async def test_with_confirm_a_status_that_lags_behind_is_asked_again() -> None:
    """The event may be quicker than the status; a success that may be true stays asked for."""
    async with Beside(Status(), policy=CONFIRM) as pairing:
        await anyio.sleep(10)
        pairing.peer.send(Paired("me"))
        await anyio.sleep(1)
        pairing.status.says = Paired("me")
    assert pairing.outcome == Connected("me")
    assert anyio.current_time() - pairing.began < 14


async def test_with_confirm_a_success_that_was_none_is_forgotten() -> None:
    """What the status does not confirm in time is not asked for for ever."""
    async with Beside(Status(), policy=CONFIRM) as pairing:
        pairing.peer.send(Paired("forged"))
        await anyio.sleep(50)
        assert 3 <= len(pairing.status.asked) <= 8
        pairing.lifecycle.cancel()


async def test_with_confirm_a_success_during_the_final_check_is_looked_for_once_more() -> None:
    """A read that began before the success cannot deny it."""
    status = Status(latency=2)
    policy = Policy(confirm_success=True, expiry_grace=0, max_refreshes=0)
    async with Beside(status, policy=policy) as pairing:
        await anyio.sleep(61)
        status.says = Paired("me")
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


@pytest.mark.parametrize("policy", [CONFIRM, Policy(status_interval=5)])
def test_a_policy_that_needs_a_status_is_refused_without_one(policy: Policy) -> None:
    """What could never work is said when it is made."""
    with pytest.raises(WrongAnswer, match="needs a check_status"):
        QRLifecycle(request_qr, ScriptedPeer(), policy=policy)


# The one who is paired


async def accept(_identity: str | None) -> bool:
    """Would say yes, if anybody waited for it."""
    return True


@pytest.mark.parametrize(
    ("expected", "identity", "right"),
    [
        ("me", "me", True),
        ("me", "you", False),
        ("me", None, False),
        (lambda identity: identity.startswith("+49"), "+49170", True),
        (lambda identity: identity.startswith("+49"), "+33170", False),
        (lambda identity: identity.startswith("+49"), None, False),  # and so it raises
        (lambda identity: accept(identity), "you", False),  # noqa: PLW0108 - async in disguise
    ],
)
@pytest.mark.parametrize("way", ["wire", "status", "paired already"])
async def test_the_wrong_account_is_a_failure(
    expected: str | Callable[[str | None], bool], identity: str | None, right: bool, way: str
) -> None:
    """Whichever way the success comes, it must be of the account that is expected."""
    success = Paired(identity, {"token": "x"})

    async def paired() -> Paired:
        return success

    request: Any = paired if way == "paired already" else request_qr
    status = Status(success if way == "status" else None)
    async with Beside(status, request, expect_identity=expected) as pairing:
        pairing.peer.send(success)
    if right:
        already_paired = way == "paired already"
        assert pairing.outcome == Connected(identity, {"token": "x"}, already_paired)
    else:
        assert pairing.outcome == Failed(Reason.WRONG_IDENTITY, data={"token": "x"})


@pytest.mark.parametrize(
    ("wrong", "kind"), [(lambda _identity: "yes", "str"), (accept, "coroutine")]
)
def test_an_expectation_that_says_neither_yes_nor_no_is_told_of(
    wrong: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It counts as no, and in the log of the library the program's mistake has its name."""
    assert not Service(request_qr, ScriptedPeer(), expect_identity=wrong).expects("me")
    told = f"expect_identity gave back {kind}, not True or False"
    assert caplog.record_tuples == [("qrlifecycle", logging.ERROR, told)]


async def test_a_success_that_was_read_is_logged_like_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log of a success that nobody heard has its opening, its end, and how it was found."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    async with Beside(Status(Paired("me"))):
        pass
    assert [record.getMessage() for record in caplog.records] == [
        "connecting for QR display",
        "connected for QR display",
        "connected, found by check_status",
        "transport closed",
    ]


async def test_promise_8_nobody_reads_on_when_pair_has_returned() -> None:
    """The reader of the status ends with the stay; `pair()` need not wait for it."""
    status = Status()
    lifecycle = QRLifecycle(
        request_qr, ScriptedPeer(), policy=Policy(status_interval=10), check_status=status
    )
    with anyio.move_on_after(25) as patience:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lifecycle.pair)
            await settle()
            lifecycle.cancel()
    assert not patience.cancelled_caught
    asked = len(status.asked)
    await anyio.sleep(100)
    assert len(status.asked) == asked


def test_promise_8_a_reader_can_be_stopped_when_its_event_loop_is_gone() -> None:
    """Nothing runs on it any more, so nothing is raised: what is yet to be closed can be."""

    async def make() -> StatusReader:
        return StatusReader(Status(), Progress(Policy(), {}, ()))

    reader = asyncio.run(make())
    reader.stop()
    assert reader.scope.cancel_called
