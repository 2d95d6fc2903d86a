"""What the world around a lifecycle may do, and at what moments: written by hand.

It is the person, the calling program, the service, the transport with its peer, and the clock. What
the lifecycle makes of it comes from its data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...signals import KINDS
from ...states import Deadline, Event, Phase, Region, Step
from .rules import UNDECIDED, Guard, Rule, RuleMaker, where
from .situation import Check, Fault, Label, Pairing, Value

__all__ = ["WorldRules"]

TRIGGERS = (Event.GENERATE, Event.CANCEL, Event.RESET)
SIGNALS = tuple(dict.fromkeys(kind.event for kind in KINDS))
ANSWERS = (Event.QR_READY, Event.PAIRED, Event.FAIL)
"""What `request_qr` may give back; to be paired with another identity is a failure."""

UNCHECKED = UNDECIDED | where(final_check=None)
"""Nothing leads out of the state, and no deadline ran out."""

CHECKS = frozenset({*Check, *Deadline})
"""Why a final status check may be under way."""

VERDICT: dict[str, Value] = {"final_check": Check.VERDICT, "fault": None}


class WorldRules(RuleMaker):
    """The world's rules, actor by actor."""

    def rules(self) -> Iterator[Rule]:
        """All of them."""
        self.showing = self.chart.with_region(Region.TRANSPORT)
        self.asking = self.chart.with_region(Region.REQUEST)
        yield from self.person()
        yield from self.caller()
        yield from self.failing_functions()
        yield from self.keeper()
        yield from self.service()
        yield from self.transport()
        yield from self.closing()
        yield from self.clock()

    def person(self) -> Iterator[Rule]:
        """`pair()` begins at an end; the others are put to the table, at an end taken at once."""
        for source, row in self.rows_of(Event.GENERATE, self.chart.ends):
            if row.target is not None:
                found = where(pairing=Pairing.NOBODY, state=source)
                begun = {"pairing": Pairing.RUNNING} | self.chart.enter(row.target)
                yield Rule(Label.PAIR, row.event, found, begun, (source, row.event))
        for event in TRIGGERS:
            yield from self.put(Label.TRIGGER, event, self.under_way, {})
            if event is Event.GENERATE:
                continue  # nobody would ask for the code
            for source, row in self.rows_of(event, self.chart.ends):
                if row.target is not None:
                    changes = self.chart.enter(row.target)
                    here = where(state=source)
                    yield Rule(Label.TRIGGER, event, here, changes, (source, event))

    def caller(self) -> Iterator[Rule]:
        """The task is cancelled, or something was used in a way that cannot be."""
        runs = where(pairing=(Pairing.RUNNING, Pairing.RETURNING), cancelled=False)
        yield Rule(Label.CANCELLED, None, runs, {"cancelled": True})
        yield from self.step(
            Label.SHIELD_BROKEN, Step.CLOSED, Phase.CLOSING, {}, socket=False, cancelled=True
        )
        running = where(pairing=Pairing.RUNNING)
        asked = running | where(final_check=None)
        yield from self.put(Label.MISUSED, Event.FAIL, self.asking, asked)
        opening = asked | where(transport=Phase.OPENING)
        yield from self.put(Label.MISUSED, Event.FAIL, self.showing, opening)
        listening = running | where(transport=Phase.LISTENING)
        yield from self.put(Label.MISUSED, Event.FAIL, self.showing, listening)
        making = asked | MAKING
        yield from self.put(Label.MISUSED, Event.FAIL, self.showing, making, replacing=False)

    def failing_functions(self) -> Iterator[Rule]:
        """The program's own functions raise: the state is left, unless the status says more."""
        shown = UNDECIDED | where(state=self.showing, final_check=CHECKS - {Check.VERDICT} | {None})
        yield Rule(Label.NOT_SHOWN, Event.FAIL, shown, VERDICT)
        making = UNCHECKED | MAKING | where(state=self.showing)
        yield Rule(Label.NOT_MADE, Event.FAIL, making, VERDICT)

    def keeper(self) -> Iterator[Rule]:
        """It grants the lease, or does not; and takes it away at any moment, also too late."""
        waiting = UNCHECKED | where(state=self.asking, cancelled=False, lease=False)
        for source in self.chart.steps(Step.LEASED):
            by = (source, Step.LEASED)
            had: dict[str, Value] = {"phase": self.chart.next_phase[by], "lease": True}
            yield Rule(Label.GRANTED, None, waiting | where(phase=source), had, phase_rows=(by,))
            refused = waiting | where(phase=source)
            yield Rule(Label.NOT_GRANTED, Event.FAIL, refused, self.decide(Event.FAIL))
        held = where(pairing=Pairing.RUNNING, lease=True)
        for rule in self.put(Label.LOST, Event.FAIL, self.under_way, held):
            yield replace(rule, then={**rule.then, "lease": False})
        for state, row in self.rows_of(Event.FAIL, self.under_way):
            late = held | where(state=state, pending=frozenset(Event) - {*row.replaces})
            yield Rule(Label.LOST, None, late, {"lease": False})

    def service(self) -> Iterator[Rule]:
        """`request_qr` and `check_status`; the latter is read in `generating` only at last."""
        asked = UNCHECKED | where(state=self.asking, phase=Phase.REQUESTING, cancelled=False)
        for event in ANSWERS:
            yield Rule(Label.ANSWER, event, asked, self.decide(event))
        yield Rule(Label.REFUSAL, Event.FAIL, asked, VERDICT)
        at_last = UNDECIDED | where(final_check=CHECKS)
        yield from self.signals(Label.STATUS, self.asking, at_last, replacing=False)
        yield from self.signals(Label.STATUS, self.showing, UNDECIDED, replacing=False)

    def signals(
        self, label: Label, states: frozenset[object], when: Guard, *, replacing: bool
    ) -> Iterator[Rule]:
        """Any signal; "paired" may name another identity than was expected: a failure."""
        for event in SIGNALS:
            if event is Event.EXPIRED:
                yield from self.expire(label, states, when)  # type: ignore[arg-type]
                continue
            if event is Event.QR_UPDATED and states <= self.showing:  # the budget may be spent
                spent = UNDECIDED | when | where(state=states)
                checks = spent.get("final_check", CHECKS | {None}) - {Check.VERDICT}
                yield Rule(label, event, spent | where(final_check=checks), VERDICT)
            yield from self.put(label, event, states, when, replacing=replacing)  # type: ignore[arg-type]

    # The transport. What it does may come too late: when something is pending already.

    def transport(self) -> Iterator[Rule]:
        """It opens, listens, breaks."""
        connecting = where(transport=Phase.OPENING, socket=False)
        yield Rule(Label.SOCKET, None, connecting, {"socket": True})
        shaking = where(socket=True, final_check=None)
        yield from self.step(Label.OPENED, Step.OPENED, Phase.OPENING, shaking)
        for phase in (Phase.OPENING, Phase.LISTENING):
            yield from self.breaking(Label.REFUSED, phase, Fault.REFUSED)
            yield from self.breaking(Label.BROKEN, phase, Fault.BROKEN)
        heard = where(pairing=Pairing.RUNNING, transport=Phase.LISTENING)
        yield from self.signals(Label.SIGNAL, self.showing, heard, replacing=True)

    def breaking(self, label: Label, phase: Phase, fault: Fault) -> Iterator[Rule]:
        """A transport is closed because of itself."""
        yield from self.step(label, Step.CLOSE, phase, UNCHECKED, fault=fault)
        late = where(final_check=None, pending=frozenset(Event))
        yield from self.step(label, Step.CLOSE, phase, late)

    def closing(self) -> Iterator[Rule]:
        """A graceful close takes its time, but not for ever."""
        closing = where(transport=Phase.CLOSING, socket=True)
        yield Rule(Label.SHUT, None, closing, {"socket": False})
        for label in (Label.CLOSED, Label.CLOSE_TIMEOUT):
            yield from self.step(label, Step.CLOSED, Phase.CLOSING, {}, socket=False)

    def clock(self) -> Iterator[Rule]:
        """At any moment a deadline runs out; in the middle of a close it is heeded afterwards."""
        waits = UNDECIDED | where(cancelled=False)
        for phase, deadline in self.chart.deadline_of.items():
            over = waits | where(phase=phase, final_check=(None, Check.PUT_OFF))
            yield from self.run_out(deadline, over)
        checks = CHECKS - {Check.VERDICT, Deadline.ATTEMPT} | {None}
        yield from self.run_out(Deadline.ATTEMPT, waits | where(final_check=checks))
        yield from self.breaking(Label.OPEN_TIMEOUT, Phase.OPENING, Fault.BROKEN)
        delay = UNCHECKED | where(transport=Phase.WAITING, fault=Fault.BROKEN, cancelled=False)
        yield Rule(Label.DELAY_OVER, None, delay, {"fault": None})

    def run_out(self, deadline: Deadline, when: Guard) -> Iterator[Rule]:
        """A deadline does; if it is put off, another transport is still to be waited for, or not.

        The delay goes on in the final check, and may be over after it.
        """
        yield Rule(Label.DEADLINE, None, when, {"final_check": deadline, "fault": None})
        owed = frozenset().union(*map(self.chart.owed, self.showing))
        if owed & when.get("phase", owed):
            broken = when | where(fault=Fault.BROKEN)
            yield Rule(Label.DEADLINE, None, broken, {"final_check": deadline})


MAKING = where(transport=(Phase.ABSENT, Phase.WAITING), fault=None, cancelled=False)
"""The next transport is being made."""
