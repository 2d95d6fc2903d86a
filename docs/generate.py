"""Writes the page of rows, states and reasons from the code: ``python docs/generate.py``.

The page is committed, so that it can be read where nothing is built; a test holds it to the code.
"""

from __future__ import annotations

import ast
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import qrlifecycle
from qrlifecycle import (
    ActionRequired,
    Event,
    Paired,
    PairingRefused,
    Policy,
    QRExpired,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    State,
)
from qrlifecycle.states import TABLE

PAGE = Path(__file__).parent / "lifecycle.md"

TEXT = """\
# The lifecycle, row by row

This page is made from the code by `python docs/generate.py`. `qrlifecycle diagram` draws the table,
and `qrlifecycle diagram --format text` prints it in a terminal.

## The states

{states}
## The rows

An *internal* row changes what is shown and leaves the state as it is. What no row lists is refused:
a trigger that your program calls raises `EventRefused` and changes nothing; a signal from the wire
is dropped and counted.

{rows}
## The events

{events}
Your program sends three of them: `generate()`, `cancel()` and `reset()`. `cancel()` is welcome in
any state and answers whether it did anything. The others come from `request_qr`, from the
transport's signals, and from the clock.

## The signals

A signal is what a transport reports, or what `check_status` gives back; in the table it has the
event's name.

{signals}
## The deadlines and budgets

They live in one frozen `Policy`. Times are seconds; `inf` means no limit, or never. `WHATSAPP` is a
policy with WhatsApp's own numbers.

{policy}
## The reasons

An attempt that ends without a link says why, from this closed list.

{reasons}"""


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


def tables() -> dict[str, str]:
    """Every table of the page, by its place in the text."""
    policy_source = (Path(qrlifecycle.__file__).parent / "policy.py").read_text()
    policy_docs = attribute_docs(Policy, policy_source)
    signals: list[type[Signal]] = [
        QRUpdated,
        Scanned,
        ActionRequired,
        Paired,
        QRExpired,
        PairingRefused,
    ]
    return {
        "states": table_of(
            ["state", "meaning"], [[f"`{state}`", state.meaning] for state in State]
        ),
        "events": table_of(
            ["event", "meaning"], [[f"`{event}`", event.meaning] for event in Event]
        ),
        "rows": table_of(
            ["in", "on", "to", "because"],
            [
                [
                    ", ".join(f"`{source}`" for source in row.sources),
                    f"`{row.event}`",
                    f"`{row.target}`" if row.target else "*(internal)*",
                    row.why,
                ]
                for row in TABLE
            ],
        ),
        "signals": table_of(
            ["signal", "made of", "event", "meaning"],
            [
                [
                    f"`{s.__name__}`",
                    ", ".join(f"`{field.name}`" for field in fields(s)) or "nothing",
                    f"`{s.event}`",
                    str(s.__doc__).split("\n\n")[0].replace("\n", " "),
                ]
                for s in signals
            ],
        ),
        "policy": table_of(
            ["number", "default", "meaning"],
            [[f"`{f.name}`", f"{f.default}", policy_docs[f.name]] for f in fields(Policy)],
        ),
        "reasons": table_of(
            ["reason", "for the developer", "for the person", "retryable"],
            [[f"`{r}`", r.meaning, r.person, "yes" if r.retryable else "no"] for r in Reason],
        ),
    }


def lifecycle_page() -> str:
    """The whole page."""
    return TEXT.format(**tables())


if __name__ == "__main__":
    PAGE.write_text(lifecycle_page())
