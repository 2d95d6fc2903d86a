"""Writes the page of rows, states and reasons from the code: ``python docs/generate.py``.

The page is committed, so that it can be read where nothing is built; a test holds it to the code.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import qrlifecycle
from qrlifecycle.diagram import draw
from qrlifecycle.engine.observers import SHOWING
from qrlifecycle.lifecycle import QRLifecycle
from qrlifecycle.outcome import REASON_OF_DEADLINE, Cancelled, Connected, Failed, Outcome, Reason
from qrlifecycle.policy import Policy
from qrlifecycle.signals import KINDS, StatusChanged
from qrlifecycle.states import (
    DEADLINE_OF,
    ENDS,
    PHASE_ROWS,
    REGIONS,
    TABLE,
    Deadline,
    Event,
    State,
    Step,
    Word,
    single_rows,
)

PAGE = Path(__file__).parent / "lifecycle.md"

TEMPLATE = PAGE.with_suffix(".template")
"""The page's own words, with a place for each table."""


def table_of(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def attribute_docs(cls: type, source: str) -> dict[str, str]:
    """The text that stands under each field of a class in its source."""
    tree = ast.parse(source)
    body = next(
        n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == cls.__name__
    ).body
    docs = {}
    for node, after in pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr):
            assert isinstance(node.target, ast.Name)
            assert isinstance(after.value, ast.Constant)
            docs[node.target.id] = " ".join(str(after.value.value).split())
    return docs


def names(found: Iterable[object]) -> str:
    """Names as code, between commas."""
    return ", ".join(f"`{name}`" for name in found)


def first_paragraph(documented: object) -> str:
    """What a docstring says before its first blank line, in one line."""
    return str(documented.__doc__).split("\n\n")[0].replace("\n", " ")


def meanings(head: str, words: Iterable[Word]) -> str:
    """A table of words with their sentences."""
    return table_of([head, "meaning"], [[f"`{word}`", word.meaning] for word in words])


def rows() -> str:
    """The rows of the table."""
    return table_of(
        ["in", "on", "to", "because"],
        [
            [
                names(row.sources),
                f"`{row.event}`",
                f"`{row.target}`" if row.target else "*(internal)*",
                row.why,
            ]
            for row in TABLE
        ],
    )


def inside_the_states() -> dict[str, str]:
    """The tables of what goes on inside a state."""
    regions = [(s, region, phases) for s in State for region, phases in REGIONS[s].items()]
    return {
        "regions": table_of(
            ["region", "in", "what it tells", "begins in"],
            [[f"`{r}`", f"`{s}`", r.meaning, f"`{phases[0]}`"] for s, r, phases in regions],
        ),
        "phases": table_of(
            ["phase", "region", "meaning", "deadline"],
            [
                [f"`{p}`", f"`{r}`", p.meaning, f"`{DEADLINE_OF[p]}`" if p in DEADLINE_OF else ""]
                for _, r, phases in regions
                for p in phases
            ],
        ),
        "phase_rows": table_of(
            ["in", "by", "to", "because"],
            [[names(r.sources), f"`{r.by}`", f"`{r.target}`", r.why] for r in PHASE_ROWS],
        ),
        "steps": meanings("step", Step),
        "deadlines": table_of(
            ["deadline", "meaning", "runs in", "when it runs out"],
            [[f"`{d}`", d.meaning, runs_in(d), runs_out(d)] for d in Deadline],
        ),
        "replaces": table_of(
            ["in", "a decided", "replaces a pending"],
            [
                [f"`{source}`", f"`{row.event}`", names(row.replaces)]
                for source, row in single_rows(TABLE)
                if row.replaces
            ],
        ),
    }


def runs_in(deadline: Deadline) -> str:
    """The phases or states in which a deadline runs."""
    if deadline is Deadline.ATTEMPT:
        return names(state for state in State if state not in ENDS)
    return names(phase for phase, running in DEADLINE_OF.items() if running is deadline)


def runs_out(deadline: Deadline) -> str:
    """What follows when a deadline has run out."""
    if reason := REASON_OF_DEADLINE.get(deadline):
        return f"`{Event.FAIL}`, with the reason `{reason}`"
    return (
        f"`{Event.EXPIRED}` while `max_refreshes` and `max_codes` allow another code; else "
        f"`{Event.FAIL}`, with the reason `{Reason.CODES_USED_UP}`, or `{Reason.EXPIRED}` if it "
        f"never allowed one, or "
        f"`{Reason.TRANSPORT_UNREACHABLE}` or `{Reason.TRANSPORT_LOST}` if the code could never be "
        "shown"
    )


def outcomes() -> str:
    """The kinds of outcomes."""
    kinds: Sequence[type[Outcome]] = (Connected, Failed, Cancelled)
    return table_of(
        ["outcome", "`connected`", "made of", "meaning"],
        [
            [
                f"`{kind.__name__}`",
                f"`{kind.connected}`",
                names(field.name for field in fields(kind)) or "nothing",
                first_paragraph(kind),
            ]
            for kind in kinds
        ],
    )


def hooks() -> str:
    """The hooks, in the order in which they are given."""
    given = inspect.signature(QRLifecycle).parameters.values()
    doc = str(QRLifecycle.__doc__)
    told = re.findall(r"^ +(on_\w+): ((?:.+\n)+?)(?= +\w+: |\n)", doc, re.MULTILINE)
    meaning = {name: " ".join(text.split()) for name, text in told}
    rows = []
    for hook in given:
        if found := re.match(r"Hook\[(\w+)\]", str(hook.annotation)):
            failing = (
                "the attempt ends: `showing_failed`" if hook.name in SHOWING else "it is logged"
            )
            rows.append([f"`{hook.name}`", f"`{found[1]}`", meaning[hook.name], failing])
    return table_of(["hook", "is given", "meaning", "if it fails"], rows)


def tables() -> dict[str, str]:
    """Every table of the page, by its place in the text."""
    policy_source = (Path(qrlifecycle.__file__).parent / "policy.py").read_text()
    policy_docs = attribute_docs(Policy, policy_source)
    return {
        "states": meanings("state", State),
        "events": meanings("event", Event),
        "rows": rows(),
        "picture": draw("mermaid", phases=True),
        **inside_the_states(),
        "signals": table_of(
            ["signal", "made of", "event", "meaning"],
            [
                [
                    f"`{kind.__name__}`",
                    names(field.name for field in fields(kind)) or "nothing",
                    f"`{kind.event}`" if kind.event else "none",
                    first_paragraph(kind),
                ]
                for kind in (*KINDS, StatusChanged)
            ],
        ),
        "policy": table_of(
            ["number", "default", "meaning"],
            [[f"`{f.name}`", f"{f.default}", policy_docs[f.name]] for f in fields(Policy)],
        ),
        "outcomes": outcomes(),
        "reasons": table_of(
            ["reason", "for the developer", "for the person", "retryable"],
            [[f"`{r}`", r.meaning, r.person, "yes" if r.retryable else "no"] for r in Reason],
        ),
        "hooks": hooks(),
    }


def lifecycle_page() -> str:
    """The whole page."""
    return TEMPLATE.read_text().removesuffix("\n").format(**tables())


if __name__ == "__main__":
    PAGE.write_text(lifecycle_page())
