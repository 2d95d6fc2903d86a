"""A formal model of one lifecycle with its world, made from the lifecycle's data.

A lifecycle, its transport, its clock and everybody around it are one `Situation`, and what may
happen next are `Move`s. There are finitely many, so `MODEL` can be enumerated to the last one, and
each that can be reached keeps the promises. Tests hold the real code to it::

    situation = initial()
    for move in moves(situation): ...

What goes on inside the lifecycle is made from `qrlifecycle.states`, the table and the phases, so
that it is said once (`chart`, `rules`, `lifecycle`). What the world may do (`world`) and what is
demanded (`facts`) are written by hand, so that wrong data is refuted. Of the code that the data
drives, the model knows nothing: the two are compared by tests.

It stands for a lifecycle that is used as its contract says. A final status check takes time only if
there is a `check_status`, and returning takes time only if there are async hooks; `rest()` takes
neither to be there. Budgets are choices, so whatever a policy allows is among the moves.
"""

from __future__ import annotations

from .chart import CHART, Chart
from .document import document
from .exploration import UNAIDED, Counterexample, Model, Move
from .facts import ENDINGS, Ability, Fact, StepFact
from .promela import CLAIMS, FAIR_CLAIMS, promela
from .rules import Rule
from .situation import FIELDS, Actor, Check, Fault, Label, Pairing, Situation

__all__ = [
    "CHART",
    "CLAIMS",
    "ENDINGS",
    "FAIR_CLAIMS",
    "FIELDS",
    "MODEL",
    "UNAIDED",
    "Ability",
    "Actor",
    "Chart",
    "Check",
    "Counterexample",
    "Fact",
    "Fault",
    "Label",
    "Model",
    "Move",
    "Pairing",
    "Rule",
    "Situation",
    "StepFact",
    "document",
    "initial",
    "moves",
    "promela",
    "rest",
    "settled",
    "situations",
]

MODEL = Model()
"""The model of the lifecycle as it is."""


def initial() -> Situation:
    """Where every lifecycle begins."""
    return MODEL.chart.beginning


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
