"""How the pages are built: from Markdown, docstrings, and the picture drawn from the table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from qrlifecycle.diagram import paint

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "qrlifecycle"
author = "the qrlifecycle maintainers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_generated"]
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["tables.css"]
html_title = "qrlifecycle"
html_show_sphinx = False
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"

GENERATED = Path(__file__).parent / "_generated"

INSIDE = """\
```{image} _generated/inside.svg
:alt: The states with their regions and phases, and what leads from one to the other.
```"""


def draw(_app: Sphinx) -> None:
    """Draw the picture of the front page, and the one with what goes on inside the states."""
    GENERATED.mkdir(exist_ok=True)
    (GENERATED / "lifecycle.svg").write_bytes(paint("svg"))
    (GENERATED / "inside.svg").write_bytes(paint("svg", phases=True))


def show(_app: Sphinx, page: str, source: list[str]) -> None:
    """Show the picture where the page, which is read elsewhere as well, has it as Mermaid."""
    if page == "lifecycle":
        source[0] = re.sub(
            r"^```mermaid\n.*?^```$", INSIDE, source[0], flags=re.MULTILINE | re.DOTALL
        )


def keep(
    _app: Sphinx, what: str, name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Keep the text of a datum as it is, before napoleon takes what precedes a colon for a type."""
    if what in ("attribute", "data"):
        KEPT[name] = list(lines)


def put_back(
    _app: Sphinx, _what: str, name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Put back what was kept."""
    if name in KEPT:
        lines[:] = KEPT.pop(name)


KEPT: dict[str, list[str]] = {}


def setup(app: Sphinx) -> None:
    """Hook into the build."""
    app.connect("builder-inited", draw)
    app.connect("source-read", show)
    app.connect("autodoc-process-docstring", keep, priority=400)
    app.connect("autodoc-process-docstring", put_back, priority=600)
