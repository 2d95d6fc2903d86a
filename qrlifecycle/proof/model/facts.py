"""What must hold of the model: what kinds of it there are, and what holds in every situation.

Of every step: `step_facts`. Of what can follow: `abilities`.

Each is data, as the rules are, so that one list is checked by enumeration, proved by induction and
judged by Spin. Together they are inductive: some of them are promises, the others are why the
promises hold. All of it is written by hand, and names its own states, events, phases and deadlines:
what the rules are made from is to be refuted by it, where it is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from ...states import Deadline, Event, Phase, State
from .chart import Chart
from .rules import Guard, Rule
from .situation import TRANSPORTS, Actor, Check, Fault, Label, Pairing, Value

__all__ = [
    "ENDINGS",
    "GOING_ON",
    "NO_TRANSPORT",
    "Ability",
    "Fact",
    "StepFact",
    "make_facts",
    "of",
]

ENDINGS = frozenset({Event.PAIRED, Event.FAIL, Event.CANCEL})
"""What ends an attempt, and so is kept once it is decided."""

GOING_ON = frozenset({None, Event.QR_READY, Event.EXPIRED, Event.GENERATE})
"""What may be pending, or not, of an attempt that goes on."""

AT_AN_END = frozenset({State.IDLE, State.CONNECTED, State.FAILED})

NO_TRANSPORT = frozenset({None, Phase.ABSENT, Phase.WAITING})

CHECK_OF_PHASE = {
    Deadline.LEASE: Phase.ACQUIRING,
    Deadline.REQUEST: Phase.REQUESTING,
    Deadline.CODE: Phase.SCANNING,
    Deadline.APPROVAL: Phase.APPROVING,
    Deadline.ACTION: Phase.ACTING,
}
"""The one phase in which each deadline, beside the attempt's, may run out."""


@dataclass(frozen=True)
class Fact:
    """Wherever ``when`` holds, ``then`` holds."""

    name: str
    says: str
    when: Guard
    then: Guard


@dataclass(frozen=True)
class StepFact:
    """A step is taken only where ``before`` holds, and only to where ``after`` holds.

    Which steps: those that set the field ``sets`` to one of ``values``, if it is given; and of
    those the ones with one of ``events``, and by one of ``actors``. With ``rows`` it is only steps
    that take a row of the table.
    """

    name: str
    says: str
    before: Guard = field(default_factory=dict)
    after: Guard = field(default_factory=dict)
    sets: str | None = None
    values: frozenset[Value] = frozenset()
    events: frozenset[Event | None] = frozenset({None, *Event})
    actors: frozenset[Actor] = frozenset(Actor)
    rows: bool = False

    def concerns(self, rule: Rule) -> bool:
        """Whether a rule's steps are such steps."""
        if rule.event not in self.events or rule.by not in self.actors:
            return False
        if self.rows and rule.row is None:
            return False
        return self.sets is None or (self.sets in rule.then and rule.then[self.sets] in self.values)


@dataclass(frozen=True)
class Ability:
    """Wherever ``when`` holds, something with this label and event may happen."""

    name: str
    says: str
    when: Guard
    label: Label
    event: Event | None = None

    def grants(self, rule: Rule) -> bool:
        """Whether a rule is of this kind."""
        return (rule.label, rule.event) == (self.label, self.event)


def of(**fields: Collection[Value]) -> Guard:
    """A guard, of the values that are welcome in each field."""
    return {name: frozenset(values) for name, values in fields.items()}


# In every situation


def make_facts(chart: Chart) -> tuple[Fact, ...]:
    """What must hold in every situation of a lifecycle with this data."""
    return (
        *_promises(chart.socket_owner),
        *_lease(),
        *_inside(),
        *_places(),
        *_faults(),
        *_checks(),
        *_rows(chart),
    )


def _promises(owner: State) -> Iterator[Fact]:
    yield Fact(
        "exclusion",
        f"a socket is open only in {owner}",
        of(socket={True}),
        of(state={owner}),
    )
    yield Fact(
        "nothing_left",
        "when no pair() runs there is no socket, no transport, and nothing under way",
        of(pairing={Pairing.NOBODY}),
        of(
            state=AT_AN_END,
            transport={None},
            phase={None},
            socket={False},
            pending={None},
            final_check={None},
            fault={None},
            cancelled={False},
            lease={False},
        ),
    )


def _lease() -> Iterator[Fact]:
    yield Fact(
        "leased_by_an_attempt",
        "a lease is held only while an attempt is under way",
        of(lease={True}),
        of(pairing={Pairing.RUNNING}),
    )
    yield Fact(
        "after_a_loss",
        "where the lease is held no more, an end is decided: nothing is asked for, shown, or made",
        of(
            phase={Phase.REQUESTING, Phase.SCANNING, Phase.APPROVING, Phase.ACTING},
            lease={False},
        ),
        of(pending=ENDINGS),
    )

    yield Fact(
        "answered",
        "a code is answered only to who asked for one, with the lease held",
        of(pending={Event.QR_READY}),
        of(phase={Phase.REQUESTING}, lease={True}),
    )


def _inside() -> Iterator[Fact]:
    yield Fact(
        "inside_displayed",
        "while a code is displayed there is a transport to come, and something that is owed",
        of(state={State.DISPLAYED}),
        of(
            transport=TRANSPORTS - {None},
            phase={Phase.SCANNING, Phase.APPROVING, Phase.ACTING},
        ),
    )
    yield Fact(
        "inside_generating",
        "while a code is asked for there is nothing but the lease to come, or the request",
        of(state={State.GENERATING}),
        of(transport={None}, phase={Phase.ACQUIRING, Phase.REQUESTING}),
    )
    yield Fact(
        "inside_an_end",
        "nothing goes on where no attempt is under way",
        of(state=AT_AN_END),
        of(transport={None}, phase={None}, pending={None}, final_check={None}, fault={None}),
    )


def _places() -> Iterator[Fact]:
    """Where a socket, a transport and a `pair()` belong."""
    yield Fact(
        "socket_of_a_transport",
        "there is no socket without a transport",
        of(transport=NO_TRANSPORT),
        of(socket={False}),
    )
    yield Fact(
        "scope",
        "a transport is held only by a pair() that runs, and only in displayed",
        of(transport=TRANSPORTS - NO_TRANSPORT),
        of(state={State.DISPLAYED}, pairing={Pairing.RUNNING}),
    )
    yield Fact(
        "come_to_an_end",
        "a pair() that returns has come to an end of the table",
        of(pairing={Pairing.RETURNING}),
        of(state=AT_AN_END),
    )
    yield Fact(
        "where_pair_runs",
        "a pair() runs where a code is asked for or shown",
        of(pairing={Pairing.RUNNING}),
        of(state={State.GENERATING, State.DISPLAYED}),
    )


def _faults() -> Iterator[Fact]:
    """What is decided, and what a fault leads to, leaves nothing else to be decided."""
    yield Fact(
        "decided",
        "what is pending leaves nothing else to be decided",
        of(pending=set(Event)),
        of(final_check={None}, fault={None}),
    )
    yield Fact(
        "after_a_fault",
        "a transport that broke is being closed or gone",
        of(fault=set(Fault)),
        of(transport={Phase.CLOSING, Phase.ABSENT, Phase.WAITING}),
    )
    yield Fact(
        "no_second_try",
        "whoever was refused does not wait to try again, nor does a final check put that off",
        of(fault={Fault.REFUSED}),
        of(transport={Phase.CLOSING, Phase.ABSENT}, final_check={None}),
    )


def _checks() -> Iterator[Fact]:
    for deadline, phase in CHECK_OF_PHASE.items():
        yield Fact(
            f"deadline_{deadline}",
            f"the deadline of the {deadline} ends nothing but {phase}",
            of(final_check={deadline}),
            of(phase={phase}),
        )
    yield Fact(
        "checked_for_nothing",
        "only where a transport was being closed a deadline is heeded late, and may be put off",
        of(final_check={Check.PUT_OFF}),
        of(transport={Phase.CLOSING, Phase.ABSENT}),
    )
    yield Fact(
        "pending_expired",
        "while another code is about to be asked for, nobody has scanned the old one",
        of(pending={Event.EXPIRED}),
        of(phase={Phase.SCANNING}),
    )


def _rows(chart: Chart) -> Iterator[Fact]:
    for state in State:
        events = {
            row.event for source, row in chart.rows if source is state and row.target is not None
        }
        yield Fact(
            f"row_from_{state}",
            f"what is pending in {state} has a row that leads out",
            of(state={state}),
            of(pending={None, *events}),
        )
