"""A read of the status that is finished: what is answered once is lost to no deadline of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Cancelled,
    Connected,
    Failed,
    NoTransport,
    Outcome,
    Paired,
    PairingRefused,
    PeerError,
    Policy,
    QRCode,
    QRLifecycle,
    QRUpdated,
    Reason,
    ServiceRefused,
    Signal,
    State,
    StatusChanged,
    Transport,
)
from qrlifecycle.records import FoundByStatus, Record
from qrlifecycle.testing import Fault, ScriptedPeer, cancel_everywhere
from qrlifecycle.testing.contract.steps import pass_turns

from ..pairing import Pairing

FINISHED = Policy(
    status_interval=1,
    status_timeout=5,
    final_check_timeout=5,
    max_refreshes=0,
    expiry_grace=0,
    finish_reads=True,
)


class Service:
    """Makes a code each time; a read takes as long as the test says, and is answered once."""

    def __init__(
        self,
        *reads: tuple[float, Signal | Exception | None],
        transport: Callable[[], Transport] = NoTransport,
        **options: Any,
    ) -> None:
        self.codes = 0
        self.reads: list[float] = []
        """When each began."""
        self.ended: list[float] = []
        """When each was answered, or cut off."""
        self.under_way = self.most = 0
        self._reads = list(reads)
        options = {"policy": FINISHED, **options}
        self.request_takes = 0.0
        self.refuses = False
        self.lifecycle = QRLifecycle(
            self.request_qr, transport, check_status=self.check_status, **options
        )
        self.outcome: Outcome | None = None

    async def request_qr(self) -> QRCode | Paired:
        await anyio.sleep(self.request_takes)
        if self.refuses:
            raise ServiceRefused
        self.codes += 1
        return QRCode(f"code {self.codes}", expires_in=60)

    async def check_status(self) -> Signal | None:
        self.reads.append(anyio.current_time())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        seconds, signal = self._reads.pop(0) if self._reads else (0.0, None)
        try:
            await anyio.sleep(seconds)
        finally:
            self.under_way -= 1
            self.ended.append(anyio.current_time())
        if isinstance(signal, Exception):
            raise signal
        return signal

    async def pair(self) -> None:
        self.outcome = await self.lifecycle.pair()


pytestmark = pytest.mark.anyio

FOUND = Paired("me", {"token": "once"})

CONNECTED = Connected("me", {"token": "once"})


async def test_promise_4_no_deadline_of_a_read_cuts_it_off() -> None:
    """It takes longer than `status_timeout`, and what it found is there."""
    service = Service((40, FOUND))
    await service.pair()
    assert service.outcome == CONNECTED
    assert service.lifecycle.dropped == {}
    cut = Service((40, FOUND), policy=Policy(status_interval=1, max_refreshes=0))
    await cut.pair()
    assert cut.outcome == Failed(Reason.EXPIRED)


@pytest.mark.parametrize("seconds", [2.0, 7.0, 9.9])
async def test_promise_4_an_answer_on_its_way_is_waited_for_before_the_code_is_given_up(
    seconds: float,
) -> None:
    """The code has run out, and so has the time of the final status check: the read has not."""
    began = anyio.current_time()
    service = Service((60 + seconds, FOUND))
    await service.pair()
    assert service.outcome == CONNECTED
    assert anyio.current_time() - began == pytest.approx(60 + seconds)
    assert len(service.reads) == 1


async def test_promise_2_a_read_that_hangs_is_given_up_at_an_end() -> None:
    """It is waited for at most `status_timeout` longer than a final status check takes."""
    began = anyio.current_time()
    service = Service((1000, FOUND))
    await service.pair()
    assert service.outcome == Failed(Reason.EXPIRED)
    assert anyio.current_time() - began == pytest.approx(60 + 5 + 5)
    assert service.under_way == 0


async def test_promise_4_after_a_read_on_its_way_a_fresh_one_is_made() -> None:
    """What was asked before the code ran out may be older than a success."""
    service = Service((62, None), (0, FOUND))
    await service.pair()
    assert service.outcome == CONNECTED
    assert len(service.reads) == 2


async def test_a_check_that_is_over_time_ends_with_the_read_under_way() -> None:
    """No other is begun, whatever it answered."""
    for answer in (None, ValueError()):
        began = anyio.current_time()
        service = Service((67, answer), (0, FOUND))
        await service.pair()
        assert service.outcome == Failed(Reason.EXPIRED)
        assert anyio.current_time() - began == pytest.approx(67)


async def test_promise_4_a_success_on_the_wire_is_heard_while_a_read_is_finished() -> None:
    """Also in the time that the final status check takes longer."""
    peer = ScriptedPeer()
    service = Service((1000, None), transport=peer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.pair)
        await anyio.sleep(68)
        assert service.lifecycle.snapshot().final_check
        peer.send(Paired("heard"))
    assert service.outcome == Connected("heard")
    assert service.under_way == peer.open_sockets == 0


@pytest.mark.parametrize("breaks_at", [59.8, 62, 66])
async def test_nothing_is_reconnected_while_a_read_is_finished(breaks_at: float) -> None:
    """A code that ran out needs no transport, nor in the time that the check takes longer."""
    peer = ScriptedPeer()
    service = Service((1000, None), transport=peer)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.pair)
        await anyio.sleep(breaks_at)
        peer.break_connection()
    assert service.outcome == Failed(Reason.EXPIRED)
    assert len(peer.transports) == 1


@pytest.mark.parametrize("pushed_at", [62, 66], ids=["in the check", "in what it takes longer"])
async def test_a_newer_code_puts_the_end_off_while_a_read_is_finished(pushed_at: float) -> None:
    """The service has pushed one: the person has time again, and it ends like any other."""
    peer = ScriptedPeer()
    ends = pushed_at + 60
    service = Service((67, None), (ends - 66, None), (0, FOUND), transport=peer)
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.pair)
        await anyio.sleep(pushed_at)
        peer.send(QRUpdated(QRCode("newer", expires_in=60)))
        for second in (0.1, 5.1):
            await anyio.sleep(second)
            assert not service.lifecycle.snapshot().final_check
    assert service.outcome == CONNECTED
    assert len(service.reads) == 3
    assert service.reads[1] - began < ends < service.ended[1] - began < service.reads[2] - began


# Another code is asked for while a read is under way


async def generate_during(service: Service, *, at: float = 3.0) -> None:
    """Pair, and ask for another code while the first read is under way."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.pair)
        await anyio.sleep(at)
        assert service.under_way == 1
        service.lifecycle.generate()


@pytest.mark.parametrize(
    ("answered_at", "request_takes", "codes"),
    [(5.0, 4.0, 1), (9.0, 4.0, 2)],
    ids=["while it is asked for", "when it is shown"],
)
async def test_promise_4_a_success_of_the_code_before_counts(
    answered_at: float, request_takes: float, codes: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever the attempt has come to by then; a request under way is given up."""
    caplog.set_level(logging.INFO, "qrlifecycle")
    began = anyio.current_time()
    service = Service((answered_at, FOUND))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.pair)
        await anyio.sleep(3)
        service.request_takes = request_takes
        service.lifecycle.generate()
    assert service.outcome == CONNECTED
    assert anyio.current_time() - began == pytest.approx(answered_at)
    assert service.codes == codes
    assert "connected, found by check_status" in caplog.messages


async def test_promise_4_a_success_that_is_found_while_the_state_is_left_counts() -> None:
    """The transport takes its time to close; then no other code is asked for."""
    peer = ScriptedPeer(closings=[Fault.HUNG])
    service = Service((3.5, FOUND), transport=peer)
    await generate_during(service)
    assert service.outcome == CONNECTED
    assert service.codes == 1
    assert peer.open_sockets == 0


async def test_promise_4_a_success_that_is_left_over_is_recorded_as_found() -> None:
    """It was claimed by nobody."""
    told: list[Record] = []
    peer = ScriptedPeer(closings=[Fault.HUNG])
    service = Service((3.5, FOUND), transport=peer, recorders=[told.append])
    await generate_during(service)
    assert [record for record in told if isinstance(record, FoundByStatus)]


async def test_nothing_is_read_while_another_code_is_asked_for() -> None:
    """Only what was under way when its state was left."""
    service = Service()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.pair)
        await anyio.sleep(3.5)
        service.request_takes = 10
        service.lifecycle.generate()
        await anyio.sleep(0.1)
        before = len(service.reads)
        await anyio.sleep(9)
        assert service.lifecycle.state is State.GENERATING
        assert len(service.reads) == before
        service.lifecycle.cancel()


async def test_a_read_of_the_code_before_may_fail() -> None:
    """It is asked again, for the code that is shown."""
    service = Service((5, PeerError("away")), (0, FOUND))
    await generate_during(service)
    assert service.outcome == CONNECTED
    assert service.codes == 2


async def test_a_refusal_of_the_code_before_says_nothing_of_this_one() -> None:
    """Of what is found of an earlier code only a success counts."""
    service = Service((5, PairingRefused()), (0, None), (0, FOUND))
    await generate_during(service)
    assert service.outcome == CONNECTED
    assert service.codes == 2
    service = Service((5, PairingRefused()), (0, FOUND))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.pair)
        await anyio.sleep(3)
        service.request_takes = 4
        service.lifecycle.generate()
    assert service.outcome == CONNECTED
    assert service.codes == 2


async def test_promise_4_the_status_is_read_afresh_when_no_other_code_comes() -> None:
    """The read of the code before has ended meanwhile; who looks before the end is another."""
    service = Service((5, None), (0, FOUND))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.pair)
        await anyio.sleep(3)
        service.request_takes = 4
        service.refuses = True
        service.lifecycle.generate()
    assert service.outcome == CONNECTED
    assert service.codes == 1


@pytest.mark.parametrize("finished", [True, False])
async def test_a_success_in_the_instant_of_another_request(finished: bool) -> None:
    """It counts where it is told once; elsewhere the next read finds it."""
    service = Service()
    asked: list[int] = []

    async def check_status() -> Signal | None:
        asked.append(service.codes)
        if len(asked) == 1:
            service.lifecycle.generate()
        return FOUND

    service.lifecycle = QRLifecycle(
        service.request_qr,
        NoTransport,
        check_status=check_status,
        policy=replace(FINISHED, finish_reads=finished),
    )
    await service.pair()
    assert service.outcome == CONNECTED
    assert asked == ([1] if finished else [1, 2])


async def test_promise_4_no_read_begins_as_the_state_is_left_to_be_cut_off() -> None:
    """In whatever turn of the event loop: nothing is cut off that the service may have answered."""
    begun = ended = 0

    async def check_status() -> None:
        nonlocal begun, ended
        begun += 1
        await anyio.sleep(0.1)
        ended += 1

    for turns in range(6):
        async with Pairing(check_status=check_status, policy=FINISHED) as pairing:
            await anyio.sleep(0.8)  # the pause after the first read is over, however it was drawn
            pairing.peer.send(StatusChanged())
            await pass_turns(turns)
            pairing.lifecycle.generate()
            await anyio.sleep(0.5)
            assert begun == ended
            pairing.lifecycle.cancel()
    assert begun > 6


async def test_there_is_one_read_at_a_time_all_the_same() -> None:
    """The next code's first read waits for the last of the code before."""
    service = Service((20, None), (0, FOUND))
    await generate_during(service)
    assert (service.most, service.codes) == (1, 2)
    assert service.outcome == CONNECTED


async def test_a_late_success_may_be_the_wrong_account() -> None:
    """Nobody is let in who was not expected."""
    service = Service((5, FOUND), expect_identity="you")
    await generate_during(service)
    assert service.outcome == Failed(Reason.WRONG_IDENTITY, data=FOUND.data)


# Ends


async def test_promise_2_a_cancellation_waits_for_no_read() -> None:
    """Neither `cancel()` nor a cancellation of the task; and nothing reads on."""
    service = Service((1000, FOUND))
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.pair)
        await anyio.sleep(3)
        service.lifecycle.cancel()
    assert service.outcome == Cancelled()
    another = Service((1000, FOUND))
    with anyio.move_on_after(3):
        await another.pair()
    assert another.outcome is None
    assert anyio.current_time() - began == pytest.approx(6)
    assert service.under_way == another.under_way == 0


async def test_promise_8_an_end_cuts_off_what_is_being_finished() -> None:
    """Of two codes, too: the read of the first ends with the attempt."""
    service = Service((1000, FOUND))
    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(service.pair)
        await anyio.sleep(3)
        service.request_takes = 10
        service.lifecycle.generate()
        await anyio.sleep(3)
        assert (service.under_way, service.lifecycle.state) == (1, State.GENERATING)
        service.lifecycle.cancel()
    assert anyio.current_time() - began == pytest.approx(6)
    assert service.outcome == Cancelled()
    assert service.under_way == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_promise_5_a_cancellation_at_any_step_leaves_nothing(backend: str) -> None:
    """While a read is finished beside a request for another code, too."""
    sweep(backend, "scope")


def test_promise_5_a_native_cancellation_at_any_step_leaves_nothing() -> None:
    """The same for asyncio's own."""
    sweep("asyncio", "native")


def sweep(backend: str, how: Any) -> None:
    """Cancel an attempt at each of its steps, with a read that is finished over two states."""

    async def attempt() -> None:
        policy = Policy(status_interval=0.001, status_retry_delay=0.001, finish_reads=True)
        service = Service((0.002, None), (0.004, FOUND), policy=policy)
        service.request_takes = 0.001
        read = service.check_status

        async def read_and_ask_for_another() -> Signal | None:
            if not service.reads:
                await anyio.sleep(0.001)
                service.lifecycle.generate()
            return await read()

        service.lifecycle = QRLifecycle(
            service.request_qr, NoTransport, check_status=read_and_ask_for_another, policy=policy
        )
        try:
            await service.pair()
        finally:
            assert service.lifecycle.state in {State.IDLE, State.CONNECTED}
            assert service.under_way == 0
        assert service.codes == 2

    report = cancel_everywhere(attempt, backend=backend, how=how)
    assert report.steps > 5


async def test_nothing_is_different_where_reads_are_not_finished() -> None:
    """The default: a read under way is cut off by whatever comes."""
    service = Service((5, FOUND), policy=Policy(status_interval=1, max_refreshes=0))
    await generate_during(service)
    assert service.outcome == Failed(Reason.EXPIRED)
    assert service.codes == 2
