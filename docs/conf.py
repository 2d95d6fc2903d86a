"""How the pages are built: from Markdown, docstrings, and what is generated from the code."""

from __future__ import annotations

import ast
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import qrlifecycle
from qrlifecycle import (
    ConnectionFailed,
    Event,
    Paired,
    Policy,
    QRExpired,
    QRUpdated,
    Reason,
    Scanned,
    Signal,
    State,
)
from qrlifecycle.diagram import paint
from qrlifecycle.table import TABLE

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "qrlifecycle"
author = "the qrlifecycle maintainers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_generated"]
html_theme = "furo"
html_title = "qrlifecycle"
html_show_sphinx = False
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
nitpicky = False

GENERATED = Path(__file__).parent / "_generated"


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


def generate(_app: Sphinx) -> None:
    """Write what the pages include."""
    GENERATED.mkdir(exist_ok=True)
    policy_source = (Path(qrlifecycle.__file__).parent / "policy.py").read_text()
    policy_docs = attribute_docs(Policy, policy_source)
    signals: list[type[Signal]] = [QRUpdated, Scanned, Paired, QRExpired, ConnectionFailed]
    pages = {
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
            ["signal", "event", "meaning"],
            [
                [
                    f"`{s.__name__}`",
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
    for name, text in pages.items():
        (GENERATED / f"{name}.md").write_text(text)
    (GENERATED / "lifecycle.svg").write_bytes(paint("svg"))


def setup(app: Sphinx) -> None:
    """Hook into the build."""
    app.connect("builder-inited", generate)
