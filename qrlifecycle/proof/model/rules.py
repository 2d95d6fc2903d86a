"""The rules by which one lifecycle and its world move, made from the table.

A rule is data: it may be taken where each field it names has one of the values it names, and it
sets some fields. So the same rules are enumerated in Python, translated for a prover, and written
out in Promela. What a budget allows is a choice between two rules. This room must never know what
ought to hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...signals import (
    ActionRequired,
    Paired,
    PairingRefused,
    QRExpired,
    QRUpdated,
    Scanned,
)
from ...states import (
    INITIAL,
    TABLE,
    Event,
    Row,
    State,
    single_rows,
)
from .situation import (
    Actor,
    Label,
    Phase,
    Plan,
    Situation,
    Value,
    Walk,
)

__all__ = ["OUTCOMES", "Guard", "Rule", "holds", "make_rules", "walked_states"]

Guard = dict[str, frozenset[Value]]
"""For each field it names, the values that are welcome."""

OUTCOMES = frozenset({Event.PAIRED, Event.FAIL, Event.CANCEL})
"""The events that carry an outcome: with them a walk ends."""

CONTINUING = frozenset(Event) - OUTCOMES
"""The events after which a walk goes on; a cancellation may replace them."""

TRIGGERS = (Event.GENERATE, Event.CANCEL, Event.RESET)
KINDS = (QRUpdated, Scanned, ActionRequired, Paired, QRExpired, PairingRefused)
SIGNALS = tuple(dict.fromkeys(kind.event for kind in KINDS))
UNASKED = frozenset({Event.QR_READY, Event.PAIRED, Event.FAIL, Event.EXPIRED, Event.CANCEL})
"""What the lifecycle decides on by itself, without asking the table first."""

OPENED = (Phase.OPENING, Phase.HANDSHAKE)


@dataclass(frozen=True)
class Rule:
    """What may happen, where, and what it changes.

    ``event`` is the table's word for it, if it has one; ``row`` is the (source, event) of the row
    that is taken, if one is.
    """

    label: Label
    event: Event | None
    when: Guard
    then: Mapping[str, Value]
    row: tuple[State, Event] | None = None

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
        changes: dict[str, Any] = dict(self.then)
        return replace(situation, **changes)


def holds(guard: Guard, situation: Situation) -> bool:
    """Whether each field that the guard names has a value that it welcomes."""
    return all(getattr(situation, field) in values for field, values in guard.items())


def make_rules(
    table: tuple[Row, ...] = TABLE, at_once: frozenset[tuple[State, Event]] = frozenset()
) -> tuple[Rule, ...]:
    """The rules of a lifecycle that walks this table.

    Args:
        table: its rows.
        at_once: (source, event) of rows that do not wait for the transport to be gone. A lifecycle
            has none; with one, whoever judges the model must find fault with it.
    """
    return tuple(_Maker(table, at_once).rules())


def walked_states(table: tuple[Row, ...]) -> frozenset[State]:
    """The states in which a `pair()` can stand."""
    pairs = list(single_rows(table))
    starts = {row.target for _, row in pairs if row.event is Event.GENERATE}
    return _closure(starts | {State.GENERATING}, table, CONTINUING)


def _resting_states(table: tuple[Row, ...]) -> frozenset[State]:
    """The states that can be seen while nobody walks."""
    walked = walked_states(table)
    ends = {row.target for s, row in single_rows(table) if s in walked and row.event in OUTCOMES}
    return _closure(ends | {INITIAL}, table, frozenset(TRIGGERS))


def _closure(
    starts: set[State | None], table: tuple[Row, ...], events: frozenset[Event]
) -> frozenset[State]:
    seen = {state for state in starts if state is not None}
    steps = [(s, row.target) for s, row in single_rows(table) if row.event in events]
    while new := {t for s, t in steps if s in seen and t is not None} - seen:
        seen |= new
    return frozenset(seen)


def _guard(**fields: Any) -> Guard:
    """A guard, of single values or collections of them."""
    many = (tuple, set, frozenset)
    return {
        name: frozenset(value if isinstance(value, many) else (value,))
        for name, value in fields.items()
    }


UNDECIDED = _guard(walk=Walk.WALKING, leaving=None)
"""Somebody walks, and nothing leads out of the state yet."""


class _Maker:
    """Makes the rules of one table, actor by actor."""

    def __init__(self, table: tuple[Row, ...], at_once: frozenset[tuple[State, Event]]) -> None:
        self.rows = list(single_rows(table))
        self.at_once = at_once
        self.walked = walked_states(table)
        self.showing = self.walked - {State.GENERATING}
        self.resting = _resting_states(table)

    def rules(self) -> Iterator[Rule]:
        yield from self.person()
        yield from self.caller()
        yield from self.service()
        yield from self.opening()
        yield from self.link()
        yield from self.goodbye()
        yield from self.clock()
        yield from self.lifecycle()
        yield from self.commit()

    # What is put to the table

    def put(
        self, label: Label, event: Event, sources: frozenset[State], **guard: object
    ) -> Iterator[Rule]:
        """An event is put to the table while somebody walks: noted, decided on, or refused."""
        for source, row in self.rows:
            if row.event is not event or source not in sources:
                continue
            when = _guard(walk=Walk.WALKING, state=source, **guard)
            open_ = when | _guard(leaving=None)
            if row.internal:
                yield from self.note(label, event, open_)
            else:
                yield Rule(label, event, open_, {"leaving": event, "plan": None})
                if event is Event.CANCEL:
                    replaced = when | _guard(leaving=CONTINUING)
                    yield Rule(label, event, replaced, {"leaving": event})

    def note(self, label: Label, event: Event, when: Guard) -> Iterator[Rule]:
        """An internal row is taken; a deadline that ran out may be put off by it."""
        (source,) = when["state"]
        assert isinstance(source, State)
        row = (source, event)
        yield Rule(label, event, when, {}, row)
        late = when | _guard(plan=Plan.TIME)
        phases = when.get("phase", frozenset(Phase))
        standing = phases & {Phase.NONE, Phase.LISTENING}
        yield Rule(label, event, late | _guard(phase=standing), {"plan": None}, row)
        if interrupted := phases & set(OPENED):  # its opening was cut short: close it, make another
            changes = {"plan": None, "phase": Phase.CLOSING}
            yield Rule(label, event, late | _guard(phase=interrupted), changes, row)

    def signals(self, label: Label, sources: frozenset[State], **guard: object) -> Iterator[Rule]:
        """Any signal; "paired" may name another identity than was expected, which is a failure."""
        for event in SIGNALS:
            if event is not Event.EXPIRED:
                yield from self.put(label, event, sources, **guard)
                continue
            for source, row in self.rows:  # only shortens what is left of the code's time
                if row.event is event and source in sources:
                    yield Rule(label, event, UNDECIDED | _guard(state=source, **guard), {})

    # Outside

    def person(self) -> Iterator[Rule]:
        begin: dict[str, Value] = {"walk": Walk.WALKING}
        if State.GENERATING in self.resting:
            found = _guard(walk=Walk.NOBODY, state=State.GENERATING)
            yield Rule(Label.PAIR, None, found, begin)
        for source, row in self.rows:
            if source not in self.resting or row.target is None:
                continue
            event, taken = row.event, (source, row.event)
            changes: dict[str, Value] = {"state": row.target}
            if event is Event.GENERATE and source is not State.GENERATING:
                alone = _guard(walk=Walk.NOBODY, state=source)
                yield Rule(Label.PAIR, event, alone, begin | changes, taken)
            if event in TRIGGERS and event is not Event.GENERATE:
                unwalked = _guard(walk={Walk.NOBODY, Walk.RETURNING}, state=source)
                yield Rule(Label.TRIGGER, event, unwalked, changes, taken)
        for event in TRIGGERS:
            yield from self.put(Label.TRIGGER, event, self.walked)

    def caller(self) -> Iterator[Rule]:
        runs = _guard(walk={Walk.WALKING, Walk.RETURNING}, cancelled=False)
        yield Rule(Label.CANCELLED, None, runs, {"cancelled": True})
        closing = _guard(walk=Walk.WALKING, phase=Phase.CLOSING)
        gone: dict[str, Value] = {"phase": Phase.NONE, "socket": False, "cancelled": True}
        ending = closing | _guard(leaving=OUTCOMES)
        yield Rule(Label.SHIELD_BROKEN, None, ending, gone)
        other = closing | _guard(leaving={None, *CONTINUING})
        instead: dict[str, Value] = {"leaving": Event.CANCEL, "plan": None}
        yield Rule(Label.SHIELD_BROKEN, Event.CANCEL, other, gone | instead)
        fail: dict[str, Value] = {"leaving": Event.FAIL, "plan": None}
        asking = UNDECIDED | _guard(state=State.GENERATING, plan=None)
        yield Rule(Label.MISUSED, Event.FAIL, asking, fail)
        making = UNDECIDED | _guard(state=self.showing, plan=None, phase=(Phase.NONE, *OPENED))
        yield Rule(Label.MISUSED, Event.FAIL, making, fail)
        receiving = UNDECIDED | _guard(phase=Phase.LISTENING)
        yield Rule(Label.MISUSED, Event.FAIL, receiving, fail)

    def service(self) -> Iterator[Rule]:
        asked = _guard(state=State.GENERATING, plan=None, cancelled=False)
        for event in (Event.QR_READY, Event.PAIRED, Event.FAIL):  # fail: another identity
            yield Rule(Label.ANSWER, event, UNDECIDED | asked, {"leaving": event})
        yield Rule(Label.REFUSAL, Event.FAIL, UNDECIDED | asked, {"plan": Plan.LOST})
        given_up = {Plan.LOST, Plan.TIME}
        asking = self.walked - self.showing
        yield from self.signals(Label.STATUS, asking, plan=given_up)
        yield from self.signals(Label.STATUS, self.showing)

    # The transport. What it does may come too late: after something has led out of the state.

    def opening(self) -> Iterator[Rule]:
        connecting = _guard(phase=Phase.OPENING)
        connected: dict[str, Value] = {"phase": Phase.HANDSHAKE, "socket": True}
        yield Rule(Label.SOCKET, None, connecting, connected)
        shaking = _guard(phase=Phase.HANDSHAKE, plan=None)
        yield Rule(Label.LISTENING, None, shaking, {"phase": Phase.LISTENING})

    def link(self) -> Iterator[Rule]:
        breaks: list[tuple[Label, tuple[Phase, ...], tuple[Plan, ...]]] = [
            (Label.REFUSED, (*OPENED, Phase.LISTENING), (Plan.LOST,)),
            (Label.BROKEN, (*OPENED, Phase.LISTENING), (Plan.WAIT, Plan.LOST)),
            (Label.OPENING_DEADLINE, OPENED, (Plan.WAIT, Plan.LOST)),
        ]
        for label, phases, plans in breaks:
            held = _guard(phase=phases, plan=None)
            for plan in plans:  # as the budget of openings says
                changes: dict[str, Value] = {"phase": Phase.CLOSING, "plan": plan}
                yield Rule(label, None, held | UNDECIDED, changes)
            late = held | _guard(leaving=tuple(Event))
            yield Rule(label, None, late, {"phase": Phase.CLOSING})
        yield from self.signals(Label.SIGNAL, self.showing, phase=Phase.LISTENING)

    def goodbye(self) -> Iterator[Rule]:
        closing = _guard(phase=Phase.CLOSING)
        yield Rule(Label.SHUT, None, closing | _guard(socket=True), {"socket": False})
        gone: dict[str, Value] = {"phase": Phase.NONE, "socket": False}
        for label in (Label.GOODBYE, Label.GOODBYE_DEADLINE):
            yield Rule(label, None, closing, gone)

    # Time, and what follows by itself

    def clock(self) -> Iterator[Rule]:
        waits = UNDECIDED | _guard(plan={None, Plan.WAIT}, cancelled=False)
        asking = waits | _guard(state=State.GENERATING)
        yield Rule(Label.DEADLINE, None, asking, {"plan": Plan.TIME})
        live = waits | _guard(phase=(*OPENED, Phase.LISTENING))
        yield Rule(Label.DEADLINE, None, live, {"plan": Plan.TIME})
        between = waits | _guard(phase=Phase.NONE, plan=Plan.WAIT)
        yield Rule(Label.DEADLINE, None, between, {"plan": Plan.TIME})
        yield Rule(Label.WAIT_OVER, None, between, {"plan": None})

    def lifecycle(self) -> Iterator[Rule]:
        ready = UNDECIDED | _guard(state=self.showing, plan=None, phase=Phase.NONE)
        yield Rule(Label.MAKE, None, ready, {"phase": Phase.OPENING})
        looked = UNDECIDED | _guard(cancelled=False)
        over: dict[str, Value] = {"leaving": Event.FAIL, "plan": None}
        late = looked | _guard(plan=Plan.TIME)
        yield Rule(Label.LOOK_OVER, Event.FAIL, late, over)
        another: dict[str, Value] = {"leaving": Event.EXPIRED, "plan": None}
        yield Rule(Label.LOOK_OVER, Event.EXPIRED, late | _guard(state=self.showing), another)
        lost = looked | _guard(plan=Plan.LOST, phase=Phase.NONE)
        yield Rule(Label.LOOK_OVER, Event.FAIL, lost, over)
        held = _guard(leaving=tuple(Event), phase=(*OPENED, Phase.LISTENING))
        yield Rule(Label.CLOSE, None, held, {"phase": Phase.CLOSING})
        # A goodbye is shielded; anywhere else the walk's next await raises.
        unshielded = frozenset(Phase) - {Phase.CLOSING}
        reached = _guard(walk=Walk.WALKING, cancelled=True, phase=unshielded)
        reached |= _guard(leaving={None, *CONTINUING})
        changes: dict[str, Value] = {"leaving": Event.CANCEL, "plan": None}
        yield Rule(Label.CANCELLATION, Event.CANCEL, reached, changes)
        done: dict[str, Value] = {"walk": Walk.NOBODY, "cancelled": False}
        yield Rule(Label.RETURN, None, _guard(walk=Walk.RETURNING), done)

    def commit(self) -> Iterator[Rule]:
        for source, row in self.rows:
            event = row.event
            if source not in self.walked or (row.internal and event not in UNASKED):
                continue
            when = _guard(walk=Walk.WALKING, state=source, leaving=event)
            if (source, event) not in self.at_once:
                when |= _guard(phase=Phase.NONE)
            changes: dict[str, Value] = {}
            if row.target not in (None, source):  # else the stay is the old one, still being left
                changes |= {"state": row.target, "leaving": None}
            if event in OUTCOMES:
                changes["walk"] = Walk.RETURNING
            yield Rule(Label.COMMIT, event, when, changes, (source, event))
