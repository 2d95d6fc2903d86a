"""The model's facts, proved by induction: for any situation, reached or not.

The rules and the facts are translated as they stand, so the prover enumerates nothing. What it is
asked: do the facts hold at the beginning, and if they hold before a step, do they hold after it?
And where they hold, can that happen which must be able to happen?
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import z3

from qrlifecycle.proof.model import FIELDS, Model, Rule
from qrlifecycle.proof.model.facts import Fact
from qrlifecycle.proof.model.rules import Guard

__all__ = ["counterexamples"]

SORTS = {
    field: z3.EnumSort(field, [f"{field}_{value}" for value in values])
    for field, values in FIELDS.items()
}
CONSTANTS = {
    field: dict(zip(values, constants, strict=True))
    for (field, values), (_, constants) in zip(FIELDS.items(), SORTS.values(), strict=True)
}
BEFORE = {field: z3.Const(field, sort) for field, (sort, _) in SORTS.items()}


def after(rule: Rule) -> dict[str, Any]:
    """The fields once a rule was taken."""
    return BEFORE | {field: CONSTANTS[field][value] for field, value in rule.then.items()}


def formula(guard: Guard, at: dict[str, Any]) -> Any:
    """Whether each field has a welcome value."""
    return z3.And(
        *(
            z3.Or(*(at[field] == CONSTANTS[field][value] for value in values))
            for field, values in guard.items()
        )
    )


def fact_formula(fact: Fact, at: dict[str, Any]) -> Any:
    """What the fact says of a situation."""
    return z3.Implies(formula(fact.when, at), formula(fact.then, at))


def counterexamples(model: Model) -> Iterator[str]:
    """Each fact and rule that the induction fails at, in words; none when it is proved."""
    begin = {f: CONSTANTS[f][getattr(model.chart.beginning, f)] for f in FIELDS}
    for fact in model.facts:
        if _refuted(z3.Not(fact_formula(fact, begin))):
            yield f"{fact.name} does not hold at the beginning"
    invariant = z3.And(*(fact_formula(fact, BEFORE) for fact in model.facts))
    for rule in model.rules:
        enabled = z3.And(invariant, formula(rule.when, BEFORE))
        kept = [(fact.name, fact_formula(fact, after(rule))) for fact in model.facts]
        kept += [
            (fact.name, z3.And(formula(fact.before, BEFORE), formula(fact.after, after(rule))))
            for fact in model.step_facts
            if fact.concerns(rule)
        ]
        if not _refuted(z3.And(enabled, z3.Not(z3.And(*(held for _, held in kept))))):
            continue
        for name, held in kept:
            if example := _refuted(z3.And(enabled, z3.Not(held))):
                yield f"{name} is broken by '{rule.name}' ({rule.by}) from {example}"
    for ability in model.abilities:
        granted = [formula(rule.when, BEFORE) for rule in model.rules if ability.grants(rule)]
        claim = z3.And(invariant, formula(ability.when, BEFORE), z3.Not(z3.Or(*granted)))
        if example := _refuted(claim):
            yield f"{ability.name} is not so in {example}"


def _refuted(claim: Any) -> str | None:
    """A situation of which the claim is true; None if there is none."""
    solver = z3.Solver()
    solver.add(claim)
    if (verdict := solver.check()) == z3.unsat:
        return None
    assert verdict == z3.sat
    found = solver.model()
    return ", ".join(str(found.eval(BEFORE[f], model_completion=True)) for f in FIELDS)
