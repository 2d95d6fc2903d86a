"""Plans: what a person, a service, a wire and a clock do to a lifecycle, one step after another.

They are drawn with an eye on the table: most steps are such as the state that the lifecycle is
probably in accepts, for unguided lists rarely get as far as a displayed code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum, auto

from hypothesis import strategies as st

from qrlifecycle import (
    ActionRequired,
    ConnectionFailed,
    Event,
    Paired,
    PairingCode,
    Policy,
    QRCode,
    QRExpired,
    QRUpdated,
    Scanned,
    Signal,
    State,
)
from qrlifecycle.table import TABLE, single_rows
from qrlifecycle.testing import Fault


class Act(Enum):
    """One thing that can be done to a lifecycle or around it."""

    PAIR = auto()
    CANCEL = auto()
    GENERATE = auto()
    RESET = auto()
    CANCEL_FROM_OUTSIDE = auto()
    SIGNAL = auto()
    HANG_UP = auto()
    BREAK_LINK = auto()
    WAIT = auto()


class Answer(Enum):
    """What the service does when it is asked for a code."""

    QR = auto()
    SLOW_QR = auto()
    LINKED = auto()
    BROKEN = auto()
    HUNG = auto()


class Status(Enum):
    """What a read of the status gives."""

    NOTHING = auto()
    SLOW = auto()
    PAIRED = auto()
    SOMEBODY_ELSE = auto()
    NEWER_CODE = auto()
    EXPIRED = auto()
    FAILED = auto()
    RUBBISH = auto()
    BROKEN = auto()
    HUNG = auto()


@dataclass(frozen=True)
class Step:
    """An act, and whether everybody comes to rest before the next one."""

    act: Act
    signal: Signal | None = None
    seconds: float = 0.0
    settle: bool = True


@dataclass(frozen=True)
class Plan:
    """Everything that happens to one lifecycle."""

    policy: Policy
    answers: tuple[Answer, ...]
    statuses: tuple[Status, ...] | None
    openings: tuple[Fault, ...]
    closings: tuple[Fault, ...]
    steps: tuple[Step, ...]


SIGNALS: tuple[Signal, ...] = (
    QRUpdated(QRCode("rotated", expires_in=3)),
    QRUpdated(PairingCode("TYPE-THIS", expires_in=3)),
    Scanned(),
    ActionRequired("passkey"),
    Paired("me"),
    Paired("somebody else"),
    QRExpired(),
    ConnectionFailed(),
)

ACT_OF_EVENT = {
    Event.GENERATE: Act.GENERATE,
    Event.CANCEL: Act.CANCEL,
    Event.RESET: Act.RESET,
    Event.QR_READY: Act.WAIT,
    Event.EXPIRED: Act.WAIT,
    Event.FAIL: Act.BREAK_LINK,
    Event.PAIRED: Act.SIGNAL,
    Event.QR_UPDATED: Act.SIGNAL,
    Event.SCANNED: Act.SIGNAL,
    Event.ACTION_REQUIRED: Act.SIGNAL,
}

TARGETS = {(source, row.event): row.target or source for source, row in single_rows(TABLE)}

POLICIES = st.builds(
    Policy,
    generate_timeout=st.just(2.0),
    open_timeout=st.just(1.0),
    close_timeout=st.sampled_from([0.25, 1.0]),
    attempt_timeout=st.sampled_from([5.0, 30.0]),
    qr_lifetime=st.sampled_from([1.5, 10.0]),
    rotated_lifetime=st.just(2.0),
    grace=st.sampled_from([0.0, 0.5]),
    confirm_timeout=st.just(4.0),
    action_timeout=st.just(3.0),
    refreshes=st.integers(0, 2),
    reopenings=st.integers(0, 3),
    reopen_wait=st.sampled_from([0.1, 0.5]),
    reopen_wait_max=st.just(1.0),
    status_timeout=st.just(0.75),
    status_interval=st.sampled_from([1.0, math.inf]),
    show_at_once=st.booleans(),
    confirm=st.booleans(),
)

MOSTLY_GOOD_ANSWERS = st.sampled_from([Answer.QR] * 4 + list(Answer))
MOSTLY_BORING_STATUSES = st.sampled_from([Status.NOTHING] * 10 + list(Status))
MOSTLY_GOOD_OPENINGS = st.sampled_from([Fault.NONE] * 6 + list(Fault))
CLOSINGS = st.sampled_from([Fault.NONE, Fault.SLOW, Fault.BROKEN, Fault.HUNG])


@st.composite
def plans(draw: st.DrawFn, most_steps: int = 12) -> Plan:
    """A plan that mostly does what the table accepts."""
    steps = [Step(Act.PAIR)]
    state = State.DISPLAYED
    for _ in range(draw(st.integers(0, most_steps))):
        event = draw(st.sampled_from([e for s, e in TARGETS if s is state]))
        guided = draw(st.integers(0, 9)) < 7
        act = ACT_OF_EVENT[event] if guided else draw(st.sampled_from(Act))
        if state in {State.IDLE, State.CONNECTED, State.FAILED} and draw(st.booleans()):
            act, event = Act.PAIR, Event.QR_READY
            state = State.GENERATING
        steps.append(
            Step(
                act,
                signal=draw(st.sampled_from(SIGNALS)) if act is Act.SIGNAL else None,
                seconds=draw(st.sampled_from([0.1, 0.6, 1.1, 3.0, 11.0])) if act is Act.WAIT else 0,
                settle=draw(st.integers(0, 3)) > 0,
            )
        )
        state = TARGETS.get((state, event), state)
    read = draw(st.booleans())
    policy = draw(POLICIES)
    return Plan(
        policy if read else replace(policy, confirm=False, status_interval=math.inf),
        tuple(draw(st.lists(MOSTLY_GOOD_ANSWERS, max_size=4))),
        tuple(draw(st.lists(MOSTLY_BORING_STATUSES, max_size=8))) if read else None,
        tuple(draw(st.lists(MOSTLY_GOOD_OPENINGS, max_size=4))),
        tuple(draw(st.lists(CLOSINGS, max_size=4))),
        tuple(steps),
    )
