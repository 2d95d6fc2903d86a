"""The rules by which one lifecycle and its world move: what a rule is, and what the data makes.

A rule is data: it may be taken where each field it names has one of the values it names, and it
sets some fields. So the same rules are enumerated in Python, translated for a prover, and written
out in Promela. What a budget allows is a choice between two rules.

What an event or a step leads to comes from the lifecycle's data (`Chart`), and from nowhere else:
which row it takes, which pending row it replaces, which phase it leads to, which deadline runs
there. When an event or a step happens is said by hand, in `world` and in `lifecycle`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...states import Deadline, Event, Phase, Row, State, Step
from .chart import Chart
from .situation import TRANSPORTS, Actor, Check, Label, Pairing, Situation, Value

__all__ = ["UNDECIDED", "Guard", "Rule", "RuleMaker", "holds", "where"]

Guard = dict[str, frozenset[Value]]
"""For each field it names, the values that are welcome."""

PhaseStep = tuple[Phase, Step | Event]


@dataclass(frozen=True)
class Rule:
    """What may happen, where, and what it changes.

    ``event`` is the table's word for it, if it has one; ``row`` is the (source, event) of the row
    that is taken, if one is; ``phase_rows`` are those that lead to a phase.
    """

    label: Label
    event: Event | None
    when: Guard
    then: Mapping[str, Value]
    row: tuple[State, Event] | None = None
    phase_rows: tuple[PhaseStep, ...] = ()

    @property
    def by(self) -> Actor:
        """Who does it."""
        return self.label.by

    @property
    def name(self) -> str:
        """Label and event, as traces and comments show them."""
        return self.label.value if self.event is None else f"{self.label}: {self.event}"

    def allows(self, situation: Situation) -> bool:
        """Whether it may happen here."""
        return holds(self.when, situation)

    def take(self, situation: Situation) -> Situation:
        """Where it leads."""
        changes: Any = self.then
        return situation._replace(**changes)


def holds(guard: Guard, situation: Situation) -> bool:
    """Whether each field that the guard names has a value that it welcomes."""
    for field, values in guard.items():  # noqa: SIM110 - asked a million times, twice as fast
        if getattr(situation, field) not in values:
            return False
    return True


def where(**fields: Any) -> Guard:
    """A guard, of single values or collections of them."""
    many = (tuple, set, frozenset)
    return {
        name: frozenset(value if isinstance(value, many) else (value,))
        for name, value in fields.items()
    }


UNDECIDED = where(pairing=Pairing.RUNNING, pending=None)
"""A `pair()` runs, and nothing leads out of the state yet."""

STANDING = TRANSPORTS - {Phase.OPENING, Phase.CLOSING}
"""Where a final status check interrupts nothing."""

PUT_OFF = frozenset({*Deadline, Check.PUT_OFF}) - {Deadline.ATTEMPT}
"""What a new phase puts off; the attempt's deadline and a verdict stay."""

KEPT = frozenset({None, Check.VERDICT, Deadline.ATTEMPT})


class RuleMaker:
    """What a rule for an event or a step is, by one lifecycle's data."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.under_way = frozenset(State) - frozenset(chart.ends)

    def rows_of(self, event: Event, states: Collection[State]) -> Iterator[tuple[State, Row]]:
        """Each row for an event in some states."""
        return ((s, row) for s, row in self.chart.rows if row.event is event and s in states)

    @staticmethod
    def decide(event: Event) -> dict[str, Value]:
        """What deciding on a row out of the state changes."""
        return {"pending": event, "final_check": None, "fault": None}

    def step(
        self, label: Label, step: Step, source: Phase, when: Guard, **changes: Value
    ) -> Iterator[Rule]:
        """A step of the transport, if it leads anywhere from this phase."""
        if (target := self.chart.next_phase.get((source, step))) is not None:
            guard = when | where(transport=source)
            then = {"transport": target, **changes}
            yield Rule(label, None, guard, then, phase_rows=((source, step),))

    def put(
        self,
        label: Label,
        event: Event,
        states: frozenset[State],
        when: Guard,
        *,
        replacing: bool = True,
    ) -> Iterator[Rule]:
        """An event is put to the table: noted, decided on, or refused.

        Args:
            label: what happens.
            event: which event.
            states: where it may happen.
            when: what else must hold, but for what is pending.
            replacing: whether it comes even if something is pending; else it is too late.
        """
        for source, row in self.rows_of(event, states):
            here = when | where(state=source)
            if row.internal:
                yield from self.note(label, event, source, here | UNDECIDED)
                continue
            yield Rule(label, event, here | where(pending=None), self.decide(event))
            if row.replaces and replacing:
                late = here | where(pending=row.replaces)
                yield Rule(label, event, late, {"pending": event})

    def note(self, label: Label, event: Event, source: State, when: Guard) -> Iterator[Rule]:
        """An internal row is taken: the phase that it leads to puts the old one's deadline off."""
        row = (source, event)
        for phase in self.chart.owed(source):
            here = when | where(phase=phase)
            if (target := self.chart.next_phase.get((phase, event))) is None:
                yield Rule(label, event, here, {}, row)
                continue
            taken: tuple[PhaseStep, ...] = ((phase, event),)
            then: dict[str, Value] = {"phase": target}
            yield Rule(label, event, here | where(final_check=KEPT), then, row, taken)
            late = here | where(final_check=PUT_OFF)
            transport = here.get("transport", TRANSPORTS)
            put_off = then | {"final_check": None}
            standing = late | {"transport": transport & STANDING}
            yield Rule(label, event, standing, put_off, row, taken)
            if Phase.CLOSING in transport:
                closing = late | where(transport=Phase.CLOSING)
                for_nothing = then | {"final_check": Check.PUT_OFF}
                yield Rule(label, event, closing, for_nothing, row, taken)
            if Phase.OPENING in transport:  # it was cut short: it is closed, and another is made
                close = (Phase.OPENING, Step.CLOSE)
                changes = put_off | {"transport": self.chart.next_phase.get(close, Phase.OPENING)}
                cut = late | where(transport=Phase.OPENING)
                yield Rule(label, event, cut, changes, row, (*taken, close))

    def expire(self, label: Label, states: frozenset[State], when: Guard) -> Iterator[Rule]:
        """The service says that a code ran out: that shortens what is left of its time, if any."""
        for source, _ in self.rows_of(Event.EXPIRED, states):
            for phase in self.chart.owed(source):
                by = (phase, Event.EXPIRED)
                if (target := self.chart.next_phase.get(by)) is not None:
                    here = UNDECIDED | when | where(state=source, phase=phase)
                    yield Rule(label, Event.EXPIRED, here, {"phase": target}, phase_rows=(by,))
