"""A formal model of one lifecycle with its world, made from the table so that it cannot drift.

A lifecycle, its transport, its clock and everybody around it are one `Situation`, and what may
happen next are `Move`s. There are finitely many, so `MODEL` can be enumerated to the last one, and
each that can be reached keeps the promises. Tests hold the real code to it::

    situation = initial()
    for move in moves(situation): ...

The model must never know the code that it stands for: it imports the table and the names of events
and signals, so that code and model are two accounts of one thing, which tests compare.

It stands for a lifecycle that is used as its contract says. A last look takes time only if there is
a `check_status`, and returning takes time only if there are async hooks; `rest()` takes neither to
be there. Budgets are choices, so whatever a policy allows is among the moves.
"""

from __future__ import annotations

from .document import document
from .exploration import (
    INITIAL_SITUATION,
    UNAIDED,
    Model,
    Move,
    Violation,
)
from .facts import (
    Fact,
    StepFact,
)
from .promela import (
    CLAIMS,
    FAIR_CLAIMS,
    promela,
)
from .rules import (
    OUTCOMES,
    Rule,
)
from .situation import (
    FIELDS,
    Actor,
    Label,
    Phase,
    Plan,
    Situation,
    Walk,
)

__all__ = [
    "CLAIMS",
    "FAIR_CLAIMS",
    "FIELDS",
    "MODEL",
    "OUTCOMES",
    "UNAIDED",
    "Actor",
    "Fact",
    "Label",
    "Model",
    "Move",
    "Phase",
    "Plan",
    "Rule",
    "Situation",
    "StepFact",
    "Violation",
    "Walk",
    "document",
    "initial",
    "moves",
    "promela",
    "rest",
    "settled",
    "situations",
]

MODEL = Model()
"""The model of the table."""


def initial() -> Situation:
    """Where every lifecycle begins."""
    return INITIAL_SITUATION


def situations() -> tuple[Situation, ...]:
    """Every situation that can be reached, nearest first; enumerated once, in milliseconds."""
    return tuple(MODEL.graph)


def moves(situation: Situation) -> tuple[Move, ...]:
    """Everything that may happen next. What is not among it is refused, and moves nothing."""
    return MODEL.moves(situation)


def rest(situation: Situation) -> bool:
    """Whether only the world or the clock can move it on."""
    return MODEL.rest(situation)


def settled(situation: Situation) -> frozenset[Situation]:
    """Where the lifecycle, left alone at this very instant, may come to rest."""
    return MODEL.settled(situation)
