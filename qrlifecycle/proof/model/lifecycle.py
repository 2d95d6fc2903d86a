"""What the lifecycle does by itself, sooner or later.

Where it does so is written by hand; what it leads to comes from the data.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...states import Deadline, Event, Phase, Region, State, Step
from .chart import Chart
from .rules import UNDECIDED, Rule, RuleMaker, where
from .situation import TRANSPORTS, Check, Fault, Label, Pairing, Value

__all__ = ["LifecycleRules"]

DECIDED_UNASKED = frozenset({Event.QR_READY, Event.PAIRED, Event.FAIL, Event.EXPIRED, Event.CANCEL})
"""What the lifecycle decides on by itself, whatever the table says of it."""

READY = UNDECIDED | where(final_check=None, cancelled=False)
"""Nothing keeps it from going on."""

UNSHIELDED = TRANSPORTS - {Phase.CLOSING}
"""Where nothing is being closed, which nobody interrupts."""

GONE = TRANSPORTS - {Phase.OPENING, Phase.LISTENING, Phase.CLOSING}
"""Where there is no transport."""


class LifecycleRules(RuleMaker):
    """The lifecycle's own rules.

    Args:
        chart: its data.
        at_once: (source, event) of rows that do not wait for the transport to be gone. A lifecycle
            has none; with one, whoever judges the model must find fault with it.
    """

    def __init__(self, chart: Chart, at_once: frozenset[tuple[State, Event]]) -> None:
        super().__init__(chart)
        self.at_once = at_once

    def rules(self) -> Iterator[Rule]:
        """All of them."""
        yield from self.holding_on()
        yield from self.reconnecting()
        yield from self.final_check()
        yield from self.leaving()
        yield from self.commit()
        done: dict[str, Value] = {"pairing": Pairing.NOBODY, "cancelled": False}
        yield Rule(Label.RETURN, None, where(pairing=Pairing.RETURNING), done)

    def holding_on(self) -> Iterator[Rule]:
        """The lease is held through refreshes, and so is not waited for again."""
        asking = READY | where(state=self.chart.with_region(Region.REQUEST), lease=True)
        for source in self.chart.steps(Step.LEASED):
            by = (source, Step.LEASED)
            then: dict[str, Value] = {"phase": self.chart.next_phase[by]}
            yield Rule(Label.HELD_ON, None, asking | where(phase=source), then, phase_rows=(by,))

    def reconnecting(self) -> Iterator[Rule]:
        """A transport is made when none is held; after a fault, as the budget says."""
        showing = READY | where(state=self.chart.with_region(Region.TRANSPORT))
        for source in self.chart.steps(Step.MAKE):
            yield from self.step(Label.MAKE, Step.MAKE, source, showing | where(fault=None))
        for source in self.chart.steps(Step.WAIT):
            broken = READY | where(fault=Fault.BROKEN)
            yield from self.step(Label.WAIT, Step.WAIT, source, broken)
        lost = READY | where(fault=tuple(Fault), transport=Phase.ABSENT)
        verdict: dict[str, Value] = {"final_check": Check.VERDICT, "fault": None}
        yield Rule(Label.GIVE_UP, Event.FAIL, lost, verdict)

    def final_check(self) -> Iterator[Rule]:
        """It found nothing: the verdict is decided on, or what a deadline that ran out means."""
        checked = UNDECIDED | where(cancelled=False, transport=UNSHIELDED)
        for cause in (Check.VERDICT, *Deadline):
            here = checked | where(final_check=cause)
            yield Rule(Label.CHECKED, Event.FAIL, here, self.decide(Event.FAIL))
            if isinstance(cause, Deadline) and cause not in self.chart.failing:
                yield Rule(Label.CHECKED, Event.EXPIRED, here, self.decide(Event.EXPIRED))
        put_off = checked | where(final_check=Check.PUT_OFF)
        yield Rule(Label.CHECKED, None, put_off, {"final_check": None})

    def leaving(self) -> Iterator[Rule]:
        """What is held is closed; a cancellation decides at the next await that is not shielded."""
        for source in self.chart.steps(Step.CLOSE):
            pending = where(pending=tuple(Event))
            yield from self.step(Label.CLOSE, Step.CLOSE, source, pending)
        reached = where(pairing=Pairing.RUNNING, cancelled=True, transport=UNSHIELDED)
        yield from self.put(Label.CANCELLATION, Event.CANCEL, self.under_way, reached)

    def commit(self) -> Iterator[Rule]:
        """The pending row is taken when nothing of the state is left."""
        for source, row in self.chart.rows:
            event = row.event
            if source not in self.under_way or (row.internal and event not in DECIDED_UNASKED):
                continue
            when = where(pairing=Pairing.RUNNING, state=source, pending=event)
            if (source, event) not in self.at_once:
                when |= where(transport=GONE)
            changes: dict[str, Value] = {}
            if row.target not in (None, source):  # else the old state is still being left
                changes |= self.chart.enter(row.target)
            if event in self.chart.outcomes:
                changes |= {"pairing": Pairing.RETURNING, "lease": False}
            yield Rule(Label.COMMIT, event, when, changes, (source, event))
