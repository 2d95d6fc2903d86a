"""The lease of an attempt: had before the first code, held through refreshes, given back last."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    Cancelled,
    Connected,
    Failed,
    InvalidValue,
    Outcome,
    Paired,
    Policy,
    QRCode,
    QRExpired,
    QRLifecycle,
    Reason,
    ServiceUnavailable,
    State,
    WrongAnswer,
)
from qrlifecycle.errors import LeaseLost, LeaseTakenOver, WrongThread
from qrlifecycle.leases import Lease, LocalLeases, Lost
from qrlifecycle.monitoring import Audit
from qrlifecycle.records import Acquiring, Leased, LeaseEnd, LeaseGone, Record
from qrlifecycle.states import Event, Phase
from qrlifecycle.testing import Fault, ScriptedPeer, settle
from qrlifecycle.testing.contract.steps import pass_turns

from ..pairing import Pairing, hang, request_qr

pytestmark = pytest.mark.anyio

KEY = ("bot-7", "user-123")


class Kept(Lease):
    """A lease that a test grants, and takes away."""

    def __init__(self) -> None:
        self.granted = anyio.Event()
        self.granted.set()
        self.calls: list[str] = []
        self.lost: Lost | None = None
        self.close_within = 0.0

    @property
    def token(self) -> int | None:
        return 7

    async def acquire(self, lost: Lost, close_within: float) -> None:
        self.calls.append("acquire")
        self.close_within = close_within
        await self.granted.wait()
        self.lost = lost

    def release(self) -> None:
        self.calls.append("release")

    def lose(self, error: Exception | None = None) -> None:
        """Take it away."""
        assert self.lost is not None
        self.lost(error or LeaseLost("the keeper is away"))


async def test_promise_9_1_of_two_attempts_one_has_a_transport() -> None:
    """The second takes over: its transport is made when the first one's is gone."""
    leases = LocalLeases()
    alerts: list[object] = []
    audit = Audit(on_alert=alerts.append)

    def lease() -> Lease:
        return leases.lease(*KEY)

    async with Pairing(lease=lease, recorders=[audit], closings=(Fault.HUNG,)) as first:
        assert first.lifecycle.socket_open
        async with Pairing(lease=lease, recorders=[audit]) as second:
            assert second.lifecycle.state is State.GENERATING
            assert second.lifecycle.snapshot().phase is Phase.ACQUIRING
            assert first.lifecycle.socket_open  # it is being closed, and takes its time
            await anyio.sleep(1.1)
            assert first.lifecycle.state is State.FAILED
            assert second.lifecycle.socket_open
            second.lifecycle.cancel()
    assert first.failed().reason is Reason.SUPERSEDED
    assert isinstance(second.outcome, Cancelled)
    assert await leases.find_holder(*KEY) is None
    assert alerts == []


async def test_who_rejects_ends_with_a_conflict(caplog: pytest.LogCaptureFixture) -> None:
    """With when_held="reject" the second ends at once, and the first goes on; no lease failed."""
    leases = LocalLeases()
    async with Pairing(lease=lambda: leases.lease(*KEY)) as first:
        async with Pairing(lease=lambda: leases.lease(*KEY, when_held="reject")) as second:
            pass
        assert second.failed().reason is Reason.CONFLICT
        assert second.peer.transports == []
        assert "the lease failed" not in caplog.text
        assert first.lifecycle.socket_open
        first.lifecycle.cancel()


async def test_promise_9_a_lease_is_held_through_refreshes_and_given_back_last() -> None:
    """It is acquired once, and released when the last transport is gone."""
    kept = Kept()
    open_at_release: list[int] = []
    policy = Policy(max_refreshes=1)
    async with Pairing(lease=lambda: kept, policy=policy) as pairing:
        release = kept.release

        def note() -> None:
            open_at_release.append(pairing.peer.open_sockets)
            release()

        kept.release = note  # type: ignore[method-assign]
        pairing.peer.send(QRExpired())
        await anyio.sleep(5)
        assert len(pairing.peer.transports) == 2
        assert kept.calls == ["acquire"]
        pairing.lifecycle.cancel()
    assert kept.calls == ["acquire", "release"]
    assert open_at_release == [0]
    assert kept.close_within == policy.close_timeout


async def test_promise_9_a_loss_replaces_another_code_that_was_about_to_be_asked_for() -> None:
    """Lost while the transport of a code that ran out is closed: nothing is asked for any more."""
    kept, asked = Kept(), []

    async def request() -> QRCode:
        asked.append(1)
        return QRCode("first", expires_in=1)

    policy = Policy(expiry_grace=0.5)
    async with Pairing(
        request, lease=lambda: kept, policy=policy, closings=(Fault.HUNG,)
    ) as pairing:
        await anyio.sleep(2)  # its lifetime and the grace are over, and the close hangs
        assert pairing.lifecycle.snapshot().pending is Event.EXPIRED
        kept.lose()
        assert pairing.lifecycle.snapshot().pending is Event.FAIL
    assert pairing.failed().reason is Reason.LEASE_LOST
    assert len(asked) == len(pairing.peer.transports) == 1


async def test_promise_9_a_loss_decides_at_once_without_a_final_status_check() -> None:
    """Nobody reads the status first: whoever has the lease next does not wait for that."""
    kept = Kept()
    reads: list[int] = []

    async def check_status() -> None:
        reads.append(1)
        await anyio.sleep_forever()

    async with Pairing(lease=lambda: kept, check_status=check_status) as pairing:
        before = len(reads)
        now = anyio.current_time()
        kept.lose()
        await settle()
        assert pairing.lifecycle.state is State.FAILED
        assert anyio.current_time() == now
    assert len(reads) == before


async def test_a_loss_while_the_service_is_asked_ends_that() -> None:
    """In `generating`, too, it is decided at once."""
    kept = Kept()
    async with Pairing(hang, lease=lambda: kept) as pairing:
        assert pairing.lifecycle.snapshot().phase is Phase.REQUESTING
        kept.lose()
    assert pairing.failed().reason is Reason.LEASE_LOST


@pytest.mark.parametrize("returns", [True, False], ids=["as it is had", "before"])
async def test_promise_9_nothing_is_asked_for_without_a_lease(*, returns: bool) -> None:
    """Lost in the moment in which it is had, or never had: the service hears of nothing."""
    asked, told = list[int](), list[Record]()

    async def request() -> QRCode:
        asked.append(1)
        return QRCode("first", expires_in=60)

    class Short(Kept):
        async def acquire(self, lost: Lost, close_within: float) -> None:
            if not returns:
                raise LeaseLost("the keeper is away")
            lost(LeaseLost("the keeper is away"))

    async with Pairing(request, lease=Short, recorders=[told.append]) as pairing:
        pass
    assert pairing.failed().reason is Reason.LEASE_LOST
    assert asked == []
    assert not [record for record in told if isinstance(record, Leased)]


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_promise_9_a_loss_as_a_pause_ends_is_before_the_next_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a real clock as well: the service was busy, and by the end of the pause all is lost."""
    monkeypatch.setattr("qrlifecycle.engine.backoff.uniform", lambda _least, most: most)
    kept, pause = Kept(), 0.01
    lost, asked_when_lost, outcomes = list[bool](), list[bool](), list[Outcome]()

    async def lose() -> None:
        await anyio.sleep(pause)
        lost.append(True)
        kept.lose()

    async def hold_up_the_loop() -> None:
        await pass_turns(3)
        time.sleep(2 * pause)  # noqa: ASYNC251 - so that both have slept enough in one turn

    async def request() -> QRCode:
        asked_when_lost.append(bool(lost))
        if len(asked_when_lost) == 1:
            tasks.start_soon(lose)
            await pass_turns(2)
            tasks.start_soon(hold_up_the_loop)
            raise ServiceUnavailable("not now")
        await anyio.sleep_forever()
        raise AssertionError

    policy = Policy(generate_retry_delay=pause)
    for _ in range(5):  # trio draws the order of those that have slept enough
        lost.clear()
        asked_when_lost.clear()
        lifecycle = QRLifecycle(request, ScriptedPeer(), lease=lambda: kept, policy=policy)
        async with anyio.create_task_group() as tasks:
            outcomes.append(await lifecycle.pair())
        outcome = outcomes.pop()
        assert isinstance(outcome, Failed)
        assert outcome.reason is Reason.LEASE_LOST
        assert True not in asked_when_lost


async def test_a_loss_after_the_end_is_nobodys() -> None:
    """Neither while the success is told, nor when all is over and the next may begin."""
    kept, heard, told = Kept(), list[str](), list[Record]()

    def lose(_told: object) -> None:
        kept.lose()
        heard.append("without an error")  # which would be taken for the hook's

    async with Pairing(lease=lambda: kept, on_connected=lose, recorders=[told.append]) as pairing:
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")
    assert heard == ["without an error"]
    assert [record.by for record in told if isinstance(record, LeaseGone)] == [LeaseEnd.RELEASED]
    async with Pairing(lease=lambda: kept) as pairing:
        pairing.lifecycle.cancel()
    kept.lose()
    assert pairing.lifecycle.snapshot().pending is None
    assert pairing.lifecycle.state is State.IDLE


async def test_a_loss_of_what_was_given_back_does_not_concern_the_next_attempt() -> None:
    """Each attempt has a lease of its own: one that is told of too late ends nothing."""
    first, second = Kept(), Kept()
    leases = iter([first, second])
    async with Pairing(lease=lambda: next(leases)) as pairing:
        pairing.lifecycle.cancel()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pairing.lifecycle.pair)
        await settle()
        assert pairing.lifecycle.snapshot().leased is True
        first.lose()
        assert pairing.lifecycle.snapshot().pending is None
        second.lose()
        assert pairing.lifecycle.snapshot().pending is Event.FAIL


async def test_the_log_of_a_loss_says_whose_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever tells of it; and an ordinary loss is no fault of the lease's."""
    kept = Kept()
    async with Pairing(lease=lambda: kept) as pairing:
        kept.lose()
    assert pairing.failed().reason is Reason.LEASE_LOST
    assert "the lease failed" not in caplog.text
    async with Pairing(lease=lambda: kept):
        kept.lose(OSError("no route"))
    (line,) = (record for record in caplog.records if "the lease failed" in record.message)
    assert getattr(line, "lifecycle", None)


async def test_a_loss_after_a_success_was_decided_changes_nothing() -> None:
    """An end that is decided stays."""
    kept = Kept()
    async with Pairing(lease=lambda: kept, closings=(Fault.HUNG,)) as pairing:
        pairing.lifecycle.cancel()
        kept.lose()
    assert isinstance(pairing.outcome, Cancelled)


async def test_a_lease_that_never_comes_ends_by_a_deadline_of_its_own() -> None:
    """After `lease_timeout`; nobody was asked for a code."""
    kept = Kept()
    kept.granted = anyio.Event()
    policy = Policy(lease_timeout=5, generate_timeout=1)
    async with Pairing(hang, lease=lambda: kept, policy=policy) as pairing:
        await anyio.sleep(4)
        assert pairing.lifecycle.snapshot().phase is Phase.ACQUIRING
    assert pairing.failed().reason is Reason.LEASE_LOST
    assert kept.calls == ["acquire", "release"]


@pytest.mark.parametrize("broken", [False, True])
async def test_the_error_of_a_lease_that_never_comes_says_what_was_waited_for(
    broken: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As the lease has it; one that fails to say so is a mistake, and changes nothing."""

    class Telling(Kept):
        at_most = 0.0

        @property
        def awaits(self) -> str:
            if broken:
                raise KeyError(f"hush, {self.at_most}")
            return "machine 'pod-3' holds it"

        def expect(self, at_most: float) -> None:
            self.at_most = at_most

    kept = Telling()
    kept.granted = anyio.Event()
    async with Pairing(hang, lease=lambda: kept, policy=Policy(lease_timeout=5)) as pairing:
        pass
    advice = "is its keeper there, and who holds it?" if broken else "machine 'pod-3' holds it"
    assert str(pairing.failed().error).endswith(f"within policy.lease_timeout (5 s); {advice}")
    assert ("awaits of the lease raised KeyError" in caplog.text) is broken
    assert "hush, 5" not in caplog.text
    assert kept.at_most == 5


async def test_the_error_of_another_deadline_says_nothing_of_the_lease() -> None:
    """It is held, and what was waited for before that is over."""

    class Telling(Kept):
        @property
        def awaits(self) -> str:
            return "machine 'pod-3' held it"

    async with Pairing(hang, lease=Telling, policy=Policy(generate_timeout=5)) as pairing:
        pass
    assert "pod-3" not in str(pairing.failed().error)


async def test_the_service_has_its_own_time_once_the_lease_is_held() -> None:
    """`generate_timeout` begins when the lease is had."""
    kept = Kept()
    kept.granted = anyio.Event()
    policy = Policy(lease_timeout=10, generate_timeout=2)
    async with Pairing(hang, lease=lambda: kept, policy=policy) as pairing:
        await anyio.sleep(5)
        kept.granted.set()
        await anyio.sleep(1.5)
        assert pairing.lifecycle.snapshot().phase is Phase.REQUESTING
    assert pairing.failed().reason is Reason.GENERATING_TIMED_OUT


async def test_a_cancel_while_the_lease_is_waited_for_is_heeded() -> None:
    """And the lease is released, though it was never had."""
    kept = Kept()
    kept.granted = anyio.Event()
    async with Pairing(lease=lambda: kept) as pairing:
        pairing.lifecycle.cancel()
    assert isinstance(pairing.outcome, Cancelled)
    assert kept.calls == ["acquire", "release"]


@pytest.mark.parametrize(
    "made",
    [lambda: None, lambda: 7, anyio.lowlevel.checkpoint],
    ids=["None", "7", "a coroutine"],
)
async def test_a_factory_that_makes_no_lease_is_refused(made: Any) -> None:
    """It is a mistake of the program's: it comes out of pair()."""
    lifecycle = Pairing(lease=made).lifecycle
    with pytest.raises(WrongAnswer, match="lease must be a plain function that makes a Lease"):
        await lifecycle.pair()
    assert lifecycle.state is State.FAILED


async def test_a_lease_that_is_used_wrongly_says_so() -> None:
    """What the leases do not allow comes out of pair() as it is, and it is released."""

    class Refusing(Kept):
        async def acquire(self, lost: Lost, close_within: float) -> None:
            raise InvalidValue("close_timeout is too long")

    refusing = Refusing()
    with pytest.raises(InvalidValue, match="close_timeout is too long"):
        await Pairing(lease=lambda: refusing).lifecycle.pair()
    assert refusing.calls == ["release"]


async def test_a_lease_that_fails_in_its_own_way_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever else a lease, or its factory, raises is a failure, told once in the log."""

    class Broken(Kept):
        async def acquire(self, lost: Lost, close_within: float) -> None:
            raise OSError("no route")

        def release(self) -> None:
            raise OSError("no route")

    def none_to_be_had() -> Lease:
        raise OSError("no route")

    for factory in (Broken, none_to_be_had):
        async with Pairing(lease=factory) as pairing:
            pass
        assert pairing.failed().reason is Reason.LEASE_LOST
        assert pairing.lifecycle.state is State.FAILED
    assert "the lease failed with OSError" in caplog.text
    assert "release() of the lease raised OSError" in caplog.text


def test_a_lease_that_is_no_function_is_refused() -> None:
    """A lease in place of what makes one."""
    with pytest.raises(WrongAnswer, match="lease must be a function that is called later"):
        Pairing(lease=Kept())


async def test_records_tell_of_the_lease() -> None:
    """How long it was waited for, its token, and how it came to be held no more."""
    kept, told = Kept(), list[Record]()
    kept.granted = anyio.Event()
    await anyio.sleep(1)  # the clock's beginning is nobody's
    async with Pairing(lease=lambda: kept, recorders=[told.append]) as pairing:
        await anyio.sleep(2)
        kept.granted.set()
        await settle()
        pairing.lifecycle.cancel()
    assert sum(isinstance(record, Acquiring) for record in told) == 1
    (leased,) = (record for record in told if isinstance(record, Leased))
    assert (leased.waited, leased.token) == (pytest.approx(2), 7)
    (gone,) = (record for record in told if isinstance(record, LeaseGone))
    assert gone.by is LeaseEnd.RELEASED
    told.clear()
    async with Pairing(lease=Kept, recorders=[told.append]) as other:
        assert other.lifecycle._attempt is not None
        taken: Any = other.lifecycle._attempt._lease
        taken._lease.lose()
    assert [record.by for record in told if isinstance(record, LeaseGone)] == [LeaseEnd.LOST]
    told.clear()
    kept = Kept()
    async with Pairing(lease=lambda: kept, recorders=[told.append]):
        kept.lose(LeaseTakenOver("another machine has it"))
    assert [record.by for record in told if isinstance(record, LeaseGone)] == [LeaseEnd.TAKEN_OVER]


async def test_a_snapshot_says_whether_it_is_held() -> None:
    """Not yet while it is waited for; and no longer once it is lost."""
    kept = Kept()
    kept.granted = anyio.Event()
    async with Pairing(lease=lambda: kept, closings=(Fault.HUNG,)) as pairing:
        assert pairing.lifecycle.snapshot().leased is False
        kept.granted.set()
        await settle()
        assert pairing.lifecycle.snapshot().leased is True
        kept.lose()
        assert pairing.lifecycle.snapshot().leased is False


async def test_without_a_lease_nothing_is_told_of_one() -> None:
    """The snapshot says that there is none."""
    async with Pairing(request_qr) as pairing:
        assert pairing.lifecycle.snapshot().leased is None
        pairing.lifecycle.cancel()


@pytest.mark.parametrize("closing", [Fault.HUNG, Fault.SLOW])
async def test_a_loss_that_is_told_in_another_thread_changes_no_end_that_is_decided(
    closing: Fault,
) -> None:
    """The success came first; the socket is being closed."""
    lease, raised = Kept(), list[str]()

    def tell() -> None:
        try:
            lease.lose()
        except WrongThread as error:
            raised.append(str(error))

    async with Pairing(lease=lambda: lease, closings=(closing,)) as pairing:
        pairing.peer.send(Paired("me"))
        await settle()
        assert pairing.lifecycle.snapshot().ending
        teller = threading.Thread(target=tell)
        teller.start()
        teller.join()
    assert pairing.outcome == Connected("me")
    assert len(raised) == 1
