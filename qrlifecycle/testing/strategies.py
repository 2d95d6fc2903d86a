"""Plans for Hypothesis, drawn with an eye on the table.

Most steps are such as the state that the lifecycle is probably in accepts, for unguided lists
rarely get as far as a displayed code. This is a module by itself because it imports Hypothesis.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from ..errors import MissingExtra

try:
    from hypothesis import strategies as st
except ImportError:
    raise MissingExtra("drawing plans", "testing") from None

from ..states import Event, State, single_rows
from .acts import Act
from .plans import BRISK, BY_THE_PEER, BY_THE_PROGRAM, Answer, Plan, PlanStep, Reading
from .scripted import Fault
from .scripted_leases import Keeping

__all__ = ["plans"]

ACTS_FOR: dict[Event, tuple[Act, ...]] = {
    Event.GENERATE: (Act.GENERATE,),
    Event.CANCEL: (Act.CANCEL, Act.CANCELLED),
    Event.RESET: (Act.RESET,),
    Event.QR_READY: (),
    Event.EXPIRED: (Act.EXPIRED,),
    Event.FAIL: (Act.BREAK, Act.HANG_UP, Act.FAILED),
    Event.PAIRED: (Act.PAIRED, Act.STRANGER),
    Event.QR_UPDATED: (Act.ROTATED,),
    Event.SCANNED: (Act.SCANNED,),
    Event.ACTION_REQUIRED: (Act.ACTION,),
}
"""What brings an event about, beside time."""

BY_TIME = frozenset({Event.QR_READY, Event.EXPIRED})

TARGETS = {(source, row.event): row.target or source for source, row in single_rows()}

EVENTS = {state: [event for source, event in TARGETS if source is state] for state in State}

WAITS = (0.1, 0.6, 1.1, 3.0, 11.0)
"""Seconds."""

ONE_OF_TEN = st.integers(0, 9)
"""A lease is lost by the one of these that is 0."""

GUIDED = 7
"""Of ten steps, those that the table accepts."""

POLICIES = st.builds(
    partial(replace, BRISK),
    close_timeout=st.sampled_from([1.0, 0.25]),
    attempt_timeout=st.sampled_from([30.0, 5.0]),
    qr_lifetime=st.sampled_from([10.0, 1.5]),
    expiry_grace=st.sampled_from([0.5, 0.0]),
    max_refreshes=st.integers(0, 2),
    max_codes=st.sampled_from([BRISK.max_codes, 1, 2]),
    max_reconnects=st.integers(0, 3),
    reconnect_delay=st.sampled_from([0.5, 0.1]),
    status_retry_delay=st.sampled_from([0.5, 0.1]),
    status_interval=st.sampled_from([math.inf, 1.0]),
    confirm_success=st.booleans(),
)

MOSTLY_CODES = st.sampled_from([Answer.CODE] * 4 + list(Answer))
MOSTLY_NOTHING = st.sampled_from([Reading.NOTHING] * 10 + list(Reading))
OPENINGS = st.sampled_from([Fault.NONE] * 6 + [fault for fault in Fault if fault is not Fault.HELD])
MOSTLY_HELD = st.sampled_from([Keeping.HELD] * 6 + list(Keeping))
CLOSINGS = st.sampled_from([Fault.NONE, Fault.SLOW, Fault.BROKEN, Fault.HUNG])
ANY_ACT = st.sampled_from(BY_THE_PROGRAM + BY_THE_PEER)


def plans(*, most_steps: int = 12) -> st.SearchStrategy[Plan]:
    """Plans that mostly do what the table accepts.

    Args:
        most_steps: how many steps there are at most, after the first, which calls `pair()`.
    """
    return _plans(most_steps)


@st.composite
def _plans(draw: st.DrawFn, most_steps: int) -> Plan:
    leases = tuple(draw(st.lists(MOSTLY_HELD, max_size=3))) if draw(st.booleans()) else None
    steps = draw(_steps(most_steps, leased=leases is not None))
    reads = draw(st.booleans())
    policy = draw(POLICIES)
    return Plan(
        policy=policy
        if reads
        else replace(policy, confirm_success=False, status_interval=math.inf),
        answers=tuple(draw(st.lists(MOSTLY_CODES, max_size=4))),
        statuses=tuple(draw(st.lists(MOSTLY_NOTHING, max_size=8))) if reads else None,
        openings=tuple(draw(st.lists(OPENINGS, max_size=4))),
        closings=tuple(draw(st.lists(CLOSINGS, max_size=4))),
        leases=leases,
        steps=steps,
    )


@st.composite
def _steps(draw: st.DrawFn, most_steps: int, *, leased: bool) -> tuple[PlanStep, ...]:
    steps = [PlanStep(Act.PAIR)]
    state = State.DISPLAYED
    for _ in range(draw(st.integers(0, most_steps))):
        event = draw(st.sampled_from(EVENTS[state]))
        if state not in (State.GENERATING, State.DISPLAYED) and draw(st.booleans()):
            steps.append(_step(draw, Act.PAIR))
            state = State.DISPLAYED
            continue
        if leased and state in (State.GENERATING, State.DISPLAYED) and not draw(ONE_OF_TEN):
            steps.append(_step(draw, Act.LOSE))
            state = State.FAILED
            continue
        if draw(st.integers(0, 9)) >= GUIDED:
            steps.append(_step(draw, draw(ANY_ACT)))
        elif not ACTS_FOR[event] or (event in BY_TIME and draw(st.booleans())):
            steps[-1] = PlanStep(steps[-1].act, draw(st.sampled_from(WAITS)))
        else:
            steps.append(_step(draw, draw(st.sampled_from(ACTS_FOR[event]))))
        state = TARGETS[state, event]
    return tuple(steps)


def _step(draw: st.DrawFn, act: Act) -> PlanStep:
    return PlanStep(act, 0.0 if draw(st.integers(0, 3)) else None)
