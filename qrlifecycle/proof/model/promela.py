"""The model in Promela, for Spin: an independent judge.

Each actor is a process of its own, so that Spin's weak fairness means what it should: a busy world
cannot keep the lifecycle or the clock from ever taking a step.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from .exploration import Model
from .facts import StepFact
from .rules import Guard, Rule
from .situation import FIELDS, Actor, Value

__all__ = ["CLAIMS", "FAIR_CLAIMS", "promela"]

CLAIMS = {
    "pending_is_taken": (
        "once a row out of a state is decided, it is taken",
        "[] (pending != undecided -> <> (pending == undecided))",
    ),
    "returning_ends": (
        "a pair() that has come to its end returns",
        "[] (pairing == returning -> <> (pairing != returning))",
    ),
}
"""What must come about whoever is preferred: name, sentence and formula."""

FAIR_CLAIMS = {
    "cancellation_goes_on": (
        "a cancelled pair() ends, and its caller is told",
        "[] (cancelled -> <> !cancelled)",
    ),
}
"""The same, if whoever could always take a step takes one at last: Spin's weak fairness."""

UNSET = {
    "pending": "undecided",
    "final_check": "no_check",
    "fault": "no_fault",
    "transport": "no_transport",
    "phase": "no_phase",
}
PREFIX = {"pending": "by_", "final_check": "check_"}
FLAGS = ("socket", "cancelled", "lease")

WIDTH = 98
"""Characters of a line."""

HEAD = """\
/*
 * The lifecycle of a QR code and its world, made from its data by `qrlifecycle model`.
 *
 *   spin -a lifecycle.pml
 *   gcc -DNOCLAIM -DSAFETY -o steps pan.c && ./steps    assertions, no standstill, nothing unused
 *   gcc -DNFAIR=3 -o claims pan.c                       then one claim of those at the end:
 *   ./claims -a -N exclusion                            whatever the world does
 *   ./claims -a -f -N cancellation_goes_on              if nobody is starved: weak fairness
 *
 * A rule is one indivisible step: where what stands before the arrow holds, what stands after it
 * may happen. What a budget allows is a choice between two rules. No process ever ends, so that
 * Spin calls the end of each one unreached; nothing else may be.
 */
"""


def promela(model: Model) -> str:
    """The whole model: its variables, a process for each actor, and what must hold."""
    return "\n".join(
        [HEAD, _variables(model), *(_process(model, actor) for actor in Actor), *_claims(model)]
    )


def _name(field: str, value: Value) -> str:
    if value is None:
        return UNSET[field]
    if isinstance(value, bool):
        return str(value).lower()
    return PREFIX.get(field, "") + value.value.replace(" ", "_")


def _variables(model: Model) -> str:
    lines = []
    for field, values in FIELDS.items():
        start = _name(field, getattr(model.chart.beginning, field))
        if field in FLAGS:
            lines.append(f"bool {field} = {start};")
            continue
        names = ", ".join(_name(field, value) for value in values)
        lines += textwrap.wrap(f"mtype:{field} = {{ {names} }};", WIDTH, subsequent_indent="    ")
        lines.append(f"mtype:{field} {field} = {start};")
    return "\n".join([*lines, ""])


def _process(model: Model, actor: Actor) -> str:
    rules = [rule for rule in model.rules if rule.by is actor]
    head = [f"/* {actor.meaning} */", f"active proctype {actor}_moves() {{", "  do"]
    options = [line for rule in rules for line in _option(rule, model.step_facts)]
    return "\n".join([*head, *options, "  od", "}", ""])


def _option(rule: Rule, facts: tuple[StepFact, ...]) -> Iterator[str]:
    name = rule.name if rule.row is None else f"{rule.name}, the row of {rule.row[0]}"
    yield f"  /* {name}. {rule.label.meaning.replace('`', '')} */"
    concerned = [fact for fact in facts if fact.concerns(rule)]
    before = [_assertion(fact.name, fact.before) for fact in concerned if fact.before]
    after = [_assertion(fact.name, fact.after) for fact in concerned if fact.after]
    steps = [f"{field} = {_name(field, value)};" for field, value in rule.then.items()]
    yield from _wrapped(f"  :: atomic {{ {_formula(rule.when)} ->")
    for line in [*before, " ".join(steps) or "skip;", *after]:
        yield from _wrapped(f"       {line}")
    yield "     }"


def _wrapped(line: str, indent: int = 9) -> list[str]:
    """A line as lines that fit, broken after an operator: elsewhere Spin would end a statement."""
    lines: list[str] = []
    for part in re.split(r"(?<=&&|\|\||.;) ", line):
        if lines and len(lines[-1]) + len(part) < WIDTH:
            lines[-1] += f" {part}"
        else:
            lines.append(f"{' ' * indent if lines else ''}{part}")
    return lines


def _assertion(name: str, guard: Guard) -> str:
    return f"assert({_formula(guard)}); /* {name} */"


def _formula(guard: Guard) -> str:
    return " && ".join(_membership(field, values) for field, values in guard.items()) or "true"


def _membership(field: str, values: frozenset[Value]) -> str:
    every = FIELDS[field]
    if field in FLAGS:
        return field if True in values else f"!{field}"
    inside = [_name(field, value) for value in every if value in values]
    outside = [_name(field, value) for value in every if value not in values]
    if not outside:
        return "true"
    if len(outside) < len(inside):
        return " && ".join(f"{field} != {name}" for name in outside)
    either = " || ".join(f"{field} == {name}" for name in inside) or "false"
    return f"({either})" if len(inside) > 1 else either


def _claims(model: Model) -> Iterator[str]:
    for fact in model.facts:
        yield _claim(fact.name, fact.says, _formula(fact.when), _formula(fact.then))
    for ability in model.abilities:
        granted = [_formula(rule.when) for rule in model.rules if ability.grants(rule)]
        possible = " || ".join(f"({each})" for each in granted) or "false"
        yield _claim(ability.name, ability.says, _formula(ability.when), possible)
    for name, (says, formula) in (CLAIMS | FAIR_CLAIMS).items():
        yield f"/* {says} */"
        yield f"ltl {name} {{ {formula} }}\n"


def _claim(name: str, says: str, when: str, then: str) -> str:
    formula = _wrapped(f"ltl {name} {{ [] (({when}) -> ({then})) }}", indent=4)
    return "\n".join([f"/* {says} */", *formula, ""])
