"""Progress by itself: what is decided, what gives way, which deadline runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import permutations
from typing import Any

import anyio
import pytest

from qrlifecycle import (
    ActionRequired,
    Cancelled,
    Connected,
    Event,
    EventRefused,
    Failed,
    Paired,
    PairingCode,
    Policy,
    QRCode,
    QRExpired,
    QRLifecycle,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    State,
    WrongAnswer,
)
from qrlifecycle.engine.attempt import Attempt
from qrlifecycle.engine.progress import CANCELLED, Progress, Transition
from qrlifecycle.states import (
    DEADLINE_OF,
    ENDS,
    NEXT_PHASE,
    OUTCOMES,
    REGIONS,
    TABLE,
    Deadline,
    Phase,
    Region,
    single_rows,
)
from qrlifecycle.testing import Fault, ScriptedPeer, ScriptedTransport, settle

from ..pairing import Pairing, request_qr

pytestmark = pytest.mark.anyio

GENERATE = Transition(Event.GENERATE)
READY = Transition(Event.QR_READY, QRCode("one"))
EXPIRED = Transition(Event.EXPIRED)
FAILED = Transition(Event.FAIL, Failed(Reason.CONFLICT))
PAIRED = Transition(Event.PAIRED, Connected("me"))


def in_state(state: State, policy: Policy | None = None) -> Progress:
    """Progress of an attempt that came to this state."""
    progress = Progress(policy or Policy(), {}, ())
    progress.begin_attempt()
    if state is State.DISPLAYED:
        progress.commit(READY)
    return progress


# What is decided


def pending_and_later() -> Iterator[tuple[State, Transition, Transition]]:
    """Each transition that can be pending in a state, with each that may come after it."""
    carried: Mapping[Event, Transition] = {
        step.event: step for step in (GENERATE, READY, EXPIRED, FAILED, PAIRED, CANCELLED)
    }
    for state in (state for state in State if state not in ENDS):
        out = [row for source, row in single_rows() if source is state and row.target is not None]
        for first in out:
            for later in out:
                yield state, carried[first.event], carried[later.event]


@pytest.mark.parametrize(("state", "first", "later"), list(pending_and_later()), ids=str)
async def test_the_first_row_out_decides_and_only_what_its_data_names_replaces_it(
    state: State, first: Transition, later: Transition
) -> None:
    """A cancellation and an error replace what leads to no end; whatever else comes is refused."""
    progress = in_state(state)
    progress.dispatch(first)
    assert progress.pending is first
    replaces = later.event in {Event.CANCEL, Event.FAIL} and first.event not in OUTCOMES
    if replaces:
        progress.dispatch(later)
        assert progress.pending is later
    else:
        with pytest.raises(EventRefused):
            progress.dispatch(later)
        assert progress.pending is first


@pytest.mark.parametrize(("state", "first", "later"), list(pending_and_later()), ids=str)
async def test_an_owner_that_cannot_go_on_asks_nobody_and_keeps_an_end(
    state: State, first: Transition, later: Transition
) -> None:
    """`decide()` replaces what `dispatch()` would, and says nothing where it does not."""
    progress = in_state(state)
    progress.dispatch(first)
    progress.decide(later)
    replaces = later.event in {Event.CANCEL, Event.FAIL} and first.event not in OUTCOMES
    assert progress.pending is (later if replaces else first)


async def test_only_whoever_is_not_the_owner_wakes_it() -> None:
    """To decide cancels no scope; `wake()` does, once there is anything to do."""
    progress = in_state(State.DISPLAYED)
    with progress.until_deadline() as scope:
        progress.wake()
        assert not scope.cancel_called
        progress.dispatch(FAILED)
        assert not scope.cancel_called
        progress.wake()
    assert scope.cancel_called


async def test_a_state_that_is_being_left_takes_nothing_in() -> None:
    """What would only be noted is refused as well."""
    async with Pairing(closings=(Fault.SLOW,)) as pairing:
        progress = pairing.lifecycle._progress
        pairing.lifecycle.cancel()
        for step in (
            Transition(Event.SCANNED, Scanned()),
            Transition(Event.QR_UPDATED, QRCode("late")),
        ):
            with pytest.raises(EventRefused):
                progress.dispatch(step)
        assert pairing.lifecycle.qr == QRCode("first")


async def test_nothing_of_a_state_is_kept_when_it_is_left() -> None:
    """Neither a code nor an action can be asked for, and nothing is pending."""
    progress = in_state(State.DISPLAYED)
    progress.dispatch(Transition(Event.ACTION_REQUIRED, ActionRequired("passkey")))
    progress.dispatch(FAILED)
    progress.commit(FAILED)
    assert (progress.code, progress.action, progress.pending) == (None, None, None)
    assert (progress.phase, progress.verdict) == (None, None)


# Nothing is treated as something else by default


def test_each_state_and_event_has_its_own_entry() -> None:
    """A new state, or a new internal row, meets a list, and never an `else`."""
    assert set(Progress._ENTER) == set(State)
    assert set(Attempt._ACTIVITIES) == set(State) - set(ENDS)
    assert set(Progress._TAKE) == {row.event for row in TABLE if row.internal}
    assert set(REGIONS) == set(State)


def test_each_phase_belongs_to_one_region_and_is_led_to() -> None:
    """Nothing is listed twice, and no phase is there that nothing enters."""
    listed = [phase for regions in REGIONS.values() for row in regions.values() for phase in row]
    assert sorted(listed) == sorted(Phase)
    first = {row[0] for regions in REGIONS.values() for row in regions.values()}
    assert first | set(NEXT_PHASE.values()) == set(Phase)


def test_each_deadline_but_the_attempts_runs_in_a_phase() -> None:
    """And each phase of what a person owes has one, so that nobody is waited for without end."""
    assert set(DEADLINE_OF.values()) == set(Deadline) - {Deadline.ATTEMPT}
    owed = REGIONS[State.DISPLAYED][Region.PERSON]
    asked = REGIONS[State.GENERATING][Region.REQUEST]
    assert set(owed) | set(asked) == set(DEADLINE_OF)


# Deadlines


async def test_the_attempts_deadline_counts_from_now_and_others_from_then() -> None:
    """A deadline that runs out in the very instant has run out."""
    now = anyio.current_time()
    progress = in_state(State.DISPLAYED, Policy(qr_lifetime=5, expiry_grace=0))
    assert progress.expired_deadline(now + 5) is Deadline.CODE
    assert progress.expired_deadline(now + 4) is None
    progress.attempt_ends = now
    assert progress.expired_deadline(now - 1) is Deadline.ATTEMPT


async def test_the_earlier_deadline_is_the_scopes() -> None:
    """And moves with whatever moves it."""
    progress = in_state(State.DISPLAYED, Policy(qr_lifetime=5, expiry_grace=0, attempt_timeout=9))
    now = anyio.current_time()
    assert progress.until_deadline().deadline == now + 5
    progress.dispatch(Transition(Event.SCANNED, Scanned()))
    assert progress.scope is not None
    assert progress.scope.deadline == now + 9
    progress.dispatch(Transition(Event.QR_UPDATED, QRCode("newer", expires_in=3)))
    assert progress.scope.deadline == now + 3


async def test_a_final_check_ends_when_there_is_more_time_and_not_before() -> None:
    """A deadline that has run out and stays so ends no check."""
    progress = in_state(State.DISPLAYED, Policy(qr_lifetime=5, expiry_grace=0))
    now = anyio.current_time()
    with progress.for_final_check(3) as scope:
        assert scope.deadline == now + 3
        progress.expire_code()
        assert not scope.cancel_called
        progress.dispatch(Transition(Event.QR_UPDATED, QRCode("newer")))
    assert scope.cancel_called


async def test_promise_2_a_deadline_that_comes_nearer_is_kept() -> None:
    """A code that the service says ran out is off the screen after its grace, not its lifetime."""
    began = anyio.current_time()
    async with Pairing(policy=Policy(max_refreshes=0, expiry_grace=2)) as pairing:
        await anyio.sleep(1)
        pairing.peer.send(QRExpired())
    assert pairing.failed().reason is Reason.EXPIRED
    assert anyio.current_time() - began == pytest.approx(3)


async def test_what_the_person_owes_has_the_only_deadline_beside_the_attempts() -> None:
    """A code, an approval, an action: each ends the deadline of the one before."""
    policy = Policy(qr_lifetime=1, expiry_grace=0, approval_timeout=2, action_timeout=3)
    steps: dict[tuple[Deadline, float], Callable[[], Transition]] = {
        (Deadline.CODE, 4): lambda: Transition(Event.QR_UPDATED, QRCode("newer", expires_in=4)),
        (Deadline.APPROVAL, 2): lambda: Transition(Event.SCANNED, Scanned()),
        (Deadline.ACTION, 3): lambda: Transition(Event.ACTION_REQUIRED, ActionRequired("passkey")),
    }
    for before, (deadline, seconds) in permutations(steps, 2):
        progress = in_state(State.DISPLAYED, policy)
        progress.dispatch(steps[before]())
        progress.dispatch(steps[deadline, seconds]())
        assert progress.phase is not None
        assert DEADLINE_OF[progress.phase] is deadline
        assert progress.phase_ends == anyio.current_time() + seconds


async def test_to_be_scanned_again_gives_no_more_time() -> None:
    """A peer that repeats itself puts nothing off; an action that is asked for again does."""
    progress = in_state(State.DISPLAYED)
    for step, later in (
        (Transition(Event.SCANNED, Scanned()), False),
        (Transition(Event.ACTION_REQUIRED, ActionRequired("passkey")), True),
    ):
        progress.dispatch(step)
        ends = progress.phase_ends
        await anyio.sleep(1)
        progress.dispatch(step)
        assert (progress.phase_ends > ends) is later


async def test_a_code_that_the_service_says_expired_has_its_grace_left_and_no_more() -> None:
    """Once the phone has it, that matters no more."""
    progress = in_state(State.DISPLAYED, Policy(qr_lifetime=60, expiry_grace=3))
    progress.expire_code()
    assert progress.phase_ends == anyio.current_time() + 3
    await anyio.sleep(1)
    progress.expire_code()
    assert progress.phase_ends == anyio.current_time() + 2
    progress.dispatch(Transition(Event.SCANNED, Scanned()))
    ends = progress.phase_ends
    progress.expire_code()
    assert progress.phase_ends == ends


# A code that nobody can see


async def test_the_first_code_that_cannot_be_shown_decides_and_a_rotation_does_not() -> None:
    """The second in a row does, and so does an action; one that is shown begins anew."""
    broken = OSError("no screen")
    progress = in_state(State.DISPLAYED)
    progress.note_showing("on_qr_updated", broken)
    assert progress.verdict == Transition(Event.FAIL, Failed(Reason.SHOWING_FAILED, broken))

    progress = in_state(State.DISPLAYED)
    for error, decided in ((None, False), (broken, False), (None, False), (broken, False)):
        progress.note_showing("on_qr_updated", error)
        assert (progress.verdict is not None) is decided
    progress.note_showing("on_pairing_code", broken)
    assert progress.verdict is not None

    progress = in_state(State.DISPLAYED)
    progress.note_showing("on_qr_updated", None)
    progress.note_showing("on_action_required", broken)
    assert progress.verdict is not None


async def test_an_action_that_is_shown_leaves_the_code_on_screen() -> None:
    """So the next rotation may fail, as it may without an action; an action shows no code."""
    broken = OSError("no screen")
    progress = in_state(State.DISPLAYED)
    for hook in ("on_qr_updated", "on_action_required"):
        progress.note_showing(hook, None)
    progress.note_showing("on_qr_updated", broken)
    assert progress.verdict is None

    progress = in_state(State.DISPLAYED)
    progress.note_showing("on_action_required", None)
    progress.note_showing("on_qr_updated", broken)
    assert progress.verdict is not None


async def test_an_async_hook_that_cannot_show_the_code_ends_the_attempt_at_once() -> None:
    """Nobody waits for a code to be scanned that nobody sees."""
    began = anyio.current_time()

    async def draw(_qr: QRCode) -> None:
        await anyio.sleep(1)
        raise OSError("no screen")

    async with Pairing(on_qr_updated=draw) as pairing:
        pass
    assert pairing.failed().reason is Reason.SHOWING_FAILED
    assert anyio.current_time() - began == pytest.approx(1)


async def test_promise_4_a_rotation_that_cannot_be_shown_loses_no_success() -> None:
    """The code before it is still on screen, and may be scanned."""
    drawn: list[QRCode] = []

    def draw(qr: QRCode) -> None:
        if drawn:
            raise OSError("no screen")
        drawn.append(qr)

    async with Pairing(on_qr_updated=draw) as pairing:
        pairing.peer.send(QRUpdated(QRCode("second")))
        await settle()
        pairing.peer.send(Paired("me"))
    assert pairing.outcome == Connected("me")


# What a lifecycle shows of it


@pytest.mark.parametrize(
    ("hook", "signals"),
    [
        ("on_qr_updated", [QRUpdated(QRCode("second"))]),
        ("on_pairing_code", [QRUpdated(PairingCode("1")), QRUpdated(PairingCode("2"))]),
        ("on_action_required", [ActionRequired("one"), ActionRequired("two")]),
    ],
)
async def test_promise_6_what_a_slow_hook_was_not_told_is_past_when_the_state_is_left(
    hook: str, signals: list[Signal]
) -> None:
    """Nobody is shown a code, or asked for something, after the end."""
    told: list[object] = []
    go = anyio.Event()

    async def slow(item: object) -> None:
        told.append(item)
        await go.wait()

    options: dict[str, Any] = {hook: slow}
    async with Pairing(**options) as pairing:
        for signal in signals:
            pairing.peer.send(signal)
            await settle()
        pairing.lifecycle.cancel()
        await settle()
        go.set()
    assert len(told) == 1


async def test_where_nothing_is_displayed_there_is_no_code() -> None:
    """Before the first `pair()` and after its end nothing is there to show or to do."""
    lifecycle = QRLifecycle(request_qr, ScriptedPeer())
    assert (lifecycle.qr, lifecycle.pairing_code, lifecycle.action) == (None, None, None)
    with anyio.move_on_after(1):
        await lifecycle.pair()
    assert (lifecycle.qr, lifecycle.pairing_code, lifecycle.action) == (None, None, None)


async def test_an_error_of_usage_that_comes_of_being_stopped_leaves_the_end_as_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The end that was decided on stands; the error is logged, for the program must mend it."""

    class Misused(ScriptedTransport):
        async def receive(self) -> Signal:
            try:
                return await super().receive()
            finally:
                raise WrongAnswer("used in a way that cannot be")

    peer = ScriptedPeer()
    lifecycle = QRLifecycle(request_qr, lambda: Misused(peer, Fault.NONE, Fault.NONE))
    outcomes: list[object] = []

    async def pair() -> None:
        outcomes.append(await lifecycle.pair())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair)
        await settle()
        lifecycle.cancel()
    assert outcomes == [Cancelled()]
    assert (
        "while the state was being left: WrongAnswer: used in a way that cannot be" in caplog.text
    )


async def test_an_error_of_usage_is_a_failure_though_a_fresh_code_was_asked_for() -> None:
    """What comes out of `pair()` leaves the lifecycle in `failed`, whatever was decided before."""

    class Misused(ScriptedTransport):
        async def receive(self) -> Signal:
            try:
                return await super().receive()
            finally:
                raise WrongAnswer("used in a way that cannot be")

    lifecycle = QRLifecycle(request_qr, lambda: Misused(ScriptedPeer(), Fault.NONE, Fault.NONE))

    async def pair() -> None:
        with pytest.raises(WrongAnswer):
            await lifecycle.pair()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pair)
        await settle()
        lifecycle.generate()
    assert lifecycle.state is State.FAILED
