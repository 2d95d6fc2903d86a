"""What must hold of the model: in every situation, and of every step.

Each is data, as the rules are, so that one list is checked by enumeration, proved by induction and
judged by Spin. Together they are inductive: some of them are promises, the others are why the
promises hold. This room must never know how anything is checked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ...states import (
    Event,
    Row,
    State,
    single_rows,
)
from .rules import (
    CONTINUING,
    Guard,
    Rule,
)
from .situation import (
    Phase,
    Plan,
    Value,
    Walk,
)

__all__ = ["Fact", "StepFact", "make_facts", "make_step_facts"]


@dataclass(frozen=True)
class Fact:
    """Wherever ``when`` holds, ``then`` holds."""

    name: str
    says: str
    when: Guard
    then: Guard


@dataclass(frozen=True)
class StepFact:
    """A step that sets ``field`` to one of ``values`` is taken only where ``before`` holds."""

    name: str
    says: str
    field: str
    values: frozenset[Value]
    before: Guard

    def concerns(self, rule: Rule) -> bool:
        """Whether a rule's steps are such steps."""
        return self.field in rule.then and rule.then[self.field] in self.values


def _of(**fields: Collection[Value]) -> Guard:
    return {name: frozenset(values) for name, values in fields.items()}


def make_facts(table: tuple[Row, ...], owner: State) -> tuple[Fact, ...]:
    """What must hold in every situation of a lifecycle that walks this table."""
    return (*_promises(owner), *_reasons(owner), *_rows(table))


def _promises(owner: State) -> Iterator[Fact]:
    elsewhere = frozenset(State) - {owner}
    yield Fact(
        "exclusion",
        f"a socket is open only in {owner}",
        _of(socket={True}),
        _of(state={owner}),
    )
    yield Fact(
        "nothing_left",
        "when nobody walks there is no socket, no transport, and nothing under way",
        _of(walk={Walk.NOBODY}),
        _of(
            state=elsewhere,
            phase={Phase.NONE},
            socket={False},
            leaving={None},
            plan={None},
            cancelled={False},
        ),
    )


def _reasons(owner: State) -> Iterator[Fact]:
    elsewhere = frozenset(State) - {owner}
    yield Fact(
        "scope",
        f"a transport is held only by a walk, and only in {owner}",
        _of(phase=set(Phase) - {Phase.NONE}),
        _of(state={owner}, walk={Walk.WALKING}),
    )
    yield Fact(
        "socket_of_a_transport",
        "there is no socket without a transport, nor before it connects",
        _of(phase={Phase.NONE, Phase.OPENING}),
        _of(socket={False}),
    )
    yield Fact(
        "come_to_an_end",
        "a walk that has come to its end has nothing more to do",
        _of(walk={Walk.RETURNING}),
        _of(state=elsewhere, phase={Phase.NONE}, leaving={None}, plan={None}),
    )
    yield Fact(
        "where_walks_stand",
        "a walk stands where a code is asked for or shown",
        _of(walk={Walk.WALKING}),
        _of(state={State.GENERATING, owner}),
    )
    yield Fact(
        "decided",
        "what leads out leaves no other plan",
        _of(leaving=set(Event)),
        _of(plan={None}),
    )
    yield Fact(
        "plan_while_open",
        "while a transport opens or listens, only a deadline makes a plan",
        _of(phase={Phase.OPENING, Phase.HANDSHAKE, Phase.LISTENING}),
        _of(plan={None, Plan.TIME}),
    )
    yield Fact(
        "plan_while_closing",
        "no deadline interrupts a goodbye",
        _of(phase={Phase.CLOSING}),
        _of(plan={None, Plan.WAIT, Plan.LOST}),
    )
    yield Fact(
        "plan_while_asking",
        "nothing is waited for between two openings where none is opened",
        _of(state={State.GENERATING}),
        _of(plan={None, Plan.TIME, Plan.LOST}),
    )


def _rows(table: tuple[Row, ...]) -> Iterator[Fact]:
    for state in State:
        events = {
            row.event
            for source, row in single_rows(table)
            if source is state and row.target not in (None, source)
        }
        yield Fact(
            f"row_from_{state}",
            f"what is decided in {state} has a row that leads out",
            _of(state={state}),
            _of(leaving={None, *events}),
        )


def make_step_facts() -> tuple[StepFact, ...]:
    """What must hold of every step."""
    gone = _of(phase={Phase.NONE}, socket={False})
    return (
        StepFact(
            "gone_first",
            "a state is left only when the transport and its socket are gone",
            "state",
            frozenset(State),
            gone,
        ),
        StepFact(
            "one_socket",
            "a transport is made only when no other is held",
            "phase",
            frozenset({Phase.OPENING}),
            gone,
        ),
        StepFact(
            "an_end_is_kept",
            "once a success, a failure or a cancellation is decided, nothing replaces it",
            "leaving",
            frozenset(Event),
            _of(leaving={None, *CONTINUING}),
        ),
    )
